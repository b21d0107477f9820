"""Nonsense in the yellow cells, as a damaged file or another program may leave it there: a sentence, no traceback."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from patching import cell_xml, in_order, patch

from sheetgpt.engines import cached
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.inputs import DEFAULTS, Inputs
from sheetgpt.sheets.lab import lab
from sheetgpt.sheets.lab.screws import SETTINGS, Lab
from sheetgpt.sheets.tensor import Value
from sheetgpt.workbook.build import build
from sheetgpt.workbook.reopen import open_workbook
from sheetgpt.workbook.yellow.inputs import token_ids

Change = Callable[[str], str]
NONSENSE = {
    "infinity": "<v>inf</v>",
    "an overflow": "<v>1e999</v>",
    "below all": "<v>-1e999</v>",
    "no number": "<v>nan</v>",
    "a huge number": "<v>1e300</v>",
    "a fraction": "<v>0.5</v>",
    "below zero": "<v>-7</v>",
    "an error": 't="e"><v>#DIV/0!</v>',
    "a boolean": 't="b"><v>1</v>',
    "a date": 't="d"><v>2026-11-29T00:00:00</v>',
    "a text": 't="inlineStr"><is><t>nonsense</t></is>',
}


@pytest.fixture(scope="module")
def book(micro: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(micro, tmp_path_factory.mktemp("typed") / "w.xlsx", ids=[5], context=3, without="all", lanes=2)


def typed(area: Area, kind: str) -> Change:
    """The first cell of an area holds this."""
    at, inner = f"{Area(area.sheet, area.row, area.column).cells}", NONSENSE[kind]
    cell = f'<c r="{at}" {inner}</c>' if inner.startswith("t=") else f'<c r="{at}">{inner}</c>'
    return lambda sheet: sheet.replace(cell_xml(sheet, at), cell, 1)


def changes(areas: Sequence[Area], kind: str) -> dict[str, Change]:
    by_sheet: dict[str, list[Change]] = {}
    for area in areas:
        by_sheet.setdefault(area.sheet, []).append(typed(area, kind))
    return {sheet: in_order(*found) for sheet, found in by_sheet.items()}


@pytest.mark.parametrize("kind", ["infinity", "an overflow", "below all"])
def test_infinity_is_an_error_and_no_number(kind: str, book: Path, tmp_path: Path) -> None:
    area = open_workbook(book).layout["temperature"]
    path = patch(book, tmp_path / "w.xlsx", changes([area], kind))
    found = cached.recalculate(path, {}, ["temperature"])["temperature"]
    assert found is not None
    assert found.texts == {(0, 0): "#NUM!"}
    assert np.isnan(found.numbers).all()


def refusal(call: Callable[[], object]) -> str:
    """The sentence, or one that says that nothing is refused; anything else is raised."""
    try:
        call()
    except SheetGPTError as error:
        return str(error)
    return "It is an answer."


@pytest.mark.parametrize("kind", NONSENSE)
def test_a_setting_with_nonsense_is_a_sentence_or_an_answer(kind: str, book: Path, tmp_path: Path) -> None:
    home = open_workbook(book).layout
    for name in (*DEFAULTS, "prompt_ids"):
        path = patch(book, tmp_path / "w.xlsx", changes([home[name]], kind))
        assert refusal(lambda path=path: open_workbook(path).inputs).endswith("."), name  # type: ignore[misc]


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), 1e300, -7.0, 0.5, "#DIV/0!"])
@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_of_lane_b_with_nonsense_is_a_sentence_or_an_answer(name: str, value: Value, book: Path) -> None:
    layout, lab = open_workbook(book).layout, Lab(settings={name: value})
    sentence = refusal(lambda: token_ids(lab.inputs(Inputs(ids=(5,)), layout), None, layout))
    assert sentence.endswith(".")


@pytest.mark.parametrize("kind", NONSENSE)
def test_no_command_falls_over_nonsense(kind: str, book: Path, tmp_path: Path, sheetgpt_command: Any) -> None:
    """In the cells that refuse nothing: Lab's switches, lines, tokens and mode."""
    here = lab.page(open_workbook(book).layout)
    cells = ("restore", "mode", "switches", "steering", "patches", "tokens")
    path = patch(book, tmp_path / "w.xlsx", changes([here[name] for name in cells], kind))
    for words in (("verify", path, "--engine", "cached"), ("info", path)):
        code, out, err = sheetgpt_command(*words)
        assert code in (0, 1), (words, err)
        assert "Traceback" not in out + err
