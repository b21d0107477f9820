"""The Model sheet: the config, a cell each, and where the parameters are, counted by formulas from the shapes."""

from collections.abc import Callable, Iterator
from typing import Any

from sheetgpt import rows
from sheetgpt.config import GPT2Config
from sheetgpt.layout import HOME, MODEL, Layout, quoted
from sheetgpt.sheets.palette import Palette
from sheetgpt.xlsx import Book

_MEANING = {
    "model": "the checkpoint this workbook was made from",
    "fingerprint": "SHA-256 of its config and weights; sheetgpt verify compares it",
    "n_vocab": "tokens that the model knows",
    "n_positions": "positions that the model was trained on: the longest text it can read",
    "n_embd": "numbers that stand for one token: the height of a column",
    "n_layer": "blocks, one sheet each",
    "n_head": "attention heads in a block",
    "n_inner": "neurons in a block's MLP",
    "layer_norm_epsilon": "added to the variance in each layer norm; the formulas read it here",
    "activation_function": "what the MLP's neurons do with their sum",
    "tied": "1: the output compares with wte itself; 0: with lm_head",
    "context": "token columns in this workbook",
    "prompt_bytes": "bytes of text that the Tokenizer sheet has rows for; 0: no tokenizer, prompts are token ids",
    "merge_rounds": "rounds of merges that the Tokenizer sheet has columns for",
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
_HEAD: Part = ("lm_head: unembedding", "{n_vocab}*{n_embd}", lambda c: c.n_vocab * c.n_embd)


def parameter_parts(config: GPT2Config) -> list[Part]:
    return _PARTS if config.tied else [*_PARTS, _HEAD]


def add_about(book: Book, layout: Layout, palette: Palette, model: str, fingerprint: str) -> None:
    sheet = book.frame(MODEL)
    sheet.freeze_panes = "A4"
    for column, width in zip("ABC", (28, 22, 70), strict=True):
        sheet.column_dimensions[column].width = width
    book.link(sheet, "A2", f"{quoted(HOME)}!A1")
    last = layout.model_cells["merge_rounds"].row + 5 + len(parameter_parts(layout.config))
    stream = lambda: about_rows(layout, palette, model, fingerprint)  # noqa: E731
    book.add(sheet, stream, f"C{last}", 3 * last)


def about_rows(layout: Layout, palette: Palette, model: str, fingerprint: str) -> Iterator[bytes]:
    config, cells = layout.config, layout.model_cells
    values: dict[str, Any] = {"model": model, "fingerprint": fingerprint}
    yield rows.row(1, rows.text(1, 1, "Model", palette["title"]), height=24)
    yield rows.row(2, rows.text(1, 2, "← Home", palette["link"]))
    heads = ("name", "value", "what it is")
    yield rows.row(3, *(rows.text(c, 3, head, palette["header"]) for c, head in enumerate(heads, 1)))
    for name, area in cells.items():
        n, value = area.row, values.get(name, getattr(config, name, getattr(layout, name, None)))
        cell = rows.text(2, n, value, palette["id"]) if isinstance(value, str) else _number(n, value, palette)
        yield rows.row(
            n, rows.text(1, n, name, palette["name"]), cell, rows.text(3, n, _MEANING[name], palette["label"])
        )
    n = cells["merge_rounds"].row + 2
    heads = ("parameters", "how many", "counted from the shapes above")
    yield rows.row(n, *(rows.text(c, n, head, palette["header"]) for c, head in enumerate(heads, 1)))
    where = {name: f"$B${area.row}" for name, area in cells.items()}
    first = n + 1
    for part, expression, number in parameter_parts(config):
        n += 1
        source = expression.format(**where)
        yield rows.row(
            n,
            rows.text(1, n, part, palette["name"]),
            rows.formula(2, n, source, number(config), palette["count"]),
            rows.text(3, n, expression.replace("{", "").replace("}", "").replace("*", " × "), palette["label"]),
        )
    total = rows.formula(2, n + 1, f"SUM($B${first}:$B${n})", config.n_params, palette["total"])
    yield rows.row(n + 1, rows.text(1, n + 1, "all parameters", palette["name"]), total)


def _number(row: int, value: Any, palette: Palette) -> bytes:
    return rows.number(2, row, int(value) if isinstance(value, bool) else value, palette["id"])
