"""Verification passes on what was built and goes red, without raising, for whatever can be wrong in a workbook."""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from patching import Change, cell_xml, in_order, patch, set_formula, set_number, set_row_formula, set_value
from ready import MICRO_IDS
from some_sheets import one_sheet

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets import lay_out
from sheetgpt.sheets.grid import BIAS, FIRST_WEIGHT
from sheetgpt.sheets.layout import Layout
from sheetgpt.verification.report import TOLERANCE, Report
from sheetgpt.verification.verify import verify
from sheetgpt.workbook.build import build


@pytest.fixture(scope="module")
def layout(micro: Checkpoint) -> Layout:
    return lay_out(micro.config, 6)


def cell(area: Area, i: int = 0, t: int = 0) -> str:
    """Row i of a tensor at position t."""
    return area.line(i).stripe(t).cells


def names(report: Report) -> set[str]:
    """What is red."""
    return {t.name for t in report.tensors if not t.passed}


def assert_red(report: Report, *tensors: str) -> None:
    assert not report.passed
    assert set(tensors) <= names(report), names(report)
    json.loads(report.to_json())


def test_a_workbook_passes_in_libreoffice_and_every_tensor_is_listed(micro_workbook: Path, layout: Layout) -> None:
    report = verify(micro_workbook)
    assert report.passed, report.frame()[["name", "where", "problem", "max_rel"]].to_string()
    assert {*layout.trace, *layout.params, "next_probs", "top_ids"} <= {t.name for t in report.tensors}
    assert 0 < report.max_rel <= TOLERANCE  # it is another program's arithmetic


def test_the_report_is_json(plain_workbook: Path, layout: Layout) -> None:
    report = json.loads(verify(plain_workbook, engine="cached").to_json())
    assert report["passed"] is True
    assert report["engine"] == "cached"
    assert all({"name", "range", "max_abs", "max_rel"} <= set(tensor) for tensor in report["tensors"])
    ranges = {tensor["name"]: tensor["range"] for tensor in report["tensors"]}
    assert ranges["h0.attn.probs.1"] == layout.trace["h0.attn.probs.1"].reference


def test_other_inputs_pass(plain_workbook: Path) -> None:
    assert verify(plain_workbook, ids=[63, 0, 0, 1, 63, 2], temperature=0).passed
    assert verify(plain_workbook, ids=[40], temperature=0.3).passed


def test_a_model_with_its_own_head_and_gelu_passes(odd_workbook: Path) -> None:
    report = verify(odd_workbook)
    assert report.passed, report.frame()[["name", "where", "problem", "max_rel"]].to_string()
    assert "lm_head" in {t.name for t in report.tensors}


def one_cell_short(formula: str) -> str:
    """SUMPRODUCT's two ranges end a row early."""
    return re.sub(r"(:\$?[A-Z]+\$)(\d+)", lambda m: f"{m[1]}{int(m[2]) - 1}", formula)


def next_bias(formula: str) -> str:
    return re.sub(r"\+\$D\$(\d+)", lambda m: f"+$D${int(m[1]) + 1}", formula)


FORMULAS = {
    "another factor, one column": ("h1.mlp.act", 7, 1, lambda f: f.replace("0.044715", "0.044716")),
    "a neighbour's weights, one column": ("h0.mlp.fc", 3, 2, lambda f: f.replace("$F$", "$G$", 2)),
    "a constant, one column": ("h0.attn.probs.1", 0, 1, lambda f: "1"),
    "an error, one column": ("h1.attn.z", 2, 1, lambda f: "1/0"),
    "a text, one column": ("ln_f", 2, 1, lambda f: '"0.5"'),
    "empty, one column": ("logits", 2, 1, lambda f: '""'),
    "no guard": ("embed", 2, 5, lambda f: "0.5"),
    "tokens of another prompt": ("embed_tok", 2, 1, lambda f: f.replace("+1", "+2")),
}


