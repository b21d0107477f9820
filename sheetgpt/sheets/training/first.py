"""The sheet Training, the first: what is read, its loss before the step and after it, the settings, how to make a step.

The settings' arithmetic is `adam.learning_rate` and `adam.corrections`.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.learning import adam
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.sheets.block import Block, Part, cell
from sheetgpt.sheets.grid import LABEL
from sheetgpt.sheets.page import AT_TOP, Bar, Beside, Page, Texts
from sheetgpt.sheets.tensor import Kind
from sheetgpt.sheets.training.curve import curve, draw
from sheetgpt.sheets.training.lesson import TRAINING, Lesson, Moment

VALUE, SAYS = 2, 3  # columns
SETTINGS = {
    "learning_rate": "how far a step goes: 0.005 learns, 0.1 swings, 0.0001 hardly moves",
    "beta1": "how slowly the mean of the gradients changes",
    "beta2": "how slowly the mean of their squares changes",
    "epsilon": "keeps a weight without a gradient from being divided by 0",
    "decay": "how much matrices shrink in each step (AdamW); 0: not at all",
    "warm_up": "steps over which the learning rate rises",
    "schedule": "constant, linear or cosine: how it falls after the warm-up",
    "steps": "by which step it has fallen to 0: a larger number goes on learning",
}
WRITING = {
    "write": "1: show what the model writes; 0: steps are faster",
    "seed": "another whole number, another text",
    "temperature": "0: always the likeliest {}; 1: as likely as the model has it",
}
AGAIN = "and what it will make up after this step, with the same random numbers"
BY_KEYS = {  # scripts/checks/steps_by_keys.py does it
    "copy": "In the Name Box (left of the formula bar) type next, Enter, Ctrl+C. Anew for each step.",
    "paste in Excel": "In the Name Box type state, Enter, Ctrl+Alt+V, V, Enter.",
    "in LibreOffice": "Type state there, Enter, Ctrl+Shift+V, Enter, and Enter where it asks whether to overwrite.",
    "values only": "In that window Formulas must not be ticked. Errors everywhere? Formulas were pasted: Ctrl+Z.",
    "many steps": "Save, close, and let a command make them: sheetgpt train THIS-FILE --steps 1000",
}


def page(layout: Lesson, others: Sequence[Page]) -> Page:
    here = Page(TRAINING, words_of(layout), 1, first=VALUE)
    here.bar_end = SAYS
    note = f"A GPT-2 learns, one {layout.example} a step: every gradient and every new weight is a formula."
    here.add(Texts({LABEL: TRAINING, VALUE: note}, styles={LABEL: "title", VALUE: "note"}, height=AT_TOP))
    here.add(*now(layout), *making_a_step(), *settings(layout), *writing(layout), *curve(layout, here))
    listed(here, [(other.title, other.words) for other in others])

    def dress(frame: Worksheet) -> None:
        looks(frame, here, RANGES)
        draw(frame, here["curve"], here["step_now"].row - 1)

    here.dresses.append(dress)
    return here


def words_of(layout: Lesson) -> str:
    return f"the {layout.example}, the loss before and after this step, and the settings"


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


def word_of(layout: Lesson, number: str) -> str:
    """The word of a number in the list, without blanks around it; or a window's text."""
    found = f'INDEX({layout["words"].corners},{number})&""'
    return f"LOWER(TRIM({found}))" if layout.letters else found


def targets_of(layout: Lesson, number: str) -> str:
    """That word's tokens and the end, or all of a window but its first; an error where the columns don't take them."""
    if layout.letters:
        n = f"LEN({layout['word'].reference})"
        return f"IF({n}>{layout.longest},NA(),{n}+1)"
    n = f"INDEX({layout['word_lengths'].corners},{number})"
    return f"IF({n}>{layout.context + 1},NA(),{n}-1)"


def of_the_example(layout: Lesson) -> tuple[str, str, str]:
    """What the sheet says of the word or window, of its guesses, and of what is made up."""
    if layout.text:
        said = "what is read; each token but the first should be guessed"
        return said, "guesses that count: its tokens but the first", "what the model makes up after its first token"
    said = f"what is read, and should be guessed {layout.token} by {layout.token}"
    return said, "guesses that count: its tokens, and the end", "what the model makes up by itself"


def the_example(layout: Lesson, formula: Callable[[], str]) -> Beside:
    """The row of the word or window, which may run on over the words beside it."""
    read, style = ("", "name") if layout.long else (of_the_example(layout)[0], "token")
    return entry("word", read, style, formula, lambda m: m.words[m.turn], kind=Kind.TEXTS, label=layout.example)


