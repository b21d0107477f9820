"""What other programs' readers ask of the package, beyond what XML and Excel do."""

import zipfile
from pathlib import Path

import openpyxl
import pytest
from lxml import etree

from sheetgpt.excel_rules import check
from sheetgpt.ooxml.writing.prefixes import PREFIXES, prefixed


def test_drawings_and_charts_have_excels_prefixes(micro_workbook: Path) -> None:
    """ExcelJS goes by the prefixed names, and fails at `<wsDr xmlns=…>`."""
    with zipfile.ZipFile(micro_workbook) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    drawn = {name: xml for name, xml in parts.items() if name.endswith(".xml") and "xl/drawings/" in name}
    charts = {name: xml for name, xml in parts.items() if name.endswith(".xml") and "xl/charts/" in name}
    assert drawn
    assert charts
    for own, found in (("xdr", drawn), ("c", charts)):
        for name, xml in found.items():
            root = etree.fromstring(xml)
            assert root.prefix == own, name
            wrong = [e.tag for e in root.iter() if PREFIXES.get(e.prefix or "") != etree.QName(e).namespace]
            assert wrong == [], name
            assert all(e.nsmap == root.nsmap for e in root.iter()), f"{name}: declared at the root alone"


@pytest.mark.parametrize("space", ["", ' xmlns:x="http://schemas.openxmlformats.org/drawingml/2006/main"'])
def test_nothing_but_the_prefixes_changes(space: str) -> None:
    a, c, r = (PREFIXES[prefix] for prefix in ("a", "c", "r"))
    before = (
        f'<chartSpace xmlns="{c}"{space}><a:t xmlns:a="{a}"> é &amp; </a:t>\n<b val="0" '
        f'q:id="rId1" xmlns:q="{r}"/><z:new xmlns:z="urn:z" z:k="1"/></chartSpace>'
    )
    after = prefixed(before.encode())

    def plain(xml: bytes) -> list[tuple[object, ...]]:
        return [(e.tag, dict(e.attrib), e.text, e.tail) for e in etree.fromstring(xml).iter()]

    assert plain(after) == plain(before.encode())
    assert f'<c:chartSpace xmlns:c="{c}"'.encode() in after
    assert b"<a:t> " in after
    assert b'r:id="rId1"' in after


def test_a_copy_saved_by_openpyxl_asks_for_recalculation(micro_workbook: Path, tmp_path: Path) -> None:
    """It has no cached values; our own file has them, and doesn't ask: Excel would take minutes for a large one."""

    def asks(path: Path) -> str | None:
        with zipfile.ZipFile(path) as package:
            [entry] = etree.fromstring(package.read("xl/workbook.xml")).iter("{*}calcPr")
            found: str | None = entry.get("fullCalcOnLoad")
            return found

    assert asks(micro_workbook) is None
    openpyxl.load_workbook(micro_workbook).save(tmp_path / "copy.xlsx")
    assert asks(tmp_path / "copy.xlsx") in ("1", "true")
    assert check(micro_workbook) == []
