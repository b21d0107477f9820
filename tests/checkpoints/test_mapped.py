"""Pages of a mapped checkpoint are given back, and its numbers stay the same."""

import os
from pathlib import Path

import numpy as np
import pytest

from sheetgpt.gpt2.checkpoints.mapped import OneAtATime, release

N = 8 << 20  # numbers: 32 MB


@pytest.fixture
def mapped(tmp_path: Path) -> np.ndarray:
    np.arange(N, dtype=np.float32).tofile(tmp_path / "numbers")
    whole = np.asarray(np.memmap(tmp_path / "numbers", np.uint8, mode="r"))
    return whole[400:].view(np.float32)


def resident() -> int:
    """Bytes of files and memory that this process holds."""
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells what a process holds")
def test_a_released_tensor_takes_no_memory_and_keeps_its_values(mapped: np.ndarray) -> None:
    total = mapped.sum(dtype=np.float64)
    before = resident()
    release(mapped)
    assert before - resident() > 3 * N
    assert mapped.sum(dtype=np.float64) == total


def test_releasing_leaves_arrays_in_memory_alone() -> None:
    numbers = np.arange(1000.0)
    release(numbers)
    release(numbers[10:])
    assert (numbers == np.arange(1000.0)).all()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells what a process holds")
def test_tensors_are_held_one_at_a_time(mapped: np.ndarray) -> None:
    halves = OneAtATime({"a": mapped[: N // 2], "b": mapped[N // 2 :]})
    halves["a"].sum()
    before = resident()
    halves["b"].sum()
    assert resident() - before < N
    assert list(halves) == ["a", "b"]
    assert len(halves) == 2
