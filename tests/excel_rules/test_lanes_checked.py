"""`check` of a workbook with two lanes: each sees only itself, and lane B takes from lane A only what is patched."""

import random
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

import openpyxl
import pytest
from openpyxl.formula.translate import Translator
from openpyxl.utils import get_column_letter
from patching import Change, in_order, patch, set_formula, sheet_part

from sheetgpt.excel_rules import check
from sheetgpt.excel_rules.book import Book
from sheetgpt.excel_rules.columns.causality import Causality
from sheetgpt.excel_rules.columns.positions import Positions, positions, positions_problems
from sheetgpt.excel_rules.formula.grammar import Reference, read
from sheetgpt.excel_rules.formula.references import Box, column_number
from sheetgpt.excel_rules.formula.uses import Use, uses
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.workbook.build import build

ROW = "not the one that fills the rest"


@pytest.fixture(scope="module")
def two_lanes(micro: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lanes")
    return build(micro, folder / "lanes.xlsx", ids=(5, 9, 33), context=6, lanes=2, sheets="none", without="all")


@pytest.fixture(autouse=True)
def _no_schema(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "sound_lanes[text]" not in request.node.name:
        monkeypatch.setattr(import_module("sheetgpt.excel_rules"), "schema_problems", lambda archive, skeletons: ())


@pytest.mark.parametrize("kind", ["text", "int8", "odd"])
def test_two_sound_lanes(kind: str, micro: Checkpoint, reader: Checkpoint, odd: Checkpoint, tmp_path: Path) -> None:
    path = tmp_path / f"{kind}.xlsx"
    if kind == "text":
        build(reader, path, prompt="the cat", context=6, lanes=2, prompt_bytes=8, merge_rounds=3, without="all")
    elif kind == "int8":
        build(micro, path, ids=(5, 9, 33), context=5, lanes=2, weights="int8", sheets="all")
    else:
        build(odd, path, ids=(5, 9, 3), context=7, new_tokens=2, lanes=2, sheets="none", without="all")
    assert check(path) == []


# ---- random breakages -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """A formula in a lane's columns."""

    sheet: str
    name: str
    column: int
    formula: str
    lane: str


@dataclass(frozen=True)
class Lanes:
    """Of a workbook: each lane's areas, the formulas in them that are not the first of a shared one, and the step."""

    a: dict[str, Box]
    b: dict[str, Box]
    cells: list[Cell]

    @property
    def step(self) -> int:
        return self.b["Home"].left - self.a["Home"].left

    def into(self, cell: Cell, lane: str) -> list[Use]:
        """The references of a formula that lie wholly in a lane."""
        areas = {title.lower(): area for title, area in (self.a if lane == "A" else self.b).items()}
        found = uses(cell.formula, cell.sheet.lower(), {})
        return [use for use in found if use.sheet in areas and areas[use.sheet].holds(use.box)]


@pytest.fixture(scope="module")
def lanes(two_lanes: Path) -> Lanes:
    book = openpyxl.load_workbook(two_lanes)
    found: dict[str, dict[str, Box]] = {"A": {}, "B": {}}
    for name, defined in book.defined_names.items():
        if name.startswith("positions_"):
            ((title, cells),) = defined.destinations
            lane = "B" if name == "positions_B_" + title.replace(" ", "_") else "A"
            corners = re.findall(r"\$([A-Z]+)\$(\d+)", cells)
            (left, top), (right, bottom) = ((column_number(letters), int(row)) for letters, row in corners)
            found[lane][title] = Box(left, top, right, bottom)
    assert set(found["A"]) == {"Home", "Embed", "Block 0", "Block 1", "Output", "Sample"}
    assert set(found["B"]) == {*found["A"], "Edits"}
    inside = []
    with zipfile.ZipFile(two_lanes) as package:
        for title in found["B"]:
            xml = package.read(sheet_part(package, title)).decode()
            for name, row in re.findall(r'<c r="([A-Z]+(\d+))"[^>]*><f(?! t="shared" ref)', xml):
                column = column_number(name.removesuffix(row))
                for lane, areas in found.items():
                    if title in areas and areas[title].holds(Box(column, int(row), column, int(row))):
                        inside.append(Cell(title, name, column, book[title][name].value[1:], lane))
    return Lanes(found["A"], found["B"], inside)


def with_use(formula: str, use: Use, shift: Callable[[int], int]) -> str:
    """The formula with the columns of one reference moved."""
    head, mark, cells = use.text.rpartition("!")
    moved = re.sub(r"[A-Z]+", lambda m: get_column_letter(shift(column_number(m[0]))), cells)
    return re.sub(rf"(?<![\w$!'.]){re.escape(use.text)}(?![\w:])", lambda _: head + mark + moved, formula, count=1)


def look_right(book: Lanes, cell: Cell, rng: random.Random) -> str | None:
    """In lane B, the last column of a reference to the right of the formula's own."""
    found = [use for use in book.into(cell, "B") if use.box.left == use.box.right]
    last = book.b[cell.sheet].right
    if cell.lane == "A" or not found or cell.column == last:
        return None
    later = rng.randint(cell.column + 1, last)
    return with_use(cell.formula, rng.choice(found), lambda _: later)


def a_reads_b(book: Lanes, cell: Cell, rng: random.Random) -> str | None:
    found = book.into(cell, "A")
    return with_use(cell.formula, rng.choice(found), lambda c: c + book.step) if cell.lane == "A" and found else None


def b_reads_a(book: Lanes, cell: Cell, rng: random.Random) -> str | None:
    found = [use for use in book.into(cell, "B") if use.sheet != "edits"]  # which has no cells of lane A
    if cell.lane == "A" or cell.sheet == "Edits" or not found:
        return None
    return with_use(cell.formula, rng.choice(found), lambda c: c - book.step)


def b_reads_a_later(book: Lanes, cell: Cell, rng: random.Random) -> str | None:
    found = book.into(cell, "A") if cell.sheet == "Edits" else []
    own, home = cell.column - book.step, book.a["Home"]
    later = range(own + 1, home.right + 1)
    return with_use(cell.formula, rng.choice(found), lambda _: rng.choice(later)) if found and later else None


def not_to_the_right(book: Lanes, cell: Cell, rng: random.Random) -> str | None:
    before = next((c for c in book.cells if c.sheet == cell.sheet and c.column == cell.column - 1
                   and c.name.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ") == cell.name.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")),
                  None)  # fmt: skip
    if cell.lane == "A" or before is None:
        return None
    filled = Translator("=" + before.formula, origin=before.name).translate_formula(cell.name)
    return f'{cell.formula}&""' if filled == "=" + cell.formula else None


def without_dollar(book: Lanes, cell: Cell, rng: random.Random) -> str | None:
    new = re.sub(r"(?<=[A-Z])\$(?=\d)", "", cell.formula, count=1)
    return new if cell.lane == "B" and new != cell.formula else None


BREAKAGES = [
    (look_right, "to the right of the formula's own"),
    (a_reads_b, "reads lane B, and"),
    (b_reads_a, "reads lane A, which"),
    (b_reads_a_later, "reads lane A to the right"),
    (not_to_the_right, ROW),
    (without_dollar, "no $ before its row"),
]


def breakages(book: Lanes, n: int, rng: random.Random) -> Iterator[tuple[Cell, str, str]]:
    """n broken formulas of each kind, no two in a row."""
    taken: set[tuple[str, str]] = set()
    sheets = [*book.b]
    for breakage, word in BREAKAGES:
        count = 0
        while count < n:
            sheet = rng.choice(sheets)
            cell = rng.choice([c for c in book.cells if c.sheet == sheet])
            row = re.sub("[A-Z]", "", cell.name)
            new = breakage(book, cell, rng) if (sheet, row) not in taken else None
            if new is not None:
                assert new != cell.formula, (breakage, cell)
                taken.add((sheet, row))
                count += 1
                yield cell, new, word


def test_random_breakages_are_all_named_and_nothing_else(two_lanes: Path, lanes: Lanes, tmp_path: Path) -> None:
    broken = list(breakages(lanes, 9, random.Random(15)))
    changes: dict[str, list[Change]] = {}
    for cell, new, _ in broken:
        changes.setdefault(cell.sheet, []).append(set_formula(cell.name, partial(lambda new, _: new, new)))
    assert Counter(cell.sheet for cell, *_ in broken).most_common(1)[0][1] < 40
    path = patch(two_lanes, tmp_path / "broken.xlsx", {sheet: in_order(*each) for sheet, each in changes.items()})
    said = {(p.part, p.where): p.rule for p in check(path)}
    for cell, new, word in broken:
        assert word in said.get((cell.sheet, cell.name), ""), (cell, new, word)
    assert set(said) == {(cell.sheet, cell.name) for cell, *_ in broken}


# ---- what goes round by cells that are no positions --------------------------------------------------------------

ROUND_ABOUT = [  # position 1 is column G in lane A, AH in lane B
    ("Block 0", "G60", "N('Softmax B'!$C$6)", "to lane B, which"),
    ("Embed", "G10", "B_n_tokens", "to lane B, which"),
    ("Output", "K14", "SUM(lab_difference)", "to lane B, which"),
    ("Block 1", "AH60", "N(Softmax!$C$6)", "to lane A, which"),
    ("Output", "AI15", "n_tokens", "to lane A, which"),
    ("Output", "AL16", "SUM(lab_difference)", "to lane A, which"),
    ("Output", "AI17", "LEN('Block 0'!$A$82)", "to lane A, which"),  # its own position
    ("Edits", "AH30", "n_tokens", "to a later position of lane A"),
    ("Edits", "AJ41", "LEN('Block 0'!$A$84)", "to a later position of lane A"),
    ("Edits", "AK40", "LEN('Block 0'!$A$84)", None),  # lane A's position 4
    ("Edits", "AI42", "N('Softmax B'!$C$6)", "to the right of the formula's own"),
    ("Sample", "AI60", "B_n_tokens", "to the right of the formula's own"),
    ("Block 1", "AJ82", "LEN($AB$81)", None),  # lane B's position 1
]


def test_nothing_goes_round_by_other_cells(two_lanes: Path, tmp_path: Path) -> None:
    changes: dict[str, Change] = {}
    for sheet, cell, text, _ in ROUND_ABOUT:
        change = set_formula(cell, partial(lambda text, old: f"{old}&{text}", text))
        changes[sheet] = in_order(changes[sheet], change) if sheet in changes else change
    problems = check(patch(two_lanes, tmp_path / "about.xlsx", changes))
    assert {(p.part, p.where) for p in problems} == {(sheet, cell) for sheet, cell, *_ in ROUND_ABOUT}, problems
    for sheet, cell, _, word in ROUND_ABOUT:
        rules = [p.rule for p in problems if (p.part, p.where) == (sheet, cell) and ROW not in p.rule]
        assert (len(rules) == 1 and word in rules[0]) if word else rules == [], (sheet, cell, rules)


# ---- one formula in several columns -----------------------------------------------------------------------------

LANES = Positions({"home": Box(6, 1, 9, 9)}, {"home": Box(20, 1, 23, 9), "edits": Box(20, 1, 23, 9)})  # F to I, T to W


@pytest.mark.parametrize(
    ("sheet", "column", "width", "text", "words"),
    [
        ("Home", 6, 4, "SUM($F$3:F$3)", []),
        ("Home", 20, 4, "SUM($T$3:T$3)", []),
        ("Home", 6, 4, "Q$3", ["reads lane B"]),  # in H it is S, in I it is T
        ("Home", 6, 3, "Q$3", []),
        ("Home", 20, 4, "I$3", ["reads lane A, which"]),  # in T alone
        ("Home", 20, 4, "C$3", ["reads lane A, which"]),  # in W alone
        ("Home", 20, 3, "C$3", []),
        ("Edits", 20, 4, "Home!F$3", []),
        ("Edits", 20, 4, "Home!$F$3", []),
        ("Edits", 20, 1, "Home!$F$3", []),
        ("Edits", 20, 4, "SUM(Home!$F$3:F$3)", []),
        ("Edits", 20, 4, "Home!E$3", []),
        ("Edits", 20, 4, "Home!G$3", ["reads lane A to the right"]),
        ("Edits", 20, 4, "Home!$G$3", ["reads lane A to the right"]),  # in T alone
        ("Edits", 21, 3, "Home!F$3", []),
        ("Edits", 20, 4, "SUM(Home!F$3:T$3)", ["reads lane A to the right"]),
        ("Edits", 6, 1, "1", ["stands in a column of lane A"]),
        ("Edits", 2, 1, "1", []),
        ("Home", 6, 18, "F$3", []),  # one formula in all of both lanes: each reads its own position
        ("Home", 6, 18, "$F$3", ["reads lane A, which"]),
        ("Home", 6, 18, "SUM($F$3:$T$3)", ["to the right", "reads lane A, which"]),
        ("Home", 4, 18, "G$3", ["to the right", "to the right"]),
    ],
)
def test_a_formula_that_fills_several_columns(sheet: str, column: int, width: int, text: str, words: list[str]) -> None:
    rules = [*Causality(Book({}, {}, LANES, 1, 0, 0)).take(sheet, column, 2, width, text)]
    assert len(rules) == len(words), rules
    assert all(word in rule for word, rule in zip(words, rules, strict=True)), rules


def test_what_does_not_move_is_later_in_the_first_columns() -> None:
    for text, where in (("Home!$C$20", []), ("Home!$D$20", ["T2"]), ("Home!C$20", []), ("Home!$C$20:C$20", [])):
        causality = Causality(Book({}, {}, LANES, 1, 0, 0))
        assert [*causality.take("Home", 3, 20, 4, "F$3")] == []
        assert [*causality.take("Edits", 20, 2, 4, text)] == []
        assert [p.where for p in causality.round_about()] == where


def test_each_lane_has_one_formula_a_row() -> None:
    causality = Causality(Book({}, {}, LANES, 1, 0, 0))
    for column, text in ((6, "F$3"), (7, "G$3"), (8, "H$3*1"), (20, "T$3+1"), (21, "U$3"), (22, "V$3+1")):
        assert [*causality.take("Home", column, 2, 1, text)] == []
    assert [column for column, _ in causality.end_of_row()] == [8, 21]
    assert [*causality.end_of_row()] == []


# ---- the names --------------------------------------------------------------------------------------------------


SHEETS = "Home", "Block 0", "Edits"


def named(a: dict[str, str], titles: tuple[str, ...] = SHEETS, mark: bool = True) -> list[str]:
    """The names that have a problem. `a`: name -> what it refers to."""
    names: dict[str, list[Reference]] = {name.lower(): read(text, union=True).references for name, text in a.items()}
    marks: dict[str, list[Reference]] = {"token_ids": [], "b_token_ids": []} if mark else {}
    return [name for name, _ in positions_problems(marks | names, titles)]


SOUND = {
    "positions_Home": "Home!$F$2:$I$9",
    "positions_B_Home": "Home!$T$2:$W$9",
    "B_tokens": "Home!$T$3:$W$3",
    "positions_Block_0": "'Block 0'!$F$2:$I$99",
    "positions_B_Block_0": "'Block 0'!$T$2:$W$99",
    "B_h0": "'Block 0'!$T$3:$W$7",
    "positions_B_Edits": "Edits!$T$2:$W$50",
}


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, []),
        ({"positions_B_Home": None}, ["positions_home"]),
        ({"positions_B_Block_0": None}, ["positions_block_0"]),
        ({"positions_B_Home": None, "positions_B_Block_0": None, "positions_B_Edits": None}, ["b_token_ids"]),
        ({"positions_Home": None, "positions_Block_0": None}, ["token_ids"]),
        ({"positions_B_Home": "Home!$T$2:$W$9,Home!$T$11:$W$12"}, ["positions_home", "positions_b_home"]),
        ({"positions_B_Home": "2"}, ["positions_home", "positions_b_home"]),
        ({"positions_B_Home": "Home!$T:$W"}, ["positions_home", "positions_b_home"]),
        ({"positions_B_Home": "Edits!$T$2:$W$9"}, ["positions_home", "positions_b_edits"]),
        ({"positions_B_Home": "Home!$U$2:$X$9"}, ["positions_b_home"]),
        ({"positions_B_Home": "Home!$S$2:$V$9"}, ["positions_b_home"]),
        ({"positions_B_Edits": "Edits!$U$2:$X$50"}, ["positions_b_edits"]),
        ({"positions_B_Edits": "Edits!$T$2:$V$50"}, ["positions_b_edits"]),
        ({"positions_B_Home": "Home!$T$2:$V$9"}, ["positions_b_home"]),
        ({"positions_B_Home": "Home!$T$3:$W$9"}, ["positions_b_home"]),
        ({"positions_B_Home": "Home!$F$2:$I$9"}, ["positions_b_home"]),
        ({"positions_Home": "Home!$G$2:$J$9"}, ["positions_home", "positions_b_home"]),
        ({"positions_B_Nowhere": "Home!$T$2:$W$9"}, ["positions_b_nowhere"]),
    ],
)
def test_the_names_of_both_lanes(changes: dict[str, str | None], names: list[str]) -> None:
    assert named({name: text for name, text in (SOUND | changes).items() if text is not None}) == names


