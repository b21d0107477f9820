"""What the checks of single sheets need to know of the whole workbook, as plain data."""

from dataclasses import dataclass

from sheetgpt.excel_rules.grammar import Reference
from sheetgpt.excel_rules.references import Box


@dataclass(frozen=True)
class Book:
    """`titles`: part of a worksheet -> its title. `names`: workbook-level names in lower case -> what they refer to.

    `positions`: title in lower case -> the cells of that sheet whose columns are positions, as the workbook's own names
    tell it (`positions.py`).
    """

    titles: dict[str, str]
    names: dict[str, list[Reference]]
    positions: dict[str, Box]
    n_styles: int
    n_dxfs: int
    n_strings: int
