"""Holds a recalculated workbook against the NumPy evaluator: every cell of every sheet.

The sheets themselves say what their cells must hold (`sheets.sheets`, from a `State` that the evaluator fills), the
same rows from which they are built. Cached values are evidence only for the engine `cached`, which checks what another
program computed and saved.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.engines import Cells, cached, formulas, ironcalc, libreoffice, seconds
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints import quantize
from sheetgpt.ooxml.reading.foreign import not_loaded
from sheetgpt.sheets import sheets
from sheetgpt.sheets.grid import HOME, LAB, TOKENIZER
from sheetgpt.sheets.home.self_check import DIFFERS, OTHER_INPUTS
from sheetgpt.sheets.inputs import prompt_cell
from sheetgpt.sheets.lab.lab import page as lab_page
from sheetgpt.sheets.lab.screws import Lab
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.state import State
from sheetgpt.sheets.tensor import Value
from sheetgpt.text.shown import token_strings
from sheetgpt.verification.axes import checked_axes
from sheetgpt.verification.built import built_problems
from sheetgpt.verification.compare import part
from sheetgpt.verification.judge import Found, report
from sheetgpt.verification.lesson import verify_lesson
from sheetgpt.verification.report import MOST, Report, TensorResult
from sheetgpt.workbook.build import text_sheets
from sheetgpt.workbook.checkpoints import find_checkpoint
from sheetgpt.workbook.reopen import DamagedWorkbook, is_lesson, open_workbook
from sheetgpt.workbook.state import state_of, write
from sheetgpt.workbook.yellow.inputs import given_ids, token_ids, with_prompt, with_settings
from sheetgpt.workbook.yellow.lab import with_lane_b

Array = NDArray[Any]
TEXTS = ("prompt", "user_says")  # yellow cells on Home, and on Lab
Recalculate = Callable[[Path, Mapping[str, Any], Sequence[str], float], Found]

ENGINES: dict[str, Recalculate] = {
    "libreoffice": lambda path, inputs, read, timeout: libreoffice.recalculate(path, inputs, read, timeout=timeout),
    "formulas": lambda path, inputs, read, _: formulas.recalculate(path, inputs, read),
    "ironcalc": lambda path, inputs, read, _: ironcalc.recalculate(path, inputs, read),
    "cached": lambda path, inputs, read, _: cached.recalculate(path, {}, read),
}


@dataclass(frozen=True)
class Case:
    """A workbook with its inputs and everything that it must then show, before a program has recalculated it."""

    path: Path
    state: State
    puts: Mapping[str, Any]  # defined names of the inputs, and what goes in
    areas: Mapping[str, str]  # of each sheet: all its cells
    problems: tuple[str, ...] = ()


def verify(
    workbook: str | os.PathLike[str],
    *,
    engine: str = "libreoffice",
    prompt: str | None = None,
    ids: Sequence[int] | None = None,
    chat: str | None = None,
    new_tokens: int | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    model: str | os.PathLike[str] | None = None,
    weights_from_workbook: bool = False,
    timeout: float = 600,
    wrong_cells: int | None = MOST,
) -> Report:
    """Puts the inputs in, recalculates everything, compares every cell of every sheet with what it must hold.

    Without a prompt, the workbook's own inputs stay. The evaluator runs on the checkpoint that the workbook was made
    from (`model`, where it has moved), or with `weights_from_workbook` on what the cells hold, for edited weights. Each
    tensor's result lists up to `wrong_cells` of its cells that are wrong; None: all.
    Raises SheetGPTError for bad input; a workbook that is merely wrong gives a report that says so.
    """
    if engine not in ENGINES:
        raise SheetGPTError(f"There is no engine {engine!r}: choose one of {', '.join(ENGINES)}.")
    timeout = seconds(timeout)
    settings = {"new_tokens": new_tokens, "temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    changed = any(value is not None for value in (prompt, ids, chat, *settings.values()))
    if engine == "cached" and changed:
        raise SheetGPTError("The cached engine reads what the file holds: it takes no prompt and no settings.")
    if is_lesson(workbook):
        if changed or model is not None or weights_from_workbook:
            raise SheetGPTError("A training workbook is compared as it is: it takes no prompt, settings or model.")

        def recalculated(path: Path, puts: Mapping[str, Any], read: Sequence[str]) -> Found:
            return ENGINES[engine](path, puts, read, timeout)

        return verify_lesson(Path(workbook), engine, recalculated, wrong_cells)
    given = {"prompt": prompt, "ids": ids, "chat": chat, **settings} if changed else {}
    case = prepare(Path(workbook), given, model, weights_from_workbook, as_saved=engine == "cached")
    if isinstance(case, Report):
        return replace(case, engine=engine)
    answer = ENGINES[engine](case.path, case.puts, list(case.areas.values()), timeout)
    return replace(judge(case, engine, answer, wrong_cells), not_loaded=not_loaded(case.path))


def prepare(
    path: Path,
    given: Mapping[str, Any],
    model: str | os.PathLike[str] | None = None,
    weights_from_workbook: bool = False,
    *,
    as_saved: bool = False,
    lab: Lab | None = None,
) -> Case | Report:
    """Opens the workbook and runs the evaluator; a Report where there is nothing to compare.

    `given`: the inputs that change, as in `verify`. `as_saved`: nothing will be put in, all cells stay as they are.
    `lab`: what goes into the yellow cells of the sheet Lab, in place of what the file holds.
    """
    try:
        book = open_workbook(path)
    except DamagedWorkbook as error:
        return Report(str(path), "", (), (str(error),))
    layout, texts = book.layout, ("prompt", "ids", "chat")
    settings = {name: value for name, value in given.items() if name not in texts}
    try:
        inputs = with_settings(with_prompt(book.inputs, layout, *(given.get(name) for name in texts)), **settings)
    except SheetGPTError as error:
        if given:
            raise
        return Report(str(path), "", (), (f"The inputs in the workbook are not valid: {error}",))
    inputs = inputs if as_saved else replace(inputs, score_prompt=True)
    found = find_checkpoint(book, model) if layout.reads_text or not weights_from_workbook else None
    checkpoint = None if found is None else found.checkpoint
    problems = [f"The input {name} is missing: was its sheet or its name deleted?" for name in book.missing]
    if found is not None and found.problem:
        problems.append(found.problem)
    if checkpoint is not None and checkpoint.config != layout.config:
        return Report(str(path), "", (), (*problems, "The Model sheet doesn't hold this checkpoint's config."))
    if checkpoint is not None and checkpoint.stop_ids != layout.end_of_text:
        problems.append(
            f"The Model sheet says that a text ends with {_tokens(layout.end_of_text)}, and the checkpoint "
            f"with {_tokens(checkpoint.stop_ids)}."
        )
    tokenizer = None if checkpoint is None else checkpoint.tokenizer
    try:
        start = token_ids(inputs, tokenizer, layout)
    except SheetGPTError as error:
        if given:
            raise
        return Report(str(path), "", (), (*problems, f"The inputs in the workbook are not valid: {error}"))

    unread: list[TensorResult] = []
    if weights_from_workbook:
        params, unread = weights(path, layout)
    else:
        assert checkpoint is not None
        params = quantize.stored(checkpoint.params, layout.weights)
    if unread:
        return Report(str(path), "", tuple(unread), tuple(problems))
    text = None if checkpoint is None else text_sheets(checkpoint, layout)
    strings = token_strings(tokenizer, layout.config.n_vocab) if checkpoint else vocabulary(path, layout)
    numbers, draft = quantize.evaluated(params), quantize.draft(params)
    writing = write(numbers, draft, inputs, start, layout)
    n_given = len(given_ids(inputs, tokenizer, layout))
    state = state_of(layout, text, inputs, params, writing, strings, n_given, book.origin, book.by_hand, book.chosen)
    state = replace(state, axes=book.axes)
    if book.axes is not None and not weights_from_workbook:  # axes belong to the weights of the build
        axes, wrong = checked_axes(book.axes, params, strings[1])
        state, problems = replace(state, axes=axes), problems + wrong
    if checkpoint is not None and not weights_from_workbook:
        if state.now.self_check.startswith(DIFFERS):
            problems.append("The logits at build time in the Model sheet are not the evaluator's.")
        now = None if state.now.self_check == OTHER_INPUTS else writing
        problems += built_problems(book.origin.built, layout, checkpoint, params, now)
    puts = {name: value for name, value in inputs.cells(layout).items() if name not in book.missing}
    if layout.lanes == 2:
        from_file = lab is None
        lab = book.lab if lab is None else lab
        try:
            state = with_lane_b(state, lab, tokenizer, numbers, draft)
        except SheetGPTError as error:
            if given or not from_file:
                raise
            said = f"The inputs of lane B in the workbook are not valid: {error}"
            return Report(str(path), "", (), (*problems, said))
        puts |= lab.cells(layout)
    areas = {sheet.title: sheet.area.reference for sheet in sheets(state)}
    return Case(path, state, puts, areas, tuple(problems))


def _tokens(ids: Sequence[int]) -> str:
    """`token 340`, or `token 0 or 340`."""
    return f"token {' or '.join(map(str, ids))}" if ids else "no token"


def judge(case: Case, engine: str, answer: Found, wrong_cells: int | None = MOST) -> Report:
    """`answer`: what a program computed for each of the case's areas."""
    found = {title: answer[reference] for title, reference in case.areas.items()}
    state = as_answered(in_units(case.state, found), found)
    return report(case.path, case.problems, engine, sheets(state), as_typed(state, found), wrong_cells)


