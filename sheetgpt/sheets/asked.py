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
from sheetgpt.sheets.formulas import text_at
from sheetgpt.sheets.grid import FIRST_TOKEN
from sheetgpt.sheets.home_prompt import FINE, NOTE
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.token_sheet import Prompt, letter

Value = float | str
POSITIONS, TOKENS = 4, 5  # rows of the text
TYPED, USED, SHOWN = 3, 4, 5  # columns: what is typed, what it comes to, the token there
LAST_COLUMN = FIRST_TOKEN + 12  # of the coloured bars


def whole(typed: Value, n: int) -> int | None:
    """The number where it is a whole one from 0 to n - 1."""
    return None if isinstance(typed, str) or not 0 <= typed < n or typed != int(typed) else int(typed)


def is_whole(cell: str, n: str) -> str:
    """Its formula."""
    return f"IF(ISNUMBER({cell}),AND({cell}>=0,{cell}<{n},INT({cell})={cell}),FALSE)"


def whole_or(cell: str, n: str, otherwise: str) -> str:
    return f"IF({is_whole(cell, n)},{cell},{otherwise})"


def used(cell: Area) -> str:
    """What a yellow cell comes to, for formulas on its sheet: in the column beside it."""
    return Area(cell.sheet, cell.row, USED).local


def ready(layout: Layout) -> str:
    """Whether there is a text, and settings that are valid."""
    return f"{layout.home['n_tokens'].reference}*{layout.home['settings_ok'].reference}>0"


def position_formula(layout: Layout, cell: Area) -> str:
    """The position that is asked for, from 0 on; no number where there is no text."""
    n = layout.home["n_tokens"].reference
    return f'IF({ready(layout)},{whole_or(cell.local, n, f"{n}-1")},"")'


def token_formula(layout: Layout, cell: Area, position: Area, otherwise: str) -> str:
    return f'IF(ISNUMBER({used(position)}),{whole_or(cell.local, str(layout.config.n_vocab), otherwise)},"")'


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
    text, n = layout.home["token_text"].reference, layout.home["n_tokens"].reference
    now = whole(typed, prompt.n)
    words = "There is no position {} in this text, so its last token is taken."
    here = used(cell)
    told = f'"There is no position "&{cell.local}&" in this text, so its last token is taken."'
    return Line(
        cell,
        "Position",
        typed,
        position_formula(layout, cell),
        prompt.n - 1 if now is None else now,
        f'IF(ISNUMBER({here}),{text_at(text, f"1,{here}+1")},"")',
        prompt.shown[prompt.n - 1 if now is None else now],
        "of the text above; empty: the last",
        (_refused(cell, n, told), "" if now is not None or typed == "" else words.format(_typed(typed))),
    )


def token_line(
    layout: Layout, cell: Area, title: str, typed: Value, formula: str, now: int | None, shown: str, hint: str
) -> Line:
    """A token of the vocabulary. `now`: the id that it comes to."""
    strings, here = layout.vocabulary["vocab_shown"].reference, used(cell)
    n = layout.config.n_vocab
    told = f'"No token has the id "&{cell.local}&": ids are 0 to {n - 1}."'
    known = whole(typed, n) is not None or typed == ""
    return Line(
        cell,
        title,
        typed,
        formula,
        "" if now is None else now,
        f'IF(ISNUMBER({here}),{text_at(strings, f"{here}+1")},"")',
        shown,
        hint,
        (_refused(cell, str(n), told), "" if known else f"No token has the id {_typed(typed)}: ids are 0 to {n - 1}."),
    )


def _refused(cell: Area, n: str, told: str) -> str:
    return f'IF({cell.local}="","",IF({is_whole(cell.local, n)},"",{told}))'


def _typed(typed: Value) -> str:
    return typed if isinstance(typed, str) else f"{typed:.15g}"


def strip_rows(layout: Layout, palette: Palette, prompt: Prompt) -> Iterator[Row]:
    """The text, a token a column: position and string."""
    positions = rows.numbers(FIRST_TOKEN, np.arange(layout.context), palette["id"])
    yield rows.row(POSITIONS, rows.text(1, "The text: position", palette["name"]), positions)
    source = f'IF({layout.home["active"].at(0, 0, "")},{layout.home["token_text"].at(0, 0, "")},"")'
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
        n, typed = line.cell.row, line.typed
        if isinstance(typed, str):
            cell = rows.text(TYPED, typed, palette["input"]) if typed else rows.blank(TYPED, palette["input"])
        else:
            cell = rows.number(TYPED, typed, palette["input"])
        yield rows.row(
            n,
            rows.text(1, line.title, palette["name"]),
            cell,
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
    home = layout.home["message"].reference
    n = lines[-1].cell.row + 1
    message = rows.formula(TYPED, f"IF({ready(layout)},{formula},{home})", now, palette["quote"])
    yield rows.row(n, rows.text(1, "Status", palette["name"]), message, beside.get(n, ()))


def bar(number: int, palette: Palette, title: str, words: str = "", last: int = LAST_COLUMN) -> Row:
    """A section's coloured title row, with a few words from the first token's column on."""
    left = rows.joined(rows.blank(column, palette["maths"]) for column in range(2, FIRST_TOKEN))
    right = rows.joined(rows.blank(column, palette["maths"]) for column in range(FIRST_TOKEN + 1, last + 1))
    said = rows.text(FIRST_TOKEN, words, palette["maths"])
    return rows.row(number, rows.text(1, title, palette["section"]), left, said, right)


def dress(frame: Worksheet, layout: Layout, lines: Mapping[str, tuple[Area, int, str]]) -> None:
    """What the yellow cells take (of each: the largest number and what it is), and the token that is asked for marked.

    Excel and LibreOffice refuse anything else as it is typed.
    """
    for title, (cell, most, words) in lines.items():
        rule = DataValidation("whole", operator="between", formula1="0", formula2=str(most), allow_blank=True)
        rule.errorTitle = rule.promptTitle = title
        rule.error = rule.prompt = words
        rule.showErrorMessage = rule.showInputMessage = True
        rule.add(cell.cells)
        frame.add_data_validation(rule)
    (position, *_), first = next(iter(lines.values())), letter(0)
    asked = FormulaRule(
        [f"{first}${POSITIONS}={used(position)}"],
        font=Font(bold=True, color="FFFFFF"),
        fill=PatternFill(bgColor="C55A11"),
        stopIfTrue=True,
    )
    blank = FormulaRule([f'{first}${TOKENS}=""'], fill=PatternFill(bgColor="FFFFFF"), stopIfTrue=True)
    strip = Area(frame.title, TOKENS, FIRST_TOKEN, 1, layout.context)
    for rule in (blank, asked):
        frame.conditional_formatting.add(strip.cells, rule)
    frame.sheet_view.showGridLines = False
    frame.sheet_properties.tabColor = "7030A0"
    for column, width in zip("ABCDE", (25, 7, 10, 9, 12), strict=True):
        frame.column_dimensions[column].width = width
