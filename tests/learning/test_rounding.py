"""How well gradients and new weights are known: against other orders of summation, and against 80-bit numbers."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from learning import Arrays

from sheetgpt.gpt2 import equal_rows, model
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.learning import adam, learn, rounding
from sheetgpt.gpt2.learning.adam import Doubts, Settings, State
from sheetgpt.gpt2.learning.loss import example
from sheetgpt.gpt2.learning.new import new_params

# No axis of a position or a token is as long as one of features.
SIZES: dict[str, Any] = {"n_vocab": 27, "n_positions": 15, "n_embd": 16, "n_head": 4, "n_inner": 64}
MODELS = {
    "one layer": GPT2Config(**SIZES, n_layer=1),
    "two layers, untied": GPT2Config(**SIZES, n_layer=2, tied=False, activation_function="relu"),
}
SPELT = [[7, 18, 5, 20, 1], [16, 18, 9, 25, 1], [1, 4, 1], [15, 12, 9, 22, 9, 1], [13, 1, 24, 9, 13, 9, 12, 9, 1, 14]]
AT = (0, 1, 10, 200, 300)  # steps; the last hundred are on one word, which is then known nearly by heart
HOW = Settings(learning_rate=0.01, beta2=0.999, warm_up=0, schedule="constant")
CASES = [(name, t) for name in MODELS for t in AT]


@cache
def state(name: str, t: int) -> State:
    """A model in training."""
    if t == 0:
        return adam.start(new_params(MODELS[name], 5))
    before = state(name, max(earlier for earlier in AT if earlier < t))
    words = [example(word, 0, SIZES["n_positions"]) for word in (SPELT if t <= 200 else SPELT[:1])]
    return learn.learn(before, MODELS[name], words, HOW, t - before.t)[0]


@pytest.fixture(autouse=True)
def no_equal_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for them knows no numbers of 80 bits; these models have none."""
    assert not len(equal_rows.equal_rows(state("one layer", 0).w["wte"])[0])
    monkeypatch.setattr(model, "equal_rows", lambda head: (np.zeros(0, int), np.zeros(0, int)))


def wide(tensors: Arrays) -> Arrays:
    return {n: x.astype(np.longdouble) for n, x in tensors.items()}


def turned(tensors: Arrays, config: GPT2Config) -> Arrays:
    """The same with the stream's features and the MLP's neurons in the opposite order; done twice, as before."""
    found = {}
    for n, x in tensors.items():
        axes = tuple(i for i, size in enumerate(x.shape) if size in (config.n_embd, config.n_inner))
        heads = n.endswith("attn.c_proj.w")  # what comes into it are the heads' features, which stay
        found[n] = np.flip(x, axes[1:] if heads else axes).copy()
    return found


def changed(state: State, change: str, config: GPT2Config) -> State:
    w, m, v = (wide(p) if change == "80 bits" else turned(p, config) for p in (state.w, state.m, state.v))
    return State(state.t, w, m, v)


def undone(tensors: Arrays, change: str, config: GPT2Config) -> Arrays:
    return tensors if change == "80 bits" else turned(tensors, config)


def key_biases(config: GPT2Config) -> np.ndarray:
    """Those of c_attn's that are the keys': their gradient is 0, as all scores of a query would move by the same."""
    return np.repeat([False, True, False], config.n_embd)


def compared(name: str, t: int, change: str, word: list[int]) -> tuple[Arrays, Arrays, Arrays, Doubts]:
    """Differences of the gradients and of new weights between two runs of one step, and the doubts of both."""
    config, before, wanted = MODELS[name], state(name, t), example(word, 0, SIZES["n_positions"])
    other = changed(before, change, config)
    found, others = (learn.gradients(s.w, config, wanted) for s in (before, other))
    after, other_after = adam.step(before, found, HOW), adam.step(other, others, HOW)
    gradients = {n: others[f"grad_{n}"] for n in before.w}
    gradients = {n: abs(x - found[f"grad_{n}"]).astype(float) for n, x in undone(gradients, change, config).items()}
    weights = {n: abs(x - after.w[n]).astype(float) for n, x in undone(other_after.w, change, config).items()}
    doubts = rounding.gradient_doubts(before.w, config, found, wanted)
    return gradients, weights, doubts, adam.doubts(before, after, doubts, HOW)


