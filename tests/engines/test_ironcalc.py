"""Verification in IronCalc, which shares no code with LibreOffice: the micro workbook, tensor by tensor."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from patching import patch, set_formula
from ready import fairytale_words

from sheetgpt.engines import cached, ironcalc
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.gpt2.model import as_cells, forward
from sheetgpt.sheets import lay_out
from sheetgpt.sheets.layout import defined_name
from sheetgpt.verification.report import TOLERANCE
from sheetgpt.verification.verify import verify
from sheetgpt.workbook.build import build
from sheetgpt.workbook.reopen import open_workbook

SPECIAL = ("<|a|>", "<|b|>", "<|b|>+", "<|c|>")
TEMPLATE = "{% for m in messages %}<|a|>{{ m.content }}<|c|>{% endfor %}"
CHANGED: dict[str, Any] = {"ids": [60, 2, 2, 17], "new_tokens": 2, "temperature": 0.8, "top_k": 7, "top_p": 0.9}


@pytest.mark.parametrize("settings", [{}, {"ids": [7]}, CHANGED, CHANGED | {"temperature": 0, "seed": 11}])
def test_every_tensor_is_numpys(micro_workbook: Path, micro: Checkpoint, settings: Mapping[str, Any]) -> None:
    report = verify(micro_workbook, engine="ironcalc", model=micro.source, **settings)
    assert report.passed, report.frame()[lambda f: ~f.passed]
    names = {t.name for t in report.tensors}
    assert {*open_workbook(micro_workbook).layout.trace, "sample_chosen_id", "token_text", "prompt_text"} <= names


def test_the_tensors_are_those_of_the_changed_prompt(micro_workbook: Path, micro: Checkpoint) -> None:
    """Without `verify` between them: the cells that come back, against the evaluator's trace of other ids."""
    layout, ids = lay_out(micro.config, 6), [60, 2, 2, 17, 63, 0]
    trace = forward({name: as_cells(tensor) for name, tensor in micro.params.items()}, micro.config, ids)
    found = ironcalc.recalculate(micro_workbook, {"prompt_ids": ids}, [defined_name(name) for name in layout.trace])
    for name in ("token_ids", "embed", "h0.attn.z", "h0.mlp.act", "h1.resid_post", "ln_f", "logits"):
        want = trace[name].reshape(layout.trace[name].n_rows, len(ids))
        cells = found[defined_name(name)]
        assert cells
        np.testing.assert_allclose(cells.numbers, want, rtol=TOLERANCE, atol=1e-12, err_msg=name)


def test_text_becomes_ids_and_text_again(reader_workbook: Path, reader: Checkpoint) -> None:
    report = verify(reader_workbook, engine="ironcalc", prompt="the end,↵\tsaid é日👍", model=reader.source)
    assert report.passed, report.frame()[lambda f: ~f.passed]
    assert {"tokenizer_ids", "token_text", "prompt_text"} <= {t.name for t in report.tensors}


@pytest.mark.parametrize("kind", ["text", "chat", "Lab"])
def test_every_formula_cell_is_numpys(
    kind: str, reader: Checkpoint, make_checkpoint: Callable[..., Checkpoint], tmp_path: Path
) -> None:
    """Of a workbook that reads text, with its optional sheets; of one for chat, whose special tokens are several; and
    of one with two lanes."""
    workbook, model = tmp_path / "w.xlsx", reader
    sizes: dict[str, Any] = {"context": 8, "new_tokens": 2, "prompt_bytes": 30, "merge_rounds": 4}
    given: dict[str, Any] = {"prompt": "the end"}
    if kind == "text":
        build(model, workbook, prompt="said the", **sizes)
    elif kind == "chat":
        files = {
            **fairytale_words(508),
            "added_tokens.json": json.dumps(dict(zip(SPECIAL, range(508, 512), strict=True))).encode(),
            "tokenizer_config.json": json.dumps({"chat_template": TEMPLATE}).encode(),
        }
        model = make_checkpoint(reader.config, "talker", seed=5, files=files)
        given = {"chat": "the end<|b|>"}
        build(model, workbook, chat="said", **sizes | {"context": 14}, without="all")
    else:
        build(model, workbook, prompt="said the", **sizes, sheets="none", without="all", lanes=2)
    report = verify(workbook, engine="ironcalc", model=model.source, **given)
    assert report.passed, report.frame()[lambda f: ~f.passed]
    assert report.formula_cells > 1_000


@pytest.mark.parametrize(
    ("tensor", "change"),
    [
        ("h0.ln_1", lambda formula: formula + "+0.001"),
        ("h1.mlp.act", lambda formula: f"({formula})*1.00001"),
        ("logits", lambda formula: "1/0"),
        ("h0.attn.out", lambda formula: f"NOSUCHFUNCTION({formula})"),
        ("h0.mlp.fc", lambda formula: f"{formula}+LET(x,1,x)"),
    ],
)
def test_one_broken_formula_fails_verification(
    micro_workbook: Path, micro: Checkpoint, tmp_path: Path, tensor: str, change: Any
) -> None:
    """Its cached value stays right, so that only a real recalculation can see it."""
    area = lay_out(micro.config, 6)[tensor]
    cell = area.line(1).stripe(2)
    broken = patch(micro_workbook, tmp_path / "broken.xlsx", {area.sheet: set_formula(cell.cells, change)})
    names = [defined_name(tensor)]
    old, new = (cached.recalculate(path, {}, names)[names[0]] for path in (micro_workbook, broken))
    assert old
    assert new
    assert old.numbers[1, 2] == new.numbers[1, 2]
    report = verify(broken, engine="ironcalc", model=micro.source)
    assert tensor in {t.name for t in report.tensors if not t.passed}


def test_a_cycle_is_no_number(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet
    sheet["A1"], sheet["B1"] = "=B1+1", "=A1"
    book.save(tmp_path / "cycle.xlsx")
    found = ironcalc.recalculate(tmp_path / "cycle.xlsx", {}, ["Sheet!A1:B1"])["Sheet!A1:B1"]
    assert found
    assert set(found.texts.values()) == {"#CIRC!"}


def test_a_long_chain_of_formulas_is_no_crash(tmp_path: Path) -> None:
    """30,000 formulas, each asking for the one above it, the last one first."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet
    sheet["A1"], sheet["B1"] = "=C30001", 1
    for n in range(1, 30_001):
        sheet.cell(n + 1, 3, f"={'B1' if n == 1 else f'C{n}'}+1")
    book.save(tmp_path / "chain.xlsx")
    found = ironcalc.recalculate(tmp_path / "chain.xlsx", {}, ["Sheet!A1"])["Sheet!A1"]
    assert found
    assert found.numbers == 30_001


def test_new_tokens_are_written_one_from_the_other(micro: Checkpoint, tmp_path: Path) -> None:
    workbook = build(micro, tmp_path / "w.xlsx", ids=[5, 9, 33], context=8)
    for temperature in (0, 1.3):
        report = verify(
            workbook, engine="ironcalc", ids=[1, 2], new_tokens=6, temperature=temperature, model=micro.source
        )
        assert report.passed, report.frame()[lambda f: ~f.passed]
