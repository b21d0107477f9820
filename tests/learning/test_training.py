"""A workbook in which a GPT-2 learns: every cell, its steps in spreadsheet programs, and what is left of them."""

import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from openpyxl.chart import ScatterChart
from ready import Command, fairytale_words
from some_sheets import one_sheet

import sheetgpt
from sheetgpt.engines import cached, ironcalc, libreoffice
from sheetgpt.errors import SheetGPTError
from sheetgpt.excel_rules import check
from sheetgpt.gpt2.checkpoints.checkpoint import load
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.learning import learn
from sheetgpt.gpt2.learning.loss import cross_entropy, example
from sheetgpt.gpt2.model import forward
from sheetgpt.sheets.training.lesson import Writing, draw
from sheetgpt.text.words import END, LETTERS, spell
from sheetgpt.verification.verify import verify
from sheetgpt.workbook.reopen import open_workbook
from sheetgpt.workbook.training.lesson import build_lesson, open_lesson, save
from sheetgpt.workbook.training.train import train

SIZES: dict[str, Any] = {"layers": 1, "width": 4, "heads": 2, "positions": 5}


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "words.txt"
    path.write_text("ada\nkim\nbo\nlena\n")
    return path


@pytest.fixture(scope="module")
def fresh(words: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """At step 0. Not to be changed: copy it."""
    return build_lesson(None, tmp_path_factory.mktemp("lesson") / "fresh.xlsx", words=words, **SIZES)


@pytest.fixture
def lesson(fresh: Path, tmp_path: Path) -> Path:
    return _copied(fresh, tmp_path)


def _copied(workbook: Path, folder: Path) -> Path:
    path = folder / "lesson.xlsx"
    path.write_bytes(workbook.read_bytes())
    return path


def changed(workbook: Path, target: Path, sheet: str, change: Callable[[str], str]) -> Path:
    """A copy in which one sheet's XML, or "workbook", reads otherwise."""
    part = "xl/workbook.xml" if sheet == "workbook" else cached.package(workbook).sheets[sheet]
    with zipfile.ZipFile(workbook) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == part:
                before, data = data, change(data.decode()).encode()
                assert data != before
            new.writestr(name, data)
    return target


def formula(workbook: Path, name: str, i: int = 0, j: int = 0) -> tuple[str, str, str]:
    """Sheet, cell and formula of one cell of a name."""
    area = cached.package(workbook).names[name.upper()]
    assert area is not None
    cell = area.line(i).stripe(j).cells
    return area.sheet, cell, str(one_sheet(workbook, area.sheet)[cell].value)


def with_formula(workbook: Path, target: Path, name: str, at: tuple[int, int], source: str) -> Path:
    """A copy in which one cell has another formula."""
    sheet, cell, _ = formula(workbook, name, *at)
    pattern = re.compile(rf'(<c r="{cell}"[^>]*><f)[^>]*>[^<]*</f>')
    return changed(workbook, target, sheet, lambda xml: pattern.sub(lambda m: f"{m[1]}>{source}</f>", xml))


@pytest.mark.parametrize("engine", ["libreoffice", "ironcalc", "cached"])
def test_every_cell_of_a_new_workbook_is_what_numpy_says(fresh: Path, engine: str) -> None:
    report = verify(fresh, engine=engine)
    assert report.passed, [t for t in report.tensors if not t.passed][:5]
    assert report.compared_cells > 4_000


def test_two_blocks_with_an_unembedding_of_their_own_in_the_middle_of_training(words: Path, tmp_path: Path) -> None:
    path = build_lesson(None, tmp_path / "two.xlsx", words=words, **SIZES | {"layers": 2}, tied=False, seed=4)
    train(path, 7)
    assert open_lesson(path).now.t == 7
    for engine in ("ironcalc", "cached"):
        report = verify(path, engine=engine)
        assert report.passed, [t for t in report.tensors if not t.passed][:5]
    assert check(path) == []


def test_a_new_workbook_breaks_no_rule(fresh: Path) -> None:
    assert check(fresh) == []


def test_the_curve_has_a_place_for_each_step_and_one_weight_each_tensors_range(fresh: Path) -> None:
    """Where few steps were made, several points are of one step: as categories they would stand side by side."""
    book, layout = openpyxl.load_workbook(fresh), open_lesson(fresh).layout
    training: Any = book["Training"]
    (chart,) = training._charts
    assert isinstance(chart, ScatterChart)
    assert [each.xVal.numRef.f for each in chart.series] == [layout["curve_last"].reference] * 2
    assert [each.yVal.numRef.f for each in chart.series] == [layout[n].reference for n in ("curve", "curve_guess")]
    listed = [cell.value for cell in book["One weight"]["F"][3:] if cell.value]
    assert listed == [layout[name].cells for name in layout.config.parameter_shapes()]


def test_a_checkpoint_learns_on_with_its_own_tokens(
    make_checkpoint: Callable[..., sheetgpt.Checkpoint], tmp_path: Path
) -> None:
    config = GPT2Config(260, 20, 4, 1, 1, 4, activation_function="gelu")
    model = make_checkpoint(config, "learner", seed=3, files=fairytale_words(config.n_vocab))
    listed = tmp_path / "listed.txt"
    listed.write_text("the\nking\n", "utf-8")
    path = build_lesson(model, tmp_path / "on.xlsx", words=listed, positions=5)
    with pytest.raises(SheetGPTError, match="needs the tokenizer of learner: give that as --model"):
        train(path, 3, save_to=tmp_path / "saved")
    train(path, 3, save_to=tmp_path / "saved", model=model.source)
    moment = open_lesson(path)
    saved = load(tmp_path / "saved")
    assert saved.tokenizer is not None
    assert model.tokenizer is not None
    assert saved.tokenizer.encode("the king") == model.tokenizer.encode("the king")
    assert [run[1:-1] for run in moment.runs] == [tuple(model.tokenizer.encode(word)) for word in ("the", "king")]
    report = verify(path)  # IronCalc knows the normal distribution to 12 digits only
    assert report.passed, [t for t in report.tensors if not t.passed][:5]


@pytest.mark.parametrize("engine", ["libreoffice", "ironcalc"])
def test_ten_steps_by_the_workbooks_own_formulas_are_those_of_numpy(lesson: Path, engine: str) -> None:
    before = open_lesson(lesson)
    state, losses = learn.learn(before.now, before.config, before.examples, before.settings, 10)
    made = train(lesson, 10, engine=engine)
    assert made["loss"].to_numpy() == pytest.approx(losses, abs=1e-12)
    assert [*made["word"]] == ["ada", "kim", "bo", "lena"] * 2 + ["ada", "kim"]
    after = open_lesson(lesson)
    assert (after.now.t, len(after.losses)) == (10, 10)
    for name, w in state.w.items():
        assert after.now.w[name] == pytest.approx(w, abs=1e-9), name


def test_steps_go_on_where_they_stopped(fresh: Path, lesson: Path, tmp_path: Path) -> None:
    train(lesson, 3)
    made = train(lesson, 4)
    (tmp_path / "whole").mkdir()
    whole = _copied(fresh, tmp_path / "whole")
    losses = train(whole, 7)["loss"]
    assert [*made["step"]] == [4, 5, 6, 7]
    assert [*made["loss"]] == [*losses][3:]
    assert open_lesson(lesson).losses == tuple(losses)
    assert lesson.read_bytes() == whole.read_bytes()


def test_one_paste_of_next_is_a_step_and_cached_values_are_right(lesson: Path) -> None:
    """What a person does by hand, with the cached values of the file alone."""
    found = cached.recalculate(lesson, {}, ["next", "state"])
    after, before = found["next"], found["state"]
    assert after is not None
    assert before is not None
    assert after.numbers.shape == before.numbers.shape
    assert (np.isnan(after.numbers) == np.isnan(before.numbers)).all()
    assert after.texts == before.texts
    book = openpyxl.load_workbook(lesson)
    area = cached.package(lesson).names["STATE"]
    assert area is not None
    for (i, j), value in np.ndenumerate(after.numbers):
        if value == value:
            book["State"].cell(area.row + i, area.column + j).value = float(value)
    book.save(lesson)
    moment = open_lesson(lesson)
    _, losses = learn.learn(moment.now, moment.config, moment.examples, moment.settings, 1)
    assert moment.now.t == 1
    assert len(moment.losses) == 1
    step = ironcalc.recalculate(lesson, {}, ["loss", "new_wte", "word"])
    loss, word = step["loss"], step["word"]
    assert loss is not None
    assert word is not None
    assert word.texts[0, 0] == "kim"
    assert loss.numbers[0, 0] == pytest.approx(losses[0], abs=1e-12)


@pytest.mark.parametrize("program", [ironcalc, libreoffice])
def test_pasted_formulas_give_an_error_and_no_wrong_step(lesson: Path, program: Any) -> None:
    book = openpyxl.load_workbook(lesson)
    names = cached.package(lesson).names
    to, of = names["STATE"], names["NEXT"]
    assert to is not None
    assert of is not None
    for i in range(of.n_rows):
        for j in range(of.n_columns):
            source = book["Next"].cell(of.row + i, of.column + j).value
            if isinstance(source, str) and source.startswith("="):
                book["State"].cell(to.row + i, to.column + j).value = source
    book.save(lesson)
    found = program.recalculate(lesson, {}, ["loss", "new_wte"])
    loss, wte = found["loss"], found["new_wte"]
    assert loss.texts
    assert np.isnan(loss.numbers).all()
    assert np.isnan(wte.numbers).all()


@pytest.mark.parametrize(
    ("name", "at", "right", "wrong"),
    [
        ("d_h0_attn_qkv", (5, 2), "SUMPRODUCT(", "1.001*SUMPRODUCT("),
        ("grad_h0_mlp_c_fc_w", (1, 3), "SUMPRODUCT(", "1.001*SUMPRODUCT("),
        ("new_wpe", (2, 0), "SQRT(", "1.001*SQRT("),
        ("correction2", (0, 0), "1-", "2-"),
        ("after_nats", (0, 0), "LN(", "1+LN("),
    ],
)
def test_breaking_a_formula_is_seen(
    fresh: Path, tmp_path: Path, name: str, at: tuple[int, int], right: str, wrong: str
) -> None:
    sheet, cell, source = formula(fresh, name, *at)
    assert right in source
    broken = with_formula(fresh, tmp_path / "broken.xlsx", name, at, source[1:].replace(right, wrong, 1))
    report = verify(broken, engine="ironcalc")
    assert not report.passed
    assert f"{sheet}!{cell}" in report.wrong_cells


@pytest.mark.parametrize(
    ("name", "at", "source", "rule"),
    [
        ("d_h0_attn_qkv", (5, 2), "SUM('Backward'!$F$21:$F$21)", "reads gradients to the left of the formula's own"),
        ("d_h0_attn_z", (1, 0), "F21", "has no $ before its row"),
        ("after_ln_f", (1, 0), "G$30", "reaches to the right of the formula's own token column"),
        ("h0_ln_1", (1, 0), "G$30", "reaches to the right of the formula's own token column"),
    ],
)
def test_a_formula_that_looks_the_wrong_way_breaks_a_rule(
    fresh: Path, tmp_path: Path, name: str, at: tuple[int, int], source: str, rule: str
) -> None:
    sheet, cell, _ = formula(fresh, name, *at)
    broken = with_formula(fresh, tmp_path / "broken.xlsx", name, at, source)
    assert any(rule in p.rule and (p.part, p.where) == (sheet, cell) for p in check(broken)), check(broken)[:5]


def test_without_the_name_that_says_where_gradients_are_the_rule_is_not_silent(fresh: Path, tmp_path: Path) -> None:
    gone = re.compile(r'<definedName name="gradients_Backward"[^>]*>[^<]*</definedName>')
    broken = changed(fresh, tmp_path / "broken.xlsx", "workbook", lambda xml: gone.sub("", xml))
    assert any("no name gradients_" in p.rule for p in check(broken))


def test_the_trained_model_is_a_checkpoint_with_the_same_loss(lesson: Path, tmp_path: Path) -> None:
    folder = tmp_path / "trained"
    train(lesson, 12, save_to=folder)
    moment, model = open_lesson(lesson), load(folder)
    assert (model.config, model.stop_ids) == (moment.config, (END,))
    wanted = example(spell("ada"), END, moment.config.n_positions)
    loss = float(cross_entropy(forward(model.params, model.config, wanted.ids)["logits"], wanted)["loss"])
    assert loss == pytest.approx(float(moment.trace["loss"]), abs=1e-6)  # float32
    assert open_workbook(sheetgpt.build(model, tmp_path / "usual.xlsx", prompt="a", prompt_bytes=8)).prompt == "a"


def test_ctrl_c_leaves_a_whole_workbook_with_the_steps_so_far(lesson: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = learn.learn

    def stopped(state: Any, *args: Any, **more: Any) -> Any:
        if state.t == 4:
            raise KeyboardInterrupt
        return steps(state, *args, **more)

    monkeypatch.setattr(learn, "learn", stopped)
    with pytest.raises(KeyboardInterrupt):
        train(lesson, 9)
    monkeypatch.undo()
    assert open_lesson(lesson).now.t == 4
    assert verify(lesson, engine="cached").passed
    assert [*train(lesson, 2)["step"]] == [5, 6]


def test_losses_move_up_when_there_is_no_room_left(lesson: Path) -> None:
    """Room for three: the oldest loss leaves."""
    moment = open_lesson(lesson)
    small = replace(moment, layout=replace(moment.layout, room=3))
    save(small, lesson)
    losses = train(lesson, 5, engine="ironcalc")["loss"]
    assert open_lesson(lesson).losses == pytest.approx(tuple(losses)[-3:])
    assert verify(lesson, engine="ironcalc").passed


def test_a_schedule_that_is_none_stops_the_step(lesson: Path) -> None:
    found = ironcalc.recalculate(lesson, {"schedule": "sometimes", "warm_up": 0}, ["rate", "new_wte"])
    rate = found["rate"]
    assert rate is not None
    assert rate.texts[0, 0] == "#N/A"


@pytest.mark.parametrize("temperature", [0, 0.5, 1.0])
def test_what_it_writes_follows_temperature_and_seed(lesson: Path, temperature: float) -> None:
    found = ironcalc.recalculate(lesson, {"temperature": temperature, "seed": 5}, ["text_now", "writes_chosen"])
    chosen, text = found["writes_chosen"], found["text_now"]
    assert chosen is not None
    assert text is not None
    moment = open_lesson(lesson)
    written = replace(moment, writing=Writing(True, 5, temperature)).writes
    assert written is not None
    assert chosen.numbers[0, : len(written.chosen)].tolist() == [*written.chosen]
    letters = [*LETTERS]
    assert text.texts.get((0, 0), "") == "".join(letters[i - 1] for i in written.ids[1:])


def test_drawing_is_the_inverse_of_the_running_totals() -> None:
    logits = np.log([0.5, 0.25, 0.25])
    assert [draw(logits, 1.0, u) for u in (0.1, 0.49, 0.51, 0.74, 0.76, 0.999)] == [0, 0, 1, 1, 2, 2]
    assert draw(np.array([1.0, 3.0, 3.0]), 0, 0.99) == 1


@pytest.mark.parametrize(
    ("words_of", "said"),
    [
        (["--layers", "2"], "add --train"),
        (["--train", "--context", "4"], "leave it out"),
        (["--train", "--width", "5", "--heads", "2"], "can't be divided"),
        (["--train", "--width", "256", "--layers", "4"], "sheetgpt builds workbooks that learn up to"),
        (["--train", "--positions", "1"], "no room for a word"),
        (["stories", "--train", "--layers", "2"], "stories has its own shapes"),
        (["--train", "--words", "no-such-file.txt"], "no-such-file.txt"),
    ],
)
def test_what_no_lesson_can_be_is_refused(
    sheetgpt_command: Command, tmp_path: Path, words_of: list[str], said: str
) -> None:
    status, _, err = sheetgpt_command("build", *words_of, "-o", tmp_path / "x.xlsx")
    assert status == 2
    assert said in " ".join(err.split())
    assert not (tmp_path / "x.xlsx").exists()


def test_the_commands(sheetgpt_command: Command, words: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.xlsx"
    sizes = ("--layers", 1, "--width", 4, "--heads", 1, "--positions", 5, "--seed", 3)
    assert sheetgpt_command("build", "--train", "--words", words, *sizes, "-o", path)[0] == 0
    status, out, _ = sheetgpt_command("train", path, "--steps", 6, "--save", tmp_path / "mine")
    assert status == 0
    assert "now stands at step 6" in out
    status, out, _ = sheetgpt_command("info", path)
    assert status == 0
    assert "steps made" in out
    assert "Backward" in out
    assert sheetgpt_command("check", path)[0] == 0
    assert sheetgpt_command("verify", path, "--engine", "cached")[0] == 0
    for command in (("run", path), ("verify", path, "--prompt", "a"), ("train", path, "--steps", 0)):
        assert sheetgpt_command(*command)[0] == 2


def test_damage_is_said_in_a_report_and_stops_training(lesson: Path) -> None:
    book = openpyxl.load_workbook(lesson)
    book["State"]["F8"] = "hello"
    book.save(lesson)
    assert "not numbers" in verify(lesson, engine="cached").problems[0]
    with pytest.raises(SheetGPTError, match="not numbers"):
        train(lesson, 1)
