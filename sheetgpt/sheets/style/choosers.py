"""Yellow cells in which one thing out of several is chosen, from a list that the cell offers.

What is typed there may still be anything: beside the cell stands what the sheet shows, `whole`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.optional import Value


@dataclass(frozen=True)
class Chooser:
    """`offered`: the cells whose entries the list shows, on the same sheet."""

    name: str  # the cell's, as a defined name
    cell: Area
    offered: Area
    title: str
    words: str  # what is said when something else is typed

    def validate(self, frame: Worksheet) -> None:
        """Puts the list into the cell."""
        rule = DataValidation("list", formula1=self.offered.local, allow_blank=True)
        # no input message: it would cover what the sheet says of the choice, below the cell
        rule.errorTitle, rule.error = self.title, f"{self.words} Choose an entry of the list."
        rule.showErrorMessage = True
        rule.add(self.cell.cells)
        frame.add_data_validation(rule)


def whole(typed: str, last: str, otherwise: str) -> str:
    """The whole number from 0 to `last` that is typed, without its decimals; `otherwise` where it is none."""
    return f"IF(ISNUMBER({typed}),IF(AND({typed}>=0,{typed}<={last}),INT({typed}),{otherwise}),{otherwise})"


def whole_now(typed: Value, last: int, otherwise: int) -> int:
    """The twin of `whole`."""
    return int(typed) if isinstance(typed, int | float) and 0 <= typed <= last else otherwise


def whole_below(cell: str, limit: int) -> str:
    """Whether it holds a whole number from 0 on, below the limit."""
    return f"IF(ISNUMBER({cell}),AND({cell}>=0,{cell}<{limit},INT({cell})={cell}),FALSE)"


def offered(typed: str, shown: str, usual: Sequence[str] = ()) -> str:
    """Whether what is typed is what is shown; an empty cell is fine, and the `usual` words."""
    equal = ",".join(f'{typed}="{word}"' for word in ("", *usual))
    words = f"OR({equal})"
    return f"IF(ISNUMBER({typed}),{typed}={shown},IF(ISTEXT({typed}),{words},ISBLANK({typed})))"


def offered_now(typed: Value, shown: int, usual: Sequence[str] = ()) -> bool:
    """The twin of `offered`. A spreadsheet's = knows no small and capital letters."""
    return typed.lower() in ("", *usual) if isinstance(typed, str) else typed == shown
