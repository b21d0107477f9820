"""Are these GPT-2's trained weights, and does the workbook made from them compute what GPT-2 computes?

    python scripts/checks/verify_real_gpt2.py [gpt2 | FOLDER] [-o WORKBOOK]

Downloads the model (HF_ENDPOINT names another hub), builds the workbook, verifies every tensor of it in LibreOffice,
and holds token ids and logits of five prompts against published ones (tests/golden/gpt2-known-logits.json, from
Transformer Explainer, float32): by the evaluator, and by LibreOffice from the workbook, which reads the text itself.
Exit status: 0 when all agree, 1 when anything differs, 2 for bad input.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import sheetgpt
from sheetgpt.engines import Step, libreoffice
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.model import forward
from sheetgpt.workbook.reopen import open_workbook
from sheetgpt.workbook.yellow.inputs import with_prompt

FIGURES = Path(__file__).parents[2] / "tests" / "golden" / "gpt2-known-logits.json"
TOLERANCE = 1e-2  # absolute, on logits of about -100 that were computed in float32
COLUMNS = 16


@dataclass(frozen=True)
class Known:
    """A prompt, its token ids, and some of the logits after its last token, by id."""

    prompt: str
    ids: tuple[int, ...]
    n_logits: int
    logits: dict[int, float]


@dataclass(frozen=True)
class Answer:
    """What a program made of a prompt: its token ids, and all logits after the last."""

    ids: tuple[int, ...]
    logits: NDArray[Any]

    def largest_difference(self, known: Known) -> float:
        """Among the known logits; infinite where the model has other tokens."""
        if len(self.logits) != known.n_logits:
            return float("inf")
        differences = [abs(float(self.logits[i]) - logit) for i, logit in known.logits.items()]
        return float("inf") if np.isnan(differences).any() else max(differences)

    def agrees(self, known: Known) -> bool:
        return self.ids == known.ids and self.largest_difference(known) <= TOLERANCE


def figures() -> list[Known]:
    """The published ones: the ten largest logits of each prompt and those of ids 0 to 4."""
    found = []
    for entry in json.loads(FIGURES.read_text()):
        logits = {int(i): logit for i, logit in entry["top"]} | dict(enumerate(entry["first"]))
        found.append(Known(entry["prompt"], tuple(entry["ids"]), entry["n_logits"], logits))
    return found


def by_evaluator(checkpoint: sheetgpt.Checkpoint, known: Sequence[Known]) -> list[Answer]:
    if checkpoint.tokenizer is None:
        raise SheetGPTError(f"{checkpoint.name} has no tokenizer files, so its token ids can't be compared.")
    answers = []
    for k in known:
        ids = tuple(checkpoint.tokenizer.encode(k.prompt))
        trace = forward(checkpoint.params, checkpoint.config, ids[-checkpoint.config.n_positions :])
        answers.append(Answer(ids, trace["logits"][:, -1]))
    return answers


def by_workbook(path: Path, known: Sequence[Known], timeout: float) -> list[Answer]:
    """One LibreOffice; each prompt is typed in as text, and everything recalculated."""
    book = open_workbook(path)
    names = ["token_ids", "next_logits"]
    steps = []
    for k in known:
        inputs = replace(with_prompt(book.inputs, book.layout, k.prompt, None), new_tokens=0, score_prompt=False)
        steps.append(Step(inputs.cells(book.layout), names))
    answers = []
    for found in libreoffice.run(path, steps, timeout=timeout):
        ids, logits = found["token_ids"], found["next_logits"]
        if ids is None or logits is None:
            raise SheetGPTError(f"{path} has no range {names[ids is not None]!r}: build it again.")
        numbers = ids.numbers[0]
        answers.append(Answer(tuple(int(i) for i in numbers[~np.isnan(numbers)]), logits.numbers[:, 0]))
    return answers


def table(known: Sequence[Known], evaluator: Sequence[Answer], workbook: Sequence[Answer]) -> Table:
    heads = (
        "prompt",
        "ids",
        "evaluator, largest |Δ logit|",
        "ids in LibreOffice",
        "LibreOffice, largest |Δ logit|",
        "",
    )
    grid = Table(*heads, box=None, pad_edge=False)
    for k, a, b in zip(known, evaluator, workbook, strict=True):
        good = a.agrees(k) and b.agrees(k)
        cells = [cell for answer in (a, b) for cell in (_same(answer.ids == k.ids), _number(answer, k))]
        grid.add_row(k.prompt, *cells, "agrees" if good else "DIFFERS", style=None if good else "red")
    return grid


def _same(same: bool) -> str:
    return "same" if same else "other"


def _number(answer: Answer, known: Known) -> str:
    difference = answer.largest_difference(known)
    return f"{difference:.1e}" if np.isfinite(difference) else f"{len(answer.logits):,} logits, not {known.n_logits:,}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="gpt2", help="a folder or a name on the hub [gpt2]")
    parser.add_argument("-o", "--output", type=Path, help="the workbook [workbooks/MODEL.xlsx]")
    parser.add_argument("--engine-timeout", type=float, default=3600, help="seconds for each LibreOffice [3600]")
    args = parser.parse_args(arguments)
    out = Console(width=None if sys.stdout.isatty() else 160)
    try:
        return 0 if _passes(args.model, args.output, args.engine_timeout, out) else 1
    except SheetGPTError as error:
        print(f"verify_real_gpt2: {error}", file=sys.stderr)
        return 2


def _passes(model: str, output: Path | None, timeout: float, out: Console) -> bool:
    known = figures()
    checkpoint = sheetgpt.load(model)
    config = checkpoint.config
    out.print(f"{model}: {config.n_params:,} parameters", highlight=False, markup=False)
    evaluator = by_evaluator(checkpoint, known)
    path = sheetgpt.build(checkpoint, output, context=min(COLUMNS, config.n_positions))
    out.print(f"{path}: {path.stat().st_size / 1e6:,.1f} MB", highlight=False, markup=False)
    report = sheetgpt.verify(path, model=checkpoint.source, timeout=timeout)
    verdict = "equals the evaluator's" if report.passed else "DIFFERS from the evaluator's"
    words = f"LibreOffice's arithmetic {verdict}: {len(report.tensors)} tensors, largest relative {report.max_rel:.1e}"
    out.print(words, style=None if report.passed else "red", highlight=False)
    workbook = by_workbook(path, known, timeout)
    out.print(table(known, evaluator, workbook))
    agree = sum(a.agrees(k) and b.agrees(k) for k, a, b in zip(known, evaluator, workbook, strict=True))
    if report.passed and agree == len(known):
        out.print("passed: these are GPT-2 small's trained weights, and the workbook computes what they compute")
        return True
    out.print(f"FAILED: {agree} of {len(known)} prompts agree with the published figures", style="red", highlight=False)
    if agree < len(known):
        out.print("These are not GPT-2 small's trained weights, or they are not computed rightly.", style="red")
    return False


if __name__ == "__main__":
    sys.exit(main())
