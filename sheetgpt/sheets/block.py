"""One sheet a block: x + attention(ln_1(x)), then x + mlp(ln_2(x)), each function beside its formula.

Arithmetic: the functions of the same names in `model.py`. `formula(i, t)` is row i's formula at position t.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.model import Trace
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.token_sheet import (
    Prompt,
    Section,
    colour_probability,
    colour_signed,
    letter,
    sheet_rows,
    token_sheet,
)

Params = Mapping[str, NDArray[Any]]

# x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))); sqrt(2/pi) is written out: 320 bytes a cell less in LibreOffice, and up
# to a tenth of its time. Excel keeps 15 digits of a number in a formula.
GELU_TANH = "0.5*{x}*(1+TANH(0.797884560802865*({x}+0.044715*{x}^3)))"
ACTIVATION = {
    "gelu_new": GELU_TANH,
    "gelu_pytorch_tanh": GELU_TANH,
    # x times the normal distribution's cumulative probability of x
    "gelu": "{x}*NORMSDIST({x})",
    "relu": "MAX({x},0)",
}
# the sections that carry signed numbers, and those that Home links to below the heads
SIGNED = ("ln_1", "attn.qkv", "attn.z", "attn.out", "resid_mid", "ln_2", "mlp.fc", "mlp.act", "mlp.out", "resid_post")
AFTER_HEADS = ("attn.z", "attn.out", "resid_mid", "ln_2", "mlp.fc", "mlp.act", "mlp.out", "resid_post")


def linear(x: Area, weights: Area, o: int, t: int, row: int, sheet: str, scaled: bool) -> str:
    """y[o] = (sum over i of W[i, o] x[i]) s[o] + b[o], without s where the weights are no whole numbers.

    6 ns a multiply-add in LibreOffice, against 20+ for MMULT.
    """
    scale = f"*$E${row}" if scaled else ""
    return f"SUMPRODUCT({weights.stripe(o).reference},{x.down(t, sheet)}){scale}+$D${row}"


def layer_norm(
    x: Area, areas: Mapping[str, Area], name: str, params: Params, trace: Trace, epsilon: str
) -> list[Section]:
    """y = (x - mean(x)) / sqrt(var(x) + eps) * gain + bias, down one token's column.  [n_embd, T]"""
    mean, rstd, y = areas[name + ".mean"], areas[name + ".rstd"], areas[name]
    sheet = y.sheet
    words = "Layer norm. First the column's mean, and one over its standard deviation."
    return [
        Section(
            mean,
            name,
            words,
            trace[name + ".mean"],
            lambda i, t: f"AVERAGE({x.down(t, sheet)})",
            lambda i: "mean",
        ),
        Section(
            rstd,
            name,
            words,
            trace[name + ".rstd"],
            lambda i, t: f"1/SQRT(DEVSQ({x.down(t, sheet)})/{x.n_rows}+{epsilon})",
            lambda i: "rstd = 1/√(variance+ε)",
            titled=False,
        ),
        Section(
            y,
            name,
            "(x − mean) × rstd × gain + bias: columns on one scale, then each row stretched and moved.  [n_embd, T]",
            trace[name],
            lambda i, t: (
                f"({x.at(i, t, sheet)}-{mean.at(0, t, sheet)})*{rstd.at(0, t, sheet)}*$C${y.row + i}+$D${y.row + i}"
            ),
            lambda i: name.split(".")[-1],
            gain=params[name + ".g"],
            bias=params[name + ".b"],
        ),
    ]


def dense(
    y: Area,
    x: Area,
    weights: Area,
    title: str,
    words: str,
    values: NDArray[Any],
    bias: NDArray[Any],
    scale: NDArray[Any] | None,
    label: Callable[[int], str],
) -> Section:
    """A linear layer: a row is a neuron, its weights one column of the weight sheet, bias and scale in D and E."""
    return Section(
        y,
        title,
        words,
        values,
        lambda o, t: linear(x, weights, o, t, y.row + o, y.sheet, scale is not None),
        label,
        bias=bias,
        scale=scale,
    )


