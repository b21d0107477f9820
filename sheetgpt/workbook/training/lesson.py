"""A training workbook: a new GPT-2 or a checkpoint and a list of words -> the file, and the file -> its moment."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from sheetgpt.engines import Cells, cached
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.learning import adam
from sheetgpt.gpt2.learning.adam import Settings
from sheetgpt.gpt2.learning.new import new_params
from sheetgpt.gpt2.model import Array
from sheetgpt.ooxml.limits import MAX_COLUMN, MAX_ROW
from sheetgpt.ooxml.writing import target
from sheetgpt.ooxml.writing.book import Book, Progress
from sheetgpt.sheets.block import Block
from sheetgpt.sheets.style.palette import registered
from sheetgpt.sheets.training import lay_out, lesson, one_step, sheets
from sheetgpt.sheets.training import words as words_sheet
from sheetgpt.sheets.training.bands import BANDS
from sheetgpt.sheets.training.first import SETTINGS, WRITING
from sheetgpt.sheets.training.lesson import TRAINING, Lesson, Moment
from sheetgpt.text.shown import token_strings
from sheetgpt.text.words import END, LETTERS, N_VOCAB, NAMES, read_lines, read_words, spell
from sheetgpt.workbook.build import add
from sheetgpt.workbook.reopen import DamagedWorkbook

MOST_FORMULAS = 400_000  # some 4 seconds a step in LibreOffice
MOST_UNROLLED, MOST_STEPS = 1_000_000, 100  # formulas in all steps, and steps
DEFAULT, UNROLLED = Path("workbooks", "names-train.xlsx"), Path("workbooks", "names-unrolled.xlsx")


def build_lesson(
    model: str | os.PathLike[str] | Checkpoint | None = None,
    output: str | os.PathLike[str] | None = None,
    *,
    words: str | os.PathLike[str] | None = None,
    layers: int = 1,
    width: int = 16,
    heads: int = 4,
    positions: int | None = None,
    tied: bool = True,
    seed: int = 0,
    unroll: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Writes a workbook in which a GPT-2 learns words, and returns its path (default: workbooks/names-train.xlsx).

    Without a `model` a new one, of so many `layers`, `heads` and `positions`, `width` numbers a token, its weights
    drawn from the `seed`, learns the letters a to z; `words` is a file with one word a line, by default first names. A
    checkpoint learns on with its own tokenizer, the word in so many `positions` as are asked for, or 12.

    With `unroll` so many steps stand in the workbook one after another, all on the same word, so that a change of the
    learning rate shows at once what it does to all of them (default path: workbooks/names-unrolled.xlsx).
    """
    path = Path(output) if output is not None else DEFAULT if unroll is None else UNROLLED
    target.check(path, "-o", {"the list of words": [] if words is None else [words]}, makes_folders=True)
    if model is None:
        moment = new_moment(words, layers, width, heads, 12 if positions is None else positions, tied, seed, unroll)
    else:
        checkpoint = model if isinstance(model, Checkpoint) else load(model)
        target.check(path, "-o", {"one of the checkpoint's own files": checkpoint.files}, makes_folders=True)
        moment = moment_of(checkpoint, words, positions, unroll)
    save(moment, path, progress)
    return path


