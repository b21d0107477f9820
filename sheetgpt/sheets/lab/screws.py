"""What stands in the yellow cells of the sheet Lab, as plain data, and what it comes to.

A `Lab` is lane B's part of the inputs: its text and settings where they are not lane A's, and what is changed in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.editing.edits import MEAN, ZERO, Edits, Part, Patch, Steering
from sheetgpt.sheets.grid import LANE
from sheetgpt.sheets.inputs import Inputs, prompt_cell, whole_number
from sheetgpt.sheets.inside.token_words import id_now
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.tensor import Value

N_STEERING, N_PATCHES = 2, 8
START = "from position"
STEERING = ("block", "plus", "minus", "factor", START, "at")
WORDS = ("plus", "minus")  # of these, those that take a word, too
PATCH = ("block", "part", "position")
SETTINGS = ("new_tokens", "temperature", "top_k", "top_p", "seed")
MLP, RESID = "mlp", "resid"

Lines = tuple[tuple[Value, ...], ...]


def blank(n_lines: int, n_cells: int) -> Lines:
    return (("",) * n_cells,) * n_lines


NO_STEERING, NO_PATCHES = blank(N_STEERING, len(STEERING)), blank(N_PATCHES, len(PATCH))


@dataclass(frozen=True)
class Lab:
    """Lab's yellow cells as they are. An empty setting, or text, is lane A's; a line that isn't understood is left out.

    `switches`: a row a block, the heads and then the MLP.
    """

    prompt: str = ""
    user_says: str = ""
    ids: tuple[int, ...] = ()  # typed on Home, in lane B's columns
    settings: Mapping[str, Value] = field(default_factory=dict)  # those that aren't empty
    restore: Value = 0
    mode: Value = ZERO
    switches: Lines = ()
    steering: Lines = NO_STEERING
    patches: Lines = NO_PATCHES
    tokens: tuple[Value, ...] = ("", "")  # whose logits are compared

    @property
    def restored(self) -> bool:
        """Whether all is to be as it is in lane A, whatever the other cells say."""
        return self.restore == 1

    def inputs(self, other: Inputs, layout: Layout) -> Inputs:
        """Lane B's, where `other` are lane A's. Raises SheetGPTError for a setting out of its range."""
        numbers = {name: self.settings.get(name, "") for name in SETTINGS}
        given: dict[str, Any] = {name: whole_number(value) for name, value in numbers.items() if value != ""}
        sampling = replace(other.sampling, **{name: value for name, value in given.items() if name != "new_tokens"})
        says = self.user_says or ("" if self.prompt else other.user_says)
        return replace(
            other,
            prompt=(self.prompt or other.prompt) if layout.reads_text else "",
            ids=self.ids,
            user_says=says if layout.chat is not None else "",
            new_tokens=given.get("new_tokens", other.new_tokens),
            sampling=sampling,
        )

    def in_ids(self, hexes: Sequence[str]) -> "Lab":
        """With the ids of the words that are typed; one that is no token's stays a word. `hexes`: of each token."""

        def id_of(value: Value) -> Value:
            found = id_now(value, hexes)
            return value if found is None else found

        def line_of(line: tuple[Value, ...]) -> tuple[Value, ...]:
            return tuple(id_of(value) if name in WORDS else value for name, value in zip(STEERING, line, strict=True))

        first, second = self.tokens
        return replace(self, steering=tuple(map(line_of, self.steering)), tokens=(id_of(first), id_of(second)))

    def edits(self, layout: Layout) -> Edits:
        """What is in effect, of ids."""
        if self.restored:
            return Edits()
        config = layout.config
        switches: dict[tuple[int, Part], float] = {}
        for i, line in enumerate(self.switches):
            for j, factor in enumerate(line):
                if isinstance(factor, int | float) and factor != 1:
                    switches[i, j if j < config.n_head else MLP] = float(factor)
        steering = tuple(line for line in self.steered(layout) if line is not None)
        patches = tuple(line for line in self.patched(layout) if line is not None)
        return Edits(switches, MEAN if is_mean(self.mode) else ZERO, steering, patches)

    def steered(self, layout: Layout) -> list[Steering | None]:
        """What each line of steering comes to; None for one that is empty or left out."""
        return [None if self.restored else steering_of(line, layout) for line in self.steering]

    def patched(self, layout: Layout) -> list[Patch | None]:
        """And each line of patching."""
        return [None if self.restored else patch_of(line, layout) for line in self.patches]

    def cells(self, layout: Layout) -> dict[str, Any]:
        """Defined names, and the values to put into them, row by row."""
        texts = {"lab_prompt": prompt_cell(self.prompt)} if layout.reads_text else {}
        texts |= {"lab_user_says": prompt_cell(self.user_says)} if layout.chat is not None else {}
        settings = {f"lab_{name}": _put(self.settings.get(name, "")) for name in SETTINGS}
        lines = {"lab_switches": self.switches, "lab_steering": self.steering, "lab_patches": self.patches}
        flat = {name: [_put(value) for line in found for value in line] for name, found in lines.items()}
        single = {"lab_restore": _put(self.restore), "lab_mode": _put(self.mode)}
        tokens = {"lab_tokens": [_put(value) for value in self.tokens]}
        return texts | {LANE + "prompt_ids": [*self.ids]} | settings | single | flat | tokens


