"""From a checkpoint to a workbook: runs the evaluator for the cached values and lets each sheet write itself."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sheetgpt.checkpoint import Checkpoint, bundled, load
from sheetgpt.errors import SheetGPTError
from sheetgpt.layout import HOME, Layout
from sheetgpt.limits import check_limits
from sheetgpt.model import as_cells, check_ids, forward
from sheetgpt.sheets.about import add_about
from sheetgpt.sheets.block import add_block
from sheetgpt.sheets.embed import add_embed
from sheetgpt.sheets.home import Now, add_home
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.token_sheet import Prompt
from sheetgpt.sheets.unembed import add_output, add_softmax
from sheetgpt.sheets.vocabulary import add_vocabulary, token_strings
from sheetgpt.sheets.weights import add_block_weights, add_positions, add_tokens
from sheetgpt.xlsx import Book, Progress

DEFAULT_CONTEXT = 32
DEFAULT_PROMPT = "Once upon a time there was a"
COLDEST = 1e-3  # a logit divided by much less overflows
END = "<|endoftext|>"  # what an empty prompt becomes
MANY_PARAMS = 50_000_000  # from here on, logits are computed only where they are needed


@dataclass(frozen=True)
class Inputs:
    """What stands in the yellow cells: token ids, temperature, logits at every token."""

    ids: tuple[int, ...]
    temperature: float = 1.0
    score_prompt: bool = True


def build(
    model: str | os.PathLike[str] | Checkpoint = "fairytale",
    output: str | os.PathLike[str] | None = None,
    *,
    prompt: str | None = None,
    ids: Sequence[int] | None = None,
    context: int | None = None,
    temperature: float = 1.0,
    score_prompt: bool | None = None,
    progress: Progress | None = None,
) -> Path:
    """Writes the workbook and returns its path (default: `workbooks/<model>.xlsx`).

    `prompt` goes through the checkpoint's tokenizer; `ids` takes its place. `context` is the number of token columns.
    Raises SheetGPTError for bad input, before anything is written.
    """
    checkpoint = model if isinstance(model, Checkpoint) else load(model)
    config = checkpoint.config
    tokens = prompt_ids(checkpoint, prompt, ids)
    layout = Layout(config, min(DEFAULT_CONTEXT, config.n_positions) if context is None else context)
    if prompt is None and ids is None:
        tokens = tokens[: layout.context]  # the default prompt fits any context
    check_prompt(tokens, layout)
    check_temperature(temperature)
    check_limits(layout)
    score = config.n_params < MANY_PARAMS if score_prompt is None else score_prompt
    target = Path(output) if output is not None else Path("workbooks") / f"{Path(checkpoint.name).name}.xlsx"
    if target.is_dir():
        raise SheetGPTError(f"{target} is a folder; give -o the name of a file.")
    source = _relative(checkpoint.source or checkpoint.name, target)
    book = make_book(checkpoint, layout, Inputs(tuple(tokens), temperature, score), source)
    book.save(target, progress)
    return target


def _relative(source: str, target: Path) -> str:
    """What the workbook remembers: a name as it is, a path as seen from the workbook's own folder."""
    if source in bundled() or not os.path.exists(source):
        return source
    return Path(os.path.relpath(source, target.parent)).as_posix()


def check_prompt(ids: Sequence[int], layout: Layout) -> None:
    """Refuses ids that the vocabulary or the workbook's columns don't hold."""
    if len(ids) > layout.context:
        raise SheetGPTError(
            f"The prompt has {len(ids)} tokens and the workbook {layout.context} columns: build with more --context."
        )
    check_ids(ids, layout.config)


def check_temperature(temperature: float) -> None:
    """Refuses what the temperature's cell wouldn't take."""
    if not (temperature == 0 or COLDEST <= temperature <= 100):
        raise SheetGPTError(f"The temperature {temperature:g} is neither 0 nor between {COLDEST:g} and 100.")


def prompt_ids(checkpoint: Checkpoint, prompt: str | None, ids: Sequence[int] | None) -> list[int]:
    """Token ids of the prompt as it is given: text, ids, or the default."""
    if ids is not None:
        if prompt is not None:
            raise SheetGPTError("Give --prompt or --ids, not both.")
        return list(ids)
    if checkpoint.tokenizer is None:
        if prompt is not None:
            raise SheetGPTError(f"{checkpoint.name} has no tokenizer files: give the prompt as --ids 1,2,3.")
        return [0]
    text = DEFAULT_PROMPT if prompt is None else prompt
    tokens = checkpoint.tokenizer.encode(text)
    if tokens:
        return tokens
    if END not in checkpoint.tokenizer.added:
        raise SheetGPTError(f"The prompt is empty, and {checkpoint.name} has no token {END} to begin a text with.")
    return [checkpoint.tokenizer.added[END]]


def fingerprint(checkpoint: Checkpoint) -> str:
    """SHA-256 over the config and every weight's name, shape and float32 bytes."""
    digest = hashlib.sha256(repr(checkpoint.config).encode())
    for name in sorted(checkpoint.params):
        tensor = np.ascontiguousarray(checkpoint.params[name], np.float32)
        digest.update(f"{name}{tensor.shape}".encode())
        digest.update(tensor.data)
    return digest.hexdigest()


def make_book(checkpoint: Checkpoint, layout: Layout, inputs: Inputs, source: str) -> Book:
    """Every sheet in the order of its tab. Cached values come from the evaluator, run on the cells' own numbers."""
    config, params = checkpoint.config, checkpoint.params
    exact = {name: as_cells(tensor) for name, tensor in params.items()}
    trace = forward(exact, config, inputs.ids)
    shown, texts = token_strings(checkpoint.tokenizer, config.n_vocab)
    prompt = Prompt(inputs.ids, [shown[i] for i in inputs.ids], layout.context)
    model = Path(checkpoint.name).name
    logits = trace["logits"][:, -1]
    text = "".join(texts[i] for i in inputs.ids)
    now = Now(model, inputs.temperature, inputs.score_prompt, text, logits, shown)

    book = Book(f"GPT-2 in a spreadsheet: {model}")
    home = book.frame(HOME)
    palette = Palette(book)
    add_home(book, layout, palette, prompt, now, home)
    add_embed(book, layout, palette, prompt, trace)
    for i in range(config.n_layer):
        add_block(book, layout, palette, prompt, i, params, trace)
    add_output(book, layout, palette, prompt, shown, params, trace, inputs.score_prompt)
    add_softmax(book, layout, palette, shown, logits, inputs.temperature)
    add_about(book, layout, palette, source, fingerprint(checkpoint))
    add_vocabulary(book, layout, palette, shown, texts)
    add_tokens(book, layout, palette, "wte", params["wte"], shown)
    add_positions(book, layout, palette, params["wpe"])
    if not config.tied:
        add_tokens(book, layout, palette, "lm_head", params["lm_head"], shown)
    for i in range(config.n_layer):
        add_block_weights(book, layout, palette, i, params)
    for name, areas in layout.names():
        book.name(name, ",".join(area.reference for area in areas))
    return book
