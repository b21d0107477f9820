"""What holds in the columns that are positions, for every formula there:

- Causality. It reads no position to the right of its own, neither directly nor through cells elsewhere (`reach.py`).
  So, by induction over the columns, what stands in the column of position t depends on the tokens 0 … t alone.
- It fills right: `$` stands before every row number, and the formulas of a row are one formula, moved to the right.
  The exception is a row in which each column has a formula of another form than the others, such as attention's
  mixture of values, which grows by a key a column.
- Where there are two lanes, all this holds in each, and they are apart: lane A reads nothing of lane B. Lane B reads of
  lane A the positions up to its own, and only on a sheet without lane A, where lane B takes something from it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from openpyxl.utils import get_column_letter

from sheetgpt.excel_rules.book import Book
from sheetgpt.excel_rules.columns.directions import Directions
from sheetgpt.excel_rules.columns.filled import Filled, misfits, relative
from sheetgpt.excel_rules.columns.positions import A, B
from sheetgpt.excel_rules.columns.reach import Reach
from sheetgpt.excel_rules.formula.references import Box
from sheetgpt.excel_rules.formula.uses import Use, uses
from sheetgpt.excel_rules.problem import Problem

MAX_PROBLEMS = 50  # a sheet
MAX_ARRAY = 10_000  # cells of an array formula that are looked at; the workbook has none such


class Elsewhere(NamedTuple):
    """A formula in a column of positions that uses cells outside of them, in `width` columns."""

    title: str
    lane: str
    column: int
    row: int
    width: int
    use: Use


class Causality:
    """Takes every formula cell of the workbook, sheet by sheet; what goes round by other cells is known at the end."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.reach = Reach(book.positions, book.names)
        self.directions = Directions(book.names)
        self.elsewhere: dict[str, list[Elsewhere]] = defaultdict(list)  # sheet that is used -> by which formulas
        self.nameless: set[str] = set()  # sheets that lack lane A's name
        self.row: dict[str, list[Filled]] = defaultdict(list)  # by lane, of the row that is being read

    def take(self, title: str, column: int, row: int, width: int, text: str) -> Iterator[str]:
        """A formula and how many columns it fills; what is wrong with it in itself."""
        yield from self.directions.take(title, column, row, width, text)
        sheet, last, within = title.lower(), column + width - 1, 0
        for lane, area in self.book.positions.on(sheet):
            left, right = max(column, area.left), min(last, area.right)
            if area.top <= row <= area.bottom and left <= right:
                within += right - left + 1
                yield from self._filled(title, lane, left, row, right - left + 1, text, left - column)
        if within < width:
            self.reach.take(sheet, column, row, width, text)
            yield from self._undeclared(sheet, Box(column, row, last, row))

    def _filled(self, title: str, lane: str, column: int, row: int, width: int, text: str, moved: int) -> Iterator[str]:
        """A formula in some columns of one lane. `text` is as it stands `moved` columns before the first of them."""
        problems, sheet = [], title.lower()
        for use in uses(text, sheet, self.book.names):
            if moved:
                use = use._replace(box=use.moved(moved))
            if use.rows_move:
                problems.append(f"The reference {use.text} has no $ before its row; formulas here fill right only.")
            areas = self.book.positions.on(use.sheet)
            wrong = [rule for its, area in areas if (rule := self._direct(sheet, lane, column, width, use, its, area))]
            problems += wrong[:1]  # one is enough of a range over both lanes
            if not wrong and not any(area.holds(use.box) for _, area in areas):
                self.elsewhere[use.sheet].append(Elsewhere(title, lane, column, row, width, use))
        self.row[lane].append(Filled(column, width, relative(text, column - moved), not problems))
        yield from problems

    def _direct(self, sheet: str, lane: str, column: int, width: int, use: Use, its: str, area: Box) -> str | None:
        """What is wrong with a reference into the positions of the lane `its`."""
        if its == lane:
            if area.meets(use.box) and min(use.box.right, area.right) > column:
                return f"The reference {use.text} reaches to the right of the formula's own token column."
            return None
        if not area.meets(use.swept(width)):
            return None
        if lane == A:
            return f"The reference {use.text} reads lane B, and no formula of lane A may."
        if not self.book.positions.patches(sheet):
            return f"The reference {use.text} reads lane A, which lane B may read only on a sheet of its own."
        for i in {0, width - 1}:
            own, box = column + i - self.book.positions.step, use.moved(i)
            if area.meets(box) and min(box.right, area.right) > own:
                there = get_column_letter(max(own, 1))
                return f"The reference {use.text} reads lane A to the right of the formula's own position, {there}."
        return None

    def _undeclared(self, sheet: str, cells: Box) -> Iterator[str]:
        """A sheet passes for lane B's alone only where the columns of lane A are empty."""
        positions = self.book.positions
        if positions.a and positions.patches(sheet) and sheet not in self.nameless:
            area, step = positions.b[sheet], positions.step
            if area._replace(left=area.left - step, right=area.right - step).meets(cells):
                self.nameless.add(sheet)
                yield "The formula stands in a column of lane A, but no name tells where on this sheet lane A is."

    def array(self, title: str, area: Box, text: str) -> Iterator[str]:
        """An array formula: every cell of it uses all that the formula names."""
        yield from self.take(title, area.left, area.top, 1, text)
        cells = ((c, r) for r in range(area.top, area.bottom + 1) for c in range(area.left, area.right + 1))
        for _, (column, row) in zip(range(MAX_ARRAY), cells, strict=False):
            self.reach.take(title.lower(), column, row, 1, text)

    def end_of_row(self) -> Iterator[tuple[int, str]]:
        """(column, rule): formulas that are not the one that fills the rest of their row in their lane."""
        for filled in self.row.values():
            yield from misfits(filled)
        self.row.clear()
        yield from self.directions.end_of_row()

    def round_about(self) -> Iterator[Problem]:
        """Formulas that see later tokens through cells outside the positions; when every sheet has been read."""
        self.reach.spread()
        reported: Counter[str] = Counter()
        for sheet in self.reach.cells:
            for e in self.elsewhere[sheet] if not self.reach.gave_up else ():
                if reported[e.title] < MAX_PROBLEMS and (found := self._later(e)):
                    reported[e.title] += 1
                    yield found
        if self.reach.gave_up:
            rule = (
                "Cells outside the positions depend on one another in too many ways to follow, so it can't be checked"
            )
            yield Problem("", "", f"{rule} that no token sees a later one.")

    def _later(self, e: Elsewhere) -> Problem | None:
        positions, title = self.book.positions, e.title.lower()
        moves = e.use.left_moves or e.use.right_moves
        # what doesn't move is nearest to the first column
        for i in range(e.width) if moves else {0, e.width - 1}:
            if self.reach.gave_up:
                return None
            self.reach.steps += 1
            box = e.use.moved(i)
            wrong = self.reach.of(e.use.sheet, box) & ~positions.allowed(e.lane, title, e.column + i)
            if wrong:
                column, row = self.reach.furthest(e.use.sheet, box, wrong)
                cell, last = f"{get_column_letter(column)}{row}", wrong.bit_length() - 1
                rule = f"The reference {e.use.text} leads {self._led(e, last, cell)}"
                return Problem(e.title, f"{get_column_letter(e.column + i)}{e.row}", rule)
        return None

    def _led(self, e: Elsewhere, furthest: int, cell: str) -> str:
        """What is said of a reference that leads to the column `furthest` by way of a cell."""
        positions, last = self.book.positions, get_column_letter(furthest)
        if not positions.b or (e.lane == A) == (furthest < positions.first[B]):
            return f"to the right of the formula's own token column: {cell} depends on the tokens up to column {last}."
        if e.lane == A:
            return f"to lane B, which no formula of lane A may read: {cell} depends on column {last} there."
        if not positions.patches(e.title.lower()):
            return (
                f"to lane A, which lane B may read only on a sheet of its own: {cell} depends on column {last} there."
            )
        return f"to a later position of lane A than the formula's own: {cell} depends on column {last} there."
