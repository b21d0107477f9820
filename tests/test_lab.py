"""Two lanes and the sheet Lab: whatever is switched, steered or patched, LibreOffice computes what NumPy computes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sheetgpt.engines import Step, libreoffice
from sheetgpt.gpt2.checkpoint import Checkpoint
from sheetgpt.sheets.lab_layout import Lab, untouched
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.tensor import Value
from sheetgpt.verification.verify import Case, judge, prepare
from sheetgpt.workbook.build import build
from sheetgpt.workbook.reopen import open_workbook

N_COMBINATIONS = 60


@pytest.fixture(scope="module")
def lab_workbook(reader: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lab") / "lab.xlsx"
    return build(
        reader, path, prompt="the cat", context=8, new_tokens=2, sheets="none", without="all", lanes=2, prompt_bytes=24,
        merge_rounds=8,
    )  # fmt: skip


def random_lab(rng: np.random.Generator, layout: Layout) -> Lab:
    """A few screws turned, mostly such as the model has, now and then one that it doesn't have."""
    config = layout.config

    def some(values: list[Value], odd: list[Value]) -> Value:
        return odd[rng.integers(len(odd))] if rng.random() < 0.1 else values[rng.integers(len(values))]

    whole = [[*range(n)] for n in (config.n_layer, config.n_vocab, layout.context)]
    lab = Lab(switches=untouched(layout), mode=("zero", "mean", "Mean", "")[rng.integers(4)])
    if rng.random() < 0.7:
        factors: list[Value] = [0, 0, 1, 0.5, -1, 2.25]
        lab = replace(
            lab,
            switches=tuple(
                tuple(some(factors, ["", "off"]) if rng.random() < 0.4 else 1 for _ in line) for line in lab.switches
            ),
        )
    if rng.random() < 0.6:
        line = (
            some(whole[0], [99, "x", 0.5, -1]),
            some(whole[1], [10**6, ""]),
            some([*whole[1], ""], ["?"]),
            float(rng.normal() * 3),
            some(["", *whole[2]], [-1]),
        )
        lab = replace(lab, steering=(line, *lab.steering[1:]) if rng.random() < 0.5 else (*lab.steering[:-1], line))
    if rng.random() < 0.6:
        parts: list[Value] = [*range(config.n_head), "mlp", "resid", "MLP"]
        lines = [
            (some(whole[0], [-1, ""]), some(parts, [config.n_head, "head"]), some(whole[2], [1000, 0.5]))
            for _ in range(rng.integers(1, 5))
        ]
        lab = replace(lab, patches=(*lines, *lab.patches[len(lines) :]))
    texts = ["", "", "the hat", "a cat sat on", "é👍"]
    settings: dict[str, Value] = {"temperature": 0, "seed": 3, "new_tokens": 1, "top_k": 2}
    own = {name: value for name, value in settings.items() if rng.random() < 0.3}
    return replace(
        lab, prompt=texts[rng.integers(len(texts))], settings=own, restore=int(rng.random() < 0.1),
        tokens=(some([*whole[1], ""], [-5]), ""),
    )  # fmt: skip


def case_of(path: Path, lab: Lab, **given: Any) -> Case:
    case = prepare(path, given, lab=lab)
    assert isinstance(case, Case), case
    return case


def test_random_screws(lab_workbook: Path) -> None:
    """After edits and from scratch, every cell of both lanes."""
    rng, layout = np.random.default_rng(15), open_workbook(lab_workbook).layout
    prompts = ["the cat", "a hat and", "the the the"]
    cases = [
        case_of(lab_workbook, random_lab(rng, layout), prompt=prompts[n % 3], seed=n) for n in range(N_COMBINATIONS)
    ]
    steps = [Step(case.puts, list(case.areas.values()), hard=n % 3 == 0) for n, case in enumerate(cases)]
    for n, (case, answer) in enumerate(zip(cases, libreoffice.run(lab_workbook, steps), strict=True)):
        report = judge(case, "libreoffice", answer)
        wrong = [(t.name, t.problem, t.max_rel, [c.where for c in t.cells][:3]) for t in report.tensors if not t.passed]
        assert report.passed, (n, case.state.lab and case.state.lab.lab, wrong[:5], report.problems)
        assert report.compared_cells == report.formula_cells
