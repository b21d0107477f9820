"""Weights with fewer digits, for a smaller workbook: whole numbers of 8 bits, or N significant digits; and the cost.

int8, symmetric, one scale a neuron. W [in, out] is approximated by q[i, o] * s[o], where
    s[o] = max over i of |W[i, o]| / 127, rounded to float32 (1 where that is 0),
    q[i, o] = W[i, o] / s[o], rounded to the nearest whole number: -127 ... 127.
A rounded weight is off by at most s[o] / 2. The scale doesn't depend on i, so it is taken out of the neuron's sum:
    y[o] = (sum over i of q[i, o] x[i]) s[o] + b[o].
`wte`, `lm_head` [n_vocab, n_embd] have a scale for each token, `wpe` for each position. Layer norms and biases stay.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.mapped import OneAtATime, release
from sheetgpt.gpt2.config import LOOKED_UP
from sheetgpt.gpt2.model import as_cells

Array = NDArray[Any]
Params = Mapping[str, Array]

_LARGEST = 127
_MANY = 10_000_000  # from here on the numbers are made each time they are needed: as_cells takes 0.1 s a million
# float(...), since 10.0**k is off by a bit for some k
_POWERS = np.array([float(f"1e{k}") for k in range(-60, 61)])

EXACT, INT8 = "exact", "int8"
WEIGHTS = (EXACT, INT8, *(f"{n} digits" for n in range(1, 10)))  # how weights stand in their cells


def mode(weights: str = EXACT, digits: int | None = None) -> str:
    """What the workbook says of its weights: "exact", "int8" or "4 digits". Refuses anything else."""
    if weights not in (EXACT, INT8):
        raise SheetGPTError(f"--weights must be exact or int8, not {weights!r}.")
    if digits is None:
        return weights
    if weights == INT8:
        raise SheetGPTError("Give --weights int8 or --digits, not both: int8 rounds in its own way.")
    if digits not in range(1, 10):
        raise SheetGPTError(
            f"--digits must be between 1 and 9, not {digits}; 9 digits tell every float32 from its neighbours."
        )
    return f"{digits} digits"


def digits_of(weights: str) -> int | None:
    """4 of "4 digits"."""
    number, _, word = weights.partition(" ")
    return int(number) if word == "digits" else None


def stored(params: Params, weights: str) -> dict[str, Array]:
    """The numbers in the workbook's cells, a checkpoint's `params` in the form that `weights` names.

    In int8 a matrix `h0.mlp.c_fc.w` becomes int8, and `h0.mlp.c_fc.scale` stands beside it (float64, one a neuron);
    otherwise all are float32, of which a cell holds the shortest decimal.
    """
    digits = digits_of(weights)
    if digits is not None:
        params = OneAtATime(params)
        return {name: round_digits(params[name], digits) for name in params}
    if weights != INT8:
        return dict(params)
    cells = dict(params)
    for name, tensor in OneAtATime(params).items():
        if tensor.ndim == 2:
            cells[name], scales = quantize(tensor, 1 if name in LOOKED_UP else 0)
            cells[scale_name(name)] = as_cells(scales)
    return cells


def evaluated(cells: Params) -> Params:
    """The numbers that the evaluator computes with, float64: what stands in the cells, times its scale."""
    if _many(cells) or _scaled(cells):
        return _Scaled(cells)
    return {name: as_cells(tensor) for name, tensor in cells.items()}


def draft(cells: Params) -> Params:
    """Nearly the same numbers, at hand: float32 as it is, without a look at its decimals."""
    if _scaled(cells):
        return _Scaled(cells)
    return OneAtATime(cells) if _many(cells) else cells


def _many(cells: Params) -> bool:
    return sum(tensor.size for tensor in cells.values()) > _MANY


def _scaled(cells: Params) -> bool:
    """Whether matrices are whole numbers, with their scales beside them."""
    return any(scale_name(name) in cells for name in cells)


def scale_name(matrix: str) -> str:
    """`h0.mlp.c_fc.w` -> `h0.mlp.c_fc.scale`, `wte` -> `wte.scale`"""
    return matrix.removesuffix(".w") + ".scale"


def quantize(matrix: Array, down: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Whole numbers of the matrix's shape, and the scales of its neurons, whose inputs lie along the axis `down`."""
    scales = (np.abs(matrix).max(axis=down) / np.float32(_LARGEST)).astype(np.float32)
    scales[scales == 0] = 1
    whole = np.rint(matrix / np.expand_dims(scales, down))
    return np.clip(whole, -_LARGEST, _LARGEST).astype(np.int8), scales


