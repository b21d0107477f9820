"""The lower half of the sheet Attention: what every head does on the text, and its entropy at each token.

The sums run over a head's whole pattern, SUMIF picking the keys that count: it passes over what is no number, the
columns past the text and the keys that come later.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from openpyxl.formatting.rule import ColorScaleRule, FormulaRule
from openpyxl.styles import Border, Font, PatternFill, Side
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.inspection.attention import CLOSE, MEASURES, entropies, strongest
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import Cells, Row, letters
from sheetgpt.sheets.grid import FIRST_TOKEN
from sheetgpt.sheets.inside.attention_layout import ACTIVE, ATTENTION, KEY, NONE, ORDER, PLACE, RANKED, SHARE, Places
from sheetgpt.sheets.inside.attention_words import IN_WORDS, Seen
from sheetgpt.sheets.palette import Palette

HEADS = ("previous token", "first token", "itself", "earlier copies", "after the copies", "entropy, bits")


def colour(frame: Worksheet, at: Places) -> None:
    """The darker, the more; the strongest head of each measure, and the chosen head's name, stand out."""
    formats = frame.conditional_formatting
    shares = Area(ATTENTION, at.table.row, at.table.column, at.n_heads, len(MEASURES))
    first = letters(shares.column)
    strong = f"{first}{shares.row}=MAX({first}${shares.row}:{first}${shares.last_row})"
    line = Side("thin", color="1F3864")  # the fill is the colour scale's: LibreOffice gives it the upper hand
    box = Border(line, line, line, line)
    formats.add(shares.cells, FormulaRule([strong], font=Font(bold=True, color="1F3864"), border=box))
    formats.add(shares.cells, ColorScaleRule("num", 0, "FFFFFF", "num", 0.5, "F9B76B", "num", 1, "C55A11"))
    own = f"AND($B{shares.row}={at.block.local},$C{shares.row}={at.head.local})"
    names = Area(ATTENTION, shares.row, KEY, at.n_heads)
    formats.add(
        names.cells, FormulaRule([own], font=Font(bold=True, color="FFFFFF"), fill=PatternFill(bgColor="C55A11"))
    )
    spread = ColorScaleRule("num", 0, "FFFFFF", "num", max(1.0, math.log2(at.layout.context)), "6FA8DC")
    for area in (at.table.stripe(len(MEASURES)), at.entropies):
        formats.add(area.cells, spread)
    strip = Area(ATTENTION, at.entropies.row - 1, FIRST_TOKEN, 1, at.layout.context)
    formats.add(strip.cells, no_token(strip))


def no_token(area: Area) -> Any:
    """White where no token is."""
    return FormulaRule([f'{area.line(0).stripe(0).cells}=""'], fill=PatternFill(bgColor="FFFFFF"), stopIfTrue=True)


def head_rows(at: Places, palette: Palette, seen: Seen) -> Iterator[Row]:
    top = at.counts.row
    words = "Share of a token's attention, averaged over the tokens that have such a token to look at."
    yield bar(at, palette, top - 2, "All heads on this text", words)
    heads = ((KEY, "head"), (PLACE, "block"), (SHARE, "head"), (ORDER, ""), (RANKED, ""))
    titles = [rows.text(column, head, palette["header"]) for column, head in heads]
    upright = [rows.text(FIRST_TOKEN + m, head, palette["upright header"]) for m, head in enumerate(HEADS)]
    most = rows.text(at.most.column, "looks most at", palette["name"])
    yield rows.row(top - 1, *titles, *upright, most, height=100)
    yield _counts(at, palette, seen)
    for row in range(at.n_heads):
        yield _table_row(at, palette, seen, row)
    n = at.entropies.row
    words = (
        "How widely each token's attention is spread, in bits: 0 is one token only, 1 is two alike, 2 is four alike."
    )
    yield bar(at, palette, n - 2, "Entropies", words)
    yield rows.row(
        n - 1, rows.fill_right(FIRST_TOKEN, at.tokens.at(0), tokens(at, seen), palette["upright"]), height=62
    )
    for row in range(at.n_heads):
        yield _entropy_row(at, palette, seen, row)


def bar(at: Places, palette: Palette, number: int, title: str, words: str) -> Row:
    """A section's title row, as wide as the pattern."""
    return rows.row(number, rows.text(KEY, title, palette["section"]), bar_cells(at, palette, words))


def bar_cells(at: Places, palette: Palette, words: str) -> Cells:
    """The rest of it."""
    cells = rows.joined(rows.blank(c, palette["maths"]) for c in range(KEY + 1, FIRST_TOKEN))
    cells += rows.text(FIRST_TOKEN, words, palette["maths"])
    return cells + rows.joined(rows.blank(c, palette["maths"]) for c in range(FIRST_TOKEN + 1, at.bar_end + 1))


