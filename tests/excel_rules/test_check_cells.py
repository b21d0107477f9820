"""`sheetgpt check`: rows, cells, values, texts, and what stands around a sheet's rows."""

from pathlib import Path

import pytest
from breakers import (
    HOME,
    STRINGS,
    WEIGHTS,
    Break,
    Parts,
    labels,
    named_where_it_is_broken,
    replaced,
    sound_parts,
    write,
)

from sheetgpt.excel_rules import check


@pytest.fixture(scope="module")
def sound() -> Parts:
    return sound_parts()


def _format(formula: str, word: str) -> Break:
    """Another formula in the conditional format of Home!C1:C3."""
    return Break(HOME, "<formula>$C$4&gt;1</formula>", f"<formula>{formula}</formula>", "C1:C3", word)


def _stop(value: str, word: str) -> Break:
    """Another end of the color scale in Home!A1:B5."""
    return Break(HOME, '<cfvo type="max"/>', f'<cfvo type="formula" val="{value}"/>', "A1:B5", word)


def _validation(formula: str, word: str) -> Break:
    return Break(HOME, "<formula1>0</formula1>", f"<formula1>{formula}</formula1>", "C4", word)


def _list(formula: str, word: str) -> Break:
    return Break(HOME, '"yes,no"', formula, "D4", word)


NO_FORMATS = [
    ("Home!$C$4&gt;1", "names a sheet"),
    ("'h0'!F7&gt;1", "names a sheet"),
    ("SUM({1,2})&gt;1", "array constant"),
    ("SUM((A1,B1))&gt;1", "separates nothing"),
    ("SUM(A1:B2 B1:B3)&gt;1", "side by side"),
    ("$A$1:$A$3", "range of several cells"),
]


NO_STOPS = [("'h0'!$F$7", "names a sheet"), ("A1", "absolute"), ("$A$1:$A$3", "several cells"), ("{1}", "array")]


NO_VALIDATIONS = [
    ("'h0'!$F$7", "names a sheet"),
    ("SUM({1,2})", "array constant"),
    ("SUM((A1,B1))", "separates nothing"),
    ("$A$1:$A$3", "range of several cells"),
]


NO_LISTS = [
    ("'h0'!$F$7", "names a sheet"),
    ("INDEX('h0'!$F$7:$H$7,1)", "names a sheet"),
    ("{1,2}", "array constant"),
    ("1", "neither a reference, nor a name, nor a text"),
    ('"yes,no"&amp;A1', "neither a reference, nor a name, nor a text"),
    ('"' + "x" * 256 + '"', "more than 255 characters"),
]


LONG = "x" * 256


PLAIN = '<c r="C4" s="1"><v>-0.025</v></c>'


SECOND = '<c r="D4" s="1"><v>-0.125</v></c>'


ROWS_AND_CELLS = [
    Break(HOME, '<row r="2">', '<row r="1">', "row 1", "above 1"),
    Break(HOME, '<row r="2">', "<row>", "row None", "row's number"),
    Break(HOME, '<row r="11">', '<row r="1048577">', "row 1048577", "at most 1,048,576"),
    Break(HOME, '<row r="4">', '<row r="4" colour="red">', "row 4", "can't have the attribute 'colour'"),
    Break(HOME, '<row r="4">', '<row r="4" s="2" customFormat="1">', "row 4", "style 2"),
    Break(HOME, '<row r="4">', '<row r="4" ht="500" customHeight="1">', "row 4", "height 500"),
    Break(HOME, 'r="B2"', 'r="B3"', "B3", "not valid in row 2"),
    Break(HOME, 'r="B2"', 'r="XFE2"', "XFE2", "not valid in row 2"),
    Break(HOME, 'r="B2"', 'r="b2"', "b2", "not valid in row 2"),
    Break(HOME, '<c r="B2" ', "<c ", "row 2", "not valid in row 2"),
    Break(HOME, 'r="B2"', 'r="A2"', "A2", "to the right"),
    Break(WEIGHTS, SECOND, PLAIN, "C4", "to the right"),
    Break(WEIGHTS, 'r="K5"', 'r="K6"', "K6", "not valid in row 5"),
    Break(WEIGHTS, 'r="V9"', 'r="W9"', "dimension", "cover"),
    Break(HOME, '<dimension ref="A1:H11"', '<dimension ref="A1:G11"', "dimension", "cover"),
    Break(HOME, '<dimension ref="A1:H11"', '<dimension ref="A1:H0"', "dimension", "not a range"),
    Break(HOME, 'r="C4"', 'r="C4" s="2"', "C4", "style 2"),
    Break(WEIGHTS, 'r="K5" s="1"', 'r="K5" s="2"', "K5", "style 2"),
    Break(HOME, 'r="C4"', 'r="C4" colour="1"', "C4", "can't have the attribute 'colour'"),
    Break(HOME, 'r="C4"', 'r="C4" t="x"', "C4", "type 'x' is unknown"),
    Break(HOME, "<v>0.5</v>", "<v>0.5</v><v>0.5</v>", "C4", "twice"),
    Break(HOME, "<f>G11+F11</f><v>7</v>", "<v>7</v><f>G11+F11</f>", "H11", "after the value"),
]


