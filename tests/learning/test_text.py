"""A checkpoint that learns a running text: against torch (scripts/golden/make_golden_text.py), in cells."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from learning import by_name
from places import GOLDEN
from ready import Command, fairytale_words

import sheetgpt
from sheetgpt.engines import Step, libreoffice
from sheetgpt.errors import SheetGPTError
from sheetgpt.excel_rules import check
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.learning import learn
from sheetgpt.gpt2.learning.adam import Settings
from sheetgpt.gpt2.learning.loss import Example, example, in_columns, windows
from sheetgpt.sheets.training.guide import TITLE
from sheetgpt.text.words import read_running
from sheetgpt.verification.verify import verify
from sheetgpt.workbook.training import limits
from sheetgpt.workbook.training.lesson import build_lesson, open_lesson
from sheetgpt.workbook.training.train import copied, train

FOUND = dict(np.load(GOLDEN / "text.npz"))
ABOUT: dict[str, Any] = json.loads(str(FOUND["about"]))
COLUMNS, STEPS = ABOUT["columns"], ABOUT["steps"]
RUNS = [tuple(int(i) for i in run if i >= 0) for run in FOUND["runs"]]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(ABOUT["text"] + "\n")
    return path


@pytest.fixture(scope="module")
def fresh(text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model `tiny` at step 0. Not to be changed: copy it."""
    return build_lesson("tiny", tmp_path_factory.mktemp("lesson") / "fresh.xlsx", text=text, positions=COLUMNS)


@pytest.fixture
def lesson(fresh: Path, tmp_path: Path) -> Path:
    path = tmp_path / "lesson.xlsx"
    path.write_bytes(fresh.read_bytes())
    return path


def numbers(found: Any, name: str) -> np.ndarray:
    cells = found[name]
    assert cells is not None
    values: np.ndarray = cells.numbers
    return values


def test_windows_overlap_by_one_token_and_guess_each_but_the_first_once() -> None:
    assert windows(range(8), 3) == [(0, 1, 2, 3), (3, 4, 5, 6), (6, 7)]
    assert windows(range(7), 3) == [(0, 1, 2, 3), (3, 4, 5, 6)]
    assert windows(range(2), 3) == [(0, 1)]
    assert in_columns((6, 7), 3) == Example((6, 7, 7), (7, 7, 7), (1.0, 0.0, 0.0))
    assert in_columns((0, 4, 2, 0), 5) == example([4, 2], 0, 5)


def test_losses_and_gradients_of_windows_are_those_of_torch(fresh: Path) -> None:
    moment = open_lesson(fresh)
    assert [*moment.runs] == RUNS
    assert 2 <= len(RUNS[-1]) <= COLUMNS
    for k, wanted in enumerate(moment.examples):
        found = learn.gradients(moment.now.w, moment.config, wanted)
        assert found["loss"] == pytest.approx(FOUND[f"{k}.loss"], abs=1e-12)
        assert found["loss"] == pytest.approx(FOUND[f"{k}.theirs"], abs=2e-6)  # float32
        for name, expected in by_name(moment.config, FOUND[f"{k}.grad"]).items():
            assert found[f"grad_{name}"] == pytest.approx(expected, abs=1e-12), name


def test_twenty_steps_on_a_text_are_those_of_torch(fresh: Path) -> None:
    moment, their = open_lesson(fresh), ABOUT["adam"]
    beta1, beta2 = their["betas"]
    settings = Settings(their["lr"], beta1, beta2, their["eps"], warm_up=0, schedule="constant")
    state, losses = learn.learn(moment.now, moment.config, moment.examples, settings, STEPS)
    assert losses == pytest.approx(FOUND["losses"], abs=1e-9)
    for name, expected in by_name(moment.config, FOUND["weights"]).items():
        assert state.w[name] == pytest.approx(expected, abs=1e-9), name


@pytest.mark.parametrize("engine", ["libreoffice", "ironcalc", "cached"])
def test_every_cell_is_what_numpy_says(fresh: Path, engine: str) -> None:
    report = verify(fresh, engine=engine)
    assert report.passed, [t for t in report.tensors if not t.passed][:5]
    assert report.compared_cells > 4_000


