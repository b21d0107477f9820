"""What the model would write, token by token, on the weights of State and on those of Next.

A column reads the token that the column before it has chosen, as on the sheet Sample, but among all tokens: the first
whose running total exceeds the seed's next random number (`lesson.draw`). After the end nothing more is written.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from sheetgpt.gpt2.generation.sampling import MODULUS, MULTIPLIER, WARM_UP
from sheetgpt.gpt2.model import Array, Trace
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Part, cell, unguarded
from sheetgpt.sheets.grid import ACTIVE_ROW, BIAS, FIRST_TOKEN, GAIN, ID_ROW, INDEX, LABEL, POSITION_ROW, TOKEN_ROW
from sheetgpt.sheets.network.token_page import guarded, letter
from sheetgpt.sheets.network.weights import VOCABULARY_AXIS
from sheetgpt.sheets.page import Bar, Beside, Page, Texts
from sheetgpt.sheets.style.looks import probability
from sheetgpt.sheets.tensor import Kind
from sheetgpt.sheets.training.lesson import WRITES, WRITES_AFTER, Lesson, Moment, Written, shares, weights
from sheetgpt.sheets.training.passes.forward import ORANGE, Pass, line, network, positions, token_page

NOTE = "What the model makes up by itself: each column chooses a {}, and the next column reads it."


def page(layout: Lesson, after: bool) -> Page:
    """`after`: on the new weights."""

    def now(moment: Moment) -> Written | None:
        return moment.writes_after if after else moment.writes

    def trace(moment: Moment) -> Trace:
        written = now(moment)
        return NOTHING if written is None else written.trace

    title, words = (WRITES_AFTER, "what it writes with the new weights") if after else (WRITES, "what it writes now")
    prefix, note = "after_writes." if after else "writes.", NOTE.format(layout.token)
    here = token_page(layout, title, words, note, prefix, header(layout, lambda: here, now), guarded, ORANGE)
    if not after:
        here.positions = Area(title, POSITION_ROW, FIRST_TOKEN, 0, layout.context)
    net = Pass(layout, here, "", "new." if after else "", trace)
    here.add(*network(net, lambda t: f"{letter(t)}${ID_ROW}"))
    here.add(*choice(layout, here, now))
    return here


class Nothing(dict[str, Array]):
    """The trace of a model that isn't asked to write: no tensor has a column."""

    def __missing__(self, name: str) -> Array:
        return np.empty((1, 0))

    def __bool__(self) -> bool:
        return False


NOTHING = Nothing()


def header(layout: Lesson, page: Callable[[], Page], now: Callable[[Moment], Written | None]) -> list[Part]:
    """The first column reads the end, or a window's first token; each other what was chosen before, but the end."""

    def first(t: int) -> str:
        return f"{letter(t)}${POSITION_ROW}=0"

    def chosen(t: int) -> str:
        return page()["chosen"].at(0, t - 1)

    def id(i: int, t: int) -> str:
        start = (layout["token_ids"].stripe(0) if layout.text else layout["end"]).reference
        return f'IF({letter(t)}${ACTIVE_ROW},IF({first(t)},{start},{chosen(t)}),"")'

    def token(i: int, t: int) -> str:
        found = f'INDEX({layout["vocabulary"].reference},{letter(t)}${ID_ROW}+1)&""'
        return f'IF({letter(t)}${ACTIVE_ROW},{found},"")'

    def active(i: int, t: int) -> str:
        before, end = f"{letter(t - 1)}${ACTIVE_ROW}", layout["end"].reference
        return f"IF({first(t)},{layout['write'].reference},IF({before}=1,IF({chosen(t)}={end},0,1),0))"

    def ids(moment: Moment) -> list[float]:
        written = now(moment)
        return [] if written is None else [float(i) for i in written.ids]

    return [
        positions(layout),
        Beside(Texts({INDEX: "token id"}, "label"), line("ids", id, lambda m: np.array(ids(m)), "id")),
        Beside(
            Texts({INDEX: "token"}, "label"),
            line("tokens", token, lambda m: [m.shown[int(i)] for i in ids(m)], "token", kind=Kind.TEXTS),
        ),
        Beside(
            Texts({LABEL: "tensor", INDEX: "row", GAIN: "gain", BIAS: "bias"}),
            line("active", active, lambda m: np.ones(len(ids(m))), "flag", idle=0),
        ),
    ]


