"""The engines against small workbooks whose answers are known by hand; cached values are stale on purpose."""

import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from small_books import NAMES, READ, STEPS, rewrite, same, save

from sheetgpt.engines import Cells, cached, formulas, gnumeric, ironcalc, libreoffice, office
from sheetgpt.errors import SheetGPTError

STALE = 999.0
Answers = dict[str, dict[str, Any]]  # step -> key -> Cells | None
RECALCULATORS: list[Any] = [libreoffice.recalculate, formulas.recalculate, ironcalc.recalculate, gnumeric.recalculate]


@pytest.fixture(scope="module")
def workbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a folder with späces")
    return save(folder / "Ein schönes Büchlein №1.xlsx")


@pytest.fixture(scope="module")
def session(workbook: Path) -> libreoffice.Session:
    return libreoffice.session(workbook, list(STEPS.values()), alone=True)


@pytest.fixture(scope="module")
def answers(session: libreoffice.Session) -> Answers:
    return dict(zip(STEPS, session.results, strict=True))


def one(found: dict[str, Cells | None]) -> Cells:
    [cells] = found.values()
    assert cells
    return cells


def test_a_hard_step_recomputes_over_stale_cached_values(answers: Answers) -> None:
    assert answers["as saved"]["doubled"].numbers == STALE
    assert answers["as saved"]["Größe!C5"].numbers == STALE
    assert answers["hard"]["doubled"].numbers == 6
    assert answers["hard"]["Größe!C5"].numbers == 70
    assert answers["hard"]["My sheet!B4:B8"].numbers.ravel().tolist() == [9, 21, 45, 93, 189]


def test_a_soft_step_after_an_edit_agrees_with_a_hard_one(answers: Answers) -> None:
    assert answers["edit"]["Größe!C5"].numbers == 110
    assert all(same(answers["edit"][key], answers["edit, hard"][key]) for key in READ)


def test_errors_come_back_as_texts_and_empty_text_as_nothing(answers: Answers) -> None:
    row = answers["hard"]["My sheet!B2:J2"]
    assert row.texts == {(0, 3): "#DIV/0!", (0, 4): "#N/A", (0, 6): "a3", (0, 7): "#NAME?"}
    assert np.array_equal(row.numbers, [[3, 6, 7, *[np.nan] * 5, 1]], equal_nan=True)
    assert answers["hard"]["'my sheet'!$b$3:$E$3"].texts == {(0, 0): "text", (0, 1): "text", (0, 3): "#DIV/0!"}


def test_what_is_no_rectangle_of_cells_is_none(answers: Answers) -> None:
    absent = ["union", "broken", "computed", "gone", "through", "never", "Nowhere!A1"]
    assert {key: answers["hard"][key] for key in absent} == dict.fromkeys(absent)


def test_single_cells_are_set_and_cleared(answers: Answers) -> None:
    assert np.array_equal(answers["cell"]["Größe!A1:B1"].numbers, [[4.5, np.nan]], equal_nan=True)
    assert answers["cell"]["My sheet!B3:C3"].texts == {}


def test_text_that_begins_with_an_equals_sign_stays_text(answers: Answers) -> None:
    assert answers["range"]["block"].texts == {(0, 0): "=1+1", (1, 0): "-x"}
    assert answers["range"]["My sheet!D3"].numbers == pytest.approx(2.1)


def test_a_sequence_fills_row_by_row_and_clears_the_rest(answers: Answers) -> None:
    nan = np.nan
    assert np.array_equal(answers["range"]["block"].numbers, [[nan, 2, nan], [nan, 0.1, nan]], equal_nan=True)
    assert np.array_equal(answers["shorter"]["block"].numbers, [[1, nan, nan], [nan] * 3], equal_nan=True)
    assert answers["shorter"]["block"].texts == {}
    assert answers["shorter"]["My sheet!D3"].numbers == 1


def test_a_large_range_comes_whole_over_several_calls(answers: Answers) -> None:
    large = answers["large"]["Größe!A1:C100000"]
    found = {(i, j): large.numbers[i, j] for i, j in np.argwhere(~np.isnan(large.numbers)).tolist()}
    assert found == {(0, 0): 1, (4, 2): 110, (66665, 2): 2, (66666, 0): 3, (99999, 2): 4}
    assert large.texts == {(66667, 1): "here"}


def test_a_session_tells_what_it_cost(session: libreoffice.Session) -> None:
    assert session.load_seconds > 0
    assert len(session.step_seconds) == len(STEPS)
    assert session.peak_bytes is None or session.peak_bytes > 10_000_000


