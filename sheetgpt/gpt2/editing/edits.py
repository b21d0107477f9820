"""Changes to a run of the model, as plain data: parts switched off or turned up, the stream steered, parts taken from
another run.

- A switch multiplies what a head or an MLP adds to the stream: 1 leaves it as it is, 0 is an ablation. In the mode
  `mean` it multiplies the difference from the average over the positions so far, so that 0 leaves this average (mean
  ablation, causal). An MLP's output has its bias; a head's is its mixture of values, before c_proj.
- Steering adds factor * (wte[plus] - wte[minus]) to the stream that enters a block, from a position on (Turner et al.
  2023, "Activation addition", with the embeddings in the place of a run's activations); or, `at` a position, factor *
  (the other run's stream there - this run's), which begins at that position at the earliest.
- A patch takes a part's output, or the stream that enters a block, at one position from another run (activation
  patching; Meng et al. 2022, Wang et al. 2022). Positions are matched by index; a patch at a position that one of the
  two runs doesn't have does nothing. A patch has the last word.

`sheetgpt.gpt2.model.forward` calls `Changes.__call__` at each of these places.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.model import Array, Trace

Part = int | str  # a head's number, "mlp", or (of patches only) "resid": the stream that enters the block

ZERO, MEAN = "zero", "mean"


@dataclass(frozen=True)
class Steering:
    """`factor` * (the embedding of `plus` - that of `minus`), added before `block` from position `start` on.

    `at`: in place of the tokens, of which there is none then, the other run's stream at this position less this run's.
    """

    block: int
    plus: int | None
    minus: int | None
    factor: float
    start: int = 0
    at: int | None = None

    @property
    def first(self) -> int:
        """The first position that it reaches."""
        return self.start if self.at is None else max(self.start, self.at)


@dataclass(frozen=True)
class Patch:
    """What `part` of `block` gave at `position` in the other run."""

    block: int
    part: Part
    position: int


@dataclass(frozen=True)
class Edits:
    """`switches`: (block, head or "mlp") -> factor; what isn't there is 1."""

    switches: Mapping[tuple[int, Part], float] = field(default_factory=dict)
    mode: str = ZERO
    steering: tuple[Steering, ...] = ()
    patches: tuple[Patch, ...] = ()

    def __bool__(self) -> bool:
        return bool(any(factor != 1 for factor in self.switches.values()) or self.steering or self.patches)

    @property
    def takes(self) -> bool:
        """Whether it needs another run."""
        return bool(self.patches) or any(s.at is not None for s in self.steering)

    def check(self, config: GPT2Config) -> None:
        """Raises SheetGPTError for a block, part, token, position or factor that the model doesn't have."""
        if self.mode not in (ZERO, MEAN):
            raise SheetGPTError(f"A part that is off leaves {ZERO} or its {MEAN}, not {self.mode!r}.")
        factors = [*self.switches.values(), *(s.factor for s in self.steering)]
        if not all(math.isfinite(factor) for factor in factors):
            raise SheetGPTError("A factor must be a finite number.")
        places = [*self.switches, *((s.block, "resid") for s in self.steering)]
        for block, part in [*places, *((p.block, p.part) for p in self.patches)]:
            if not 0 <= block < config.n_layer:
                raise SheetGPTError(f"There is no block {block}: the model's are 0 to {config.n_layer - 1}.")
            if isinstance(part, int) and not 0 <= part < config.n_head:
                raise SheetGPTError(
                    f"There is no head {part} in block {block}: its heads are 0 to {config.n_head - 1}."
                )
        named = [*((part, ("mlp",)) for _, part in self.switches), *((p.part, ("mlp", "resid")) for p in self.patches)]
        for part, parts in named:
            if isinstance(part, str) and part not in parts:
                raise SheetGPTError(f"There is no part {part!r} here: give a head's number, or {' or '.join(parts)}.")
        for token in (token for s in self.steering for token in (s.plus, s.minus)):
            if token is not None and not 0 <= token < config.n_vocab:
                raise SheetGPTError(f"There is no token {token}: the model's are 0 to {config.n_vocab - 1}.")
        for steer in self.steering:
            if (steer.plus is None) == (steer.at is None) or (steer.at is not None and steer.minus is not None):
                raise SheetGPTError("Steering adds a token's embedding or the difference of two runs: give one.")
        at = (s.at for s in self.steering if s.at is not None)
        for position in (*at, *(s.start for s in self.steering), *(p.position for p in self.patches)):
            if not 0 <= position < config.n_positions:
                raise SheetGPTError(f"There is no position {position}: the model's are 0 to {config.n_positions - 1}.")


