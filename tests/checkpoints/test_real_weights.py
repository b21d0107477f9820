"""GPT-2 small as it was trained, where its checkpoint is at hand; and the rehearsal of `scripts/verify_real_gpt2`.

The rehearsal runs on a tiny checkpoint, whose weights are not the trained ones, and must say so.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import verify_real_gpt2 as script
from conftest import real_gpt2
from hub_server import Hub, point_at
from huggingface_hub import constants

import sheetgpt
from sheetgpt.gpt2.checkpoints.checkpoint import load
from sheetgpt.verification.report import Report, TensorResult

GPT2 = "openai-community/gpt2"
Write = Callable[..., Path]


@pytest.mark.real_weights
def test_gpt2_computes_the_published_logits(tmp_path: Path) -> None:
    """Token ids and logits of five prompts: by the evaluator, and by LibreOffice from the built workbook."""
    known = script.figures()
    checkpoint = load(real_gpt2() or "", quiet=True)
    evaluator = script.by_evaluator(checkpoint, known)
    book = sheetgpt.build(checkpoint, tmp_path / "gpt2.xlsx", context=script.COLUMNS)
    workbook = script.by_workbook(book, known, timeout=3600)
    for k, *answers in zip(known, evaluator, workbook, strict=True):
        for answer in answers:
            assert answer.ids == k.ids
            assert answer.largest_difference(k) <= 1e-2


def test_the_published_figures_are_whole() -> None:
    known = script.figures()
    assert [len(k.ids) for k in known] == [6, 6, 6, 7, 6]
    assert all(len(k.logits) == 15 and k.n_logits == 50257 for k in known)


def rehearse(model: str, output: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, script.__file__, model, "-o", str(output)]
    return subprocess.run(words, env=os.environ | environment, capture_output=True, text=True, check=False)


def small_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for 48 bytes and 4 merge rounds: half of the time would go into what no prompt uses."""
    build = sheetgpt.build
    monkeypatch.setattr(sheetgpt, "build", lambda *a, **kw: build(*a, **kw, prompt_bytes=48, merge_rounds=4))


def test_other_weights_from_a_hub_go_through_every_step_and_are_red(
    write_checkpoint: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    small_tokenizer(monkeypatch)
    with Hub({GPT2: write_checkpoint()}) as hub:
        point_at(hub.url, monkeypatch)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        status, said = script.main(["gpt2", "-o", str(tmp_path / "w.xlsx")]), capsys.readouterr().out
    assert status == 1
    assert hub.downloaded()[-1] == "model.safetensors"
    assert (tmp_path / "w.xlsx").exists()
    assert "LibreOffice's arithmetic equals the evaluator's" in said
    assert said.count("260 logits, not 50,257") == 2 * 5
    assert said.count("DIFFERS") == 5
    assert "FAILED: 0 of 5 prompts" in said
    assert "not GPT-2 small's trained weights" in said
    assert "passed" not in said


def test_bad_input_is_status_2(tmp_path: Path) -> None:
    run = rehearse(str(tmp_path / "nowhere"), tmp_path / "w.xlsx")
    assert (run.returncode, run.stdout) == (2, "")
    assert "There is no model" in run.stderr


def own_figures(checkpoint: sheetgpt.Checkpoint) -> list[script.Known]:
    """What the tiny model itself computes, as if it had been published."""
    prompts = [replace(k, prompt=prompt, ids=()) for k, prompt in zip(script.figures(), ("the th", "a"), strict=False)]
    return [
        script.Known(k.prompt, a.ids, 260, {i: float(a.logits[i]) for i in (0, 7, 259)})
        for k, a in zip(prompts, script.by_evaluator(checkpoint, prompts), strict=True)
    ]


def test_figures_that_are_the_models_own_pass(
    write_checkpoint: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that red is no foregone conclusion."""
    folder = write_checkpoint()
    known = own_figures(load(folder))
    small_tokenizer(monkeypatch)
    monkeypatch.setattr(script, "figures", lambda: known)
    assert script.main([str(folder), "-o", str(tmp_path / "w.xlsx")]) == 0
    assert "passed" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", ["evaluator", "evaluator's ids", "workbook", "workbook's ids", "no number", "tensor"])
def test_nothing_passes_with_one_thing_wrong(
    wrong: str,
    write_checkpoint: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = write_checkpoint()
    known = own_figures(load(folder))
    answers = {name: script.by_evaluator(load(folder), known) for name in ("evaluator", "workbook")}
    kind = wrong.partition("'")[0].replace("no number", "workbook")
    if kind in answers:
        last = answers[kind][-1]
        off = np.where(np.arange(260) == 7, np.nan if wrong == "no number" else 0.0101, 0)
        ids = (*last.ids, 0) if "ids" in wrong else last.ids
        answers[kind][-1] = script.Answer(ids, last.logits if "ids" in wrong else last.logits + off)
    report = Report("w.xlsx", "libreoffice", (TensorResult("ln_f", "", 1.0, 1.0 if wrong == "tensor" else 0.0),))
    (tmp_path / "w.xlsx").touch()
    monkeypatch.setattr(script, "figures", lambda: known)
    monkeypatch.setattr(script, "by_evaluator", lambda *_: answers["evaluator"])
    monkeypatch.setattr(script, "by_workbook", lambda *_: answers["workbook"])
    monkeypatch.setattr(sheetgpt, "build", lambda *_, **__: tmp_path / "w.xlsx")
    monkeypatch.setattr(sheetgpt, "verify", lambda *_, **__: report)
    assert script.main([str(folder)]) == 1
    said = capsys.readouterr().out
    assert "FAILED" in said
    assert "passed" not in said


def test_a_run_without_the_checkpoint_says_so_loudly(tmp_path: Path) -> None:
    """In the summary, whatever pytest's options."""
    words = [sys.executable, "-m", "pytest", "-q", __file__, "-k", "published_logits", "-p", "no:cacheprovider"]
    nowhere = {"HF_HUB_CACHE": str(tmp_path), "SHEETGPT_GPT2": ""}
    run = subprocess.run(words, env=os.environ | nowhere, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "GPT-2's trained weights were NOT tested" in run.stdout
    assert "SHEETGPT_GPT2" in run.stdout


def test_the_checkpoint_is_found_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.delenv("SHEETGPT_GPT2", raising=False)
    assert real_gpt2() is None
    monkeypatch.setenv("SHEETGPT_GPT2", "some/folder")
    assert real_gpt2() == "some/folder"
    monkeypatch.delenv("SHEETGPT_GPT2")
    snapshot = tmp_path / "models--openai-community--gpt2" / "snapshots" / (40 * "a")
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").touch()
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs" / "main").write_text(40 * "a")
    assert real_gpt2() == "gpt2"
