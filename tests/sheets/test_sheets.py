"""A sheet is one object: one that is registered from outside is built, linked, named, listed, verified and checked."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from patching import patch, set_formula
from ready import Command

import sheetgpt
from sheetgpt import sheets as registry
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import Row, Text
from sheetgpt.sheets import sheets
from sheetgpt.sheets.grid import FIRST_TOKEN
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.palette import Palette
from sheetgpt.verification.verify import Case, prepare, verify
from sheetgpt.workbook.build import build

TOY, TOTALS, FIRST_ROW = "Toy", Area("Toy", 5, FIRST_TOKEN, 1, 6), 4


def toy(state: State, palette: Palette) -> list[Sheet]:
    """The ids of all columns so far, added up."""
    ids, context = state.layout["token_ids"], state.layout.context
    now = np.array([*state.prompt.ids, *[0] * (context - state.prompt.n)], float)

    def lines() -> Iterator[Row]:
        yield rows.row(1, rows.text(1, "A toy", palette["title"]))
        first = rows.letters(FIRST_TOKEN)
        source = f"N({ids.reference.partition('!')[0]}!{first}${ids.row})"
        yield rows.row(FIRST_ROW, rows.text(1, "id"), rows.fill_right(FIRST_TOKEN, source, now))
        total = f"SUM(${first}${FIRST_ROW}:{first}${FIRST_ROW})"
        yield rows.row(5, rows.text(1, "so far"), rows.fill_right(FIRST_TOKEN, total, np.cumsum(now)))
        yield rows.row(6, rows.text(1, "in words"), rows.formula(2, '"a "&"toy"', "a toy"))

    area = Area(TOY, FIRST_ROW, FIRST_TOKEN, 2, context)
    names = {"toy_totals": [Area(TOY, 5, FIRST_TOKEN, 1, context)]}
    return [Sheet(TOY, "adds the ids up", lines, 6, area.last_column, names, positions=area)]


@pytest.fixture
def toy_workbook(micro: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(registry, "REGISTRY", [*registry.REGISTRY, toy])
    return build(micro, tmp_path / "toy.xlsx", ids=[5, 9, 33], context=6)


def test_a_sheet_from_outside_is_built_linked_named_and_listed(toy_workbook: Path, sheetgpt_command: Command) -> None:
    book = openpyxl.load_workbook(toy_workbook)
    assert book.sheetnames[-1] == TOY
    assert book.defined_names["toy_totals"].attr_text == TOTALS.reference
    assert book.defined_names["positions_Toy"].attr_text == "'Toy'!$F$4:$K$5"
    home = book["Home"]
    linked = {cell.value: cell.hyperlink.location for row in home.iter_rows() for cell in row if cell.hyperlink}
    assert linked[TOY] == "'Toy'!A1"
    assert "adds the ids up" in {cell.value for cell in home["B"]}
    status, said, _ = sheetgpt_command("info", toy_workbook)
    assert status == 0
    assert "toy_totals" in said
    assert "adds the ids up" in said


def test_a_sheet_from_outside_is_verified(toy_workbook: Path, tmp_path: Path) -> None:
    report = verify(toy_workbook)
    assert report.passed, report.problems
    assert {"toy_totals", "Toy: all other cells"} <= {t.name for t in report.tensors}
    assert {s.title: s.formulas for s in report.sheets}[TOY] == 13
    changes = {"H5": lambda f: f.replace("SUM", "MAX"), "B6": lambda f: '"a ball"'}
    for cell, change in changes.items():
        broken = patch(toy_workbook, tmp_path / "broken.xlsx", {TOY: set_formula(cell, change)})
        assert verify(broken, engine="cached").passed
        assert verify(broken).wrong_cells == (f"{TOY}!{cell}",)


def test_a_sheet_from_outside_is_checked(toy_workbook: Path, tmp_path: Path) -> None:
    """Its positions are declared in the workbook: a formula that looks to the right is named."""
    assert sheetgpt.check(toy_workbook) == []
    right = set_formula("G5", lambda f: "SUM($F$4:H$4)")
    problems = sheetgpt.check(patch(toy_workbook, tmp_path / "right.xlsx", {TOY: right}))
    assert any("Toy" in str(problem) and "G5" in str(problem) for problem in problems), problems


def every_sheet(path: Path) -> list[Sheet]:
    case = prepare(path, {})
    assert isinstance(case, Case)
    return sheets(case.state)


def test_every_sheet_stays_inside_its_cells(reader_workbook: Path, odd_workbook: Path) -> None:
    """Rows in order and inside `last_row`, pieces in order without overlap and inside `last_column`; names inside."""
    for sheet in [*every_sheet(reader_workbook), *every_sheet(odd_workbook)]:
        numbers, last = [], 0
        for row in sheet.rows():
            numbers.append(row.number)
            spans = [(p.column, p.column + (1 if isinstance(p, Text) else len(p.values))) for p in row.pieces]
            assert all(a[1] <= b[0] for a, b in pairwise(spans)), (sheet.title, row.number, spans)
            last = max([last, *(end - 1 for _, end in spans)])
        assert all(a < b for a, b in pairwise(numbers)), sheet.title
        assert numbers[-1] <= sheet.last_row, sheet.title
        assert last <= sheet.last_column, (sheet.title, last, sheet.last_column)
        areas = [area for several in sheet.names.values() for area in several]
        for area in [*areas, *([sheet.positions] if sheet.positions else [])]:
            assert area.sheet == sheet.title, (sheet.title, area)
            assert 1 <= area.row <= area.last_row <= sheet.last_row, (sheet.title, area)
            assert 1 <= area.column <= area.last_column <= sheet.last_column, (sheet.title, area)
