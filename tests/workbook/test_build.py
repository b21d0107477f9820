"""What `build` writes, what it refuses, and the command line over both."""

import datetime
import io
import json
import multiprocessing
import os
import re
import signal
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest
from lxml import etree
from patching import patch, set_formula, set_value
from places import ROOT
from ready import MICRO_IDS, Command
from rich.console import Console
from some_sheets import defined_names

import sheetgpt
from sheetgpt.engines import libreoffice
from sheetgpt.errors import SheetGPTError
from sheetgpt.excel_rules import check
from sheetgpt.gpt2.checkpoints.checkpoint import DEFAULT, Checkpoint, bundled
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.model import as_cells, forward
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.writing import book as xlsx
from sheetgpt.ooxml.writing.book import Written
from sheetgpt.progress import bar
from sheetgpt.sheets import lay_out
from sheetgpt.sheets.layout import defined_name
from sheetgpt.workbook.limits import check_limits
from sheetgpt.workbook.reopen import open_workbook

COMMITTED = ROOT / "workbooks" / "stories.xlsx"


def everything_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


class Later(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "Later":
        return cls(2031, 5, 17, 12, 34, 56, tzinfo=tz)


def test_the_same_input_gives_the_same_bytes_at_any_time(
    micro: Checkpoint, micro_workbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datetime, "datetime", Later)
    again = sheetgpt.build(micro, tmp_path / "again.xlsx", ids=MICRO_IDS, context=6)
    assert again.read_bytes() == micro_workbook.read_bytes()
    other = sheetgpt.build(micro, tmp_path / "other.xlsx", ids=(5, 9, 34), context=6)
    assert other.read_bytes() != micro_workbook.read_bytes()


NUMBER = re.compile(rb"(?<=<v>)-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?(?=</v>)")


def test_the_committed_workbook_is_what_build_writes(tmp_path: Path) -> None:
    """Cached values may differ in their last bits by processor; a weight has four digits, so no change of one hides."""
    again = sheetgpt.build("stories", tmp_path / "stories.xlsx")
    with zipfile.ZipFile(again) as ours, zipfile.ZipFile(COMMITTED) as theirs:
        assert ours.namelist() == theirs.namelist()
        for name in ours.namelist():
            one, other = ours.read(name), theirs.read(name)
            assert NUMBER.sub(b"", one) == NUMBER.sub(b"", other), name
            found, expected = (np.array(NUMBER.findall(part), float) for part in (one, other))
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12, err_msg=name)
    assert COMMITTED.stat().st_size < 20_000_000


# [MS-OI29500] 2.1.706
FONT_ORDER = [
    "b",
    "i",
    "strike",
    "condense",
    "extend",
    "outline",
    "shadow",
    "u",
    "vertAlign",
    "sz",
    "color",
    "name",
    "family",
    "charset",
    "scheme",
]


def test_fonts_are_written_in_excels_order(micro_workbook: Path) -> None:
    with zipfile.ZipFile(micro_workbook) as package:
        fonts = list(etree.fromstring(package.read("xl/styles.xml")).iter("{*}font"))
    orders = [[FONT_ORDER.index(etree.QName(child).localname) for child in font] for font in fonts]
    assert orders == [sorted(order) for order in orders]
    assert sum(len(order) > 3 for order in orders) > 5
    assert any(etree.QName(font.getparent()).localname == "dxf" for font in fonts)


def test_what_is_built_breaks_no_rule_of_excels(micro_workbook: Path, odd_workbook: Path) -> None:
    assert check(micro_workbook) == []
    assert check(odd_workbook) == []


def test_a_formula_that_looks_right_of_its_column_is_named(
    micro: Checkpoint, micro_workbook: Path, tmp_path: Path
) -> None:
    area = lay_out(micro.config, 6)["h1.resid_mid"]
    cell = area.line(3).stripe(1).cells
    change = set_formula(cell, lambda formula: re.sub(r"\bG\$(\d\d+)", r"H$\1", formula))
    broken = patch(micro_workbook, tmp_path / "broken.xlsx", {area.sheet: change})
    rules = [problem.rule for problem in check(broken) if (problem.part, problem.where) == ("Block 1", cell)]
    assert any("right" in rule for rule in rules), rules


