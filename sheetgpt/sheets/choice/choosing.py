"""What the rows of the Sample sheet have in common: references, guards, and what the evaluator chose in each column."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.gpt2.generation import sampling
from sheetgpt.gpt2.generation.sampling import Choice, states
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, unguarded
from sheetgpt.sheets.grid import ACTIVE_ROW, FIRST_TOKEN, SAMPLE
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.token_page import guarded
from sheetgpt.sheets.page import Page
from sheetgpt.sheets.state import State
from sheetgpt.sheets.tensor import Kind, Value

IN_USE = 3  # column C
Array = NDArray[Any]


@dataclass(frozen=True)
class Chosen:
    """What the evaluator chose in one column."""

    choice: Choice
    state: int  # of the random numbers
    shown: Sequence[str]  # the tokens' strings, by id

    @property
    def weights(self) -> Array:
        found: Array = np.exp(self.choice.scaled)
        return found


def chosen(state: State) -> list[Chosen]:
    """The first is that of the prompt's last column."""
    numbers = states(state.prompt.seed, len(state.choices))
    return [Chosen(choice, number, state.shown) for choice, number in zip(state.choices, numbers, strict=True)]


def doubts(state: State) -> Array:
    """How well each column's probabilities can be known, relative.  [T]"""
    return sampling.doubt(state.trace["logits"], state.inputs.sampling.temperature)


@dataclass(frozen=True)
class Columns:
    """References are those of the first column, from which the formulas fill right."""

    layout: Layout
    page: Page

    def cell(self, name: str, j: int = 0) -> str:
        """Rank j of a table, or a single row."""
        return self.page[name].at(j)

    def column(self, name: str) -> str:
        """All ranks of a table."""
        return self.page[name].down(0)

    def home(self, name: str) -> str:
        return self.layout[name].reference

    def header(self, row: int) -> str:
        return Area(SAMPLE, row, FIRST_TOKEN).at(0)

    @property
    def logits(self) -> str:
        """This column's, of the whole vocabulary."""
        return self.layout["logits"].down(0, SAMPLE)

    def across(self, state: State, found: Sequence[Value], idle: Value) -> Any:
        """A row's values in all columns, from column n_prompt - 1 on; `idle` where nothing is chosen."""
        first = state.prompt.n_prompt - 1
        values = [*[idle] * first, *found, *[idle] * (self.layout.context - first - len(found))]
        return [str(value) for value in values] if isinstance(idle, str) else np.array(values, float)

    def line(
        self,
        name: str,
        label: str,
        formula: Callable[[], str],
        value: Callable[[Chosen], Value],
        *,
        style: str = "number",
        idle: Value = np.nan,
        exact: bool = False,
        every: bool = False,
    ) -> Block:
        """A single row. `exact`: no logit's rounding reaches it; `every`: it is computed in every active column, not
        only where one chooses.
        """

        def guard(source: str, t: int) -> str:
            return guarded(source, t, ACTIVE_ROW, "0") if every else guarded(source, t, self.page["choosing"].row)

        return Block(
            name,
            formula=lambda i, t: formula(),
            twin=lambda state: self.across(state, [value(now) for now in state.ask(chosen)], idle),
            label=label,
            numbered=False,
            style=style,
            guard=guard,
            doubt=None if exact else doubts,
            axes=("token",),
            kind=Kind.TEXTS if isinstance(idle, str) else Kind.NUMBERS,
        )

    def table(
        self,
        name: str,
        title: str,
        formula: Callable[[int], str],
        values: Callable[[Chosen], Sequence[Any]],
        *,
        style: str = "share",
        idle: Value = np.nan,
        exact: bool = False,
    ) -> Block:
        """A rank a row: only where the column chooses, and has such a rank. `values`: of the ranks in use."""
        n = min(sampling.MAX_TOP_K, self.layout.config.n_vocab)

        def ranked(j: int, t: int) -> str:
            return f'IF({self.cell("choosing")}*$C${self.page["tokens"].row + j},{formula(j)},"")'

        def twin(state: State) -> list[Any]:
            found = [values(now) for now in state.ask(chosen)]
            return [self.across(state, [of[j] if j < len(of) else idle for of in found], idle) for j in range(n)]

        return Block(
            name,
            n,
            formula=ranked,
            twin=twin,
            label=title,
            style=style,
            guard=unguarded,
            doubt=None if exact else doubts,
            axes=("rank", "token"),
            kind=Kind.TEXTS if isinstance(idle, str) else Kind.NUMBERS,
        )