def in_units(state: State, found: Found) -> State:
    """The state for a program that counts in UTF-16, as Excel does, where an emoji is two characters."""
    tokenizer = found.get(TOKENIZER)
    if state.text is None or state.read is None or tokenizer is None:
        return state
    unit = part(tokenizer, state.text.tokenizer["unit"]).numbers[0, 0]
    if unit != 2:
        return state
    lane = state.lab
    if lane is not None and lane.other.read is not None:
        lane = replace(lane, other=replace(lane.other, read=lane.other.read.in_utf16()))
    return replace(state, read=state.read.in_utf16(), lab=lane)


def as_answered(state: State, found: Found) -> State:
    """The state with what the program computed in the yellow cells that take formulas of one's own."""
    answers: dict[str, Value] = {}
    for sheet in sheets(state):
        got = found.get(sheet.title)
        if got is None:
            continue
        for name in sheet.answers:
            (area,) = sheet.names[name]
            at = area.row - 1, area.column - 1
            number = float(got.numbers[at])
            answers[name] = got.texts.get(at, "" if np.isnan(number) else number)
    return replace(state, chosen={**state.chosen, **answers}) if answers else state


def as_typed(state: State, found: Found) -> Found:
    """The texts that a user types, as they are read: a number as its digits, a line break as ↵."""
    if state.text is None:
        return found
    cells = dict(found)
    typed_in = [state.layout[name] for name in (*TEXTS, "full_prompt") if name in state.layout]
    if state.lab is not None:
        screws = lab_page(state.layout)
        typed_in += [screws[name] for name in TEXTS if name in screws.areas]
    for area in (*typed_in, *(state.text.by_hand[name] for name in ("text", "utf8"))):
        got, at = cells.get(area.sheet), (area.row - 1, area.column - 1)
        if got is None:
            continue
        typed, number = got.texts.get(at), float(got.numbers[at])
        if typed is not None and area.sheet in (HOME, LAB):
            cells[area.sheet] = replace(got, texts={**got.texts, at: prompt_cell(typed)})
        elif not np.isnan(number):
            numbers = got.numbers.copy()
            numbers[at] = np.nan
            cells[area.sheet] = Cells(numbers, {**got.texts, at: f"{number:.15g}"})
    return cells


