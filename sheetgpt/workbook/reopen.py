"""A finished workbook, read back: what its Model sheet says of it, and the inputs in its yellow cells."""

import os
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.engines import Cells, cached
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.quantize import EXACT, Cost
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.generation.sampling import Sampling
from sheetgpt.sheets import lay_out
from sheetgpt.sheets.home.about import NO_TOKEN
from sheetgpt.sheets.inputs import DEFAULTS, EXAMPLE, UTF8_EXAMPLE, Inputs, cell_text, whole_number
from sheetgpt.sheets.lab.screws import Lab
from sheetgpt.sheets.layout import CHAT, INPUTS, NO_SHEETS, ROUNDING, Layout
from sheetgpt.sheets.optional import Value
from sheetgpt.sheets.state import Built, Origin
from sheetgpt.text.chat import Chat
from sheetgpt.workbook.limits import check_described
from sheetgpt.workbook.optional import named, ordered
from sheetgpt.workbook.yellow.cells import ids_of, number_of, numbers_of, real, scalar_of, text_of, whole
from sheetgpt.workbook.yellow.optional_sheets import chosen_of, lab_of

_INPUTS = ("prompt_ids", *INPUTS)

BUILT = ("built_ids", "built_prompt", "built_settings", "built_logits")
LEARNS = ("STATE", "NEXT", "LEARNING_RATE")  # names that only a workbook has that learns
_SIZES = ("context", "prompt_bytes", "merge_rounds")
_SHEETS = "optional_sheets"
_AXES = "embedding_axes"
_ONLY_WHERE_SO = ("lanes", "reads_only")


class DamagedWorkbook(SheetGPTError):
    """The file was a workbook of sheetgpt's, but what it says of itself can't be read any more."""


@dataclass(frozen=True)
class Workbook:
    """What a workbook says of itself in its Model sheet, and the inputs that it holds."""

    path: Path
    model: str
    fingerprint: str
    layout: Layout
    prompt: str
    prompt_ids: tuple[int, ...]
    settings: Mapping[str, float]  # the numbers in the yellow cells, by name; whatever they are
    ids: tuple[int, ...]  # of the columns, as the file holds them
    missing: tuple[str, ...] = ()  # inputs whose sheet or name is gone
    cost: Cost | None = None  # what rounding the weights changed, where they are not exact
    built: Built | None = None  # the inputs at build time, and the evaluator's largest logits for them
    by_hand: tuple[str, str] = (EXAMPLE, UTF8_EXAMPLE)  # the texts on the sheet BPE by hand
    chosen: Mapping[str, Value] = field(default_factory=dict)  # what the optional sheets' yellow cells hold
    user_says: str = ""
    axes: NDArray[Any] | None = None  # of the sheet Embedding's map
    lab: Lab = field(default_factory=Lab)  # what the yellow cells of the sheet Lab hold, where there are two lanes

    @property
    def origin(self) -> Origin:
        """The constants of its Model sheet."""
        assert self.built is not None
        return Origin(self.model, self.fingerprint, self.built)

    @property
    def inputs(self) -> Inputs:
        """The yellow cells. Raises SheetGPTError for a setting out of its range."""
        numbers: dict[str, Any] = {name: whole_number(value) for name, value in self.settings.items()}
        sampling = Sampling(*(numbers[name] for name in ("temperature", "top_k", "top_p", "seed")))
        score = numbers["score_prompt"] == 1
        return Inputs(self.prompt, self.prompt_ids, numbers["new_tokens"], sampling, score, self.user_says)


def is_lesson(path: str | os.PathLike[str]) -> bool:
    """Whether the workbook is one that learns (`workbook.lesson`)."""
    names = cached.package(Path(path)).names
    return all(name in names for name in LEARNS)


def _who_takes(lesson: Path) -> str:
    """Where to go with a workbook that learns."""
    if "UNROLL" in cached.package(lesson).names:
        return (
            "has training steps one after another, and takes no prompt: open it in a spreadsheet program and change"
            " its yellow cells. sheetgpt verify, check and info take it; to train one, build it without --unroll."
        )
    return (
        "is a workbook that learns, and takes no prompt: sheetgpt train, verify, check and info take it. For a prompt"
        " let train --save FOLDER write the trained model, and build FOLDER its own workbook."
    )