def choice(layout: Lesson, page: Page, now: Callable[[Moment], Written | None]) -> list[Part]:
    n, heat = layout.config.n_vocab, "temperature"

    def of(find: Callable[[Moment, Written], Any]) -> Callable[[Moment], Any]:
        def twin(moment: Moment) -> Any:
            written = now(moment)
            return np.empty((0, 0)) if written is None else find(moment, written)

        return twin

    def likeliest(i: int, t: int) -> str:
        logits = page["logits"].down(t)
        return f"MATCH({page['largest'].at(0, t)},{logits},0)-1"

    def exp(v: int, t: int) -> str:
        """exp((logit - largest) / temperature); at temperature 0 a one where the largest stands."""
        warm = f"EXP(({page['logits'].at(v, t)}-{page['largest'].at(0, t)})/{layout[heat].reference})"
        one = f"IF($B${page['exp'].row + v}={page['likeliest'].at(0, t)},1,0)"
        return f"IF({layout[heat].reference}>0,{warm},{one})"

    def prob(v: int, t: int) -> str:
        return f"{page['exp'].at(v, t)}/{page['sum'].at(0, t)}"

    def running(v: int, t: int) -> str:
        own = page["shares"].at(v, t)
        return own if v == 0 else f"{page['running'].at(v - 1, t)}+{own}"

    def random(i: int, t: int) -> str:
        return f"MOD({MULTIPLIER}*{page['random'].at(0, t - 1)},{MODULUS})"

    def chosen(i: int, t: int) -> str:
        return f"SUMPRODUCT(({page['running'].down(t)}<={page['random'].at(0, t)}/{MODULUS})*1)"

    def text(i: int, t: int) -> str:
        before = f'IF({letter(t)}${POSITION_ROW}=0,"",{page["text"].at(0, t - 1)})'
        own = f'IF({letter(t)}${POSITION_ROW}=0,"",IF({letter(t)}${ACTIVE_ROW}=1,{letter(t)}${TOKEN_ROW},""))'
        return f"{before}&{own}"

    def texts(moment: Moment) -> list[str]:
        written, said = now(moment), [""]
        ids = () if written is None else written.ids
        for t in range(1, layout.context):
            said.append(said[-1] + (moment.shown[ids[t]] if t < len(ids) else ""))
        return said

    def logits(find: Callable[[Array, float], Array]) -> Callable[[Moment], Any]:
        return of(lambda m, written: find(written.trace["logits"], m.writing.temperature))

    def uniforms(moment: Moment) -> Array:
        return np.array(moment.uniforms, float)

    def tokens(moment: Moment) -> tuple[str, ...]:
        return moment.shown

    rows: dict[str, Any] = {"labels": tokens, "axes": (VOCABULARY_AXIS, "token"), "style": "share"}
    one: dict[str, Any] = {"axes": ("token",)}
    return [
        Bar("the choice", "exp((logit − largest) / temperature), and the shares of their sum.", link="choice"),
        Block(
            "largest",
            label="largest logit",
            formula=lambda i, t: f"MAX({page['logits'].down(t)})",
            twin=logits(lambda x, heat: x.max(axis=0, keepdims=True)),
            **one,
        ),
        Block(
            "likeliest",
            label="its token",
            formula=likeliest,
            twin=logits(lambda x, heat: x.argmax(axis=0)[None].astype(float)),
            style="id",
            **one,
        ),
        Block("exp", n, formula=exp, twin=logits(weights), **rows),
        Block(
            "sum",
            label="sum",
            formula=lambda i, t: f"SUM({page['exp'].down(t)})",
            twin=logits(lambda x, heat: weights(x, heat).sum(axis=0, keepdims=True)),
            **one,
        ),
        Bar("shares", "How likely each token is.  [n_vocab, T]"),
        Block("shares", n, formula=prob, twin=logits(shares), colours=[probability], **(rows | {"style": "pattern"})),
        Bar("running totals", "Added up from the first token on.  [n_vocab, T]"),
        Block("running", n, formula=running, twin=logits(lambda x, heat: np.cumsum(shares(x, heat), axis=0)), **rows),
        Bar("the random number", "The seed's next, × 16807 modulo 2147483647; the first total above it wins."),
        Beside(
            Block(
                "random",
                label="random number",
                numbered=False,
                formula=random,
                twin=uniforms,
                style="id",
                guard=unguarded,
                **one,
            ),
            *(_warm_up(layout, page, t) for t in range(-WARM_UP, 0)),
        ),
        Block(
            "chosen",
            label="chosen token id",
            formula=chosen,
            twin=of(lambda moment, written: np.array(written.chosen, float)),
            style="id",
            **one,
        ),
        Bar("text", "What is written so far."),
        Block("text", label="text", formula=text, twin=texts, guard=unguarded, kind=Kind.TEXTS, style="id", **one),
    ]


def _warm_up(layout: Lesson, page: Page, t: int) -> Block:
    """Columns C to E: the three numbers before the first that is used."""

    def formula() -> str:
        before = f"({layout['seed'].reference}+1)" if t == -WARM_UP else f"${page['random'].at(0, t - 1)}"
        return f"MOD({MULTIPLIER}*{before},{MODULUS})"

    def twin(moment: Moment) -> int:
        found = moment.writing.seed + 1
        for _ in range(t + WARM_UP + 1):
            found = MULTIPLIER * found % MODULUS
        return found

    return cell(FIRST_TOKEN + t, formula, twin, "id")
