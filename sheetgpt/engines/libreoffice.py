"""The LibreOffice engine: recalculates a workbook in a headless LibreOffice of its own and reads it back.

The `uno` module belongs to the system's or LibreOffice's own Python, so _uno_worker.py runs there as a subprocess and
plain files in a temporary folder go to and fro. Each session has a throw-away profile with default settings, and is
killed with all its children whatever happens.
"""

import contextlib
import functools
import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sheetgpt.engines import Cells, Inputs, Step, plain, require_workbook
from sheetgpt.engines._uno_worker import CANT_LOAD
from sheetgpt.errors import SheetGPTError
from sheetgpt.ooxml.area import Area

INSTALL = (
    "install it (Debian, Ubuntu: sudo apt install libreoffice-calc python3-uno; Fedora: sudo dnf install"
    " libreoffice-calc libreoffice-pyuno; macOS: brew install --cask libreoffice; Windows: winget install"
    " TheDocumentFoundation.LibreOffice)"
)
USUAL_PLACES = (
    "/usr/lib/libreoffice/program/soffice",
    "/usr/lib64/libreoffice/program/soffice",
    "/opt/libreoffice*/program/soffice",
    "/Applications/LibreOffice.app/Contents/MacOS/soffice",
    "C:/Program Files/LibreOffice/program/soffice.exe",
    "C:/Program Files (x86)/LibreOffice/program/soffice.exe",
)
LARGEST = 1 << 31  # bytes of a file: 7.4 opens one of 2.10 GB, and calls one of 2.20 GB damaged
TOO_LARGE = (
    "LibreOffice 7.4 reads no file of 2 GiB or more: build with --weights int8, fewer --digits or less --context"
)
NAMED = "SHEETGPT_SOFFICE"  # an environment variable
WORKER = Path(__file__).with_name("_uno_worker.py")


@dataclass(frozen=True)
class Session:
    """What a workbook answered, a dict a step, and what it cost."""

    results: list[dict[str, Cells | None]]
    load_seconds: float
    step_seconds: list[float]  # edits and recalculation, without the reading
    peak_bytes: int | None  # LibreOffice's peak memory, where the system tells


def run(workbook: Path, steps: Sequence[Step], *, timeout: float = 600) -> list[dict[str, Cells | None]]:
    """One process, one load, then each step; None stands for a name or sheet that is not there."""
    return session(workbook, steps, timeout=timeout).results


def recalculate(
    workbook: Path, inputs: Inputs, read: Sequence[str], *, timeout: float = 600
) -> dict[str, Cells | None]:
    """Puts the inputs in, recalculates every formula, reads."""
    return run(workbook, [Step(inputs, read)], timeout=timeout)[0]


def session(
    workbook: Path,
    steps: Sequence[Step],
    *,
    timeout: float = 600,
    after: Callable[[dict[str, Cells | None]], None] | None = None,
) -> Session:
    """Like `run`, with seconds and bytes. `after` gets each step's answer as soon as it is there."""
    return _converse(Path(workbook), steps, None, timeout, after)


def export_pdf(
    workbook: Path,
    pdf: Path,
    sheets: Sequence[str] | None = None,
    inputs: Inputs | None = None,
    *,
    timeout: float = 600,
) -> None:
    """The workbook's pages, or those of some sheets (`Home`) or ranges (`Home!A1:P40`), recalculated, as a PDF."""
    target = {"url": Path(pdf).absolute().as_uri(), "sheets": list(sheets or ())}
    _converse(Path(workbook), [Step(inputs or {}, ())], target, timeout)


def _converse(
    workbook: Path,
    steps: Sequence[Step],
    pdf: dict[str, Any] | None,
    timeout: float,
    after: Callable[[dict[str, Cells | None]], None] | None = None,
) -> Session:
    require_workbook(workbook)
    job = {
        "workbook": workbook.absolute().as_uri(),
        "steps": [
            {
                "set": [_target(key) | {"values": plain(key, value)} for key, value in step.set.items()],
                "read": [_target(key) for key in step.read],
                "hard": step.hard,
            }
            for step in steps
        ],
        "pdf": pdf,
        "stream": after is not None,
    }
    told = 0

    def tell(folder: Path) -> None:
        nonlocal told
        while after is not None and (answer := folder / f"{told}.json").exists():
            found = zip(steps[told].read, enumerate(json.loads(answer.read_text("utf-8"))), strict=True)
            after({key: _cells(folder / f"{told}-{j}.f64", cells) for key, (j, cells) in found})
            told += 1

    with _folder() as folder:
        answer = _work(job, folder, workbook, timeout, tell)
        tell(folder)
        if "error" in answer:
            raise SheetGPTError(_explained(answer["error"], workbook))
        results = [
            {key: _cells(folder / f"{i}-{j}.f64", answer["steps"][i][j]) for j, key in enumerate(step.read)}
            for i, step in enumerate(steps)
        ]
    return Session(results, answer["load_seconds"], answer["step_seconds"], answer["peak_bytes"])


def _explained(error: str, workbook: Path) -> str:
    """The worker's sentence with the workbook's name; a file too large for LibreOffice is not damaged."""
    size = workbook.stat().st_size
    if error == CANT_LOAD and size >= LARGEST:
        return f"{workbook.name} has {size / 1e9:.1f} GB, and {TOO_LARGE}."
    return error.replace("{workbook}", workbook.name)


