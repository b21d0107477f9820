"""Two texts side by side: lane A, and lane B, which is lane A moved to the right by `Move.step` columns.

Every sheet writes itself for one text. `beside` puts a second copy of its cells, with lane B's values, to the right of
the first, in the same rows; its formulas are the first's, with every reference to a moved cell moved along. So each
formula exists once, and a lane sees only itself: what a formula of lane A reads in lane A, its copy reads in lane B.

- On the sheets with a token a column, the token columns move, and what stands left of them (gain, bias, scale) is
  shared. Home and Sample keep a text's own settings there, so all of their columns move.
- Softmax, Tokenizer and Decoding have no token columns: lane B has a sheet of its own, `Softmax B`.
- Weights, Vocabulary, Model and the optional sheets exist once; the optional ones look at lane A.
- What lane B's names refer to has the name of lane A's with `B_` before it: `B_logits`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial

from openpyxl.utils import column_index_from_string, get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.references import REFERENCE, rewritten
from sheetgpt.ooxml.rows import Cells, Formulas, Piece, Row, Text
from sheetgpt.sheets.grid import (
    DECODING,
    EMBED,
    FIRST_TOKEN,
    HOME,
    LABEL,
    LANE,
    OUTPUT,
    SAMPLE,
    SOFTMAX,
    TITLE_ROW,
    TOKENIZER,
)
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.sheet import Sheet

COPIED = {title: f"{title} B" for title in (SOFTMAX, TOKENIZER, DECODING)}
WIDEST = 21  # columns that Home takes at the least, from the first token's on


@dataclass(frozen=True)
class Redirect:
    """On the sheet `on`, what reads these rows of lane B reads the rows of another sheet in their place."""

    on: str
    rows: Area
    instead: Area


@dataclass(frozen=True)
class Move:
    """From lane A's cells to lane B's."""

    layout: Layout
    redirects: tuple[Redirect, ...] = ()

    @property
    def step(self) -> int:
        """So many columns to the right: all that Home has, and a blank one."""
        return FIRST_TOKEN + max(self.layout.context, WIDEST)

    @property
    def first(self) -> int:
        """The column of lane B's first token."""
        return FIRST_TOKEN + self.step

    def moves(self, sheet: str) -> bool:
        """Whether it has cells of both lanes."""
        return sheet in (HOME, SAMPLE, EMBED, OUTPUT) or sheet in self._blocks

    @property
    def _blocks(self) -> set[str]:
        return {self.layout.block_sheet(i) for i in range(self.layout.config.n_layer)}

    def shared(self, sheet: str, column: int) -> bool:
        """Whether a cell left of the token columns is both lanes'."""
        return sheet not in (HOME, SAMPLE) and column < FIRST_TOKEN

    def area(self, area: Area) -> Area:
        """Where a rectangle of lane A lies in lane B."""
        if area.sheet in COPIED:
            return replace(area, sheet=COPIED[area.sheet])
        if not self.moves(area.sheet) or self.shared(area.sheet, area.column):
            return area
        return replace(area, column=area.column + self.step)

    def formula(self, source: str, on: str) -> str:
        """A formula of lane A's cell on the sheet `on`, as lane B's cell has it."""

        def moved(found: re.Match[str]) -> str:
            text, title = found[1], found[2]
            if text is not None:
                return text
            sheet = on if title is None else title[1:-2].replace("''", "'")
            corners = [found.group(3, 4, 5, 6), found.group(7, 8, 9, 10)]
            given = [corner for corner in corners if corner[1] is not None]
            rows = [int(row) for *_, row in given]
            dollar, letters, *_ = given[0]
            own = not (dollar and self.shared(sheet, column_index_from_string(letters)))  # not a gain or a bias
            target = self._redirected(on, sheet, min(rows), max(rows)) if own else None
            down = 0 if target is None else target.instead.row - target.rows.row
            parts = [self._corner(sheet, *corner, down=down) for corner in given]
            place = sheet if target is None else target.instead.sheet
            name = COPIED.get(place, place)
            return (f"{quoted(name)}!" if name != COPIED.get(on, on) else "") + ":".join(parts)

        return REFERENCE.sub(moved, source)

    def _redirected(self, on: str, sheet: str, first: int, last: int) -> Redirect | None:
        return next(
            (
                each
                for each in self.redirects
                if each.on == on and each.rows.sheet == sheet and each.rows.row <= first and last <= each.rows.last_row
            ),
            None,
        )

    def _corner(self, sheet: str, dollar: str, letters: str, fixed: str, row: str, *, down: int) -> str:
        column = column_index_from_string(letters)
        if self.moves(sheet) and not (dollar and self.shared(sheet, column)):
            column += self.step
        return f"{dollar}{get_column_letter(column)}{fixed}{int(row) + down}"

    def piece(self, piece: Piece, on: str) -> Piece:
        """Cells side by side, in lane B."""
        column = piece.column + self.step if self.moves(on) else piece.column
        if isinstance(piece, Formulas):
            return replace(piece, column=column, sources=rewritten(piece.sources, partial(self.formula, on=on)))
        return replace(piece, column=column)


