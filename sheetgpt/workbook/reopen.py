"""A finished workbook, read back: its config and layout, the inputs in its yellow cells, any tensor as a DataFrame."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sheetgpt.engines import Cells, cached
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.edits import ZERO
from sheetgpt.gpt2.quantize import EXACT, Cost
from sheetgpt.gpt2.sampling import Sampling
from sheetgpt.sheets import lay_out, starts
from sheetgpt.sheets.grid import LANE
from sheetgpt.sheets.home.about import NO_TOKEN
from sheetgpt.sheets.inputs import DEFAULTS, EXAMPLE, UTF8_EXAMPLE, Inputs, cell_text, whole_number
from sheetgpt.sheets.lab.screws import SETTINGS, Lab, untouched
from sheetgpt.sheets.layout import CHAT, INPUTS, NO_SHEETS, ROUNDING, Layout, defined_name
from sheetgpt.sheets.optional import Value
from sheetgpt.sheets.state import Built, Origin
from sheetgpt.text.chat import Chat
from sheetgpt.workbook.limits import check_described
from sheetgpt.workbook.optional import named, ordered

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


def open_workbook(path: str | os.PathLike[str]) -> Workbook:
    """Reads the Model sheet and the inputs.

    Raises SheetGPTError when the file is no workbook of sheetgpt's.
    """
    path = Path(path)
    if is_lesson(path):
        raise SheetGPTError(f"{path} is a workbook that learns: sheetgpt train, verify, check and info take it.")
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
    found = {name: _scalar(found) for name, found in cells.items() if found is not None and name in said}
    try:
        shapes = ("n_vocab", "n_positions", "n_embd", "n_layer", "n_head", "n_inner")
        sizes = {name: _whole(name, found[name]) for name in shapes}
        config = GPT2Config(
            **sizes,
            layer_norm_epsilon=float(found["layer_norm_epsilon"]),
            activation_function=str(found["activation_function"]),
            tied=bool(_whole("tied", found["tied"], 0, 1)),
        )
        context, n_bytes, rounds = (_whole(name, found[name]) for name in _SIZES)
        if rounds and not n_bytes:
            raise ValueError(f"merge_rounds holds {rounds} and prompt_bytes 0")
        end = _end_of_text(cells["end_of_text"], config.n_vocab)
        inside = ordered(named(str(found.get(_SHEETS, NO_SHEETS)), _SHEETS))
        before, after = cells[CHAT[0]], cells[CHAT[1]]
        chat = None if before is None or after is None else Chat(*(cell_text(_text(c)) for c in (before, after)))
        weights = str(found.get("weights", EXACT))
        lanes = _whole("lanes", found.get("lanes", 1), 1, 2)
        reads_only = bool(_whole("reads_only", found.get("reads_only", 0), 0, 1))
        layout = lay_out(config, context, n_bytes, rounds, end, weights, inside, chat, lanes, reads_only)
        cost = None
        if layout.weights != EXACT:
            largest, rms, top_1 = (_real(name, found[name]) for name in ROUNDING[1:4])
            cost = Cost(largest, rms, top_1, _whole("compared_tokens", found["compared_tokens"]))
        check_described(layout, len(contents.sheets), contents.size)
    except (TypeError, ValueError, OverflowError, KeyError, SheetGPTError) as error:
        raise DamagedWorkbook(f"The Model sheet of {path} doesn't hold a valid config: {error}.") from error
    prompt, ids = cell_text(_text(cells["prompt"])), _ids(cells["prompt_ids"])
    settings = {name: _number(cells[name], DEFAULTS[name]) for name in INPUTS}
    return Workbook(
        path,
        str(found["model"]),
        str(found["fingerprint"]),
        layout,
        prompt,
        ids,
        settings,
        _ids(cells["token_ids"]),
        tuple(name for name in (*_INPUTS, *_texts(layout)) if cells[name] is None),
        cost,
        _built(cells, cost),
        (_text(cells["by_hand_text"]), _text(cells["by_hand_utf8"])),
        _chosen(path, layout),
        cell_text(_text(cells["user_says"])) if layout.chat else "",
        _axes(cells[_AXES], layout.config.n_embd),
        lab_of(path, layout) if layout.lanes == 2 else Lab(),
    )


def _whole(name: str, value: float | str, least: int = 0, most: int = 1 << 31) -> int:
    """The cell's whole number: a part of one that int() would drop is damage, too."""
    if isinstance(value, str) or not least <= value <= most or value != int(value):
        raise ValueError(f"{name} holds {value!r:.80}, not a whole number from {least} to {most}")
    return int(value)


def _real(name: str, value: float | str) -> float:
    """The cell's number."""
    if isinstance(value, str):
        raise ValueError(f"{name} holds {value!r:.80}, not a number")
    return value


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


def _chosen(path: Path, layout: Layout) -> dict[str, Value]:
    """What stands in the yellow cells of the optional sheets, whatever it is."""
    at_first = starts(layout)
    cells = cached.recalculate(path, {}, [*at_first]) if at_first else {}
    return {name: at_first[name] if found is None else _typed(found) for name, found in cells.items()}


