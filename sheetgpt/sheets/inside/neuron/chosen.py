"""The neuron that is chosen on the sheet Neuron: where it fires, what it writes, and which tokens that speaks for.

The mathematics and the twin: `inspection/neuron.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sheetgpt.gpt2.checkpoints import quantize
from sheetgpt.inspection import neuron
from sheetgpt.inspection.neuron import Array
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Formula, Part, Values, unguarded
from sheetgpt.sheets.formulas import rank_id
from sheetgpt.sheets.grid import FIRST_TOKEN, GAIN, INDEX, SCALE
from sheetgpt.sheets.inside.question import Question
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.output import unembedding
from sheetgpt.sheets.page import Bar, Beside, Page, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.looks import scale

NEURON, WORDS = "Neuron", "what one neuron fires at, and which tokens it then speaks for"
TOKENS_PART = "neuron-tokens"  # what it promotes and suppresses: a product with the whole vocabulary
VALUE, DIRECTION = 3, 4  # columns of the workings
orange = scale("num", 0, "FFFFFF", "max", None, "E69138")  # where a neuron fires
TALL = 15  # points: of a row beside the chart


class Chosen:
    """What the blocks have in common: the neuron that is chosen, in formulas and in the twin."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.config = layout, layout.config
        self.tells_tokens = TOKENS_PART in layout.optional
        last = FIRST_TOKEN + max(12, layout.context, self.config.n_layer) - 1
        self.page = Page(NEURON, WORDS, width=1, prefix="neuron_", bar_end=last, last_column=last)
        self.ask = Question(self.page, layout)
        self.page.guard = self.ask.guard

    # The twin

    def now(self, state: State) -> tuple[int, int]:
        """Block and number."""
        n_layer, n_inner = self.config.n_layer, self.config.n_inner
        return self.ask.number_now(state, "block", n_layer), self.ask.number_now(state, "number", n_inner)

    def params(self, state: State) -> Mapping[str, Array]:
        """The few that the sheet looks at."""
        names = [f"h{self.now(state)[0]}.mlp.c_proj.w", "ln_f.g", self.config.head]
        names += [quantize.scale_name(name) for name in names]
        return quantize.evaluated({name: state.params[name] for name in names if name in state.params})

    def effects(self, state: State) -> Array:
        return neuron.effects(state.ask(self.params), self.config, *self.now(state))

    def activations(self, state: State) -> Array:
        """Of every neuron of the block, at the position.  [n_inner]"""
        found: Array = state.trace[f"h{self.now(state)[0]}.mlp.act"][:, self.ask.position_now(state)]
        return found

    # Formulas

    def of(self, name: str) -> str:
        """Which one is chosen, from 1 on."""
        return f"{self.ask.used(name)}+1"

    def among_blocks(self, sources: list[str]) -> str:
        """That of the block that is chosen: no range is named by a text, none is moved; and CHOOSE hands on single
        cells, as some engines don't take a range from it."""
        return f"CHOOSE({self.of('block')},{','.join(sources)})"

    def tensors(self, name: str) -> list[Area]:
        return [self.layout[f"h{i}.mlp.{name}"] for i in range(self.config.n_layer)]

    def column(
        self,
        name: str,
        column: int,
        formula: Formula,
        twin: Callable[[State], Values],
        n_rows: int,
        label: str | None = None,
        **looks: Any,
    ) -> Block:
        return Block(name, n_rows, 1, formula, twin, label, column=column, **looks)

    def ranked(self, values: str, ids: str, r: int, among: str) -> str:
        """Which one stands at rank r; of equal ones the first that is not in the list yet.

        `among`: the column of all, on whose left their numbers stand.
        """
        own, numbers, every = (self.page[name] for name in (values, ids, among))
        above = (own.line(r - 1).local, numbers.line(r - 1).local) if r else None
        return rank_id(own.line(r).local, every.local, replace(every, column=INDEX).local, every.n_rows, above)


