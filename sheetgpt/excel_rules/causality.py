"""What holds in the columns that are positions, for every formula there:

- Causality. It reads no position to the right of its own, neither directly nor through cells elsewhere (`reach.py`).
  So, by induction over the columns, what stands in the column of position t depends on the tokens 0 … t alone.
- It fills right: `$` stands before every row number, and the formulas of a row are one formula, moved to the right.
  The exception is a row in which each column has a formula of another form than the others, such as attention's
  mixture of values, which grows by a key a column.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from openpyxl.utils import get_column_letter

from sheetgpt.excel_rules.book import Book
from sheetgpt.excel_rules.problem import Problem
from sheetgpt.excel_rules.reach import Reach
from sheetgpt.excel_rules.references import Box, column_number
from sheetgpt.excel_rules.uses import Use, uses

MAX_PROBLEMS = 50  # a sheet
MAX_ARRAY = 10_000  # cells of an array formula that are looked at; the workbook has none such

_RELATIVE = re.compile(
    r"""("[^"]*"|'(?:[^']|'')*'!)|(?<![\w.$\\])([A-Za-z]{1,3}+)(?=\$?[1-9]\d*+(?![\w.(!]))""",
)


class _Filled(NamedTuple):
    """One formula in `width` columns of a row, from `column` on."""

    column: int
    width: int
    text: str
    sound: bool


class Elsewhere(NamedTuple):
    """A formula in a column of positions that uses cells outside of them, in `width` columns."""

    title: str
    column: int
    row: int
    width: int
    use: Use


class Causality:
    """Takes every formula cell of the workbook, sheet by sheet; what goes round by other cells is known at the end."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.reach = Reach(book.positions, book.names)
        self.elsewhere: dict[str, list[Elsewhere]] = defaultdict(list)  # sheet that is used -> by which formulas
        self.row: list[_Filled] = []  # the row of positions that is being read

    def take(self, title: str, column: int, row: int, width: int, text: str) -> Iterator[str]:
        """A formula and how many columns it fills; what is wrong with it in itself."""
        sheet = title.lower()
        area = self.book.positions.get(sheet)
        if area is None or not area.holds(Box(column, row, column, row)):
            self.reach.take(sheet, column, row, width, text)
            return
        problems = []
        for use in uses(text, sheet, self.book.names):
            if use.rows_move:
                problems.append(f"The reference {use.text} has no $ before its row; formulas here fill right only.")
            target = self.book.positions.get(use.sheet)
            if target is not None and target.meets(use.box) and min(use.box.right, target.right) > column:
                problems.append(f"The reference {use.text} reaches to the right of the formula's own token column.")
            elif target is None or not target.holds(use.box):
                self.elsewhere[use.sheet].append(Elsewhere(title, column, row, width, use))
        self.row.append(_Filled(column, width, text, not problems))
        yield from problems

    def array(self, title: str, area: Box, text: str) -> Iterator[str]:
        """An array formula: every cell of it uses all that the formula names."""
        yield from self.take(title, area.left, area.top, 1, text)
        cells = ((c, r) for r in range(area.top, area.bottom + 1) for c in range(area.left, area.right + 1))
        for _, (column, row) in zip(range(MAX_ARRAY), cells, strict=False):
            self.reach.take(title.lower(), column, row, 1, text)

    def end_of_row(self) -> Iterator[tuple[int, str]]:
        """(column, rule): formulas that are not the one that fills the rest of their row."""
        filled, self.row = self.row, []
        if len(filled) < 2:
            return
        forms = [relative(f.text, f.column) for f in filled]
        if len(set(forms)) == len(forms) and all(f.width == 1 for f in filled):
            return  # each column has its own
        widths: Counter[str] = Counter()
        for f, form in zip(filled, forms, strict=True):
            widths[form] += f.width
        usual = widths.most_common(1)[0][0]
        for f, form in zip(filled, forms, strict=True):
            if form != usual and f.sound:
                yield f.column, "The formula is not the one that fills the rest of its row."

    def round_about(self) -> Iterator[Problem]:
        """Formulas that see later tokens through cells outside the positions; when every sheet has been read."""
        self.reach.spread()
        reported: Counter[str] = Counter()
        for sheet in self.reach.cells:
            for e in self.elsewhere[sheet]:
                if reported[e.title] < MAX_PROBLEMS and (found := self._later(e)):
                    reported[e.title] += 1
                    yield found

    def _later(self, e: Elsewhere) -> Problem | None:
        moves = e.use.left_moves or e.use.right_moves
        for i in range(e.width if moves else 1):  # what doesn't move is nearest to the first column
            furthest, (column, row) = self.reach.of(e.use.sheet, e.use.moved(i))
            if furthest > e.column + i:
                cell, last = f"{get_column_letter(column)}{row}", get_column_letter(furthest)
                return Problem(
                    e.title,
                    f"{get_column_letter(e.column + i)}{e.row}",
                    f"The reference {e.use.text} leads to the right of the formula's own token column: "
                    f"{cell} depends on the tokens up to column {last}.",
                )
        return None


def relative(text: str, column: int) -> str:
    """The formula with its relative columns as distances from its own: `SUM($F$7:G$7)` in G is `SUM($F$7:[0]$7)`."""
    return _RELATIVE.sub(lambda m: m[1] or f"[{column_number(m[2]) - column}]", text)
