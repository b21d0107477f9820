"""The environment variables of our LibreOffice and of the Python that drives it: a few that they need, and no others.

A list of what can hurt would never be complete. LibreOffice asks the environment for each of its bootstrap variables
(UNO_TYPES, URE_BOOTSTRAP, BRAND_BASE_DIR, CONFIGURATION_LAYERS, …) before its own files, its start script for VALGRIND
and RR, its desktop plugins for a display, and the loader for LD_LIBRARY_PATH, in which conda and MATLAB keep older
libraries. Who needs one of those can name a script that sets it in SHEETGPT_SOFFICE.
"""

import os
import sys
from collections.abc import Mapping

PASSED = (
    "PATH",  # the start script is made of sed, ls and dirname
    "HOME",  # the cache of fonts, which takes seconds to make anew
    *("TMPDIR", "TEMP", "TMP"),
    *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT"),  # Windows starts no program without these
    *("USERPROFILE", "USERNAME", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA"),
    *("PROGRAMFILES", "PROGRAMFILES(X86)", "COMMONPROGRAMFILES", "COMMONPROGRAMFILES(X86)"),
)
OURS = "SHEETGPT_"  # passed, too: a mark by which our own processes are found
SET = {
    "SAL_USE_VCLPLUGIN": "svp",  # no window: gen and gtk3, which many set for looks, want a display though headless
    "SAL_DISABLE_OPENCL": "1",  # a graphics card rounds otherwise, and its driver can end LibreOffice
}
LOCALE = "C.UTF-8"  # file names in UTF-8, numbers with a point, wherever we are


def variables(given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What is left of the given variables, and ours."""
    kept = {name: value for name, value in given.items() if name in PASSED or name.startswith(OURS)}
    kept["PATH"] = os.pathsep.join(filter(None, (kept.get("PATH"), os.defpath)))  # defpath: where cron's is shorter
    locale = {"LC_ALL": LOCALE} if sys.platform.startswith("linux") else {}  # elsewhere it isn't taken from variables
    return {**kept, **SET, **locale}