def on_every_token(it: Chosen) -> list[Part]:
    """The neuron on every token: what it adds up, and what the activation function makes of it.  [T] each"""

    def line(name: str, tensor: str, **looks: Any) -> Block:
        def formula(i: int, t: int) -> str:
            found = it.among_blocks([f"INDEX({area.down(t, '')},{it.of('number')})" for area in it.tensors(tensor)])
            return f'IF({it.layout["active"].at(0, t, "")},{found},"")'

        def twin(state: State) -> Array:
            block, number = it.now(state)
            found: Array = state.trace[f"h{block}.mlp.{tensor}"][number]
            return found

        looks |= {"label": name, "label_style": "name", "style": "share", "height": TALL, "guard": unguarded}
        return Block(name, 1, it.layout.context, formula, twin, **looks)

    words = "Under each token of the text above: weights × the column + bias, and what the activation makes of that."
    return [
        Bar("The neuron on every token", words, link="strip", space=2),
        line("sum", "fc"),
        line("activation", "act", colours=[orange]),
    ]


def activations(it: Chosen) -> list[Part]:
    """Of every neuron of the block, at the position.  [n_inner]"""

    def formula(n: int, j: int) -> str:
        lines = [area.line(n).reference for area in it.tensors("act")]
        return it.among_blocks([f"INDEX({line},1,{it.of('position')})" for line in lines])

    return [
        Bar("Workings: the block", "Every neuron's activation at the position.", link="workings", space=2),
        it.column("activations", VALUE, formula, it.activations, it.config.n_inner, label="neuron"),
    ]


def every_token(it: Chosen) -> list[Part]:
    """w, what the neuron writes; d, as the final norm passes it on; and d . head[v], what that does to each token."""
    layout, n_layer = it.layout, it.config.n_layer

    def w(f: int, j: int) -> str:
        """Its row in column f of c_proj, times the column's scale where that holds whole numbers."""
        columns = [layout.tensor(f"h{i}.mlp.c_proj.w").area.stripe(f).reference for i in range(n_layer)]
        found = it.among_blocks([f"INDEX({column},{it.of('number')})" for column in columns])
        if not layout.scaled:
            return found
        scales = [Area(out.sheet, out.row + f, SCALE).reference for out in it.tensors("out")]
        return f"{found}*{it.among_blocks(scales)}"

    def w_now(state: State) -> Array:
        return neuron.output_row(state.ask(it.params), *it.now(state))

    def d(f: int, j: int) -> str:
        """(w[f] - mean(w)) gain[f]"""
        norm, own = layout["ln_f"], it.page["writes"]
        gain = Area(norm.sheet, norm.row + f, GAIN).reference
        return f"({own.line(f).local}-AVERAGE({own.local}))*{gain}"

    def d_now(state: State) -> Array:
        return neuron.direction(state.ask(it.params), *it.now(state))

    def effect(v: int, j: int) -> str:
        """d . head[v]"""
        found = f"SUMPRODUCT({unembedding(layout, v).reference},{it.page['direction'].local})"
        if not layout.scaled:
            return found
        scales = layout.tensor(layout.tensor(it.config.head).scales).area
        return f"{found}*{scales.line(v).reference}"

    def effects_now(state: State) -> Array:
        return state.ask(it.effects)

    writes = "w: its row of mlp.c_proj, what it writes into the stream at an activation of 1; d = (w − mean) × gain."
    speaks = (
        f"d · the token's column of {it.config.head}; × activation × rstd of the final norm: what it adds to a logit."
    )
    shown: dict[str, Any] = {"label": "", "labels": lambda state: state.shown}
    return [
        Bar("Workings: what it writes", writes),
        Texts({VALUE: "w", DIRECTION: "d"}),
        Beside(
            it.column("writes", VALUE, w, w_now, it.config.n_embd, label="feature"),
            it.column("direction", DIRECTION, d, d_now, it.config.n_embd),
        ),
        Bar("Workings: every token", speaks, link="every token", space=2),
        it.column("tokens", VALUE, effect, effects_now, it.config.n_vocab, **shown),
    ]
