"""Reads a formula as Excel stores it (ECMA-376 part 1, section 18.17), token by token, without evaluating it.

In: the text without its `=`. Out: a `Reading`: the references, functions and names it uses, its shape and, if it has
one, its first fault. It knows no workbook; `formulas.py` holds a reading against the sheets and names.
"""

import re
from collections.abc import Container
from dataclasses import dataclass, field
from typing import NamedTuple

from sheetgpt.excel_rules.formula.references import begins_like_r1c1, column_number
from sheetgpt.ooxml.limits import MAX_COLUMN, MAX_FORMULA

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<string>"(?:[^"]|"")*")
    |(?P<error>\#(?:NULL!|DIV/0!|VALUE!|REF!|NAME\?|NUM!|N/A))
    |(?:(?P<sheet>'(?:[^']|'')+'|[^\W\d][\w.]*)!)?
     (?:(?P<c1>\$?[A-Za-z]{1,3})(?P<r1>\$?[1-9]\d*)(?::(?P<c2>\$?[A-Za-z]{1,3})(?P<r2>\$?[1-9]\d*))?
       |(?P<columns>\$?[A-Za-z]{1,3}:\$?[A-Za-z]{1,3})
       |(?P<rows>\$?\d+:\$?\d+))(?![\w.(!:])
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<function>[^\W\d][\w.]*)\(
    |(?P<name>[^\W\d][\w.\\?]*+|\\[\w.\\?]++)(?![!\[])
    |(?P<mark><>|<=|>=|[-+*/^&=<>%:,;(){}])""",
    re.VERBOSE,
)


# sheet names that Excel reads as a cell, in A1 or R1C1 notation, unless they stand in quotes
CELL_LIKE = re.compile(r"[A-Za-z]{1,3}[1-9]\d*|[Rr]\d*([Cc]\d*)?|[Cc]\d*|[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]")


class Reference(NamedTuple):
    """A range as a formula names it; `sheet` is None for the formula's own. Whole rows or columns are `whole`."""

    sheet: str | None
    left: int
    top: int
    right: int
    bottom: int
    left_moves: bool
    right_moves: bool
    rows_move: bool
    whole: bool
    text: str


@dataclass
class Reading:
    references: list[Reference] = field(default_factory=list)
    functions: list[tuple[str, int]] = field(default_factory=list)  # name, number of arguments
    names: list[str] = field(default_factory=list)
    strings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    depth: int = 0
    shape: str = ""  # the kinds of the tokens: formulas of one shape are parsed alike
    tokens: list[tuple[str, str]] = field(default_factory=list)  # kind, text; space left out
    fault: str = ""

    def marks(self, mark: str) -> bool:
        """Does this mark stand in the formula, texts and references aside?"""
        return ("mark", mark) in self.tokens


@dataclass
class _Open:
    """A parenthesis that awaits its partner."""

    mark: str  # "(", "{" or a function's name
    commas: int = 0
    empty: bool = True


def read(text: str, names: Container[str] = (), union: bool = False) -> Reading:
    """`names` (lower case) decides what `xyz1` is, a name or a cell beyond XFD; `union` allows `A1,B2` at the top."""
    reading = Reading()
    if len(text) > MAX_FORMULA:
        reading.fault = f"It has {len(text):,} characters; Excel allows {MAX_FORMULA:,}."
        return reading
    state = _State(reading, union)
    position = 0
    while position < len(text) and not reading.fault:
        found = _TOKEN.match(text, position)
        if not found:
            reading.fault = _unreadable(text, position)
            break
        kind = str(found.lastgroup)
        token = found[0]
        if kind in ("r1", "r2", "columns", "rows"):
            if kind == "r1" and column_number(token.rstrip("0123456789")) > MAX_COLUMN and token.lower() in names:
                reading.names.append(token)
            else:
                reading.references.append(_reference(found, kind, token))
            kind = "sheet" if (sheet := found["sheet"]) else "reference"
            if sheet and (CELL_LIKE.fullmatch(sheet) or begins_like_r1c1(sheet)):
                reading.fault = f"The sheet's name in {token!r} reads as a cell; put it in quotes."
        state.take(kind, token)
        if kind != "space":
            reading.tokens.append((kind, token))
        position = found.end()
    reading.fault = reading.fault or state.end()
    reading.shape = " ".join(text if kind in ("mark", "function") else kind for kind, text in reading.tokens)
    return reading


def _unreadable(text: str, position: int) -> str:
    rest = text[position : position + 20]
    if "[" in rest:
        return f"It refers to another workbook or to a table at {rest!r}."
    return f"It can't be read from {rest!r} on."


def _reference(found: re.Match[str], kind: str, token: str) -> Reference:
    sheet = found["sheet"]
    if sheet and sheet[0] == "'":
        sheet = sheet[1:-1].replace("''", "'")
    if kind in ("columns", "rows"):
        return Reference(sheet, 0, 0, 0, 0, False, False, False, True, token)
    c1, r1 = found["c1"], found["r1"]
    c2, r2 = found["c2"] or c1, found["r2"] or r1
    left, right = column_number(c1.lstrip("$")), column_number(c2.lstrip("$"))
    top, bottom = int(r1.lstrip("$")), int(r2.lstrip("$"))
    rows_move = r1[0] != "$" or r2[0] != "$"
    return Reference(sheet, left, top, right, bottom, c1[0] != "$", c2[0] != "$", rows_move, False, token)


@dataclass
class _State:
    """Between two tokens: is a value awaited, and which parentheses are open."""

    reading: Reading
    union: bool
    awaits: bool = True
    last: str = ""
    open: list[_Open] = field(default_factory=list)

    def take(self, kind: str, token: str) -> None:
        reading = self.reading
        if kind == "space":
            return
        if self.open and token not in (")", "}"):
            self.open[-1].empty = False
        if kind == "mark":
            self._mark(token)
        else:
            if not self.awaits:
                reading.fault = f"Two values stand side by side before {token!r}."
            self.awaits = kind == "function"
            if kind == "function":
                self._enter(token[:-1])
            elif kind in ("name", "string", "error"):
                getattr(reading, kind + "s").append(token)
        self.last = token

    def _enter(self, mark: str) -> None:
        self.open.append(_Open(mark))
        self.reading.depth = max(self.reading.depth, len(self.open))

    def _mark(self, token: str) -> None:
        if token in "({":
            if not self.awaits:
                self.reading.fault = f"A value stands right before {token!r}."
            self._enter(token)
        elif token in ")}":
            self._leave(token)
        elif token in ",;":
            self._part(token)
        elif self.awaits and token not in "+-":
            self.reading.fault = f"A value is missing before {token!r}."
        elif token != "%":
            self.awaits = True

    def _part(self, token: str) -> None:
        around = self.open[-1] if self.open else None
        if around is None or around.mark == "(":
            fits = token == "," and self.union
        else:
            fits = around.mark == "{" or token == ","
        blank = self.awaits and not (around and around.mark not in "({" and self._at_start_of_argument())
        if not fits or blank:
            self.reading.fault = f"The {token!r} separates nothing here."
        if around:
            around.commas += 1
        self.awaits = True

    def _leave(self, token: str) -> None:
        around = self.open.pop() if self.open else None
        if around is None or (around.mark == "{") != (token == "}"):
            self.reading.fault = f"The {token!r} has no partner."
            return
        is_function = around.mark not in "({"
        if self.awaits and not (is_function and self._at_start_of_argument()):
            self.reading.fault = f"A value is missing before {token!r}."
        if is_function:
            self.reading.functions.append((around.mark, 0 if around.empty else around.commas + 1))
        self.awaits = False

    def _at_start_of_argument(self) -> bool:
        """Functions may leave an argument empty."""
        return self.last == "," or self.last.endswith("(")

    def end(self) -> str:
        if self.open:
            return "A parenthesis is not closed."
        return "It ends where a value should follow." if self.awaits else ""
