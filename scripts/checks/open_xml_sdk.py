"""Microsoft's own validator, that of the Open XML SDK, on Linux: no Office, no dotnet.

    python scripts/checks/open_xml_sdk.py WORKBOOK ...

Prints, for each workbook, how many errors the SDK finds for Office 2013 and for Microsoft 365, and each error: part,
path, description. Ends with status 1 if there are any. For other scripts and the tests: `validate`.

Where it comes from: the SDK's assemblies (MIT licence) and a .NET runtime (MIT) lie in an archive in PyPI's package
`python-redlines-docxodus`, which is built for something else; `pythonnet` runs them. The archive is unpacked once, into
the user's cache folder (90 MB), as a folder that .NET's host takes for an installed runtime. .NET brings signal
handlers and threads of its own, so `validate` runs it in a process of its own, one for all workbooks.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

PACKAGE = "python-redlines-docxodus"
OFFICES = ("Office2013", "Microsoft365")  # members of the SDK's FileFormatVersions
ASSEMBLIES = ("System.IO.Packaging.dll", "DocumentFormat.OpenXml.Framework.dll", "DocumentFormat.OpenXml.dll")
RUNTIME = "Microsoft.NETCore.App"


@dataclass(frozen=True)
class Fault:
    """One error of the SDK's; a workbook that it can't even open has one, without a path."""

    part: str
    path: str
    description: str
    offices: tuple[str, ...]  # for which it is one

    def __str__(self) -> str:
        place = " ".join(filter(None, (self.part, self.path)))
        return f"{place and place + ': '}{self.description} ({', '.join(self.offices)})"


def lacking() -> str | None:
    """Why it can't run here, if it can't."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "the packages that bring the Open XML SDK are for Linux on x86-64"
    missing = [name for name in ("pythonnet", "python_redlines_docxodus") if importlib.util.find_spec(name) is None]
    return f"{' and '.join(missing)} not installed: pip install -e '.[sdk]'" if missing else None


def validate(workbooks: Sequence[str | os.PathLike[str]], timeout: float = 600) -> list[list[Fault]]:
    """The faults of each workbook."""
    command = [sys.executable, __file__, "--json", *(os.fspath(workbook) for workbook in workbooks)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    try:
        lines = [json.loads(line) for line in done.stdout.splitlines()]
    except ValueError:
        lines = []
    if len(lines) != len(workbooks):
        raise RuntimeError(f"The Open XML SDK ended with status {done.returncode}: {done.stderr.strip()}")
    return [[Fault(part, path, said, tuple(offices)) for part, path, said, offices in faults] for faults in lines]


def install(cache: Path) -> Path:
    """The runtime and the SDK, unpacked in the folder `cache`; whole or not at all, whoever else does it just now."""
    home = cache / f"open-xml-sdk-{importlib.metadata.version(PACKAGE)}"
    if home.is_dir():
        return home
    cache.mkdir(parents=True, exist_ok=True)
    found = importlib.util.find_spec("python_redlines_docxodus")
    assert found is not None
    assert found.origin is not None
    packed = Path(found.origin).parent / "_binaries" / "linux-x64.tar.gz"
    with tempfile.TemporaryDirectory(dir=cache) as scratch, tarfile.open(packed, "r|gz") as archive:
        _lay_out(archive, Path(scratch, "home"))
        try:
            Path(scratch, "home").rename(home)
        except OSError:
            if not home.is_dir():
                raise
    return home


def _lay_out(archive: tarfile.TarFile, home: Path) -> None:
    """The folders and the two lists that .NET's host looks for."""
    # in their own order: a compressed archive can't be read backwards
    content = {Path(m.name).name: file.read() for m in archive if (file := archive.extractfile(m)) is not None}
    listed = json.loads(content["redline.deps.json"])
    target = listed["runtimeTarget"]["name"]  # .NETCoreApp,Version=v10.0/linux-x64
    key, files = next((k, v) for k, v in listed["targets"][target].items() if k.startswith("runtimepack." + RUNTIME))
    version, pack = key.rpartition("/")[2], key.removeprefix("runtimepack.")
    shared, host, sdk = home / "shared" / RUNTIME / version, home / "host" / "fxr" / version, home / "sdk"
    for folder, names in (
        (shared, [*files["runtime"], *files["native"]]),
        (host, ["libhostfxr.so"]),
        (sdk, ASSEMBLIES),
    ):
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_bytes(content[name])
    deps = {
        "runtimeTarget": {"name": target, "signature": ""},
        "compilationOptions": {},
        "targets": {target.partition("/")[0]: {}, target: {pack: files}},
        "libraries": {pack: {"type": "package", "serviceable": True, "sha512": ""}},
    }
    (shared / f"{RUNTIME}.deps.json").write_text(json.dumps(deps))
    options = {
        "tfm": "net" + ".".join(version.split(".")[:2]),
        "framework": {"name": RUNTIME, "version": version},
        "configProperties": {"System.Globalization.Invariant": True},  # else it needs libicu
    }
    (home / "runtimeconfig.json").write_text(json.dumps({"runtimeOptions": options}))


def start() -> None:
    """Brings .NET and the SDK into this process, once and for good."""
    import clr_loader
    import pythonnet

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "sheetgpt")
    home = install(cache)
    runtime = clr_loader.get_coreclr(runtime_config=str(home / "runtimeconfig.json"), dotnet_root=str(home))
    pythonnet.set_runtime(runtime)
    import clr

    for name in ASSEMBLIES:
        clr.AddReference(str(home / "sdk" / name))


