"""What the Guide says of its experiments is what the bundled model does."""

from pathlib import Path

import openpyxl
import pytest

import sheetgpt
from sheetgpt.gpt2.checkpoint import Checkpoint, load
from sheetgpt.inspection.attention import head_table
from sheetgpt.inspection.subject import subject
from sheetgpt.sheets.guide_experiments import EXPERIMENTS

HEAD, LENS, PART, NEURON, WORDS = EXPERIMENTS


@pytest.fixture(scope="module")
def fairytale() -> Checkpoint:
    return load("fairytale")


def test_the_head_looks_at_people(fairytale: Checkpoint) -> None:
    prompt = "The king had a son and a daughter. The king had a son and a"
    assert prompt in HEAD.todo
    text = subject(fairytale, prompt, None)
    looked = sheetgpt.attention(fairytale, prompt, block=3, head=2).iloc[:, -1]
    assert [f"{share:.0%}" for share in looked.nlargest(3)] == ["26%"] * 3
    assert sorted(looked.nlargest(3).index) == ["·daughter", "·son", "·son"]
    induction = head_table(text)["induction"]
    assert induction.idxmax() == (3, 2)
    assert f"({induction.max():.0%} on average)" in HEAD.outcome


def test_the_answer_appears(fairytale: Checkpoint) -> None:
    prompt = "The old woman opened the"
    assert prompt in LENS.todo
    found = sheetgpt.lens(fairytale, prompt)
    assert found[1].iloc[-1] == found[1].iloc[-2] == "·door"
    assert found["rank"].tolist() == [596, 128, 12, 1, 1]
    assert all(f"number {rank}" in LENS.outcome for rank in (596, 128, 12))
    before, after = found["probability"].iloc[-2:]
    assert f"with {before:.0%}, and block 3 raises that to {after:.0%}" in LENS.outcome


def test_one_head_decides(fairytale: Checkpoint) -> None:
    prompt = "The king and the"
    assert prompt in PART.todo
    found = sheetgpt.contributions(fairytale, prompt)
    assert subject(fairytale, prompt, None).shown[found.attrs["token"]] == "·king"
    assert found["adds"].idxmax() == ("block 3", "head 2")
    assert f"adds {found['adds'].max():.2f} to a logit of {found.attrs['logit']:.2f}" in PART.outcome
    share = sheetgpt.attention(fairytale, prompt, block=3, head=2).loc["·king"].iloc[-1]
    assert f"gives {share:.0%} of its attention" in PART.outcome


def test_the_neuron_waits_for_a_thing(fairytale: Checkpoint) -> None:
    prompt = "Once upon a time there was a very pretty little"
    assert prompt in NEURON.todo
    found = sheetgpt.neuron(fairytale, prompt, block=3, number=191)["activation"]
    assert found[found > 0.2].index.tolist() == ["·a", "·a", "·very", "·pretty", "·little"]
    named = ["·castle", "·bed", "·table", "·palace"]
    promoted = sheetgpt.neuron_tokens(fairytale, block=3, number=191)["promotes"]
    assert promoted[promoted.isin(named)].tolist() == named
    assert (promoted.iloc[:3] == named[:3]).all()


def test_words_are_directions_now_and_then(fairytale: Checkpoint) -> None:
    def first(*words: str) -> str:
        found = sheetgpt.analogy(fairytale, *words).iloc[0]
        return f"“{found['token'][1:]}” ({found['cosine']:.2f})"

    near = sheetgpt.neighbours(fairytale, "king").iloc[0]
    assert first("king", "man", "woman") in WORDS.outcome
    assert near["token"] == "·queen"
    assert f"({near['cosine']:.2f})" in WORDS.outcome
    assert first("him", "he", "she") in WORDS.outcome
    assert sheetgpt.neighbours(fairytale, "him")["token"].iloc[0] == "·them"
    third = sheetgpt.analogy(fairytale, "went", "go", "come")["token"]
    assert (third.iloc[0], third.iloc[2]) == ("·passed", "·came")
    assert f"{fairytale.config.n_params / 1e6:.1f} million" in WORDS.outcome


def test_a_workbook_has_those_whose_sheets_it_has(micro: Checkpoint, micro_workbook: Path, tmp_path: Path) -> None:
    def questions(path: Path) -> list[str]:
        return [str(cell.value) for cell in openpyxl.load_workbook(path)["Guide"]["B"] if cell.value]

    every = [one.question for one in EXPERIMENTS]
    assert [word for word in questions(micro_workbook) if word in every] == every
    bare = sheetgpt.build(micro, tmp_path / "w.xlsx", ids=[1], context=2, sheets="lens", without="attention")
    assert [word for word in questions(bare) if word in every] == [LENS.question]
    assert sheetgpt.check(bare) == []
