"""The workbook writes, in LibreOffice: its choices against the NumPy twin's, over settings, edits, stops, windows."""

import functools
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from choices import Settings, settings, wanted
from patching import patch, set_number
from prompts import ids_of, word
from ready import Command
from safetensors.numpy import load_file, save_file
from texts import random_texts, typed

import sheetgpt
from sheetgpt.engines import Cells, Step, libreoffice, office
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.sheets.home.prompt import FINE, SLID
from sheetgpt.sheets.home.self_check import OTHER_INPUTS
from sheetgpt.sheets.inputs import Inputs, cell_text
from sheetgpt.sheets.layout import Layout, defined_name
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.verification.compare import Compared, compare
from sheetgpt.verification.coverage import formula_cells
from sheetgpt.verification.verify import Case, judge, prepare
from sheetgpt.workbook.build import build
from sheetgpt.workbook.reopen import open_workbook
from sheetgpt.workbook.yellow.inputs import given_ids, token_ids

READ = ["token_ids", "message", "n_prompt", "n_tokens"]
SIZES: Settings = {"context": 12, "new_tokens": 0, "prompt_bytes": 80, "merge_rounds": 6}


def fits(text: str, checkpoint: Checkpoint, layout: Layout) -> bool:
    try:
        return bool(given_ids(Inputs(cell_text(text)), checkpoint.tokenizer, layout))
    except SheetGPTError:
        return False


