"""A workbook's text as the evaluator reads it: what `sheetgpt look` shows, and the sheets show."""

import os
from collections.abc import Sequence

from sheetgpt.gpt2.checkpoints import quantize
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.inspection.subject import Subject
from sheetgpt.text.shown import token_strings
from sheetgpt.workbook.checkpoints import built_from
from sheetgpt.workbook.reopen import Workbook, open_workbook
from sheetgpt.workbook.state import write
from sheetgpt.workbook.yellow.inputs import token_ids, with_prompt, with_settings


def checkpoint_of(
    path: str | os.PathLike[str], model: str | os.PathLike[str] | None = None
) -> tuple[Workbook, Checkpoint]:
    """A workbook and the checkpoint that it was built from, wherever that lies now."""
    book = open_workbook(path)
    return book, built_from(book, model)


def subject_of(
    path: str | os.PathLike[str],
    *,
    prompt: str | None = None,
    ids: Sequence[int] | None = None,
    new_tokens: int | None = None,
    model: str | os.PathLike[str] | None = None,
) -> tuple[Workbook, Subject]:
    """The text in a workbook's columns, the prompt and what the model writes after it, and every number on the way.

    What isn't given is as the workbook has it; `model` is its checkpoint, where that has moved. The weights are those
    of the cells. Raises SheetGPTError for bad input.
    """
    book, checkpoint = checkpoint_of(path, model)
    inputs = with_settings(with_prompt(book.inputs, book.layout, prompt, ids), new_tokens=new_tokens)
    start = token_ids(inputs, checkpoint.tokenizer, book.layout)
    cells = quantize.stored(checkpoint.params, book.layout.weights)
    params = quantize.evaluated(cells)
    writing = write(params, quantize.draft(cells), inputs, start, book.layout)
    shown, _ = token_strings(checkpoint.tokenizer, book.layout.config.n_vocab)
    return book, Subject(book.layout.config, params, writing.trace, tuple(writing.ids), shown, writing.n_prompt)
