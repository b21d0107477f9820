"""What the checks of single sheets need to know of the whole workbook, as plain data."""

from dataclasses import dataclass

from sheetgpt.excel_rules.columns.positions import Positions
from sheetgpt.excel_rules.formula.grammar import Reference


@dataclass(frozen=True)
class Book:
    """`titles`: part of a worksheet -> its title. `names`: workbook-level names in lower case -> what they refer to.

    `positions`: the cells of each sheet whose columns are positions, as the workbook's own names tell it.
    """

    titles: dict[str, str]
    names: dict[str, list[Reference]]
    positions: Positions
    n_styles: int
    n_dxfs: int
    n_strings: int
