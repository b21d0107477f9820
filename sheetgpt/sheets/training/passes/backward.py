"""The Backward sheet: the gradient of the loss with respect to every tensor of Forward, from the last to the first.

Columns are the same positions as on Forward. What a position computed was used by itself and by later ones, so
gradients come from the own column and from columns to the right, never from the left. Arithmetic: the functions of the
same names in `gpt2/learning/backward.py`. A block's name is `d_` and its tensor's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sheetgpt.gpt2.model import Array
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Part, Values, unguarded
from sheetgpt.sheets.grid import FIRST_TOKEN, INDEX, LABEL, TOKEN_ROW
from sheetgpt.sheets.network.token_page import letter
from sheetgpt.sheets.network.weights import VOCABULARY_AXIS
from sheetgpt.sheets.page import Bar, Beside, Page, Texts
from sheetgpt.sheets.tensor import Kind
from sheetgpt.sheets.training.bands import heat
from sheetgpt.sheets.training.lesson import BACKWARD, Lesson, Moment
from sheetgpt.sheets.training.passes.forward import line, positions, token_page

NOTE = "How the loss changes with every number of the sheet Forward, from the logits back to the embeddings."
PURPLE = "7030A0"

# f'(x), where d is multiplied by it; u is the argument of TANH, and 0.107032... = 3 × 0.044715 × sqrt(2/pi)
U = "(0.797884560802865*({x}+0.044715*{x}^3))"
GELU_TANH = "{d}*(0.5*(1+TANH(" + U + "))+0.5*{x}*(1-TANH(" + U + ")^2)*0.797884560802865*(1+0.134145*{x}^2))"
SLOPE = {
    "gelu_new": GELU_TANH,
    "gelu_pytorch_tanh": GELU_TANH,
    "gelu": "{d}*(NORMSDIST({x})+{x}*EXP(-0.5*{x}^2)*0.398942280401433)",
    "relu": "{d}*IF({x}>0,1,0)",
}


@dataclass(frozen=True)
class Back:
    """The page in the making."""

    layout: Lesson
    page: Page

    def here(self, name: str) -> Area:
        return self.page[name]

    def block(self, name: str, n_rows: int, axis: str, formula: Callable[[int, int], str], **more: Any) -> Block:
        def twin(moment: Moment) -> Array:
            return moment.trace["d_" + name]

        axes = (axis, "token") if axis else ("token",)
        own: dict[str, Any] = {"label": f"d {name}", "twin": twin, "axes": axes, "colours": [heat]} | more
        return Block(name, n_rows, formula=formula, **own)

    def ahead(self, name: str) -> Area:
        """A tensor of the forward pass."""
        return self.layout[name]


def page(layout: Lesson) -> Page:
    header: list[Part] = [
        positions(layout),
        Beside(
            Texts({INDEX: "token id"}, "label"),
            line(
                "read_ids",
                lambda i, t: layout["token_ids"].at(0, t, BACKWARD),
                lambda m: [float(i) for i in m.wanted.ids],
                "id",
                named=False,
            ),
        ),
        Beside(
            Texts({INDEX: "token"}, "label"),
            line(
                "read_text",
                lambda i, t: layout["token_text"].at(0, t, BACKWARD),
                lambda m: [m.shown[i] for i in m.wanted.ids],
                "token",
                kind=Kind.TEXTS,
                named=False,
            ),
        ),
        Texts({LABEL: "tensor", INDEX: "row"}),
    ]
    here = token_page(layout, BACKWARD, "the gradient of every tensor", NOTE, "d_", header, unguarded, PURPLE)
    back = Back(layout, here)
    here.add(*unembed(back))
    last = layout.config.n_layer - 1
    here.add(*layer_norm(back, "ln_f", f"h{last}.resid_post", f"h{last}.resid_post"))
    for i in reversed(range(layout.config.n_layer)):
        here.add(*mlp(back, i))
        here.add(*attention(back, i))
    return here


def times(row: Area, column: str) -> str:
    """A row of a matrix times a column: SUMPRODUCT alone needs both to lie the same way."""
    return f"SUMPRODUCT(MMULT({row.reference},{column}))"


def unembed(back: Back) -> list[Part]:
    """d logits = (p - y) × share, y being 1 at the target; d ln_f = W d logits"""
    layout, config = back.layout, back.layout.config

    def logits(v: int, t: int) -> str:
        target = f"IF($B${back.here('logits').row + v}={layout['targets'].at(0, t, BACKWARD)},1,0)"
        return f"({layout['probs'].at(v, t, BACKWARD)}-{target})*{layout['shares'].at(0, t, BACKWARD)}"

    def ln_f(i: int, t: int) -> str:
        return times(layout[config.head].line(i), back.here("logits").down(t))

    def tokens(moment: Moment) -> Any:
        return moment.shown

    words = "(what the model expected − what came) × the position's share in the loss.  [n_vocab, T]"
    return [
        Bar("d logits", words, link="logits"),
        back.block("logits", config.n_vocab, VOCABULARY_AXIS, logits, labels=tokens),
        Bar("d ln_f", f"Row by row of {config.head} × d logits: each logit hands on its share.  [n_embd, T]"),
        back.block("ln_f", config.n_embd, "feature", ln_f),
    ]


def linear(back: Back, name: str, d: str, weights: str, n_in: int, words: str, axis: str = "feature") -> list[Part]:
    """Of y = Wᵀx + b: d x = W d y, a row of W times the column of d y.  [out, T] -> [in, T]"""

    def formula(i: int, t: int) -> str:
        return times(back.layout[weights].line(i), back.here(d).down(t))

    return [Bar(f"d {name}", words, link=name), back.block(name, n_in, axis, formula)]


def layer_norm(back: Back, name: str, x: str, into: str, beside: str = "") -> list[Part]:
    """Of y = (x - mean) rstd gain + bias, with D = d y × gain:
    d mean = -rstd sum(D);  d rstd = sum(D (x - mean));  d x = D rstd + (d mean - d rstd rstd³ (x - mean)) / n.

    `beside`: the gradient of the stream that passed by, which is added.
    """
    n, inner = back.layout.config.n_embd, f"{name}.inner"
    mean, rstd = f"{name}.mean", f"{name}.rstd"

    def scaled(i: int, t: int) -> str:
        gain = back.layout[f"{name}.g"].stripe(i).reference
        return f"{back.here(name).at(i, t)}*{gain}"

    def scaled_now(moment: Moment) -> Values:
        return moment.trace["d_" + name] * moment.now.w[name + ".g"][:, None]

    def d_mean(i: int, t: int) -> str:
        return f"-{back.ahead(rstd).at(0, t, BACKWARD)}*SUM({back.here(inner).down(t)})"

    def d_rstd(i: int, t: int) -> str:
        away = f"{back.ahead(x).down(t, BACKWARD)}-{back.ahead(mean).at(0, t, BACKWARD)}"
        return f"SUMPRODUCT({back.here(inner).down(t)},{away})"

    def dx(i: int, t: int) -> str:
        r = back.ahead(rstd).at(0, t, BACKWARD)
        away = f"({back.ahead(x).at(i, t, BACKWARD)}-{back.ahead(mean).at(0, t, BACKWARD)})"
        through = f"({back.here(mean).at(0, t)}-{back.here(rstd).at(0, t)}*{r}^3*{away})/{n}"
        passed = f"{back.here(beside).at(i, t)}+" if beside else ""
        return f"{passed}{back.here(inner).at(i, t)}*{r}+{through}"

    words = "D × rstd + (d mean − d rstd × rstd³ × (x − mean)) / n"
    passed = f", plus d {beside}, which passed the branch by.  [n_embd, T]" if beside else ".  [n_embd, T]"
    return [
        Bar(f"D = d {name} × gain", "Back through the layer norm: first the gain.  [n_embd, T]"),
        back.block(inner, n, "feature", scaled, twin=scaled_now, label="D"),
        back.block(mean, 1, "", d_mean, label="d mean = −rstd × ΣD"),
        back.block(rstd, 1, "", d_rstd, label="d rstd = ΣD (x − mean)"),
        Bar(f"d {into}", words + passed, link=into),
        back.block(into, n, "feature", dx),
    ]


def mlp(back: Back, i: int) -> list[Part]:
    """d act = c_proj.w d out;  d fc = d act × f'(fc);  d ln_2 = c_fc.w d fc; then the layer norm."""
    config, h = back.layout.config, f"h{i}."
    slope = SLOPE[config.activation_function]

    def fc(n: int, t: int) -> str:
        return slope.format(d=back.here(f"{h}mlp.act").at(n, t), x=back.ahead(f"{h}mlp.fc").at(n, t, BACKWARD))

    out = f"{h}resid_post"
    act = f"Row by row of {h}mlp.c_proj.w × d {out}: what each neuron's output was good for.  [n_inner, T]"
    slopes = f"d act × the slope of {config.activation_function} there: a silent neuron learns nothing.  [n_inner, T]"
    ln_2 = f"Row by row of {h}mlp.c_fc.w × d {h}mlp.fc.  [n_embd, T]"
    return [
        *linear(back, f"{h}mlp.act", out, f"{h}mlp.c_proj.w", config.n_inner, act, "neuron"),
        Bar(f"d {h}mlp.fc", slopes, link=f"{h}mlp.fc"),
        back.block(f"{h}mlp.fc", config.n_inner, "neuron", fc),
        *linear(back, f"{h}ln_2", f"{h}mlp.fc", f"{h}mlp.c_fc.w", config.n_embd, ln_2),
        *layer_norm(back, f"{h}ln_2", f"{h}resid_mid", f"{h}resid_mid", out),
    ]


