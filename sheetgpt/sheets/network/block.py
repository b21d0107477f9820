"""One sheet a block: x + attention(ln_1(x)), then x + mlp(ln_2(x)).

Arithmetic: the functions of the same names in `model.py`. `formula(i, t)` is row i's formula at position t.
"""

import numpy as np
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.model import Trace
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.parts import Network, Params, activate, add, dense, layer_norm
from sheetgpt.sheets.network.token_sheet import Section, colour_probability, colour_signed, sheet_rows, token_sheet
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import Prompt

# the sections that carry signed numbers, and those that Home links to below the heads
SIGNED = ("ln_1", "attn.qkv", "attn.z", "attn.out", "resid_mid", "ln_2", "mlp.fc", "mlp.act", "mlp.out", "resid_post")
AFTER_HEADS = ("attn.z", "attn.out", "resid_mid", "ln_2", "mlp.fc", "mlp.act", "mlp.out", "resid_post")


def block_sections(net: Network, i: int) -> list[Section]:
    """Block i from top to bottom: mid = x + attention(ln_1(x)), post = mid + mlp(ln_2(mid)).  [n_embd, T]"""
    x = net.layout.tensors["embed" if i == 0 else f"h{i - 1}.resid_post"]
    words = "What came in, plus what attention found.  [n_embd, T]"
    more = "What came in, plus what the neurons add: this goes to the next block.  [n_embd, T]"
    return [
        *layer_norm(net, x, "ln_1"),
        *attention(net),
        add(net, "resid_mid", x, "attn.out", words),
        *layer_norm(net, net.area("resid_mid"), "ln_2"),
        *mlp(net),
        add(net, "resid_post", net.area("resid_mid"), "mlp.out", more),
    ]


def attention(net: Network) -> list[Section]:
    """out = c_proj(z): queries, keys and values; what each head makes of them; and all heads in one.  [n_embd, T]"""
    config = net.layout.config
    asks = "What each token asks for (query), offers (key) and passes on (value), one below another.  [3 n_embd, T]"
    combined = "What the heads found, combined by one linear layer.  [n_embd, T]"
    roles = ("query", "key", "value")
    return [
        dense(
            *(net, "attn.qkv", "ln_1", "attn.c_attn", asks),
            lambda o: f"{roles[o // config.n_embd]}, head {o % config.n_embd // config.head_size}",
        ),
        *(section for j in range(config.n_head) for section in attention_head(net, j)),
        mix_values(net),
        dense(net, "attn.out", "attn.z", "attn.c_proj", combined),
    ]


def mlp(net: Network) -> list[Section]:
    """out = c_proj(f(c_fc(x))): every neuron looks at the column, and those that found something speak.  [n_embd, T]"""
    looks = "Each row is one neuron looking at one token: its weights times the column, plus its bias.  [n_inner, T]"
    silenced = f"{net.layout.config.activation_function}: a negative sum nearly silences a neuron.  [n_inner, T]"
    speaks = "The neurons' outputs, combined into one column of n_embd numbers again.  [n_embd, T]"
    return [
        dense(net, "mlp.fc", "ln_2", "mlp.c_fc", looks),
        activate(net, "mlp.act", "mlp.fc", silenced),
        dense(net, "mlp.out", "mlp.act", "mlp.c_proj", speaks),
    ]


def attention_head(net: Network, j: int) -> list[Section]:
    """probs[k, q] = softmax over keys k <= q of key_k . query_q / sqrt(head).  [T, T], row key, column query"""
    return [head_scores(net, j), *head_exponentials(net, j), head_probabilities(net, j)]


def head_scores(net: Network, j: int) -> Section:
    """scores[k, q] = key_k . query_q / sqrt(head): keys and queries of head j stand below one another in qkv."""
    config, qkv = net.layout.config, net.area("attn.qkv")
    size, d = config.head_size, config.n_embd
    query, key = qkv.rows_of(j * size, size), qkv.rows_of(d + j * size, size)
    return Section(
        net.area(f"attn.scores.{j}"),
        f"attn.scores, head {j}",
        f"The column's query × the row's key / √{size}: how well they match. Later tokens are not seen.",
        net.values(f"attn.scores.{j}"),
        lambda k, t: f"SUMPRODUCT({key.stripe(k).local},{query.down(t)})/SQRT({size})",
        lambda k: "",
        causal=True,
    )


