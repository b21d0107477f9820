"""The processes behind the LibreOffice engine: a worker under LibreOffice's own Python, and the LibreOffice it drives.

Both live in one process group and one temporary folder, with a throw-away profile that fetches nothing (`closed.py`),
and are killed with all their children whatever happens. An `Office` is one such pair; `lent` gives a new one for each
workbook, or, inside `resident`, the same one to one workbook after the other.
"""

import contextlib
import functools
import glob
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sheetgpt import system
from sheetgpt.engines import blame, surroundings
from sheetgpt.engines.closed import write_profile
from sheetgpt.errors import SheetGPTError
from sheetgpt.ooxml.writing import unfinished

INSTALL = (
    "install it (Debian, Ubuntu: sudo apt install libreoffice-calc python3-uno; Fedora: sudo dnf install"
    " libreoffice-calc libreoffice-pyuno; macOS: brew install --cask libreoffice; Windows: winget install"
    " TheDocumentFoundation.LibreOffice)"
)
LINUX = (
    "/usr/lib/libreoffice/program/soffice",
    "/usr/lib64/libreoffice/program/soffice",
    "/opt/libreoffice*/program/soffice",
)
MACOS = tuple(f"{home}/Applications/LibreOffice*.app/Contents/MacOS/soffice" for home in ("", "~"))
WINDOWS = tuple(
    f"%{folder}%/LibreOffice*/program/soffice.exe" for folder in ("ProgramW6432", "ProgramFiles", "ProgramFiles(x86)")
)
SNAP = "snap"  # what a snap's commands are links to; each snap has a /tmp, and so pipes and profiles, of its own
NAMED = "SHEETGPT_SOFFICE"  # an environment variable
WORKER = Path(__file__).with_name("_uno_worker.py")
JOBS = 200  # a resident LibreOffice that has opened so many workbooks makes room for a fresh one
LARGE = 1 << 30  # bytes, or one that has kept so much memory after the last one was closed


class Office:
    """A worker and its LibreOffice, which starts with the first job."""

    def __init__(self, shared: bool = False) -> None:
        self.shared = shared
        self.soffice = find_soffice()
        python = find_python(self.soffice)
        self._place = contextlib.ExitStack()
        self.folder = self._place.enter_context(unfinished.temporary())
        self.jobs = 0
        self.fit = True  # for another job
        profile, pipe = (self.folder / "profile").as_uri(), f"sheetgpt{secrets.token_hex(8)}"
        self.sockets = sockets(pipe, profile)
        setup: dict[str, Any] = {
            "soffice": str(self.soffice),
            "pipe": pipe,
            "profile": profile,
            "sockets": self.sockets,
            "shared": shared,
            "environment": surroundings.variables(),
        }
        try:
            if (tight := blame.no_room(self.folder)) is not None:
                raise SheetGPTError(tight)
            with unfinished.said_of_room():
                write_profile(self.folder / "profile")
                (self.folder / "setup.json").write_text(json.dumps(setup), "utf-8")
                log = (self.folder / "log").open("wb")
            with log:
                self.worker = subprocess.Popen(
                    [str(python), "-B", str(WORKER), str(self.folder)],
                    stdin=subprocess.PIPE,  # brings the jobs; the worker ends itself when this closes
                    stdout=log,
                    stderr=log,
                    env=setup["environment"],
                    **system.APART,
                )
        except OSError as error:
            self._place.close()
            raise SheetGPTError(f"{python}, which drives LibreOffice, can't be started: {error.strerror}.") from error
        except BaseException:
            self._place.close()
            raise

    @contextlib.contextmanager
    def work(
        self, job: dict[str, Any], workbook: str, timeout: float, tell: Callable[[Path], None]
    ) -> Iterator[tuple[Path, dict[str, Any]]]:
        """The worker's answer, and the folder with the numbers that belong to it, until the block ends.

        `tell` looks into that folder every now and then. Whatever keeps the answer away leaves the office unfit.
        """
        self.fit = False
        folder = self.folder / f"job{self.jobs}"
        self.jobs += 1
        with unfinished.said_of_room():
            folder.mkdir()
            (folder / "job.json").write_text(json.dumps(job), "utf-8")
        self._send(folder.name)
        file = self._await(folder / "answer.json", workbook, timeout, lambda: tell(folder))
        answer: dict[str, Any] = json.loads(file.read_text("utf-8"))
        if "stopped" in answer:
            doing, log = f"while {answer['doing']} {workbook}", self.folder / "office.log"
            answer["error"] = blame.stopped("LibreOffice", doing, answer["stopped"], log)
        if "error" in answer and not answer["refused"]:
            answer["error"] = blame.no_room(self.folder) or answer["error"]
        self.fit = answer["fit"] and answer["bytes"] < LARGE and self.jobs < JOBS
        try:
            yield folder, answer
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _await(self, answer: Path, workbook: str, timeout: float, tell: Callable[[], None]) -> Path:
        end, pause = time.monotonic() + timeout, 0.001
        while not answer.exists():
            if self.worker.poll() is not None and not answer.exists():
                raise SheetGPTError(self._stopped(workbook))
            if time.monotonic() > end:
                raise SheetGPTError(
                    f"LibreOffice had not finished with {workbook} after {timeout:g} seconds and was stopped:"
                    " raise the limit (--engine-timeout, or timeout in Python; in seconds)."
                )
            tell()
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
        return answer

    def _stopped(self, workbook: str) -> str:
        doing = f"before it had finished with {workbook}"
        who, code = "The program that drives LibreOffice", self.worker.returncode
        return blame.no_room(self.folder) or blame.stopped(who, doing, code, self.folder / "log")

    def _send(self, line: str) -> None:
        if self.worker.stdin:
            with contextlib.suppress(OSError):  # the worker is gone, which shows soon enough
                self.worker.stdin.write(f"{line}\n".encode())
                self.worker.stdin.flush()

    def end(self) -> None:
        """Leaves nothing behind. A LibreOffice in good order is asked to go first, but not waited for long."""
        try:
            if self.fit:
                self._send("")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.worker.wait(6)
        finally:
            self._kill()
            for path in self.sockets:
                Path(path).unlink(missing_ok=True)
            self._place.close()

    def _kill(self) -> None:
        system.end_with_children(self.worker)
        self.worker.wait()
        if self.worker.stdin:
            with contextlib.suppress(OSError):
                self.worker.stdin.close()


