"""The checkpoint that a workbook was built from, found again. Nobody knows who wrote the name that the workbook has."""

import os
from pathlib import Path

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoint import Checkpoint, bundled, found_files, load, load_cached
from sheetgpt.gpt2.hub import is_hub_name
from sheetgpt.workbook.reopen import Workbook, open_workbook

MODELS = "SHEETGPT_MODELS"  # an environment variable: folders, written as in PATH


def find_checkpoint(book: Workbook, model: str | os.PathLike[str] | None = None) -> Checkpoint:
    """The checkpoint that it was made from: `model`, or what its Model sheet names, and `named` takes for harmless."""
    text = book.layout.reads_text
    if model is not None:
        return load(model, quiet=True, needs_text=text)
    try:
        place = named(book)
        if is_hub_name(str(place)):
            return load_cached(str(place), needs_text=text)
        return load(place, quiet=True, needs_text=text)
    except SheetGPTError as error:
        raise SheetGPTError(
            f"The checkpoint that {book.path.name} was built from can't be loaded; name it with --model. ({error})"
        ) from error


def named(book: Workbook) -> str | Path:
    """The model that its Model sheet names.

    A path starts at the workbook's folder and is followed only in there, or where SHEETGPT_MODELS allows it:
    anywhere else not even looked for. Any other name must be a bundled model's or have the hub's form.
    """
    if book.model in bundled():
        return book.model
    folder = os.path.abspath(book.path.parent)
    place = os.path.normpath(os.path.join(folder, book.model))
    allowed = (os.path.expanduser(each) for each in os.environ.get(MODELS, "").split(os.pathsep) if each)
    roots = [folder, *map(os.path.abspath, allowed)]
    reals = [os.path.realpath(root) for root in roots]
    if _lies_in(place, *roots, *reals) and os.path.exists(place) and _lies_in(os.path.realpath(place), *reals):
        return Path(place)
    if is_hub_name(book.model):
        return book.model
    raise SheetGPTError(
        f"It is named {book.model!r}, which is not in the workbook's own folder, and a workbook's paths are"
        f" followed only there and in the folders that the variable {MODELS} lists."
    )


def _lies_in(place: str, *folders: str) -> bool:
    place = os.path.normcase(place)
    return any(place == folder or place.startswith(folder.rstrip(os.sep) + os.sep) for folder in map(_plain, folders))


def _plain(folder: str) -> str:
    return os.path.normcase(os.path.normpath(folder))


def own_files_of(path: str | os.PathLike[str], model: str | os.PathLike[str] | None) -> tuple[str, ...]:
    """Files of the checkpoint of a workbook, or of the one that is named instead, as far as they can be found."""
    try:
        return found_files(model if model is not None else named(open_workbook(path)))
    except SheetGPTError:
        return ()
