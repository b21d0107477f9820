"""What the tests of learning share: the golden file's cases (scripts/golden/make_golden_learning.py)."""

import json
import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
from places import GOLDEN

from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.learning.adam import Settings
from sheetgpt.gpt2.learning.loss import Example, example

Arrays = dict[str, np.ndarray]

PATH = GOLDEN / "learning.npz"


@cache
def golden() -> Arrays:
    return dict(np.load(PATH))


ABOUT: dict[str, Any] = json.loads(str(golden()["about"]))
WORDS: dict[str, list[int]] = ABOUT["words"]
END: int = ABOUT["end"]
CASES = list(ABOUT["cases"])


def config_of(case: str) -> GPT2Config:
    return GPT2Config(**ABOUT["shapes"], **ABOUT["cases"][case])


def by_name(config: GPT2Config, row: np.ndarray) -> Arrays:
    """All parameters from one row of numbers."""
    found, used = {}, 0
    for name, shape in config.parameter_shapes().items():
        found[name] = row[used : used + math.prod(shape)].reshape(shape)
        used += math.prod(shape)
    assert used == len(row)
    return found


def params_of(case: str) -> Arrays:
    return by_name(config_of(case), golden()[f"{case}.params"])


def word(name: str) -> Example:
    return example(WORDS[name], END, ABOUT["shapes"]["n_positions"])


def listed(words: Iterable[Sequence[int]], n_positions: int = ABOUT["shapes"]["n_positions"]) -> list[Example]:
    """All words, as many steps take them."""
    return [example(word, END, n_positions) for word in words]


def settings(decay: float = 0.0) -> Settings:
    adam = ABOUT["adam"]
    beta1, beta2 = adam["betas"]
    return Settings(adam["lr"], beta1, beta2, adam["eps"], decay, warm_up=0, schedule="constant")
