"""How sheets are printed: on one page, or with their heads on each."""

import re
from pathlib import Path

import openpyxl
import pytest
from some_sheets import one_sheet

import sheetgpt
from sheetgpt.engines import libreoffice

ONE = ("Home", "Guide", "Map", "Exercises", "Attention", "Lens", "Contributions", "Neuron")


@pytest.mark.parametrize("title", ONE)
def test_what_a_class_prints_is_set_to_one_page(micro_workbook: Path, title: str) -> None:
    sheet = one_sheet(micro_workbook, title)
    fit = sheet.sheet_properties.pageSetUpPr
    assert fit is not None
    assert fit.fitToPage
    assert sheet.page_setup.fitToHeight == 1
    if title in ("Map", "Exercises", "Lens", "Contributions", "Neuron"):
        area = sheet.print_area.rpartition("!")[2]
        last = int(re.sub(r".*\D", "", area))
        assert "workings" not in " ".join(str(sheet.cell(row, 1).value).lower() for row in range(1, last + 1)), title
    if title == "Exercises":
        assert sheet.print_area.startswith("'Exercises'!$A$1:$H$")  # what checks the answers stands further right


def test_they_are_one_page_each(micro_workbook: Path, tmp_path: Path) -> None:
    libreoffice.export_pdf(micro_workbook, tmp_path / "w.pdf", ONE)
    assert len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "w.pdf").read_bytes())) == len(ONE)


def test_sheets_of_tokens_repeat_their_heads(micro_workbook: Path) -> None:
    book = openpyxl.load_workbook(micro_workbook)
    for title in ("Embed", "Block 1", "Output", "Sample"):
        assert book[title].print_title_rows == "$1:$5", title
        assert book[title].page_setup.fitToHeight == 0
    assert sheetgpt.check(micro_workbook) == []