def weights(path: Path, layout: Layout) -> tuple[dict[str, Array], list[TensorResult]]:
    """The parameters as the cells hold them, constants that nothing recalculates, and what could not be read."""
    params, unread = {}, []
    keys = {name: [area.reference for area in areas] for name, areas in layout.params.items()}
    cells = cached.recalculate(path, {}, [key for several in keys.values() for key in several])
    for name, areas in layout.params.items():
        found = [cells[key] for key in keys[name]]
        whole = [part.numbers for part in found if part is not None and not np.isnan(part.numbers).any()]
        if len(whole) < len(areas):
            gone = any(part is None for part in found)
            problem = "the sheet is missing" if gone else "has cells that are not numbers"
            unread.append(TensorResult(name, ", ".join(keys[name]), None, None, problem=problem))
        else:
            params[name] = layout.tensor(name).own_shape(np.concatenate(whole, axis=1))
    return params, unread


def vocabulary(path: Path, layout: Layout) -> tuple[list[str], list[str]]:
    """The tokens' strings and bytes as the Vocabulary sheet holds them, for a workbook without its checkpoint."""
    areas = [layout[name] for name in ("vocab_shown", "vocab_hex")]
    cells = cached.recalculate(path, {}, [area.reference for area in areas])
    shown, hexes = (
        [found.texts.get((i, 0), "") for i in range(layout.config.n_vocab)] if found else [""] * layout.config.n_vocab
        for found in (cells[area.reference] for area in areas)
    )
    return shown, hexes
