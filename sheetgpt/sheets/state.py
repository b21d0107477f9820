"""What the sheets show, as plain data: the evaluator's numbers and texts for the inputs in the yellow cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from sheetgpt.gpt2 import quantize
from sheetgpt.gpt2.model import Trace
from sheetgpt.gpt2.sampling import Choice
from sheetgpt.inspection.subject import Subject
from sheetgpt.sheets.about import Built
from sheetgpt.sheets.bpe_by_hand import EXAMPLE, UTF8_EXAMPLE
from sheetgpt.sheets.home_prompt import Now
from sheetgpt.sheets.inputs import Inputs
from sheetgpt.sheets.lab_layout import Lab
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.text_layout import Text
from sheetgpt.sheets.token_sheet import Prompt
from sheetgpt.text import bpe


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


@dataclass(frozen=True)
class State:
    """One workbook at one moment. Every sheet is a function of it."""

    layout: Layout
    text: Text | None  # the layouts between text and ids; None where prompts are ids
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

    @cached_property
    def subject(self) -> Subject:
        """The text and the model, for the sheets that look inside."""
        params = quantize.evaluated(self.params)
        return Subject(self.layout.config, params, self.trace, tuple(self.prompt.ids), self.shown)
