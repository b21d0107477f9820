"""`sheetgpt check`: a sound workbook is clean, and each rule, broken once, is named where it is broken.

Here the package and its workbook part; cells, formulas and styles have files of their own.
"""

import io
import zipfile
from pathlib import Path

import pytest
from breakers import (
    CHART,
    DRAWING,
    HOME,
    LINKS,
    STYLES,
    THEME,
    TYPES,
    WEIGHTS,
    WORKBOOK,
    Break,
    Parts,
    excels_chart_parts,
    labels,
    named_where_it_is_broken,
    replaced,
    sound_parts,
    without_styles,
    without_theme,
    write,
)

from sheetgpt.errors import SheetGPTError
from sheetgpt.excel_rules import Problem, check

COMPATIBILITY = "http://schemas.openxmlformats.org/markup-compatibility/2006"


@pytest.fixture(scope="module")
def sound() -> Parts:
    return sound_parts()


def _name(name: str) -> str:
    return f'<definedName name="{name}">'


def _sheet_name(name: str, word: str) -> Break:
    return Break(WORKBOOK, 'name="h0"', f'name="{name}"', name.replace("&apos;", "'"), word)


def _defined(name: str, word: str) -> Break:
    first = _name("temperature")
    return Break(WORKBOOK, first, _name(name) + "'Home'!$C$4</definedName>" + first, name, word)


WORKBOOK_RULES = [
    _sheet_name("", "1 to 31"),
    _sheet_name("x" * 32, "1 to 31"),
    *(_sheet_name(f"a{mark}b", f"can't contain {mark!r}") for mark in "[]:*?/"),
    _sheet_name("a\\b", "can't contain '\\\\'"),
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
    *(_defined(name, "only letters") for name in ("1a", "a b", "a-b", ".a", "a!b", "")),
    _defined("n" * 256, "255"),
    Break(WORKBOOK, _name("wte"), _name("TOKEN_ids"), "TOKEN_ids", "the same"),
    Break(WORKBOOK, "'Home'!$C$4", "'Hom'!$C$4", "temperature", "not there"),
    Break(WORKBOOK, "'Home'!$C$4", "'Home'!$C$1048577", "temperature", "leaves the sheet"),
    Break(WORKBOOK, "'Home'!$C$4", "'Home'!C4", "temperature", "absolute"),
    Break(WORKBOOK, "'Home'!$C$4", "$C$4", "temperature", "doesn't name its sheet"),
    Break(WORKBOOK, "'Home'!$C$4", "'Home'!#REF!", "temperature", "not valid"),
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
    Break(LINKS, 'Id="rId4"', 'Id="-4"', "-4", "begin with a letter"),
    Break(LINKS, "<Relationship ", '<Relationship frob="1" ', "", "can't have the attribute 'frob'"),
    Break(LINKS, "<Relationship ", "text<Relationship ", "", "A text stands"),
    Break(LINKS, "<Relationships ", '<Relationships count="5" ', "", "can't have the attribute 'count'"),
    Break(TYPES, "<Types ", '<Types frob="1" ', "", "can't have the attribute 'frob'"),
    Break(TYPES, 'ContentType="application/xml"', 'ContentType="true"', "xml", "type/subtype"),
    Break(DRAWING, "<colOff>0</colOff>", "<colOff>x</colOff>", "colOff", "not a whole number"),
    Break(DRAWING, "<cNvGraphicFramePr/>", '<cNvPr id="1"/><cNvGraphicFramePr/>', "cNvPr", "2 of the drawing's shapes"),
    Break(THEME, "/drawingml/2006/main", "/drawingml/2006/mine", "", "The part's root"),
    Break(HOME, 'r:id="rId1"', 'r:id="rId9"', "rId9", "no relationship"),
    Break(DRAWING, 'r:id="rId1"', 'r:id="rId9"', "rId9", "no relationship"),
    Break(CHART, "'Home'!$F$11", "'Hom'!$F$11", "'Hom'!$F$11", "not there"),
    Break(CHART, "'Home'!$F$11", "$F$11", "$F$11", "name its sheet"),
    Break(CHART, "'Home'!$F$11", "SUM('Home'!$F$11)", "SUM('Home'!$F$11)", "made of cells"),
    Break(CHART, 'formatCode="0%"', 'formatCode="0[Foo]"', "0[Foo]", "not a color"),
    Break(DRAWING, "<col>9</col>", "<col>16384</col>", "col", "outside the sheet"),
    Break(STYLES, "</fonts>", "", "", "not XML"),
    Break(WORKBOOK, "</workbook>", "", "", "not XML"),
    Break(HOME, "</worksheet>", "", "", "not XML"),
    Break(HOME, "<worksheet ", "<!DOCTYPE x><worksheet ", "", "DTD"),
    Break(STYLES, "<styleSheet ", "<!DOCTYPE x><styleSheet ", "", "DTD"),
]


