"""Continuations under edits: against `continue_ids` where nothing is edited, against whole runs where something is."""

import json
from typing import Any

import numpy as np
import pytest
from places import GOLDEN

import sheetgpt
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.gpt2.editing.edited import edited_choices
from sheetgpt.gpt2.editing.edits import MEAN, Changes, Edits, Patch, Steering
from sheetgpt.gpt2.generation.continuation import continue_ids
from sheetgpt.gpt2.generation.sampling import Choice, Sampling
from sheetgpt.gpt2.model import Trace, as_cells, forward

IDS: tuple[int, ...] = (5, 9, 33, 2)
OTHER = (7, 9, 1)
NOTHING = Edits(steering=(Steering(1, 3, 4, 0.0),))  # edits that change no number, but go the long way


def params_of(model: Checkpoint) -> dict[str, np.ndarray]:
    return {name: as_cells(tensor) for name, tensor in model.params.items()}


def choices(
    model: Checkpoint, edits: Edits, other: Trace | None = None, stop: tuple[int, ...] = (), new_tokens: int = 6
) -> list[Choice]:
    sampling = Sampling(0.8, 40, 1.0, 7)
    return [*edited_choices(params_of(model), model.config, IDS, sampling, new_tokens, stop, edits, other)]


def trace(model: Checkpoint, ids: tuple[int, ...], edits: Edits, other: Trace | None = None) -> Trace:
    params = params_of(model)
    return forward(params, model.config, ids, change=Changes(edits, model.config, params["wte"], other))


@pytest.mark.parametrize("edits", [Edits(), Edits({(0, 1): 1.0, (1, "mlp"): 1.0}, MEAN)])
def test_without_edits_every_bit_is_that_of_the_plain_continuation(micro: Checkpoint, edits: Edits) -> None:
    plain = [*continue_ids(params_of(micro), micro.config, IDS, Sampling(0.8, 40, 1.0, 7), 6)]
    assert choices(micro, edits) == plain


def test_the_long_way_chooses_the_same_tokens(micro: Checkpoint) -> None:
    long, plain = choices(micro, NOTHING), choices(micro, Edits())
    assert [choice.ids for choice in long] == [choice.ids for choice in plain]
    assert [choice.id for choice in long] == [choice.id for choice in plain]
    for ours, theirs in zip(long, plain, strict=True):
        assert np.allclose(ours.logits, theirs.logits, rtol=1e-12)


def test_each_choice_is_that_of_a_whole_run(micro: Checkpoint) -> None:
    edits = Edits({(0, 1): 0.0, (1, "mlp"): 2.0}, MEAN, (Steering(1, 3, 4, 2.5, 2),), (Patch(0, 0, 1),))
    other = trace(micro, OTHER, Edits())
    made, ids = choices(micro, edits, other), IDS
    for choice in made:
        logits = trace(micro, ids, edits, other)["logits"][:, -1]
        assert np.array_equal(np.sort(logits)[::-1][:40], choice.logits)
        ids = (*ids, choice.id)
    assert [c.id for c in made] != [c.id for c in choices(micro, Edits())]
    assert [c.id for c in choices(micro, edits, other, stop=(made[1].id,))] == [c.id for c in made[:2]]


def test_a_patch_waits_for_its_position(micro: Checkpoint) -> None:
    """Position 5 comes with the second new token, so the first that the patch can change is the third."""
    other = trace(micro, (7, 9, 1, 60, 12, 40), Edits())
    plain, patched = choices(micro, NOTHING), choices(micro, Edits(patches=(Patch(0, "resid", 5),)), other)
    assert plain[:2] == patched[:2]
    assert plain[2].logits != patched[2].logits


@pytest.mark.parametrize("part", [0, "mlp", "resid"])
def test_a_patch_at_a_position_that_one_of_the_runs_lacks_does_nothing(micro: Checkpoint, part: int | str) -> None:
    other = trace(micro, OTHER, Edits())
    for position in (3, 9, 15):  # the other run has 0 to 2, the text 0 to 3
        edited = trace(micro, IDS, Edits(patches=(Patch(1, part, position),)), other)
        assert np.array_equal(edited["logits"], trace(micro, IDS, Edits())["logits"])
        assert choices(micro, Edits(patches=(Patch(1, part, position),)), other) == choices(micro, NOTHING)


