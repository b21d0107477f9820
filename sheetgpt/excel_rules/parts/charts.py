"""What a drawing or chart says about the sheets: its anchors and the ranges of its series."""

import re
from collections import Counter
from collections.abc import Iterator

from sheetgpt.excel_rules.formula.formulas import FormulaCheck
from sheetgpt.excel_rules.formula.places import Place
from sheetgpt.excel_rules.package.xmlns import CHART, SPREADSHEET_DRAWING, Element, local, number
from sheetgpt.excel_rules.parts.number_format import number_format_fault
from sheetgpt.ooxml.limits import MAX_COLUMN, MAX_ROW

_OFFSET = re.compile(r"[-+]?[0-9]{1,18}")


def drawing_problems(tree: Element, formulas: FormulaCheck) -> Iterator[tuple[str, str]]:
    """(where, rule) for a drawing's or a chart's part."""
    for element in tree.iter(CHART + "f"):
        text = element.text or ""
        for rule in formulas.problems(text, place=Place.CHART):
            yield text, rule
        if "!" not in text:
            yield text, "The chart's range doesn't name its sheet."
    for element in tree.iter(CHART + "numFmt"):
        if fault := number_format_fault(code := element.get("formatCode") or ""):
            yield code, f"The number format {code!r} is not valid: {fault}."
    shapes = Counter(element.get("id") for element in tree.iter(SPREADSHEET_DRAWING + "cNvPr"))
    for shape, n in shapes.items():
        if n > 1:
            yield "cNvPr", f"{n} of the drawing's shapes have the id {shape}."
    for axis, limit in (("col", MAX_COLUMN), ("row", MAX_ROW)):
        for element in tree.iter(SPREADSHEET_DRAWING + axis):
            index = number(element.text)
            if index is None or index >= limit:
                yield local(element), f"The anchor's {axis} {element.text!r} lies outside the sheet."
        for element in tree.iter(f"{SPREADSHEET_DRAWING}{axis}Off"):
            if not _OFFSET.fullmatch(element.text or ""):
                yield local(element), f"The anchor's {axis}Off {element.text!r} is not a whole number (of EMU)."
