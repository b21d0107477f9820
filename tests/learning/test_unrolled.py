"""A workbook in which many training steps stand one after another on one word: every cell, edits, and refusals."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from patching import in_order, patch, set_formula, set_number
from ready import Command, fairytale_words

import sheetgpt
from sheetgpt.engines import Cells, cached, ironcalc
from sheetgpt.errors import SheetGPTError
from sheetgpt.excel_rules import check
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.learning import learn
from sheetgpt.gpt2.learning.adam import Settings
from sheetgpt.verification.verify import verify
from sheetgpt.workbook.training.lesson import build_lesson, open_lesson
from sheetgpt.workbook.training.train import train

STEPS = 3
SIZES: dict[str, Any] = {"width": 4, "heads": 1, "positions": 5, "unroll": STEPS}
FIRST = ["--train", "--width", "4", "--heads", "1", "--positions", "5"]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "words.txt"
    path.write_text("ada\nkim\nbo\nlena\n")
    return path


@pytest.fixture(scope="module")
def unrolled(words: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed: `patch` makes a copy."""
    return build_lesson(None, tmp_path_factory.mktemp("unrolled") / "unrolled.xlsx", words=words, **SIZES)


def place(workbook: Path, name: str, i: int = 0, j: int = 0) -> tuple[str, str]:
    """Sheet and cell of one cell of a name."""
    area = cached.package(workbook).names[name.upper()]
    assert area is not None
    return area.sheet, area.line(i).stripe(j).cells


def _replaced(right: str, wrong: str, formula: str) -> str:
    """The whole formula, where nothing is named that is right."""
    return formula.replace(right, wrong, 1) if right else wrong


def numbers(found: dict[str, Cells | None], name: str) -> np.ndarray:
    cells = found[name]
    assert cells is not None
    return cells.numbers


@pytest.mark.parametrize("engine", ["libreoffice", "ironcalc", "cached"])
def test_every_cell_of_every_step_is_what_numpy_says(unrolled: Path, engine: str) -> None:
    report = verify(unrolled, engine=engine)
    assert report.passed, [t for t in report.tensors if not t.passed][:5]
    assert [sheet.title for sheet in report.sheets if sheet.formulas] == ["Training", "Step 1", "Step 2", "Step 3"]
    assert report.compared_cells > 10_000


def test_it_breaks_no_rule(unrolled: Path) -> None:
    assert check(unrolled) == []


@pytest.mark.parametrize(("rate", "word"), [(0, 1), (0.01, 4), (0.1, 3)])
def test_the_curve_follows_the_yellow_cells(unrolled: Path, rate: float, word: int) -> None:
    moment = open_lesson(unrolled)
    settings = Settings(learning_rate=rate, warm_up=0, schedule="constant")
    own = [moment.examples[word - 1]]
    state, losses = learn.learn(moment.now, moment.config, own, settings, STEPS)
    inputs = {"learning_rate": rate, "word_number": word}
    found = ironcalc.recalculate(unrolled, inputs, ["curve", "trouble", "step3_new_h0_mlp_c_fc_w"])
    assert numbers(found, "curve").ravel() == pytest.approx(losses, abs=1e-12)
    assert numbers(found, "step3_new_h0_mlp_c_fc_w") == pytest.approx(state.w["h0.mlp.c_fc.w"], abs=1e-9)
    trouble = found["trouble"]
    assert trouble is not None
    assert trouble.texts == {}
    assert (len(set(losses)) == 1) == (rate == 0)


def test_an_edited_workbook_is_compared_with_its_own_settings(unrolled: Path, tmp_path: Path) -> None:
    settings = {"learning_rate": 0.1, "word_number": 4.0, "warm_up": 2.0, "decay": 0.05}
    edits = [set_number(place(unrolled, name)[1], value) for name, value in settings.items()]
    edited = patch(unrolled, tmp_path / "edited.xlsx", {"Training": in_order(*edits)})
    moment = open_lesson(edited)
    assert (moment.words[moment.turn], moment.settings.learning_rate) == ("lena", 0.1)
    report = verify(edited, engine="ironcalc")
    assert report.passed, [t for t in report.tensors if not t.passed][:5]
    assert not verify(edited, engine="cached").passed


@pytest.mark.parametrize(("name", "value"), [("learning_rate", "fast"), ("word_number", 1.5)])
def test_what_makes_no_step_gives_no_number_and_is_said(unrolled: Path, name: str, value: str | float) -> None:
    found = ironcalc.recalculate(unrolled, {name: value}, ["curve", "trouble"])
    assert np.isnan(numbers(found, "curve").ravel()[1:]).all()
    trouble = found["trouble"]
    assert trouble is not None
    assert "look at the yellow cells" in trouble.texts[0, 0]


@pytest.mark.parametrize(("name", "value"), [("learning_rate", -1.0), ("word_number", 0.0), ("word_number", 5.0)])
def test_a_setting_that_cannot_be_is_said_in_a_report(unrolled: Path, tmp_path: Path, name: str, value: float) -> None:
    edited = patch(unrolled, tmp_path / "edited.xlsx", {"Training": set_number(place(unrolled, name)[1], value)})
    (problem,) = verify(edited, engine="ironcalc").problems
    assert name in problem


