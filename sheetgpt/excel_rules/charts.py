"""What a drawing or chart says about the sheets: its anchors and the ranges of its series."""

from collections.abc import Iterator

from sheetgpt.excel_rules.formulas import FormulaCheck
from sheetgpt.excel_rules.references import MAX_COLUMN, MAX_ROW
from sheetgpt.excel_rules.xmlns import CHART, SPREADSHEET_DRAWING, Element, local, number


def drawing_problems(tree: Element, formulas: FormulaCheck) -> Iterator[tuple[str, str]]:
    """(where, rule) for a drawing's or a chart's part."""
    for element in tree.iter(CHART + "f"):
        text = element.text or ""
        for rule in formulas.problems(text, union=True):
            yield text, rule
        if "!" not in text:
            yield text, "The chart's range doesn't name its sheet."
    for axis, limit in (("col", MAX_COLUMN), ("row", MAX_ROW)):
        for element in tree.iter(SPREADSHEET_DRAWING + axis):
            index = number(element.text)
            if index is None or index >= limit:
                yield local(element), f"The anchor's {axis} {element.text!r} lies outside the sheet."