@pytest.fixture(scope="module")
def wild(reader: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Logits spread over 10,000 and more, and tokens with equal rows: the last 40 and some that lie far apart."""
    folder = tmp_path_factory.mktemp("checkpoint") / "wild"
    shutil.copytree(reader.source, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["ln_f.weight"] = tensors["ln_f.weight"] * np.float32(4000)
    wte = tensors["wte.weight"]
    wte[-40:] = wte[-41]
    wte[[200, 100, 50]] = wte[5]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return load(folder)


@pytest.fixture(scope="module")
def wild_workbook(wild: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("workbook") / "wild.xlsx"
    return build(wild, target, prompt="the", without="all", **SIZES)


@pytest.fixture(scope="module")
def inside_wild_workbook(wild: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the sheets that look inside."""
    return build(wild, tmp_path_factory.mktemp("workbook") / "inside.xlsx", prompt="the", **SIZES)


@pytest.mark.parametrize(("name", "n"), [("reader", 120), ("wild", 80), ("inside_wild", 10)])
def test_combinations_are_verified(
    name: str, n: int, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """Every cell, so every tensor and every choice; 200 of them with --thorough.

    Prompts short and long: with the longer ones the window slides.

    The tables and the weights, which no input reaches, are read and compared at the beginning and at the end.
    """
    n = max(round(n * share), 10)  # fewer have no prompt that slides
    checkpoint: Checkpoint = request.getfixturevalue(name.removeprefix("inside_"))
    workbook: Path = request.getfixturevalue(f"{name}_workbook")
    layout = open_workbook(workbook).layout
    texts = [text for text in random_texts(400, 21, 3) if fits(text, checkpoint, layout)][:n]
    combinations = [chosen | {"prompt": text} for text, chosen in zip(texts, settings(n, 1, 11), strict=True)]
    verification, counted = sys.modules["sheetgpt.verification.judge"], formula_cells(workbook)
    monkeypatch.setattr(verification, "formula_cells", lambda _: dict(counted))
    still = {title for title, cells in counted.items() if len(cells) <= 1}  # one: the length of the added token
    assert {"Merges", "Characters", "wte"} <= still
    known: dict[int, Compared] = {}

    def compared(sheet: Sheet, got: Cells) -> Compared:
        if sheet.title not in still:
            return compare(sheet, got)
        if id(got) not in known:
            known[id(got)] = compare(sheet, got)
        return known[id(got)]

    monkeypatch.setattr(verification, "compare", compared)
    cases = [prepare(workbook, chosen, checkpoint.source) for chosen in combinations]
    steps, logits = list[Step](), list[Any]()
    for i, case in enumerate(cases):
        assert isinstance(case, Case)
        now = [area for title, area in case.areas.items() if title not in still or i in (0, n - 1)]
        steps.append(Step(case.puts, [*now, "message", "logits"], hard=i % 2 == 0))
    first, *others = libreoffice.run(workbook, steps)
    answers = [first, *(first | found for found in others)]
    for chosen, case, found in zip(combinations, cases, answers, strict=True):
        assert isinstance(case, Case)
        report = judge(case, "libreoffice", found)
        assert report.passed, (chosen, report.problems, report.frame()[lambda f: ~f.passed])
        logits += [cells.numbers for cells in (found["logits"],) if cells]
    assert {FINE, SLID} <= {word(found["message"]) for found in answers}
    assert np.nanmax(np.abs(logits)) > (1 if name == "reader" else 10_000)


@pytest.mark.parametrize("heat", [0, 0.9])
def test_every_tensor_is_verified_with_generation(reader_workbook: Path, reader: Checkpoint, heat: float) -> None:
    report = sheetgpt.verify(
        reader_workbook, prompt="the king", new_tokens=7, temperature=heat, top_p=0.9, seed=5, model=reader.source
    )
    assert report.passed, report.frame()[lambda f: ~f.passed]
    assert {"sample_wins", "sample_cumulative", "surprisal", "completion"} <= {t.name for t in report.tensors}


@pytest.mark.parametrize(
    ("sheet", "name"),
    [("Sample", "sample_draw"), ("Sample", "sample_kept"), ("Home", "surprisal")],
)
def test_a_broken_choice_fails_verification(
    reader_workbook: Path, reader: Checkpoint, tmp_path: Path, sheet: str, name: str
) -> None:
    layout = open_workbook(reader_workbook).layout
    area = layout[name]
    change = set_number(area.line(0).stripe(5).cells, 0.123)
    broken = patch(reader_workbook, tmp_path / "broken.xlsx", {sheet: change})
    report = sheetgpt.verify(broken, ids=[5, 6, 7], new_tokens=5, model=reader.source)
    assert name in {t.name for t in report.tensors if not t.passed}


def test_after_60_edits_nothing_is_stale(reader_workbook: Path) -> None:
    """One input after the other, threads on: each edit against a recalculation from scratch."""
    rng, layout = random.Random(31), open_workbook(reader_workbook).layout
    names = [
        *READ,
        *(defined_name(name) for name in layout.trace),
        *(name for name in layout.records if name.startswith("sample_")),
        "surprisal",
        "top_probs",
        "completion",
    ]
    steps: list[Step] = []
    for text, chosen in zip(random_texts(60, 32, 2), settings(60, 33, 11), strict=True):
        key = rng.choice(["prompt", *chosen])
        edits = [{"prompt": typed(text)} if key == "prompt" else {key: chosen[key]}]
        if len(steps) % 14 == 0:
            edits.append({"score_prompt": len(steps) // 14 % 2})
        for edit in edits:
            steps += [Step(edit, names, hard=False), Step({}, names)]
    answers = libreoffice.run(reader_workbook, steps)
    different = set()
    for step, soft, hard in zip(steps[::2], answers[::2], answers[1::2], strict=True):
        for name in names:
            a, b = soft[name], hard[name]
            assert a, name
            assert b, name
            assert a.texts == b.texts, (step.set, name)
            np.testing.assert_allclose(a.numbers, b.numbers, rtol=1e-12, atol=1e-12, err_msg=f"{step.set} {name}")
        different.add(tuple(ids_of(soft["token_ids"])))
    assert len(different) > 20


def test_nothing_is_written_after_the_end_of_text(reader: Checkpoint, tmp_path: Path) -> None:
    """Whatever the third new token is: made the end of text, which is no yellow cell, it is the last."""
    workbook = build(reader, tmp_path / "w.xlsx", prompt="the king", without="all", unprotected=True, **SIZES)
    layout = open_workbook(workbook).layout
    inputs = Inputs("the king", new_tokens=6)
    free = wanted(reader, layout, inputs)
    n_prompt = len(token_ids(inputs, reader.tokenizer, layout))
    end = free[n_prompt + 2]
    [found] = libreoffice.run(workbook, [Step(inputs.cells(layout) | {"end_of_text": end}, READ)])
    assert ids_of(found["token_ids"]) == wanted(reader, replace(layout, end_of_text=(end,)), inputs)
    assert ids_of(found["token_ids"])[-1] == end
    assert len(ids_of(found["token_ids"])) < len(free)


OUT_OF_RANGE: list[tuple[str, Any, str]] = [
    ("new_tokens", 12, "New tokens must be"),
    ("new_tokens", 1.5, "New tokens must be"),
    ("temperature", "hot", "The temperature must be"),
    ("temperature", 1e-9, "The temperature must be"),
    ("top_k", 65, "top_k must be"),
    ("top_p", 0, "top_p must be"),
    ("seed", -1, "The seed must be"),
    ("score_prompt", 2, "“Score the prompt” must be"),
]


@pytest.fixture(scope="module")
def out_of_range(reader_workbook: Path) -> dict[tuple[str, Any], dict[str, Any]]:
    """What the workbook says of each, all other inputs being right."""
    right = Inputs("the king", new_tokens=3).cells(open_workbook(reader_workbook).layout)
    steps = [Step({**right, name: value}, [*READ, "top_ids", "self_check"]) for name, value, _ in OUT_OF_RANGE]
    answers = libreoffice.run(reader_workbook, steps)
    return {(name, value): found for (name, value, _), found in zip(OUT_OF_RANGE, answers, strict=True)}


@pytest.mark.parametrize(("name", "value", "said"), OUT_OF_RANGE)
def test_a_setting_out_of_range_is_said_in_words_and_nothing_is_written(
    out_of_range: dict[tuple[str, Any], dict[str, Any]], name: str, value: Any, said: str
) -> None:
    found = out_of_range[name, value]
    assert said in word(found["message"])
    assert len(ids_of(found["token_ids"])) == int(ids_of(found["n_prompt"])[0])
    assert ids_of(found["top_ids"]) == []
    assert not [t for name in READ for t in (found[name] or Cells(np.zeros((1, 1)), {})).texts.values() if t[0] == "#"]


def test_the_self_check_sees_a_changed_weight_and_other_inputs(reader_workbook: Path) -> None:
    weight = {"h0_mlp_c_fc_b": [0.5, 0.5, 0.5, 0.5]}
    edits: tuple[dict[str, Any], ...] = ({}, {"seed": 3}, {"seed": 0} | weight)
    fine, other, broken = libreoffice.run(reader_workbook, [Step(edit, ["self_check"]) for edit in edits])
    assert word(fine["self_check"]).startswith("✓")
    assert word(other["self_check"]) == OTHER_INPUTS
    assert word(broken["self_check"]).startswith("✗")


def test_streaming_writes_the_same_text(reader_workbook: Path) -> None:
    pieces: list[str] = []
    whole = sheetgpt.run(reader_workbook, prompt="the", new_tokens=5, seed=4)
    streamed = sheetgpt.run(reader_workbook, prompt="the", new_tokens=5, seed=4, on_text=pieces.append)
    assert streamed.ids == whole.ids
    assert len(pieces) == 6
    assert whole.completion.startswith("".join(pieces))


def test_the_command_agrees_with_numpy(reader_workbook: Path, reader: Checkpoint, sheetgpt_command: Command) -> None:
    words = ("run", str(reader_workbook), "--prompt", "the", "--new-tokens", "4", "--seed", "7", "--numpy", "--json")
    status, out, err = sheetgpt_command(*words, "--model", reader.source)
    assert (status, err) == (0, "")
    assert '"numpy"' in out


@pytest.mark.parametrize("word", ["--numpy", "--json"])
def test_streaming_takes_no_other_output_beside_it(reader_workbook: Path, sheetgpt_command: Command, word: str) -> None:
    status, out, err = sheetgpt_command("run", reader_workbook, "--stream", word)
    assert (status, out) == (2, "")
    assert err.startswith("sheetgpt: --stream prints only the new text")


def test_more_new_tokens_than_columns_are_refused(reader_workbook: Path, sheetgpt_command: Command) -> None:
    status, out, err = sheetgpt_command("run", reader_workbook, "--new-tokens", 12)
    assert (status, out) == (2, "")
    assert "don't fit into the workbook's 12 columns: ask for at most 11" in err


@functools.cache
def names_and_rules(path: Path) -> Sequence[Any]:
    """Names, validations of Home, charts, and every formula of Home, Sample and Output."""
    book = openpyxl.load_workbook(path)
    cells = {
        f"{sheet}!{cell.coordinate}": str(cell.value).replace(" ", "")
        for sheet in ("Home", "Sample", "Output")
        for row in book[sheet].iter_rows()
        for cell in row
        if cell.data_type == "f"
    }
    home: Any = book["Home"]
    rules = sorted(str(rule.sqref) for rule in home.data_validations.dataValidation)
    return set(book.defined_names), rules, len(home._charts), cells


def test_openpyxl_opens_and_saves_it_whole(reader_workbook: Path, tmp_path: Path) -> None:
    book = openpyxl.load_workbook(reader_workbook)
    book.save(tmp_path / "again.xlsx")
    assert names_and_rules(tmp_path / "again.xlsx") == names_and_rules(reader_workbook)
    found = libreoffice.recalculate(tmp_path / "again.xlsx", {}, ["message", "self_check"])
    assert word(found["message"]) == FINE
    assert word(found["self_check"]).startswith("✓")


def test_libreoffice_opens_and_saves_it_whole(reader_workbook: Path, reader: Checkpoint, tmp_path: Path) -> None:
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    soffice = str(office.find_soffice())
    command = [soffice, profile, "--headless", "--convert-to", "xlsx", "--outdir", str(tmp_path), str(reader_workbook)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    saved = tmp_path / reader_workbook.name
    again, before = names_and_rules(saved), names_and_rules(reader_workbook)
    assert again[0] >= before[0]
    assert sorted(again[3]) == sorted(before[3])
    assert again[2] == before[2]
    assert len(again[1]) == len(before[1])
    # its own way of writing a formula may differ, what the formula computes may not
    report = sheetgpt.verify(saved, prompt="the king", new_tokens=5, seed=3, model=reader.source)
    assert report.passed, report.frame()[lambda f: ~f.passed]
