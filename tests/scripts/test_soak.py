"""The soak's own eyes: what it plans, what it would see."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from soak_edits import Edits, differences
from soak_model import MARK, SMALL, make, marked

import sheetgpt
from sheetgpt.engines import Cells
from sheetgpt.sheets.inputs import Inputs
from sheetgpt.sheets.layout import defined_name
from sheetgpt.workbook.build import planned
from sheetgpt.workbook.yellow.inputs import with_prompt


def numbers(values: np.ndarray) -> Cells:
    return Cells(np.atleast_2d(np.asarray(values, np.float64)).copy(), {})


def test_an_edit_that_differs_from_numpy_is_seen(tmp_path: Path) -> None:
    checkpoint = sheetgpt.load(make(tmp_path / "model"))
    layout = planned(checkpoint, SMALL["context"], SMALL["prompt_bytes"], SMALL["merge_rounds"])  # type: ignore[arg-type]
    edits = Edits(checkpoint, layout, with_prompt(Inputs(), layout, "the king", None), np.random.default_rng(1))
    plan = [edit for edit, _ in zip(edits, range(30), strict=False)]
    assert set(edits.kinds) == {"prompt", "setting", "weight"}
    assert len({str(put) for put, _ in plan}) > 25
    _, wanted = plan[-1]
    traced = ["h0.attn.z", "logits"]
    good = {defined_name(name): numbers(wanted.trace[name]) for name in traced}
    good |= {"token_ids": numbers(np.asarray(wanted.ids)), "completion": Cells(np.full((1, 1), np.nan), {(0, 0): "so"})}
    assert list(differences(dict(good), wanted, "so", traced)) == []
    assert list(differences(dict(good), wanted, "no", traced)) == ["the text 'so', not 'no'"]
    good["logits"].numbers[5, 0] *= 1 + 1e-7
    assert list(differences(dict(good), wanted, "so", traced)) == ["logits"]
    good["token_ids"].numbers[0, 0] += 1
    assert "ids [" in next(differences(dict(good), wanted, "so", traced))


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only Linux tells")
def test_a_process_that_stays_is_seen() -> None:
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, env={**os.environ, MARK: "test"}, stdin=subprocess.PIPE) as process:
        assert process.pid in marked("test")
        assert not marked("another")
        process.kill()
    assert not marked("test")
