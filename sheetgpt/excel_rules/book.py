"""What the checks of single sheets need to know of the whole workbook, as plain data."""

import re
from dataclasses import dataclass

from sheetgpt.excel_rules.grammar import Reference
from sheetgpt.excel_rules.references import Box

LABEL, FIRST_TOKEN = 1, 6  # column A: what a row is, which may show any token; column F: position 0
HOME = "Home"

TOKEN_NAME = re.compile(
    r"embed(_tok|_pos)?|ln_f(_mean|_rstd)?|logits"
    r"|h\d+_(ln_[12](_mean|_rstd)?|attn_(qkv|z|out|(scores|probs)_\d+)|resid_(mid|post)|mlp_(fc|act|out))"
)
STRIP_NAMES = ("token_ids", "token_text", "positions", "active")  # a position a column, on a sheet that is not all so


@dataclass(frozen=True)
class Book:
    """`titles`: part of a worksheet -> its title. `names`: workbook-level names in lower case -> what they refer to."""

    titles: dict[str, str]
    names: dict[str, list[Reference]]
    token_sheets: frozenset[str]  # lower case: sheets whose columns from F on are positions
    strips: dict[str, list[Box]]  # lower-case title -> rows of positions on other sheets
    n_styles: int
    n_dxfs: int
    n_strings: int


def token_sheets(names: dict[str, list[Reference]]) -> frozenset[str]:
    """Sheets into which a tensor of the trace points; Home shows some of them, but is no token sheet."""
    found = {
        reference.sheet.lower()
        for name, references in names.items()
        if TOKEN_NAME.fullmatch(name)
        for reference in references
        if reference.sheet
    }
    return frozenset(found - {HOME.lower()})


def strips(names: dict[str, list[Reference]], whole: frozenset[str]) -> dict[str, list[Box]]:
    found: dict[str, list[Box]] = {}
    for name in STRIP_NAMES:
        for r in names.get(name, []):
            if r.sheet and r.sheet.lower() not in whole and not r.whole:
                found.setdefault(r.sheet.lower(), []).append(Box(r.left, r.top, r.right, r.bottom))
    return found
