"""A heat map in the terminal: colours where there are some, shades of grey in plain text."""

from collections.abc import Iterable, Sequence

import pandas as pd
from rich.cells import set_cell_size
from rich.console import Console
from rich.text import Text

from sheetgpt.errors import visible

NAME, CELL = 14, 4  # columns of text: a row's name, a cell with the blank before it
LEAST = 0.005  # below it there is nothing to see
SHADES = " ░▒▓█"
WHITE, ORANGE, DEEP = (255, 255, 255), (249, 183, 107), (197, 90, 17)  # as on the sheets: at 0, 0.5 and 1


def heat_map(out: Console, shares: pd.DataFrame) -> None:
    """Shares from 0 to 1 in percent, a row and a column each under its name and number.

    What doesn't fit beside one another is printed below one another.
    """
    room = max(1, (out.width - NAME - CELL) // CELL)
    for first in range(0, shares.shape[1], room):
        band = shares.iloc[:, first : first + room]
        _line(out, "", "", [f"{t:>{CELL}}" for t in range(first, first + band.shape[1])])
        _line(out, "", "", [" " + _fitted(str(name), CELL - 1) for name in band.columns])
        for k, (name, row) in enumerate(band.iterrows()):
            _line(out, str(k), str(name), [_cell(out, share) for share in row])


def _line(out: Console, number: str, name: str, cells: Sequence[str | Text]) -> None:
    head = f"{number:>{CELL - 1}} {_fitted(name, NAME)}"
    out.print(Text.assemble(head, *cells), no_wrap=True, crop=False, overflow="ignore", soft_wrap=True)


def _fitted(text: str, width: int) -> str:
    """Cut or filled up to so many columns of the terminal."""
    return set_cell_size(visible(text), width)


def _cell(out: Console, share: float) -> Text:
    """A blank, and the percentage on its colour, or behind its shade."""
    if share != share:
        return Text(" " * CELL)
    if share < LEAST:
        return Text("·".rjust(CELL))
    number = f"{100 * share:.0f}"
    if out.color_system in (None, "standard"):  # in 16 colours there is no shade of orange
        shade = SHADES[min(4, int(share * 4 + 0.999))]
        return Text(" " + (shade + number.rjust(2) if len(number) < 3 else number))
    return Text.assemble(" ", (number.rjust(CELL - 1), f"black on rgb({colour(share)})"))


def colour(share: float) -> str:
    """Red, green and blue, as the colour scale of the sheets mixes them."""
    low, high, part = (WHITE, ORANGE, 2 * share) if share < 0.5 else (ORANGE, DEEP, 2 * share - 1)
    return ",".join(f"{a + part * (b - a):.0f}" for a, b in zip(low, high, strict=True))


def sentences(out: Console, lines: Iterable[str]) -> None:
    """As they are: a token may look like markup."""
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)
