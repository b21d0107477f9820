"""A rectangle of cells: where it lies, and how formulas, defined names and engines write it.

`row` and `column` are those of the sheet and count from 1, as its addresses do. Indices inside a rectangle, `line(i)`,
`stripe(j)`, `at(i, j)`, count from 0; -1 is the row above it, or the column on its left.
"""

import re
from dataclasses import dataclass

from openpyxl.utils import column_index_from_string, get_column_letter

from sheetgpt.ooxml.limits import MAX_COLUMN, MAX_ROW

_CORNER = r"\$?([A-Za-z]{1,3})\$?([1-9][0-9]{0,6})"
_CELLS = re.compile(f"{_CORNER}(?::{_CORNER})?")


@dataclass(frozen=True)
class Area:
    """A rectangle of cells on one sheet."""

    sheet: str
    row: int
    column: int
    n_rows: int = 1
    n_columns: int = 1

    @classmethod
    def parse(cls, reference: str) -> "Area | None":
        """`Sheet!B7:K7` or `'Sheet'!$B$7`; None when it is anything else, such as a union or a broken reference."""
        sheet, _, cells = reference.rpartition("!")
        if sheet.startswith("'") and sheet.endswith("'"):
            sheet = sheet[1:-1].replace("''", "'")
        found = _CELLS.fullmatch(cells)
        if not sheet or found is None:
            return None
        left, top, right, bottom = found.groups()
        columns = sorted(column_index_from_string(letters) for letters in (left, right or left))
        rows = sorted(int(digits) for digits in (top, bottom or top))
        if columns[1] > MAX_COLUMN or rows[1] > MAX_ROW:
            return None
        return cls(sheet, rows[0], columns[0], rows[1] - rows[0] + 1, columns[1] - columns[0] + 1)

    @property
    def last_row(self) -> int:
        return self.row + self.n_rows - 1

    @property
    def last_column(self) -> int:
        return self.column + self.n_columns - 1

    @property
    def n_cells(self) -> int:
        return self.n_rows * self.n_columns

    # Parts of it

    def line(self, i: int) -> "Area":
        """Row i."""
        return Area(self.sheet, self.row + i, self.column, 1, self.n_columns)

    def stripe(self, j: int) -> "Area":
        """Column j."""
        return Area(self.sheet, self.row, self.column + j, self.n_rows, 1)

    def rows_of(self, first: int, n: int) -> "Area":
        """n rows from row `first` on."""
        return Area(self.sheet, self.row + first, self.column, n, self.n_columns)

    def columns_of(self, first: int, n: int) -> "Area":
        """n columns from column `first` on."""
        return Area(self.sheet, self.row, self.column + first, self.n_rows, n)

    # References to it

    @property
    def cells(self) -> str:
        """Without dollars and sheet: `F21:AK788`."""
        first = f"{get_column_letter(self.column)}{self.row}"
        last = f"{get_column_letter(self.last_column)}{self.last_row}"
        return first if first == last else f"{first}:{last}"

    @property
    def local(self) -> str:
        """Absolute, for formulas on its own sheet: `$C$4:$C$771`."""
        first = f"${get_column_letter(self.column)}${self.row}"
        last = f"${get_column_letter(self.last_column)}${self.last_row}"
        return first if first == last else f"{first}:{last}"

    @property
    def reference(self) -> str:
        """Absolute, with its sheet: `'Block 0 weights'!$C$4:$C$771`."""
        return f"{quoted(self.sheet)}!{self.local}"

    @property
    def corners(self) -> str:
        """The same with two corners even for a single cell, as IronCalc's INDEX and MATCH want a list of one."""
        return self.reference if self.n_rows * self.n_columns > 1 else f"{self.reference}:{self.local}"

    def at(self, i: int, j: int = 0, on: str | None = None) -> str:
        """Its cell in row i and column j, `F$21`: the column moves along when the formula fills right, the row stays.

        `on`: the sheet of the formula, "" for any other than the rectangle's own; without it, that.
        """
        return f"{self._away(on)}{get_column_letter(self.column + j)}${self.row + i}"

    def down(self, j: int, on: str | None = None) -> str:
        """All of its column j, as `at` writes a cell: `F$21:F$788`."""
        letters = get_column_letter(self.column + j)
        first = f"{self._away(on)}{letters}${self.row}"
        return first if self.n_rows == 1 else f"{first}:{letters}${self.last_row}"

    def _away(self, on: str | None) -> str:
        return "" if on is None or on == self.sheet else quoted(self.sheet) + "!"


def quoted(sheet: str) -> str:
    return "'" + sheet.replace("'", "''") + "'"