Fill = Callable[[Row, Cells], Cells]  # lane A's row, lane B's cells in it -> those that stand there in the end


def beside(a: Sheet, b: Sheet, move: Move, change: Fill = lambda row, cells: cells, last: int | None = None) -> Sheet:
    """A sheet with both lanes; `b` as it would be for lane B's text alone. `last`: the last row that lane B has."""
    assert a.positions is not None
    names = {
        LANE + name: moved
        for name, areas in b.names.items()
        if (moved := [*map(move.area, areas)]) != [*areas] and (last is None or areas[0].row <= last)
    }
    return replace(
        a,
        rows=lambda: _merged(a.rows(), b.rows(), a.title, move, change, last),
        last_column=max(a.last_column, b.last_column + move.step),
        names={**a.names, **names},
        second=move.area(a.positions),
        dress=lambda frame: _dressed(frame, a, move),
    )


def _merged(
    a: Iterable[Row], b: Iterable[Row], title: str, move: Move, change: Fill, last: int | None
) -> Iterator[Row]:
    for own, other in zip(a, b, strict=True):
        assert own.number == other.number
        if last is not None and own.number > last:
            yield own
            continue
        kept = [piece for piece in other.pieces if _kept(piece, title, move)]
        cells = change(own, tuple(move.piece(piece, title) for piece in kept))
        pieces = (*own.pieces, *cells)
        if own.number == TITLE_ROW and title != HOME:
            pieces = tuple(_named(piece, move) for piece in pieces)
        yield replace(own, pieces=pieces)


def _kept(piece: Piece, title: str, move: Move) -> bool:
    """On sheets whose left columns are shared lane B has its keys' tokens there, which are formulas."""
    if move.shared(title, piece.column):
        return piece.column == LABEL and isinstance(piece, Formulas)
    return True


def _named(piece: Piece, move: Move) -> Piece:
    """The note in a sheet's first row says which lane stands below it."""
    lane = {FIRST_TOKEN: "Lane A. ", move.first: "Lane B. "}.get(piece.column)
    return replace(piece, value=lane + piece.value) if isinstance(piece, Text) and lane else piece


def _dressed(frame: Worksheet, a: Sheet, move: Move) -> None:
    """Lane A's looks, and the same for lane B: widths, colours, merged cells."""
    a.dress(frame)
    whole = not move.shared(a.title, LABEL)
    for letters, dimension in [*frame.column_dimensions.items()]:
        column = column_index_from_string(letters)
        if column >= FIRST_TOKEN or whole:
            frame.column_dimensions[get_column_letter(column + move.step)].width = dimension.width
    for found in [*frame.conditional_formatting]:
        for place in str(found.sqref).split():
            area = Area.parse(f"{quoted(a.title)}!{place}")
            if area is None or (moved := move.area(area)) == area:
                continue
            for rule in found.rules:
                own = copy(rule)
                own.priority = 0
                own.formula = [move.formula(source, a.title) for source in rule.formula]
                frame.conditional_formatting.add(moved.cells, own)
    for place in [str(merged) for merged in frame.merged_cells.ranges]:
        area = Area.parse(f"{quoted(a.title)}!{place}")
        if area is not None and (moved := move.area(area)) != area:
            frame.merged_cells.add(moved.cells)


def copied(b: Sheet, move: Move) -> Sheet:
    """Lane B's own sheet, of those that have no token columns."""
    title = COPIED[b.title]

    def rows() -> Iterator[Row]:
        for row in b.rows():
            pieces = tuple(move.piece(piece, b.title) for piece in row.pieces)
            if row.number == TITLE_ROW:
                first, *rest = pieces
                assert isinstance(first, Text)
                pieces = (replace(first, value=title), *rest)
            yield replace(row, pieces=pieces)

    names: Mapping[str, Sequence[Area]] = {LANE + name: [*map(move.area, areas)] for name, areas in b.names.items()}
    return replace(b, title=title, words=f"lane B: {b.words}", rows=rows, names=names)
