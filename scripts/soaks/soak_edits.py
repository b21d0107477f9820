"""Hundreds of edits in one LibreOffice, as a person makes them, each held against NumPy; and what memory it takes.

    python scripts/soaks/soak_edits.py [--edits 300] [--seed 1] [--reads-only]

One workbook, opened once. Each edit changes the prompt, a setting or a weight, LibreOffice recalculates by itself, and
the text, the ids and every tensor of the trace must be the evaluator's to 1e-9 relative. The resident memory of
soffice.bin after each edit is noted; from the first third of the edits to the last its mean may grow by 5 percent.
Linux only.
"""

import argparse
import os
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from soak_model import MARK, SMALL, make, marked

import sheetgpt
from sheetgpt.engines import Cells, Step, libreoffice
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.gpt2.model import as_cells
from sheetgpt.sheets.inputs import LINE_BREAK, Inputs
from sheetgpt.sheets.layout import Layout, defined_name
from sheetgpt.workbook.checkpoints import built_from
from sheetgpt.workbook.reopen import open_workbook
from sheetgpt.workbook.state import Writing, write
from sheetgpt.workbook.yellow.inputs import token_ids, with_prompt, with_settings

TEXT = "the king said queen · once upon a time, and ↵ “Who” is	it? Ünïcödé 王様 🐉 1984 it's"
WORDS = TEXT.split(" ")
SETTINGS: dict[str, list[Any]] = {
    "new_tokens": [0, 1, 2, 3, 4, 5, 6],
    "temperature": [0, 0.1, 0.7, 1.0, 2.5],
    "top_k": [1, 2, 5, 40, 64],
    "top_p": [0.1, 0.5, 0.9, 1.0],
    "seed": [0, 1, 7, 12345, 2147483645],
}


@dataclass
class Edits:
    """Edit after edit: what goes into which cells, and what the workbook must show then."""

    checkpoint: Checkpoint
    layout: Layout
    inputs: Inputs
    random: np.random.Generator
    kinds: Counter[str] = field(default_factory=Counter)

    def __iter__(self) -> Iterator[tuple[dict[str, Any], Writing]]:
        params = {name: as_cells(tensor).copy() for name, tensor in self.checkpoint.params.items()}
        while True:
            kind = str(self.random.choice(["prompt", "setting", "weight"]))
            put = self._weight(params) if kind == "weight" else self._input(kind)
            self.kinds[kind] += 1
            ids = token_ids(self.inputs, self.checkpoint.tokenizer, self.layout)
            yield put, write(params, params, self.inputs, ids, self.layout)

    def _input(self, kind: str) -> dict[str, Any]:
        """Another prompt or setting, of those that fit."""
        while True:
            if kind == "prompt":
                words = " ".join(map(str, self.random.choice(WORDS, self.random.integers(0, 9))))
                changed = with_prompt(self.inputs, self.layout, words, None)
            else:
                name = str(self.random.choice(list(SETTINGS)))
                changed = with_settings(self.inputs, **{name: self.random.choice(SETTINGS[name]).item()})
            try:
                token_ids(changed, self.checkpoint.tokenizer, self.layout)
            except SheetGPTError:
                continue
            before, after = self.inputs.cells(self.layout), changed.cells(self.layout)
            self.inputs = changed
            if put := {name: value for name, value in after.items() if value != before[name]}:
                return put

    def _weight(self, params: dict[str, Any]) -> dict[str, Any]:
        name = str(self.random.choice(list(self.layout.params)))
        tensor, (area,) = self.layout.tensor(name), self.layout.params[name]
        i, j = int(self.random.integers(area.n_rows)), int(self.random.integers(area.n_columns))
        cell, value = area.line(i).stripe(j), round(float(self.random.normal()), 3)
        own = params[name]
        view = own.T if tensor.turned else own.reshape(area.n_rows, area.n_columns)
        view[i, j] = value
        return {f"{cell.sheet}!{cell.cells}": value}


def differences(found: dict[str, Cells | None], wanted: Writing, text: str, traced: list[str]) -> Iterator[str]:
    """What differs, in words."""
    n = len(wanted.ids)
    ids = found["token_ids"]
    assert ids is not None
    shown = [int(i) for i in ids.numbers.ravel() if i == i]
    if shown != list(wanted.ids):
        yield f"ids {shown}, not {list(wanted.ids)}"
        return
    completion = found["completion"]
    if (said := completion.texts.get((0, 0), "") if completion else None) != text.replace("\n", LINE_BREAK):
        yield f"the text {said!r}, not {text!r}"
    for name in traced:
        cells, want = found[defined_name(name)], np.atleast_2d(wanted.trace[name])
        assert cells is not None
        got = cells.numbers[: want.shape[0], :n]
        seen = ~np.isnan(got)  # keys after their query have no score
        if not seen.any() or not np.allclose(got[seen], want[:, :n][seen], rtol=1e-9, atol=1e-12):
            yield name


def soak(workbook: Path, n_edits: int, seed: int) -> bool:
    mark = secrets.token_hex(8)
    os.environ[MARK] = mark
    book = open_workbook(workbook)
    checkpoint = built_from(book)
    assert checkpoint.tokenizer is not None
    decode = checkpoint.tokenizer.decode
    edits = Edits(checkpoint, book.layout, book.inputs, np.random.default_rng(seed))
    plan = [edit for edit, _ in zip(edits, range(n_edits), strict=False)]
    traced = [name for name in book.layout.trace if name != "token_ids"]
    reads = ["token_ids", "completion", *map(defined_name, traced)]
    wrong, resident = 0, list[float]()

    def after(found: dict[str, Cells | None]) -> None:
        nonlocal wrong
        i = len(resident)
        resident.append(resident_bytes(mark) / 1e6)
        _, wanted = plan[i]
        faults = list(differences(found, wanted, decode(wanted.ids[wanted.n_prompt :]), traced))
        wrong += bool(faults)
        for fault in faults:
            print(f"edit {i}, {plan[i][0]}: {fault}", flush=True)

    began = time.monotonic()
    libreoffice.session(
        workbook, [Step(put, reads, hard=False) for put, _ in plan], after=after, timeout=3600, alone=True
    )
    third = max(n_edits // 3, 1)
    first, last = (float(np.mean(part)) for part in (resident[:third], resident[-third:]))
    print(
        f"{n_edits} edits in {time.monotonic() - began:.0f} s: {', '.join(f'{k} {n}' for k, n in edits.kinds.items())}"
    )
    print(f"{wrong} of them differ from NumPy in one of {len(reads)} ranges")
    print(
        f"resident memory: {resident[0]:.0f} MB after the first edit, {first:.0f} MB on average in the first third,"
        f" {last:.0f} MB in the last, {max(resident):.0f} MB at most"
    )
    return not wrong and last < 1.05 * first


def resident_bytes(mark: str) -> int:
    """What soffice.bin holds."""
    for pid, name in marked(mark).items():
        if name == "soffice.bin":
            return int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGESIZE")
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--edits", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reads-only", action="store_true", help="of a workbook that writes nothing")
    given = parser.parse_args()
    sizes: dict[str, Any] = {**SMALL, "reads_only": given.reads_only}
    sizes |= {"new_tokens": 0} if given.reads_only else {}
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        workbook = sheetgpt.build(make(Path(folder, "model")), Path(folder, "w.xlsx"), **sizes)
        good = soak(workbook, given.edits, given.seed)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
