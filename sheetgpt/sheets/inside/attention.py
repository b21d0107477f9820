"""The sheet Attention: one head's pattern large, its whole block small, and what every head of the model does.

Twin: `sheetgpt.inspection.attention`, which defines the measures. A formula takes a number from the block that is
chosen by CHOOSE over one range a block: no range is named by a text (INDIRECT), none is moved (OFFSET).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openpyxl.formatting.rule import ColorScaleRule, FormulaRule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import Cells, Row, letters
from sheetgpt.sheets.choosers import typed_cell, whole
from sheetgpt.sheets.grid import FIRST_TOKEN, HOME
from sheetgpt.sheets.inside import attention_heads
from sheetgpt.sheets.inside.attention_layout import (
    ACTIVE,
    ATTENTION,
    BAR,
    CHOICES,
    IDS,
    KEY,
    LAST,
    OFFERED,
    ORDER,
    PATTERN,
    PLACE,
    POSITIONS,
    RANKED,
    SHARE,
    SHOWN,
    TOKENS,
    TYPED,
    Places,
)
from sheetgpt.sheets.inside.attention_words import Seen, sentences
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.token_page import guarded, letter, probability
from sheetgpt.sheets.optional import Value
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import State


def starts(layout: Layout) -> Mapping[str, Value]:
    return {"attention_block": layout.config.n_layer // 2, "attention_head": 0, "attention_token": LAST}


def n_formulas(layout: Layout) -> int:
    triangle, heads = layout.context * (layout.context + 1) // 2, layout.config.n_layer * layout.config.n_head
    return triangle * (layout.config.n_head + 2) + 7 * layout.context + heads * (layout.context + 7)


def sheet(state: State, palette: Palette) -> Sheet:
    at = Places(state.layout)
    return Sheet(
        ATTENTION,
        "who looks at whom, and what each head does",
        lambda: _rows(state, at, palette),
        *(at.last_row, at.last_column),
        names={
            **{chooser.name: [chooser.cell] for chooser in at.choosers},
            "attention_said": [at.said],
            "attention_pattern": [at.pattern],
            "attention_copies": [at.copies],
            "attention_heads": [at.table],
            "attention_most": [at.most],
            "attention_entropies": [at.entropies],
        },
        positions=Area(ATTENTION, POSITIONS, FIRST_TOKEN, at.pattern.last_row - POSITIONS + 1, state.layout.context),
        sections=[("pattern", BAR), ("all heads", at.counts.row - 2), ("entropies", at.entropies.row - 2)],
        links=[
            ("A2", f"{quoted(HOME)}!A1"),
            ("C2", f"{quoted(ATTENTION)}!A{at.counts.row - 2}"),
            ("F2", Area(ATTENTION, BAR, at.small_map(0).column).reference),
        ],
        dress=lambda frame: _dress(frame, at),
    )


def _dress(frame: Worksheet, at: Places) -> None:
    frame.sheet_properties.tabColor = "548235"
    frame.sheet_view.showGridLines = False
    frame.sheet_format.outlineLevelRow = 1  # what only the formulas need is folded
    frame.freeze_panes = f"{letter(0)}1"
    for name, width in zip("ABCDE", (22, 7, 9, 9, 7), strict=True):
        frame.column_dimensions[name].width = width
    maps = at.small_map(0).column - 1
    for column in range(FIRST_TOKEN, at.last_column + 1):
        frame.column_dimensions[letters(column)].width = 5 if column < maps else 1.1
    for chooser in at.choosers:
        chooser.validate(frame)
    _colour(frame, at)
    attention_heads.colour(frame, at)


def _colour(frame: Worksheet, at: Places) -> None:
    """The maps; and what is chosen stands out."""
    formats, heads = frame.conditional_formatting, range(at.layout.config.n_head)
    for area in (at.pattern, at.beside(SHARE), *map(at.small_map, heads)):
        probability(frame, area)
    formats.add(at.copies.cells, ColorScaleRule("num", 0, "FFFFFF", "num", 1, "2F5597"))
    formats.add(at.distance.cells, ColorScaleRule("num", 0, "7F7F7F", "num", 8, "FFFFFF"))
    font, fill = Font(bold=True, color="FFFFFF"), PatternFill(bgColor="C55A11")
    for j in heads:
        title = Area(ATTENTION, BAR, at.small_map(j).column, 1, at.layout.context)
        formats.add(title.cells, FormulaRule([f"{at.head.local}={j}"], font=font, fill=fill))
    column, key = f"{letter(0)}${POSITIONS}={at.token.local}", f"${letters(PLACE)}{PATTERN}={at.token.local}"
    for area, rule in ((at.tokens, column), (at.beside(KEY), key)):
        formats.add(area.cells, attention_heads.no_token(area))
        formats.add(area.cells, FormulaRule([rule], font=font, fill=fill))


def _rows(state: State, at: Places, palette: Palette) -> Iterator[Row]:
    seen = Seen.of(state)
    note = "Each column is a token that looks, each row a token that it looks at: itself or one before it."
    titles = rows.text(1, "Attention", palette["title"]), rows.text(FIRST_TOKEN, note, palette["note"])
    yield rows.row(1, *titles, height=24)
    links = ((KEY, "← Home"), (SHARE, "↓ all heads of the model"), (FIRST_TOKEN, "→ all heads of this block"))
    yield rows.row(2, *(rows.text(column, words, palette["link"]) for column, words in links))
    yield from _chooser_rows(state, at, palette, seen)
    block, head, _ = (chooser.offered for chooser in at.choosers)
    lists = (
        rows.numbers(area.column, np.arange(area.n_columns), palette["id"]) for area in (at.positions, block, head)
    )
    label = rows.text(KEY, "the lists to choose from", palette["label"])
    yield rows.row(OFFERED, label, rows.text(FIRST_TOKEN - 1, LAST, palette["id"]), *lists, folded=True)
    yield _bar(at, palette, seen)
    yield from _header(at, palette, seen)
    for k in range(at.layout.context):
        yield rows.row(PATTERN + k, *_key_cells(at, palette, seen, k), *_map_cells(at, palette, seen, k))
    have = seen.copies.max(axis=0)
    source = guarded(f"MAX({at.copies.down(0)})", 0, ACTIVE)
    yield rows.row(at.has_copy.row, rows.fill_right(at.has_copy.column, source, _padded(at, have), palette["colour"]))
    yield from attention_heads.head_rows(at, palette, seen)


def _chooser_rows(state: State, at: Places, palette: Palette, seen: Seen) -> Iterator[Row]:
    """What is typed, what is shown for it, the chosen token's three favourites, and two sentences."""
    heads = ((TYPED, "choose"), (SHOWN, "shown"), (RANKED, "looks at"))
    said = [
        rows.formula(FIRST_TOKEN, source, value, palette["message" if i == 3 else "quote"])
        for i, (source, value) in enumerate(zip(sentences(at), seen.sentences(), strict=True))
    ]
    yield rows.row(CHOICES - 1, *(rows.text(c, head, palette["header"]) for c, head in heads), said[0])
    config, n_tokens = at.layout.config, at.layout["n_tokens"].reference
    block, head, token = (chooser.cell.local for chooser in at.choosers)
    shown = (
        (whole(block, str(config.n_layer - 1), "0"), seen.block),
        (whole(head, str(config.n_head - 1), "0"), seen.head),
        (f"IF({n_tokens}>0,{whole(token, f'{n_tokens}-1', f'{n_tokens}-1')},-1)", seen.token),
    )
    order = at.beside(ORDER).local
    for i, (chooser, (source, value)) in enumerate(zip(at.choosers, shown, strict=True)):
        rank = f'IF({i}<={at.token.local},MATCH(LARGE({order},{i + 1}),{order},0)-1,"")'
        yield rows.row(
            CHOICES + i,
            rows.text(1, chooser.title, palette["name"]),
            typed_cell(TYPED, state.chosen[chooser.name], palette),
            rows.formula(SHOWN, source, value, palette["id"]),
            rows.formula(RANKED, rank, seen.ranked[i] if i < len(seen.ranked) else "", palette["id"]),
            said[i + 1],
        )


