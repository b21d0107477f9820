"""The Model sheet: the config, a cell each, and where the parameters are, counted by formulas from the shapes."""

from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import Any

import numpy as np

from sheetgpt.gpt2.checkpoints.quantize import EXACT
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.sheets.block import Block, Part
from sheetgpt.sheets.grid import FIRST_TOKEN, MODEL
from sheetgpt.sheets.inputs import prompt_cell
from sheetgpt.sheets.layout import CHAT, INPUTS, ROUNDING, Layout
from sheetgpt.sheets.page import Beside, Page, Space, Stack, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.looks import dress
from sheetgpt.sheets.tensor import Kind

SHAPES = ("n_vocab", "n_positions", "n_embd", "n_layer", "n_head", "n_inner")
FIELDS = ("model", "fingerprint", *SHAPES, "layer_norm_epsilon", "activation_function", "tied")
SIZES = ("context", "prompt_bytes", "merge_rounds", "end_of_text", "optional_sheets")
MEANING = {
    "model": "the checkpoint this workbook was made from",
    "fingerprint": "SHA-256 of its config and weights; sheetgpt verify compares it",
    "n_vocab": "tokens in the vocabulary",
    "n_positions": "positions the model was trained on: the most tokens it can read",
    "n_embd": "numbers per token: the height of a column",
    "n_layer": "blocks, one sheet each",
    "n_head": "attention heads in a block",
    "n_inner": "neurons in a block's MLP",
    "layer_norm_epsilon": "added to the variance in each layer norm; the formulas read it from here",
    "activation_function": "the function that the MLP's neurons apply to their sum",
    "tied": "1: the unembedding is wte itself; 0: it is lm_head",
    "context": "token columns in this workbook",
    "prompt_bytes": "bytes of text the Tokenizer sheet has rows for; 0: no tokenizer, prompts are token ids",
    "merge_rounds": "merge rounds the Tokenizer sheet has columns for",
    "end_of_text": "the token that ends a text: nothing more is written after it; -1: there is none",
    "optional_sheets": "the sheets in this workbook that it could do without: sheetgpt build --sheets, --without",
    "lanes": "texts side by side: the second one is changed on the sheet Lab",
    "reads_only": "1: this workbook writes nothing after the prompt, so temperature and the like change no id",
    "chat_before": "what the model's chat template puts before what the user says",
    "chat_after": "and after it; then the model answers",
    "weights": "exact; int8: whole numbers, one scale per neuron; or rounded to this many significant digits",
    "logits_max_difference": "the largest change of a logit by rounding the weights, on the prompt at build time",
    "logits_rms_difference": "the root mean square of these changes",
    "top_1_agreement": "the share of that prompt's tokens after which the likeliest next token is the same",
    "compared_tokens": "tokens of that prompt",
}

VALUE, WHAT, BUILT = 2, 3, 5  # columns; the numbers of the build's names stand right of BUILT
WRAPPED = ("model", "fingerprint", "optional_sheets", "chat_after")  # their values may be three lines long
TALL = 42  # points: the height of these
NO_ID = "–"  # in the columns past the text
NO_TOKEN = -1  # where no token ends a text

# a part of the model, its number of parameters as a formula over the config's cells, and the same in Python
Count = tuple[str, str, Callable[[GPT2Config], int]]
COUNTS: list[Count] = [
    ("wte: token embeddings", "{n_vocab}*{n_embd}", lambda c: c.n_vocab * c.n_embd),
    ("wpe: position embeddings", "{n_positions}*{n_embd}", lambda c: c.n_positions * c.n_embd),
    (
        "attention, all blocks",
        "{n_layer}*(4*{n_embd}*{n_embd}+4*{n_embd})",
        lambda c: c.n_layer * (4 * c.n_embd * c.n_embd + 4 * c.n_embd),
    ),
    (
        "MLP, all blocks",
        "{n_layer}*(2*{n_embd}*{n_inner}+{n_inner}+{n_embd})",
        lambda c: c.n_layer * (2 * c.n_embd * c.n_inner + c.n_inner + c.n_embd),
    ),
    ("layer norms", "(2*{n_layer}+1)*2*{n_embd}", lambda c: (2 * c.n_layer + 1) * 2 * c.n_embd),
]
HEAD: Count = ("lm_head: unembedding", "{n_vocab}*{n_embd}", lambda c: c.n_vocab * c.n_embd)


def page(layout: Layout) -> Page:
    here = Page(MODEL, "shapes, settings, and where the parameters are", 1)
    here.head()
    heads = {1: "name", VALUE: "value", WHAT: "what it is"}
    words = {BUILT: "At build time; the self-check on Home compares with these"}
    words |= dict.fromkeys(range(FIRST_TOKEN, FIRST_TOKEN + 6), "")  # as wide as what is said
    here.add(Texts(heads | words, styles=dict.fromkeys(words, "section")))
    here.add(Beside(Stack(*settings(layout)), Stack(*built(layout))), Space())
    here.add(*parameters(here, layout))
    here.dresses.append(dress({1: 28, VALUE: 22, WHAT: 70, BUILT: 16}, freeze="A4"))
    return here