VALUES = [
    *(Break(HOME, "<v>0.5</v>", f"<v>{text}</v>", "C4", "is not a number") for text in ("NaN", "INF", "1,5", "")),
    *(Break(HOME, "<v>0.5</v>", f"<v>{text}</v>", "C4", "is not a number") for text in ("=1", " 1", "1_0")),
    Break(HOME, "<v>0.5</v>", "<v>1.8e308</v>", "C4", "larger"),
    Break(HOME, "<v>0.5</v>", "<v>1e-310</v>", "C4", "smaller"),
    Break(WEIGHTS, '<c r="K5" s="1"><v>-0.825</v>', '<c r="K5" s="1"><v>nan</v>', "K5", "is not a number"),
    Break(WEIGHTS, '<c r="K5" s="1"><v>-0.825</v>', '<c r="K5" s="1"><v>1e999</v>', "K5", "larger"),
    Break(HOME, 't="b"><v>1</v>', 't="b"><v>2</v>', "A4", "not 0 or 1"),
    Break(HOME, "<v>#N/A</v>", "<v>#OOPS!</v>", "B4", "Excel's errors"),
    Break(HOME, 't="s"><v>1</v>', 't="s"><v>2</v>', "C2", "shared string '2'"),
    Break(HOME, "<f>G11+F11</f><v>7</v>", "<f>G11+F11</f>", "H11", "no cached value"),
    Break(HOME, "<f>G11+F11</f><v>7</v>", "<f>G11+F11</f><v></v>", "H11", "no cached value"),
]


TEXTS = [
    Break(HOME, '<t xml:space="preserve"> Once', "<t> Once", "A1", "xml:space"),
    Break(STRINGS, '<t xml:space="preserve">rich </t>', "<t>rich </t>", "string 1", "xml:space"),
    Break(HOME, "-x</t>", "x" * 32_768 + "</t>", "B2", "32,767"),
    Break(HOME, "-x</t>", "\U0001f600" * 16_384 + "</t>", "B2", "32,767"),
    Break(STRINGS, "plain", "_x0041_", "string 0", "_x005F_x0041_"),
    Break(HOME, "_x005F_x0041_", "_x0041_", "B6", "_x005F_x0041_"),
    Break(HOME, "_x005F_x0041_", "_xd800_", "B6", "half of a character"),
    Break(HOME, "_x005F_x0041_", "a_x005F_b", "B6", "needed only"),
    Break(HOME, "_x005F_x0041_", "\ufffe", "", "not XML"),
    Break(HOME, "_x0007_", "\x07", "", "not XML after A5"),
    Break(HOME, "_x0007_", "&#7;", "", "not XML after A5"),
    Break(HOME, "<v>b</v>", "<v>_x0041_</v>", "A7", "_x005F_x0041_"),
    Break(HOME, '"_x0001_"', '"_x0041_"', "A7", "_x005F_x0041_"),
    Break(HOME, '<is><t xml:space="preserve">-x</t></is>', "<is/>", "B2", "no <t>"),
    Break(HOME, '<c r="B2" t="inlineStr">', '<c r="B2" t="inlineStr"><f>-x</f>', "B2", "can't have a formula"),
    Break(HOME, '<c r="B2" t="inlineStr">', '<c r="B2">', "B2", "inlineStr"),
    Break(HOME, '<c r="C2" t="s"><v>1</v>', '<c r="C2" t="str"><v>=1+2</v>', "C2", "no formula yields"),
    Break(HOME, '<c r="C2" t="s"><v>1</v>', '<c r="C2" t="s">', "C2", "needs a value"),
]


