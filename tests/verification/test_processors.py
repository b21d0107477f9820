"""A workbook that was built on one processor verifies on every other.

NumPy's OpenBLAS has a kernel for each kind of processor, and they differ in a product's last bits. OPENBLAS_CORETYPE
chooses one, when a process starts: so each kernel has a process of its own. On the older processors NumPy's own loops
(exp, tanh, sums) go without the newer instructions, too. The committed workbooks were built once, by
scripts/golden/make_golden_workbook.py.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from patching import patch, set_number
from places import GOLDEN, ROOT
from ready import hugging_face_tensors
from safetensors.numpy import save_file

import sheetgpt
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.inspection.embedding import Map, map_of, map_problems
from sheetgpt.inspection.rounded import rounding_doubt
from sheetgpt.sheets.inside.embedding.page import alike
from sheetgpt.sheets.inside.embedding.words import EMBEDDING
from sheetgpt.sheets.layout import Layout
from sheetgpt.verification.compare import SAVED
from sheetgpt.workbook.reopen import open_workbook

BUILT = GOLDEN / "processors"
SMALL = tuple(sorted(BUILT.glob("*.xlsx")))
STORIES = ROOT / "workbooks" / "stories.xlsx"
KERNELS = ("Haswell", "Zen", "Nehalem", "Prescott", "SkylakeX")
OLD = ("Nehalem", "Prescott")  # without AVX

VERIFY = """
import json, sys, sheetgpt
for path in sys.argv[1:]:
    report = sheetgpt.verify(path, engine="cached")
    print(json.dumps([report.passed, *report.problems, *report.wrong_cells, report.max_rel]))
