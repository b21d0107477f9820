"""What the cells of a name say, taken for what they may be: a number, a text, ids."""

import math
from collections.abc import Sequence

from sheetgpt.engines import Cells
from sheetgpt.sheets.optional import Value


def scalar_of(cells: Cells) -> float | str:
    return cells.texts[0, 0] if (0, 0) in cells.texts else float(cells.numbers[0, 0])


def typed(cells: Cells) -> Value:
    """A number, a text, or "" where the cell is empty."""
    value = scalar_of(cells)
    return "" if value != value else value


def entry(cells: Cells, i: int, j: int) -> Value:
    """A number, a text, or "" where the cell is empty."""
    value = cells.texts.get((i, j), float(cells.numbers[i, j]))
    return "" if value != value else value


def number_of(cells: Cells | None, otherwise: float) -> float:
    """The cell's number; a blank cell counts as 0, a text is no number."""
    if cells is None:
        return otherwise
    value = float(cells.numbers[0, 0])
    return 0.0 if math.isnan(value) and not cells.texts else value


def numbers_of(cells: Cells | None, otherwise: Sequence[float]) -> Sequence[float]:
    return otherwise if cells is None else cells.numbers.ravel().tolist()


def text_of(cells: Cells | None) -> str:
    """The cell's text; a number as a spreadsheet joins it to a text."""
    if cells is None or (0, 0) in cells.texts:
        return "" if cells is None else cells.texts[0, 0]
    value = float(cells.numbers[0, 0])
    return "" if math.isnan(value) else f"{value:.15g}"


def ids_of(cells: Cells | None) -> tuple[int, ...]:
    """The ids up to the first cell that holds none."""
    ids = []
    for value in [] if cells is None else cells.numbers.ravel():
        if not math.isfinite(value) or value != int(value):
            break
        ids.append(int(value))
    return tuple(ids)


def whole(name: str, value: float | str, least: int = 0, most: int = 1 << 31) -> int:
    """The cell's whole number: a part of one that int() would drop is damage, too."""
    if isinstance(value, str) or not least <= value <= most or value != int(value):
        raise ValueError(f"{name} holds {value!r:.80}, not a whole number from {least} to {most}")
    return int(value)


def real(name: str, value: float | str) -> float:
    """The cell's number."""
    if isinstance(value, str):
        raise ValueError(f"{name} holds {value!r:.80}, not a number")
    return value
