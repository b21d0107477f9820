"""The sheets Neuron and Embedding: against the contributions and brute force, in Python, on the sheets, printed."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from judging import case_of, judged, wrong
from patching import in_order, patch, set_formula, set_number
from ready import Command
from some_sheets import defined_names

import sheetgpt
from sheetgpt import sheets as registry
from sheetgpt.engines import Step, cached, libreoffice
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.inspection import contributions as made_of
from sheetgpt.inspection import embedding, neuron
from sheetgpt.inspection.subject import subject
from sheetgpt.sheets.inside.embedding.page import alike
from sheetgpt.sheets.inside.embedding.words import EMBEDDING, SEVERAL
from sheetgpt.sheets.inside.neuron.chosen import NEURON, TOKENS_PART
from sheetgpt.sheets.inside.neuron.page import page as neuron_page
from sheetgpt.text.shown import token_strings
from sheetgpt.verification.verify import Case, verify
from sheetgpt.workbook.optional import choose
from sheetgpt.workbook.reopen import open_workbook

BESIDE = "attention,lens,contributions"  # left out: these tests have nothing to do with them
PROMPT = "Once upon a time there was a"


# In Python


def test_neurons_add_up_to_what_the_mlp_adds_to_a_logit() -> None:
    """Activation × rstd × effect, over all neurons of a block, is the MLP's line of the contributions."""
    text = subject("fairytale", PROMPT, None)
    found = made_of.of(text, 5, 928)
    rstd = text.trace["ln_f.rstd"][0, 5]
    for block in range(text.config.n_layer):
        every = np.stack([neuron.direction(text.params, block, n) for n in range(text.config.n_inner)])
        adds = text.trace[f"h{block}.mlp.act"][:, 5] @ (every @ text.params["wte"][928]) * rstd
        (mlp,) = (k for k, part in enumerate(found.parts) if part.name == f"block {block} MLP")
        assert adds == pytest.approx(found.values[mlp], rel=1e-9)


def test_a_neuron_on_a_text() -> None:
    frame = sheetgpt.neuron("fairytale", PROMPT, block=3, number=191)
    assert frame.index.tolist()[-1] == "·a"
    assert frame["activation"].idxmax() == "·a"
    assert (frame["activation"] <= frame["sum"].clip(lower=0) + 1e-12).all()
    most = sheetgpt.active_neurons("fairytale", PROMPT, block=3)
    assert most["activation"].is_monotonic_decreasing
    assert sheetgpt.neuron("fairytale", PROMPT, block=3).attrs["number"] == most["neuron"].iloc[0]
    tokens = sheetgpt.neuron_tokens("fairytale", block=3, number=191)
    assert tokens["promotes"].tolist()[:3] == ["·castle", "·bed", "·table"]
    assert tokens["adds"].is_monotonic_decreasing
    assert tokens["takes"].is_monotonic_increasing


def test_neighbours_and_analogies_are_those_of_brute_force() -> None:
    table = load("fairytale").params["wte"].astype(np.float64)
    unit = table / np.linalg.norm(table, axis=1, keepdims=True)
    frame = sheetgpt.neighbours("fairytale", "king")
    assert frame["token"].tolist()[:3] == ["·queen", "·emperor", "·King"]
    assert sheetgpt.neighbours("fairytale", 534).equals(frame)
    near = unit @ unit[534]
    assert frame["id"].tolist() == np.argsort(-near)[1:11].tolist()
    np.testing.assert_allclose(frame["cosine"], near[frame["id"]], rtol=1e-6)
    found = sheetgpt.analogy("fairytale", "king", "man", "woman")
    assert found["token"].iloc[0] == "·queen"
    assert not {"·king", "·man", "·woman"} & {*found["token"]}


@pytest.mark.parametrize("word", ["princesses", "", 2048, -1])
def test_what_is_no_token_is_refused(word: str | int) -> None:
    with pytest.raises(SheetGPTError, match=r"several tokens|no token"):
        sheetgpt.neighbours("fairytale", word)


def test_a_block_or_neuron_that_is_not_there_is_refused() -> None:
    for block, number, words in ((4, 0, "no block 4"), (0, 512, "no neuron 512")):
        with pytest.raises(SheetGPTError, match=words):
            sheetgpt.neuron("fairytale", "The king", block=block, number=number)


def test_the_map_spreads_as_far_as_any_two_directions() -> None:
    table, _ = embedding.embeddings("fairytale")
    ids = np.arange(300, 420)
    found = embedding.map_of(table[ids], ids)
    np.testing.assert_allclose(found.axes @ found.axes.T, np.eye(2), atol=1e-12)
    spread = (found.places(table[ids]) ** 2).sum(axis=0)
    singular = np.linalg.svd(table[ids] - table[ids].mean(axis=0), compute_uv=False)[:2]
    np.testing.assert_allclose(spread, singular**2, rtol=1e-9)


