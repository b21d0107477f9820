"""Where a result may be written: found out before the work that leads to it."""

import os
import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from sheetgpt import system
from sheetgpt.errors import SheetGPTError

LONGEST = 255  # bytes of a name, on every file system in use


def check(target: Path, option: str, keep: Mapping[str, Iterable[object]], makes_folders: bool) -> None:
    """Refuses a target that is no file, or one of those that `keep` names by what they are, or where none can be.

    `makes_folders`: those that lead there needn't be there yet.
    """
    name = f"give {option} another name"
    if sys.platform == "win32" and (problem := system.no_file_of_windows(str(target))):
        raise SheetGPTError(f"{target} can't be written: {problem}, so {name}.")
    try:
        found = _status(target)
    except (OSError, ValueError) as error:  # a name too long, a NUL, a folder that may not be entered
        reason = error.strerror if isinstance(error, OSError) else error
        raise SheetGPTError(f"{target} can't be written ({reason}): {name}.") from None
    if target.name in ("", "..") or (found is not None and stat.S_ISDIR(found.st_mode)):
        raise SheetGPTError(f"{target} is a folder: give {option} the name of a file.")
    if found is not None and not stat.S_ISREG(found.st_mode):
        raise SheetGPTError(f"{target} is {_kind(found.st_mode)}, not a file: {name}.")
    for what, files in keep.items():
        if found is not None and any(_same(found, str(file)) for file in files):
            raise SheetGPTError(f"{target} is {what}, which would be lost: {name}.")
    if found is not None and system.in_use(target):
        raise SheetGPTError(f"{target} can't be written: another program has it open, perhaps Excel: close it there.")
    try:
        parent = Path(os.path.abspath(target)).parent
    except OSError:
        raise SheetGPTError(f"{target} can't be written: the current folder is gone.") from None
    while makes_folders and not os.path.lexists(parent) and parent != parent.parent:
        parent = parent.parent
    if not parent.is_dir():
        problem = f"{parent} is not a folder" if os.path.lexists(parent) else f"the folder {parent} is not there"
        raise SheetGPTError(f"{target} can't be written: {problem}.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise SheetGPTError(f"{target} can't be written: nothing may be put into the folder {parent}.")


def _status(target: Path) -> os.stat_result | None:
    """Of what is there now, at the end of links."""
    try:
        return target.stat()
    except (FileNotFoundError, NotADirectoryError):
        if any(len(os.fsencode(part)) > LONGEST for part in target.parts):
            raise ValueError(f"a name in it has more than {LONGEST} bytes") from None
        return None


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"), (stat.S_ISFIFO, "a pipe"))
    return next((words for test, words in kinds if test(mode)), "a socket")


def _same(found: os.stat_result, file: str) -> bool:
    try:
        return os.path.samestat(found, os.stat(file))
    except (OSError, ValueError):
        return False
