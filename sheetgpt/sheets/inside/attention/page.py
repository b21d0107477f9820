"""The sheet Attention: one head's pattern large, its whole block small, and what every head of the model does.

Twin: `sheetgpt.inspection.attention`, which defines the measures. A formula takes a number from the block that is
chosen by CHOOSE over one range a block: no range is named by a text (INDIRECT), none is moved (OFFSET).

On the left, a token a column as everywhere, the pattern of the chosen head, a key a row. On the right, in the same rows
and in narrow columns, a small map for every head of the block, and two that the table of all heads counts by.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.inspection.attention import Floats
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import letters
from sheetgpt.sheets.block import Block, Colour, Formula, Part, cell, unguarded
from sheetgpt.sheets.grid import FIRST_TOKEN, LABEL
from sheetgpt.sheets.home.after import LAST, PROMPT
from sheetgpt.sheets.inside.attention.heads import UPRIGHT, entropies, heads, no_token, shown
from sheetgpt.sheets.inside.attention.words import (
    ATTENTION,
    N_RANKED,
    RANKED,
    SHOWN,
    TYPED,
    Chosen,
    Seen,
    Twin,
    copies_sentence,
    head_sentence,
    refusal,
    token_sentence,
)
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.token_page import letter
from sheetgpt.sheets.page import Bar, Beside, Page, Paper, Space, Stack, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.choosers import Chooser
from sheetgpt.sheets.style.looks import GREEN, dress, probability, put, scale, stands_out
from sheetgpt.sheets.tensor import Kind, Value

LOOKS_AT = ("– it looks most at position", "– then at", "– then at")
NOTE = "Each column is a token that looks, each row a token that it looks at: itself or one before it."
KEY, PLACE, SHARE, ORDER = LABEL, 2, 3, 4  # columns on the left of the pattern
CHOICES = {  # title, and what is shown when the yellow cell is selected
    "block": ("Block", "Whose heads to show. Block 0 reads first."),
    "head": ("Head", "Which of the block's heads to show large."),
    "token": ("Token", f"The position of the token to describe, “{PROMPT}” (the end of what was typed) or “{LAST}”."),
}
WIDTHS = (22, 7, 9, 9, 7)  # of columns A to E
SHADES = (("FFFFFF", 1, "2F5597"), ("7F7F7F", 8, "FFFFFF"))  # of the copies from 0 to 1, of the distance from 0 to 8


def starts(layout: Layout) -> Mapping[str, Value]:
    return {"attention_block": layout.config.n_layer // 2, "attention_head": 0, "attention_token": PROMPT}


def n_formulas(layout: Layout) -> int:
    triangle, heads = layout.context * (layout.context + 1) // 2, layout.config.n_layer * layout.config.n_head
    return triangle * (layout.config.n_head + 2) + 7 * layout.context + heads * (layout.context + 7)


def page(layout: Layout) -> Page:
    it = Chosen(layout)
    here = it.page
    beside = {SHARE: "↓ all heads of the model", FIRST_TOKEN: "→ all heads of this block"}
    here.head(NOTE, FIRST_TOKEN, beside=beside, style="link")
    here.add(choosers(it), offered(it), Beside(pattern(it), maps(it)), *heads(it), *entropies(it))
    here.join("said", "on_token", "on_head", "on_copies", "refused", kind=Kind.TEXTS)
    here.join("heads", "measures", "averages")
    top = here["positions"].row
    here.positions = Area(ATTENTION, top, FIRST_TOKEN, here["pattern"].last_row - top + 1, it.width)
    rows = dict(here.sections)
    here.links += [
        (f"{letters(SHARE)}2", f"{quoted(ATTENTION)}!A{rows['all heads']}"),
        (f"{letters(FIRST_TOKEN)}2", Area(ATTENTION, rows["pattern"], it.maps).reference),
    ]
    here.paper = Paper(one=True, last_row=dict(here.sections)["entropies"] - 1, last_column=it.maps - 2)
    here.last_column = max(here["distance"].last_column, here["offered head"].last_column)
    here.dresses += [partial(_dress, it), partial(_mark, it)]
    return here


def choosers(it: Chosen) -> Part:
    """What is typed, what is shown for it, the chosen token's three favourites, and what is said of all that."""

    def line(name: str, title: str) -> Part:
        typed = cell(TYPED, None, lambda state: state.chosen[f"attention_{name}"], "input", name, kind=Kind.INPUT)
        return Beside(Texts({LABEL: title}, "name"), typed, cell(SHOWN, *it.choice(name), "id"))

    def ranked(i: int, j: int) -> str:
        """The position that gets the i-th most attention."""
        order = it.page["order"].local
        return f'IF({i}<={it.token},MATCH(LARGE({order},{i + 1}),{order},0)-1,"")'

    def ranked_now(state: State) -> list[Value]:
        found = state.ask(Seen.of).ranked
        return [*found, *[""] * (N_RANKED - len(found))]

    return Beside(
        Stack(
            Texts({TYPED: "choose", SHOWN: "shown"}),
            *(line(name, title) for name, (title, _) in CHOICES.items()),
            Beside(
                Stack(*(Texts({LABEL: words}, "label") for words in LOOKS_AT)),
                it.column("ranked", SHOWN, ranked, ranked_now, "id", n_rows=N_RANKED),
            ),
        ),
        Stack(token_sentence(it), head_sentence(it), copies_sentence(it), refusal(it)),
    )


