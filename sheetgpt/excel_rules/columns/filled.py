"""Formulas that fill right: one form in a row, or in each column one of its own."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from sheetgpt.excel_rules.formula.references import column_number

_RELATIVE = re.compile(
    r"""("[^"]*"|(?<!')'(?:[^']|'')*+'!)|(?<![\w.$\\])([A-Za-z]{1,3}+)(?=\$?[1-9]\d*+(?![\w.(!]))""",
)


class Filled(NamedTuple):
    """One formula in `width` columns of a row, from `column` on; `form` is the same wherever it stands."""

    column: int
    width: int
    form: str
    sound: bool


def misfits(filled: list[Filled]) -> Iterator[tuple[int, str]]:
    forms = [f.form for f in filled]
    if len(filled) < 2 or (len(set(forms)) == len(forms) and all(f.width == 1 for f in filled)):
        return  # each column has its own
    widths: Counter[str] = Counter()
    for f in filled:
        widths[f.form] += f.width
    usual = widths.most_common(1)[0][0]
    for f in filled:
        if f.form != usual and f.sound:
            yield f.column, "The formula is not the one that fills the rest of its row."


def relative(text: str, column: int) -> str:
    """The formula with its relative columns as distances from its own: `SUM($F$7:G$7)` in G is `SUM($F$7:[0]$7)`."""
    return _RELATIVE.sub(lambda m: m[1] or f"[{column_number(m[2]) - column}]", text)
