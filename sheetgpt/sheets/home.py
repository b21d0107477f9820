"""The Home sheet: the inputs, the prompt a token a column, the ten most likely next tokens, and where everything is.

Twin of the table: `sampling.top` and `sampling.probabilities`.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from openpyxl.chart import BarChart, Reference
from openpyxl.formatting.rule import CellIsRule
from openpyxl.styles import Font
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt import rows, sampling
from sheetgpt.layout import (
    EMBED,
    FIRST_TOKEN,
    MAX_FORMULA,
    MODEL,
    OUTPUT,
    SOFTMAX,
    VOCABULARY,
    WPE,
    WTE,
    Area,
    Layout,
    quoted,
)
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.token_sheet import Prompt, letter
from sheetgpt.xlsx import Book

START = "E13"  # holds 1: what `active` of the first column looks left at
LINKS_ROW = 32
FINE = "Everything is in order."


def local(area: Area, t: int | None = None) -> str:
    """A reference on the Home sheet: absolute, or to the row of the strip at position t."""
    return area.reference.split("!")[-1] if t is None else f"{letter(t)}${area.row}"


def links(layout: Layout) -> list[tuple[str, str]]:
    """Every sheet in the order of the computation, and a few words on it."""
    n = layout.config.n_layer
    blocks = [(layout.block_sheet(i), f"block {i} of {n}: attention, then the MLP") for i in range(n)]
    weights = [(layout.weight_sheet(i), f"the four matrices of block {i}") for i in range(n)]
    head = [] if layout.config.tied else [("lm_head", "the unembedding's own matrix")]
    return [
        (EMBED, "a token and its position become a column of numbers"),
        *blocks,
        (OUTPUT, "the last layer norm and a logit for every token of the vocabulary"),
        (SOFTMAX, "logits become probabilities at the temperature"),
        (MODEL, "shapes, settings, and where the parameters are"),
        (VOCABULARY, "every token the model knows"),
        (WTE, "token embeddings"),
        (WPE, "position embeddings"),
        *head,
        *weights,
    ]


def section_links(layout: Layout, sheet: str) -> list[tuple[str, str]]:
    """The sections of a token sheet: a short name and where its title stands. A head's three count as one."""
    found = []
    for name, area in layout.tensors.items():
        parts = name.split(".")
        kind = next((part for part in ("max", "sum", "exp", "probs", "mean", "rstd") if part in parts), None)
        if area.sheet != sheet or kind in ("max", "sum", "exp", "probs", "rstd") or name == "logits_wanted":
            continue
        if kind is None and name + ".mean" in layout.tensors:
            continue  # its mean's title comes first
        short = name.removesuffix(".mean").removeprefix(sheet + ".")
        short = short.replace("attn.scores.", "head ")
        found.append((short, f"{quoted(sheet)}!A{area.row - 1}"))
    return found


def add_home(book: Book, layout: Layout, palette: Palette, prompt: Prompt, now: "Now", frame: Worksheet) -> None:
    """Fills `frame`, which must be the book's first sheet."""
    for column, width in zip("ABCDE", (26, 10, 16, 11, 13), strict=True):
        frame.column_dimensions[column].width = width
    for t in range(layout.context):
        frame.column_dimensions[letter(t)].width = 9.5
    frame.sheet_view.showGridLines = False
    frame.sheet_properties.tabColor = "C55A11"
    for i, (sheet, _) in enumerate(links(layout)):
        book.link(frame, f"A{LINKS_ROW + i}", f"{quoted(sheet)}!A1")
        for k, (_, place) in enumerate(section_links(layout, sheet)):
            book.link(frame, f"{letter(k)}{LINKS_ROW + i}", place)
    _validate(frame, layout)
    _chart(frame, layout)
    fine = CellIsRule(operator="equal", formula=[f'"{FINE}"'], font=Font(color="548235"))
    frame.conditional_formatting.add(layout.home["message"].cells, fine)
    widest = max(layout.context, 10, 10 + layout.config.n_head)
    last = f"{letter(widest - 1)}{LINKS_ROW + len(links(layout)) - 1}"
    book.add(frame, lambda: home_rows(layout, palette, prompt, now), last, 10 * layout.context)


class Now:
    """What the Home sheet's cells show when the workbook is made."""

    def __init__(
        self,
        model: str,
        temperature: float,
        score_prompt: bool,
        text: str,
        logits: NDArray[Any],
        shown: Sequence[str],
    ) -> None:
        self.model, self.temperature, self.score_prompt, self.text = model, temperature, score_prompt, text
        self.logits, self.shown = logits, shown
        self.probs = sampling.probabilities(logits, temperature)


def _validate(frame: Worksheet, layout: Layout) -> None:
    """What the input cells take."""
    home, config = layout.home, layout.config
    checks: tuple[tuple[str, Literal["whole", "decimal"], int, int, str], ...] = (
        ("temperature", "decimal", 0, 100, "The temperature is a number from 0 (always the likeliest) to 100."),
        ("score_prompt", "whole", 0, 1, "1: logits at every token. 0: only after the last one, which is faster."),
        ("token_ids", "whole", 0, config.n_vocab - 1, f"A token id is a whole number from 0 to {config.n_vocab - 1}."),
    )
    for name, kind, low, high, words in checks:
        rule = DataValidation(kind, operator="between", formula1=str(low), formula2=str(high), allow_blank=True)
        rule.error = rule.prompt = words
        rule.errorTitle = rule.promptTitle = name
        rule.showErrorMessage = rule.showInputMessage = True
        rule.add(home[name].cells)
        frame.add_data_validation(rule)