def add(y: Area, a: Area, b: Area, title: str, words: str, values: NDArray[Any]) -> Section:
    """y = a + b: what a part of the block found out is added to what came in."""
    return Section(
        y,
        title,
        words,
        values,
        lambda i, t: f"{a.at(i, t, y.sheet)}+{b.at(i, t, y.sheet)}",
        lambda i: title.split(".")[-1],
    )


def attention_head(areas: Mapping[str, Area], config: GPT2Config, name: str, j: int, trace: Trace) -> list[Section]:
    """probs[k, q] = softmax over keys k <= q of key_k . query_q / sqrt(head).  [T, T], row key, column query"""
    size, d = config.head_size, config.n_embd
    qkv = areas[name + "qkv"]
    query, key = qkv.lines(j * size, size), qkv.lines(d + j * size, size)
    scores, largest = areas[f"{name}scores.{j}"], areas[f"{name}max.{j}"]
    e, total, probs = areas[f"{name}exp.{j}"], areas[f"{name}sum.{j}"], areas[f"{name}probs.{j}"]
    sheet = scores.sheet
    s = trace[f"{name}scores.{j}"]
    peak = np.nanmax(s, axis=0, keepdims=True)
    exps = np.exp(s - peak)
    p = np.where(np.isnan(s), np.nan, trace[f"{name}probs.{j}"])
    return [
        Section(
            scores,
            f"attn.scores, head {j}",
            f"The column's query × the row's key / √{size}: how well they fit. A token sees only what came before.",
            s,
            lambda k, t: f"SUMPRODUCT({key.stripe(k).local},{query.down(t, sheet)})/SQRT({size})",
            lambda k: "",
            causal=True,
        ),
        Section(
            largest,
            "",
            "",
            peak,
            lambda i, t: f"MAX({scores.down(t, sheet)})",
            lambda i: "largest score",
            titled=False,
        ),
        Section(
            e,
            f"exp(score), head {j}",
            "exp(score − largest score of the column): all positive, the best fit 1.",
            exps,
            lambda k, t: f"EXP({scores.at(k, t, sheet)}-{largest.at(0, t, sheet)})",
            lambda k: "",
            causal=True,
        ),
        Section(
            total,
            "",
            "",
            np.nansum(exps, axis=0, keepdims=True),
            lambda i, t: f"SUM({e.down(t, sheet)})",
            lambda i: "sum",
            titled=False,
        ),
        Section(
            probs,
            f"attn.probs, head {j}",
            "Each over their sum: how much attention the column's token pays to the row's. A column adds up to 1.",
            p,
            lambda k, t: f"{e.at(k, t, sheet)}/{total.at(0, t, sheet)}",
            lambda k: "",
            causal=True,
            style="number",
        ),
    ]


def mix_values(areas: Mapping[str, Area], config: GPT2Config, name: str, trace: Trace) -> Section:
    """z[d, q] = sum over keys k <= q of probs[k, q] value[d, k]; the heads stand below one another.  [n_embd, T]

    A row of values against a column of probabilities: the one place where the formula is an MMULT, and the one where it
    grows by a key with every column. SUMPRODUCT needs both to lie the same way, and a range as long in every column
    would point at later tokens.
    """
    size, z, qkv = config.head_size, areas[name + "z"], areas[name + "qkv"]

    def formula(i: int, t: int) -> str:
        value = qkv.row + 2 * config.n_embd + i
        probs = areas[f"{name}probs.{i // size}"].lines(0, t + 1)
        values = f"${letter(0)}${value}:{letter(t)}${value}"
        return f"SUMPRODUCT(MMULT({values},{probs.down(t, z.sheet)}))"

    return Section(
        z,
        "attn.z",
        "The values of the tokens attended to, mixed by the attention paid; heads below one another.  [n_embd, T]",
        trace[name + "z"],
        formula,
        lambda i: f"z, head {i // size}",
        grows=True,
    )