@pytest.mark.parametrize("broken", FORMULAS)
def test_one_changed_formula_is_red_though_cached_values_are_right(
    plain_workbook: Path, layout: Layout, tmp_path: Path, broken: str
) -> None:
    tensor, i, t, change = FORMULAS[broken]
    area = layout.trace[tensor]
    book = patch(plain_workbook, tmp_path / "broken.xlsx", {area.sheet: set_formula(cell(area, i, t), change)})
    assert verify(book, engine="cached").passed
    assert_red(verify(book), tensor)


ROWS = {
    "a bias moved one row": ("h0.mlp.fc", 5, next_bias),
    "a range one cell short": ("h1.attn.qkv", 20, one_cell_short),
    "a logit's range one cell short": ("logits", 63, one_cell_short),
    "a layer norm over too few rows": ("h1.ln_2.mean", 0, one_cell_short),
}


@pytest.mark.parametrize("broken", ROWS)
def test_one_changed_row_is_red_though_cached_values_are_right(
    plain_workbook: Path, layout: Layout, tmp_path: Path, broken: str
) -> None:
    tensor, i, change = ROWS[broken]
    area = layout.trace[tensor]
    book = patch(plain_workbook, tmp_path / "broken.xlsx", {area.sheet: set_row_formula(cell(area, i), change)})
    assert verify(book, engine="cached").passed
    assert_red(verify(book), tensor)


def last_digit(text: str) -> str:
    """0.1234 -> 0.1235"""
    mantissa, e, exponent = text.partition("e")
    return f"{mantissa[:-1]}{(int(mantissa[-1]) + 1) % 10}{e}{exponent}"


@pytest.mark.parametrize(
    ("param", "engine"),
    [
        *((param, "cached") for param in ("wte", "wpe", "h1.mlp.c_proj.w", "h0.ln_1.g", "h1.attn.c_attn.b", "ln_f.b")),
        *((param, "libreoffice") for param in ("wte", "h0.attn.c_proj.w", "h1.mlp.c_fc.b")),
    ],
)
def test_a_weight_changed_in_its_last_digit_is_red(
    plain_workbook: Path, layout: Layout, tmp_path: Path, param: str, engine: str
) -> None:
    (area,) = layout.params[param]
    change = set_value(area.stripe(area.n_columns - 1).line(3).cells, last_digit)
    book = patch(plain_workbook, tmp_path / "broken.xlsx", {area.sheet: change})
    assert_red(verify(book, engine=engine), param)


def edited_weights(source: Path, layout: Layout, target: Path) -> Path:
    weight, bias = layout.params["h1.mlp.c_proj.w"][0], layout.params["h0.attn.c_proj.b"][0]
    changes: dict[str, Change] = {
        weight.sheet: set_value(weight.line(3).stripe(3).cells, lambda v: "1.25"),
        bias.sheet: set_value(bias.line(3).cells, lambda v: "-7"),
    }
    return patch(source, target, changes)


def test_edited_weights_pass_against_themselves_only(plain_workbook: Path, layout: Layout, tmp_path: Path) -> None:
    book = edited_weights(plain_workbook, layout, tmp_path / "edited.xlsx")
    assert_red(verify(book), "h1.mlp.c_proj.w", "h0.attn.c_proj.b", "h1.mlp.out", "logits")
    assert verify(book, weights_from_workbook=True).passed


def test_a_broken_formula_is_red_against_the_workbooks_own_weights(
    plain_workbook: Path, layout: Layout, tmp_path: Path
) -> None:
    area = layout.trace["h0.mlp.fc"]
    change = set_row_formula(cell(area, 5), next_bias)
    book = patch(plain_workbook, tmp_path / "broken.xlsx", {area.sheet: change})
    assert_red(verify(book, weights_from_workbook=True), "h0.mlp.fc")


