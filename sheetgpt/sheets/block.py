"""The part of a page that computes: a rectangle of cells that are all made alike.

A `Block` says what it is called (its defined name follows), how large it is, what stands beside row i, the formula of
row i and column j, and its twin: what the cells must come to, asked of a state.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import Cells, Formulas
from sheetgpt.sheets.grid import FIRST_TOKEN, INDEX, LABEL
from sheetgpt.sheets.style.palette import Palette
from sheetgpt.sheets.tensor import Kind

State = Any  # whatever the page's twins are asked of: `state.State`, or a training workbook's `Moment`
Floats = NDArray[Any]
Value = float | str
Values = Floats | Sequence[Any] | Value  # of a block: [rows, columns], one row, one column, or one cell
Formula = Callable[[int, int], str]  # of row i and column j, without its =
Guard = Callable[[str, int], str]  # a formula, and the column in the block that it is for -> what stands in the cell
Colour = Callable[[Worksheet, Area], None]  # adds a block's conditional formats


def unguarded(source: str, j: int) -> str:
    return source


@dataclass
class Ground:
    """What the parts of a page take from it."""

    title: str
    words: str  # what Home's list and `sheetgpt info` say of it
    width: int  # columns of a block that doesn't say
    first: int = FIRST_TOKEN
    prefix: str = ""  # of the defined names: on Lens "tokens" is `lens_tokens`
    guard: Guard = unguarded
    numbered: bool = False  # whether the row's number stands beside a single row, too
    explains: bool = False  # whether its headings lead to the Glossary, `headings.py`
    bar_end: int = FIRST_TOKEN + 11  # the last column of its bars


@dataclass(frozen=True)
class Drawing:
    """What a page's rows are written from."""

    page: Ground
    state: State
    palette: Palette


class Line(NamedTuple):
    """What one part has in one row."""

    cells: Cells
    height: float | None = None
    folded: bool = False


class Part(Protocol):
    """Something that stands on a page."""

    @property
    def n_rows(self) -> int: ...

    def lines(self, on: Drawing, row: int) -> Iterator[Line]:
        """One for each of its rows; `row` is the first. Nothing is computed before the first line is asked for."""


@dataclass(frozen=True)
class Block:
    """Cells that are made alike.

    `formula(i, j)` is that of row i and column j, without its `=`; with `fills` only column 0 is asked for (in a
    triangle column i), and it fills right. Without a formula the cells are constants. `twin(state)`: what they hold;
    rows and columns that it lacks hold `idle`. `doubt(state)`: how well they can be known (`verification.compare`); one
    number, one a column or one a cell.
    """

    name: str = ""  # by which formulas find it, `page["logits"]`; the defined name is the page's prefix and this
    n_rows: int = 1
    n_columns: int = 0  # 0: the page's width
    formula: Formula | None = None
    twin: Callable[[State], Values] = lambda state: np.nan
    label: str | Callable[[int], str] | None = ""  # what stands in the label's column; None: nothing does
    labels: Callable[[State], Sequence[str]] | None = None  # the same, where only a state knows it
    numbered: bool | None = None  # whether the row's number stands beside it; None: with a label, in several rows
    number_from: int = 0
    style: str = "number"
    label_style: str = "label"
    column: int = 0  # 0: the page's first
    fills: bool = True
    triangle: bool = False  # row i begins in column i
    strict: bool = False  # a triangle without its diagonal: row i begins in column i + 1
    gaps: Callable[[int, int], bool] | None = None  # in which row and column there is no formula
    guard: Guard | None = None  # None: the page's
    idle: Value = np.nan
    doubt: Callable[[State], Floats | float] | None = None
    height: float | None = None
    folded: bool = False
    colours: Sequence[Colour] = ()
    axes: tuple[str, ...] = ()  # of the tensor, see `tensor.Tensor`
    kind: Kind = Kind.NUMBERS
    traced: bool = False
    turned: bool = False  # these three: see `tensor.Tensor`
    scales: str = ""
    band_of: str = ""  # the tensor of which this is a part, where a sheet is too narrow for it
    compact: bool = False  # constants without addresses, `rows.compact_numbers`
    named: bool = True  # whether the workbook has a defined name for it

    def lines(self, on: Drawing, row: int) -> Iterator[Line]:
        page, palette = on.page, on.palette
        n, first = self.n_columns or page.width, self.column or page.first
        values = laid_out(self.twin(on.state), self.n_rows, n, self.idle)
        doubt: Floats | float = 0.0 if self.doubt is None else self.doubt(on.state)
        if isinstance(doubt, np.ndarray):
            sizes = (n,) if doubt.ndim == 1 else (self.n_rows, n)
            doubt = np.pad(doubt, [(0, all - own) for all, own in zip(sizes, doubt.shape, strict=True)])
        names = None if self.labels is None else self.labels(on.state)
        guard = self.guard or page.guard
        usual = self.label is not None and (page.numbered or self.n_rows > 1)
        numbered = usual if self.numbered is None else self.numbered
        if n == 1 and self.label is None and not numbered and self.formula and not self.triangle and not self.gaps:
            yield from self._column(first, values, doubt, palette[self.style] if self.style else 0, guard)
            return
        for i in range(self.n_rows):
            cells: Cells = ()
            if self.label is not None:
                name = names[i] if names is not None else self.label if isinstance(self.label, str) else self.label(i)
                cells = rows.text(LABEL, name, palette[self.label_style])
            if numbered:
                cells += rows.number(INDEX, self.number_from + i, palette["index"])
            start = self._start(i, n)
            own, at, style = values[i][start:], first + start, palette[self.style] if self.style else 0
            if start == n:
                pass  # the last row of a triangle without its diagonal
            elif self.formula is None:
                cells += (
                    rows.compact_numbers(at, np.ascontiguousarray(own)) if self.compact else constants(at, own, style)
                )
            else:
                known = doubt[i] if isinstance(doubt, np.ndarray) and doubt.ndim == 2 else doubt
                for run in self._runs(i, start, n):
                    columns = range(run.start, run.start + 1 if self.fills else run.stop)
                    sources, own = partial(self._sources, guard, i, columns), values[i][run.start : run.stop]
                    sure = known[run.start : run.stop] if isinstance(known, np.ndarray) else known
                    cells += (Formulas(first + run.start, sources, own, style, sure),)
            yield Line(cells, self.height, self.folded)

    def n_formulas(self, width: int) -> int:
        """How many there are; `width`: the page's columns."""
        n = self.n_columns or width
        if self.formula is None:
            return 0
        return sum(len(run) for i in range(self.n_rows) for run in self._runs(i, self._start(i, n), n))

    def _start(self, i: int, n: int) -> int:
        """The column of row i's first cell."""
        return min(i + self.strict, n) if self.triangle else 0

    def _column(self, column: int, values: Any, doubt: Any, style: int, guard: Guard) -> Iterator[Line]:
        """Of formulas alone. The Tokenizer has 80,000 such cells: this takes half the time of the way for all."""
        doubts = doubt[:, 0] if isinstance(doubt, np.ndarray) and doubt.ndim == 2 else repeat(doubt)
        height, folded, only, sources = self.height, self.folded, range(1), self._sources
        for i, (own, sure) in enumerate(zip(values, doubts, strict=False)):
            yield Line((Formulas(column, partial(sources, guard, i, only), own, style, sure),), height, folded)

    def _runs(self, i: int, start: int, n: int) -> list[range]:
        """Where row i has formulas side by side."""
        if self.gaps is None:
            return [range(start, n)]
        edges = np.flatnonzero(np.diff([0, *(not self.gaps(i, j) for j in range(start, n)), 0])) + start
        return [range(int(first), int(end)) for first, end in edges.reshape(-1, 2)]

    def _sources(self, guard: Guard, i: int, columns: range) -> str | list[str]:
        """Only whoever writes a file asks for them."""
        assert self.formula is not None
        found = [guard(self.formula(i, j), j) for j in columns]
        return found[0] if self.fills else found


