"""What a training workbook is made from, as plain data: its sizes, and one moment of the training.

A `Moment` is what the workbook's constants say (step, weights, their running means, losses, examples, settings). All
that its formulas must come to follows from it: the example's forward and backward pass, the step to the next moment,
the second forward pass on the new weights, and what both models write.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.config import LOOKED_UP, GPT2Config
from sheetgpt.gpt2.generation.sampling import COLDEST, HOTTEST, MAX_SEED, check_whole, states
from sheetgpt.gpt2.learning import adam, learn, loss, rounding
from sheetgpt.gpt2.learning.adam import Settings
from sheetgpt.gpt2.learning.loss import Example
from sheetgpt.gpt2.model import Array, Trace, forward
from sheetgpt.sheets.asking import Asking
from sheetgpt.sheets.layout import Layout

TRAINING, STATE, NEXT, FORWARD, LOSS, BACKWARD, GRADIENT = (
    "Training",
    "State",
    "Next",
    "Forward",
    "Loss",
    "Backward",
    "Gradient",
)
AFTER, WRITES, WRITES_AFTER, ONE_WEIGHT, WORDS, TEXT, SHAPES = (
    "After",
    "Writes",
    "Writes after",
    "One weight",
    "Words",
    "Text",
    "Model",
)
STEP = "Step"  # of an unrolled workbook: on a sheet of its own for each step, "Step 1"
ROOM = 1000  # losses that are kept


@dataclass(frozen=True)
class Lesson(Layout):
    """The map of a training workbook: `context` columns take an example, a word or a window of a running text.

    With `letters` a word's ids are found by formulas, by its letters; otherwise they stand beside it, as a window's do.
    """

    n_words: int = 1  # or windows
    text: bool = False  # a running text is learned, not a list of words
    end: int = 0  # the token that stands before a word and after it; after it nothing more is written. -1: none
    letters: bool = True
    room: int = ROOM
    unroll: int = 0  # steps that stand in the workbook, all on one word or window; 0: a single one, on each in turn

    @property
    def longest(self) -> int:
        """Tokens of the longest word that the columns take."""
        return self.context - 1

    @property
    def example(self) -> str:
        """What the sheets call what a step reads."""
        return "window" if self.text else "word"

    @property
    def long(self) -> bool:
        """What is read, or written, may not fit into a cell."""
        return not self.letters or self.context > 14

    @property
    def token(self) -> str:
        return "letter" if self.letters else "token"

    @property
    def list_sheet(self) -> str:
        return TEXT if self.text else WORDS


@dataclass(frozen=True)
class Writing:
    """Whether and how the model shows what it would write."""

    on: bool = True
    seed: int = 0
    temperature: float = 0.8

    def __post_init__(self) -> None:
        check_whole("seed", self.seed, 0, MAX_SEED)
        if not (self.temperature == 0 or COLDEST <= self.temperature <= HOTTEST):
            raise SheetGPTError(f"The temperature must be 0 or between {COLDEST:g} and {HOTTEST}.")


@dataclass(frozen=True)
class Written:
    """What a model writes: the ids it read, the first one given, what it chose after each, and the trace of it all."""

    ids: tuple[int, ...]
    chosen: tuple[int, ...]
    trace: Trace


@dataclass(frozen=True)
class Moment(Asking):
    """A training workbook before its next step."""

    layout: Lesson
    now: adam.State
    settings: Settings
    losses: tuple[float, ...]  # of the last steps that were made, as many as there is room for
    words: tuple[str, ...]  # or windows, as they are shown
    runs: tuple[tuple[int, ...], ...]  # the tokens of each, a word's between two ends
    shown: tuple[str, ...]  # each token of the vocabulary, as it is shown
    writing: Writing = field(default_factory=Writing)
    source: str = ""  # where the weights come from
    weight: tuple[str, int, int] = ("wte", 0, 0)  # the one that is looked at: its tensor, row and column in the cells
    chosen: int = 1  # the number of the one that all steps read, where several stand in the workbook
    computed: tuple[adam.State, ...] = ()  # where a program has computed them: the states that led to its later steps

    @property
    def config(self) -> GPT2Config:
        return self.layout.config

    @property
    def step(self) -> int:
        """The number of the step that the formulas make."""
        return self.now.t + 1

    @property
    def turn(self) -> int:
        """Which word or window it reads."""
        return self.chosen - 1 if self.layout.unroll else learn.turn(self.step, len(self.words))

    @cached_property
    def wanted(self) -> Example:
        return loss.in_columns(self.runs[self.turn], self.layout.context)

    @cached_property
    def examples(self) -> list[Example]:
        """All of them, for many steps."""
        return [loss.in_columns(run, self.layout.context) for run in self.runs]

    @cached_property
    def trace(self) -> Trace:
        """The forward pass of what is read, its loss and all gradients."""
        return learn.gradients(self.now.w, self.config, self.wanted)

    @cached_property
    def next(self) -> adam.State:
        return adam.step(self.now, self.trace, self.settings)

    @cached_property
    def doubts(self) -> adam.Doubts:
        """How well the new state is known."""
        known = rounding.gradient_doubts(self.now.w, self.config, self.trace, self.wanted)
        return adam.doubts(self.now, self.next, known, self.settings)

    @cached_property
    def after(self) -> Trace:
        """The same forward pass and loss on the new weights."""
        trace = forward(self.next.w, self.config, self.wanted.ids)
        return trace | loss.cross_entropy(trace["logits"], self.wanted)

    @cached_property
    def history(self) -> tuple[float, ...]:
        """The losses, this step's too, as far as there is room."""
        return (*self.losses, float(self.trace["loss"]))[-self.layout.room :]

    @cached_property
    def steps(self) -> tuple["Moment", ...]:
        """This moment and those after it, one for each step that stands in the workbook.

        Each begins where the one before it ended: in the state that a program has computed there, or in NumPy's.
        """
        found = [self]
        for k in range(1, self.layout.unroll):
            now = self.computed[k - 1] if k <= len(self.computed) else found[-1].next
            found.append(replace(found[-1], now=now, losses=found[-1].history))
        return tuple(found)

    @cached_property
    def writes(self) -> Written | None:
        return self._written(self.now.w)

    @cached_property
    def writes_after(self) -> Written | None:
        return self._written(self.next.w)

    @cached_property
    def uniforms(self) -> list[int]:
        """Park and Miller's states, one for each token that is chosen."""
        return states(self.writing.seed, self.layout.context)

    def _written(self, params: dict[str, Array]) -> Written | None:
        if not self.writing.on:
            return None
        ids, chosen = [self.wanted.ids[0]], list[int]()  # a word's first is the end
        while True:
            trace = forward(params, self.config, ids)
            uniform = self.uniforms[len(chosen)] / (2**31 - 1)
            chosen.append(draw(trace["logits"][:, -1], self.writing.temperature, uniform))
            if chosen[-1] == self.layout.end or len(ids) == self.layout.context:
                return Written(tuple(ids), tuple(chosen), trace)
            ids.append(chosen[-1])