def test_a_weight_that_is_no_number_is_red_not_an_error(plain_workbook: Path, layout: Layout, tmp_path: Path) -> None:
    (area,) = layout.params["h0.mlp.c_fc.w"]
    where = area.line(2).stripe(2).cells
    change = lambda sheet: sheet.replace(cell_xml(sheet, where), f'<c r="{where}"/>')  # noqa: E731
    book = patch(plain_workbook, tmp_path / "broken.xlsx", {area.sheet: change})
    assert_red(verify(book), "h0.mlp.c_fc.w", "h0.mlp.fc")
    assert_red(verify(book, weights_from_workbook=True), "h0.mlp.c_fc.w")


def test_swapped_biases_are_red(plain_workbook: Path, layout: Layout, tmp_path: Path) -> None:
    """A bias moved one row, as values."""
    (area,) = layout.params["h0.mlp.c_fc.b"]
    assert area.column == BIAS
    assert layout.params["h0.mlp.c_fc.w"][0].column == FIRST_WEIGHT
    with_values = one_sheet(plain_workbook, area.sheet)
    first, second = (with_values[area.line(i).cells].value for i in (0, 1))
    change = in_order(
        set_value(area.line(0).cells, lambda v: repr(second)), set_value(area.line(1).cells, lambda v: repr(first))
    )
    book = patch(plain_workbook, tmp_path / "broken.xlsx", {area.sheet: change})
    assert_red(verify(book), "h0.mlp.c_fc.b", "h0.mlp.fc")


@pytest.mark.parametrize(
    ("sheet", "engine"),
    [
        *((sheet, "libreoffice") for sheet in ("Block 1", "Home", "wte")),
        *((sheet, "cached") for sheet in ("Block 1", "Block 0 weights", "Home", "Softmax", "wte", "Model")),
    ],
)
def test_a_deleted_sheet_is_red(plain_workbook: Path, tmp_path: Path, sheet: str, engine: str) -> None:
    book = openpyxl.load_workbook(plain_workbook)
    del book[sheet]
    broken = tmp_path / "broken.xlsx"
    book.save(broken)
    assert_red(verify(broken, engine=engine))
    assert_red(verify(broken, engine=engine, weights_from_workbook=True))


@pytest.mark.parametrize("name", ["h0_mlp_act", "temperature", "n_layer", "h1_mlp_c_fc_w", "token_ids", "next_probs"])
def test_a_removed_name_is_red(plain_workbook: Path, tmp_path: Path, name: str) -> None:
    def remove(xml: str) -> str:
        return re.sub(rf'<definedName name="{name}"[^>]*>[^<]*</definedName>', "", xml)

    broken = patch(plain_workbook, tmp_path / "broken.xlsx", {"xl/workbook.xml": remove})
    assert_red(verify(broken, engine="cached"))
    if name in ("temperature", "h0_mlp_act"):
        assert_red(verify(broken))


def test_a_name_that_points_elsewhere_is_red(plain_workbook: Path, layout: Layout, tmp_path: Path) -> None:
    """To a range of another shape, and to another tensor of the same shape."""
    for other in (layout["h0.mlp.act"].rows_of(0, 5), layout["h0.mlp.fc"]):

        def move(xml: str, reference: str = other.reference) -> str:
            return re.sub(r'(<definedName name="h0_mlp_act"[^>]*>)[^<]*', lambda m: m[1] + reference, xml)

        broken = patch(plain_workbook, tmp_path / "broken.xlsx", {"xl/workbook.xml": move})
        assert_red(verify(broken, engine="cached"), "h0.mlp.act")


@pytest.mark.parametrize("tensor", ["embed", "h0.ln_1.mean", "h1.attn.probs.0", "logits", "h0.attn.scores.1"])
def test_a_number_right_of_the_prompt_is_red(plain_workbook: Path, layout: Layout, tmp_path: Path, tensor: str) -> None:
    area = layout.trace[tensor]
    change = set_number(cell(area, 0, len(MICRO_IDS)), 0.0)
    broken = patch(plain_workbook, tmp_path / "broken.xlsx", {area.sheet: change})
    assert_red(verify(broken, engine="cached"), tensor)
    if tensor == "embed":
        assert_red(verify(broken), tensor)


