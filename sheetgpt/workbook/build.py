"""From a checkpoint to a workbook: runs the evaluator for the cached values and lets each sheet write itself."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt import sheets as registry
from sheetgpt import system
from sheetgpt.errors import SheetGPTError, visible
from sheetgpt.gpt2.checkpoints import quantize
from sheetgpt.gpt2.checkpoints.checkpoint import DEFAULT, Checkpoint, bundled, load
from sheetgpt.gpt2.checkpoints.identity import fingerprint
from sheetgpt.gpt2.checkpoints.mapped import OneAtATime
from sheetgpt.gpt2.checkpoints.quantize import EXACT
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.generation.generate import default_prompt
from sheetgpt.gpt2.generation.sampling import Sampling
from sheetgpt.gpt2.model import forward
from sheetgpt.ooxml.rows import letters
from sheetgpt.ooxml.writing import target
from sheetgpt.ooxml.writing.book import Book, Progress
from sheetgpt.sheets import lay_out
from sheetgpt.sheets.grid import HOME, LANE
from sheetgpt.sheets.inputs import Inputs
from sheetgpt.sheets.lab.screws import Lab, untouched
from sheetgpt.sheets.layout import Layout, defined_name
from sheetgpt.sheets.sheet import Sheet, in_sight, positions_name
from sheetgpt.sheets.state import Built, Origin
from sheetgpt.sheets.style.palette import registered
from sheetgpt.sheets.text.pages import Text
from sheetgpt.text.shown import token_strings
from sheetgpt.workbook.limits import check_limits, check_shapes, check_sheets
from sheetgpt.workbook.optional import Names, choose
from sheetgpt.workbook.remembered import remember
from sheetgpt.workbook.state import state_of, write
from sheetgpt.workbook.yellow.inputs import given_ids, tables_of, token_ids, with_prompt
from sheetgpt.workbook.yellow.lab import with_lane_b

DEFAULT_CONTEXT = 32
LARGE_CONTEXT = 16  # GPT-2 small's opens in 8 GB of LibreOffice's memory then, in 13 GB with 32
DEFAULT_NEW_TOKENS = 12
DEFAULT_CHAT = "Tom has a red ball. What does Tom have?"
DEFAULT_PROMPT_BYTES, DEFAULT_MERGE_ROUNDS = 256, 48
MANY_PARAMS = 50_000_000  # from here on, fewer columns, and logits only where they are needed


def build(
    model: str | os.PathLike[str] | Checkpoint = DEFAULT,
    output: str | os.PathLike[str] | None = None,
    *,
    prompt: str | None = None,
    ids: Sequence[int] | None = None,
    chat: str | None = None,
    context: int | None = None,
    new_tokens: int | None = None,
    temperature: float = 1.0,
    top_k: int = 40,
    top_p: float = 1.0,
    seed: int = 0,
    score_prompt: bool | None = None,
    prompt_bytes: int = DEFAULT_PROMPT_BYTES,
    merge_rounds: int = DEFAULT_MERGE_ROUNDS,
    weights: str = EXACT,
    digits: int | None = None,
    sheets: Names | None = None,
    without: Names = (),
    lanes: int = 1,
    solutions: bool = False,
    unprotected: bool = False,
    reads_only: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Writes the workbook and returns its path (default: `workbooks/<model>.xlsx`, with two lanes `<model>-lab.xlsx`).

    `prompt` goes through the checkpoint's tokenizer; `ids` takes its place, or `chat`, which the model's chat template
    wraps. `context` is the number of token columns
    (default: 32, or 16 for a model of 50 million parameters or more; half as many again, or more, where a chat template
    takes some), `new_tokens` of which the model writes by
    `temperature`, `top_k`, `top_p` and `seed` (default: up to 12, as many as there is room for; none for ids).
    `prompt_bytes` and `merge_rounds` size the Tokenizer sheet; 0 bytes leave it out, and prompts are then token ids.
    `weights` "int8" makes a large file a third, `digits` rounds every weight to so many significant ones (`quantize`).
    `sheets` ("all", or names) says which of the expensive optional sheets are in, by default all, or none from 50
    million parameters on; `without` leaves out any of the optional sheets (`workbook.optional`).
    With `solutions` the yellow cells of the sheet Exercises hold the solutions (`workbooks/<model>-solutions.xlsx`).
    With two `lanes` a second text stands beside the first, and the sheet Lab changes what the model does with it.
    Cells with formulas are locked, without a password; `unprotected` leaves them open (`ooxml.locks`).
    A workbook that `reads_only` says what comes next and writes nothing: a turn of the temperature then recomputes the
    probabilities and no block.
    `progress` is told how far the writing is (`ooxml.book.Written`).
    Raises SheetGPTError for bad input, before anything is written.
    """
    if not isinstance(model, Checkpoint):
        model = load_fitting(model, context, weights, digits, needs_text=prompt_bytes > 0 or prompt is not None)
    checkpoint = model
    usual = plain(Path(checkpoint.name).name) + ("-lab" if lanes == 2 else "") + ("-solutions" if solutions else "")
    path = Path(output) if output is not None else Path("workbooks", f"{usual}.xlsx")
    target.check(path, "-o", {"one of the checkpoint's own files": checkpoint.files}, makes_folders=True)
    layout = planned(
        *(checkpoint, context, prompt_bytes, merge_rounds, weights, digits, sheets, without, lanes, reads_only),
        solutions=solutions,
    )
    text = text_sheets(checkpoint, layout)
    if prompt is not None and checkpoint.tokenizer is None:
        raise SheetGPTError(f"{checkpoint.name} has no tokenizer files: give the prompt as --ids 1,2,3.")
    score = checkpoint.config.n_params < MANY_PARAMS if score_prompt is None else score_prompt
    reads = checkpoint.tokenizer if layout.reads_text else None
    default = Inputs(ids=(0,)) if reads is None else Inputs(default_prompt(reads))
    sampling = Sampling(temperature, top_k, top_p, seed)
    given = replace(default, new_tokens=new_tokens or 0, sampling=sampling, score_prompt=score)
    if ids is not None:
        given = replace(given, prompt="")
    if layout.chat is not None and prompt is None and ids is None:
        given = replace(given, prompt="", user_says=DEFAULT_CHAT)
    inputs = with_prompt(given, layout, prompt, ids, chat)
    if new_tokens is None and layout.reads_text and not inputs.ids:
        free = layout.context - len(given_ids(inputs, checkpoint.tokenizer, layout))
        inputs = replace(inputs, new_tokens=int(np.clip(free, 0, min(DEFAULT_NEW_TOKENS, layout.most_new_tokens))))
    token_ids(inputs, checkpoint.tokenizer, layout)
    check_limits(layout, text)
    source = _relative(checkpoint.source or checkpoint.name, path)
    identity = fingerprint(checkpoint)
    make_book(checkpoint, layout, text, inputs, source, identity, locked=not unprotected).save(path, progress)
    remember(identity, checkpoint)
    return path