def round_digits(tensor: Array, digits: int) -> NDArray[np.float32]:
    """Each float32's shortest decimal, rounded to that many significant digits; the float32 nearest to that.

    A half goes to the even digit. What comes out has as many digits at most when it is written as shortly as possible.
    """
    rounded = np.empty(tensor.shape, np.float32)
    flat, out = tensor.reshape(-1), rounded.reshape(-1)
    for start in range(0, flat.size, 1 << 20):  # as_cells takes 60 times a float32's memory
        x = as_cells(flat[start : start + (1 << 20)])
        first = (
            np.searchsorted(_POWERS, np.abs(x), side="right") - 61
        )  # the first digit's exponent: exact, unlike log10
        last = np.clip(first - digits + 1, -60, 60)
        up, down = _POWERS[60 - np.minimum(last, 0)], _POWERS[60 + np.maximum(last, 0)]
        out[start : start + x.size] = np.rint(x * up / down) / up * down
    return rounded


class _Scaled(Mapping[str, Array]):
    """Makes a matrix's numbers when it is asked for: all at once, GPT-2's would take 1 GB."""

    def __init__(self, cells: Params) -> None:
        self._cells = cells

    def __getitem__(self, name: str) -> Array:
        tensor, scales = self._cells[name], self._cells.get(scale_name(name))
        if name in LOOKED_UP:
            rows: Any = _Rows(tensor, scales)  # all that the evaluator asks of it is rows
            return rows  # type: ignore[no-any-return]
        numbers = as_cells(tensor) if scales is None else np.multiply(tensor, scales, dtype=np.float64)
        release(tensor)
        return numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)


class _Rows:
    """`wte` or `wpe`, of which only the rows that are asked for are made: whole, GPT-2 medium's would take 0.4 GB."""

    dtype = np.dtype(np.float64)

    def __init__(self, tensor: Array, scales: Array | None) -> None:
        self._tensor, self._scales = tensor, scales

    @property
    def stored(self) -> Array:
        """The numbers in the cells. Equal rows are equal here too: each has its scale from its own largest number."""
        return self._tensor

    def __getitem__(self, rows: Any) -> Array:
        found = self._tensor[rows]
        numbers = as_cells(found) if self._scales is None else found * np.asarray(self._scales[rows])[..., None]
        release(self._tensor)
        return numbers

    def __len__(self) -> int:
        return len(self._tensor)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self[:], dtype)


@dataclass(frozen=True)
class Cost:
    """What rounded weights change in the logits of `n_tokens` tokens; `top_1`: at what share of them the same wins."""

    largest: float
    rms: float
    top_1: float
    n_tokens: int

    @property
    def n_same(self) -> int:
        return round(self.top_1 * self.n_tokens)

    def __str__(self) -> str:
        """A sentence for the Home sheet and the command line."""
        return (
            f"on the prompt at build time, logits differ from the exact model's by at most {self.largest:.2g} "
            f"(root mean square {self.rms:.2g}), and the likeliest next token is the same after {self.n_same} of "
            f"{self.n_tokens} tokens"
        )


def cost(exact: Array, rounded: Array) -> Cost:
    """The logits of two models on one prompt, held against each other.  [n_vocab, T], [n_vocab, T]"""
    difference = rounded - exact
    same = rounded.argmax(axis=0) == exact.argmax(axis=0)
    rms = float(np.sqrt((difference**2).mean()))
    return Cost(float(np.abs(difference).max()), rms, float(same.mean()), exact.shape[1])
