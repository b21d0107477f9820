"""The evaluator against golden files of Hugging Face's `transformers` (make_golden.py), and its small parts."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from places import GOLDEN

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2 import equal_rows
from sheetgpt.gpt2.checkpoints import quantize
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.gpt2.generation import sampling
from sheetgpt.gpt2.generation.continuation import Cache, advance
from sheetgpt.gpt2.model import ACTIVATION, as_cells, forward, gelu_erf, gelu_tanh, relu, unembed


def assert_agrees(found: np.ndarray, golden: np.ndarray, what: str) -> None:
    """To 1e-9 relative; a value near zero, relative to the tensor's typical size."""
    assert found.shape == golden.shape, what
    scale = np.maximum(np.abs(golden), np.abs(golden).mean())
    worst = float((np.abs(found - golden) / scale).max())
    assert worst <= 1e-9, f"{what}: {worst:.1e}"


def assert_golden(checkpoint: Checkpoint, golden: dict[str, np.ndarray], case: str) -> None:
    config = checkpoint.config
    trace = forward(checkpoint.params, config, [int(i) for i in golden[f"{case}.ids"]])
    blocks = golden[f"{case}.blocks"]
    assert len(blocks) == config.n_layer
    for i, block in enumerate(blocks):
        assert_agrees(trace[f"h{i}.resid_post"], block, f"{case}, block {i}")
    logits = golden[f"{case}.logits"]
    assert len(logits) == config.n_vocab
    assert_agrees(trace["logits"][:, -logits.shape[1] :], logits, f"{case}, logits")


@pytest.mark.parametrize("case", ["0", "1", "2"])
def test_the_bundled_model_agrees_with_transformers(case: str) -> None:
    assert_golden(load("stories"), dict(np.load(GOLDEN / "stories.npz")), case)


@pytest.mark.parametrize("activation", ["gelu_new", "gelu", "relu"])
@pytest.mark.parametrize("prompt", ["long", "one"])
def test_a_model_of_odd_shapes_agrees_with_transformers(activation: str, prompt: str) -> None:
    checkpoint = load(GOLDEN / "odd")
    config = replace(checkpoint.config, activation_function=activation)
    assert (config.tied, config.layer_norm_epsilon, config.n_inner) == (False, 1e-6, 52)
    golden = dict(np.load(GOLDEN / "odd.npz"))
    assert_golden(replace(checkpoint, config=config), golden, f"{activation}.{prompt}")


