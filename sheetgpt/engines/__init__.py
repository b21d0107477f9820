"""Engines: a workbook and some inputs go in, ranges of recalculated cells come out; nothing here knows of GPT-2.

Every engine offers `recalculate(workbook, inputs, read)` with the data types below. A cell is reached by a defined
name or by a range such as `Block 0 weights!C4:NP771` (quotes around the sheet and dollars are welcome).
"""

import datetime
import math
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from openpyxl import Workbook as OpenpyxlWorkbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE as _CONTROL
from openpyxl.cell.cell import MergedCell
from openpyxl.utils import column_index_from_string

from sheetgpt.engines._uno_worker import Refused, grid
from sheetgpt.errors import SheetGPTError
from sheetgpt.ooxml.limits import MAX_COLUMN, MAX_ROW

Value = float | int | str | None  # None clears the cell
Inputs = Mapping[str, Value | Sequence[Value]]

_EPOCH = datetime.datetime(1899, 12, 30)  # day 0 of Excel's calendar, right from March 1900 on
_CORNER = r"\$?([A-Za-z]{1,3})\$?([1-9][0-9]{0,6})"
_CELLS = re.compile(f"{_CORNER}(?::{_CORNER})?")


@dataclass(frozen=True)
class Cells:
    """A range's values, [rows, columns]."""

    numbers: NDArray[np.float64]  # NaN where the cell holds no number
    texts: dict[tuple[int, int], str]  # non-empty text, or an error such as "#VALUE!", by (row, column) in the range


@dataclass(frozen=True)
class Step:
    """Some edits, a recalculation, some reading.

    `set` fills a name's or range's cells in order, row by row, and clears what remains of it. `hard` recalculates
    every formula of the workbook; otherwise the edits' own automatic recalculation has to do.
    """

    set: Inputs
    read: Sequence[str]
    hard: bool = True


class Rectangle(NamedTuple):
    """A range of one sheet; row and column count from 0."""

    sheet: str
    row: int
    column: int
    n_rows: int
    n_columns: int


def rectangle(reference: str) -> Rectangle | None:
    """`Sheet!B7:K7` or `'Sheet'!$B$7`; None when it is anything else, such as a union or a broken reference."""
    sheet, _, cells = reference.rpartition("!")
    if sheet.startswith("'") and sheet.endswith("'"):
        sheet = sheet[1:-1].replace("''", "'")
    found = _CELLS.fullmatch(cells)
    if not sheet or found is None:
        return None
    left, top, right, bottom = found.groups()
    columns = [column_index_from_string(letters) for letters in (left, right or left)]
    rows = [int(digits) for digits in (top, bottom or top)]
    if max(columns) > MAX_COLUMN or max(rows) > MAX_ROW:
        return None
    return Rectangle(sheet, min(rows) - 1, min(columns) - 1, max(rows) - min(rows) + 1, max(columns) - min(columns) + 1)


def plain(key: str, value: Value | Sequence[Value]) -> float | str | list[float | str | None] | None:
    """An input as numbers, texts and None only; a sequence as a list."""
    if value is None or isinstance(value, str | Real):
        return _single(key, value)
    if isinstance(value, Iterable) and not isinstance(value, bytes | Mapping):
        return [_single(key, item) for item in value]
    raise SheetGPTError(
        f"the input {key} is a {type(value).__name__}: give a number, a text, None or a sequence of them"
    )


def _single(key: str, value: object) -> float | str | None:
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, Real):
        raise SheetGPTError(f"the input {key} holds a {type(value).__name__}: a cell takes a number, a text or None")
    if not math.isfinite(value):
        raise SheetGPTError(f"the input {key} holds {value}, which no cell can: give finite numbers")
    return float(value)


def edits(
    inputs: Inputs, names: Mapping[str, Rectangle | None], titles: Iterable[str], workbook: Path
) -> Iterator[tuple[str, int, int, float | str | None]]:
    """Every cell that the inputs name: sheet, row and column from 0, and what goes into it."""
    own = {title.casefold(): title for title in titles}
    for key, value in inputs.items():
        place = rectangle(key) if "!" in key else names.get(key.upper())
        if place is None or place.sheet.casefold() not in own:
            raise SheetGPTError(f"{workbook.name} has no cells named {key} to put an input in")
        try:
            rows = grid(plain(key, value), place.n_rows, place.n_columns)
        except Refused as refusal:
            raise SheetGPTError(f"the input {key} has {refusal}") from refusal
        for i, row in enumerate(rows, place.row):
            for j, single in enumerate(row, place.column):
                if isinstance(single, str) and _CONTROL.search(single):
                    raise SheetGPTError(
                        f"the input {key} holds a control character, which only the LibreOffice engine can put into a"
                        " cell: use that one, or leave it out"
                    )
                yield own[place.sheet.casefold()], i, j, single


def edit(book: OpenpyxlWorkbook, inputs: Inputs, names: Mapping[str, Rectangle | None], workbook: Path) -> None:
    """Puts the inputs into an openpyxl workbook, for the engines that have no cells of their own to set."""
    for title, row, column, single in edits(inputs, names, book.sheetnames, workbook):
        cell = book[title].cell(row + 1, column + 1)
        if isinstance(cell, MergedCell):
            raise SheetGPTError(
                f"an input reaches into merged cells of {workbook.name} ({title}!{cell.coordinate}): name their first"
            )
        cell.value = None if single == "" else single
        if isinstance(single, str) and single:
            cell.data_type = "s"  # text that begins with "=" stays text


def require_workbook(workbook: Path) -> None:
    """Refuses what no engine could open, before any program is started for it."""
    if not workbook.is_file():
        raise SheetGPTError(f"{workbook} is not there: give the path of an .xlsx workbook")
    try:
        with zipfile.ZipFile(workbook) as package:
            names = set(package.namelist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise SheetGPTError(
            f"{workbook} can't be opened as an .xlsx workbook ({error}): it may be cut short, so build or copy it again"
        ) from error
    if "[Content_Types].xml" not in names:
        raise SheetGPTError(f"{workbook} is a zip file but no .xlsx workbook ([Content_Types].xml is missing)")


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
