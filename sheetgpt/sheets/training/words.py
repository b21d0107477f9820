"""The sheets Words and Model: the list that is learned from, the shapes, and the tokens."""

from dataclasses import fields
from typing import Any

from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.sheets.block import Block, cell
from sheetgpt.sheets.grid import LABEL
from sheetgpt.sheets.page import Beside, Page, Space, Texts
from sheetgpt.sheets.tensor import Kind
from sheetgpt.sheets.training.bands import titled, widths
from sheetgpt.sheets.training.lesson import SHAPES, TRAINING, WORDS, Lesson, Moment

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
UNROLLED = {"unroll": "steps that stand in the workbook one after another, all on the same word"}


def words_page(layout: Lesson) -> Page:
    here = Page(WORDS, "the list that is learned from", 1, first=2, last_column=3)
    turns = "One word a step, in this order, round and round. "
    note = f"{TRAINING} says which one is learned. " if layout.unroll else turns
    note += (
        f"Type words of your own: letters a to z, at most {layout.longest}."
        if layout.letters
        else "Their tokens stand on the right of them."
    )
    titled(here, note, 3)
    here.add(Texts({LABEL: "number", 2: "word", **({} if layout.letters else {3: "tokens", 4: "token ids"})}))
    n, longest = layout.n_words, layout.longest
    own: dict[str, Any] = {"n_rows": n, "label": None, "numbered": False}
    numbers = Block(n_columns=1, column=1, twin=lambda m: [float(i + 1) for i in range(n)], style="index", **own)
    typed = Block(
        "words",
        n_columns=1,
        column=2,
        twin=lambda moment: [*moment.words],
        style="input" if layout.letters else "label",
        kind=Kind.INPUT if layout.letters else Kind.CONSTANT,
        axes=("word",),
        **own,
    )
    beside = [] if layout.letters else [_lengths(own), _ids(longest, own)]
    here.add(Beside(numbers, typed, *beside))
    widths(here, {"A": 14, "B": 24}, freeze="A4", tab="BF9000")
    return here


def _lengths(own: dict[str, Any]) -> Block:
    def twin(moment: Moment) -> list[float]:
        return [float(len(ids)) for ids in moment.ids]

    return Block(
        "word_lengths", n_columns=1, column=3, twin=twin, style="id", kind=Kind.CONSTANT, axes=("word",), **own
    )


def _ids(longest: int, own: dict[str, Any]) -> Block:
    def twin(moment: Moment) -> list[list[Any]]:
        return [[*map(float, ids), *[""] * (longest - len(ids))] for ids in moment.ids]

    return Block(
        "word_ids",
        n_columns=longest,
        column=4,
        twin=twin,
        style="id",
        kind=Kind.CONSTANT,
        axes=("word", "token of the word"),
        **own,
    )


def shapes_page(layout: Lesson) -> Page:
    here = Page(SHAPES, "shapes and tokens", 1, first=2, last_column=3)
    titled(here, "What the workbook was built with: constants.", 3)
    here.add(Texts({LABEL: "name", 2: "value", 3: "what it is"}))
    for name, words in (MEANING | LESSON | (UNROLLED if layout.unroll else {})).items():
        kind = Kind.CONSTANT

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
    return float(layout.letters if name == "spells" else getattr(layout, name))
