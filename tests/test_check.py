"""`sheetgpt check`: a sound workbook is clean, and each rule, broken once, is named where it is broken."""

import io
import zipfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
from breakers import (
    BLOCK,
    CHART,
    DRAWING,
    HOME,
    LINKS,
    STRINGS,
    STYLES,
    TYPES,
    WEIGHTS,
    WORKBOOK,
    Parts,
    replaced,
    sound_parts,
    write,
)

from sheetgpt.errors import SheetGPTError
from sheetgpt.excel_rules import Problem, check
from sheetgpt.excel_rules.book import Book
from sheetgpt.excel_rules.formulas import FormulaCheck
from sheetgpt.excel_rules.functions import FUNCTIONS
from sheetgpt.excel_rules.grammar import read
from sheetgpt.excel_rules.number_format import number_format_fault
from sheetgpt.excel_rules.places import Place

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


@pytest.fixture(scope="module")
def sound() -> Parts:
    return sound_parts()


def _name(name: str) -> str:
    return f'<definedName name="{name}">'


def _formula(formula: str, word: str) -> Break:
    """Another formula in Home!H11."""
    return Break(HOME, "<f>G11+F11</f>", f"<f>{formula}</f>", "H11", word)


def _block_formula(formula: str, word: str) -> Break:
    """Another formula in h0!G9, a token column."""
    return Break(BLOCK, "<f>SUM($F$7:G$7)</f>", f"<f>{formula}</f>", "G9", word)


def _shared(old: str, new: str, where: str, word: str) -> Break:
    return Break(BLOCK, old, new, where, word)


def _sheet_name(name: str, word: str) -> Break:
    return Break(WORKBOOK, 'name="h0"', f'name="{name}"', name.replace("&apos;", "'"), word)


def _defined(name: str, word: str) -> Break:
    first = _name("temperature")
    return Break(WORKBOOK, first, _name(name) + "'Home'!$C$4</definedName>" + first, name, word)


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


def _number_format(code: str, word: str) -> Break:
    code = code.replace('"', "&quot;").replace("<", "&lt;")
    return Break(STYLES, 'formatCode="0.000"', f'formatCode="{code}"', "numFmt 164", word)


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
    ("1", "no reference, name or text"),
    ('"yes,no"&amp;A1', "no reference, name or text"),
    ('"' + "x" * 256 + '"', "more than 255 characters"),
]

# [MS-XLSB] 2.5.98.98: in h0!F7, whose formula F7:H7 share
UNSHARED = [
    ("F$11*'h0 weights'!$C$4", "names a sheet"),
    ("F$11*Home!F$11", "names a sheet"),
    ("F$11*'h0'!F$11", "names a sheet"),
    ("SUM(F$11*{1,2})", "array constant"),
    ("SUM(INDEX(F$11:F$12,1):INDEX(F$11:F$12,2))", "by a colon"),
    ("F$11+#REF!", "deleted reference"),
    ("SUM((F$11,F$12))", "separates nothing"),
    ("SUM(F$11:F$13 F$12:F$14)", "side by side"),
    ("[1]h0!F7", "another workbook"),
    ("ADDIN(F$11)", "not on the list"),
]

# a plain formula in which Excel would put an @ before a range
CUT = [
    "SUM(IF(A1:A3&gt;0,1,0))",
    "A1:A3",
    "-A1:A3",
    "SUM(A1:A3*2)",
    "SUM((A1:A3)*2)",
    "SUM(ABS(A1:A3))",
    "IF(A1:A3&gt;0,1,0)",
    "IF(A1&gt;0,A1:A3,0)",
    "SUMPRODUCT(IF(A1:A3&gt;0,1,0))",
    "SUMPRODUCT(IFERROR(A1:A3,0))",
    "SUMPRODUCT(C1:C2,TRANSPOSE(A1:B1))",
    "MATCH(1,(A1:A3=1)*1,0)",
    "MATCH(A1:A3,B1:B3,0)",
    "COUNTIF(A1:A3,B1:B3)",
    "MMULT(A1:B2,C1:D2)",
    "SUM(MMULT(A1:B2,C1:D2)*2)",
    "INDEX(A1:A3,1):INDEX(A1:A3,2)",
    "LEN(A1:A3)",
    "SUM(1/COUNTIF(A1:A3,A1:A3))",
    "token_ids=3",
    "SUM(ROW(A1:A3)*2)",
    'A1:A3&amp;""',
]

NO_NUMBER_FORMATS = [
    ("0.0;[Foo", "bracket is not closed"),
    ("0.0;[Foo]0", "[Foo] is no color"),
    ('0.0"m', "quote is not closed"),
    ("0.0Foo", "neither a placeholder"),
    ("0;0;0;@;0", "5 sections"),
    ("[<1]0;[<2]0;[<3]0;0", "more than 2 conditions"),
    ("@;0", "before the last section"),
    ("[Red][Blue]0", "two of the same"),
    ("0.0.0", "two decimal points"),
    ("0E+0E+0", "two exponents"),
    ("0E+", "lacks digits"),
    ("# ?/", "a fraction is"),
    ("0 d", "mixes"),
    ("General 0", "mixes"),
    ("[Color57]0", "no color"),
    ("[<x]0", "no color, condition"),
    ("0\\", "neither a placeholder"),
    ("", "0 characters"),
    ("0" * 256, "256 characters"),
]


