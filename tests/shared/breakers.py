"""A small sound workbook as a dictionary of its parts, and ways to break it: for the tests of `sheetgpt check`."""

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
from openpyxl import Workbook
from openpyxl.chart import BarChart, Reference
from openpyxl.formatting.rule import CellIsRule, ColorScaleRule, FormulaRule
from openpyxl.styles import Font, PatternFill
from openpyxl.workbook.defined_name import DefinedName
from openpyxl.workbook.properties import CalcProperties
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.hyperlink import Hyperlink
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.excel_rules import check
from sheetgpt.ooxml.writing.fonts import in_excels_order

Parts = dict[str, bytes]

WORKBOOK, STYLES, STRINGS = "xl/workbook.xml", "xl/styles.xml", "xl/sharedStrings.xml"
TYPES, LINKS = "[Content_Types].xml", "xl/_rels/workbook.xml.rels"
HOME, BLOCK, WEIGHTS = (f"xl/worksheets/sheet{i}.xml" for i in (1, 2, 3))
THEME = "xl/theme/theme1.xml"
CHART, DRAWING = "xl/charts/chart1.xml", "xl/drawings/drawing1.xml"

NAMES = {
    "temperature": "'Home'!$C$4",
    "token_ids": "'Home'!$F$10:$H$10",
    "positions_Home": "'Home'!$F$10:$H$10",
    "positions_h0": "'h0'!$F$5:$Z$14",
    "h0_ln_1": "'h0'!$F$7:$H$8",
    "wte": "'h0 weights'!$C$4:$E$5,'h0 weights'!$C$8:$E$9",
}


def _text(cell: str, text: str) -> str:
    return f'<c r="{cell}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def _filled(row: int, formula: str, index: int) -> str:
    """A shared formula from F to H; the last column is beyond the prompt and shows the empty text."""
    return (
        f'<c r="F{row}" s="1"><f t="shared" ref="F{row}:H{row}" si="{index}">{formula}</f><v>1.5</v></c>'
        f'<c r="G{row}"><f t="shared" si="{index}"/><v>-2.5E-3</v></c>'
        f'<c r="H{row}" t="str"><f t="shared" si="{index}"/><v></v></c>'
    )


def _rows(rows: Mapping[int, str]) -> str:
    return "".join(f'<row r="{number}">{cells}</row>' for number, cells in rows.items())


HOME_ROWS = {
    1: _text("A1", " Once upon "),
    2: _text("A2", "=1+2") + _text("B2", "-x") + '<c r="C2" t="s"><v>1</v></c>',
    4: '<c r="A4" t="b"><v>1</v></c><c r="B4" t="e"><v>#N/A</v></c><c r="C4"><v>0.5</v></c>',
    5: '<c r="A5"><f>IF(temperature&gt;0,UPPER("x"),NA())</f><v>1</v></c>',
    6: '<c r="A6"><f>_xlfn.UNICODE("a")</f><v>97</v></c>' + _text("B6", "_x005F_x0041_ and _x0007_"),
    7: '<c r="A7" t="str"><f>IF(C4=0,"a","_x0001_")</f><v>b</v></c>',
    10: '<c r="F10"><v>0</v></c><c r="G10"><v>1</v></c><c r="H10"><v>2</v></c>',
    11: '<c r="F11"><v>3</v></c><c r="G11"><v>4</v></c><c r="H11"><f>G11+F11</f><v>7</v></c>',
}
BLOCK_ROWS = {
    5: '<c r="F5"><v>1</v></c><c r="G5"><v>1</v></c><c r="H5"><v>0</v></c>',
    7: _text("A7", "ln_1") + '<c r="D7"><v>0.25</v></c>' + _filled(7, 'IF(F$5,F$11*$D$7,"")', 0),
    8: _filled(8, 'IF(F$5,SUMPRODUCT($D$7:$D$8,F$11:F$12),"")', 1),
    # what stands in A and B shows a later token
    9: '<c r="A9" t="str"><f>"key: "&amp;$H$5</f><v>key: 0</v></c><c r="B9"><f>LEN(A9)</f><v>6</v></c>'
    '<c r="F9"><f>SUM($F$7:F$7)</f><v>1</v></c><c r="G9"><f>SUM($F$7:G$7)</f><v>2</v></c>',
    11: '<c r="F11"><v>1</v></c><c r="G11"><v>1</v></c><c r="H11"><v>1</v></c>',
}
# long enough to be checked as a run
BLOCK_ROWS[13] = '<c r="F13"><f t="shared" ref="F13:Y13" si="2">F$11</f><v>1</v></c>' + "".join(
    f'<c r="{column}13"><f t="shared" si="2"/><v>1</v></c>' for column in "GHIJKLMNOPQRSTUVWXY"
)
# a formula that points to another sheet is written out; long enough to be checked as a run
BLOCK_ROWS[14] = "".join(
    f"<c r=\"{c}14\"><f>IF({c}$11&lt;2,SUMPRODUCT('h0 weights'!$C$4:$C$5,{c}$11:{c}$12)+Home!{c}$11,0)</f><v>1</v></c>"
    for c in "FGHIJKLMNOPQRSTUVWXY"
)
COLUMNS = "CDEFGHIJKLMNOPQRSTUV"
WEIGHT_ROWS = {
    row: "".join(f'<c r="{column}{row}" s="1"><v>-0.{i}25</v></c>' for i, column in enumerate(COLUMNS))
    for row in (4, 5, 8, 9)
}
SHEETS = {
    HOME: ("A1:H11", _rows(HOME_ROWS)),
    BLOCK: ("A5:Y14", _rows(BLOCK_ROWS)),
    WEIGHTS: ("C4:V9", _rows(WEIGHT_ROWS)),
}

