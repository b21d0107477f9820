"""The weight sheets: every parameter of the checkpoint a cell, in GPT-2's own [in, out] orientation.

One column of a block's weight sheet is one neuron; one column of `wte` is one token, of `wpe` one position.
A cell holds the shortest decimal that rounds to the checkpoint's float32; in int8 a whole number
(`sheetgpt.gpt2.quantize`).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import Row
from sheetgpt.sheets.grid import FIRST_TOKEN, FIRST_WEIGHT, HOME, LABEL, LM_HEAD, WPE, WTE
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.parts import Params
from sheetgpt.sheets.network.weights_layout import LAYERS, block_weights
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet

TAB = "548235"
MANY_CELLS = 50_000_000  # from here on whole numbers stand in cells without addresses: GPT-2 small's in 287 MB, not 608


def _sheet(
    layout: Layout, title: str, words: str, stream: Callable[[], Iterator[Row]], last: Area, freeze: Area
) -> Sheet:
    """`last`: the area that reaches furthest down; `freeze`: what begins below the frozen rows."""
    names = layout.names_on(title)
    widest = max(area.last_column for areas in names.values() for area in areas)
    corner = f"{get_column_letter(freeze.column)}{freeze.row}"
    links = [("A2", f"{quoted(HOME)}!A1")]
    return Sheet(
        *(title, words, stream, last.last_row, widest),
        names=names,
        links=links,
        dress=lambda frame: _dress(frame, corner),
    )


def _dress(frame: Worksheet, corner: str) -> None:
    frame.sheet_properties.tabColor = TAB
    frame.freeze_panes = corner
    frame.column_dimensions["A"].width = 20
    frame.column_dimensions["B"].width = 7


def _top(palette: Palette, title: str, note: str, first: int) -> Iterator[Row]:
    yield rows.row(1, rows.text(1, title, palette["title"]), rows.text(first, note, palette["note"]), height=24)
    yield rows.row(2, rows.text(1, "← Home", palette["link"]))


def _matrix(layout: Layout, area: Area, values: NDArray[Any], label: str, palette: Palette) -> Iterator[Row]:
    """Rows of weights, with the input's index in column B."""
    write = rows.compact_numbers if layout.scaled and layout.config.n_params > MANY_CELLS else rows.numbers
    for i in range(area.n_rows):
        n = area.row + i
        head = rows.text(LABEL, label, palette["label"]) + rows.number(2, i, palette["index"])
        yield rows.row(n, head, write(area.column, np.ascontiguousarray(values[i])))


def block(layout: Layout, palette: Palette, i: int, params: Params) -> Sheet:
    """The four matrices of block i, below one another."""
    title = block_weights(i)

    def stream() -> Iterator[Row]:
        note = "A column is one neuron: the weights by which it multiplies its inputs."
        scaled = f" Whole numbers, to be multiplied by the neuron's scale: column E of {layout.block_sheet(i)}."
        yield from _top(palette, title, note + (scaled if layout.scaled else ""), FIRST_WEIGHT)
        for layer in LAYERS:
            name, area = f"{layer}.w", layout.tensor(f"h{i}.{layer}.w").area
            n = area.row - 1
            heads = rows.numbers(area.column, np.arange(area.n_columns), palette["header"])
            yield rows.row(n, rows.text(LABEL, name, palette["section"]), heads)
            yield from _matrix(layout, area, params[f"h{i}.{name}"], name, palette)

    last = layout.tensor(f"h{i}.mlp.c_proj.w").area
    return _sheet(layout, title, f"the four matrices of block {i}", stream, last, Area(title, 3, FIRST_WEIGHT))


def embedding(layout: Layout, palette: Palette, weights: NDArray[Any], shown: Sequence[str]) -> Sheet:
    """`wte`."""
    use = "which is used on the way in and on the way out" if layout.config.tied else "with which it enters the network"
    note = f"A column is one token of the vocabulary: its embedding, {use}."
    return _tokens(layout, palette, WTE, "token embeddings", note, weights, shown)


def unembedding(layout: Layout, palette: Palette, weights: NDArray[Any], shown: Sequence[str]) -> Sheet:
    """`lm_head`, of a model that has one."""
    note = "A column is one token of the vocabulary: what the final state must resemble for it to come next."
    return _tokens(layout, palette, LM_HEAD, "the unembedding's own matrix", note, weights, shown)


def _tokens(
    layout: Layout, palette: Palette, name: str, words: str, note: str, weights: NDArray[Any], shown: Sequence[str]
) -> Sheet:
    """A token a column, in bands of 10,000 below one another, each under its ids and strings."""
    bands, scaled = layout.tensor(name).areas, layout.tensor(name).scales
    if scaled:
        scales = layout.tensor(scaled).area
        column = get_column_letter(scales.column)
        note += f" Whole numbers, to be multiplied by the token's scale: column {column} of the sheet {scales.sheet}."

    def stream() -> Iterator[Row]:
        yield from _top(palette, name, note, FIRST_WEIGHT)
        first = 0
        for area in bands:
            last = first + area.n_columns
            n = area.row - 2
            ids = rows.numbers(area.column, np.arange(first, last), palette["header"])
            yield rows.row(n, rows.text(LABEL, "token id", palette["section"]), ids)
            strings = (rows.text(area.column + k, shown[first + k], palette["id"]) for k in range(area.n_columns))
            yield rows.row(n + 1, rows.text(LABEL, "token", palette["label"]), *strings)
            yield from _matrix(layout, area, weights[first:last].T, name, palette)
            first = last

    return _sheet(layout, name, words, stream, bands[-1], Area(name, 3, FIRST_WEIGHT))


def positions(layout: Layout, palette: Palette, params: Params) -> Sheet:
    """`wpe`: position t in column F + t, as on every token sheet; in int8 each under its scale."""
    area, weights, scaled = layout.tensor(WPE).area, params[WPE], layout.tensor(WPE).scales

    def stream() -> Iterator[Row]:
        note = "A column is one position: the numbers that say where in the text a token is."
        more = " Whole numbers, to be multiplied by the scale above them."
        yield from _top(palette, WPE, note + (more if scaled else ""), FIRST_TOKEN)
        heads = rows.numbers(area.column, np.arange(area.n_columns), palette["header"])
        yield rows.row(3, rows.text(LABEL, "position", palette["section"]), heads)
        if scaled:
            scales = rows.numbers(area.column, params[scaled], palette["tiny"])
            yield rows.row(4, rows.text(LABEL, "scale", palette["label"]), scales)
        yield from _matrix(layout, area, weights.T, WPE, palette)

    return _sheet(layout, WPE, "position embeddings", stream, area, area)