def block_sections(layout: Layout, i: int, params: Params, trace: Trace) -> Sequence[Section]:
    """Block i from top to bottom."""
    areas, config, h = layout.tensors, layout.config, f"h{i}."
    attn, mlp = h + "attn.", h + "mlp."
    w = {name: found[0] for name, found in layout.params.items() if name.startswith(h)}
    x = areas["embed" if i == 0 else f"h{i - 1}.resid_post"]
    epsilon = layout.model_cells["layer_norm_epsilon"].reference
    sections = layer_norm(x, areas, h + "ln_1", params, trace, epsilon)
    sections.append(
        dense(
            areas[attn + "qkv"],
            areas[h + "ln_1"],
            w[attn + "c_attn.w"],
            "attn.qkv",
            "What each token asks for (query), offers (key) and tells (value), below one another.  [3 n_embd, T]",
            trace[attn + "qkv"],
            params[attn + "c_attn.b"],
            params.get(attn + "c_attn.scale"),
            lambda o: f"{('query', 'key', 'value')[o // config.n_embd]}, head {o % config.n_embd // config.head_size}",
        )
    )
    for j in range(config.n_head):
        sections += attention_head(areas, config, attn, j, trace)
    sections.append(mix_values(areas, config, attn, trace))
    sections.append(
        dense(
            areas[attn + "out"],
            areas[attn + "z"],
            w[attn + "c_proj.w"],
            "attn.out",
            "The heads' findings, combined by one linear layer.  [n_embd, T]",
            trace[attn + "out"],
            params[attn + "c_proj.b"],
            params.get(attn + "c_proj.scale"),
            lambda o: "attn.out",
        )
    )
    mid, post = areas[h + "resid_mid"], areas[h + "resid_post"]
    words = "What came in, plus what attention found.  [n_embd, T]"
    sections.append(add(mid, x, areas[attn + "out"], "resid_mid", words, trace[h + "resid_mid"]))
    sections += layer_norm(mid, areas, h + "ln_2", params, trace, epsilon)
    sections.append(
        dense(
            areas[mlp + "fc"],
            areas[h + "ln_2"],
            w[mlp + "c_fc.w"],
            "mlp.fc",
            "Each row is one neuron looking at one token: its weights times the column, plus its bias.  [n_inner, T]",
            trace[mlp + "fc"],
            params[mlp + "c_fc.b"],
            params.get(mlp + "c_fc.scale"),
            lambda o: "mlp.fc",
        )
    )
    fc, act, out = areas[mlp + "fc"], areas[mlp + "act"], areas[mlp + "out"]
    activation = ACTIVATION[config.activation_function]
    sections.append(
        Section(
            act,
            "mlp.act",
            f"{config.activation_function}: neurons that found nothing are silenced.  [n_inner, T]",
            trace[mlp + "act"],
            lambda n, t: activation.format(x=fc.at(n, t, act.sheet)),
            lambda n: "mlp.act",
        )
    )
    sections.append(
        dense(
            out,
            act,
            w[mlp + "c_proj.w"],
            "mlp.out",
            "What the neurons have to say, back at the width of a token.  [n_embd, T]",
            trace[mlp + "out"],
            params[mlp + "c_proj.b"],
            params.get(mlp + "c_proj.scale"),
            lambda o: "mlp.out",
        )
    )
    words = "What came in, plus what the neurons said: this goes to the next block.  [n_embd, T]"
    sections.append(add(post, mid, out, "resid_post", words, trace[h + "resid_post"]))
    return sections


def sheet(layout: Layout, palette: Palette, prompt: Prompt, i: int, params: Params, trace: Trace) -> Sheet:
    """Block i of the network."""
    title, h, areas, config = layout.block_sheet(i), f"h{i}.", layout.tensors, layout.config

    def colour(frame: Worksheet) -> None:
        for j in range(config.n_head):
            colour_probability(frame, areas[f"{h}attn.probs.{j}"])
        for name in SIGNED:
            colour_signed(frame, areas[h + name], 2)

    heads = [(f"head {j}", f"attn.scores.{j}") for j in range(config.n_head)]
    sections = [("ln_1", "ln_1.mean"), ("attn.qkv", "attn.qkv"), *heads, *((name, name) for name in AFTER_HEADS)]
    note = "Read down one column: normalize, attend, add; normalize, think, add. Only the weights differ by block."
    return token_sheet(
        layout,
        title,
        "attention, then the MLP",
        sheet_rows(*(layout, palette, prompt, f"Block {i}", note), lambda: block_sections(layout, i, params, trace)),
        areas[h + "resid_post"],
        colour,
        sections=[(short, areas[h + name].row - 1) for short, name in sections],
    )