def shares(logits: Array, temperature: float) -> Array:
    """exp((logit - largest) / temperature) over its sum; at 0 all on the first of the largest.  [n_vocab, ...]"""
    e = weights(logits, temperature)
    found: Array = e / e.sum(axis=0)
    return found


def weights(logits: Array, temperature: float) -> Array:
    """exp((logit - largest) / temperature), before it is divided by its sum.  [n_vocab, ...]"""
    if temperature:
        found: Array = np.exp((logits - logits.max(axis=0)) / temperature)
        return found
    first = logits.argmax(axis=0)
    one: Array = (np.arange(len(logits)).reshape(-1, *[1] * (logits.ndim - 1)) == first).astype(float)
    return one


def draw(logits: Array, temperature: float, uniform: float) -> int:
    """The first token whose running total exceeds the uniform number."""
    return int((np.cumsum(shares(logits, temperature)) <= uniform).sum())


def in_cells(name: str, tensor: Array) -> Array:
    """A parameter as it stands in cells: a vector lies, a token or a position is a column."""
    return tensor[None, :] if tensor.ndim == 1 else tensor.T if name in LOOKED_UP else tensor


def shape_in_cells(name: str, shape: Sequence[int]) -> tuple[int, int]:
    if len(shape) == 1:
        return 1, shape[0]
    return (shape[1], shape[0]) if name in LOOKED_UP else (shape[0], shape[1])
