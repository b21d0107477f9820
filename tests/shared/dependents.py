"""Which formulas of a workbook are recomputed when a cell changes: the work of an edit, counted."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import openpyxl
from openpyxl.worksheet.formula import ArrayFormula

from sheetgpt.excel_rules.formula.uses import uses
from sheetgpt.ooxml.area import Area

Cell = tuple[str, int, int]  # sheet in lower case, row, column


def cells_of(area: Area) -> set[Cell]:
    rows, columns = range(area.row, area.last_row + 1), range(area.column, area.last_column + 1)
    return {(area.sheet.lower(), row, column) for row in rows for column in columns}


class Dependents:
    """A spreadsheet program recomputes whatever names a cell, directly or by way of others, changed or not."""

    def __init__(self, path: Path) -> None:
        self.readers: dict[Cell, set[Cell]] = defaultdict(set)
        for sheet in openpyxl.load_workbook(path):
            for row in sheet.iter_rows():
                for cell in row:
                    held = cell.value.text if isinstance(cell.value, ArrayFormula) else cell.value
                    if isinstance(held, str) and held.startswith("=") and cell.row and cell.column:
                        self._take(held[1:], (sheet.title.lower(), cell.row, cell.column))

    def _take(self, formula: str, reader: Cell) -> None:
        for use in uses(formula, reader[0], {}):
            left, top, right, bottom = use.box
            for row in range(top, bottom + 1):
                for column in range(left, right + 1):
                    self.readers[use.sheet, row, column].add(reader)

    def of(self, changed: Iterable[Cell]) -> set[Cell]:
        reached: set[Cell] = set()
        waiting = [*changed]
        while waiting:
            for reader in self.readers.get(waiting.pop(), ()):
                if reader not in reached:
                    reached.add(reader)
                    waiting.append(reader)
        return reached
