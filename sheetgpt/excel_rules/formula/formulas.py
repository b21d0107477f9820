"""The rules of a formula: what Excel would refuse (syntax, limits, functions, references) and what sheetgpt promises
(plain functions, no other workbook). What its place among the positions asks of it is in `causality.py`."""

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from openpyxl.formula.tokenizer import Tokenizer, TokenizerError

from sheetgpt.excel_rules.book import Book
from sheetgpt.excel_rules.formula.functions import function_problem
from sheetgpt.excel_rules.formula.grammar import Reading, Reference, read
from sheetgpt.excel_rules.formula.intersection import cut_to_one, is_area
from sheetgpt.excel_rules.formula.places import Place, place_problems
from sheetgpt.excel_rules.formula.plainness import one_value_wanted
from sheetgpt.excel_rules.parts.texts import escape_problems
from sheetgpt.ooxml.limits import MAX_ARGUMENTS, MAX_COLUMN, MAX_DEPTH, MAX_FORMULA, MAX_ROW, MAX_STRING

MAX_PARSED = 1_000  # and far more for a long one: 8,000 characters took it 10 s
MAX_SHAPES = 300  # the `formulas` parser takes 17 ms a formula; the bundled workbook has some dozens of shapes

TRUTH = {"true", "false"}

# texts and sheets' names, kept; single cells of the formula's own sheet, whose row is left out: it changes no verdict
_ROWS = re.compile(
    r"""("[^"]*"|'[^']*'!?)|(?<![\w$:.!\\'])(\$?[A-Z]{1,2}\$?)[1-9]\d{0,5}(?![\w.(:!?'])""",
)


_Ranges = tuple[str, frozenset[int]]  # a formula's shape, and which of its tokens are ranges


