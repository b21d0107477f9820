"""Where the difference between two texts sits: one part of one run at a time put into the run of the other text.

Activation patching, as TransformerLens does it (`patching.get_act_patch_resid_pre` and its like): the text's run is
changed, the other run gives. `resid` is the stream that enters a block, `attention` all of a block's heads, `mlp` what
the MLP writes, and a number that head of every block; each at one position. `heads` is each head at all positions.
A patch's effect as a share of the way is (y' - y) / (y_other - y) of the measured logit: 0 changes nothing, 1 makes it
the other run's. Sources: Meng and others (2022), Wang and others (2022); see `sheetgpt.gpt2.editing.edits`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import DEFAULT, Checkpoint, load
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.editing.edits import Edits, Part, Patch
from sheetgpt.inspection.subject import Model, subject
from sheetgpt.inspection.sweep import Effect, Progress, Score, logits_from, measured, score

RESID, ATTENTION, MLP, HEADS = "resid", "attention", "mlp", "heads"
PARTS = (RESID, ATTENTION, MLP, HEADS)
NO_WAY = 1e-9  # two runs whose logits differ by less have no way between them


@dataclass(frozen=True)
class PatchSweep:
    """`effects` has, for each part that was asked for, its patches in the order of blocks, then positions or heads."""

    tokens: tuple[str, ...]  # the text's, as they are shown
    position: int
    token: int
    token_shown: str
    minus: int | None
    minus_shown: str | None
    other_tokens: tuple[str, ...]
    plain: Score
    other: Score  # of the other run, at its own last position or at the same one
    effects: dict[str, tuple[Effect, ...]]

    @property
    def way(self) -> float:
        """From this run's logit to the other's."""
        return self.other.logit - self.plain.logit

    @property
    def in_shares(self) -> bool:
        """Whether there is a way to be a share of."""
        return abs(self.way) > NO_WAY

    def frame(self, part: str = RESID) -> pd.DataFrame:
        """Blocks x positions, or blocks x heads: the share of the way; without a way, the change of the logit."""
        found = self.effects[part]
        values = np.array([e.logit for e in found]) / (self.way if self.in_shares else 1)
        n_blocks = 1 + max(e.block for e in found)
        table = values.reshape(n_blocks, -1)
        names = [f"head {j}" for j in range(table.shape[1])] if part == HEADS else self.tokens[: table.shape[1]]
        rows = pd.Index([f"block {i}" for i in range(n_blocks)], name="block")
        return pd.DataFrame(table, rows, pd.Index(names, name="head" if part == HEADS else "token"))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def patch_sweep(
    model: Model = DEFAULT,
    prompt: str | None = None,
    *,
    patch_from: str | Sequence[int],
    ids: Sequence[int] | None = None,
    position: int | None = None,
    token: int | str | None = None,
    minus: int | str | None = None,
    parts: Sequence[str | int] = PARTS,
    progress: Progress | None = None,
) -> PatchSweep:
    """What each part, taken from a run of `patch_from` (a text or ids), changes in the run of the prompt.

    `sheetgpt.patch_sweep("stories", "The girl lost", patch_from="The boy lost", token="her", minus="his").frame()`.
    `parts`: any of resid, attention, mlp, heads, and heads' numbers. Positions are matched by number; the rest is as
    in `sheetgpt.sweep`. Raises SheetGPTError for bad input.
    """
    checkpoint = model if isinstance(model, Checkpoint) else load(model)
    wanted = [part_of(part, checkpoint.config) for part in parts]
    text = subject(checkpoint, prompt, ids)
    given = (patch_from, None) if isinstance(patch_from, str) else (None, list(patch_from))
    other = subject(checkpoint, *given)
    runs = measured(checkpoint, text, position, token, minus)
    there = len(other.ids) - 1 if position is None else min(runs.position, len(other.ids) - 1)
    theirs = logits_from(text.config.n_layer, text.params, text.config, other.trace, there)
    n_shared = min(len(text.ids), len(other.ids))
    plans = {str(part): [*_patches(part, text.config, n_shared)] for part in wanted}
    n, so_far, effects = sum(map(len, plans.values())), 0, {}
    for name, plan in plans.items():
        tell = None if progress is None else lambda done, _, before=so_far: progress(before + done, n)
        effects[name] = tuple(runs.effects(plan, len(plan), tell, other.trace))
        so_far += len(plan)
    found = score(theirs, runs.token, runs.minus)
    return PatchSweep(**runs.labels, other_tokens=tuple(other.tokens), plain=runs.plain, other=found, effects=effects)


def part_of(part: str | int, config: GPT2Config) -> str | int:
    """One of PARTS or a head's number. Raises SheetGPTError for what is neither."""
    if str(part) in PARTS:
        return part
    if str(part).isascii() and str(part).isdigit() and int(part) < config.n_head:
        return int(part)
    raise SheetGPTError(
        f"There is no part {part!r}: the parts are {', '.join(PARTS)}, and the heads 0 to {config.n_head - 1}."
    )


def _patches(part: str | int, config: GPT2Config, n: int) -> Iterator[tuple[int, Part, int | None, Edits]]:
    """Every patch of one part, with the block, part and position that it goes by."""
    all_heads = range(config.n_head)
    for i in range(config.n_layer):
        if part == HEADS:
            for j in all_heads:
                yield i, j, None, Edits(patches=tuple(Patch(i, j, t) for t in range(n)))
            continue
        heads: Sequence[Part] = all_heads if part == ATTENTION else (part,)
        for t in range(n):
            yield i, part, t, Edits(patches=tuple(Patch(i, one, t) for one in heads))