STRINGS_XML = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" count="2" uniqueCount="2">'
    b'<si><t>plain</t></si><si><r><rPr><b/></rPr><t xml:space="preserve">rich </t></r><r><t>text</t></r></si></sst>'
)


def sound_parts() -> Parts:
    """Every part of a workbook in which nothing is broken."""
    book = Workbook()
    home = book.worksheets[0]
    home.title = "Home"
    book.create_sheet("h0")
    book.create_sheet("h0 weights")
    _furnish(home)
    for name, reference in NAMES.items():
        book.defined_names[name] = DefinedName(name, attr_text=reference)
    book.calculation = CalcProperties(calcId=191029, calcMode="auto", fullCalcOnLoad=None)
    cell = home["A1"]
    cell.number_format, cell.font = "0.000", Font(bold=True)
    buffer = io.BytesIO()
    book.save(buffer)
    with zipfile.ZipFile(buffer) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[STYLES] = in_excels_order(parts[STYLES])
    for name, (dimension, rows) in SHEETS.items():
        xml = re.sub(rb'<dimension ref="[^"]*"', f'<dimension ref="{dimension}"'.encode(), parts[name])
        parts[name] = re.sub(
            rb"<sheetData ?/>|<sheetData>.*</sheetData>",
            partial(_literally, f"<sheetData>{rows}</sheetData>".encode()),
            xml,
        )
    return parts | _with_strings(parts)


def without_theme(parts: Parts) -> Parts:
    """As LibreOffice 7.4 saves a workbook: a package has at most one theme (ECMA-376 part 1, 14.2.7)."""
    return _without(parts, THEME)


def without_styles(parts: Parts) -> Parts:
    """And no cell or format that refers to one."""
    fewer = _without(parts, STYLES)
    for sheet in (HOME, BLOCK, WEIGHTS):
        fewer[sheet] = re.sub(rb' (s|dxfId)="\d+"', b"", fewer[sheet])
    return fewer


def _without(parts: Parts, part: str) -> Parts:
    """One of the workbook's parts left out, from the tables, too."""
    fewer = {name: data for name, data in parts.items() if name != part}
    override, link = rb'<Override PartName="/%b"[^>]*/>' % part.encode(), rb"<Relationship [^>]*%b[^>]*/>"
    for table, entry in ((TYPES, override), (LINKS, link % part.rpartition("/")[2].encode())):
        fewer[table], n = re.subn(entry, b"", fewer[table])
        assert n == 1
    return fewer