def lab_of(path: Path, layout: Layout) -> Lab:
    """What stands in the yellow cells of the sheet Lab, whatever it is."""
    start = Lab(switches=untouched(layout))
    cells = cached.recalculate(path, {}, [*start.cells(layout)])

    def lines(name: str, otherwise: tuple[tuple[Value, ...], ...]) -> tuple[tuple[Value, ...], ...]:
        found = cells.get(name)
        if found is None or found.numbers.shape != (len(otherwise), len(otherwise[0])):
            return otherwise
        return tuple(tuple(_entry(found, i, j) for j in range(len(line))) for i, line in enumerate(otherwise))

    def one(name: str, otherwise: Value) -> Value:
        return lines(name, ((otherwise,),))[0][0]

    (first,), (second,) = lines("lab_tokens", (("",), ("",)))
    return Lab(
        cell_text(_text(cells.get("lab_prompt"))),
        cell_text(_text(cells.get("lab_user_says"))),
        _ids(cells.get(f"{LANE}prompt_ids")),
        {name: value for name in SETTINGS if (value := one(f"lab_{name}", "")) != ""},
        one("lab_restore", 0),
        one("lab_mode", ZERO),
        lines("lab_switches", start.switches),
        lines("lab_steering", start.steering),
        lines("lab_patches", start.patches),
        (first, second),
    )


def _entry(cells: Cells, i: int, j: int) -> Value:
    """A number, a text, or "" where the cell is empty."""
    value = cells.texts.get((i, j), float(cells.numbers[i, j]))
    return "" if value != value else value


def _typed(cells: Cells) -> Value:
    """A number, a text, or "" where the cell is empty."""
    value = _scalar(cells)
    return "" if value != value else value


def _axes(cells: Cells | None, n_embd: int) -> NDArray[Any] | None:
    """What the map's centre and directions were at build time; edited weights don't move them."""
    if cells is None or cells.numbers.shape != (n_embd, 3) or not np.isfinite(cells.numbers).all():
        return None
    return cells.numbers


def _built(cells: Mapping[str, Cells | None], cost: Cost | None) -> Built:
    """Whatever these cells hold: what is wrong with them shows when the sheet is compared."""
    default = (0, *astuple(Sampling()))
    found = _numbers(cells["built_settings"], default)
    new, heat, top_k, top_p, seed = found if len(found) == len(default) else default
    settings: Any = SimpleNamespace(temperature=heat, top_k=top_k, top_p=top_p, seed=seed)
    text = cell_text(_text(cells["built_prompt"]))
    inputs: Any = SimpleNamespace(new_tokens=new, sampling=settings)
    return Built(inputs, _ids(cells["built_ids"]), np.array(_numbers(cells["built_logits"], (0,))), cost, text)


def _numbers(cells: Cells | None, otherwise: Sequence[float]) -> Sequence[float]:
    return otherwise if cells is None else cells.numbers.ravel().tolist()


def _scalar(cells: Cells) -> float | str:
    return cells.texts[0, 0] if (0, 0) in cells.texts else float(cells.numbers[0, 0])


def _number(cells: Cells | None, otherwise: float) -> float:
    """The cell's number; a blank cell counts as 0, a text is no number."""
    if cells is None:
        return otherwise
    value = float(cells.numbers[0, 0])
    return 0.0 if math.isnan(value) and not cells.texts else value


def _text(cells: Cells | None) -> str:
    """The cell's text; a number as a spreadsheet joins it to a text."""
    if cells is None or (0, 0) in cells.texts:
        return "" if cells is None else cells.texts[0, 0]
    value = float(cells.numbers[0, 0])
    return "" if math.isnan(value) else f"{value:.15g}"


def _ids(cells: Cells | None) -> tuple[int, ...]:
    """The ids up to the first cell that holds none."""
    ids = []
    for value in [] if cells is None else cells.numbers.ravel():
        if not math.isfinite(value) or value != int(value):
            break
        ids.append(int(value))
    return tuple(ids)


def read(path: str | os.PathLike[str], tensor: str) -> pd.DataFrame:
    """A tensor of the trace (or a parameter) as the file holds it, its columns labelled with the tokens.

    `tensor` is a name of the trace such as "h0.attn.probs.3" or a defined name such as "h0_attn_probs_3". Attention
    has tokens on both axes. Raises SheetGPTError for a name that the workbook doesn't have.
    """
    workbook = open_workbook(path)
    bands = {defined_name(name): areas for name, areas in workbook.layout.names.items() if len(areas) > 1}
    keys = [area.reference for area in bands.get(defined_name(tensor), [])] or [defined_name(tensor)]
    cells = cached.recalculate(Path(path), {}, [*keys, "token_text"])
    found = cells[keys[0]]
    if len(keys) > 1:  # the bands of a vocabulary lie side by side
        found = Cells(np.concatenate([part.numbers for key in keys if (part := cells[key])], axis=1), {})
    if found is None:
        raise SheetGPTError(f"{path} has no tensor {tensor!r}; `sheetgpt info {path}` lists the names.")
    frame = pd.DataFrame(found.numbers)
    if found.texts:
        frame = frame.astype(object)
        for (i, j), text in found.texts.items():
            frame.iat[i, j] = text
    layout = workbook.layout
    axes = {defined_name(name): record.axes for name, record in layout.records.items()}.get(defined_name(tensor), ())
    labels = _labels(cells, len(workbook.ids))
    if axes[-1:] == ("token",):
        frame = frame.iloc[:, : len(labels)]
        frame.columns = pd.Index(labels, name="token")
    if axes[:1] == ("key",):
        frame = frame.iloc[: len(labels)]
        frame.index = pd.Index(labels, name="key")
    return frame


def _labels(cells: Mapping[str, Cells | None], n: int) -> list[str]:
    strings = cells["token_text"]
    return [str(t) if strings is None else strings.texts.get((0, t), "") for t in range(n)]
