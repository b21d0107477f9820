"""A training workbook: a new GPT-2 or a checkpoint, and words or a text -> the file; and the file -> its moment."""

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
from sheetgpt.gpt2.learning.loss import between_ends, windows
from sheetgpt.gpt2.learning.new import new_params
from sheetgpt.gpt2.model import Array
from sheetgpt.ooxml.limits import MAX_ROW
from sheetgpt.ooxml.writing import target
from sheetgpt.ooxml.writing.book import Book, Progress
from sheetgpt.sheets.style.palette import registered
from sheetgpt.sheets.training import lay_out, lesson, sheets
from sheetgpt.sheets.training import words as words_sheet
from sheetgpt.sheets.training.bands import BANDS
from sheetgpt.sheets.training.first import WRITING
from sheetgpt.sheets.training.lesson import TRAINING, Lesson, Moment
from sheetgpt.sheets.training.settings import SETTINGS
from sheetgpt.text.shown import token_strings
from sheetgpt.text.words import END, LETTERS, N_VOCAB, NAMES, read_words, spell
from sheetgpt.workbook.build import add, plain
from sheetgpt.workbook.reopen import DamagedWorkbook
from sheetgpt.workbook.training.examples import tokens_of, words_of
from sheetgpt.workbook.training.limits import fitting, listing, with_steps

NO_END = -1  # where no token ends a text


