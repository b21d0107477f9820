"""`sheetgpt sweep`: what it prints and writes is what the functions return, and bad words are one sentence."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ready import Command
from rich.console import Console

import sheetgpt
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.look import sweep as command
from sheetgpt.look.printing import colour, signed_map


def test_the_table_has_every_part_that_is_off(reader: Checkpoint, sheetgpt_command: Command, tmp_path: Path) -> None:
    words = ["sweep", reader.source, "--prompt", "the king", "--token", "the", "--minus", "he", "--mean"]
    code, out, err = sheetgpt_command(*words, "--json", tmp_path / "sweep.json")
    found = sheetgpt.sweep(reader, "the king", token="the", minus="he", mean=True)
    assert (code, err) == (0, "")
    assert "“·the”, id" in out
    assert "rather than “·he”" in out
    assert f"logit difference {found.plain.logit:.3f}, probability {found.plain.probability:.1%}." in out
    rows = [line.split() for line in out.splitlines() if line.startswith("0.")]
    assert [(row[0], row[1]) for row in rows] == [(f"0.{e.part}", f"{e.logit:+.3f}") for e in found.effects]
    written = json.loads((tmp_path / "sweep.json").read_text())
    assert written == json.loads(json.dumps({"model": "reader", **found.to_dict()}))
    _, short, _ = sheetgpt_command(*words, "--top", 1)
    assert short.endswith("\n1 more changes it less (--top 2 shows all).\n")


def test_the_maps_have_every_patch(micro: Checkpoint, sheetgpt_command: Command, tmp_path: Path) -> None:
    words = ["sweep", micro.source, "--ids", "5,9,33,2", "--patch-from-ids", "7,9,1", "--json", tmp_path / "maps.json"]
    code, out, err = sheetgpt_command(*words)
    assert (code, err) == (0, "")
    found = sheetgpt.patch_sweep(micro, ids=[5, 9, 33, 2], patch_from=[7, 9, 1])
    assert "so only positions 0 to 2 can be patched: the texts have 4 and 3 tokens." in out
    assert out.count("block 1 ") == 4
    line = next(line for line in out.splitlines() if line.startswith("  1 block 1"))
    numbers = [f"{round(100 * share)}" for share in found.frame("resid").to_numpy()[1] if abs(share) >= 0.005]
    assert [word for word in line[17:].split() if word.lstrip("-").isdigit()] == numbers
    assert list(json.loads((tmp_path / "maps.json").read_text())["effects"]) == ["resid", "attention", "mlp", "heads"]
    _, one, _ = sheetgpt_command(*words, "--part", 1, "--part", "mlp")
    assert one.index("Head 1 of a block") < one.index("MLP writes")
    assert one.count("block 1 ") == 2


def test_the_same_text_twice_says_so(micro: Checkpoint, sheetgpt_command: Command) -> None:
    code, out, _ = sheetgpt_command("sweep", micro.source, "--ids", "5,9", "--patch-from-ids", "5,9", "--part", "mlp")
    assert code == 0
    assert "The two runs agree on what is measured" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--part", "mlp"], "--part chooses the maps of --patch-from"),
        (["--patch-from-ids", "5", "--mean"], "--mean is for parts that are switched off"),
        (["--patch-from-ids", "5", "--top", "3"], "--top is for parts that are switched off"),
        (["--patch-from-ids", "5", "--patch-from", "king"], "Give only one of --patch-from and --patch-from-ids"),
        (["--patch-from-ids", "5", "--part", "neurons"], "There is no part 'neurons'"),
        (["--patch-from-ids", "5,x"], "whole numbers separated by commas"),
        (["--token", "king"], "give a token by its id, such as #5, not 'king'"),
        (["--minus", "#64"], "There is no token 64"),
        (["--position", "9"], "There is no position 9"),
    ],
)
def test_bad_words_are_one_sentence(
    micro: Checkpoint, sheetgpt_command: Command, tmp_path: Path, words: list[str], sentence: str
) -> None:
    file = tmp_path / "no.json"
    code, out, err = sheetgpt_command("sweep", micro.source, "--ids", "5,9", *words, "--json", file)
    assert (code, out) == (2, "")
    assert sentence in err
    assert not file.exists()


def test_the_checkpoint_is_not_written_over(micro: Checkpoint, sheetgpt_command: Command) -> None:
    config = Path(micro.source) / "config.json"
    before = config.read_bytes()
    code, _, err = sheetgpt_command("sweep", micro.source, "--ids", "5,9", "--json", config)
    assert code == 2
    assert "one of the checkpoint's own files" in err
    assert config.read_bytes() == before


def test_the_result_is_told_though_the_json_can_t_be_written(
    micro: Checkpoint, sheetgpt_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise SheetGPTError("x.json can't be written: No space left on device.")

    monkeypatch.setattr(command, "write", full)
    code, out, said = sheetgpt_command("sweep", micro.source, "--ids", "5,9", "--json", tmp_path / "x.json")
    assert (code, "1.mlp" in out, "No space left" in said) == (2, True, True)


def test_numbers_below_nothing_and_above_all_have_a_cell(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame([[0.5, -0.5, 0.0], [12.0, -12.0, 1.0]], ["block 0", "block 1"], ["a", "b", "c"])
    signed_map(Console(width=80, color_system=None), frame, percent=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2][18:] == " ▒  50 ▒ -50     ·"
    assert lines[3][18:] == " █>999 <-999 █ 100"
    assert len({len(line) for line in lines}) == 1
    signed_map(Console(width=80, color_system=None), frame, percent=False)
    assert capsys.readouterr().out.splitlines()[3][18:] == " +12.0 -12.0 +1.00"
    signed_map(Console(width=80, color_system=None), 12_345 * frame, percent=False)
    assert capsys.readouterr().out.splitlines()[3][18:] == " █+1e5 █-1e5 ░+1e4"
    signed_map(Console(width=80, color_system="truecolor", force_terminal=True), frame, percent=True)
    said = capsys.readouterr().out
    assert all(f"48;2;{colour(share).replace(',', ';')}m" in said for share in (0.5, -0.5, 1, -1))
    assert np.diff([int(colour(-k / 10).split(",")[0]) for k in range(11)]).max() <= 0
