"""What keeps a keystroke from landing on a formula: sheet protection without a password, or a rule that takes nothing.

Excel doesn't fold or unfold the groups of a protected sheet: "You cannot use this command on a protected sheet", and no
attribute of sheetProtection (ECMA-376 part 1, 18.3.1.85) allows it; EnableOutlining does, but only a macro can set it.
So a sheet with folded rows or columns has no protection, and its cells a data validation that refuses whatever is
typed. That doesn't stop Delete and paste, which Home's status is for.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import Formulas, Numbers, Row, Text
from sheetgpt.ooxml.writing.xml import escape

TITLE = "A formula of the model"  # at most 32 characters
REFUSAL = (
    "This cell is a formula or a label: press Escape, and it is as it was. Yellow cells and weights are "
    "yours. To take formulas apart: sheetgpt build --unprotected."
)  # at most 255
# formats may be changed; what may not is what the cells hold, and where they are
PROTECTION = b'<sheetProtection sheet="1" formatCells="0" formatColumns="0" formatRows="0"/>'
_RULES = re.compile(rb'<dataValidations count="(\d+)"[^>]*>')


@dataclass
class Lock:
    """Watches a sheet's rows as they pass; `closed` then adds what keeps them."""

    open_styles: frozenset[int]
    calculates: bool = False
    folds: bool = False
    areas: list[Area] = field(default_factory=list)  # of cells to keep
    _growing: dict[int, Area] = field(default_factory=dict)  # by last column

    def watched(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            self.folds |= row.folded
            self._take(row)
            yield row

    def _take(self, row: Row) -> None:
        growing = {}
        before = 0  # the last column of the piece on the left
        for piece in row.pieces:
            last = piece.column + (1 if isinstance(piece, Text) else len(piece.values)) - 1
            self.calculates |= isinstance(piece, Formulas)
            if isinstance(piece, Formulas | Numbers) and piece.style not in self.open_styles:
                growing[last] = self._joined(row.number, piece.column, last, before)
            before = last
        self.areas += self._growing.values()
        self._growing = growing

    def _joined(self, row: int, first: int, last: int, before: int) -> Area:
        """With what ends in the same column above it. A triangle becomes one rectangle: blanks are kept with it."""
        above = self._growing.get(last)
        joins = above is not None and above.last_row == row - 1 and before < above.column <= first
        if above is None or not joins:
            return Area("", row, first, 1, last - first + 1)
        del self._growing[last]
        return replace(above, n_rows=above.n_rows + 1)

    def closed(self, after: bytes) -> bytes:
        """What stands behind the rows."""
        if not self.calculates:
            return after
        if not self.folds:
            return PROTECTION + after
        self.areas += self._growing.values()
        return with_rule(after, " ".join(area.cells for area in side_by_side(self.areas)))


def side_by_side(areas: Iterable[Area]) -> Iterator[Area]:
    """Neighbours that are equally tall, as one: the Tokenizer has 300 columns."""
    left: Area | None = None
    for area in sorted(areas, key=lambda each: (each.row, each.n_rows, each.column)):
        joins = left is not None and (left.row, left.n_rows, left.last_column + 1) == (
            area.row,
            area.n_rows,
            area.column,
        )
        if left is not None and not joins:
            yield left
        left = area if left is None or not joins else replace(left, n_columns=left.n_columns + area.n_columns)
    if left is not None:
        yield left


def with_rule(after: bytes, cells: str) -> bytes:
    """A rule that nothing meets, beside the sheet's own or, where it has none, before its links and margins."""
    told = b'showErrorMessage="1" errorTitle="%b" error="%b"' % (escape(TITLE), escape(REFUSAL))
    rule = b'<dataValidation type="custom" %b sqref="%b"><formula1>FALSE</formula1></dataValidation>'
    rule %= told, cells.encode()
    found = _RULES.search(after)
    if found:
        head = b'<dataValidations count="%d">' % (int(found[1]) + 1)
        return after[: found.start()] + head + rule + after[found.end() :]
    place = re.search(rb"<(?:hyperlinks|printOptions|pageMargins)\b", after)
    assert place
    return (
        after[: place.start()] + b'<dataValidations count="1">' + rule + b"</dataValidations>" + after[place.start() :]
    )
