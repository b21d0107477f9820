"""The Model sheet: the config, a cell each, and where the parameters are, counted by formulas from the shapes."""

from collections.abc import Callable, Iterator
from dataclasses import astuple
from typing import Any

import numpy as np
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.quantize import EXACT
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import Cells, Row
from sheetgpt.sheets.grid import FIRST_TOKEN, HOME, MODEL
from sheetgpt.sheets.inputs import prompt_cell
from sheetgpt.sheets.layout import CHAT, INPUTS, ROUNDING, Layout
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import Built
from sheetgpt.sheets.tensor import Kind, Tensor
from sheetgpt.sheets.tensor import places as by_area

_MEANING = {
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
    "chat_before": "what the model's chat template puts before what the user says",
    "chat_after": "and after it; then the model answers",
    "weights": "exact; int8: whole numbers, one scale per neuron; or rounded to this many significant digits",
    "logits_max_difference": "the largest change of a logit by rounding the weights, on the prompt at build time",
    "logits_rms_difference": "the root mean square of these changes",
    "top_1_agreement": "the share of that prompt's tokens after which the likeliest next token is the same",
    "compared_tokens": "tokens of that prompt",
}


Part = tuple[str, str, Callable[[GPT2Config], int]]

# a part of the model, its number of parameters as a formula over the config's cells, and the same in Python
_PARTS: list[Part] = [
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
NO_ID = "–"  # in the columns past the text
NO_TOKEN = -1  # where no token ends a text
_HEAD: Part = ("lm_head: unembedding", "{n_vocab}*{n_embd}", lambda c: c.n_vocab * c.n_embd)


def cells(layout: Layout) -> list[Tensor]:
    fields = ("n_vocab", "n_positions", "n_embd", "n_layer", "n_head", "n_inner", "layer_norm_epsilon")
    names = ("model", "fingerprint", *fields, "activation_function", "tied")
    sizes: tuple[str, ...] = ("context", "prompt_bytes", "merge_rounds", "end_of_text", "optional_sheets")
    sizes += () if layout.lanes == 1 else ("lanes",)
    rounding = () if layout.weights == EXACT else ROUNDING
    found, n = [], 4
    for name in (*names, *sizes, *rounding, *(() if layout.chat is None else CHAT)):
        lines = len(layout.end_of_text) or 1 if name == "end_of_text" else 1
        axes = ("token id",) if lines > 1 else ()
        found.append(Tensor(name, (Area(MODEL, n, 2, lines),), Kind.CONSTANT, axes))
        n += lines
    return found


def built(layout: Layout) -> list[Tensor]:
    column = FIRST_TOKEN
    return [
        Tensor("built_ids", (Area(MODEL, 4, column, 1, layout.context),), Kind.CONSTANT, ("token",)),
        Tensor("built_n_prompt", (Area(MODEL, 5, column),), Kind.CONSTANT),
        Tensor("built_prompt", (Area(MODEL, 6, column),), Kind.CONSTANT),
        Tensor("built_settings", (Area(MODEL, 7, column, 5),), Kind.CONSTANT, ("setting",)),
        Tensor("built_logits", (Area(MODEL, 12, column, min(10, layout.config.n_vocab)),), Kind.CONSTANT, ("rank",)),
    ]


def places(layout: Layout) -> list[Tensor]:
    return [*cells(layout), *built(layout)]


def cells_of(layout: Layout) -> dict[str, Area]:
    """The config's own cells, by name."""
    return by_area(cells(layout))


def parameter_parts(config: GPT2Config) -> list[Part]:
    return _PARTS if config.tied else [*_PARTS, _HEAD]


def sheet(layout: Layout, palette: Palette, model: str, fingerprint: str, now: Built) -> Sheet:
    """`model`: where the checkpoint is."""
    last = max(layout["built_logits"].last_row, _last_setting(layout)) + 5 + len(parameter_parts(layout.config))
    return Sheet(
        MODEL,
        "shapes, settings, and where the parameters are",
        lambda: about_rows(layout, palette, model, fingerprint, now),
        *(last, FIRST_TOKEN + layout.context - 1),
        names=layout.names_on(MODEL),
        links=[("A2", f"{quoted(HOME)}!A1")],
        dress=_dress,
    )


def _dress(frame: Worksheet) -> None:
    frame.freeze_panes = "A4"
    for column, width in zip("ABCE", (28, 22, 70, 16), strict=True):
        frame.column_dimensions[column].width = width


def _last_setting(layout: Layout) -> int:
    return max(area.last_row for area in cells_of(layout).values())


def about_rows(layout: Layout, palette: Palette, model: str, fingerprint: str, built: Built) -> Iterator[Row]:
    config, cells = layout.config, cells_of(layout)
    values: dict[str, Any] = {"model": model, "fingerprint": fingerprint}
    if built.cost is not None:
        values |= dict(zip(ROUNDING, (layout.weights, *astuple(built.cost)), strict=True))
    if layout.chat is not None:
        values |= dict(zip(CHAT, map(prompt_cell, astuple(layout.chat)), strict=True))
    yield rows.row(1, rows.text(1, "Model", palette["title"]), height=24)
    yield rows.row(2, rows.text(1, "← Home", palette["link"]))
    heads = ("name", "value", "what it is")
    beside = _built_cells(layout, palette, built)
    words = rows.text(5, "At build time; the self-check on Home compares with these", palette["section"])
    yield rows.row(3, *(rows.text(c, head, palette["header"]) for c, head in enumerate(heads, 1)), words)
    for name, area in cells.items():
        value = values.get(name, getattr(config, name, getattr(layout, name, None)))
        lines = (value or (NO_TOKEN,)) if isinstance(value, tuple) else (value,)
        for n, one in enumerate(lines, area.row):
            cell = rows.text(2, one, palette["id"]) if isinstance(one, str) else _number(one, palette)
            title, what = (name, _MEANING[name]) if n == area.row else ("", "this one, too")
            label, meaning = rows.text(1, title, palette["name"]), rows.text(3, what, palette["label"])
            yield rows.row(n, label, cell, meaning, beside.pop(n, ()))
    n = _last_setting(layout) + 1
    while n in beside:
        yield rows.row(n, beside.pop(n))
        n += 1
    n += 1
    heads = ("parameters", "how many", "calculated from the shapes above")
    yield rows.row(n, *(rows.text(c, head, palette["header"]) for c, head in enumerate(heads, 1)))
    where = {name: f"$B${area.row}" for name, area in cells.items()}
    first = n + 1
    for part, expression, number in parameter_parts(config):
        n += 1
        source = expression.format(**where)
        yield rows.row(
            n,
            rows.text(1, part, palette["name"]),
            rows.formula(2, source, number(config), palette["count"]),
            rows.text(3, expression.replace("{", "").replace("}", "").replace("*", " × "), palette["label"]),
        )
    total = rows.formula(2, f"SUM($B${first}:$B${n})", config.n_params, palette["total"])
    yield rows.row(n + 1, rows.text(1, "all parameters", palette["name"]), total)


def _number(value: Any, palette: Palette) -> Cells:
    return rows.number(2, int(value) if isinstance(value, bool) else value, palette["id"])


def _built_cells(layout: Layout, palette: Palette, built: Built) -> dict[int, Cells]:
    """Cells from column E on, by row."""
    settings, areas = built.inputs.sampling, layout
    values = (built.inputs.new_tokens, settings.temperature, settings.top_k, settings.top_p, settings.seed)
    best = np.sort(built.logits)[::-1][: areas["built_logits"].n_rows]
    column, n = areas["built_ids"].column, areas["built_ids"].row
    ids = rows.numbers(column, np.array(built.ids, float), palette["id"])
    # LibreOffice 25.2 and 26.8 cut a range inside SUMPRODUCT to its sheet's used columns: none is left blank
    ids += rows.joined(rows.text(column + t, NO_ID, palette["id"]) for t in range(len(built.ids), layout.context))
    found = {n: _named("token ids", n, ids, palette)}
    n = areas["built_n_prompt"].row
    found[n] = _named("their number", n, rows.number(column, len(built.ids), palette["id"]), palette)
    n = areas["built_prompt"].row
    found[n] = _named("prompt", n, rows.text(column, prompt_cell(built.text), palette["quote"]), palette)
    for i, (name, value) in enumerate(zip(INPUTS, values, strict=False)):
        n = areas["built_settings"].row + i
        found[n] = _named(name, n, rows.number(column, value, palette["id"]), palette)
    for i, logit in enumerate(best):
        n = areas["built_logits"].row + i
        found[n] = _named(f"logit {i + 1}", n, rows.number(column, float(logit), palette["id"]), palette)
    return found


def _named(name: str, n: int, cells: Cells, palette: Palette) -> Cells:
    return rows.text(5, name, palette["label"]) + cells