# The sheets


@pytest.fixture(scope="module")
def inside(reader: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workbook that reads text, with these two sheets alone."""
    sizes: dict[str, Any] = {"prompt_bytes": 24, "merge_rounds": 6, "context": 8}
    target = tmp_path_factory.mktemp("neuron") / "neuron.xlsx"
    return sheetgpt.build(reader, target, prompt="the king", new_tokens=0, without=BESIDE, **sizes)


@pytest.fixture(scope="module")
def whole(odd: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whole numbers, three blocks, an unembedding of its own, ids."""
    target = tmp_path_factory.mktemp("neuron") / "odd.xlsx"
    return sheetgpt.build(odd, target, ids=[36, 0, 0, 7], context=7, weights="int8", without=BESIDE)


def asking(path: Path, asked: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> Case:
    """The case in which these stand in the yellow cells."""
    case = case_of(path, dict(given or {}))
    blank = {name: None if value == "" else value for name, value in asked.items()}
    return replace(case, state=replace(case.state, chosen={**case.state.chosen, **asked}), puts={**case.puts, **blank})


WORDS = ("word", "a", "b", "c")


def words(*typed: Any) -> dict[str, Any]:
    return {f"embedding_{name}": value for name, value in zip(WORDS, typed, strict=True)}


def neurons(*typed: Any) -> dict[str, Any]:
    names = ("neuron_block", "neuron_number", "neuron_position")
    return dict(zip(names, typed, strict=True))


TYPED: list[dict[str, Any]] = [
    words("the", "the", "he", "The") | neurons(0, 0, 0),
    words(" the", "·and", "he", "in") | neurons(0, 3, 1),
    words("THE", "a", "princess", "") | neurons("", "", ""),
    words(511, 0, 5.5, 511) | neurons(0.5, 2.25, "Last"),
    words(512, -1, 7, 7) | neurons(1, 4, 99),
    words("", "*", "?", '"') | neurons("block", -1, "x"),
    words("e", "e", "e", "e") | neurons(1e300, 1, -1),
]


def test_whatever_is_typed_is_verified(inside: Path) -> None:
    found = judged(inside, {str(asked): asking(inside, asked) for asked in TYPED})
    assert {name: [*bad.items()][:4] for name, bad in found.items() if bad} == {}


def test_whatever_is_asked_of_another_model_is_verified(whole: Path) -> None:
    cases = {
        f"{asked}, {ids}": asking(whole, asked, {"ids": ids})
        for ids, asked in (
            ([36], words(36, 1, 2, 3) | neurons(0, 21, 0)),
            ([1, 2, 3, 4, 5, 6, 7], words(0, 36, 36, 0) | neurons(1, 5, 6)),
            ([5, 5], words("king", 0, 1, 2) | neurons(2, 22, 1)),
        )
    }
    found = judged(whole, cases)
    assert {name: [*bad.items()][:4] for name, bad in found.items() if bad} == {}


def test_the_sheets_say_what_python_says(inside: Path, reader: Checkpoint) -> None:
    names = ["neuron_activation", "neuron_active", "neuron_promotes", "embedding_nearest", "embedding_analogy"]
    case = asking(inside, words("the", "he", "in", "and") | neurons(0, 2, 1))
    (cells,) = libreoffice.run(inside, [Step(case.puts, names)])
    found = {name: one.numbers for name, one in cells.items() if one is not None}
    ids = open_workbook(inside).ids
    own = sheetgpt.neuron(reader, ids=ids, block=0, number=2)
    np.testing.assert_allclose(found["neuron_activation"][0, : len(ids)], own["activation"], rtol=1e-9, atol=1e-12)
    active = sheetgpt.active_neurons(reader, ids=ids, block=0, position=1)
    assert found["neuron_active"][:, 0].tolist() == active["neuron"].tolist()
    tokens = sheetgpt.neuron_tokens(reader, block=0, number=2)
    np.testing.assert_allclose(found["neuron_promotes"][:, 1], tokens["adds"], rtol=1e-9)
    for name, frame in (
        ("embedding_nearest", sheetgpt.neighbours(reader, "the")),
        ("embedding_analogy", sheetgpt.analogy(reader, "he", "in", "and")),
    ):
        assert found[name][:, 1].tolist() == frame["id"].tolist()
        np.testing.assert_allclose(found[name][:, 0], frame["cosine"], rtol=1e-9)


def test_a_word_of_several_tokens_says_so(inside: Path) -> None:
    """As the workbook is built: so small a vocabulary has no dog."""
    cells = cached.recalculate(inside, {}, [f"{EMBEDDING}!A1:F20"])[f"{EMBEDDING}!A1:F20"]
    assert cells is not None
    assert any(SEVERAL in text for text in cells.texts.values())
    assert sheetgpt.check(inside) == []


def test_a_broken_formula_is_named(inside: Path, tmp_path: Path) -> None:
    state = case_of(inside, {}).state
    at, beside = neuron_page(state.layout), alike(state.layout, [*embedding.common(state.hexes)]).page
    changed = {
        NEURON: [
            *(at["activation"].stripe(1), at["active"].line(1).stripe(1), at["tokens"].line(9)),
            *(at["direction"].line(0), *(at[name].line(0).stripe(1) for name in ("promotes", "suppresses"))),
        ],
        EMBEDDING: [beside["map"].line(2).stripe(0), beside["lengths"].line(7), beside["place 1"].line(1)],
    }
    changes = {
        title: in_order(*(set_formula(area.cells, lambda f: f"IF(1,({f})*1.0000001+1E-9)") for area in areas))
        for title, areas in changed.items()
    }
    report = verify(patch(inside, tmp_path / "broken.xlsx", changes), wrong_cells=None)
    assert {f"{title}!{area.cells}" for title, areas in changed.items() for area in areas} <= {*report.wrong_cells}


def test_the_map_stays_where_it_was_when_weights_are_edited(inside: Path, reader: Checkpoint, tmp_path: Path) -> None:
    """Its directions are constants of the build; the tokens on it move."""
    axes = open_workbook(inside).axes
    assert axes is not None
    (on_the_map, *_) = embedding.common(token_strings(reader.tokenizer, reader.config.n_vocab)[1])
    cell = open_workbook(inside).layout.tensor("wte").areas[0].stripe(int(on_the_map)).line(0).cells
    edited = patch(inside, tmp_path / "edited.xlsx", {"wte": set_number(cell, 0.75)})
    report = verify(edited, model=reader.source, weights_from_workbook=True)
    assert report.passed, wrong(report)
    places = defined_names(inside)["embedding_axes"]
    first = places.rpartition("!")[2].partition(":")[0].replace("$", "")
    turned = patch(inside, tmp_path / "turned.xlsx", {EMBEDDING: set_number(first, 0.5)})
    assert f"{EMBEDDING}!{first}" in verify(turned, wrong_cells=None).wrong_cells


def test_a_large_model_goes_without_the_vocabulary(odd: Checkpoint, tmp_path: Path) -> None:
    assert {"neuron", TOKENS_PART, "embedding"} <= {*choose(None)}
    assert {*choose(None, large=True)} & {"neuron", TOKENS_PART, "embedding"} == {"neuron"}
    assert {"neuron", TOKENS_PART} <= {*choose("neuron", large=True)}
    assert not {"neuron", TOKENS_PART} & {*choose("all", "neuron")}
    path = sheetgpt.build(odd, tmp_path / "w.xlsx", ids=[1, 2], context=3, sheets="none", without=BESIDE)
    assert open_workbook(path).layout.optional == ("map", "exercises", "neuron")
    names = {*defined_names(path)}
    assert "neuron_active" in names
    assert "neuron_promotes" not in names
    report = verify(path, model=odd.source)
    assert report.passed, wrong(report)
    assert sheetgpt.check(path) == []
    layout = open_workbook(path).layout
    sizes = [
        registry.optional_formulas(replace(layout, optional=one)) for one in (("neuron",), ("neuron", TOKENS_PART))
    ]
    assert sizes[1] - sizes[0] > layout.config.n_vocab


def test_they_are_printed(inside: Path, reader: Checkpoint, sheetgpt_command: Command) -> None:
    def look(*asked: object) -> tuple[int, str, str]:
        return sheetgpt_command("look", inside, *asked, "--model", reader.source)

    status, said, _ = look("neuron", "--neuron", 2, "--position", 0)
    assert status == 0
    assert "Block 0, neuron 2, on every token:" in said
    assert sheetgpt.neuron_tokens(reader, block=0, number=2)["promotes"].iloc[0] in said
    for asked, frame in (
        (("neighbours", "the"), sheetgpt.neighbours(reader, "the")),
        (("analogy", "he", 84, "in"), sheetgpt.analogy(reader, "he", 84, "in")),
    ):
        status, said, _ = look(*asked)
        assert status == 0
        assert all(token in said for token in frame["token"])
    assert look("lens")[1].count("\n") == 4
    assert "all of them, the logit" in look("contributions", "--other", 3)[1]
    refused: list[tuple[Any, ...]] = [
        ("neighbours",),
        ("neuron", "--block", 1),
        ("lens", "--position", 99),
        ("contributions", "--token", -1),
    ]
    for words in refused:
        status, said, problem = look(*words)
        assert status == 2, (words, said)
        assert problem.startswith("sheetgpt: ")
