"""What one neuron of an MLP looks for and what it says.

Neuron n of a block reads a column, f(sum over i of c_fc[i, n] x[i] + bias[n]): its activation a. It adds a times its
row w = c_proj[n] to the residual stream. Through the final norm and the unembedding that adds to the logit of token v
    a rstd (d . head[v]),   d = gain (w - mean(w)),
with the final norm's scale rstd as it is at that position (`inspection/contributions.py` does the same with whole
MLPs). So d . head[v] says what the neuron promotes and suppresses, whatever the text is. It is the direct path only:
what later blocks make of it is not in it. Source: Geva and others, "Transformer Feed-Forward Layers Build Predictions
by Promoting Concepts in the Vocabulary Space" (2022), with the final norm's mean and gain added.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints import quantize
from sheetgpt.gpt2.checkpoints.checkpoint import DEFAULT, Checkpoint, load
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.model import Trace, unembed
from sheetgpt.inspection.subject import Model, Subject, place, subject
from sheetgpt.text.shown import token_strings

Array = NDArray[Any]

TOP = 10  # of the tokens on either side, and of the neurons


def neuron(
    model: Model = DEFAULT,
    prompt: str | None = None,
    *,
    ids: Sequence[int] | None = None,
    block: int = 0,
    number: int | None = None,
) -> pd.DataFrame:
    """A row a token of the text: the neuron's `sum`, and its `activation`, what the activation function makes of it.

    Without a number it is the block's most active neuron at the last token; `attrs` says which.
    Raises SheetGPTError for bad input.
    """
    return on_tokens(subject(model, prompt, ids), block, number)


def active_neurons(
    model: Model = DEFAULT,
    prompt: str | None = None,
    *,
    ids: Sequence[int] | None = None,
    block: int = 0,
    position: int | None = None,
) -> pd.DataFrame:
    """The block's ten most active neurons at a position, by default the last: `neuron` and `activation`, by rank."""
    return active_table(subject(model, prompt, ids), block, position)


def neuron_tokens(model: Model = DEFAULT, *, block: int, number: int) -> pd.DataFrame:
    """The ten tokens that a neuron promotes most and the ten that it suppresses most, by rank, and by how much each.

    The figures are what an activation of 1 adds to the token's logit, apart from the final norm's scale.
    """
    checkpoint = model if isinstance(model, Checkpoint) else load(model)
    params = quantize.evaluated(dict(checkpoint.params))
    shown, _ = token_strings(checkpoint.tokenizer, checkpoint.config.n_vocab)
    return token_table(params, checkpoint.config, shown, block, number)


def on_tokens(text: Subject, block: int, number: int | None = None) -> pd.DataFrame:
    """Of a text that has been read."""
    check(text.config, block, 0 if number is None else number)
    n = active(text.trace, block, len(text.ids) - 1, 1)[0] if number is None else number
    before, after = (text.trace[f"h{block}.mlp.{name}"][n] for name in ("fc", "act"))
    frame = pd.DataFrame({"sum": before, "activation": after}, index=text.labels("token"))
    frame.attrs = {"block": block, "number": n}
    return frame


def active_table(text: Subject, block: int, position: int | None = None) -> pd.DataFrame:
    """Of a text that has been read."""
    check(text.config, block, 0)
    at = place(text, position)
    numbers = active(text.trace, block, at, TOP)
    found = text.trace[f"h{block}.mlp.act"][numbers, at]
    return pd.DataFrame({"neuron": numbers, "activation": found}, index=_ranks(len(numbers)))


def token_table(
    params: Mapping[str, Array], config: GPT2Config, shown: Sequence[str], block: int, number: int
) -> pd.DataFrame:
    """What it promotes and suppresses."""
    check(config, block, number)
    found = effects(params, config, block, number)
    up, down = extremes(found, min(TOP, config.n_vocab))
    columns = {
        "promotes": [shown[id] for id in up],
        "adds": found[up],
        "suppresses": [shown[id] for id in down],
        "takes": found[down],
    }
    return pd.DataFrame(columns, index=_ranks(len(up)))


def active(trace: Trace, block: int, position: int, n: int) -> list[int]:
    """The most active neurons, of equal ones the first first."""
    return [int(k) for k in np.argsort(-trace[f"h{block}.mlp.act"][:, position], kind="stable")[:n]]


def output_row(params: Mapping[str, Array], block: int, number: int) -> Array:
    """w, what the neuron writes where its activation is 1.  [n_embd]"""
    w: Array = np.asarray(params[f"h{block}.mlp.c_proj.w"][[number]], np.float64)[0]
    return w


def direction(params: Mapping[str, Array], block: int, number: int) -> Array:
    """d = gain (w - mean(w))  [n_embd]"""
    w = output_row(params, block, number)
    found: Array = (w - w.mean()) * params["ln_f.g"]
    return found


def effects(params: Mapping[str, Array], config: GPT2Config, block: int, number: int) -> Array:
    """d . head[v] of every token.  [n_vocab]"""
    found: Array = unembed(params[config.head], direction(params, block, number)[:, None])[:, 0]
    return found


def extremes(found: Array, n: int) -> tuple[list[int], list[int]]:
    """The ids with the largest and with the smallest number, of equal ones the lowest id first."""
    up, down = (np.argsort(sign * found, kind="stable")[:n] for sign in (-1, 1))
    return [int(id) for id in up], [int(id) for id in down]


def check(config: GPT2Config, block: int, number: int) -> None:
    """Refuses a block or a neuron that is not there."""
    for name, given, n in (("block", block, config.n_layer), ("neuron", number, config.n_inner)):
        if given not in range(n):
            which = "the model has blocks" if name == "block" else "a block has neurons"
            raise SheetGPTError(f"There is no {name} {given}: {which} 0 to {n - 1}.")


def _ranks(n: int) -> pd.Index:
    return pd.Index(range(1, n + 1), name="rank")
