"""Text from elsewhere on the screen: controls visible, long ones cut, and no encoding, full disk or pipe fatal."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ready import Command
from safetensors.numpy import save_file

import sheetgpt
from sheetgpt import cli, screen
from sheetgpt.errors import MOST, SheetGPTError, visible
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.screen import Screen, Table
from sheetgpt.verification.report import Report, TensorResult
from sheetgpt.workbook.build import build
from sheetgpt.workbook.run import NextToken, Prediction, Written

EVIL = "\x1b[31m\u202e\x9b2J\x07\x08\r\x7f\u2028\udcff\u2066"
SHOWN = r"\x1b[31m\u202e\x9b2J\x07\x08\r\x7f\u2028\udcff\u2066"


def is_harmless(text: str) -> bool:
    return all(character in "\n\t" or visible(character) == character for character in text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (EVIL, SHOWN),
        ("naïve 東京 👨\u200d👩\u200d👧 می\u200cخواهم · ⟨C3⟩", "naïve 東京 👨\u200d👩\u200d👧 می\u200cخواهم · ⟨C3⟩"),
        ("\ufeff\u200e\u00ad\U000e0041", r"\ufeff\u200e\xad\U000e0041"),
        ("a\nb\tc", r"a\nb\tc"),
    ],
)
def test_what_can_t_be_seen_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_of_a_long_text_both_ends_are_shown() -> None:
    shown = visible("begin " + "x" * 1_000_000 + " end", 300)
    assert len(shown) < 340
    assert shown.startswith("begin x")
    assert shown.endswith("x end")
    assert "999,710 characters more" in shown


def test_every_error_of_ours_is_harmless(write_checkpoint: Callable[..., Path], hf_config: dict[str, Any]) -> None:
    """Tokens, tensors' names, dtypes and paths, of a megabyte and with controls."""
    long = EVIL[:-2] + "x" * 1_000_000
    assert len(str(SheetGPTError(long))) < MOST + 100
    folder = write_checkpoint("tiny" + EVIL[:2])
    vocab = json.loads((folder / "vocab.json").read_text())
    tensors: dict[str, np.ndarray] = {"wte.weight": np.zeros((2, 2)), long: np.zeros(1, np.float32)}
    breaks: list[Callable[[], object]] = [
        lambda: (folder / "vocab.json").write_text(json.dumps(vocab | {long: "no id"})),
        lambda: (folder / "merges.txt").write_text(f"{long} x\n".replace("\udcff", ""), "utf-8"),
        lambda: (folder / "config.json").write_text(json.dumps(hf_config | {"activation_function": long})),
        lambda: (folder / "config.json").write_text(json.dumps(hf_config | {"model_type": long})),
        lambda: save_file({name.replace("\udcff", ""): t for name, t in tensors.items()}, folder / "model.safetensors"),
    ]
    for damage in breaks:
        before = {path: path.read_bytes() for path in folder.iterdir()}
        damage()
        with pytest.raises(SheetGPTError) as caught:
            load(folder)
        assert len(str(caught.value)) < MOST + 100
        assert is_harmless(str(caught.value).replace("\n", "\0"))
        for path, data in before.items():
            path.write_bytes(data)


@pytest.fixture
def prediction() -> Prediction:
    """Evil in every text."""
    written = (Written(1, EVIL, 0.5, 0.25, 3),)
    top = (NextToken(1, EVIL + "[red]:heart:", 1.0, 1.0),)
    return Prediction((0, 1), 1, "[bold]" + EVIL, "é東\n" + EVIL, 1.0, EVIL, written, top, 0, EVIL, (EVIL,))


def stdout(monkeypatch: pytest.MonkeyPatch, encoding: str) -> io.BytesIO:
    """Another standard output."""
    data = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(data, encoding))
    return data


