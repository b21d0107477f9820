"""The one way to write a sheet: a list of parts, one below the other, which a cursor lays out.

The part that computes is a `Block`, a rectangle of cells that are all made alike. It says what it is called (its
defined name follows), how large it is, what stands beside row i, the formula of row i and column j, and its twin: what
the cells must come to, asked of a `State`. Everything else follows: rows, names, links, what `verify` compares.

A page is declared from sizes alone, before there is a model or a text. Formulas ask it where things lie,
`page["logits"]`, when they are written, so a block may refer to one that comes after it. Nobody adds up rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import repeat
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import Cells, Formulas, Row
from sheetgpt.sheets.grid import FIRST_TOKEN, HOME, INDEX, LABEL
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.tensor import Kind, Tensor

State = Any  # whatever the page's twins are asked of: `state.State`, or a training workbook's `Moment`
Floats = NDArray[Any]
Value = float | str
Values = Floats | Sequence[Any] | Value  # of a block: [rows, columns], one row, one column, or one cell
Formula = Callable[[int, int], str]  # of row i and column j, without its =
Guard = Callable[[str, int], str]  # a formula, and the column in the block that it is for -> what stands in the cell
Colour = Callable[[Worksheet, Area], None]  # adds a block's conditional formats
AT_TOP = 24  # points: the height of the title's row


@dataclass(frozen=True)
class Drawing:
    """What a page's rows are written from."""

    page: "Page"
    state: State
    palette: Palette


@dataclass(frozen=True)
class Line:
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


def unguarded(source: str, j: int) -> str:
    return source


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
        for i in range(self.n_rows):
            cells: Cells = ()
            if self.label is not None:
                name = names[i] if names is not None else self.label if isinstance(self.label, str) else self.label(i)
                cells = rows.text(LABEL, name, palette[self.label_style])
            if numbered:
                cells += rows.number(INDEX, self.number_from + i, palette["index"])
            start = min(i + self.strict, n) if self.triangle else 0
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
    assert len(several) == n_rows, (len(several), n_rows)
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


@dataclass(frozen=True)
class Bar:
    """A section's coloured title, with a few words; `link`: how Home's list calls it."""

    title: str | tuple[Callable[[], str], Callable[[State], str]]  # or a formula and its twin
    words: str = ""
    link: str = ""
    column: int = 0  # where the words stand; 0: in the page's first
    last: int = 0  # its last column; 0: the page's
    space: int = 1  # blank rows above it
    n_rows = 1

    def lines(self, on: Drawing, row: int) -> Iterator[Line]:
        palette, first = on.palette, self.column or on.page.first
        if isinstance(self.title, str):
            title = rows.text(LABEL, self.title, palette["section"])
        else:
            title = rows.formula(LABEL, self.title[0], self.title[1](on.state), palette["section"])
        left = rows.joined(rows.blank(column, palette["maths"]) for column in range(LABEL + 1, first))
        last = self.last or on.page.bar_end
        said = rows.text(first, self.words, palette["maths"]) if last >= first else ()
        rest = range(first + 1, last + 1)
        yield Line(title + left + said + rows.joined(rows.blank(column, palette["maths"]) for column in rest))


@dataclass(frozen=True)
class Texts:
    """A row of constant texts: column -> text. `styles` where they are not all `style`."""

    texts: Mapping[int, str]
    style: str = "header"
    styles: Mapping[int, str] = field(default_factory=dict)
    height: float | None = None
    folded: bool = False
    n_rows = 1

    def lines(self, on: Drawing, row: int) -> Iterator[Line]:
        each = (rows.text(c, text, on.palette[self.styles.get(c, self.style)]) for c, text in self.texts.items())
        yield Line(rows.joined(each), self.height, self.folded)


@dataclass(frozen=True)
class Beside:
    """Parts that begin in the same row."""

    parts: tuple[Part, ...]

    def __init__(self, *parts: Part) -> None:
        object.__setattr__(self, "parts", parts)

    @property
    def n_rows(self) -> int:
        return max(part.n_rows for part in self.parts)

    def lines(self, on: Drawing, row: int) -> Iterator[Line]:
        raise NotImplementedError  # its parts are placed one by one


