"""Which sheets a workbook may do without: chosen at build time, known again, verified whatever their cells hold."""

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from judging import case_of, judged, wrong
from patching import cell_xml, in_order, patch, set_formula
from ready import Command, hugging_face_tensors
from safetensors.numpy import save_file

import sheetgpt
from sheetgpt import sheets as registry
from sheetgpt.engines import Step, cached, libreoffice
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.sheets.home.after import LAST
from sheetgpt.sheets.inside.attention import page as attention
from sheetgpt.sheets.inside.attention.words import ATTENTION
from sheetgpt.sheets.optional import OptionalSheet
from sheetgpt.sheets.style.palette import PLAIN
from sheetgpt.verification.verify import Case, verify
from sheetgpt.workbook.build import planned
from sheetgpt.workbook.limits import file_bytes
from sheetgpt.workbook.optional import choose
from sheetgpt.workbook.reopen import open_workbook

TEXT = [5, 9, 5, 9, 9]  # with copies, one of them beside its own
CHOICES: list[tuple[Any, Any, Any]] = [  # block, head, token
    (0, 0, LAST),
    (1, 1, 0),
    (1, 0, 1),
    (0, 1, 2),
    (1.5, 0.25, 1.75),
    (-1, 2, 3),
    (1e300, -0.5, -2),
    ("", "", ""),
    ("1", "head", " 2"),
    (0, 1, "Last"),
]


def chosen(path: Path, values: tuple[Any, Any, Any], ids: Sequence[int] = TEXT) -> Case:
    """The case in which these stand in the three yellow cells."""
    case = case_of(path, {"ids": ids})
    put = dict(zip(("attention_block", "attention_head", "attention_token"), values, strict=True))
    blank = {name: None if value == "" else value for name, value in put.items()}
    return replace(case, state=replace(case.state, chosen={**case.state.chosen, **put}), puts={**case.puts, **blank})


def test_whatever_is_chosen_is_verified(micro_workbook: Path) -> None:
    found = judged(micro_workbook, {str(values): chosen(micro_workbook, values) for values in CHOICES})
    assert {name: [*bad.items()][:4] for name, bad in found.items() if bad} == {}


def test_heads_that_look_at_all_alike_are_verified(micro: Checkpoint, tmp_path: Path) -> None:
    """Queries of 0: keys that tie, and averages that are the same number up to how a program adds it up."""
    shutil.copytree(micro.source, tmp_path / "alike")
    params = {name: tensor.copy() for name, tensor in micro.params.items()}
    for name in ("h0.attn.c_attn.w", "h0.attn.c_attn.b", "h1.attn.c_attn.w", "h1.attn.c_attn.b"):
        params[name][..., : micro.config.n_embd] = 0
    save_file(hugging_face_tensors(params), tmp_path / "alike" / "model.safetensors", {"format": "pt"})
    path = sheetgpt.build(load(tmp_path / "alike"), tmp_path / "w.xlsx", ids=[1, 2, 3, 1, 2, 3, 4], context=8)
    found = judged(path, {str(token): chosen(path, (0, 0, token), [1, 2, 3, 1, 2, 3, 4]) for token in (1, 5, LAST)})
    assert {name: [*bad.items()][:4] for name, bad in found.items() if bad} == {}
    said = cached.recalculate(path, {}, ["attention_most"])["attention_most"]
    assert said is not None
    assert {*said.texts.values()} == {"the previous token"}


def typed(cell: str, xml: str) -> Any:
    """The yellow cell with something else in it, in the file."""
    return lambda sheet: sheet.replace(cell_xml(sheet, cell), f'<c r="{cell}"{xml}</c>', 1)


def test_a_choice_left_in_the_file_is_read_back(micro_workbook: Path, tmp_path: Path) -> None:
    page = attention.page(open_workbook(micro_workbook).layout)
    block, head, token = (page[name].cells for name in ("block", "head", "token"))
    change = in_order(
        typed(block, "><v>1</v>"),
        typed(head, ' t="str"><v>none</v>'),
        typed(token, "><v>1</v>"),
    )
    path = patch(micro_workbook, tmp_path / "chosen.xlsx", {ATTENTION: change})
    assert [open_workbook(path).chosen[f"attention_{name}"] for name in ("block", "head", "token")] == [1, "none", 1]
    report = verify(path)
    assert report.passed, wrong(report)
    (found,) = libreoffice.run(path, [Step({}, ["attention_pattern", "h1_attn_probs_0"])])
    shown, own = found["attention_pattern"], found["h1_attn_probs_0"]
    assert shown is not None
    assert own is not None
    assert shown.numbers[:2, 1].tolist() == own.numbers[:2, 1].tolist()


def test_a_broken_formula_of_the_sheet_is_named(micro_workbook: Path, tmp_path: Path) -> None:
    """Small changes to one number of each kind, and to a word."""
    page = attention.page(open_workbook(micro_workbook).layout)
    cells = [
        *(page[name].line(0).stripe(2).cells for name in ("pattern", "map 1", "entropies")),
        *(page["heads"].line(1).stripe(m).cells for m in range(6)),
    ]
    more = [set_formula(cell, lambda f: f"IF(1,({f})*1.0000001)") for cell in cells]
    words = [*(page["said"].line(i).cells for i in range(4)), page["most"].line(0).cells]
    more += [set_formula(cell, lambda f: f'{f}&" "') for cell in words]
    broken = patch(micro_workbook, tmp_path / "broken.xlsx", {ATTENTION: in_order(*more)})
    named = {*verify(broken, wrong_cells=None).wrong_cells}
    assert {f"{ATTENTION}!{cell}" for cell in (*cells, *words)} <= named
    assert {cell.partition("!")[0] for cell in named} == {ATTENTION}


