"""compat.py: what it says of an engine that computes right, and of one that gives back what the file held."""

from pathlib import Path
from typing import Any

import compat
import pytest

from sheetgpt.engines import cached
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.sheets import lay_out
from sheetgpt.verification.verify import ENGINES


@pytest.fixture
def broken(plain_workbook: Path, micro: Checkpoint, tmp_path: Path) -> Path:
    return compat.broken(plain_workbook, lay_out(micro.config, 6), tmp_path / "broken.xlsx")


def test_an_engine_that_recalculates_passes_and_sees_the_broken_formula(plain_workbook: Path, broken: Path) -> None:
    sound = compat.one("ironcalc", plain_workbook, {"ids": [60, 2, 17], "new_tokens": 2}, 60)
    assert sound["agree"] == sound["tensors"] > 60
    assert "ln_f" in compat.one("ironcalc", broken, {"ids": [60, 2, 17]}, 60)["failed"]


def test_an_engine_that_keeps_cached_values_is_found_out(
    plain_workbook: Path, broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine: Any = lambda path, _inputs, names, _timeout: cached.recalculate(path, {}, names)  # noqa: E731
    monkeypatch.setitem(ENGINES, "lazy", engine)
    assert compat.one("lazy", broken, {}, 60)["failed"] == []
    assert len(compat.one("lazy", plain_workbook, {"ids": [60, 2, 17]}, 60)["failed"]) > 20


def test_an_engine_that_crashes_is_a_line_of_the_table() -> None:
    said = compat.apart("no such engine", Path("nowhere.xlsx"), {}, {}, 60)
    assert said["loads"] is False
    assert "no such engine" in said["failure"]
    assert compat.row("no such engine", "1", "micro", said).startswith("| no such engine | 1 | micro | no |")