def now(layout: Lesson) -> list[Part]:
    config = layout.config

    def at(name: str) -> str:
        return layout[name].reference

    def number() -> str:
        return f"MOD({at('step')},{at('n_words')})+1"

    def text(page: str) -> Callable[[], str]:
        return lambda: f'{layout[page + ".text"].stripe(layout.context - 1).reference}&""'

    def said(moment: Moment, after: bool) -> str:
        written = moment.writes_after if after else moment.writes
        return "" if written is None else "".join(moment.shown[i] for i in written.ids[1:])

    wide: dict[str, Any] = {"kind": Kind.TEXTS, "height": 20}
    _, guesses, made_up = of_the_example(layout)
    thinks, again, style = f"A {layout.example}, and what the model thinks of it.", AGAIN, "completion"
    if layout.long:
        to_guess = "Each token but the first" if layout.text else f"Each {layout.token}"
        thinks, style = f"{to_guess} should be guessed; below, {made_up}.", "quote"
        made_up = again = ""  # what is said of it stands above, and leaves its place to the text
    where = f"its number on the sheet {layout.list_sheet}" if layout.text else "its number in the list"
    return [
        Bar("This step", thinks, link="this step"),
        entry(
            "step_now",
            "the step that the formulas make",
            "id",
            lambda: f"{at('step')}+1",
            lambda m: m.step,
            label="step",
        ),
        entry(
            "word_number",
            where,
            "id",
            number,
            lambda m: m.turn + 1,
            label=f"{layout.example} number",
        ),
        the_example(layout, lambda: word_of(layout, at("word_number"))),
        entry(
            "n_targets",
            guesses,
            "id",
            lambda: targets_of(layout, at("word_number")),
            lambda m: m.wanted.n_targets,
            label="guesses",
        ),
        entry(
            "loss_now",
            "the mean of −ln of the probability of what came",
            "figure",
            lambda: at("loss"),
            lambda m: float(m.trace["loss"]),
            label="loss now",
            height=20,
        ),
        entry(
            "loss_after",
            f"the same {layout.example} once more, with the new weights",
            "figure",
            lambda: at("after.loss"),
            lambda m: float(m.after["loss"]),
            label="after this step",
            height=20,
        ),
        entry(
            "guess",
            "what guessing blindly gives: ln of the number of tokens",
            "share",
            lambda: f"LN({config.n_vocab})",
            lambda m: math.log(config.n_vocab),
            label="guessing",
        ),
        entry(
            "text_now",
            made_up,
            style,
            text("writes"),
            lambda m: said(m, False),
            label="it writes",
            **wide,
        ),
        entry(
            "text_after",
            again,
            style,
            text("after_writes"),
            lambda m: said(m, True),
            label="after this step",
            **wide,
        ),
    ]


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


def writing(layout: Lesson) -> list[Part]:
    def typed(name: str) -> Callable[[Moment], Any]:
        return lambda m: {"write": int(m.writing.on), "seed": m.writing.seed, "temperature": m.writing.temperature}[
            name
        ]

    return [
        Bar("What it writes", "Before the step and after it, with the same random numbers.", link="writing"),
        *(
            entry(name, words.format(layout.token), "input", None, typed(name), kind=Kind.INPUT)
            for name, words in WRITING.items()
        ),
    ]


def making_a_step() -> list[Part]:
    return [
        Bar("Make a step", "Copy the range next, and paste its values onto the range state.", link="make a step"),
        *by_keys(BY_KEYS),
    ]


def by_keys(names: Iterable[str]) -> list[Part]:
    return [Texts({LABEL: name, VALUE: BY_KEYS[name]}, "label", {LABEL: "name"}) for name in names]


def listed(here: Page, others: Sequence[tuple[str, str]]) -> None:
    """The sheets, each with its words and a link that leads there."""
    titles = [[*each] for each in others]
    here.add(
        Bar("The sheets", "In the order of their tabs.", link="sheets"),
        Block(
            "sheet_list",
            len(others),
            2,
            twin=lambda moment: titles,
            column=LABEL,
            label=None,
            numbered=False,
            style="link",
            axes=("sheet", "title and words"),
            kind=Kind.CONSTANT,
        ),
    )
    for k, (title, _) in enumerate(others):
        here.links.append((f"A{here['sheet_list'].row + k}", f"{quoted(title)}!A1"))


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
