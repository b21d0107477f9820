"""How far right do cells look that are no positions themselves?

A cell that reads position t, or reads a cell that does, depends on the tokens up to t: its reach are the columns of the
positions that it depends on, over any number of steps, column c as the bit 1 << c. Inputs and weights have none.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from functools import reduce
from operator import or_

from sheetgpt.excel_rules.columns.positions import Positions
from sheetgpt.excel_rules.formula.grammar import Reference
from sheetgpt.excel_rules.formula.references import Box
from sheetgpt.excel_rules.formula.uses import uses

Cell = tuple[int, int]  # column, row
Reached = dict[str, dict[Cell, int]]  # title in lower case -> cells that have a reach, and which columns it is

# steps: a cell looked at for a range, a formula gone through; the stories' workbook takes 7 a formula. Chains that run
# to and fro, and ranges over one another, may take as many a formula as there are formulas.
ANY_STEPS, STEPS_A_FORMULA = 5_000_000, 200

_ABROAD = re.compile(
    r"(?:(?<!')'(?:[^']|'')++'|(?<![\w.])[^\W\d][\w.]*+)!\$?[A-Za-z]{1,3}\$?\d+(?::\$?[A-Za-z]{1,3}\$?\d+)?",
)
_WORD = re.compile(r"[^\W\d][\w.\\]*+|\\[\w.\\]+")


class Reach:
    """Takes every formula outside the positions, then says how far each cell reaches.

    A sheet's formulas are read one by one only when something that they use on other sheets has a reach: those of
    the Tokenizer, most of all formulas outside the positions, never need it.
    """

    def __init__(self, positions: Positions, names: Mapping[str, list[Reference]]) -> None:
        self.positions, self.names = positions, names
        self.unread: dict[str, list[tuple[int, int, int, str]]] = defaultdict(list)
        self.formulas: list[tuple[str, Cell, list[tuple[str, Box]]]] = []
        self.cells: Reached = defaultdict(dict)
        self._ranges: dict[tuple[str, Box], int] = {}
        self.steps, self.n_formulas = 0, 0

    @property
    def gave_up(self) -> bool:
        """What the cells depend on took too many steps to find out: what is known of it is not all."""
        return self.steps > ANY_STEPS + STEPS_A_FORMULA * self.n_formulas

    def take(self, sheet: str, column: int, row: int, width: int, text: str) -> None:
        """A formula outside the positions, which fills `width` columns from `column` on."""
        self.unread[sheet].append((column, row, width, text))
        self.n_formulas += width

    def spread(self) -> None:
        """Finds every cell's reach."""
        abroad = {sheet: self._abroad(sheet) for sheet in self.unread}
        while not self.gave_up and (due := [sheet for sheet in self.unread if self._matters(sheet, abroad[sheet])]):
            for sheet in due:
                for formula in self.unread.pop(sheet):
                    self._read(sheet, *formula)
            self._hand_on()

    def _abroad(self, sheet: str) -> list[tuple[str, Box]] | None:
        """What the sheet's formulas use on other sheets, by name, too; None where they have to be read to know it."""
        joined = "\n".join(formula[-1] for formula in self.unread[sheet])
        if "):" in joined:
            return None  # a range between two results
        words = [word for word in set(_WORD.findall(joined)) if word.lower() in self.names]
        widest = max(width for _, _, width, _ in self.unread[sheet])
        found = [u for text in {*_ABROAD.findall(joined), *words} for u in uses(text, sheet, self.names)]
        return [(u.sheet, u.swept(widest)) for u in found]

    def _matters(self, sheet: str, abroad: list[tuple[str, Box]] | None) -> bool:
        if abroad is None or self.positions.on(sheet):
            return True
        self.steps += 1 + len(abroad)
        return any(self._direct(title, box) or self.of(title, box) for title, box in abroad)

    def _direct(self, title: str, box: Box) -> int:
        """The positions in a range."""
        found = 0
        for _, area in self.positions.on(title):
            if area.meets(box):
                found |= (2 << min(box.right, area.right)) - (1 << max(box.left, area.left))
        return found

    def _read(self, sheet: str, column: int, row: int, width: int, text: str) -> None:
        found = uses(text, sheet, self.names)
        for i in range(width):
            direct, others = 0, []
            for use in found:
                box = use.moved(i) if i else use.box
                direct |= self._direct(use.sheet, box)
                if not any(area.holds(box) for _, area in self.positions.on(use.sheet)):
                    others.append((use.sheet, box))
            if direct:
                self.cells[sheet][column + i, row] = direct
            if others:
                self.formulas.append((sheet, (column + i, row), others))

    def _hand_on(self) -> None:
        """Every reach goes on to the cells that read it, until nothing changes; to and fro, since chains of cells run
        down a sheet as well as up."""
        changed = bool(self.cells)
        while changed and not self.gave_up:
            changed = False
            self._ranges.clear()
            for sheet, cell, reads in self.formulas:
                self.steps += len(reads)
                if self.gave_up:
                    break
                before = self.cells.get(sheet, {}).get(cell, 0)
                after = reduce(or_, (self.of(title, box) for title, box in reads), before)
                if after != before:
                    self.cells[sheet][cell] = after
                    changed = True
            self.formulas.reverse()
        self._ranges.clear()

    def of(self, title: str, box: Box) -> int:
        """What the cells in a range reach together."""
        cells = self.cells.get(title)
        if not cells:
            return 0
        left, top, right, bottom = box
        if left == right and top == bottom:
            return cells.get((left, top), 0)
        key = title, box
        if key not in self._ranges:
            self._ranges[key] = reduce(or_, (cells[cell] for cell in self._held(title, box)), 0)
        return self._ranges[key]

    def furthest(self, title: str, box: Box, among: int) -> Cell:
        """The cell of the range that reaches furthest right of some columns."""
        return max(self._held(title, box), key=lambda cell: (self.cells[title][cell] & among).bit_length())

    def _held(self, title: str, box: Box) -> list[Cell]:
        """The cells of a range that have a reach."""
        (left, top, right, bottom), cells = box, self.cells[title]
        area = (right - left + 1) * (bottom - top + 1)
        self.steps += min(area, len(cells))
        if area < len(cells):
            return [(c, r) for r in range(top, bottom + 1) for c in range(left, right + 1) if (c, r) in cells]
        return [(c, r) for c, r in cells if left <= c <= right and top <= r <= bottom]
