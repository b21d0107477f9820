"""A sheet as a spreadsheet program computed it, cell by cell against what the sheet's own rows say it must hold.

A computed number's difference counts relative to the expected one, but never to less than FLOOR: below it 1e-12
absolute is allowed. What is computed from differences of logits inherits their rounding, a cell's `doubt`. A constant
must be the same to 15 digits, a text to the letter.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.engines import Cells
from sheetgpt.gpt2.model import as_cells
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import Formulas, Numbers, Text
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.verification.report import TOLERANCE, TensorResult, WrongCell

FLOOR = 1e-3  # differences are taken relative to at least this: 1e-12 absolute
CELLS_AT_ONCE = 1 << 20  # the largest sheet of GPT-2 has 46 million cells: an array of them takes 370 MB
SAVED = 5e-15  # a constant of more than 15 digits may lose the rest in a program that saves it; no weight has so many
CHANGED = "is not the number written at build time"

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Grid:
    """What every cell of a sheet must hold, [rows, columns] from A1 on."""

    numbers: NDArray[np.float64]  # NaN where there is none
    texts: dict[tuple[int, int], str]  # those that aren't empty
    formulas: Flags
    doubts: list[tuple[int, slice, float | NDArray[np.float64]]]  # row, columns, relative


def expected(sheet: Sheet) -> Grid:
    """The sheet's twin: its rows, without their formulas and styles."""
    shape = sheet.last_row, sheet.last_column
    grid = Grid(np.full(shape, np.nan), {}, np.zeros(shape, bool), [])
    numbers, texts, formulas = grid.numbers, grid.texts, grid.formulas
    for row in sheet.rows():
        i = row.number - 1
        for piece in row.pieces:
            j = piece.column - 1
            if isinstance(piece, Text):
                if piece.value:
                    texts[i, j] = piece.value
                continue
            values, end = piece.values, j + len(piece.values)
            if isinstance(piece, Formulas):
                formulas[i, j:end] = True
                if isinstance(piece.doubt, np.ndarray) or piece.doubt:
                    grid.doubts.append((i, slice(j, end), piece.doubt))
            if isinstance(values, np.ndarray):
                exact = isinstance(piece, Numbers) and values.dtype == np.float32
                numbers[i, j:end] = as_cells(values) if exact else values
                continue
            for k, value in enumerate(values, j):
                if not isinstance(value, str):
                    numbers[i, k] = value
                elif value:
                    texts[i, k] = value
    return grid


@dataclass(frozen=True)
class Compared:
    """A sheet's differences. `wrong` marks what is not a matter of size: text for number, a constant changed."""

    sheet: Sheet
    want: Grid
    got: Cells
    relative: NDArray[np.float64]
    wrong: Flags

    @property
    def n_cells(self) -> int:
        """Those that must hold something, and formulas that must show nothing."""
        empty = np.isnan(self.want.numbers) & ~self.want.formulas
        return empty.size - int(empty.sum()) + sum(not self.want.formulas[at] for at in self.want.texts)

    @property
    def max_rel(self) -> float:
        return float(self.relative.max())

    @cached_property
    def red(self) -> NDArray[np.int64]:
        """Every cell that is not what it must be, row by row.  [n, 2]"""
        found: NDArray[np.int64] = np.argwhere(self.wrong | ~(self.relative <= TOLERANCE))
        return found

    def result(self, name: str, areas: Sequence[Area], most: int | None) -> TensorResult:
        """The largest difference in the areas of one name, and the first `most` of its wrong cells."""
        if len(areas) == 1:
            return self._result(name, areas[0].reference, self._inside(areas[0]), self._worst(areas[0]), most)
        worst = max(map(self._worst, areas), key=lambda at: (self.wrong[at], self.relative[at]))
        inside = np.logical_or.reduce([self._inside(area) for area in areas])
        return self._result(name, ", ".join(area.reference for area in areas), inside, worst, most)

    def rest(self, name: str, most: int | None) -> TensorResult:
        """All cells that no name takes in."""
        apart = np.ones(self.wrong.shape, bool)
        for areas in self.sheet.names.values():
            for area in areas:
                apart[_rows(area), _columns(area)] = False
        worst = self._largest_of(apart)
        inside = apart[self.red[:, 0], self.red[:, 1]]
        return self._result(name, self.sheet.area.reference, inside, worst, most, apart)

    def _largest_of(self, apart: Flags) -> tuple[int, int]:
        """The first wrong cell that stands apart, or the one with the largest difference."""
        wrong = self.wrong & apart
        if wrong.any():
            return _at(int(np.argmax(wrong)), wrong.shape)
        largest, place = -1.0, (0, 0)
        for rows in _slices(apart.shape):
            part = np.where(apart[rows], self.relative[rows], 0)
            i, j = _at(int(np.argmax(part)), part.shape)
            if part[i, j] > largest:
                largest, place = float(part[i, j]), (rows.start + i, j)
        return place

    def _inside(self, area: Area) -> Flags:
        """Which of the wrong cells lie there."""
        i, j = self.red[:, 0] + 1, self.red[:, 1] + 1
        return (area.row <= i) & (i <= area.last_row) & (area.column <= j) & (j <= area.last_column)

    def _worst(self, area: Area) -> tuple[int, int]:
        place = _rows(area), _columns(area)
        wrong, relative = self.wrong[place], self.relative[place]
        i, j = _at(int(np.argmax(wrong) if wrong.any() else np.argmax(relative)), wrong.shape)
        return area.row - 1 + i, area.column - 1 + j

    def _result(
        self,
        name: str,
        reference: str,
        inside: Flags,
        worst: tuple[int, int],
        most: int | None,
        apart: Flags | None = None,
    ) -> TensorResult:
        red = self.red[inside]
        cells = tuple(self._wrong_cell(int(i), int(j)) for i, j in red[:most])
        absolute, relative, problem = self._absolute(*worst), float(self.relative[worst]), ""
        if apart is not None and not apart[worst]:  # there are no other cells
            absolute, relative = 0.0, 0.0
        elif self.wrong[worst]:
            problem = self._words(*worst)
        if absolute is None and not problem:
            absolute = 0.0
        known = None if absolute is None else relative
        where = self._place(*worst)
        return TensorResult(name, reference, absolute, known, where, problem, len(red), cells, self.sheet.title)

    def _absolute(self, i: int, j: int) -> float | None:
        difference = abs(float(self.got.numbers[i, j]) - float(self.want.numbers[i, j]))
        return None if np.isnan(difference) else difference

    def _place(self, i: int, j: int) -> str:
        return f"{self.sheet.title}!{Area('', i + 1, j + 1).cells}"

    def _wrong_cell(self, i: int, j: int) -> WrongCell:
        if self.wrong[i, j]:
            return WrongCell(self._place(i, j), self._words(i, j))
        got, want = float(self.got.numbers[i, j]), float(self.want.numbers[i, j])
        return WrongCell(self._place(i, j), f"holds {got:.12g}, not {want:.12g}")

    def _words(self, i: int, j: int) -> str:
        got, want = (cells.texts.get((i, j)) for cells in (self.got, self.want))
        number, wanted = float(self.got.numbers[i, j]), float(self.want.numbers[i, j])
        if not np.isnan(number) and not np.isnan(wanted):
            return CHANGED
        if got is None and np.isnan(number):
            return "is empty"
        holds = f"holds {number:g}" if got is None else f"holds {got!r}"
        if want is not None:
            return f"{holds}, not {want!r}"
        return f"{holds} {'where it should be empty' if np.isnan(wanted) else 'instead of a number'}"