def offered(it: Chosen) -> Part:
    """What the yellow cells' lists offer."""

    def entries(name: str, at: int, found: list[Value]) -> Block:
        sizes: dict[str, Any] = {"column": at, "n_columns": len(found), "folded": True}
        return it.line(f"offered {name}", None, lambda state: found, "id", **sizes)

    blocks = FIRST_TOKEN + it.width + 2
    return Beside(
        Texts({KEY: "the lists to choose from"}, "label", folded=True),
        entries("token", FIRST_TOKEN - 2, [PROMPT, LAST, *range(it.width)]),
        entries("block", blocks, [*range(it.config.n_layer)]),
        entries("head", blocks + it.config.n_layer + 1, [*range(it.config.n_head)]),
    )


def pattern(it: Chosen) -> Part:
    """The chosen head's pattern, and above it the text, as on the other sheets, but narrow."""
    home, page = it.layout, it.page
    title = (
        lambda: f'"Block "&{it.block}&", head "&{it.head}',
        lambda state: f"Block {state.ask(Seen.of).block}, head {state.ask(Seen.of).head}",
    )
    words = "How much attention the column's token pays to the row's. A column adds up to 100%."
    heads = Texts({KEY: "looked at", PLACE: "position", ORDER: "order", RANKED: ""})

    def of_home(name: str) -> Formula:
        return lambda i, t: home[name].down(t, "")

    def name() -> str:
        return f'IF({it.token}<0,"",INDEX({page["tokens"].local},1,{it.token}+1)&"")'

    def head(k: int, t: int) -> str:
        """Column t of the chosen head's pattern in each block; of those the chosen block's, in the key's row."""
        config = it.config
        first, last = home["h0.attn.probs.0"], home[f"h0.attn.probs.{config.n_head - 1}"]
        stride = (last.row - first.row) // max(config.n_head - 1, 1)  # rows from one head's pattern to the next one's
        n_rows = last.last_row - first.row + 1
        blocks = (home[f"h{i}.attn.probs.0"] for i in range(config.n_layer))
        columns = [Area(b.sheet, b.row, b.column, n_rows, it.width).down(t, "") for b in blocks]
        place = f"{it.head}*{stride}+{_place(page, k)}+1"
        return f"CHOOSE({it.block}+1,{','.join(f'INDEX({column},{place})' for column in columns)})"

    def head_now(state: State) -> Floats:
        seen = state.ask(Seen.of)
        return seen.probs(seen.head)

    flags: dict[str, Any] = {"idle": 0, "guard": unguarded, "label": "active", "folded": True}
    chosen = [no_token, partial(_mark_chosen, it)]
    large: dict[str, Any] = {"n_rows": it.width, "triangle": True, "named": True, "colours": [probability]}
    return Stack(
        Bar(title, words, link="pattern", space=0),
        it.line("positions", None, lambda state: np.arange(it.width), "id", label="position"),
        it.line(
            "ids", of_home("token_ids"), lambda s: np.array(s.prompt.ids, float), "", label="token id", folded=True
        ),
        Beside(
            heads,
            cell(SHARE, name, lambda state: state.prompt.shown[state.ask(Seen.of).token], "token header"),
            it.line("tokens", of_home("token_text"), shown, "upright", height=UPRIGHT, colours=chosen),
        ),
        it.line("active", of_home("active"), lambda state: np.ones(state.prompt.n), "flag", **flags),
        Beside(*keys(it), it.line("pattern", head, head_now, "pattern", **large)),
    )


