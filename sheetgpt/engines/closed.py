"""The settings of LibreOffice's throw-away profile: it opens workbooks of unknown origin, and fetches nothing for them.

Names and values are those of LibreOffice's own schema, officecfg/registry/schema/org/openoffice/Office/Common.xcs,
Calc.xcs, Writer.xcs and Inet.xcs. A version that doesn't know one leaves it out. Not among them: DisableActiveContent
(from 7.6 on), which takes a workbook's charts, too; what else it stops is stopped by the others.
"""

from pathlib import Path

_SCRIPTING = "/org.openoffice.Office.Common/Security/Scripting"
_INET = "/org.openoffice.Inet/Settings"
NOWHERE = "127.0.0.1"  # with port 1 a proxy where nobody answers: names of other computers aren't even looked up

SETTINGS: dict[str, dict[str, str]] = {
    _SCRIPTING: {
        "BlockUntrustedRefererLinks": "true",  # pictures and other links of a document that is in no trusted folder
        "DisableMacrosExecution": "true",
        "MacroSecurityLevel": "3",  # the highest
        "DisablePythonRuntime": "true",
        "DisableOLEAutomation": "true",
        "CheckDocumentEvents": "true",
    },
    "/org.openoffice.Office.Calc/Content/Update": {"Link": "1"},  # 0: always, 1: never, 2: on request
    "/org.openoffice.Office.Writer/Content/Update": {"Link": "0"},  # 0: never
    _INET: {
        "ooInetProxyType": "2",  # as given here, whatever the system's is
        "ooInetNoProxy": "",
        **{f"ooInet{kind}ProxyName": NOWHERE for kind in ("HTTP", "HTTPS", "FTP")},
        **{f"ooInet{kind}ProxyPort": "1" for kind in ("HTTP", "HTTPS", "FTP")},
    },
}


def write_profile(profile: Path) -> None:
    """Makes the profile's folder, with these settings in it."""
    items = "".join(
        f'<item oor:path="{path}"><prop oor:name="{name}" oor:op="fuse"><value>{value}</value></prop></item>\n'
        for path, properties in SETTINGS.items()
        for name, value in properties.items()
    )
    (profile / "user").mkdir(parents=True)
    (profile / "user" / "registrymodifications.xcu").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema"'
        f' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n{items}</oor:items>\n',
        "utf-8",
    )
