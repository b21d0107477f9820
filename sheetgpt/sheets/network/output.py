"""The Output sheet: the last layer norm, and a logit for every token of the vocabulary.

Arithmetic: `layer_norm` and `unembed` in `model.py`.
"""

from typing import Any

import numpy as np

from sheetgpt.gpt2.checkpoints.quantize import scale_name
from sheetgpt.gpt2.generation import sampling
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block
from sheetgpt.sheets.formulas import log_sum_exp
from sheetgpt.sheets.grid import OUTPUT, POSITION_ROW, SCALE
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.checksums import checks, normed, unembedded, vocabulary_sums
from sheetgpt.sheets.network.headings import bar
from sheetgpt.sheets.network.parts import Network, layer_norm
from sheetgpt.sheets.network.token_page import beside, guarded, letter, token_page
from sheetgpt.sheets.network.weights import VOCABULARY_AXIS
from sheetgpt.sheets.page import Bar, Beside, Page
from sheetgpt.sheets.state import State

WORDS = "the last layer norm and a logit for every token of the vocabulary"


def unembedding(layout: Layout, token: int) -> Area:
    """The token's own column of `wte` (or of `lm_head`, when the model has one)."""
    bands = layout.tensor(layout.config.head).areas
    width = bands[0].n_columns
    return bands[token // width].stripe(token % width)


def wanted_now(state: State) -> Any:
    """1 where logits are computed.  [1, T]"""
    prompt = state.prompt
    every = state.inputs.score_prompt
    return np.array([[1.0 if every or t >= prompt.n_prompt - 1 else 0.0 for t in range(prompt.n)]])


def logits_now(state: State) -> Any:
    """No number where they are not computed.  [n_vocab, T]"""
    return np.where(state.ask(wanted_now) > 0, state.trace["logits"], np.nan)


def largest_now(state: State) -> Any:
    return state.ask(logits_now).max(axis=0, keepdims=True)


def log_sum_exp_now(state: State) -> Any:
    peak = state.ask(largest_now)
    return peak + np.log(np.exp(state.ask(logits_now) - peak).sum(axis=0, keepdims=True))


def page(layout: Layout) -> Page:
    config = layout.config
    note = f"The final state of each column, compared with every token's column of the sheet {config.head}."
    page = token_page(layout, OUTPUT, WORDS, "Output", note)

    def wanted(i: int, t: int) -> str:
        """Yes from the prompt's last token on, and at every token when score_prompt is 1."""
        score, n_prompt = layout["score_prompt"].reference, layout["n_prompt"].reference
        return f"IF({score}=1,1,IF({letter(t)}${POSITION_ROW}>={n_prompt}-1,1,0))"

    def largest(i: int, t: int) -> str:
        return f"MAX({page['logits'].down(t)})"

    def total(i: int, t: int) -> str:
        return log_sum_exp(page["logits"].down(t), page["logits_max"].at(0, t))

    def logit(v: int, t: int) -> str:
        """The token's column of `wte` . ln_f(x), times the token's scale where that column holds whole numbers."""
        scale = f"*$E${page['logits'].row + v}" if layout.scaled else ""
        return f"SUMPRODUCT({unembedding(layout, v).reference},{page['ln_f'].down(t)}){scale}"

    def where_wanted(source: str, t: int) -> str:
        return guarded(source, t, page["logits_wanted"].row)

    def where_active(source: str, t: int) -> str:
        return guarded(source, t, idle="0")

    line: dict[str, Any] = {"axes": ("token",), "guard": where_wanted}
    flags: dict[str, Any] = {"axes": ("token",), "guard": where_active, "idle": 0, "style": "flag"}
    asked = "Yes where logits are computed: from the prompt's last token on, or everywhere if Home scores the prompt."
    fit = f"How well each token fits as the next one: its column of {config.head} × ln_f.  [n_vocab, T]"
    scales = [beside(page, scale_name(config.head), config.n_vocab, SCALE, VOCABULARY_AXIS)] if layout.scaled else []
    x = f"h{config.n_layer - 1}.resid_post"
    net = Network(layout, page)
    page.add(*layer_norm(net, lambda: layout[x], "ln_f", limit=4))
    page.add(
        Bar("logits computed?", asked),
        Block("logits_wanted", label="computed?", formula=wanted, twin=wanted_now, **flags),
        Block("logits_max", label="largest logit", formula=largest, twin=lambda s: s.ask(largest_now), **line),
        Block(
            "logits_lse",
            label="log of the sum of exp",
            formula=total,
            twin=log_sum_exp_now,
            doubt=lambda state: sampling.doubt(state.trace["logits"]),
            **line,
        ),
        bar("logits", fit, "logits"),
        Beside(
            Block(
                "logits",
                config.n_vocab,
                labels=lambda state: state.shown,
                formula=logit,
                twin=lambda state: state.ask(logits_now),
                guard=where_wanted,
                axes=(VOCABULARY_AXIS, "token"),
                traced=True,
            ),
            *scales,
        ),
    )
    page.add(*checks(net, "logits.checks", [normed(net, lambda: layout[x], "ln_f"), unembedded(net)]))
    page.add(
        Bar("sums of the weights", "What each number of ln_f weighs in all logits together."), vocabulary_sums(net)
    )
    return page
