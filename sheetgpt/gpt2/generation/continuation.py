"""The evaluator with a key/value cache: token ids -> the ids that follow, one at a time.

Same functions and same numbers as `model.forward`, but only what the next token needs: the prompt goes through in one
pass, then each token alone against the keys and values of those before it. Logits are computed for the last token only.
It computes in the parameters' own dtype and copies none of them: a workbook's numbers are those of
`{name: as_cells(tensor) for ...}` in float64, a checkpoint's own float32 tensors are read where they lie.
"""

import math
from collections.abc import Container, Iterator, Mapping, Sequence

import numpy as np

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.generation.sampling import Choice, Sampling, check_whole, choose, uniforms
from sheetgpt.gpt2.model import ACTIVATION, Array, check_ids, layer_norm, linear, softmax, unembed


class Cache:
    """Keys and values of the tokens so far, for up to `context` of them.  a block: [n_head, head_size, context]"""

    def __init__(self, config: GPT2Config, context: int, dtype: np.dtype | type = np.float64) -> None:
        shape = (config.n_layer, config.n_head, config.head_size, context)
        self.keys, self.values = np.empty(shape, dtype), np.empty(shape, dtype)
        self.length = 0

    def extend(self, i: int, k: Array, v: Array) -> tuple[Array, Array]:
        """Puts T more columns into block i; all that are there then.  [n_head, head_size, T] -> [.., length + T]"""
        end = self.length + k.shape[-1]
        self.keys[i, :, :, self.length : end], self.values[i, :, :, self.length : end] = k, v
        return self.keys[i, :, :, :end], self.values[i, :, :, :end]


def advance(params: Mapping[str, Array], config: GPT2Config, ids: Sequence[int], cache: Cache) -> Array:
    """Logits after `ids`, which follow the tokens in the cache and join them.  [T] -> [n_vocab]"""
    past, length = cache.length, cache.length + len(ids)
    if length > cache.keys.shape[-1]:
        raise SheetGPTError(f"The cache has {cache.keys.shape[-1]} columns; {length} tokens don't fit.")
    x = np.ascontiguousarray((params["wte"][list(ids)] + params["wpe"][past:length]).T)
    for i in range(config.n_layer):
        h = f"h{i}."
        a = layer_norm(x, h + "ln_1", params.__getitem__, config, {})
        x = x + attention(a, i, params, config, cache)
        m = layer_norm(x, h + "ln_2", params.__getitem__, config, {})
        m = ACTIVATION[config.activation_function](linear(m, h + "mlp.c_fc", params.__getitem__))
        x = x + linear(m, h + "mlp.c_proj", params.__getitem__)
    cache.length = length
    x = layer_norm(x[:, -1:], "ln_f", params.__getitem__, config, {})
    return unembed(params[config.head], x)[:, 0]


def attention(x: Array, i: int, params: Mapping[str, Array], config: GPT2Config, cache: Cache) -> Array:
    """All heads at once: softmax(q . k / sqrt(head)) over the keys so far, then that mixture of values.  [n_embd, T]"""
    name, n_tokens = f"h{i}.attn.", x.shape[1]
    qkv = linear(x, name + "c_attn", params.__getitem__)
    q, k, v = qkv.reshape(3, config.n_head, config.head_size, n_tokens)
    k, v = cache.extend(i, k, v)
    scores = k.transpose(0, 2, 1) @ q / math.sqrt(config.head_size)  # [n_head, key, query]
    if n_tokens > 1:
        past = k.shape[-1] - n_tokens
        scores[:, np.tri(past + n_tokens, n_tokens, -past - 1, bool)] = -np.inf  # the key comes after the query
    z = v @ softmax(scores)
    return linear(z.reshape(x.shape), name + "c_proj", params.__getitem__)


def continue_ids(
    params: Mapping[str, Array],
    config: GPT2Config,
    ids: Sequence[int],
    sampling: Sampling,
    new_tokens: int,
    stop_ids: Container[int] = (),
) -> Iterator[Choice]:
    """The choices that follow `ids`, one at a time: `new_tokens` of them, or fewer when one is in `stop_ids`.

    Raises SheetGPTError, before anything is computed, for ids that the model lacks and for more tokens than positions.
    """
    check_ids(ids, config)
    check_whole("new_tokens", new_tokens, 0, config.n_positions - len(ids))
    return _choices(params, config, ids, sampling, new_tokens, stop_ids)


def _choices(
    params: Mapping[str, Array],
    config: GPT2Config,
    ids: Sequence[int],
    sampling: Sampling,
    new_tokens: int,
    stop_ids: Container[int],
) -> Iterator[Choice]:
    cache = Cache(config, len(ids) + new_tokens, params["wte"].dtype)
    for u in uniforms(sampling.seed, new_tokens):
        choice = choose(advance(params, config, ids, cache), sampling, u)
        yield choice
        if choice.id in stop_ids:
            return
        ids = [choice.id]


def window(ids: Sequence[int], config: GPT2Config, new_tokens: int, context: int | None = None) -> list[int]:
    """The prompt's last tokens that leave room for `new_tokens` in `context` columns (default: the model's positions).

    Raises SheetGPTError for a context that the model lacks, and for as many new tokens as columns or more.
    """
    columns = config.n_positions if context is None else context
    check_whole("context", columns, 1, config.n_positions)
    check_whole("new_tokens", new_tokens, 0, columns - 1)
    return list(ids[-(columns - new_tokens) :])
