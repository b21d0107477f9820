"""Recalculates a workbook in LibreOffice for a prompt and reads what it wrote, and what could come next."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sheetgpt.engines import Cells, Step, cached, libreoffice, seconds
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.editing.edit_words import EditWords, edits_of
from sheetgpt.gpt2.editing.edits import Edits
from sheetgpt.gpt2.generation.continuation import continue_ids
from sheetgpt.gpt2.generation.generate import with_text
from sheetgpt.gpt2.generation.sampling import Choice
from sheetgpt.gpt2.model import as_cells
from sheetgpt.ooxml.reading.foreign import not_loaded
from sheetgpt.sheets.grid import LANE
from sheetgpt.sheets.inputs import LINE_BREAK, Inputs
from sheetgpt.sheets.lab.screws import Lab, with_edits
from sheetgpt.workbook.checkpoints import built_from
from sheetgpt.workbook.reopen import Workbook, open_workbook
from sheetgpt.workbook.state import write
from sheetgpt.workbook.yellow.inputs import check_room, token_ids, with_prompt, with_settings
from sheetgpt.workbook.yellow.lab import write as write_changed


@dataclass(frozen=True)
class NextToken:
    """One line of the table: `shown` writes a space as ·."""

    id: int
    shown: str
    logit: float
    probability: float


@dataclass(frozen=True)
class Written:
    """A token that the workbook chose: `share` is its probability among the `candidates` that it was chosen from."""

    id: int
    shown: str
    share: float
    uniform: float
    candidates: int


@dataclass(frozen=True)
class Prediction:
    """What the workbook makes of a prompt: the tokens in its columns, what it wrote, and what may come next `after` a
    position of the text, the one that its Home asks about: at first the prompt's last.
    """

    ids: tuple[int, ...]
    n_prompt: int
    prompt: str
    completion: str
    temperature: float
    message: str
    written: tuple[Written, ...]
    next_tokens: tuple[NextToken, ...]
    after: int = 0
    after_shown: str = ""  # the token there
    not_loaded: tuple[str, ...] = ()  # what the workbook would have fetched or run
    changed: "Prediction | None" = None  # lane B's, where something is changed there
    divergence: float | None = None  # of lane B from lane A, KL(A || B) in bits

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def run(
    workbook: str | os.PathLike[str],
    *,
    prompt: str | None = None,
    ids: Sequence[int] | None = None,
    chat: str | None = None,
    new_tokens: int | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    edits: Edits | EditWords | None = None,
    patch_from: str | Sequence[int] | None = None,
    timeout: float = 600,
    on_text: Callable[[str], None] | None = None,
) -> Prediction:
    """Puts the inputs in, recalculates in LibreOffice, reads what the workbook wrote and the table of its Home sheet.

    The workbook's own formulas turn the text into ids and choose the tokens. What isn't given stays as the file holds
    it. With `edits`, or a text to `patch_from`, lane B is changed accordingly (a workbook of `build(lanes=2)`), and the
    result has it as `changed`; lane A reads the text to patch from, or else the same prompt. With `on_text` the tokens
    are written one recalculation after the other, and each one's text is handed over as soon as it is there. Raises
    SheetGPTError for bad input, in the workbook's own words where it has them, or when LibreOffice is missing.
    """
    timeout = seconds(timeout)
    book = open_workbook(workbook)
    inputs = with_settings(
        with_prompt(book.inputs, book.layout, prompt, ids, chat),
        **{"new_tokens": new_tokens, "temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed},
    )
    names = [*_NAMES, *(["completion"] if book.layout.reads_text else [])]
    changes = edits is not None or patch_from is not None
    puts: dict[str, Any] = {}
    if changes:
        inputs, lab = lanes_of(book, inputs, edits, patch_from)
        check_room(lab.inputs(inputs, book.layout), book.layout)
        puts = lab.cells(book.layout)
    check_room(inputs, book.layout)
    puts = inputs.cells(book.layout) | puts
    theirs = [LANE + name for name in names] if changes else []
    _check_names(book.path, [*names, *theirs, *puts])
    if on_text is None:
        read = [*names, *theirs, *(["lab_divergence"] if changes else [])]
        found = libreoffice.recalculate(Path(workbook), puts, read, timeout=timeout)
    else:
        found = _one_by_one(book, inputs, names, timeout, on_text)
    result = replace(_prediction(workbook, found, names, inputs), not_loaded=not_loaded(book.path))
    if not changes:
        return result
    own = {name: found[LANE + name] for name in names}
    bits = found["lab_divergence"]
    return replace(
        result,
        changed=_prediction(workbook, own, names, lab.inputs(inputs, book.layout)),
        divergence=None if bits is None else float(bits.numbers[0, 0]),
    )


def lanes_of(
    book: Workbook, inputs: Inputs, edits: Edits | EditWords | None, patch_from: str | Sequence[int] | None
) -> tuple[Inputs, Lab]:
    """Lane A's inputs, and what goes into the sheet Lab. `inputs`: of the text that is changed."""
    layout = book.layout
    if layout.lanes == 1:
        raise SheetGPTError(
            f"{book.path.name} has one lane, in which nothing can be changed: build it with `sheetgpt build --lab`."
        )
    if isinstance(edits, EditWords):
        edits = edits_of(edits, layout.config, built_from(book).tokenizer if edits.steer else None)
    lab = with_edits(replace(book.lab, prompt="", user_says="", ids=inputs.ids, settings={}), edits or Edits(), layout)
    if patch_from is None:
        return inputs, lab
    if layout.reads_text and not (inputs.prompt or inputs.user_says or inputs.ids):
        raise SheetGPTError("An empty prompt of lane B's would be lane A's, the text to patch from: give it as --ids.")
    text, ids = (patch_from, None) if isinstance(patch_from, str) else (None, patch_from)
    chat = None
    if inputs.user_says:  # wrapped as what is said to lane B
        text, chat = None, text
    return with_prompt(inputs, layout, text, ids, chat), replace(lab, prompt=inputs.prompt, user_says=inputs.user_says)


