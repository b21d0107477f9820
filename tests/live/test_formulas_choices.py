"""The choice of tokens in IronCalc and the package `formulas`, which share nothing with LibreOffice, against NumPy."""

import contextlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from choices import settings, wanted
from prompts import ids_of

from sheetgpt.engines import formulas, ironcalc
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.sheets import lay_out
from sheetgpt.sheets.inputs import Inputs
from sheetgpt.workbook.build import build
from sheetgpt.workbook.yellow.inputs import with_settings

CONTEXT = 3
COMBINATIONS = settings(200, 4, 2)


@pytest.fixture(scope="module")
def nano(make_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    config = GPT2Config(n_vocab=5, n_positions=4, n_embd=2, n_layer=1, n_head=1, n_inner=2)
    return make_checkpoint(config, "nano", seed=8)


@pytest.fixture(scope="module")
def workbook(nano: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(
        nano, tmp_path_factory.mktemp("nano") / "nano.xlsx", ids=[3], context=CONTEXT, new_tokens=2, without="all"
    )


def twins(nano: Checkpoint, chosen: dict[str, Any]) -> list[int]:
    return wanted(nano, lay_out(nano.config, CONTEXT), with_settings(Inputs(ids=(3,)), **chosen))


def test_200_combinations_choose_the_twins_tokens(nano: Checkpoint, workbook: Path) -> None:
    """In IronCalc, which takes 15 ms for each."""
    seen = set()
    for chosen in COMBINATIONS:
        ids = ids_of(ironcalc.recalculate(workbook, chosen, ["token_ids"])["token_ids"])
        assert ids == twins(nano, chosen), chosen
        seen.add(tuple(ids))
    assert len(seen) > 10


def compiled(workbook: Path, config: GPT2Config, inputs: Sequence[str]) -> Callable[..., list[Any]]:
    """The workbook as a function of its yellow cells, which computes what the token ids need of it."""
    layout = lay_out(config, CONTEXT)
    model = formulas._model_class()()
    with contextlib.redirect_stderr(io.StringIO()):
        book, context = model.add_book(str(workbook))
        model.pushes(*book.worksheets, context=context)
        model.finish()

    def cell(name: str, t: int = 0) -> str:
        area = layout[name]
        return f"'[{workbook.name}]{area.sheet.upper()}'!{area.stripe(t).cells}"

    ids_cells = [cell("token_ids", t) for t in range(layout.context)]
    choose: Callable[..., list[Any]] = model.compile(inputs=[cell(name) for name in inputs], outputs=ids_cells)
    return choose


def test_a_tenth_of_them_in_the_package_formulas(nano: Checkpoint, workbook: Path) -> None:
    """It takes 160 ms for each."""
    names = ("new_tokens", "temperature", "top_k", "top_p", "seed")
    choose, seen = compiled(workbook, nano.config, names), set()
    for chosen in COMBINATIONS[::10]:
        values = [found.value[0, 0] for found in choose(*(chosen[name] for name in names))]
        ids = [int(value) for value in values if isinstance(value, float | int | np.number)]
        assert ids == twins(nano, chosen), chosen
        seen.add(tuple(ids))
    assert len(seen) > 5
