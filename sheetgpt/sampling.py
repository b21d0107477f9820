"""From logits to the next token: the NumPy twin of the workbook's softmax with temperature and its top ten."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[Any]


def probabilities(logits: FloatArray, temperature: float) -> FloatArray:
    """softmax(logits / temperature); at temperature 0 all on the largest logit, the lowest id on a tie.  [n_vocab]"""
    if temperature == 0:
        one = np.zeros_like(logits)
        one[int(np.argmax(logits))] = 1
        return one
    e = np.exp((logits - logits.max()) / temperature)
    p: FloatArray = e / e.sum()
    return p


def top(logits: FloatArray, n: int) -> list[int]:
    """The ids of the `n` largest logits, largest first, the lowest id first on a tie."""
    return [int(i) for i in np.argsort(-logits, kind="stable")[:n]]
