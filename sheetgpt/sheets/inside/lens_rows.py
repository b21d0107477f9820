"""The rows of the sheet Lens, as records: what each says, its formula at each depth, and its values.

The mathematics and the twin: `inspection/lens.py`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.gpt2 import sampling
from sheetgpt.inspection import lens
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.formulas import SMALLEST, rank_id, text_at
from sheetgpt.sheets.grid import BIAS, GAIN, INDEX
from sheetgpt.sheets.inside.asked import used
from sheetgpt.sheets.inside.lens_layout import LENS, LensLayout
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.output import log_sum_exp, unembedding
from sheetgpt.sheets.state import State

Floats = NDArray[Any]


@dataclass(frozen=True)
class Block:
    """Rows of one kind, a depth a column: the formula of row i at depth d, and its values."""

    area: Area
    label: Callable[[int], str]
    source: Callable[[int, int], str]
    values: Floats | list[list[str]]
    style: str
    doubt: Floats | float = 0.0


def sections(state: State, here: LensLayout, found: lens.Lens) -> Iterator[tuple[str, str, list[Block]]]:
    """Title, words and rows of each section, from top to bottom."""
    doubts, shown = sampling.doubt(found.logits), state.shown
    layout, top = state.layout, np.array(found.top(here.n_top)).T
    best = np.take_along_axis(found.logits, top, axis=0)
    strings = layout.vocabulary["vocab_shown"].reference
    token = used(here.token)
    ids = Area(LENS, here.logits.row, INDEX, here.logits.n_rows).local

    def at(area: Area, i: int, d: int) -> str:
        return area.line(i).stripe(d).local

    def column(d: int) -> str:
        return here.logits.stripe(d).local

    def rank(i: int, d: int) -> str:
        """1 + how many tokens are likelier, or as likely with a lower id."""
        own = at(here.tracked("logit"), 0, d)
        likelier = f"SUMPRODUCT(1*({column(d)}>{own}))"
        return f"1+{likelier}+SUMPRODUCT(({column(d)}={own})*({ids}<{token}))"

    def entropy(i: int, d: int) -> str:
        """log2 of the sum of e = exp(l - largest), minus the mean of (l - largest) log2 e"""
        logits, peak = column(d), at(here.largest, 0, d)
        log_sum = f"({at(here.log_sum_exp, 0, d)}-{peak})"
        above = f"({logits}>{peak}-{-SMALLEST})"
        terms = f"SUMPRODUCT({above}*EXP(1)^(({logits}-{peak})*{above})*({logits}-{peak}))"
        return f"({log_sum}-{terms}/EXP({log_sum}))/LN(2)"

    def id_of(i: int, d: int) -> str:
        above = (at(here.top_logits, i - 1, d), at(here.ids, i - 1, d)) if i else None
        return rank_id(at(here.top_logits, i, d), column(d), ids, layout.config.n_vocab, above)

    def prob(logit: str, d: int) -> str:
        return f"EXP({logit}-{at(here.log_sum_exp, 0, d)})"

    names = [[shown[id] for id in line] for line in top]
    likeliest = Block(
        *(here.tokens, lambda i: "", lambda i, d: text_at(strings, f"{at(here.ids, i, d)}+1"), names, "token")
    )
    yield (
        "What it would say next",
        "The ten likeliest tokens after each depth, the likelier the darker; blue the token that is asked for.",
        [likeliest],
    )
    followed = [
        Block(here.tracked("rank"), lambda i: "its rank", rank, found.ranks[None], "id"),
        Block(
            here.tracked("logit"),
            lambda i: "its logit",
            lambda i, d: f"INDEX({column(d)},{token}+1)",
            found.logits[[found.token]],
            "share",
        ),
        Block(
            here.tracked("probability"),
            lambda i: "its probability",
            lambda i, d: prob(at(here.tracked("logit"), 0, d), d),
            found.probs[None],
            "prob",
            doubts,
        ),
        Block(here.tracked("entropy"), lambda i: "entropy, bits", entropy, found.entropy[None], "share", doubts),
    ]
    yield "The token that is asked for", "How it rises from depth to depth, and how sure the model is.", followed
    words = "At temperature 1: exp(logit − log of the sum of exp)."
    chances = np.exp(best - found.log_sum_exp)
    probs = Block(
        *(here.probs, lambda i: "probability", lambda i, d: prob(at(here.top_logits, i, d), d), chances, "prob", doubts)
    )
    yield "Workings: probabilities", words, [probs]
    words = "The token with that logit; on a tie the lowest id that is not in the list yet."
    yield "Token ids", words, [Block(here.ids, lambda i: "id", id_of, top.astype(float), "id")]
    largest = Block(*(here.top_logits, lambda i: "logit", lambda i, d: f"LARGE({column(d)},{i + 1})", best, "number"))
    yield "Largest logits", "", [largest]
    yield from network(layout, here, found, shown, doubts)


def network(
    layout: Layout, here: LensLayout, found: lens.Lens, shown: Sequence[str], doubts: Floats
) -> Iterator[tuple[str, str, list[Block]]]:
    """The state at each depth, its norm, and the logits."""
    tensors, place = layout.tensors, f"{used(here.position)}+1"
    states = [tensors["embed"], *(tensors[f"h{i}.resid_post"] for i in range(layout.config.n_layer))]
    epsilon, norm = layout.model_cells["layer_norm_epsilon"].reference, tensors["ln_f"]
    head = layout.tensor(layout.config.head)

    def column(area: Area, d: int) -> str:
        return area.stripe(d).local

    def beside(i: int, at: int) -> str:
        return Area(norm.sheet, norm.row + i, at).reference

    def normed(i: int, d: int) -> str:
        x, mean, rstd = (column(area, d) for area in (here.states.line(i), here.mean, here.rstd))
        return f"({x}-{mean})*{rstd}*{beside(i, GAIN)}+{beside(i, BIAS)}"

    def logit(v: int, d: int) -> str:
        scale = f"*{layout.tensor(head.scales).area.line(v).reference}" if layout.scaled else ""
        return f"SUMPRODUCT({unembedding(layout, v).reference},{column(here.normed, d)}){scale}"

    n, x = layout.config.n_embd, here.states
    words = "The residual stream at the position: after the embedding, and after every block.  [n_embd, depths]"
    picked = Block(
        x, lambda i: "state", lambda i, d: f"INDEX({states[d].line(i).reference},1,{place})", found.states, "number"
    )
    yield "States", words, [picked]
    deviation = lambda i, d: f"1/SQRT(DEVSQ({column(x, d)})/{n}+{epsilon})"  # noqa: E731
    norms = [
        Block(here.mean, lambda i: "mean", lambda i, d: f"AVERAGE({column(x, d)})", found.mean, "number"),
        Block(here.rstd, lambda i: "rstd = 1/√(variance+ε)", deviation, found.rstd, "number"),
        Block(here.normed, lambda i: "ln_f", normed, found.normed, "number"),
    ]
    yield "Final norm", "(x − mean) × rstd × gain + bias, at every depth with the final norm's gain and bias.", norms
    peak = lambda i, d: f"MAX({column(here.logits, d)})"  # noqa: E731
    total = lambda i, d: log_sum_exp(column(here.logits, d), column(here.largest, d))  # noqa: E731
    logits = [
        Block(here.largest, lambda i: "largest logit", peak, found.largest[None], "number"),
        Block(here.log_sum_exp, lambda i: "log of the sum of exp", total, found.log_sum_exp[None], "number", doubts),
        Block(here.logits, lambda v: shown[v], logit, found.logits, "number"),
    ]
    yield "Logits", f"Each token's column of {layout.config.head} × the normed state.  [n_vocab, depths]", logits
