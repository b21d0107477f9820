"""The sheet Training, the first: what is read, its loss before the step and after it, how to make a step."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml.area import quoted
from sheetgpt.sheets.block import Block, Part
from sheetgpt.sheets.grid import LABEL
from sheetgpt.sheets.page import AT_TOP, Bar, Beside, Page, Texts
from sheetgpt.sheets.tensor import Kind
from sheetgpt.sheets.training.curve import curve, draw
from sheetgpt.sheets.training.lesson import TRAINING, Lesson, Moment
from sheetgpt.sheets.training.settings import RANGES, SAYS, VALUE, entry, looks, settings

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
