"""How far right do cells look that are no positions themselves?

A cell that reads position t, or reads a cell that does, depends on the tokens up to t: its reach is the column of the
last position that it depends on, over any number of steps. Inputs and weights have none.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from operator import itemgetter

from sheetgpt.excel_rules.grammar import Reference
from sheetgpt.excel_rules.references import Box
from sheetgpt.excel_rules.uses import uses

Cell = tuple[int, int]  # column, row
Reached = dict[str, dict[Cell, int]]  # title in lower case -> cells that have a reach, with it

_ABROAD = re.compile(
    r"(?:'(?:[^']|'')+'|[^\W\d][\w.]*+)!\$?[A-Za-z]{1,3}\$?\d+(?::\$?[A-Za-z]{1,3}\$?\d+)?",
)
_WORD = re.compile(r"[^\W\d][\w.\\]*+|\\[\w.\\]+")


class Reach:
    """Takes every formula outside the positions, then says how far each cell reaches.

    A sheet's formulas are read one by one only when something that they use on other sheets has a reach: those of
    the Tokenizer, most of all formulas outside the positions, never need it.
    """

    def __init__(self, positions: Mapping[str, Box], names: Mapping[str, list[Reference]]) -> None:
        self.positions, self.names = positions, names
        self.unread: dict[str, list[tuple[int, int, int, str]]] = defaultdict(list)
        self.formulas: list[tuple[str, Cell, list[tuple[str, Box]]]] = []
        self.cells: Reached = defaultdict(dict)
        self._ranges: dict[tuple[str, Box], tuple[int, Cell]] = {}

    def take(self, sheet: str, column: int, row: int, width: int, text: str) -> None:
        """A formula outside the positions, which fills `width` columns from `column` on."""
        self.unread[sheet].append((column, row, width, text))

    def spread(self) -> None:
        """Finds every cell's reach."""
        abroad = {sheet: self._abroad(sheet) for sheet in self.unread}
        while due := [sheet for sheet in self.unread if self._matters(sheet, abroad[sheet])]:
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
        widest = max(width for _, _, width, _ in self.unread[sheet]) - 1
        found = [u for text in {*_ABROAD.findall(joined), *words} for u in uses(text, sheet, self.names)]
        swept = ((u.sheet, u.box, u.moved(widest)) for u in found)
        return [(title, Box(min(a.left, b.left), a.top, max(a.right, b.right), a.bottom)) for title, a, b in swept]

    def _matters(self, sheet: str, abroad: list[tuple[str, Box]] | None) -> bool:
        if abroad is None or sheet in self.positions:
            return True
        areas = self.positions
        return any((t in areas and areas[t].meets(box)) or self.of(t, box)[0] > 0 for t, box in abroad)

    def _read(self, sheet: str, column: int, row: int, width: int, text: str) -> None:
        found = uses(text, sheet, self.names)
        for i in range(width):
            direct, others = 0, []
            for use in found:
                box = use.moved(i) if i else use.box
                area = self.positions.get(use.sheet)
                if area is not None and area.meets(box):
                    direct = max(direct, min(box.right, area.right))
                if area is None or not area.holds(box):
                    others.append((use.sheet, box))
            if direct:
                self.cells[sheet][column + i, row] = direct
            if others:
                self.formulas.append((sheet, (column + i, row), others))

    def _hand_on(self) -> None:
        """Every reach goes on to the cells that read it, until nothing changes; to and fro, since chains of cells run
        down a sheet as well as up."""
        changed = bool(self.cells)
        while changed:
            changed = False
            self._ranges.clear()
            for sheet, cell, reads in self.formulas:
                furthest = max(self.of(title, box)[0] for title, box in reads)
                if furthest > self.cells.get(sheet, {}).get(cell, 0):
                    self.cells[sheet][cell] = furthest
                    changed = True
            self.formulas.reverse()
        self._ranges.clear()

    def of(self, title: str, box: Box) -> tuple[int, Cell]:
        """The furthest reach in a range, 0 for none, and the cell that has it."""
        cells = self.cells.get(title)
        if not cells:
            return 0, (0, 0)
        left, top, right, bottom = box
        if left == right and top == bottom:
            return cells.get((left, top), 0), (left, top)
        key = title, box
        if key not in self._ranges:
            if (right - left + 1) * (bottom - top + 1) < len(cells):
                held = [(c, r) for r in range(top, bottom + 1) for c in range(left, right + 1) if (c, r) in cells]
            else:
                held = [(c, r) for c, r in cells if left <= c <= right and top <= r <= bottom]
            self._ranges[key] = max(((cells[cell], cell) for cell in held), default=(0, (0, 0)), key=itemgetter(0))
        return self._ranges[key]
