"""The lens and the contributions: against `transformers` (make_golden.py), in Python, and on their sheets."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from patching import patch, set_formula, set_number
from places import GOLDEN
from some_sheets import defined_names, one_sheet

import sheetgpt
from sheetgpt.engines import Step, libreoffice
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.gpt2.model import forward
from sheetgpt.inspection import contributions as made_of
from sheetgpt.inspection import lens as seen
from sheetgpt.inspection.subject import Subject, subject
from sheetgpt.sheets.home import home as home_sheet
from sheetgpt.sheets.home.after import AFTER, used_now
from sheetgpt.sheets.home.prompt import FINE, NOTE
from sheetgpt.sheets.home.self_check import OTHER_INPUTS
from sheetgpt.sheets.inside import lens as lens_sheet
from sheetgpt.sheets.inside.contributions import page as contributions_sheet
from sheetgpt.sheets.inside.contributions.page import NOT_SCORED
from sheetgpt.sheets.inside.question import NO_POSITION, NO_TOKEN, NO_WORD
from sheetgpt.sheets.inside.token_words import id_now
from sheetgpt.sheets.state import State
from sheetgpt.verification.verify import Case, judge, prepare, verify
from sheetgpt.workbook.build import build
from sheetgpt.workbook.reopen import open_workbook

CASES = [*(f"{a}.{p}" for a in ("gelu_new", "gelu", "relu") for p in ("long", "one")), "0", "1", "2"]


def model_of(case: str) -> tuple[Checkpoint, list[int]]:
    """The model and the ids of a golden case."""
    if case.isdigit():
        return load("stories"), ids_of("stories.npz", case)
    odd = load(GOLDEN / "odd")
    activation = case.partition(".")[0]
    return replace(odd, config=replace(odd.config, activation_function=activation)), ids_of("odd.npz", case)


def ids_of(file: str, case: str) -> list[int]:
    return [int(i) for i in np.load(GOLDEN / file)[f"{case}.ids"]]


def read(checkpoint: Checkpoint, ids: list[int]) -> Subject:
    """With the weights' own bits, as `transformers` has them, in place of their decimals."""
    params = {name: tensor.astype(np.float64) for name, tensor in checkpoint.params.items()}
    shown = [str(i) for i in range(checkpoint.config.n_vocab)]
    return Subject(checkpoint.config, params, forward(params, checkpoint.config, ids), tuple(ids), shown)


@pytest.mark.parametrize("case", CASES)
def test_the_lens_agrees_with_transformers(case: str) -> None:
    checkpoint, ids = model_of(case)
    golden = np.load(GOLDEN / "inside.npz")
    text = read(checkpoint, ids)
    found = seen.look(text.params, text.config, text.trace, len(ids) - 1)
    top = np.array(found.top(10)).T
    np.testing.assert_array_equal(top, golden[f"{case}.lens_ids"])
    np.testing.assert_allclose(np.take_along_axis(found.logits, top, 0), golden[f"{case}.lens_logits"], rtol=1e-9)
    np.testing.assert_allclose(found.entropy, golden[f"{case}.lens_entropy"], rtol=1e-9, atol=1e-11)
    frame = seen.table(text)
    assert frame.index.tolist() == ["embedding", *(f"block {i}" for i in range(text.config.n_layer))]
    assert frame["rank"].iloc[-1] == 1
    assert frame[1].tolist() == [text.shown[id] for id in top[0]]


@pytest.mark.parametrize("case", CASES)
def test_the_contributions_agree_with_transformers(case: str) -> None:
    """Which were found by taking each part out of the last state, the final norm's variance held fixed."""
    checkpoint, ids = model_of(case)
    golden, text = np.load(GOLDEN / "inside.npz"), read(checkpoint, ids)
    found = made_of.of(text)
    adds, written = golden[f"{case}.adds"], golden[f"{case}.written"]
    np.testing.assert_allclose(found.values, adds, rtol=1e-9, atol=1e-9 * np.abs(adds).max())
    np.testing.assert_allclose(found.writes, written, rtol=1e-9, atol=1e-9 * np.abs(written).mean())
    assert adds.sum() == pytest.approx(text.trace["logits"][:, -1].max(), rel=1e-9)


