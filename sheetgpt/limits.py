"""Excel's limits, checked before anything is written: rows, columns and the length of a formula.

Source: "Excel specifications and limits", support.microsoft.com.
"""

from sheetgpt.errors import SheetGPTError
from sheetgpt.layout import MAX_COLUMNS, MAX_FORMULA, MAX_ROWS, Area, Layout
from sheetgpt.sheets.home_prompt import Text, prompt_text


def check_limits(layout: Layout, text: Text | None = None) -> None:
    """Names the first tensor that would not fit on its sheet."""
    weights = {name: area for name, areas in layout.params.items() for area in areas}
    for name, area in (layout.tensors | weights | layout.softmax | layout.vocabulary).items():
        _fits(name, area)
    length = len(prompt_text(layout, text))
    if length >= MAX_FORMULA:
        raise SheetGPTError(
            f"With --context {layout.context} the prompt's text on Home would need a formula of {length:,} characters; "
            f"a formula has at most {MAX_FORMULA:,}."
        )


def _fits(name: str, area: Area) -> None:
    if area.last_column > MAX_COLUMNS:
        raise SheetGPTError(
            f"{name} would need {area.last_column:,} columns on the sheet {area.sheet}; a sheet has {MAX_COLUMNS:,}."
        )
    if area.last_row > MAX_ROWS:
        raise SheetGPTError(
            f"{name} would need {area.last_row:,} rows on the sheet {area.sheet}; a sheet has {MAX_ROWS:,}."
        )
