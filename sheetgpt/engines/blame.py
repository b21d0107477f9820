"""What to say when LibreOffice, or the program that drives it, has ended: what was seen, then what that points to."""

import os
import re
import shutil
from pathlib import Path

LEAST = 4 << 20  # bytes: a fresh profile takes half a megabyte, LibreOffice's scratch files and our numbers the rest
KILLED = (-9, 137)  # exit statuses after SIGKILL, a process's and its shell's
OUT_OF_MEMORY = re.compile("bad_alloc|MemoryError|[Oo]ut of memory|Cannot allocate memory")
NOISE = re.compile(r"failed to launch javaldx|\[0x[0-9a-f]+\]$|^Stack:$|no Python frame")


def stopped(who: str, doing: str, code: int | None, log: Path) -> str:
    """`who` ended while it was `doing` something, with this exit status and these last words in its log."""
    said = last_words(log)
    seen = f"exit status {code}" if code is not None else "it broke off the connection"
    words = f"{who} stopped {doing} ({seen}{f'; it said: {said}' if said else ''})"
    if code in KILLED or OUT_OF_MEMORY.search(said):
        return (
            f"{words}: most often the machine ran out of memory (a formula takes some 1.6 KB, a weight 15 bytes: GPT-2"
            " small with 16 columns 8 GB), so close other programs or build the workbook with a smaller context."
        )
    return f"{words}."


def last_words(log: Path) -> str:
    """The line of the log that says most: the one that calls itself fatal, else the last that is no trace."""
    try:
        text = log.read_bytes()[-20_000:].decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not NOISE.search(line.strip())]
    fatal = [line for line in lines if line.lower().startswith(("fatal", "terminate called"))]
    line = (fatal or lines or [""])[-1]
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
    return (shown[:200] + ("…" if len(shown) > 200 else "")).rstrip(".")


def no_room(folder: Path) -> str | None:
    """The sentence for a temporary folder that is full, or as good as full."""
    try:
        free = shutil.disk_usage(folder).free
        inodes = os.statvfs(folder) if hasattr(os, "statvfs") else None
    except OSError:
        return None
    no_more_files = inodes is not None and inodes.f_files > 0 and inodes.f_favail == 0
    if free >= LEAST and not no_more_files:
        return None
    left = "no further file" if no_more_files else f"only {free / 1e6:.1f} MB"
    return (
        f"There is room for {left} in the temporary folder {folder.parent}, and LibreOffice needs more: make room"
        " there, or set TMPDIR to another folder."
    )
