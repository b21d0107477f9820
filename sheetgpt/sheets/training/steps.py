"""The steps of an unrolled workbook, one after another: each has a sheet of its own, `Step 1`, `Step 2`, …

Its pages are those of a training workbook, Forward to Next, and stand on it one below the other. They are written for a
single step. Here the cells of a step get their places, and the references in its formulas are moved along; what a
formula reads on State, it reads in the Next of the step before, which has State's geometry. So each formula exists
once, and a step sees only itself, the one before it, and what all share: words (or windows) and settings.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property, partial

from openpyxl import Workbook
from openpyxl.utils import column_index_from_string, get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.references import REFERENCE, rewritten
from sheetgpt.ooxml.rows import Formulas, Piece, Row
from sheetgpt.sheets.grid import FIRST_TOKEN, POSITION_ROW
from sheetgpt.sheets.page import Page
from sheetgpt.sheets.sheet import Sheet, positions_name
from sheetgpt.sheets.style.palette import Palette
from sheetgpt.sheets.training.lesson import BACKWARD, FORWARD, LOSS, NEXT, STATE, STEP, Lesson, Moment

GAP = 2  # blank rows between two pages


@dataclass(frozen=True)
class Move:
    """From the pages of a single step to the sheet of step number k."""

    k: int
    down: Mapping[str, int]  # title of a page -> so many rows lower its cells stand

    @property
    def title(self) -> str:
        return f"{STEP} {self.k}"

    @cached_property
    def places(self) -> dict[str, tuple[str, int]]:
        """Of each page that is moved: on which sheet its cells stand, and by how many rows lower."""
        own = {page: (self.title, down) for page, down in self.down.items()}
        return own if self.k == 1 else own | {STATE: (f"{STEP} {self.k - 1}", self.down[NEXT])}

    def area(self, area: Area) -> Area:
        title, down = self.places.get(area.sheet, (area.sheet, 0))
        return replace(area, sheet=title, row=area.row + down)

    def formula(self, source: str, on: str) -> str:
        """A formula of the page `on`, as this step has it."""

        def moved(found: re.Match[str]) -> str:
            text, sheet, a, left, b, top, c, right, d, bottom = found.groups()
            if text is not None:
                return text
            page = on if sheet is None else sheet[1:-2].replace("''", "'")
            title, down = self.places.get(page, (page, 0))
            cells = f"{a}{left}{b}{int(top) + down}"
            if bottom is not None:
                cells += f":{c}{right}{d}{int(bottom) + down}"
            return cells if title == own else f"{quoted(title)}!{cells}"

        own = self.title
        return REFERENCE.sub(moved, source)

    def piece(self, piece: Piece, on: str) -> Piece:
        if isinstance(piece, Formulas):
            return replace(piece, sources=rewritten(piece.sources, partial(self.formula, on=on)))
        return piece


def moves(layout: Lesson, pages: Sequence[Page]) -> list[Move]:
    """Of each step. `pages`: those of a single one, in their order."""
    down, row = {}, 0
    for page in pages:
        down[page.title] = row
        row += page.last_row + GAP
    return [Move(k, down) for k in range(1, layout.unroll + 1)]


def words_of(k: int) -> str:
    """What the list on Training says of a step's sheet."""
    before = "State" if k == 1 else f"the weights of step {k - 1}"
    return f"step {k}, with {before}: forward, loss, backward, gradients, new weights"


def sheet(pages: Sequence[Page], moment: Moment, move: Move, palette: Palette) -> Sheet:
    """The sheet of one step, which begins at the moment."""

    def rows() -> Iterator[Row]:
        for page in pages:
            for row in page.rows(moment, palette):
                pieces = tuple(move.piece(piece, page.title) for piece in row.pieces)
                yield replace(row, number=row.number + move.down[page.title], pieces=pieces)

    own = [page.sheet(moment, palette) for page in pages]
    last = pages[-1]
    names = {
        f"step{move.k}.{name}": [*map(move.area, areas)] for each in own for name, areas in each.names.items()
    } | directed(pages, move)
    return Sheet(
        move.title,
        words_of(move.k),
        rows,
        last.last_row + move.down[last.title],
        max(each.last_column for each in own),
        names=names,
        links=[(_lower(cell, move.down[each.title]), to) for each in own for cell, to in each.links],
        dress=lambda frame: dressed(frame, pages, move),
    )


def directed(pages: Sequence[Page], move: Move) -> dict[str, list[Area]]:
    """Which way the formulas of the columns read (`excel_rules/columns/directions.py`).

    Each step's weights depend on the whole word or window, those of State on none of it. So only step 1 has the rule
    that no position depends on a later one by any way; in the others it holds on their own sheet.
    """
    titled = {page.title: page for page in pages}
    first, last, back = titled[FORWARD], titled[LOSS], titled[BACKWARD]
    top, bottom = move.down[FORWARD] + POSITION_ROW, move.down[LOSS] + last.last_row
    ahead = Area(move.title, top, FIRST_TOKEN, bottom - top + 1, first.width)
    behind = move.area(Area(BACKWARD, POSITION_ROW, FIRST_TOKEN, back.last_row - POSITION_ROW + 1, back.width))
    name = positions_name(move.title)
    return {
        name if move.k == 1 else name.replace("positions", "after"): [ahead],
        name.replace("positions", "gradients"): [behind],
    }


def dressed(frame: Worksheet, pages: Sequence[Page], move: Move) -> None:
    """Every page's widths and colours, where its cells stand here; the labels on the left stay in sight."""
    widths: dict[str, float] = {}
    for page in pages:
        alone = Workbook().create_sheet(page.title)
        page.dressed(alone)
        for letters, dimension in alone.column_dimensions.items():
            widths[letters] = max(widths.get(letters, 0), dimension.width)
        for found in alone.conditional_formatting:
            for place in str(found.sqref).split():
                area = Area.parse(f"{quoted(page.title)}!{place}")
                assert area is not None
                for rule in found.rules:
                    assert not rule.formula  # a scale of colours: nothing in it has to move
                    own = copy(rule)
                    own.priority = 0
                    frame.conditional_formatting.add(move.area(area).cells, own)
    for letters in sorted(widths, key=column_index_from_string):
        frame.column_dimensions[letters].width = widths[letters]
    frame.sheet_properties.tabColor = "2F5597"
    frame.freeze_panes = f"{get_column_letter(FIRST_TOKEN)}3"


def _lower(cell: str, down: int) -> str:
    """`A2`, so many rows lower."""
    letters = cell.rstrip("0123456789")
    return f"{letters}{int(cell[len(letters) :]) + down}"
