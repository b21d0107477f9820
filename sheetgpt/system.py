"""What Windows does otherwise than Linux and macOS, each thing once: mypy is run for all three.

Windows: no process groups, no `fork`, no locks by `flock`, no limits on memory. But a file that is open there can be
neither deleted nor replaced, which does for locks; and some names are no files.
"""

import contextlib
import mmap
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

LONGEST_PATH = 259  # characters, where the computer's owner hasn't allowed longer ones
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\0-\x1f]')
_DEVICE = re.compile(r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³]) *(\..*)?", re.IGNORECASE | re.DOTALL)

if sys.platform == "win32":
    # a console of its own, which nobody sees: Ctrl-C in ours would end it before its parent
    APART: dict[str, Any] = {"creationflags": subprocess.CREATE_NO_WINDOW}

    def end_with_children(process: "subprocess.Popen[bytes]") -> None:
        """Ends a process that was started `APART`, and all that it has started."""
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], check=False, capture_output=True, **APART)

    def memory_limit() -> int | None:
        """The bytes of address space that every process started from this one is held to (ulimit -v), if to any."""
        return None

    def give_back(mapping: mmap.mmap, first: int, n_bytes: int) -> None:
        """Lets the system have these pages of a mapped file back, until they are looked at again."""

    def hold(lock: int) -> None:
        """Locks an open file, until the last process that has it open has ended."""

    @contextlib.contextmanager
    def unheld(lock: Path) -> Iterator[None]:
        """Inside, nobody else holds this lock. OSError: somebody does, or nobody can know."""
        lock.unlink(missing_ok=True)  # refused while it is open
        yield

    def in_use(path: Path) -> bool:
        """Whether another program has the file open and so keeps it from being replaced."""
        try:
            with path.open("r+b"):
                return False
        except PermissionError:
            return os.access(path, os.W_OK)  # else it is read-only, which is another matter

else:
    import fcntl
    import resource
    import signal

    APART: dict[str, Any] = {"start_new_session": True}

    def end_with_children(process: "subprocess.Popen[bytes]") -> None:
        """Ends a process that was started `APART`, and all that it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)

    def memory_limit() -> int | None:
        """The bytes of address space that every process started from this one is held to (ulimit -v), if to any."""
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        return None if limit == resource.RLIM_INFINITY else limit

    def give_back(mapping: mmap.mmap, first: int, n_bytes: int) -> None:
        """Lets the system have these pages of a mapped file back, until they are looked at again."""
        mapping.madvise(mmap.MADV_DONTNEED, first, n_bytes)

    def hold(lock: int) -> None:
        """Locks an open file, until the last process that has it open has ended."""
        with contextlib.suppress(OSError):  # a file system without locks: nobody will know when its holder is dead
            fcntl.flock(lock, fcntl.LOCK_EX)

    @contextlib.contextmanager
    def unheld(lock: Path) -> Iterator[None]:
        """Inside, nobody else holds this lock. OSError: somebody does, or nobody can know."""
        file = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        finally:
            os.close(file)

    def in_use(path: Path) -> bool:
        """Whether another program has the file open and so keeps it from being replaced."""
        return False


def no_file_of_windows(path: str) -> str:
    """Why Windows would make no file of that name, or another one; nothing where it would."""
    windows = PureWindowsPath(path)
    for part in windows.parts[bool(windows.anchor) :]:
        if found := _FORBIDDEN.search(part):
            return f"no name on Windows may have {found[0]!r} in it"
        if _DEVICE.fullmatch(part):
            return f"{part} is the name of a device on Windows"
        if part.endswith((".", " ")) and part not in (".", ".."):
            return "no name on Windows ends with a dot or a blank"
    return ""


def portable(name: str) -> str:
    """A file's name, less what Windows doesn't take: whoever gets the file may work there."""
    plain = _FORBIDDEN.sub("_", name).rstrip(". ")
    return f"_{plain}" if _DEVICE.fullmatch(plain) or not plain else plain


def refusal(error: OSError, target: Path) -> str:
    """What the system says against writing a file: in words that help, where its own don't."""
    if sys.platform == "win32":
        if isinstance(error, PermissionError) and target.exists() and os.access(target, os.W_OK):
            return "another program has it open, perhaps Excel: close it there"
        if isinstance(error, FileNotFoundError) and len(os.path.abspath(target)) > LONGEST_PATH - 30:
            return f"its path is long, and Windows may take only {LONGEST_PATH} characters: write it to another folder"
    return error.strerror or str(error)