def _bar(at: Places, palette: Palette, seen: Seen) -> Row:
    """The title of the pattern, and one over each small map."""
    title = f'"Block "&{at.block.local}&", head "&{at.head.local}'
    cells = rows.formula(KEY, title, f"Block {seen.block}, head {seen.head}", palette["section"])
    words = "How much attention the column's token pays to the row's. A column adds up to 100%."
    cells += attention_heads.bar_cells(at, palette, words)
    names = [*(f"head {j}" for j in range(at.layout.config.n_head)), "earlier copies", "distance"]
    for k, name in enumerate(names):
        first = at.small_map(k).column
        cells += rows.text(first, name, palette["section"])
        cells += rows.joined(rows.blank(c, palette["section"]) for c in range(first + 1, first + at.layout.context))
    return rows.row(BAR, cells)


def _header(at: Places, palette: Palette, seen: Seen) -> Iterator[Row]:
    """The columns' positions, ids, tokens and flags, as on the other sheets, but narrow."""
    home, prompt = at.layout, seen.state.prompt
    numbers = rows.numbers(FIRST_TOKEN, np.arange(at.layout.context), palette["id"])
    yield rows.row(POSITIONS, rows.text(KEY, "position", palette["label"]), numbers)
    ids = rows.fill_right(
        FIRST_TOKEN, guarded(home["token_ids"].down(0, ""), 0, ACTIVE), _padded(at, np.array(prompt.ids))
    )
    yield rows.row(IDS, rows.text(KEY, "token id", palette["label"]), ids, folded=True)
    heads = ((KEY, "looked at"), (PLACE, "position"), (ORDER, "order"), (RANKED, ""))
    own = [rows.text(column, head, palette["header"]) for column, head in heads]
    name = f'IF({at.token.local}<0,"",INDEX({at.tokens.local},1,{at.token.local}+1)&"")'
    own.insert(2, rows.formula(SHARE, name, prompt.shown[seen.token], palette["header"]))
    source = guarded(home["token_text"].down(0, ""), 0, ACTIVE)
    tokens = rows.fill_right(FIRST_TOKEN, source, attention_heads.tokens(at, seen), palette["upright"])
    yield rows.row(TOKENS, *own, tokens, height=62)
    flags = np.array([1.0] * prompt.n + [0.0] * (at.layout.context - prompt.n))
    active = rows.fill_right(FIRST_TOKEN, home["active"].down(0, ""), flags, palette["flag"])
    yield rows.row(ACTIVE, rows.text(KEY, "active", palette["label"]), active, folded=True)


