"""The Home sheet: the inputs, the prompt a token a column, the ten most likely next tokens, and where everything is.

Twin of the table: `sampling.top` and `sampling.probabilities`.
"""

from collections.abc import Iterator
from typing import Literal

from openpyxl.formatting.rule import CellIsRule, ColorScaleRule, FormulaRule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import quoted
from sheetgpt.ooxml.book import TEXT_HINTS, Book
from sheetgpt.ooxml.rows import Row
from sheetgpt.sheets.bpe_by_hand import BY_HAND
from sheetgpt.sheets.decoding import DECODING
from sheetgpt.sheets.home_prompt import FINE, NOTE, TITLES, WIDE, Now, Text, bar, inputs_rows, local, ranges
from sheetgpt.sheets.home_strip import strip_rows
from sheetgpt.sheets.home_table import add_charts, table_rows
from sheetgpt.sheets.layout import (
    EMBED,
    FIRST_TOKEN,
    GUIDE,
    MODEL,
    OUTPUT,
    SAMPLE,
    SOFTMAX,
    VOCABULARY,
    WPE,
    WTE,
    Layout,
)
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.token_sheet import Prompt, letter
from sheetgpt.sheets.tokenizer_layout import CHARACTERS, MERGES, TOKENIZER

LINKS_ROW = 44


def links(layout: Layout) -> list[tuple[str, str]]:
    """Every sheet in the order of the computation, and a few words on it."""
    n = layout.config.n_layer
    blocks = [(layout.block_sheet(i), "attention, then the MLP") for i in range(n)]
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
        (GUIDE, "the tour in ten stops, and where the parameters are"),
        *text,
        (EMBED, "a token and its position become a column of numbers"),
        *blocks,
        (OUTPUT, "the last layer norm and a logit for every token of the vocabulary"),
        (SAMPLE, "the next token is chosen, column by column"),
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
        if area.sheet != sheet or kind in ("max", "sum", "exp", "probs", "rstd") or name.startswith("logits_"):
            continue
        if kind is None and name + ".mean" in layout.tensors:
            continue  # its mean's title comes first
        name = name.removesuffix(".mean")
        short = (name.partition(".")[2] or name).replace("attn.scores.", "head ")  # `h0.attn.z` is a block's
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
    _colour(frame, layout)
    add_charts(frame, layout)
    message = layout.home["message"]
    fine = CellIsRule(operator="equal", formula=[f'"{FINE}"'], font=Font(color="548235"))
    note = FormulaRule([f'LEFT({local(message)},{len(NOTE)})="{NOTE}"'], font=Font(color="C55A11"))
    for rule in (fine, note):
        frame.conditional_formatting.add(message.cells, rule)
    if text is not None:
        for row in (layout.home["prompt"].row, layout.home["completion"].row):
            frame.merged_cells.add(f"C{row}:{letter(WIDE - FIRST_TOKEN)}{row}")
    texts = ("prompt", "completion", "prompt_text", "token_text", "top_tokens")
    book.ignore(frame, TEXT_HINTS, *(area.cells for name, area in layout.home.items() if name in texts))
    widest = max(layout.context, 18, 10 + layout.config.n_head)
    last = f"{letter(widest - 1)}{LINKS_ROW + len(links(layout)) - 1}"
    book.add(frame, lambda: home_rows(layout, text, palette, prompt, now), last, 10 * layout.context)


def _validate(frame: Worksheet, layout: Layout) -> None:
    """What the input cells take."""
    last = layout.config.n_vocab - 1
    ids = (0, last, True, f"A token id is a whole number from 0 to {last}.")
    for name, (least, most, whole, words) in (ranges(layout) | {"prompt_ids": ids}).items():
        kind: Literal["whole", "decimal"] = "whole" if whole else "decimal"
        rule = DataValidation(kind, operator="between", formula1=str(least), formula2=str(most), allow_blank=True)
        rule.error, rule.prompt = words, f"{TITLES[name][1]} {words}" if name in TITLES else words
        rule.errorTitle = rule.promptTitle = TITLES[name][0] if name in TITLES else "Token ids"
        rule.showErrorMessage = rule.showInputMessage = True
        rule.add(layout.home[name].cells)
        frame.add_data_validation(rule)


def _colour(frame: Worksheet, layout: Layout) -> None:
    """The strip: what the model wrote in orange, and the redder the more of a surprise."""
    home = layout.home
    strings, written = home["token_text"], f"{letter(0)}${home['positions'].row}>={local(home['n_prompt'])}"
    blank = FormulaRule([f'{letter(0)}${strings.row}=""'], fill=PatternFill(bgColor="FFFFFF"), stopIfTrue=True)
    orange = FormulaRule([written], font=Font(bold=True, color="FFFFFF"), fill=PatternFill(bgColor="C55A11"))
    for rule in (blank, orange):
        frame.conditional_formatting.add(strings.cells, rule)
    heat = ColorScaleRule("num", 0, "FFFFFF", "num", 4, "FCE4D6", "num", 12, "E06666")
    frame.conditional_formatting.add(home["surprisal"].cells, heat)


def home_rows(layout: Layout, text: Text | None, palette: Palette, prompt: Prompt, now: Now) -> Iterator[Row]:
    yield from inputs_rows(layout, text, palette, prompt, now)
    yield from strip_rows(layout, text, palette, prompt, now)
    yield from table_rows(layout, palette, prompt, now)
    n = LINKS_ROW - 1
    yield rows.row(n, rows.text(1, "Follow it through the sheets", palette["section"]), bar(n, palette))
    for i, (sheet, words) in enumerate(links(layout)):
        n = LINKS_ROW + i
        cells = [rows.text(1, sheet, palette["link"]), rows.text(2, words, palette["label"])]
        for k, (section, _) in enumerate(section_links(layout, sheet)):
            cells.append(rows.text(FIRST_TOKEN + k, section, palette["link"]))
        yield rows.row(n, *cells)
