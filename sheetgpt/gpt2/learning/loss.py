"""What a language model is trained on: a run of tokens as inputs and targets, and the loss of what it expects.

Of a run all tokens but the last are read, and all but the first are to be guessed, each from those before it. A word's
run begins and ends with the token that ends a text. A running text is cut into runs of which one ends with the token
that the next begins with, so that each token but the first is guessed once. Both inputs and targets are filled up with
the run's last token to the model's positions, so every run takes the same columns; a position beyond the run has the
share 0 in the loss, and all gradients of its column are exactly 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.model import Array, Trace, softmax


@dataclass(frozen=True)
class Example:
    """One run in T = n_positions columns: what is read, what should come next, and each position's share in the loss.

    `shares` are 1/n at the n positions of the run, and 0 beyond.
    """

    ids: tuple[int, ...]
    targets: tuple[int, ...]
    shares: tuple[float, ...]

    @property
    def n_targets(self) -> int:
        """The positions that count: one less than the run has tokens."""
        return sum(share > 0 for share in self.shares)


def example(word: Sequence[int], end: int, n_positions: int) -> Example:
    """The columns of a word's tokens."""
    if len(word) >= n_positions:
        raise SheetGPTError(
            f"A word has {len(word)} tokens, and the model's {n_positions} positions take {n_positions - 1}."
        )
    return in_columns(between_ends(word, end), n_positions)


def between_ends(word: Sequence[int], end: int) -> tuple[int, ...]:
    """A word's run."""
    return (end, *word, end)


def windows(tokens: Sequence[int], n_positions: int) -> list[tuple[int, ...]]:
    """A text's runs: each but the last has n_positions + 1 tokens, and one ends with what the next begins with."""
    return [tuple(tokens[i : i + n_positions + 1]) for i in range(0, len(tokens) - 1, n_positions)]


def in_columns(run: Sequence[int], n_positions: int) -> Example:
    """The columns of a run."""
    n = len(run) - 1
    padding = (run[-1],) * (n_positions - n)
    return Example(
        ids=(*run[:-1], *padding),
        targets=(*run[1:], *padding),
        shares=(1 / n,) * n + (0.0,) * (n_positions - n),
    )


def cross_entropy(logits: Array, wanted: Example) -> Trace:
    """The mean over the run's positions of -ln(probability of the target), in nats.  [n_vocab, T] -> ()

    `probs [n_vocab, T]` is the softmax of each column, `nats [T]` each position's own loss, `loss []` their mean.
    """
    peak = logits.max(axis=0)
    nats = peak + np.log(np.exp(logits - peak).sum(axis=0)) - logits[list(wanted.targets), np.arange(logits.shape[1])]
    share = np.asarray(wanted.shares, logits.dtype)
    return {"probs": softmax(logits), "nats": nats, "loss": (share * nats).sum()}
