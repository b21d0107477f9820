"""After every edit, what LibreOffice recalculated by itself equals a recalculation of everything from scratch."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from ready import MICRO_IDS

from sheetgpt.engines import Cells, Step, Value, libreoffice
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.gpt2.model import as_cells, forward
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets import lay_out
from sheetgpt.sheets.layout import Layout, defined_name

N_EDITS = 40
Edit = dict[str, Value | Sequence[Value]]
State = dict[str, Cells | None]


@pytest.fixture(scope="module")
def layout(micro: Checkpoint) -> Layout:
    return lay_out(micro.config, 6)


@pytest.fixture(scope="module")
def reads(layout: Layout) -> list[str]:
    """Every tensor of the trace, and the outputs."""
    return [*(defined_name(name) for name, record in layout.records.items() if record.computed)]


def one_cell(area: Area) -> str:
    return f"{area.sheet}!{area.cells}"


@pytest.fixture(scope="module")
def edits(micro: Checkpoint, layout: Layout) -> list[Edit]:
    """One change each: an id, the prompt's length, the temperature, a weight, a bias."""
    rng = np.random.default_rng(40)
    ids, heat = [*MICRO_IDS], 1.0
    done: list[Edit] = []
    kinds = ["id", "length", "temperature", "weight", "bias"] * (N_EDITS // 5)
    rng.shuffle(kinds)
    for kind in kinds:
        if kind == "id":
            t = int(rng.integers(len(ids)))
            ids[t] = int((ids[t] + rng.integers(1, 64)) % 64)
            done.append({one_cell(layout["prompt_ids"].stripe(t)): ids[t]})
        elif kind == "length":
            n = int(rng.choice([n for n in range(1, 7) if n != len(ids)]))
            ids = [*ids[:n], *(int(i) for i in rng.integers(64, size=max(n - len(ids), 0)))]
            done.append({"prompt_ids": [*ids]})
        elif kind == "temperature":
            heat = float(rng.choice([h for h in (0.0, 0.0, 0.3, 1.0, 2.5) if h != heat]))
            done.append({"temperature": heat})
        else:
            n_axes = 2 if kind == "weight" else 1
            param = str(rng.choice([name for name in layout.params if len(layout.tensor(name).axes) == n_axes]))
            (area,) = layout.params[param]
            used = min(area.n_columns, len(ids)) if param == "wpe" else area.n_columns
            cell = area.line(int(rng.integers(area.n_rows))).stripe(
                int(rng.choice(ids)) if param == "wte" else int(rng.integers(used))
            )
            done.append({one_cell(cell): round(float(rng.normal()), 3)})
    return done


@pytest.fixture(scope="module")
def incremental(plain_workbook: Path, edits: list[Edit], reads: list[str]) -> list[State]:
    """As a person at the keyboard sees it: the file is opened on its cached values, and each edit recalculates."""
    return libreoffice.run(plain_workbook, [Step(edit, reads, hard=False) for edit in edits])


def assert_same(found: State, expected: State, what: str) -> None:
    """To 1e-12, and every text to the letter."""
    for name, want in expected.items():
        got = found[name]
        assert got is not None, name
        assert want is not None, name
        assert got.texts == want.texts, f"{what}: {name}"
        np.testing.assert_allclose(got.numbers, want.numbers, rtol=1e-12, atol=1e-12, err_msg=f"{what}: {name}")


def test_every_edit_changes_something(incremental: list[State], edits: list[Edit]) -> None:
    for n, (before, after) in enumerate(pairwise(incremental), 1):
        changed = [
            name
            for name, cells in after.items()
            if cells is not None
            and (was := before[name]) is not None
            and (cells.texts != was.texts or not np.array_equal(cells.numbers, was.numbers, equal_nan=True))
        ]
        assert changed, f"edit {n}, {edits[n]}"
    kinds = {next(iter(edit)).split("!")[0] for edit in edits}
    assert {"prompt_ids", "temperature", "Home"} < kinds
    assert {"temperature": 0.0} in edits


def test_after_40_edits_nothing_is_stale(
    plain_workbook: Path, edits: list[Edit], reads: list[str], incremental: list[State]
) -> None:
    scratch = libreoffice.run(plain_workbook, [Step(edit, reads, hard=True) for edit in edits])
    assert len(incremental) == len(scratch) == N_EDITS
    for n, (found, expected) in enumerate(zip(incremental, scratch, strict=True)):
        assert_same(found, expected, f"after edit {n}, {edits[n]}")


def in_one_step(edits: list[Edit], layout: Layout) -> Edit:
    """What the workbook holds after all of them: later ones win."""
    ids = [*MICRO_IDS]
    strip = [one_cell(layout["prompt_ids"].stripe(t)) for t in range(layout.context)]
    whole: Edit = {}
    for edit in edits:
        ((key, value),) = edit.items()
        if key == "prompt_ids":
            assert isinstance(value, list)
            ids = [*value]
        elif key in strip:
            assert isinstance(value, int)
            ids[strip.index(key)] = value
        else:
            whole[key] = value
    return whole | {"prompt_ids": ids}


@pytest.mark.own_libreoffice
@pytest.mark.parametrize("n", [7, 19, 28, N_EDITS - 1])
def test_a_fresh_process_agrees(
    plain_workbook: Path, layout: Layout, edits: list[Edit], reads: list[str], incremental: list[State], n: int
) -> None:
    fresh = libreoffice.recalculate(plain_workbook, in_one_step(edits[: n + 1], layout), reads)
    assert_same(incremental[n], fresh, f"after edit {n}, {edits[n]}")


def test_the_last_state_is_the_evaluators(
    plain_workbook: Path, micro: Checkpoint, layout: Layout, edits: list[Edit], incremental: list[State]
) -> None:
    """The edits' own weights in NumPy: an edit that reached no cell would be seen."""
    params = {name: as_cells(tensor).copy() for name, tensor in micro.params.items()}
    cells = {}
    for name, (area,) in layout.params.items():
        view = params[name].T if name in ("wte", "wpe") else params[name].reshape(area.n_rows, area.n_columns)
        for i, j in np.ndindex(area.n_rows, area.n_columns):
            cells[one_cell(area.line(i).stripe(j))] = view, i, j
    inputs = in_one_step(edits, layout)
    ids = inputs.pop("prompt_ids")
    assert isinstance(ids, list)
    for key, value in inputs.items():
        if key != "temperature":
            view, i, j = cells[key]
            view[i, j] = value
    trace = forward(params, micro.config, ids)
    for name in ("h0.mlp.act", "h1.resid_post", "logits"):
        found = incremental[-1][defined_name(name)]
        assert found is not None
        np.testing.assert_allclose(found.numbers[:, : len(ids)], trace[name], rtol=1e-9, atol=1e-12, err_msg=name)