@dataclass
class FormulaCheck:
    """Checks formulas of one workbook; it remembers what it found sound, so that the same formula in another row takes
    a fiftieth of the time, and the shapes that the two slow parsers have accepted already."""

    book: Book
    shapes: dict[str, str | None] = field(default_factory=dict)  # shape -> a parser's complaint
    sound: set[tuple[str, int, Place]] = field(default_factory=set)
    cuts: dict[_Ranges, int | None] = field(default_factory=dict)  # what Excel would cut to one cell
    given: dict[_Ranges, tuple[int, int] | None] = field(default_factory=dict)  # to a function that takes one value

    @cached_property
    def sheets(self) -> frozenset[str]:
        return frozenset(title.lower() for title in self.book.titles.values())

    def problems(self, text: str, n_columns: int = 1, place: Place = Place.CELL) -> Iterator[str]:
        """`n_columns`: how far the formula fills to the right."""
        if len(text) > MAX_FORMULA:
            yield from _text_problems(text[: MAX_FORMULA + 1], len(text))
            return
        key = _ROWS.sub(r"\1\2#", text), n_columns, place
        if key in self.sound:
            return
        found = list(self._problems(text, n_columns, place))
        if not found:
            self.sound.add(key)
        yield from found

    def _problems(self, text: str, n_columns: int, place: Place) -> Iterator[str]:
        yield from _text_problems(text, len(text))
        reading = read(text, self.book.names, place.takes_unions)
        if reading.fault:
            yield f"The formula is not valid: {reading.fault}"
            return
        yield from self._use_problems(reading)
        yield from place_problems(reading, place)
        yield from self._range_problems(reading, place)
        for reference in reading.references:
            yield from self._reference_problems(reference, n_columns)
        if complaint := self._parsers_complaint(text, reading.shape):
            yield complaint

    def _use_problems(self, reading: Reading) -> Iterator[str]:
        if reading.depth > MAX_DEPTH:
            yield f"The formula is nested {reading.depth} deep; Excel allows {MAX_DEPTH}."
        for string in reading.strings:
            if (length := len(string[1:-1].replace('""', '"'))) > MAX_STRING:
                yield f"A text in the formula has {length} characters; Excel allows {MAX_STRING}."
        for function, n_arguments in reading.functions:
            if n_arguments > MAX_ARGUMENTS:
                yield f"The function {function} has {n_arguments} arguments; Excel allows {MAX_ARGUMENTS}."
            elif problem := function_problem(function, n_arguments):
                yield problem
        for error in reading.errors:
            if error == "#REF!":
                yield "The formula refers to a cell that was deleted (#REF!)."
        for name in reading.names:
            if name.lower() not in self.book.names and name.lower() not in TRUTH:
                yield f"The name {name} is not defined in the workbook."

    def _reference_problems(self, reference: Reference, n_columns: int) -> Iterator[str]:
        if reference.sheet is not None:
            if reference.sheet.startswith("[") or "[" in reference.sheet:
                yield f"The reference {reference.text} points to another workbook."
                return
            if reference.sheet.lower() not in self.sheets:
                yield f"The reference {reference.text} points to a sheet that is not there."
                return
        if reference.whole:
            yield f"The reference {reference.text} takes whole rows or columns; name the cells."
            return
        shift = n_columns - 1
        right = max(reference.left + shift * reference.left_moves, reference.right + shift * reference.right_moves)
        if right > MAX_COLUMN or max(reference.top, reference.bottom) > MAX_ROW:
            moved = f", {shift} columns further right" if shift else ""
            yield f"The reference {reference.text}{moved} leaves the sheet (A1:XFD1048576)."
        elif reference.left > reference.right or reference.top > reference.bottom:
            yield f"The reference {reference.text} ends before it begins."

    def _range_problems(self, reading: Reading, place: Place) -> Iterator[str]:
        areas = frozenset(i for i, (kind, text) in enumerate(reading.tokens) if self._is_area(kind, text))
        if not areas and not reading.marks(":") and not reading.functions:
            return
        key = reading.shape, areas
        if place in (Place.CELL, Place.SHARED):
            if key not in self.cuts:
                self.cuts[key] = cut_to_one(reading.tokens, areas)
            if (i := self.cuts[key]) is not None:
                what = _what(*reading.tokens[i])
                yield f"Excel would reduce {what} to one cell with @; only functions like SUMPRODUCT take ranges."
                return
        if key not in self.given:
            self.given[key] = one_value_wanted(reading.tokens, areas)
        if (found := self.given[key]) is not None:
            (_, function), what = reading.tokens[found[0]], _what(*reading.tokens[found[1]])
            yield f"The function {function[:-1]} takes one value, not {what}: programs disagree on what that gives."

    def _is_area(self, kind: str, text: str) -> bool:
        if kind == "name":
            return any(is_area(r.text) for r in self.book.names.get(text.lower(), []))
        return kind in ("reference", "sheet") and ":" in text and is_area(text)

    def _parsers_complaint(self, text: str, shape: str) -> str | None:
        """openpyxl's tokenizer and the `formulas` parser, where it is installed, must read every shape of formula."""
        if shape not in self.shapes:
            self.shapes[shape] = None
            self.shapes[shape] = _tokenizer_complaint(text) or (
                _parser_complaint(text) if len(self.shapes) <= MAX_SHAPES and len(text) <= MAX_PARSED else None
            )
        return self.shapes[shape]


def _what(kind: str, text: str) -> str:
    """A range, or what makes an array."""
    if text == "{":
        return "an array"
    return "the result of " + text.rstrip("(") if kind in ("function", "mark") else text


def _text_problems(text: str, length: int) -> Iterator[str]:
    if text.startswith("="):
        yield "The formula begins with =, which the file leaves out."
    if length > MAX_FORMULA:
        yield f"The formula has {length:,} characters; Excel allows {MAX_FORMULA:,}."
    yield from escape_problems(text)


def _tokenizer_complaint(text: str) -> str | None:
    try:
        Tokenizer("=" + text)
    except (TokenizerError, IndexError) as error:
        return f"openpyxl's tokenizer refuses the formula: {error}."
    return None


def _parser_complaint(text: str) -> str | None:
    parser = _parser()
    if parser is None:
        return None
    try:
        parser.ast("=" + re.sub("%+", "%", text))  # it can't read 5%%, which is a formula
    except Exception as error:  # whatever it raises, the formula is one that it can't read
        return f"The package formulas can't parse the formula ({type(error).__name__})."
    return None


@cache
def _parser() -> Any:
    try:
        return importlib.import_module("formulas").Parser()
    except ImportError:  # an extra, not a dependency
        return None
