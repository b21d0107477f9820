"""The Sample sheet: in each column the token after it is chosen, from the likeliest candidates down.

The rules stand in `sampling.py`, the NumPy twin: the `top_k` largest logits, over the temperature, to shares of 1, of
those as many as reach `top_p`, and among them a uniform number decides. Each row is a record
(`sample_lines.py`, `sample_tables.py`) of what it says, its formula and its value.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openpyxl.formatting.rule import FormulaRule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.sampling import MODULUS, MULTIPLIER, WARM_UP, Choice, Sampling, states
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.rows import Cells, Row, Values
from sheetgpt.sheets.choice.sample_lines import LINES, STATE
from sheetgpt.sheets.choice.sample_records import Chosen, Here, Line, Table
from sheetgpt.sheets.choice.sample_tables import CANDIDATES, TABLES
from sheetgpt.sheets.grid import ACTIVE_ROW, FIRST_TOKEN, INDEX, SAMPLE
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.token_sheet import guarded, header, letter, token_sheet
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import Prompt

IN_USE = 3  # column C


def rank_in_use(layout: Layout, j: int) -> str:
    """1 where there is a rank j: `top_k` of them, at temperature 0 one. In column C, once for all tables."""
    home = layout
    return f"IF({j}<IF({home['temperature'].reference}=0,1,{home['top_k'].reference}),1,0)"


def rank_guard(layout: Layout, j: int) -> str:
    """What each table's formula of rank j asks first: does its column choose, and is there such a rank?"""
    used = layout["sample_tokens"].row + j
    return f"{layout['sample_choosing'].at(0)}*$C${used}"


def across(layout: Layout, prompt: Prompt, found: Sequence[float | str], idle: float | str) -> Values:
    """A row's values in all columns: the first choice is that of column n_prompt - 1."""
    first = prompt.n_prompt - 1
    values = [*[idle] * first, *found, *[idle] * (layout.context - first - len(found))]
    return [str(value) for value in values] if isinstance(idle, str) else np.array(values, float)


def sheet(
    layout: Layout,
    palette: Palette,
    prompt: Prompt,
    sampling: Sampling,
    choices: Sequence[Choice],
    shown: Sequence[str],
    doubts: NDArray[Any],
) -> Sheet:
    """`doubts`: how well a probability of each column can be known, relative.  [T]"""
    return token_sheet(
        layout,
        SAMPLE,
        "the next token is chosen, column by column",
        lambda: sample_rows(layout, palette, prompt, sampling, choices, shown, doubts),
        layout["sample_wins"],
        lambda frame: _colour(frame, layout),
        tab="C55A11",
    )


def _colour(frame: Worksheet, layout: Layout) -> None:
    """The choice stands out; where there is no candidate there is no box."""
    for name, width in (("C", 12), ("D", 12), ("E", 12)):
        frame.column_dimensions[name].width = width
    areas = {name: layout[f"sample_{name}"] for name in ("tokens", "probs", "wins")}
    marked = Font(bold=True, color="FFFFFF"), PatternFill(bgColor="C55A11")
    won = f"{letter(0)}{areas['wins'].row}=1"
    for name in ("tokens", "probs"):
        frame.conditional_formatting.add(areas[name].cells, FormulaRule([won], font=marked[0], fill=marked[1]))
    idle = FormulaRule([f'{letter(0)}{areas["tokens"].row}=""'], fill=PatternFill(bgColor="FFFFFF"))
    frame.conditional_formatting.add(areas["tokens"].cells, idle)


def sample_rows(
    layout: Layout,
    palette: Palette,
    prompt: Prompt,
    sampling: Sampling,
    choices: Sequence[Choice],
    shown: Sequence[str],
    doubts: NDArray[Any],
) -> Iterator[Row]:
    numbers = states(prompt.seed, len(choices))
    chosen = [Chosen(choice, state, shown) for choice, state in zip(choices, numbers, strict=True)]
    inherited = np.pad(doubts, (0, layout.context - len(doubts)))
    note = "Each column chooses the token that follows it; the next column reads that token."
    yield from header(layout, palette, prompt, "Sample", note, {INDEX: "rank", IN_USE: "in use"})
    for line in LINES:
        yield from _line_rows(layout, palette, prompt, line, chosen, 0.0 if line.exact else inherited)
    ranks = sampling.top_k if sampling.temperature else 1
    for table in TABLES:
        yield from _table_rows(layout, palette, prompt, table, chosen, 0.0 if table.exact else inherited, ranks)


def _line_rows(
    layout: Layout, palette: Palette, prompt: Prompt, line: Line, chosen: Sequence[Chosen], doubt: float | NDArray[Any]
) -> Iterator[Row]:
    area, guard = layout[f"sample_{line.name}"], layout["sample_choosing"].row
    if line.title:
        yield _bar(layout, palette, area.row - 1, line.title, line.words)
    source = line.formula(Here(layout))
    source = guarded(source, 0, ACTIVE_ROW, "0") if line.every else guarded(source, 0, guard)
    values = across(layout, prompt, [line.value(now) for now in chosen], line.idle)
    before = _warm_up_cells(layout, palette, prompt.seed) if line is STATE else ()
    cells = rows.fill_right(FIRST_TOKEN, source, values, palette[line.style], doubt)
    yield rows.row(area.row, rows.text(1, line.label, palette["label"]), before, cells)


def _table_rows(
    layout: Layout,
    palette: Palette,
    prompt: Prompt,
    table: Table,
    chosen: Sequence[Chosen],
    doubt: float | NDArray[Any],
    ranks: int,
) -> Iterator[Row]:
    """`ranks`: how many are in use."""
    area, here = layout[f"sample_{table.name}"], Here(layout)
    yield _bar(layout, palette, area.row - 1, table.title, table.words)
    found = [table.values(now) for now in chosen]
    for j in range(area.n_rows):
        source = f'IF({rank_guard(layout, j)},{table.formula(here, j)},"")'
        values = across(layout, prompt, [of[j] if j < len(of) else table.idle for of in found], table.idle)
        head = rows.text(1, table.title, palette["label"]) + rows.number(INDEX, j, palette["index"])
        if table is CANDIDATES:
            head += rows.formula(IN_USE, rank_in_use(layout, j), float(j < ranks), palette["flag"])
        yield rows.row(area.row + j, head, rows.fill_right(FIRST_TOKEN, source, values, palette[table.style], doubt))


def _warm_up_cells(layout: Layout, palette: Palette, seed: int) -> Cells:
    """Columns C to E: the three numbers before the first that is used."""
    own, source, state = layout["sample_state"], f"({layout['seed'].reference}+1)", seed + 1
    cells: Cells = ()
    for t in range(-WARM_UP, 0):
        state = MULTIPLIER * state % MODULUS
        ok = f'IF({layout["settings_ok"].reference}=1,MOD({MULTIPLIER}*{source},{MODULUS}),"")'
        cells += rows.formula(own.column + t, ok, state, palette["id"])
        source = f"${own.at(0, t)}"
    return cells


def _bar(layout: Layout, palette: Palette, number: int, title: str, words: str) -> Row:
    filler = rows.joined(rows.blank(c, palette["maths"]) for c in range(2, FIRST_TOKEN))
    filler += rows.text(FIRST_TOKEN, words, palette["maths"])
    rest = range(FIRST_TOKEN + 1, FIRST_TOKEN + layout.context)
    filler += rows.joined(rows.blank(c, palette["maths"]) for c in rest)
    return rows.row(number, rows.text(1, title, palette["section"]), filler)