def test_the_workbook_is_left_alone(workbook: Path, session: libreoffice.Session) -> None:
    assert [path.name for path in workbook.parent.iterdir()] == [workbook.name]
    assert one(cached.recalculate(workbook, {}, ["doubled"])).numbers == STALE


@pytest.mark.parametrize(
    "recalculate",
    [formulas.recalculate, ironcalc.recalculate, pytest.param(gnumeric.recalculate, marks=pytest.mark.gnumeric)],
)
def test_another_engine_agrees_with_libreoffice(workbook: Path, answers: Answers, recalculate: Any) -> None:
    found = recalculate(workbook, {"x": 5}, [*READ, *NAMES, "never", "Nowhere!A1"])
    assert all(same(found[key], answers["edit"][key]) for key in READ)
    assert [key for key in found if found[key] is None] == [
        key for key in answers["hard"] if answers["hard"][key] is None
    ]
    inputs = {"block": ["=1+1", 2, None, "-x", 0.1], "My sheet!B3": None}
    found = recalculate(workbook, inputs, ["block", "My sheet!D3", "My sheet!B3"])
    assert same(found["block"], answers["range"]["block"])
    assert found["My sheet!D3"].numbers == pytest.approx(2.1)
    assert not found["My sheet!B3"].texts


def test_the_formulas_engine_keeps_every_digit_of_a_constant(workbook: Path) -> None:
    assert one(formulas.recalculate(workbook, {"x": 1.234567e-20}, ["doubled"])).numbers == 2 * 1.234567e-20


def test_a_cycle_is_no_number_in_the_formulas_engine(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.worksheets[0]["A1"] = "=B1+1"
    book.worksheets[0]["B1"] = "=A1"
    book.save(tmp_path / "cycle.xlsx")
    found = one(formulas.recalculate(tmp_path / "cycle.xlsx", {}, ["Sheet!A1:B1"]))
    assert np.isnan(found.numbers).all()
    assert len(found.texts) == 2


def test_cached_values_are_read_where_they_stand(tmp_path: Path) -> None:
    rows = (
        b'<row r="3"><c r="C3" t="inlineStr"><is><t>in</t></is></c><c r="D3" t="str"><f>""</f><v></v></c>'
        b'<c r="E3" t="e"><f>1/0</f><v>#DIV/0!</v></c><c r="F3"><f t="shared" ref="F3:G3" si="0">1+1</f><v>0.1</v></c>'
        b'<c r="G3"><f t="shared" si="0"/><v>12345678901234567</v></c><c r="H3" t="b"><v>1</v></c></row>'
        b'<row r="5"><c r="B5" t="str"><f>"a"</f><v>a &amp; b</v></c><c r="D5" s="1"><v>43831.5</v></c>'
        b'<c><v>-1E-300</v></c><c t="e"><v>#N/A</v></c></row>'
    )
    book = openpyxl.Workbook()
    book.worksheets[0]["A1"] = 1
    book.worksheets[0]["A1"].number_format = "yyyy-mm-dd"  # style 1
    book.save(tmp_path / "plain.xlsx")
    data = b"<sheetData>" + rows + b"</sheetData>"
    change = re.compile(rb"<sheetData>.*</sheetData>", re.DOTALL)
    rewrite(tmp_path / "plain.xlsx", tmp_path / "odd.xlsx", lambda part: change.sub(lambda _: data, part))
    found: dict[str, Any] = cached.recalculate(tmp_path / "odd.xlsx", None, ["Sheet!A1:I6", "Sheet!E5:F5", "Sheet!Z90"])
    expected = np.full((6, 9), np.nan)
    expected[2, 5:8] = 0.1, 12345678901234567, 1
    expected[4, 3:5] = 43831.5, -1e-300
    assert np.array_equal(found["Sheet!A1:I6"].numbers, expected, equal_nan=True)
    assert found["Sheet!A1:I6"].texts == {(2, 2): "in", (2, 4): "#DIV/0!", (4, 1): "a & b", (4, 5): "#N/A"}
    assert found["Sheet!E5:F5"].texts == {(0, 1): "#N/A"}
    assert found["Sheet!E5:F5"].numbers[0, 0] == -1e-300
    assert np.isnan(found["Sheet!Z90"].numbers).all()


def test_cached_names_resolve_without_regard_to_case(workbook: Path) -> None:
    found: dict[str, Any] = cached.recalculate(workbook, {}, ["X", *NAMES, "never", "NOWHERE!A1", "MY SHEET!B3"])
    assert found["X"].numbers == 3
    assert found["MY SHEET!B3"].texts == {(0, 0): "text"}
    absent = {"union", "broken", "computed", "gone", "through", "never", "NOWHERE!A1"}
    assert {key for key in found if found[key] is None} == absent


def test_a_cached_workbook_takes_no_inputs(workbook: Path) -> None:
    with pytest.raises(SheetGPTError, match="can't be given new inputs"):
        cached.recalculate(workbook, {"x": 1}, ["x"])


@pytest.mark.parametrize("recalculate", [*RECALCULATORS, cached.recalculate])
def test_a_file_that_is_no_workbook_is_refused_in_a_sentence(tmp_path: Path, workbook: Path, recalculate: Any) -> None:
    (tmp_path / "text.xlsx").write_text("a,b\n1,2\n")
    (tmp_path / "short.xlsx").write_bytes(workbook.read_bytes()[:-100])
    with zipfile.ZipFile(tmp_path / "zip.xlsx", "w") as archive:
        archive.writestr("readme.txt", "hello")
    for name in ("missing", "text", "short", "zip"):
        with pytest.raises(SheetGPTError, match=f"{name}.xlsx"):
            recalculate(tmp_path / f"{name}.xlsx", {}, ["x"])


@pytest.mark.parametrize("recalculate", [formulas.recalculate, ironcalc.recalculate, gnumeric.recalculate])
@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"never": 1}, "no cells named never"),
        ({"Nowhere!A1": 1}, "no cells named Nowhere!A1"),
        ({"block": 1}, "one value for 6 cells"),
        ({"x": [1, 2]}, "2 values for 1 cells"),
        ({"x": float("nan")}, "nan"),
        ({"x": [[1]]}, "holds a list"),
        ({"x": b"1"}, "is a bytes"),
        ({"x": "a\x01"}, "holds a control character"),
    ],
)
def test_inputs_that_fit_nowhere_are_refused(workbook: Path, recalculate: Any, inputs: Any, sentence: str) -> None:
    with pytest.raises(SheetGPTError, match=sentence):
        recalculate(workbook, inputs, ["x"])


