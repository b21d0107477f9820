"""What verification found: a result for every tensor and name, and how many formula cells were compared."""

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd

TOLERANCE = 1e-9  # relative
MOST = 5  # wrong cells that are listed for each tensor, unless all are asked for


@dataclass(frozen=True)
class WrongCell:
    """A cell, such as Home!B7, and what is wrong with it."""

    where: str
    problem: str


@dataclass(frozen=True)
class TensorResult:
    """One tensor's largest differences, and where; `problem` says in words what can't be said in a number.

    `cells` are the first of the `n_wrong` cells that are not what they must be.
    """

    name: str
    range: str
    max_abs: float | None
    max_rel: float | None
    where: str = ""
    problem: str = ""
    n_wrong: int = 0
    cells: tuple[WrongCell, ...] = ()
    sheet: str = ""

    @property
    def passed(self) -> bool:
        return not self.problem and self.max_rel is not None and self.max_rel <= TOLERANCE


@dataclass(frozen=True)
class SheetCells:
    """How many cells of a sheet were compared: those that hold anything, or must; and how many are wrong."""

    title: str
    cells: int
    formulas: int
    wrong: int
    max_rel: float  # the largest relative difference of a number


@dataclass(frozen=True)
class Report:
    """Every tensor's result. `passed` is the verdict."""

    workbook: str
    engine: str
    tensors: tuple[TensorResult, ...]
    problems: tuple[str, ...] = ()
    formula_cells: int = 0  # in the workbook's file
    compared_cells: int = 0  # of these
    sheets: tuple[SheetCells, ...] = ()
    not_loaded: tuple[str, ...] = ()  # what the workbook would have fetched or run

    @property
    def passed(self) -> bool:
        whole = self.compared_cells == self.formula_cells
        return not self.problems and whole and bool(self.tensors) and all(t.passed for t in self.tensors)

    @property
    def wrong_cells(self) -> tuple[str, ...]:
        """Every listed cell that is wrong, each once."""
        return tuple(dict.fromkeys(cell.where for t in self.tensors for cell in t.cells))

    @property
    def max_rel(self) -> float:
        return max((t.max_rel for t in self.tensors if t.max_rel is not None), default=0.0)

    @property
    def coverage(self) -> str:
        """How much was compared: `491,520 of 491,520 formula cells`."""
        return f"{self.compared_cells:,} of {self.formula_cells:,} formula cells"

    def frame(self) -> pd.DataFrame:
        """A tensor a row."""
        columns = ("name", "range", "max_abs", "max_rel", "where", "problem", "passed")
        return pd.DataFrame([[getattr(t, c) for c in columns] for t in self.tensors], columns=list(columns))

    def to_json(self) -> str:
        tensors = [
            {"name": t.name, "range": t.range, "max_abs": t.max_abs, "max_rel": t.max_rel, "where": t.where}
            | ({"problem": t.problem} if t.problem else {})
            | ({"n_wrong": t.n_wrong, "wrong": {cell.where: cell.problem for cell in t.cells}} if t.n_wrong else {})
            for t in self.tensors
        ]
        whole = {"passed": self.passed, "engine": self.engine, "workbook": self.workbook}
        cells: dict[str, Any] = {"formula_cells": self.formula_cells, "compared_cells": self.compared_cells}
        cells |= {
            "sheets": {s.title: {"cells": s.cells, "formula_cells": s.formulas, "wrong": s.wrong} for s in self.sheets}
        }
        words = {"problems": self.problems, "not_loaded": self.not_loaded}
        return json.dumps(whole | cells | words | {"tensors": tensors}, indent=1, allow_nan=False)