def excels_chart_parts(parts: Parts) -> Parts:
    """With what Excel adds to a chart when it saves it: its style and its colors."""
    space = "http://schemas.microsoft.com/office/drawing/2012/chartStyle"
    drawing = "http://schemas.openxmlformats.org/drawingml/2006/main"
    colors = (
        f'<cs:colorStyle xmlns:cs="{space}" xmlns:a="{drawing}" meth="cycle" id="10">'
        '<a:schemeClr val="accent1"/><cs:variation/></cs:colorStyle>'
    )
    links = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" '
        'Type="http://schemas.microsoft.com/office/2011/relationships/chartColorStyle" Target="colors1.xml"/>'
        "</Relationships>"
    )
    kind = '<Override PartName="/xl/charts/colors1.xml" ContentType="application/vnd.ms-office.chartcolorstyle+xml"/>'
    return replaced(parts, TYPES, "</Types>", kind + "</Types>") | {
        "xl/charts/colors1.xml": colors.encode(),
        "xl/charts/_rels/chart1.xml.rels": links.encode(),
    }


def _literally(xml: bytes, _: object) -> bytes:
    return xml


def _furnish(home: Worksheet) -> None:
    chart = BarChart()
    chart.add_data(Reference(home, min_col=6, max_col=8, min_row=11, max_row=11))
    chart.y_axis.numFmt = "0%"
    home.add_chart(chart, "J2")
    red = PatternFill(bgColor="FF0000")
    home.conditional_formatting.add(
        "A1:B5",
        ColorScaleRule(start_type="min", start_color="FFFFFF", end_type="max", end_color="FF0000"),
    )
    home.conditional_formatting.add("C1:C3", FormulaRule(formula=["$C$4>1"], fill=red))
    home.conditional_formatting.add("D1:D3", CellIsRule(operator="equal", formula=["2"], fill=red))
    validation = DataValidation("decimal", operator="between", formula1="0", formula2="10", prompt="a number")
    validation.add("C4")
    home.add_data_validation(validation)
    choice = DataValidation("list", formula1='"yes,no"')
    choice.add("D4")
    home.add_data_validation(choice)
    assert home.oddHeader is not None
    home.oddHeader.center.text = "page"
    home["A2"].hyperlink = Hyperlink(ref="A2", location="'h0'!F7")
    home["B2"].hyperlink = Hyperlink(ref="B2", location="h0_ln_1")
    home.merge_cells("J30:K30")
    home.merge_cells("J31:K32")
    home.freeze_panes = "B2"
    home.column_dimensions["B"].width = 12


def _with_strings(parts: Parts) -> Parts:
    """openpyxl leaves the shared strings out where it needs none."""
    changed = {STRINGS: STRINGS_XML}
    kind = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    if b"sharedStrings" not in parts[TYPES]:
        entry = b'<Override PartName="/xl/sharedStrings.xml" ContentType="%b"/></Types>' % kind
        changed[TYPES] = parts[TYPES].replace(b"</Types>", entry)
    if b"sharedStrings" not in parts[LINKS]:
        url = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"
        entry = b'<Relationship Id="rIdS" Type="%b" Target="sharedStrings.xml"/></Relationships>' % url
        changed[LINKS] = parts[LINKS].replace(b"</Relationships>", entry)
    return changed


def replaced(parts: Parts, part: str, old: str, new: str) -> Parts:
    """One part changed in the one place where `old` stands first."""
    before = parts[part]
    assert old.encode() in before, f"{part} has no {old!r}: {before.decode()[:3000]}"
    return parts | {part: before.replace(old.encode(), new.encode(), 1)}


def write(parts: Parts, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


TITLES = {HOME: "Home", BLOCK: "h0", WEIGHTS: "h0 weights"}


@dataclass(frozen=True)
class Break:
    """`old` in the part becomes `new`; then a problem at `where` has `word` in its rule."""

    part: str
    old: str
    new: str
    where: str
    word: str

    @property
    def label(self) -> str:
        return f"{TITLES.get(self.part, self.part)}: {self.word}"


def labels(cases: Sequence[Break]) -> list[str]:
    return [f"{i} {case.label}" for i, case in enumerate(cases)]


def named_where_it_is_broken(
    case: Break, sound: Parts, folder: Path, monkeypatch: pytest.MonkeyPatch, with_schema: bool = False
) -> None:
    if not with_schema:  # the schema must not be what names it, and takes most of the time
        monkeypatch.setattr(import_module("sheetgpt.excel_rules"), "schema_problems", lambda archive, skeletons: ())
    problems = check(write(replaced(sound, case.part, case.old, case.new), folder / "broken.xlsx"))
    part = TITLES.get(case.part, case.part)
    at = [p.rule for p in problems if p.part in (part, case.part) and p.where.startswith(case.where)]
    assert any(case.word in rule for rule in at), problems