def planned(
    checkpoint: Checkpoint,
    context: int | None = None,
    prompt_bytes: int = DEFAULT_PROMPT_BYTES,
    merge_rounds: int = DEFAULT_MERGE_ROUNDS,
    weights: str = EXACT,
    digits: int | None = None,
    sheets: Names | None = None,
    without: Names = (),
    lanes: int = 1,
    reads_only: bool = False,
    solutions: bool = False,
) -> Layout:
    """The layout of the workbook that `build` would write with these arguments."""
    if prompt_bytes < 0:
        raise SheetGPTError(
            f"--prompt-bytes {prompt_bytes} is below 0; 0 builds a workbook whose prompts are token ids."
        )
    room = (0, 0) if checkpoint.tokenizer is None or prompt_bytes == 0 else (prompt_bytes, merge_rounds)
    config, mode = checkpoint.config, quantize.mode(weights, digits)
    optional = choose(sheets, without, large=config.n_params >= MANY_PARAMS, solutions=solutions)
    chat, ends = checkpoint.chat if room[0] else None, checkpoint.stop_ids
    around = len(checkpoint.tokenizer.encode(chat.wrap(""))) if chat and checkpoint.tokenizer else 0
    columns = n_columns(config, context, around)
    sizes: dict[str, Any] = {"end_of_text": ends, "weights": mode, "optional": optional, "chat": chat}
    return lay_out(config, columns, *room, **sizes, lanes=lanes, reads_only=reads_only)


def load_fitting(
    model: str | os.PathLike[str],
    context: int | None,
    weights: str,
    digits: int | None,
    *,
    quiet: bool = False,
    needs_text: bool = True,
) -> Checkpoint:
    """The checkpoint; where no workbook could hold it, refused from its config, before a download."""
    mode = quantize.mode(weights, digits)

    def fits(config: GPT2Config) -> None:
        check_shapes(lay_out(config, n_columns(config, context), weights=mode))

    return load(model, quiet=quiet, check=fits, needs_text=needs_text)


