"""The checkpoint of a workbook found again: by its fingerprint in this computer's table, or where SHEETGPT_MODELS says.

Nothing that a workbook says leads anywhere: the table's paths are this computer's own, and what lies there is compared.
"""

import json
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from patching import patch
from safetensors.numpy import save_file

import sheetgpt
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import load
from sheetgpt.gpt2.checkpoints.identity import fingerprint
from sheetgpt.workbook import remembered
from sheetgpt.workbook.build import build
from sheetgpt.workbook.checkpoints import MODELS, find_checkpoint, own_files_of
from sheetgpt.workbook.remembered import places_of, remember, table
from sheetgpt.workbook.reopen import open_workbook

Write = Callable[..., Path]
Tensors = dict[str, np.ndarray]
KEY = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def nothing_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(MODELS)


@pytest.fixture
def model(write_checkpoint: Write, tmp_path: Path) -> Path:
    """models/x"""
    (tmp_path / "models").mkdir()
    return write_checkpoint("models/x", vocab=False)


@pytest.fixture
def workbook(model: Path, tmp_path: Path) -> Path:
    """out/x.xlsx, built from ../models/x."""
    (tmp_path / "out").mkdir()
    return build(model, tmp_path / "out" / "x.xlsx", ids=[1], context=2, without="all")


def changed(folder: Path, tensors: Tensors) -> None:
    save_file({**tensors, "ln_f.bias": tensors["ln_f.bias"] + 1}, folder / "model.safetensors", {"format": "pt"})


def refusal(workbook: Path) -> str:
    with pytest.raises(SheetGPTError) as caught:
        sheetgpt.verify(workbook, engine="cached")
    assert "name it with --model. (" in str(caught.value)
    return str(caught.value)


def test_every_command_finds_what_was_just_built_and_says_where(
    workbook: Path, model: Path, sheetgpt_command: Any
) -> None:
    said = f"The checkpoint of x.xlsx was found by its fingerprint in {model}.\n"
    code, out, err = sheetgpt_command("verify", workbook, "--engine", "cached")
    assert (code, err) == (0, said)
    assert "passed" in out
    code, out, err = sheetgpt_command("look", workbook, "lens")
    assert (code, err) == (0, said)
    assert len([*sheetgpt.evaluate(workbook, new_tokens=1)]) == 1


def test_without_the_table_it_is_not_found(workbook: Path) -> None:
    shutil.rmtree(table())
    assert "It is named '../models/x', which is not in the workbook's own folder" in refusal(workbook)


def test_a_checkpoint_that_has_changed_is_named_with_its_folder(
    workbook: Path, model: Path, hf_tensors: Tensors
) -> None:
    changed(model, hf_tensors)
    assert f"{model} holds another checkpoint now than when x.xlsx was built from it." in refusal(workbook)
    report = sheetgpt.verify(workbook, engine="cached", model=model)
    assert report.problems[0] == f"{model} holds another checkpoint now than when x.xlsx was built from it."


def test_a_checkpoint_that_is_gone_or_unreadable_is_named_with_its_folder(workbook: Path, model: Path) -> None:
    (model / "config.json").write_text("{")
    assert f"{model}, which it was built from here, can't be read: {model}/config.json is not JSON" in refusal(workbook)
    shutil.rmtree(model)
    assert f"{model}, which it was built from here, is gone." in refusal(workbook)