LONG = "x" * 256
DEEP = "ABS(" * 65 + "1" + ")" * 65
PLAIN = '<c r="C4" s="1"><v>-0.025</v></c>'
SECOND = '<c r="D4" s="1"><v>-0.125</v></c>'

ROWS_AND_CELLS = [
    Break(HOME, '<row r="2">', '<row r="1">', "row 1", "above 1"),
    Break(HOME, '<row r="2">', "<row>", "row None", "row's number"),
    Break(HOME, '<row r="11">', '<row r="1048577">', "row 1048577", "at most 1,048,576"),
    Break(HOME, '<row r="4">', '<row r="4" colour="red">', "row 4", "no attribute 'colour'"),
    Break(HOME, '<row r="4">', '<row r="4" s="2" customFormat="1">', "row 4", "style 2"),
    Break(HOME, '<row r="4">', '<row r="4" ht="500" customHeight="1">', "row 4", "height 500"),
    Break(HOME, 'r="B2"', 'r="B3"', "B3", "none in row 2"),
    Break(HOME, 'r="B2"', 'r="XFE2"', "XFE2", "none in row 2"),
    Break(HOME, 'r="B2"', 'r="b2"', "b2", "none in row 2"),
    Break(HOME, '<c r="B2" ', "<c ", "row 2", "none in row 2"),
    Break(HOME, 'r="B2"', 'r="A2"', "A2", "to the right"),
    Break(WEIGHTS, SECOND, PLAIN, "C4", "to the right"),
    Break(WEIGHTS, 'r="K5"', 'r="K6"', "K6", "none in row 5"),
    Break(WEIGHTS, 'r="V9"', 'r="W9"', "dimension", "cover"),
    Break(HOME, '<dimension ref="A1:H11"', '<dimension ref="A1:G11"', "dimension", "cover"),
    Break(HOME, '<dimension ref="A1:H11"', '<dimension ref="A1:H0"', "dimension", "no range"),
    Break(HOME, 'r="C4"', 'r="C4" s="2"', "C4", "style 2"),
    Break(WEIGHTS, 'r="K5" s="1"', 'r="K5" s="2"', "K5", "style 2"),
    Break(HOME, 'r="C4"', 'r="C4" colour="1"', "C4", "no attribute 'colour'"),
    Break(HOME, 'r="C4"', 'r="C4" t="x"', "C4", "type 'x' is unknown"),
    Break(HOME, "<v>0.5</v>", "<v>0.5</v><v>0.5</v>", "C4", "twice"),
    Break(HOME, "<f>G11+F11</f><v>7</v>", "<v>7</v><f>G11+F11</f>", "H11", "after the value"),
]

VALUES = [
    *(Break(HOME, "<v>0.5</v>", f"<v>{text}</v>", "C4", "not written as one") for text in ("NaN", "INF", "1,5", "")),
    *(Break(HOME, "<v>0.5</v>", f"<v>{text}</v>", "C4", "not written as one") for text in ("=1", " 1", "1_0")),
    Break(HOME, "<v>0.5</v>", "<v>1.8e308</v>", "C4", "larger"),
    Break(HOME, "<v>0.5</v>", "<v>1e-310</v>", "C4", "smaller"),
    Break(WEIGHTS, '<c r="K5" s="1"><v>-0.825</v>', '<c r="K5" s="1"><v>nan</v>', "K5", "not written as one"),
    Break(WEIGHTS, '<c r="K5" s="1"><v>-0.825</v>', '<c r="K5" s="1"><v>1e999</v>', "K5", "larger"),
    Break(HOME, 't="b"><v>1</v>', 't="b"><v>2</v>', "A4", "not 0 or 1"),
    Break(HOME, "<v>#N/A</v>", "<v>#OOPS!</v>", "B4", "Excel's errors"),
    Break(HOME, 't="s"><v>1</v>', 't="s"><v>2</v>', "C2", "shared string '2'"),
    Break(HOME, "<f>G11+F11</f><v>7</v>", "<f>G11+F11</f>", "H11", "no cached value"),
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
    Break(HOME, '<c r="B2" t="inlineStr">', '<c r="B2" t="inlineStr"><f>-x</f>', "B2", "whatever its text begins with"),
    Break(HOME, '<c r="B2" t="inlineStr">', '<c r="B2">', "B2", "inlineStr"),
    Break(HOME, '<c r="C2" t="s"><v>1</v>', '<c r="C2" t="str"><v>=1+2</v>', "C2", "no formula's result"),
    Break(HOME, '<c r="C2" t="s"><v>1</v>', '<c r="C2" t="s">', "C2", "needs a value"),
]

