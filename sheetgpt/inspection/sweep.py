"""Which part matters: every head and every MLP switched off, one at a time, and what that does to the next token.

With y the model's logits at a position and y' those of the edited run, a part's effect is
    y'[token] - y[token], of two tokens' logits (y'[token] - y'[minus]) - (y[token] - y[minus]);
    p'[token] - p[token], with p = softmax(y);
    KL(p || p') = sum of p log2(p / p'), in bits.
Sources: the logit difference is the measure of Wang and others, "Interpretability in the Wild" (2022); zero and mean
ablation as in `sheetgpt.gpt2.editing.edits`. Blocks before the first change are not computed again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from sheetgpt.gpt2.checkpoints.checkpoint import DEFAULT, Checkpoint, load
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.editing.edits import MEAN, ZERO, Changes, Edits, Part
from sheetgpt.gpt2.model import Array, Trace, block, layer_norm, unembed
from sheetgpt.inspection.subject import Model, Subject, place, subject
from sheetgpt.text.one_token import one_token

DIGITS = 9  # effects that are equal to so many decimals stay in the order of the network
Progress = Callable[[int, int], None]  # runs so far, and of how many


@dataclass(frozen=True)
class Score:
    """The measured logit, or difference of two, and the token's probability at temperature 1."""

    logit: float
    probability: float


@dataclass(frozen=True)
class Effect:
    """What one edit changes. `position`: where a patch is, None for all; `kl` in bits, from the run without it."""

    block: int
    part: Part
    position: int | None
    logit: float
    probability: float
    kl: float


@dataclass(frozen=True)
class Sweep:
    """`effects`: a part each, that which changes the logit most first. `minus`: whose logit is subtracted."""

    tokens: tuple[str, ...]  # the text's, as they are shown
    position: int
    token: int
    token_shown: str
    minus: int | None
    minus_shown: str | None
    mode: str
    plain: Score
    effects: tuple[Effect, ...]

    def frame(self) -> pd.DataFrame:
        """A row a part."""
        return pd.DataFrame([asdict(e) for e in self.effects]).drop(columns="position").set_index(["block", "part"])

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def sweep(
    model: Model = DEFAULT,
    prompt: str | None = None,
    *,
    ids: Sequence[int] | None = None,
    position: int | None = None,
    token: int | str | None = None,
    minus: int | str | None = None,
    mean: bool = False,
    progress: Progress | None = None,
) -> Sweep:
    """How much each head and each MLP, switched off alone, changes the logit of `token` at a position.

    `sheetgpt.sweep("stories", "Tom had a red ball. He").frame()`. Without a position it is the last one, without a
    token the likeliest next one; with `minus` it is the difference of two logits. A token is a word or an id. With
    `mean` a part leaves its average over the positions so far, in place of nothing. Raises SheetGPTError for bad input.
    """
    checkpoint = model if isinstance(model, Checkpoint) else load(model)
    text = subject(checkpoint, prompt, ids)
    runs = measured(checkpoint, text, position, token, minus)
    mode = MEAN if mean else ZERO
    parts = [(i, part) for i in range(text.config.n_layer) for part in (*range(text.config.n_head), "mlp")]
    edits = ((i, part, None, Edits({(i, part): 0.0}, mode)) for i, part in parts)
    effects = [*runs.effects(edits, len(parts), progress)]
    effects.sort(key=lambda e: -round(abs(e.logit), DIGITS))
    return Sweep(**runs.labels, mode=mode, plain=runs.plain, effects=tuple(effects))


@dataclass(frozen=True)
class Runs:
    """A text whose edited runs are measured at one position."""

    text: Subject
    position: int
    token: int
    minus: int | None
    logits: Array  # of the run without edits  [n_vocab]

    @property
    def plain(self) -> Score:
        return score(self.logits, self.token, self.minus)

    @property
    def labels(self) -> dict[str, Any]:
        shown = self.text.shown
        return {
            "tokens": tuple(self.text.tokens),
            "position": self.position,
            "token": self.token,
            "token_shown": shown[self.token],
            "minus": self.minus,
            "minus_shown": None if self.minus is None else shown[self.minus],
        }

    def effects(
        self,
        edits: Iterable[tuple[int, Part, int | None, Edits]],
        n: int,
        progress: Progress | None = None,
        other: Trace | None = None,
    ) -> Iterator[Effect]:
        """Of each of `n` edits, which change nothing before the block that they are of."""
        text, plain = self.text, self.plain
        for done, (i, part, position, edit) in enumerate(edits, 1):
            changes = Changes(edit, text.config, text.params["wte"], other)
            logits = logits_from(i, text.params, text.config, text.trace, self.position, changes)
            found = score(logits, self.token, self.minus)
            change = found.logit - plain.logit, found.probability - plain.probability
            yield Effect(i, part, position, *change, kl_bits(self.logits, logits))
            if progress is not None:
                progress(done, n)


def measured(
    checkpoint: Checkpoint, text: Subject, position: int | None, token: int | str | None, minus: int | str | None
) -> Runs:
    """What is measured where; the token is the likeliest unless another is asked for."""
    config, at = text.config, place(text, position)
    wanted = [
        None if word is None else one_token(word, checkpoint.tokenizer, config.n_vocab) for word in (token, minus)
    ]
    logits = logits_from(config.n_layer, text.params, config, text.trace, at)
    return Runs(text, at, int(np.argmax(logits)) if wanted[0] is None else wanted[0], wanted[1], logits)


def logits_from(
    start: int,
    params: Mapping[str, Array],
    config: GPT2Config,
    plain: Trace,
    position: int,
    changes: Changes | None = None,
) -> Array:
    """The logits at a position of a run that is `plain`'s up to block `start`, and edited from there on.  [n_vocab]"""

    def weight(name: str) -> Array:
        return np.asarray(params[name], np.float64)

    x = plain["embed" if start == 0 else f"h{start - 1}.resid_post"]
    for i in range(start, config.n_layer):
        x = block(x, i, weight, config, {}, *(() if changes is None else (changes,)))
    return unembed(params[config.head], layer_norm(x[:, [position]], "ln_f", weight, config, {}))[:, 0]


def score(logits: Array, token: int, minus: int | None = None) -> Score:
    logit = float(logits[token]) - (0.0 if minus is None else float(logits[minus]))
    return Score(logit, float(np.exp(log_probabilities(logits)[token])))


def kl_bits(before: Array, after: Array) -> float:
    """KL(p || q) = sum of p log2(p / q) of the softmaxes of two rows of logits.  [n_vocab], [n_vocab] -> bits"""
    p, q = log_probabilities(before), log_probabilities(after)
    return max(0.0, float((np.exp(p) * (p - q)).sum() / np.log(2)))


def log_probabilities(logits: Array) -> Array:
    """log softmax.  [n_vocab] -> same"""
    below = logits - logits.max()
    y: Array = below - np.log(np.exp(below).sum())
    return y
