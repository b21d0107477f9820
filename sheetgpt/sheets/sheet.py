"""What a sheet is: one object, from which it is built, linked, named, listed, verified and checked.

A module of this package makes one (or several, as `block` does) out of a `State`; the registry in `__init__` lists the
modules. Nothing else keeps a list of sheets.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import Cells, Row

Names = Mapping[str, Sequence[Area]]  # of a defined name, or a tensor with dots, the areas that it refers to


def positions_name(title: str, lane: str = "") -> str:
    """The defined name that tells which cells of a sheet have a position a column: `positions_Block_0`."""
    return f"positions_{lane}" + re.sub(r"\W", "_", title)


def undressed(frame: Worksheet) -> None:
    """Leaves the worksheet as it is."""


@dataclass(frozen=True)
class Sheet:
    """`rows` yields every cell: what is constant, and each formula with what it must come to (the NumPy twin).

    Those values are cached in the file when the workbook is built, and `verify` compares them with what a spreadsheet
    program computes.
    """

    title: str
    words: str  # what Home's list and `sheetgpt info` say of it
    rows: Callable[[], Iterable[Row]]
    last_row: int
    last_column: int
    names: Names = field(default_factory=dict)
    positions: Area | None = None  # the columns that are positions: no formula here may look to the right of its own
    second: Area | None = (
        None  # the second lane's columns; no formula may read the other lane's, but its own position's
    )
    sections: Sequence[tuple[str, int]] = ()  # a short name and its row, for the links on Home
    answers: Sequence[str] = ()  # the names of yellow cells that take a formula of one's own, too
    links: Sequence[tuple[str, str]] = ()  # cell, place in the workbook
    on_home: tuple[str, Callable[[], Cells]] | None = None  # where its line on Home leads, and that line but its link
    dress: Callable[[Worksheet], None] = undressed  # widths, colours, charts, what the input cells take
    folded: Sequence[range] = ()  # rows that are out of sight at first

    @property
    def area(self) -> Area:
        """From A1 to the last cell."""
        return Area(self.title, 1, 1, self.last_row, self.last_column)


def in_sight(place: str, folded: Mapping[str, Sequence[range]]) -> str:
    """Where a link leads that points at a folded row of one of the sheets: to the heading above it."""
    area = Area.parse(place)
    hidden = {row for rows in folded.get(area.sheet, ()) for row in rows} if area is not None else set()
    while area is not None and area.row in hidden:
        area = replace(area, row=area.row - 1, n_rows=1)
        place = f"{quoted(area.sheet)}!{area.cells}"
    return place
