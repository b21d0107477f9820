"""The logit lens: what the model would say next if it ended after each block.

The state of one position after the embedding and after every block goes through the final norm (with its own mean and
variance) and the unembedding, as the last one does: logits = head . ln_f(x).  Depth 0 is the embedding, depth n_layer
the model's own output. Source: nostalgebraist, "interpreting GPT: the logit lens" (2020).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.gpt2 import sampling
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.model import Trace, layer_norm, unembed

Array = NDArray[Any]


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
