"""Gradients against torch's autograd in float64 (tests/golden/learning.npz), against finite differences, one by one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from learning import ABOUT, CASES, by_name, config_of, golden, params_of, word

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.learning import backward
from sheetgpt.gpt2.learning.learn import gradients
from sheetgpt.gpt2.learning.loss import Example, cross_entropy, example
from sheetgpt.gpt2.model import ACTIVATION, forward, layer_norm, softmax

NOT_THEIRS = {".mean", ".rstd"}  # `transformers` doesn't compute them one by one; finite differences check them below


def worst(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, of the tensor's largest number or of 1e-3, if that is more; or infinite."""
    assert found.shape == expected.shape
    if (np.isnan(found) & (expected != 0)).any():  # a score of a later key has no cell here and a gradient of 0 there
        return np.inf
    return float(np.nanmax(abs(found - expected), initial=0) / max(abs(expected).max(), 1e-3))


def disagreements(case: str, name: str) -> dict[str, float]:
    """The gradients that differ from the golden ones by more than 1e-9, and by how much."""
    config, data, key = config_of(case), golden(), f"{case}.{name}."
    found = gradients(params_of(case), config, word(name))
    expected = {f"grad_{n}": x for n, x in by_name(config, data[key + "grad"]).items()}
    expected |= {n[len(key) :]: data[n] for n in data if n.startswith(key + "d_")}
    for n in (n for n in expected if "probs" in n):  # theirs has a gradient for what the mask leaves out, too
        expected[n] = np.triu(expected[n])
    expected["loss"] = data[key + "loss"]
    differences = {n: worst(found[n], x) for n, x in expected.items()}
    return {n: difference for n, difference in differences.items() if not difference <= 1e-9}


@pytest.mark.parametrize("name", ["full", "padded"])
@pytest.mark.parametrize("case", CASES)
def test_gradients_agree_with_torch(case: str, name: str) -> None:
    assert disagreements(case, name) == {}


@pytest.mark.parametrize("case", ABOUT["traced"])
def test_the_golden_file_has_every_gradient_of_the_trace(case: str) -> None:
    found = gradients(params_of(case), config_of(case), word("full"))
    ours = {n for n in found if n.startswith("d_") and not n.endswith(tuple(NOT_THEIRS))}
    assert ours == {n.removeprefix(f"{case}.full.") for n in golden() if n.startswith(f"{case}.full.d_")}


@pytest.mark.parametrize("case", ["1 tied gelu_new", "2 untied gelu"])
def test_every_tensor_has_a_gradient_of_its_shape(case: str) -> None:
    config, params = config_of(case), params_of(case)
    found = gradients(params, config, word("padded"))
    trace = forward(params, config, word("padded").ids)
    assert {n.removeprefix("d_") for n in found if n.startswith("d_")} == trace.keys() - {"token_ids"}
    parts = {"wte.embed", "wte.unembed"} if config.tied else set()
    assert {n.removeprefix("grad_") for n in found if n.startswith("grad_")} == params.keys() | parts
    for n, tensor in {**trace, **params}.items():
        for kind in ("d_", "grad_"):
            assert kind + n not in found or found[kind + n].shape == tensor.shape, n
    for n in (n for n in found if n.startswith("d_")):  # there is no cell where there is none in the forward pass
        np.testing.assert_array_equal(
            np.isnan(found[n]), np.isnan(trace[n.removeprefix("d_").replace("probs", "scores")])
        )


def test_the_two_parts_of_a_tied_embedding_add_up() -> None:
    case = "1 tied gelu_new"
    found = gradients(params_of(case), config_of(case), word("padded"))
    np.testing.assert_array_equal(found["grad_wte"], found["grad_wte.embed"] + found["grad_wte.unembed"])
    unread = sorted(set(range(ABOUT["shapes"]["n_vocab"])) - set(word("padded").ids))
    assert not found["grad_wte.embed"][unread].any()
    assert found["grad_wte.unembed"].all()
    both = {"wte": params_of(case)["wte"], "lm_head": params_of(case)["wte"]}
    apart = gradients({**params_of(case), **both}, replace(config_of(case), tied=False), word("padded"))
    np.testing.assert_array_equal(apart["grad_wte"], found["grad_wte.embed"])
    np.testing.assert_array_equal(apart["grad_lm_head"], found["grad_wte.unembed"])


