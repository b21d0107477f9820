"""Engines: a workbook and some inputs go in, ranges of recalculated cells come out; nothing here knows of GPT-2.

Every engine offers `recalculate(workbook, inputs, read)` with the data types below. A cell is reached by a defined
name or by a range such as `Block 0 weights!C4:NP771` (quotes around the sheet and dollars are welcome).
"""

import datetime
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openpyxl import Workbook as OpenpyxlWorkbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE as _CONTROL
from openpyxl.cell.cell import MergedCell

from sheetgpt.engines._uno_worker import Refused, grid
from sheetgpt.errors import SheetGPTError
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.reading.unzip import READ_ERRORS, open_zip, require_file, unreadable

Value = float | int | str | None  # None clears the cell
Inputs = Mapping[str, Value | Sequence[Value]]

# a part that only this kind has -> what the file is
OTHER_PACKAGES = {
    "xl/workbook.bin": "a binary workbook of Excel's (.xlsb)",
    "content.xml": "a document of LibreOffice's (.ods or the like)",
    "word/document.xml": "a document of Word's",
    "ppt/presentation.xml": "a presentation of PowerPoint's",
}
_HALF = re.compile("[\ud800-\udfff]")
_EPOCH = datetime.datetime(1899, 12, 30)  # day 0 of Excel's calendar, right from March 1900 on


@dataclass(frozen=True)
class Cells:
    """A range's values, [rows, columns]."""

    numbers: NDArray[np.float64]  # NaN where the cell holds no number
    texts: dict[tuple[int, int], str]  # non-empty text, or an error such as "#VALUE!", by (row, column) in the range


@dataclass(frozen=True)
class Step:
    """Some edits, a recalculation, some reading.

    `set` fills a name's or range's cells in order, row by row, and clears what remains of it. Before that `copy` puts
    the values of ranges into others of the same shape (target -> source), all sources being read first. `hard`
    recalculates every formula of the workbook; otherwise the edits' own automatic recalculation has to do. Where a step
    that is not hard is `lazy`, LibreOffice recalculates only what is read, and all that this depends on.
    """

    set: Inputs
    read: Sequence[str]
    hard: bool = True
    copy: Mapping[str, str] = field(default_factory=dict)
    lazy: bool = False


def seconds(timeout: float) -> float:
    """A time limit that can be kept."""
    if isinstance(timeout, bool) or not isinstance(timeout, Real) or not 0 < timeout < math.inf:
        raise SheetGPTError(
            f"A time limit of {timeout} seconds can't be kept: give a finite number above 0 (--engine-timeout, or"
            " timeout in Python)."
        )
    return float(timeout)


def plain(key: str, value: Value | Sequence[Value]) -> float | str | list[float | str | None] | None:
    """An input as numbers, texts and None only; a sequence as a list."""
    if value is None or isinstance(value, str | Real):
        return _single(key, value)
    if isinstance(value, Iterable) and not isinstance(value, bytes | Mapping):
        return [_single(key, item) for item in value]
    raise SheetGPTError(
        f"The input {key} is a {type(value).__name__}: give a number, a text, None or a sequence of these."
    )


def _single(key: str, value: object) -> float | str | None:
    if value is None:
        return None
    if isinstance(value, str):
        if (found := _HALF.search(value)) is not None:
            raise SheetGPTError(
                f"The input {key} holds U+{ord(found[0]):04X}, half of a character, which no cell can hold: leave it"
                " out."
            )
        return value
    if not isinstance(value, Real):
        raise SheetGPTError(f"The input {key} holds a {type(value).__name__}: a cell takes a number, a text or None.")
    if not math.isfinite(value):
        raise SheetGPTError(f"The input {key} holds {value}, which no cell can hold: give finite numbers.")
    return float(value)


def edits(
    inputs: Inputs, names: Mapping[str, Area | None], titles: Iterable[str], workbook: Path
) -> Iterator[tuple[str, int, int, float | str | None]]:
    """Every cell that the inputs name: sheet, row and column from 1, and what goes into it."""
    own = {title.casefold(): title for title in titles}
    for key, value in inputs.items():
        place = Area.parse(key) if "!" in key else names.get(key.upper())
        if place is None or place.sheet.casefold() not in own:
            raise SheetGPTError(f"{workbook.name} has no cells named {key} for this input.")
        try:
            rows = grid(plain(key, value), place.n_rows, place.n_columns)
        except Refused as refusal:
            raise SheetGPTError(f"The input {key} has {refusal}.") from refusal
        for i, row in enumerate(rows, place.row):
            for j, single in enumerate(row, place.column):
                if isinstance(single, str) and _CONTROL.search(single):
                    raise SheetGPTError(
                        f"The input {key} holds a control character, which only the LibreOffice engine can put into a"
                        " cell: use that engine, or leave the character out."
                    )
                yield own[place.sheet.casefold()], i, j, single


def edit(book: OpenpyxlWorkbook, inputs: Inputs, names: Mapping[str, Area | None], workbook: Path) -> None:
    """Puts the inputs into an openpyxl workbook, for the engines that have no cells of their own to set."""
    for title, row, column, single in edits(inputs, names, book.sheetnames, workbook):
        cell = book[title].cell(row, column)
        if isinstance(cell, MergedCell):
            raise SheetGPTError(
                f"An input reaches into merged cells of {workbook.name} ({title}!{cell.coordinate}): name "
                "the first of them."
            )
        cell.value = None if single == "" else single
        if isinstance(single, str) and single:
            cell.data_type = "s"  # text that begins with "=" stays text


def require_workbook(workbook: Path) -> None:
    """Refuses what no engine could open, before any program is started for it."""
    require_file(workbook)
    try:
        with open_zip(workbook) as package:
            names, problem = set(package.namelist()), unreadable(package)
    except READ_ERRORS as error:
        raise SheetGPTError(
            f"{workbook} can't be opened as an .xlsx workbook ({error}). It may be cut short: build or copy it again."
        ) from error
    if problem is not None:
        raise SheetGPTError(f"{workbook} can't be opened as an .xlsx workbook: {problem}.")
    other = next((words for part, words in OTHER_PACKAGES.items() if part in names), None)
    if other:
        raise SheetGPTError(f"{workbook} is {other}: open it there and save it as an .xlsx workbook.")
    packed = next((name for name in sorted(names) if name.lower().endswith(".xlsx")), None)
    if packed and "xl/workbook.xml" not in names:
        raise SheetGPTError(f"{workbook} is a zip file with a workbook inside, {packed}: unpack it first.")
    if "[Content_Types].xml" not in names:
        raise SheetGPTError(f"{workbook} is a zip file but not an .xlsx workbook ([Content_Types].xml is missing).")


def number(value: Any) -> float | None:
    """A cell's value as a number: booleans are 1 and 0, dates are days; None for everything that is no number."""
    if isinstance(value, float | int | np.number | np.bool_):
        return float(value)
    if isinstance(value, datetime.datetime):
        return (value - _EPOCH) / datetime.timedelta(days=1)
    if isinstance(value, datetime.date):
        return float((value - _EPOCH.date()).days)
    if isinstance(value, datetime.time):
        value = datetime.datetime.combine(_EPOCH.date(), value) - _EPOCH
    return value / datetime.timedelta(days=1) if isinstance(value, datetime.timedelta) else None
