"""What the Guide of a training workbook says of its experiments is what comes out."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from sheetgpt.gpt2.learning import learn
from sheetgpt.gpt2.learning.loss import between_ends
from sheetgpt.sheets.training.guide import EXPERIMENTS
from sheetgpt.sheets.training.lesson import Moment, Writing
from sheetgpt.text.words import END, spell
from sheetgpt.workbook.training.lesson import new_moment, pasted

SLOW, FAST, BY_HEART = EXPERIMENTS


@pytest.fixture(scope="module")
def start() -> Moment:
    """The default workbook at step 0, its warm up set to 0."""
    moment = new_moment(None, layers=1, width=16, heads=4, positions=12, tied=True, seed=0)
    return replace(moment, settings=replace(moment.settings, warm_up=0))


def at_rate(moment: Moment, rate: float) -> Moment:
    return replace(moment, settings=replace(moment.settings, learning_rate=rate))


def reading(moment: Moment, words: Sequence[str]) -> Moment:
    return replace(moment, words=tuple(words), runs=tuple(between_ends(spell(word), END) for word in words))


def after_steps(moment: Moment, n: int) -> Moment:
    state, losses = learn.learn(*(moment.now, moment.config, moment.examples, moment.settings, n))
    return pasted(moment, state, losses)


def loss(moment: Moment) -> float:
    return float(moment.trace["loss"])


def loss_after(moment: Moment, rate: float) -> float:
    return float(at_rate(moment, rate).after["loss"])


def listed(losses: Sequence[float]) -> str:
    return ", ".join(f"{each:.2f}" for each in losses)


def test_a_slow_step_does_what_the_gradient_foretells(start: Moment) -> None:
    assert f"loss of “{start.words[0]}” is {loss(start):.3f}." in SLOW.todo
    near, far = loss_after(start, 0.0001), loss_after(start, 0.001)
    assert loss(start) - far == pytest.approx(10 * (loss(start) - near), rel=0.05)
    assert f"{near:.3f}, which is {loss(start) - near:.3f} less, and {far:.3f}, ten times" in SLOW.outcome
    slow, quick = (np.mean(after_steps(at_rate(start, rate), 215).losses[-50:]) for rate in (0.0001, 0.005))
    assert len(start.words) == 215
    assert f"{slow:.3f} on average, at a rate of 0.005 they are {quick:.3f}" in SLOW.outcome
    assert f"guessing blindly is {np.log(27):.3f}" in SLOW.outcome


def test_a_fast_step_does_harm(start: Moment) -> None:
    found = [loss_after(start, rate) for rate in (0.01, 0.1, 0.2, 1)]
    assert found[0] > found[1] < loss(start) < found[2] < found[3]
    assert found[3] > 2 * np.log(27)
    assert FAST.outcome.startswith(", ".join(f"{each:.3f}" for each in found) + ".")
    assert listed(after_steps(at_rate(start, 0.2), 10).losses) + "." in FAST.outcome


def test_a_word_by_heart_is_all_that_is_learned(start: Moment) -> None:
    moment = replace(at_rate(reading(start, ["greta"] * 215), 0.02), writing=Writing(temperature=0))
    made = [after_steps(moment, n) for n in range(9)]
    assert BY_HEART.outcome.startswith(f"{listed(made[8].losses)}, and after the eighth step {loss(made[8]):.2f}.")
    written = ["".join(each.shown[i] for i in each.writes.ids[1:]) for each in made if each.writes is not None]
    assert written.index("greta") == 6
    assert "after six “greta”" in BY_HEART.outcome
    assert f"After three it writes “{written[3]}”" in BY_HEART.outcome
    assert made[8].turn + 1 == 9
    other = [loss(reading(each, ["daniel"])) for each in (start, made[8])]
    assert f"“daniel” had cost {other[0]:.2f} and now costs {other[1]:.2f}, more than guessing" in BY_HEART.outcome
    assert other[1] > np.log(27)