def new_moment(
    words: str | os.PathLike[str] | None,
    layers: int,
    width: int,
    heads: int,
    positions: int,
    tied: bool,
    seed: int,
    unroll: int | None = None,
) -> Moment:
    """Step 0 of a new model."""
    for name, value in (("--layers", layers), ("--width", width), ("--heads", heads), ("--positions", positions)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise SheetGPTError(f"{name} {value} must be a whole number of at least 1.")
    if positions < 2:
        raise SheetGPTError("--positions 1 leaves no room for a word: give at least 2.")
    config = GPT2Config(N_VOCAB, positions, width, layers, heads, 4 * width, tied=tied)
    layout = with_steps(fitting(lay_out(config, positions, n_words=1)), unroll)
    listed = read_words(NAMES if words is None else Path(words), positions - 1)
    params = new_params(config, seed)
    shown = ("⟨end⟩", *LETTERS)
    ids = tuple(tuple(spell(word)) for word in listed)
    layout = replace(layout, n_words=len(listed), end=END)
    start, source = adam.start(params), f"new, seed {seed}"
    return Moment(layout, start, settings_of(layout), (), tuple(listed), ids, shown, source=source)


def moment_of(
    checkpoint: Checkpoint, words: str | os.PathLike[str] | None, positions: int | None, unroll: int | None = None
) -> Moment:
    """Step 0 of a checkpoint that learns on."""
    config, tokenizer = checkpoint.config, checkpoint.tokenizer
    if tokenizer is None:
        raise SheetGPTError(f"{checkpoint.name} has no tokenizer files, and words have to become tokens.")
    if words is None:
        raise SheetGPTError(f"{checkpoint.name} needs a list of words to learn from: give --words FILE.")
    if not checkpoint.stop_ids:
        raise SheetGPTError(f"{checkpoint.name} has no token that ends a text, which stands around each word.")
    columns = min(12, config.n_positions) if positions is None else positions
    layout = with_steps(fitting(lay_out(config, columns, letters=False, end=checkpoint.stop_ids[0])), unroll)
    listed, ids = [], []
    for n, word in read_lines(Path(words)):
        found = tuple(tokenizer.encode(word))
        if len(found) > layout.longest:
            raise SheetGPTError(
                f"{words}, line {n}: {len(found)} tokens, and {columns} columns take {layout.longest}: give more "
                f"--positions."
            )
        listed.append(word)
        ids.append(found)
    shown, _ = token_strings(tokenizer, config.n_vocab)
    layout = replace(layout, n_words=len(listed))
    start = adam.start({name: np.asarray(tensor) for name, tensor in checkpoint.params.items()})
    source = checkpoint.name or "a checkpoint"
    return Moment(layout, start, settings_of(layout), (), tuple(listed), tuple(ids), tuple(shown), source=source)


def settings_of(layout: Lesson) -> Settings:
    """At first: the few steps of an unrolled workbook have no time to warm up."""
    return Settings(learning_rate=0.01, warm_up=0, schedule="constant") if layout.unroll else Settings()


def with_steps(layout: Lesson, unroll: int | None) -> Lesson:
    """The layout with so many steps one after another, if a spreadsheet can make them."""
    if unroll is None:
        return layout
    if isinstance(unroll, bool) or not isinstance(unroll, int) or unroll < 1:
        raise SheetGPTError(f"--unroll {unroll!r:.80} must be a whole number of at least 1.")
    each = step_formulas(layout)
    most = min(MOST_STEPS, MOST_UNROLLED // each)
    if unroll > most:
        raise SheetGPTError(
            f"--unroll {unroll}: a step of this model takes {each:,} formulas, and sheetgpt builds workbooks of up to "
            f"{MOST_STEPS} steps and {MOST_UNROLLED:,} formulas in them. {'Take' if most else 'Leave it out, or take'} "
            + (f"at most --unroll {most}, a smaller model" if most else "a smaller model")
            + ", or fewer --positions."
        )
    return replace(layout, unroll=unroll, room=unroll)


def fitting(layout: Lesson) -> Lesson:
    """The layout, if a spreadsheet can make its step."""
    config = layout.config
    formulas = about_formulas(config, layout.context)
    widest = max(config.n_vocab, config.n_positions, 3 * config.n_embd, config.n_inner)
    if formulas > MOST_FORMULAS or widest > MAX_COLUMN // 2 or 3 * config.n_params // config.n_embd > MAX_ROW:
        raise SheetGPTError(
            f"A step of this model would take about {formulas:,} formulas with {config.n_params:,} weights and "
            f"{layout.context} columns; sheetgpt builds workbooks that learn up to {MOST_FORMULAS:,}. Take a smaller "
            f"model, or fewer --positions."
        )
    return layout


def about_formulas(config: GPT2Config, columns: int) -> int:
    """Of the four passes forward, one backward, the gradients and the new state."""
    head = 4 * columns + 4
    block = 14 * config.n_embd + 2 * config.n_inner + config.n_head * head
    return columns * (5 * (config.n_layer * block + 4 * config.n_embd) + 16 * config.n_vocab) + 4 * config.n_params


def step_formulas(layout: Lesson) -> int:
    """Of one step of an unrolled workbook, but its few losses."""
    parts = [(page, part) for page in one_step(replace(layout, room=1)) for _, part in page.placed]
    return sum(part.n_formulas(page.width) for page, part in parts if isinstance(part, Block))


def save(moment: Moment, path: Path, progress: Progress | None = None) -> None:
    # nothing is locked: a step is made by pasting onto a whole sheet of cells
    book = Book("A GPT-2 that learns in a spreadsheet")
    book.frame(TRAINING)
    for sheet in sheets(moment, registered(book, learns=True)):
        add(book, sheet)
    book.save(path, progress)


def open_lesson(path: str | os.PathLike[str]) -> Moment:
    """What the file's constants say, whatever its formulas do. Raises DamagedWorkbook."""
    path = Path(path)
    shapes = [each.name for each in fields(GPT2Config)]
    unrolled = "UNROLL" in cached.package(path).names
    found = _cells(path, [*shapes, *words_sheet.LESSON, *(words_sheet.UNROLLED if unrolled else ())])
    try:
        config = GPT2Config(
            **{name: _whole(name, found[name]) for name in shapes[:6]},
            layer_norm_epsilon=_number("layer_norm_epsilon", found["layer_norm_epsilon"]),
            activation_function=str(_one("activation_function", found["activation_function"])),
            tied=bool(_whole("tied", found["tied"], 0, 1)),
        )
        context, n_words, end, spells, room = (
            _whole(n, found[n]) for n in ("context", "n_words", "end", "spells", "room")
        )
        layout = fitting(lay_out(config, context, n_words=n_words, end=end, letters=bool(spells), room=max(room, 1)))
        if n_words < 1 or max(n_words, room) > MAX_ROW or end >= config.n_vocab:
            raise ValueError(f"{n_words} words, room for {room} losses and the end {end} can't be")
        if unrolled:
            layout = replace(with_steps(layout, _whole("unroll", found["unroll"])), room=layout.room)
    except (ValueError, OverflowError, SheetGPTError) as error:
        raise DamagedWorkbook(f"The sheet Model of {path} doesn't hold a valid config: {error}.") from error
    return _moment(path, layout, str(_one("source", found["source"])))


def _moment(path: Path, layout: Lesson, source: str) -> Moment:
    weights = [f"{band}{name}" for band in BANDS for name in layout.config.parameter_shapes()]
    others = ["step", "losses", "words", "vocabulary", *SETTINGS]
    own = ["word_number"] if layout.unroll else [*WRITING, "weight_tensor", "weight_row", "weight_column"]
    others += own
    others += [] if layout.letters else ["word_ids", "word_lengths"]
    areas = {name: layout[name].reference for name in (*weights, *others)}
    cells = cached.recalculate(path, {}, [*areas.values()])
    found = {name: cells[reference] for name, reference in areas.items()}
    try:
        bands = {
            band: {n: tensor_of(layout, band, n, found[band + n]) for n in layout.config.parameter_shapes()}
            for band in BANDS
        }
        step = _whole("step", found["step"])
        state = adam.State(step, bands[""], bands["m."], bands["v."])
        typed_in = [name for name in (*SETTINGS, *WRITING) if name in found]
        values: dict[str, Any] = {name: _as_whole(_one(name, found[name])) for name in typed_in}
        values["schedule"] = str(values["schedule"]).lower()
        settings = Settings(**{name: values[name] for name in SETTINGS})
        losses = found["losses"]
        lost = () if losses is None else tuple(losses.numbers.ravel()[: min(step, layout.room)].tolist())
        listed = _texts(found["words"], layout.n_words)
        ids = _ids(layout, listed, found)
        shown = _texts(found["vocabulary"], layout.config.n_vocab)
        moment = Moment(layout, state, settings, lost, listed, ids, shown, source=source)
        if layout.unroll:
            return replace(moment, chosen=_whole("word_number", found["word_number"], 1, layout.n_words))
        writing = lesson.Writing(values["write"] == 1, values["seed"], float(values["temperature"]))
        return replace(moment, writing=writing, weight=_weight(layout, found))
    except (TypeError, ValueError, SheetGPTError) as error:
        raise DamagedWorkbook(f"{path} can't make a step: {error}") from error


def _cells(path: Path, names: Sequence[str]) -> Mapping[str, Cells]:
    contents = cached.package(path)
    found = cached.cells(path, {name: contents.names.get(name.upper()) for name in names})
    whole: dict[str, Cells] = {}
    for name, cells in found.items():
        if cells is None or cells.numbers.shape != (1, 1):
            raise DamagedWorkbook(f"{path} is a training workbook whose cell {name!r} is missing: build it again.")
        whole[name] = cells
    return whole


def tensor_of(layout: Lesson, band: str, name: str, cells: Cells | None) -> Array:
    if cells is None or not np.isfinite(cells.numbers).all():
        raise ValueError(f"{band}{name} has cells on State that are not numbers.")
    shape = layout.config.parameter_shapes()[name]
    if len(shape) == 1:
        return cells.numbers.ravel()
    own: Array = np.ascontiguousarray(layout.tensor(band + name).own_shape(cells.numbers))
    return own


def _one(name: str, cells: Cells | None) -> float | str:
    if cells is None:
        raise ValueError(f"{name} is missing.")
    return cells.texts[0, 0] if (0, 0) in cells.texts else float(cells.numbers[0, 0])


def _number(name: str, cells: Cells | None) -> float:
    value = _one(name, cells)
    if isinstance(value, str) or not math.isfinite(value):
        raise ValueError(f"{name} holds {value!r:.80}, not a number.")
    return value


def _as_whole(value: float | str) -> float | str:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _whole(name: str, cells: Cells | None, least: int = 0, most: int = 1 << 31) -> int:
    value = _number(name, cells)
    if not least <= value <= most or value != int(value):
        raise ValueError(f"{name} holds {value!r:.80}, not a whole number from {least} to {most}.")
    return int(value)


def _texts(cells: Cells | None, n: int) -> tuple[str, ...]:
    return tuple("" if cells is None else cells.texts.get((i, 0), "") for i in range(n))


def _ids(layout: Lesson, listed: Sequence[str], found: Mapping[str, Cells | None]) -> tuple[tuple[int, ...], ...]:
    """Of each word, as the formulas find them."""
    if layout.letters:
        for i, word in enumerate(listed, 1):
            spelled = word.strip(" ").lower()
            if len(spelled) > layout.longest or not all(letter in LETTERS for letter in spelled):
                raise ValueError(f"word number {i}, {word!r:.40}, must have up to {layout.longest} letters a to z.")
        return tuple(tuple(spell(word.strip(" ").lower())) for word in listed)
    lengths, ids = found["word_lengths"], found["word_ids"]
    assert lengths is not None
    assert ids is not None
    result = []
    for i, n in enumerate(lengths.numbers.ravel()):
        own = ids.numbers[i, : int(n)] if 0 <= n <= layout.longest else np.array([np.nan])
        if not all(0 <= each < layout.config.n_vocab and each == int(each) for each in own):
            raise ValueError(f"word number {i + 1} has no valid token ids on the sheet Words.")
        result.append(tuple(int(each) for each in own))
    return tuple(result)


def _weight(layout: Lesson, found: Mapping[str, Cells | None]) -> tuple[str, int, int]:
    name = str(_one("weight_tensor", found["weight_tensor"]))
    shapes = layout.config.parameter_shapes()
    if name not in shapes:
        raise ValueError(f"One weight asks for a tensor {name!r:.40}, which is none of the list beside it.")
    area = layout[name]
    i, j = (
        _whole(n, found[n], 0, most - 1) for n, most in (("weight_row", area.n_rows), ("weight_column", area.n_columns))
    )
    return name, i, j


def pasted(moment: Moment, state: adam.State, losses: Sequence[float]) -> Moment:
    """The moment with another state, as after steps."""
    return replace(moment, now=state, losses=tuple(losses)[-moment.layout.room :])
