"""No formula in a position's column sees a later token, and all fill right: random breakages of both kinds are named.

A workbook is built once; its broken copies have many broken cells at a time, each in a row of its own.
"""

import random
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

import openpyxl
import pytest
from openpyxl.utils import get_column_letter
from patching import Change, cell_xml, in_order, patch, set_formula, set_row_formula, sheet_part

from sheetgpt.excel_rules import Problem, check
from sheetgpt.excel_rules.book import Book
from sheetgpt.excel_rules.columns.causality import Causality
from sheetgpt.excel_rules.columns.positions import Positions
from sheetgpt.excel_rules.formula.grammar import read
from sheetgpt.excel_rules.formula.references import Box
from sheetgpt.excel_rules.formula.uses import uses
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.ooxml.area import Area
from sheetgpt.workbook.build import build

KINDS = ("micro", "odd", "int8", "ids", "reader")
N_BROKEN = {"micro": 34, "odd": 33, "reader": 33}
RIGHT, ROWS = "right of the formula's own", "no $ before its row"

Formulas = dict[str, dict[str, str]]  # sheet -> cell -> its formula


@pytest.fixture(scope="module")
def workbooks(
    micro: Checkpoint,
    reader: Checkpoint,
    micro_workbook: Path,
    odd_workbook: Path,
    reader_workbook: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("workbooks")
    return {
        "micro": micro_workbook,
        "odd": odd_workbook,
        "reader": reader_workbook,
        "int8": build(micro, folder / "int8.xlsx", ids=(5, 9, 33), context=6, weights="int8"),
        "ids": build(reader, folder / "ids.xlsx", ids=(36, 5), context=7, new_tokens=3, prompt_bytes=0),
    }


@pytest.fixture(autouse=True)
def _no_schema(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a check's time goes into the order of the elements, which no formula changes."""
    if "sound_workbook" not in request.node.name:
        monkeypatch.setattr(import_module("sheetgpt.excel_rules"), "schema_problems", lambda archive, skeletons: ())


@dataclass(frozen=True)
class Opened:
    """Of a workbook: the cells that are positions, by sheet, the formulas in them, and what its names refer to."""

    path: Path
    areas: dict[str, Box]
    formulas: Formulas
    elsewhere: Formulas

    def holds(self, sheet: str, box: Box) -> bool:
        return sheet in self.areas and self.areas[sheet].holds(box)


@pytest.fixture(scope="module")
def opened(workbooks: dict[str, Path]) -> dict[str, Opened]:
    return {kind: _open(workbooks[kind]) for kind in N_BROKEN}


def box(cells: str) -> Box:
    area = Area.parse(f"x!{cells}")
    assert area
    return Box(area.column, area.row, area.last_column, area.last_row)


def joined(text: str, formula: str) -> str:
    return f"{formula}&{text}"


def _open(path: Path) -> Opened:
    book = openpyxl.load_workbook(path)
    areas = {}
    for name, defined in book.defined_names.items():
        if name.startswith("positions_"):
            ((title, cells),) = defined.destinations
            areas[title] = box(cells)
    inside: Formulas = {sheet.title: {} for sheet in book}
    outside: Formulas = {sheet.title: {} for sheet in book}
    with zipfile.ZipFile(path) as package:
        for sheet in book:
            xml = package.read(sheet_part(package, sheet.title)).decode()
            for cell in re.findall(r'<c r="([A-Z]+\d+)"[^>]*><f', xml):
                held = sheet.title in areas and areas[sheet.title].holds(box(cell))
                formula = sheet[cell].value
                (inside if held else outside)[sheet.title][cell] = formula[1:]
    return Opened(path, areas, inside, outside)


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_workbook_has_no_problem(kind: str, workbooks: dict[str, Path]) -> None:
    assert check(workbooks[kind]) == []


@pytest.mark.parametrize("kind", N_BROKEN)
def test_every_sheet_with_a_token_a_column_is_declared(kind: str, opened: dict[str, Opened]) -> None:
    declared = set(opened[kind].areas)
    assert declared >= {"Home", "Embed", "Block 0", "Output", "Sample"}
    assert all(opened[kind].formulas[sheet] for sheet in declared)


@pytest.mark.parametrize("kind", N_BROKEN)
def test_the_quick_reading_of_a_formula_finds_what_the_grammar_finds(kind: str, opened: dict[str, Opened]) -> None:
    for formulas in (opened[kind].formulas, opened[kind].elsewhere):
        for sheet, cells in formulas.items():
            shapes = {re.sub(r"\d+", "#", text): text for text in cells.values()}
            for text in shapes.values():
                careful = [
                    ((r.sheet or sheet).lower(), (r.left, r.top, r.right, r.bottom), r.left_moves, r.right_moves,
                     r.rows_move, r.text)
                    for r in read(text).references
                ]  # fmt: skip
                assert [tuple(use) for use in uses(text, sheet.lower(), {})] == careful, text


# ---- random breakages -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Broken:
    sheet: str
    cell: str
    formula: str
    word: str


def _to_the_right(formula: str, sheet: str, column: int, book: Opened, rng: random.Random) -> str | None:
    """One of its references into the positions looks at a column right of the formula's own."""
    areas = {title.lower(): area for title, area in book.areas.items()}
    into = [u for u in uses(formula, sheet.lower(), {}) if u.sheet in areas and areas[u.sheet].meets(u.box)]
    into = [use for use in into if areas[use.sheet].right > column]
    if not into:
        return None
    use = rng.choice(into)
    later = get_column_letter(rng.randint(column + 1, areas[use.sheet].right))
    head, _, cells = use.text.rpartition("!")
    *first, last = cells.split(":")
    moved = ":".join([*first, re.sub(r"[A-Z]+", later, last)])
    return _with(formula, use.text, f"{head}!{moved}" if head else moved)


def _without_dollar(formula: str, rng: random.Random) -> str | None:
    """One of its references has lost the $ before a row."""
    found = [use for use in uses(formula, "", {}) if re.search(r"[A-Z]\$\d", use.text)]
    if not found:
        return None
    use = rng.choice(found)
    place = rng.choice([m.start() + 1 for m in re.finditer(r"[A-Z]\$\d", use.text.rpartition("!")[2])])
    head, mark, cells = use.text.rpartition("!")
    return _with(formula, use.text, head + mark + cells[:place] + cells[place + 1 :])


def _with(formula: str, old: str, new: str) -> str:
    return re.sub(rf"(?<![\w$!'.]){re.escape(old)}(?![\w:])", lambda _: new, formula, count=1)


def _breakages(book: Opened, n: int, rng: random.Random) -> Iterator[Broken]:
    """n broken cells, no two in one row; at most 20 a sheet, of which `check` lists some 50 problems."""
    taken: set[tuple[str, str]] = set()
    sheets, count = list(book.areas), Counter[str]()
    while count.total() < n:
        sheet = rng.choice(sheets)
        cell, formula = rng.choice(list(book.formulas[sheet].items()))
        row = cell.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        column = box(cell).left
        right = count.total() % 2 == 0
        new = _to_the_right(formula, sheet, column, book, rng) if right else _without_dollar(formula, rng)
        if new is None or (sheet, row) in taken or count[sheet] >= 20:
            continue
        assert new != formula, (sheet, cell, formula)
        taken.add((sheet, row))
        count[sheet] += 1
        yield Broken(sheet, cell, new, RIGHT if right else ROWS)


def _changed(broken: Broken) -> Change:
    """The cell's own formula, or, where a formula of the whole row begins, the row's."""

    def apply(sheet: str) -> str:
        begins = '<f t="shared" ref' in cell_xml(sheet, broken.cell)
        return (set_row_formula if begins else set_formula)(broken.cell, lambda _: broken.formula)(sheet)

    return apply


def _all_at_once(cells: list[Broken]) -> dict[str, Change]:
    return {sheet: in_order(*(_changed(b) for b in cells if b.sheet == sheet)) for sheet in {b.sheet for b in cells}}


@pytest.mark.parametrize("kind", N_BROKEN)
def test_random_breakages_are_all_named_and_nothing_else(kind: str, opened: dict[str, Opened], tmp_path: Path) -> None:
    """100 in all: half look right, half have lost the $ before a row."""
    book = opened[kind]
    broken = list(_breakages(book, N_BROKEN[kind], random.Random(f"{kind} 11")))
    problems = check(patch(book.path, tmp_path / "broken.xlsx", _all_at_once(broken)))
    said = {(p.part, p.where): p.rule for p in problems}
    for b in broken:
        assert any(b.word in p.rule for p in problems if (p.part, p.where) == (b.sheet, b.cell)), (b, said)
    assert set(said) == {(b.sheet, b.cell) for b in broken}


# ---- what goes round by cells that are no positions --------------------------------------------------------------


ROUND_ABOUT = [
    ("Sample", "G97", "'Home'!$J$30", "J30"),  # how many tokens there are
    ("Home", "H15", "'Softmax'!$C$6", "C6"),  # the distribution after the last token
    ("Block 0", "F170", "LEN('Block 0'!$A$81)", "A81"),  # "key: …" of the second token
    ("Embed", "F12", "SUM('Block 0'!$A$80:$A$81)", "A81"),
    ("Output", "G40", "LEN('Home'!$B$20)", "B20"),
    ("Block 1", "H60", "n_tokens", "J30"),
]


@pytest.fixture(scope="module")
def round_about(micro_workbook: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Problem]:
    changes: dict[str, Change] = {}
    for sheet, cell, text, _ in ROUND_ABOUT:
        change = set_formula(cell, partial(joined, text))
        changes[sheet] = in_order(changes[sheet], change) if sheet in changes else change
    return check(patch(micro_workbook, tmp_path_factory.mktemp("round") / "about.xlsx", changes))


@pytest.mark.parametrize(("sheet", "cell", "text", "by"), ROUND_ABOUT)
def test_a_later_token_is_not_seen_by_way_of_another_cell(
    sheet: str, cell: str, text: str, by: str, round_about: list[Problem]
) -> None:
    rules = [p.rule for p in round_about if (p.part, p.where) == (sheet, cell)]
    assert any(f"{by} depends on the tokens up to column" in rule for rule in rules), round_about


def test_the_label_of_an_earlier_key_may_be_read(micro_workbook: Path, tmp_path: Path) -> None:
    change = {"Block 0": set_formula("K170", lambda old: f"{old}+LEN($A$81)")}
    rules = [p.rule for p in check(patch(micro_workbook, tmp_path / "label.xlsx", change))]
    assert rules == ["The formula is not the one that fills the rest of its row."]


def test_the_examples_of_the_issue(micro_workbook: Path, tmp_path: Path) -> None:
    """Sample looks right, Home does so by another sheet, and a row of resid_mid has lost all its dollars."""
    fill = {cell: set_formula(cell, lambda old: old.replace("$", "")) for cell in ("F170", "G170", "H170", "K170")}
    changes = {
        "Sample": set_formula("G97", lambda old: old.replace("G$", "H$", 1)),
        "Home": set_formula("H15", lambda old: old.replace("!G$30", "!K$30")),
        "Block 1": in_order(*fill.values()),
    }
    problems = check(patch(micro_workbook, tmp_path / "issue.xlsx", changes))
    assert {(p.part, p.where) for p in problems} >= {
        ("Sample", "G97"),
        ("Home", "H15"),
        *(("Block 1", cell) for cell in fill),
    }


def test_deleting_the_names_does_not_silence_the_rule(micro_workbook: Path, tmp_path: Path) -> None:
    def nameless(xml: str) -> str:
        return re.sub(r'<definedName name="positions_[^<]*</definedName>', "", xml)

    problems = check(patch(micro_workbook, tmp_path / "nameless.xlsx", {"xl/workbook.xml": nameless}))
    assert [(p.part, p.where) for p in problems] == [("xl/workbook.xml", "token_ids")]
    assert "no name positions_" in problems[0].rule


def test_a_sheet_without_its_name_still_hands_on_what_it_sees(micro_workbook: Path, tmp_path: Path) -> None:
    """Block 0 is not declared, and looks right: the next block sees the later token by it."""
    changes = {
        "xl/workbook.xml": lambda xml: re.sub(r'<definedName name="positions_Block_0"[^<]*</definedName>', "", xml),
        "Block 0": set_formula("G170", lambda old: old.replace("G$", "H$")),
    }
    problems = check(patch(micro_workbook, tmp_path / "undeclared.xlsx", changes))
    assert any(p.part == "Block 1" and p.where.startswith("G") and "up to column H" in p.rule for p in problems)


def test_a_name_that_is_used_counts_as_what_it_refers_to() -> None:
    areas, named = Positions({"home": Box(6, 1, 9, 9)}), {"later": read("Home!$H$1").references}
    causality = Causality(Book({}, named, areas, 1, 0, 0))
    assert list(causality.take("Home", 8, 2, 1, "later*2")) == []
    assert list(causality.take("Home", 7, 2, 1, "later*2")) == [
        "The reference later reaches to the right of the formula's own token column."
    ]


def test_a_range_between_two_results_may_hold_all_that_lies_between() -> None:
    causality = Causality(Book({}, {}, Positions({"home": Box(6, 1, 9, 9)}), 1, 0, 0))
    assert list(causality.take("Home", 1, 20, 1, "SUM(Home!$F$5)")) == []
    assert list(causality.take("Home", 3, 22, 1, "SUM(Home!$I$5)")) == []
    reads = "SUM(INDEX($B$20:$B$21,1):INDEX($D$23:$D$24,1))"
    assert list(causality.take("Home", 7, 2, 1, reads)) == []
    assert [p.where for p in causality.round_about()] == ["G2"]


def test_chains_up_and_down_hand_on_what_they_reach() -> None:
    causality = Causality(Book({}, {}, Positions({"home": Box(6, 1, 9, 9)}), 1, 0, 0))
    rows = range(20, 60)
    for row in rows:
        list(causality.take("Up", 1, row, 1, f"A${row + 1}"))
        list(causality.take("Down", 1, row, 1, f"A${row - 1}"))
    list(causality.take("Up", 1, 60, 1, "Home!$H$3"))
    list(causality.take("Down", 1, 19, 1, "'Up'!$A$20"))
    list(causality.take("Home", 7, 2, 1, "'Down'!$A$59"))
    list(causality.take("Home", 8, 2, 1, "'Down'!$A$59"))
    assert [p.where for p in causality.round_about()] == ["G2"]


def test_a_run_elsewhere_is_followed_column_by_column(micro_workbook: Path, tmp_path: Path) -> None:
    """A row outside the positions that fills right: each cell of it reaches as far as its own column."""
    cells = "".join(f"<c r=\"{c}400\"><f>'Embed'!{c}$47*2</f><v>1</v></c>" for c in "FGHIJK")
    change = {"Block 0": lambda xml: xml.replace("</sheetData>", f'<row r="400">{cells}</row></sheetData>')}
    dimension = {"Block 0": lambda xml: re.sub(r'(<dimension ref="A1:[A-Z]+)\d+', r"\g<1>400", change["Block 0"](xml))}
    sound = patch(micro_workbook, tmp_path / "sound.xlsx", dimension)
    assert check(sound) == []
    own = {"Block 0": set_formula("G170", lambda old: f"{old}+G$400")}
    rules = {(p.where, p.rule) for p in check(patch(sound, tmp_path / "own.xlsx", own))}
    assert rules == {("G170", "The formula is not the one that fills the rest of its row.")}
    later = {"Block 0": set_formula("G170", lambda old: f"{old}+H$400")}
    assert any("leads to" in p.rule for p in check(patch(sound, tmp_path / "later.xlsx", later)))