DECLARED = [
    Break(HOME, "<sheetViews>", '<sheetViews frob="1">', "sheetViews", "can't have the attribute 'frob'"),
    Break(HOME, "<pageMargins ", '<pageMargins xmlns:n="urn:n" n:left="1" ', "pageMargins", "the attribute 'left'"),
    Break(WORKBOOK, "<bookViews>", '<bookViews id="">', "bookViews", "can't have the attribute 'id'"),
    Break(THEME, "<a:dk1>", '<a:dk1 count="1">', "dk1", "can't have the attribute 'count'"),
    Break(CHART, '<orientation val="minMax"/>', '<orientation val="minMax"><x/></orientation>', "orientation", "'x'"),
    Break("docProps/app.xml", "</Application>", "<x/></Application>", "Application", "can't hold the element 'x'"),
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


def test_a_sound_workbook_is_clean(sound: Parts, tmp_path: Path) -> None:
    assert check(write(sound, tmp_path / "sound.xlsx")) == []


ALL = [*WORKBOOK_RULES, *POSITIONS, *PACKAGE, *DECLARED, *SCHEMA]


@pytest.mark.parametrize("case", ALL, ids=labels(ALL))
def test_each_broken_rule_is_named_where_it_is_broken(
    case: Break, sound: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named_where_it_is_broken(case, sound, tmp_path, monkeypatch, with_schema=case in SCHEMA)


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
    assert any("2 parts with this name" in p.rule for p in check(path))


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


def test_a_problem_prints_its_place() -> None:
    assert str(Problem("h0", "F7", "It is broken.")) == "h0!F7: It is broken."
    assert str(Problem("xl/styles.xml", "", "It is broken.")) == "xl/styles.xml: It is broken."


def test_names_that_only_look_like_r1c1_are_clean(sound: Parts, tmp_path: Path) -> None:
    for name in ("C1234567", "C16385_x", "R1048577x", "C_FOO", "B1_FOO", "RATE_1", "CR1_x", "_C1"):
        first = _name("temperature")
        named = replaced(sound, WORKBOOK, first, _name(name) + "'Home'!$C$4</definedName>" + first)
        assert check(write(named, tmp_path / "name.xlsx")) == [], name


def test_what_other_programs_write_is_clean(sound: Parts, tmp_path: Path) -> None:
    each = {"no theme": without_theme(sound), "Excel's chart": excels_chart_parts(sound)}
    foreign = f'xmlns:mc="{COMPATIBILITY}" xmlns:n="urn:n" mc:Ignorable="n" n:year="1" '
    each["what may be ignored"] = replaced(sound, HOME, "<worksheet ", f"<worksheet {foreign}")
    for what, parts in each.items():
        assert check(write(parts, tmp_path / "theirs.xlsx")) == [], what


def test_a_stylesheet_may_be_missing_where_no_cell_has_a_style(sound: Parts, tmp_path: Path) -> None:
    """A package has at most one (ECMA-376 part 1, 12.3.20)."""
    bare = without_styles(sound)
    assert check(write(bare, tmp_path / "bare.xlsx")) == []
    styled = replaced(bare, WEIGHTS, '<c r="C4">', '<c r="C4" s="1">')
    assert [p.where for p in check(write(styled, tmp_path / "styled.xlsx"))] == ["C4"]
