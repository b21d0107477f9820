"""Where results may be written: refused before the work where something would be lost, or nothing can be."""

import os
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from ready import Command

import sheetgpt
from sheetgpt.commands import verify as command
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.ooxml.writing import target
from sheetgpt.workbook.build import build

LONG = "a" * 256


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one of each kind of thing that is no file to write to."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-device").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    return tmp_path


REFUSED = {
    "/dev/null": "is a device, not a file",
    "/dev/full": "is a device, not a file",
    "to-device": "is a device, not a file",
    "pipe": "is a pipe, not a file",
    "socket": "is a socket, not a file",
    "folder": "is a folder: give -o the name of a file",
    "folder/..": "is a folder",
    "": "is a folder",
    "file/under": ": [^ ]*/file is not a folder",
    LONG: "File name too long",
    f"nowhere/{LONG}/x": "(more than 255 bytes|File name too long)",
    "a\0b": r"a\\x00b can't be written \(embedded null byte\)",
}


@pytest.mark.parametrize("name", [pytest.param(name, id=name[:9].replace("\0", "0")) for name in REFUSED])
def test_what_is_no_file_is_refused_before_the_work(
    micro: Checkpoint, place: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sheetgpt.workbook.build.make_book", lambda *_: pytest.fail("the work has begun"))
    before = sorted(place.iterdir())
    with pytest.raises(SheetGPTError, match=REFUSED[name]):
        build(micro, name, ids=[1], context=2)
    assert sorted(place.iterdir()) == before


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocab.json", "hard-link", "link"])
def test_a_checkpoint_s_own_files_are_not_written_over(write_checkpoint: Callable[..., Path], name: str) -> None:
    folder = write_checkpoint()
    os.link(folder / "model.safetensors", folder / "hard-link")
    (folder / "link").symlink_to("config.json")
    for model in (folder, folder / "model.safetensors"):
        with pytest.raises(SheetGPTError, match="one of the checkpoint's own files, which would be lost"):
            build(load(model), folder / name, ids=[1], context=2)
    assert build(load(folder), folder / "w.xlsx", ids=[1], context=2, prompt_bytes=0).is_file()


def test_the_bundled_model_s_weights_are_not_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sheetgpt.workbook.build.make_book", lambda *_: pytest.fail("the work has begun"))
    weights = Path(sheetgpt.__file__).parent / "models" / "stories" / "model.safetensors"
    with pytest.raises(SheetGPTError, match="own files"):
        build("stories", weights)


def test_json_is_refused_before_the_verification(
    micro: Checkpoint, plain_workbook: Path, place: Path, sheetgpt_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheetgpt, "verify", lambda *_, **__: pytest.fail("the work has begun"))
    refused: dict[object, str] = dict(REFUSED) | {
        plain_workbook: "is the workbook itself, which would be lost: give --json another name",
        Path(micro.source, "model.safetensors"): "one of the checkpoint's own files",
        "nowhere/x.json": "the folder .*/nowhere is not there",
    }
    for name, words in refused.items():
        if "\0" in str(name):
            continue
        status, out, said = sheetgpt_command("verify", plain_workbook, "--json", name)
        assert (status, out) == (2, "")
        assert re.search(words.replace("-o", "--json"), said), said
    status, _, said = sheetgpt_command(
        "verify", plain_workbook, "--model", micro.source, "--json", f"{micro.source}/config.json"
    )
    assert (status, "own files" in said) == (2, True)


def test_the_user_s_own_part_is_left_alone(plain_workbook: Path, tmp_path: Path, sheetgpt_command: Command) -> None:
    (tmp_path / "x.json.part").write_text("mine")
    assert sheetgpt_command("verify", plain_workbook, "--engine", "cached", "--json", tmp_path / "x.json")[0] == 0
    assert (tmp_path / "x.json.part").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.json", "x.json.part"]


def test_the_verdict_is_told_though_the_json_can_t_be_written(
    plain_workbook: Path, tmp_path: Path, sheetgpt_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise SheetGPTError("x.json can't be written: No space left on device.")

    monkeypatch.setattr(command, "write", full)
    status, out, said = sheetgpt_command("verify", plain_workbook, "--engine", "cached", "--json", tmp_path / "x.json")
    assert (status, "passed" in out, "No space left" in said) == (2, True, True)


@pytest.mark.parametrize("name", ["a" * 250 + ".xlsx", "-x.xlsx", "w\x1b[31m\u202e.xlsx", os.fsdecode(b"w\xff.xlsx")])
def test_any_name_that_the_system_takes_will_do(
    micro: Checkpoint, plain_workbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Written, read, recalculated."""
    monkeypatch.chdir(tmp_path)
    if name.startswith("-") or "\x1b" in name:
        shutil.copy(plain_workbook, name)
    else:
        build(micro, name, ids=[1], context=2, sheets="none")
    assert sheetgpt.read(name, "logits").shape[1] > 0
    assert sheetgpt.verify(name, engine="cached" if name.isprintable() else "libreoffice").passed
    assert sheetgpt.check(name) == []


def test_a_checkpoint_in_a_folder_of_any_name(
    micro: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / os.fsdecode(b"\x1b[31m\xff")
    folder.symlink_to(micro.source)
    made = build(folder, ids=[1], context=2)
    assert str(made) == "workbooks/_[31m_.xlsx"
    assert sheetgpt.verify(made, engine="cached", model=folder).passed


@pytest.mark.parametrize(
    "act", [sheetgpt.verify, sheetgpt.check, sheetgpt.load, lambda name: sheetgpt.read(name, "wte")]
)
@pytest.mark.parametrize(
    "name", [LONG, "a\0b", "x/" * 3000, os.fsdecode(b"\xff")], ids=["long", "nul", "deep", "bytes"]
)
def test_a_name_of_nothing_is_one_sentence(act: Callable[[str], object], name: str) -> None:
    with pytest.raises(SheetGPTError) as caught:
        act(name)
    assert len(str(caught.value)) < 1_200
    assert str(caught.value).isprintable()


def test_a_current_folder_that_is_gone(
    micro: Checkpoint, plain_workbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sheetgpt_command: Command
) -> None:
    """Whole paths do; others are not found."""
    monkeypatch.chdir(tmp_path)  # comes back at the end
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert sheetgpt.verify(plain_workbook).passed
    assert build(micro, tmp_path / "w.xlsx", ids=[1], context=2).is_file()
    for words in (["verify", "w.xlsx"], ["build", "model", "-o", tmp_path / "w.xlsx"], ["build", "-o", "w.xlsx"]):
        status, _, said = sheetgpt_command(*words)
        assert (status, said.count("\n"), said.startswith("sheetgpt: ")) == (2, 1, True)
    with pytest.raises(SheetGPTError, match="There is no model 'model'"):
        load("model")
    with pytest.raises(SheetGPTError, match="the current folder is gone"):
        target.check(Path("x.json"), "--json", {}, makes_folders=False)
