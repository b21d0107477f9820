"""What every sheet with a token a column shares: the header rows, and sections of rows that each compute one tensor.

A section is plain data: where it lies, what it says, and `formula(i, t)`, the formula of its row i at position t.
The writer guards the formula with its column's `active` flag and fills it right from the row's first column.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import Row
from sheetgpt.sheets.grid import (
    ACTIVE_ROW,
    BIAS,
    FIRST_TOKEN,
    GAIN,
    HOME,
    ID_ROW,
    INDEX,
    LABEL,
    POSITION_ROW,
    SCALE,
    TITLE_ROW,
    TOKEN_ROW,
)
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import Prompt

Floats = NDArray[Any]


def letter(t: int) -> str:
    """The column of position t."""
    return get_column_letter(FIRST_TOKEN + t)


def token_sheet(
    layout: Layout,
    title: str,
    words: str,
    stream: Callable[[], Iterator[Row]],
    last: Area,
    dress: Callable[[Worksheet], None],
    tab: str = "2F5597",
    sections: Sequence[tuple[str, int]] = (),
) -> Sheet:
    """A sheet whose columns are positions, from the header on down to the area `last`."""
    return Sheet(
        *(title, words, stream, last.last_row, last.last_column),
        names=layout.names_on(title),
        positions=Area(title, POSITION_ROW, FIRST_TOKEN, last.last_row - POSITION_ROW + 1, layout.context),
        sections=sections,
        links=[("A2", f"{quoted(HOME)}!A1")],
        dress=lambda frame: _dress(frame, layout, tab, dress),
    )


def _dress(frame: Worksheet, layout: Layout, tab: str, more: Callable[[Worksheet], None]) -> None:
    """Widths and the frozen header, and what this sheet has beside them."""
    frame.sheet_properties.tabColor = tab
    frame.freeze_panes = f"{letter(0)}{ACTIVE_ROW + 1}"
    widths = {LABEL: 24, INDEX: 7, GAIN: 9, BIAS: 9, SCALE: 9 if layout.scaled else 3}
    for column, width in widths.items():
        frame.column_dimensions[get_column_letter(column)].width = width
    for t in range(layout.context):
        frame.column_dimensions[letter(t)].width = 9.5
    more(frame)


def header(
    layout: Layout,
    palette: Palette,
    prompt: Prompt,
    title: str,
    note: str,
    heads: Mapping[int, str] | None = None,
) -> Iterator[Row]:
    """The five rows above every token sheet: title, position, id, string, active. `heads` names columns B to E."""
    home, idle = layout, [""] * (layout.context - prompt.n)
    ids: Floats = np.array([*prompt.ids, *[np.nan] * len(idle)])
    active = np.array([1.0] * prompt.n + [0.0] * len(idle))
    titles = (rows.text(LABEL, title, palette["title"]), rows.text(FIRST_TOKEN, note, palette["note"]))
    yield rows.row(TITLE_ROW, *titles, height=24)
    positions = rows.numbers(FIRST_TOKEN, np.arange(layout.context), palette["id"])
    back = rows.text(LABEL, "← Home", palette["link"])
    label = rows.text(INDEX, "position", palette["label"])
    yield rows.row(POSITION_ROW, back, label, positions)
    strips: list[tuple[int, str, Area, rows.Values, str]] = [
        (ID_ROW, "token id", home["token_ids"], ids, "id"),
        (TOKEN_ROW, "token", home["token_text"], [*prompt.shown, *idle], "token"),
    ]
    for number, title, area, values, style in strips:
        source = guarded(area.down(0, ""), 0)
        cells = rows.fill_right(FIRST_TOKEN, source, values, palette[style])
        yield rows.row(number, rows.text(INDEX, title, palette["label"]), cells)
    columns = rows.text(LABEL, "tensor", palette["header"])
    own = {INDEX: "row", GAIN: "gain", BIAS: "bias"} | ({SCALE: "scale"} if layout.scaled else {})
    for column, head in (heads or own).items():
        columns += rows.text(column, head, palette["header"])
    flags = rows.fill_right(FIRST_TOKEN, home["active"].down(0, ""), active, palette["flag"])
    yield rows.row(ACTIVE_ROW, columns, flags)


def guarded(source: str, t: int, flag_row: int = ACTIVE_ROW, idle: str = '""') -> str:
    """Nothing is computed, and an empty cell shown, where the column's flag is 0."""
    return f"IF({letter(t)}${flag_row},{source},{idle})"