def head_exponentials(net: Network, j: int) -> list[Section]:
    """e[k, q] = exp(scores[k, q] - the column's largest score), which never overflows; below it the column's sum."""
    scores, largest, e = (net.area(f"attn.{name}.{j}") for name in ("scores", "max", "exp"))
    values = net.values(f"attn.scores.{j}")
    peak = np.nanmax(values, axis=0, keepdims=True)
    exps = np.exp(values - peak)
    return [
        Section(
            largest,
            "",
            "",
            peak,
            lambda i, t: f"MAX({scores.down(t)})",
            lambda i: "largest score",
            titled=False,
        ),
        Section(
            e,
            f"exp(score), head {j}",
            "exp(score − largest score of the column): all positive, and 1 for the best match.",
            exps,
            lambda k, t: f"EXP({scores.at(k, t)}-{largest.at(0, t)})",
            lambda k: "",
            causal=True,
        ),
        Section(
            net.area(f"attn.sum.{j}"),
            "",
            "",
            np.nansum(exps, axis=0, keepdims=True),
            lambda i, t: f"SUM({e.down(t)})",
            lambda i: "sum",
            titled=False,
        ),
    ]


def head_probabilities(net: Network, j: int) -> Section:
    """probs[k, q] = e[k, q] / sum over k of e[k, q]: a column adds up to 1; no number where k > q."""
    e, total = net.area(f"attn.exp.{j}"), net.area(f"attn.sum.{j}")
    seen = ~np.isnan(net.values(f"attn.scores.{j}"))
    return Section(
        net.area(f"attn.probs.{j}"),
        f"attn.probs, head {j}",
        "Divided by their sum: how much attention the column's token pays to the row's. A column adds up to 1.",
        np.where(seen, net.values(f"attn.probs.{j}"), np.nan),
        lambda k, t: f"{e.at(k, t)}/{total.at(0, t)}",
        lambda k: "",
        causal=True,
    )


def mix_values(net: Network) -> Section:
    """z[d, q] = sum over keys k <= q of probs[k, q] value[d, k]; the heads stand below one another.  [n_embd, T]

    A row of values against a column of probabilities: the one place where the formula is an MMULT, and the one where it
    grows by a key with every column. SUMPRODUCT needs both to lie the same way, and a range as long in every column
    would point at later tokens.
    """
    config, qkv = net.layout.config, net.area("attn.qkv")
    size = config.head_size

    def formula(i: int, t: int) -> str:
        value = 2 * config.n_embd + i
        probs = net.area(f"attn.probs.{i // size}").rows_of(0, t + 1)
        return f"SUMPRODUCT(MMULT(${qkv.at(value, 0)}:{qkv.at(value, t)},{probs.down(t)}))"

    return Section(
        net.area("attn.z"),
        "attn.z",
        "The values of the tokens, weighted by the attention paid to them, head below head.  [n_embd, T]",
        net.values("attn.z"),
        formula,
        lambda i: f"z, head {i // size}",
        grows=True,
    )


def sheet(layout: Layout, palette: Palette, prompt: Prompt, i: int, params: Params, trace: Trace) -> Sheet:
    """Block i of the network."""
    title, config, net = layout.block_sheet(i), layout.config, Network(layout, params, trace, f"h{i}.")

    def colour(frame: Worksheet) -> None:
        for j in range(config.n_head):
            colour_probability(frame, net.area(f"attn.probs.{j}"))
        for name in SIGNED:
            colour_signed(frame, net.area(name), 2)

    heads = [(f"head {j}", f"attn.scores.{j}") for j in range(config.n_head)]
    sections = [("ln_1", "ln_1.mean"), ("attn.qkv", "attn.qkv"), *heads, *((name, name) for name in AFTER_HEADS)]
    note = "Read down one column: normalize, attend, add; normalize, compute, add. The blocks differ only in weights."
    return token_sheet(
        layout,
        title,
        "attention, then the MLP",
        sheet_rows(*(layout, palette, prompt, f"Block {i}", note), lambda: block_sections(net, i)),
        net.area("resid_post"),
        colour,
        sections=[(short, net.area(name).row - 1) for short, name in sections],
    )
