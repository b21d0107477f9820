"""The sheet Training of an unrolled workbook: one word or window, the settings, and the loss of every step as a curve.

Many steps stand in the workbook, one after another, and all read the same (`steps.py`): whoever moves the learning rate
sees what it does to all of them. `head` is the top of each step's sheet.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.sheets.block import Block, Part, cell
from sheetgpt.sheets.grid import FIRST_TOKEN, LABEL
from sheetgpt.sheets.page import AT_TOP, Bar, Beside, Page, Texts
from sheetgpt.sheets.tensor import Kind
from sheetgpt.sheets.training.curve import draw
from sheetgpt.sheets.training.first import BY_KEYS, by_keys, listed, of_the_example, targets_of, the_example, word_of
from sheetgpt.sheets.training.lesson import STEP, TRAINING, Lesson
from sheetgpt.sheets.training.settings import RANGES, SAYS, SETTINGS, VALUE, entry, looks, rates, typed_in
from sheetgpt.sheets.training.steps import Move

NUMBERS, LOSSES, GUESS = 1, 2, 3  # columns of the curve
OWN_WORDS = {
    "learning_rate": "how far a step goes: move it, and the curve is drawn anew",
    "steps": "by which step the learning rate has fallen to 0",
}
TRY = {
    "0.003": "slow: the loss falls a little in every step",
    "0.01": "it falls faster",
    "0.02": "faster still: in some fifteen steps the model nearly knows the {} by heart",
    "0.1": "too far: a step jumps over the place that it was to reach, and the curve swings",
    "0": "nothing moves: the loss stays where it is",
}
TROUBLE = "No step can be made of this: look at the yellow cells, and whether the {} fits into the columns."


def page(layout: Lesson, moves: Sequence[Move], others: Sequence[tuple[str, str]]) -> Page:
    """`others`: titles and words of the other sheets."""
    here = Page(TRAINING, words_of(layout), 1, first=VALUE)
    here.bar_end = SAYS
    every = "every gradient and every new weight is a formula, in all steps."
    note = f"A GPT-2 learns one {layout.example}, step after step: {every}"
    here.add(Texts({LABEL: TRAINING, VALUE: note}, styles={LABEL: "title", VALUE: "note"}, height=AT_TOP))
    here.add(*now(layout, here), *settings(), *ideas(layout), *curve(layout, here, moves), *going_on(layout))
    for k, move in enumerate(moves):
        here.links.append((here["curve_step"].line(k).cells, f"{quoted(move.title)}!A1"))
    listed(here, others)

    def dress(frame: Worksheet) -> None:
        ranges = {name: RANGES[name] for name in RANGES if name in here.areas}
        looks(frame, here, {"word_number": (1, layout.n_words, True)} | ranges)
        draw(frame, here["curve"], here["word_number"].row - 1)

    here.dresses.append(dress)
    return here


def words_of(layout: Lesson) -> str:
    return f"the {layout.example}, the settings, and the loss in each of {layout.unroll} steps"


def now(layout: Lesson, here: Page) -> list[Part]:
    def number() -> str:
        """Where in the list; #N/A where the cell holds no number of the list."""
        words = layout["words"]
        numbers = Area(words.sheet, words.row, 1, words.n_rows)
        return f"MATCH({here['word_number'].local},{numbers.corners},0)"

    def at(k: int) -> str:
        return here["curve"].line(k).local

    def loss(k: int) -> Any:
        return lambda moment: float(moment.steps[k].trace["loss"])

    def trouble() -> str:
        return f'IF(ISNUMBER({at(layout.unroll - 1)}),"","{TROUBLE.format(layout.example)}")'

    _, guesses, _ = of_the_example(layout)
    chosen: dict[str, Any] = {"label": f"which {layout.example}", "kind": Kind.INPUT}
    means = f"its number on the sheet {layout.list_sheet}" + (
        ", where you may type one of your own" if layout.letters else ""
    )
    return [
        Bar(f"One {layout.example}", "Every step reads the same one.", link="word"),
        entry("word_number", means, "input", None, lambda m: m.chosen, **chosen),
        the_example(layout, lambda: word_of(layout, number())),
        entry(
            "n_targets",
            guesses,
            "id",
            lambda: targets_of(layout, number()),
            lambda m: m.wanted.n_targets,
            label="guesses",
        ),
        entry(
            "first_loss",
            "the mean of −ln of the probability of what came",
            "figure",
            lambda: at(0),
            loss(0),
            label="loss at first",
            height=20,
        ),
        entry(
            "last_loss",
            f"the same in the last of the {layout.unroll} steps" if layout.unroll > 1 else "of a single step the same",
            "figure",
            lambda: at(layout.unroll - 1),
            loss(layout.unroll - 1),
            label="and in the end",
            height=20,
        ),
        entry(
            "guess",
            "what guessing blindly gives: ln of the number of tokens",
            "share",
            lambda: f"LN({layout.config.n_vocab})",
            lambda m: math.log(layout.config.n_vocab),
            label="guessing",
        ),
        cell(LABEL, trouble, lambda m: "", "message", "trouble", kind=Kind.TEXTS),
    ]


