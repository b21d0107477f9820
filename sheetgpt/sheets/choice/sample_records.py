"""What a row of the Sample sheet is, as a record: what it says, its formula, and its NumPy value, side by side.

The single rows are in `sample_lines.py`, the tables with a rank a row in `sample_tables.py`. The mathematics stands in
`sampling.py`, whose names these are: j = 0, 1, … are the ranks, the likeliest first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sheetgpt.gpt2.sampling import Choice
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.grid import FIRST_TOKEN, SAMPLE
from sheetgpt.sheets.layout import Layout


@dataclass(frozen=True)
class Here:
    """References for formulas at the first position, from which they fill right."""

    layout: Layout

    def cell(self, name: str, j: int = 0) -> str:
        """Rank j of a table, or a single row."""
        return self.layout[f"sample_{name}"].at(j)

    def column(self, name: str) -> str:
        """All ranks of a table."""
        return self.layout[f"sample_{name}"].down(0)

    def home(self, name: str) -> str:
        return self.layout[name].reference

    def header(self, row: int) -> str:
        return Area(SAMPLE, row, FIRST_TOKEN).at(0)

    @property
    def logits(self) -> str:
        """This column's, of the whole vocabulary."""
        return self.layout["logits"].down(0, SAMPLE)

    @property
    def strings(self) -> str:
        return self.layout["vocab_shown"].reference


@dataclass(frozen=True)
class Chosen:
    """What the evaluator chose in one column."""

    choice: Choice
    state: int  # of the random numbers
    shown: Sequence[str]  # the tokens' strings, by id

    @property
    def weights(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.exp(self.choice.scaled)


@dataclass(frozen=True)
class Line:
    """A single row. Its formula stands behind a guard: only where the column chooses, or in every active column."""

    name: str
    label: str
    style: str
    formula: Callable[[Here], str]
    value: Callable[[Chosen], float | str]
    idle: float | str = np.nan  # where nothing is chosen
    exact: bool = False  # no logit's rounding reaches it
    every: bool = False  # in every active column
    title: str = ""  # of the bar above it
    words: str = ""


@dataclass(frozen=True)
class Table:
    """A rank a row. The formula of rank j stands behind a guard: only where the column chooses, and has a rank j."""

    name: str
    title: str
    words: str
    style: str
    formula: Callable[[Here, int], str]
    values: Callable[[Chosen], Sequence[float] | Sequence[str]]  # of the ranks in use
    idle: float | str = np.nan
    exact: bool = False
