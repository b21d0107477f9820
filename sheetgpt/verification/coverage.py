"""Which cells of a workbook hold a formula, read from its file: what verification has to have compared."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from openpyxl.utils import column_index_from_string

from sheetgpt.engines import cached

CHUNK = 1 << 22
_FORMULA = re.compile(rb'<c\b[^>]*?\br="([A-Z]{1,3})([0-9]+)"[^>]*>\s*<f[\s/>]')

Places = NDArray[np.int64]  # [n, 2]: row and column, from 0


def formula_cells(workbook: Path) -> dict[str, Places]:
    """Title of each sheet -> where its formulas are. (ECMA-376 part 1, 18.3.1.40: a cell's formula is its <f>.)"""
    with zipfile.ZipFile(workbook) as archive:
        return {title: _formulas(archive, part) for title, part in cached.package(workbook).sheets.items()}


def _formulas(archive: zipfile.ZipFile, part: str) -> Places:
    found: list[tuple[int, int]] = []
    columns: dict[bytes, int] = {}
    with archive.open(part) as stream:
        rest = b""
        while chunk := stream.read(CHUNK):
            text = rest + chunk
            end = text.rfind(b"<c") if b"<f" in text else len(text) - 1
            end = max(end, 0)
            for letters, row in _FORMULA.findall(text, 0, end):
                if letters not in columns:
                    columns[letters] = column_index_from_string(letters.decode()) - 1
                found.append((int(row) - 1, columns[letters]))
            rest = text[end:]
        for letters, row in _FORMULA.findall(rest):
            found.append((int(row) - 1, column_index_from_string(letters.decode()) - 1))
    return np.array(found, np.int64).reshape(-1, 2)


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
