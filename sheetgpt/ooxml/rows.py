"""Rows of a worksheet as plain data: what each cell shows, and for a formula what it must come to.

A row holds pieces, cells side by side. `xml.py` writes them into the file, values cached; verification holds the same
values against what a spreadsheet program computes. So no cell can be written and not be checked.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from openpyxl.utils import get_column_letter

Values = NDArray[np.number] | Sequence[str] | Sequence[float] | Sequence[float | str]


Sources = str | Sequence[str] | Callable[[], str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Text:
    """A constant text; one that begins with = stays text. An empty one is a cell that only has a style."""

    column: int
    value: str
    style: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """Constant numbers side by side from `column` on. Compact: only the first has its address in the file."""

    column: int
    values: NDArray[np.number]
    style: int
    compact: bool = False


@dataclass(frozen=True, slots=True)
class Formulas:
    """Formulas side by side from `column` on, without their `=`, and what each comes to; NaN is the empty text.

    `sources` is one formula that fills right, its relative columns moving along, or one for every column; or a function
    that makes them, since only the writer needs them. `doubt` is
    what the rounding of its inputs may cost, relative: some results can't be known better.
    """

    column: int
    sources: Sources
    values: Values
    style: int
    doubt: float | NDArray[np.float64] = 0.0


Piece = Text | Numbers | Formulas
Cells = tuple[Piece, ...]  # of one row, in the order of their columns


@dataclass(frozen=True, slots=True)
class Row:
    number: int
    pieces: Cells
    height: float | None = None  # points
    folded: bool = False


def row(number: int, *cells: Cells, height: float | None = None, folded: bool = False) -> Row:
    """`folded`: out of sight behind a [+] in the margin."""
    return Row(number, joined(cells), height, folded)


def joined(cells: Iterable[Cells]) -> Cells:
    return tuple(chain.from_iterable(cells))


def text(column: int, value: str, style: int = 0) -> Cells:
    return (Text(column, value, style),)


def blank(column: int, style: int) -> Cells:
    return (Text(column, "", style),)


def number(column: int, value: float, style: int = 0) -> Cells:
    return (Numbers(column, np.array([value]), style),)


def numbers(first: int, values: NDArray[np.number], style: int = 0) -> Cells:
    return (Numbers(first, values, style),)


def compact_numbers(first: int, values: NDArray[np.number]) -> Cells:
    """Half of the file where the numbers are short (1.9 against 4.5 bytes a cell for int8).

    Excel and LibreOffice read it, Gnumeric takes the cells for empty ones.
    """
    return (Numbers(first, values, 0, compact=True),)


def formula(
    column: int, source: str | Callable[[], str], value: float | str, style: int = 0, doubt: float = 0.0
) -> Cells:
    """One formula, without its `=`, or what makes it, and the value that it has now."""
    return (Formulas(column, source, [value], style, doubt),)


def fill_right(
    first: int, source: str, values: Values, style: int = 0, doubt: float | NDArray[np.float64] = 0.0
) -> Cells:
    """One formula from column `first` on, a cell for each value."""
    return (Formulas(first, source, values, style, doubt),)


def each(first: int, sources: Sequence[str] | Callable[[], Sequence[str]], values: Values, style: int = 0) -> Cells:
    """A formula of its own in every column."""
    return (Formulas(first, sources, values, style),)


def letters(column: int) -> str:
    """`AK` for 37."""
    found: str = get_column_letter(column)
    return found
