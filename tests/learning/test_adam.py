"""Adam's step against torch.optim.AdamW in float64 (tests/golden/learning.npz), and its parts."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from learning import ABOUT, WORDS, by_name, config_of, golden, listed, params_of, settings

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.learning import adam, learn
from sheetgpt.gpt2.learning.adam import Settings

STEPPED = [(case, decay) for case in ABOUT["stepped"] for decay in ABOUT["decays"]]


def disagreements(case: str, decay: float, steps: int) -> list[str]:
    """The losses and weights that aren't torch's to 1e-9, of 1 or more.

    What is left of key biases' gradient, exactly 0 in theory, moves them by some 1e-11: the bound has room for that.
    """
    config, data, key = config_of(case), golden(), f"{case}.{decay}."
    start = adam.start(params_of(case))
    found, losses = learn.learn(start, config, listed(WORDS.values()), settings(decay), steps)
    expected = by_name(config, data[f"{key}{steps}"])
    wrong = ["losses"] if abs(losses - data[key + "losses"][:steps]).max() > 1e-9 else []
    return wrong + [
        n for n, w in found.w.items() if (abs(w - expected[n]) > 1e-9 * np.maximum(abs(expected[n]), 1)).any()
    ]


@pytest.mark.parametrize("steps", [1, 10])
@pytest.mark.parametrize(("case", "decay"), STEPPED)
def test_steps_agree_with_torch(case: str, decay: float, steps: int) -> None:
    assert disagreements(case, decay, steps) == []


ALL = set(params_of("1 tied gelu_new"))
MATRICES = {n for n, w in params_of("1 tied gelu_new").items() if w.ndim == 2}


def times(factor: float, function: Any) -> Any:
    return lambda *args: function(*args) * factor


BREAKAGES: dict[str, tuple[str, Any, int, set[str]]] = {  # what it is instead, after how many steps, which are wrong
    "no mean of gradients": ("mean", lambda m, g, s: g, 10, ALL),
    "the mean a little off": ("mean", times(1 + 1e-5, adam.mean), 10, ALL),
    "the square without its own mean": ("square", lambda v, g, s: s.beta2 * v + g * g, 1, ALL),
    "the square a little off": ("square", times(1 + 1e-5, adam.square), 10, ALL),
    "the first correction left out": ("corrections", lambda t, s: (1, 1 - s.beta2**t), 1, ALL),
    "the second correction left out": ("corrections", lambda t, s: (1 - s.beta1**t, 1), 1, ALL),
    "corrections of the step before": ("corrections", lambda t, s: (1 - s.beta1**9, 1 - s.beta2**9), 10, ALL),
    "a rate a little off": ("learning_rate", times(1 + 1e-5, adam.learning_rate), 1, ALL),
    "all decays": ("decays", lambda w: True, 1, ALL - MATRICES),
    "nothing decays": ("decays", lambda w: False, 1, MATRICES),
}


@pytest.mark.parametrize("what", BREAKAGES)
def test_a_wrong_step_is_seen(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, broken, steps, wrong = BREAKAGES[what]
    monkeypatch.setattr(adam, name, broken)
    found = disagreements("1 tied gelu_new", ABOUT["decays"][1], steps)
    assert wrong <= {*found}
    assert wrong == ALL or {*found} - {"losses"} == wrong


def test_decay_takes_its_share_of_the_weight_and_not_of_the_gradient() -> None:
    w, nothing = np.full((1, 2), 8.0), np.zeros((1, 2))
    assert adam.moved(w, nothing, nothing, 1, Settings(learning_rate=0.5, decay=0.25, warm_up=0)).tolist() == [
        [7.0, 7.0]
    ]


def test_epsilon_stands_outside_of_the_root() -> None:
    one = Settings(learning_rate=1.0, beta1=0.0, beta2=0.0, epsilon=3.0, warm_up=0)
    g = np.array([1.0, -1.0])
    assert adam.moved(np.zeros(2), g, g * g, 1, one).tolist() == [-0.25, 0.25]


def test_a_state_is_not_changed_in_place() -> None:
    start = adam.start(params_of("1 tied gelu_new"))
    kept = {n: w.copy() for n, w in start.w.items()}
    learn.learn(start, config_of("1 tied gelu_new"), listed([[3, 4]]), Settings(decay=0.1), 2)
    assert start.t == 0
    assert all((start.w[n] == kept[n]).all() and not start.m[n].any() and not start.v[n].any() for n in kept)


def test_steps_in_two_runs_are_the_steps_of_one() -> None:
    start, config, words = (
        adam.start(params_of("1 tied gelu_new")),
        config_of("1 tied gelu_new"),
        listed(WORDS.values()),
    )
    how = Settings(warm_up=3, schedule="cosine", steps=9)
    whole, losses = learn.learn(start, config, words, how, 7)
    half, first = learn.learn(start, config, words, how, 4)
    both, second = learn.learn(half, config, words, how, 3)
    assert losses == first + second
    assert both.t == whole.t == 7
    assert all((both.w[n] == whole.w[n]).all() for n in whole.w)


def test_the_rate_rises_and_falls() -> None:
    how = Settings(learning_rate=1.0, warm_up=4, steps=12)
    rates = {s: [adam.learning_rate(t, replace(how, schedule=s)) for t in range(1, 15)] for s in adam.SCHEDULES}
    assert all(found[:4] == [0.25, 0.5, 0.75, 1.0] for found in rates.values())
    assert rates["constant"][4:] == [1.0] * 10
    assert rates["linear"][4:] == [1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0, 0.0]
    expected = [(1 + math.cos(math.pi * n / 8)) / 2 for n in range(9)]
    assert rates["cosine"][4:] == pytest.approx([*expected, 0.0], abs=1e-16)
    assert adam.learning_rate(1, Settings(0.01, warm_up=0, schedule="linear", steps=1)) == 0.01  # not 0 / 0
    assert adam.learning_rate(5, Settings(schedule="cosine", warm_up=3, steps=3)) == 0.0


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"learning_rate": -1.0}, "learning_rate must be a number of at least 0, not -1.0"),
        ({"learning_rate": math.nan}, "learning_rate must be"),
        ({"decay": math.inf}, "decay must be"),
        ({"beta1": 1.0}, "beta1 must be at least 0 and below 1, not 1.0"),
        ({"beta2": -0.1}, "beta2 must be"),
        ({"epsilon": 0.0}, "epsilon must be a number above 0"),
        ({"schedule": "step"}, "schedule must be one of constant, linear, cosine, not 'step'"),
        ({"warm_up": -1}, "warm_up must be a whole number of at least 0"),
        ({"steps": 2.5}, "steps must be a whole number of at least 1"),
    ],
)
def test_settings_that_make_no_step_are_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SheetGPTError, match=sentence):
        Settings(**values)
