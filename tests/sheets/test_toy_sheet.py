"""Adding a sheet takes one module and one line in the registry: `toy_sheet.py`, as a newcomer writes it."""

import zipfile
from pathlib import Path

import openpyxl
import pytest
import toy_sheet
from patching import patch, set_formula, set_number
from ready import MICRO_IDS

import sheetgpt
from sheetgpt import sheets
from sheetgpt.excel_rules import check
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.sheets import Pages
from sheetgpt.sheets.optional import OptionalSheet
from sheetgpt.workbook.reopen import open_workbook


@pytest.fixture
def toy(micro: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    line = OptionalSheet("toy", Pages(lambda layout: [toy_sheet.page(layout)]), toy_sheet.n_formulas, toy_sheet.starts)
    monkeypatch.setattr(sheets, "REGISTRY", [*sheets.REGISTRY, line])
    rest = [sheet.name for sheet in sheets.optional_sheets() if sheet.name != "toy"]
    return sheetgpt.build(micro, tmp_path / "toy.xlsx", ids=MICRO_IDS, context=6, without=rest)


def test_a_sheet_of_one_module_is_built_linked_named_and_verified(toy: Path) -> None:
    assert len(Path(toy_sheet.__file__).read_text("utf-8").splitlines()) < 90
    assert list(check(toy)) == []
    report = sheetgpt.verify(toy)
    assert report.passed, report.frame().to_string()
    assert {"toy_length", "toy_long", "toy_used"} <= {tensor.name for tensor in report.tensors}
    book = openpyxl.load_workbook(toy)
    assert "toy_long" in book.defined_names
    links = [cell.hyperlink.location for row in book["Home"].iter_rows() for cell in row if cell.hyperlink]
    assert {"'Toy'!A1", "'Toy'!A7"} <= {*links}
    with zipfile.ZipFile(toy) as package:
        assert "xl/charts/chart3.xml" in package.namelist()  # Home has the two before


def test_what_is_typed_into_its_yellow_cell_counts(toy: Path, tmp_path: Path) -> None:
    cell = toy_sheet.page(open_workbook(toy).layout)["least"].cells
    other = patch(toy, tmp_path / "other.xlsx", {"Toy": set_number(cell, 5)})
    assert sheetgpt.verify(other).passed


def test_a_broken_formula_on_it_is_found(toy: Path, tmp_path: Path) -> None:
    area = toy_sheet.page(open_workbook(toy).layout)["long"]
    cell = area.stripe(1).cells
    broken = patch(
        toy, tmp_path / "broken.xlsx", {"Toy": set_formula(cell, lambda formula: formula.replace(">=", "<"))}
    )
    report = sheetgpt.verify(broken)
    assert not report.passed
    assert [t.name for t in report.tensors if not t.passed] == ["toy_long"]