def settings() -> list[Part]:
    return [
        Bar("How far a step goes", "Yellow cells are yours: change one and watch the curve.", link="settings"),
        *typed_in(SETTINGS | OWN_WORDS),
    ]


def ideas(layout: Lesson) -> list[Part]:
    each = [
        Texts({LABEL: f"learning rate {rate}", VALUE: words.format(layout.example)}, "label", {LABEL: "name"})
        for rate, words in TRY.items()
    ]
    return [Bar("Try", "Type these learning rates one after the other.", link="try"), *each]


def curve(layout: Lesson, here: Page, moves: Sequence[Move]) -> list[Part]:
    """Number and loss of each step; the number leads to the step's sheet."""

    def own(name: str) -> Any:
        return lambda k, j: moves[k].area(layout[name]).reference

    one: dict[str, Any] = {"n_columns": 1, "label": None, "numbered": False, "axes": ("step",)}
    n = layout.unroll
    return [
        Bar(
            "The curve",
            "The loss of each step, before its weights move. A step's number leads to its sheet.",
            link="curve",
        ),
        Texts({NUMBERS: "step", LOSSES: "loss", GUESS: "guessing"}),
        Beside(
            Block(
                "curve_step",
                n,
                column=NUMBERS,
                formula=own("step_now"),
                twin=lambda m: np.array([float(each.step) for each in m.steps]),
                style="link",
                **one,
            ),
            Block(
                "curve",
                n,
                column=LOSSES,
                formula=own("loss"),
                twin=lambda m: np.array([float(each.trace["loss"]) for each in m.steps]),
                style="share",
                **one,
            ),
            Block(
                "curve_guess",
                n,
                column=GUESS,
                formula=lambda k, j: here["guess"].local,
                twin=lambda m: np.full(n, math.log(layout.config.n_vocab)),
                style="share",
                **one,
            ),
        ),
    ]


def going_on(layout: Lesson) -> list[Part]:
    words = "Copy next, what the last step leaves, and paste its values onto state."
    return [Bar("Go on from here", words, link="go on"), *by_keys([*BY_KEYS][:-1])]


def head(layout: Lesson) -> Page:
    """The top of a step's sheet: its number, and what the settings make of it."""
    here = Page(STEP, "the step's own learning rate", 1)
    parts = "its loss, backward, the gradients, the new weights"
    note = f"One step, from top to bottom: the {layout.example} forward, {parts}."
    name = cell(LABEL, lambda: f'"{STEP} "&{here["step_now"].local}', lambda m: f"{STEP} {m.step}", "title")
    here.add(Beside(Texts({FIRST_TOKEN: note}, "note", height=AT_TOP), name))
    here.links.append((f"A{here.row}", f"{quoted(TRAINING)}!A1"))
    here.add(Texts({LABEL: "← Training"}, "link"))
    columns = FIRST_TOKEN, FIRST_TOKEN + 1
    here.add(
        entry(
            "step_now",
            "which step this is, counted from the weights that the workbook began with",
            "id",
            lambda: f"{layout['step'].reference}+1",
            lambda m: m.step,
            columns,
            label="step",
        ),
        *rates(layout, columns=columns),
    )
    return here
