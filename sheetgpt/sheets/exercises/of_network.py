"""Tasks on Embed, Block 0 and Output, from the embedding to a logit; attention's are in `of_attention.py`.

The model's own arithmetic: `gpt2/model.py`.
"""

import math
from collections.abc import Sequence
from typing import Any

from sheetgpt.gpt2.checkpoints import quantize
from sheetgpt.gpt2.checkpoints.quantize import scale_name
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.exercises.column import Column
from sheetgpt.sheets.exercises.of_attention import mixture, score, weight
from sheetgpt.sheets.exercises.task import Mistake, Number, Task, one
from sheetgpt.sheets.grid import BIAS, GAIN, SCALE
from sheetgpt.sheets.network.embed import looked_up
from sheetgpt.sheets.network.parts import ACTIVATION
from sheetgpt.sheets.state import State

GELU = {
    "gelu_new": "GELU(x) = 0.5·x·(1 + TANH(0.7978845608·(x + 0.044715·x³)))",
    "gelu_pytorch_tanh": "GELU(x) = 0.5·x·(1 + TANH(0.7978845608·(x + 0.044715·x³)))",
    "gelu": "GELU(x) = x·NORMSDIST(x)",
    "relu": "ReLU(x) = MAX(x, 0)",
}


def tasks(it: Column) -> list[Task]:
    norm = [layer_norm(it)] if it.config.n_embd > 1 else []
    return [embedding(it), *norm, score(it), weight(it), mixture(it), neuron(it), logit(it)]


def beside(area: Area, i: int, column: int) -> Area:
    """What stands on the left of row i."""
    return Area(area.sheet, area.row + i, column)


def embedding(it: Column) -> Task:
    """x = wte[id] + wpe[position]"""
    f, tok, pos, both = it.row, it.area("embed_tok"), it.area("embed_pos"), it.area("embed")
    ids = it.layout["token_ids"].reference

    def one_before() -> str:
        """The number of the token whose id is one less; of id 0 its own."""
        id = f"MAX(INDEX({ids},1,{it.place})-1,0)"
        scale = f"*INDEX({it.layout['wte.scale'].reference},{id}+1)" if it.layout.scaled else ""
        return f"{looked_up(it.layout.tensor('wte').areas, f, id)}{scale}+{it.at(pos, f)}"

    def one_before_now(state: State) -> float:
        id = max(state.prompt.ids[it.now(state)] - 1, 0)
        return float(row_now(state, "wte", id)[f] + it.column_now(state, "embed_pos")[f])

    def of(area: Area, tensor: str, i: int = f) -> Number:
        return one(lambda: it.at(area, i), lambda s: it.column_now(s, tensor)[i])

    mistakes = [
        Mistake(of(tok, "embed_tok"), "That is the token alone: its position is to be added."),
        Mistake(of(pos, "embed_pos"), "That is the position alone: the token is to be added."),
        Mistake(one(one_before, one_before_now), "The id is off by one: ids count from 0, columns from 1."),
    ]
    if f > 0:
        mistakes.append(Mistake(of(both, "embed", f - 1), "One row too high: rows count from 0."))
    return Task(
        "embedding",
        "Token + position",
        f"The network begins with the token's own numbers plus those of its position. What is in row {f} then?",
        [it.here("token", tok.line(f)), it.here("position", pos.line(f))],
        "Type = and click on the first cell, type + and click on the second, press Enter.",
        lambda: f"{it.at(tok, f)}+{it.at(pos, f)}",
        of(both, "embed"),
        mistakes,
    )


