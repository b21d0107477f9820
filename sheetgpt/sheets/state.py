"""What the sheets show, as plain data: the evaluator's numbers and texts for the inputs in the yellow cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.gpt2.checkpoints import quantize
from sheetgpt.gpt2.checkpoints.quantize import Cost
from sheetgpt.gpt2.generation.sampling import Choice
from sheetgpt.gpt2.model import Trace
from sheetgpt.inspection.subject import Subject
from sheetgpt.sheets.asking import Asking
from sheetgpt.sheets.inputs import EXAMPLE, UTF8_EXAMPLE, Inputs
from sheetgpt.sheets.lab.screws import Lab
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.text.pages import Text
from sheetgpt.text import bpe


@dataclass(frozen=True)
class Prompt:
    """The token columns as they are when the workbook is made: ids and strings of the active ones.

    The first `n_prompt` are given, the rest written by the model from the `seed`.
    """

    ids: Sequence[int]
    shown: Sequence[str]
    context: int
    n_prompt: int
    seed: int = 0

    @property
    def n(self) -> int:
        return len(self.ids)

    def padded(self, values: NDArray[Any], n_rows: int) -> NDArray[Any]:
        """[rows, n] -> [n_rows, context]; what is not active yet is NaN."""
        out = np.full((n_rows, self.context), np.nan)
        out[: values.shape[0], : values.shape[1]] = values
        return out


@dataclass(frozen=True)
class Now:
    """What the Home sheet's cells show when the workbook is made."""

    model: str
    inputs: Inputs
    n_given: int
    prompt_text: str
    completion: str
    logits: NDArray[Any]  # after the position that Home asks about
    surprisal: NDArray[Any]  # [T], bits; NaN where it isn't computed
    shown: Sequence[str]  # by id
    cost: Cost | None = None  # what rounding the weights changed
    doubt: float = 0.0  # how well a probability can be known, relative: of all tokens, at temperature 1
    self_check: str = ""
    after: int = 0  # the position of these logits


@dataclass(frozen=True)
class Built:
    """The inputs at build time, the prompt's ids in the columns, and the evaluator's logits after the prompt."""

    inputs: Inputs
    ids: Sequence[int]
    logits: NDArray[Any]
    cost: Cost | None = None  # what rounding the weights changed, where they are not exact
    text: str = ""  # the prompt in full


@dataclass(frozen=True)
class Origin:
    """What a workbook keeps of where it comes from: constants of its Model sheet."""

    source: str  # the checkpoint, as seen from the workbook's folder
    fingerprint: str
    built: Built


@dataclass(frozen=True)
class LaneB:
    """The second lane: its own state, as if it were alone, what is changed in it, and what the changes make."""

    lab: Lab
    other: "State"
    made: Trace  # of the stream into a block, the heads' mixtures and the MLP's output: what goes on

    @cached_property
    def in_ids(self) -> Lab:
        """What is changed, with ids in place of words."""
        return self.lab.in_ids(self.other.hexes)


@dataclass(frozen=True)
class State(Asking):
    """One workbook at one moment. Every sheet is a function of it."""

    layout: Layout
    text: Text | None  # the pages between text and ids; None where prompts are ids
    inputs: Inputs
    params: Mapping[str, NDArray[Any]]  # as the cells hold them
    trace: Trace
    prompt: Prompt
    choices: Sequence[Choice]
    now: Now
    shown: Sequence[str]  # each token of the vocabulary, as it is shown
    hexes: Sequence[str]  # and its bytes, hexadecimal
    origin: Origin
    read: bpe.Trace | None = None  # how the Tokenizer sheet reads the prompt
    by_hand: tuple[str, str] = (EXAMPLE, UTF8_EXAMPLE)  # the texts on the sheet BPE by hand
    # what the yellow cells of the optional sheets hold, by their names
    chosen: Mapping[str, float | str] = field(default_factory=dict)
    lab: LaneB | None = None  # where there are two lanes
    # the centre and the directions of the sheet Embedding's map, data of the build; found where there are none yet
    axes: NDArray[Any] | None = None  # [n_embd, 3]

    @property
    def lane_b(self) -> LaneB:
        """For the sheets that only a workbook with two lanes has."""
        if self.lab is None:
            raise LookupError("This workbook has one lane.")
        return self.lab

    @cached_property
    def subject(self) -> Subject:
        """The text and the model, for the sheets that look inside."""
        params = quantize.evaluated(self.params)
        return Subject(self.layout.config, params, self.trace, tuple(self.prompt.ids), self.shown)