FURNITURE = [
    Break(HOME, 'header="0.5"', 'header="49"', "pageMargins", "margin header"),
    Break(HOME, 'left="0.75"', 'left="-1"', "pageMargins", "margin left"),
    Break(HOME, 'ref="J30:K30"', 'ref="K31:L31"', "K31:L31", "overlaps"),
    Break(HOME, 'ref="J30:K30"', 'ref="J30"', "J30", "several cells"),
    Break(HOME, '<mergeCells count="2">', '<mergeCells count="3">', "mergeCells", "count is 3"),
    Break(HOME, 'dxfId="0"', 'dxfId="1"', "C1:C3", "dxfId 1"),
    Break(HOME, 'sqref="C1:C3"', 'sqref="C1:C0"', "C1:C0", "sqref"),
    Break(HOME, "<formula>$C$4&gt;1</formula>", "", "C1:C3", "no formula"),
    Break(HOME, "<formula>$C$4&gt;1</formula>", "<formula>$C$4&gt;</formula>", "C1:C3", "ends where a value"),
    Break(HOME, "<formula>$C$4&gt;1</formula>", "<formula>nowhere!A1</formula>", "C1:C3", "not there"),
    Break(HOME, 'priority="2"', 'priority="0"', "C1:C3", "priority"),
    Break(HOME, ' operator="equal"', "", "D1:D3", "no operator"),
    Break(HOME, '<cfvo type="max"/>', "", "A1:B5", "1 stops"),
    Break(HOME, 'sqref="C4" showDrop', 'sqref="C" showDrop', "C", "sqref"),
    Break(HOME, "<formula2>10</formula2>", "", "C4", "no formula to compare"),
    Break(HOME, "<formula1>0</formula1>", "<formula1>0+</formula1>", "C4", "ends where a value"),
    Break(HOME, 'prompt="a number"', f'prompt="{LONG}"', "C4", "prompt"),
    Break(HOME, 'type="decimal"', 'type="number"', "C4", "'number' is unknown"),
    Break(HOME, '<dataValidations count="2">', '<dataValidations count="3">', "dataValidations", "count is 3"),
    *(_format(*case) for case in NO_FORMATS),
    *(_stop(*case) for case in NO_STOPS),
    *(_validation(*case) for case in NO_VALIDATIONS),
    *(_list(*case) for case in NO_LISTS),
    Break(HOME, "<formula2>10</formula2>", "<formula2>$A$1:$A$3</formula2>", "C4", "range of several cells"),
    Break(HOME, "&amp;Cpage", "&amp;C" + "x" * 254, "oddHeader", "256 characters"),
    Break(HOME, "location=\"'h0'!F7\"", "location=\"'h9'!F7\"", "A2", "does not exist"),
    Break(HOME, 'location="h0_ln_1"', 'location="h9_ln_1"', "B2", "does not exist"),
    Break(HOME, ' location="h0_ln_1"', "", "B2", "leads nowhere"),
    Break(HOME, '<hyperlink ref="A2"', '<hyperlink ref="A"', "A", "ref"),
    Break(HOME, 'topLeftCell="B2"', 'topLeftCell="B0"', "sheetViews", "pane"),
    Break(HOME, 'activeCell="A1"', 'activeCell="A0"', "sheetViews", "selection"),
    Break(HOME, 'min="2" max="2"', 'min="2" max="16385"', "columns 2-16385", "leave the sheet"),
    Break(HOME, 'width="12"', 'width="300"', "columns 2-2", "width 300"),
    Break(HOME, 'width="12"', 'width="12" style="2"', "columns 2-2", "style 2"),
]


ALL = [*ROWS_AND_CELLS, *VALUES, *TEXTS, *FURNITURE]


@pytest.mark.parametrize("case", ALL, ids=labels(ALL))
def test_each_broken_rule_is_named_where_it_is_broken(
    case: Break, sound: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named_where_it_is_broken(case, sound, tmp_path, monkeypatch)


def test_a_sheet_of_broken_cells_is_cut_short(sound: Parts, tmp_path: Path) -> None:
    cells = "".join(f'<row r="{r}"><c r="A{r}"><v>x</v></c></row>' for r in range(12, 500))
    problems = check(write(replaced(sound, HOME, "</sheetData>", cells + "</sheetData>"), tmp_path / "many.xlsx"))
    assert 20 < len(problems) < 100
    assert any("not listed" in p.rule for p in problems)


def test_texts_that_look_like_formulas_are_clean_as_text(sound: Parts, tmp_path: Path) -> None:
    for text in ("=SUM(A1)", "+1", "-1", "@x", "&lt;|endoftext|&gt;", "_x41_", "_x005F_xFFFF_"):
        assert check(write(replaced(sound, HOME, "-x</t>", f"{text}</t>"), tmp_path / "text.xlsx")) == []
