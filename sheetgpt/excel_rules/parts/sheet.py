"""A worksheet's rows, streamed: addresses, types, values, texts, styles and formulas of every cell.

Long runs of like cells come cut down to their ends, see `runs.py`; all the rest goes through lxml. Format: ECMA-376
part 1, section 18.3.1.
"""

import math
import re
from collections.abc import Iterator
from typing import IO

from lxml import etree
from openpyxl.utils import get_column_letter

from sheetgpt.excel_rules.book import Book
from sheetgpt.excel_rules.columns.causality import Causality
from sheetgpt.excel_rules.formula.formulas import FormulaCheck
from sheetgpt.excel_rules.formula.places import Place
from sheetgpt.excel_rules.formula.references import Box, box
from sheetgpt.excel_rules.package.xmlns import MAIN, SPACE, Element, check_attributes, local, number
from sheetgpt.excel_rules.parts.runs import COLUMNS, thinned
from sheetgpt.excel_rules.parts.texts import loses_space, text_problems
from sheetgpt.excel_rules.problem import Problem
from sheetgpt.ooxml.limits import MAX_COLUMN, MAX_FORMULA, MAX_ROW

KEPT_ROWS, KEPT_CELLS = 60, 40  # what the skeleton keeps for the schema check
MAX_PROBLEMS = 50  # a sheet; the first ones show what is wrong with all
CELL_BYTES, ANY_BYTES = 16, 1 << 22  # a cell of a shared formula takes 30 bytes; the first stands before the others
MAX_HELD = 3_000_000  # elements outside of rows, or in one; lxml takes some 150 bytes for each
MAX_NUMBER, MIN_NUMBER = 1.7976931348623157e308, 2.2250738585072014e-308  # Excel reads smaller ones as 0

ERRORS = frozenset(("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A"))
CELL_KEYS = frozenset(("s", "t", "cm", "vm", "ph"))
_ROW = "r spans s customFormat ht hidden customHeight outlineLevel collapsed thickTop thickBot ph"
_FORMULA = "t aca ref dt2D dtr del1 del2 r1 r2 ca si bx"
_PLACES = {"shared": Place.SHARED, "array": Place.ARRAY}
ROW_KEYS, FORMULA_KEYS = frozenset(_ROW.split()), frozenset(_FORMULA.split())

_ELEMENTS = etree.XPath("count(descendant-or-self::*)")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)