def n_columns(config: GPT2Config, context: int | None, around: int = 0) -> int:
    """As many as asked for; without a wish 32, for a large model 16, and never more than it has positions.

    The `around` tokens that a chat template puts around the words come on top, in steps of half as many: so there is
    room for a short question and its answer.
    """
    if context is not None:
        return context
    usual = DEFAULT_CONTEXT if config.n_params < MANY_PARAMS else LARGE_CONTEXT
    return min(usual + -(-around // (usual // 2)) * (usual // 2), config.n_positions)


def text_sheets(checkpoint: Checkpoint, layout: Layout) -> Text | None:
    """The sheets between text and ids; None where prompts are token ids."""
    if checkpoint.tokenizer is None or not layout.reads_text:
        return None
    try:
        tables = tables_of(checkpoint.tokenizer)
    except SheetGPTError as error:
        raise SheetGPTError(f"{error} --prompt-bytes 0 builds a workbook whose prompts are token ids.") from None
    return Text.of(layout, tables)


def plain(name: str) -> str:
    """A name for a file that a person can see and type, on every system."""
    return system.portable("".join(character if visible(character) == character else "_" for character in name))


def _relative(source: str, workbook: Path) -> str:
    """What the workbook remembers: a name as it is, a path as seen from the workbook's own folder."""
    if source in bundled() or not os.path.exists(source):
        return source
    try:
        path = os.path.relpath(source, workbook.parent)
    except ValueError:  # on another drive of Windows'
        path = os.path.abspath(source)
    return visible(Path(path).as_posix())  # a cell takes no byte that is no UTF-8


def rounding_cost(
    checkpoint: Checkpoint, layout: Layout, ids: Sequence[int], logits: NDArray[Any]
) -> quantize.Cost | None:
    """What `layout.weights` changes in the logits [n_vocab, T]; None when the weights are exact."""
    if layout.weights == EXACT:
        return None
    exact = forward(OneAtATime(checkpoint.params), checkpoint.config, ids)
    return quantize.cost(exact["logits"], logits)


def make_book(
    checkpoint: Checkpoint,
    layout: Layout,
    text: Text | None,
    inputs: Inputs,
    source: str,
    identity: str,
    *,
    locked: bool = True,
) -> Book:
    """Every sheet in the order of its tab. Cached values come from the evaluator, run on the cells' own numbers."""
    params = quantize.stored(checkpoint.params, layout.weights)
    start = token_ids(inputs, checkpoint.tokenizer, layout)
    numbers, draft = quantize.evaluated(params), quantize.draft(params)
    writing = write(numbers, draft, inputs, start, layout)
    cost = rounding_cost(checkpoint, layout, start, writing.trace["logits"][:, : len(start)])
    built = Built(inputs, start, writing.trace["logits"][:, len(start) - 1], cost, inputs.text(layout))
    strings = token_strings(checkpoint.tokenizer, layout.config.n_vocab)
    n_given = len(given_ids(inputs, checkpoint.tokenizer, layout))
    origin = Origin(source, identity, built)
    state = state_of(layout, text, inputs, params, writing, strings, n_given, origin)
    if layout.lanes == 2:
        lab = Lab(ids=inputs.ids, switches=untouched(layout))
        state = with_lane_b(state, lab, checkpoint.tokenizer, numbers, draft)
    book = Book(f"GPT-2 in a spreadsheet: {state.now.model}", locked)
    book.frame(HOME)  # a book's styles are registered with its first sheet
    made = registry.sheets(state, registered(book))
    check_sheets(made)
    folded = {sheet.title: sheet.folded for sheet in made}
    for sheet in made:
        add(book, sheet, folded)
    return book


def add(book: Book, sheet: Sheet, folded: Mapping[str, Sequence[range]] | None = None) -> None:
    """Puts a sheet into the book, with its looks, its links and its names. `folded`: rows of all the sheets."""
    frame = book.workbook[sheet.title] if sheet.title in book.workbook.sheetnames else book.frame(sheet.title)
    sheet.dress(frame)
    for cell, place in sheet.links:
        book.link(frame, cell, in_sight(place, folded or {}))
    last = f"{letters(sheet.last_column)}{sheet.last_row}"
    book.add(frame, sheet.rows, last, sheet.last_row * sheet.last_column)
    names = {**sheet.names}
    if sheet.positions is not None:
        names[positions_name(sheet.title)] = [sheet.positions]
    if sheet.second is not None:
        names[positions_name(sheet.title, LANE)] = [sheet.second]
    for name, areas in names.items():
        book.name(defined_name(name), ",".join(area.reference for area in areas))
