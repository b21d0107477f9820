"""The sheet Exercises: blanks, right answers, typical mistakes and formulas of one's own, all verified."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from judging import case_of, judged, wrong
from patching import cell_xml, patch, set_formula
from ready import Command
from some_sheets import one_sheet

import sheetgpt
from sheetgpt.engines import ironcalc
from sheetgpt.excel_rules import check
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.ooxml.rows import letters
from sheetgpt.sheets.exercises import exercises
from sheetgpt.sheets.exercises.column import EXERCISES, Column, column_letters
from sheetgpt.sheets.exercises.of_text import ONE_WORD, which
from sheetgpt.sheets.exercises.task import NO_NUMBER, RIGHT, ROUNDED_RIGHT, Task, answer_now, same_now
from sheetgpt.sheets.tensor import Value
from sheetgpt.verification.verify import Case, prepare, verify
from sheetgpt.workbook.build import build
from sheetgpt.workbook.optional import choose
from sheetgpt.workbook.reopen import open_workbook

SIZES: dict[str, Any] = {"context": 6, "new_tokens": 1, "prompt_bytes": 8, "merge_rounds": 2, "prompt": "mila"}
INSIDE = "attention,lens,neuron,embedding"  # what is left out: nothing here asks them


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("tiny", tmp_path_factory.mktemp("class") / "class.xlsx", without=INSIDE, **SIZES)


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("class") / "solved.xlsx"
    return build("tiny", target, without=INSIDE, solutions=True, **SIZES)


def tasks(case: Case) -> list[Task]:
    return exercises.all_tasks(Column(case.state.layout))


def answered(case: Case, answers: Mapping[str, Value]) -> Case:
    """The case with these in the yellow cells, all others empty."""
    put = {f"exercises_{task.name}": answers.get(task.name, "") for task in tasks(case)}
    blank = {name: None if value == "" else value for name, value in put.items()}
    return replace(case, state=replace(case.state, chosen={**case.state.chosen, **put}), puts={**case.puts, **blank})


def said(case: Case, task: Task) -> str:
    return exercises.checked(Column(case.state.layout), task, case.state)


def rights(case: Case) -> dict[str, Value]:
    return {task.name: answer_now(task, case.state) for task in tasks(case)}


def test_there_are_thirteen_in_the_order_of_the_guide(book: Path) -> None:
    found = tasks(case_of(book, {}))
    assert [task.name for task in found] == [
        *("embedding", "layer_norm", "score", "weight", "mixture", "neuron", "logit", "temperature", "surprise"),
        *("draw", "merge", "causality", "head_off"),
    ]
    assert all(len(task.mistakes) >= 3 and task.links and task.hint for task in found)


def test_blanks_right_answers_and_typical_mistakes_are_told_apart_in_libreoffice(book: Path) -> None:
    case = case_of(book, {})
    found = tasks(case)
    right = rights(case)
    cases = {"blank": answered(case, {}), "right": answered(case, right)}
    cases["rounded"] = answered(case, {name: round(float(value), 3) for name, value in right.items()})
    cases["text"] = answered(case, dict.fromkeys(right, "hello"))
    cases["nothing like it"] = answered(case, dict.fromkeys(right, 1e6))
    wrongs: list[dict[str, float]] = []
    for k in range(max(len(task.mistakes) for task in found)):
        wrongs.append({t.name: t.mistakes[k].number.twin(case.state) for t in found if k < len(t.mistakes)})
        cases[f"mistake {k}"] = answered(case, wrongs[-1])
    other = case_of(book, {"prompt": "a"})
    cases["right, another prompt"] = answered(other, rights(other))
    assert {name: [*bad.items()][:4] for name, bad in judged(book, cases).items() if bad} == {}

    for task in found:
        assert said(cases["blank"], task) == ""
        assert said(cases["right"], task) == RIGHT
        is_nothing = round(float(right[task.name]), 3) == 0  # which is no answer to anything small
        assert said(cases["rounded"], task) in (RIGHT, ROUNDED_RIGHT) or is_nothing
        assert said(cases["text"], task) == NO_NUMBER
        assert not said(cases["nothing like it"], task).startswith(RIGHT)
        for k, mistake in enumerate(task.mistakes):
            number = wrongs[k][task.name]
            before = (other.number.twin(case.state) for other in task.mistakes[:k])
            if not same_now(number, float(right[task.name])) and not any(same_now(number, x) for x in before):
                assert said(cases[f"mistake {k}"], task) == mistake.words
    for one in rights(other):
        assert said(cases["right, another prompt"], next(t for t in found if t.name == one)) == RIGHT


def test_the_mistakes_are_different_numbers(book: Path) -> None:
    """So that the test above looks at nearly all of them."""
    case, hidden = case_of(book, {}), set()
    for task in tasks(case):
        seen: list[float] = [float(answer_now(task, case.state))]
        for k, mistake in enumerate(task.mistakes):
            number = mistake.number.twin(case.state)
            if any(same_now(number, x) for x in seen):
                hidden.add((task.name, k))
            seen.append(number)
    # the neuron is silent, and the pair overlaps as often as it joins
    assert hidden <= {("neuron", 4), ("merge", 2), ("draw", 2), ("draw", 3), ("causality", 3)}


def in_cell(cell: str, formula: str, cached: str) -> Any:
    """A formula in the yellow cell, as a program saves it."""
    return lambda sheet: sheet.replace(cell_xml(sheet, cell), f'<c r="{cell}"><f>{formula}</f><v>{cached}</v></c>', 1)


def test_a_formula_of_ones_own_is_read_by_what_it_comes_to(book: Path, tmp_path: Path) -> None:
    """Whatever the file says of it: another prompt makes another number of it."""
    case = case_of(book, {})
    page, layout = exercises.page(case.state.layout), case.state.layout
    token, position = (layout[name].line(1).stripe(2).reference for name in ("embed_tok", "embed_pos"))
    cells = {name: page[name].cells for name in ("embedding", "weight", "draw")}

    def change(sheet: str) -> str:
        sheet = in_cell(cells["embedding"], f"{token}+{position}", "-7")(sheet)
        sheet = in_cell(cells["weight"], "1/0", "3")(sheet)
        return str(in_cell(cells["draw"], "&quot;&quot;", "5")(sheet))

    own = patch(book, tmp_path / "own.xlsx", {EXERCISES: change})
    report = verify(own, engine="ironcalc")
    assert report.passed, wrong(report)
    assert report.compared_cells == report.formula_cells == verify(book, engine="ironcalc").formula_cells
    checks = {name: f"{EXERCISES}!{page[f'check {name}'].cells}" for name in cells}
    answer = ironcalc.recalculate(own, {}, [*checks.values()])
    texts = {name: found.texts.get((0, 0), "") for name, key in checks.items() if (found := answer[key]) is not None}
    assert texts == {"embedding": RIGHT, "weight": NO_NUMBER, "draw": ""}
    assert verify(own, engine="ironcalc", prompt="an").passed


@pytest.mark.parametrize("name", ["check score", "right temperature", "wrong layer_norm 0", "wrong logit 2", "done"])
def test_a_broken_formula_of_the_sheet_is_found(name: str, book: Path, tmp_path: Path) -> None:
    cell = exercises.page(open_workbook(book).layout)[name].line(0).stripe(0).cells
    added = '&"!"' if name.startswith("check") else "+0.001"
    broken = patch(book, tmp_path / "broken.xlsx", {EXERCISES: set_formula(cell, lambda f: f"({f}){added}")})
    assert f"{EXERCISES}!{cell}" in verify(broken, engine="ironcalc", wrong_cells=None).wrong_cells


def test_the_solutions_are_right_in_libreoffice_and_follow_the_prompt(solved: Path) -> None:
    assert list(check(solved)) == []
    cases = {prompt: case_of(solved, {"prompt": prompt}) for prompt in ("mila", "n", "elena")}
    assert {name: [*bad.items()][:4] for name, bad in judged(solved, cases).items() if bad} == {}
    for case in cases.values():
        assert [said(case, task) for task in tasks(case)] == [RIGHT] * 13
    book = openpyxl.load_workbook(solved, data_only=True)
    assert book[EXERCISES]["C3"].value == "13 of 13"
    assert exercises.SOLVED in book[EXERCISES]["C1"].value
    assert book["Model"]["B19"].value.startswith("map, exercises, solutions")


def test_the_solutions_are_right_in_another_program(solved: Path) -> None:
    report = verify(solved, engine="ironcalc")
    assert report.passed, wrong(report)


def test_odd_shapes_ids_and_whole_numbers(odd: Checkpoint, tmp_path: Path) -> None:
    """A head of its own, five heads; without a tokenizer nothing merges, without Contributions nothing is left over."""
    without = INSIDE + ",contributions"
    given: dict[str, Any] = {"ids": [36, 0, 0, 7], "context": 6, "new_tokens": 1, "without": without}
    path = build(odd, tmp_path / "odd.xlsx", weights="int8", solutions=True, **given)
    assert list(check(path)) == []
    report = verify(path)
    assert report.passed, wrong(report)
    assert one_sheet(path, EXERCISES, values=True)["C3"].value == "11 of 11"


def test_one_layer_one_head_one_number(make_checkpoint: Any, tmp_path: Path) -> None:
    config = GPT2Config(n_vocab=7, n_positions=5, n_embd=1, n_layer=1, n_head=1, n_inner=3, activation_function="relu")
    path = build(make_checkpoint(config, "one"), tmp_path / "one.xlsx", ids=[3], context=4, solutions=True)
    report = verify(path, engine="ironcalc")
    assert report.passed, wrong(report)
    assert one_sheet(path, EXERCISES, values=True)["C3"].value == "11 of 11"


def test_in_a_lab_a_head_is_switched_off_and_the_prediction_compared(tmp_path: Path) -> None:
    sizes = {**SIZES, "context": 5}
    path = build("tiny", tmp_path / "lab.xlsx", lanes=2, without=INSIDE + ",contributions", **sizes)
    assert list(check(path)) == []
    lab = open_workbook(path).lab
    block, head = which(open_workbook(path).layout)
    lines = [[*line] for line in lab.switches]
    lines[block][head] = 0
    off = prepare(path, {}, lab=replace(lab, switches=tuple(map(tuple, lines))))
    assert isinstance(off, Case)
    on = case_of(path, {})
    task = tasks(off)[-1]
    way = str(answer_now(task, off.state))
    others = [word for word in task.choices if word != way]
    cases = {
        "waits": answered(on, {"head_off": way}),
        "seen": answered(off, {"head_off": way.upper()}),
        "no": answered(off, {"head_off": others[0]}),
        "what": answered(off, {"head_off": 3}),
    }
    assert {name: [*bad.items()][:4] for name, bad in judged(path, cases).items() if bad} == {}
    assert [said(case, task)[:4] for case in cases.values()] == ["Note", RIGHT, "No: ", ONE_WORD[:4]]


def test_solutions_are_only_there_where_they_are_asked_for() -> None:
    assert "exercises" in choose(None)
    assert "exercises" in choose(None, large=True)
    for wish in (None, "all", "exercises"):
        assert not {exercises.SOLUTIONS, "paper"} & {*choose(wish)}
    assert exercises.SOLUTIONS in choose(None, solutions=True)
    assert choose("all,paper", "all") == ("paper",)
    with pytest.raises(sheetgpt.SheetGPTError, match="--solutions fills in"):
        choose(None, "exercises", solutions=True)


def test_tiny_is_a_model_of_tenths_whose_block_is_one_printed_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sheetgpt_command: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, _ = sheetgpt_command("build", "--tiny")
    assert (status, "tiny.xlsx" in out) == (0, True)
    path = tmp_path / "workbooks" / "tiny.xlsx"
    report = verify(path, engine="ironcalc")
    assert report.passed, wrong(report)
    config = open_workbook(path).layout.config
    assert (config.n_layer, config.n_embd, config.n_head) == (1, 8, 2)
    numbers = np.concatenate([tensor.ravel() for tensor in load("tiny").params.values()])
    assert np.array_equal(numbers, np.round(numbers.astype(float), 1).astype(np.float32))
    frame = one_sheet(path, "On paper")
    assert (frame.page_setup.fitToHeight, frame.page_setup.orientation) == (1, "landscape")
    assert open_workbook(path).prompt == "mila"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tiny", "stories"), "--tiny builds a model of its own: leave out stories."),
        (("--tiny", "--train"), "--tiny is nothing for a workbook that learns"),
        (("--solutions", "--train"), "--solutions is nothing for a workbook that learns"),
        (("--solutions", "--without", "all"), "--solutions fills in the sheet exercises"),
    ],
)
def test_what_doesnt_go_together_is_one_sentence(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sheetgpt_command: Command
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, errors = sheetgpt_command("build", *words)
    assert status == 2
    assert said in " ".join(errors.split())
    assert not [*tmp_path.rglob("*.xlsx")]


@pytest.mark.parametrize("numbers", [range(1, 60), (676, 677, 701, 702, 703, 704, 728, 729, 1378, 1379, 16384)])
def test_the_letters_of_a_column(numbers: Sequence[int], tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row, number in enumerate(numbers, 1):
        book.worksheets[0].cell(row, 1, number)
        book.worksheets[0].cell(row, 2, "=" + column_letters(f"A{row}"))
    book.save(tmp_path / "letters.xlsx")
    key = f"Sheet!B1:B{len(numbers)}"
    found = ironcalc.recalculate(tmp_path / "letters.xlsx", {}, [key])[key]
    assert found is not None
    assert [found.texts[i, 0] for i in range(len(numbers))] == [letters(number) for number in numbers]