SHARED_FORMULAS = [
    _shared('<c r="G7"><f t="shared" si="0"/>', '<c r="G7"><f t="shared" si="9"/>', "G7", "no first cell"),
    _shared('<c r="R13"><f t="shared" si="2"/>', '<c r="R13"><f t="shared" si="1"/>', "R13", "outside"),
    _shared('r="R13"', 'r="R12"', "R12", "none in row 13"),
    _shared('ref="F13:Y13"', 'ref="F13:X13"', "Y13", "outside"),
    _shared('<c r="R13">', '<c r="R13" s="2">', "R13", "style 2"),
    _shared(' ref="F7:H7"', "", "F7", "no first cell"),
    _shared('ref="F7:H7"', 'ref="F7:G7"', "H7", "outside"),
    _shared('ref="F8:H8" si="1"', 'ref="F8:H8" si="0"', "F8", "index 0"),
    _shared('ref="F8:H8" si="1"', 'ref="F8:H8" si="x"', "F8", "no number"),
    _shared('ref="F7:H7"', 'ref="E7:H7"', "F7", "not the first"),
    _shared('ref="F7:H7"', 'ref="F7:H8"', "F7", "fills down"),
    _shared('ref="F7:H7"', 'ref="H7:F7"', "F7", "no range"),
    _shared('<c r="G7"><f t="shared" si="0"/>', '<c r="G7"><f t="shared" si="0">F7</f>', "G7", "carries its text"),
    _shared("F$11*$D$7", "XFC$11*$D7", "F7", "2 columns further right leaves"),
    _shared("<f>SUM($F$7:F$7)</f>", '<f t="dataTable">F7</f>', "F9", "dataTable"),
    _shared("<f>SUM($F$7:F$7)</f>", '<f t="array" ref="F9:G0">F7</f>', "F9", "no range"),
    _shared("<f>SUM($F$7:F$7)</f>", "<f/>", "F9", "no text"),
    *(_shared('IF(F$5,F$11*$D$7,"")', formula, "F7", word) for formula, word in UNSHARED),
    _shared("<f>SUM($F$7:F$7)</f>", '<f colour="red">1</f>', "F9", "no attribute"),
]

FORMULAS = [
    _formula("G11+", "ends where a value"),
    _formula("SUM(G11", "not closed"),
    _formula("SUM(G11))", "no partner"),
    _formula("G11 F11", "side by side"),
    _formula("*G11", "missing before"),
    _formula("(G11,F11)", "separates nothing"),
    _formula("=G11", "begins with ="),
    _formula("G11@2", "can't be read"),
    _formula("Sheet9!A1", "not there"),
    _formula("'no sheet'!A1", "not there"),
    _formula("[1]h0!F7", "another workbook"),
    _formula("'[book.xlsx]h0'!F7", "another workbook"),
    _formula("Table1[x]", "another workbook or to a table"),
    _formula("SUM(A:A)", "whole rows or columns"),
    _formula("SUM($1:$3)", "whole rows or columns"),
    _formula("A1048577", "leaves the sheet"),
    _formula("XFE1", "leaves the sheet"),
    _formula("SUM(B2:A1)", "ends before it begins"),
    _formula("C1!A1", "quotes"),
    _formula("tempature*2", "not defined"),
    _formula("1+#REF!", "deleted"),
    _formula(DEEP, "nested 65"),
    _formula("1" + "+1" * 4096, "8,192"),
    _formula(f'LEN("{LONG}")', "256 characters"),
    _formula("SUM(" + ",".join("1" * 256) + ")", "256 arguments"),
    _formula("IF(1)", "takes 2 to 3 arguments"),
    _formula("PI(1)", "takes 0 arguments"),
    _formula("FROB(1)", "not on the list"),
    _formula('UNICODE("a")', "as _xlfn.UNICODE"),
    _formula("BITAND(1,2)", "as _xlfn.BITAND"),
    _formula("_xlfn.SUM(1,2)", "as SUM"),
    _formula('_xlfn.CONCAT("a","b")', "Excel 2019"),
    _formula("_xlfn._xlws.SORT(A1:A3)", "dynamic arrays"),
    _formula("_xlfn.LET(x,1,x)", "dynamic arrays"),
    *(_formula(formula, "down to one cell") for formula in CUT),
    _formula("C1_FOO!A1", "quotes"),
    *(
        _formula(f"{name}(1,2)", "volatile")
        for name in ("RAND", "RANDBETWEEN", "OFFSET", "INDIRECT", "NOW", "TODAY", "CELL", "INFO")
    ),
]

CAUSALITY = [
    _block_formula("H$7", "right of the formula"),
    _block_formula("SUM($F$7:H$7)", "right of the formula"),
    _block_formula("'h0'!H7*2", "right of the formula"),
    _block_formula("SUM(h0_ln_1)", "right of the formula"),
    _block_formula("Home!H$10", "right of the formula"),
    _block_formula("SUM(token_ids)", "right of the formula"),
    _shared("F$11*$D$7", "G$11*$D7", "F7", "right of the formula"),
    _block_formula("LEN($A$9)", "A9 depends on the tokens up to column H"),
    _block_formula("$A$9:$B$9", "A9 depends on the tokens up to column H"),
    _block_formula("$B$9", "B9 depends on the tokens up to column H"),
    Break(BLOCK, '<c r="D7"><v>0.25</v>', '<c r="D7"><f>G11</f><v>0.25</v>', "F7", "D7 depends on the tokens up to"),
]

FILLING_RIGHT = [
    _block_formula("SUM($F$7:G7)", "no $ before its row"),
    _block_formula("SUM(F$7,$F$8:G9)", "$F$8:G9 has no $ before its row"),
    _block_formula("Home!G10", "no $ before its row"),
    _shared("F$11*$D$7", "F$11*$D7", "F7", "no $ before its row"),
    Break(BLOCK, '<c r="R13"><f t="shared" si="2"/>', '<c r="R13"><f>Q$11</f>', "R13", "fills the rest of its row"),
    Break(
        BLOCK, '<c r="F13"><f t="shared" ref="F13:Y13" si="2">F$11', '<c r="F13"><f>G$11-G$11+F$11', "F13", "right of"
    ),
    Break(BLOCK, "IF(K$11&lt;2", "IF(K$11&lt;3", "K14", "fills the rest of its row"),
    Break(BLOCK, "IF(Y$11&lt;2", "IF(X$11&lt;2", "Y14", "fills the rest of its row"),
    Break(BLOCK, "IF(F$11&lt;2", "IF(G$5&lt;2", "F14", "right of the formula"),
    Break(BLOCK, "IF(F$11&lt;2", "IF(F$5&lt;2", "F14", "fills the rest of its row"),
]