def _padded(at: Places, values: NDArray[Any]) -> NDArray[np.float64]:
    """One row's values in all columns; NaN past the text."""
    padded = np.full(at.layout.context, np.nan)
    padded[: len(values)] = values
    return padded


def _key_cells(at: Places, palette: Palette, seen: Seen, k: int) -> Iterator[Cells]:
    """On the left of the pattern: the key, its position, and what the chosen token gives it."""
    shown, chosen = seen.state.prompt.shown, at.token.local
    inside, place = k <= seen.token, f"${letters(PLACE)}${PATTERN + k}"
    share = f'IF({place}<={chosen},INDEX({at.pattern.line(k).local},1,{chosen}+1),"")'
    order = f'IF({place}<={chosen},ROUND(${letters(SHARE)}${PATTERN + k},9)-{place}/10^12,"")'
    yield rows.formula(KEY, f"${at.tokens.at(0, k)}", shown[k] if k < len(shown) else "", palette["key"])
    yield rows.number(PLACE, k, palette["index"])
    yield rows.formula(SHARE, share, float(seen.shares[k]) if inside else "", palette["prob"])
    value, doubt = (float(seen.order[k]), float(seen.order_doubts[k])) if inside else ("", 0.0)
    yield rows.formula(ORDER, order, value, palette["order"], doubt)


def _map_cells(at: Places, palette: Palette, seen: Seen, k: int) -> Iterator[Cells]:
    """Row k of the pattern, and of each small map: its columns begin at position k, where the key is seen first."""
    config, width = at.layout.config, at.layout.context
    blocks = [at.layout[f"h{i}.attn.probs.0"] for i in range(config.n_layer)]
    last = at.layout[f"h0.attn.probs.{config.n_head - 1}"]
    stride = (last.row - blocks[0].row) // max(config.n_head - 1, 1)  # rows from one head's pattern to the next one's
    columns = [Area(b.sheet, b.row, b.column, last.last_row - b.row + 1, width).down(k, "") for b in blocks]
    place = f"{at.head.local}*{stride}+${letters(PLACE)}${PATTERN + k}+1"
    shares = ",".join(f"INDEX({column},{place})" for column in columns)
    source = guarded(f"CHOOSE({at.block.local}+1,{shares})", k, ACTIVE)
    yield rows.fill_right(FIRST_TOKEN + k, source, _row_now(at, seen, seen.head, k), palette["pattern"])
    for j in range(config.n_head):
        cells = [at.layout[f"h{i}.attn.probs.{j}"].at(k, k, "") for i in range(config.n_layer)]
        source = f"CHOOSE({at.block.local}+1,{','.join(cells)})"
        yield rows.fill_right(at.small_map(j).column + k, source, _row_now(at, seen, j, k), palette["colour"])
    if k + 1 < width:
        same = f"IF({at.ids.at(0, k + 1)}=${at.ids.at(0, k)},1,0)"
        found = _padded(at, seen.copies[k] if k < seen.n else np.array([]))[k + 1 :]
        source = guarded(same, k + 1, ACTIVE)
        yield rows.fill_right(at.copies.column + k + 1, source, found, palette["colour"])
    yield rows.numbers(at.distance.column + k, np.arange(width - k), palette["colour"])


def _row_now(at: Places, seen: Seen, head: int, k: int) -> NDArray[np.float64]:
    """Key k's part of a head's pattern, from the first token on that sees it."""
    return _padded(at, seen.probs(head)[k] if k < seen.n else np.array([]))[k:]
