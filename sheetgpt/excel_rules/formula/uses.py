"""The references of a formula, found by one regular expression: some ten times as fast as `grammar.read`, which judges.

What it finds in a sound formula is what `grammar.read` finds; a test compares the two on whole workbooks.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from sheetgpt.excel_rules.formula.grammar import Reference
from sheetgpt.excel_rules.formula.references import Box, column_number
from sheetgpt.ooxml.limits import MAX_COLUMN

_USE = re.compile(
    r"""
    "(?:[^"]|"")*+"
    |(?<![\w.\\$])(?:(?P<sheet>(?<!')'(?:[^']|'')++'|[^\W\d][\w.]*+)!)?
     (\$?)([A-Za-z]{1,3}+)(\$?)([1-9]\d*+)(?::(\$?)([A-Za-z]{1,3}+)(\$?)([1-9]\d*+))?(?![\w.(!:])
    |(?<![\w.\\$?])([^\W\d][\w.\\?]*+|\\[\w.\\?]++)(?![!(])
    |(:)
    """,
    re.VERBOSE,
)


class Use(NamedTuple):
    """A range that a formula uses, in the formula's own column; a side that `moves` goes right with the formula."""

    sheet: str  # lower case
    box: Box
    left_moves: bool
    right_moves: bool
    rows_move: bool
    text: str

    def moved(self, n: int) -> Box:
        """The range as the same formula has it n columns further right."""
        left, top, right, bottom = self.box
        left, right = left + n * self.left_moves, right + n * self.right_moves
        return Box(min(left, right), top, max(left, right), bottom)

    def swept(self, width: int) -> Box:
        """All that the formula uses in `width` columns."""
        (left, top, right, bottom), last = self.moved(0), self.moved(width - 1)
        return Box(min(left, last.left), top, max(right, last.right), bottom)


def uses(text: str, sheet: str, names: Mapping[str, list[Reference]]) -> list[Use]:
    """`sheet`: the formula's own, in lower case. What a name refers to is used, too."""
    found, joined = [], False
    for m in _USE.finditer(text):
        title, c1, letters, r1, top, c2, last, r2, bottom, name, colon = m.groups()
        if letters and not last and not title and column_number(letters) > MAX_COLUMN and m[0].lower() in names:
            letters, name = "", m[0]  # `xyz1` is a name
        if letters:
            if title:
                title = (title[1:-1].replace("''", "'") if title[0] == "'" else title).lower()
            left, up = column_number(letters), int(top)
            if last:
                box = _box(left, up, column_number(last), int(bottom))
                found.append(Use(title or sheet, box, not c1, not c2, not (r1 and r2), m[0]))
            else:
                found.append(Use(title or sheet, Box(left, up, left, up), not c1, not c1, not r1, m[0]))
        elif name:
            for r in names.get(name.lower(), ()):
                if not r.whole:
                    box = _box(r.left, r.top, r.right, r.bottom)
                    found.append(Use((r.sheet or sheet).lower(), box, False, False, False, name))
        joined = joined or bool(colon)
    return found + _hulls(found) if joined else found


def _box(left: int, top: int, right: int, bottom: int) -> Box:
    return Box(min(left, right), min(top, bottom), max(left, right), max(top, bottom))


def _hulls(found: list[Use]) -> list[Use]:
    """A colon between two results (`INDEX(…):INDEX(…)`) may make a range of all that lies between them."""
    hulls: dict[str, Use] = {}
    for use in found:
        before = hulls.get(use.sheet, use)
        (left, top, right, bottom), (l2, t2, r2, b2) = before.box, use.box
        box = Box(min(left, l2), min(top, t2), max(right, r2), max(bottom, b2))
        moves = before.left_moves or use.left_moves, before.right_moves or use.right_moves
        hulls[use.sheet] = Use(use.sheet, box, *moves, False, "…:…")
    return list(hulls.values())
