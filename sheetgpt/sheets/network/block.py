"""One sheet a block: x + attention(ln_1(x)), then x + mlp(ln_2(x)).

Arithmetic: the functions of the same names in `model.py`. `formula(i, t)` is row i's formula at position t.
"""

from typing import Any

import numpy as np

from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Part
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.checksums import CHECKS, activated, added, checks, multiplied, normed, row_sums, shares
from sheetgpt.sheets.network.headings import bar, shut
from sheetgpt.sheets.network.parts import Network, Source, activate, add, dense, layer_norm
from sheetgpt.sheets.network.token_page import token_page
from sheetgpt.sheets.page import Bar, Beside, Page
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.looks import folding, probability, signed

NOTE = "Read down one column: normalize, attend, add; normalize, compute, add. A [+] in the margin opens a step."


def page(layout: Layout, i: int) -> Page:
    """Block i from top to bottom."""
    title = layout.block_sheet(i)
    page = token_page(layout, title, "attention, then the MLP", f"Block {i}", NOTE, prefix=f"h{i}.")
    net, x = Network(layout, page), lambda: layout["embed" if i == 0 else f"h{i - 1}.resid_post"]
    page.add(*shut([*parts(net, x), *checked(net, x)], results(layout)))
    page.dresses.append(folding)
    return page


def results(layout: Layout) -> set[str]:
    """What is in sight at first: who looks at whom, and what goes on to the next block."""
    return {"resid_post", *(f"attn.probs.{j}" for j in range(layout.config.n_head))}


def parts(net: Network, x: Source) -> list[Part]:
    """mid = x + attention(ln_1(x)), post = mid + mlp(ln_2(mid)).  [n_embd, T]"""

    def mid() -> Area:
        return net.area("resid_mid")

    words = "What came in, plus what attention found.  [n_embd, T]"
    more = "What came in, plus what the neurons add: this goes to the next block.  [n_embd, T]"
    return [
        *layer_norm(net, x, "ln_1"),
        *attention(net),
        *add(net, "resid_mid", x, "attn.out", words),
        *layer_norm(net, mid, "ln_2"),
        *mlp(net),
        *add(net, "resid_post", mid, "mlp.out", more),
    ]


def checked(net: Network, x: Source) -> list[Part]:
    """Whether the sums of all this come out."""

    def mid() -> Area:
        return net.area("resid_mid")

    found = [
        normed(net, x, "ln_1"),
        multiplied(net, "attn.qkv", "ln_1", "attn.c_attn"),
        shares(net),
        multiplied(net, "attn.out", "attn.z", "attn.c_proj"),
        added(net, "resid_mid", x, "attn.out"),
        normed(net, mid, "ln_2"),
        multiplied(net, "mlp.fc", "ln_2", "mlp.c_fc"),
        activated(net, "mlp.act", "mlp.fc"),
        added(net, "resid_post", mid, "mlp.out"),
    ]
    if net.layout.lanes == 1:  # in lane B what reads mlp.out reads what the sheet Edits makes of it
        found.insert(-1, multiplied(net, "mlp.out", "mlp.act", "mlp.c_proj"))
    layers = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")[: 3 if net.layout.lanes == 2 else 4]
    words = "What each input weighs in all neurons of a layer together, for the checks above."
    return [
        *checks(net, CHECKS, found),
        Bar("sums of the weights", words),
        *(p for n in layers for p in row_sums(net, n)),
    ]


def attention(net: Network) -> list[Part]:
    """out = c_proj(z): queries, keys and values; what each head makes of them; and all heads in one.  [n_embd, T]"""
    config = net.layout.config
    asks = "What each token asks for (query), offers (key) and passes on (value), one below another.  [3 n_embd, T]"
    combined = "What the heads found, combined by one linear layer.  [n_embd, T]"

    def role(o: int) -> str:
        return f"{('query', 'key', 'value')[o // config.n_embd]}, head {o % config.n_embd // config.head_size}"

    return [
        *dense(net, "attn.qkv", 3 * config.n_embd, "ln_1", "attn.c_attn", asks, role),
        *(part for j in range(config.n_head) for part in attention_head(net, j)),
        *mix_values(net),
        *dense(net, "attn.out", config.n_embd, "attn.z", "attn.c_proj", combined),
    ]


def mlp(net: Network) -> list[Part]:
    """out = c_proj(f(c_fc(x))): every neuron looks at the column, and those that found something speak.  [n_embd, T]"""
    config = net.layout.config
    looks = "Each row is one neuron looking at one token: its weights times the column, plus its bias.  [n_inner, T]"
    silenced = f"{config.activation_function}: a negative sum nearly silences a neuron.  [n_inner, T]"
    speaks = "The neurons' outputs, combined into one column of n_embd numbers again.  [n_embd, T]"
    return [
        *dense(net, "mlp.fc", config.n_inner, "ln_2", "mlp.c_fc", looks, axis="neuron"),
        *activate(net, "mlp.act", "mlp.fc", silenced),
        *dense(net, "mlp.out", config.n_embd, "mlp.act", "mlp.c_proj", speaks),
    ]


