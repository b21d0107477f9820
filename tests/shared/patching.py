"""Changes single cells in a built workbook's XML, so that everything else, cached values included, stays as it was."""

import re
import zipfile
from collections.abc import Callable, Mapping
from html import escape, unescape
from pathlib import Path

from openpyxl.formula.translate import Translator

Change = Callable[[str], str]


def patch(source: Path, target: Path, changes: Mapping[str, Change]) -> Path:
    """Copies the workbook, with a change a sheet title (or a part's name); each must change something."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        parts = {sheet_part(old, name) if not name.endswith(".xml") else name: name for name in changes}
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename in parts:
                before = data.decode()
                after = changes[parts[entry.filename]](before)
                assert after != before, f"nothing changed in {parts[entry.filename]}"
                data = after.encode()
            new.writestr(entry.filename, data)
    return target


def sheet_part(package: zipfile.ZipFile, title: str) -> str:
    """openpyxl numbers the parts in the order of the tabs."""
    titles = re.findall(r'<sheet [^>]*?name="([^"]*)"', package.read("xl/workbook.xml").decode())
    return f"xl/worksheets/sheet{[unescape(t) for t in titles].index(title) + 1}.xml"


def cell_xml(sheet: str, cell: str) -> str:
    found = re.search(rf'<c r="{cell}"[^>]*?(?:/>|>.*?</c>)', sheet)
    assert found, f"there is no cell {cell}"
    return found[0]


def formula_of(sheet: str, cell: str) -> str:
    """A cell's formula without its `=`; one that shares its row's formula has it moved to its own column."""
    body = re.search(r"<f([^>]*?)(?:/>|>(.*?)</f>)", cell_xml(sheet, cell))
    assert body, f"{cell} has no formula"
    if body[2]:
        return unescape(body[2])
    index = re.search(r'si="(\d+)"', body[1])
    assert index
    master = re.search(rf'<c r="([A-Z]+\d+)"[^>]*><f t="shared" ref="[^"]*" si="{index[1]}">(.*?)</f>', sheet)
    assert master
    return str(Translator("=" + unescape(master[2]), origin=master[1]).translate_formula(cell))[1:]


def set_formula(cell: str, change: Change) -> Change:
    """A formula of the cell's own in place of its row's; its cached value stays."""

    def apply(sheet: str) -> str:
        old = cell_xml(sheet, cell)
        formula = change(formula_of(sheet, cell))
        assert formula != formula_of(sheet, cell)
        new = re.sub(r"<f[^>]*?(/>|>.*?</f>)", lambda m: f"<f>{escape(formula, quote=False)}</f>", old, count=1)
        return sheet.replace(old, new, 1)

    return apply


def set_row_formula(cell: str, change: Change) -> Change:
    """Changes the formulas of a row from this cell on: the one that they share, or each. Cached values stay."""
    number = re.sub("[A-Z]", "", cell)

    def changed(found: re.Match[str]) -> str:
        formula = change(unescape(found[2]))
        assert formula != unescape(found[2])
        return f"{found[1]}{escape(formula, quote=False)}</f>"

    def apply(sheet: str) -> str:
        row = re.search(rf'<row r="{number}".*?</row>', sheet, re.DOTALL)
        assert row, f"there is no row {number}"
        start = row[0].index(cell_xml(row[0], cell))
        new = re.sub(r"(<f(?: t=\"shared\" ref=[^>]*)?>)(.*?)</f>", changed, row[0][start:])
        return sheet.replace(row[0], row[0][:start] + new, 1)

    return apply


def set_value(cell: str, change: Change) -> Change:
    """Another text of the cell's number; a formula stays."""

    def apply(sheet: str) -> str:
        old = cell_xml(sheet, cell)
        return sheet.replace(old, re.sub(r"<v>(.*?)</v>", lambda m: f"<v>{change(m[1])}</v>", old), 1)

    return apply


def set_number(cell: str, number: float) -> Change:
    """The cell becomes a plain number."""
    return lambda sheet: sheet.replace(cell_xml(sheet, cell), f'<c r="{cell}"><v>{number!r}</v></c>', 1)


def in_order(*changes: Change) -> Change:
    def apply(sheet: str) -> str:
        for change in changes:
            sheet = change(sheet)
        return sheet

    return apply
