"""What a language model is trained on: a word as inputs and targets, and the loss of what it expects.

A word is read behind the token that ends a text and must be followed by it: inputs `[end] + letters`, targets
`letters + [end]`. Both are filled up with `end` to the model's positions, so every word takes the same columns; a
position beyond the word has the share 0 in the loss, and all gradients of its column are exactly 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.model import Array, Trace, softmax


@dataclass(frozen=True)
class Example:
    """One word in T = n_positions columns: what is read, what should come next, and each position's share in the loss.

    `shares` are 1/n at the n positions of the word, with the one that ends it, and 0 beyond.
    """

    ids: tuple[int, ...]
    targets: tuple[int, ...]
    shares: tuple[float, ...]

    @property
    def n_targets(self) -> int:
        """The positions that count: one more than the word has tokens."""
        return sum(share > 0 for share in self.shares)


def example(word: Sequence[int], end: int, n_positions: int) -> Example:
    """The columns of a word's tokens."""
    n = len(word) + 1
    if n > n_positions:
        raise SheetGPTError(
            f"A word has {n - 1} tokens, and the model's {n_positions} positions take {n_positions - 1}."
        )
    padding = (end,) * (n_positions - n)
    return Example(
        ids=(end, *word, *padding),
        targets=(*word, end, *padding),
        shares=(1 / n,) * n + (0.0,) * (n_positions - n),
    )


def cross_entropy(logits: Array, wanted: Example) -> Trace:
    """The mean over the word's positions of -ln(probability of the target), in nats.  [n_vocab, T] -> ()

    `probs [n_vocab, T]` is the softmax of each column, `nats [T]` each position's own loss, `loss []` their mean.
    """
    peak = logits.max(axis=0)
    nats = peak + np.log(np.exp(logits - peak).sum(axis=0)) - logits[list(wanted.targets), np.arange(logits.shape[1])]
    share = np.asarray(wanted.shares, logits.dtype)
    return {"probs": softmax(logits), "nats": nats, "loss": (share * nats).sum()}
