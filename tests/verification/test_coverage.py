"""Whatever formula is broken, on any sheet, verification finds it and names the cell: 50 in each of five workbooks."""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

import pytest
from openpyxl.utils import column_index_from_string, get_column_letter
from patching import Change, formula_of, in_order, patch, set_formula
from small_books import rewrite

from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.ooxml.reading.unzip import CHUNK
from sheetgpt.sheets.choice import softmax as softmax_sheet
from sheetgpt.sheets.home import home as home_sheet
from sheetgpt.sheets.layout import Layout
from sheetgpt.verification.coverage import formula_cells
from sheetgpt.verification.report import Report
from sheetgpt.verification.verify import verify
from sheetgpt.workbook.build import build
from sheetgpt.workbook.reopen import open_workbook

WORKBOOKS = ("bundled", "untied", "int8", "ids", "lab")
GROSS, CONSTANTS, EXTRA, MILD = 38, 4, 4, 4  # 50 in each workbook
CELL = re.compile(r'<c r="([A-Z]+)(\d+)"([^>]*)><f([^>]*?)(?:/>|>([^<]*)</f>)<v[^>]*>([^<]*)</v></c>')


@pytest.fixture(scope="module")
def workbooks(
    micro_workbook: Path, odd_workbook: Path, reader: Checkpoint, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("coverage")
    sizes, small = {"prompt_bytes": 48, "merge_rounds": 6}, {"prompt_bytes": 16, "merge_rounds": 4}
    return {
        "bundled": build("stories", folder / "bundled.xlsx", context=6, new_tokens=2, **sizes),  # type: ignore[arg-type]
        "untied": odd_workbook,
        "int8": build(reader, folder / "int8.xlsx", prompt="the king", context=8, weights="int8", **sizes),  # type: ignore[arg-type]
        "ids": micro_workbook,
        "lab": build(reader, folder / "lab.xlsx", prompt="the king", context=6, without="all", lanes=2, **small),  # type: ignore[arg-type]
    }


@dataclass(frozen=True)
class Found:
    """A cell with a formula of its own, or one that shares its row's."""

    cell: str
    start: int
    end: int
    is_text: bool
    value: str


def formulas(sheet: str) -> Iterator[Found]:
    """All but the first of a shared formula, which holds it for the others."""
    for found in CELL.finditer(sheet):
        if "ref=" not in found[4]:
            is_text = 't="str"' in found[3] and bool(found[6])
            yield Found(found[1] + found[2], found.start(), found.end(), is_text, found[6])


def shares(pool: dict[str, int], n: int, rng: random.Random) -> dict[str, int]:
    """How many of `n` each sheet gets: one at least, the rest at random."""
    titles = [*pool, *rng.choices([title for title in pool if pool[title] > 20], k=max(n - len(pool), 0))]
    return {title: min(titles.count(title), pool[title]) for title in pool}


def planted(change: Callable[[Found, str], str], n: int, rng: random.Random, taken: set[str], title: str) -> Change:
    """`n` random formula cells of a sheet, each rewritten by `change`; their names go into `taken`."""

    def apply(sheet: str) -> str:
        chosen = rng.sample(list(formulas(sheet)), n)
        for found in sorted(chosen, key=lambda found: -found.start):
            sheet = sheet[: found.start] + change(found, sheet[found.start : found.end]) + sheet[found.end :]
            taken.add(f"{title}!{found.cell}")
        return sheet

    return apply


def broken(found: Found, xml: str) -> str:
    source = '"wrong"' if found.is_text else "12345.678"
    return re.sub(r"<f[^>]*?(/>|>[^<]*</f>)", f"<f>{source}</f>", xml, count=1)


def constant(found: Found, xml: str) -> str:
    """The same value, without the formula."""
    return re.sub(r"<f[^>]*?(/>|>[^<]*</f>)", "", xml, count=1)


def extra(rng: random.Random, taken: set[str], title: str) -> Change:
    """A formula right of the sheet's cells, and one in place of a constant text, which comes to the same text."""

    def apply(sheet: str) -> str:
        row = rng.choice(re.findall(r'<row r="(\d+)"', sheet))
        column = get_column_letter(max(map(column_index_from_string, set(re.findall(r'<c r="([A-Z]+)', sheet)))) + 3)
        taken.add(f"{title}!{column}{row}")
        new = f'<c r="{column}{row}"><f>1+2</f><v>3</v></c></row>'
        sheet = re.sub(
            rf'(<row r="{row}"(?:(?!</row>).)*)</row>', lambda m: m[1] + new, sheet, count=1, flags=re.DOTALL
        )
        texts = re.findall(
            r'<c r="([A-Z]+\d+)"[^>]*t="inlineStr"><is><t xml:space="preserve">(\w+)</t></is></c>', sheet
        )
        cell, words = rng.choice(texts)
        taken.add(f"{title}!{cell}")
        pattern = rf'<c r="{cell}"[^>]*t="inlineStr">.*?</c>'
        return re.sub(pattern, f'<c r="{cell}" t="str"><f>"{words}"</f><v>{words}</v></c>', sheet, count=1)

    return apply


def ends(layout: Layout, path: Path) -> list[tuple[str, str]]:
    """Cells with numbers that no other cell uses: a change in one reaches nothing else."""
    guide, heated = "Guide", home_sheet.page(layout)["reshaped"]
    places = [(guide, f"D{row + 1}") for row, column in formula_cells(path)[guide] if column == 3]
    places += [("Home", heated.stripe(j).line(0).cells) for j in range(heated.n_columns)]
    facts = [layout["perplexity"]] if layout.context > layout.config.n_layer else []
    return [*places, *(("Home", area.cells) for area in facts)]


def scaled(cell: str) -> Change:
    def apply(sheet: str) -> str:
        source = escape(formula_of(sheet, cell), quote=False)
        return set_formula(cell, lambda f: f"({f})*1.0000001")(sheet) if source else sheet

    return apply


def named(report: Report) -> set[str]:
    """Every cell that the report names."""
    problems = {match[0] for problem in report.problems if (match := re.match(r"[^!]+![A-Z]+\d+", problem))}
    return problems | {*report.wrong_cells}


@pytest.mark.parametrize("kind", WORKBOOKS)
def test_a_broken_formula_on_any_sheet_is_named(workbooks: dict[str, Path], tmp_path: Path, kind: str) -> None:
    path, rng = workbooks[kind], random.Random(kind)
    cells = {title: len(places) for title, places in formula_cells(path).items() if len(places)}
    broke: set[str] = set()
    changes = {title: planted(broken, n, rng, broke, title) for title, n in shares(cells, GROSS, rng).items() if n}
    report = verify(patch(path, tmp_path / "broken.xlsx", changes), wrong_cells=None)
    assert not report.passed
    assert len(broke) >= GROSS - 1
    assert {cell.partition("!")[0] for cell in broke} == set(cells)
    assert broke - {*report.wrong_cells} == set()


@pytest.mark.parametrize("kind", WORKBOOKS)
def test_what_no_value_shows_is_named_too(workbooks: dict[str, Path], tmp_path: Path, kind: str) -> None:
    """Numbers off by 1e-7 that nothing else uses; formulas that became constants, constants that became formulas."""
    path, rng = workbooks[kind], random.Random(kind)
    places = rng.sample(ends(open_workbook(path).layout, path), MILD)
    sheets = ["Embed", "Block 0", "Output", "Sample"]
    changes: dict[str, list[Change]] = {title: [] for title in ("Home", "Guide", *sheets)}
    for title, cell in places:
        changes[title].append(scaled(cell))
    frozen: set[str] = set()
    added: set[str] = set()
    for title in sheets[:CONSTANTS]:
        changes[title].append(planted(constant, 1, rng, frozen, title))
    for title in sheets[: EXTRA // 2]:
        changes[title].append(extra(rng, added, title))
    made = {title: in_order(*several) for title, several in changes.items() if several}
    report = verify(patch(path, tmp_path / "broken.xlsx", made), wrong_cells=None)
    assert not report.passed
    assert {*report.wrong_cells} - added == {f"{title}!{cell}" for title, cell in places}
    assert (frozen | added) - named(report) == set()
    assert report.compared_cells == report.formula_cells - len(added)


def test_the_issues_tampering_is_caught(workbooks: dict[str, Path], tmp_path: Path) -> None:
    """Loss, perplexity and entropy =1+2, the ten likeliest tokens "wrong": all of it once passed."""
    path = workbooks["bundled"]
    home = open_workbook(path).layout
    facts = [home[name].cells for name in ("loss", "perplexity", "entropy")]
    tokens = [home["top_tokens"].line(i).cells for i in range(10)]
    changes = [set_formula(cell, lambda f: "1+2") for cell in facts]
    changes += [set_formula(cell, lambda f: '"wrong"') for cell in tokens]
    report = verify(patch(path, tmp_path / "broken.xlsx", {"Home": in_order(*changes)}), wrong_cells=None)
    again = [f"Home!{cell}" for cell in (home_sheet.page(home)["again"].line(i).cells for i in range(10))]
    again += [f"Softmax!{softmax_sheet.page(home)['ranked_tokens'].line(i).cells}" for i in range(10)]
    assert {*report.wrong_cells} == {*again, *(f"Home!{cell}" for cell in (*facts, *tokens))}
    assert {t.name for t in report.tensors if not t.passed} >= {"loss", "perplexity", "entropy", "top_tokens"}
    assert report.compared_cells == report.formula_cells


def test_formulas_are_counted_wherever_the_file_is_cut(
    workbooks: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = formula_cells(workbooks["ids"])
    assert CHUNK > 1_000_000
    for size in (997, 4099):
        monkeypatch.setattr("sheetgpt.ooxml.reading.unzip.CHUNK", size)
        cut = formula_cells(workbooks["ids"])
        assert all((cut[title] == whole[title]).all() and len(cut[title]) == len(whole[title]) for title in whole)


FORMS = {
    "prefixes": ((rb"<(/?)(c|f|v)\b", rb"<\1x:\2"),),
    "single quotes": ((rb'\br="([A-Z]+[0-9]+)"', rb"r='\1'"),),
    "spaces": ((rb'\br="([A-Z]+[0-9]+)"', rb'r = "\1"'),),
}


@pytest.mark.parametrize("form", FORMS)
def test_formulas_are_counted_however_another_program_writes_them(
    workbooks: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str
) -> None:
    def written(part: bytes) -> bytes:
        for pattern, form_of_theirs in FORMS[form]:
            part = re.sub(pattern, form_of_theirs, part)
        return part

    rewrite(workbooks["ids"], tmp_path / "theirs.xlsx", written)
    monkeypatch.setattr("sheetgpt.ooxml.reading.unzip.CHUNK", 4099)
    whole, theirs = formula_cells(workbooks["ids"]), formula_cells(tmp_path / "theirs.xlsx")
    assert {title: places.tolist() for title, places in theirs.items()} == {t: p.tolist() for t, p in whole.items()}
