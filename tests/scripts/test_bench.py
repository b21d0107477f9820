"""The bench: its figures as pure functions, and one command over all parts, on a model so small that it takes seconds.

No test says how long anything takes.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bench
import bench_evaluator
import bench_full
import bench_office
import bench_process
import bench_writers
import numpy as np
import pytest
from bench import Part
from bench_office import Prompts
from patching import patch, set_formula

import sheetgpt
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.workbook.reopen import open_workbook


def recalculations(**rows: tuple[float, int]) -> dict[str, Any]:
    words = {"long_and_new": "long and new"}
    return {words.get(k, k): {"s": [s], "median_s": s, "tokens": n} for k, (s, n) in rows.items()}


def test_seconds_a_token_are_slopes_between_lengths_and_a_mean() -> None:
    found = bench_office.per_token(recalculations(short=(10.0, 6), long=(19.0, 12), long_and_new=(29.0, 16)))
    expected = {"s_per_prompt_token_slope": 1.5, "s_per_prompt_token_mean": 19 / 12, "s_per_generated_token": 2.5}
    assert found == pytest.approx(expected)


def test_without_a_written_token_there_are_no_seconds_a_token() -> None:
    rows = recalculations(short=(10.0, 6), long=(19.0, 12), long_and_new=(20.0, 12))
    measured = {"load_s": 1.0, "peak_bytes": None, "recalculations": rows} | bench_office.per_token(rows)
    assert measured["s_per_generated_token"] is None
    table = dict(bench_office.lines(measured))
    assert table["a generated token"] == "none was written"
    assert table["a prompt token more"] == "1.50 s"
    assert table["peak memory"] == "unknown"


@pytest.fixture
def given(reader: Checkpoint, reader_workbook: Path) -> Prompts:
    book = open_workbook(reader_workbook)
    return Prompts(book.layout, book.inputs, reader.tokenizer)


@pytest.mark.parametrize("n", [1, 6, 12])
def test_prompts_have_as_many_tokens_as_wanted(given: Prompts, reader: Checkpoint, n: int) -> None:
    assert reader.tokenizer
    assert len(reader.tokenizer.encode(given.of(n).prompt)) == n
    assert bench_office.TEXT.startswith(given.of(n).prompt)
    assert given.of(n, new=3).new_tokens == 3


def test_without_a_tokenizer_prompts_are_ids(given: Prompts) -> None:
    by_ids = replace(given, tokenizer=None)
    assert by_ids.of(4).ids == (1, 2, 3, 4)
    assert by_ids.of(4, last_word=True).ids == (1, 2, 3, 5)


def test_an_edit_touches_only_what_differs_and_is_no_hard_recalculation(given: Prompts) -> None:
    step = bench_office.edit(given.of(6), given.of(6, last_word=True), given.layout)
    assert list(step.set) == ["prompt"]
    assert str(step.set["prompt"]).endswith(bench_office.WORD)
    assert not step.hard


def test_every_repetition_of_an_edit_is_an_edit(given: Prompts) -> None:
    for plan in (bench_office.bundled_plan(given, 3), bench_office.full_plan(given, 3)):
        prompt = None
        for label, step in plan:
            assert step.hard or step.set["prompt"] != prompt, label
            prompt = step.set.get("prompt", prompt)


def test_every_edit_changes_a_cell(given: Prompts) -> None:
    (_, start), *rest = bench_office.edits_plan(given, {"attention_token": "last"}, 3)
    assert start.hard
    assert all(step.set and not step.hard for _, step in rest)
    held = dict(start.set)
    for label, step in rest:
        assert any(held.get(name) != value for name, value in step.set.items()), label
        held |= step.set
    assert {label for label, _ in rest} >= {"prompt of 1 token", "temperature", "the last of 6 ids", "attention: token"}


def test_openpyxls_time_is_that_of_as_many_cells() -> None:
    built = {"reused": False, "cells": 3_000_000, "wall_s": 10.0}
    assert bench_full.beside_openpyxl(built, 50_000) == {"openpyxl_s": 60, "openpyxl_ratio": 6}
    assert bench_full.beside_openpyxl(built, None) == {}
    assert bench_full.beside_openpyxl({"reused": True, "cells": 3_000_000}, 50_000) == {}


def test_a_column_takes_an_eighth_of_what_eight_more_take() -> None:
    assert bench_full.per_column({"8": 4e9, "16": 6e9}) == 250e6
    assert bench_full.per_column({"8": None, "16": 6e9}) is None


def test_the_evaluators_lines_say_the_ratio_or_that_there_is_none() -> None:
    figures = {f"{kind}ms_per_{part}_token": 2.0 for kind in ("", "cpu_") for part in bench_evaluator.PARTS}
    ours: dict[str, Any] = {"shape": "bundled", "dtype": "float32", "program": "sheetgpt", "peak_mb": 100} | figures
    theirs = ours | {"program": "transformers", "ms_per_prompt_token": 8.0}
    assert "0.25 of theirs" in bench_evaluator.lines([ours, theirs])[0][1]
    alone = bench_evaluator.lines([ours])
    assert "of theirs" not in alone[0][1]
    assert "not installed" in alone[1][1]


def test_what_a_command_takes_counts_its_largest_process() -> None:
    """From a small process, as bench.py is: a started one's peak is never below what its starter held."""
    grow = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = bytearray(300_000_000)'])"
    small = (
        "import sys, bench_process\n"
        f"for words in ({grow!r}, 'pass'): print(bench_process.run([sys.executable, '-c', words]).peak_bytes)"
    )
    scripts = str(Path(bench_process.__file__).parent)
    done = subprocess.run([sys.executable, "-c", small], cwd=scripts, capture_output=True, text=True, check=True)
    grown, small_one = map(int, done.stdout.split())
    assert grown > 300_000_000 > small_one


