"""What each part of the network writes, and what that adds to a logit: the workings of the sheet Contributions.

The mathematics and the twin: `inspection/contributions.py`, whose names these are. A part of the network is a column, a
feature a row; each part's sums stand above its column. The biases are read where they stand, beside their neurons.
"""

from functools import partial
from typing import Any

import numpy as np

from sheetgpt.inspection.contributions import KEY_DIGITS
from sheetgpt.sheets.block import Block, Part
from sheetgpt.sheets.grid import BIAS, FIRST_TOKEN, GAIN, SCALE
from sheetgpt.sheets.inside.contributions.parts import BIASES, DIRECTION, UNEMBEDDING, Parts
from sheetgpt.sheets.network.embed import looked_up
from sheetgpt.sheets.page import Bar, Beside, Space, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.tensor import Kind, Tensor


def direction(it: Parts) -> list[Part]:
    """The mean of gain × u, the final norm's rstd, and where weights are whole numbers the two tokens' scales."""

    def mean(i: int, j: int) -> str:
        gains, u = it.beside("ln_f", GAIN).reference, it.page["unembedding"].local
        return f"SUMPRODUCT({gains},{u})/{it.config.n_embd}"

    def rstd(i: int, j: int) -> str:
        return it.picked(it.layout["ln_f.rstd"])

    words = "(gain × the token's unembedding − their mean) × rstd: a state that points along it raises the logit."
    line = partial(it.block, column=UNEMBEDDING)
    return [
        Bar("Workings: the direction", words, link="workings"),
        line("mean", formula=mean, find=lambda found: found.mean, label="mean of gain × unembedding"),
        line("rstd", formula=rstd, find=lambda found: found.rstd, label="rstd of the final norm"),
        *([scales(it)] if it.layout.scaled else []),
    ]


def scales(it: Parts) -> Block:
    """Of the tokens' whole numbers in the unembedding."""
    name = it.layout.tensor(it.config.head).scales

    def formula(i: int, k: int) -> str:
        token = it.used(("token", "other")[k])
        return f'IF({token}="","",INDEX({it.layout[name].reference},{token}+1))'

    def twin(state: State) -> list[float | str]:
        found = state.ask(it.look)
        return ["" if token is None else float(state.params[name][token]) for token in (found.token, found.other)]

    looks: dict[str, Any] = {"label": "scale of each token's numbers", "column": UNEMBEDDING, "named": False}
    return Block("scales", 1, 2, formula, twin, fills=False, **looks)


def add_written(it: Parts) -> None:
    """What each part writes, and above it what that adds to the logit."""
    words = "A part a column, a feature a row. Feature × direction, added up, is what the part adds to the logit."
    writes = [embeddings(it), *(block for i in range(it.config.n_layer) for block in (heads(it, i), mlp(it, i)))]
    it.page.add(Bar("Workings: what each part writes", words), *names(it), *sums(it), Space())
    it.page.add(Beside(*directions(it), *writes, mixed(it), stream(it)))
    it.page.join("writes", *(block.name for block in writes))
    it.page.also.append(Tensor(it.page.prefix.rstrip("_"), (it.page["values"],), Kind.NUMBERS))


def names(it: Parts) -> list[Part]:
    """Above each column the place in the network, and what it is there."""
    blocks = [(f"block {i}", "z") for i in range(it.config.n_layer)]
    steps = [(place, f"after {step}" if step else "stream") for place, step in it.depths]
    others = {UNEMBEDDING: ("unembed-", "ding"), DIRECTION: ("direction", "")}
    others |= dict(enumerate(blocks, it.mixed)) | dict(enumerate(steps, it.stream))
    line = partial(Block, label=None, style="header", named=False)
    places, whats = [part.place for part in it.parts], [part.what for part in it.parts]
    return [
        Beside(line("places", twin=lambda state: places), Texts({c: name for c, (name, _) in others.items()})),
        Beside(line("whats", twin=lambda state: whats), Texts({c: name for c, (_, name) in others.items()})),
    ]


