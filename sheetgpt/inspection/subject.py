"""A text that a model has read, with every number on the way: what all questions are asked about."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints import quantize
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.generation.generate import prompt_ids
from sheetgpt.gpt2.model import Trace, forward
from sheetgpt.text.shown import token_strings

Model = str | os.PathLike[str] | Checkpoint


@dataclass(frozen=True)
class Subject:
    """`shown` has every token of the vocabulary as it is shown, by id; `params` are float64, as cells hold them."""

    config: GPT2Config
    params: Mapping[str, NDArray[Any]]
    trace: Trace
    ids: tuple[int, ...]  # of the text
    shown: Sequence[str]
    n_prompt: int | None = None  # of these, how many the prompt has; None: all

    @cached_property
    def tokens(self) -> list[str]:
        """The text, token by token."""
        return [self.shown[token] for token in self.ids]

    def labels(self, name: str) -> pd.Index:
        """The text's tokens, for an axis of a DataFrame."""
        return pd.Index(self.tokens, name=name)


def subject(model: Model, prompt: str | None, ids: Sequence[int] | None) -> Subject:
    """The model after it has read the prompt, or `ids` in its place; without either, the default prompt.

    `model` is what `load` takes, or a Checkpoint. Its weights are the decimals that a workbook's cells hold.
    Raises SheetGPTError for bad input.
    """
    checkpoint = model if isinstance(model, Checkpoint) else load(model)
    config, given = checkpoint.config, prompt_ids(checkpoint, prompt, ids)
    params = quantize.evaluated(dict(checkpoint.params))
    shown, _ = token_strings(checkpoint.tokenizer, config.n_vocab)
    return Subject(config, params, forward(params, config, given), tuple(given), shown)


def place(text: Subject, position: int | None) -> int:
    """A position of the text, by default the prompt's last."""
    if position is None:
        return (text.n_prompt or len(text.ids)) - 1
    if position not in range(len(text.ids)):
        raise SheetGPTError(f"There is no position {position}: the text has positions 0 to {len(text.ids) - 1}.")
    return int(position)


def check_token(config: GPT2Config, token: int | None) -> None:
    """Refuses an id that no token has."""
    if token is not None and token not in range(config.n_vocab):
        raise SheetGPTError(f"There is no token {token}: ids are 0 to {config.n_vocab - 1}.")
