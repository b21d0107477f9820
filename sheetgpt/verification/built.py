"""What a workbook says of its own build, held against the evaluator: no sheet's formulas could show it wrong.

The Model sheet keeps the inputs at build time, their largest logits, and what rounding the weights cost. They are
constants that are read back from there, so that comparing them with the sheet would compare them with themselves.
"""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints import quantize
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.gpt2.generation.sampling import Sampling
from sheetgpt.gpt2.model import check_ids, forward
from sheetgpt.sheets.inputs import Inputs, cell_text
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.state import Built
from sheetgpt.workbook.build import rounding_cost
from sheetgpt.workbook.state import Writing, write
from sheetgpt.workbook.yellow.inputs import check_room, token_ids

Array = NDArray[Any]
CLOSE = 1e-9  # of the largest logit


def built_problems(
    built: Built, layout: Layout, checkpoint: Checkpoint, params: Mapping[str, Array], now: Writing | None
) -> Iterator[str]:
    """Sentences. `params`: as the cells hold them; `now`: what the workbook shows, where its inputs are the build's."""
    try:
        inputs = _inputs(built, layout, checkpoint)
    except (SheetGPTError, ValueError, OverflowError) as error:
        yield f"The inputs at build time in the Model sheet are not valid: {error}"
        return
    evaluated = quantize.evaluated(params)
    if now is None:
        writing = write(evaluated, quantize.draft(params), inputs, built.ids, layout)
        logits = writing.trace["logits"][:, writing.n_prompt - 1]
        best = np.sort(logits)[::-1][: len(built.logits)]
        if not np.allclose(best, built.logits, rtol=0, atol=CLOSE * np.abs(logits).max()):
            yield "The logits at build time in the Model sheet are not the evaluator's."
    if built.cost is not None:
        logits = forward(evaluated, layout.config, built.ids)["logits"]
        ours = rounding_cost(checkpoint, layout, built.ids, logits)
        assert ours is not None
        if not np.allclose(astuple(ours), astuple(built.cost), rtol=1e-6, atol=CLOSE * np.abs(logits).max()):
            yield f"The Model sheet doesn't say what rounding the weights changes: {ours}."


def _inputs(built: Built, layout: Layout, checkpoint: Checkpoint) -> Inputs:
    """The inputs at build time, where they are inputs and the ids are theirs."""
    theirs, ids = built.inputs, tuple(built.ids)
    heat, *whole = theirs.sampling.temperature, theirs.sampling.top_k, theirs.sampling.seed, theirs.new_tokens
    if not all(value == int(value) for value in whole):
        raise SheetGPTError("top_k, the seed and new_tokens are whole numbers.")
    top_k, seed, new = map(int, whole)
    check_ids(ids, layout.config)
    inputs = Inputs("", ids, new, Sampling(heat, top_k, theirs.sampling.top_p, seed))
    check_room(inputs, layout)
    if not 1 <= len(ids) <= layout.context - new:
        raise SheetGPTError(f"they are {len(ids)} token ids.")
    if built.text and layout.reads_text:
        readings = _readings(replace(inputs, ids=()), built.text, layout)
        if ids not in [token_ids(read, checkpoint.tokenizer, layout) for read in readings]:
            raise SheetGPTError("the token ids are not those of the prompt.")
    return inputs


def _readings(inputs: Inputs, text: str, layout: Layout) -> Iterator[Inputs]:
    """With the prompt in full as it may have been typed: as it is, or as what a user says in a chat."""
    yield replace(inputs, prompt=text)
    if layout.chat is not None:
        before, after = cell_text(layout.chat.before), cell_text(layout.chat.after)
        if text.startswith(before) and text.endswith(after):
            yield replace(inputs, user_says=text[len(before) : len(text) - len(after)])
