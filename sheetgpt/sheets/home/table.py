"""The table of the Home sheet: the ten most likely next tokens, and how the temperature reshapes their odds.

Arithmetic: `top` and `probabilities` in `gpt2/sampling.py`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from openpyxl.chart import Reference
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2 import sampling
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Part
from sheetgpt.sheets.charts import bars, between
from sheetgpt.sheets.formulas import rank_id, sum_exp, text_at, to_go_on
from sheetgpt.sheets.grid import FIRST_TOKEN, HOME, SOFTMAX
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Bar, Beside, Page, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.tensor import Kind

TALL = 15  # points: of a row beside the charts
RANKS = 10
TEMPERATURES = (0.2, 0.5, 1, 1.5, 2)
RANK, ID, TOKEN, LOGIT, PROB = range(1, FIRST_TOKEN)  # columns


Find = Callable[[State, Any], Any]  # of the likeliest tokens' ids, what a column says of them


def table(here: Page, layout: Layout) -> list[Part]:
    heads = Texts(dict(enumerate(("rank", "id", "token", "logit", "probability"), 1)), height=TALL)
    over = f"Their probabilities at other temperatures T: softmax(logit / T) over all {layout.config.n_vocab:,} tokens"
    heats, reshaped, sums = at_temperatures(here, layout)
    return [
        Bar(heading(layout), over, space=0 if layout.chat else 1),
        Beside(heads, heats),
        Beside(*likeliest(here, layout), reshaped),
        Beside(Texts({PROB: "sum of exp"}, "label", height=TALL), sums),
    ]


def known(here: Page, layout: Layout, i: int, source: str, heated: bool = False) -> str:
    """Nothing is shown where there is no text, or no token of this rank."""
    rank = here["ranks"].line(i).local
    return f'IF(AND({to_go_on(layout, HOME, heated=heated)},{rank}<={layout.config.n_vocab}),{source},"")'


def best(state: State) -> Any:
    """The likeliest tokens' ids, as many as there are."""
    return sampling.top(state.now.logits, RANKS)


def heading(layout: Layout) -> tuple[Callable[[], str], Callable[[State], str]]:
    def formula() -> str:
        last = f"INDEX({layout['token_text'].local},1,{layout['n_tokens'].local})"
        return f'"What comes next? The ten likeliest tokens"&IF({to_go_on(layout, HOME)}," after “"&{last}&"”","")'

    def twin(state: State) -> str:
        return f"What comes next? The ten likeliest tokens after “{state.prompt.shown[-1]}”"

    return formula, twin


def likeliest(here: Page, layout: Layout) -> list[Block]:
    """A rank a row: the k-th largest logit, and its token."""
    n_vocab = layout.config.n_vocab

    def at(name: str, i: int) -> str:
        return here[name].line(i).local

    def id(i: int) -> str:
        """Where the logit stands, or on a tie with the rank above the next id that has it."""
        soft = layout["next_logits"]
        every, above = Area(SOFTMAX, soft.row, 1, n_vocab), (at("top_logits", i - 1), at("top_ids", i - 1))
        return rank_id(at("top_logits", i), soft.reference, every.reference, n_vocab, above if i else None)

    def token(i: int) -> str:
        return text_at(layout["vocab_shown"].reference, f"{at('top_ids', i)}+1")

    def logit(i: int) -> str:
        return f"LARGE({layout['next_logits'].reference},{at('ranks', i)})"

    def prob(i: int) -> str:
        return f"INDEX({layout['next_probs'].reference},{at('top_ids', i)}+1)"

    def prob_now(state: State, ids: Any) -> Any:
        return sampling.probabilities(state.now.logits, state.inputs.sampling.temperature)[ids].tolist()

    def doubt(state: State) -> float:
        return float(sampling.doubt(state.now.logits, state.inputs.sampling.temperature))

    sizes: dict[str, Any] = {"n_rows": RANKS, "n_columns": 1, "label": None, "height": TALL}

    def column(
        name: str,
        number: int,
        style: str,
        source: Callable[[int], str],
        find: Find,
        heated: bool = False,
        **looks: Any,
    ) -> Block:
        def twin(state: State) -> list[Any]:
            found = find(state, state.ask(best))
            return [*found, *[""] * (RANKS - len(found))]

        own = {"column": number, "style": style, "axes": ("rank",), **looks}
        return Block(name, formula=lambda i, j: known(here, layout, i, source(i), heated), twin=twin, **own, **sizes)

    return [
        Block("ranks", column=RANK, twin=lambda state: np.arange(1, RANKS + 1), style="index", named=False, **sizes),
        column("top_ids", ID, "id", id, lambda state, ids: ids),
        column("top_tokens", TOKEN, "token", token, lambda s, ids: [s.shown[k] for k in ids], kind=Kind.TEXTS),
        column("top_logits", LOGIT, "number", logit, lambda state, ids: state.now.logits[ids].tolist()),
        column("top_probs", PROB, "prob", prob, prob_now, heated=True, doubt=doubt),
    ]