def attention(back: Back, i: int) -> list[Part]:
    """d z = c_proj.w d out; each head; d ln_1 = c_attn.w d qkv; then the layer norm."""
    config, h = back.layout.config, f"h{i}."
    x = f"h{i - 1}.resid_post" if i else "embed"
    z = f"Row by row of {h}attn.c_proj.w × d {h}resid_mid, head below head.  [n_embd, T]"
    ln_1 = f"Row by row of {h}attn.c_attn.w × d {h}attn.qkv.  [n_embd, T]"
    return [
        *linear(back, f"{h}attn.z", f"{h}resid_mid", f"{h}attn.c_proj.w", config.n_embd, z),
        *(each for j in range(config.n_head) for each in head(back, h, j)),
        *qkv(back, h),
        *linear(back, f"{h}ln_1", f"{h}attn.qkv", f"{h}attn.c_attn.w", config.n_embd, ln_1),
        *layer_norm(back, f"{h}ln_1", x, x, f"{h}resid_mid"),
    ]


def head(back: Back, h: str, j: int) -> list[Part]:
    """d probs[s, t] = v[s] . d z[t];  d scores = probs (d probs - sum of probs d probs).  [T, T]: key, query"""
    config = back.layout.config
    size, width = config.head_size, back.layout.context
    probs, scores, mean = f"{h}attn.probs.{j}", f"{h}attn.scores.{j}", f"{h}attn.mean.{j}"

    def d_probs(s: int, t: int) -> str:
        value = back.ahead(f"{h}attn.qkv").rows_of(2 * config.n_embd + j * size, size).stripe(s).reference
        return f"SUMPRODUCT({value},{back.here(f'{h}attn.z').rows_of(j * size, size).down(t)})"

    def total(i: int, t: int) -> str:
        return f"SUMPRODUCT({back.ahead(probs).down(t, BACKWARD)},{back.here(probs).down(t)})"

    def total_now(moment: Moment) -> Values:
        d, p = moment.trace["d_" + probs], moment.trace[probs]
        found: Array = _sum_seen(p, d)
        return found

    def d_scores(s: int, t: int) -> str:
        p = back.ahead(probs).at(s, t, BACKWARD)
        return f"{p}*({back.here(probs).at(s, t)}-{back.here(mean).at(0, t)})"

    words = "The row's value × the column's d z: what attending more to that key would do to the loss.  [T, T]"
    more = "probs × (d probs − their mean, weighted by probs): what one key gains the others lose.  [T, T]"
    triangle: dict[str, Any] = {"triangle": True, "label": None, "numbered": True}
    return [
        Bar(f"d attn.probs, head {j}", words, link=f"{h}head {j}"),
        Beside(_keys(back), back.block(probs, width, "key", d_probs, **triangle)),
        back.block(mean, 1, "", total, twin=total_now, label="Σ probs × d probs"),
        Bar(f"d attn.scores, head {j}", more),
        Beside(_keys(back), back.block(scores, width, "key", d_scores, **triangle)),
    ]


