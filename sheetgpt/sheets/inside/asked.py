"""What a sheet is asked about: a position of the text and a token, in yellow cells; the text itself stands above them.

An empty cell, or one that holds no position and no id, asks for the usual: the last position, the likeliest token. So a
sheet has something to show whatever stands there, and says what it made of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from openpyxl.formatting.rule import FormulaRule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import Cells, Row
from sheetgpt.sheets.choosers import Chooser, typed_cell, whole, whole_now
from sheetgpt.sheets.formulas import text_at
from sheetgpt.sheets.grid import FIRST_TOKEN
from sheetgpt.sheets.home.prompt import FINE, NOTE
from sheetgpt.sheets.inside.question import LAST
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.token_page import letter
from sheetgpt.sheets.optional import Value
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.state import Prompt

POSITIONS, TOKENS = 4, 5  # rows of the text
TYPED, USED, SHOWN = 3, 4, 5  # columns: what is typed, what it comes to, the token there
LAST_COLUMN = FIRST_TOKEN + 11  # of the coloured bars
NO_POSITION = "The text has no such position, so its last token is taken: positions are 0 to "
NO_TOKEN = "No token has this id, so it counts as empty: ids are 0 to "


def is_whole(cell: str, last: str) -> str:
    """Whether `choosers.whole` takes what is typed."""
    return f"IF(ISNUMBER({cell}),AND({cell}>=0,{cell}<={last}),FALSE)"


def used(cell: Area) -> str:
    """What a yellow cell comes to, for formulas on its sheet: in the column beside it."""
    return Area(cell.sheet, cell.row, USED).local


def ready(layout: Layout) -> str:
    """Whether there is a text, and settings that are valid."""
    return f"{layout['n_tokens'].reference}*{layout['settings_ok'].reference}>0"


def position_formula(layout: Layout, cell: Area) -> str:
    """The position that is asked for, from 0 on; no number where there is no text."""
    last = f"{layout['n_tokens'].reference}-1"
    return f'IF({ready(layout)},{whole(cell.local, last, last)},"")'


def token_formula(layout: Layout, cell: Area, position: Area, otherwise: str) -> str:
    """The token id that is asked for, or `otherwise`."""
    last = str(layout.config.n_vocab - 1)
    return f'IF(ISNUMBER({used(position)}),{whole(cell.local, last, otherwise)},"")'


def position_now(typed: Value, n: int) -> int:
    """The position that is asked for, of n."""
    return whole_now(typed, n - 1, n - 1)


def token_now(typed: Value, n_vocab: int) -> int | None:
    """The id that is asked for; None for what is none."""
    found = whole_now(typed, n_vocab - 1, -1)
    return None if found < 0 else found


@dataclass(frozen=True)
class Line:
    """A yellow cell, the formula of what it comes to, and both as they are now."""

    cell: Area
    title: str
    typed: Value
    formula: str
    now: float | str
    shown_formula: str
    shown: str
    hint: str
    refusal: tuple[str, str]  # a sentence for what can't be used, as a formula and now; "" where it is fine


def position_line(layout: Layout, prompt: Prompt, cell: Area, typed: Value) -> Line:
    """Which position of the text."""
    text, last = layout["token_text"].reference, f"{layout['n_tokens'].reference}-1"
    here, now = used(cell), position_now(typed, prompt.n)
    known = typed in ("", LAST) or whole_now(typed, prompt.n - 1, -1) >= 0
    usual = f'IF({cell.local}="",TRUE,{cell.local}="{LAST}")'
    return Line(
        cell,
        "Position",
        typed,
        position_formula(layout, cell),
        now,
        f'IF(ISNUMBER({here}),{text_at(text, f"1,{here}+1")},"")',
        prompt.shown[now],
        "of the text above",
        (
            f'IF({usual},"",IF({is_whole(cell.local, last)},"","{NO_POSITION}"&{last}&"."))',
            "" if known else f"{NO_POSITION}{prompt.n - 1}.",
        ),
    )


def token_line(
    layout: Layout, cell: Area, title: str, typed: Value, formula: str, now: int | None, shown: str, hint: str
) -> Line:
    """A token of the vocabulary. `now`: the id that it comes to."""
    strings, here, last = layout["vocab_shown"].reference, used(cell), layout.config.n_vocab - 1
    told = f"{NO_TOKEN}{last}."
    known = typed == "" or token_now(typed, last + 1) is not None
    return Line(
        cell,
        title,
        typed,
        formula,
        "" if now is None else now,
        f'IF(ISNUMBER({here}),{text_at(strings, f"{here}+1")},"")',
        shown,
        hint,
        (f'IF({cell.local}="","",IF({is_whole(cell.local, str(last))},"","{told}"))', "" if known else told),
    )


def strip_rows(layout: Layout, palette: Palette, prompt: Prompt) -> Iterator[Row]:
    """The text, a token a column: position and string."""
    positions = rows.numbers(FIRST_TOKEN, np.arange(layout.context), palette["id"])
    title, last = rows.text(1, "The text: position", palette["name"]), rows.text(SHOWN, LAST, palette["id"])
    yield rows.row(POSITIONS, title, last, positions)
    source = f'IF({layout["active"].at(0, 0, "")},{layout["token_text"].at(0, 0, "")},"")'
    shown = [*prompt.shown, *[""] * (layout.context - prompt.n)]
    strings = rows.fill_right(FIRST_TOKEN, source, shown, palette["token"])
    yield rows.row(TOKENS, rows.text(1, "token", palette["name"]), strings)


def line_rows(
    layout: Layout, palette: Palette, lines: list[Line], beside: Mapping[int, Cells], note: tuple[str, str] = ('""', "")
) -> Iterator[Row]:
    """The heads, the yellow cells, and below them the first thing that is to be said about them.

    `beside`: more cells on the right of these rows; `note`: a sentence to say where nothing else is, as a formula and
    now.
    """
    n = lines[0].cell.row - 1
    heads = ((TYPED, "type here"), (USED, "in use"), (SHOWN, "token"))
    yield rows.row(n, *(rows.text(column, head, palette["header"]) for column, head in heads), beside.get(n, ()))
    for line in lines:
        n = line.cell.row
        yield rows.row(
            n,
            rows.text(1, line.title, palette["name"]),
            typed_cell(TYPED, line.typed, palette),
            rows.formula(USED, line.formula, line.now, palette["id"]),
            rows.formula(SHOWN, line.shown_formula, line.shown, palette["token"]),
            rows.text(FIRST_TOKEN, line.hint, palette["note"]),
            beside.get(n, ()),
        )
    said, now = [*(line.refusal for line in lines), note], FINE
    formula = f'"{FINE}"'
    for source, words in reversed(said):
        formula = f'IF({source}="",{formula},"{NOTE}"&{source})'
        now = NOTE + words if words else now
    home = layout["message"].reference
    n = lines[-1].cell.row + 1
    message = rows.formula(TYPED, f"IF({ready(layout)},{formula},{home})", now, palette["quote"])
    yield rows.row(n, rows.text(1, "Status", palette["name"]), message, beside.get(n, ()))


def bar(number: int, palette: Palette, title: str, words: str = "", last: int = LAST_COLUMN) -> Row:
    """A section's coloured title row, with a few words from the first token's column on."""
    left = rows.joined(rows.blank(column, palette["maths"]) for column in range(2, FIRST_TOKEN))
    right = rows.joined(rows.blank(column, palette["maths"]) for column in range(FIRST_TOKEN + 1, last + 1))
    said = rows.text(FIRST_TOKEN, words, palette["maths"])
    return rows.row(number, rows.text(1, title, palette["section"]), left, said, right)


def dress(frame: Worksheet, layout: Layout, position: Area, tokens: Mapping[str, tuple[Area, str]]) -> None:
    """What the yellow cells take, and in the text the token that is asked for, marked.

    `tokens`: title, cell and what an empty cell asks for.
    """
    offered = Area(frame.title, POSITIONS, SHOWN, 1, layout.context + 1)
    words = "A position of the text above; last: the end of the text, however long it is."
    Chooser("", position, offered, "Position", words).validate(frame)
    last = layout.config.n_vocab - 1
    for title, (cell, otherwise) in tokens.items():
        rule = DataValidation("whole", operator="between", formula1="0", formula2=str(last), allow_blank=True)
        rule.errorTitle = rule.promptTitle = title
        rule.error = rule.prompt = f"A token's id, 0 to {last}. Empty: {otherwise}."
        rule.showErrorMessage = rule.showInputMessage = True
        rule.add(cell.cells)
        frame.add_data_validation(rule)
    first, white = letter(0), Font(bold=True, color="FFFFFF")
    here = [f"{first}${POSITIONS}={used(position)}"]
    asked = FormulaRule(here, font=white, fill=PatternFill(bgColor="C55A11"), stopIfTrue=True)
    blank = FormulaRule([f'{first}${TOKENS}=""'], fill=PatternFill(bgColor="FFFFFF"), stopIfTrue=True)
    for rule in (blank, asked):
        frame.conditional_formatting.add(Area(frame.title, TOKENS, FIRST_TOKEN, 1, layout.context).cells, rule)
    frame.sheet_view.showGridLines = False
    frame.sheet_properties.tabColor = "548235"
    for column, width in zip("ABCDE", (25, 7, 10, 9, 12), strict=True):
        frame.column_dimensions[column].width = width