class _Keeper:
    """Keeps one office between jobs, and replaces it when it is not fit for another."""

    def __init__(self) -> None:
        self.busy = threading.Lock()
        self.office: Office | None = None

    def ready(self) -> Office:
        office = self.office
        if office and office.fit and office.worker.poll() is None and office.soffice == find_soffice():
            return office
        self.dismiss()
        self.office = Office(shared=True)
        return self.office

    def dismiss(self) -> None:
        office, self.office = self.office, None
        if office:
            office.end()


_keeper: _Keeper | None = None


@contextlib.contextmanager
def resident() -> Iterator[None]:
    """Inside this block one LibreOffice opens workbook after workbook, where otherwise each starts its own.

    A fresh one takes its place when it crashes, runs out of time, names another program or has grown too large, and for
    a call made while it is busy with another thread's. It has the environment variables of the moment it was started.
    """
    global _keeper
    before, keeper = _keeper, _Keeper()
    _keeper = keeper
    try:
        yield
    finally:
        _keeper = before
        with keeper.busy:
            keeper.dismiss()


@contextlib.contextmanager
def lent(alone: bool = False) -> Iterator[Office]:
    """An office for one job: the resident one where there is one and it is idle, else, or `alone`, a new one."""
    keeper = _keeper
    if alone or keeper is None or not keeper.busy.acquire(blocking=False):
        office = Office()
        try:
            yield office
        finally:
            office.end()
        return
    try:
        office = keeper.ready()
        try:
            yield office
        finally:
            if not office.fit:
                keeper.dismiss()
    finally:
        keeper.busy.release()


def sockets(pipe: str, profile: str) -> list[str]:
    """What a killed LibreOffice leaves behind: our pipe, and its own, named after the profile."""
    if sys.platform == "win32":
        return []  # no files there
    digest = hashlib.md5(profile.encode("utf-16-le"), usedforsecurity=False).digest()
    names = (pipe, "SingleOfficeIPC_" + "".join(f"{byte:x}" for byte in digest))
    return [f"/tmp/OSL_PIPE_{os.getuid()}_{name}" for name in names]


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
    names = (shutil.which(name) for name in ("soffice", "libreoffice"))
    on_path = [place for found in names if found and (place := Path(found).resolve()).name != SNAP]
    # On macOS, Homebrew's is a script without LibreOffice's own Python beside it.
    usual = _in_usual_places()
    for candidate in [*usual, *on_path] if sys.platform == "darwin" else [*on_path, *usual]:
        return candidate
    raise SheetGPTError(
        "LibreOffice is not on this computer, or only as a snap or Flatpak, which no other program can drive:"
        f" {INSTALL}, or use another engine."
    )


def _in_usual_places() -> list[Path]:
    """Those that are there, of several the newest first."""
    places = {"darwin": MACOS, "win32": WINDOWS}.get(sys.platform, LINUX)
    patterns = [os.path.expanduser(_expanded(place)) for place in places]
    return [Path(found) for pattern in patterns for found in sorted(glob.glob(pattern), reverse=True)]


def _expanded(place: str) -> str:
    """With the environment's folders, as Windows writes them."""
    return re.sub("%(.+?)%", lambda name: os.environ.get(name[1], "C:/Program Files"), place)


@functools.cache
def find_python(soffice: Path) -> Path:
    """A Python that can import uno: LibreOffice's own, else the system's."""
    names = ("python.exe", "python", "python3", "../Resources/python")
    folders = [soffice.parent, *(place.parent for place in _in_usual_places())]
    candidates = [folder / name for folder in folders for name in names if (folder / name).is_file()]
    candidates += [Path("/usr/bin/python3"), Path(shutil.which("python3") or sys.executable), Path(sys.executable)]
    probe = ["-B", "-c", "import uno"]
    settings: dict[str, Any] = {"capture_output": True, "env": surroundings.variables(), "timeout": 60, **system.APART}
    for candidate in candidates:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            # Python would import a uno.py from the folder that it is started in
            if not subprocess.run([str(candidate), *probe], check=False, cwd=soffice.parent, **settings).returncode:
                return candidate
    raise SheetGPTError(f"LibreOffice is here ({soffice}), but there is no Python with its uno module: {INSTALL}.")
