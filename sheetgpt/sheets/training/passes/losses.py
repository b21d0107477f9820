"""The sheets Loss, what should have come next and how likely it was, and After, all of it with the new weights.

Arithmetic: `cross_entropy` in `gpt2/learning/loss.py`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sheetgpt.gpt2.model import Array, Trace
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Part, cell, unguarded
from sheetgpt.sheets.grid import BIAS, FIRST_TOKEN, GAIN, ID_ROW, INDEX, LABEL, POSITION_ROW
from sheetgpt.sheets.network.token_page import letter
from sheetgpt.sheets.network.weights import VOCABULARY_AXIS
from sheetgpt.sheets.page import Bar, Beside, Page, Texts
from sheetgpt.sheets.style.looks import probability
from sheetgpt.sheets.tensor import Kind
from sheetgpt.sheets.training.lesson import AFTER, LOSS, Lesson, Moment
from sheetgpt.sheets.training.passes.forward import BLUE, Pass, line, network, positions, token_of, token_page

NOTE = "What should have come next, how likely it was to the model, and what that costs: −ln of the probability."


def loss_page(layout: Lesson) -> Page:
    def target(i: int, t: int) -> str:
        return token_of(layout, f"({letter(t)}${POSITION_ROW}+1)")

    def shown(i: int, t: int) -> str:
        return f'INDEX({layout["vocabulary"].reference},{page["targets"].at(0, t)}+1)&""'

    def share(i: int, t: int) -> str:
        return f"{layout['counts'].at(0, t, LOSS)}/{layout['n_targets'].reference}"

    header: list[Part] = [
        positions(layout),
        Beside(
            Texts({INDEX: "should be"}, "label"),
            line("targets", target, lambda m: [float(i) for i in m.wanted.targets], "id"),
        ),
        Beside(
            Texts({INDEX: "token"}, "label"),
            line("target_text", shown, lambda m: [m.shown[i] for i in m.wanted.targets], "token", kind=Kind.TEXTS),
        ),
        Beside(
            Texts({LABEL: "tensor", INDEX: "row", GAIN: "", BIAS: "share"}),
            line("shares", share, lambda m: np.array(m.wanted.shares), "share"),
        ),
    ]
    page = token_page(
        layout, LOSS, "what should have come, and what missing it costs", NOTE, "", header, unguarded, BLUE
    )
    page.positions = Area(LOSS, POSITION_ROW, FIRST_TOKEN, 0, layout.context)
    page.add(*loss_parts(layout, page, lambda moment: moment.trace))
    return page


def loss_parts(
    layout: Lesson, page: Page, of: Callable[[Moment], Trace], logits_page: Page | None = None
) -> list[Part]:
    """nats[t] = ln(sum over v of exp(logit[v] - largest)) - (logit[target] - largest); loss = sum of share × nats"""
    n, sheet = layout.config.n_vocab, page.title

    def logits() -> Area:
        return layout["logits"] if logits_page is None else logits_page["logits"]

    def exps(moment: Moment) -> Array:
        x = of(moment)["logits"]
        e: Array = np.exp(x - x.max(axis=0))
        return e

    def exp(v: int, t: int) -> str:
        return f"EXP({logits().at(v, t, sheet)}-{page['loss_max'].at(0, t)})"

    def prob(v: int, t: int) -> str:
        return f"{page['loss_exp'].at(v, t)}/{page['loss_sum'].at(0, t)}"

    def nats(i: int, t: int) -> str:
        target = f"INDEX({logits().down(t, sheet)},{layout['targets'].at(0, t, sheet)}+1)"
        return f"LN({page['loss_sum'].at(0, t)})-({target}-{page['loss_max'].at(0, t)})"

    def loss() -> str:
        shares = layout["shares"]
        there = shares.local if shares.sheet == sheet else shares.reference
        return f"SUMPRODUCT({there},{page['nats'].local})"

    def tokens(moment: Moment) -> tuple[str, ...]:
        return moment.shown

    ending = "" if layout.text else ", the end after it included"
    mean = f"Their mean over the {layout.example}'s positions{ending}."
    one: dict[str, Any] = {"axes": ("token",)}
    rows: dict[str, Any] = {"labels": tokens, "axes": (VOCABULARY_AXIS, "token")}
    peak = Block(
        "loss_max",
        label="largest logit",
        formula=lambda i, t: f"MAX({logits().down(t, sheet)})",
        twin=lambda moment: of(moment)["logits"].max(axis=0, keepdims=True),
        **one,
    )
    return [
        Bar("softmax", "exp(logit − largest), never too large, and its sum.  [n_vocab, T]"),
        peak,
        Block("loss_exp", n, formula=exp, twin=exps, **rows),
        Block(
            "loss_sum",
            label="sum",
            formula=lambda i, t: f"SUM({page['loss_exp'].down(t)})",
            twin=lambda moment: exps(moment).sum(axis=0, keepdims=True),
            **one,
        ),
        Bar("probs", "Divided by their sum: what the model expects to come next.  [n_vocab, T]", link="probs"),
        Block("probs", n, formula=prob, twin=lambda m: of(m)["probs"], colours=[probability], style="pattern", **rows),
        Bar("nats", "−ln of the target's probability: each position's own loss, in nats.  [1, T]", link="nats"),
        Block("nats", label="nats", formula=nats, twin=lambda moment: of(moment)["nats"], **one),
        Bar("loss", mean, link="loss"),
        Beside(
            Texts({LABEL: "loss"}, "label"),
            cell(GAIN, loss, lambda moment: float(of(moment)["loss"]), "figure", "loss"),
        ),
    ]


def after_page(layout: Lesson) -> Page:
    """The same word or window on the weights of Next, down to the loss."""
    note = f"The same {layout.example} once more, with the weights as they will be after this step."
    header: list[Part] = [positions(layout)]
    for name, label, style, kind in (
        ("token_ids", "token id", "id", Kind.NUMBERS),
        ("token_text", "token", "token", Kind.TEXTS),
        ("counts", "", "flag", Kind.NUMBERS),
    ):
        left = {INDEX: label} if label else {LABEL: "tensor", INDEX: "row", GAIN: "gain", BIAS: "bias"}
        header.append(Beside(Texts(left, "label" if label else "header"), _same(layout, name, style, kind)))
    words = f"the {layout.example} again, with the new weights"
    here = token_page(layout, AFTER, words, note, "after.", header, unguarded, "7F6000")
    net = Pass(layout, here, "", "new.", lambda moment: moment.after)
    here.add(*network(net, lambda t: f"{letter(t)}${ID_ROW}"))
    here.add(*loss_parts(layout, here, lambda moment: moment.after, here))
    return here


def _same(layout: Lesson, name: str, style: str, kind: Kind) -> Block:
    """A row of Forward's header."""
    twins: Mapping[str, Callable[[Moment], Any]] = {
        "token_ids": lambda moment: [float(i) for i in moment.wanted.ids],
        "token_text": lambda moment: [moment.shown[i] for i in moment.wanted.ids],
        "counts": lambda moment: [float(share > 0) for share in moment.wanted.shares],
    }
    return line(name, lambda i, t: layout[name].at(0, t, ""), twins[name], style, kind=kind)