def test_the_sheets_speak_of_a_text(fresh: Path) -> None:
    """But for the three experiments, which are told of another workbook."""
    assert check(fresh) == []
    book = openpyxl.load_workbook(fresh)
    said = {sheet.title: [str(cell.value) for row in sheet for cell in row if cell.data_type == "s"] for sheet in book}
    assert "Words" not in said
    said["Guide"] = said["Guide"][: said["Guide"].index(TITLE)]
    wrong = [each for texts in said.values() for each in texts if "word" in each.replace("n_words", "")]
    assert wrong == []
    assert not [each for each in said["Loss"] if "the end" in each]
    assert [book["Text"].cell(4 + k, 2).value for k in range(3)] == ["annam", "milane", "ellie"]
    for name in ("word", "text_now", "text_after"):  # a text runs on over the empty cell beside it
        at = book["Training"][book.defined_names[name].attr_text.split("!")[1]]
        assert at.offset(0, 1).value is None
        assert not at.alignment.wrap_text
        assert at.alignment.horizontal != "center"


def test_the_last_shorter_window_is_masked_in_every_program(lesson: Path) -> None:
    """Two steps on, by the workbook's own formulas; what no step needs is right, too, as soon as it is looked at."""
    copies, last = copied(open_lesson(lesson).layout), ["word_number", "counts", "loss", "after_loss", "d_logits"]
    one = Step({}, ["loss"], hard=False, copy=copies, lazy=True)
    found = libreoffice.run(lesson, [Step({"write": 0}, ["loss"]), one, one, Step({}, last, hard=False, lazy=True)])[3]
    moment = open_lesson(lesson)
    state, _ = learn.learn(moment.now, moment.config, moment.examples, moment.settings, 2)
    third = replace(moment, now=state)
    assert numbers(found, "word_number") == 3
    assert numbers(found, "counts").tolist() == [[1.0] * (len(RUNS[2]) - 1) + [0.0] * (COLUMNS + 1 - len(RUNS[2]))]
    assert numbers(found, "loss") == pytest.approx(float(third.trace["loss"]), abs=1e-9)
    assert numbers(found, "after_loss") == pytest.approx(float(third.after["loss"]), abs=1e-9)
    assert not numbers(found, "d_logits")[:, len(RUNS[2]) - 1 :].any()


def test_twenty_steps_by_libreoffice_are_those_of_numpy(lesson: Path, tmp_path: Path) -> None:
    before = open_lesson(lesson)
    state, losses = learn.learn(before.now, before.config, before.examples, before.settings, 20)
    made = train(lesson, 20, engine="libreoffice", save_to=tmp_path / "saved", model="tiny")
    assert made["loss"].to_numpy() == pytest.approx(losses, abs=1e-9)
    assert [*made["window"]][:4] == [*before.words, before.words[0]]
    after = open_lesson(lesson)
    assert (after.now.t, after.layout.text, after.runs) == (20, True, before.runs)
    for name, w in state.w.items():
        assert after.now.w[name] == pytest.approx(w, abs=1e-9), name
    assert verify(lesson, engine="cached").passed
    saved = load(tmp_path / "saved")
    assert saved.stop_ids == (0,)
    assert saved.params["wte"] == pytest.approx(after.now.w["wte"], abs=1e-6)