def _chart(frame: Worksheet, layout: Layout) -> None:
    probs, tokens = layout.home["top_probs"], layout.home["top_tokens"]
    chart = BarChart()
    chart.type, chart.style, chart.legend = "bar", 10, None
    chart.height, chart.width, chart.gapWidth = 6.3, 18, 30
    chart.x_axis.tickLblSkip = 1
    chart.add_data(Reference(frame, probs.column, probs.row, probs.column, probs.last_row))
    chart.set_categories(Reference(frame, tokens.column, tokens.row, tokens.column, tokens.last_row))
    chart.x_axis.scaling.orientation = "maxMin"
    chart.x_axis.delete = chart.y_axis.delete = False
    chart.y_axis.numFmt, chart.y_axis.majorGridlines = "0%", None
    chart.y_axis.scaling.min = 0
    frame.add_chart(chart, f"{letter(0)}18")


def home_rows(layout: Layout, palette: Palette, prompt: Prompt, now: Now) -> Iterator[bytes]:
    yield from _inputs(layout, palette, prompt, now)
    yield from _strip(layout, palette, prompt)
    yield from _text(layout, palette, prompt, now)
    yield from _top_ten(layout, palette, prompt, now)
    yield rows.row(31, rows.text(1, 31, "Follow it through the sheets", palette["section"]), _bar(31, palette))
    for i, (sheet, words) in enumerate(links(layout)):
        n = LINKS_ROW + i
        cells = [rows.text(1, n, sheet, palette["link"]), rows.text(2, n, words, palette["label"])]
        for k, (section, _) in enumerate(section_links(layout, sheet)):
            cells.append(rows.text(FIRST_TOKEN + k, n, section, palette["link"]))
        yield rows.row(n, *cells)


def _bar(number: int, palette: Palette) -> bytes:
    return b"".join(rows.blank(c, number, palette["maths"]) for c in range(2, FIRST_TOKEN + 10))


def _inputs(layout: Layout, palette: Palette, prompt: Prompt, now: Now) -> Iterator[bytes]:
    home = layout.home
    title = f"GPT-2 in a spreadsheet: {now.model}"
    yield rows.row(1, rows.text(1, 1, title, palette["title"]), height=28)
    words = (
        "Change a yellow cell and everything recalculates: every weight is a cell, every step of the model a formula. "
        "A token is a column: follow it from sheet to sheet, top to bottom."
    )
    yield rows.row(2, rows.text(1, 2, words, palette["note"]))

    def setting(name: str, title: str, value: float, hint: str) -> bytes:
        n = home[name].row
        cells = rows.text(1, n, title, palette["name"]), rows.number(3, n, value, palette["input"])
        return rows.row(n, *cells, rows.text(4, n, hint, palette["note"]))

    hint = "0: always the likeliest token. Below 1: bolder. Above 1: wilder."
    yield setting("temperature", "Temperature", now.temperature, hint)
    hint = "1: what would follow each token of the prompt. 0: only what follows the last one."
    yield setting("score_prompt", "Logits at every token", int(now.score_prompt), hint)
    n = home["n_prompt"].row
    total = rows.formula(3, n, f"SUM({local(home['active'])})", prompt.n, palette["id"])
    hint = f"of the {layout.context} columns in this workbook"
    yield rows.row(
        n, rows.text(1, n, "Tokens in the prompt", palette["name"]), total, rows.text(4, n, hint, palette["note"])
    )
    n = home["message"].row
    message = rows.formula(3, n, _message(layout), FINE, palette["message"])
    yield rows.row(n, rows.text(1, n, "Is everything all right?", palette["name"]), message)


def _message(layout: Layout) -> str:
    home = layout.home
    ids, n_prompt, heat = local(home["token_ids"]), local(home["n_prompt"]), local(home["temperature"])
    last = layout.config.n_vocab - 1
    checks = (
        (f"{n_prompt}=0", f"Put a token id between 0 and {last} into the first yellow cell of the strip below."),
        (
            f"COUNTA({ids})>{n_prompt}",
            f"The token ids have a gap, or something that is no id (0 to {last}).",
        ),
        (f"NOT(ISNUMBER({heat}))", "The temperature must be a number."),
        (f"{heat}<0", "The temperature must be 0 or more."),
    )
    formula = f'"{FINE}"'
    for condition, words in reversed(checks):
        formula = f'IF({condition},"{words}",{formula})'
    return formula