@pytest.mark.parametrize("workbook", ["micro_workbook", "odd_workbook"])
def test_every_tensor_and_every_parameter_has_its_name(workbook: str, request: pytest.FixtureRequest) -> None:
    path: Path = request.getfixturevalue(workbook)
    checkpoint: Checkpoint = request.getfixturevalue(workbook.removesuffix("_workbook"))
    config, context = checkpoint.config, open_workbook(path).layout.context
    names = defined_names(path)
    trace = forward(checkpoint.params, config, [0] * context)
    for name, values in trace.items():
        assert n_cells(names[defined_name(name)]) == values.size, name
    for name, shape in config.parameter_shapes().items():
        assert n_cells(names[defined_name(name)]) == np.prod(shape), name
    inputs_and_outputs = ("temperature", "score_prompt", "n_prompt", "next_token", "n_layer", "context", "wte_0")
    assert set(inputs_and_outputs) <= set(names)


def n_cells(reference: str) -> int:
    area = Area.parse(reference)
    assert area is not None, reference
    return area.n_cells


def test_tokens_that_begin_like_a_formula_stay_text(write_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    """In every sheet that shows tokens, and after a recalculation."""
    checkpoint = sheetgpt.load(write_checkpoint("signs"))
    text = "=+-@=1+A1"
    sizes: dict[str, Any] = {"context": 10, "new_tokens": 0, "prompt_bytes": 16, "merge_rounds": 2}
    path = sheetgpt.build(checkpoint, tmp_path / "signs.xlsx", prompt=text, **sizes)
    assert check(path) == []
    book = openpyxl.load_workbook(path)
    assert checkpoint.tokenizer is not None
    ids = {sign: checkpoint.tokenizer.encode(sign)[0] for sign in "=+-@"}
    layout = lay_out(checkpoint.config, 10)
    for sign, token in ids.items():
        for area in (layout["vocab_shown"].line(token), layout.params["wte"][0].stripe(token)):
            above = area if area.sheet != "wte" else Area("wte", area.row - 1, area.column)
            cell = book[above.sheet][above.cells]
            assert (cell.value, cell.data_type) == (sign, "s"), f"{above.sheet}!{above.cells}"
    cells = libreoffice.recalculate(path, {}, ["token_text", "prompt_text", "message", "'Block 0'!F4:O4"])
    shown = {(0, t): sign for t, sign in enumerate(text)}
    assert cells["token_text"] is not None
    assert cells["token_text"].texts == shown
    assert cells["'Block 0'!F4:O4"] is not None
    assert cells["'Block 0'!F4:O4"].texts == shown
    assert cells["prompt_text"] is not None
    assert cells["prompt_text"].texts == {(0, 0): text}


def test_limits_are_named_before_anything_is_written(
    micro: Checkpoint, make_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    target = tmp_path / "never" / "w.xlsx"
    refusals: tuple[tuple[dict[str, object], str], ...] = (
        ({"context": 17}, "--context 17"),
        ({"context": 0}, "--context 0"),
        ({"context": 2, "ids": [1, 2, 3]}, "3 tokens, and the workbook has 2 columns"),
        ({"ids": [64]}, "Token id 64"),
        ({"ids": []}, "prompt is empty"),
        ({"prompt": "hello"}, "no tokenizer"),
        ({"temperature": -0.5}, "temperature must be 0 or .*, not -0.5"),
        ({"temperature": float("nan")}, "temperature must be 0 or .*, not nan"),
    )
    for arguments, words in refusals:
        with pytest.raises(SheetGPTError, match=words):
            sheetgpt.build(micro, target, **arguments)  # type: ignore[arg-type]
    wide = GPT2Config(n_vocab=3, n_positions=1, n_embd=5462, n_layer=1, n_head=1, n_inner=1)
    with pytest.raises(SheetGPTError, match=r"h0\.attn\.c_attn\.w would need 16,388 columns"):
        check_limits(lay_out(wide, 1))
    tall = replace(wide, n_embd=1, n_vocab=1_048_570)
    with pytest.raises(SheetGPTError, match="rows"):
        check_limits(lay_out(tall, 1))
    many = replace(wide, n_embd=1, n_positions=16_380)
    with pytest.raises(SheetGPTError, match="columns"):
        check_limits(lay_out(many, 1))
    medium = GPT2Config(n_vocab=50257, n_positions=1024, n_embd=1024, n_layer=24, n_head=16, n_inner=4096)
    check_limits(lay_out(medium, 16))
    extra_large = replace(medium, n_embd=1600, n_layer=48, n_head=25, n_inner=6400)
    with pytest.raises(SheetGPTError, match=r"1,557,611,200 weights and 16 columns would take about 12\.\d GB"):
        check_limits(lay_out(extra_large, 16))
    assert everything_below(tmp_path) == []
    huge = make_checkpoint(replace(wide, n_embd=1, n_positions=16_380), "many")
    with pytest.raises(SheetGPTError, match="wpe would need"):
        sheetgpt.build(huge, target)
    assert everything_below(tmp_path) == []


def test_a_build_that_fails_leaves_the_old_file_and_nothing_else(micro: Checkpoint, tmp_path: Path) -> None:
    target = tmp_path / "w.xlsx"
    target.write_bytes(b"precious")

    def stop(written: Written) -> None:
        if written.sheet == "Block 1":
            raise OSError(28, "No space left on device")

    with pytest.raises(SheetGPTError, match="can't be written: No space left"):
        sheetgpt.build(micro, target, context=6, progress=stop)
    assert target.read_bytes() == b"precious"
    assert everything_below(tmp_path) == ["w.xlsx"]

    def interrupt(written: Written) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sheetgpt.build(micro, target, context=6, progress=interrupt)
    assert target.read_bytes() == b"precious"
    assert everything_below(tmp_path) == ["w.xlsx"]
    sheetgpt.build(micro, target, context=6)
    assert target.read_bytes()[:2] == b"PK"
    assert everything_below(tmp_path) == ["w.xlsx"]


def test_progress_adds_up_to_every_cell_and_names_every_sheet(micro: Checkpoint, tmp_path: Path) -> None:
    seen: list[Written] = []
    target = sheetgpt.build(micro, tmp_path / "w.xlsx", context=6, progress=seen.append)
    check_progress(seen, target)
    assert {written.sheet for written in seen} == set(openpyxl.load_workbook(target, read_only=True).sheetnames)
    steps = dict(zip((w.sheet for w in seen), np.diff([0, *(w.cells for w in seen)]), strict=True))
    (wte,) = lay_out(micro.config, 6).params["wte"]
    assert steps["wte"] == wte.last_row * wte.last_column  # a sheet counts for its cells


def test_progress_advances_inside_a_sheet_that_another_process_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xlsx, "MANY_CELLS", 0)
    monkeypatch.setattr(xlsx, "POLL", 0.001)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    book = xlsx.Book("slow")

    def slowly() -> Iterator[rows.Row]:
        for i in range(1, 41):
            time.sleep(0.005)
            yield rows.row(i, rows.numbers(1, np.arange(10.0)))

    for title in ("one", "two"):
        book.add(book.frame(title), slowly, "J40", 400)
    seen: list[Written] = []
    book.save(tmp_path / "slow.xlsx", seen.append)
    check_progress(seen, tmp_path / "slow.xlsx")
    assert sum(0 < written.cells < 400 for written in seen) > 2


def check_progress(seen: list[Written], target: Path) -> None:
    """Never backwards, and all of it in the end."""
    for key in ("cells", "n_bytes"):
        values = [getattr(written, key) for written in seen]
        assert values == sorted(values)
    assert len({w.all_cells for w in seen}) == 1
    assert seen[-1].cells == seen[-1].all_cells
    assert seen[0].n_bytes < seen[-1].n_bytes < target.stat().st_size


def test_the_bar_shows_sheet_size_and_time_left_only_on_a_terminal() -> None:
    for terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
        with bar(console) as advance:
            advance(Written("Block 7 weights", 250, 1000, 123_456_789))
        shown = console.file.getvalue()  # type: ignore[attr-defined]
        if terminal:
            assert all(words in shown for words in ("Block 7 weights", "25%", "123.5 MB", "-:--:--"))
        else:
            assert shown.strip() == ""


def test_a_target_that_cannot_be_a_file_is_refused(micro: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(SheetGPTError, match="is a folder"):
        sheetgpt.build(micro, tmp_path, context=6)
    (tmp_path / "file").write_text("")
    with pytest.raises(SheetGPTError, match="can't be written"):
        sheetgpt.build(micro, tmp_path / "file" / "w.xlsx", context=6)


def test_read_labels_a_tensor_with_its_tokens(micro_workbook: Path, micro: Checkpoint) -> None:
    trace = forward({name: as_cells(p) for name, p in micro.params.items()}, micro.config, MICRO_IDS)
    tokens = [str(i) for i in MICRO_IDS]
    activations = sheetgpt.read(micro_workbook, "h1.mlp.act")
    assert [str(c).strip("<>[]#") for c in activations.columns] == tokens
    np.testing.assert_allclose(activations.to_numpy(), trace["h1.mlp.act"], rtol=1e-12)
    attention = sheetgpt.read(micro_workbook, "h1.attn.probs.0")
    assert list(attention.index) == list(attention.columns)
    assert (attention.index.name, attention.columns.name) == ("key", "token")
    seen = np.triu_indices(3)
    np.testing.assert_allclose(attention.to_numpy()[seen], trace["h1.attn.probs.0"][seen], rtol=1e-12)
    pd.testing.assert_frame_equal(sheetgpt.read(micro_workbook, "h1_attn_probs_0"), attention)
    assert sheetgpt.read(micro_workbook, "h0.mlp.c_fc.w").shape == (16, 24)
    assert sheetgpt.read(micro_workbook, "wte").shape == (16, 64)
    with pytest.raises(SheetGPTError, match=r"no tensor 'h9\.nothing'"):
        sheetgpt.read(micro_workbook, "h9.nothing")


def test_read_keeps_attention_apart_from_a_tensor_as_high(
    make_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    """As many features as columns: only attention has tokens on both axes."""
    config = GPT2Config(n_vocab=11, n_positions=6, n_embd=6, n_layer=1, n_head=2, n_inner=6)
    path = sheetgpt.build(make_checkpoint(config, "square"), tmp_path / "square.xlsx", ids=[1, 2], context=6)
    assert sheetgpt.read(path, "h0.attn.probs.1").shape == (2, 2)
    assert sheetgpt.read(path, "h0.attn.z").shape == (6, 2)
    assert sheetgpt.read(path, "h0.attn.out").shape == (6, 2)


def test_build_command_writes_and_says_where(
    sheetgpt_command: Command, micro: Checkpoint, micro_workbook: Path, tmp_path: Path
) -> None:
    target = tmp_path / "w.xlsx"
    words = ("build", micro.source, "-o", target, "--ids", "5, 9,33", "--context", 6)
    status, out, _ = sheetgpt_command(*words)
    assert status == 0
    assert "w.xlsx" in out
    assert "MB" in out
    assert target.read_bytes() == micro_workbook.read_bytes()
    assert sheetgpt_command(*words, "--quiet") == (0, "", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["build", "{micro}", "-o", "{tmp}/w.xlsx", "--ids", "1,x", "--quiet"], "--ids takes whole numbers"),
        (["build", "{micro}", "-o", "{tmp}/w.xlsx", "--prompt", "hello", "--quiet"], "no tokenizer"),
        (["build", "{micro}", "-o", "{tmp}/w.xlsx", "--context", "99"], "--context 99"),
        (["build", "{tmp}/nowhere", "-o", "{tmp}/w.xlsx"], "There is no model"),
        (["verify", "{tmp}/nowhere.xlsx"], "There is no file"),
        (["verify", "{workbook}", "--engine", "excel"], "no engine 'excel'"),
        (["verify", "{workbook}", "--engine", "cached", "--ids", "1"], "cached"),
        (["verify", "{workbook}", "--engine", "cached", "--json", "{tmp}/no/r.json"], "can't be written"),
        (["run", "{workbook}", "--ids", "64"], "Token id 64"),
        (["run", "{workbook}", "--ids", "1,1,1,1,1,1,1"], "7 tokens"),
        (["run", "{workbook}", "--temperature", "-1"], "The temperature must be"),
        (["run", "{micro}/config.json"], "no .xlsx workbook can be read from it"),
        (["info", "{tmp}/nowhere.xlsx"], "There is no file"),
        (["check", "{tmp}/nowhere.xlsx"], "nowhere.xlsx"),
    ],
)
def test_an_error_is_one_sentence_and_status_2(
    sheetgpt_command: Command, micro: Checkpoint, micro_workbook: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    places = {"micro": micro.source, "tmp": tmp_path, "workbook": micro_workbook}
    status, out, err = sheetgpt_command(*(word.format(**places) for word in words))
    assert (status, out) == (2, "")
    assert said in err
    (sentence,) = err.split("\n")[-2:-1]
    assert sentence.startswith("sheetgpt: ")
    assert err.strip() == sentence
    assert "Traceback" not in err
    assert everything_below(tmp_path) == []


def test_a_wrong_option_is_status_2(sheetgpt_command: Command, micro_workbook: Path) -> None:
    assert sheetgpt_command("verify", micro_workbook, "--no-such-option")[0] == 2
    assert sheetgpt_command("nonsense")[0] == 2


def test_verify_command_is_0_or_1_and_writes_its_report(
    sheetgpt_command: Command, micro: Checkpoint, micro_workbook: Path, tmp_path: Path
) -> None:
    report = tmp_path / "r.json"
    status, out, _ = sheetgpt_command("verify", micro_workbook, "--engine", "cached", "--json", report)
    assert status == 0
    assert "passed" in out
    assert json.loads(report.read_text())["passed"] is True
    area = lay_out(micro.config, 6)["ln_f"]
    change = set_value(area.line(2).stripe(1).cells, lambda text: text + "1e-3")
    broken = patch(micro_workbook, tmp_path / "broken.xlsx", {area.sheet: change})
    status, out, _ = sheetgpt_command("verify", broken, "--engine", "cached", "--json", report)
    assert status == 1
    assert "failed: 1 cell is wrong" in out
    wrong = [t for t in json.loads(report.read_text())["tensors"] if t["max_rel"] > 1e-9]
    assert [t["name"] for t in wrong] == ["ln_f"]
    status, out, err = sheetgpt_command("verify", micro_workbook, "--engine", "cached", "--quiet")
    assert (status, err) == (0, "")


def test_run_command_prints_ten_tokens_and_json(
    sheetgpt_command: Command, micro: Checkpoint, micro_workbook: Path
) -> None:
    status, out, err = sheetgpt_command("run", micro_workbook, "--ids", "60,2", "--temperature", "0.5", "--json")
    assert (status, err) == (0, "")
    answer = json.loads(out)
    logits = forward(micro.params, micro.config, [60, 2])["logits"][:, -1]
    best = np.argsort(-logits)[:10]
    assert answer["ids"] == [60, 2]
    assert [token["id"] for token in answer["next_tokens"]] == best.tolist()
    odds = np.exp((logits - logits.max()) / 0.5)
    np.testing.assert_allclose([t["probability"] for t in answer["next_tokens"]], (odds / odds.sum())[best], rtol=1e-5)
    status, out, _ = sheetgpt_command("run", micro_workbook, "--quiet")
    assert status == 0
    assert "probability" in out
    assert out.count("%") == 10


def test_info_and_check_commands(
    sheetgpt_command: Command, micro: Checkpoint, micro_workbook: Path, tmp_path: Path
) -> None:
    status, out, _ = sheetgpt_command("info", micro_workbook)
    assert status == 0
    assert f"{micro.config.n_params:,}" in out
    assert "h1_attn_probs_1" in out
    assert sheetgpt_command("info", micro.source)[0] == 0
    assert sheetgpt_command("check", micro_workbook)[0] == 0
    broken = patch(micro_workbook, tmp_path / "b.xlsx", {"Block 0": lambda sheet: sheet.replace("SUM(", "NOSUCH(", 1)})
    status, out, _ = sheetgpt_command("check", broken)
    assert status == 1
    assert "NOSUCH" in out


def test_the_help_says_which_models_are_bundled(sheetgpt_command: Command) -> None:
    assert bundled()[0] == DEFAULT
    status, said, _ = sheetgpt_command("build", "--help")
    assert status == 0
    assert all(name in said for name in bundled())
    assert f"workbooks/{DEFAULT}.xlsx" in said


def test_the_default_prompt_fits_any_context(tmp_path: Path) -> None:
    book = sheetgpt.build("stories", tmp_path / "w.xlsx", context=2, without="all")
    assert len(open_workbook(book).ids) == 2


def test_words_in_brackets_are_printed_as_they_are(sheetgpt_command: Command) -> None:
    """rich would take them for markup."""
    status, _, said = sheetgpt_command("build", "[/x]")
    assert status == 2
    assert "'[/x]'" in said


def test_a_formula_that_would_be_too_long_is_refused() -> None:
    """Home's text names every token column: 1,024 fit, GPT-2's own length; 2,000 don't."""
    config = GPT2Config(n_vocab=3, n_positions=2000, n_embd=1, n_layer=1, n_head=1, n_inner=1)
    check_limits(lay_out(config, 1024))
    with pytest.raises(SheetGPTError, match="at most 8,192"):
        check_limits(lay_out(config, 2000))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="worker processes need fork")
def test_a_worker_that_is_ended_from_outside_is_an_error_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xlsx, "MANY_CELLS", 0)
    book = xlsx.Book("ended")
    for title in ("one", "two", "three"):
        book.add(book.frame(title), lambda: os.kill(os.getpid(), signal.SIGKILL), "A1", 1)  # type: ignore[arg-type, return-value]
    with pytest.raises(SheetGPTError, match=r"ended from outside \(SIGKILL\): if memory ran out"):
        book.save(tmp_path / "ended.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_build_says_when_libreoffice_cannot_open_so_large_a_file(
    micro: Checkpoint, tmp_path: Path, sheetgpt_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("build", micro.source, "-o", tmp_path / "w.xlsx", "--context", 6)
    assert "2 GiB" not in sheetgpt_command(*words)[1]
    monkeypatch.setattr(libreoffice, "LARGEST", 1000)
    assert "LibreOffice 7.4 reads no file of 2 GiB or more" in sheetgpt_command(*words)[1]


def test_room_for_fewer_bytes_than_none_is_refused(
    micro: Checkpoint, tmp_path: Path, sheetgpt_command: Command
) -> None:
    status, out, err = sheetgpt_command("build", micro.source, "-o", tmp_path / "w.xlsx", "--prompt-bytes", -1)
    assert (status, out) == (2, "")
    assert "--prompt-bytes -1 is below 0" in err


@pytest.mark.parametrize(
    ("n_layer", "advice"), [(48, "--weights int8 makes it smaller"), (96, "build a smaller model")]
)
def test_a_model_too_large_is_told_what_would_fit(n_layer: int, advice: str) -> None:
    config = GPT2Config(50257, n_positions=1024, n_embd=1600, n_layer=n_layer, n_head=25, n_inner=6400)
    with pytest.raises(SheetGPTError, match=advice):
        check_limits(lay_out(config, 16))
