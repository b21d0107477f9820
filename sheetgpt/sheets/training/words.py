"""The sheets Words (or Text) and Model: what is learned from, the shapes, and the tokens."""

from dataclasses import fields
from typing import Any

from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.sheets.block import Block, cell
from sheetgpt.sheets.grid import LABEL
from sheetgpt.sheets.page import Beside, Page, Space, Texts
from sheetgpt.sheets.tensor import Kind
from sheetgpt.sheets.training.bands import titled, widths
from sheetgpt.sheets.training.lesson import SHAPES, TRAINING, Lesson, Moment

MEANING = {
    "n_vocab": "tokens in the vocabulary",
    "n_positions": "positions that the model has",
    "n_embd": "numbers per token: the height of a column",
    "n_layer": "blocks",
    "n_head": "attention heads in a block",
    "n_inner": "neurons in a block's MLP",
    "layer_norm_epsilon": "added to the variance in each layer norm",
    "activation_function": "the function that the MLP's neurons apply to their sum",
    "tied": "1: the unembedding is wte itself; 0: it is lm_head",
}
LESSON = {
    "context": "token columns in this workbook",
    "n_words": "words in the list",
    "end": "the token that stands before a word and after it",
    "spells": "1: a word's tokens are its letters; 0: they stand beside it on the sheet Words",
    "room": "losses that are kept",
    "source": "where the weights of step 0 come from",
}
OF_A_TEXT = {
    "n_words": "windows of the text",
    "end": "the token that ends a text; -1: there is none",
    "spells": "0: a window's tokens stand beside it on the sheet Text",
    "running_text": "1: what is learned is one text, cut into windows of as many tokens as there are columns",
}
UNROLLED = {"unroll": "steps that stand in the workbook one after another, all on the same {}"}


def words_page(layout: Lesson) -> Page:
    words = "the text that is learned from, cut into windows" if layout.text else "the list that is learned from"
    here = Page(layout.list_sheet, words, 1, first=2, last_column=3)
    turns = f"One {layout.example} a step, in this order, round and round. "
    note = f"{TRAINING} says which one is learned. " if layout.unroll else turns
    if layout.text:
        note += "The last token of a window is the first of the next."
    else:
        own_words = f"Type words of your own: letters a to z, at most {layout.longest}."
        note += own_words if layout.letters else "Their tokens stand on the right of them, between two ends."
    titled(here, note, 2 if layout.text else 3)
    here.add(Texts({LABEL: "number", 2: layout.example, **({} if layout.letters else {3: "tokens", 4: "token ids"})}))
    n = layout.n_words
    own: dict[str, Any] = {"n_rows": n, "label": None, "numbered": False}
    numbers = Block(n_columns=1, column=1, twin=lambda m: [float(i + 1) for i in range(n)], style="index", **own)
    typed = Block(
        "words",
        n_columns=1,
        column=2,
        twin=lambda moment: [*moment.words],
        style="input" if layout.letters else "label",
        kind=Kind.INPUT if layout.letters else Kind.CONSTANT,
        axes=(layout.example,),
        **own,
    )
    beside = [] if layout.letters else [_lengths(layout, own), _ids(layout, own)]
    here.add(Beside(numbers, typed, *beside))
    widths(here, {"A": 14, "B": 48 if layout.text else 24}, freeze="A4", tab="BF9000")
    return here


def _lengths(layout: Lesson, own: dict[str, Any]) -> Block:
    def twin(moment: Moment) -> list[float]:
        return [float(len(run)) for run in moment.runs]

    about: dict[str, Any] = {"style": "id", "kind": Kind.CONSTANT, "axes": (layout.example,)}
    return Block("word_lengths", n_columns=1, column=3, twin=twin, **about, **own)


def _ids(layout: Lesson, own: dict[str, Any]) -> Block:
    most = layout.context + 1  # tokens of a run: what the last column reads, and what comes next

    def twin(moment: Moment) -> list[list[Any]]:
        return [[*map(float, run), *[""] * (most - len(run))] for run in moment.runs]

    axes = (layout.example, f"token of the {layout.example}")
    return Block("word_ids", n_columns=most, column=4, twin=twin, style="id", kind=Kind.CONSTANT, axes=axes, **own)


def shapes_page(layout: Lesson) -> Page:
    here = Page(SHAPES, "shapes and tokens", 1, first=2, last_column=3)
    titled(here, "What the workbook was built with: constants.", 3)
    here.add(Texts({LABEL: "name", 2: "value", 3: "what it is"}))
    listed = MEANING | LESSON | (OF_A_TEXT if layout.text else {}) | (UNROLLED if layout.unroll else {})
    for name, meaning in listed.items():
        words, kind = meaning.format(layout.example), Kind.CONSTANT

        def twin(moment: Moment, name: str = name) -> float | str:
            return value(moment, name)

        here.add(Beside(Texts({LABEL: name, 3: words}, "label"), cell(2, None, twin, "id", name, kind=kind)))
    here.add(Space(), Texts({LABEL: "token id", 2: "token"}))
    n = layout.config.n_vocab
    own: dict[str, Any] = {"n_rows": n, "n_columns": 1, "label": None, "numbered": False}
    here.add(
        Beside(
            Block(column=1, twin=lambda moment: [float(i) for i in range(n)], style="index", **own),
            Block(
                "vocabulary",
                column=2,
                twin=lambda moment: [*moment.shown],
                style="label",
                kind=Kind.CONSTANT,
                axes=("token of the vocabulary",),
                **own,
            ),
        )
    )
    if layout.letters:
        here.add(
            Space(),
            Beside(
                Texts({LABEL: "letters", 3: "a letter's place in here is its token's id"}, "label"),
                cell(2, None, lambda m: "".join(m.shown[1:]), "label", "letters", kind=Kind.CONSTANT),
            ),
        )
    widths(here, {"A": 22, "B": 18, "C": 66}, tab="7F7F7F")
    return here


def value(moment: Moment, name: str) -> float | str:
    """What stands in one of the Model sheet's cells."""
    layout = moment.layout
    if name in {each.name for each in fields(GPT2Config)}:
        found = getattr(layout.config, name)
        return found if isinstance(found, str) else float(found)
    if name == "source":
        return moment.source
    return float(getattr(layout, {"spells": "letters", "running_text": "text"}.get(name, name)))
