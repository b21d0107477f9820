"""What holds in the columns of a training workbook's other passes, which the workbook names sheet by sheet:

- `gradients_<title>`: a position's gradients come from its own column and from later ones. No formula there reads
  gradients to the left of its own position; what the forward pass computed it may read anywhere.
- `after_<title>`: the forward pass on the new weights. These depend on the whole word that was learned, so what goes
  round by cells elsewhere says nothing here; but on its own sheet no formula reads to the right of its own position.

In both `$` stands before every row number, and a row has one formula, or each column its own.

Where many steps stand one after another, a sheet of its own for each has both passes. The first step's forward pass is
on State's weights, which know nothing of the word, and has the rules of `causality.py`.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from sheetgpt.excel_rules.columns.filled import Filled, misfits, relative
from sheetgpt.excel_rules.columns.positions import MARK as FORWARD_MARK
from sheetgpt.excel_rules.columns.positions import PREFIX
from sheetgpt.excel_rules.formula.grammar import Reference
from sheetgpt.excel_rules.formula.references import Box
from sheetgpt.excel_rules.formula.uses import Use, uses

GRADIENTS, AFTER = "gradients_", "after_"
MARK = "grad_wte"  # a workbook with this name is one that learns
_OF_A_STEP = re.compile(rf"step\d+_({MARK}|{FORWARD_MARK})")  # and with such names it has many steps

Names = Mapping[str, list[Reference]]


class Directed(NamedTuple):
    """Columns of positions whose formulas read one way only."""

    box: Box
    backward: bool


def directed(names: Names) -> dict[str, list[Directed]]:
    """Title in lower case -> its columns, of one pass or of two."""
    found = defaultdict[str, list[Directed]](list)
    for name, references in names.items():
        for prefix in (GRADIENTS, AFTER):
            match references:
                case [Reference(sheet=str(title), whole=False) as r] if name == prefix + in_a_name(title):
                    found[title.lower()].append(Directed(Box(r.left, r.top, r.right, r.bottom), prefix == GRADIENTS))
    return found


def in_a_name(title: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in title).lower()


def directions_problems(names: Names) -> Iterator[tuple[str, str]]:
    """That nothing is declared is a problem, too: else deleting the name would silence the rule."""
    areas = directed(names)
    if MARK in names and not any(each.backward for several in areas.values() for each in several):
        yield (
            MARK,
            f"The workbook has gradients, but no name {GRADIENTS}… that says which columns are positions; so it can't "
            "be checked that no gradient comes from an earlier one.",
        )
    for name, references in names.items():
        step = _OF_A_STEP.fullmatch(name)
        if step is None or not references:
            continue
        title, backward = (references[0].sheet or "").lower(), step[1] == MARK
        declared = any(each.backward == backward for each in areas.get(title, ()))
        if not declared and (backward or PREFIX + in_a_name(title) not in names):
            what = "gradients are positions" if backward else "the forward pass are positions"
            yield name, f"No name {GRADIENTS if backward else AFTER}{in_a_name(title)} says which columns of {what}."


class Directions:
    """Takes every formula cell of the workbook, sheet by sheet."""

    def __init__(self, names: Names) -> None:
        self.names, self.areas = names, directed(names)
        self.row: list[Filled] = []

    def take(self, title: str, column: int, row: int, width: int, text: str) -> Iterator[str]:
        sheet = title.lower()
        cells = Box(column, row, column + width - 1, row)
        own = next((each for each in self.areas.get(sheet, ()) if each.box.meets(cells)), None)
        if own is None:
            return
        problems = [
            rule for use in uses(text, sheet, self.names) for rule in self._wrong(own, sheet, column, width, use)
        ]
        self.row.append(Filled(column, width, relative(text, column), not problems))
        yield from problems

    def _wrong(self, own: Directed, sheet: str, column: int, width: int, use: Use) -> Iterator[str]:
        if use.rows_move:
            yield f"The reference {use.text} has no $ before its row; formulas here fill right only."
        theirs = next((each for each in self.areas.get(use.sheet, ()) if each.backward == own.backward), None)
        if theirs is None or (use.sheet != sheet and not own.backward):
            return
        for i in {0, width - 1}:
            box = use.moved(i)
            if not theirs.box.meets(box):
                continue
            if own.backward and max(box.left, theirs.box.left) < column + i:
                yield f"The reference {use.text} reads gradients to the left of the formula's own position."
                return
            if not own.backward and min(box.right, theirs.box.right) > column + i:
                yield f"The reference {use.text} reaches to the right of the formula's own token column."
                return

    def end_of_row(self) -> Iterator[tuple[int, str]]:
        yield from misfits(self.row)
        self.row.clear()