# A gradient, and how a mistake in its function looks: what it returns, or keeps, times 1 + 1e-6.
Breakage = Callable[..., Any]


def off(function: Breakage) -> Breakage:
    def broken(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs) * (1 + 1e-6)

    return broken


RETURNED = {  # function -> the gradients that are wrong at once, not by what they come from
    "cross_entropy": {"d_logits", "grad_lm_head", "d_ln_f"},
    "unembed": {"d_ln_f", "grad_ln_f.g", "grad_ln_f.b"},
    "layer_norm": {"d_h1.resid_post", "grad_h1.mlp.c_proj.w", "d_h1.resid_mid"},
    "block": {"d_h0.resid_post", "d_embed", "grad_wpe", "grad_wte"},
    "linear": {"d_h1.mlp.act", "d_h1.ln_2", "d_h1.attn.z", "d_h1.ln_1"},
    "attention": {"d_h1.ln_1", "grad_h1.ln_1.g"},
    "softmax": {"d_h1.attn.scores.0", "d_h1.attn.qkv", "grad_h1.attn.c_attn.w"},
}


@pytest.mark.parametrize("function", RETURNED)
def test_a_wrong_derivative_is_seen(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backward, function, off(getattr(backward, function)))
    assert disagreements(CASE, "full").keys() >= RETURNED[function]


@pytest.mark.parametrize("activation", ["gelu_new", "gelu", "relu"])
def test_a_wrong_derivative_of_an_activation_is_seen(activation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backward.ACTIVATION, activation, off(backward.ACTIVATION[activation]))
    assert disagreements(f"1 tied {activation}", "full").keys() >= {"grad_h0.mlp.c_fc.w", "grad_h0.mlp.c_fc.b"}


CASE = "2 untied relu"
FOUND = gradients(params_of(CASE), config_of(CASE), word("full"))
KEPT = [n for n in FOUND if n.startswith(("d_", "grad_")) and not n.endswith(tuple(NOT_THEIRS))]