@dataclass(frozen=True)
class Stack:
    """Parts one below the other, as one that stands beside others."""

    parts: tuple[Part, ...]

    def __init__(self, *parts: Part) -> None:
        object.__setattr__(self, "parts", parts)

    @property
    def n_rows(self) -> int:
        return sum(part.n_rows for part in self.parts)

    def lines(self, on: Drawing, row: int) -> Iterator[Line]:
        raise NotImplementedError  # its parts are placed one by one


@dataclass(frozen=True)
class Space:
    """Blank rows."""

    n_rows: int = 1
    height: float | None = None

    def lines(self, on: Drawing, row: int) -> Iterator[Line]:
        return repeat(Line((), self.height), self.n_rows)


@dataclass
class Page:
    """A sheet as it is declared. `add` lays parts out below those that are there; `sheet` makes it for a state."""

    title: str
    words: str  # what Home's list and `sheetgpt info` say of it
    width: int  # columns of a block that doesn't say
    first: int = FIRST_TOKEN
    prefix: str = ""  # of the defined names: on Lens "tokens" is `lens_tokens`
    guard: Guard = unguarded
    numbered: bool = False  # whether the row's number stands beside a single row, too
    bar_end: int = FIRST_TOKEN + 11  # the last column of its bars
    last_column: int = 0  # at least
    dresses: list[Callable[[Worksheet], None]] = field(default_factory=list)  # widths, charts, what cells take
    positions: Area | None = None  # these two: see `Sheet`; of 0 rows: down to the last
    second: Area | None = None
    row: int = 1  # the cursor: where the next part goes
    placed: list[tuple[int, Part]] = field(default_factory=list)
    areas: dict[str, Area] = field(default_factory=dict)
    also: list[Tensor] = field(default_factory=list)  # names of a part of a block, or of several side by side
    links: list[tuple[str, str]] = field(default_factory=list)
    sections: list[tuple[str, int]] = field(default_factory=list)
    on_home: tuple[str, Sequence[Part]] | None = None  # where its line on Home leads, and what stands in that line

    def head(
        self,
        note: str = "",
        column: int = 3,
        title: str = "",
        height: float = AT_TOP,
        beside: Mapping[int, str] | None = None,
        style: str = "label",
    ) -> None:
        """The title, what the sheet is in one sentence, and the way back to Home: the first two rows.

        `beside`: more words in the second row, by their columns, and their `style`.
        """
        words = {LABEL: title or self.title} | ({column: note} if note else {})
        self.add(Texts(words, styles={LABEL: "title", column: "note"}, height=height))
        self.links.append((f"A{self.row}", f"{quoted(HOME)}!A1"))
        self.add(Texts({LABEL: "← Home", **(beside or {})}, style, {LABEL: "link"}))

    def add(self, *parts: Part) -> None:
        for part in parts:
            if isinstance(part, Bar):
                self.row += part.space
            self._put(part, self.row)
            self.row += part.n_rows

    def _put(self, part: Part, row: int) -> None:
        if isinstance(part, Beside | Stack):
            for each in part.parts:
                self._put(each, row)
                row += each.n_rows if isinstance(part, Stack) else 0
            return
        if isinstance(part, Space) and part.height is None:
            return
        self.placed.append((row, part))
        if isinstance(part, Bar) and part.link:
            self.sections.append((part.link, row))
        if isinstance(part, Block) and part.name:
            area = Area(self.title, row, part.column or self.first, part.n_rows, part.n_columns or self.width)
            assert part.name not in self.areas, part.name
            self.areas[part.name] = area

    def join(self, name: str, *blocks: str, kind: Kind = Kind.NUMBERS) -> None:
        """One name for blocks that stand together: for the rectangle around them."""
        found = [self.areas[block] for block in blocks]
        row, column = min(area.row for area in found), min(area.column for area in found)
        last_row, last_column = max(area.last_row for area in found), max(area.last_column for area in found)
        self.areas[name] = Area(self.title, row, column, last_row - row + 1, last_column - column + 1)
        self.also.append(Tensor(self.prefix + name, (self.areas[name],), kind))

    def __getitem__(self, name: str) -> Area:
        return self.areas[name]

    @property
    def blocks(self) -> Iterator[tuple[Block, Area]]:
        """Those with a name."""
        for _, part in self.placed:
            if isinstance(part, Block) and part.name:
                yield part, self.areas[part.name]

    @cached_property
    def tensors(self) -> list[Tensor]:
        """What has a name, as records. Ask only when all parts are there."""
        found: dict[str, Tensor] = {}
        for block, area in self.blocks:
            name = self.prefix + (block.band_of or block.name)
            if block.named:
                before = found[name].areas if name in found else ()
                rest = (block.kind, block.axes, block.traced, block.turned, block.scales)
                found[name] = Tensor(name, (*before, area), *rest)
        return [*found.values(), *self.also]

    @property
    def last_row(self) -> int:
        return max(row + part.n_rows - 1 for row, part in self.placed)

    def rows(self, state: State, palette: Palette) -> Iterator[Row]:
        """From top to bottom; parts that share a row come in the order of their columns."""
        on, open_parts = Drawing(self, state, palette), list[Iterator[Line]]()
        waiting = sorted(self.placed, key=lambda each: each[0])
        ends: list[int] = []
        for number in range(1, self.last_row + 1):
            while waiting and waiting[0][0] == number:
                row, part = waiting.pop(0)
                open_parts.append(part.lines(on, row))
                ends.append(row + part.n_rows)
            found = [next(lines) for lines in open_parts]
            pieces = sorted(rows.joined(line.cells for line in found), key=lambda piece: piece.column)
            height = max((line.height for line in found if line.height is not None), default=None)
            if pieces or height is not None:
                yield Row(number, tuple(pieces), height, any(line.folded for line in found))
            if number + 1 in ends:
                open_parts = [lines for lines, end in zip(open_parts, ends, strict=True) if end > number + 1]
                ends = [end for end in ends if end > number + 1]

    def sheet(self, state: State, palette: Palette) -> Sheet:
        names = {tensor.name: [*tensor.areas] for tensor in self.tensors}
        names |= {self.prefix + block.name: [area] for block, area in self.blocks if block.band_of}
        on_home = None if self.on_home is None else (self.on_home[0], partial(self._for_home, state, palette))
        return Sheet(
            self.title,
            self.words,
            lambda: self.rows(state, palette),
            self.last_row,
            self._widest(),
            names=names,
            positions=self._down(self.positions),
            second=self._down(self.second),
            sections=self.sections,
            links=self.links,
            on_home=on_home,
            dress=self.dressed,
        )

    def _widest(self) -> int:
        """The last column that has a cell."""
        found = [self.last_column, *(area.last_column for area in self.areas.values())]
        for _, part in self.placed:
            if isinstance(part, Bar):
                found.append(part.last or self.bar_end)
            elif isinstance(part, Texts):
                found += part.texts
            elif isinstance(part, Block):
                found.append((part.column or self.first) + (part.n_columns or self.width) - 1)
        return max(found)

    def _down(self, area: Area | None) -> Area | None:
        return area if area is None or area.n_rows else replace(area, n_rows=self.last_row - area.row + 1)

    def _for_home(self, state: State, palette: Palette) -> Cells:
        assert self.on_home is not None
        on = Drawing(self, state, palette)
        return rows.joined(next(part.lines(on, 1)).cells for part in self.on_home[1])

    def dressed(self, frame: Worksheet) -> None:
        """What the page as a whole wants, and each block's colours."""
        for dress in self.dresses:
            dress(frame)
        for block, area in self.blocks:
            for colour in block.colours:
                colour(frame, area)