def sums(it: Parts) -> list[Part]:
    """What each part adds to the logit, what it is ranked by, and how long a vector it writes."""

    def vector(k: int) -> str:
        """w, all that part k writes."""
        part = it.parts[k]
        if part.what in BIASES:
            return it.beside(f"h{part.level - 1}.{BIASES[part.what]}", BIAS).reference
        return it.page["writes"].stripe(k).local

    def value(i: int, k: int) -> str:
        """w . d, and of the final norm, the last part, b . u"""
        if k == len(it.parts) - 1:
            return f"SUMPRODUCT({it.page['unembedding'].local},{it.beside('ln_f', BIAS).reference})"
        return f"SUMPRODUCT({it.page['direction'].local},{vector(k)})"

    def key(i: int, k: int) -> str:
        return f"ROUND(ABS({it.page['values'].stripe(k).local}),{KEY_DIGITS})"

    def stream_length(i: int, d: int) -> str:
        return length(it.page["stream"].stripe(d).local)

    def written_length(i: int, k: int) -> str:
        """The last part writes nothing."""
        return length(vector(k))

    n, steps = len(it.parts), len(it.depths)
    line, looks = partial(it.block, column=FIRST_TOKEN), {"label_style": "name", "style": "signed"}
    values = partial(line, label="adds to the logit", doubt=lambda found: found.doubts, **looks)
    keys = partial(line, label=f"its size, {KEY_DIGITS} decimals", doubt=lambda found: found.key_doubts)
    lengths, ends = partial(line, label="length", named=True), partial(it.block, column=it.stream)
    return [
        Block("numbers", twin=lambda state: np.arange(n), label="number", style="index", named=False),
        values("values", formula=value, find=lambda found: found.values, n_columns=n),
        keys("keys", formula=key, find=lambda found: found.keys, n_columns=n),
        Beside(
            lengths("lengths", formula=written_length, find=lambda found: found.lengths, n_columns=n - 1),
            ends("stream_lengths", formula=stream_length, find=lambda found: found.stream_lengths, n_columns=steps),
        ),
    ]


def length(vector: str) -> str:
    """sqrt(w . w)"""
    return f"SQRT(SUMPRODUCT({vector},{vector}))"


def directions(it: Parts) -> list[Block]:
    """u = head[token] - head[other], and d, along which a state raises the logit.  [n_embd] each"""

    def unembedding(f: int, j: int) -> str:
        """Without the second where there is no other token."""
        bands = it.layout.tensor(it.config.head).areas
        found = [looked_up(bands, f, it.used(token)) for token in ("token", "other")]
        if it.layout.scaled:
            found = [f"{one}*{it.page['scales'].stripe(k).local}" for k, one in enumerate(found)]
        return f'{found[0]}-IF({it.used("other")}="",0,{found[1]})'

    def direction(f: int, j: int) -> str:
        """d[f] = (gain[f] u[f] - mean) rstd"""
        gain, u = it.beside("ln_f", GAIN).line(f).reference, it.page["unembedding"].line(f).local
        return f"({gain}*{u}-{it.page['mean'].local})*{it.page['rstd'].local}"

    u, d = (lambda found: found.unembedding), (lambda found: found.direction)
    return [
        it.vectors("unembedding", UNEMBEDDING, 1, unembedding, u, label="feature"),
        it.vectors("direction", DIRECTION, 1, direction, d, named=True),
    ]


def embeddings(it: Parts) -> Block:
    """The token's and the position's.  [n_embd, 2]"""

    def formula(f: int, k: int) -> str:
        return it.picked(it.layout[("embed_tok", "embed_pos")[k]].line(f))

    return it.vectors("embeddings", FIRST_TOKEN, 2, formula, lambda found: found.writes[:, :2])


def heads(it: Parts, i: int) -> Block:
    """Head j's share of the attention: sum over its d of c_proj[d, f] z[d].  [n_embd, n_head]"""
    size, n, first = it.config.head_size, it.config.n_head, it.first(i)

    def formula(f: int, j: int) -> str:
        weights = it.layout.tensor(f"h{i}.attn.c_proj.w").area.rows_of(j * size, size).stripe(f)
        z = it.page["mixed"].stripe(i).rows_of(j * size, size)
        scale = it.beside(f"h{i}.attn.out", SCALE).line(f).reference
        return f"SUMPRODUCT({weights.reference},{z.local})" + (f"*{scale}" if it.layout.scaled else "")

    return it.vectors(f"heads_{i}", FIRST_TOKEN + first, n, formula, lambda found: found.writes[:, first : first + n])


def mlp(it: Parts, i: int) -> Block:
    """mlp.out without its bias, which has a column beside it and no cells there.  [n_embd, 2]"""
    k = it.first(i) + it.config.n_head + 1

    def formula(f: int, j: int) -> str:
        bias = it.beside(f"h{i}.mlp.out", BIAS).line(f)
        return f"{it.picked(it.layout[f'h{i}.mlp.out'].line(f))}-{bias.reference}"

    def no_cell(f: int, j: int) -> bool:
        return j == 1

    return it.vectors(f"mlp_{i}", FIRST_TOKEN + k, 2, formula, lambda found: found.writes[:, k : k + 2], gaps=no_cell)


def mixed(it: Parts) -> Block:
    """The heads' mixed values, a block a column.  [n_embd, n_layer]"""

    def formula(f: int, i: int) -> str:
        return it.picked(it.layout[f"h{i}.attn.z"].line(f))

    return it.vectors("mixed", it.mixed, it.config.n_layer, formula, lambda found: found.z)


def stream(it: Parts) -> Block:
    """After the embedding, then after each attention and each MLP.  [n_embd, 2 n_layer + 1]"""

    def formula(f: int, d: int) -> str:
        name = "embed" if d == 0 else f"h{(d - 1) // 2}.{('resid_post', 'resid_mid')[d % 2]}"
        return it.picked(it.layout[name].line(f))

    return it.vectors("stream", it.stream, len(it.depths), formula, lambda found: found.stream, named=True)
