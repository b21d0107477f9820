"""The sheet Embedding: the nearest tokens of a word, an analogy, and a map of the commonest tokens.

The mathematics and the twin: `inspection/embedding.py`. It compares two vectors with every token's row of wte and takes
the rows' lengths, so it costs as much as three more columns of the Output sheet.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.inspection import embedding
from sheetgpt.inspection.embedding import ANALOGIES, NEAREST, Array
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Part
from sheetgpt.sheets.formulas import rank_id, text_at
from sheetgpt.sheets.glossary.headings import explained
from sheetgpt.sheets.grid import FIRST_TOKEN, INDEX, LABEL
from sheetgpt.sheets.inside.embedding.map import MAP_ROWS, add_chart, common_tokens, text_on_map
from sheetgpt.sheets.inside.embedding.words import EMBEDDING, FIRST, WORDS, Alike, Found, directions, spelled, words
from sheetgpt.sheets.inside.lens import TALL, orange
from sheetgpt.sheets.inside.question import POSITIONS, SHOWN, add_text, furnish
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Bar, Beside, Page, Space, Stack, Texts
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.palette import Palette
from sheetgpt.sheets.tensor import Value

NOTE = "A token's embedding is a direction. Tokens that are used alike come to point in directions that are alike."
WIDTHS = (25, 7, 12, 9, 12)  # of columns A to E
THE_WORD, THE_SUM = 0, 1  # what every token is compared with


def starts(layout: Layout) -> Mapping[str, Value]:
    """The yellow cells: words where there is a tokenizer, else ids."""
    last = layout.config.n_vocab - 1
    first: tuple[Value, ...] = ("dog", "him", "he", "she")
    ids: tuple[Value, ...] = tuple(min(i, last) for i in (0, 0, 1, 2))
    found = first if layout.reads_text else ids
    return {f"embedding_{name}": value for name, value in zip(WORDS, found, strict=True)}


def n_formulas(layout: Layout) -> int:
    config = layout.config
    n_common = min(embedding.MAP, config.n_vocab)
    return 4 * config.n_vocab + 5 * config.n_embd + 2 * n_common + 3 * layout.context + 93


def sheet(state: State, palette: Palette) -> Sheet:
    """Which tokens are on the map only a vocabulary tells, and which of them have their names there only the model."""
    it = alike(state.layout, [int(id) for id in embedding.common(state.hexes)])
    it.page.dresses.append(partial(add_chart, it, state))
    return explained(it.page).sheet(state, palette)


def alike(layout: Layout, common: Sequence[int]) -> Alike:
    """The page with everything on it. `common`: the ids of the tokens on the map."""
    it = Alike(layout, common)
    here = it.page
    here.head(NOTE)
    add_text(here, layout)
    here.add(*text_on_map(it))
    here.positions = Area(EMBEDDING, POSITIONS, FIRST_TOKEN, here.row - POSITIONS, layout.context)
    here.add(Bar("What is asked"))
    it.ask.add(*words(it))
    here.add(Space(), Beside(Space(MAP_ROWS + 1, TALL), Stack(*nearest(it), Space(), *analogy(it))))
    here.add(*spelled(it), *directions(it), *common_tokens(it), *every_token(it))
    for name in ("nearest", "analogy"):
        here.join(name, f"{name} cosines", f"{name} ids")
    here.dresses.append(partial(_dress, here))
    return it


def nearest(it: Alike) -> list[Part]:
    """The ten tokens that are nearest to the word; the map stands on their right."""
    said = "A map of the commonest tokens (grey) and the text's own (orange): along the two main directions."

    def title() -> str:
        return f'"Nearest to “"&{shown(it, "word")}&"”"'

    def title_now(state: State) -> str:
        return f"Nearest to “{shown_now(state)[0]}”"

    return [Bar((title, title_now), said, link="nearest"), *ranks(it, "nearest", NEAREST, "cosines", THE_WORD)]


def analogy(it: Alike) -> list[Part]:
    """The five that are nearest to a - b + c."""

    def title() -> str:
        a, b, c = (shown(it, name) for name in ("a", "b", "c"))
        return f'{a}&" − "&{b}&" + "&{c}'

    def title_now(state: State) -> str:
        _, a, b, c = shown_now(state)
        return f"{a} − {b} + {c}"

    bar = Bar((title, title_now), link="analogy", last=FIRST_TOKEN - 1)
    return [bar, *ranks(it, "analogy", ANALOGIES, "analogy_cosines", THE_SUM)]


def shown(it: Alike, name: str) -> str:
    """The token that a word is."""
    return Area(EMBEDDING, it.page[name].row, SHOWN).local


def shown_now(state: State) -> list[str]:
    return ["" if id is None else state.shown[id] for id in state.ask(Found).ids]


def ranks(it: Alike, name: str, n: int, cosines: str, which: int) -> list[Part]:
    """The n tokens with the largest cosines, a rank a row."""
    strings = it.layout["vocab_shown"].reference

    def value(r: int) -> str:
        return it.page[f"{name} cosines"].line(r).local

    def number(r: int) -> str:
        return it.page[f"{name} ids"].line(r).local

    def token(r: int, j: int) -> str:
        return f'IF(ISNUMBER({number(r)}),{text_at(strings, f"{number(r)}+1")},"")'

    def cosine(r: int, j: int) -> str:
        every = it.page[cosines].local
        return f'IF(COUNT({every})>{r},LARGE({every},{r + 1}),"")'

    def id(r: int, j: int) -> str:
        every = it.page[cosines]
        ids, above = Area(EMBEDDING, every.row, INDEX, it.n_vocab).local, (value(r - 1), number(r - 1)) if r else None
        return f'IF(ISNUMBER({value(r)}),{rank_id(value(r), every.local, ids, it.n_vocab, above)},"")'

    def best(of: Callable[[Found, int], Value], found: Found) -> list[Value]:
        """Of each rank that has a token."""
        own = found.cosines[which]
        order = np.argsort(np.where(np.isnan(own), np.inf, -own), kind="stable")[:n]
        known = [int(id) for id in order if not np.isnan(own[id])]
        return [*(of(found, id) for id in known), *[""] * (n - len(known))]

    def line(part: str, at: int, formula: Any, of: Callable[[Found, int], Value], style: str, **looks: Any) -> Part:
        return it.block(f"{name} {part}", at, formula, partial(best, of), style, n_rows=n, **looks)

    return [
        Texts({LABEL: "token", INDEX: "rank", FIRST: "cosine", FIRST + 1: "id"}),
        Beside(
            line("tokens", LABEL, token, lambda found, id: found.state.shown[id], "token"),
            it.block("", INDEX, None, lambda found: np.arange(1, n + 1), "index", n_rows=n),
            line(
                "cosines", FIRST, cosine, lambda found, id: float(found.cosines[which][id]), "share", colours=[orange]
            ),
            line("ids", FIRST + 1, id, lambda found, id: id, "id"),
        ),
    ]


def every_token(it: Alike) -> list[Part]:
    """Of each token's row of wte the length and the cosines, and which spelling the token is."""
    page = it.page

    def length(v: int, j: int) -> str:
        """|w|"""
        column = it.column(v).reference
        return f"SQRT(SUMPRODUCT({column},{column})){it.scale(v)}"

    def cosine(which: int, v: int, j: int) -> str:
        """w . x / (|w| |x|), 0 where either has no length; those that it is made of are left out."""
        row, k, asked = page["lengths"].row + v, len(WORDS) * which, ("abc" if which else ("word",))
        size = f"($C${row}*{page['sizes'].stripe(k).local})"
        dot = f"SUMPRODUCT({it.column(v).reference},{page['vectors'].stripe(k).local}){it.scale(v)}"
        same = [f"$B${row}={it.ask.used(name)}" for name in asked]
        left_out, given = same[0], f"ISNUMBER({it.ask.used('word')})"
        if which == THE_SUM:
            left_out, given = f"OR({','.join(same)})", it.has_sum
        return f'IF({given},IF({left_out},"",IF({size}>0,{dot}/{size},0)),"")'

    def spelling(v: int, j: int) -> str:
        return it.which(f"$A${page['spelled'].row + v}")

    def spelling_now(found: Found) -> Array:
        numbers = {spelling: number for number, spelling in reversed([*enumerate(found.spellings, 1)])}
        return np.array([numbers.get(name, 0) for name in found.state.shown])

    def compared(name: str, which: int) -> Part:
        return each(name, FIRST + 1 + which, partial(cosine, which), lambda found: found.cosines[which], "number")

    each = partial(it.block, n_rows=it.n_vocab, named=True)
    label: dict[str, Any] = {"label": "", "labels": lambda state: state.shown, "numbered": True}
    said = "The length of each token's row; its cosine with the word and a − b + c, which are left out; its spelling."
    heads = (FIRST, "length"), (FIRST + 1, "the word"), (FIRST + 2, "a − b + c"), (FIRST + 3, "spelling")
    return [
        Bar("Workings: every token", said, link="every token"),
        Texts({LABEL: "token", INDEX: "id", **dict(heads)}),
        Beside(
            each("lengths", FIRST, length, lambda found: embedding.norms(found.table), "number", **label),
            compared("cosines", THE_WORD),
            compared("analogy_cosines", THE_SUM),
            each("spelled", FIRST + 3, spelling, spelling_now, "id", named=False),
        ),
    ]


def _dress(page: Page, frame: Worksheet) -> None:
    furnish(frame, page, WIDTHS)
    frame.sheet_format.outlineLevelRow = 1  # what only the map needs is folded
