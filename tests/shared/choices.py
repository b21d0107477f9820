"""The choices that a workbook should make."""

import random
from typing import Any

from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.gpt2.model import as_cells
from sheetgpt.sheets.inputs import Inputs
from sheetgpt.sheets.layout import Layout
from sheetgpt.workbook.state import all_ids
from sheetgpt.workbook.yellow.inputs import token_ids

Settings = dict[str, Any]


def numbers(checkpoint: Checkpoint) -> dict[str, Any]:
    return {name: as_cells(tensor) for name, tensor in checkpoint.params.items()}


def settings(n: int, seed: int, most_new: int) -> list[Settings]:
    """`n` combinations, the ends of every range among them."""
    rng = random.Random(seed)
    return [
        {
            "new_tokens": rng.randrange(most_new + 1),
            "temperature": rng.choice([0, 0.001, 0.04, 0.1, 0.8, 1, 1, 100, 10 ** rng.uniform(-3, 2)]),
            "top_k": rng.choice([1, 2, 5, 40, 63, 64]),
            "top_p": rng.choice([1, 1, 0.95, 0.5, 0.1, 0.01, 1e-9, rng.uniform(0.01, 1)]),
            "seed": rng.choice([0, 1, 7, 2147483645, rng.randrange(2147483646)]),
        }
        for _ in range(n)
    ]


def wanted(checkpoint: Checkpoint, layout: Layout, inputs: Inputs) -> list[int]:
    start = token_ids(inputs, checkpoint.tokenizer, layout)
    return [*all_ids(numbers(checkpoint), inputs, start, layout)]