class SheetScan:
    """Reads one worksheet from `stream`; afterwards `problems`, and `skeleton`, the sheet with a few of its rows."""

    def __init__(self, title: str, stream: IO[bytes], book: Book, formulas: FormulaCheck, causality: Causality) -> None:
        self.title, self.book, self.formulas, self.causality = title, book, formulas, causality
        self.problems: list[Problem] = []
        self.skeleton: Element | None = None
        self.row = self.column = 0
        self.used: Box | None = None
        self.masters: dict[str, Box] = {}
        self.runs: dict[str, int] = {}  # first cell of a run of one formula -> how many cells it has
        self.run_end = 0
        self.claimed = self.held = 0
        self.stream = stream
        try:
            self._read(stream)
        except etree.XMLSyntaxError as error:
            after = f" after {get_column_letter(self.column)}{self.row}" if self.column else ""
            self.problems.append(Problem(title, "", f"The sheet is not XML{after}: {error.msg}."))

    def _report(self, where: str, rule: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(self.title, where, rule))
        elif len(self.problems) == MAX_PROBLEMS:
            self.problems.append(Problem(self.title, where, "From here on the sheet's problems are not listed."))

    def _read(self, stream: IO[bytes]) -> None:
        parser = etree.XMLPullParser(
            ("end",), tag=MAIN + "row", resolve_entities=False, no_network=True, huge_tree=True
        )
        kept = 0
        for block in thinned(stream, self.book.n_styles, self.runs):
            self.held += block.count(b"<") - block.count(b"</")
            if self.held > MAX_HELD:
                self._report(
                    "", f"The sheet has more than {MAX_HELD:,} elements outside of its rows, or in one of them."
                )
                return
            check_attributes(block)
            try:
                parser.feed(block)
            finally:  # of a sheet that breaks off, too, the rows before are read
                for _, row in parser.read_events():
                    self.held -= int(_ELEMENTS(row))
                    self._row(row)
                    kept += 1
                    if kept <= KEPT_ROWS:
                        del row[KEPT_CELLS:]
                    elif (parent := row.getparent()) is not None:
                        parent.remove(row)
        self.skeleton = parser.close()
        if self.skeleton.tag != MAIN + "worksheet":
            self._report("", f"The part's root is {local(self.skeleton)!r}, not a worksheet.")
        if self.skeleton.getroottree().docinfo.doctype:
            self._report("", "The part has a DTD, which no part may have.")

    def _row(self, row: Element) -> None:
        given = number(row.get("r"))
        where = f"row {row.get('r')}"
        if given is None or not self.row < given <= MAX_ROW:
            self._report(where, f"The row's number must be above {self.row} and at most {MAX_ROW:,}.")
        self.row, self.column, self.run_end = given if given is not None else self.row + 1, 0, 0
        for key, value in row.items():
            if key not in ROW_KEYS and key[0] != "{":
                self._report(where, f"A row can't have the attribute {key!r}.")
            if key == "s" and not self._is_style(value):
                self._report(where, f"The style {value} is not among the workbook's {self.book.n_styles} (cellXfs).")
        digits = str(self.row)
        for child in row:
            if child.tag == MAIN + "c":
                self._cell(child, digits)
            elif local(child) not in ("extLst", ""):
                self._report(where, f"A row can hold only cells, not {local(child)!r}.")
        for column, rule in self.causality.end_of_row():
            self._report(f"{get_column_letter(column)}{digits}", rule)

    def _is_style(self, text: str) -> bool:
        return (i := number(text)) is not None and i < self.book.n_styles

    def _cell(self, cell: Element, digits: str) -> None:
        attributes = dict(cell.items())
        where = attributes.pop("r", "")
        if not where and self.column and not attributes and [local(child) for child in cell] == ["v"]:
            # `rows.compact_numbers`: a plain number that follows the cell before it
            where = f"{get_column_letter(self.column + 1)}{digits}" if self.column < MAX_COLUMN else ""
        column = COLUMNS.get(where.removesuffix(digits)) if where.endswith(digits) else None
        if column is None:
            self._report(where or f"row {digits}", f"The cell's address {where!r} is not valid in row {digits}.")
            where, column = where or f"row {digits}", self.column + 1
        elif column <= self.column:
            self._report(where, "The cell must stand to the right of the one before it.")
        self.column = column
        self._extend(column)
        kind = attributes.get("t", "n")
        if "s" in attributes and not self._is_style(attributes["s"]):
            rule = f"The style {attributes['s']} is not among the workbook's {self.book.n_styles} (cellXfs)."
            self._report(where, rule)
        if not CELL_KEYS.issuperset(attributes):
            self._report(where, f"A cell can't have the attribute {sorted(attributes.keys() - CELL_KEYS)[0]!r}.")
        children: dict[str, Element] = {}
        for child in cell:
            name = local(child)
            if name in children or name not in ("f", "v", "is", "extLst"):
                self._report(where, f"The cell's element {name!r} occurs twice or doesn't belong in a cell.")
            if name == "f" and children:
                self._report(where, "The formula stands after the value.")
            children[name] = child
        if (formula := children.get("f")) is not None:
            self._formula(where, column, formula)
            value = children.get("v")
            if value is None or (not value.text and kind == "n"):  # as openpyxl saves every formula
                self._report(where, "The formula has no cached value.")
        self._value(where, kind, children)

    def _extend(self, column: int) -> None:
        used = self.used
        if used is None:
            self.used = Box(column, self.row, column, self.row)
        elif column < used.left or column > used.right or self.row > used.bottom:
            self.used = Box(min(column, used.left), used.top, max(column, used.right), max(self.row, used.bottom))

    def _value(self, where: str, kind: str, children: dict[str, Element]) -> None:
        value = children.get("v")
        text = None if value is None else value.text or ""
        if kind == "inlineStr":
            self._inline(where, children)
        elif "is" in children:
            self._report(where, "The inline text needs the cell type inlineStr.")
        elif kind == "str":
            if "f" not in children:
                self._report(where, "A text that no formula yields must be an inline or shared string.")
            for rule in text_problems(text or ""):
                self._report(where, rule)
        elif text is None or (not text and kind == "n" and "f" in children):
            if kind not in ("n", "b", "e"):
                self._report(where, f"The cell type {kind!r} is unknown or needs a value.")
        elif broken := _value_problem(kind, text, self.book.n_strings):
            self._report(where, broken)

    def _inline(self, where: str, children: dict[str, Element]) -> None:
        if "f" in children or "v" in children:
            self._report(where, "A cell with an inline text can't have a formula or a value, too.")
        holder = children.get("is")
        texts = [] if holder is None else list(holder.iter(MAIN + "t"))
        if not texts:
            self._report(where, "The inline text <is> has no <t>.")
        for text in texts:
            for rule in string_problems(text):
                self._report(where, rule)

    def _formula(self, where: str, column: int, formula: Element) -> None:
        attributes = dict(formula.items())
        kind, text = attributes.get("t", "normal"), formula.text or ""
        if not FORMULA_KEYS.issuperset(attributes):
            self._report(where, f"A formula can't have the attribute {sorted(attributes.keys() - FORMULA_KEYS)[0]!r}.")
        if kind == "shared" and "ref" not in attributes:
            self._child(where, column, attributes.get("si", ""), text)
            return
        width, area = 1, None
        if kind in ("shared", "array"):
            area = box(attributes.get("ref"))
            if area is None:
                self._report(where, f"The formula's ref {attributes.get('ref')!r} is not a range.")
            else:
                if (area.left, area.top) != (column, self.row):
                    self._report(where, f"The formula's cell is not the first one of its ref {attributes['ref']}.")
                width = area.right - area.left + 1 if kind == "shared" else 1
                if kind == "shared":
                    self._master(where, attributes, area)
                n_cells = width if kind == "shared" else (area.right - area.left + 1) * (area.bottom - area.top + 1)
                if not self._has_room(where, n_cells):
                    return
        elif kind != "normal":
            self._report(where, f"The formula type {kind!r} is not one that these workbooks use.")
        if not text:
            self._report(where, "The formula has no text.")
            return
        place = _PLACES.get(kind, Place.CELL)
        for rule in self.formulas.problems(text, width, place):
            self._report(where, rule)
        if len(text) > MAX_FORMULA:
            return
        if kind == "array" and area is not None:
            found = self.causality.array(self.title, area, text)
        elif column == self.run_end:
            return  # the last of a run
        else:
            n = self.runs.pop(where, 1)
            self.run_end = column + n - 1
            found = self.causality.take(self.title, column, self.row, max(width, n), text)
        for rule in found:
            self._report(where, rule)

    def _has_room(self, where: str, n_cells: int) -> bool:
        """Whether the sheet can have as many cells as its formulas say that they fill: each takes some bytes."""
        self.claimed += n_cells
        if self.claimed * CELL_BYTES > self.stream.tell() + ANY_BYTES:
            self._report(where, f"The formula fills {n_cells:,} cells, more than the sheet has.")
            self.claimed -= n_cells
            return False
        return True

    def _master(self, where: str, attributes: dict[str, str], area: Box) -> None:
        index = attributes.get("si", "")
        if number(index) is None:
            self._report(where, f"The shared formula's index si {index!r} is not a number.")
        if index in self.masters:
            self._report(where, f"Another shared formula of the sheet has the index {index}.")
        if area.top != area.bottom:
            self._report(where, f"The shared formula fills down ({attributes['ref']}); it may only fill right.")
        self.masters[index] = area

    def _child(self, where: str, column: int, index: str, text: str) -> None:
        area = self.masters.get(index)
        if area is None:
            self._report(where, f"The shared formula {index!r} has no first cell with its text before this one.")
        elif not (area.left <= column <= area.right and area.top <= self.row <= area.bottom):
            self._report(where, f"The cell lies outside the range of its shared formula {index}.")
        if text:
            self._report(where, "Only the first cell of a shared formula carries its text.")


