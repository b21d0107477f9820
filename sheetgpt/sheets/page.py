"""The one way to write a sheet: a list of parts, one below the other, which a cursor lays out.

The part that computes is a `Block` (`block.py`), whose formula stands beside its twin. Everything else follows from the
parts: rows, names, links, what `verify` compares.

A page is declared from sizes alone, before there is a model or a text. Formulas ask it where things lie,
`page["logits"]`, when they are written, so a block may refer to one that comes after it. Nobody adds up rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import repeat

from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import Cells, Row, letters
from sheetgpt.sheets.block import Block, Drawing, Ground, Line, Part, State
from sheetgpt.sheets.glossary.terms import row_of
from sheetgpt.sheets.grid import HOME, INDEX, LABEL
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.style.palette import Palette
from sheetgpt.sheets.tensor import Kind, Tensor

AT_TOP = 24  # points: the height of the title's row


@dataclass(frozen=True)
class Bar:
    """A section's coloured title, with a few words; `link`: how Home's list calls it."""

    title: str | tuple[Callable[[], str], Callable[[State], str]]  # or a formula and its twin
    words: str = ""
    link: str = ""
    column: int = 0  # where the words stand; 0: in the page's first
    last: int = 0  # its last column; 0: the page's
    space: int = 1  # blank rows above it
    lead: str = ""  # stands in the first column; the title then stands in the second
    n_rows = 1

    def asks(self, page: Ground) -> bool:
        """Whether there is a ? in it, which leads to the Glossary."""
        known = isinstance(self.title, str) and row_of(self.title) is not None
        return page.explains and known and (self.column or page.first) > INDEX

    def lines(self, on: Drawing, row: int) -> Iterator[Line]:
        palette, first = on.palette, self.column or on.page.first
        end = INDEX if self.lead else LABEL  # of the title
        if isinstance(self.title, str):
            title = rows.text(end, self.title, palette["section"])
        else:
            title = rows.formula(end, self.title[0], self.title[1](on.state), palette["section"])
        if self.lead:
            title = rows.text(LABEL, self.lead, palette["section"]) + title
        left = rows.joined(rows.blank(column, palette["maths"]) for column in range(end + 1, first))
        if self.asks(on.page):
            left = rows.joined((rows.text(INDEX, "?", palette["help"]), left[1:]))
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


@dataclass(frozen=True)
class Paper:
    """How a page is printed: as wide as a sheet of paper, and as long as it takes.

    On one sheet of paper with `one`, which is higher than wide with `upright`. `last_row`, `last_column`: what comes
    after them is not printed; 0: all is. The first rows, so many as `head`, stand on every sheet of paper.
    """

    one: bool = False
    upright: bool = False
    last_row: int = 0
    last_column: int = 0
    head: int = 0

    def set_up(self, frame: Worksheet, page: "Page") -> None:
        frame.page_setup.orientation = "portrait" if self.upright else "landscape"
        frame.page_setup.fitToHeight = 1 if self.one else 0
        if self.last_row or self.last_column:
            end = f"{letters(self.last_column or page.widest)}{self.last_row or page.last_row}"
            frame.print_area = f"A1:{end}"
        if self.head:
            frame.print_title_rows = f"1:{self.head}"


@dataclass
class Page(Ground):
    """A sheet as it is declared. `add` lays parts out below those that are there; `sheet` makes it for a state."""

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
    paper: Paper = Paper()
    on_home: tuple[str, Sequence[Part]] | None = None  # where its line on Home leads, and what stands in that line

    def head(
        self,
        note: str = "",
        column: int = 3,
        title: str = "",
        height: float = AT_TOP,
        beside: Mapping[int, str] | None = None,
        style: str = "label",
        more: Sequence[Part] = (),
        back: str = HOME,
    ) -> None:
        """The title, what the sheet is in one sentence, and the way back to Home: the first two rows.

        `beside`: more words in the second row, by their columns, and their `style`; `more`: other parts there.
        """
        words = {LABEL: title or self.title} | ({column: note} if note else {})
        self.add(Texts(words, styles={LABEL: "title", column: "note"}, height=height))
        self.links.append((f"A{self.row}", f"{quoted(back)}!A1"))
        self.add(Beside(Texts({LABEL: f"← {back}", **(beside or {})}, style, {LABEL: "link"}), *more))

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
            self.widest,
            names=names,
            positions=self._down(self.positions),
            second=self._down(self.second),
            sections=self.sections,
            answers=[tensor.name for tensor in self.tensors if tensor.kind == Kind.ANSWER],
            links=self.links,
            on_home=on_home,
            dress=self.dressed,
            folded=[*self._folded()],
        )

    @property
    def widest(self) -> int:
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

    def _folded(self) -> Iterator[range]:
        for row, part in self.placed:
            if isinstance(part, Block | Texts) and part.folded:
                yield range(row, row + part.n_rows)

    def _down(self, area: Area | None) -> Area | None:
        return area if area is None or area.n_rows else replace(area, n_rows=self.last_row - area.row + 1)

    def _for_home(self, state: State, palette: Palette) -> Cells:
        assert self.on_home is not None
        on = Drawing(self, state, palette)
        return rows.joined(next(part.lines(on, 1)).cells for part in self.on_home[1])

    def dressed(self, frame: Worksheet) -> None:
        """What the page as a whole wants, and each block's colours."""
        self.paper.set_up(frame, self)
        for dress in self.dresses:
            dress(frame)
        for block, area in self.blocks:
            for colour in block.colours:
                colour(frame, area)
