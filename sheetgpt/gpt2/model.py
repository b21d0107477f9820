"""GPT-2's forward pass in NumPy, every intermediate kept under the name that it has in the workbook.

A token is a column here as there: activations are [features, T], weights [in, out], so a linear layer is
`W.T @ x + b`. Each function is one equation and has its twin, the formula of the same name, in `sheets/network/`.
Source: github.com/openai/gpt-2, `src/model.py`; the arithmetic is held against Hugging Face's in `tests/golden`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.equal_rows import equal_rows

Array = NDArray[Any]  # floating point; float64 unless asked otherwise
Trace = dict[str, Array]
Change = Callable[[str, Array], Array]  # name and value of an activation -> what takes its place

SLICE = 1 << 18  # numbers turned to text and back at a time: as Python floats they take five times their place

erfc = np.vectorize(math.erfc, otypes=[np.float64])


def gelu_tanh(x: Array) -> Array:
    """x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), the form that GPT-2 was trained with."""
    cube = x * x * x  # x**3 takes 40 times as long
    y: Array = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * cube)))
    return y


def gelu_erf(x: Array) -> Array:
    """x times the normal distribution's cumulative probability of x."""
    y: Array = x * 0.5 * erfc(-x / math.sqrt(2)).astype(x.dtype)
    return y


def relu(x: Array) -> Array:
    y: Array = np.maximum(x, 0)
    return y


ACTIVATION: dict[str, Callable[[Array], Array]] = {
    "gelu_new": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "gelu": gelu_erf,
    "relu": relu,
}


def unchanged(name: str, value: Array) -> Array:
    return value


def forward(
    params: Mapping[str, Array],
    config: GPT2Config,
    ids: Sequence[int],
    dtype: type = np.float64,
    change: Change = unchanged,
) -> Trace:
    """All tensors of the trace for `ids`.  [T] -> {name: [features, T]}

    `scores` and `probs` are [T, T], row key and column query; above the diagonal a score is NaN (there is no such cell)
    and a probability 0. `sheets/layout.py` has the names. Weights are widened to `dtype` one at a time.

    `change` may put something else in the place of the stream that enters block i (`h0.resid_pre`), of the heads'
    mixtures of values (`h0.attn.z`, the heads one below the other) and of what the MLP writes (`h0.mlp.out`); see
    `sheetgpt.gpt2.editing.edits`.
    """
    check_ids(ids, config)

    def weight(name: str) -> Array:
        return np.asarray(params[name], dtype)

    token_ids = np.asarray(ids, np.int64)
    trace: Trace = {"token_ids": token_ids.astype(dtype)}
    trace["embed_tok"] = np.ascontiguousarray(np.asarray(params["wte"][token_ids], dtype).T)
    trace["embed_pos"] = np.ascontiguousarray(np.asarray(params["wpe"][: len(ids)], dtype).T)
    x = trace["embed"] = trace["embed_tok"] + trace["embed_pos"]
    for i in range(config.n_layer):
        x = block(x, i, weight, config, trace, change)
    x = layer_norm(x, "ln_f", weight, config, trace)
    trace["logits"] = unembed(params[config.head], x)
    return trace


def block(
    x: Array, i: int, weight: Callable[[str], Array], config: GPT2Config, trace: Trace, change: Change = unchanged
) -> Array:
    """x + attention(ln_1(x)), then x + mlp(ln_2(x)).  [n_embd, T] -> [n_embd, T]"""
    h = f"h{i}."
    x = change(h + "resid_pre", x)
    a = layer_norm(x, h + "ln_1", weight, config, trace)
    a = attention(a, h + "attn.", weight, config, trace, change)
    x = trace[h + "resid_mid"] = x + a
    m = layer_norm(x, h + "ln_2", weight, config, trace)
    m = trace[h + "mlp.fc"] = linear(m, h + "mlp.c_fc", weight)
    m = trace[h + "mlp.act"] = ACTIVATION[config.activation_function](m)
    m = trace[h + "mlp.out"] = change(h + "mlp.out", linear(m, h + "mlp.c_proj", weight))
    trace[h + "resid_post"] = x + m
    return trace[h + "resid_post"]


