"""The checkpoint that a workbook was built from, found again. Nobody knows who wrote the name that the workbook has."""

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, bundled, found_files, load, load_cached
from sheetgpt.gpt2.checkpoints.hub import is_hub_name
from sheetgpt.gpt2.checkpoints.identity import fingerprint
from sheetgpt.workbook.remembered import place_of, places_of
from sheetgpt.workbook.reopen import Workbook, open_workbook

MODELS = "SHEETGPT_MODELS"  # an environment variable: folders, written as in PATH
DEEPEST = 4  # the last parts of a path that are looked for in these folders
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """A checkpoint, and in words why it is not the one that the workbook was built from; empty where it is."""

    checkpoint: Checkpoint
    problem: str = ""


def find_checkpoint(book: Workbook, model: str | os.PathLike[str] | None = None) -> Found:
    """The checkpoint that it was made from: `model`, or what it names, or what this computer remembers.

    What the workbook names is followed where `named` takes it for harmless. Its fingerprint is only a key into this
    computer's own table, and holds for both: a checkpoint with another one is taken only if there is none with it.
    """
    text = book.layout.reads_text
    if model is not None:
        return _compared(book, load(model, quiet=True, needs_text=text))
    other, said = None, []
    for place in named(book):
        try:
            found = _compared(book, _load(place, text))
        except SheetGPTError as error:
            said.append(str(error))
            continue
        if not found.problem:
            return found
        other = other or found
    if other is None and not said:
        said.append(
            f"It is named {book.model!r}, which is not in the workbook's own folder, and a workbook's paths are"
            f" followed only there and in the folders that the variable {MODELS} lists."
        )
    for place in places_of(book.fingerprint):
        try:
            found = _compared(book, _load(Path(place), text))
        except SheetGPTError as error:
            what = f"can't be read: {error}" if os.path.exists(place) else "is gone."
            said.append(f"{place}, which it was built from here, {what}")
            continue
        if not found.problem:
            _log.info("The checkpoint of %s was found by its fingerprint in %s.", book.path.name, place)
            return found
        said.append(found.problem)
    if other is not None:
        return other
    raise SheetGPTError(
        f"The checkpoint that {book.path.name} was built from can't be loaded; name it with --model. ({' '.join(said)})"
    )


def built_from(book: Workbook, model: str | os.PathLike[str] | None = None) -> Checkpoint:
    """The same, and no other."""
    found = find_checkpoint(book, model)
    if found.problem:
        raise SheetGPTError(found.problem)
    return found.checkpoint


def _load(place: str | Path, needs_text: bool) -> Checkpoint:
    """Of a name on the hub what the cache has: nobody is asked."""
    if isinstance(place, str) and is_hub_name(place):
        return load_cached(place, needs_text)
    return load(place, quiet=True, needs_text=needs_text)


def _compared(book: Workbook, checkpoint: Checkpoint) -> Found:
    if fingerprint(checkpoint) == book.fingerprint:
        return Found(checkpoint)
    place = place_of(checkpoint)
    if place in places_of(book.fingerprint):
        return Found(checkpoint, f"{place} holds another checkpoint now than when {book.path.name} was built from it.")
    return Found(checkpoint, f"{checkpoint.name} is not the checkpoint that {book.path.name} was built from.")


def named(book: Workbook) -> Iterator[str | Path]:
    """What the model that its Model sheet names may be: a bundled one's name, paths, a name with the hub's form.

    A path starts at the workbook's folder, or at one that SHEETGPT_MODELS lists, where its last parts will do. It is
    followed only in these folders: anywhere else not even looked for.
    """
    if book.model in bundled():
        yield book.model
        return
    folder = os.path.abspath(book.path.parent)
    allowed = (os.path.expanduser(each) for each in os.environ.get(MODELS, "").split(os.pathsep) if each)
    roots = [folder, *map(os.path.abspath, allowed)]
    parts = [part for part in re.split(r"[\\/]", book.model) if part not in ("", ".", "..")]
    ends = [os.path.join(*parts[-n:]) for n in range(min(DEEPEST, len(parts)), 0, -1)]
    places = [(folder, book.model), *((root, end) for root in roots[1:] for end in ends)]
    reals = [os.path.realpath(root) for root in roots]
    seen = set()
    for start, path in places:
        place = os.path.normpath(os.path.join(start, path))
        inside = _lies_in(place, *roots, *reals) and os.path.exists(place)
        if inside and _lies_in(real := os.path.realpath(place), *reals) and real not in seen:
            seen.add(real)
            yield Path(place)
    if not seen and is_hub_name(book.model):
        yield book.model


def _lies_in(place: str, *folders: str) -> bool:
    place = os.path.normcase(place)
    return any(place == folder or place.startswith(folder.rstrip(os.sep) + os.sep) for folder in map(_plain, folders))


def _plain(folder: str) -> str:
    return os.path.normcase(os.path.normpath(folder))


def own_files_of(path: str | os.PathLike[str], model: str | os.PathLike[str] | None) -> tuple[str, ...]:
    """Files of the checkpoint of a workbook, or of the one that is named instead, as far as they can be found."""
    if model is not None:
        return found_files(model)
    try:
        book = open_workbook(path)
    except SheetGPTError:
        return ()
    places = (*named(book), *places_of(book.fingerprint))
    return tuple(file for place in places for file in found_files(place))
