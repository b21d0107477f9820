"""The Vocabulary sheet: a token a row, as it is shown above the columns and as the bytes that it stands for."""

from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import quoted
from sheetgpt.ooxml.rows import Row
from sheetgpt.sheets.grid import HOME, VOCABULARY
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet

FIRST_ENTRY = 4


def sheet(
    layout: Layout,
    palette: Palette,
    shown: Sequence[str],
    hexes: Sequence[str],
    scales: NDArray[Any] | None = None,
) -> Sheet:
    """`scales`: of the columns of `wte` [n_vocab], where they have no place in the Output sheet."""
    return Sheet(
        VOCABULARY,
        "every token, by id",
        lambda: _rows(palette, shown, hexes, scales),
        *(FIRST_ENTRY - 1 + len(shown), 3 if scales is None else 4),
        names=layout.names_on(VOCABULARY),
        links=[("A2", f"{quoted(HOME)}!A1")],
        dress=_dress,
    )


def _dress(frame: Worksheet) -> None:
    frame.sheet_properties.tabColor = "548235"
    frame.freeze_panes = f"A{FIRST_ENTRY}"
    for column, width in zip("ABC", (10, 24, 24), strict=True):
        frame.column_dimensions[column].width = width


def _rows(palette: Palette, shown: Sequence[str], hexes: Sequence[str], scales: NDArray[Any] | None) -> Iterator[Row]:
    heads = ("id", "token", "bytes, hexadecimal", *(() if scales is None else ("scale in wte",)))
    note = "One token per row. · is a space, ↵ a line break, ⟨E2⟩ a byte that is only part of a character."
    yield rows.row(1, rows.text(1, "Vocabulary", palette["title"]), rows.text(3, note, palette["note"]), height=24)
    yield rows.row(2, rows.text(1, "← Home", palette["link"]))
    yield rows.row(3, *(rows.text(c, name, palette["header"]) for c, name in enumerate(heads, 1)))
    for i, (a, b) in enumerate(zip(shown, hexes, strict=True)):
        cells = [
            rows.number(1, i, palette["id"]),
            rows.text(2, a, palette["label"]),
            rows.text(3, b, palette["label"]),
        ]
        if scales is not None:
            cells.append(rows.numbers(4, scales[i : i + 1], palette["tiny"]))
        yield rows.row(FIRST_ENTRY + i, *cells)