def test_contributions_sum_to_the_logit_or_the_difference() -> None:
    for position, token, other in ((None, None, None), (2, 700, None), (4, 12, 13)):
        frame = sheetgpt.contributions(
            "stories", "Once upon a time there was", position=position, token=token, other=other
        )
        text = subject("stories", "Once upon a time there was", None)
        at = frame.attrs["position"]
        assert at == (len(text.ids) - 1 if position is None else position)
        logits = text.trace["logits"][:, at]
        wanted = logits[frame.attrs["token"]] - (0 if other is None else logits[other])
        assert frame["adds"].sum() == pytest.approx(wanted, rel=1e-9)
        assert frame.attrs["logit"] == pytest.approx(wanted, rel=1e-12)
        assert frame.loc[("final norm", "bias"), "adds"] != 0
        assert len(frame) == 2 + 4 * (4 + 3) + 1


def test_the_stream_ends_in_its_last_state() -> None:
    frame = made_of.residual("stories", "The king")
    assert len(frame) == 9
    assert frame["cosine"].iloc[-1] == pytest.approx(1)
    assert frame["written"].iloc[0] == frame["stream"].iloc[0]
    assert (frame["written"] > 0).all()


@pytest.mark.parametrize(
    ("asked", "words"),
    [({"position": 9}, "no position 9"), ({"position": -1}, "no position -1"), ({"token": 1920}, "no token 1920")],
)
def test_what_is_not_there_is_refused(asked: dict[str, Any], words: str) -> None:
    for function in (sheetgpt.lens, sheetgpt.contributions):
        with pytest.raises(SheetGPTError, match=words):
            function("stories", "The king", **asked)


# The sheets