def test_lanes_that_overlap() -> None:
    moved = {name: text.replace("$T", "$H").replace("$W", "$K") for name, text in SOUND.items()}
    assert named(moved) == ["positions_b_home", "positions_b_block_0", "positions_b_edits"]


def test_a_sheet_whose_title_begins_like_lane_b() -> None:
    """`positions_B_Block_0` is of the sheet `B Block 0`, where there is one."""
    one = {"positions_Home": "Home!$F$2:$I$9", "positions_B_Block_0": "'B Block 0'!$F$2:$I$9"}
    titles = "Home", "Block 0", "B Block 0"
    references = {name.lower(): read(text).references for name, text in one.items()}
    found = positions(references, titles)
    assert (set(found.a), set(found.b)) == ({"home", "b block 0"}, set())
    assert named(one | {"positions_Block_0": "'Block 0'!$F$2:$I$9"}, titles, mark=False) == []
    assert named(SOUND, (*SHEETS, "B Block 0")) == []  # where it says itself that it is of the sheet `Block 0`


def test_a_sheet_without_its_name_is_noticed(two_lanes: Path, tmp_path: Path) -> None:
    """Without the name of lane A a sheet would pass for one on which lane B may take lane A's values."""

    def nameless(name: str) -> Change:
        return lambda xml: re.sub(rf'<definedName name="{name}"[^<]*</definedName>', "", xml)

    changes = {"xl/workbook.xml": in_order(nameless("positions_Embed"), nameless("positions_B_Block_1"))}
    problems = check(patch(two_lanes, tmp_path / "nameless.xlsx", changes))
    assert [(p.part, p.where) for p in problems] == [("xl/workbook.xml", "positions_block_1"), ("Embed", "F3")]
    assert "stands in a column of lane A" in problems[1].rule
