"""What can be known of how a workbook looks in Excel: charts, hints, names of sheets, white space at a text's ends.

Sizes follow Excel's rules: a column in pixels from its width in characters (ECMA-376 part 1, 18.3.1.13), a row of 15
points.
"""

import re
import zipfile
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import openpyxl
import pytest
from openpyxl.utils import get_column_letter
from patching import patch, set_formula, sheet_part
from some_sheets import defined_names, one_sheet

import sheetgpt
from sheetgpt.engines import Step, cached, libreoffice
from sheetgpt.excel_rules import check
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.writing.book import NO_HINTS, Book
from sheetgpt.sheets.home.self_check import AGREES

DIGIT = 7  # pixels: the widest digit of Calibri 11
EMU = 9525  # a pixel
WIDE = 1.2  # letters for a character of a column's width: most are narrower than a digit
NUMBERS = "1984 007 1/2/31"


@pytest.fixture(scope="module")
def numbers_workbook(reader: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its prompt is numbers, which are texts."""
    path = tmp_path_factory.mktemp("looks") / "numbers.xlsx"
    return sheetgpt.build(reader, path, prompt=NUMBERS, context=24, new_tokens=2, prompt_bytes=32, merge_rounds=6)


class Box(NamedTuple):
    """Pixels from the sheet's top left corner."""

    left: int
    top: int
    right: int
    bottom: int


def column_pixels(characters: float) -> int:
    return int((256 * characters + 128 // DIGIT) / 256 * DIGIT)


def chart_boxes(workbook: Path, sheet: str, plain_row: int = 20) -> tuple[list[Box], Callable[[int], int]]:
    """Where the charts of a sheet stand, and where a row begins; `plain_row` is a row without a height of its own."""
    with zipfile.ZipFile(workbook) as package:
        xml = package.read(sheet_part(package, sheet)).decode()
        part = sheet_part(package, sheet)
        links = package.read(part.replace("sheets/", "sheets/_rels/") + ".rels").decode()
        target = re.search(r'Target="/?([^"]*drawing\d+\.xml)"', links)
        assert target
        drawing = ElementTree.fromstring(package.read(target[1]))
    widths: dict[int, int] = {}
    for low, high, width in ((m[2], m[3], m[1]) for m in re.finditer(COLUMN, xml)):
        widths |= dict.fromkeys(range(int(low), int(high) + 1), column_pixels(float(width)))
    heights = {int(n): round(float(points) * 4 / 3) for n, points in re.findall(r'<row r="(\d+)" ht="([\d.]+)"', xml)}

    def left(column: int) -> int:
        return sum(widths.get(c, 64) for c in range(1, column))

    def top(row: int) -> int:
        return sum(heights.get(r, plain_row) for r in range(1, row))

    def corner(marker: ElementTree.Element) -> tuple[int, int]:
        column, right, row, down = (int(marker.findtext(f"{{*}}{k}", "0")) for k in ("col", "colOff", "row", "rowOff"))
        return left(column + 1) + right // EMU, top(row + 1) + down // EMU

    boxes = []
    for anchor in drawing:
        start, end = anchor.find("{*}from"), anchor.find("{*}to")
        assert start is not None
        x, y = corner(start)
        if end is not None:
            boxes.append(Box(x, y, *corner(end)))
        else:
            size = anchor.find("{*}ext")
            assert size is not None
            boxes.append(Box(x, y, x + int(size.get("cx", "")) // EMU, y + int(size.get("cy", "")) // EMU))
    return boxes, top


COLUMN = r'<col width="([\d.]+)" customWidth="1" min="(\d+)" max="(\d+)"'


def list_row(workbook: Path) -> int:
    """Where Home's list of the sheets begins."""
    area = Area.parse(defined_names(workbook)["sheet_list"])
    assert area is not None
    return area.row


@pytest.mark.parametrize("plain_row", [17, 20])  # LibreOffice's and Excel's
def test_no_chart_covers_another_or_the_next_section(
    micro_workbook: Path, numbers_workbook: Path, plain_row: int
) -> None:
    for workbook in (micro_workbook, numbers_workbook):
        boxes, top = chart_boxes(workbook, "Home", plain_row)
        assert len(boxes) == 2
        for box in boxes:
            assert box.right - box.left > 300
            assert box.bottom - box.top > 150
            assert box.bottom <= top(list_row(workbook) - 1)
        for a, b in combinations(boxes, 2):
            assert a.right <= b.left or b.right <= a.left, f"{a} and {b} overlap"


@pytest.mark.parametrize("plain_row", [17, 20])
@pytest.mark.parametrize(("sheet", "n"), [("Contributions", 3), ("Lens", 4)])
def test_no_chart_covers_another_or_any_cell(micro_workbook: Path, sheet: str, n: int, plain_row: int) -> None:
    """The tables' titles are wider than what stands below them, and the text runs on above the charts."""
    boxes, top = chart_boxes(micro_workbook, sheet, plain_row)
    assert len(boxes) == n
    for a, b in combinations(boxes, 2):
        assert a.right <= b.left or b.right <= a.left or a.bottom <= b.top or b.bottom <= a.top, f"{a} and {b} overlap"
    used: dict[int, int] = {}
    for number, cells in enumerate(one_sheet(micro_workbook, sheet).iter_rows(), 1):
        used[number] = max(
            (c for c, cell in enumerate(cells, 1) if cell.value is not None or cell.has_style), default=0
        )
    lefts = [column_of(micro_workbook, sheet, box.left) for box in boxes]
    for box, left in zip(boxes, lefts, strict=True):
        assert box.right - box.left > 250
        assert box.bottom - box.top > 120
        for row, last in used.items():
            if top(row) < box.bottom and top(row + 1) > box.top:
                assert last < left, f"row {row} of {sheet} reaches under a chart"


def column_of(workbook: Path, sheet: str, x: int) -> int:
    """The column that a chart begins in."""
    with zipfile.ZipFile(workbook) as package:
        xml = package.read(sheet_part(package, sheet)).decode()
    edge, column = 0, 0
    widths = {int(m[2]): (float(m[1]), int(m[3])) for m in re.finditer(COLUMN, xml)}
    by_column = {c: column_pixels(w) for low, (w, high) in widths.items() for c in range(low, high + 1)}
    while edge <= x:
        column += 1
        edge += by_column.get(column, 64)
    return column


def test_charts_have_square_corners_and_one_color_a_series(micro_workbook: Path) -> None:
    with zipfile.ZipFile(micro_workbook) as package:
        charts = [package.read(name) for name in package.namelist() if name.startswith("xl/charts/")]
    assert len(charts) > 2
    for chart in charts:
        assert b'<c:roundedCorners val="0"' in chart
        assert b'<c:varyColors val="0"' in chart


def ignored(package: zipfile.ZipFile, title: str) -> dict[str, list[str]]:
    """Kind of hint -> ranges."""
    xml = package.read(sheet_part(package, title)).decode()
    found = re.findall(r'<ignoredError sqref="([^"]*)" ([^>]*)/>', xml)
    return {kind: ranges.split() for ranges, kinds in found for kind in re.findall(r'(\w+)="1"', kinds)}


def test_excel_gives_no_hint_on_texts_that_look_like_numbers(numbers_workbook: Path) -> None:
    """Neither on constants nor on what formulas show; and no hint at all on ranges that formulas don't take whole."""
    book = openpyxl.load_workbook(numbers_workbook, data_only=True)
    found = 0
    with zipfile.ZipFile(numbers_workbook) as package:
        for sheet in book:
            hints = ignored(package, sheet.title)
            assert set(NO_HINTS) <= set(hints), sheet.title
            for cell in (cell for row in sheet.iter_rows() for cell in row):
                if isinstance(cell.value, str) and re.fullmatch(r" *\d+(/\d+/\d+|E\d+)? *", cell.value):
                    found += 1
                    for kind in NO_HINTS:
                        assert any(holds(area, cell.row, cell.column) for area in hints.get(kind, [])), (
                            f"{sheet.title}!{cell.coordinate} is {cell.value!r}: {kind}"
                        )
    assert found > 450
    assert check(numbers_workbook) == []


def holds(cells: str, row: int, column: int) -> bool:
    area = Area.parse(f"x!{cells}")
    assert area is not None
    return area.row <= row <= area.last_row and area.column <= column <= area.last_column


def test_hints_in_the_wrong_place_are_named(micro_workbook: Path, tmp_path: Path) -> None:
    """Excel refuses a sheet whose parts are out of order."""

    def move(sheet: str) -> str:
        part = re.search(r"<ignoredErrors>.*</ignoredErrors>", sheet)
        assert part
        return sheet.replace(part[0], "").replace("</worksheet>", part[0] + "</worksheet>")

    broken = patch(micro_workbook, tmp_path / "b.xlsx", {"Home": move})  # behind its drawing
    assert [problem.rule for problem in check(broken) if "ignoredErrors" in problem.rule]


def formulas(workbook: Path) -> list[str]:
    with zipfile.ZipFile(workbook) as package:
        sheets = [package.read(name).decode() for name in package.namelist() if name.startswith("xl/worksheets/")]
    return [formula for sheet in sheets for formula in re.findall(r"<f[^>]*>([^<]+)</f>", sheet)]


def test_no_formula_depends_on_the_users_language(numbers_workbook: Path, odd_workbook: Path) -> None:
    """TEXT's format, VALUE's text and the like are read by the rules of the machine: 0.0% is 04% in German."""
    for formula in (*formulas(numbers_workbook), *formulas(odd_workbook)):
        assert not re.search(r"\b(TEXT|VALUE|FIXED|DOLLAR|DATEVALUE|NUMBERVALUE)\(", formula), formula


def test_the_self_check_tells_how_large_a_difference_is(
    numbers_workbook: Path, reader: Checkpoint, tmp_path: Path
) -> None:
    def shift(by: str) -> str:
        change = set_formula("D30", lambda formula: f"({formula})*(1+{by})")
        patch(numbers_workbook, tmp_path / "shifted.xlsx", {"Home": change})
        cells = libreoffice.recalculate(tmp_path / "shifted.xlsx", {}, ["self_check"])["self_check"]
        assert cells is not None
        return cells.texts[0, 0]

    assert shift("0.000000000002") == AGREES
    assert re.search(r"by more than 1E-[34]: was a weight", shift("0.001"))


def test_no_sheet_is_named_like_a_cell(numbers_workbook: Path, odd_workbook: Path) -> None:
    """H1 or R1C1: a tool that doesn't quote the name in a formula would read a cell."""
    for workbook in (numbers_workbook, odd_workbook):
        titles = openpyxl.load_workbook(workbook, read_only=True).sheetnames
        assert "Block 0" in titles
        assert "Block 0 weights" in titles
        assert not [title for title in titles if re.fullmatch(r"(?i)[a-z]{1,3}[0-9]+|r[0-9]*c[0-9]*|r[0-9]*", title)]


def test_home_links_to_the_sections_of_a_block(micro_workbook: Path) -> None:
    home = one_sheet(micro_workbook, "Home")
    (row,) = (row for row in home.iter_rows(min_row=list_row(micro_workbook)) if row[0].value == "Block 1")
    names = [cell.value for cell in row[5:] if cell.value]
    places = [cell.hyperlink.location for cell in row if cell.hyperlink is not None]
    assert names[:4] == ["ln_1", "attn.qkv", "head 0", "head 1"]
    assert names[-1] == "resid_post"
    assert places[:2] == ["'Block 1'!A1", "'Block 1'!A7"]
    assert len(places) == 1 + len(names)


def test_shares_of_the_guide_are_numbers(micro_workbook: Path) -> None:
    guide = one_sheet(micro_workbook, "Guide", values=True)
    cells = [(cell, cell.value) for (cell,) in guide.iter_rows(min_col=4, max_col=4)]
    shares = [(cell.number_format, value) for cell, value in cells if isinstance(value, float)]
    assert len(shares) == 5
    assert {form for form, _ in shares} == {"0.0%"}
    assert sum(value for _, value in shares) == pytest.approx(1)


SPACED = (" a", "a ", "a\n", "\na", "\ta", "a\t", "\n", "  ")
PLAIN = ("a", "a b", "a\nb", "", "_ a_")


def test_white_space_at_a_cached_texts_ends_is_kept(tmp_path: Path) -> None:
    """By openpyxl and calamine; LibreOffice 7.4 drops it until it recalculates, whatever `xml:space` says."""
    book = Book("spaces")
    texts = (*SPACED, *PLAIN)

    def stream() -> list[rows.Row]:
        one = [rows.row(i, rows.formula(1, f"$B${i}", text), rows.text(2, text)) for i, text in enumerate(texts, 1)]
        n = len(texts) + 1
        return [*one, rows.row(n, rows.fill_right(1, "B$1", [" x", "y", "z "]))]

    book.add(book.frame("S"), stream, f"C{len(texts) + 1}", 2 * len(texts) + 3)
    path = tmp_path / "spaces.xlsx"
    book.save(path)
    with zipfile.ZipFile(path) as package:
        xml = package.read("xl/worksheets/sheet1.xml").decode()
    assert re.findall(r'<v xml:space="preserve">([^<]*)</v>', xml) == [*SPACED, " x", "z "]
    sheet = one_sheet(path, "S", values=True)
    places = [f"S!A{i}" for i in range(1, len(texts) + 1)]
    saved = cached.recalculate(path, {}, places)
    (again,) = libreoffice.run(path, [Step({}, places)])
    for i, (place, text) in enumerate(zip(places, texts, strict=True), 1):
        assert (sheet.cell(i, 1).value or "") == text
        for cells in (saved[place], again[place]):
            assert cells is not None
            assert cells.texts.get((0, 0), "") == text
    assert check(path) == []


def test_a_sentence_that_runs_on_over_white_cells_is_never_white(numbers_workbook: Path) -> None:
    sheet = one_sheet(numbers_workbook, "BPE by hand")
    cut = [r for area in sheet.conditional_formatting for r in area.rules if "The text is cut" in "".join(r.formula)]
    assert len(cut) == 2
    assert {rule.dxf.font.color.rgb[-6:] for rule in cut} == {"C00000"}


@pytest.mark.parametrize("workbook", ["micro_workbook", "numbers_workbook"])
def test_no_text_that_changes_runs_across_the_edge_of_what_is_frozen(
    workbook: str, request: pytest.FixtureRequest
) -> None:
    """LibreOffice doesn't paint the part beyond the edge anew: an old text's end would stand after a new one."""
    path: Path = request.getfixturevalue(workbook)
    formulas, values = (openpyxl.load_workbook(path, data_only=only) for only in (False, True))
    seen, crossing = 0, []
    for sheet in formulas:
        pane = sheet.sheet_view.pane
        frozen = int(pane.xSplit or 0) if pane else 0
        for row in sheet.iter_rows(max_col=frozen) if frozen else ():
            for cell in row:
                said = values[sheet.title][cell.coordinate].value
                if cell.data_type != "f" or not isinstance(said, str) or cell.alignment.wrap_text:
                    continue
                seen += 1
                columns = map(get_column_letter, range(cell.column or 1, frozen + 1))
                free = not sheet[f"{get_column_letter(frozen + 1)}{cell.row}"].value
                if free and len(said) > WIDE * sum(sheet.column_dimensions[each].width for each in columns):
                    crossing.append((sheet.title, cell.coordinate, said))
    assert seen > 100
    assert crossing == []
