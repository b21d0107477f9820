"""The logit lens: what the model would say next if it ended after each block.

The state of one position after the embedding and after every block goes through the final norm (with its own mean and
variance) and the unembedding, as the last one does: logits = head . ln_f(x).  Depth 0 is the embedding, depth n_layer
the model's own output. Source: nostalgebraist, "interpreting GPT: the logit lens" (2020).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sheetgpt.gpt2.checkpoints.checkpoint import DEFAULT
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.generation import sampling
from sheetgpt.gpt2.model import Trace, layer_norm, unembed
from sheetgpt.inspection.subject import Model, Subject, check_token, place, subject

Array = NDArray[Any]


TOP = 10  # tokens at each depth


def lens(
    model: Model = DEFAULT,
    prompt: str | None = None,
    *,
    ids: Sequence[int] | None = None,
    position: int | None = None,
    token: int | None = None,
) -> pd.DataFrame:
    """A row a depth: the `rank`, `logit` and `probability` of a token, the `entropy`, and the ten likeliest tokens.

    Without a position it is the last one, without a token id the likeliest token at the end. The columns 1 to 10 hold
    the likeliest tokens. Raises SheetGPTError for bad input.
    """
    return table(subject(model, prompt, ids), position, token)


def table(text: Subject, position: int | None = None, token: int | None = None) -> pd.DataFrame:
    """Of a text that has been read."""
    check_token(text.config, token)
    found = look(text.params, text.config, text.trace, place(text, position), token)
    own = found.logits[found.token]
    columns: dict[str, Any] = {"rank": found.ranks, "logit": own, "probability": found.probs, "entropy": found.entropy}
    frame = pd.DataFrame(columns, index=pd.Index(depths(text.config), name="after"))
    for rank, ids in enumerate(zip(*found.top(min(TOP, text.config.n_vocab)), strict=True), 1):
        frame[rank] = [text.shown[id] for id in ids]
    frame.attrs = {"position": found.position, "token": found.token}
    return frame


@dataclass(frozen=True)
class Lens:
    """One position seen at each of the D = n_layer + 1 depths."""

    position: int
    token: int
    states: Array  # [n_embd, D]
    mean: Array  # [1, D]
    rstd: Array  # [1, D]
    normed: Array  # [n_embd, D]
    logits: Array  # [n_vocab, D]

    @property
    def largest(self) -> Array:
        peak: Array = self.logits.max(axis=0)
        return peak

    @property
    def log_sum_exp(self) -> Array:
        found: Array = self.largest + np.log(np.exp(self.logits - self.largest).sum(axis=0))
        return found

    @property
    def entropy(self) -> Array:
        """Of the probabilities at each depth, in bits: -sum of p log2 p.  [D]"""
        e, below = np.exp(self.logits - self.largest), self.logits - self.largest
        total = e.sum(axis=0)
        bits: Array = (np.log(total) - (e * below).sum(axis=0) / total) / np.log(2)
        return bits

    @property
    def probs(self) -> Array:
        """Of the token, at temperature 1.  [D]"""
        p: Array = np.exp(self.logits[self.token] - self.log_sum_exp)
        return p

    @property
    def ranks(self) -> Array:
        """Of the token, from 1 on; of equal logits the lowest id is first.  [D]"""
        own, ids = self.logits[self.token], np.arange(len(self.logits))[:, None]
        above = (self.logits > own) | ((self.logits == own) & (ids < self.token))
        found: Array = 1 + above.sum(axis=0)
        return found

    def top(self, n: int) -> list[list[int]]:
        """The ids of the likeliest tokens, a list a depth."""
        return [sampling.top(self.logits[:, d], n) for d in range(self.logits.shape[1])]


def depths(config: GPT2Config) -> tuple[str, ...]:
    """What each depth comes after."""
    return ("embedding", *(f"block {i}" for i in range(config.n_layer)))


def look(
    params: Mapping[str, Array], config: GPT2Config, trace: Trace, position: int, token: int | None = None
) -> Lens:
    """The lens at one position; the token is the likeliest at the end unless another is asked for."""
    names = ["embed", *(f"h{i}.resid_post" for i in range(config.n_layer))]
    states = np.stack([trace[name][:, position] for name in names], axis=1)
    seen: Trace = {}
    normed = layer_norm(states, "ln_f", lambda name: np.asarray(params[name], np.float64), config, seen)
    logits = unembed(params[config.head], normed)
    chosen = int(np.argmax(logits[:, -1])) if token is None else token
    return Lens(position, chosen, states, seen["ln_f.mean"], seen["ln_f.rstd"], normed, logits)
