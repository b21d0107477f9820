"""Which checkpoint lay in which folder when it was built: a table of this computer's, in the user's cache folder.

A file for each fingerprint, so that builds side by side need no lock; in it folders, the last built from first. The
table is a convenience: where it can't be written or read, nothing is remembered, and nobody is told.
"""

import contextlib
import json
import os
import re
import tempfile
from pathlib import Path

import platformdirs

from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, bundled

MOST_FOLDERS = 8  # of one fingerprint
MOST_FILES = 256
MAX_BYTES = 1 << 16
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_UNUSABLE = (OSError, ValueError, RecursionError, TypeError, RuntimeError)  # the last: there is no home folder


def remember(fingerprint: str, checkpoint: Checkpoint) -> None:
    """Notes where the checkpoint lies; not for a bundled one, nor for one that was made in memory."""
    place = place_of(checkpoint)
    if place is None or not _FINGERPRINT.fullmatch(fingerprint):
        return
    places = [place, *(other for other in places_of(fingerprint) if other != place)]
    with contextlib.suppress(*_UNUSABLE):
        folder = table()
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / f"{fingerprint}.json", json.dumps(places[:MOST_FOLDERS]))
        _drop_oldest(folder)


def places_of(fingerprint: str) -> list[str]:
    """Folders, or files of weights, that held this checkpoint once; whatever asks, only a fingerprint is a key."""
    if not _FINGERPRINT.fullmatch(fingerprint):
        return []
    try:
        with (table() / f"{fingerprint}.json").open("rb") as file:
            found = json.loads(file.read(MAX_BYTES))
        places = [place for place in found if isinstance(place, str) and os.path.isabs(place) and "\0" not in place]
    except _UNUSABLE:
        return []
    return list(dict.fromkeys(places))[:MOST_FOLDERS]


def table() -> Path:
    """The folder of the table, wherever this system's users have their caches."""
    return platformdirs.user_cache_path("sheetgpt", appauthor=False) / "checkpoints"


def place_of(checkpoint: Checkpoint) -> str | None:
    """The folder, or the file in it that was named; of a name on the hub, the folder of its commit in the cache."""
    if not checkpoint.files or checkpoint.source in bundled():
        return None
    folder, source = (os.path.abspath(path) for path in (os.path.dirname(checkpoint.files[0]), _given(checkpoint)))
    return source if os.path.isfile(source) and os.path.dirname(source) == folder else folder


def _given(checkpoint: Checkpoint) -> str:
    return os.path.expanduser(checkpoint.source)


def _write(target: Path, text: str) -> None:
    """All of it or nothing: another build may write the same file, and a run read it."""
    handle, name = tempfile.mkstemp(prefix=".", dir=target.parent)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def _drop_oldest(folder: Path) -> None:
    """Keeps the newest files; what a killed build left half-written grows old like the others."""
    with os.scandir(folder) as entries:
        files = sorted((entry.stat().st_mtime_ns, entry.path) for entry in entries if entry.is_file())
    for _, path in files[:-MOST_FILES]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