def build_lesson(
    model: str | os.PathLike[str] | Checkpoint | None = None,
    output: str | os.PathLike[str] | None = None,
    *,
    words: str | os.PathLike[str] | None = None,
    text: str | os.PathLike[str] | None = None,
    layers: int = 1,
    width: int = 16,
    heads: int = 4,
    positions: int | None = None,
    tied: bool = True,
    seed: int = 0,
    unroll: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Writes a workbook in which a GPT-2 learns, and returns its path.

    The default is workbooks/names-train.xlsx, of a checkpoint workbooks/<model>-train.xlsx.

    Without a `model` a new one, of so many `layers`, `heads` and `positions`, `width` numbers a token, its weights
    drawn from the `seed`, learns the letters a to z; `words` is a file with one word a line, by default first names. A
    checkpoint learns on with its own tokenizer, in so many `positions` as are asked for, or 12: either such words, or a
    `text`, a file whose tokens are cut into windows of so many positions. A window's last token is the next one's
    first, and no mark stands between them; the last window may be shorter.

    With `unroll` so many steps stand in the workbook one after another, all on the same word or window, so that a
    change of the learning rate shows at once what it does to all of them (default: workbooks/names-unrolled.xlsx).
    """
    if words is not None and text is not None:
        raise SheetGPTError("--words and --text are two things to learn from: give one of them.")
    if model is None and text is not None:
        raise SheetGPTError(
            "--text needs a MODEL, whose tokenizer reads it; a new one knows the letters a to z and no space: name a"
            " small checkpoint, or give --words."
        )
    checkpoint = model if model is None or isinstance(model, Checkpoint) else load(model)
    name = "names" if checkpoint is None else plain(Path(checkpoint.name).name)
    usual = Path("workbooks", f"{name}-{'train' if unroll is None else 'unrolled'}.xlsx")
    path = Path(output) if output is not None else usual
    given = {"the list of words": words, "the text": text}
    own: dict[str, Sequence[str | os.PathLike[str]]] = {w: [] if file is None else [file] for w, file in given.items()}
    own |= {"one of the checkpoint's own files": () if checkpoint is None else checkpoint.files}
    target.check(path, "-o", own, makes_folders=True)
    if checkpoint is None:
        moment = new_moment(words, layers, width, heads, 12 if positions is None else positions, tied, seed, unroll)
    else:
        moment = moment_of(checkpoint, words, text, positions, unroll)
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
    file = NAMES if words is None else Path(words)
    listed = read_words(file, positions - 1)
    layout = listing(replace(layout, n_words=len(listed), end=END), str(file), f"{len(listed):,} words")
    shown = ("⟨end⟩", *LETTERS)
    runs = tuple(between_ends(spell(word), END) for word in listed)
    start, source = adam.start(new_params(config, seed)), f"new, seed {seed}"
    return Moment(layout, start, settings_of(layout), (), tuple(listed), runs, shown, source=source)


def moment_of(
    checkpoint: Checkpoint,
    words: str | os.PathLike[str] | None,
    text: str | os.PathLike[str] | None,
    positions: int | None,
    unroll: int | None = None,
) -> Moment:
    """Step 0 of a checkpoint that learns on."""
    config, tokenizer = checkpoint.config, checkpoint.tokenizer
    if tokenizer is None:
        raise SheetGPTError(f"{checkpoint.name} has no tokenizer files, and what it learns has to become tokens.")
    file = words if text is None else text
    if file is None:
        raise SheetGPTError(f"{checkpoint.name} needs something to learn from: give --words FILE or --text FILE.")
    if text is None and not checkpoint.stop_ids:
        raise SheetGPTError(f"{checkpoint.name} has no token that ends a text, which stands around each word.")
    columns = min(12, config.n_positions) if positions is None else positions
    if isinstance(columns, bool) or not isinstance(columns, int) or not 2 <= columns <= config.n_positions:
        most = f"from 2 to {config.n_positions}, the positions of {checkpoint.name}"
        raise SheetGPTError(f"--positions {columns!r:.80} must be a whole number {most}.")
    end = checkpoint.stop_ids[0] if checkpoint.stop_ids else NO_END
    layout = lay_out(config, columns, letters=False, end=end, text=text is not None)
    layout = with_steps(fitting(layout), unroll)
    shown, _ = token_strings(tokenizer, config.n_vocab)
    if text is None:
        listed, runs = words_of(Path(file), tokenizer, layout)
        layout = listing(replace(layout, n_words=len(runs)), str(file), f"{len(runs):,} words")
    else:
        tokens = tokens_of(Path(file), tokenizer)
        runs = windows(tokens, columns)
        layout = replace(layout, n_words=len(runs))
        listing(layout, str(file), f"{len(tokens):,} tokens in {len(runs):,} windows of {columns}")
        listed = ["".join(shown[i] for i in run) for run in runs]
    start = adam.start({name: np.asarray(tensor) for name, tensor in checkpoint.params.items()})
    source = checkpoint.name or "a checkpoint"
    return Moment(layout, start, settings_of(layout), (), tuple(listed), tuple(runs), tuple(shown), source=source)


def settings_of(layout: Lesson) -> Settings:
    """At first: the few steps of an unrolled workbook have no time to warm up."""
    return Settings(learning_rate=0.01, warm_up=0, schedule="constant") if layout.unroll else Settings()


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
    text = "RUNNING_TEXT" in cached.package(path).names
    found = _cells(path, [*shapes, *words_sheet.LESSON, *(words_sheet.UNROLLED if unrolled else ())])
    try:
        config = GPT2Config(
            **{name: _whole(name, found[name]) for name in shapes[:6]},
            layer_norm_epsilon=_number("layer_norm_epsilon", found["layer_norm_epsilon"]),
            activation_function=str(_one("activation_function", found["activation_function"])),
            tied=bool(_whole("tied", found["tied"], 0, 1)),
        )
        context, n_words, spells, room = (_whole(n, found[n]) for n in ("context", "n_words", "spells", "room"))
        end = _whole("end", found["end"], NO_END if text else 0)
        more: dict[str, Any] = {"letters": bool(spells), "text": text, "room": max(room, 1)}
        layout = fitting(lay_out(config, context, n_words=n_words, end=end, **more))
        if text and spells:
            raise ValueError("a text has no words that are spelled")
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
        runs = _runs(layout, listed, found)
        shown = _texts(found["vocabulary"], layout.config.n_vocab)
        moment = Moment(layout, state, settings, lost, listed, runs, shown, source=source)
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


def _runs(layout: Lesson, listed: Sequence[str], found: Mapping[str, Cells | None]) -> tuple[tuple[int, ...], ...]:
    """Of each word or window, as the formulas find them."""
    if layout.letters:
        for i, word in enumerate(listed, 1):
            spelled = word.strip(" ").lower()
            if len(spelled) > layout.longest or not all(letter in LETTERS for letter in spelled):
                raise ValueError(f"word number {i}, {word!r:.40}, must have up to {layout.longest} letters a to z.")
        return tuple(between_ends(spell(word.strip(" ").lower()), layout.end) for word in listed)
    lengths, ids = found["word_lengths"], found["word_ids"]
    assert lengths is not None
    assert ids is not None
    result = []
    for i, n in enumerate(lengths.numbers.ravel()):
        own = ids.numbers[i, : int(n)] if 2 <= n <= layout.context + 1 else np.array([np.nan])
        if not all(0 <= each < layout.config.n_vocab and each == int(each) for each in own):
            raise ValueError(
                f"{layout.example} number {i + 1} has no valid token ids on the sheet {layout.list_sheet}."
            )
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
