"""The upper half of the Home sheet: the yellow cells, and the strip that shows the prompt a token a column.

Twin: `inputs.token_ids`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt import rows
from sheetgpt.inputs import Inputs
from sheetgpt.layout import FIRST_TOKEN, Area, Layout
from sheetgpt.sheets.decoding import DecodingLayout
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.token_sheet import Prompt, letter
from sheetgpt.sheets.tokenizer import messages
from sheetgpt.sheets.tokenizer_layout import TokenizerLayout

FINE = "Everything is in order."
NOTE = "Note: "


@dataclass(frozen=True)
class Text:
    """The sheets that turn text into ids and ids into text."""

    tokenizer: TokenizerLayout
    decoding: DecodingLayout


@dataclass(frozen=True)
class Now:
    """What the Home sheet's cells show when the workbook is made."""

    model: str
    inputs: Inputs
    n_given: int
    text: str
    logits: NDArray[Any]  # after the last token
    shown: list[str]  # by id


def local(area: Area, t: int | None = None) -> str:
    """A reference on the Home sheet: absolute, or to the row of the strip at position t."""
    return area.reference.split("!")[-1] if t is None else f"{letter(t)}${area.row}"


def bar(number: int, palette: Palette) -> bytes:
    """The coloured rest of a section's title row."""
    return b"".join(rows.blank(c, number, palette["maths"]) for c in range(2, FIRST_TOKEN + 10))


def inputs_rows(layout: Layout, text: Text | None, palette: Palette, prompt: Prompt, now: Now) -> Iterator[bytes]:
    home = layout.home
    title = f"GPT-2 in a spreadsheet: {now.model}"
    yield rows.row(1, rows.text(1, 1, title, palette["title"]), height=28)
    words = (
        "Change a yellow cell and everything recalculates: every weight is a cell, every step of the model a formula. "
        "A token is a column: follow it from sheet to sheet, top to bottom."
    )
    yield rows.row(2, rows.text(1, 2, words, palette["note"]))
    if text is not None:
        n = home["prompt"].row
        cells = [rows.text(3, n, now.inputs.prompt, palette["prompt"])]
        cells += [rows.blank(c, n, palette["prompt"]) for c in range(4, FIRST_TOKEN + 8)]
        yield rows.row(n, rows.text(1, n, "Prompt: type any text", palette["name"]), *cells, height=34)
    n = home["prompt_text"].row
    source = prompt_text(layout, text)
    yield rows.row(
        n,
        rows.text(1, n, "as the model reads it", palette["name"]),
        rows.formula(3, n, source, now.text, palette["quote"]),
    )
    n = home["message"].row
    message = rows.formula(3, n, message_formula(layout, text), message_now(layout, text, now), palette["message"])
    yield rows.row(n, rows.text(1, n, "Is everything all right?", palette["name"]), message)
    yield rows.row(8, rows.text(1, 8, "Settings", palette["section"]), bar(8, palette))

    def setting(name: str, title: str, value: float, hint: str) -> bytes:
        n = home[name].row
        cells = rows.text(1, n, title, palette["name"]), rows.number(3, n, value, palette["input"])
        return rows.row(n, *cells, rows.text(4, n, hint, palette["note"]))

    hint = "0: always the likeliest token. Below 1: bolder. Above 1: wilder."
    yield setting("temperature", "Temperature", now.inputs.temperature, hint)
    hint = "1: what would follow each token of the prompt. 0: only what follows the last one."
    yield setting("score_prompt", "Logits at every token", int(now.inputs.score_prompt), hint)
    yield from _counts(layout, text, palette, prompt, now)


def _counts(layout: Layout, text: Text | None, palette: Palette, prompt: Prompt, now: Now) -> Iterator[bytes]:
    """How many tokens there are, and how many of them the columns hold."""
    home = layout.home
    given, dropped = local(home["n_given"]), local(home["n_dropped"])
    typed = f"SUM({local(home['ids_typed'])})"
    if text is not None:
        typed = f"IF({local(home['n_ids'])}>0,{typed},{text.tokenizer.cells['n_tokens'].reference})"
    lines = (
        ("n_given", "Tokens given", typed, now.n_given, "by the prompt's text, or the ids typed below in its place"),
        (
            *("n_dropped", "of them dropped", f"MAX(0,{given}-{layout.context})", now.n_given - prompt.n),
            f"a token needs a column, and this workbook has {layout.context}: of more, the first drop out",
        ),
        ("n_prompt", "Tokens in the columns", f"{given}-{dropped}", prompt.n, "these are what the model reads"),
    )
    for name, title, source, value, hint in lines:
        n = home[name].row
        cells = rows.text(1, n, title, palette["name"]), rows.formula(3, n, source, value, palette["id"])
        yield rows.row(n, *cells, rows.text(4, n, hint, palette["note"]))


def prompt_text(layout: Layout, text: Text | None) -> str:
    """What the columns' tokens spell; without a tokenizer their numbers, strung together."""
    if text is not None:
        return text.decoding.text.reference
    return "&".join(local(layout.home["token_text"], t) for t in range(layout.context))