POSITIONS = [
    Break(
        WORKBOOK,
        _name("positions_Home") + "'Home'!$F$10",
        _name("positions_Home") + "'Home'!$G$10",
        "positions_home",
        "begin in column G, on another sheet in column F",
    ),
    Break(WORKBOOK, _name("positions_Home") + "'Home'", _name("positions_Home") + "'h0'", "positions_h0", "Two names"),
    Break(
        WORKBOOK,
        _name("positions_Home") + "'Home'!$F$10:$H$10",
        _name("positions_Home") + "2",
        "positions_home",
        "one rectangle of one sheet",
    ),
]

FURNITURE = [
    Break(HOME, 'ref="J30:K30"', 'ref="K31:L31"', "K31:L31", "overlaps"),
    Break(HOME, 'ref="J30:K30"', 'ref="J30"', "J30", "several cells"),
    Break(HOME, '<mergeCells count="2">', '<mergeCells count="3">', "mergeCells", "3 entries"),
    Break(HOME, 'dxfId="0"', 'dxfId="1"', "C1:C3", "dxfId 1"),
    Break(HOME, 'sqref="C1:C3"', 'sqref="C1:C0"', "C1:C0", "sqref"),
    Break(HOME, "<formula>$C$4&gt;1</formula>", "", "C1:C3", "no formula"),
    Break(HOME, "<formula>$C$4&gt;1</formula>", "<formula>$C$4&gt;</formula>", "C1:C3", "ends where a value"),
    Break(HOME, "<formula>$C$4&gt;1</formula>", "<formula>nowhere!A1</formula>", "C1:C3", "not there"),
    Break(HOME, 'priority="2"', 'priority="0"', "C1:C3", "priority"),
    Break(HOME, ' operator="equal"', "", "D1:D3", "no operator"),
    Break(HOME, '<cfvo type="max"/>', "", "A1:B5", "1 stops"),
    Break(HOME, 'sqref="C4" showDrop', 'sqref="C" showDrop', "C", "sqref"),
    Break(HOME, "<formula2>10</formula2>", "", "C4", "lacks a formula"),
    Break(HOME, "<formula1>0</formula1>", "<formula1>0+</formula1>", "C4", "ends where a value"),
    Break(HOME, 'prompt="a number"', f'prompt="{LONG}"', "C4", "prompt"),
    Break(HOME, 'type="decimal"', 'type="number"', "C4", "'number' is unknown"),
    Break(HOME, '<dataValidations count="2">', '<dataValidations count="3">', "dataValidations", "3 entries"),
    *(_format(*case) for case in NO_FORMATS),
    *(_stop(*case) for case in NO_STOPS),
    *(_validation(*case) for case in NO_VALIDATIONS),
    *(_list(*case) for case in NO_LISTS),
    Break(HOME, "<formula2>10</formula2>", "<formula2>$A$1:$A$3</formula2>", "C4", "range of several cells"),
    Break(HOME, "&amp;Cpage", "&amp;C" + "x" * 254, "oddHeader", "256 characters"),
    Break(HOME, "location=\"'h0'!F7\"", "location=\"'h9'!F7\"", "A2", "no place"),
    Break(HOME, 'location="h0_ln_1"', 'location="h9_ln_1"', "B2", "no place"),
    Break(HOME, ' location="h0_ln_1"', "", "B2", "leads nowhere"),
    Break(HOME, '<hyperlink ref="A2"', '<hyperlink ref="A"', "A", "ref"),
    Break(HOME, 'topLeftCell="B2"', 'topLeftCell="B0"', "sheetViews", "pane"),
    Break(HOME, 'activeCell="A1"', 'activeCell="A0"', "sheetViews", "selection"),
    Break(HOME, 'min="2" max="2"', 'min="2" max="16385"', "columns 2-16385", "leave the sheet"),
    Break(HOME, 'width="12"', 'width="300"', "columns 2-2", "width 300"),
    Break(HOME, 'width="12"', 'width="12" style="2"', "columns 2-2", "style 2"),
]

