"""The weight sheets: every parameter of the checkpoint a cell, in GPT-2's own [in, out] orientation.

One column of a block's weight sheet is one neuron; one column of `wte` is one token, of `wpe` one position. Vectors,
gains, biases and scales, stand beside the neurons that they belong to (`token_page.beside`). A cell holds the shortest
decimal that rounds to the checkpoint's float32; in int8 a whole number (`sheetgpt.gpt2.checkpoints.quantize`).
"""

from typing import Any

import numpy as np

from sheetgpt.gpt2.checkpoints.quantize import scale_name
from sheetgpt.ooxml.rows import letters
from sheetgpt.sheets.block import Block
from sheetgpt.sheets.grid import BAND, FIRST_TOKEN, FIRST_WEIGHT, INDEX, LABEL, LM_HEAD, WPE, WTE
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Beside, Page, Space, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.looks import GREEN, dress
from sheetgpt.sheets.tensor import Kind

VOCABULARY_AXIS = "token of the vocabulary"
LAYERS = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")  # the linear layers of a block
TAB = "548235"
MANY_CELLS = 50_000_000  # from here on whole numbers stand in cells without addresses: GPT-2 small's in 287 MB, not 608


def block_weights(i: int) -> str:
    """The sheet with the matrices of block i."""
    return f"Block {i} weights"


def weight_page(title: str, words: str, note: str, first: int, prefix: str = "") -> Page:
    """`first`: the column where the weights begin."""
    page = Page(title, words, 0, first=first, prefix=prefix, numbered=True)
    page.head(note, first)
    return page


def freeze(page: Page, row: int) -> None:
    """The rows above this one stay in sight; and the columns' widths."""
    page.dresses.append(dress({LABEL: 20, INDEX: 7}, GREEN, f"{letters(page.first)}{row}"))


def matrix(layout: Layout, name: str, shape: tuple[int, int], twin: Any, label: str, **more: Any) -> Block:
    """A neuron, token or position a column."""
    compact = layout.scaled and layout.config.n_params > MANY_CELLS
    own: dict[str, Any] = {"kind": Kind.WEIGHT, "label": label, "compact": compact, "style": ""}
    return Block(name, shape[0], shape[1], twin=twin, **own, **more)


def heads(title: str, n: int, first: int = 0) -> Beside:
    """Numbers above the columns."""
    numbers = Block(n_columns=n, twin=lambda s: np.arange(first, first + n), style="header", label=None)
    return Beside(Texts({LABEL: title}, "section"), numbers)


def block(layout: Layout, i: int) -> Page:
    """The four matrices of block i, below one another."""
    h, shapes = f"h{i}.", layout.config.parameter_shapes()
    note = "A column is one neuron: the weights by which it multiplies its inputs."
    if layout.scaled:
        note += f" Whole numbers, to be multiplied by the neuron's scale: column E of {layout.block_sheet(i)}."
    page = weight_page(block_weights(i), f"the four matrices of block {i}", note, FIRST_WEIGHT, prefix=h)
    freeze(page, page.row)
    for layer in LAYERS:
        name = f"{layer}.w"
        n_in, n_out = shapes[h + name]
        scales = scale_name(h + name) if layout.scaled else ""

        def twin(state: State, name: str = h + name) -> Any:
            return state.params[name]

        page.add(
            heads(name, n_out),
            matrix(layout, name, (n_in, n_out), twin, name, axes=("in", "out"), scales=scales),
            Space(2),
        )
    return page


def embedding(layout: Layout) -> Page:
    """`wte`."""
    use = "which is used on the way in and on the way out" if layout.config.tied else "with which it enters the network"
    return _tokens(layout, WTE, "token embeddings", f"A column is one token of the vocabulary: its embedding, {use}.")


def unembedding(layout: Layout) -> Page:
    """`lm_head`, of a model that has one."""
    note = "A column is one token of the vocabulary: what the final state must resemble for it to come next."
    return _tokens(layout, LM_HEAD, "the unembedding's own matrix", note)


def _tokens(layout: Layout, name: str, words: str, note: str) -> Page:
    """A token a column, in bands of 10,000 below one another, each under its ids and strings."""
    config, scales = layout.config, scale_name(name) if layout.scaled else ""
    if scales:
        column, sheet = ("E", "Output") if name == config.head else ("D", "Vocabulary")
        note += f" Whole numbers, to be multiplied by the token's scale: column {column} of the sheet {sheet}."
    page = weight_page(name, words, note, FIRST_WEIGHT)
    freeze(page, page.row)
    for b, first in enumerate(range(0, config.n_vocab, BAND)):
        n = min(BAND, config.n_vocab - first)

        def strings(state: State, first: int = first, n: int = n) -> list[str]:
            return [*state.shown[first : first + n]]

        def twin(state: State, first: int = first, n: int = n) -> Any:
            return state.params[name][first : first + n].T

        more: dict[str, Any] = {"axes": ("feature", VOCABULARY_AXIS), "turned": True, "scales": scales, "band_of": name}
        page.add(
            heads("token id", n, first),
            Block(n_columns=n, twin=strings, label="token", numbered=False, style="id"),
            matrix(layout, f"{name}_{b}", (config.n_embd, n), twin, name, **more),
            Space(),
        )
    return page


def positions(layout: Layout) -> Page:
    """`wpe`: position t in column F + t, as on every token sheet; in int8 each under its scale."""
    config, scales = layout.config, scale_name(WPE) if layout.scaled else ""
    n = config.n_positions
    note = "A column is one position: the numbers that say where in the text a token is."
    note += " Whole numbers, to be multiplied by the scale above them." if scales else ""
    page = weight_page(WPE, "position embeddings", note, FIRST_TOKEN)
    page.add(heads("position", n))
    if scales:
        own: dict[str, Any] = {"style": "scale", "axes": ("position",), "kind": Kind.WEIGHT, "numbered": False}
        page.add(Block(scales, n_columns=n, twin=lambda s: s.params[scales], label="scale", **own))
    freeze(page, page.row)
    more: dict[str, Any] = {"axes": ("feature", "position"), "turned": True, "scales": scales}
    page.add(matrix(layout, WPE, (config.n_embd, n), lambda s: s.params[WPE].T, WPE, **more))
    return page
