"""Which cells have a position a column: the workbook says so itself, by a name a sheet, `positions_<title>`.

Position t is the same column on every sheet. A workbook of two texts has two such columns for t: one in lane A, and one
in lane B, always so many columns (`step`) further right, which `positions_B_<title>` declares. What follows from it is
in `causality.py`.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from openpyxl.utils import get_column_letter

from sheetgpt.excel_rules.formula.grammar import Reference
from sheetgpt.excel_rules.formula.references import Box

PREFIX, SECOND = "positions_", "b_"
MARK = "token_ids"  # a workbook with this name is one of ours
A, B = "A", "B"

Names = Mapping[str, list[Reference]]  # in lower case -> what they refer to
Declared = tuple[str, str, list[Reference]]  # name, lane, what it refers to


@dataclass(frozen=True)
class Positions:
    """Of each lane: title in lower case -> the cells that are positions. A workbook of one text has lane A alone."""

    a: Mapping[str, Box] = field(default_factory=dict)
    b: Mapping[str, Box] = field(default_factory=dict)

    def on(self, sheet: str) -> list[tuple[str, Box]]:
        return self._on.get(sheet, [])

    @cached_property
    def _on(self) -> dict[str, list[tuple[str, Box]]]:
        lanes = (A, self.a), (B, self.b)
        return {title: [(n, areas[title]) for n, areas in lanes if title in areas] for title in {*self.a, *self.b}}

    def of(self, lane: str) -> Mapping[str, Box]:
        return self.a if lane == A else self.b

    @cached_property
    def first(self) -> dict[str, int]:
        """The column in which a lane begins: on most sheets, where they differ."""
        return {lane: _usual(area.left for area in self.of(lane).values()) for lane in (A, B)}

    @cached_property
    def last_of_a(self) -> int:
        """The column in which lane A ends, on the sheet where it ends last."""
        return max((area.right for area in self.a.values()), default=0)

    @cached_property
    def width_of_b(self) -> int:
        """One less than the positions of lane B, on most sheets."""
        return _usual(area.right - area.left for area in self.b.values())

    @property
    def step(self) -> int:
        return self.first[B] - self.first[A]

    def patches(self, sheet: str) -> bool:
        """Whether lane B takes something of lane A on this sheet, which is then lane B's alone."""
        return sheet in self.b and sheet not in self.a

    def allowed(self, lane: str, sheet: str, column: int) -> int:
        """The columns that a formula in this one may depend on; column c is the bit 1 << c."""
        if lane == A:
            return (2 << column) - 1
        theirs = (2 << max(column - self.step, 0)) - 1 if self.patches(sheet) else 0
        return max((2 << column) - (1 << self.first[B]), 0) | theirs


def _usual(values: Iterable[int]) -> int:
    """The most frequent, and of several the least; 0 for none."""
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value), default=0)


def positions(names: Names, titles: Collection[str]) -> Positions:
    """`titles`: of all worksheets, as they are written."""
    found: dict[str, dict[str, Box]] = {A: {}, B: {}}
    for _, lane, references in _declared(names, titles):
        match references:
            case [Reference(sheet=str(title), whole=False) as r]:
                found[lane].setdefault(title.lower(), Box(r.left, r.top, r.right, r.bottom))
    return Positions(found[A], found[B])


def positions_problems(names: Names, titles: Collection[str]) -> Iterator[tuple[str, str]]:
    """(name, rule). That no name declares anything is a problem, too: else deleting them would silence the rules."""
    declared, named = positions(names, titles), set[tuple[str, str]]()
    in_b = {(r.sheet or "").lower(): name for name, found in names.items() if name.startswith(SECOND) for r in found}
    for mark, lane, prefix in ((MARK, A, PREFIX), (SECOND + MARK, B, f"{PREFIX}B_")):
        if not declared.of(lane) and mark in names:
            whose = "" if lane == A else " of lane B"
            yield (
                mark,
                (
                    f"The workbook has token ids{whose}, but no name {prefix}… that says which columns are positions; "
                    "so it can't be checked that no token sees a later one."
                ),
            )
    for name, lane, references in _declared(names, titles):
        title, areas = (references[0].sheet or "").lower() if references else "", declared.of(lane)
        whose = "The" if lane == A else "Lane B's"
        if len(references) != 1 or title not in areas:
            yield name, "The name tells which columns of a sheet are positions; it must be one rectangle of one sheet."
        elif (lane, title) in named:
            lanes = "" if lane == A else " of lane B"
            yield name, f"Two names tell which columns of {references[0].sheet} are positions{lanes}."
        elif areas[title].left != declared.first[lane]:
            here, there = get_column_letter(areas[title].left), get_column_letter(declared.first[lane])
            yield name, f"{whose} positions begin in column {here}, on another sheet in column {there}."
        elif lane == A and declared.b and title in in_b and title not in declared.b:
            yield name, f"{references[0].sheet} has lane B, too, see {in_b[title]}, but no name {PREFIX}B_… for it."
        elif lane == B and (rule := _beside(title, declared)):
            yield name, rule
        named.add((lane, title))


def _beside(title: str, declared: Positions) -> str | None:
    """What is wrong with lane B on a sheet, beside lane A."""
    a, b = declared.a.get(title), declared.b[title]
    width, usual = b.right - b.left, declared.width_of_b
    if b.left <= declared.last_of_a:
        return f"Lane B's positions begin in column {get_column_letter(b.left)}, which is one of lane A's."
    if a is not None and b != a._replace(left=a.left + declared.step, right=a.right + declared.step):
        return f"Lane B's positions, {_cells(b)}, must be lane A's, {_cells(a)}, moved to the right."
    if width != usual:
        return f"Lane B has {width + 1} positions here, on another sheet {usual + 1}."
    return None


def _cells(box: Box) -> str:
    return f"{get_column_letter(box.left)}{box.top}:{get_column_letter(box.right)}{box.bottom}"


def _declared(names: Names, titles: Collection[str]) -> Iterator[Declared]:
    """`positions_B_Block_0` is lane B's on the sheet Block 0, but lane A's on a sheet `B Block 0`."""
    known = {_in_a_name(title) for title in titles}
    for name, references in names.items():
        if name.startswith(PREFIX):
            rest = name.removeprefix(PREFIX)
            other = rest.removeprefix(SECOND)
            own = {_in_a_name(r.sheet) for r in references if r.sheet} & {rest, other} or known
            yield name, A if rest in own or other not in own else B, references


def _in_a_name(title: str) -> str:
    return re.sub(r"\W", "_", title).lower()