WORKBOOK_RULES = [
    _sheet_name("", "1 to 31"),
    _sheet_name("x" * 32, "1 to 31"),
    *(_sheet_name(f"a{mark}b", f"no {mark!r}") for mark in "[]:*?/"),
    _sheet_name("a\\b", "no '\\\\'"),
    _sheet_name("&apos;a", "apostrophe"),
    _sheet_name("history", "History"),
    _sheet_name("HOME", "same name"),
    Break(WORKBOOK, 'sheetId="2"', 'sheetId="1"', "h0", "same sheetId"),
    Break(WORKBOOK, 'sheetId="2"', 'sheetId="0"', "h0", "sheetId '0'"),
    Break(WORKBOOK, 'r:id="rId2"', 'r:id="rId1"', "h0", "same part"),
    Break(WORKBOOK, 'r:id="rId2"', 'r:id="rId4"', "h0", "worksheet type"),
    Break(WORKBOOK, 'r:id="rId2"', 'r:id="rId77"', "rId77", "no relationship"),
    Break(WORKBOOK, 'activeTab="0"', 'activeTab="3"', "activeTab", "tab 3"),
    *(_defined(name, "as a cell") for name in ("wte1", "XFD1048576", "a1")),
    *(_defined(name, "R1C1") for name in ("R", "c", "RC", "R2C", "r5c5", "TRUE")),
    *(_defined(name, "begins like") for name in ("C1_FOO", "R1_x", "r12.a", "RC3x", "c16384_", "R1048576x", "R01x")),
    Break(WORKBOOK, "'Home'!$C$4", "'Home'!$C$4*temperature", "temperature", "refers to itself"),
    Break(
        WORKBOOK,
        "'Home'!$C$4",
        'SUM(loop)</definedName><definedName name="loop">SUM(temperature)',
        "",
        "to itself: temperature -> loop -> temperature",
    ),
    *(_defined(name, "made of letters") for name in ("1a", "a b", "a-b", ".a", "a!b", "")),
    _defined("n" * 256, "255"),
    Break(WORKBOOK, _name("wte"), _name("TOKEN_ids"), "TOKEN_ids", "the same"),
    Break(WORKBOOK, "'Home'!$C$4", "'Hom'!$C$4", "temperature", "not there"),
    Break(WORKBOOK, "'Home'!$C$4", "'Home'!$C$1048577", "temperature", "leaves the sheet"),
    Break(WORKBOOK, "'Home'!$C$4", "'Home'!C4", "temperature", "absolute"),
    Break(WORKBOOK, "'Home'!$C$4", "$C$4", "temperature", "doesn't name its sheet"),
    Break(WORKBOOK, "'Home'!$C$4", "'Home'!#REF!", "temperature", "not one"),
    Break(WORKBOOK, "'Home'!$C$4", "#REF!", "temperature", "deleted"),
    Break(WORKBOOK, "'Home'!$C$4", "'Home'!$C:$C", "temperature", "whole rows or columns"),
    Break(
        WORKBOOK, _name("temperature"), '<definedName name="temperature" localSheetId="3">', "temperature", "sheet 3"
    ),
    Break(WORKBOOK, _name("temperature"), '<definedName name="temperature" xlm="1">', "temperature", "macro"),
    Break(WORKBOOK, 'calcMode="auto"', 'calcMode="manual"', "calcPr", "'manual'"),
    Break(WORKBOOK, 'calcMode="auto"', 'calcMode="auto" fullCalcOnLoad="1"', "calcPr", "full calculation"),
    Break(WORKBOOK, 'calcMode="auto"', 'calcMode="auto" iterate="1"', "calcPr", "circular"),
    Break(WORKBOOK, ' calcId="191029"', "", "calcPr", "calcId is None"),
    Break(WORKBOOK, 'calcId="191029"', 'calcId="124519"', "calcPr", "calcId is 124519"),
    Break(WORKBOOK, '<calcPr calcId="191029" calcMode="auto"/>', "", "calcPr", "0 calculation settings"),
    Break(WORKBOOK, "</definedNames>", "</definedNames><externalReferences/>", "externalReferences", "other workbooks"),
]

STYLE_RULES = [
    Break(STYLES, 'numFmtId="164" fontId="1"', 'numFmtId="165" fontId="1"', "cellXfs 1", "format 165"),
    Break(STYLES, 'numFmtId="164" fontId="1"', 'numFmtId="164" fontId="2"', "cellXfs 1", "fontId 2"),
    Break(STYLES, 'numFmtId="164" formatCode', 'numFmtId="3" formatCode', "numFmt 3", "number of its own"),
    *(_number_format(*case) for case in NO_NUMBER_FORMATS),
    Break(STYLES, 'borderId="0" pivot', 'borderId="1" pivot', "cellXfs 0", "borderId 1"),
    Break(STYLES, 'xfId="0"/></cellXfs>', 'xfId="1"/></cellXfs>', "cellXfs 1", "xfId 1"),
    Break(STYLES, '<cellStyle name="Normal" xfId="0"', '<cellStyle name="Normal" xfId="1"', "cellStyles 0", "xfId 1"),
    Break(STYLES, '<fonts count="2">', '<fonts count="3">', "fonts", "3 entries"),
    Break(STYLES, '<sz val="11"/>', '<sz val="11"/><sz val="12"/>', "fonts", "2 elements 'sz'"),
]

