"""Looks beyond a cell's style: a sheet's tab, widths and what stays in sight; colours by value; what yellow cells take.

`dress` is one of a page's dresses; `scale`, `takes` and `takes_one_of` are colours of a block.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from openpyxl.formatting.rule import ColorScaleRule, FormulaRule, Rule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import letters
from sheetgpt.sheets.block import Colour

ORANGE, GREEN, PURPLE = "C55A11", "548235", "7030A0"  # of tabs, and of what stands out
BLUE = "2F5597"


def dress(
    widths: Mapping[int, float], tab: str = "", freeze: str = "", gridlines: bool = True, folds: bool = False
) -> Callable[[Worksheet], None]:
    """`widths`: by column; `freeze`: the first cell that moves; `folds`: rows that only formulas need are folded."""

    def dressed(frame: Worksheet) -> None:
        for column, width in widths.items():
            frame.column_dimensions[letters(column)].width = width
        if tab:
            frame.sheet_properties.tabColor = tab
        if freeze:
            frame.freeze_panes = freeze
        if not gridlines:
            frame.sheet_view.showGridLines = False
        if folds:
            folding(frame)

    return dressed


def folding(frame: Worksheet) -> None:
    """There are rows with a [+]."""
    frame.sheet_format.outlineLevelRow = 1


def fold_columns(frame: Worksheet, columns: Iterable[int]) -> None:
    """Out of sight behind a [+] above the column that follows."""
    folded = {*columns}
    frame.column_dimensions.max_outline = 1  # from which openpyxl writes outlineLevelCol, Excel's margin for the [+]
    for column in sorted(folded):
        frame.column_dimensions[letters(column)].outlineLevel = 1
        frame.column_dimensions[letters(column)].hidden = True
        if column + 1 not in folded:
            frame.column_dimensions[letters(column + 1)].collapsed = True


def put(frame: Worksheet, area: Area, *rules: Rule) -> None:
    for rule in rules:
        frame.conditional_formatting.add(area.cells, rule)


def scale(*stops: Any) -> Colour:
    """From colour to colour: of each stop its kind ("num", "min", "max", "formula"), its value, and the colour."""
    return lambda frame, area: put(frame, area, ColorScaleRule(*stops))


def signed(limit: float) -> Colour:
    """Blue below zero, white at zero, red above."""
    return scale("num", -limit, "6FA8DC", "num", 0, "FFFFFF", "num", limit, "E06666")


probability = scale("num", 0, "FFFFFF", "num", 0.5, "F9B76B", "num", 1, ORANGE)  # white at 0, deep orange at 1


def deep(fill: str = ORANGE) -> dict[str, Any]:
    """White on a deep colour."""
    return {"font": Font(bold=True, color="FFFFFF"), "fill": PatternFill(bgColor=fill)}


def stands_out(condition: str, fill: str = ORANGE, stop: bool = False) -> Rule:
    rule: Rule = FormulaRule([condition], stopIfTrue=stop or None, **deep(fill))
    return rule


def warns(condition: str) -> Rule:
    """Red: for a sentence that runs on over the next cells, which stay white."""
    rule: Rule = FormulaRule([condition], font=Font(bold=True, color="C00000"))
    return rule


def plain(condition: str, stop: bool = True) -> Rule:
    """White, whatever else would colour the cell."""
    rule: Rule = FormulaRule([condition], fill=PatternFill(bgColor="FFFFFF"), stopIfTrue=stop or None)
    return rule


def takes(title: str, words: str, least: float, most: float, whole: bool = True, hint: str = "") -> Colour:
    """What cells take. A `hint` is shown when one is selected; it covers what is beside the cell."""
    limits = f"{least:g}", f"{most:.0f}"

    def add(frame: Worksheet, area: Area) -> None:
        rule = DataValidation("whole" if whole else "decimal", operator="between", allow_blank=True)
        rule.formula1, rule.formula2 = limits
        say(frame, area, rule, title, words, hint)

    return add


def takes_one_of(title: str, words: str, *offered: str) -> Colour:
    def add(frame: Worksheet, area: Area) -> None:
        say(frame, area, DataValidation("list", formula1=f'"{",".join(offered)}"', allow_blank=True), title, words)

    return add


def say(frame: Worksheet, area: Area, rule: DataValidation, title: str, words: str, hint: str = "") -> None:
    rule.errorTitle, rule.error, rule.showErrorMessage = title[:32], words, True
    if hint:
        rule.promptTitle, rule.prompt, rule.showInputMessage = title[:32], hint, True
    rule.add(area.cells)
    frame.add_data_validation(rule)