def values(state: State) -> dict[str, Any]:
    """What the workbook says of itself, by name."""
    layout, config, origin = state.layout, state.layout.config, state.origin
    found: dict[str, Any] = {"model": origin.source, "fingerprint": origin.fingerprint}
    found |= {"lanes": layout.lanes, "reads_only": int(layout.reads_only)}
    found |= {name: getattr(config, name) for name in FIELDS if hasattr(config, name)}
    found |= {name: getattr(layout, name) for name in SIZES}
    found |= {"tied": int(config.tied), "end_of_text": [*layout.end_of_text] or [NO_TOKEN]}
    if origin.built.cost is not None:
        found |= dict(zip(ROUNDING, (layout.weights, *astuple(origin.built.cost)), strict=True))
    if layout.chat is not None:
        found |= dict(zip(CHAT, map(prompt_cell, astuple(layout.chat)), strict=True))
    return found


def settings(layout: Layout) -> list[Part]:
    """A constant a row; of the tokens that end a text there may be several."""
    names = (
        *FIELDS,
        *SIZES,
        *(("lanes",) if layout.lanes > 1 else ()),
        *(("reads_only",) if layout.reads_only else ()),
    )
    names += (*(() if layout.weights == EXACT else ROUNDING), *(() if layout.chat is None else CHAT))
    return [line for name in names for line in setting(name, len(layout.end_of_text) if name == "end_of_text" else 1)]


def setting(name: str, n_rows: int) -> list[Part]:
    axes = ("token id",) if n_rows > 1 else ()
    looks: dict[str, Any] = {"column": VALUE, "label": None, "kind": Kind.CONSTANT, "axes": axes}
    looks["style"] = "wrapped id" if name in WRAPPED else "id"
    held = Block(name, max(n_rows, 1), 1, twin=lambda state: state.ask(values)[name], **looks)
    words = [(name, MEANING[name]), *[("", "this one, too")] * (n_rows - 1)]
    tall = TALL if name in WRAPPED else None
    beside = (Texts({1: title, WHAT: what}, "label", {1: "name"}, height=tall) for title, what in words)
    return [Beside(Stack(*beside), held)]


def built(layout: Layout) -> list[Part]:
    """The inputs of the build and the largest logits then."""
    n_logits = min(10, layout.config.n_vocab)
    numbers = INPUTS[:5]

    def chosen(state: State) -> Sequence[float]:
        inputs = state.origin.built.inputs
        return [inputs.new_tokens, *(getattr(inputs.sampling, name) for name in numbers[1:])]

    def best(state: State) -> Any:
        return np.sort(state.origin.built.logits)[::-1][:n_logits]

    def line(name: str, titles: Sequence[str], twin: Callable[[State], Any], style: str = "id", **more: Any) -> Part:
        looks = {"n_columns": 1, "column": FIRST_TOKEN, "label": None, "kind": Kind.CONSTANT} | more
        held = Block(name, len(titles), twin=twin, style=style, **looks)
        return Beside(Stack(*(Texts({BUILT: title}, "label") for title in titles)), held)

    # LibreOffice 25.2 and 26.8 cut a range inside SUMPRODUCT to its sheet's used columns: no id is left blank
    ids: dict[str, Any] = {"n_columns": layout.context, "idle": NO_ID, "axes": ("token",)}
    ranks = [f"logit {rank}" for rank in range(1, n_logits + 1)]
    return [
        line("built_ids", ["token ids"], lambda state: [*map(float, state.origin.built.ids)], **ids),
        line("built_n_prompt", ["their number"], lambda state: len(state.origin.built.ids)),
        line("built_prompt", ["prompt"], lambda state: prompt_cell(state.origin.built.text), "quote"),
        line("built_settings", numbers, chosen, axes=("setting",)),
        line("built_logits", ranks, best, axes=("rank",)),
    ]


def parameter_parts(config: GPT2Config) -> list[Count]:
    """The parts of a model that have parameters."""
    return COUNTS if config.tied else [*COUNTS, HEAD]


def counted(here: Page, layout: Layout, column: int) -> tuple[Block, Block]:
    """How many parameters there are in each part, and in all."""
    parts = parameter_parts(layout.config)
    looks: dict[str, Any] = {"n_columns": 1, "column": column, "label": None, "named": False}

    def count(i: int, j: int) -> str:
        cells = {name: layout[name] for name in SHAPES}
        found = {name: area.local if area.sheet == here.title else area.reference for name, area in cells.items()}
        return parts[i][1].format(**found)

    def counts(state: State) -> list[int]:
        return [number(layout.config) for *_, number in parts]

    def total(i: int, j: int) -> str:
        return f"SUM({here['counts'].local})"

    return (
        Block("counts", len(parts), formula=count, twin=counts, style="count", **looks),
        Block("n_params", formula=total, twin=lambda state: layout.config.n_params, style="total", **looks),
    )


def parameters(here: Page, layout: Layout) -> list[Part]:
    heads = {1: "parameters", VALUE: "how many", WHAT: "calculated from the shapes above"}
    counts, total = counted(here, layout, VALUE)
    words = []
    for part, expression, _ in parameter_parts(layout.config):
        said = expression.replace("{", "").replace("}", "").replace("*", " × ")
        words.append(Texts({1: part, WHAT: said}, "label", {1: "name"}))
    whole = Texts({1: "all parameters"}, "name")
    return [Texts(heads), Beside(Stack(*words), counts), Beside(whole, total)]