def _prediction(
    workbook: str | os.PathLike[str], found: Mapping[str, Cells | None], names: Sequence[str], inputs: Inputs
) -> Prediction:
    """One lane's."""
    cells = {name: c for name in names if (c := found[name]) is not None}
    missing = next((name for name in names if name not in cells), None)
    if missing is not None:
        raise SheetGPTError(f"{workbook} has no range {missing!r}: build it again.")
    tokens = [int(i) for i in cells["token_ids"].numbers.ravel() if i == i]
    message = cells["message"].texts.get((0, 0), "")
    if not tokens:
        raise SheetGPTError(message or f"{workbook} shows no token ids.")
    next_tokens = _next_tokens(cells)
    if not next_tokens:
        raise SheetGPTError(f"{workbook} shows no next token; `sheetgpt verify` finds out what is wrong.")
    n_prompt = int(cells["n_prompt"].numbers[0, 0])
    completion = cells["completion"].texts.get((0, 0), "") if "completion" in cells else ""
    completion = completion.replace(LINE_BREAK, "\n")
    text = cells["prompt_text"].texts.get((0, 0), "").replace(LINE_BREAK, "\n")
    after = int(cells["next_used"].numbers[0, 0])
    shown = cells["token_text"].texts.get((0, after), "")
    written = _written(cells, n_prompt, len(tokens))
    heat = inputs.sampling.temperature
    return Prediction(tuple(tokens), n_prompt, text, completion, heat, message, written, next_tokens, after, shown)


def _check_names(path: Path, names: Sequence[str]) -> None:
    """Names that were damaged, or made, to cover a whole sheet; a table of 64 ranks has a million cells at most."""
    found = cached.package(path).names
    for name in names:
        area = found.get(name.upper())
        if area is not None and area.n_cells > MAX_NAMED:
            raise SheetGPTError(f"{name} covers {area.n_cells:,} cells in {path}: build it again.")