@pytest.mark.parametrize(
    ("inputs", "sentence"), [({"never": 1}, "büchlein.* no cells named never"), ({"block": 1}, "one value for 6 cells")]
)
def test_inputs_that_fit_nowhere_are_refused_by_libreoffice(workbook: Path, inputs: Any, sentence: str) -> None:
    with pytest.raises(SheetGPTError, match=f"(?i){sentence}"):
        libreoffice.recalculate(workbook, inputs, ["x"])


def test_a_file_too_large_for_libreoffice_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = tmp_path / "large.xlsx"
    with zipfile.ZipFile(refused, "w") as package:
        package.writestr("[Content_Types].xml", "no workbook")
    with pytest.raises(SheetGPTError, match=r"large\.xlsx: it may be damaged"):
        libreoffice.recalculate(refused, {}, ["doubled"])
    monkeypatch.setattr(libreoffice, "LARGEST", refused.stat().st_size)
    with pytest.raises(SheetGPTError, match=r"large\.xlsx has 0\.0 GB, and LibreOffice 7\.4 reads no file of 2 GiB"):
        libreoffice.recalculate(refused, {}, ["doubled"])


def test_a_damaged_sheet_is_refused_in_a_sentence(workbook: Path, tmp_path: Path) -> None:
    rewrite(workbook, tmp_path / "damaged.xlsx", lambda part: part[: len(part) // 2])
    for recalculate in (cached.recalculate, formulas.recalculate, ironcalc.recalculate):
        with pytest.raises(SheetGPTError, match=r"damaged\.xlsx"):
            recalculate(tmp_path / "damaged.xlsx", {}, ["doubled"])


def test_a_range_that_is_none_is_refused(workbook: Path) -> None:
    for recalculate in [*RECALCULATORS, cached.recalculate]:
        with pytest.raises(SheetGPTError, match="is not a range of cells"):
            recalculate(workbook, {}, ["My sheet!B2,D2"])


def test_missing_programs_and_packages_are_named(workbook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(office, "LINUX", ())
    for package in ("formulas", "ironcalc"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SheetGPTError, match="apt install libreoffice-calc"):
        office._installed.__wrapped__()
    with pytest.raises(SheetGPTError, match="apt install gnumeric"):
        gnumeric.recalculate(workbook, {}, ["x"])
    for engine in (formulas, ironcalc):
        with pytest.raises(SheetGPTError, match=rf"pip install 'sheetgpt\[{engine.__name__.split('.')[-1]}\]'"):
            engine.recalculate(workbook, {}, ["x"])


def test_chosen_sheets_become_a_pdf(workbook: Path, tmp_path: Path) -> None:
    libreoffice.export_pdf(workbook, tmp_path / "é 1.pdf", ["Größe"], {"x": 4})
    pdf = (tmp_path / "é 1.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
