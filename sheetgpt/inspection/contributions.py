"""Direct logit attribution: what each part of the network adds to a logit, with the final norm's scale held fixed.

The last state is a sum: x = wte[token] + wpe[position] + every head's and every MLP's output and their biases. The
final norm and the unembedding u = head[token] make of it the logit
    ln_f(x) . u = sum over f of ((x[f] - mean(x)) rstd g[f] + b[f]) u[f] = x . d + b . u,
    d = (g u - mean(g u)) rstd.
With rstd as it is at this position, that is linear in x: a part that writes w adds w . d, and all of them with the
norm's own b . u add up to the logit. For the difference of two tokens' logits u is the difference of their rows.
Sources: Elhage and others, "A Mathematical Framework for Transformer Circuits" (2021); TransformerLens,
`ActivationCache.logit_attrs` and `stack_head_results`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sheetgpt.gpt2.checkpoints.checkpoint import DEFAULT
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.generation.sampling import ROUNDING
from sheetgpt.gpt2.model import Trace
from sheetgpt.inspection.rounded import rounding_doubt
from sheetgpt.inspection.subject import Model, Subject, check_token, place, subject

Array = NDArray[Any]

EMBEDDING, FINAL_NORM = "embedding", "final norm"
ATTENTION_BIAS, MLP_BIAS = "attn. bias", "MLP bias"  # the first as short as a column of the sheet Contributions
KEY_DIGITS = 9  # parts whose contributions are equal to so many decimals rank in the order of the network


def contributions(
    model: Model = DEFAULT,
    prompt: str | None = None,
    *,
    ids: Sequence[int] | None = None,
    position: int | None = None,
    token: int | None = None,
    other: int | None = None,
) -> pd.DataFrame:
    """What each part adds to the logit of `token` at a position: the columns `adds` and `length`, of what it writes.

    Without a position it is the last one, without a token id the likeliest next token; with another id, `other`, its
    logit is subtracted. The column `adds` sums to the logit, which stands in `attrs`.
    Raises SheetGPTError for bad input.
    """
    return table(subject(model, prompt, ids), position, token, other)


def residual(
    model: Model = DEFAULT,
    prompt: str | None = None,
    *,
    ids: Sequence[int] | None = None,
    position: int | None = None,
) -> pd.DataFrame:
    """The residual stream at a position: the length of what was `written`, of the `stream` then, its `cosine` with the
    last state; a row for the embedding, and for every attention and every MLP.
    """
    text = subject(model, prompt, ids)
    found = of(text, position)
    columns = {"written": found.steps, "stream": found.stream_lengths, "cosine": found.cosines}
    return pd.DataFrame(columns, index=pd.MultiIndex.from_tuples(depths(text.config), names=("after", "step")))


def table(
    text: Subject, position: int | None = None, token: int | None = None, other: int | None = None
) -> pd.DataFrame:
    """Of a text that has been read: a row a part."""
    found = of(text, position, token, other)
    index = pd.MultiIndex.from_tuples([(part.place, part.what) for part in found.parts], names=("place", "part"))
    frame = pd.DataFrame({"adds": found.values, "length": np.append(found.lengths, np.nan)}, index=index)
    frame.attrs = {"position": found.position, "token": found.token, "other": found.other, "logit": found.logit}
    return frame


def of(text: Subject, position: int | None = None, token: int | None = None, other: int | None = None) -> "Attribution":
    """The contributions at a position, by default the last, to a token, by default the likeliest."""
    at = place(text, position)
    for id in (token, other):
        check_token(text.config, id)
    chosen = int(text.trace["logits"][:, at].argmax()) if token is None else token
    return attribute(text.params, text.config, text.trace, at, chosen, other)


@dataclass(frozen=True)
class Part:
    """Something that adds to a logit. `level`: 0 before the blocks, i + 1 in block i, n_layer + 1 after them."""

    place: str
    what: str
    level: int

    @property
    def name(self) -> str:
        return f"{self.place} {self.what}"


def of_a_block(config: GPT2Config) -> list[str]:
    """What each block's parts are called, in their order."""
    return [*(f"head {j}" for j in range(config.n_head)), ATTENTION_BIAS, "MLP", MLP_BIAS]


def parts(config: GPT2Config) -> tuple[Part, ...]:
    """In the order of the network; the last, the final norm's bias, writes nothing into the stream."""
    blocks = (Part(f"block {i}", kind, i + 1) for i in range(config.n_layer) for kind in of_a_block(config))
    embedding = (Part(EMBEDDING, what, 0) for what in ("token", "position"))
    return (*embedding, *blocks, Part(FINAL_NORM, "bias", config.n_layer + 1))


def depths(config: GPT2Config) -> tuple[tuple[str, str], ...]:
    """After what the stream is looked at, place and step: the embedding, then every attention and every MLP."""
    return ((EMBEDDING, ""), *((f"block {i}", step) for i in range(config.n_layer) for step in ("attention", "MLP")))