def _one_by_one(
    book: Workbook, inputs: Inputs, names: Sequence[str], timeout: float, on_text: Callable[[str], None]
) -> dict[str, Cells | None]:
    """Everything once without new tokens, then one more at a time: each recalculation is one more column's."""
    shown, room = "", book.layout.context - inputs.new_tokens

    def after(found: dict[str, Cells | None]) -> None:
        nonlocal shown
        given, cell = found["n_given"], found.get("completion")
        if given is not None and given.numbers[0, 0] > room:
            raise SheetGPTError(
                "The prompt and the new tokens don't fit into the columns, so they can't be streamed: ask "
                "for fewer --new-tokens."
            )
        text = ("" if cell is None else cell.texts.get((0, 0), "")).rstrip("\ufffd").replace(LINE_BREAK, "\n")
        on_text(text[len(shown) :])
        shown = text

    first = Step(inputs.cells(book.layout) | {"new_tokens": 0}, [*names, "n_given"])
    more = [Step({"new_tokens": n}, [*names, "n_given"], hard=False) for n in range(1, inputs.new_tokens + 1)]
    return libreoffice.session(book.path, [first, *more], timeout=timeout, after=after).results[-1]


MAX_NAMED = 1 << 20
_NAMES = (
    *("message", "token_ids", "token_text", "n_prompt", "prompt_text"),
    *("top_ids", "top_tokens", "top_logits", "top_probs"),
    "next_used",
    *("sample_chosen_prob", "sample_uniform", "sample_kept"),
)


def _next_tokens(cells: Mapping[str, Cells]) -> tuple[NextToken, ...]:
    lines = []
    for k in range(cells["top_ids"].numbers.shape[0]):
        token, logit, probability = (float(cells[n].numbers[k, 0]) for n in ("top_ids", "top_logits", "top_probs"))
        if token == token:
            lines.append(NextToken(int(token), cells["top_tokens"].texts.get((k, 0), ""), logit, probability))
    return tuple(lines)


def _written(cells: Mapping[str, Cells], n_prompt: int, n_tokens: int) -> tuple[Written, ...]:
    """The token in column t was chosen in column t - 1."""
    kept = np.isfinite(cells["sample_kept"].numbers).sum(axis=0)
    return tuple(
        Written(
            int(cells["token_ids"].numbers[0, t]),
            cells["token_text"].texts.get((0, t), ""),
            float(cells["sample_chosen_prob"].numbers[0, t - 1]),
            float(cells["sample_uniform"].numbers[0, t - 1]),
            int(kept[t - 1]),
        )
        for t in range(n_prompt, n_tokens)
    )


def evaluate(
    workbook: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | None = None,
    prompt: str | None = None,
    ids: Sequence[int] | None = None,
    chat: str | None = None,
    **settings: Any,
) -> Iterator[tuple[int, str, Choice]]:
    """The NumPy evaluator's own continuation of the same prompt, token by token, on the numbers that the cells hold.

    Settings as in `run`. Yields id, text and choice.
    """
    book = open_workbook(workbook)
    checkpoint = built_from(book, model)
    inputs = with_settings(with_prompt(book.inputs, book.layout, prompt, ids, chat), **settings)
    start = token_ids(inputs, checkpoint.tokenizer, book.layout)
    params = {name: as_cells(tensor) for name, tensor in checkpoint.params.items()}
    end = book.layout.end_of_text
    choices = continue_ids(params, checkpoint.config, start, inputs.sampling, inputs.new_tokens, end)
    return with_text(checkpoint.tokenizer, choices, inputs.new_tokens, end, book.layout.chat is not None)


def evaluate_changed(
    workbook: str | os.PathLike[str],
    edits: Edits | EditWords | None,
    patch_from: str | Sequence[int] | None = None,
    *,
    model: str | os.PathLike[str] | None = None,
    prompt: str | None = None,
    ids: Sequence[int] | None = None,
    chat: str | None = None,
    **settings: Any,
) -> list[int]:
    """What the NumPy evaluator writes in lane B: the ids of the same prompt's continuation under the same edits."""
    book = open_workbook(workbook)
    checkpoint = built_from(book, model)
    inputs = with_settings(with_prompt(book.inputs, book.layout, prompt, ids, chat), **settings)
    other, lab = lanes_of(book, inputs, edits, patch_from)
    params = {name: as_cells(tensor) for name, tensor in checkpoint.params.items()}
    start = token_ids(other, checkpoint.tokenizer, book.layout)
    trace = write(params, params, other, start, book.layout).trace
    own = lab.inputs(other, book.layout)
    start = token_ids(own, checkpoint.tokenizer, book.layout)
    writing, _ = write_changed(params, params, lab, own, start, book.layout, trace)
    return [*writing.ids[writing.n_prompt :]]
