"""The choice of tokens in the package `formulas`, which shares nothing with LibreOffice, against the NumPy twin."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from test_generation import settings, wanted

from sheetgpt.engines import formulas
from sheetgpt.gpt2.checkpoint import Checkpoint
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.sheets.inputs import Inputs
from sheetgpt.sheets.layout import Layout
from sheetgpt.workbook.build import build
from sheetgpt.workbook.inputs import with_settings


def test_200_combinations_choose_the_twins_tokens(make_checkpoint: Callable[..., Checkpoint], tmp_path: Path) -> None:
    """The workbook is compiled once, to a function of the yellow cells that computes what the token ids need of it."""
    config = GPT2Config(n_vocab=5, n_positions=4, n_embd=2, n_layer=1, n_head=1, n_inner=2)
    nano, layout = make_checkpoint(config, "nano", seed=8), Layout(config, 3)
    path = build(nano, tmp_path / "nano.xlsx", ids=[3], context=3, new_tokens=2)
    model = formulas._model_class()()
    with contextlib.redirect_stderr(io.StringIO()):
        book, context = model.add_book(str(path))
        model.pushes(*book.worksheets, context=context)
        model.finish()

    def cell(name: str, t: int = 0) -> str:
        area = layout.home[name]
        return f"'[nano.xlsx]{area.sheet.upper()}'!{area.stripe(t).cells}"

    names = ("new_tokens", "temperature", "top_k", "top_p", "seed")
    ids_cells = [cell("token_ids", t) for t in range(layout.context)]
    choose = model.compile(inputs=[cell(name) for name in names], outputs=ids_cells)
    seen = set()
    for chosen in settings(200, 4, 2):
        inputs = with_settings(Inputs(ids=(3,)), **chosen)
        values = [found.value[0, 0] for found in choose(*(chosen[name] for name in names))]
        ids = [int(value) for value in values if isinstance(value, float | int | np.number)]
        assert ids == wanted(nano, layout, inputs), chosen
        seen.add(tuple(ids))
    assert len(seen) > 10
