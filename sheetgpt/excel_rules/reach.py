"""How far right do cells look that are no positions themselves?

A cell that reads position t, or reads a cell that does, depends on the tokens up to t: its reach is the column of the
last position that it depends on, over any number of steps. Inputs and weights have none.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import itemgetter

from sheetgpt.excel_rules.references import Box

Cell = tuple[int, int]  # column, row
Reached = dict[str, dict[Cell, int]]  # title in lower case -> cells that have a reach, with it


class Reach:
    """Takes every formula outside the positions, then says how far each cell reaches."""

    def __init__(self, positions: Mapping[str, Box]) -> None:
        self.positions = positions
        self.formulas: list[tuple[str, Cell, list[tuple[str, Box]]]] = []
        self.cells: Reached = defaultdict(dict)
        self._ranges: dict[tuple[str, Box], tuple[int, Cell]] = {}

    def take(self, sheet: str, cell: Cell, reads: Sequence[tuple[str, Box]]) -> None:
        """A formula outside the positions; what it reads: sheets and ranges."""
        direct, others = 0, []
        for title, box in reads:
            area = self.positions.get(title)
            if area is not None and area.meets(box):
                direct = max(direct, min(box.right, area.right))
            if area is None or not area.holds(box):
                others.append((title, box))
        if direct:
            self.cells[sheet][cell] = direct
        if others:
            self.formulas.append((sheet, cell, others))

    def spread(self) -> None:
        """Hands every reach on to the cells that read it, until nothing changes; to and fro, since chains of cells run
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
