"""Recalculates a workbook in LibreOffice for a prompt and reads its ten most likely next tokens."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sheetgpt.build import check_prompt, check_temperature, fingerprint, prompt_ids
from sheetgpt.engines import libreoffice
from sheetgpt.errors import SheetGPTError
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
    model: str | os.PathLike[str] | None = None,
    timeout: float = 600,
) -> Prediction:
    """Puts the prompt in, recalculates in LibreOffice, reads the table of the Home sheet.

    Without a prompt, the workbook's own stays. Raises SheetGPTError for bad input or when LibreOffice is missing.
    """
    book = open_workbook(workbook)
    tokens: Sequence[int] = book.ids
    if prompt is not None:
        checkpoint = book.checkpoint(model)
        if fingerprint(checkpoint) != book.fingerprint:
            raise SheetGPTError(f"{checkpoint.name} is not the checkpoint that {book.path.name} was made from.")
        tokens = prompt_ids(checkpoint, prompt, ids)
    elif ids is not None:
        tokens = ids
    check_prompt(tokens, book.layout)
    heat = book.temperature if temperature is None else temperature
    check_temperature(heat)
    names = ["message", "prompt_text", "top_ids", "top_tokens", "top_logits", "top_probs"]
    found = libreoffice.recalculate(
        Path(workbook), {"token_ids": list(tokens), "temperature": heat}, names, timeout=timeout
    )
    cells = {name: c for name, c in found.items() if c is not None}
    missing = next((name for name in names if name not in cells), None)
    if missing is not None:
        raise SheetGPTError(f"{workbook} has no range {missing!r}: build it again.")
    lines = []
    for k in range(cells["top_ids"].numbers.shape[0]):
        token, logit, probability = (float(cells[n].numbers[k, 0]) for n in ("top_ids", "top_logits", "top_probs"))
        if token == token:
            lines.append(NextToken(int(token), cells["top_tokens"].texts.get((k, 0), ""), logit, probability))
    if not lines:
        raise SheetGPTError(f"{workbook} gives no next token; `sheetgpt verify` tells what is wrong.")
    return Prediction(tuple(tokens), cells["prompt_text"].texts.get((0, 0), ""), heat, tuple(lines))
