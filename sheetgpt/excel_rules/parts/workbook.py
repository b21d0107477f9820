"""workbook.xml: the sheets, the defined names, the calculation settings (ECMA-376 part 1, section 18.2)."""

import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from sheetgpt.excel_rules.book import Book
from sheetgpt.excel_rules.columns.positions import positions
from sheetgpt.excel_rules.formula.formulas import FormulaCheck
from sheetgpt.excel_rules.formula.grammar import Reading, Reference, read
from sheetgpt.excel_rules.formula.places import Place
from sheetgpt.excel_rules.formula.references import begins_like_r1c1, column_number
from sheetgpt.excel_rules.package.xmlns import MAIN, RELATION, Element, is_true, local, number
from sheetgpt.excel_rules.package.zipped import WORKSHEET
from sheetgpt.excel_rules.parts.styles import size
from sheetgpt.ooxml.limits import MAX_COLUMN, MAX_NAME, MAX_ROW, MAX_SHEETS, MAX_TITLE

MAX_LED_TO = 64  # ranges of a name, or names on the way there; ours have six bands of a vocabulary at most
_NOWHERE = Reference(None, 0, 0, 0, 0, False, False, False, True, "")
CURRENT_CALC_ID = 191_029  # Excel 2019 and later; an older number makes Excel calculate everything on opening

_R1C1_OR_TRUTH = re.compile(r"R|C|RC|TRUE|FALSE", re.IGNORECASE)
_NAME = re.compile(r"(?:[^\W\d]|\\)[\w.\\]*")
_BUILT_IN = re.compile(r"_xlnm\.(Print_Area|Print_Titles|_FilterDatabase|Sheet_Title)")
_CELL = re.compile(r"([A-Za-z]{1,3})0*([1-9]\d*)")

Found = Iterator[tuple[str, str]]  # where, rule