def message_formula(layout: Layout, text: Text | None) -> str:
    home = layout.home
    n_ids, heat, given = local(home["n_ids"]), local(home["temperature"]), local(home["n_given"])
    last = layout.config.n_vocab - 1
    gap = f"The token ids have a gap, or something that is no id (0 to {last})."
    slid = f"{NOTE}the prompt has more tokens than there are columns, so the first ones dropped out."
    checks = [(f"{n_ids}>SUM({local(home['ids_typed'])})", f'"{gap}"')]
    if text is None:
        nothing = f"Put a token id between 0 and {last} into the first yellow cell of the strip below."
        checks.append((f"{given}=0", f'"{nothing}"'))
    else:
        problem, words = (text.tokenizer.cells[name].reference for name in ("problem", "message"))
        checks.append((f"{given}=0", words))
    checks += [
        (f"NOT(ISNUMBER({heat}))", '"The temperature must be a number."'),
        (f"{heat}<0", '"The temperature must be 0 or more."'),
        (f"{local(home['n_dropped'])}>0", f'"{slid}"'),
    ]
    if text is not None:
        checks.append((f"AND({n_ids}=0,{problem}=1)", f'"{NOTE}"&{words}'))
    formula = f'"{FINE}"'
    for condition, sentence in reversed(checks):
        formula = f"IF({condition},{sentence},{formula})"
    return formula


def message_now(layout: Layout, text: Text | None, now: Now) -> str:
    if now.n_given > layout.context:
        return f"{NOTE}the prompt has more tokens than there are columns, so the first ones dropped out."
    if text is not None and not now.inputs.prompt and not now.inputs.ids:
        return NOTE + messages(text.tokenizer)[1]
    return FINE


def strip_rows(layout: Layout, text: Text | None, palette: Palette, prompt: Prompt, now: Now) -> Iterator[bytes]:
    """Position, ids typed, id, string and active flag, a token a column."""
    home, idle, index = layout.home, layout.context - prompt.n, count()
    n = home["positions"].row
    yield rows.row(n - 1, rows.text(1, n - 1, "The prompt, a token a column", palette["section"]), bar(n - 1, palette))

    def line(name: str, title: str, hint: str, cells: bytes) -> bytes:
        n = home[name].row
        return rows.row(n, rows.text(1, n, title, palette["name"]), rows.text(2, n, hint, palette["note"]), cells)

    def formulas(name: str, source: str, values: rows.Values, style: str) -> bytes:
        return rows.fill_right(FIRST_TOKEN, home[name].row, source, values, next(index), palette[style])

    yield line("positions", "position", "", rows.numbers(FIRST_TOKEN, n, np.arange(layout.context), palette["id"]))
    n, typed = home["prompt_ids"].row, now.inputs.ids
    cells = rows.formula(5, n, f"COUNTA({local(home['prompt_ids'])})", len(typed), palette["flag"])
    if typed:
        cells += rows.numbers(FIRST_TOKEN, n, np.array(typed), palette["input"])
    cells += b"".join(rows.blank(FIRST_TOKEN + t, n, palette["input"]) for t in range(len(typed), layout.context))
    yield line("prompt_ids", "type token ids" if text is None else "or type token ids", "in place of a text →", cells)
    n = home["ids_typed"].row
    flags = np.array([1.0] * len(typed) + [0.0] * (layout.context - len(typed)))
    start = rows.number(5, n, 1, palette["flag"])
    yield line("ids_typed", "an id?", "", start + formulas("ids_typed", _typed(layout), flags, "flag"))
    ids = np.array([*prompt.ids, *[np.nan] * idle], float)
    yield line("token_ids", "token id", "", formulas("token_ids", _token_id(layout, text), ids, "id"))
    vocabulary = layout.vocabulary["vocab_shown"].reference
    source = f'IF({local(home["active"], 0)},INDEX({vocabulary},{local(home["token_ids"], 0)}+1),"")'
    shown = [*prompt.shown, *[""] * idle]
    yield line("token_text", "token", "· is a space", formulas("token_text", source, shown, "token"))
    flags = np.array([1.0] * prompt.n + [0.0] * idle)
    source = f"IF(ISNUMBER({local(home['token_ids'], 0)}),1,0)"
    yield line("active", "active", "", formulas("active", source, flags, "flag"))


def _typed(layout: Layout) -> str:
    """1 while every column so far holds a typed token id: a whole number below n_vocab."""
    token, before = local(layout.home["prompt_ids"], 0), f"{letter(-1)}${layout.home['ids_typed'].row}"
    valid = f"AND({token}>=0,{token}<{layout.config.n_vocab},INT({token})={token})"
    return f"IF(ISNUMBER({token}),IF({valid},{before},0),0)"


def _token_id(layout: Layout, text: Text | None) -> str:
    """The prompt's ids, from the first that is not dropped."""
    home = layout.home
    place = f"{local(home['positions'], 0)}+1+{local(home['n_dropped'])}"
    source = f"INDEX({local(home['prompt_ids'])},1,{place})"
    if text is not None:
        source = f"IF({local(home['n_ids'])}>0,{source},INDEX({text.tokenizer.column('id').reference},{place}))"
    return f'IF({local(home["positions"], 0)}<{local(home["n_prompt"])},{source},"")'