@dataclass(frozen=True)
class Attribution:
    """What each part adds to one logit, or to the difference of two, and the residual stream that they write."""

    position: int
    token: int
    other: int | None  # the token whose logit is subtracted
    parts: tuple[Part, ...]
    unembedding: Array  # u  [n_embd]
    mean: float  # of g u
    rstd: float  # the final norm's, at this position
    direction: Array  # d  [n_embd]
    writes: Array  # what each part but the last adds to the stream  [n_embd, n_parts - 1]
    values: Array  # what each adds to the logit  [n_parts]
    logit: float
    z: Array  # the heads' mixed values  [n_embd, n_layer]
    stream: Array  # after the embedding, then after every attention and every MLP  [n_embd, 2 n_layer + 1]

    @property
    def total(self) -> float:
        return float(self.values.sum())

    @property
    def lengths(self) -> Array:
        """Of what each part but the last writes.  [n_parts - 1]"""
        return norm(self.writes)

    @property
    def keys(self) -> Array:
        """What the parts are ranked by.  [n_parts]"""
        found: Array = np.round(np.abs(self.values), KEY_DIGITS)
        return found

    @property
    def stream_lengths(self) -> Array:
        return norm(self.stream)

    @property
    def steps(self) -> Array:
        """The length of what was written before each depth.  [2 n_layer + 1]"""
        return norm(np.diff(self.stream, axis=1, prepend=0))

    @property
    def cosines(self) -> Array:
        """Of the stream at each depth with the last state; 0 where either is all zeros.  [2 n_layer + 1]"""
        last, sizes = self.stream[:, -1], self.stream_lengths
        product = sizes * sizes[-1]
        dots, zeros = (self.stream * last[:, None]).sum(axis=0), np.zeros_like(product)
        found: Array = np.divide(dots, product, zeros, where=product > 0)
        return found

    @property
    def doubts(self) -> Array:
        """How well each part's contribution can be known, absolute: its products' rounding.  [n_parts]"""
        sizes = (np.abs(self.writes) * np.abs(self.direction)[:, None]).sum(axis=0)
        return ROUNDING * np.append(sizes, np.abs(self.values[-1]))

    @property
    def key_doubts(self) -> Array:
        """How well each key can be known, absolute.  [n_parts]"""
        found: Array = self.doubts + rounding_doubt(self.values, KEY_DIGITS, self.doubts)
        return found

    def ranked(self, n: int) -> list[int]:
        """The parts that add or subtract most, the largest first."""
        return [int(k) for k in np.argsort(-self.keys, kind="stable")[:n]]


def norm(columns: Array) -> Array:
    """The length of each column.  [n, k] -> [k]"""
    found: Array = np.sqrt((columns * columns).sum(axis=0))
    return found


def attribute(
    params: Mapping[str, Array], config: GPT2Config, trace: Trace, position: int, token: int, other: int | None = None
) -> Attribution:
    """The parts of logits[token, position], minus those of logits[other, position] where there is another token.

    `params`: the numbers that the evaluator computed `trace` with. A head writes its rows of c_proj times its mixed
    values: attn.out = sum over heads of W_h^T z_h + b.
    """
    u = np.asarray(params[config.head][[token]], np.float64)[0]
    if other is not None:
        u = u - np.asarray(params[config.head][[other]], np.float64)[0]
    gain, bias = params["ln_f.g"], params["ln_f.b"]
    mean, rstd = float((gain * u).mean()), float(trace["ln_f.rstd"][0, position])
    direction = (gain * u - mean) * rstd
    writes = [trace[name][:, position] for name in ("embed_tok", "embed_pos")]
    stream, mixed = [trace["embed"][:, position]], []
    for i in range(config.n_layer):
        h, z = f"h{i}.", trace[f"h{i}.attn.z"][:, position]
        w = params[h + "attn.c_proj.w"].reshape(config.n_head, config.head_size, config.n_embd)
        writes += [w[j].T @ z_j for j, z_j in enumerate(z.reshape(config.n_head, config.head_size))]
        mlp_bias = params[h + "mlp.c_proj.b"]
        writes += [params[h + "attn.c_proj.b"], trace[h + "mlp.out"][:, position] - mlp_bias, mlp_bias]
        stream += [trace[h + name][:, position] for name in ("resid_mid", "resid_post")]
        mixed.append(z)
    written = np.stack(writes, axis=1)
    # added up row by row: parts that write the same add exactly the same, whatever BLAS would make of their columns
    values = np.append((written * direction[:, None]).sum(axis=0), (bias * u).sum())
    logits = trace["logits"][:, position]
    logit = float(logits[token]) - (0.0 if other is None else float(logits[other]))
    return Attribution(
        *(position, token, other, parts(config), u, mean, rstd, direction, written, values, logit),
        *(np.stack(mixed, axis=1), np.stack(stream, axis=1)),
    )
