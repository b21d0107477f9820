"""A sheet as a spreadsheet program computed it, cell by cell against what the sheet's own rows say it must hold.

A computed number's difference counts relative to the expected one, but never to less than FLOOR: below it 1e-12
absolute is allowed. What is computed from differences of logits inherits their rounding, a cell's `doubt`. A constant
must be the same to the last digit, a text to the letter.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.engines import Cells
from sheetgpt.gpt2.model import as_cells
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import Formulas, Numbers, Text
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.verification.report import TOLERANCE, TensorResult

FLOOR = 1e-3  # differences are taken relative to at least this: 1e-12 absolute
ROUNDING = 1e-14  # of the largest logit: some 50 times a double's last bit, and what adding up 768 products may lose


@dataclass(frozen=True)
class Grid:
    """What every cell of a sheet must hold, [rows, columns] from A1 on."""

    numbers: NDArray[np.float64]  # NaN where there is none
    texts: dict[tuple[int, int], str]  # those that aren't empty
    formulas: NDArray[np.bool_]
    doubts: list[tuple[int, slice, float | NDArray[np.float64]]]  # row, columns, relative


def expected(sheet: Sheet) -> Grid:
    """The sheet's twin: its rows, without their formulas and styles."""
    shape = sheet.last_row, sheet.last_column
    grid = Grid(np.full(shape, np.nan), {}, np.zeros(shape, bool), [])
    for row in sheet.rows():
        i = row.number - 1
        for piece in row.pieces:
            j = piece.column - 1
            if isinstance(piece, Text):
                if piece.value:
                    grid.texts[i, j] = piece.value
                continue
            values, end = piece.values, j + len(piece.values)
            if isinstance(piece, Formulas):
                grid.formulas[i, j:end] = True
                if np.any(piece.doubt):
                    grid.doubts.append((i, slice(j, end), piece.doubt))
            if isinstance(values, np.ndarray):
                exact = isinstance(piece, Numbers) and values.dtype == np.float32
                grid.numbers[i, j:end] = as_cells(values) if exact else values
                continue
            for k, value in enumerate(values, j):
                if not isinstance(value, str):
                    grid.numbers[i, k] = value
                elif value:
                    grid.texts[i, k] = value
    return grid


@dataclass(frozen=True)
class Compared:
    """A sheet's differences. `wrong` marks what is not a matter of size: text for number, a constant changed."""

    sheet: Sheet
    want: Grid
    got: Cells
    absolute: NDArray[np.float64]
    relative: NDArray[np.float64]
    wrong: NDArray[np.bool_]

    def result(self, name: str, areas: Sequence[Area]) -> TensorResult:
        """The largest differences in the areas of one name."""
        found = [self._area(name, area) for area in areas]
        bad = [result for result in found if result.problem]
        worst = max(found, key=lambda result: result.max_rel or 0.0)
        reference = ", ".join(area.reference for area in areas)
        best = (bad or [worst])[0]
        return TensorResult(name, reference, best.max_abs, best.max_rel, best.where, best.problem)

    def rest(self, name: str) -> TensorResult:
        """All cells that no name takes in."""
        apart = np.ones(self.wrong.shape, bool)
        for areas in self.sheet.names.values():
            for area in areas:
                apart[_rows(area), _columns(area)] = False
        return self._cells(name, self.sheet.area, np.where(apart, self.relative, 0), self.wrong & apart)

    def _area(self, name: str, area: Area) -> TensorResult:
        place = _rows(area), _columns(area)
        return self._cells(name, area, self.relative[place], self.wrong[place])

    def _cells(self, name: str, area: Area, relative: NDArray[np.float64], wrong: NDArray[np.bool_]) -> TensorResult:
        at = np.unravel_index(int(np.argmax(wrong) if wrong.any() else np.argmax(relative)), wrong.shape)
        i, j = area.row - 1 + int(at[0]), area.column - 1 + int(at[1])
        where = Area(area.sheet, i + 1, j + 1).cells
        place = f"{area.sheet}!{where}"
        if not wrong.any():
            return TensorResult(name, area.reference, float(self.absolute[i, j]), float(relative.max()), place)
        if np.isnan(self.got.numbers[i, j]) or np.isnan(self.want.numbers[i, j]):
            return TensorResult(name, area.reference, None, None, place, self._words(i, j))
        return TensorResult(name, area.reference, float(self.absolute[i, j]), float(relative.max()), place, CHANGED)

    def _words(self, i: int, j: int) -> str:
        got, want = (cells.texts.get((i, j)) for cells in (self.got, self.want))
        number, wanted = self.got.numbers[i, j], self.want.numbers[i, j]
        if got is None and np.isnan(number):
            return "is empty"
        holds = f"holds {float(number):g}" if got is None else f"holds {got!r}"
        if want is not None:
            return f"{holds}, not {want!r}"
        return f"{holds} {'where it should be empty' if np.isnan(wanted) else 'instead of a number'}"


