"""Which cells have a position a column: the workbook says so itself, by a name a sheet, `positions_<title>`.

Position t is the same column on every sheet. What follows from it is in `causality.py`.
"""

from collections.abc import Iterator, Mapping

from openpyxl.utils import get_column_letter

from sheetgpt.excel_rules.grammar import Reference
from sheetgpt.excel_rules.references import Box

PREFIX = "positions_"
MARK = "token_ids"  # a workbook with this name is one of ours

Names = Mapping[str, list[Reference]]  # in lower case -> what they refer to


def positions(names: Names) -> dict[str, Box]:
    """Title in lower case -> the cells that are positions."""
    found: dict[str, Box] = {}
    for _, references in _declared(names):
        match references:
            case [Reference(sheet=str(title), whole=False) as r]:
                found.setdefault(title.lower(), Box(r.left, r.top, r.right, r.bottom))
    return found


def positions_problems(names: Names) -> Iterator[tuple[str, str]]:
    """(name, rule). That no name declares anything is a problem, too: else deleting them would silence the rules."""
    declared, named = positions(names), set[str]()
    if not declared and MARK in names:
        yield (
            MARK,
            (
                "The workbook has token ids, but no name positions_… that says which columns are positions; "
                "so it can't be checked that no token sees a later one."
            ),
        )
    first = min((area.left for area in declared.values()), default=0)
    for name, references in _declared(names):
        title = (references[0].sheet or "").lower() if references else ""
        if len(references) != 1 or title not in declared:
            yield name, "The name tells which columns of a sheet are positions; it must be one rectangle of one sheet."
        elif title in named:
            yield name, f"Two names tell which columns of {references[0].sheet} are positions."
        elif declared[title].left != first:
            here, there = get_column_letter(declared[title].left), get_column_letter(first)
            yield name, f"The positions begin in column {here}, on another sheet in column {there}."
        named.add(title)


def _declared(names: Names) -> Iterator[tuple[str, list[Reference]]]:
    return ((name, references) for name, references in names.items() if name.startswith(PREFIX))