def test_a_model_without_an_end_learns_a_text_and_writes_until_the_columns_are_full(
    make_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    """Two steps unrolled, too, on a text of a single window: a list of one cell is no range to IronCalc's INDEX."""
    config = GPT2Config(260, 20, 4, 1, 1, 4, activation_function="relu")
    model = replace(make_checkpoint(config, "endless", seed=3, files=fairytale_words(config.n_vocab)), stop_ids=())
    file = tmp_path / "text.txt"
    file.write_bytes(b"the king\r\n=1+1, he said")
    path = build_lesson(model, tmp_path / "on.xlsx", text=file, positions=3)
    moment = open_lesson(path)
    assert moment.layout.end == -1
    assert model.tokenizer is not None
    tokens = model.tokenizer.encode("the king\n=1+1, he said")
    assert [token for run in moment.runs for token in run[1:]] == tokens[1:]
    assert moment.writes is not None
    assert (moment.writes.ids[0], len(moment.writes.chosen)) == (tokens[0], 3)
    assert verify(path, engine="ironcalc").passed
    train(path, 2, save_to=tmp_path / "saved", model=model.source)
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["eos_token_id"] is None
    file.write_text("the")
    unrolled = build_lesson(model, tmp_path / "unrolled.xlsx", text=file, positions=3, unroll=2)
    assert len(open_lesson(unrolled).runs) == 1
    assert verify(unrolled, engine="ironcalc").passed
    assert check(unrolled) == []
    with pytest.raises(SheetGPTError, match=r"steps one after another, and takes no prompt: .*change its yellow cells"):
        sheetgpt.run(unrolled, prompt="the")
    with pytest.raises(SheetGPTError, match=r"takes no prompt: .*build FOLDER"):
        sheetgpt.run(path, prompt="the")


def test_damaged_windows_are_said(lesson: Path) -> None:
    book = openpyxl.load_workbook(lesson)
    book["Text"]["C5"] = COLUMNS + 2
    book.save(lesson)
    with pytest.raises(SheetGPTError, match="window number 2 has no valid token ids on the sheet Text"):
        train(lesson, 1)


def test_a_text_is_read_as_it_is_but_for_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbf one \r\ntwo\r\r\n\n")
    assert read_running(path) == " one \ntwo\n\n"


@pytest.mark.parametrize(
    ("data", "given", "said"),
    [
        (b"", ["tiny"], "text.txt has no text in it"),
        (b"\r\n", ["tiny"], "text.txt has no text in it"),
        (b"a\n", ["tiny"], "text.txt has one token only: to learn, it takes one to read and one to guess"),
        (b"\xff\xfea", ["tiny"], "text.txt is in UTF-16"),
        (b"an\xe9", ["tiny"], "text.txt can't be read: it is not in UTF-8"),
        (b"anna emil", ["tiny"], "text.txt can't be learned from: The vocabulary has no token for ' ', character 5"),
        (
            b"anna",
            ["tiny", "--positions", "9"],
            "--positions 9 must be a whole number from 2 to 8, the positions of tiny",
        ),
        (b"anna", ["tiny", "--positions", "1"], "--positions 1 must be"),
        (b"anna", ["tiny", "--words", "words.txt"], "--words and --text are two things to learn from"),
        (b"anna", ["tiny", "--layers", "2"], "tiny has its own shapes"),
        (b"anna", [], "--text needs a MODEL, whose tokenizer reads it"),
        (b"Once upon a time", ["stories"], "s in LibreOffice, with 1,"),
        (
            b"an" * 30,
            ["tiny"],
            "60 tokens in 8 windows of 8, which take 96 cells; sheetgpt builds workbooks that learn",
        ),
    ],
)
def test_what_is_no_text_to_learn_from_is_refused(
    sheetgpt_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, given: list[str], said: str
) -> None:
    monkeypatch.setattr(limits, "MOST_LISTED", 90)
    (tmp_path / "text.txt").write_bytes(data)
    given = [*given, "--train", "--text", str(tmp_path / "text.txt")]
    status, _, err = sheetgpt_command("build", *given, "-o", tmp_path / "x.xlsx")
    assert status == 2
    assert said in " ".join(err.split())
    assert not (tmp_path / "x.xlsx").exists()


@pytest.mark.parametrize(
    ("words", "columns", "said"),
    [
        ("anna\nBob", 8, "line 2: The vocabulary has no token for 'B', character 1"),
        ("lea\nanniemila", 4, "line 2: 8 tokens, and 4 columns take 3: give more --positions"),
        ("lea\nanniemila", 8, "line 2: 8 tokens, and 8 columns take 7: the model has no more"),
    ],
)
def test_a_word_that_is_none_is_said_with_its_line(
    sheetgpt_command: Command, tmp_path: Path, words: str, columns: int, said: str
) -> None:
    (tmp_path / "words.txt").write_text(words)
    given = ["tiny", "--train", "--words", tmp_path / "words.txt", "--positions", columns]
    status, _, err = sheetgpt_command("build", *given, "-o", tmp_path / "x.xlsx")
    assert status == 2
    assert said in " ".join(err.split())


def test_the_command_says_what_it_makes(
    sheetgpt_command: Command, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("workbooks", "tiny-train.xlsx")
    assert sheetgpt_command("build", "tiny", "--train", "--text", text, "--positions", 2)[0] == 0
    status, out, _ = sheetgpt_command("info", path)
    assert status == 0
    assert "windows" in out
    assert "the window, the loss before and after this step" in " ".join(out.split())
    status, _, err = sheetgpt_command("build", "--text", text)
    assert status == 2
    assert "add --train" in err
