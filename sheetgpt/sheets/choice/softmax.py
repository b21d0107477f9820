"""The Softmax sheet: id, token, logit after the last token, exp, probability; a row a token of the vocabulary."""

from functools import partial
from typing import Any

import numpy as np

from sheetgpt.gpt2.generation import sampling
from sheetgpt.sheets.block import Block, cell
from sheetgpt.sheets.choice.likeliest import TITLES, WIDTHS, add_chart, ranked
from sheetgpt.sheets.formulas import to_go_on
from sheetgpt.sheets.grid import SOFTMAX
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.weights import VOCABULARY_AXIS
from sheetgpt.sheets.page import Beside, Page, Space, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.looks import dress

NOTE = "What comes next, at the position that Home asks about: logits / temperature become probabilities."
ID, TOKEN, LOGIT, EXP, PROB = 1, 2, 3, 4, 5  # columns


def exp_now(state: State) -> Any:
    """exp((logit - largest) / temperature); at temperature 0 a one where the largest logit stands.  [n_vocab]"""
    logits, heat = state.now.logits, state.inputs.sampling.temperature
    if heat > 0:
        return np.exp((logits - logits.max()) / heat)
    return np.where(np.arange(len(logits)) == int(np.argmax(logits)), 1.0, 0.0)


def doubt(state: State) -> float:
    return float(sampling.doubt(state.now.logits, state.inputs.sampling.temperature))


def page(layout: Layout) -> Page:
    n = layout.config.n_vocab
    here = Page(SOFTMAX, "logits become probabilities at the temperature", 1)
    here.head(NOTE, beside={TOKEN: "computed?", LOGIT: "largest", EXP: "sum", PROB: "id of the largest"})

    def where_computed(source: str, j: int = 0) -> str:
        """One cell asks once what each of the rows would have to."""
        return f'IF({here["computed"].local},{source},"")'

    def where_heated(source: str, j: int = 0) -> str:
        """The same for what is divided by the temperature: where nothing is written the logits don't ask for it."""
        return f'IF(ISNUMBER({here["best"].local}),{source},"")' if layout.reads_only else where_computed(source)

    def computed() -> str:
        return f"IF({to_go_on(layout, SOFTMAX)},1,0)"

    def largest() -> str:
        return where_computed(f"MAX({here['next_logits'].local})")

    def total() -> str:
        return where_heated(f"SUM({here['next_exp'].local})")

    def best() -> str:
        source = f"MATCH({here['next_max'].local},{here['next_logits'].local},0)-1"
        ready = to_go_on(layout, SOFTMAX, heated=True)
        return f'IF({ready},{source},"")' if layout.reads_only else where_computed(source)

    here.add(
        Beside(
            cell(TOKEN, computed, lambda state: 1, "flag", "computed", named=False),
            cell(LOGIT, largest, lambda state: float(state.now.logits.max()), "number", "next_max"),
            cell(EXP, total, lambda state: float(exp_now(state).sum()), "number", "next_sum", doubt=doubt),
            cell(PROB, best, lambda state: int(np.argmax(state.now.logits)), "id", "best", named=False),
        ),
        Space(),
    )
    titles = ("id", "token", "logit", "exp((logit − largest) / T)", "probability")
    here.add(Texts(dict(enumerate(titles, 1)) | TITLES))

    def logit(v: int, j: int) -> str:
        return f"INDEX({layout['logits'].line(v).reference},1,{layout['next_used'].reference}+1)"

    def exp(v: int, j: int) -> str:
        """e = exp((logit - largest) / temperature)"""
        row, heat = here["next_logits"].row + v, layout["temperature"].reference
        warm = f"EXP(($C${row}-{here['next_max'].local})/{heat})"
        return f"IF({heat}>0,{warm},IF($A${row}={here['best'].local},1,0))"

    def prob(v: int, j: int) -> str:
        """p = e / sum of e"""
        return f"$D${here['next_logits'].row + v}/{here['next_sum'].local}"

    def prob_now(state: State) -> Any:
        e = exp_now(state)
        return e / e.sum()

    own: dict[str, Any] = {"n_rows": n, "n_columns": 1, "label": None, "axes": (VOCABULARY_AXIS,)}
    heated = own | {"guard": where_heated}
    own["guard"] = where_computed
    here.add(
        Beside(
            Block(column=ID, twin=lambda state: np.arange(n), style="id", **own),
            Block(column=TOKEN, twin=lambda state: [*state.shown], style="label", **own),
            Block("next_logits", column=LOGIT, formula=logit, twin=lambda state: state.now.logits, **own),
            Block("next_exp", column=EXP, formula=exp, twin=exp_now, style="tiny", doubt=doubt, **heated),
            Block("next_probs", column=PROB, formula=prob, twin=prob_now, style="tiny", doubt=doubt, **heated),
            *ranked(here, layout),
        )
    )
    widths = dict(zip((ID, TOKEN, LOGIT, EXP, PROB), (10, 18, 12, 26, 14), strict=True)) | WIDTHS
    here.dresses += [dress(widths, freeze=f"A{here['next_logits'].row}"), partial(add_chart, here=here)]
    return here