def _put(value: Value) -> Value | None:
    return None if value == "" else value


def untouched(layout: Layout) -> Lines:
    """All switches at 1."""
    return ((1,) * (layout.config.n_head + 1),) * layout.config.n_layer


def with_edits(lab: Lab, edits: Edits, layout: Layout) -> Lab:
    """The cells that stand for these edits. Raises SheetGPTError for more lines than the sheet has."""
    edits.check(layout.config)
    for what, found, most in (("steering", edits.steering, N_STEERING), ("patches", edits.patches, N_PATCHES)):
        if len(found) > most:
            raise SheetGPTError(f"The sheet Lab has {most} lines for {what}, and these would be {len(found)}.")
    width = layout.config.n_head
    switches = tuple(
        tuple(edits.switches.get((i, j if j < width else MLP), 1) for j in range(width + 1))
        for i in range(layout.config.n_layer)
    )
    steering: list[tuple[Value, ...]] = [
        (s.block, *("" if x is None else x for x in (s.plus, s.minus)), s.factor, s.start, "" if s.at is None else s.at)
        for s in edits.steering
    ]
    patches: list[tuple[Value, ...]] = [(p.block, p.part, p.position) for p in edits.patches]
    return replace(
        lab,
        restore=0,
        mode=edits.mode,
        switches=switches,
        steering=(*steering, *blank(N_STEERING - len(steering), len(STEERING))),
        patches=(*patches, *blank(N_PATCHES - len(patches), len(PATCH))),
    )


def is_mean(mode: Value) -> bool:
    return isinstance(mode, str) and mode.lower() == MEAN


def below(value: Value, limit: int) -> int | None:
    """A whole number from 0 on and below the limit; None for anything else."""
    value = whole_number(value)
    if not isinstance(value, int) or not 0 <= value < limit:
        return None
    return int(value)


def steering_of(line: Sequence[Value], layout: Layout) -> Steering | None:
    """None where the line is empty or names something that the model doesn't have."""
    config = layout.config
    block, plus = below(line[0], config.n_layer), below(line[1], config.n_vocab)
    minus = None if line[2] == "" else below(line[2], config.n_vocab)
    start = 0 if line[4] == "" else below(line[4], config.n_positions)
    if block is None or start is None or isinstance(line[3], str):
        return None
    if line[5] != "":
        at = below(line[5], config.n_positions)
        return None if at is None or line[1] != "" or line[2] != "" else Steering(block, None, None, line[3], start, at)
    if plus is None or (minus is None and line[2] != ""):
        return None
    return Steering(block, plus, minus, float(line[3]), start)


def part_number(part: Value, n_head: int) -> int | None:
    """A head's own number, then the MLP, then the stream."""
    if isinstance(part, str):
        return {MLP: n_head, RESID: n_head + 1}.get(part.lower())
    return below(part, n_head)


def patch_of(line: Sequence[Value], layout: Layout) -> Patch | None:
    config = layout.config
    block, position = below(line[0], config.n_layer), below(line[2], config.n_positions)
    number = part_number(line[1], config.n_head)
    if block is None or position is None or number is None:
        return None
    part: Part = number if number < config.n_head else (MLP, RESID)[number - config.n_head]
    return Patch(block, part, position)


def patch_key(patch: Patch, layout: Layout) -> int:
    """One number for a patch: block, part and position."""
    config = layout.config
    number = part_number(patch.part, config.n_head)
    assert number is not None
    return (patch.block * (config.n_head + 2) + number) * config.n_positions + patch.position


def settings_of(inputs: Inputs) -> dict[str, float]:
    return {"new_tokens": inputs.new_tokens, **asdict(inputs.sampling)}