def layer_norm(it: Column) -> Task:
    """y = (x - mean) / sqrt(variance + eps) * gain + bias"""
    f, n, x, y = it.row, it.config.n_embd, it.area("embed"), it.area("h0.ln_1")
    gain, bias, mean, rstd = beside(y, f, GAIN), beside(y, f, BIAS), it.area("h0.ln_1.mean"), it.area("h0.ln_1.rstd")
    epsilon, e = it.area("layer_norm_epsilon"), it.config.layer_norm_epsilon
    n_tokens = it.layout["n_tokens"].reference

    def centred() -> str:
        return f"({it.at(x, f)}-{it.at(mean)})"

    def stretched(scale: str, centre: str = "") -> str:
        return f"{centre or centred()}*{scale}*{gain.reference}+{bias.reference}"

    def stretched_now(state: State, scale: float, centre: float | None = None) -> float:
        own, shift = (it.param(state, f"h0.ln_1.{name}")[f] for name in "gb")
        return float((plain_now(state) if centre is None else centre) * scale * own + shift)

    def plain_now(state: State) -> float:
        return float(it.column_now(state, "embed")[f] - it.column_now(state, "h0.ln_1.mean")[0])

    def rstd_now(state: State) -> float:
        return float(it.column_now(state, "h0.ln_1.rstd")[0])

    def sample() -> str:
        """1/√(variance n / (n − 1) + ε), from rstd."""
        return f"1/SQRT((1/{it.at(rstd)}^2-{epsilon.reference})*{n}/{n - 1}+{epsilon.reference})"

    def sample_now(state: State) -> float:
        return 1 / math.sqrt((rstd_now(state) ** -2 - e) * n / (n - 1) + e)

    def along_row() -> str:
        row = x.line(f).reference
        centre = f"({it.at(x, f)}-AVERAGE({row}))"
        return stretched(f"1/SQRT(DEVSQ({row})/{n_tokens}+{epsilon.reference})", centre)

    def along_row_now(state: State) -> float:
        row = state.trace["embed"][f]
        return stretched_now(state, 1 / math.sqrt(row.var() + e), float(row[it.now(state)] - row.mean()))

    mistakes = [
        Mistake(
            one(lambda: stretched(sample()), lambda s: stretched_now(s, sample_now(s))),
            "Divided by n − 1: the variance here is the mean of the squares (VARP, not VAR).",
        ),
        Mistake(
            one(along_row, along_row_now), "A row in place of a column: take the numbers of one token, down its column."
        ),
        Mistake(
            one(lambda: stretched(f"{it.at(rstd)}^2"), lambda s: stretched_now(s, rstd_now(s) ** 2)),
            "The square root is missing: divide by the root of the variance + ε.",
        ),
        Mistake(
            one(lambda: f"{centred()}*{it.at(rstd)}", lambda s: plain_now(s) * rstd_now(s)),
            "Gain and bias are missing: × the green number in C, + the one in D.",
        ),
        Mistake(
            one(lambda: stretched(it.at(rstd), it.at(x, f)), lambda s: stretched_now(s, rstd_now(s), x_now(it, s))),
            "The mean is still in it: x − mean comes first.",
        ),
    ]

    def solution() -> str:
        column = it.down(x)
        scale = f"1/SQRT(DEVSQ({column})/{n}+{epsilon.reference})"
        return stretched(scale, f"({it.at(x, f)}-AVERAGE({column}))")

    words = "(x − mean) / √(variance + ε), then × gain + bias"
    return Task(
        "layer_norm",
        "Layer norm",
        f"Bring the column that comes in to mean 0 and variance 1: {words}. What is row {f} then?",
        [
            it.here("x", x),
            it.fixed("ε", epsilon),
            it.fixed("gain, bias", Area(y.sheet, y.row + f, GAIN, 1, 2)),
        ],
        "AVERAGE is the mean of a whole column, VARP its variance. Mark the column from its first row to its last.",
        solution,
        one(lambda: it.at(y, f), lambda s: it.column_now(s, "h0.ln_1")[f]),
        mistakes,
    )


def x_now(it: Column, state: State) -> float:
    return float(it.column_now(state, "embed")[it.row])