def _target(key: str) -> dict[str, Any]:
    """A defined name holds no "!", a range always does."""
    if "!" not in key:
        return {"key": key, "name": key}
    found = Area.parse(key)
    if found is None:
        raise SheetGPTError(f"{key} is not a range of cells: write it like Home!B7 or Home!B7:K7.")
    first = found.row - 1, found.column - 1  # UNO counts from 0
    return {"key": key, "rectangle": (found.sheet, *first, found.n_rows, found.n_columns)}


def _cells(numbers: Path, answer: dict[str, Any] | None) -> Cells | None:
    if answer is None:
        return None
    values = np.fromfile(numbers, dtype="<f8").astype(np.float64).reshape(answer["rows"], answer["columns"])
    return Cells(values, {(row, column): text for row, column, text in answer["texts"]})


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="sheetgpt-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _work(
    job: dict[str, Any], folder: Path, workbook: Path, timeout: float, tell: Callable[[Path], None]
) -> dict[str, Any]:
    """Runs the worker in a process group of its own, and leaves nothing of it behind."""
    soffice = find_soffice()
    profile = (folder / "profile").as_uri()
    pipe = f"sheetgpt{secrets.token_hex(8)}"
    job |= {"soffice": str(soffice), "pipe": pipe, "profile": profile, "sockets": _sockets(pipe, profile)}
    (folder / "job.json").write_text(json.dumps(job), "utf-8")
    with (folder / "log").open("wb") as log:
        worker = subprocess.Popen(
            [str(find_python(soffice)), "-B", str(WORKER), str(folder)],
            stdin=subprocess.PIPE,  # the worker ends itself when this closes
            stdout=log,
            stderr=log,
            env=_environment(),
            start_new_session=True,
        )
        try:
            if job["stream"]:
                timeout = _follow(worker, timeout, lambda: tell(folder))
            worker.wait(timeout)
        except subprocess.TimeoutExpired:
            if not (folder / "answer.json").exists():  # else it is only slow to leave
                raise SheetGPTError(
                    f"LibreOffice had not finished with {workbook.name} after {timeout:g} seconds and was stopped:"
                    " raise the limit (--engine-timeout, or timeout in Python; in seconds)."
                ) from None
        finally:
            _end(worker)
            for path in job["sockets"]:
                Path(path).unlink(missing_ok=True)
    if (folder / "answer.json").exists():
        answer: dict[str, Any] = json.loads((folder / "answer.json").read_text("utf-8"))
        return answer
    said = (folder / "log").read_text("utf-8", "replace").strip().splitlines()[-1:]
    raise SheetGPTError(
        f"The program that drives LibreOffice stopped before it had finished with {workbook.name} (exit status"
        f" {worker.returncode}{', ' + said[0] if said else ''}). If memory ran out, close other programs and try again."
    )


def _follow(worker: "subprocess.Popen[bytes]", timeout: float, tell: Callable[[], None]) -> float:
    """Looks for answers until the worker ends or its time does; gives the seconds that it then has left."""
    end = time.monotonic() + timeout
    while worker.poll() is None and time.monotonic() < end:
        tell()
        time.sleep(0.05)
    return max(end - time.monotonic(), 0)


def _end(worker: "subprocess.Popen[bytes]") -> None:
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(worker.pid, signal.SIGKILL)
    else:
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(worker.pid)], check=False, capture_output=True)
    worker.wait()
    if worker.stdin:
        worker.stdin.close()


def _sockets(pipe: str, profile: str) -> list[str]:
    """What a killed LibreOffice leaves behind: our pipe, and its own, named after the profile."""
    if not hasattr(os, "getuid"):
        return []
    digest = hashlib.md5(profile.encode("utf-16-le"), usedforsecurity=False).digest()
    names = (pipe, "SingleOfficeIPC_" + "".join(f"{byte:x}" for byte in digest))
    return [f"/tmp/OSL_PIPE_{os.getuid()}_{name}" for name in names]


def _environment() -> dict[str, str]:
    """This process's, without what would lead another Python to this one's packages."""
    return {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }


def find_soffice() -> Path:
    """The soffice that SHEETGPT_SOFFICE names, a program or its path; else the one on the path, or in a usual place."""
    named = os.environ.get(NAMED)
    return _installed() if not named else _named(named)


def _named(soffice: str) -> Path:
    found = shutil.which(soffice)
    if found is None:
        raise SheetGPTError(
            f"{NAMED} names {soffice}, and there is no such program: set it to the path of LibreOffice's soffice."
        )
    return Path(found).resolve()


@functools.cache
def _installed() -> Path:
    for name in ("soffice", "libreoffice"):
        if found := shutil.which(name):
            return Path(found).resolve()
    for place in map(Path, USUAL_PLACES):
        if place.drive == Path.cwd().drive:
            for candidate in sorted(Path(place.anchor).glob(str(place.relative_to(place.anchor))), reverse=True):
                return candidate
    raise SheetGPTError(f"LibreOffice is not on this computer: {INSTALL}, or use another engine.")


@functools.cache
def find_python(soffice: Path) -> Path:
    """A Python that can import uno: LibreOffice's own, else the system's."""
    names = ("python.exe", "python", "python3", "../Resources/python")
    candidates = [soffice.parent / name for name in names if (soffice.parent / name).is_file()]
    candidates += [Path("/usr/bin/python3"), Path(shutil.which("python3") or sys.executable), Path(sys.executable)]
    for candidate in candidates:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            if not subprocess.run(
                [str(candidate), "-B", "-c", "import uno"], capture_output=True, env=_environment(), timeout=60
            ).returncode:
                return candidate
    raise SheetGPTError(f"LibreOffice is here ({soffice}), but there is no Python with its uno module: {INSTALL}.")