def test_a_text_right_of_the_prompt_is_red(plain_workbook: Path, layout: Layout, tmp_path: Path) -> None:
    area = layout.trace["h0.mlp.fc"]
    change = set_formula(cell(area, 0, len(MICRO_IDS)), lambda f: 'IF(TRUE,"x","")')
    broken = patch(plain_workbook, tmp_path / "broken.xlsx", {area.sheet: change})
    assert_red(verify(broken), "h0.mlp.fc")


def test_a_weight_is_compared_exactly(plain_workbook: Path, layout: Layout, tmp_path: Path) -> None:
    """A change far below the tolerance of what is computed."""
    (area,) = layout.params["h0.mlp.c_fc.w"]
    change = set_value(area.line(2).stripe(2).cells, lambda text: f"{float(text) * (1 + 1e-14)!r}")
    broken = patch(plain_workbook, tmp_path / "broken.xlsx", {area.sheet: change})
    report = verify(broken, engine="cached")
    assert names(report) == {"h0.mlp.c_fc.w"}
    assert report.max_rel < TOLERANCE


def test_a_number_below_the_diagonal_of_attention_is_red(plain_workbook: Path, layout: Layout, tmp_path: Path) -> None:
    """A key after its query, though it adds nothing to the sum."""
    area = layout.trace["h0.attn.probs.0"]
    where = cell(area, 2, 1)
    row, key = re.search(r"\d+", where)[0], cell(area, 2, 2)  # type: ignore[index]
    assert key.endswith(row)
    change = lambda sheet: sheet.replace(f'<c r="{key}"', f'<c r="{where}"><v>0</v></c><c r="{key}"')  # noqa: E731
    broken = patch(plain_workbook, tmp_path / "broken.xlsx", {area.sheet: change})
    assert_red(verify(broken, engine="cached"), "h0.attn.probs.0")


@pytest.mark.parametrize("tensor", ["embed_pos", "h0.ln_1.rstd", "h1.attn.scores.1", "h1.resid_post", "logits"])
def test_one_changed_cached_value_is_red_in_the_cached_engine(
    plain_workbook: Path, layout: Layout, tmp_path: Path, tensor: str
) -> None:
    area = layout.trace[tensor]
    change = set_value(cell(area, 0, 2), lambda v: repr(float(v) * (1 + 1e-8)))
    broken = patch(plain_workbook, tmp_path / "broken.xlsx", {area.sheet: change})
    assert_red(verify(broken, engine="cached"), tensor)


def test_stale_cached_values_do_no_harm_to_libreoffice(plain_workbook: Path, layout: Layout, tmp_path: Path) -> None:
    area = layout.trace["h0.mlp.fc"]
    change = set_value(cell(area, 0, 2), lambda v: "999")
    stale = patch(plain_workbook, tmp_path / "stale.xlsx", {area.sheet: change})
    assert verify(stale).passed


def test_another_checkpoint_is_red(plain_workbook: Path, micro: Checkpoint, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    shutil.copytree(micro.source, folder)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-3] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    report = verify(plain_workbook, engine="cached", model=folder)
    assert_red(report)
    assert "is not the checkpoint that micro.xlsx was built from" in report.problems[0]


def test_bad_input_is_refused_in_a_sentence(plain_workbook: Path, tmp_path: Path) -> None:
    refusals: tuple[tuple[Mapping[str, object], str], ...] = (
        ({"engine": "excel"}, "no engine"),
        ({"ids": [1] * 7}, "7 tokens"),
        ({"ids": [64]}, "Token id 64"),
        ({"ids": []}, "empty"),
        ({"prompt": "hello"}, "no tokenizer"),
        ({"engine": "cached", "ids": [1]}, "cached"),
        ({"model": tmp_path / "nowhere"}, "nowhere"),
        ({"temperature": -1}, "-1"),
    )
    for arguments, words in refusals:
        with pytest.raises(SheetGPTError, match=words):
            verify(plain_workbook, **arguments)  # type: ignore[arg-type]
    with pytest.raises(SheetGPTError, match="There is no file"):
        verify(tmp_path / "nothing.xlsx")
    foreign = tmp_path / "foreign.xlsx"
    openpyxl.Workbook().save(foreign)
    with pytest.raises(SheetGPTError, match="not a workbook built by sheetgpt"):
        verify(foreign)


