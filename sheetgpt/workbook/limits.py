"""The limits of a workbook, checked before anything is written, and what it takes to open one.

Sources: for rows, columns and formulas see `ooxml.limits`; for the file PKWARE's APPNOTE.TXT, section 4.3; for the
programs in a browser "File size limits for workbooks in SharePoint" (100 MB) and "Files you can store in Google Drive"
(10 million cells, 100 MB for an Excel file).
"""

from collections.abc import Iterable
from dataclasses import replace

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.quantize import EXACT, INT8
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.limits import MAX_COLUMN, MAX_FORMULA, MAX_ROW
from sheetgpt.sheets import optional_formulas
from sheetgpt.sheets.home.prompt import prompt_text
from sheetgpt.sheets.lab import edits
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.text.merging import ROUND
from sheetgpt.sheets.text.pages import Text
from sheetgpt.sheets.text.tokenizer import COLUMNS

MAX_FILE = 0xFFFFFFFF  # a zip file beyond 4 GiB needs ZIP64, which not every spreadsheet program reads

# Measured on normal numbers and GPT-2 small's shapes, one block, 16 columns.
FORMULA_BYTES = 11.5  # in the file, a formula cell
FORMULA_MEMORY, NUMBER_MEMORY = 1_600, 15  # in LibreOffice 7.4, bytes a cell
EMPTY_MEMORY = 300_000_000  # LibreOffice before it opens anything, and what a small workbook adds beside its cells

CELL_BYTES = 12  # of a cell in a sheet's XML, at the least: <c r="A1"/>

WEB_BYTES, GOOGLE_CELLS = 100_000_000, 10_000_000


def check_limits(layout: Layout, text: Text | None = None) -> None:
    """Names the first thing that would not fit: the file, a tensor on its sheet, a formula."""
    check_shapes(layout)
    length = len(prompt_text(layout, text))
    if length >= MAX_FORMULA:
        raise SheetGPTError(
            f"With --context {layout.context} the prompt's text on Home would need a formula of {length:,} characters; "
            f"Excel allows at most {MAX_FORMULA:,}."
        )


def check_shapes(layout: Layout) -> None:
    """What the model's shapes alone decide: the size of the file, and whether every tensor fits on its sheet."""
    size = file_bytes(layout)
    if size > MAX_FILE:
        less = file_bytes(replace(layout, weights=INT8)) <= MAX_FILE
        advice = "--weights int8 makes it smaller" if less else "build a smaller model"
        raise SheetGPTError(
            f"A workbook of {layout.config.n_params:,} weights and {layout.context} columns would take about "
            f"{size / 1e9:.1f} GB, and {memory_bytes(layout) / 1e9:.0f} GB of memory in LibreOffice. A workbook is a "
            f"zip file, which holds 4 GiB without an extension that some programs can't read: {advice}."
        )
    for tensor in layout.records.values():
        for area in tensor.areas:
            _fits(tensor.name, area)


def check_sheets(made: Iterable[Sheet]) -> None:
    """Whether every sheet fits, whatever the registry holds."""
    for sheet in made:
        _fits(f"The sheet {sheet.title}", sheet.area)


def check_described(layout: Layout, n_sheets: int, size: int) -> None:
    """Whether a file of so many sheets and bytes, unpacked, can hold what it says of itself.

    Everything that is then computed and compared grows with the layout, so this bounds it by what is really there.
    """
    described = layout.config.n_params
    if layout.config.n_layer <= n_sheets and described * CELL_BYTES <= size:
        described += _formulas(layout)
    if layout.config.n_layer > n_sheets or described * CELL_BYTES > size:
        raise SheetGPTError(
            f"it describes {described:,} cells (n_layer is {layout.config.n_layer}), and the file has only {size:,} "
            f"bytes and {n_sheets:,} sheets"
        )


def file_bytes(layout: Layout) -> float:
    """The size that the file will have, within about a tenth."""
    digits = {INT8: 2.3, EXACT: 7.6}
    number = digits.get(layout.weights) or min(7.6, 3.1 + 0.6 * int(layout.weights.split()[0]))
    return number * layout.config.n_params + FORMULA_BYTES * _formulas(layout)


def memory_bytes(layout: Layout) -> float:
    """What LibreOffice will take to open it, within about a fifth: formulas are most of it."""
    return EMPTY_MEMORY + NUMBER_MEMORY * layout.config.n_params + FORMULA_MEMORY * _formulas(layout)


def forecast(layout: Layout) -> str:
    """Before it is built: the file's size and LibreOffice's memory, in words."""
    size, memory = file_bytes(layout), memory_bytes(layout)
    cells = f"{layout.config.n_params:,} weights and {layout.context} token columns"
    needs = f"LibreOffice will need about {memory / 1e9:.1f} GB of memory to open it."
    return f"{cells} make a file of about {size / 1e6:,.{0 if size > 1e6 else 1}f} MB. {needs}"


def in_browsers(layout: Layout, size: float) -> str:
    """Which programs in a browser open a workbook of `size` bytes, as a sentence."""
    web = size <= WEB_BYTES
    google = web and layout.config.n_params + _formulas(layout) <= GOOGLE_CELLS
    if web and google:
        return "The file is small enough for Excel for the web and for Google Sheets."
    if web:
        return "The file is small enough for Excel for the web but too large for Google Sheets (10 million cells)."
    return "The file is too large for Excel for the web and for Google Sheets (100 MB each)."


def _formulas(layout: Layout) -> int:
    """Formula cells, nearly all: what has a name and is computed, the Tokenizer's, the optional sheets', the lanes'."""
    text = layout.prompt_bytes * (len(COLUMNS) + len(ROUND) * layout.merge_rounds)
    network = sum(tensor.area.n_cells for tensor in layout.records.values() if tensor.computed)
    edited = 0 if layout.lanes == 1 else edits.n_formulas(layout)
    return layout.lanes * (text + network) + edited + optional_formulas(layout)


def _fits(name: str, area: Area) -> None:
    if area.last_column > MAX_COLUMN:
        raise SheetGPTError(
            f"{name} would need {area.last_column:,} columns on the sheet {area.sheet}; a sheet has only "
            f"{MAX_COLUMN:,}."
        )
    if area.last_row > MAX_ROW:
        raise SheetGPTError(
            f"{name} would need {area.last_row:,} rows on the sheet {area.sheet}; a sheet has only {MAX_ROW:,}."
        )
