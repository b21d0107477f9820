"""Windows and macOS, rehearsed: nothing can run there. mypy, which scripts/test runs for both, is the other half."""

import glob
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from places import TESTS
from ready import Command, fairytale_words

import sheetgpt
from sheetgpt import system
from sheetgpt.engines import office
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.gpt2.checkpoints.identity import fingerprint
from sheetgpt.look import printing
from sheetgpt.ooxml import workers
from sheetgpt.ooxml.writing import target
from sheetgpt.screen import Screen
from sheetgpt.workbook.build import build
from sheetgpt.workbook.reopen import open_workbook

needs_proc = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells which files are open")
IDS = ["--context", "2", "--prompt-bytes", "0", "--ids", "1", "--without", "all"]
SMALL = ["--context", "8", "--prompt-bytes", "40", "--merge-rounds", "6", "--new-tokens", "1", "--without", "all"]


def as_windows(commands: list[list[object]], folder: Path, encoding: str) -> list[tuple[int, str, str]]:
    """Status, output and errors of each command, as_windows.py's way; what its temporary files leave is an error."""
    (temporary := folder / "temporary").mkdir()
    words = [[str(word) for word in command] for command in commands]
    program = TESTS / "shared" / "as_windows.py"
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-W", "ignore", program, json.dumps(words)],
        env=environment,
        cwd=folder,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert list(temporary.iterdir()) == []
    temporary.rmdir()
    return [(status, out, said) for status, out, said in json.loads(done.stdout)]


@needs_proc
def test_the_commands_do_without_what_windows_lacks(reader: Checkpoint, tmp_path: Path) -> None:
    """Printed in cp1252; with a chat template, whose process is bounded elsewhere."""
    model = tmp_path / "model"
    shutil.copytree(reader.source, model)
    (model / "chat_template.jinja").write_bytes(b"Q: {{ messages[0]['content'] }}\r\nA:")
    (place := tmp_path / "place").mkdir()
    commands: list[list[object]] = [
        ["build", model, "-o", "w.xlsx", "--prompt", "the king", *SMALL],
        ["check", "w.xlsx"],
        ["info", "w.xlsx"],
        ["verify", "w.xlsx", "--engine", "cached", "--model", model, "--json", "w.json", "--all"],
        ["look", "w.xlsx", "attention"],
        ["look", "w.xlsx", "lens"],
        ["sweep", model, "--prompt", "the king", "--json", "s.json"],
        ["build", "nowhere", "-o", "v.xlsx"],
        ["look", "w.xlsx", "nothing"],
        ["build", model, "-o", "what?.xlsx"],
        ["build", model, "-o", "sub/Aux.xlsx"],
        ["Excel", "w.xlsx", "build", model, "-o", "w.xlsx"],
        ["Excel", "w.xlsx", "check", "w.xlsx"],
        ["Ctrl-C", "build", model, "-o", "v.xlsx", *IDS],
        ["build", model, "-o", "w.xlsx", *IDS],
    ]
    results = as_windows(commands, place, "cp1252")
    assert [status for status, _, _ in results] == [0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 0, 130, 0]
    assert "passed: " in results[3][1]
    for at, words in {
        9: "no name on Windows may have '?' in it",
        10: "Aux.xlsx is the name of a device on Windows",
        11: "another program has it open, perhaps Excel: close it there.",
    }.items():
        assert words in results[at][2]
        assert results[at][2].count("\n") == 1
    assert not any("Traceback" in said for _, _, said in results)
    widths = {len(line.rstrip("\n")) for line in results[4][1].splitlines() if line[:4].strip().isdigit()}
    assert len(widths) == 1  # no escape pushes the columns aside
    assert sorted(path.name for path in place.iterdir()) == ["s.json", "w.json", "w.xlsx"]
    assert open_workbook(place / "w.xlsx").model == "../model"


WINDOWS_NAMES = {
    "a:b.xlsx": "",  # on the drive a
    "ab:c.xlsx": "':'",
    "what?.xlsx": r"'\?'",
    "a|b": r"'\|'",
    "nul": "device",
    "sub/Com1.tar.xlsx": "device",
    "LPT³ .xlsx": "device",
    "CONIN$": "device",
    "x.": "a dot or a blank",
    "folder /x.xlsx": "a dot or a blank",
    "C:\\models\\x.xlsx": "",
    "\\\\server\\share\\x.xlsx": "",
    "../console/com10/.x y.xlsx": "",
}


