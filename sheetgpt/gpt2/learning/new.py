"""A new GPT-2, from nothing but its shapes and a seed: the same numbers to the last bit on every machine.

Weights are drawn as GPT-2's were (github.com/openai/gpt-2; `_init_weights` in Hugging Face's modeling_gpt2.py): normal
with a standard deviation of 0.02, divided by sqrt(2 n_layer) in the two matrices of a block that write into the stream;
biases 0, gains 1.

NumPy promises no stream of its generators across versions (NEP 19), and logarithms and cosines differ in the last bit
from one C library to another. So a draw is the sum of twelve of `sampling`'s uniform numbers, less 6: their mean is 0,
their variance 1, and twelve whole numbers and one division are exact in doubles. Streams whose first states are small
multiples of one another go together (those of the seeds 0 and 1 have a correlation of 1/2), so the seed's own first
state is a power of Park and Miller's other multiplier.
"""

import math

import numpy as np
from numpy.typing import NDArray

from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.generation.sampling import MAX_SEED, MODULUS, check_whole, states

DEVIATION = 0.02
UNIFORMS = 12  # each has a variance of 1/12
OTHER_MULTIPLIER = 48271  # Park, Miller and Stockmeyer, CACM 36 (1993)


def new_params(config: GPT2Config, seed: int) -> dict[str, NDArray[np.float32]]:
    """Its parameters under OpenAI's names; the draws are used in the checkpoint's order, row by row."""
    check_whole("seed", seed, 0, MAX_SEED)
    drawn = {name: shape for name, shape in config.parameter_shapes().items() if len(shape) == 2}
    numbers = normal_draws(seed, sum(math.prod(shape) for shape in drawn.values()))
    into_stream = {f"h{i}.{part}.c_proj.w" for i in range(config.n_layer) for part in ("attn", "mlp")}
    gains = {"ln_f.g", *(f"h{i}.{norm}.g" for i in range(config.n_layer) for norm in ("ln_1", "ln_2"))}
    params: dict[str, NDArray[np.float32]] = {}
    used = 0
    for name, shape in config.parameter_shapes().items():
        if name not in drawn:
            params[name] = np.full(shape, 1 if name in gains else 0, np.float32)
            continue
        deviation = DEVIATION / math.sqrt(2 * config.n_layer) if name in into_stream else DEVIATION
        size = math.prod(shape)
        params[name] = (numbers[used : used + size] * deviation).astype(np.float32).reshape(shape)
        used += size
    return params


def normal_draws(seed: int, n: int) -> NDArray[np.float64]:
    """`n` numbers that are nearly normal, with the mean 0 and the variance 1, none beyond 6."""
    first = pow(OTHER_MULTIPLIER, seed + 1, MODULUS)
    sums = np.array(states(first - 1, UNIFORMS * n), np.int64).reshape(n, UNIFORMS).sum(axis=1)
    draws: NDArray[np.float64] = (sums - MODULUS * (UNIFORMS // 2)) / np.float64(MODULUS)
    return draws