def _sum_seen(p: Array, d: Array) -> Array:
    found: Array = np.nansum(p * d, axis=0, keepdims=True)
    return found


def _keys(back: Back) -> Block:
    return Block(
        n_rows=back.layout.context,
        n_columns=1,
        column=LABEL,
        formula=lambda k, j: f'"key: "&${letter(k)}${TOKEN_ROW}',
        twin=lambda moment: [f"key: {moment.shown[i]}" for i in moment.wanted.ids],
        label=None,
        numbered=False,
        style="label",
    )


def qkv(back: Back, h: str) -> list[Part]:
    """d q[t] = sum over s <= t of d scores[s, t] k[s] / root;  d k[s] = sum over t >= s of d scores[s, t] q[t] / root;
    d v[s] = sum over t >= s of probs[s, t] d z[t], root being that of the head's size.  [3 n_embd, T]

    A key and a value were read by later queries, so the formulas of d k and d v shrink by a column from left to right,
    and that of d q grows.
    """
    config, width = back.layout.config, back.layout.context
    n, size = config.n_embd, config.head_size
    name, end = f"{h}attn.qkv", letter(width - 1)

    def to_the_end(area: Area, row: int, t: int) -> str:
        """One row of an area, from position t to the last."""
        there = "" if area.sheet == BACKWARD else f"'{area.sheet}'!"
        return f"{there}${letter(t)}${area.row + row}:${end}${area.row + row}"

    def formula(o: int, t: int) -> str:
        role, i = divmod(o, n)
        j = i // size
        scores, probs = back.here(f"{h}attn.scores.{j}"), back.ahead(f"{h}attn.probs.{j}")
        ahead = back.ahead(name)
        if role == 0:
            keys = Area(ahead.sheet, ahead.row + n + i, FIRST_TOKEN, 1, t + 1)
            return f"{times(keys, scores.rows_of(0, t + 1).down(t))}/SQRT({size})"
        if role == 1:
            return f"SUMPRODUCT({to_the_end(scores, t, t)},{to_the_end(ahead, i, t)})/SQRT({size})"
        return f"SUMPRODUCT({to_the_end(probs, t, t)},{to_the_end(back.here(f'{h}attn.z'), i, t)})"

    def role(o: int) -> str:
        return f"d {('query', 'key', 'value')[o // n]}, head {o % n // size}"

    words = "A query sums over the keys that it saw; a key and a value over the queries that saw them.  [3 n_embd, T]"
    return [
        Bar(f"d {name}", words, link=name),
        back.block(name, 3 * n, "feature", formula, label=role, fills=False),
    ]
