"""What the blocks of the sheet Contributions have in common: the parts of the network, the twin, what formulas read."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.gpt2.checkpoints import quantize
from sheetgpt.inspection.contributions import ATTENTION_BIAS, MLP_BIAS, Attribution, attribute, depths, parts
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Formula
from sheetgpt.sheets.grid import FIRST_TOKEN
from sheetgpt.sheets.inside.question import Question
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Page
from sheetgpt.sheets.state import State

CONTRIBUTIONS, WORDS = "Contributions", "which parts of the network decided: what each adds to a logit"
UNEMBEDDING, DIRECTION = 3, 4  # columns
BIASES = {ATTENTION_BIAS: "attn.out", MLP_BIAS: "mlp.out"}  # beside which tensor they stand

Floats = NDArray[Any]
Find = Callable[[Attribution], Any]


class Parts:
    """What the blocks have in common: part k is column k of the workings."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.config = layout, layout.config
        self.parts, self.depths = parts(layout.config), depths(layout.config)
        self.of_block = self.config.n_head + 3  # parts: heads, the attention's bias, the MLP, its bias
        self.levels = self._levels()  # [n_layer + 2, kinds]: the part of a level and a kind, -1 where there is none
        self.mixed = FIRST_TOKEN + len(self.parts) + 1  # the column of the first block's z
        self.stream = self.mixed + self.config.n_layer + 1  # and of the first depth
        self.page = Page(CONTRIBUTIONS, WORDS, width=len(self.parts), prefix="contributions_")
        last = self.stream + len(self.depths) - 1
        self.page.last_column = max(last, FIRST_TOKEN + layout.context - 1, FIRST_TOKEN + 17)
        self.ask = Question(self.page, layout)
        self.page.guard = self.ask.guard

    def _levels(self) -> NDArray[np.int_]:
        """The embedding's two parts, each block's, the final norm's bias: no kind of part is in two of them."""
        n_layer, n = self.config.n_layer, self.of_block
        found = np.full((n_layer + 2, 2 + n + 1), -1)
        found[0, :2], found[-1, -1] = (0, 1), len(self.parts) - 1
        found[1:-1, 2:-1] = 2 + np.arange(n_layer * n).reshape(n_layer, n)
        return found

    # The twin

    def look(self, state: State) -> Attribution:
        """What the blocks' twins are taken from."""
        position, token = self.ask.position_now(state), self.ask.token_now(state, "token")
        if token is None:
            logits = state.trace["logits"][:, position]
            token = int(logits.argmax()) if scored(state, position) else state.prompt.ids[position + 1]
        other = self.ask.token_now(state, "other")
        return attribute(self.evaluated(state), self.config, state.trace, position, token, other)

    def evaluated(self, state: State) -> Mapping[str, Floats]:
        """The numbers of the few parameters that the sheet looks at."""
        names = [self.config.head, "ln_f.g", "ln_f.b"]
        for i in range(self.config.n_layer):
            names += [f"h{i}.{name}" for name in ("attn.c_proj.w", "attn.c_proj.b", "mlp.c_proj.b")]
        names += [quantize.scale_name(name) for name in names]
        return quantize.evaluated({name: state.params[name] for name in names if name in state.params})

    def found(self, find: Find) -> Callable[[State], Any]:
        """A twin that is a part of it."""
        return lambda state: find(state.ask(self.look))

    def block(
        self,
        name: str,
        column: int,
        formula: Formula,
        find: Find,
        n_rows: int = 1,
        n_columns: int = 1,
        doubt: Find | None = None,
        **looks: Any,
    ) -> Block:
        looks = {"label": None, "fills": False, "named": False, **looks}
        sure = None if doubt is None else self.found(doubt)
        return Block(name, n_rows, n_columns, formula, self.found(find), column=column, doubt=sure, **looks)

    def vectors(self, name: str, column: int, n_columns: int, formula: Formula, find: Find, **looks: Any) -> Block:
        """With a feature a row."""
        return self.block(name, column, formula, find, self.config.n_embd, n_columns, **looks)

    def spread(self, values: Floats) -> Floats:
        """Of each part, by level and kind; 0 where there is none.  [n_parts] -> [n_layer + 2, kinds]"""
        of_part = np.append(values, np.zeros(len(self.parts) - len(values)))
        return np.where(self.levels < 0, 0, of_part[self.levels])

    # Formulas

    def used(self, name: str) -> str:
        return self.ask.used(name)

    @property
    def place(self) -> str:
        """The position's column, from 1 on."""
        return f"{self.used('position')}+1"

    def picked(self, line: Area) -> str:
        """A row's number at the position."""
        return f"INDEX({line.reference},1,{self.place})"

    def beside(self, tensor: str, column: int) -> Area:
        """The gains, biases or scales that stand beside a tensor's rows."""
        area = self.layout[tensor]
        return Area(area.sheet, area.row, column, area.n_rows)

    def first(self, i: int) -> int:
        """The first part of block i."""
        return 2 + i * self.of_block


def all_doubts(found: Attribution) -> float:
    """How well the sum of all parts can be known."""
    return float(found.doubts.sum())


def scored(state: State, position: int) -> bool:
    """Whether the Output sheet has logits there."""
    return state.inputs.score_prompt or position >= state.prompt.n_prompt - 1
