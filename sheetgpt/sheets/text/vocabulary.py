"""The Vocabulary sheet: a token a row, as it is shown above the columns and as the bytes that it stands for."""

from typing import Any

import numpy as np

from sheetgpt.gpt2.checkpoints.quantize import scale_name
from sheetgpt.sheets.block import Block
from sheetgpt.sheets.grid import VOCABULARY, WTE
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.weights import VOCABULARY_AXIS
from sheetgpt.sheets.page import Beside, Page, Texts
from sheetgpt.sheets.style.looks import GREEN, dress
from sheetgpt.sheets.tensor import Kind

NOTE = "One token per row. · is a space, ↵ a line break, ⟨E2⟩ a byte that is only part of a character."
ID, SHOWN, HEX, SCALE_OF_WTE = 1, 2, 3, 4  # columns


def page(layout: Layout) -> Page:
    n = layout.config.n_vocab
    page = Page(VOCABULARY, "every token, by id", 1)
    page.head(NOTE)
    own_scales = layout.scaled and not layout.config.tied  # those of a tied model stand in the Output sheet
    heads = {ID: "id", SHOWN: "token", HEX: "bytes, hexadecimal"} | (
        {SCALE_OF_WTE: "scale in wte"} if own_scales else {}
    )
    own: dict[str, Any] = {"n_rows": n, "n_columns": 1, "label": None, "axes": (VOCABULARY_AXIS,)}
    columns = [
        Block(column=ID, twin=lambda state: np.arange(n), style="id", **own),
        Block("vocab_shown", column=SHOWN, twin=lambda s: [*s.shown], style="label", kind=Kind.CONSTANT, **own),
        Block("vocab_hex", column=HEX, twin=lambda s: [*s.hexes], style="label", kind=Kind.CONSTANT, **own),
    ]
    if own_scales:
        scales = scale_name(WTE)
        own |= {"column": SCALE_OF_WTE, "kind": Kind.WEIGHT}
        columns.append(Block(scales, twin=lambda state: state.params[scales], style="scale", **own))
    page.add(Texts(heads))
    first = page.row
    page.add(Beside(*columns))
    page.dresses.append(dress({ID: 10, SHOWN: 24, HEX: 24}, GREEN, f"A{first}"))
    return page
