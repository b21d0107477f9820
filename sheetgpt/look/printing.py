"""A heat map in the terminal: colours where there are some, shades of grey in plain text. And a result in a file."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd
from rich.cells import set_cell_size
from rich.console import Console
from rich.text import Text

from sheetgpt import system
from sheetgpt.errors import SheetGPTError, visible
from sheetgpt.ooxml.writing import unfinished

NAME, CELL, SIGNED = (
    14,
    4,
    6,
)  # columns of text: a row's name, a cell with the blank before it, one with room for a sign
LEAST = 0.005  # below it there is nothing to see
SHADES, ASCII_SHADES = " ░▒▓█", " .:*#"  # an escape for what an encoding lacks would push the columns aside
WHITE, ORANGE, DEEP = (255, 255, 255), (249, 183, 107), (197, 90, 17)  # as on the sheets: at 0, 0.5 and 1
SKY, BLUE = (142, 184, 229), (47, 117, 181)  # at -0.5 and -1
MOST = 999  # percent, above and below 0, that a cell has room for


def heat_map(out: Console, shares: pd.DataFrame) -> None:
    """Shares from 0 to 1 in percent, a row and a column each under its name and number.

    What doesn't fit beside one another is printed below one another.
    """
    _map(out, shares, CELL, _cell)


def signed_map(out: Console, values: pd.DataFrame, percent: bool) -> None:
    """The same of numbers that may be below 0 or above 1: shares in percent, or else changes as they are.

    Changes are coloured by the largest of them.
    """
    most = 1.0 if percent else float(values.abs().to_numpy().max(initial=0)) or 1.0
    _map(out, values, SIGNED, lambda out, value: _signed_cell(out, value / most, _signed(value, percent)))


def _map(out: Console, shares: pd.DataFrame, width: int, cell: Callable[[Console, float], Text]) -> None:
    room = max(1, (out.width - NAME - CELL) // width)
    for first in range(0, shares.shape[1], room):
        band = shares.iloc[:, first : first + room]
        _line(out, "", "", [f"{t:>{width}}" for t in range(first, first + band.shape[1])])
        _line(out, "", "", [" " + _fitted(out, str(name), width - 1) for name in band.columns])
        for k, (name, row) in enumerate(band.iterrows()):
            _line(out, str(k), str(name), [cell(out, share) for share in row])


def _line(out: Console, number: str, name: str, cells: Sequence[str | Text]) -> None:
    head = f"{number:>{CELL - 1}} {_fitted(out, name, NAME)}"
    out.print(Text.assemble(head, *cells), no_wrap=True, crop=False, overflow="ignore", soft_wrap=True)


def _fitted(out: Console, text: str, width: int) -> str:
    """Cut or filled up to so many columns of the terminal, with escapes for what its encoding lacks."""
    shown = visible(text).encode(out.encoding, "backslashreplace").decode(out.encoding)
    return set_cell_size(shown, width)


def _cell(out: Console, share: float) -> Text:
    """A blank, and the percentage on its colour, or behind its shade."""
    if share != share:
        return Text(" " * CELL)
    if share < LEAST:
        return Text("·".rjust(CELL))
    number = f"{100 * share:.0f}"
    if out.color_system in (None, "standard"):  # in 16 colours there is no shade of orange
        shade = _shades(out)[min(4, int(share * 4 + 0.999))]
        return Text(" " + (shade + number.rjust(2) if len(number) < 3 else number))
    return Text.assemble(" ", (number.rjust(CELL - 1), f"black on rgb({colour(share)})"))


def _shades(out: Console) -> str:
    try:
        SHADES.encode(out.encoding)
    except UnicodeEncodeError:
        return ASCII_SHADES
    return SHADES


def _signed(value: float, percent: bool) -> str:
    if not percent:
        digits = next((d for d in (2, 1, 0) if len(f"{value:+.{d}f}") < SIGNED), None)
        return f"{value:+.0e}".replace("e+0", "e") if digits is None else f"{value:+.{digits}f}"
    number = round(100 * value)
    return f">{MOST}" if number > MOST else f"<-{MOST}" if number < -MOST else str(number)


def _signed_cell(out: Console, share: float, number: str) -> Text:
    """A blank, and the number on its colour, warm above 0 and cold below, or behind the shade of its size."""
    if abs(share) < LEAST:
        return Text("·".rjust(SIGNED))
    size = min(1.0, abs(share))
    if out.color_system in (None, "standard"):
        shade = _shades(out)[min(4, int(size * 4 + 0.999))]
        return Text(" " + (shade + number.rjust(SIGNED - 2) if len(number) < SIGNED - 1 else number))
    return Text.assemble(" ", (number.rjust(SIGNED - 1), f"black on rgb({colour(size if share > 0 else -size)})"))


def colour(share: float) -> str:
    """Red, green and blue, as the colour scale of the sheets mixes them; below 0 from white to blue."""
    middle, end, size = (SKY, BLUE, -share) if share < 0 else (ORANGE, DEEP, share)
    low, high, part = (WHITE, middle, 2 * size) if size < 0.5 else (middle, end, 2 * size - 1)
    return ",".join(f"{a + part * (b - a):.0f}" for a, b in zip(low, high, strict=True))


def sentences(out: Console, lines: Iterable[str]) -> None:
    """As they are: a token may look like markup."""
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def write(path: Path, text: str) -> None:
    """A whole file or none."""
    try:
        with unfinished.whole(path) as whole:
            whole.write_text(text + "\n", "utf-8")
    except OSError as error:
        raise SheetGPTError(f"{path} can't be written: {system.refusal(error, path)}.") from error
