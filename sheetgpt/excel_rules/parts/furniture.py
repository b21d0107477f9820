"""What stands around a sheet's rows: dimension, columns, merged ranges, headers, formats, validations, links, panes.

(ECMA-376 part 1, section 18.3.1, and [MS-OI29500], where Excel is stricter.) The order of the elements is the schema's
affair, see `schema.py`.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from heapq import heappop, heappush

from sheetgpt.excel_rules.book import Book
from sheetgpt.excel_rules.formula.formulas import FormulaCheck
from sheetgpt.excel_rules.formula.grammar import read
from sheetgpt.excel_rules.formula.places import Place
from sheetgpt.excel_rules.formula.references import Box, box, boxes, cell
from sheetgpt.excel_rules.package.xmlns import MAIN, RELATION, Element, local, number
from sheetgpt.ooxml.limits import MAX_COLUMN, MAX_HEADER, MAX_HEIGHT, MAX_LINKS, MAX_WIDTH

PROMPT_LIMITS = {"promptTitle": 32, "errorTitle": 32, "prompt": 255, "error": 225}
RULES_WITH_FORMULA = frozenset(("expression", "cellIs"))
VALIDATIONS = frozenset(("none", "whole", "decimal", "list", "date", "time", "textLength", "custom"))
MARGIN_LIMIT = 49  # inches: Microsoft's SDK, and Excel's own dialog
_DECIMAL = re.compile(r"\+?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")

Found = Iterator[tuple[str, str]]  # where, rule


def furniture_problems(sheet: Element, used: Box | None, book: Book, formulas: FormulaCheck) -> Found:
    yield from _dimension_problems(sheet, used)
    yield from _view_problems(sheet)
    yield from _column_problems(sheet, book.n_styles)
    yield from _merge_problems(sheet)
    yield from _header_problems(sheet)
    yield from _margin_problems(sheet)
    for block in sheet.iterfind(MAIN + "conditionalFormatting"):
        yield from _format_problems(block, book.n_dxfs, formulas)
    for validation in sheet.iterfind(f"{MAIN}dataValidations/{MAIN}dataValidation"):
        yield from _validation_problems(validation, formulas)
    yield from _link_problems(sheet, book, formulas)
    for table in ("mergeCells", "dataValidations"):
        for element in sheet.iterfind(MAIN + table):
            if element.get("count") is not None and number(element.get("count")) != len(element):
                yield table, f"The list's count is {element.get('count')}, but it has {len(element)} entries."


def _dimension_problems(sheet: Element, used: Box | None) -> Found:
    element = sheet.find(MAIN + "dimension")
    if element is None:
        return
    area = box(element.get("ref"))
    if area is None:
        yield "dimension", f"The dimension {element.get('ref')!r} is not a range."
    elif used and not area.holds(used):
        yield "dimension", f"The dimension {element.get('ref')} doesn't cover all cells."


def _view_problems(sheet: Element) -> Found:
    for pane in sheet.iter(MAIN + "pane"):
        if cell(pane.get("topLeftCell") or "A1") is None:
            yield "sheetViews", f"The pane's first cell {pane.get('topLeftCell')!r} is not a cell."
    for selection in sheet.iter(MAIN + "selection"):
        if cell(selection.get("activeCell", "A1")) is None or boxes(selection.get("sqref", "A1")) is None:
            yield "sheetViews", "The selection is not a cell or range."


def _column_problems(sheet: Element, n_styles: int) -> Found:
    last = 0
    for column in sheet.iterfind(f"{MAIN}cols/{MAIN}col"):
        low, high = number(column.get("min")), number(column.get("max"))
        where = f"columns {column.get('min')}-{column.get('max')}"
        if low is None or high is None or not last < low <= high <= MAX_COLUMN:
            yield where, "The column widths are out of order, overlap or leave the sheet."
        last = high or last
        given = column.get("style")
        if given is not None and ((style := number(given)) is None or style >= n_styles):
            yield where, f"The style {given} is not among the workbook's {n_styles} (cellXfs)."
        if not _between(column.get("width", "8"), MAX_WIDTH):
            yield where, f"The width {column.get('width')} is not between 0 and {MAX_WIDTH}."
    for row in sheet.iterfind(f"{MAIN}sheetData/{MAIN}row"):
        if not _between(row.get("ht", "15"), MAX_HEIGHT):
            yield f"row {row.get('r')}", f"The height {row.get('ht')} is not between 0 and {MAX_HEIGHT}."


def _between(text: str, most: float) -> bool:
    try:
        return 0 <= float(text) <= most
    except ValueError:
        return False


def _merge_problems(sheet: Element) -> Found:
    found: list[tuple[Box, str]] = []
    for element in sheet.iterfind(f"{MAIN}mergeCells/{MAIN}mergeCell"):
        ref = element.get("ref") or ""
        area = box(ref)
        if area is None or area[:2] == area[2:]:
            yield ref, "The merged range is not a range of several cells."
            continue
        found.append((area, ref))
    for ref in _overlapping(found):
        yield ref, "The merged range overlaps another one."


def _overlapping(found: list[tuple[Box, str]]) -> Iterator[str]:
    """Down the sheet: what lies side by side at a row is kept in the order of its columns, so that a range meets one of
    its two neighbours if it meets any. (Each with each would take an hour for 100,000.)"""
    side_by_side: list[Box] = []
    ending: list[tuple[int, Box]] = []
    for area, ref in sorted(found, key=lambda item: (item[0].top, item[0].left)):
        while ending and ending[0][0] < area.top:
            ended = heappop(ending)[1]
            del side_by_side[bisect_left(side_by_side, ended)]
        at = bisect_left(side_by_side, area)
        if any(area.meets(other) for other in side_by_side[max(at - 1, 0) : at + 1]):
            yield ref
            continue
        side_by_side.insert(at, area)
        heappush(ending, (area.bottom, area))


def _format_problems(block: Element, n_dxfs: int, formulas: FormulaCheck) -> Found:
    where = block.get("sqref") or "conditionalFormatting"
    if boxes(block.get("sqref")) is None:
        yield where, "The conditional format's sqref is not a list of ranges."
    rules = block.findall(MAIN + "cfRule")
    if not rules:
        yield where, "The conditional format has no rule."
    for rule in rules:
        kind, style = rule.get("type"), rule.get("dxfId")
        if style is not None and ((i := number(style)) is None or i >= n_dxfs):
            yield where, f"The conditional format's dxfId {style} is not among the workbook's {n_dxfs} dxfs."
        if (number(rule.get("priority")) or 0) < 1:
            yield where, f"The conditional format's priority {rule.get('priority')!r} is not a number from 1 on."
        texts = [f.text or "" for f in rule.iterfind(MAIN + "formula")]
        if kind in RULES_WITH_FORMULA and not texts:
            yield where, f"The conditional format of type {kind} has no formula."
        if kind == "cellIs" and rule.get("operator") is None:
            yield where, "The conditional format has no operator to compare with."
        for scale in rule.iterfind(MAIN + "colorScale"):
            yield from _stop_problems(scale, where, formulas)
            stops, colors = len(scale.findall(MAIN + "cfvo")), len(scale.findall(MAIN + "color"))
            if stops != colors or stops not in (2, 3):
                yield where, f"The color scale has {stops} stops and {colors} colors; it takes 2 or 3 of each."
        for text in texts:
            yield from ((where, problem) for problem in formulas.problems(text, place=Place.FORMAT))


def _stop_problems(scale: Element, where: str, formulas: FormulaCheck) -> Found:
    for stop in scale.iterfind(MAIN + "cfvo"):
        text = stop.get("val")
        if text is not None and stop.get("type") not in ("min", "max"):
            yield from ((where, problem) for problem in formulas.problems(text, place=Place.SCALE))


def _margin_problems(sheet: Element) -> Found:
    for margins in sheet.iterfind(MAIN + "pageMargins"):
        for side, text in margins.attrib.items():
            if not _DECIMAL.fullmatch(text) or not 0 <= float(text) < MARGIN_LIMIT:
                yield "pageMargins", f"The margin {side} is {text!r}, not from 0 to below {MARGIN_LIMIT} inches."


def _header_problems(sheet: Element) -> Found:
    """[MS-OI29500] 2.1.633 and [MS-XLSB] 2.5.73 HeaderFooterString, the codes that begin with & counted in."""
    for block in sheet.iterfind(MAIN + "headerFooter"):
        for entry in block:
            if (length := len((entry.text or "").encode("utf-16-le")) // 2) > MAX_HEADER:
                yield local(entry), f"The header or footer has {length} characters; Excel allows {MAX_HEADER}."


def _validation_problems(validation: Element, formulas: FormulaCheck) -> Found:
    where = validation.get("sqref") or "dataValidation"
    if boxes(validation.get("sqref")) is None:
        yield where, "The validation's sqref is not a list of ranges."
    kind = validation.get("type", "none")
    if kind not in VALIDATIONS:
        yield where, f"The validation's type {kind!r} is unknown."
    texts = {key: validation.findtext(MAIN + key) for key in ("formula1", "formula2")}
    needs_two = kind not in ("none", "list", "custom") and validation.get("operator", "between").endswith("etween")
    if kind != "none" and (not texts["formula1"] or (needs_two and not texts["formula2"])):
        yield where, "The validation has no formula to compare with."
    for key, limit in PROMPT_LIMITS.items():
        if len(validation.get(key, "")) > limit:
            yield where, f"The validation's {key} has more than {limit} characters."
    for key, text in texts.items():
        place = Place.LIST if kind == "list" and key == "formula1" else Place.VALIDATION
        if text:
            yield from ((where, problem) for problem in formulas.problems(text, place=place))


def _link_problems(sheet: Element, book: Book, formulas: FormulaCheck) -> Found:
    links = sheet.findall(f"{MAIN}hyperlinks/{MAIN}hyperlink")
    if len(links) > MAX_LINKS:
        yield "hyperlinks", f"The sheet has {len(links):,} hyperlinks; Excel allows {MAX_LINKS:,}."
    for link in links:
        where, location = link.get("ref") or "hyperlink", link.get("location")
        if box(link.get("ref")) is None:
            yield where, "The hyperlink's ref is not a cell or range."
        if location is None and link.get(RELATION + "id") is None:
            yield where, "The hyperlink leads nowhere."
        if location is None:
            continue
        target = read(location, book.names)
        one = len(target.references) + len(target.names) == 1 and not target.functions and not target.fault
        broken = list(formulas.problems(location, place=Place.LINK)) if one else []
        if not one or broken:
            yield where, f"The hyperlink's target {location!r} does not exist in the workbook."