def cell(
    column: int,
    formula: Callable[[], str] | None,
    twin: Callable[[State], Value],
    style: str,
    name: str = "",
    *,
    kind: Kind = Kind.NUMBERS,
    doubt: Callable[[State], float] | None = None,
    named: bool = True,
) -> Block:
    """One cell, without a label and as its formula has it; without a formula a constant."""
    own = None if formula is None else lambda i, j: formula()
    sizes: dict[str, Any] = {"n_columns": 1, "column": column, "label": None, "guard": unguarded}
    return Block(name, formula=own, twin=twin, style=style, kind=kind, doubt=doubt, named=named, **sizes)


def laid_out(values: Values, n_rows: int, n_columns: int, idle: Value) -> Sequence[Any] | Floats:
    """A twin's values as [rows, columns]; what it lacks holds `idle`."""
    if isinstance(values, str | float | int):
        values = [values]
    if isinstance(values, np.ndarray):
        grid = values if values.ndim == 2 else values.reshape(n_rows, -1)
        assert grid.shape[0] <= n_rows, (grid.shape, n_rows)
        if grid.shape == (n_rows, n_columns):
            return grid
        padded = np.full((n_rows, n_columns), idle, float)
        padded[: grid.shape[0], : grid.shape[1]] = grid
        return padded
    several = [*values] if values and isinstance(values[0], list | tuple | np.ndarray) else None
    if several is None:
        several = [[value] for value in values] if n_rows > 1 else [[*values]]
    assert len(several) <= n_rows, (len(several), n_rows)
    several += [[]] * (n_rows - len(several))
    blank = "" if isinstance(idle, float) and np.isnan(idle) else idle
    return [[*map(plain, line), *[blank] * (n_columns - len(line))] for line in several]


def plain(value: Any) -> Value:
    """A number of NumPy's as Python's own."""
    found: Value = value.item() if isinstance(value, np.generic) else value
    return found


def constants(first: int, values: Any, style: int) -> Cells:
    """Numbers and texts side by side; an empty text is a cell that only has a style."""
    if isinstance(values, np.ndarray):
        return rows.numbers(first, np.ascontiguousarray(values), style)
    cells: Cells = ()
    for column, value in enumerate(values, first):
        cells += rows.text(column, value, style) if isinstance(value, str) else rows.number(column, value, style)
    return cells
