"""The lower half of the sheet Attention: what every head does on the text, and its entropy at each token.

The sums run over a head's whole pattern, SUMIF picking the keys that count: it passes over what is no number, the
columns past the text and the keys that come later.
"""

import math
from functools import partial
from typing import Any

import numpy as np
from openpyxl.formatting.rule import FormulaRule
from openpyxl.styles import Border, Font, Side
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.inspection.attention import CLOSE, MEASURES, Floats, strongest
from sheetgpt.inspection.attention import entropies as entropies_now
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import letters
from sheetgpt.sheets.block import Colour, Part, unguarded
from sheetgpt.sheets.grid import FIRST_TOKEN, INDEX, LABEL
from sheetgpt.sheets.inside.attention.words import ATTENTION, RANKED, Chosen, Seen
from sheetgpt.sheets.page import Bar, Beside, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.looks import plain, probability, put, scale, stands_out

HEADS = ("previous token", "first token", "itself", "earlier copies", "after the copies", "entropy, bits")
NONE = "–"  # an average over no token
IN_WORDS = {
    "": "",
    "previous": "the previous token",
    "first": "the first token",
    "itself": "itself",
    "duplicate": "earlier copies of the token",
    "induction": "what came after an earlier copy",
}
HEAD = INDEX + 1  # column: the head's number, beside its block's
UPRIGHT = 62  # points: of a row of tokens that stand upright


def heads(it: Chosen) -> list[Part]:
    """The measures and the entropy, a head a row, and over how many tokens each is averaged."""
    layout, page, n = it.layout, it.page, len(MEASURES)
    words = "Share of a token's attention, averaged over the tokens that have such a token to look at."

    def count(i: int, m: int) -> str:
        """Over how many tokens a column is averaged."""
        return f"SUM({page['has_copy'].local})" if m in (3, 4) else f"MAX({layout['n_tokens'].reference}-1,0)"

    def counted(state: State) -> Floats:
        seen = state.ask(Seen.of)
        return np.array([seen.copies.max(axis=0).sum() if m in (3, 4) else seen.n - 1 for m in range(n + 1)], float)

    def share(row: int, m: int) -> str:
        """The attention that goes to the keys of a measure, over all tokens but the first; by how many have one."""
        block, head = divmod(row, it.config.n_head)
        probs = layout[f"h{block}.attn.probs.{head}"]
        distance, copies = page["distance"].local, page["copies"]
        sums = (
            f"SUMIF({distance},1,{probs.reference})",
            f"SUM({_but_first(probs.line(0)).reference})",
            f"SUMIF({distance},0,{probs.reference})-{probs.line(0).stripe(0).reference}",
            f"SUMIF({copies.local},1,{probs.reference})",
            f"SUMIF({_upper(copies).local},1,{_lower(probs).reference})",
        )
        return average(sums[m], m)

    def entropy(row: int, j: int) -> str:
        return average(f"SUM({_but_first(page['entropies'].line(row)).local})", n)

    def average(total: str, m: int) -> str:
        tokens = page["counts"].stripe(m).local
        return f'IF({tokens}>0,({total})/{tokens},"{NONE}")'

    def most(row: int, j: int) -> str:
        """The first measure that is as large as any, up to what rounding may add."""
        line = page["measures"].line(row)
        limit, source = f"MAX({line.local})-{CLOSE:.9f}", f'"{IN_WORDS[MEASURES[-1]]}"'
        for m in range(n - 2, -1, -1):
            source = f'IF(N({line.stripe(m).local})>={limit},"{IN_WORDS[MEASURES[m]]}",{source})'
        return f'IF(COUNT({line.local})=0,"",{source})'

    def most_now(state: State) -> list[str]:
        return [IN_WORDS[strongest(line[:n])] for line in state.ask(Seen.of).table]

    def average_now(first: int, last: int, state: State) -> list[list[float | str]]:
        found = state.ask(Seen.of).table[:, first:last]
        return [[NONE if value != value else float(value) for value in line] for line in found]

    def number(of: int, state: State) -> Floats:
        """Each row's block (0) or head (1)."""
        return np.array([divmod(row, it.config.n_head)[of] for row in range(it.n_heads)])

    titles = {LABEL: "head", INDEX: "block", HEAD: "head", HEAD + 1: "", RANKED: ""}
    upright, last = dict(enumerate(HEADS, FIRST_TOKEN)), FIRST_TOKEN + n
    styles = dict.fromkeys(upright, "upright header") | {last + 2: "name"}
    each: dict[str, Any] = {"numbered": False, "guard": unguarded, "fills": False}
    down = partial(it.column, n_rows=it.n_heads)
    own = each | {"n_rows": it.n_heads, "n_columns": n, "label": partial(_name, it), "colours": [partial(_colour, it)]}
    return [
        Bar("All heads on this text", words, link="all heads"),
        Texts({**titles, **upright, last + 2: "looks most at"}, styles=styles, height=100),
        it.line("counts", count, counted, "id", n_columns=n + 1, label="tokens that have one", **each),
        Beside(
            it.line("measures", share, partial(average_now, 0, n), "whole share", **own),
            down("blocks", INDEX, None, partial(number, 0), "index"),
            down("numbers", HEAD, None, partial(number, 1), "index"),
            down("averages", last, entropy, partial(average_now, n, n + 1), "bits", colours=[_spread(it)]),
            down("most", last + 2, most, most_now, "label", named=True),
        ),
    ]