def faults_of(workbook: str) -> list[Fault]:
    """What the SDK says in this process, after `start`."""
    from DocumentFormat.OpenXml import FileFormatVersions
    from DocumentFormat.OpenXml.Packaging import SpreadsheetDocument
    from DocumentFormat.OpenXml.Validation import OpenXmlValidator

    found: dict[tuple[str, str, str], list[str]] = {}
    try:
        document = SpreadsheetDocument.Open(workbook, False)
    except Exception as error:  # whatever .NET throws at a damaged package
        return [Fault("", "", _said("can't be opened", error), OFFICES)]
    try:
        for office in OFFICES:
            try:
                for fault in OpenXmlValidator(getattr(FileFormatVersions, office)).Validate(document):
                    found.setdefault(_place(fault), []).append(office)
            except Exception as error:  # a part that is not XML
                found.setdefault(("", "", _said("can't be validated", error)), []).append(office)
    finally:
        document.Dispose()
    return [Fault(*place, tuple(offices)) for place, offices in found.items()]


def _place(fault: Any) -> tuple[str, str, str]:
    part = fault.Part.Uri.ToString() if fault.Part is not None else ""
    return part, (fault.Path.XPath if fault.Path is not None else ""), " ".join(fault.Description.split())


def _said(what: str, error: Exception) -> str:
    return f"{what}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"


def report(workbook: str, faults: Sequence[Fault]) -> Iterator[str]:
    counts = [f"{sum(office in fault.offices for fault in faults)} for {office}" for office in OFFICES]
    yield f"{workbook}: {len(faults)} errors ({', '.join(counts)})"
    yield from (f"  {fault}" for fault in faults)


def main() -> None:
    parser = argparse.ArgumentParser(description="Validates workbooks by Microsoft's Open XML SDK.")
    parser.add_argument("workbooks", nargs="+", metavar="WORKBOOK")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each workbook instead")
    options = parser.parse_args()
    if reason := lacking():
        sys.exit(f"The Open XML SDK can't run here: {reason}.")
    start()
    n_faults = 0
    for workbook in options.workbooks:
        faults = faults_of(workbook)
        n_faults += len(faults)
        lines = [json.dumps([astuple(f) for f in faults])] if options.json else report(workbook, faults)
        print(*lines, sep="\n", flush=True)
    sys.exit(1 if n_faults else 0)


if __name__ == "__main__":
    main()
