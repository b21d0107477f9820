"""Edits of a run: against plain algebra here, against forward hooks on `transformers` in tests/golden/edits.npz."""

import json
from typing import Any

import numpy as np
import pytest
from places import GOLDEN

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.gpt2.editing.edits import MEAN, Changes, Edits, Patch, Steering, check_lengths
from sheetgpt.gpt2.model import as_cells, forward

IDS, OTHER = (5, 9, 33, 2), (7, 9, 1, 60)


def run(model: Checkpoint, edits: Edits, ids: tuple[int, ...] = IDS, other: Any = None) -> dict[str, np.ndarray]:
    params = {name: as_cells(tensor) for name, tensor in model.params.items()}
    return forward(params, model.config, ids, change=Changes(edits, model.config, params["wte"], other))


def test_without_edits_every_bit_is_the_same(micro: Checkpoint) -> None:
    params = {name: as_cells(tensor) for name, tensor in micro.params.items()}
    plain = forward(params, micro.config, IDS)
    for edits in (Edits(), Edits({(0, 1): 1.0, (1, "mlp"): 1.0}, MEAN)):
        assert not edits
        edited = run(micro, edits)
        assert all(np.array_equal(plain[name], edited[name], equal_nan=True) for name in plain)


def test_a_head_that_is_off_adds_nothing(micro: Checkpoint) -> None:
    plain, edited = run(micro, Edits()), run(micro, Edits({(0, 1): 0.0}))
    w = as_cells(micro.params["h0.attn.c_proj.w"])
    lost = w[8:].T @ plain["h0.attn.z"][8:]
    assert np.allclose(edited["h0.attn.out"], plain["h0.attn.out"] - lost, rtol=1e-12)
    assert not np.allclose(edited["logits"], plain["logits"])


def test_the_mean_is_that_of_the_positions_so_far(micro: Checkpoint) -> None:
    plain, edited = run(micro, Edits()), run(micro, Edits({(1, "mlp"): 0.0}, MEAN))
    for t in range(len(IDS)):
        assert np.allclose(edited["h1.mlp.out"][:, t], plain["h1.mlp.out"][:, : t + 1].mean(axis=1), rtol=1e-12)


def test_steering_moves_the_stream_from_a_position_on(micro: Checkpoint) -> None:
    plain = run(micro, Edits())
    edited = run(micro, Edits(steering=(Steering(1, 3, 4, 2.5, start=2),)))
    wte = as_cells(micro.params["wte"])
    moved = edited["h1.resid_mid"] - edited["h1.attn.out"] - plain["h0.resid_post"]
    assert np.allclose(moved[:, :2], 0, atol=1e-12)
    assert np.allclose(moved[:, 2:], 2.5 * (wte[3] - wte[4])[:, None], rtol=1e-9, atol=1e-12)


def test_steering_by_the_difference_of_two_runs(micro: Checkpoint) -> None:
    """From its own position on, at the earliest; with the factor 1 that position's stream is the other run's."""
    plain, other = run(micro, Edits()), run(micro, Edits(), OTHER)
    edited = run(micro, Edits(steering=(Steering(1, None, None, 0.5, 0, 2),)), other=other)
    moved = edited["h1.resid_mid"] - edited["h1.attn.out"] - plain["h0.resid_post"]
    apart = other["h0.resid_post"][:, 2] - plain["h0.resid_post"][:, 2]
    assert np.allclose(moved[:, :2], 0, atol=1e-12)
    assert np.allclose(moved[:, 2:], 0.5 * apart[:, None], rtol=1e-9, atol=1e-12)
    last = len(IDS) - 1
    whole = run(micro, Edits(steering=(Steering(1, None, None, 1.0, 0, last),)), other=other)
    patched = run(micro, Edits(patches=(Patch(1, "resid", last),)), other=other)
    assert np.allclose(whole["logits"], patched["logits"], rtol=1e-9, atol=1e-12)
    for wrong in (Steering(0, None, None, 1.0), Steering(0, 3, None, 1.0, 0, 1)):
        with pytest.raises(SheetGPTError, match="Steering adds a token's embedding or the difference of two runs"):
            Edits(steering=(wrong,)).check(micro.config)


@pytest.mark.parametrize("part", [0, 1, "mlp", "resid"])
def test_a_patch_takes_one_position_of_one_part(micro: Checkpoint, part: int | str) -> None:
    plain, other = run(micro, Edits()), run(micro, Edits(), OTHER)
    edited = run(micro, Edits({(1, 0): 0.5}, patches=(Patch(1, part, 2),)), other=other)
    if part == "resid":
        stream = edited["h1.resid_mid"] - edited["h1.attn.out"]
        assert np.allclose(stream[:, 2], other["h0.resid_post"][:, 2], rtol=1e-9)
        assert np.allclose(stream[:, 3], plain["h0.resid_post"][:, 3], rtol=1e-9)
    else:
        name, rows = (
            ("h1.mlp.out", slice(None)) if part == "mlp" else ("h1.attn.z", slice(8 * int(part), 8 * int(part) + 8))
        )
        assert np.array_equal(edited[name][rows, 2], other[name][rows, 2])
        assert not np.allclose(edited[name][rows, 3], other[name][rows, 3])
    same = run(micro, Edits(patches=tuple(Patch(1, "resid", t) for t in range(4))), other=other)
    assert np.allclose(same["logits"], other["logits"], rtol=1e-12)


@pytest.mark.parametrize(
    ("edits", "sentence"),
    [
        (Edits({(2, 0): 0.0}), "no block 2"),
        (Edits({(0, 2): 0.0}), "no head 2 in block 0"),
        (Edits({(0, 0): float("nan")}), "finite"),
        (Edits(mode="median"), "'median'"),
        (Edits(steering=(Steering(0, 64, None, 1.0),)), "no token 64"),
        (Edits(steering=(Steering(-1, 6, None, 1.0),)), "no block -1"),
        (Edits(patches=(Patch(0, "mlp", 16),)), "no position 16"),
    ],
)
def test_what_the_model_does_not_have_is_named(micro: Checkpoint, edits: Edits, sentence: str) -> None:
    with pytest.raises(SheetGPTError, match=sentence):
        edits.check(micro.config)


def test_a_patch_needs_both_texts_to_be_long_enough() -> None:
    with pytest.raises(SheetGPTError, match=r"position 3.* 5 and 3 tokens"):
        check_lengths([Patch(0, 0, 3)], 5, 3)


EDITED = np.load(GOLDEN / "edits.npz")
CASES: dict[str, dict[str, Any]] = json.loads(str(EDITED["cases"]))


@pytest.mark.parametrize("name", CASES)
def test_hooks_on_transformers_give_the_same(name: str) -> None:
    case = CASES[name]
    edits = Edits(
        {(block, part): factor for block, part, factor in case.get("switches", [])},
        case.get("mode", "zero"),
        tuple(Steering(*steer) for steer in case.get("steering", [])),
        tuple(Patch(*patch) for patch in case.get("patches", [])),
    )
    model = load(GOLDEN / "odd")
    edits.check(model.config)
    params = {key: np.asarray(tensor, np.float64) for key, tensor in model.params.items()}
    other = forward(params, model.config, EDITED["other"].tolist())
    changes = Changes(edits, model.config, params["wte"], other)
    ours = forward(params, model.config, EDITED["ids"].tolist(), change=changes)["logits"]
    theirs = EDITED[f"{name}.logits"]
    assert np.abs(ours - theirs).max() < 1e-11 * np.abs(theirs).max()
    assert np.abs(ours - forward(params, model.config, EDITED["ids"].tolist())["logits"]).max() > 1e-3
