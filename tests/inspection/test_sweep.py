"""Sweeps: against whole runs by hand, and against the runs with forward hooks on `transformers`."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from places import GOLDEN

import sheetgpt
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.gpt2.editing.edits import MEAN, ZERO, Changes, Edits, Patch
from sheetgpt.gpt2.model import as_cells, forward, softmax
from sheetgpt.inspection.sweep import Effect, kl_bits

IDS, OTHER = [5, 9, 33, 2], [7, 9, 1, 60, 3]


def logits_of(model: Checkpoint, edits: Edits, ids: list[int] = IDS) -> Any:
    params = {name: as_cells(tensor) for name, tensor in model.params.items()}
    other = forward(params, model.config, OTHER)
    return forward(params, model.config, ids, change=Changes(edits, model.config, params["wte"], other))["logits"]


def by_hand(plain: Any, edited: Any, token: int, minus: int | None) -> tuple[float, float, float]:
    p, q = (softmax(logits[:, None])[:, 0] for logits in (plain, edited))
    change = edited - plain
    bits = sum(a * np.log2(a / b) for a, b in zip(p, q, strict=True))
    return change[token] - (0 if minus is None else change[minus]), q[token] - p[token], bits


def assert_is(effect: Effect, expected: tuple[float, float, float]) -> None:
    assert np.allclose((effect.logit, effect.probability, effect.kl), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("mean", "minus", "position"), [(False, None, None), (True, 3, 2)])
def test_every_part_that_is_off_is_measured(
    micro: Checkpoint, mean: bool, minus: int | None, position: int | None
) -> None:
    seen: list[tuple[int, int]] = []
    found = sheetgpt.sweep(
        micro, ids=IDS, position=position, minus=minus, mean=mean, progress=lambda *n: seen.append(n)
    )
    at = 3 if position is None else position
    plain = logits_of(micro, Edits())[:, at]
    assert (found.position, found.token, found.minus) == (at, plain.argmax(), minus)
    assert np.isclose(found.plain.logit, plain[found.token] - (0 if minus is None else plain[minus]), rtol=1e-12)
    assert np.isclose(found.plain.probability, softmax(plain[:, None])[found.token, 0], rtol=1e-12)
    assert {(e.block, e.part) for e in found.effects} == {(i, part) for i in (0, 1) for part in (0, 1, "mlp")}
    for effect in found.effects:
        edits = Edits({(effect.block, effect.part): 0.0}, MEAN if mean else ZERO)
        assert_is(effect, by_hand(plain, logits_of(micro, edits)[:, at], found.token, minus))
    sizes = [abs(e.logit) for e in found.effects]
    assert sizes == sorted(sizes, reverse=True)
    assert seen == [(n, 6) for n in range(1, 7)]
    assert found.frame().shape == (6, 3)


def test_every_patch_is_measured(micro: Checkpoint) -> None:
    found = sheetgpt.patch_sweep(
        micro, ids=IDS, patch_from=OTHER, minus=3, parts=["resid", "attention", "mlp", "heads", 1]
    )
    plain, n_heads = logits_of(micro, Edits())[:, -1], 2
    theirs = logits_of(micro, Edits(), OTHER)[:, -1]
    way = (theirs - plain)[found.token] - (theirs - plain)[3]
    assert np.isclose(found.way, way, rtol=1e-9)
    for name, effects in found.effects.items():
        for effect in effects:
            parts: Any = {"attention": [0, 1], "heads": [effect.part], "1": [1]}.get(name, [name])
            at = range(4) if effect.position is None else [effect.position]
            edits = Edits(patches=tuple(Patch(effect.block, part, t) for part in parts for t in at))
            assert_is(effect, by_hand(plain, logits_of(micro, edits)[:, -1], found.token, 3))
        frame = found.frame(name)
        assert frame.shape == (2, n_heads if name == "heads" else 4)
        assert np.allclose(frame.to_numpy().ravel(), [e.logit / way for e in effects])
    assert list(found.effects) == ["resid", "attention", "mlp", "heads", "1"]
    assert found.effects["resid"][0].logit != 0
    assert found.effects["resid"][1].logit == 0  # the two texts' second tokens are the same


def test_all_of_the_other_stream_is_the_other_run(micro: Checkpoint) -> None:
    """Of one token, and its one position patched at block 0, nothing of this run is left."""
    found = sheetgpt.patch_sweep(micro, ids=[5], patch_from=[7], parts=["resid"])
    assert np.allclose(found.frame(), 1, rtol=1e-9)
    same = sheetgpt.patch_sweep(micro, ids=[5], patch_from=[5], parts=["resid"])
    assert not same.in_shares
    assert not same.frame().to_numpy().any()


def test_a_word_is_measured_as_it_stands_in_a_text(reader: Checkpoint) -> None:
    assert reader.tokenizer
    (the,), (he,) = (reader.tokenizer.encode(text) for text in (" the", " he"))
    found = sheetgpt.sweep(reader, "the king", token="the", minus="he")
    assert (found.token, found.minus, found.token_shown) == (the, he, "·the")
    assert found.effects == sheetgpt.sweep(reader, "the king", token=the, minus=he).effects


def test_the_divergence_is_none_between_equals_and_never_below() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=300) * 20
    assert kl_bits(logits, logits) == 0
    assert kl_bits(logits, logits + 1e-9 * rng.normal(size=300)) >= 0
    assert kl_bits(np.array([0.0, -2000.0]), np.array([-2000.0, 0.0])) == pytest.approx(2000 / np.log(2))


EDITED = np.load(GOLDEN / "edits.npz")
CASES: dict[str, dict[str, Any]] = json.loads(str(EDITED["cases"]))
ONE_OFF = [
    name
    for name, case in CASES.items()
    if len(case.get("switches", [])) == 1
    and case["switches"][0][2] == 0
    and not case.get("steering")
    and not case.get("patches")
]


def test_hooks_on_transformers_measure_the_same() -> None:
    assert ONE_OFF
    model = load(GOLDEN / "odd")
    exact: Any = {key: tensor.astype(np.float64) for key, tensor in model.params.items()}  # not the cells' decimals
    model = replace(model, params=exact)
    for name in ONE_OFF:
        block, part, _ = CASES[name]["switches"][0]
        mean = CASES[name].get("mode") == MEAN
        found = sheetgpt.sweep(model, ids=EDITED["ids"].tolist(), token=1, minus=2, mean=mean)
        theirs = EDITED[f"{name}.logits"][:, -1]
        (effect,) = [e for e in found.effects if (e.block, e.part) == (block, part)]
        assert np.isclose(found.plain.logit + effect.logit, theirs[1] - theirs[2], rtol=1e-10)


def test_bad_input_is_one_sentence(micro: Checkpoint) -> None:
    def asked(**more: Any) -> Any:
        return lambda: sheetgpt.patch_sweep(micro, ids=IDS, **{"patch_from": OTHER, **more})

    for call, sentence in [
        (lambda: sheetgpt.sweep(micro, ids=IDS, token=64), "no token 64"),
        (lambda: sheetgpt.sweep(micro, ids=IDS, minus="king"), "no tokenizer"),
        (lambda: sheetgpt.sweep(micro, ids=IDS, position=4), "no position 4"),
        (asked(patch_from=[64]), "Token id 64"),
        (asked(patch_from="king"), "no tokenizer"),
        (
            asked(parts=["neurons"]),
            "no part 'neurons': the parts are resid, attention, mlp, heads, and the heads 0 to 1",
        ),
        (asked(parts=["2"]), "no part '2'"),
    ]:
        with pytest.raises(SheetGPTError, match=sentence):
            call()