def at_temperatures(here: Page, layout: Layout) -> tuple[Block, Block, Block]:
    """A temperature a column: the temperature, the ten probabilities, and what the exponentials add up to."""

    def prob(i: int, j: int) -> str:
        """exp((logit - largest) / T) / sum of exp"""
        logit, heat = here["top_logits"].line(i).local, here["heats"].at(0, j)
        source = f"EXP(({logit}-{layout['next_max'].reference})/{heat})/{here['sums'].at(0, j)}"
        return known(here, layout, i, source)

    def probs_now(state: State) -> Any:
        found = [sampling.probabilities(state.now.logits, heat)[state.ask(best)] for heat in TEMPERATURES]
        return np.array(found).T

    def total(i: int, j: int) -> str:
        """Over the whole vocabulary."""
        source = sum_exp(layout["next_logits"].reference, layout["next_max"].reference, here["heats"].at(0, j))
        return f'IF({to_go_on(layout, HOME)},{source},"")'

    def totals_now(state: State) -> list[float]:
        logits = state.now.logits
        return [float(np.exp((logits - logits.max()) / heat).sum()) for heat in TEMPERATURES]

    def doubts(state: State) -> Any:
        return np.array([sampling.doubt(state.now.logits, heat) for heat in TEMPERATURES], float)

    looks: dict[str, Any] = {"label": None, "named": False, "fills": False, "height": TALL}
    looks["n_columns"] = len(TEMPERATURES)
    return (
        Block("heats", twin=lambda state: TEMPERATURES, style="heat", **looks),
        Block("reshaped", RANKS, formula=prob, twin=probs_now, doubt=doubts, style="prob", **looks),
        Block("sums", formula=total, twin=totals_now, doubt=doubts, style="share", **looks),
    )


def add_charts(frame: Worksheet, here: Page) -> None:
    """The ten probabilities at the temperature that is set, and at five others side by side."""
    probs, tokens = here["top_probs"], here["top_tokens"]
    names = Reference(frame, tokens.column, tokens.row, tokens.column, tokens.last_row)
    top, tall = probs.row - 1, probs.n_rows + 2  # from the table's heads to its sums
    now = bars("bar", "Next token at the chosen temperature")
    now.y_axis.scaling.min = 0
    now.add_data(Reference(frame, probs.column, probs.row, probs.column, probs.last_row))
    now.set_categories(names)
    now.x_axis.scaling.orientation = "maxMin"
    now.legend = None
    now.anchor = between(FIRST_TOKEN + 6, top, 6, tall)
    frame.add_chart(now)
    heats = bars("col", "The same tokens at other temperatures")
    heats.y_axis.scaling.min = 0
    for i in range(len(TEMPERATURES)):
        column = FIRST_TOKEN + i
        heats.add_data(Reference(frame, column, probs.row - 1, column, probs.last_row), titles_from_data=True)
    heats.set_categories(names)
    heats.legend.position = "r"
    heats.y_axis.scaling.max = 1
    heats.anchor = between(FIRST_TOKEN + 12, top, 8, tall)
    frame.add_chart(heats)
