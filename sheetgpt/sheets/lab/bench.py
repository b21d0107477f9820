"""What the parts of the sheet Lab have in common: the page, yellow cells, and what a cell takes.

A yellow cell's place has its name, `bench.page["steering"]`; the workbook knows it as `lab_steering`.
"""

from collections.abc import Callable
from typing import Any

from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Colour, Formula, Values
from sheetgpt.sheets.grid import LAB, LABEL
from sheetgpt.sheets.lab.lanes import Move
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Beside, Page, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.looks import takes
from sheetgpt.sheets.tensor import Kind

WORDS = "two texts side by side, and knobs to turn in the second"
TYPED = 3  # column C
WIDE = 14  # column N: where bars and boxes end

Twin = Callable[[State], Values]


class Bench:
    """The page, and where what a formula reads lies in each lane."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.config, self.move = layout, layout.config, Move(layout)
        self.page = Page(LAB, WORDS, width=1, first=TYPED, prefix="lab_", bar_end=WIDE)
        self.page.last_column = 22  # the chart's

    def lanes(self, name: str) -> tuple[Area, Area]:
        """The cells of a name: lane A's, and lane B's."""
        return self.layout[name], self.move.area(self.layout[name])

    def cell(self, name: str, i: int = 0, j: int = 0) -> str:
        """One cell of a block."""
        return self.page[name].line(i).stripe(j).local

    def box(self, title: str, block: Block, height: float = 32) -> None:
        """A row for a text: merged cells as wide as the bars."""
        cells = Area(LAB, self.page.row, TYPED, 1, WIDE - TYPED + 1).cells
        rest = Texts(dict.fromkeys(range(TYPED + 1, WIDE + 1), ""), block.style)
        self.page.add(Beside(Texts({LABEL: title}, "name", height=height), block, rest))
        self.page.dresses.append(lambda frame: frame.merged_cells.add(cells))


def yellow(name: str, twin: Twin, column: int, *takes: Colour, rows: int = 1, columns: int = 1, **looks: Any) -> Block:
    """Cells in which something is typed, with whatever was put there."""
    looks = {"label": None, "numbered": False, "style": "input"} | looks
    return Block(name, rows, columns, twin=twin, column=column, kind=Kind.INPUT, colours=takes, **looks)


def column(at: int, formula: Formula, twin: Twin, style: str, name: str = "", rows: int = 1, **looks: Any) -> Block:
    """A column of formulas, without labels; its name is the page's own."""
    looks = {"label": None, "numbered": False, "named": False, "n_columns": 1, "fills": False} | looks
    return Block(name, rows, column=at, formula=formula, twin=twin, style=style, **looks)


def notes(at: int, style: str, *words: str) -> Block:
    """A column of constant texts."""
    return Block(n_rows=len(words), n_columns=1, column=at, label=None, style=style, twin=lambda state: words)


def takes_index(title: str, limit: int, at: int = 0) -> Colour:
    """A whole number below the limit, in column `at` of a block."""
    of_block = takes(title, f"A whole number from 0 to {limit - 1}.", 0, limit - 1)
    return lambda frame, area: of_block(frame, area.stripe(at))