def test_a_config_with_other_models_names_for_the_shapes_agrees_with_transformers(tmp_path: Path) -> None:
    config = json.loads((GOLDEN / "odd" / "config.json").read_text())
    names = {"hidden_size": "n_embd", "num_hidden_layers": "n_layer"}
    names |= {"num_attention_heads": "n_head", "max_position_embeddings": "n_positions"}
    config |= {alias: config.pop(own) for alias, own in names.items()}
    shutil.copy(GOLDEN / "odd" / "model.safetensors", tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    checkpoint = load(tmp_path)
    activation = checkpoint.config.activation_function
    assert_golden(checkpoint, dict(np.load(GOLDEN / "odd.npz")), f"{activation}.long")


def test_activations_have_their_known_values() -> None:
    x = np.array([-1.0, 0.0, 1.0, 3.0])
    normal = [0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x]
    np.testing.assert_allclose(gelu_erf(x), x * normal, rtol=1e-15)
    assert gelu_erf(np.array([-8.0]))[0] == pytest.approx(-8 * 6.220960574271785e-16, rel=1e-12)  # not cancelled to 0
    # 0.8411919906082768 is torch's gelu(1, approximate="tanh") in float64
    np.testing.assert_allclose(gelu_tanh(x)[2], 0.8411919906082768, rtol=1e-15)
    np.testing.assert_array_equal(relu(x), [0, 0, 1, 3])
    assert ACTIVATION["gelu_pytorch_tanh"] is ACTIVATION["gelu_new"] is gelu_tanh


def test_attention_sees_nothing_later(micro: Checkpoint) -> None:
    short = forward(micro.params, micro.config, [5, 9])
    whole = forward(micro.params, micro.config, [5, 9, 33])
    assert list(short) == list(whole)
    for name, tensor in short.items():
        seen = whole[name][: tensor.shape[0], :2] if tensor.ndim == 2 else whole[name][:2]
        np.testing.assert_allclose(seen, tensor, rtol=1e-12, atol=1e-14, err_msg=name)
    for j in range(2):
        assert np.isnan(whole[f"h0.attn.scores.{j}"][2, :2]).all()
        np.testing.assert_array_equal(whole[f"h0.attn.probs.{j}"][2, :2], 0)
        np.testing.assert_allclose(whole[f"h0.attn.probs.{j}"].sum(axis=0), 1, rtol=1e-14)


@pytest.mark.parametrize(
    ("ids", "words"),
    [([], "prompt is empty"), ([5, 64], "Token id 64 at position 1"), ([-1], "Token id -1"), ([1] * 17, "17 tokens")],
)
def test_ids_without_a_row_or_a_position_are_refused(micro: Checkpoint, ids: list[int], words: str) -> None:
    with pytest.raises(SheetGPTError, match=words):
        forward(micro.params, micro.config, ids)


def test_cells_hold_the_shortest_decimals_of_the_weights() -> None:
    weights = np.array([[0.1, 1 / 3], [1e-12, -2.5]], np.float32)
    np.testing.assert_array_equal(as_cells(weights), [[0.1, 0.33333334], [1e-12, -2.5]])
    np.testing.assert_array_equal(as_cells(weights).astype(np.float32), weights)
    exact = np.array([0.1, 1 / 3])
    assert as_cells(exact) is exact


LATER = [3, 9, 8195, 50254, 50255, 50256]  # rows made equal to the one that stands below
FIRST = [1, 1, 1, 8191, 8191, 8191]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_embd", [5, 24, 768])
@pytest.mark.parametrize("starts_alike", [False, True])
def test_equal_rows_get_equal_logits_at_gpt_2_s_size(dtype: type, n_embd: int, starts_alike: bool) -> None:
    """BLAS adds up the last rows of a band in an order of its own."""
    rng = np.random.default_rng(n_embd)
    head = rng.normal(size=(50257, n_embd)).astype(np.float32)
    if starts_alike:
        head[100:200, : n_embd - 1] = 0
    head[LATER] = head[FIRST]
    head[[1, 3], 0] = 0.0, -0.0
    head[[9, 8195], 0] = 0
    later, first = equal_rows.equal_rows(head)
    assert (later.tolist(), first.tolist()) == (LATER, FIRST)
    for n_tokens in (1, 3):
        logits = unembed(head, rng.normal(size=(n_embd, n_tokens)).astype(dtype))
        assert logits.dtype == dtype
        np.testing.assert_array_equal(logits[LATER], logits[FIRST])


def test_a_matrix_that_was_changed_or_is_gone_is_searched_no_more() -> None:
    rng = np.random.default_rng(0)
    head, x = rng.normal(size=(50, 6)), rng.normal(size=(6, 1))
    head[7] = head[5]
    n = len(equal_rows._found)
    assert unembed(head, x)[7] == unembed(head, x)[5]
    head[7] *= 2
    np.testing.assert_allclose(unembed(head, x), head @ x, rtol=1e-12)
    assert len(equal_rows._found) == n + 1
    del head
    assert len(equal_rows._found) == n


@pytest.mark.parametrize("weights", ["exact", "int8", "3 digits"])
def test_equal_rows_get_equal_logits_however_they_are_stored(micro: Checkpoint, weights: str) -> None:
    params = {name: tensor.copy() for name, tensor in micro.params.items()}
    params["wte"][[9, 62, 63]] = params["wte"][2]
    cells = quantize.stored(params, weights)
    for numbers in (quantize.evaluated(cells), quantize.draft(cells)):
        for logits in (
            forward(numbers, micro.config, [5, 9, 33])["logits"],
            advance(numbers, micro.config, [5, 9, 33], Cache(micro.config, 3, numbers["wte"].dtype)),
        ):
            np.testing.assert_array_equal(logits[[9, 62, 63]], logits[[2, 2, 2]])
            assert len(np.unique(logits.reshape(64, -1)[:, -1])) == 61


def test_the_largest_logits_come_first_and_the_lowest_id_of_a_tie() -> None:
    logits = np.array([1.0, 3.0, 2.0, 3.0, 2.0])
    assert sampling.top(logits, 4) == [1, 3, 2, 4]
    assert sampling.top(logits, 10) == [1, 3, 2, 4, 0]


def test_temperature_0_takes_the_lowest_id_of_the_largest_logits() -> None:
    np.testing.assert_array_equal(sampling.probabilities(np.array([1.0, 3.0, 2.0, 3.0]), 0), [0, 1, 0, 0])


def test_temperature_divides_the_logits() -> None:
    logits = np.array([0.0, 2 * math.log(2), 900.0 - 900])
    np.testing.assert_allclose(sampling.probabilities(logits, 2), [0.25, 0.5, 0.25], rtol=1e-15)
    np.testing.assert_allclose(sampling.probabilities(logits + 1e4, 1), [1 / 6, 4 / 6, 1 / 6], rtol=1e-11)