def compare(sheet: Sheet, got: Cells) -> Compared:
    """`got`: the sheet from A1 to its last cell or beyond. Beside it two arrays of the sheet's size are held."""
    want = expected(sheet)
    shape = want.numbers.shape
    got = _cut(got, shape)
    wrong, relative = np.zeros(shape, bool), np.empty(shape)
    for part in _slices(shape):
        _differences(got.numbers[part], want.numbers[part], want.formulas[part], relative[part], wrong[part])
    for i, j in got.texts.keys() | want.texts.keys():
        wrong[i, j] |= got.texts.get((i, j)) != want.texts.get((i, j))
    for i, columns, doubt in want.doubts:
        size = np.abs(want.numbers[i, columns])
        scale = np.maximum(size, FLOOR)
        relative[i, columns] *= scale / np.maximum(scale, doubt / TOLERANCE * np.maximum(size, 1))
    relative[np.isnan(relative)] = 0
    return Compared(sheet, want, got, relative, wrong)


def _differences(
    got: NDArray[np.float64], want: NDArray[np.float64], formulas: Flags, relative: NDArray[np.float64], wrong: Flags
) -> None:
    """Fills `relative`, NaN where either has no number, and `wrong`."""
    np.not_equal(np.isnan(got), np.isnan(want), out=wrong)
    with np.errstate(invalid="ignore"):
        np.subtract(got, want, out=relative)
        np.abs(relative, out=relative)
        wrong |= ~formulas & (relative > SAVED * np.abs(want))
        relative /= np.maximum(np.abs(want), FLOOR)


def _cut(got: Cells, shape: tuple[int, int]) -> Cells:
    """The cells in the sheet's own shape; what was not read is empty."""
    if got.numbers.shape == shape:
        return got
    numbers = np.full(shape, np.nan)
    n, m = (min(a, b) for a, b in zip(shape, got.numbers.shape, strict=True))
    numbers[:n, :m] = got.numbers[:n, :m]
    return Cells(numbers, {(i, j): text for (i, j), text in got.texts.items() if i < n and j < m})


def results(compared: Compared, most: int | None) -> Iterator[TensorResult]:
    """One for each name of the sheet, one for all that stands beside them; each lists up to `most` wrong cells."""
    for name, areas in compared.sheet.names.items():
        yield compared.result(name, areas, most)
    yield compared.rest(f"{compared.sheet.title}: all other cells", most)


def missing(sheet: Sheet) -> Iterator[TensorResult]:
    """The results of a sheet that is not there."""
    for name, areas in {**sheet.names, f"{sheet.title}: all other cells": [sheet.area]}.items():
        reference = ", ".join(area.reference for area in areas)
        yield TensorResult(name, reference, None, None, problem="the sheet is missing", sheet=sheet.title)


def _slices(shape: tuple[int, ...]) -> Iterator[slice]:
    """Rows of a sheet, about CELLS_AT_ONCE at a time."""
    step = max(1, CELLS_AT_ONCE // shape[1])
    for first in range(0, shape[0], step):
        yield slice(first, first + step)


def _at(place: int, shape: tuple[int, ...]) -> tuple[int, int]:
    """Row and column of the n-th cell."""
    return divmod(place, shape[1])


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