def _strip(layout: Layout, palette: Palette, prompt: Prompt) -> Iterator[bytes]:
    """Position, id, string and active flag, a token a column."""
    home, idle, index = layout.home, layout.context - prompt.n, count()
    n = home["positions"].row
    yield rows.row(n - 1, rows.text(1, n - 1, "The prompt, a token a column", palette["section"]), _bar(n - 1, palette))

    def line(name: str, title: str, hint: str, cells: bytes) -> bytes:
        n = home[name].row
        return rows.row(n, rows.text(1, n, title, palette["name"]), rows.text(2, n, hint, palette["note"]), cells)

    yield line("positions", "position", "", rows.numbers(FIRST_TOKEN, n, np.arange(layout.context), palette["id"]))
    n = home["token_ids"].row
    cells = rows.numbers(FIRST_TOKEN, n, np.array(prompt.ids), palette["input"])
    cells += b"".join(rows.blank(FIRST_TOKEN + t, n, palette["input"]) for t in range(prompt.n, layout.context))
    yield line("token_ids", "token id", "type ids here →", cells)
    n = home["token_text"].row
    vocabulary = layout.vocabulary["vocab_shown"].reference
    source = f'IF({local(home["active"], 0)},INDEX({vocabulary},{local(home["token_ids"], 0)}+1),"")'
    shown = [*prompt.shown, *[""] * idle]
    cells = rows.fill_right(FIRST_TOKEN, n, source, shown, next(index), palette["token"])
    yield line("token_text", "token", "· is a space", cells)
    n = home["active"].row
    flags = np.array([1.0] * prompt.n + [0.0] * idle)
    cells = rows.fill_right(FIRST_TOKEN, n, _active(layout), flags, next(index), palette["flag"])
    start = rows.number(5, n, 1, palette["flag"])
    yield line("active", "active", "", start + cells)


def _active(layout: Layout) -> str:
    """1 while every column so far holds a token id: a whole number below n_vocab."""
    token, before = local(layout.home["token_ids"], 0), f"{letter(-1)}${layout.home['active'].row}"
    valid = f"AND({token}>=0,{token}<{layout.config.n_vocab},INT({token})={token})"
    return f"IF(ISNUMBER({token}),IF({valid},{before},0),0)"


def text_formula(layout: Layout) -> tuple[str, bool]:
    """The tokens' texts strung together; their visible strings (True) where that would be too long a formula.

    The longest formula of the workbook: it names every token column.
    """
    vocabulary, home = layout.vocabulary["vocab_text"].reference, layout.home
    columns = range(layout.context)
    source = "&".join(
        f'IF({local(home["active"], t)},INDEX({vocabulary},{local(home["token_ids"], t)}+1),"")' for t in columns
    )
    if len(source) < MAX_FORMULA:
        return source, False
    return "&".join(local(home["token_text"], t) for t in columns), True


def _text(layout: Layout, palette: Palette, prompt: Prompt, now: Now) -> Iterator[bytes]:
    n = layout.home["prompt_text"].row
    source, visible = text_formula(layout)
    value = "".join(prompt.shown) if visible else now.text
    text = rows.formula(3, n, source, value, palette["quote"])
    yield rows.row(n, rows.text(1, n, "as text", palette["name"]), text)


def _top_ten(layout: Layout, palette: Palette, prompt: Prompt, now: Now) -> Iterator[bytes]:
    """The k-th largest logit, and its token: the lowest id that has it and is not in the table yet."""
    home, soft = layout.home, layout.softmax
    logits, probs = soft["next_logits"].reference, soft["next_probs"].reference
    ids = Area(SOFTMAX, soft["next_logits"].row, 1, layout.config.n_vocab).reference
    first = home["top_ids"].row
    title = "The ten most likely next tokens"
    yield rows.row(first - 2, rows.text(1, first - 2, title, palette["section"]), _bar(first - 2, palette))
    heads = ("rank", "id", "token", "logit", "probability")
    yield rows.row(first - 1, *(rows.text(c, first - 1, h, palette["header"]) for c, h in enumerate(heads, 1)))
    best = sampling.top(now.logits, 10)
    for k in range(10):
        n, n_vocab = first + k, layout.config.n_vocab
        known = k < len(best)
        token = best[k] if known else 0
        some = f'IF(AND({local(home["n_prompt"])}>0,$A${n}<={n_vocab}),{{}},"")'
        found = f"MATCH($D${n},{logits},0)-1"
        if k:
            tied = f"{n_vocab}-SUMPRODUCT(MAX(({logits}=$D${n})*({ids}>$B${n - 1})*({n_vocab}-{ids})))"
            found = f"IF($D${n}=$D${n - 1},{tied},{found})"
        token_string = f"INDEX({layout.vocabulary['vocab_shown'].reference},$B${n}+1)"
        yield rows.row(
            n,
            rows.number(1, n, k + 1, palette["index"]),
            rows.formula(2, n, some.format(found), token if known else "", palette["id"]),
            rows.formula(3, n, some.format(token_string), now.shown[token] if known else "", palette["token"]),
            rows.formula(
                4,
                n,
                some.format(f"LARGE({logits},$A${n})"),
                float(now.logits[token]) if known else "",
                palette["number"],
            ),
            rows.formula(
                5,
                n,
                some.format(f"INDEX({probs},$B${n}+1)"),
                float(now.probs[token]) if known else "",
                palette["prob"],
            ),
        )