def test_of_several_folders_the_last_one_goes_first_and_the_next_takes_its_place(
    workbook: Path, model: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(model, tmp_path / "models" / "copy")
    build(copy, tmp_path / "out" / "copy.xlsx", ids=[1], context=2, without="all")
    book = open_workbook(workbook)
    assert places_of(book.fingerprint) == [str(copy), str(model)]
    assert find_checkpoint(book).checkpoint.source == str(copy)
    shutil.rmtree(copy)
    assert find_checkpoint(book).checkpoint.source == str(model)


def test_a_single_file_and_a_relative_path_are_remembered_in_full(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (model / "model.safetensors").rename(model / "other.safetensors")
    monkeypatch.chdir(tmp_path / "models")
    path = build("x/other.safetensors", tmp_path / "x.xlsx", ids=[1], context=2, without="all")
    monkeypatch.chdir(tmp_path)
    assert places_of(open_workbook(path).fingerprint) == [str(model / "other.safetensors")]
    assert sheetgpt.verify(path, engine="cached").passed


def test_of_a_name_on_the_hub_the_commit_s_own_folder_is_remembered(model: Path) -> None:
    checkpoint = replace(load(model), source="someone/tiny")  # what lies in the hub's cache has such a source
    remember(fingerprint(checkpoint), checkpoint)
    assert places_of(fingerprint(checkpoint)) == [str(model)]


def test_bundled_models_and_ones_made_in_memory_are_not(model: Path) -> None:
    for checkpoint in (load("stories"), replace(load(model), source="", files=())):
        remember(KEY, checkpoint)
        assert places_of(KEY) == []


@pytest.mark.parametrize("said", [f"../{KEY}", KEY.upper(), KEY + "\n", "", "x", "*" * 64])
def test_a_workbook_s_fingerprint_is_a_key_and_no_path(said: str, model: Path) -> None:
    remember(KEY, load(model))
    table().joinpath("x.json").write_text(json.dumps([str(model)]))
    assert places_of(KEY)
    assert places_of(said) == []


def test_a_workbook_that_claims_another_ones_fingerprint_is_found_out(
    workbook: Path, model: Path, tmp_path: Path, hf_tensors: Tensors, write_checkpoint: Write
) -> None:
    """It gets that checkpoint, from where this computer has it, and differs."""
    other = write_checkpoint("other", vocab=False)
    changed(other, hf_tensors)
    own = build(other, tmp_path / "out" / "other.xlsx", ids=[1], context=2, without="all")
    old, new = (open_workbook(path).fingerprint for path in (own, workbook))
    forged = patch(own, tmp_path / "out" / "forged.xlsx", {"Model": lambda sheet: sheet.replace(old, new)})
    assert find_checkpoint(open_workbook(forged)).checkpoint.source == str(model)
    assert not sheetgpt.verify(forged, engine="cached").passed


def test_no_folder_to_write_to_is_no_error(model: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in the folder's place")
    assert build(model, tmp_path / "x.xlsx", ids=[1], context=2, without="all").exists()
    assert places_of(KEY) == []


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[1, null, [2]]", b'["relative/path"]', b"\xff\xfe", b"7", b"[" * 60_000, b'["/a\\u0000b"]', b"null"],
)
def test_a_damaged_table_is_an_empty_one_and_written_anew(data: bytes, model: Path) -> None:
    table().mkdir(parents=True)
    (table() / f"{KEY}.json").write_bytes(data)
    assert places_of(KEY) == []
    remember(KEY, load(model))
    assert places_of(KEY) == [str(model)]


def test_a_build_that_is_stopped_while_it_writes_leaves_the_table_as_it_was(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(KEY, load(model))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        remember(KEY, replace(load(model), files=("/other/config.json",)))
    assert places_of(KEY) == [str(model)]
    assert [path.name for path in table().iterdir()] == [f"{KEY}.json"]


def test_the_table_stays_small(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST_FILES", 3)
    checkpoint = load(model)
    for n in range(6):
        remember(f"{n:064x}", checkpoint)
        os.utime(table() / f"{n:064x}.json", (n, n))
    left = sorted(path.name for path in table().iterdir())
    assert left == [f"{n:064x}.json" for n in (3, 4, 5)]
    for n in range(20):
        remember(KEY, replace(checkpoint, files=(f"/folder/{n}/config.json",)))
    assert json.loads((table() / f"{KEY}.json").read_text()) == [f"/folder/{n}" for n in range(19, 11, -1)]


def test_builds_side_by_side_leave_a_whole_table(model: Path) -> None:
    checkpoint = load(model)

    def many(n: int) -> None:
        for i in range(30):
            remember(KEY, replace(checkpoint, files=(f"/folder/{n}/{i}/config.json",)))
            assert places_of(KEY)

    threads = [threading.Thread(target=many, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(places_of(KEY)) == remembered.MOST_FOLDERS
    assert [path.name for path in table().iterdir()] == [f"{KEY}.json"]


@pytest.mark.parametrize("listed", ["models", "models/x", "."])
def test_a_name_is_looked_for_in_the_folders_that_are_listed(
    listed: str, workbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workbook has gone elsewhere, and so has the folder of models."""
    shutil.rmtree(table())
    elsewhere = tmp_path / "else" / "where"
    elsewhere.parent.mkdir()
    shutil.copytree(tmp_path / "models", elsewhere / "models")
    moved = Path(shutil.copy(workbook, tmp_path / "x.xlsx"))
    shutil.rmtree(tmp_path / "models")
    assert "is not in the workbook's own folder" in refusal(moved)
    monkeypatch.setenv(MODELS, os.pathsep.join((str(tmp_path / "nothing"), str(elsewhere / listed))))
    if listed == "models/x":  # the folder itself, which isn't in itself
        assert "is not in the workbook's own folder" in refusal(moved)
    else:
        assert sheetgpt.verify(moved, engine="cached").passed


def test_a_listed_folder_s_other_checkpoint_of_that_name_is_passed_over(
    workbook: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hf_tensors: Tensors
) -> None:
    other = shutil.copytree(model, tmp_path / "listed" / "x")
    changed(other, hf_tensors)
    monkeypatch.setenv(MODELS, str(tmp_path / "listed"))
    assert find_checkpoint(open_workbook(workbook)).checkpoint.source == str(model)
    shutil.rmtree(table())
    problems = sheetgpt.verify(workbook, engine="cached").problems
    assert problems[0] == "x is not the checkpoint that x.xlsx was built from."


@pytest.mark.parametrize("way", ["link/../link/x", "../outside/x"])
def test_a_listed_folder_is_not_left(
    way: str, workbook: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(table())
    shutil.copytree(model, tmp_path / "outside" / "x")
    listed = tmp_path / "listed"
    listed.mkdir()
    (listed / "link").symlink_to(tmp_path / "outside")
    named = patch(workbook, tmp_path / "out" / "n.xlsx", {"Model": lambda sheet: sheet.replace("../models/x", way)})
    monkeypatch.setenv(MODELS, str(listed))
    assert "is not in the workbook's own folder" in refusal(named)


def test_no_result_is_written_over_the_checkpoint_that_is_found(workbook: Path, model: Path) -> None:
    assert str(model / "config.json") in own_files_of(workbook, None)
