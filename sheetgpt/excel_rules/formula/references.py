"""Cells and ranges in A1 notation, and what lies inside a worksheet of 1,048,576 rows and 16,384 columns.

Not `ooxml.area.Area`, on purpose: these read files of any origin, and must not share a mistake with what writes ours.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from sheetgpt.ooxml.limits import MAX_COLUMN, MAX_ROW

_CELL = re.compile(r"([A-Z]{1,3})([1-9]\d{0,6})")
_R1C1 = re.compile(r"(?:(R)C?|(C))(\d+)", re.IGNORECASE)


class Box(NamedTuple):
    """A rectangle of cells, 1-based, its corners included."""

    left: int
    top: int
    right: int
    bottom: int

    def holds(self, other: "Box") -> bool:
        return (
            self.left <= other.left
            and self.top <= other.top
            and other.right <= self.right
            and other.bottom <= self.bottom
        )

    def meets(self, other: "Box") -> bool:
        return (
            self.left <= other.right
            and other.left <= self.right
            and self.top <= other.bottom
            and other.top <= self.bottom
        )


def begins_like_r1c1(name: str) -> bool:
    """`C1_FOO`, `r12` and `RC3x`, which Excel reads as row 12 or column 1 in R1C1 notation; `C16385x` is no column.

    A name must not begin so ([MS-XLSB] 2.5.166 XLNameWideString; Orbeon Forms #5514 found it in Excel), a sheet's name
    needs quotes then (EPPlus #214, Apache POI #545, XlsxWriter #1078).
    """
    found = _R1C1.match(name)
    if not found:
        return False
    is_row = bool(found[1]) and found[0][1] not in "cC"
    return 1 <= int(found[3]) <= (MAX_ROW if is_row else MAX_COLUMN)


@lru_cache(maxsize=MAX_COLUMN)
def column_number(letters: str) -> int:
    """`A` -> 1, `XFD` -> 16384; beyond that it goes on, for the caller to refuse."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number


def cell(text: str) -> tuple[int, int] | None:
    """Column and row of `F12`; None for anything that is no cell of a sheet."""
    found = _CELL.fullmatch(text)
    if not found:
        return None
    column, row = column_number(found[1]), int(found[2])
    return (column, row) if column <= MAX_COLUMN and row <= MAX_ROW else None


def box(text: str | None) -> Box | None:
    """`A1` or `A1:B2`, first corner first, inside a sheet; None otherwise."""
    first, _, last = (text or "").partition(":")
    start = cell(first)
    end = cell(last) if last else start
    if start is None or end is None or start[0] > end[0] or start[1] > end[1]:
        return None
    return Box(*start, *end)


def boxes(sqref: str | None) -> list[Box] | None:
    """The ranges of a `sqref`, parted by spaces; None if one of them is no range."""
    found = [box(text) for text in (sqref or "").split()]
    return [b for b in found if b] if found and all(found) else None
