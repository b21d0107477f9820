"""The sheet On paper: the whole of block 0 on one printed page, a number of the model a cell, for a very small model.

Every cell shows one of the block's sheet, so that what is done with a pencil can be compared. A token is a column in
each of the little tables; they stand in the order of the computation, from left to right and from top to bottom.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import letters
from sheetgpt.sheets.block import Block, Part
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Beside, Page, Space, Texts
from sheetgpt.sheets.state import State

PAPER = "On paper"
WORDS = "block 0 of a very small model on one printed page"
NOTE = "The whole block on one page, to do with a pencil beside it. A token is a column; the weights: Block 0 weights."
FIRST = 2  # column B
A_ROW = 6  # tables beside one another, at most

Table = tuple[str, str, int, int]  # its title, the tensor, its first row there, how many rows it shows


def n_formulas(layout: Layout) -> int:
    config, t = layout.config, layout.context
    return t * (2 + 12 * config.n_embd + 2 * config.n_inner + 2 * config.n_head * t + 4)


def bands(layout: Layout) -> list[list[Table]]:
    """The tables of each band of the page."""
    config = layout.config
    d, size = config.n_embd, config.head_size

    def whole(title: str, tensor: str, n: int = d) -> Table:
        return title, tensor, 0, n

    def norm(name: str) -> list[Table]:
        return [whole("mean", f"h0.{name}.mean", 1), whole("rstd", f"h0.{name}.rstd", 1), whole(name, f"h0.{name}")]

    heads = [
        (f"{what}, head {j}", "h0.attn.qkv", role * d + j * size, size)
        for j in range(config.n_head)
        for role, what in enumerate(("query", "key", "value"))
    ]
    looks = [
        (f"{what}, head {j}", f"h0.attn.{name}.{j}", 0, layout.context)
        for j in range(config.n_head)
        for what, name in (("score", "scores"), ("weight", "probs"))
    ]
    return [
        [whole("token", "embed_tok"), whole("+ position", "embed_pos"), whole("= x", "embed"), *norm("ln_1")],
        *(heads[k : k + A_ROW] for k in range(0, len(heads), A_ROW)),
        *(looks[k : k + A_ROW] for k in range(0, len(looks), A_ROW)),
        [
            whole("mix of values", "h0.attn.z"),
            whole("attention adds", "h0.attn.out"),
            whole("x + attention", "h0.resid_mid"),
            *norm("ln_2"),
        ],
        [
            whole("neurons: sum", "h0.mlp.fc", config.n_inner),
            whole(config.activation_function, "h0.mlp.act", config.n_inner),
            whole("MLP adds", "h0.mlp.out"),
            whole("out: + MLP", "h0.resid_post"),
        ],
    ]


def page(layout: Layout) -> Page:
    here = Page(PAPER, WORDS, layout.context, first=FIRST, prefix="paper_")
    step = layout.context + 1
    here.head(NOTE, FIRST + step)
    for band in bands(layout):
        here.add(Space(height=14), *tables(layout, band, step))
    here.last_column = FIRST + A_ROW * step - 2
    here.dresses.append(partial(dress, here.last_column, here.last_row, step))
    return here


def tables(layout: Layout, band: Sequence[Table], step: int) -> list[Part]:
    """Titles, the tokens, the numbers."""
    columns = [FIRST + k * step for k in range(len(band))]
    titles = {column: table[0] for column, table in zip(columns, band, strict=True)}
    filled = {c: "" for first in columns for c in range(first, first + layout.context)}
    tokens = [shown(layout, column) for column in columns]
    found = [numbers(layout, column, table) for column, table in zip(columns, band, strict=True)]
    return [Texts(filled | titles, "paper title"), Beside(*tokens), Beside(*found)]


def shown(layout: Layout, column: int) -> Block:
    """The text, a token a column."""

    def formula(i: int, t: int) -> str:
        return layout["token_text"].at(0, t, "")

    looks: dict[str, Any] = {"label": None, "column": column, "style": "paper token", "fills": False}
    return Block(formula=formula, twin=lambda s: [*s.prompt.shown], guard=active(layout), idle="", **looks)


def numbers(layout: Layout, column: int, table: Table) -> Block:
    _, tensor, first, n = table
    area = layout[tensor]
    triangle = ".scores." in tensor or ".probs." in tensor

    def formula(i: int, t: int) -> str:
        return area.at(first + i, t, "")

    def twin(state: State) -> Any:
        found = np.atleast_2d(state.trace[tensor])[first : first + n]
        return np.where(np.tri(*found.shape[::-1]).T > 0, found, np.nan) if triangle else found

    looks: dict[str, Any] = {
        "label": None,
        "numbered": False,
        "height": 19,
        "column": column,
        "style": "paper",
        "fills": False,
    }
    return Block(n_rows=n, formula=formula, twin=twin, guard=active(layout), triangle=triangle, **looks)


def active(layout: Layout) -> Callable[[str, int], str]:
    return lambda source, t: f'IF({layout["active"].at(0, t, "")},{source},"")'


def dress(last_column: int, last_row: int, step: int, frame: Worksheet) -> None:
    """Narrow columns, and all of it on one page."""
    frame.sheet_properties.tabColor = "C55A11"
    frame.sheet_view.showGridLines = False
    frame.column_dimensions["A"].width = 5
    for column in range(FIRST, last_column + 1):
        between = (column - FIRST) % step == step - 1
        frame.column_dimensions[letters(column)].width = 1.5 if between else 6.2
    frame.page_setup.paperSize = 9  # A4
    frame.page_setup.fitToHeight = 1
    frame.page_margins.left = frame.page_margins.right = frame.page_margins.top = frame.page_margins.bottom = 0.4
    frame.print_area = Area(PAPER, 1, 1, last_row, last_column).cells
