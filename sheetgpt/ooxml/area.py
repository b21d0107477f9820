"""A rectangle of cells, and how formulas and defined names refer to it."""

from dataclasses import dataclass

from openpyxl.utils import get_column_letter


@dataclass(frozen=True)
class Area:
    """A rectangle of cells, 1-based."""

    sheet: str
    row: int
    column: int
    n_rows: int = 1
    n_columns: int = 1

    @property
    def last_row(self) -> int:
        return self.row + self.n_rows - 1

    @property
    def last_column(self) -> int:
        return self.column + self.n_columns - 1

    @property
    def cells(self) -> str:
        """`F$21:AK$788` without the dollars: `F21:AK788`."""
        first = f"{get_column_letter(self.column)}{self.row}"
        last = f"{get_column_letter(self.last_column)}{self.last_row}"
        return first if first == last else f"{first}:{last}"

    @property
    def reference(self) -> str:
        """Absolute, with its sheet: `'Block 0 weights'!$C$4:$C$771`."""
        first = f"${get_column_letter(self.column)}${self.row}"
        last = f"${get_column_letter(self.last_column)}${self.last_row}"
        return f"{quoted(self.sheet)}!{first if first == last else f'{first}:{last}'}"

    @property
    def local(self) -> str:
        """Absolute, for formulas on its own sheet: `$C$4:$C$771`."""
        return self.reference.rpartition("!")[2]

    def line(self, i: int) -> "Area":
        """Row i of the rectangle, 0-based."""
        return Area(self.sheet, self.row + i, self.column, 1, self.n_columns)

    def stripe(self, i: int) -> "Area":
        """Column i of the rectangle, 0-based."""
        return Area(self.sheet, self.row, self.column + i, self.n_rows, 1)

    def rows_of(self, first: int, n: int) -> "Area":
        return Area(self.sheet, self.row + first, self.column, n, self.n_columns)


def quoted(sheet: str) -> str:
    return "'" + sheet.replace("'", "''") + "'"