def commands(prediction: Prediction, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Those that print what stands in a workbook, with a workbook full of evil."""
    cells = (TensorResult(EVIL, EVIL, 1.0, 1.0, EVIL, EVIL * 1_000, 1),)

    def run(*_: object, on_text: Callable[[str], None] | None = None, **__: object) -> Prediction:
        if on_text is not None:
            on_text(prediction.completion)
        return prediction

    monkeypatch.setattr(sheetgpt, "run", run)
    monkeypatch.setattr(sheetgpt, "verify", lambda *_, **__: Report(EVIL, EVIL, cells, (EVIL,), not_loaded=(EVIL,)))
    monkeypatch.setattr(sheetgpt, "check", lambda *_: [EVIL + "x" * 10_000])
    yield from (
        ["run", "w"],
        ["run", "w", "--json"],
        ["run", "w", "--stream"],
        ["verify", "w", "--all"],
        ["check", "w"],
    )


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "latin-1", "ascii"])
def test_nothing_dangerous_is_printed_in_any_encoding(
    prediction: Prediction, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in commands(prediction, monkeypatch):
        data = stdout(monkeypatch, encoding)
        monkeypatch.setattr("sys.argv", ["sheetgpt", *words])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code == (1 if words[0] in ("verify", "check") else 0)
        text = data.getvalue().decode(encoding)
        assert is_harmless(text)
        assert "x1b[31m" in text or "u001b[31m" in text
        assert len(text) < 20_000
        if "--json" in words:
            assert json.loads(text)["completion"] == prediction.completion
        elif words[0] == "run":
            assert ("é東" in text) == (encoding == "utf-8")
            assert "--stream" in words or "[red]:heart:" in text


@pytest.mark.parametrize("kind", ["full", "closed"])
def test_an_output_that_takes_nothing_is_no_traceback(
    kind: str, prediction: Prediction, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for words in [*commands(prediction, monkeypatch), ["--help"]]:
        if kind == "full":
            place = os.open("/dev/full", os.O_WRONLY)
        else:
            reader, place = os.pipe()
            os.close(reader)
        with open(place, "w", encoding="utf-8") as output:
            monkeypatch.setattr(sys, "stdout", output)
            monkeypatch.setattr("sys.argv", ["sheetgpt", *words])
            with pytest.raises(SystemExit) as stop:
                cli.main()
        said = capfd.readouterr().err
        if kind == "full":
            assert stop.value.code == 2
            assert "No space left on device" in said
        else:
            assert stop.value.code == (141 if words != ["--help"] else 1)
            assert said == ""
        assert "Traceback" not in said


def test_a_standard_error_that_takes_nothing_changes_no_status(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w", encoding="utf-8") as nowhere:
        monkeypatch.setattr(sys, "stderr", nowhere)
        monkeypatch.setattr(cli, "err", Screen(stderr=True))
        monkeypatch.setattr("sys.argv", ["sheetgpt", "check", "nothing.xlsx"])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code == 2


def test_options_that_are_none_are_shown_harmlessly(sheetgpt_command: Command) -> None:
    evil = EVIL.replace("\udcff", "")
    for words in ([evil], ["verify", f"--{evil}"], ["verify", "w", evil], ["build", "--context", evil]):
        status, out, said = sheetgpt_command(*words)
        assert (status, out) == (2, "")
        assert is_harmless(said)
    status, _, said = sheetgpt_command("verify", "w", "x" * 100_000)
    assert (status, len(said) < 3_000) == (2, True)


def test_an_engine_named_like_markup_is_only_refused(sheetgpt_command: Command) -> None:
    status, _, said = sheetgpt_command("verify", "w", "--engine", "[/bold]")
    assert (status, "There is no engine '[/bold]'" in said) == (2, True)


def test_names_in_a_workbook_are_shown_harmlessly(micro: Checkpoint, tmp_path: Path, sheetgpt_command: Command) -> None:
    folder = tmp_path / f"m{EVIL[:6]}"
    folder.symlink_to(micro.source)
    made = build(folder, tmp_path / "w.xlsx", ids=[1], context=2)
    for target in (folder, made):
        status, out, _ = sheetgpt_command("info", target)
        assert status == 0
        assert is_harmless(out)
        assert SHOWN[:8] in out


def test_what_a_caller_forgets_is_caught_at_the_console() -> None:
    file = io.StringIO()
    console = Screen(file=file, width=80, force_terminal=True, color_system="standard")
    console.print(f"[red]{EVIL}[/red]", EVIL)
    table = Table("a")
    table.add_row(EVIL)
    console.print(table)
    bare = file.getvalue().replace("\x1b[31m", "").replace("\x1b[0m", "").replace("\x1b[1m", "")
    assert "\u202e" not in bare
    assert "\x9b" not in bare
    assert screen.printable_json({"a": EVIL + "é😀"}).isascii() is False
    assert json.loads(screen.printable_json({"a": EVIL + "é😀"})) == {"a": EVIL + "é😀"}