def open_workbook(path: str | os.PathLike[str]) -> Workbook:
    """Reads the Model sheet and the inputs.

    Raises SheetGPTError when the file is no workbook of sheetgpt's.
    """
    path = Path(path)
    if is_lesson(path):
        raise SheetGPTError(f"{path} {_who_takes(path)}")
    names = [*(f.name for f in fields(GPT2Config)), "model", "fingerprint", *_SIZES, "end_of_text"]
    texts = ("prompt", "user_says", "by_hand_text", "by_hand_utf8")
    optional = (*_INPUTS, *texts, "token_ids", *ROUNDING, *CHAT, *BUILT, _SHEETS, _AXES, *_ONLY_WHERE_SO)
    contents = cached.package(path)
    cells = cached.cells(path, {name: contents.names.get(name.upper()) for name in (*names, *optional)})
    missing = [name for name in names if cells[name] is None]
    if missing:
        problem = (
            f"{path} is not a workbook built by sheetgpt, or its Model sheet is damaged: "
            f"it has no range {missing[0]!r}."
        )
        raise DamagedWorkbook(problem) if any(found is not None for found in cells.values()) else SheetGPTError(problem)
    said = {*names, *ROUNDING, _SHEETS, *_ONLY_WHERE_SO}
    found = {name: scalar_of(found) for name, found in cells.items() if found is not None and name in said}
    try:
        layout = _layout(found, cells)
        cost = None if layout.weights == EXACT else _cost(found)
        check_described(layout, len(contents.sheets), contents.size)
    except (TypeError, ValueError, OverflowError, KeyError, SheetGPTError) as error:
        raise DamagedWorkbook(f"The Model sheet of {path} doesn't hold a valid config: {error}.") from error
    prompt, ids = cell_text(text_of(cells["prompt"])), ids_of(cells["prompt_ids"])
    settings = {name: number_of(cells[name], DEFAULTS[name]) for name in INPUTS}
    return Workbook(
        path,
        str(found["model"]),
        str(found["fingerprint"]),
        layout,
        prompt,
        ids,
        settings,
        ids_of(cells["token_ids"]),
        tuple(name for name in (*_INPUTS, *_texts(layout)) if cells[name] is None),
        cost,
        _built(cells, cost),
        (text_of(cells["by_hand_text"]), text_of(cells["by_hand_utf8"])),
        chosen_of(path, layout),
        cell_text(text_of(cells["user_says"])) if layout.chat else "",
        _axes(cells[_AXES], layout.config.n_embd),
        lab_of(path, layout) if layout.lanes == 2 else Lab(),
    )


def _layout(found: Mapping[str, float | str], cells: Mapping[str, Cells | None]) -> Layout:
    """Raises one of many errors where the cells describe no workbook."""
    shapes = ("n_vocab", "n_positions", "n_embd", "n_layer", "n_head", "n_inner")
    config = GPT2Config(
        **{name: whole(name, found[name]) for name in shapes},
        layer_norm_epsilon=float(found["layer_norm_epsilon"]),
        activation_function=str(found["activation_function"]),
        tied=bool(whole("tied", found["tied"], 0, 1)),
    )
    context, n_bytes, rounds = (whole(name, found[name]) for name in _SIZES)
    if rounds and not n_bytes:
        raise ValueError(f"merge_rounds holds {rounds} and prompt_bytes 0")
    end = _end_of_text(cells["end_of_text"], config.n_vocab)
    inside = ordered(named(str(found.get(_SHEETS, NO_SHEETS)), _SHEETS))
    before, after = cells[CHAT[0]], cells[CHAT[1]]
    chat = None if before is None or after is None else Chat(*(cell_text(text_of(c)) for c in (before, after)))
    weights = str(found.get("weights", EXACT))
    lanes = whole("lanes", found.get("lanes", 1), 1, 2)
    reads_only = bool(whole("reads_only", found.get("reads_only", 0), 0, 1))
    return lay_out(config, context, n_bytes, rounds, end, weights, inside, chat, lanes, reads_only)


def _cost(found: Mapping[str, float | str]) -> Cost:
    """What rounding the weights changed."""
    largest, rms, top_1 = (real(name, found[name]) for name in ROUNDING[1:4])
    return Cost(largest, rms, top_1, whole("compared_tokens", found["compared_tokens"]))


def _texts(layout: Layout) -> list[str]:
    """The inputs that are texts."""
    return [*(["prompt"] if layout.reads_text else []), *(["user_says"] if layout.chat else [])]


def _end_of_text(cells: Cells | None, n_vocab: int) -> tuple[int, ...]:
    """The tokens that end a text; a single -1 says that there is none."""
    found = [] if cells is None else cells.numbers.ravel().tolist()
    if found == [NO_TOKEN]:
        return ()
    if not found or len({*found}) < len(found) or not all(0 <= i < n_vocab and i == int(i) for i in found):
        raise ValueError(f"end_of_text holds {str(found)[:80]}, not ids of tokens")
    return tuple(int(i) for i in found)


def _axes(cells: Cells | None, n_embd: int) -> NDArray[Any] | None:
    """What the map's centre and directions were at build time; edited weights don't move them."""
    if cells is None or cells.numbers.shape != (n_embd, 3) or not np.isfinite(cells.numbers).all():
        return None
    return cells.numbers


def _built(cells: Mapping[str, Cells | None], cost: Cost | None) -> Built:
    """Whatever these cells hold: what is wrong with them shows when the sheet is compared."""
    default = (0, *astuple(Sampling()))
    found = numbers_of(cells["built_settings"], default)
    new, heat, top_k, top_p, seed = found if len(found) == len(default) else default
    settings: Any = SimpleNamespace(temperature=heat, top_k=top_k, top_p=top_p, seed=seed)
    text = cell_text(text_of(cells["built_prompt"]))
    inputs: Any = SimpleNamespace(new_tokens=new, sampling=settings)
    return Built(inputs, ids_of(cells["built_ids"]), np.array(numbers_of(cells["built_logits"], (0,))), cost, text)