def test_a_command_that_fails_gives_its_last_line() -> None:
    with pytest.raises(SheetGPTError, match="exit status 3: no room"):
        bench_process.run([sys.executable, "-c", "print('a\\nno room'); raise SystemExit(3)"])
    assert bench_process.run([sys.executable, "-c", "raise SystemExit(1)"], good=(0, 1)).status == 1


def test_the_processors_name_is_read(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n")
    assert bench_process.cpu_model(tmp_path / "cpuinfo") == "Some CPU @ 2 GHz"
    assert bench_process.cpu_model(tmp_path / "none")


def test_a_part_that_fails_says_so_and_the_rest_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_: bench.Results) -> Any:
        raise SheetGPTError("no room for it")

    saved: list[list[str]] = []
    chosen = {"a": Part("A", fail, lambda _: []), "b": Part("B", lambda _: 7, lambda n: [("seven", str(n))])}
    results, good = bench.measure(chosen, lambda found: saved.append(list(found)))
    assert not good
    assert results == {"a": {"failed": "no room for it"}, "b": 7}
    assert saved == [["a"], ["a", "b"]]
    said = capsys.readouterr().out
    assert "failed: no room for it" in said
    assert said.split()[-2:] == ["seven", "7"]


@pytest.mark.parametrize("found", [{"passed": False}, {"verify": {"passed": False}}])
def test_a_verification_that_fails_counts_as_a_failure(found: dict[str, Any]) -> None:
    assert not bench.measure({"a": Part("A", lambda _: found, lambda _: [])}, lambda _: None)[1]


def test_only_parts_that_there_are_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.arguments(["--only", "writers"]).parts == ["writers"]
    assert bench.arguments(["--full"]).parts == [*bench.ALWAYS, *bench.FULL]
    with pytest.raises(SystemExit) as stop:
        bench.arguments(["--only", "verify"])
    assert stop.value.code == 2
    assert "give --full" in capsys.readouterr().err


def test_a_writer_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(matrix: np.ndarray, target: Path) -> None:
        raise ImportError("no", name="xlsxwriter")

    monkeypatch.setitem(bench_writers.WRITERS, "XlsxWriter constant memory", lacking)
    row = {"writer": "XlsxWriter"} | bench_writers.measure_one("XlsxWriter constant memory", 1000)
    assert "not installed (xlsxwriter)" in bench_writers.lines([row])[0][1]
    assert bench_writers.rate([row], "XlsxWriter") is None