def neuron(it: Column) -> Task:
    """x + gelu(s) w: what is in the stream, and what one neuron adds to it"""
    f, kind = it.row, it.config.activation_function
    name = GELU[kind].partition("(")[0]
    total, mid, out = it.area("h0.mlp.fc"), it.area("h0.resid_mid"), it.area("h0.mlp.out")
    w, scale = it.area("h0.mlp.c_proj.w").line(0).stripe(f), beside(out, f, SCALE)
    factor = f"{w.reference}*{scale.reference}" if it.layout.scaled else w.reference

    def w_now(state: State) -> float:
        return float(it.param(state, "h0.mlp.c_proj.w")[0, f])

    def s_now(state: State) -> float:
        return float(it.column_now(state, "h0.mlp.fc")[0])

    def act_now(state: State) -> float:
        return float(it.column_now(state, "h0.mlp.act")[0])

    def mid_now(state: State) -> float:
        return float(it.column_now(state, "h0.resid_mid")[f])

    act = it.area("h0.mlp.act")
    mistakes = [
        Mistake(
            one(lambda: it.at(act) + f"*{factor}", lambda s: act_now(s) * w_now(s)),
            "The residual is missing: it is added to what the stream holds already.",
        ),
        Mistake(
            one(lambda: f"{it.at(mid, f)}+{it.at(total)}*{factor}", lambda s: mid_now(s) + s_now(s) * w_now(s)),
            f"{name} is missing: the sum goes through it first.",
        ),
        Mistake(
            one(lambda: f"{it.at(mid, f)}+{it.at(act)}", lambda s: mid_now(s) + act_now(s)),
            "The weight is missing: what the neuron says is multiplied by it.",
        ),
        Mistake(one(lambda: it.at(mid, f), mid_now), "Nothing is added yet: that is what the stream holds already."),
    ]
    if kind != "relu":
        mistakes.append(
            Mistake(
                one(
                    lambda: f"{it.at(mid, f)}+MAX({it.at(total)},0)*{factor}",
                    lambda s: mid_now(s) + max(s_now(s), 0) * w_now(s),
                ),
                "ReLU in place of GELU: a little comes through below 0, too.",
            )
        )
    links = [it.here("sum", total.line(0)), it.here("stream", mid.line(f)), it.fixed("weight", w)]
    if it.layout.scaled:
        links.append(it.fixed("× scale", scale))
    return Task(
        "neuron",
        f"Residual and {name}",
        f"Neuron 0 alone: its sum through {name}, × the weight with which it writes into row {f}, + what the stream "
        "holds there already.",
        links,
        f"{GELU[kind]}. Nothing in the stream is overwritten, it is always added to.",
        lambda: f"{it.at(mid, f)}+{ACTIVATION[kind].format(x=it.at(total))}*{factor}",
        one(lambda: f"{it.at(mid, f)}+{it.at(act)}*{factor}", lambda s: mid_now(s) + act_now(s) * w_now(s)),
        mistakes,
    )


def logit(it: Column) -> Task:
    """logit = the token's column of wte . ln_f(x)"""
    head, state_after, logits = it.config.head, it.area("ln_f"), it.area("logits")
    bands, last = it.layout.tensor(head).areas, it.config.n_vocab - 1
    stream = f"h{it.config.n_layer - 1}.resid_post"

    def moved(step: int) -> Number:
        """The logit of the token whose id is one more or less, of the first and the last its own."""

        def formula() -> str:
            beyond = f"MAX({it.best}-1,0)" if step < 0 else f"MIN({it.best}+1,{last})"
            return f"INDEX({logits.reference},{beyond}+1,{it.place})"

        def twin(state: State) -> float:
            return float(it.column_now(state, "logits")[min(max(it.best_now(state) + step, 0), last)])

        return one(formula, twin)

    def raw_now(state: State) -> float:
        return float(it.column_now(state, stream) @ row_now(state, head, it.best_now(state)))

    def raw(t: int) -> str:
        return f"SUMPRODUCT({it.layout[stream].down(t, '')},{it.page['unembedding'].local})"

    def solution() -> str:
        if len(bands) > 1:
            return f"SUMPRODUCT({it.page['unembedding'].local},{it.down(state_after)})"
        scale = f"*INDEX({it.layout[scale_name(head)].reference},{it.best}+1)" if it.layout.scaled else ""
        return f"SUMPRODUCT(INDEX({bands[0].reference},0,{it.best}+1),{it.down(state_after)}){scale}"

    off = "The id is off by one: ids count from 0, so id 0 is the first column."
    links = [it.here("final state", state_after), it.of_best("the token")]
    if it.layout.scaled:
        scales = it.layout[scale_name(head)]
        links.append(it.fixed("× scale", scales))
    return Task(
        "logit",
        "A logit",
        f"How well does the likeliest next token (see above) fit? Its column of {head} × the final state, added up."
        + (" Then × the token's scale." if it.layout.scaled else ""),
        links,
        "SUMPRODUCT(one column, other column). The final state is the one after the last layer norm, on Output.",
        solution,
        one(lambda: it.at(it.area("sample_logits")), lambda s: s.choices[0].logits[0]),
        [
            Mistake(moved(-1), off),
            Mistake(moved(1), off),
            Mistake(Number(raw, raw_now, across=True), "The last layer norm is left out: take ln_f, on Output."),
        ],
    )


def row_now(state: State, name: str, id: int) -> Any:
    """A token's numbers, scales and all; of a large vocabulary nothing else is computed."""
    names: Sequence[str] = (name, scale_name(name))
    own = {each: state.params[each][id : id + 1] for each in names if each in state.params}
    return quantize.evaluated(own)[name][0]


def unembedding(it: Column, f: int) -> str:
    """The likeliest token's number in row f of the unembedding, times its scale."""
    head = it.config.head
    found = looked_up(it.layout.tensor(head).areas, f, it.best)
    return found + (f"*INDEX({it.layout[scale_name(head)].reference},{it.best}+1)" if it.layout.scaled else "")