@pytest.mark.parametrize("name", WINDOWS_NAMES)
def test_names_that_windows_refuses_or_takes_for_another(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = WINDOWS_NAMES[name]
    assert bool(expected) == bool(system.no_file_of_windows(name))
    if expected:
        with monkeypatch.context() as there:
            there.setattr(sys, "platform", "win32")
            with pytest.raises(SheetGPTError, match=expected):
                target.check(tmp_path / name, "-o", {}, makes_folders=True)
    target.check(tmp_path / name, "-o", {}, makes_folders=True)  # here it is a name like any other


def test_a_model_s_name_becomes_a_file_s_that_every_system_takes(
    micro: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, made in {"a:b?c": "a_b_c", "Con": "_Con", "x. .": "x", "...": "_", "gpt2": "gpt2"}.items():
        assert system.portable(name) == made
        assert not system.no_file_of_windows(made)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nul").symlink_to(micro.source)
    assert str(build("nul", ids=[1], context=2, sheets="none")) == "workbooks/_nul.xlsx"


def test_a_file_that_excel_opens_meanwhile_is_told_in_a_sentence(
    micro: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the look at the beginning, while the file is written."""
    (tmp_path / "w.xlsx").write_bytes(b"kept")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Access is denied")

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(sys, "platform", "win32")
    writes: list[Callable[[], Any]] = [
        lambda: build(micro, tmp_path / "w.xlsx", ids=[1], context=2, sheets="none"),
        lambda: printing.write(tmp_path / "w.xlsx", "{}"),
    ]
    for write in writes:
        with pytest.raises(SheetGPTError, match=r"w\.xlsx can't be written: another program has it open, perhaps"):
            write()
    assert [path.name for path in tmp_path.iterdir()] == ["w.xlsx"]
    assert (tmp_path / "w.xlsx").read_bytes() == b"kept"


def test_a_model_on_another_drive_is_remembered_by_its_whole_path(
    micro: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_way(*_: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "relpath", no_way)
    made = build(micro, tmp_path / "w.xlsx", ids=[1], context=2, sheets="none")
    assert open_workbook(made).model == micro.source
    assert sheetgpt.verify(made, engine="cached").passed


def test_line_ends_of_windows_in_a_model_s_files_change_nothing(reader: Checkpoint, tmp_path: Path) -> None:
    """As `git` writes them there."""
    folder = tmp_path / "reader"
    shutil.copytree(reader.source, folder)
    for name in ("config.json", *fairytale_words(512)):
        path = folder / name
        text = json.dumps(json.loads(path.read_bytes()), indent=1) if name.endswith("json") else path.read_text("utf-8")
        path.write_bytes(text.replace("\n", "\r\n").encode())
        assert b"\r\n" in path.read_bytes()
    other = load(folder)
    assert fingerprint(other) == fingerprint(reader)
    assert other.tokenizer
    assert reader.tokenizer
    assert other.tokenizer.merges == reader.tokenizer.merges
    assert other.tokenizer.encode("the king\r\n said") == reader.tokenizer.encode("the king\r\n said")


def test_nothing_that_is_printed_trips_over_an_encoding(
    reader: Checkpoint, sheetgpt_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", open(sys.stdout.fileno(), "w", encoding="ascii", closefd=False))  # noqa: SIM115
    for words in (["--help"], ["build", "--help"], ["info", reader.source], ["sweep", reader.source, "--prompt", "a"]):
        status, out, said = sheetgpt_command(*words)
        assert (status, said) == (0, "")
        assert out.isascii()
    screen = Screen(file=open(os.devnull, "w", encoding="cp1252"))  # noqa: SIM115
    assert printing._shades(screen) == printing.ASCII_SHADES
    assert len(printing.ASCII_SHADES) == len(printing.SHADES)
    assert printing._fitted(screen, "␣king", 14) == "\\u2423king    "


TREES = {
    "win32": (
        ["Program Files/LibreOffice/program/soffice.exe", "Program Files/LibreOffice/program/python.exe"],
        "python.exe",
    ),
    "darwin": (
        [
            "Applications/LibreOffice.app/Contents/MacOS/soffice",
            "Applications/LibreOffice.app/Contents/Resources/python",
            "opt/homebrew/bin/soffice",  # a script that starts the first
        ],
        "../Resources/python",
    ),
}


@pytest.mark.parametrize("platform", TREES)
def test_libreoffice_and_its_own_python_are_found(
    platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one where it is installed, whatever drive one works on; on macOS not Homebrew's script."""
    files, python = TREES[platform]
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    globbed = glob.glob
    monkeypatch.setattr(glob, "glob", lambda pattern: globbed(f"{tmp_path}/{pattern.removeprefix('C:').lstrip('/')}"))
    script = str(tmp_path / files[-1]) if platform == "darwin" else None
    monkeypatch.setenv("ProgramFiles", "C:/Program Files")
    with monkeypatch.context() as there:
        there.setattr(sys, "platform", platform)
        there.setattr(shutil, "which", lambda _: script)
        soffice = office._installed.__wrapped__()
        assert soffice == tmp_path / files[0]
        assert office.find_python.__wrapped__(soffice) == soffice.parent / python
        if platform == "darwin":  # and beside the script, which SHEETGPT_SOFFICE may name
            found = office.find_python.__wrapped__(tmp_path / files[-1])
            assert found == soffice.parent / python


def test_nothing_is_forked_where_that_is_not_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    for platform, safe in {"linux": True, "darwin": False, "win32": False}.items():
        monkeypatch.setattr(sys, "platform", platform)
        assert workers.available() == safe
