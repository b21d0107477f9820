"""`sheetgpt check`: what Excel refuses in a formula, and what sheetgpt promises of its own."""

from pathlib import Path

import pytest
from breakers import BLOCK, HOME, Break, Parts, labels, named_where_it_is_broken, replaced, sound_parts, write

from sheetgpt.excel_rules import check
from sheetgpt.excel_rules.book import Book
from sheetgpt.excel_rules.columns.positions import Positions
from sheetgpt.excel_rules.formula.formulas import FormulaCheck
from sheetgpt.excel_rules.formula.functions import FUNCTIONS
from sheetgpt.excel_rules.formula.grammar import read
from sheetgpt.excel_rules.formula.places import Place


@pytest.fixture(scope="module")
def sound() -> Parts:
    return sound_parts()


def _formula(formula: str, word: str) -> Break:
    """Another formula in Home!H11."""
    return Break(HOME, "<f>G11+F11</f>", f"<f>{formula}</f>", "H11", word)


def _block_formula(formula: str, word: str) -> Break:
    """Another formula in h0!G9, a token column."""
    return Break(BLOCK, "<f>SUM($F$7:G$7)</f>", f"<f>{formula}</f>", "G9", word)


def _shared(old: str, new: str, where: str, word: str) -> Break:
    return Break(BLOCK, old, new, where, word)


LONG = "x" * 256


DEEP = "ABS(" * 65 + "1" + ")" * 65


# [MS-XLSB] 2.5.98.98: in h0!F7, whose formula F7:H7 share
UNSHARED = [
    ("F$11*'h0 weights'!$C$4", "names a sheet"),
    ("F$11*Home!F$11", "names a sheet"),
    ("F$11*'h0'!F$11", "names a sheet"),
    ("SUM(F$11*{1,2})", "array constant"),
    ("SUM(INDEX(F$11:F$12,1):INDEX(F$11:F$12,2))", "with a colon"),
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


# a formula in which a function that takes one value gets a range or an array, and which
NOT_PLAIN = [
    ("SUMPRODUCT(MAX(EXACT(MID(A1,B1,C1:C3),D1:D3)*C1:C3))", "MID takes one value, not C1:C3"),
    ("SUMPRODUCT(MAX(EXACT(A1:A3,B1)*(5-C1:C3)))", "EXACT takes one value, not A1:A3"),
    ("SUMPRODUCT(ABS(A1:A3-B1))", "ABS takes one value, not A1:A3"),
    ("SUMPRODUCT(LEN(A1:A3),B1:B3)", "LEN takes one value, not A1:A3"),
    ("SUMPRODUCT(MOD(ROW(A1:A3),2)*B1:B3)", "MOD takes one value, not A1:A3"),
    ("SUMPRODUCT(1*_xlfn.UNICODE((A1:A3)))", "UNICODE takes one value, not A1:A3"),
    ("SUMPRODUCT(SIGN(MMULT(A1:B2,C1:D2)))", "SIGN takes one value, not the result of MMULT"),
    ("SUM(LEN({1,2}))", "LEN takes one value, not an array"),
    ("SUMPRODUCT(LEN(CHOOSE(A1,B1:B3,C1:C3)))", "LEN takes one value, not B1:B3"),
    ("SUMPRODUCT(INT(COUNTIF(A1:A3,A1:A3)))", "INT takes one value, not A1:A3"),
    ("SUMPRODUCT(EXP(INDEX(A1:A3,1):INDEX(A1:A3,2)))", "EXP takes one value, not the result of :"),
    ("SUMPRODUCT(1*ISNUMBER(token_ids))", "ISNUMBER takes one value, not token_ids"),
]


SHARED_FORMULAS = [
    _shared('<c r="G7"><f t="shared" si="0"/>', '<c r="G7"><f t="shared" si="9"/>', "G7", "no first cell"),
    _shared('<c r="R13"><f t="shared" si="2"/>', '<c r="R13"><f t="shared" si="1"/>', "R13", "outside"),
    _shared('r="R13"', 'r="R12"', "R12", "not valid in row 13"),
    _shared('ref="F13:Y13"', 'ref="F13:X13"', "Y13", "outside"),
    _shared('<c r="R13">', '<c r="R13" s="2">', "R13", "style 2"),
    _shared(' ref="F7:H7"', "", "F7", "no first cell"),
    _shared('ref="F7:H7"', 'ref="F7:G7"', "H7", "outside"),
    _shared('ref="F8:H8" si="1"', 'ref="F8:H8" si="0"', "F8", "index 0"),
    _shared('ref="F8:H8" si="1"', 'ref="F8:H8" si="x"', "F8", "not a number"),
    _shared('ref="F7:H7"', 'ref="E7:H7"', "F7", "not the first"),
    _shared('ref="F7:H7"', 'ref="F7:H8"', "F7", "fills down"),
    _shared('ref="F7:H7"', 'ref="H7:F7"', "F7", "not a range"),
    _shared('<c r="G7"><f t="shared" si="0"/>', '<c r="G7"><f t="shared" si="0">F7</f>', "G7", "carries its text"),
    _shared("F$11*$D$7", "XFC$11*$D7", "F7", "2 columns further right leaves"),
    _shared("<f>SUM($F$7:F$7)</f>", '<f t="dataTable">F7</f>', "F9", "dataTable"),
    _shared("<f>SUM($F$7:F$7)</f>", '<f t="array" ref="F9:G0">F7</f>', "F9", "not a range"),
    _shared("<f>SUM($F$7:F$7)</f>", "<f/>", "F9", "no text"),
    *(_shared('IF(F$5,F$11*$D$7,"")', formula, "F7", word) for formula, word in UNSHARED),
    _shared("<f>SUM($F$7:F$7)</f>", '<f colour="red">1</f>', "F9", "can't have the attribute"),
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
    *(_formula(formula, "to one cell with @") for formula in CUT),
    *(_formula(*case) for case in NOT_PLAIN),
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


ALL = [*SHARED_FORMULAS, *FORMULAS, *CAUSALITY, *FILLING_RIGHT]


@pytest.mark.parametrize("case", ALL, ids=labels(ALL))
def test_each_broken_rule_is_named_where_it_is_broken(
    case: Break, sound: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named_where_it_is_broken(case, sound, tmp_path, monkeypatch)


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
        "ABS(SUM(A1:A3))+LEN(INDEX(A1:C3,2,1))+EXACT(A1,B1)",
        "INT(SUMPRODUCT((A1:A3=B1)*(C1:C3&gt;2)))+ROUND(MAX(A1:A3),2)+MOD(MATCH(A1,B1:B3,0),2)",
        "SUMPRODUCT(A1:A3*SQRT(B1))+LN(SUMPRODUCT(A1:A3,B1:B3))+MOD(COLUMN(A1),2)",
        "CHOOSE(A1,INDEX(A1:A3,INT(B1)),INDEX(B1:B3,INT(B1)))+ABS(LARGE(A1:A3,1))+SUM({1,2}*2)",
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
    book = Book({"part": "Home"}, {}, Positions(), 1, 0, 0)
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