def test_a_sheet_that_is_left_out_is_not_missed(micro: Checkpoint, tmp_path: Path, sheetgpt_command: Command) -> None:
    path = tmp_path / "w.xlsx"
    words = ("build", micro.source, "--ids", "1,2", "--context", 4, "-o", path, "--without", "Attention", "-q")
    assert sheetgpt_command(*words)[0] == 0
    book = openpyxl.load_workbook(path)
    assert ATTENTION not in book.sheetnames
    assert not [name for name in book.defined_names if name.startswith("attention")]
    assert open_workbook(path).layout.optional == choose(None, "attention")
    report = verify(path)
    assert report.passed, report.problems
    _, said, _ = sheetgpt_command("info", path)
    assert re.search("attention +left out", said)
    assert "optional_sheets" in said


def test_a_sheet_that_was_deleted_is_missed(micro_workbook: Path, tmp_path: Path) -> None:
    assert open_workbook(micro_workbook).layout.optional == choose(None)
    book = openpyxl.load_workbook(micro_workbook)
    del book[ATTENTION]
    book.save(tmp_path / "deleted.xlsx")
    report = verify(tmp_path / "deleted.xlsx")
    assert not report.passed
    assert {t.problem for t in report.tensors if t.sheet == ATTENTION} == {"the sheet is missing"}


def test_what_the_model_sheet_says_of_them_is_held_against_the_rest(micro_workbook: Path, tmp_path: Path) -> None:
    """A note that says that the sheet is not there, and one that names a sheet that no workbook has."""
    cell = open_workbook(micro_workbook).layout["optional_sheets"].cells
    for says, problem in (("none", "The sheet Attention is none of this workbook's"), ("lenses", "no such sheet")):
        note = typed(cell, f' t="inlineStr"><is><t>{says}</t></is>')
        report = verify(patch(micro_workbook, tmp_path / "noted.xlsx", {"Model": note}))
        assert not report.passed
        assert any(problem in said for said in report.problems), report.problems


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that cost little and two that are expensive."""
    made = [
        OptionalSheet(name, lambda s, p: (), lambda layout: 1000, expensive=expensive)
        for name, expensive in (("cheap", False), ("lens", True), ("small", False), ("words", True))
    ]
    monkeypatch.setattr(registry, "REGISTRY", made)


@pytest.mark.usefixtures("four")
def test_large_models_leave_out_what_is_expensive() -> None:
    assert choose(None) == ("cheap", "lens", "small", "words")
    assert choose(None, large=True) == choose("none") == choose("") == ("cheap", "small")
    assert choose("words", large=True) == choose(["words"]) == ("cheap", "small", "words")
    assert choose("all", large=True) == ("cheap", "lens", "small", "words")
    assert choose(" Words, cheap,lens") == ("cheap", "lens", "small", "words")
    assert choose(None, "lens,cheap") == ("small", "words")
    assert choose("all", "all") == ()
    for names, without in (("lense", ""), (None, "lense")):
        with pytest.raises(SheetGPTError, match=r"lense: there is no such sheet; choose among all, none, cheap, lens"):
            choose(names, without)


@pytest.mark.usefixtures("four")
def test_the_forecast_counts_them(micro: Checkpoint) -> None:
    layout = planned(micro)
    assert layout.optional == ("cheap", "lens", "small", "words")
    assert file_bytes(layout) - file_bytes(replace(layout, optional=())) == pytest.approx(4 * 1000 * 11.5)


def test_the_sheets_own_counts_are_about_right(reader: Checkpoint, tmp_path: Path) -> None:
    """A few hundred cells more or less change no forecast."""
    sizes: dict[str, Any] = {"context": 12, "prompt_bytes": 24, "merge_rounds": 4}
    path = sheetgpt.build(reader, tmp_path / "w.xlsx", prompt="the king", new_tokens=0, **sizes)
    state = case_of(path, {}).state
    there = [maker for maker in registry.optional_sheets() if not maker.asked_for]
    own = {sheet.title: sheet.formulas for sheet in verify(path, engine="cached").sheets}
    for maker in there:
        counted = sum(own[sheet.title] for sheet in maker(state, PLAIN))
        assert maker.n_formulas(state.layout) == pytest.approx(counted, rel=0.2, abs=300), maker.name


def test_one_column_and_one_token(micro: Checkpoint, tmp_path: Path) -> None:
    """Nothing to look at but itself: no averages, and no sentence about them."""
    path = sheetgpt.build(micro, tmp_path / "w.xlsx", ids=[3], context=1)
    report = verify(path)
    assert report.passed, wrong(report)
    assert sheetgpt.check(path) == []
    found = cached.recalculate(path, {}, ["attention_said", "attention_heads"])
    said, averages = found["attention_said"], found["attention_heads"]
    assert said is not None
    assert averages is not None
    assert said.texts == {(0, 0): "“#3” is the first token: it can look at nothing but itself."}
    assert {*averages.texts.values()} == {"–"}