@pytest.fixture(scope="module")
def inside(odd: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Only these two sheets beside the network."""
    return build(
        odd,
        tmp_path_factory.mktemp("inside") / "inside.xlsx",
        ids=[36, 0, 0, 7],
        context=9,
        new_tokens=2,
        without="attention",
    )


READ = ["contributions", "contributions_sum", "contributions_logit", "logits"]


@pytest.mark.parametrize(("name", "n"), [("micro", 50), ("stories", 4)])
def test_contributions_sum_to_the_logit_in_libreoffice(
    name: str, n: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Random prompts, positions, tokens and second tokens; the sheet's own sum and Output's own logit."""
    checkpoint = request.getfixturevalue(name) if name == "micro" else load(name)
    config, rng = checkpoint.config, np.random.default_rng(7)
    sizes: dict[str, Any] = {"prompt_bytes": 24, "merge_rounds": 3}
    workbook = build(checkpoint, tmp_path / "b.xlsx", ids=[1], context=6, without="attention,lens", **sizes)
    cases, steps = [], []
    for k in range(n):
        length = int(rng.integers(1, 7))
        ids = [int(i) for i in rng.integers(0, config.n_vocab, length)]
        position, token, other = (int(rng.integers(0, top)) for top in (length, config.n_vocab, config.n_vocab))
        asked: tuple[Any, Any, Any] = (position, token, other if k % 2 else None)
        cases.append((ids, asked))
        names = ("contributions_position", "contributions_token", "contributions_other")
        steps.append(Step({"prompt_ids": ids, "score_prompt": 1, **dict(zip(names, asked, strict=True))}, READ))
    for (ids, (position, token, other)), cells in zip(cases, libreoffice.run(workbook, steps), strict=True):
        numbers = {name: cells[name].numbers for name in READ if cells[name] is not None}  # type: ignore[union-attr]
        logits = numbers["logits"][:, position]
        wanted = logits[token] - (0 if other is None else logits[other])
        total, logit = numbers["contributions_sum"][0, 0], numbers["contributions_logit"][0, 0]
        assert logit == wanted, (ids, position, token, other)
        assert total == pytest.approx(wanted, rel=1e-9, abs=1e-9), (ids, position, token, other)
        frame = sheetgpt.contributions(checkpoint, ids=ids, position=position, token=token, other=other)
        np.testing.assert_allclose(numbers["contributions"][0], frame["adds"], rtol=1e-9, atol=1e-11)


ASKED: tuple[dict[str, Any], ...] = (
    {},
    {"contributions_position": 0, "lens_position": 0, "lens_token": 36},
    {"contributions_position": 2.9, "contributions_token": 5.5, "lens_position": 2, "lens_token": 0.5},
    {"contributions_other": 7, "contributions_position": "", "lens_position": ""},
    {"contributions_token": 7, "contributions_other": 7},
    {"contributions_position": 6, "contributions_token": 37, "lens_position": -1, "lens_token": 99},
    {"contributions_position": "last", "lens_position": "Prompt", "next_position": "last"},
    {"lens_position": "LAST", "next_position": 5, "contributions_position": 5},
    {"next_position": 2, "lens_position": 7},
    {"next_position": -1, "contributions_token": 37, "lens_token": 99},
    {
        "contributions_position": "two",
        "next_position": "two",
        "contributions_token": "x",
        "contributions_other": "y",
        "lens_token": "x",
    },
)


@pytest.mark.parametrize("score", [True, False])
def test_whatever_is_asked_every_cell_is_verified(inside: Path, odd: Checkpoint, tmp_path: Path, score: bool) -> None:
    """Without scores the Output sheet has no logits before the last token of the prompt."""
    workbook = (
        inside
        if score
        else build(odd, tmp_path / "b.xlsx", ids=[36, 0, 0, 7], context=9, new_tokens=2, score_prompt=False)
    )
    case = prepare(workbook, {}, odd.source, as_saved=True)
    assert isinstance(case, Case)
    cases = [replace(case, state=asking(case.state, asked)) for asked in ASKED]
    steps = [Step(asked_now(one), [*one.areas.values()], hard=k % 2 == 0) for k, one in enumerate(cases)]
    said = set()
    for one, found in zip(cases, libreoffice.run(workbook, steps), strict=True):
        report = judge(one, "libreoffice", found)
        assert report.passed, (one.state.chosen, report.frame()[lambda f: ~f.passed].to_string())
        for title in ("Contributions", "Lens"):
            cells = found[one.areas[title]]
            assert cells is not None
            said |= {text for text in cells.texts.values() if text.startswith(NOTE) or text == FINE}
    expected = [FINE, NO_POSITION, NO_TOKEN, NO_WORD, *([] if score else [NOT_SCORED])]
    for words in expected:
        assert any(words in text for text in said), (words, said)


WORDS = ("the", "·the", " the", "king", "Zz", "é", "", "a" * 25, "x👍", "↵", 7, 4.5, 9999, "THE")


def test_a_token_is_asked_for_by_a_word(reader: Checkpoint, tmp_path: Path) -> None:
    """With a space before it, or else as it is typed; what no token is, is said."""
    sizes: dict[str, Any] = {"context": 6, "new_tokens": 1, "prompt_bytes": 16, "merge_rounds": 4}
    path = build(reader, tmp_path / "w.xlsx", prompt="the king", sheets="lens", without="attention,neuron", **sizes)
    case = prepare(path, {}, reader.source, as_saved=True)
    assert isinstance(case, Case)
    asked = [{"contributions_token": word, "contributions_other": "of", "lens_token": word} for word in WORDS]
    cases = [replace(case, state=asking(case.state, one)) for one in asked]
    steps = [Step(asked_now(one), [*one.areas.values()], hard=False) for one in cases]
    said = {}
    for word, one, found in zip(WORDS, cases, libreoffice.run(path, steps), strict=True):
        report = judge(one, "libreoffice", found)
        assert report.passed, (word, report.frame()[lambda f: ~f.passed].to_string())
        cells = found[one.areas["Lens"]]
        assert cells is not None
        said[word] = next(text for text in cells.texts.values() if text.startswith(NOTE) or text == FINE)
    no_word = {word for word, text in said.items() if NO_WORD in text}
    assert no_word == {"king", "Zz", "é", "a" * 25, "x👍", "THE"}
    assert NO_TOKEN in said[9999]
    the = [one.state.shown[id_now(word, one.state.hexes) or 0] for word, one in zip(WORDS[:3], cases, strict=False)]
    assert the == ["·the"] * 3


def asking(state: State, asked: dict[str, Any]) -> State:
    """What the sheets show of the same text where something else is asked."""
    chosen, n_prompt = {**state.chosen, **asked}, state.prompt.n_prompt
    at = used_now(chosen[AFTER], state.layout, state.prompt.ids, n_prompt, state.inputs.score_prompt)
    check = state.now.self_check if at == n_prompt - 1 else OTHER_INPUTS
    now = replace(state.now, after=at, logits=state.trace["logits"][:, at], self_check=check)
    return replace(state, chosen=chosen, now=now)


def asked_now(case: Case) -> dict[str, Any]:
    return {**case.puts, **{name: None if value == "" else value for name, value in case.state.chosen.items()}}


def test_what_is_chosen_is_read_back(inside: Path, odd: Checkpoint, tmp_path: Path) -> None:
    """A workbook that was saved with other choices is verified with them."""
    places = defined_names(inside)
    cells = {
        name: places[name].rpartition("!")[2].replace("$", "") for name in ("contributions_position", "lens_token")
    }
    changed = patch(
        *(inside, tmp_path / "chosen.xlsx"),
        {"Contributions": set_number(cells["contributions_position"], 1), "Lens": set_number(cells["lens_token"], 9)},
    )
    chosen = open_workbook(changed).chosen
    assert (chosen["contributions_position"], chosen["lens_token"]) == (1, 9)
    assert verify(changed, model=odd.source).passed


def aside_row(workbook: Path) -> int:
    """Where another sheet's line stands on Home: below the table."""
    return home_sheet.page(open_workbook(workbook).layout).row


def test_a_broken_formula_is_named(inside: Path, odd: Checkpoint, tmp_path: Path) -> None:
    """A part's number in the table, a rank, a link on Home: nothing else depends on these."""
    layout = open_workbook(inside).layout
    heat = contributions_sheet.page(layout)["heat"].line(1).stripe(2).cells
    rank = lens_sheet.page(layout)["rank"]
    aside = f"C{aside_row(inside)}"
    changes = {
        "Contributions": set_formula(heat, lambda formula: f"{formula}*1.00001"),
        "Lens": set_formula(rank.stripe(1).cells, lambda formula: f"1+{formula}"),
        "Home": set_formula(aside, lambda formula: f"-{formula}"),
    }
    broken = patch(inside, tmp_path / "broken.xlsx", changes)
    assert verify(broken, engine="cached", model=odd.source).passed
    wrong = verify(broken, model=odd.source).wrong_cells
    assert {f"Contributions!{heat}", f"Lens!{rank.stripe(1).cells}", f"Home!{aside}"} <= set(wrong)


def test_home_says_which_parts_decided(inside: Path, odd: Checkpoint, tmp_path: Path) -> None:
    """The three strongest, with a link; nothing where the sheet is left out."""
    home = one_sheet(inside, "Home", values=True)
    line = [cell.value for cell in home[aside_row(inside)]]
    frame = sheetgpt.contributions(odd, ids=open_workbook(inside).prompt_ids)
    strongest = frame["adds"].reindex(frame["adds"].abs().sort_values(ascending=False).index)[:3]
    assert [line[c] for c in (2, 5, 9)] == pytest.approx(strongest.tolist())
    assert [line[c] for c in (3, 6, 10)] == [" ".join(name) for name in strongest.index]
    link = home.cell(aside_row(inside), 1).hyperlink
    assert link is not None
    assert str(link.location).startswith("'Contributions'!A")
    bare = build(odd, tmp_path / "bare.xlsx", ids=[36], context=4, without="lens,contributions,attention")
    assert not any(cell.value for cell in one_sheet(bare, "Home")[aside_row(bare)])
    assert sheetgpt.check(inside) == []