def test_the_changes_say_what_came_and_what_left(micro: Checkpoint) -> None:
    params, edits = params_of(micro), Edits({(1, 0): 0.5, (0, "mlp"): 0.0}, steering=(Steering(1, 3, None, 2.0),))
    changes = Changes(edits, micro.config, params["wte"])
    run = forward(params, micro.config, IDS, change=changes)
    names = {f"h{i}.{what}" for i in range(2) for what in ("resid_pre", "attn.z", "mlp.out")}
    assert set(changes.raw) == set(changes.made) == names
    assert np.array_equal(changes.made["h1.attn.z"], run["h1.attn.z"])
    assert np.array_equal(changes.made["h1.attn.z"][:8], 0.5 * changes.raw["h1.attn.z"][:8])
    assert np.array_equal(changes.raw["h1.resid_pre"], run["h0.resid_post"])
    assert np.array_equal(changes.made["h1.resid_pre"], run["h0.resid_post"] + 2 * params["wte"][3][:, None])
    assert changes.raw["h0.mlp.out"].any()
    assert not changes.made["h0.mlp.out"].any()
    assert changes == Changes(edits, micro.config, params["wte"])  # what was recorded is no part of what they are


@pytest.mark.parametrize(
    ("edits", "sentence"),
    [(Edits({(2, 0): 0.0}), "no block 2"), (Edits(patches=(Patch(0, 0, 0),)), "another run: there is none")],
)
def test_bad_edits_are_refused_before_anything_is_computed(micro: Checkpoint, edits: Edits, sentence: str) -> None:
    with pytest.raises(SheetGPTError, match=sentence):
        edited_choices({}, micro.config, IDS, Sampling(), 1, (), edits)


def test_hooks_on_transformers_choose_among_the_same() -> None:
    """Every case of the golden file: its edits' logits after the last token are those that a token is chosen from."""
    golden = GOLDEN
    found = np.load(golden / "edits.npz")
    cases = json.loads(str(found["cases"]))
    model = load(golden / "odd")
    params = {key: np.asarray(tensor, np.float64) for key, tensor in model.params.items()}
    other, ids = forward(params, model.config, found["other"].tolist()), found["ids"].tolist()
    for name, case in cases.items():
        edits = Edits(
            {(block, part): factor for block, part, factor in case.get("switches", [])},
            case.get("mode", "zero"),
            tuple(Steering(*steer) for steer in case.get("steering", [])),
            tuple(Patch(*patch) for patch in case.get("patches", [])),
        )
        (choice,) = edited_choices(params, model.config, ids, Sampling(top_k=64), 1, (), edits, other)
        theirs = found[f"{name}.logits"][:, -1]
        assert np.allclose(choice.logits, theirs[list(choice.ids)], rtol=0, atol=1e-11 * np.abs(theirs).max()), name


def test_generate_takes_edits(micro: Checkpoint) -> None:
    settings: Any = {"ids": IDS, "new_tokens": 6, "temperature": 0.8, "seed": 7}
    plain = sheetgpt.generate(micro, **settings)
    assert sheetgpt.generate(micro, **settings, edits=Edits(), patch_from=OTHER) == plain
    edits = sheetgpt.parse_edits(micro, off="0.1", patch="1.resid@1-3")
    edited = sheetgpt.generate(micro, **settings, edits=edits, patch_from=OTHER)
    params = {name: np.asarray(tensor, np.float64) for name, tensor in micro.params.items()}
    other = forward(params, micro.config, OTHER)
    sampling = Sampling(0.8, 40, 1.0, 7)
    assert edited.steps == (*edited_choices(params, micro.config, IDS, sampling, 6, (), edits, other),)
    assert edited.ids != plain.ids
    streamed = [choice for _, _, choice in sheetgpt.stream(micro, **settings, edits=edits, patch_from=OTHER)]
    assert tuple(streamed) == edited.steps
    assert sheetgpt.generate(micro, **settings, edits=edits, patch_from=OTHER, dtype=np.float32).steps


def test_the_other_text_is_cut_as_the_prompt_is(micro: Checkpoint) -> None:
    """Of six columns two are for new tokens: of both texts the last four tokens are read."""
    settings: Any = {"new_tokens": 2, "context": 6, "temperature": 0, "edits": Edits(patches=(Patch(0, "resid", 3),))}
    long = sheetgpt.generate(micro, ids=[1, *IDS], patch_from=[2, 7, 9, 1, 60], **settings)
    assert long.steps == sheetgpt.generate(micro, ids=IDS, patch_from=[7, 9, 1, 60], **settings).steps


@pytest.mark.parametrize(
    ("edits", "patch_from", "sentence"),
    [
        (Edits(patches=(Patch(0, 0, 1),)), None, "give its prompt as patch_from"),
        (Edits(patches=(Patch(0, 0, 3), Patch(0, 0, 9))), OTHER, "position 3, and the two texts have 5 and 3 tokens"),
        (Edits(patches=(Patch(0, 0, 0),)), [64], "Token id 64"),
        (Edits({(0, 2): 0.0}), None, "no head 2"),
    ],
)
def test_generate_refuses_edits_that_cannot_be(micro: Checkpoint, edits: Edits, patch_from: Any, sentence: str) -> None:
    with pytest.raises(SheetGPTError, match=sentence):
        sheetgpt.generate(micro, ids=IDS, new_tokens=2, edits=edits, patch_from=patch_from)