@pytest.fixture(scope="module")
def nano(make_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    config = GPT2Config(n_vocab=16, n_positions=16, n_embd=4, n_layer=1, n_head=1, n_inner=6)
    return make_checkpoint(config, "nano")


def test_one_command_measures_the_parts_at_full_size(
    nano: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that build a workbook and verify it."""
    folder, file = tmp_path / "scratch", tmp_path / "bench.json"
    shutil.copytree(nano.source, folder / "gpt2-small")  # what is there is used
    chosen = [word for name in ("build", "verify") for word in ("--only", name)]
    assert bench.main(["--full", "--folder", str(folder), "--json", str(file), "--repeats", "1", *chosen]) == 0
    whole = json.loads(file.read_text())
    assert set(whole["machine"]) >= {"date", "machine", "cpu", "cores", "python", "libreoffice"}
    parts = whole["parts"]
    assert parts["build"]["n_params"] == nano.config.n_params
    assert parts["build"]["bytes"] == (folder / "gpt2-small-16.xlsx").stat().st_size
    assert parts["verify"]["passed"]
    assert parts["verify"]["n_tensors"] > 40
    said = capsys.readouterr().out
    assert "failed" not in said
    assert "was there already" not in said
    assert bench.main(["--full", "--folder", str(folder), "--only", "build"]) == 0
    assert "was there already" in capsys.readouterr().out


def test_one_command_measures_the_other_parts_too(
    nano: Checkpoint, tmp_path: Path, thorough: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    if not thorough:
        pytest.skip("half a minute; --thorough runs it")
    folder, file = tmp_path / "scratch", tmp_path / "bench.json"
    shutil.copytree(nano.source, folder / "gpt2-small")  # what is there is used
    shutil.copytree(nano.source, folder / "gpt2-medium")
    names = (
        "writers",
        "build",
        "office",
        "edits",
        "int8",
        "columns",
        "medium-build",
    )  # "medium-office" is "office" again
    chosen = [word for name in names for word in ("--only", name)]
    words = ["--full", "--medium", "--folder", str(folder), "--json", str(file), "--repeats", "1", "--cells", "20000"]
    assert bench.main([*words, *chosen]) == 0
    parts = json.loads(file.read_text())["parts"]
    assert [row["writer"] for row in parts["writers"]] == list(bench_writers.WRITERS)
    assert parts["build"]["openpyxl_ratio"] > 0
    tokens = {label: row["tokens"] for label, row in parts["office"]["recalculations"].items()}
    assert (tokens["short"], tokens["long"], tokens["long and new"]) == (6, 12, 16)
    assert [*parts["edits"]] == ["writes", "reads only"]
    assert parts["edits"]["reads only"]["recalculations"].keys() >= {"prompt of 9 tokens", "top_k", "the last of 6 ids"}
    assert parts["int8"]["verify"]["passed"]
    assert parts["int8"]["cost"]
    assert parts["columns"]["peak_bytes"]["16"] == parts["office"]["peak_bytes"]
    assert parts["medium-build"]["workbook"] == str(folder / "gpt2-medium-16.xlsx")
    assert "failed" not in capsys.readouterr().out


def test_a_workbook_that_is_wrong_makes_the_command_fail(
    nano: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(nano.source, tmp_path / "gpt2-small")
    good = sheetgpt.build(tmp_path / "gpt2-small", tmp_path / "good.xlsx", ids=[1, 2, 3], context=16)
    area = open_workbook(good).layout["h0.resid_mid"]
    change = set_formula(area.line(1).stripe(0).cells, lambda formula: f"{formula}*1.1")
    patch(good, tmp_path / "gpt2-small-16.xlsx", {area.sheet: change})
    assert bench.main(["--full", "--folder", str(tmp_path), "--only", "verify"]) == 1
    assert "FAILED" in capsys.readouterr().out
