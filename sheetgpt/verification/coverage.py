"""Which cells of a workbook hold a formula, read from its file: what verification has to have compared."""

import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from openpyxl.utils import column_index_from_string

from sheetgpt.engines import cached
from sheetgpt.errors import SheetGPTError
from sheetgpt.ooxml.reading.unzip import READ_ERRORS, chunks, open_zip

MAX_REST = 1 << 26
# each tag is gone through once: no tag holds a `<`, and none is tried again from the second `r="A1"` in it;
# other programs write prefixes (<x:c>), single quotes and spaces
_FORMULA = re.compile(
    rb"""<(?:\w+:)?c\b(?>[^<>]*?\br\s*=\s*["']([A-Z]{1,3})([0-9]{1,7})["'])[^<>]*+>\s*+<(?:\w+:)?f[\s/>]"""
)

Places = NDArray[np.int64]  # [n, 2]: row and column, from 0


def formula_cells(workbook: Path) -> dict[str, Places]:
    """Title of each sheet -> where its formulas are. (ECMA-376 part 1, 18.3.1.40: a cell's formula is its <f>.)"""
    try:
        with open_zip(workbook) as archive:
            return {title: _formulas(archive, part) for title, part in cached.package(workbook).sheets.items()}
    except READ_ERRORS as error:
        raise SheetGPTError(f"{workbook} can't be read ({error}): build or copy it again.") from error


def _formulas(archive: zipfile.ZipFile, part: str) -> Places:
    found: list[int] = []
    columns: dict[bytes, int] = {}
    for text in _whole_cells(archive, part):
        for letters, row in _FORMULA.findall(text):
            column = columns.get(letters)
            if column is None:
                column = columns[letters] = column_index_from_string(letters.decode()) - 1
            found += (int(row) - 1, column)
    return np.array(found, np.int64).reshape(-1, 2)


def _whole_cells(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """The sheet's XML, a megabyte at a time, cut before a cell; what has no formula is left out."""
    rest = b""
    for chunk in chunks(archive, part):
        text = rest + chunk
        end = max(text.rfind(b"<c"), text.rfind(b"<", 0, max(text.rfind(b":c "), 0)), 0)
        rest = text[end:]
        if len(rest) > MAX_REST:
            raise ValueError(f"{part} goes on for more than {MAX_REST:,} bytes without a cell")
        if text.find(b"<f", 0, end) >= 0 or text.find(b":f", 0, end) >= 0:
            yield text[:end]
    yield rest


def uncovered(places: Places, formulas: NDArray[np.bool_]) -> tuple[Places, Places]:
    """Formulas that nothing expects, and places without the formula that should stand there."""
    n_rows, n_columns = formulas.shape
    inside = (places[:, 0] < n_rows) & (places[:, 1] < n_columns)
    known = np.zeros(len(places), bool)
    known[inside] = formulas[places[inside, 0], places[inside, 1]]
    lacking = formulas.copy()
    lacking[places[known, 0], places[known, 1]] = False
    return places[~known], np.argwhere(lacking)


def n_formulas(places: Mapping[str, Places]) -> int:
    return sum(len(found) for found in places.values())
