"""Recalculates a workbook in LibreOffice for a prompt and reads its ten most likely next tokens."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from sheetgpt.engines import libreoffice
from sheetgpt.errors import SheetGPTError
from sheetgpt.inputs import check_temperature, with_prompt
from sheetgpt.workbook import open_workbook


@dataclass(frozen=True)
class NextToken:
    """One line of the table: `shown` writes a space as ·."""

    id: int
    shown: str
    logit: float
    probability: float


@dataclass(frozen=True)
class Prediction:
    """What the workbook makes of a prompt."""

    ids: tuple[int, ...]
    text: str
    temperature: float
    next_tokens: tuple[NextToken, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def run(
    workbook: str | os.PathLike[str],
    *,
    prompt: str | None = None,
    ids: Sequence[int] | None = None,
    temperature: float | None = None,
    timeout: float = 600,
) -> Prediction:
    """Puts the prompt in, recalculates in LibreOffice, reads the table of the Home sheet.

    The workbook's own formulas turn the text into ids. Without a prompt, the one it holds stays. Raises SheetGPTError
    for bad input, in the workbook's own words where it has them, or when LibreOffice is missing.
    """
    book = open_workbook(workbook)
    inputs = with_prompt(book.inputs, book.layout, prompt, ids)
    if temperature is not None:
        inputs = replace(inputs, temperature=temperature)
    check_temperature(inputs.temperature)
    names = ["message", "token_ids", "prompt_text", "top_ids", "top_tokens", "top_logits", "top_probs"]
    found = libreoffice.recalculate(Path(workbook), inputs.cells(book.layout), names, timeout=timeout)
    cells = {name: c for name, c in found.items() if c is not None}
    missing = next((name for name in names if name not in cells), None)
    if missing is not None:
        raise SheetGPTError(f"{workbook} has no range {missing!r}: build it again.")
    tokens = [int(i) for i in cells["token_ids"].numbers.ravel() if i == i]
    if not tokens:
        raise SheetGPTError(cells["message"].texts.get((0, 0), f"{workbook} shows no token ids."))
    lines = []
    for k in range(cells["top_ids"].numbers.shape[0]):
        token, logit, probability = (float(cells[n].numbers[k, 0]) for n in ("top_ids", "top_logits", "top_probs"))
        if token == token:
            lines.append(NextToken(int(token), cells["top_tokens"].texts.get((k, 0), ""), logit, probability))
    if not lines:
        raise SheetGPTError(f"{workbook} gives no next token; `sheetgpt verify` tells what is wrong.")
    return Prediction(tuple(tokens), cells["prompt_text"].texts.get((0, 0), ""), inputs.temperature, tuple(lines))
