"""`build --tiny`: a workbook of a model so small that a class can follow it with a pencil."""

from collections.abc import Mapping
from typing import Any

from sheetgpt.errors import SheetGPTError

MODEL = "tiny"
# the whole block stands on one printed page, the sheet On paper
SETTINGS: Mapping[str, Any] = {
    "context": 5,
    "prompt": "mila",
    "new_tokens": 1,
    "seed": 4,  # milan
    "prompt_bytes": 16,
    "merge_rounds": 4,
    "sheets": "all,paper",
}


def tiny_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """What `build` takes for it. `given`: what somebody asked for, which comes first. Refuses another model."""
    if "model" in given:
        raise SheetGPTError(f"--tiny builds a model of its own: leave out {given['model']}.")
    usual = dict(SETTINGS)
    if "ids" in given or "chat" in given:
        del usual["prompt"]
    return {**usual, **given, "model": MODEL}