CHANGED = "is not the number that was written here"


def compare(sheet: Sheet, got: Cells) -> Compared:
    """`got`: the sheet from A1 to its last cell or beyond."""
    want = expected(sheet)
    got = _cut(got, want.numbers.shape)
    numbers, empty = got.numbers, np.isnan(want.numbers)
    wrong = np.isnan(numbers) != empty
    for i, j in got.texts.keys() | want.texts.keys():
        wrong[i, j] |= got.texts.get((i, j)) != want.texts.get((i, j))
    with np.errstate(invalid="ignore"):
        absolute = np.abs(numbers - want.numbers)
        absolute[np.isnan(absolute)] = 0
        wrong |= ~want.formulas & (absolute > 0)
        scale = np.maximum(np.abs(np.where(empty, 1, want.numbers)), FLOOR)
        for i, columns, doubt in want.doubts:
            here = scale[i, columns]
            scale[i, columns] = np.maximum(here, doubt / TOLERANCE * np.maximum(here, 1))
        relative = absolute / scale
    return Compared(sheet, want, got, absolute, relative, wrong)


def _cut(got: Cells, shape: tuple[int, int]) -> Cells:
    """The cells in the sheet's own shape; what was not read is empty."""
    if got.numbers.shape == shape:
        return got
    numbers = np.full(shape, np.nan)
    n, m = (min(a, b) for a, b in zip(shape, got.numbers.shape, strict=True))
    numbers[:n, :m] = got.numbers[:n, :m]
    return Cells(numbers, {(i, j): text for (i, j), text in got.texts.items() if i < n and j < m})


def results(compared: Compared) -> Iterator[TensorResult]:
    """One for each name of the sheet, one for all that stands beside them."""
    for name, areas in compared.sheet.names.items():
        yield compared.result(name, areas)
    yield compared.rest(f"{compared.sheet.title}: all other cells")


def missing(sheet: Sheet) -> Iterator[TensorResult]:
    """The results of a sheet that is not there."""
    for name, areas in {**sheet.names, sheet.title: [sheet.area]}.items():
        reference = ", ".join(area.reference for area in areas)
        yield TensorResult(name, reference, None, None, problem="the sheet is gone")


def _rows(area: Area) -> slice:
    return slice(area.row - 1, area.last_row)


def _columns(area: Area) -> slice:
    return slice(area.column - 1, area.last_column)


def part(cells: Cells, area: Area) -> Cells:
    """One area of a whole sheet's cells."""
    i, j = area.row - 1, area.column - 1
    texts: Mapping[tuple[int, int], str] = {
        (a - i, b - j): text
        for (a, b), text in cells.texts.items()
        if i <= a < area.last_row and j <= b < area.last_column
    }
    numbers: NDArray[Any] = cells.numbers[_rows(area), _columns(area)]
    return Cells(numbers, dict(texts))
