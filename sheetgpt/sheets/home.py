"""The Home sheet: the inputs, the prompt a token a column, the ten most likely next tokens, and where everything is.

Twin of the table: `sampling.top` and `sampling.probabilities`.
"""

from collections.abc import Iterator
from typing import Literal

from openpyxl.chart import BarChart, Reference
from openpyxl.formatting.rule import CellIsRule, FormulaRule
from openpyxl.styles import Font
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt import rows, sampling
from sheetgpt.layout import (
    EMBED,
    FIRST_TOKEN,
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
from sheetgpt.sheets.bpe_by_hand import BY_HAND
from sheetgpt.sheets.decoding import DECODING
from sheetgpt.sheets.home_prompt import FINE, NOTE, Now, Text, bar, inputs_rows, local, strip_rows
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.token_sheet import Prompt, letter
from sheetgpt.sheets.tokenizer_layout import CHARACTERS, MERGES, TOKENIZER
from sheetgpt.xlsx import Book

LINKS_ROW = 38


def links(layout: Layout) -> list[tuple[str, str]]:
    """Every sheet in the order of the computation, and a few words on it."""
    n = layout.config.n_layer
    blocks = [(layout.block_sheet(i), f"block {i} of {n}: attention, then the MLP") for i in range(n)]
    weights = [(layout.weight_sheet(i), f"the four matrices of block {i}") for i in range(n)]
    head = [] if layout.config.tied else [("lm_head", "the unembedding's own matrix")]
    text = [(TOKENIZER, "the prompt's text becomes token ids, step by step")] if layout.reads_text else []
    tables = []
    if layout.reads_text:
        tables = [
            (DECODING, "token ids become bytes, and bytes text"),
            (BY_HAND, "how merges are learned, with a text of your own"),
        ]
    return [
        *text,
        (EMBED, "a token and its position become a column of numbers"),
        *blocks,
        (OUTPUT, "the last layer norm and a logit for every token of the vocabulary"),
        (SOFTMAX, "logits become probabilities at the temperature"),
        *tables,
        (MODEL, "shapes, settings, and where the parameters are"),
        (VOCABULARY, "every token the model knows"),
        *([(MERGES, "the pairs of tokens that join"), (CHARACTERS, "letters, numbers, spaces")] if text else []),
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


def add_home(
    book: Book, layout: Layout, text: Text | None, palette: Palette, prompt: Prompt, now: Now, frame: Worksheet
) -> None:
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
    message = layout.home["message"]
    fine = CellIsRule(operator="equal", formula=[f'"{FINE}"'], font=Font(color="548235"))
    note = FormulaRule([f'LEFT({local(message)},{len(NOTE)})="{NOTE}"'], font=Font(color="C55A11"))
    for rule in (fine, note):
        frame.conditional_formatting.add(message.cells, rule)
    if text is not None:
        prompt_row = layout.home["prompt"].row
        frame.merged_cells.add(f"C{prompt_row}:{letter(7)}{prompt_row}")
    widest = max(layout.context, 10, 10 + layout.config.n_head)
    last = f"{letter(widest - 1)}{LINKS_ROW + len(links(layout)) - 1}"
    book.add(frame, lambda: home_rows(layout, text, palette, prompt, now), last, 10 * layout.context)


def _validate(frame: Worksheet, layout: Layout) -> None:
    """What the input cells take."""
    home, config = layout.home, layout.config
    checks: tuple[tuple[str, Literal["whole", "decimal"], int, int, str], ...] = (
        ("temperature", "decimal", 0, 100, "The temperature is a number from 0 (always the likeliest) to 100."),
        ("score_prompt", "whole", 0, 1, "1: logits at every token. 0: only after the last one, which is faster."),
        ("prompt_ids", "whole", 0, config.n_vocab - 1, f"A token id is a whole number from 0 to {config.n_vocab - 1}."),
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
    frame.add_chart(chart, f"{letter(0)}24")


def home_rows(layout: Layout, text: Text | None, palette: Palette, prompt: Prompt, now: Now) -> Iterator[bytes]:
    yield from inputs_rows(layout, text, palette, prompt, now)
    yield from strip_rows(layout, text, palette, prompt, now)
    yield from _top_ten(layout, palette, prompt, now)
    n = LINKS_ROW - 1
    yield rows.row(n, rows.text(1, n, "Follow it through the sheets", palette["section"]), bar(n, palette))
    for i, (sheet, words) in enumerate(links(layout)):
        n = LINKS_ROW + i
        cells = [rows.text(1, n, sheet, palette["link"]), rows.text(2, n, words, palette["label"])]
        for k, (section, _) in enumerate(section_links(layout, sheet)):
            cells.append(rows.text(FIRST_TOKEN + k, n, section, palette["link"]))
        yield rows.row(n, *cells)


def _top_ten(layout: Layout, palette: Palette, prompt: Prompt, now: Now) -> Iterator[bytes]:
    """The k-th largest logit, and its token: the lowest id that has it and is not in the table yet."""
    home, soft = layout.home, layout.softmax
    logits, probs = soft["next_logits"].reference, soft["next_probs"].reference
    ids = Area(SOFTMAX, soft["next_logits"].row, 1, layout.config.n_vocab).reference
    first = home["top_ids"].row
    title = "The ten most likely next tokens"
    yield rows.row(first - 2, rows.text(1, first - 2, title, palette["section"]), bar(first - 2, palette))
    heads = ("rank", "id", "token", "logit", "probability")
    yield rows.row(first - 1, *(rows.text(c, first - 1, h, palette["header"]) for c, h in enumerate(heads, 1)))
    best, probs_now = sampling.top(now.logits, 10), sampling.probabilities(now.logits, now.inputs.temperature)
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
                float(probs_now[token]) if known else "",
                palette["prob"],
            ),
        )