def test_broken_formulas_are_seen_and_a_later_step_is_judged_from_what_they_left(
    unrolled: Path, tmp_path: Path
) -> None:
    broken = {
        ("step1_rate", 0, 0): ("IF(", "2*IF("),
        ("step2_new_wte", 2, 1): ("SQRT(", "1.001*SQRT("),
        ("step3_embed_tok", 1, 0): ("'Step 2'!", "'Step 1'!"),  # the weights of the step before the last
        ("curve", 1, 0): ("'Step 2'!", "'Step 3'!"),
    }
    changes, cells = {}, []
    for (name, i, j), (right, wrong) in broken.items():
        sheet, cell = place(unrolled, name, i, j)
        changes[sheet] = set_formula(cell, partial(_replaced, right, wrong))
        cells.append(f"{sheet}!{cell}")
    report = verify(patch(unrolled, tmp_path / "broken.xlsx", changes), engine="ironcalc", wrong_cells=None)
    assert {*cells} <= {*report.wrong_cells}
    # the weights that a wrong rate has made are step 2's own start, with its one wrong cell
    assert [cell for cell in report.wrong_cells if cell.startswith("Step 2!")] == [cells[1]]


def test_an_error_in_a_state_is_seen_in_all_steps_after_it(unrolled: Path, tmp_path: Path) -> None:
    sheet, cell = place(unrolled, "step1_new_wpe", 0, 0)
    broken = patch(unrolled, tmp_path / "broken.xlsx", {sheet: set_formula(cell, lambda formula: "NA()")})
    report = verify(broken, engine="ironcalc")
    assert {each.title for each in report.sheets if each.wrong} == {"Training", "Step 1", "Step 2", "Step 3"}


def test_a_formula_that_looks_the_wrong_way_breaks_a_rule(unrolled: Path, tmp_path: Path) -> None:
    logits = place(unrolled, "step3_d_ln_f")[1]
    broken = {
        ("step1_h0_ln_1", 1, 0): ("G$30", "reaches to the right of the formula's own token column"),
        ("step2_h0_ln_1", 1, 0): ("G$30", "reaches to the right of the formula's own token column"),
        ("step3_d_h0_attn_qkv", 5, 2): (
            f"SUM($F${logits[1:]}:$F${logits[1:]})",
            "reads gradients to the left of the formula's own position",
        ),
    }
    changes, expected = {}, []
    for (name, i, j), (source, rule) in broken.items():
        sheet, cell = place(unrolled, name, i, j)
        changes[sheet] = set_formula(cell, partial(_replaced, "", source))
        expected.append((sheet, cell, rule))
    problems = check(patch(unrolled, tmp_path / "broken.xlsx", changes))
    for sheet, cell, rule in expected:
        assert any(rule in p.rule and (p.part, p.where) == (sheet, cell) for p in problems), problems[:5]


def test_a_step_that_does_not_say_where_its_positions_are_breaks_a_rule(unrolled: Path, tmp_path: Path) -> None:
    gone = re.compile(
        r'<definedName name="(?:positions_Step_1|after_Step_2|gradients_Step_3)"[^>]*>[^<]*</definedName>'
    )
    broken = patch(unrolled, tmp_path / "broken.xlsx", {"xl/workbook.xml": lambda xml: gone.sub("", xml)})
    said = [problem.where for problem in check(broken) if "says which columns" in problem.rule]
    assert sorted(said) == ["step1_token_ids", "step2_token_ids", "step3_grad_wte"]


def test_the_last_state_pasted_onto_the_first_goes_on(unrolled: Path) -> None:
    found = cached.recalculate(unrolled, {}, ["next", "state"])
    after, before = numbers(found, "next"), numbers(found, "state")
    assert (np.isnan(after) == np.isnan(before)).all()
    moment = open_lesson(unrolled)
    last = moment.steps[-1]
    assert (after[0, 0], before[0, 0]) == (STEPS, 0)
    assert [*after[2 : 2 + STEPS, 0]] == [float(each.trace["loss"]) for each in moment.steps]
    assert np.isin(last.next.w["wpe"], after).all()


def test_a_checkpoint_unrolls_on_its_own_tokens(
    make_checkpoint: Callable[..., sheetgpt.Checkpoint], tmp_path: Path
) -> None:
    config = GPT2Config(260, 20, 4, 1, 1, 4, activation_function="relu", tied=False)
    model = make_checkpoint(config, "learner", seed=3, files=fairytale_words(config.n_vocab))
    listed = tmp_path / "listed.txt"
    listed.write_text("the\nking\n", "utf-8")
    path = build_lesson(model, tmp_path / "on.xlsx", words=listed, positions=5, unroll=2)
    edited = patch(path, tmp_path / "edited.xlsx", {"Training": set_number(place(path, "word_number")[1], 2.0)})
    report = verify(edited, engine="ironcalc")
    assert report.passed, [t for t in report.tensors if not t.passed][:5]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([*FIRST, "--unroll", "0"], "--unroll 0 must be a whole number of at least 1"),
        ([*FIRST, "--unroll", "101"], "at most --unroll 100"),
        (["--train", "--unroll", "35"], "at most --unroll 34"),
        (["--unroll", "2"], "add --train"),
    ],
)
def test_steps_that_no_workbook_holds_are_refused_before_any_work(
    sheetgpt_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], said: str
) -> None:
    monkeypatch.setattr("sheetgpt.workbook.training.lesson.new_params", lambda *_: pytest.fail("weights were made"))
    status, _, err = sheetgpt_command("build", *given, "-o", tmp_path / "x.xlsx")
    assert status == 2
    assert said in " ".join(err.split())
    assert not (tmp_path / "x.xlsx").exists()


def test_the_commands(sheetgpt_command: Command, unrolled: Path, words: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.xlsx"
    status, out, _ = sheetgpt_command("build", *FIRST, "--words", words, "--unroll", 2, "-o", path)
    assert status == 0
    assert "which learning rates to try" in out
    status, out, _ = sheetgpt_command("info", path)
    assert status == 0
    assert "2, on the word ada" in out
    assert "Step 2" in out
    with pytest.raises(SheetGPTError, match="has its 3 steps in its cells"):
        train(unrolled, 1)
    assert "--unroll" in " ".join(sheetgpt_command("build", "--help")[1].split())