def _value_problem(kind: str, text: str, n_strings: int) -> str | None:
    if kind == "n":
        return _number_problem(text)
    if kind == "b":
        return None if text in ("0", "1") else f"The truth value is {text!r}, not 0 or 1."
    if kind == "e":
        return None if text in ERRORS else f"{text!r} is not one of Excel's errors."
    if kind == "s":
        index = number(text)
        known = index is not None and index < n_strings
        return None if known else f"The shared string {text!r} is not among the workbook's {n_strings}."
    return f"The cell type {kind!r} is unknown."


def _number_problem(text: str) -> str | None:
    if not _NUMBER.fullmatch(text):
        return f"{text!r} is not a number."
    value = abs(float(text))
    if value > MAX_NUMBER or math.isinf(value):
        return f"The number {text} is larger than Excel's largest, 1.7977E+308."
    if value < MIN_NUMBER and text.strip("+-").lower().partition("e")[0].strip("0."):
        return f"The number {text} is smaller than Excel's smallest, 2.2251E-308, and would be read as 0."
    return None


def string_problems(element: Element) -> Iterator[str]:
    """The rules of a <t>, inline or shared."""
    text = element.text or ""
    yield from text_problems(text)
    if loses_space(text) and element.get(SPACE) != "preserve":
        yield 'The space at the text\'s ends is lost without xml:space="preserve".'