def keys(it: Chosen) -> list[Part]:
    """On the left of the pattern: the key, its position, and what the chosen token gives it."""
    page = it.page

    def key(k: int, j: int) -> str:
        return f"${page['tokens'].at(0, k)}"

    def key_now(state: State) -> list[str]:
        return [*state.prompt.shown, *[""] * (it.width - state.prompt.n)]

    def share(k: int, j: int) -> str:
        return f'IF({_place(page, k)}<={it.token},INDEX({page["pattern"].line(k).local},1,{it.token}+1),"")'

    def order(k: int, j: int) -> str:
        """The larger, the more attention; of two that get the same the first comes first."""
        place, own = _place(page, k), f"${letters(SHARE)}${page['shares'].row + k}"
        return f'IF({place}<={it.token},ROUND({own},9)-{place}/10^12,"")'

    def down(find: Callable[[Seen], Floats]) -> Twin:
        return lambda state: find(state.ask(Seen.of))[:, None]

    doubt = down(lambda seen: seen.order_doubts)
    return [
        it.column("keys", KEY, key, key_now, "key", colours=[no_token, partial(_mark_chosen, it)]),
        it.column("places", PLACE, None, lambda state: np.arange(it.width), "index"),
        it.column("shares", SHARE, share, down(lambda seen: seen.shares), "prob", colours=[probability]),
        it.column("order", ORDER, order, down(lambda seen: seen.order), "order", doubt=doubt),
    ]


def maps(it: Chosen) -> Part:
    """A small map for every head of the block; the earlier copies of a token; how far before the query a key stands."""
    width, n_head, page, positions = it.width, it.config.n_head, it.page, np.arange(it.width)
    names = [*(f"head {j}" for j in range(n_head)), "earlier copies", "distance"]
    columns = [it.maps + k * (width + 1) for k in range(len(names))]
    titles = {c: "" for first in columns for c in range(first, first + width)} | dict(zip(columns, names, strict=True))

    def head(j: int, k: int, t: int) -> str:
        cells = [it.layout[f"h{i}.attn.probs.{j}"].at(k, t, "") for i in range(it.config.n_layer)]
        return f"CHOOSE({it.block}+1,{','.join(cells)})"

    def head_now(j: int, state: State) -> Floats:
        return state.ask(Seen.of).probs(j)

    def copies(k: int, t: int) -> str:
        """1 where the key is an earlier copy of the query's token."""
        return f"IF({page['ids'].at(0, t)}=${page['ids'].at(0, k)},1,0)"

    def copies_now(state: State) -> Floats:
        return state.ask(Seen.of).copies

    def has_copy(i: int, t: int) -> str:
        """1 where the query has one."""
        return f"MAX({page['copies'].down(t)})"

    def has_copy_now(state: State) -> Floats:
        return state.ask(Seen.of).copies.max(axis=0)  # type: ignore[no-any-return]

    def distance_now(state: State) -> Floats:
        return positions[None, :] - positions[:, None]

    def small(name: str, k: int, formula: Formula | None, twin: Twin, colour: Colour, **looks: Any) -> Block:
        sizes: dict[str, Any] = {"n_rows": width, "triangle": True, "column": columns[k]}
        return it.line(name, formula, twin, "colour", colours=[colour], **sizes, **looks)

    heads = (
        small(f"map {j}", j, partial(head, j), partial(head_now, j), probability, guard=unguarded)
        for j in range(n_head)
    )
    blue, grey = (scale("num", 0, low, "num", n, high) for low, n, high in SHADES)
    return Stack(
        Texts(titles, "section"),
        Space(4),
        Beside(
            *heads,
            small("copies", n_head, copies, copies_now, blue, strict=True, named=True),
            small("distance", n_head + 1, None, distance_now, grey),
        ),
        it.line("has_copy", has_copy, has_copy_now, "colour", column=columns[n_head]),
    )


def _place(page: Page, k: int) -> str:
    """The position of key k."""
    return f"${letters(PLACE)}${page['places'].row + k}"


def _mark_chosen(it: Chosen, frame: Worksheet, area: Area) -> None:
    """The token that the words are about, in the text above and on the left."""
    above = area.n_rows == 1 and area.column == FIRST_TOKEN
    place = f"{letter(0)}${it.page['positions'].row}" if above else f"${letters(PLACE)}{area.row}"
    put(frame, area, stands_out(f"{place}={it.token}"))


def _mark(it: Chosen, frame: Worksheet) -> None:
    """The title over the chosen head's small map."""
    row = dict(it.page.sections)["pattern"]
    for j in range(it.config.n_head):
        title = Area(ATTENTION, row, it.page[f"map {j}"].column, 1, it.width)
        put(frame, title, stands_out(f"{it.head}={j}"))


def _dress(it: Chosen, frame: Worksheet) -> None:
    widths: dict[int, float] = dict(enumerate(WIDTHS, 1))
    widths |= {c: 5 if c < it.maps - 1 else 1.1 for c in range(FIRST_TOKEN, it.page.last_column + 1)}
    dress(widths, GREEN, f"{letter(0)}1", gridlines=False, folds=True)(frame)
    for name, (title, words) in CHOICES.items():
        Chooser("", it.page[name], it.page[f"offered {name}"], title, words).validate(frame)
