"""A range of a recalculated workbook against what it should hold: the largest difference, where, and what is wrong.

A difference counts relative to the expected value, but never to less than FLOOR: below it 1e-12 absolute is allowed.
What is computed from differences of logits inherits their rounding, `slack`: with logits of 10,000 and a temperature of
0.001, a probability can't be known better than to 1e-7.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.engines import Cells
from sheetgpt.ooxml.area import Area

Array = NDArray[Any]

TOLERANCE = 1e-9  # relative
FLOOR = 1e-3  # differences are taken relative to at least this: 1e-12 absolute
ROUNDING = 1e-14  # of the largest logit: some 50 times a double's last bit, and what adding up 768 products may lose


@dataclass(frozen=True)
class TensorResult:
    """One tensor's largest differences, and where; `problem` says in words what can't be said in a number."""

    name: str
    range: str
    max_abs: float | None
    max_rel: float | None
    where: str = ""
    problem: str = ""

    @property
    def passed(self) -> bool:
        return not self.problem and self.max_rel is not None and self.max_rel <= TOLERANCE


def shape_problem(area: Area, found: Cells | None) -> str:
    """Why the range can't be compared at all; nothing, if it can."""
    if found is None:
        return "there is no such range in the workbook (a deleted sheet or name?)"
    shape = (area.n_rows, area.n_columns)
    return "" if found.numbers.shape == shape else f"the range is {found.numbers.shape}, expected {shape}"


def logit_rounding(logits: Array, temperature: float = 1) -> Array:
    """What exp(logit / temperature) inherits of the logits' rounding, over TOLERANCE.  [n_vocab, T] -> [T]"""
    largest: Array = np.abs(logits).max(axis=0)
    return largest * (ROUNDING / TOLERANCE / temperature if temperature else 0)


def compare(
    name: str, area: Area, found: Cells | None, want: Array, exact: bool = False, slack: Array | float = 0
) -> TensorResult:
    """One range against what it should hold; NaN in `want` stands for an empty cell.

    `slack`: differences are taken relative to at least this, and to at least so many times the expected value.
    """
    problem = shape_problem(area, found)
    if found is None or problem:
        return TensorResult(name, area.reference, None, None, problem=problem)
    got, empty = found.numbers, np.isnan(want)
    for (i, j), text in found.texts.items():
        kind = "where it should be empty" if empty[i, j] else "instead of a number"
        return TensorResult(name, area.reference, None, None, _cell(area, i, j), f"holds {text!r} {kind}")
    wrong = np.argwhere(np.isnan(got) != empty)
    if len(wrong):
        i, j = (int(k) for k in wrong[0])
        problem = "holds a number where it should be empty" if empty[i, j] else "is empty"
        return TensorResult(name, area.reference, None, None, _cell(area, i, j), problem)
    with np.errstate(invalid="ignore"):
        difference = np.abs(got - want)
    difference[empty] = 0
    scale = np.where(empty, 1, np.abs(want))
    if not exact:
        scale = np.maximum(scale, slack * np.maximum(scale, 1))
    relative = difference / (np.maximum(scale, np.finfo(float).tiny) if exact else np.maximum(scale, FLOOR))
    i, j = (int(k) for k in np.unravel_index(int(np.argmax(relative)), relative.shape))
    max_rel = float(relative[i, j])
    problem = "differs from the checkpoint" if exact and max_rel > 0 else ""
    return TensorResult(name, area.reference, float(difference.max()), max_rel, _cell(area, i, j), problem)


def compare_texts(name: str, area: Area, found: Cells | None, want: Mapping[tuple[int, int], str]) -> TensorResult:
    """Texts, to the letter; a cell that `want` doesn't name must hold none. None may hold a number."""
    problem = shape_problem(area, found)
    if found is None or problem:
        return TensorResult(name, area.reference, None, None, problem=problem)
    for i, j in np.argwhere(~np.isnan(found.numbers)).tolist():
        said = f"holds the number {found.numbers[i, j]:g}, not {want.get((i, j), '')!r}"
        return TensorResult(name, area.reference, None, None, _cell(area, i, j), said)
    for i, j in sorted(found.texts.keys() | want.keys()):
        is_, should = found.texts.get((i, j), ""), want.get((i, j), "")
        if is_ != should:
            return TensorResult(name, area.reference, None, None, _cell(area, i, j), f"holds {is_!r}, not {should!r}")
    return TensorResult(name, area.reference, 0.0, 0.0)


def _cell(area: Area, i: int, j: int) -> str:
    """Where in the workbook: `Block 0!G21`."""
    return f"{area.sheet}!{Area(area.sheet, area.row + i, area.column + j).cells}"
