"""What a command takes: wall clock, CPU time and memory. And what machine it was.

Linux counts the memory of the process that starts another towards the other's peak, so whoever measures here must stay
small itself: everything heavy runs in a command of its own.
"""

import datetime
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sheetgpt.engines import office
from sheetgpt.errors import SheetGPTError

SHEETGPT = (sys.executable, "-c", "from sheetgpt.cli import main; main()")  # the command of this very environment
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Used:
    """CPU seconds are those of all its processes together; the peak is that of the largest one."""

    status: int
    wall_s: float
    cpu_s: float
    peak_bytes: int
    output: str

    def figures(self) -> dict[str, float]:
        return {"wall_s": self.wall_s, "cpu_s": self.cpu_s, "peak_bytes": self.peak_bytes}


def run(command: Sequence[object], good: Sequence[int] = (0,)) -> Used:
    """Runs it to its end. Raises SheetGPTError with its last line when its exit status is none of `good`."""
    words = [str(word) for word in command]
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
        try:
            _, code, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall = time.perf_counter() - began
        process.returncode = status = os.waitstatus_to_exitcode(code)
        said.seek(0)
        output = said.read().decode("utf-8", "replace").strip()
    if status not in good:
        last = output.splitlines()[-1] if output else "it said nothing"
        raise SheetGPTError(f"exit status {status}: {last}")
    return Used(status, wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * MAXRSS_UNIT, output)


def machine() -> dict[str, str | int | float | None]:
    """What the figures depend on."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": platform.machine(),
        "system": platform.platform(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load_average": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "libreoffice": office_version(),
    }


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The name that the system has for its processor."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def office_version() -> str | None:
    """`7.4.7.2`; None where there is no LibreOffice."""
    try:
        said = run([office.find_soffice(), "--version"]).output
    except (SheetGPTError, OSError):
        return None
    found = re.search(r"\d+(\.\d+)+", said)
    return found[0] if found else said
