"""The sheet Guide of a training workbook: how it learns, in nine stops, and three experiments.

The experiments are told of the default workbook as `build --train` writes it; tests/learning/test_how_it_learns.py
finds every figure anew. What comes out stands below all of them, so that it can be predicted first.
"""

from dataclasses import dataclass

from sheetgpt.ooxml.area import quoted
from sheetgpt.sheets.grid import GUIDE
from sheetgpt.sheets.guide.guide import LAST, SAID, WIDTHS, add_paragraph, heading
from sheetgpt.sheets.page import Page, Space
from sheetgpt.sheets.style.looks import ORANGE, dress
from sheetgpt.sheets.training.bands import titled
from sheetgpt.sheets.training.lesson import (
    BACKWARD,
    FORWARD,
    GRADIENT,
    LOSS,
    NEXT,
    ONE_WEIGHT,
    STATE,
    TRAINING,
    Lesson,
)

NOTE = "a tour of one step, and three experiments"
TITLE = "Predict, then look"
TOLD = "Three experiments with a new names-train.xlsx at step 0; first set its warm up to 0."
OUTCOMES = "What came out"


@dataclass(frozen=True)
class Experiment:
    question: str
    todo: str
    outcome: str


EXPERIMENTS = (
    Experiment(
        "Too slow?",
        "The loss of “greta” is 3.289. With the learning rate 0.0001, what will it be after this step? And with 0.001, "
        "ten times as much? Write both down; then type them and look at “after this step”.",
        "3.283, which is 0.006 less, and 3.229, ten times as much less: a small step does what the gradient foretells. "
        "But it takes long. When each of the 215 names was read once, the last 50 losses are 3.176 on average, at a "
        "rate of 0.005 they are 2.674; guessing blindly is 3.296.",
    ),
    Experiment(
        "Too fast?",
        "Go on with 0.01, 0.1, 0.2 and 1. Guess each time whether the loss after this step will be lower than it was "
        "with the rate before. From which rate on does the step do harm?",
        "2.975, 2.581, 3.538, 6.971. The gradient tells which way is down where the weights are now. A step of 0.2 "
        "lands higher than it began, and one of 1 far above guessing. Ten steps at 0.2, each on its own name, swing: "
        "3.29, 3.11, 3.21, 3.58, 4.99, 6.50, 5.17, 3.83, 4.36, 3.26.",
    ),
    Experiment(
        "One word by heart?",
        "Learning rate 0.02, temperature 0. On Words copy “greta” over the whole list, so that every step reads it. "
        "Make eight steps by hand. After how many does the model write “greta” by itself? And what will it then think "
        "of “daniel”? Type it over word number 9.",
        "3.29, 2.86, 2.53, 2.23, 1.97, 1.75, 1.53, 1.32, and after the eighth step 1.14. After three it writes "
        "“gretttttttt”, after six “greta”. “daniel” had cost 3.33 and now costs 4.59, more than guessing: it knows one "
        "word by heart and has not learned what names look like.",
    ),
)


def stops(layout: Lesson, backward: Page) -> list[tuple[str, str, str]]:
    """Where the link goes, its text, what there is to see."""

    def to(gradient: str) -> str:
        return f"{quoted(BACKWARD)}!A{backward[gradient].row - 1}"

    def top(sheet: str) -> str:
        return f"{quoted(sheet)}!A1"

    return [
        (
            *(top(TRAINING), TRAINING),
            f"A step reads one {layout.example}. Here stand its loss before the step and after it, and the yellow "
            "cells that say how far a step goes.",
        ),
        (
            *(top(STATE), STATE),
            f"All that the model knows: {layout.config.n_params:,} weights, w. m and v are what Adam, the rule of the "
            "step, remembers of each weight's gradients.",
        ),
        (
            *(top(FORWARD), FORWARD),
            f"The {layout.example} goes through the network from top to bottom, a token a column, as in the workbook "
            "of a trained model.",
        ),
        (
            *(top(LOSS), LOSS),
            "How likely was the token that came? −ln of that probability is what it costs; the mean over the "
            f"{layout.example} is the loss. Guessing blindly costs ln of the number of tokens.",
        ),
        (
            *(to("logits"), f"{BACKWARD}: from the loss"),
            "How does the loss change with each logit? By its probability, less 1 where the token that came stands, "
            "times the position's share. From here the same question goes back, row by row, to the embeddings.",
        ),
        (
            *(to("h0.attn.qkv"), f"{BACKWARD}: through attention"),
            "A key and a value were read by their own token and by later ones, so their gradients come from there: "
            "no formula on this sheet looks to the left.",
        ),
        (
            *(top(GRADIENT), GRADIENT),
            "For each weight one number: how the loss changes with it. A red weight has to fall, a blue one to rise.",
        ),
        (
            *(top(NEXT), NEXT),
            "Each weight moves against its gradient. These are State's cells as formulas: their values, pasted onto "
            "State, are one step.",
        ),
        (
            *(top(ONE_WEIGHT), ONE_WEIGHT),
            "All of that for a single weight, line by line, and a way to try whether its gradient is right.",
        ),
    ]


def page(layout: Lesson, backward: Page) -> Page:
    here = Page(GUIDE, NOTE, 1)
    here.last_column = LAST
    titled(here, "How it learns: one step in nine stops, then three experiments.", SAID)
    here.add(Space(), heading("How it learns", "The way of one step."))
    for number, (place, name, words) in enumerate(stops(layout, backward), 1):
        add_paragraph(here, name, words, number, place)
    here.add(Space(), heading(TITLE, TOLD))
    for number, one in enumerate(EXPERIMENTS, 1):
        add_paragraph(here, one.question, one.todo, number, f"{quoted(TRAINING)}!A1")
    here.add(Space(), heading(OUTCOMES, "Only after you have guessed."))
    for number, one in enumerate(EXPERIMENTS, 1):
        add_paragraph(here, one.question, one.outcome, number)
    here.dresses.append(dress(dict(enumerate(WIDTHS, 1)), ORANGE, gridlines=False))
    return here