def test_the_formulas_package_agrees(make_checkpoint: Callable[..., Checkpoint], tmp_path: Path) -> None:
    """Smaller than the micro model: some ten milliseconds a cell."""
    config = GPT2Config(n_vocab=4, n_positions=3, n_embd=4, n_layer=2, n_head=2, n_inner=3)
    checkpoint = make_checkpoint(config, "nano")
    book = build(checkpoint, tmp_path / "nano.xlsx", ids=[1, 2], context=3, without="all")
    report = verify(book, engine="formulas", ids=[3, 3, 0], temperature=0.7)
    assert report.passed, report.frame()[["name", "where", "problem", "max_rel"]].to_string()
    area = lay_out(config, 3).trace["h0.mlp.fc"]
    broken = patch(book, tmp_path / "broken.xlsx", {area.sheet: set_row_formula(cell(area, 1), next_bias)})
    assert_red(verify(broken, engine="formulas"), "h0.mlp.fc")


def test_inputs_in_the_workbook_that_are_not_right_are_red(
    plain_workbook: Path, layout: Layout, tmp_path: Path
) -> None:
    """A yellow cell holds what no one would type: a red report, since it is the workbook that is wrong."""
    for area, value in (
        (layout["temperature"], -1.0),
        (layout["temperature"], 1e-9),
        (layout["prompt_ids"], 64.0),
        (layout["prompt_ids"], 1.5),
    ):
        broken = patch(plain_workbook, tmp_path / "broken.xlsx", {"Home": set_number(cell(area, 0, 0), value)})
        report = verify(broken, engine="cached")
        assert not report.passed
        assert "inputs in the workbook" in report.problems[0]


def test_a_checkpoint_is_found_from_any_folder(
    micro: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workbook remembers the way from its own folder to the checkpoint's, not from where it was built."""
    shutil.copytree(micro.source, tmp_path / "model")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    build("model", "books/w.xlsx", ids=[1], context=2)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert verify(tmp_path / "books" / "w.xlsx", engine="cached").passed


def test_an_id_without_a_token_shows_no_number(
    write_checkpoint: Callable[..., Path], hf_config: dict[str, Any], hf_tensors: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """INDEX gives 0 for a blank text; every cell that shows a token has an empty one instead."""
    wte = np.random.default_rng(5).normal(size=(700, 6)).astype(np.float32)
    model = write_checkpoint(config=hf_config | {"vocab_size": 700}, tensors=hf_tensors | {"wte.weight": wte})
    vocab = json.loads((model / "vocab.json").read_text())
    (model / "vocab.json").write_text(json.dumps(vocab | {"king": 699}))  # 260 to 698 are no tokens
    path = build(load(model), tmp_path / "w.xlsx", ids=[10, 600, 690], new_tokens=3, context=8, prompt_bytes=16)
    report = verify(path, model=model)
    assert report.passed, report.frame()[lambda f: ~f.passed]

    def bare(sheet: str) -> str:
        return sheet.replace('&amp;""', "")

    sheets = ("Home", "Sample", "Decoding", "Tokenizer")
    broken = patch(path, tmp_path / "broken.xlsx", dict.fromkeys(sheets, bare))
    red = {t.name: t.problem for t in verify(broken, model=model).tensors if not t.passed}
    assert {"token_text", "top_tokens", "sample_tokens"} <= set(red)
    assert red["token_text"] == "holds 0 where it should be empty"