@dataclass(frozen=True)
class Changes:
    """The edits, with what they need to be applied. `other`: the trace of the run that patches take from.

    `raw` and `made` hold, after a run, each activation that may be edited as it came and as it left, by its name.
    """

    edits: Edits
    config: GPT2Config
    wte: Array
    other: Trace | None = None
    raw: Trace = field(default_factory=dict, compare=False, repr=False)
    made: Trace = field(default_factory=dict, compare=False, repr=False)

    def __call__(self, name: str, value: Array) -> Array:
        """The activation `name`, edited.  [features, T] -> same"""
        i, what = re.fullmatch(r"h(\d+)\.(resid_pre|attn\.z|mlp\.out)", name).groups()  # type: ignore[union-attr]
        self.raw[name] = value
        self.made[name] = self._edited(int(i), what, value.copy())
        return self.made[name]

    def _edited(self, block: int, what: str, value: Array) -> Array:
        if what == "resid_pre":
            raw = self.raw[f"h{block}.resid_pre"]
            for steer in (s for s in self.edits.steering if s.block == block):
                value[:, steer.first :] += self._direction(steer, raw)[:, None]
        rows = self._rows(what)
        for part, band in rows.items():
            factor = self.edits.switches.get((block, part), 1.0)
            if factor != 1:
                value[band] = self._switched(value[band], factor)
        for patch in self.edits.patches:
            if patch.block == block and patch.part in rows:
                theirs, t = self._theirs(block, what), patch.position
                if t < min(value.shape[1], theirs.shape[1]):
                    value[rows[patch.part], t] = theirs[rows[patch.part], t]
        return value

    def _rows(self, what: str) -> dict[Part, slice]:
        """The parts in an activation, and the rows of each."""
        if what == "attn.z":
            size = self.config.head_size
            return {j: slice(j * size, (j + 1) * size) for j in range(self.config.n_head)}
        return {"resid" if what == "resid_pre" else "mlp": slice(None)}

    def _switched(self, value: Array, factor: float) -> Array:
        if self.edits.mode == ZERO:
            return factor * value
        mean = np.cumsum(value, axis=1) / np.arange(1, value.shape[1] + 1)
        y: Array = mean + factor * (value - mean)
        return y

    def _direction(self, steer: Steering, raw: Array) -> Array:
        """What is added to each of the columns.  [n_embd]"""
        if steer.at is not None:
            theirs = self._theirs(steer.block, "resid_pre")
            if steer.at >= min(theirs.shape[1], raw.shape[1]):
                return np.zeros_like(raw[:, 0])  # one of the runs doesn't have it yet
            apart: Array = steer.factor * (theirs[:, steer.at] - raw[:, steer.at])
            return apart
        plus = self.wte[steer.plus].astype(raw.dtype)
        minus = 0 if steer.minus is None else self.wte[steer.minus].astype(raw.dtype)
        y: Array = steer.factor * (plus - minus)
        return y

    def _theirs(self, block: int, what: str) -> Array:
        if self.other is None:
            raise SheetGPTError("A patch takes something from another run: there is none.")
        if what != "resid_pre":
            return self.other[f"h{block}.{what}"]
        return self.other["embed" if block == 0 else f"h{block - 1}.resid_post"]


def check_lengths(patches: Sequence[Patch], n_tokens: int, n_other: int) -> None:
    """Raises SheetGPTError for a patch at a position that one of the two runs doesn't have."""
    for patch in patches:
        if patch.position >= min(n_tokens, n_other):
            raise SheetGPTError(
                f"A patch takes position {patch.position}, and the two texts have {n_tokens} and {n_other} tokens."
            )