PACKAGE = [
    Break(TYPES, 'PartName="/xl/styles.xml"', 'PartName="/xl/style.xml"', "/xl/style.xml", "not there"),
    Break(TYPES, "</Types>", '<Default Extension="xml" ContentType="x/y"/></Types>', "xml", "twice"),
    Break(TYPES, "<Override PartName", "<Overrule PartName", "/xl/styles.xml", "neither"),
    Break(TYPES, "sheet.main+xml", "sheet.macroEnabled.main+xml", "/xl/workbook.xml", "macros"),
    Break(LINKS, 'Target="styles.xml"', 'Target="style.xml"', "rId4", "not there"),
    Break(LINKS, 'Id="rId4"', 'Id="rId5"', "rId5", "this id"),
    Break(LINKS, "relationships/styles", "relationships/theme", "rId4", "content type"),
    Break(LINKS, "relationships/theme", "relationships/vbaProject", "rId5", "'vbaProject'"),
    Break(LINKS, "relationships/theme", "relationships/externalLink", "rId5", "'externalLink'"),
    Break(LINKS, 'Target="styles.xml"', 'Target="http://x/" TargetMode="External"', "rId4", "outside the workbook"),
    Break(LINKS, ' Id="rId4"', "", "", "needs an Id"),
    Break(HOME, 'r:id="rId1"', 'r:id="rId9"', "rId9", "no relationship"),
    Break(DRAWING, 'r:id="rId1"', 'r:id="rId9"', "rId9", "no relationship"),
    Break(CHART, "'Home'!$F$11", "'Hom'!$F$11", "'Hom'!$F$11", "not there"),
    Break(CHART, "'Home'!$F$11", "$F$11", "$F$11", "name its sheet"),
    Break(CHART, "'Home'!$F$11", "SUM('Home'!$F$11)", "SUM('Home'!$F$11)", "made of cells"),
    Break(CHART, 'formatCode="0%"', 'formatCode="0[Foo]"', "0[Foo]", "no color"),
    Break(DRAWING, "<col>9</col>", "<col>16384</col>", "col", "outside the sheet"),
    Break(STYLES, "</fonts>", "", "", "not XML"),
    Break(WORKBOOK, "</workbook>", "", "", "not XML"),
    Break(HOME, "</worksheet>", "", "", "not XML"),
    Break(HOME, "<worksheet ", "<!DOCTYPE x><worksheet ", "", "DTD"),
    Break(STYLES, "<styleSheet ", "<!DOCTYPE x><styleSheet ", "", "DTD"),
]

SCHEMA = [
    Break(WORKBOOK, "<bookViews>", '<calcPr calcId="191029"/><bookViews>', "/workbook[1]", "Unexpected"),
    Break(WORKBOOK, ' sheetId="3"', "", "/workbook[1]/sheets[1]/sheet[3]", "'sheetId' is missing"),
    Break(HOME, "<mergeCells", '<pageMargins left="1" right="1" top="1" bottom="1" header="1" footer="1"/><mergeCells',
          "/worksheet[1]", "Unexpected"),
    Break(HOME, "<pageMargins", '<dataValidations count="0"/><pageMargins', "/worksheet[1]", "Unexpected"),
    Break(HOME, "<sheetViews>", "<sheetFrobs/><sheetViews>", "/worksheet[1]", "Unexpected element 'sheetFrobs'"),
    Break(STYLES, "<fonts", "<dxfs/><fonts", "/styleSheet[1]", "Unexpected"),
    Break(DRAWING, "<clientData/>", "", "/wsDr[1]/oneCellAnchor[1]", "'clientData' is missing"),
    Break(CHART, '<barDir val="col"/>', '<barDir val="across"/>',
          "/chartSpace[1]/chart[1]/plotArea[1]/barChart[1]/barDir[1]", "across"),
]  # fmt: skip

ALL = [
    *(ROWS_AND_CELLS + VALUES + TEXTS + SHARED_FORMULAS + FORMULAS + CAUSALITY + FILLING_RIGHT + POSITIONS),
    *(FURNITURE + WORKBOOK_RULES + STYLE_RULES + PACKAGE + SCHEMA),
]


def test_a_sound_workbook_is_clean(sound: Parts, tmp_path: Path) -> None:
    assert check(write(sound, tmp_path / "sound.xlsx")) == []