def attention_head(net: Network, j: int) -> list[Part]:
    """probs[k, q] = softmax over keys k <= q of key_k . query_q / sqrt(head).  [T, T], row key, column query"""
    return [*head_scores(net, j), *head_exponentials(net, j), *head_probabilities(net, j)]


def by_key(net: Network, name: str, **more: Any) -> Beside:
    """Row k is the key at position k: it is first seen in column k."""
    width = net.layout.context
    own = net.line(name, width, label=None, numbered=True, triangle=True, axes=("key", "token"), **more)
    return Beside(net.keys(), own)


def head_scores(net: Network, j: int) -> list[Part]:
    """scores[k, q] = key_k . query_q / sqrt(head): keys and queries of head j stand below one another in qkv."""
    size, d = net.layout.config.head_size, net.layout.config.n_embd
    name = f"attn.scores.{j}"

    def formula(k: int, t: int) -> str:
        query, key = (net.area("attn.qkv").rows_of(first + j * size, size) for first in (0, d))
        return f"SUMPRODUCT({key.stripe(k).local},{query.down(t)})/SQRT({size})"

    words = f"The column's query × the row's key / √{size}: how well they match. Later tokens are not seen."
    return [
        bar("attn.scores", words, f"head {j}", f", head {j}"),
        by_key(net, name, formula=formula, twin=net.traced(name), traced=True),
    ]


def head_exponentials(net: Network, j: int) -> list[Part]:
    """e[k, q] = exp(scores[k, q] - the column's largest score), which never overflows; below it the column's sum."""
    scores, largest, e = (f"attn.{name}.{j}" for name in ("scores", "max", "exp"))

    def peak(state: State) -> Any:
        return np.nanmax(net.traced(scores)(state), axis=0, keepdims=True)

    def exps(state: State) -> Any:
        return np.exp(net.traced(scores)(state) - peak(state))

    words = "exp(score − largest score of the column): all positive, and 1 for the best match."
    one: dict[str, Any] = {"axes": ("token",)}
    return [
        net.line(
            largest,
            label="largest score",
            formula=lambda i, t: f"MAX({net.area(scores).down(t)})",
            twin=peak,
            **one,
        ),
        bar("attn.exp", words, of=f", head {j}"),
        by_key(net, e, formula=lambda k, t: f"EXP({net.at(scores, k, t)}-{net.at(largest, 0, t)})", twin=exps),
        net.line(
            f"attn.sum.{j}",
            label="sum",
            formula=lambda i, t: f"SUM({net.area(e).down(t)})",
            twin=lambda state: np.nansum(exps(state), axis=0, keepdims=True),
            **one,
        ),
    ]


def head_probabilities(net: Network, j: int) -> list[Part]:
    """probs[k, q] = e[k, q] / sum over k of e[k, q]: a column adds up to 1; no number where k > q."""
    name = f"attn.probs.{j}"

    def formula(k: int, t: int) -> str:
        return f"{net.at(f'attn.exp.{j}', k, t)}/{net.at(f'attn.sum.{j}', 0, t)}"

    def twin(state: State) -> Any:
        seen = ~np.isnan(net.traced(f"attn.scores.{j}")(state))
        return np.where(seen, net.traced(name)(state), np.nan)

    words = "Divided by their sum: how much attention the column's token pays to the row's. A column adds up to 1."
    return [
        bar("attn.probs", words, of=f", head {j}"),
        by_key(net, name, formula=formula, twin=twin, traced=True, colours=[probability]),
    ]


def mix_values(net: Network) -> list[Part]:
    """z[d, q] = sum over keys k <= q of probs[k, q] value[d, k]; the heads stand below one another.  [n_embd, T]

    A row of values against a column of probabilities: the one place where the formula is an MMULT, and the one where it
    grows by a key with every column. SUMPRODUCT needs both to lie the same way, and a range as long in every column
    would point at later tokens.
    """
    config = net.layout.config
    size = config.head_size

    def formula(i: int, t: int) -> str:
        value, qkv = 2 * config.n_embd + i, net.area("attn.qkv")
        probs = net.area(f"attn.probs.{i // size}").rows_of(0, t + 1)
        return f"SUMPRODUCT(MMULT(${qkv.at(value, 0)}:{qkv.at(value, t)},{probs.down(t)}))"

    words = "The values of the tokens, weighted by the attention paid to them, head below head.  [n_embd, T]"
    label, looks = (lambda i: f"z, head {i // size}"), [signed(2)]
    return [
        bar("attn.z", words, "attn.z"),
        net.tensor("attn.z", config.n_embd, "feature", label=label, formula=formula, fills=False, colours=looks),
    ]
