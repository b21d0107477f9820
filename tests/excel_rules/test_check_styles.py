"""`sheetgpt check`: the stylesheet and its number formats."""

from pathlib import Path

import pytest
from breakers import STYLES, Break, Parts, labels, named_where_it_is_broken, sound_parts

from sheetgpt.excel_rules.parts.number_format import number_format_fault


@pytest.fixture(scope="module")
def sound() -> Parts:
    return sound_parts()


def _number_format(code: str, word: str) -> Break:
    code = code.replace('"', "&quot;").replace("<", "&lt;")
    return Break(STYLES, 'formatCode="0.000"', f'formatCode="{code}"', "numFmt 164", word)


NO_NUMBER_FORMATS = [
    ("0.0;[Foo", "bracket is not closed"),
    ("0.0;[Foo]0", "[Foo] is not a color"),
    ('0.0"m', "quote is not closed"),
    ("0.0Foo", "neither a placeholder"),
    ("0;0;0;@;0", "5 sections"),
    ("[<1]0;[<2]0;[<3]0;0", "more than 2 conditions"),
    ("@;0", "before the last section"),
    ("[Red][Blue]0", "more than one color"),
    ("0.0.0", "two decimal points"),
    ("0E+0E+0", "two exponents"),
    ("0E+", "lacks digits"),
    ("# ?/", "a fraction must be"),
    ("0 d", "mixes"),
    ("General 0", "mixes"),
    ("[Color57]0", "not a color"),
    ("[<x]0", "not a color, condition"),
    ("0\\", "neither a placeholder"),
    ("", "0 characters"),
    ("0" * 256, "256 characters"),
]


STYLE_RULES = [
    Break(STYLES, 'numFmtId="164" fontId="1"', 'numFmtId="165" fontId="1"', "cellXfs 1", "format 165"),
    Break(STYLES, 'numFmtId="164" fontId="1"', 'numFmtId="164" fontId="2"', "cellXfs 1", "fontId 2"),
    Break(STYLES, 'numFmtId="164" formatCode', 'numFmtId="3" formatCode', "numFmt 3", "an id of its own"),
    *(_number_format(*case) for case in NO_NUMBER_FORMATS),
    Break(STYLES, 'borderId="0" pivot', 'borderId="1" pivot', "cellXfs 0", "borderId 1"),
    Break(STYLES, 'xfId="0"/></cellXfs>', 'xfId="1"/></cellXfs>', "cellXfs 1", "xfId 1"),
    Break(STYLES, '<cellStyle name="Normal" xfId="0"', '<cellStyle name="Normal" xfId="1"', "cellStyles 0", "xfId 1"),
    Break(STYLES, '<fonts count="2">', '<fonts count="3">', "fonts", "count is 3"),
    Break(STYLES, '<sz val="11"/>', '<sz val="11"/><sz val="12"/>', "fonts", "2 elements 'sz'"),
    Break(STYLES, '<sz val="11"/><color theme="1"/>', '<color theme="1"/><sz val="11"/>', "fonts", "is sz color name"),
    Break(STYLES, '<b val="1"/>', '<name val="Arial"/><b val="1"/>', "fonts", "the order name b; Excel's is b name"),
    Break(STYLES, "<dxf>", '<dxf><font><u/><b val="1"/></font>', "fonts", "the order u b; Excel's is b u"),
]


ALL = STYLE_RULES


@pytest.mark.parametrize("case", ALL, ids=labels(ALL))
def test_each_broken_rule_is_named_where_it_is_broken(
    case: Break, sound: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named_where_it_is_broken(case, sound, tmp_path, monkeypatch)


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