@pytest.mark.parametrize("case", ALL, ids=[f"{i} {case.label}" for i, case in enumerate(ALL)])
def test_each_broken_rule_is_named_where_it_is_broken(
    case: Break, sound: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case not in SCHEMA:  # the schema must not be what names it, and takes most of the time
        monkeypatch.setattr(import_module("sheetgpt.excel_rules"), "schema_problems", lambda archive, skeletons: ())
    problems = check(write(replaced(sound, case.part, case.old, case.new), tmp_path / "broken.xlsx"))
    part = TITLES.get(case.part, case.part)
    at = [p.rule for p in problems if p.part in (part, case.part) and p.where.startswith(case.where)]
    assert any(case.word in rule for rule in at), problems


def _without(parts: Parts, *names: str) -> Parts:
    return {name: data for name, data in parts.items() if name not in names}


@pytest.mark.parametrize("name", sorted(sound_parts()))
def test_every_part_is_missed_and_every_damage_is_survived(name: str, sound: Parts, tmp_path: Path) -> None:
    assert check(write(_without(sound, name), tmp_path / "missing.xlsx"))
    for damage in (b"", b"not XML", b"<a/>", sound[name][: len(sound[name]) // 2]):
        assert check(write(sound | {name: damage}, tmp_path / "damaged.xlsx")), damage


def test_a_part_without_content_type_or_relationship_is_named(sound: Parts, tmp_path: Path) -> None:
    problems = check(write(sound | {"xl/stray.bin": b"?"}, tmp_path / "stray.xlsx"))
    assert {p.rule for p in problems if p.part == "xl/stray.bin"} >= {
        "The part has no content type.",
        "No relationship leads to the part.",
    }


def test_two_parts_of_one_name_are_named(sound: Parts, tmp_path: Path) -> None:
    path = write(sound | {"xl/Styles.xml": sound[STYLES]}, tmp_path / "twice.xlsx")
    assert any("2 parts of this name" in p.rule for p in check(path))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_part_compressed_by_another_method_is_named(method: int, sound: Parts, tmp_path: Path) -> None:
    path = tmp_path / "other.xlsx"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in sound.items():
            archive.writestr(name, data)
    assert {p.part for p in check(path) if "deflate" in p.rule} >= {STYLES, "Home"}


def test_a_needless_zip64_header_is_named(sound: Parts, tmp_path: Path) -> None:
    path = tmp_path / "wide.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in sound.items():
            with archive.open(name, "w", force_zip64=name == STYLES) as entry:
                entry.write(data)
    assert [p.part for p in check(path)] == [STYLES]
    assert "ZIP64" in check(path)[0].rule


def test_a_needless_zip64_directory_is_named(sound: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    path = write(sound, tmp_path / "wide.xlsx")
    assert any("ZIP64 directory" in p.rule for p in check(path))


def test_a_damaged_entry_is_a_problem(sound: Parts, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in sound.items():
            archive.writestr(name, data)
    data = buffer.getvalue()
    path = tmp_path / "damaged.xlsx"
    for part, text in ((STYLES, b"<fonts count"), ("h0 weights", b"<v>-0.025</v>")):
        path.write_bytes(data.replace(text, b"x" * len(text), 1))
        assert any(p.part == part and "can't be unpacked" in p.rule for p in check(path))


def test_what_is_no_zip_is_refused_in_one_sentence(tmp_path: Path) -> None:
    text = tmp_path / "text.xlsx"
    text.write_text("hello")
    for path in (text, tmp_path / "missing.xlsx", tmp_path):
        with pytest.raises(SheetGPTError, match=str(path)):
            check(path)


def test_a_sheet_of_broken_cells_is_cut_short(sound: Parts, tmp_path: Path) -> None:
    cells = "".join(f'<row r="{r}"><c r="A{r}"><v>x</v></c></row>' for r in range(12, 500))
    problems = check(write(replaced(sound, HOME, "</sheetData>", cells + "</sheetData>"), tmp_path / "many.xlsx"))
    assert 20 < len(problems) < 100
    assert any("not listed" in p.rule for p in problems)


def test_a_problem_prints_its_place() -> None:
    assert str(Problem("h0", "F7", "It is broken.")) == "h0!F7: It is broken."
    assert str(Problem("xl/styles.xml", "", "It is broken.")) == "xl/styles.xml: It is broken."


def test_texts_that_look_like_formulas_are_clean_as_text(sound: Parts, tmp_path: Path) -> None:
    for text in ("=SUM(A1)", "+1", "-1", "@x", "&lt;|endoftext|&gt;", "_x41_", "_x005F_xFFFF_"):
        assert check(write(replaced(sound, HOME, "-x</t>", f"{text}</t>"), tmp_path / "text.xlsx")) == []


def test_a_label_may_show_a_token_to_its_right(sound: Parts, tmp_path: Path) -> None:
    label = '<c r="A8" t="str"><f>"token "&amp;$G$5</f><v>token 1</v></c><c r="F8"'
    assert check(write(replaced(sound, BLOCK, '<c r="F8"', label), tmp_path / "label.xlsx")) == []


@pytest.mark.parametrize(
    "formula",
    [
        "IF(F$5,SUMPRODUCT('h0 weights'!$C$4:$C$5,F$11:F$12)+$D7,\"\")",
        "-(1+2)%^-2",
        'IF(A1,,"a""b")',
        "SUM(INDEX(A1:A3,1):INDEX(A1:A3,2))",
        "SUMPRODUCT({1,2;3,-4})",
        "1.5E+3&lt;&gt;.5",
        "TRUE=false",
        " 1 + 2 ",
        "5%%",
        "5%%+A1%%%",
        "SUMPRODUCT(MMULT($A$1:C$1,C$1:C$3))",
        "SUMPRODUCT(MAX((A1:A3=1)*(B1:B3&gt;2)*(2048-C1:C3)))",
        "SUMPRODUCT(EXP(1)^((A1:A3-A4)/B1))",
        "SQRT(SUMPRODUCT((A1:A3-B1:B3)*(A1:A3-B1:B3)))/MAX(MAX(A1:A3),-MIN(A1:A3))",
        "INDEX(A1:C3,MATCH(B1,A1:A3,0)+1,2)",
        "INDEX((A1:A3&gt;0)*1,2)",
        "LOOKUP(2,1/(A1:A3=1),B1:B3)",
        'COUNTIFS(A1:A3,"&gt;1",B1:B3,"&lt;"&amp;C1)+SUMIF(A1:A3,"&lt;"&amp;B1,C1:C3)/(B1-1)',
        "SUM(IF(A1&gt;0,A1:A3,B1:B3))",
        "SUM((A1:A3),MMULT(A1:B2,C1:D2))",
        "VLOOKUP(A1,B1:C3,2,FALSE)+LARGE(A1:A3,2)+ROWS(A1:A3)+SUBTOTAL(9,A1:A3)",
        "SUMPRODUCT(1/COUNTIF(A1:A3,A1:A3))",
        "SUM(token_ids)+ROW(A1)*2",
        "SUM(A1:A3)*2",
    ],
)
def test_sound_formulas_are_clean(formula: str, sound: Parts, tmp_path: Path) -> None:
    assert check(write(replaced(sound, HOME, "G11+F11", formula), tmp_path / "formula.xlsx")) == []


def test_a_formula_may_name_another_sheet_where_it_is_not_shared(sound: Parts, tmp_path: Path) -> None:
    shared = replaced(sound, BLOCK, "F$11*$D$7", 'F$11&amp;"Home!"')
    assert check(write(shared, tmp_path / "text.xlsx")) == []
    named = replaced(sound, BLOCK, "F$11*$D$7", "F$11*temperature")
    assert check(write(named, tmp_path / "name.xlsx")) == []


def test_an_array_formula_calculates_with_ranges(sound: Parts, tmp_path: Path) -> None:
    array = '<f t="array" ref="H11">SUM(IF(A1:A3&gt;0,1,0))</f>'
    assert check(write(replaced(sound, HOME, "<f>G11+F11</f>", array), tmp_path / "array.xlsx")) == []


@pytest.mark.parametrize("cell", ["F14", "M14", "X14", "Y14"])
def test_one_cell_that_differs_in_a_run_is_named(cell: str, sound: Parts, tmp_path: Path) -> None:
    old = f"SUMPRODUCT('h0 weights'!$C$4:$C$5,{cell[0]}$11:{cell[0]}$12)"
    problems = check(write(replaced(sound, BLOCK, old, "SUM(Z$11)"), tmp_path / "run.xlsx"))
    assert [(p.part, p.where) for p in problems] == [("h0", cell)]
    assert "right of the formula" in problems[0].rule


def test_names_that_only_look_like_r1c1_are_clean(sound: Parts, tmp_path: Path) -> None:
    for name in ("C1234567", "C16385_x", "R1048577x", "C_FOO", "B1_FOO", "RATE_1", "CR1_x", "_C1"):
        first = _name("temperature")
        named = replaced(sound, WORKBOOK, first, _name(name) + "'Home'!$C$4</definedName>" + first)
        assert check(write(named, tmp_path / "name.xlsx")) == [], name


# ECMA-376 part 1, 18.8.30, as Excel has them ([MS-OI29500] 2.1.712), formats from its own dialog, and ours
@pytest.mark.parametrize(
    "code",
    [
        *("General", "0", "0.00", "#,##0", "#,##0.00", "0%", "0.00%", "0.00E+00", "##0.0E+0", "# ?/?", "# ??/??", "@"),
        *(
            "m/d/yyyy",
            "d-mmm-yy",
            "h:mm AM/PM",
            "h:mm:ss A/P",
            "m/d/yyyy h:mm",
            "mm:ss",
            "[h]:mm:ss",
            "mm:ss.0",
            "# ?/16",
        ),
        *("#,##0_);(#,##0)", "#,##0.00_);[Red](#,##0.00)", "yyyy-mm-dd;@", "0.00_ ;[Red]-0.00 ", "0.0,,", "00000-0000"),
        *(
            "[$-409]mmmm d, yyyy;@",
            "[$-F800]dddd, mmmm dd, yyyy",
            "[$-F400]h:mm:ss AM/PM",
            "[$€-2] #,##0.00",
            "#,##0 €",
        ),
        r'_(* #,##0.00_);_(* \(#,##0.00\);_(* "-"??_);_(@_)',
        r'_-"$"* #,##0_-;\-"$"* #,##0_-;_-"$"* "-"_-;_-@_-',
        r"[<=9999999]###\-####;\(###\) ###\-####",
        *(
            "[DBNum1][$-804]General",
            "[$-411]ge.m.d;@",
            "[Color 12]0;[Color56]-0",
            ";;;",
            '"on";;"off"',
            '[=99999]"–";0',
        ),
        *('"T = "0.0', '"↓";;', "[>=1E+3]0.0,\\k;0", "[s].000", 'General\\ "x"', "#,##0.0 %"),
    ],
)
def test_formats_that_excel_writes_are_clean(code: str) -> None:
    assert number_format_fault(code) is None


def test_a_formula_is_read_into_its_references() -> None:
    reading = read("IF(F$5,SUMPRODUCT('it''s'!$C$4:$D$771,x),h0!G7)")
    assert [(r.sheet, r.left, r.top, r.right, r.bottom, r.left_moves) for r in reading.references] == [
        (None, 6, 5, 6, 5, True),
        ("it's", 3, 4, 4, 771, False),
        ("h0", 7, 7, 7, 7, True),
    ]
    assert reading.names == ["x"]
    assert reading.functions == [("SUMPRODUCT", 2), ("IF", 3)]


def test_no_function_is_both_allowed_and_volatile() -> None:
    assert not FUNCTIONS.keys() & {"RAND", "OFFSET", "INDIRECT", "NOW", "TODAY", "CELL", "INFO"}
    assert all(0 <= f.least <= f.most <= 255 for f in FUNCTIONS.values())


def test_what_is_sound_in_one_row_is_not_taken_for_granted_in_another() -> None:
    book = Book({"part": "Home"}, {}, {}, 1, 0, 0)
    formulas = FormulaCheck(book)
    for sound, broken in [
        ("A5*2", "A1048577*2"),
        ("SUM(A2:A5)+B1", "SUM(A5:A2)+B1"),
        ('LEN("B5")', 'LEN("_x0041_")'),
        ("Home!A5", "Homes!A5"),
    ]:
        assert list(formulas.problems(sound)) == [], sound
        assert list(formulas.problems(sound)) == [], sound
        assert list(formulas.problems(broken)) != [], broken
    assert list(formulas.problems("B5*2", place=Place.SHARED)) == []
    assert list(formulas.problems("Home!B5*2", place=Place.SHARED)) != []