"""
BUILD = """
import sys, sheetgpt
sheetgpt.build(sys.argv[1], sys.argv[2], prompt="the", context=5, prompt_bytes=8, merge_rounds=3, temperature=0.8)
"""
PRODUCT = """
import numpy as np
a = np.random.default_rng(0).normal(size=(40, 40))
print((a @ a).tobytes().hex(), np.exp(a).tobytes().hex())
"""


@cache
def other_kernels() -> str:
    """Why there are none, or "" where there are."""
    config: Any = np.show_config(mode="dicts")
    blas = config["Build Dependencies"]["blas"]
    return "" if "openblas" in blas["name"] else f"NumPy computes with {blas['name']} here: no kernels to choose from"


def under(kernel: str, script: str, *words: object) -> list[str]:
    """What a script prints, line by line, where NumPy computes as on that processor."""
    if other_kernels():
        pytest.skip(f"other processors were NOT tested: {other_kernels()}")
    environment = {**os.environ, "OPENBLAS_CORETYPE": kernel}
    if kernel in OLD:
        config: Any = np.show_config(mode="dicts")
        environment["NPY_DISABLE_CPU_FEATURES"] = " ".join(config["SIMD Extensions"].get("found", []))
    command = [sys.executable, "-c", script, *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    if done.returncode == -signal.SIGILL:
        pytest.skip(f"{kernel} was NOT tested: this processor lacks its instructions")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_kernels_do_differ() -> None:
    """Else the tests below would show nothing."""
    new, old = (under(kernel, PRODUCT)[0].split() for kernel in ("Haswell", "Prescott"))
    assert new[0] != old[0]


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_committed_workbooks_verify_on_every_processor(kernel: str) -> None:
    assert len(SMALL) >= 2
    reports = [json.loads(line) for line in under(kernel, VERIFY, *SMALL)]
    for path, (passed, *wrong, max_rel) in zip(SMALL, reports, strict=True):
        assert passed, (path.name, wrong)
        assert max_rel < 1e-10


@pytest.mark.parametrize("kernel", ["Zen", "Prescott"])
def test_the_shipped_workbook_verifies_on_other_processors(kernel: str) -> None:
    ((passed, *wrong, _),) = [json.loads(line) for line in under(kernel, VERIFY, STORIES)]
    assert passed, wrong


def test_a_workbook_that_was_built_on_another_processor_verifies_here(tmp_path: Path) -> None:
    under("Prescott", BUILD, BUILT / "model", tmp_path / "old.xlsx")
    report = sheetgpt.verify(tmp_path / "old.xlsx", engine="cached", model=BUILT / "model")
    assert report.passed, (report.problems, report.wrong_cells)


# The map's axes are checked by what they are


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_axis_that_is_a_millionth_off_is_named(axis: int, tmp_path: Path) -> None:
    book = open_workbook(SMALL[0])
    assert book.axes is not None
    area = alike(book.layout, [0]).page["axes"].stripe(axis).line(3)
    changed = patch(
        SMALL[0], tmp_path / "w.xlsx", {EMBEDDING: set_number(area.cells, float(book.axes[3, axis]) * (1 + 1e-6))}
    )
    report = sheetgpt.verify(changed, engine="cached", model=BUILT / "model", wrong_cells=None)
    assert {*report.wrong_cells} & axes_cells(book.layout) == {f"{EMBEDDING}!{area.cells}"}
    (problem,) = report.problems
    assert ("centre", "first direction", "second direction")[axis] in problem
    assert not report.passed


def axes_cells(layout: Layout) -> set[str]:
    """Embedding!H50 and all others that hold the centre and the directions."""
    axes = alike(layout, [0]).page["axes"]
    return {f"{EMBEDDING}!{axes.line(f).stripe(i).cells}" for f in range(axes.n_rows) for i in range(3)}


def outer(rng: np.random.Generator, direction: list[int]) -> Any:
    return np.outer(rng.normal(size=9), direction)


BOTH_WAYS = np.concatenate([np.eye(12), -np.eye(12)])
ROWS: dict[str, Callable[[np.random.Generator], Any]] = {
    "any": lambda rng: rng.normal(size=(300, 40)),
    "fewer tokens than features": lambda rng: rng.normal(size=(5, 30)),
    "far from zero": lambda rng: rng.normal(size=(60, 8)) + 1e6,
    "one feature": lambda rng: rng.normal(size=(20, 1)),
    "one token": lambda rng: rng.normal(size=(1, 6)),
    "all tokens alike": lambda rng: np.full((9, 5), 0.1),
    "all zeros": lambda rng: np.zeros((9, 5)),
    "a line": lambda rng: np.outer(rng.normal(size=30), rng.normal(size=7)),
    "equal eigenvalues": lambda rng: BOTH_WAYS,
    "nearly equal eigenvalues": lambda rng: (
        np.concatenate([np.eye(12), -np.eye(12)]) + 1e-14 * rng.normal(size=(24, 12))
    ),
    "one feature much larger": lambda rng: rng.normal(size=(50, 6)) * [1e4, 1, 1, 1, 1, 1e-4],
    "largest entries tied": lambda rng: (
        np.outer(rng.normal(size=9), [1, -1, 1, -1]) + np.outer(rng.normal(size=9), [1, 1, -1, -1])
    ),
}


@pytest.mark.parametrize("kind", ROWS)
def test_every_right_map_is_taken_for_right(kind: str) -> None:
    """As it is found, as Excel saves it (15 digits), and with the directions of equal length in another order."""
    rows = np.asarray(ROWS[kind](np.random.default_rng(1)), np.float64)
    found = map_of(rows, np.arange(len(rows)))
    saved = replace(found, centre=digits15(found.centre), axes=digits15(found.axes))
    for one in (found, saved):
        assert list(map_problems(one, rows, SAVED)) == []
    if "equal eigenvalues" in kind:
        turned = replace(found, axes=np.abs(np.eye(12)[[7, 2]]))
        assert list(map_problems(turned, rows, SAVED)) == []


def digits15(numbers: Any) -> Any:
    return np.array([float(f"{number:.15g}") for number in numbers.ravel()]).reshape(numbers.shape)


WRONG: dict[str, tuple[int, str, Callable[[Map], Map]]] = {
    "the next eigenvector": (1, "in which they differ most", lambda m: replace(m, axes=m.axes[[1, 1]])),
    "the wrong order": (1, "in which they differ most", lambda m: replace(m, axes=m.axes[::-1])),
    "twice the same": (2, "right angle", lambda m: replace(m, axes=m.axes[[0, 0]])),
    "turned round": (2, "negative", lambda m: replace(m, axes=m.axes * [[1], [-1]])),
    "too long": (1, "length", lambda m: replace(m, axes=m.axes * [[1.000001], [1]])),
    "turned a little": (1, "no eigenvector", lambda m: replace(m, axes=rotated(m.axes, 1e-7))),
    "another centre": (0, "mean", lambda m: replace(m, centre=m.centre * (1 + 1e-12))),
    "beyond all numbers": (1, "length", lambda m: replace(m, axes=m.axes * [[1e200], [1]])),
}


def rotated(axes: Any, by: float) -> Any:
    return np.array([[np.cos(by), np.sin(by)], [-np.sin(by), np.cos(by)]]) @ axes


@pytest.mark.parametrize("kind", WRONG)
def test_every_wrong_map_is_found_wrong(kind: str) -> None:
    rows = np.random.default_rng(3).normal(size=(80, 10)) + 2
    which, words, change = WRONG[kind]
    problems = dict(map_problems(change(map_of(rows, np.arange(80))), rows, SAVED))
    assert words in problems[which]


def test_edited_weights_leave_the_axes_alone(tmp_path: Path) -> None:
    """Where the weights come from the workbook, so do the axes; a map that was edited with them is drawn as it is."""
    book = open_workbook(SMALL[0])
    area = alike(book.layout, [0]).page["axes"].line(0).stripe(0)
    changed = patch(SMALL[0], tmp_path / "w.xlsx", {EMBEDDING: set_number(area.cells, 0.5)})
    report = sheetgpt.verify(changed, engine="cached", model=BUILT / "model", weights_from_workbook=True)
    assert report.wrong_cells  # what was computed from the axes before
    assert not {*report.wrong_cells} & axes_cells(book.layout)
    assert report.problems == ()


# Numbers that are ranked by nine decimals


def test_a_number_at_a_half_of_the_last_digit_may_be_rounded_either_way() -> None:
    rng = np.random.default_rng(0)
    halves = (rng.integers(0, 10**8, 400) + 0.5) * 1e-9 * rng.choice([-1, 1], 400)
    off = np.full(400, 1e-13)
    for values in (halves, halves + rng.uniform(-1, 1, 400) * 1e-13):
        apart = np.abs(np.round(np.abs(values) + off, 9) - np.round(np.abs(values) - off, 9))
        assert (apart > 0).sum() > 300
        assert (apart <= rounding_doubt(values, 9, off)).all()
    assert not rounding_doubt(halves + 1e-11, 9, off).any()
    assert rounding_doubt(halves + 1e-11, 9, 1e-10).all()


def test_a_contribution_at_a_half_of_the_last_digit_verifies(micro: Checkpoint, tmp_path: Path) -> None:
    """1/1024 to nine decimals is 0.000976562 by the rule of the even digit, and 0.000976563 in a spreadsheet."""
    params = {name: tensor.copy() for name, tensor in micro.params.items()}
    params["wte"][:, 0], params["ln_f.b"][:] = 1 / 1024, 0
    params["ln_f.b"][0] = 1
    save_file(hugging_face_tensors(params), tmp_path / "model.safetensors", {"format": "pt"})
    shutil.copy(Path(micro.source) / "config.json", tmp_path)
    few: dict[str, Any] = {"ids": [1, 2], "context": 3, "without": "attention,lens,neuron,embedding"}
    path = sheetgpt.build(tmp_path, tmp_path / "w.xlsx", **few)
    with ZipFile(path) as book:
        assert any(b"<v>0.000976562</v>" in book.read(part) for part in book.namelist())
    report = sheetgpt.verify(path)
    assert report.passed, (report.problems, report.wrong_cells)