def tokens(at: Places, seen: Seen) -> list[str]:
    return [*seen.state.prompt.shown, *[""] * (at.layout.context - seen.state.prompt.n)]


def _counts(at: Places, palette: Palette, seen: Seen) -> Row:
    """Over how many tokens each column is averaged."""
    n, has_copy = at.layout["n_tokens"].reference, at.has_copy.local
    others, repeated = f"MAX({n}-1,0)", f"SUM({has_copy})"
    sources = [others, others, others, repeated, repeated, others]
    values = np.array(
        [seen.copies.max(axis=0).sum() if source is repeated else seen.n - 1 for source in sources], float
    )
    cells = rows.each(FIRST_TOKEN, sources, values, palette["id"])
    return rows.row(at.counts.row, rows.text(KEY, "tokens that have one", palette["label"]), cells)


def _table_row(at: Places, palette: Palette, seen: Seen, row: int) -> Row:
    block, head = divmod(row, at.layout.config.n_head)
    sums = [*_sums(at, block, head), f"SUM({_but_first(at.entropies.line(row)).local})"]
    counts = [at.counts.stripe(m).local for m in range(len(sums))]
    sources = [f'IF({n}>0,({total})/{n},"{NONE}")' for total, n in zip(sums, counts, strict=True)]
    found = seen.table[row]
    values = [NONE if value != value else float(value) for value in found]
    words = IN_WORDS[strongest(found[: len(MEASURES)])]
    n, last = at.table.row + row, FIRST_TOKEN + len(MEASURES)
    return rows.row(
        n,
        rows.text(KEY, f"block {block}, head {head}", palette["label"]),
        rows.number(PLACE, block, palette["index"]),
        rows.number(SHARE, head, palette["index"]),
        rows.each(FIRST_TOKEN, sources[:-1], values[:-1], palette["whole share"]),
        rows.formula(last, sources[-1], values[-1], palette["bits"]),
        rows.formula(at.most.column, _most(at, row), words, palette["label"]),
    )


def _sums(at: Places, block: int, head: int) -> list[str]:
    """The attention that goes to the keys of each measure, over all tokens but the first."""
    probs = at.layout[f"h{block}.attn.probs.{head}"]
    below, copies = _lower(probs), _upper(at.copies)
    return [
        f"SUMIF({at.distance.local},1,{probs.reference})",
        f"SUM({_but_first(probs.line(0)).reference})",
        f"SUMIF({at.distance.local},0,{probs.reference})-{probs.line(0).stripe(0).reference}",
        f"SUMIF({at.copies.local},1,{probs.reference})",
        f"SUMIF({copies.local},1,{below.reference})",
    ]


def _but_first(line: Area) -> Area:
    """A row's cells from position 1 on; of a workbook with one column that one, which is never counted."""
    return Area(line.sheet, line.row, line.column + 1, 1, line.n_columns - 1) if line.n_columns > 1 else line


def _upper(area: Area) -> Area:
    """All rows but the last; of one row that one."""
    return area.rows_of(0, max(area.n_rows - 1, 1))


def _lower(area: Area) -> Area:
    """All rows but the first, each the key after the one in `_upper`."""
    return area.rows_of(1, area.n_rows - 1) if area.n_rows > 1 else area


def _most(at: Places, row: int) -> str:
    """The first measure that is as large as any, up to what rounding may add."""
    line = Area(ATTENTION, at.table.row + row, FIRST_TOKEN, 1, len(MEASURES))
    limit, source = f"MAX({line.local})-{CLOSE:.9f}", f'"{IN_WORDS[MEASURES[-1]]}"'
    for m in range(len(MEASURES) - 2, -1, -1):
        source = f'IF(N({line.stripe(m).local})>={limit},"{IN_WORDS[MEASURES[m]]}",{source})'
    return f'IF(COUNT({line.local})=0,"",{source})'


def _entropy_row(at: Places, palette: Palette, seen: Seen, row: int) -> Row:
    """(ln sum(e) - sum over keys of p (score - largest)) / ln 2, since p = e / sum(e) and e = exp(score - largest)."""
    block, head = divmod(row, at.layout.config.n_head)
    probs, scores, largest, total = (
        at.layout[f"h{block}.attn.{name}.{head}"] for name in ("probs", "scores", "max", "sum")
    )
    spread = f"SUMPRODUCT({probs.down(0, '')},{scores.down(0, '')}-{largest.at(0, 0, '')})"
    source = f'IF({letters(FIRST_TOKEN)}${ACTIVE},(LN({total.at(0, 0, "")})-{spread})/LN(2),"")'
    values = np.full(at.layout.context, np.nan)
    values[: seen.state.prompt.n] = entropies(seen.state.trace[f"h{block}.attn.probs.{head}"])
    name = rows.text(KEY, f"block {block}, head {head}", palette["label"])
    return rows.row(at.entropies.row + row, name, rows.fill_right(FIRST_TOKEN, source, values, palette["bits"]))