def entropies(it: Chosen) -> list[Part]:
    """In bits, a head a row, a token a column."""
    words = (
        "How widely each token's attention is spread, in bits: 0 is one token only, 1 is two alike, 2 is four alike."
    )

    def formula(row: int, t: int) -> str:
        """(ln sum(e) - sum over keys of p (score - largest)) / ln 2, as p = e / sum(e) and e = exp(score - largest)."""
        block, head = divmod(row, it.config.n_head)
        names = (f"h{block}.attn.{name}.{head}" for name in ("probs", "scores", "max", "sum"))
        probs, scores, largest, total = (it.layout[name] for name in names)
        spread = f"SUMPRODUCT({probs.down(t, '')},{scores.down(t, '')}-{largest.at(0, t, '')})"
        return f"(LN({total.at(0, t, '')})-{spread})/LN(2)"

    def twin(state: State) -> Floats:
        places = (divmod(row, it.config.n_head) for row in range(it.n_heads))
        return np.stack([entropies_now(state.trace[f"h{block}.attn.probs.{head}"]) for block, head in places])

    def again(i: int, t: int) -> str:
        return it.page["tokens"].at(0, t)

    own = {"n_rows": it.n_heads, "label": partial(_name, it), "numbered": False, "colours": [_spread(it)]}
    return [
        Bar("Entropies", words, link="entropies"),
        it.line("again", again, shown, "upright", guard=unguarded, height=UPRIGHT, colours=[no_token]),
        it.line("entropies", formula, twin, "bits", named=True, **own),
    ]


def shown(state: State) -> list[str]:
    return [*state.prompt.shown]


def _name(it: Chosen, row: int) -> str:
    block, head = divmod(row, it.config.n_head)
    return f"block {block}, head {head}"


def _but_first(line: Area) -> Area:
    """A row's cells from position 1 on; of a workbook with one column that one, which is never counted."""
    return Area(line.sheet, line.row, line.column + 1, 1, line.n_columns - 1) if line.n_columns > 1 else line


def _upper(area: Area) -> Area:
    """All rows but the last; of one row that one."""
    return area.rows_of(0, max(area.n_rows - 1, 1))


def _lower(area: Area) -> Area:
    """All rows but the first, each the key after the one in `_upper`."""
    return area.rows_of(1, area.n_rows - 1) if area.n_rows > 1 else area


def _colour(it: Chosen, frame: Worksheet, shares: Area) -> None:
    """The darker, the more; the strongest head of each measure, and the chosen head's name, stand out."""
    first = letters(shares.column)
    strong = f"{first}{shares.row}=MAX({first}${shares.row}:{first}${shares.last_row})"
    line = Side("thin", color="1F3864")  # the fill is the colour scale's: LibreOffice gives it the upper hand
    box = Border(line, line, line, line)
    put(frame, shares, FormulaRule([strong], font=Font(bold=True, color="1F3864"), border=box))
    probability(frame, shares)
    own = f"AND(${letters(INDEX)}{shares.row}={it.block},${letters(HEAD)}{shares.row}={it.head})"
    put(frame, Area(ATTENTION, shares.row, LABEL, shares.n_rows), stands_out(own))


def _spread(it: Chosen) -> Colour:
    return scale("num", 0, "FFFFFF", "num", max(1.0, math.log2(it.width)), "6FA8DC")


def no_token(frame: Worksheet, area: Area) -> None:
    """White where no token is."""
    put(frame, area, plain(f'{area.line(0).stripe(0).cells}=""'))