def layer_norm(x: Array, name: str, weight: Callable[[str], Array], config: GPT2Config, trace: Trace) -> Array:
    """(x - mean) * rstd * gain + bias, down each token's column.  [n_embd, T] -> [n_embd, T]"""
    mean = trace[name + ".mean"] = x.mean(axis=0, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=0, keepdims=True)
    rstd = trace[name + ".rstd"] = 1 / np.sqrt(variance + config.layer_norm_epsilon)
    trace[name] = (x - mean) * rstd * weight(name + ".g")[:, None] + weight(name + ".b")[:, None]
    return trace[name]


def linear(x: Array, name: str, weight: Callable[[str], Array]) -> Array:
    """W^T x + b.  [in, T] -> [out, T]"""
    return weight(name + ".w").T @ x + weight(name + ".b")[:, None]


def attention(
    x: Array, name: str, weight: Callable[[str], Array], config: GPT2Config, trace: Trace, change: Change = unchanged
) -> Array:
    """Each head: softmax(q . k / sqrt(head)) over the keys so far, then that mixture of values.  [n_embd, T] -> same"""
    qkv = trace[name + "qkv"] = linear(x, name + "c_attn", weight)
    n_tokens = x.shape[1]
    q, k, v = qkv.reshape(3, config.n_head, config.head_size, n_tokens)
    later = np.tril(np.ones((n_tokens, n_tokens), bool), -1)  # [key, query]: the key comes after the query
    z = np.empty_like(x)
    for j in range(config.n_head):
        scores = k[j].T @ q[j] / math.sqrt(config.head_size)
        probs = softmax(np.where(later, -np.inf, scores))
        trace[f"{name}scores.{j}"] = np.where(later, np.nan, scores)
        trace[f"{name}probs.{j}"] = probs
        z[j * config.head_size : (j + 1) * config.head_size] = v[j] @ probs
    z = trace[name + "z"] = change(name + "z", z)
    out = trace[name + "out"] = linear(z, name + "c_proj", weight)
    return out


def softmax(x: Array) -> Array:
    """exp(x - max) over its sum, down each column.  [..., n, T] -> same"""
    e = np.exp(x - x.max(axis=-2, keepdims=True))
    y: Array = e / e.sum(axis=-2, keepdims=True)
    return y


def unembed(head: Array, x: Array, rows: int = 8192) -> Array:
    """A token's logit is its embedding times the final state.  [n_vocab, n_embd], [n_embd, T] -> [n_vocab, T]

    In bands of rows, so that widening GPT-2's `wte` never makes a second copy of it (309 MB in float64). BLAS adds up
    the last rows of a band in another order, and equal rows must not differ by that: the first of them speaks for all.
    """
    bands = [np.asarray(head[i : i + rows], x.dtype) @ x for i in range(0, len(head), rows)]
    logits = np.concatenate(bands)
    later, first = equal_rows(head)
    logits[later] = logits[first]
    return logits


def check_ids(ids: Sequence[int], config: GPT2Config) -> None:
    """Refuses what has no row in `wte` or no position in `wpe`."""
    if not len(ids):
        raise SheetGPTError("The prompt is empty: give at least one token id.")
    if len(ids) > config.n_positions:
        raise SheetGPTError(f"The prompt has {len(ids)} tokens; the model has {config.n_positions} positions.")
    for position, token in enumerate(ids):
        if not 0 <= token < config.n_vocab:
            raise SheetGPTError(f"Token id {token} at position {position} is not between 0 and {config.n_vocab - 1}.")


def as_cells(tensor: Array) -> NDArray[np.float64]:
    """The numbers that a workbook's cells hold for a float32 tensor: the shortest decimal that rounds to each weight.

    They differ from the float32 by less than half of its last bit (6e-8 relative). A tensor in float64 is kept.
    """
    if tensor.dtype == np.float64:
        return tensor
    numbers = np.ascontiguousarray(tensor, np.float32).ravel()
    cells = np.empty(numbers.shape)
    for i in range(0, len(numbers), SLICE):
        text = orjson.dumps(numbers[i : i + SLICE], option=orjson.OPT_SERIALIZE_NUMPY)
        cells[i : i + SLICE] = orjson.loads(text)
    return cells.reshape(tensor.shape)