@pytest.mark.parametrize("change", ["80 bits", "another order"])
@pytest.mark.parametrize(("name", "t"), CASES)
def test_the_doubts_cover_what_rounding_does(name: str, t: int, change: str) -> None:
    for word in SPELT:
        gradients, weights, doubts, new = compared(name, t, change, word)
        for n in gradients:
            assert gradients[n].shape == doubts[f"grad_{n}"].shape == new.w[n].shape == weights[n].shape
            assert (gradients[n] <= doubts[f"grad_{n}"]).all(), n
            assert (weights[n] <= new.w[n]).all(), n


@pytest.mark.parametrize(("name", "t"), CASES)
def test_only_noise_is_in_doubt(name: str, t: int) -> None:
    """Every new weight is known to 1e-9, all but the key biases to 1e-12 once some steps were made."""
    config, before = MODELS[name], state(name, t)
    keys = key_biases(config)
    for word in SPELT:
        wanted = example(word, 0, SIZES["n_positions"])
        found = learn.gradients(before.w, config, wanted)
        doubts = rounding.gradient_doubts(before.w, config, found, wanted)
        new = adam.doubts(before, adam.step(before, found, HOW), doubts, HOW)
        for n, doubt in new.w.items():
            assert doubt.max() < 1e-9, (n, word)
            assert t <= 1 or doubt[~keys if n.endswith("c_attn.b") else ...].max() < 1e-12, (n, word)
            assert (doubts[f"grad_{n}"] >= 0).all()


def test_the_noise_itself_is_in_doubt_and_covered_by_nothing_less() -> None:
    """A key's bias moves by more than the tolerance, 1e-12, and its doubt says so."""
    moved, said = [], []
    keys = key_biases(MODELS["one layer"])
    for word in SPELT:
        _, weights, _, new = compared("one layer", 300, "another order", word)
        moved.append(weights["h0.attn.c_attn.b"][keys].max())
        said.append(new.w["h0.attn.c_attn.b"][keys].max())
    assert max(moved) > 1e-12
    assert max(said) < 1000 * max(moved)


@pytest.mark.parametrize("part", ["grads", "adam"])
def test_doubts_that_are_too_small_are_seen(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if part == "grads":
        monkeypatch.setattr(rounding, "ROUNDING", rounding.ROUNDING / 1000)
    else:  # what came from epsilon being small is left out
        right = adam.doubts
        monkeypatch.setattr(adam, "doubts", lambda *args: Doubts({n: x * 0 for n, x in right(*args).w.items()}, {}, {}))
    with pytest.raises(AssertionError):
        test_the_doubts_cover_what_rounding_does("one layer", 300, "another order")


def test_a_gradient_and_its_doubt_where_padding_is() -> None:
    """Nothing comes from a column of padding, and that is known exactly."""
    wanted, before = example(SPELT[2], 0, SIZES["n_positions"]), state("one layer", 10)
    found = learn.gradients(before.w, MODELS["one layer"], wanted)
    doubts = rounding.gradient_doubts(before.w, MODELS["one layer"], found, wanted)
    assert not doubts["grad_wpe"][4:].any()
    assert doubts["grad_wpe"][:4].all()


def test_steps_in_a_row_carry_their_doubts() -> None:
    """Of m, of the root of v and of w; they only grow, and cover ten steps of two programs."""
    config, name = MODELS["one layer"], "one layer"
    here, carried = state(name, 0), None
    there = changed(here, "80 bits", config)
    for t in range(10):
        wanted = example(SPELT[t % len(SPELT)], 0, SIZES["n_positions"])
        found = learn.gradients(here.w, config, wanted)
        after = adam.step(here, found, HOW)
        grads = rounding.gradient_doubts(here.w, config, found, wanted)
        before, carried = carried, adam.doubts(here, after, grads, HOW, carried)
        assert all((carried.w[n] >= (before.w[n] if before else 0)).all() for n in here.w)
        there = adam.step(there, learn.gradients(there.w, config, wanted), HOW)
        here = after
    assert carried is not None
    for n, w in here.w.items():
        assert (abs(w - there.w[n]) <= 10 * carried.w[n]).all(), n  # 10: gradients of other weights are others
        assert (abs(here.m[n] - there.m[n]) <= 100 * carried.m[n]).all(), n
