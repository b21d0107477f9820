"""The settings of a training workbook, how far a step goes and how: yellow cells, and what they make of a step.

Arithmetic: `adam.learning_rate` and `adam.corrections`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.learning import adam
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Part, cell
from sheetgpt.sheets.grid import LABEL
from sheetgpt.sheets.page import Bar, Beside, Page, Texts
from sheetgpt.sheets.tensor import Kind
from sheetgpt.sheets.training.lesson import Lesson, Moment

VALUE, SAYS = 2, 3  # columns
SETTINGS = {
    "learning_rate": "how far a step goes: 0.005 learns, 0.0001 hardly moves, 0.1 after the warm-up swings",
    "beta1": "how slowly the mean of the gradients changes",
    "beta2": "how slowly the mean of their squares changes",
    "epsilon": "keeps a weight without a gradient from being divided by 0",
    "decay": "how much matrices shrink in each step (AdamW); 0: not at all",
    "warm_up": "steps over which the learning rate rises",
    "schedule": "constant, linear or cosine: how it falls after the warm-up",
    "steps": "by which step it has fallen to 0: a larger number goes on learning",
}
RANGES = {  # what the yellow cells take: from, to, and whether only whole numbers
    "learning_rate": (0, 1000, False),
    "beta1": (0, 0.999999, False),
    "beta2": (0, 0.999999, False),
    "epsilon": (1e-30, 1, False),
    "decay": (0, 1000, False),
    "warm_up": (0, 1_000_000, True),
    "steps": (1, 1_000_000, True),
    "write": (0, 1, True),
    "seed": (0, 2147483645, True),
    "temperature": (0, 100, False),
}


def settings(layout: Lesson) -> list[Part]:
    words = "Yellow cells are yours: change one and watch the loss after this step."
    return [Bar("How far a step goes", words, link="settings"), *typed_in(SETTINGS), *rates(layout)]


def typed_in(words: Mapping[str, str]) -> list[Part]:
    """A yellow cell for each setting."""

    def typed(name: str) -> Callable[[Moment], Any]:
        return lambda moment: getattr(moment.settings, name)

    return [entry(name, said, "input", None, typed(name), kind=Kind.INPUT) for name, said in words.items()]


def rates(layout: Lesson, **columns: Any) -> list[Part]:
    """What the settings make of a step."""

    def at(name: str) -> str:
        return layout[name].reference

    def rate() -> str:
        """Rises over the warm-up, then falls by a line or half a cosine wave."""
        t, warm, top = at("step_now"), at("warm_up"), at("learning_rate")
        progress = f"MIN(MAX(({t}-1-{warm})/MAX({at('steps')}-{warm},1),0),1)"
        kind = at("schedule")
        cosine = f'IF({kind}="cosine",(1+COS(PI()*{progress}))/2,IF({kind}="constant",1,NA()))'
        return f'IF({t}<={warm},{top}*{t}/{warm},{top}*IF({kind}="linear",1-{progress},{cosine}))'

    def correction(beta: str) -> Callable[[], str]:
        return lambda: f"1-{at(beta)}^{at('step_now')}"

    def corrected(k: int) -> Callable[[Moment], float]:
        return lambda moment: adam.corrections(moment.step, moment.settings)[k]

    def rate_now(moment: Moment) -> float:
        return adam.learning_rate(moment.step, moment.settings)

    return [
        entry("rate", "this step's own learning rate", "rate", rate, rate_now, **columns),
        entry(
            "correction1",
            "1 − beta1 ^ step: how much of a whole mean m has seen",
            "share",
            correction("beta1"),
            corrected(0),
            label="correction of m",
            **columns,
        ),
        entry(
            "correction2",
            "1 − beta2 ^ step: the same for v",
            "share",
            correction("beta2"),
            corrected(1),
            label="correction of v",
            **columns,
        ),
    ]


def entry(
    name: str,
    words: str,
    style: str,
    formula: Any,
    twin: Callable[[Moment], Any],
    columns: tuple[int, int] = (VALUE, SAYS),
    **more: Any,
) -> Beside:
    """A row: what it is called, its cell, and what it means; without words the cell's text may run on over theirs."""
    label, (value, says) = more.pop("label", name.replace("_", " ")), columns
    said = {LABEL: label} | ({says: words} if words else {})
    texts = Texts(said, "label", {LABEL: "name"}, height=more.pop("height", None))
    return Beside(texts, cell(value, formula, twin, style, name, **more))


def looks(frame: Worksheet, here: Page, ranges: Mapping[str, tuple[float, float, bool]]) -> None:
    """Widths, and what the yellow cells take."""
    frame.sheet_properties.tabColor = "C55A11"
    for column, width in {"A": 18, "B": 18, "C": 54, "D": 9.5, "E": 9.5, "F": 9.5, "G": 9.5}.items():
        frame.column_dimensions[column].width = width
    for name, (least, most, whole) in ranges.items():
        kind: Literal["whole", "decimal"] = "whole" if whole else "decimal"
        first, last = f"{least:g}", f"{most:.10g}"
        rule = DataValidation(kind, operator="between", formula1=first, formula2=last, allow_blank=False)
        rule.error = f"{name.replace('_', ' ')} is a {'whole ' if whole else ''}number from {least:g} to {most:.10g}."
        _say(frame, rule, here[name])
    rule = DataValidation("list", formula1=f'"{",".join(adam.SCHEDULES)}"', allow_blank=False)
    rule.error = f"schedule is {', '.join(adam.SCHEDULES)}."
    _say(frame, rule, here["schedule"])


def _say(frame: Worksheet, rule: DataValidation, area: Area) -> None:
    rule.errorTitle, rule.showErrorMessage = "Settings", True
    rule.add(area.cells)
    frame.add_data_validation(rule)
