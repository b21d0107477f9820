"""What the Guide says of its experiments is what the bundled model does."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from some_sheets import one_sheet

import sheetgpt
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.gpt2.editing.edits import Changes, Edits, Patch, Steering
from sheetgpt.gpt2.generation.sampling import probabilities
from sheetgpt.gpt2.model import Trace, forward
from sheetgpt.inspection.attention import head_table
from sheetgpt.inspection.subject import subject
from sheetgpt.sheets.guide.assistant import (
    ANSWERED,
    ASKED,
    GAP,
    GOES_ON,
    GOES_ON_WRAPPED,
    LINES,
    MADE_UP,
    TRY,
    TRY_HERE,
    UNKNOWN,
    lines,
)
from sheetgpt.sheets.guide.class_plan import plan
from sheetgpt.sheets.guide.experiments import EXPERIMENTS, HERE, IN_LAB, elsewhere, offered
from sheetgpt.sheets.layout import Layout
from sheetgpt.text.chat import Chat
from sheetgpt.workbook.build import planned

HEAD, LENS, PART, NEURON, WORDS, OFF, STEERED, PATCHED = EXPERIMENTS


@pytest.fixture(scope="module")
def model() -> Checkpoint:
    return load()


def test_the_head_looks_at_what_came_after(model: Checkpoint) -> None:
    prompt = "Lily had a red ball and Tom had a blue hat. Lily liked her red"
    assert prompt in HEAD.todo
    looked = sheetgpt.attention(model, prompt, block=3, head=0).iloc[:, -1].nlargest(2)
    assert [*looked.index] == ["·ball", "·hat"]
    assert all(f"“{str(token)[1:]}” ({share:.0%})" in HEAD.outcome for token, share in looked.items())
    induction = head_table(subject(model, prompt, None))["induction"]
    assert induction.idxmax() == (3, 0)
    assert f"({induction.max():.0%} on average)" in HEAD.outcome


def test_the_answer_appears(model: Checkpoint) -> None:
    prompt = "The bird flew up into the"
    assert prompt in LENS.todo
    found = sheetgpt.lens(model, prompt)
    assert found[1].iloc[-1] == "·sky"
    assert found["rank"].tolist() == [1408, 816, 155, 6, 1]
    assert all(f"number {rank}" in LENS.outcome for rank in (1408, 816, 155, 6))
    before, after = found["probability"].iloc[-2:]
    assert f"with {before:.0%}. Block 3 makes it the likeliest, with {after:.0%}" in LENS.outcome


def test_one_head_decides(model: Checkpoint) -> None:
    prompt = "Mia had a cat. The cat was named Sue. Mia loved her"
    assert prompt in PART.todo
    found = sheetgpt.contributions(model, prompt)
    assert subject(model, prompt, None).shown[found.attrs["token"]] == "·cat"
    assert found["adds"].idxmax() == ("block 3", "head 2")
    assert f"adds {found['adds'].max():.2f} to a logit of {found.attrs['logit']:.2f}" in PART.outcome
    looked = sheetgpt.attention(model, prompt, block=3, head=2).iloc[:, -1]
    share = looked[looked.index == "·cat"].sum()
    assert f"gives {share:.0%} of its attention" in PART.outcome


def test_the_neuron_waits_for_a_quality(model: Checkpoint) -> None:
    prompt = "The dog was very big and very"
    assert prompt in NEURON.todo
    found = sheetgpt.neuron(model, prompt, block=3, number=208)["activation"]
    fires = found[found > 0.2]
    assert fires.index.tolist() == ["·very", "·and", "·very"]
    very, between, again = fires
    assert f"“very” ({very:.1f} and {again:.1f}) and at “and” ({between:.1f})" in NEURON.outcome
    promoted = sheetgpt.neuron_tokens(model, block=3, number=208)["promotes"].iloc[:4]
    words = [f"“{token[1:]}”" for token in promoted]
    assert f"{words[0]}, {words[1]}, {words[2]} and {words[3]}" in NEURON.outcome


def test_words_are_directions_now_and_then(model: Checkpoint) -> None:
    near = {word: sheetgpt.neighbours(model, word).iloc[0] for word in ("him", "went", "mom")}
    for a, b, c in (("him", "he", "she"), ("went", "go", "come"), ("mom", "girl", "boy")):
        assert f"{a} − {b} + {c}" in WORDS.todo
        found = sheetgpt.analogy(model, a, b, c).iloc[0]
        assert f"gives “{found['token'][1:]}” ({found['cosine']:.2f})" in WORDS.outcome
        assert f"“{near[a]['token'][1:]}” is nearest to “{a}”" in WORDS.outcome
    assert f"({near['mom']['cosine']:.2f})" in WORDS.outcome


def next_probabilities(model: Checkpoint, prompt: str, edits: Edits, other: str = "") -> dict[str, float]:
    """What could come next, by token, likeliest first."""
    assert model.tokenizer

    def trace(text: str, edits: Edits, other: Trace | None) -> Trace:
        ids = model.tokenizer.encode(text) if model.tokenizer else []
        return forward(model.params, model.config, ids, change=Changes(edits, model.config, model.params["wte"], other))

    logits = trace(prompt, edits, trace(other, Edits(), None) if other else None)["logits"][:, -1]
    probs = probabilities(logits, 1.0)
    return {model.tokenizer.decode([id]): float(probs[id]) for id in (-probs).argsort()}


def test_without_the_head_that_copies(model: Checkpoint) -> None:
    prompt = "Mia had a cat. The cat was named Sue. Mia loved her"
    assert prompt in OFF.todo
    plain = next_probabilities(model, prompt, Edits())
    off, mean = (next_probabilities(model, prompt, Edits({(3, 2): 0.0}, mode)) for mode in ("zero", "mean"))
    assert [next(iter(found)) for found in (plain, off, mean)] == [" cat", " toy", " cat"]
    assert f"Lane A says “cat” with {plain[' cat']:.0%}." in OFF.outcome
    assert f"“cat” falls to {off[' cat']:.0%}, and “toy” is the likeliest with {off[' toy']:.0%}." in OFF.outcome
    assert f"“cat” is back with {mean[' cat']:.0%}." in OFF.outcome


def test_a_direction_changes_the_mood(model: Checkpoint) -> None:
    assert "Tom was very" in STEERED.todo
    assert model.tokenizer
    (sad,), (happy,) = (model.tokenizer.encode(word) for word in (" sad", " happy"))

    def steered(block: int, factor: float) -> dict[str, float]:
        return next_probabilities(model, "Tom was very", Edits(steering=(Steering(block, sad, happy, factor),)))

    plain, four, six, early = steered(1, 0.0), steered(1, 4.0), steered(1, 6.0), steered(0, 4.0)
    assert [next(iter(found)) for found in (plain, four, six, early)] == [" happy", " sad", " sad", "."]
    assert f"“happy” with {plain[' happy']:.0%}, and “sad” with {plain[' sad']:.0%}." in STEERED.outcome
    found = f"“sad” is the likeliest with {four[' sad']:.0%}, with factor 6 it has {six[' sad']:.0%}."
    assert found in STEERED.outcome
    assert f"the likeliest is “.” with {early['.']:.0%}." in STEERED.outcome


def test_the_stream_knows_who_is_sad(model: Checkpoint) -> None:
    boy, girl = "The boy was sad because", "The girl was sad because"
    assert boy in PATCHED.todo
    assert girl in PATCHED.todo
    plain = next_probabilities(model, girl, Edits())
    patched = [next_probabilities(model, girl, Edits(patches=(Patch(i, "resid", 1),)), boy) for i in range(4)]
    assert [next(iter(found)) for found in (plain, *patched)] == [" she", " he", " he", " she", " she"]
    assert f"Lane B says “she” with {plain[' she']:.0%}." in PATCHED.outcome
    assert all(f"it says “he” with {found[' he']:.0%};" in PATCHED.outcome for found in patched[:2])
    assert f"before block 2 “she” is back with {patched[2][' she']:.0%}," in PATCHED.outcome


def test_the_assistant_answers_and_the_base_model_goes_on(model: Checkpoint) -> None:
    """All of it at temperature 0."""
    chat = load("stories-chat")
    assert chat.chat is not None
    end = chat.stop_ids[-1:]
    for asked, said in ((ASKED, ANSWERED), UNKNOWN, *((asked, said) for asked, said, _ in MADE_UP)):
        found = sheetgpt.generate(chat, chat=asked, temperature=0)
        assert (found.completion, found.ids[-1:]) == (said, end), asked
        assert any(asked in words and said in words for _, words in LINES)
    before, middle, after = GAP
    filled = sheetgpt.generate(chat, f"<|fim_prefix|>{before}<|fim_suffix|> {after}<|fim_middle|>", temperature=0)
    assert (filled.completion.strip(), filled.ids[-1:]) == (middle, end)
    for prompt, said in ((ASKED, GOES_ON), (chat.chat.wrap(ASKED), GOES_ON_WRAPPED)):
        on = sheetgpt.generate(model, prompt, temperature=0, new_tokens=24)
        assert on.completion.strip().startswith(said)
        assert on.ids[-1] not in model.stop_ids


def test_a_workbook_has_those_that_can_be_made_in_it(
    model: Checkpoint, reader: Checkpoint, reader_workbook: Path
) -> None:
    """Its sheets are there, it takes a text, and it continues what is typed; and it says where the others are.

    A model without block 3, or a workbook without room for the prompts, has none.
    """

    def layout(lanes: int = 1, sheets: str | None = None, of: Checkpoint = model, **more: Any) -> Layout:
        return replace(planned(of, sheets=sheets, lanes=lanes), **more)

    assert offered(layout()) == [*EXPERIMENTS[:-3]]
    assert offered(layout(2)) == [*EXPERIMENTS]
    assert offered(layout(sheets="none")) == [HEAD, PART]
    chat, ids = layout(chat=Chat("<", ">")), layout(prompt_bytes=0, merge_rounds=0)
    small, short = layout(of=reader), layout(context=17)
    none = chat, ids, small, short
    assert [offered(one) for one in none] == [[]] * 4
    assert [elsewhere(one) for one in (layout(), layout(2), *none)] == [IN_LAB, "", *[HERE] * 4]
    for one, named in ((layout(), True), (layout(2), True), *((one, False) for one in none)):
        told = " ".join(part.words for part in plan(one))
        assert told
        assert [words in told for words in ("the first experiment above", "The second experiment")] == [named] * 2
    said = [str(cell.value) for cell in one_sheet(reader_workbook, "Guide")["C"] if cell.value]
    assert HERE in said
    assert not any(one.outcome in said for one in EXPERIMENTS)
    assert TRY[1] in said
    assert dict(lines(chats=True))["Try it here"] == TRY_HERE[1]
