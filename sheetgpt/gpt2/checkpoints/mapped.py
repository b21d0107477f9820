"""Tensors that are views of a memory-mapped file: their pages are given back when nobody looks at them any more.

The system reads them again from its cache when they are needed, so a model of any size passes through little memory:
GPT-2 medium's 1.4 GB of weights are written with 0.9 GB resident instead of 2.0.
"""

import mmap
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.system import give_back

Array = NDArray[Any]


def release(tensor: Array) -> None:
    """Gives the tensor's pages back to the system, if it is a view of a read-only mapping; its values stay the same."""
    base: Any = tensor
    while isinstance(base, np.ndarray):
        base = base.base
    if not isinstance(base, mmap.mmap) or tensor.flags.writeable:
        return
    start = tensor.__array_interface__["data"][0] - np.frombuffer(base, np.uint8).__array_interface__["data"][0]
    first = start // mmap.PAGESIZE * mmap.PAGESIZE
    give_back(base, first, start + tensor.nbytes - first)


class OneAtATime(Mapping[str, Array]):
    """The same tensors; each is released when the next is asked for."""

    def __init__(self, params: Mapping[str, Array]) -> None:
        self._params, self._last = params, ""

    def __getitem__(self, name: str) -> Array:
        if self._last and self._last != name:
            release(self._params[self._last])
        self._last = name
        return self._params[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)