@pytest.mark.parametrize("name", KEPT)
def test_each_wrong_gradient_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One number of one tensor wrong by 1e-6 of it, as it comes out of the backward pass."""

    def broken(*args: Any) -> Any:
        found = dict(right(*args))
        tensor = found[name] = found[name].copy()
        tensor.flat[np.nanargmax(abs(tensor))] *= 1 + 1e-6
        return found

    right = backward.backward
    monkeypatch.setattr("sheetgpt.gpt2.learning.learn.backward", broken)
    assert disagreements(CASE, "full").keys() == {name}


FINE = GPT2Config(n_vocab=7, n_positions=5, n_embd=6, n_layer=2, n_head=2, n_inner=5, activation_function="gelu")


def test_finite_differences_agree_for_every_weight() -> None:
    """(loss(w + h) - loss(w - h)) / 2h, with h = 1e-4 good to some 1e-8: it knows nothing of derivatives."""
    rng = np.random.default_rng(3)
    params = {n: rng.normal(size=shape) * 0.5 + n.endswith(".g") for n, shape in FINE.parameter_shapes().items()}
    wanted, h = example([3, 6, 6], 0, 5), 1e-4

    def loss() -> float:
        return float(cross_entropy(forward(params, FINE, wanted.ids)["logits"], wanted)["loss"])

    found = gradients(params, FINE, wanted)
    for n, tensor in params.items():
        slopes = np.empty_like(tensor)
        for at in np.ndindex(tensor.shape):
            kept = tensor[at]
            tensor[at] = kept + h
            above = loss()
            tensor[at] = kept - h
            slopes[at] = (above - loss()) / (2 * h)
            tensor[at] = kept
        np.testing.assert_allclose(found[f"grad_{n}"], slopes, rtol=0, atol=2e-7, err_msg=n)


@pytest.mark.parametrize("activation", ACTIVATION)
def test_the_slope_of_an_activation(activation: str) -> None:
    x, h = np.concatenate([np.linspace(-12, 12, 481) + 0.001, [-40.0, 40.0]]), 1e-5
    slope = (ACTIVATION[activation](x + h) - ACTIVATION[activation](x - h)) / (2 * h)
    np.testing.assert_allclose(backward.ACTIVATION[activation](np.ones_like(x), x), slope, rtol=0, atol=1e-9)


def test_relu_has_no_slope_at_zero_as_torch_has_it() -> None:
    assert backward.relu(np.ones(3), np.array([0.0, -1.0, 1.0])).tolist() == [0, 0, 1]


@pytest.mark.parametrize("part", ["mean", "rstd"])
def test_the_gradients_inside_a_layer_norm(part: str) -> None:
    """What a small change of the mean or of rstd, and of nothing before it, does to the loss."""
    rng, h = np.random.default_rng(4), 1e-6
    params = {"n.g": rng.normal(size=6), "n.b": rng.normal(size=6)}
    x, d = rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
    trace: dict[str, np.ndarray] = {}
    layer_norm(x, "n", params.__getitem__, FINE, trace)
    grads: dict[str, np.ndarray] = {}
    backward.layer_norm(d, x, "n", params.__getitem__, trace, grads)

    def loss(moved: dict[str, np.ndarray]) -> np.ndarray:
        variance = ((x - moved["mean"]) ** 2).mean(axis=0, keepdims=True)
        rstd = moved["rstd"] if part == "rstd" else 1 / np.sqrt(variance + FINE.layer_norm_epsilon)
        total: np.ndarray = (d * ((x - moved["mean"]) * rstd * params["n.g"][:, None])).sum(axis=0, keepdims=True)
        return total

    values = {"mean": trace["n.mean"], "rstd": trace["n.rstd"]}
    slope = (loss({**values, part: values[part] + h}) - loss({**values, part: values[part] - h})) / (2 * h)
    np.testing.assert_allclose(grads[f"d_n.{part}"], slope, rtol=0, atol=1e-8)


def test_padding_gets_gradients_of_exactly_zero() -> None:
    config, wanted = config_of("2 untied gelu"), word("padded")
    found = gradients(params_of("2 untied gelu"), config, wanted)
    assert wanted.n_targets == 4
    for n in (n for n in found if n.startswith("d_")):
        assert not np.nan_to_num(found[n])[..., 4:].any(), n
        assert np.nan_to_num(found[n])[..., :4].any(), n
    assert not found["grad_wpe"][4:].any()


def test_no_gradient_comes_from_an_earlier_position() -> None:
    """Only the loss of position 2 and later counts: the columns from there on have the gradients that they had."""
    config, params, whole = config_of("2 tied gelu"), params_of("2 tied gelu"), word("full")
    late = replace(whole, shares=(0.0, 0.0, *whole.shares[2:]))
    found, only = gradients(params, config, whole), gradients(params, config, late)
    for n in (n for n in found if n.startswith("d_")):
        np.testing.assert_allclose(only[n][..., 2:], found[n][..., 2:], rtol=1e-12, atol=1e-16, err_msg=n)
    assert only["d_embed"][:, 0].any()  # from the later ones
    assert abs(only["d_embed"][:, 0] - found["d_embed"][:, 0]).max() > 1e-3


def test_a_word_in_its_columns() -> None:
    wanted = example([5, 13, 13, 1], 0, 6)
    assert wanted == Example((0, 5, 13, 13, 1, 0), (5, 13, 13, 1, 0, 0), (0.2, 0.2, 0.2, 0.2, 0.2, 0.0))
    assert example([], 0, 2) == Example((0, 0), (0, 0), (1.0, 0.0))
    with pytest.raises(SheetGPTError, match="A word has 6 tokens, and the model's 6 positions take 5"):
        example([1] * 6, 0, 6)


def test_the_loss_is_the_mean_over_the_words_positions() -> None:
    rng = np.random.default_rng(5)
    logits, wanted = rng.normal(size=(7, 5)) * 300, example([3, 6], 0, 5)
    found = cross_entropy(logits, wanted)
    np.testing.assert_array_equal(found["probs"], softmax(logits))
    nats = -np.log(softmax(logits.astype(np.longdouble))[[3, 6, 0], range(3)])
    np.testing.assert_allclose(found["nats"][:3], nats.astype(float), rtol=1e-13)
    assert float(found["loss"]) == pytest.approx(float(nats.mean()), rel=1e-13)
    assert np.isfinite(cross_entropy(logits * 1e6, wanted)["loss"])  # a probability of 0 has a loss all the same
