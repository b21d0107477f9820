"""Files on their way to their names: written in a hidden folder beside the target, and renamed once they are whole.

The folder's name is unique, so that nobody else's file is touched. Whoever writes in it holds a lock on a file in
there, which the system takes away with the last process that has it open, whatever ends it. A folder without such a
lock was left by a dead process, and the next one that writes beside it clears it away.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sheetgpt import system
from sheetgpt.errors import SheetGPTError

PREFIX, LOCK = ".sheetgpt-", "lock"


@contextlib.contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """A new folder beside the target, gone when the block ends; those that the dead left there go now."""
    with _folder_in(target.parent) as folder:
        yield folder


@contextlib.contextmanager
def _folder_in(parent: Path) -> Iterator[Path]:
    clear(parent)
    folder, lock = _new(parent)
    try:
        yield folder
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def whole(target: Path) -> Iterator[Path]:
    """A path to write to, which becomes the target if the block ends well."""
    with folder_beside(target) as folder:
        yield folder / "whole"
        os.replace(folder / "whole", target)


@contextlib.contextmanager
def temporary() -> Iterator[Path]:
    """The same in the system's temporary folder."""
    with contextlib.ExitStack() as place:
        try:
            folder = place.enter_context(_folder_in(Path(tempfile.gettempdir())))
        except OSError as error:
            raise SheetGPTError(no_room(error)) from error
        yield folder


@contextlib.contextmanager
def said_of_room() -> Iterator[None]:
    """Inside, only the temporary folder is written to: an OSError is one of its own."""
    try:
        yield
    except OSError as error:
        raise SheetGPTError(no_room(error)) from error


def no_room(error: OSError) -> str:
    """The sentence for a temporary folder that takes nothing, or for none at all."""
    try:
        place = tempfile.gettempdir()
    except OSError:
        return f"There is no temporary folder that can be written to ({error.strerror or error}): set TMPDIR to one."
    return (
        f"Nothing can be written to the temporary folder {place} ({error.strerror or error}): make room there, or set"
        " TMPDIR to another folder."
    )


def clear(parent: Path) -> None:
    """Takes away what dead processes left in a folder."""
    with contextlib.suppress(OSError):
        for folder in parent.glob(f"{PREFIX}*"):
            with contextlib.suppress(OSError):
                _clear_if_dead(folder)


def _new(parent: Path) -> tuple[Path, int]:
    """A folder, and its lock. Another process may clear it before it is locked: then the next is tried."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
            system.hold(lock)
            if os.fstat(lock).st_nlink:
                return folder, lock
            os.close(lock)


def _clear_if_dead(folder: Path) -> None:
    """Raises OSError where somebody holds the lock, or where there are no locks.

    The lock is held until all is gone: whoever has just made the folder and is about to lock it waits, and then finds
    that it is gone (`_new`).
    """
    with system.unheld(folder / LOCK):
        shutil.rmtree(folder, ignore_errors=True)