def sheet_titles(tree: Element, relations: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Part of each worksheet -> its title, in the order of the tabs."""
    found = {}
    for sheet in tree.iterfind(f"{MAIN}sheets/{MAIN}sheet"):
        kind, part = relations.get(sheet.get(RELATION + "id") or "", ("", ""))
        if kind == WORKSHEET and part:
            found[part] = sheet.get("name") or ""
    return found


def read_book(titles: dict[str, str], tree: Element, styles: Element | None, strings: Element | None) -> Book:
    names = _names(tree)
    n_strings = 0 if strings is None else len(strings.findall(MAIN + "si"))
    sizes = (size(styles, "cellXfs"), size(styles, "dxfs"), n_strings)
    return Book(titles, names, positions(names, titles.values()), *sizes)


def _names(tree: Element) -> dict[str, list[Reference]]:
    """Every name in lower case -> what it refers to, by way of other names, too; of too many the first."""
    entries = tree.iterfind(f"{MAIN}definedNames/{MAIN}definedName")
    readings = {(entry.get("name") or "").lower(): read(entry.text or "", union=True) for entry in entries}
    return {name: _led_to(name, readings)[:MAX_LED_TO] for name in readings}


def _led_to(name: str, readings: Mapping[str, Reading]) -> list[Reference]:
    """More than `MAX_LED_TO` of them, or where the way leads through more names than that, one more of none."""
    found: list[Reference] = []
    way = {name: None}
    waiting = [name]
    while waiting:
        reading = readings[waiting.pop()]
        found += reading.references
        others = dict.fromkeys(other.lower() for other in reading.names if other.lower() in readings)
        waiting += [other for other in sorted(others, reverse=True) if other not in way]
        way |= others
        if len(way) > MAX_LED_TO or len(found) > MAX_LED_TO:
            return [*found, *[_NOWHERE] * (MAX_LED_TO + 1)][: MAX_LED_TO + 1]
    return found


def workbook_problems(
    tree: Element, relations: Mapping[str, tuple[str, str]], titles: dict[str, str], formulas: FormulaCheck
) -> Found:
    sheets = tree.findall(f"{MAIN}sheets/{MAIN}sheet")
    yield from _sheet_problems(sheets, relations)
    for view in tree.iterfind(f"{MAIN}bookViews/{MAIN}workbookView"):
        for key in ("activeTab", "firstSheet"):
            tab = number(view.get(key, "0"))
            if tab is None or tab >= len(sheets):
                yield key, f"The tab {view.get(key)} is not among the {len(sheets)} sheets."
    if not any(sheet.get("state", "visible") == "visible" for sheet in sheets):
        yield "sheets", "At least one sheet must be visible."
    yield from name_problems(tree, len(sheets), formulas)
    yield from _calculation_problems(tree.findall(MAIN + "calcPr"))
    if tree.find(MAIN + "externalReferences") is not None:
        yield "externalReferences", "The workbook refers to other workbooks."


def _sheet_problems(sheets: list[Element], relations: Mapping[str, tuple[str, str]]) -> Found:
    seen: dict[str, set[str]] = {"name": set(), "sheetId": set(), "part": set()}
    for sheet in sheets:
        title = sheet.get("name") or ""
        for rule in title_problems(title):
            yield title, rule
        kind, part = relations.get(sheet.get(RELATION + "id") or "", ("", ""))
        if kind != WORKSHEET:
            yield title, "The sheet has no relationship of the worksheet type."
        identifier = sheet.get("sheetId") or ""
        if number(identifier) is None or not 1 <= int(identifier) <= MAX_SHEETS:
            yield title, f"The sheetId {identifier!r} is not a number from 1 to {MAX_SHEETS:,}."
        for key, value in (("name", title.lower()), ("sheetId", identifier), ("part", part)):
            if value in seen[key]:
                yield title, f"Another sheet has the same {key}."
            seen[key].add(value)


def title_problems(title: str) -> Iterator[str]:
    if not 1 <= len(title.encode("utf-16-le")) // 2 <= MAX_TITLE:
        yield f"A sheet's name must have 1 to {MAX_TITLE} characters; this one has {len(title)}."
    if found := re.search(r"[\[\]:*?/\\\x00-\x1f]", title):
        yield f"A sheet's name can't contain {found[0]!r}."
    if title.startswith("'") or title.endswith("'"):
        yield "A sheet's name can't begin or end with an apostrophe."
    if title.lower() == "history":
        yield "Excel reserves the sheet name History."


def name_syntax_problem(name: str) -> str | None:
    """What Excel holds against a defined name, whatever it refers to: [MS-XLSB] 2.5.166 XLNameWideString."""
    if len(name) > MAX_NAME:
        return f"The name has {len(name)} characters; Excel allows {MAX_NAME}."
    if not _NAME.fullmatch(name):
        return "A name may contain only letters, digits, _ . and \\, and can't begin with a digit or a dot."
    found = _CELL.fullmatch(name)
    if found and column_number(found[1]) <= MAX_COLUMN and int(found[2]) <= MAX_ROW:
        return "The name could be read as a cell."
    if begins_like_r1c1(name):
        return "The name begins like a row or column in R1C1 notation (R1, C1, RC1)."
    if _R1C1_OR_TRUTH.fullmatch(name):
        return "The name could be read as a row or column in R1C1 notation, or as TRUE or FALSE."
    return None


def name_problems(tree: Element, n_sheets: int, formulas: FormulaCheck) -> Found:
    """[MS-XLSB] 2.5.98.12 NameParsedFormula: no PtgRef, PtgArea, PtgRefErr or PtgAreaErr, so every reference names its
    sheet; array constants, unions and functions may stand in it. That a name doesn't move is sheetgpt's own rule."""
    seen: set[tuple[str, str | None]] = set()
    yield from _circle_problems(tree)
    for entry in tree.iterfind(f"{MAIN}definedNames/{MAIN}definedName"):
        name, scope, text = entry.get("name") or "", entry.get("localSheetId"), entry.text or ""
        built_in = _BUILT_IN.fullmatch(name) is not None
        if not built_in and (problem := name_syntax_problem(name)):
            yield name, problem
        if (name.lower(), scope) in seen:
            yield name, "Another name is the same, apart from upper and lower case."
        seen.add((name.lower(), scope))
        if scope is not None and (number(scope) is None or int(scope) >= n_sheets):
            yield name, f"The name belongs to sheet {scope}, which is not there."
        if is_true(entry.get("function")) or is_true(entry.get("xlm")) or is_true(entry.get("vbProcedure")):
            yield name, "The name stands for a macro."
        for rule in formulas.problems(text, place=Place.NAME):
            if not (built_in and "whole rows or columns" in rule):
                yield name, rule
        for reference in read(text, union=True).references:
            if reference.sheet is None and not reference.whole:
                yield name, f"The reference {reference.text} doesn't name its sheet."
            elif reference.left_moves or reference.right_moves or reference.rows_move:
                yield name, f"The reference {reference.text} moves with the cell that uses the name; make it absolute."


def _circle_problems(tree: Element) -> Found:
    """A name that leads back to itself is a circular reference."""
    entries = {entry.get("name") or "": entry for entry in tree.iterfind(f"{MAIN}definedNames/{MAIN}definedName")}
    written = {name.lower(): name for name in entries}
    readings = {name: read(entry.text or "", union=True) for name, entry in entries.items()}
    uses = {name: {written.get(used.lower(), used) for used in reading.names} for name, reading in readings.items()}
    by_lower = {name.lower(): reading for name, reading in readings.items()}
    for name in by_lower:
        if len(_led_to(name, by_lower)) > MAX_LED_TO:
            yield written[name], f"The name leads to more than {MAX_LED_TO} ranges or other names."
    try:
        TopologicalSorter(uses).prepare()
    except CycleError as circle:
        names = circle.args[1]
        shown = names if len(names) <= 12 else [*names[:10], "…", names[-1]]
        yield names[0], f"The name refers to itself: {' -> '.join(shown)}."


def _calculation_problems(settings: list[Element]) -> Found:
    if len(settings) != 1:
        yield "calcPr", f"The workbook has {len(settings)} calculation settings (calcPr), not one."
        return
    entry = settings[0]
    if is_true(entry.get("fullCalcOnLoad")) or is_true(entry.get("forceFullCalc")):
        yield "calcPr", "The workbook asks for a full calculation on opening, which its cached values make needless."
    if entry.get("calcMode", "auto") != "auto":
        yield "calcPr", f"The calculation mode is {entry.get('calcMode')!r}, not 'auto'."
    if is_true(entry.get("iterate")):
        yield "calcPr", "Iterative calculation hides circular references."
    if (calc_id := number(entry.get("calcId"))) is None or calc_id < CURRENT_CALC_ID:
        yield (
            "calcPr",
            f"calcId is {entry.get('calcId')}; below {CURRENT_CALC_ID}, Excel recalculates all on opening.",
        )


def string_texts(tree: Element) -> Iterator[tuple[int, Element]]:
    """Every <t> of the shared strings with the index of its string; phonetic runs aside."""
    for i, item in enumerate(tree.iterfind(MAIN + "si")):
        for child in item:
            if local(child) == "t":
                yield i, child
            elif local(child) == "r":
                yield from ((i, t) for t in child.iterfind(MAIN + "t"))
