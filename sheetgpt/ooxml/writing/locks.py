"""What keeps a keystroke from landing on a formula: sheet protection without a password, or a rule that takes nothing.

Excel doesn't fold or unfold the groups of a protected sheet: "You cannot use this command on a protected sheet", and no
attribute of sheetProtection (ECMA-376 part 1, 18.3.1.85) allows it; EnableOutlining does, but only a macro can set it.
So a sheet with folded rows or columns has no protection, and its cells a data validation that refuses whatever is
typed. That doesn't stop Delete and paste, which Home's status is for.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import Formulas, Numbers, Row
from sheetgpt.ooxml.writing.xml import escape

TITLE = "A formula of the model"  # at most 32 characters
REFUSAL = (
    "This cell calculates, or says where others are: press Escape, and it is as it was. Yellow cells and weights are "
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
    _growing: dict[tuple[int, int], Area] = field(default_factory=dict)  # by first column and number of columns

    def watched(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            self.folds |= row.folded
            self._take(row)
            yield row

    def _take(self, row: Row) -> None:
        growing = {}
        for piece in row.pieces:
            self.calculates |= isinstance(piece, Formulas)
            if isinstance(piece, Formulas | Numbers) and piece.style not in self.open_styles:
                key = piece.column, len(piece.values)
                above = self._growing.pop(key, None)
                joins = above is not None and above.last_row == row.number - 1
                if above is not None and not joins:
                    self.areas.append(above)
                first, n = (above.row, above.n_rows) if above is not None and joins else (row.number, 0)
                growing[key] = Area("", first, key[0], n + 1, key[1])
        self.areas += self._growing.values()
        self._growing = growing

    def closed(self, after: bytes) -> bytes:
        """What stands behind the rows."""
        if not self.calculates:
            return after
        if not self.folds:
            return PROTECTION + after
        self.areas += self._growing.values()
        return with_rule(after, " ".join(area.cells for area in self.areas))


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
