"""The screws on the sheet Lab: switches, steering and patching; and beside each line what it comes to.

A line that is empty, or names something that the model doesn't have, is left out; the status says so.
"""

from collections.abc import Callable, Sequence
from typing import Any

from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import letters
from sheetgpt.sheets.block import Block, Colour, Formula, Part
from sheetgpt.sheets.formulas import text_at
from sheetgpt.sheets.lab.bench import Bench, column, takes_index, yellow
from sheetgpt.sheets.lab.screws import (
    MLP,
    N_PATCHES,
    N_STEERING,
    PATCH,
    RESID,
    STEERING,
    below,
    part_number,
    patch_key,
    patch_of,
    steering_of,
)
from sheetgpt.sheets.lab.token_cells import SPELLED, spelled_head, spelled_ids
from sheetgpt.sheets.page import Bar, Beside, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.choosers import whole_below
from sheetgpt.sheets.style.looks import put, stands_out
from sheetgpt.sheets.tensor import Value

SWITCH_WORDS = "1: as it is.  0: off.  Any other factor turns a part up or down, or, below 0, around."
STEER_WORDS = "before the block, the stream gains factor × (plus − minus: words, or ids of Vocabulary) or × (A − B)"
PATCH_WORDS = "take a part's output from lane A at one position: part is a head's number, mlp, or resid (the stream)"


def heads(*words: str) -> Texts:
    """A header row, from the first column on; a column without a word has no head."""
    return Texts({at: word for at, word in enumerate(words, 1) if word})


def screws(name: str, title: str, find: Callable[[State], Any], size: tuple[int, int], *takes: Colour) -> Block:
    """Lines of yellow cells, each with its title."""
    rows, columns = size
    looks: dict[str, Any] = {"label": lambda i: f"{title} {i + 1}", "label_style": "name"}
    return yellow(name, find, 2, *takes, rows=rows, columns=columns, **looks)


def marked(it: Bench, in_use: str, off: int) -> Colour:
    """A line that changes something, marked."""

    def add(frame: Worksheet, area: Area) -> None:
        flag = it.page[in_use]
        put(frame, area, stands_out(f"${letters(flag.column)}{flag.row}<>{off}"))

    return add


def if_restored(it: Bench, value: int, otherwise: str) -> str:
    return f"IF({it.cell('restore')}=1,{value},{otherwise})"


def left_out(it: Bench, name: str, sound: Callable[[int], str]) -> Formula:
    """1 for a line that says something and is left out."""
    return lambda k, _: f"IF(COUNTA({it.page[name].line(k).local})=0,0,IF({sound(k)},0,1))"


def missing(odd: Callable[[int], str], needs: Callable[[int], Sequence[tuple[str, str]]]) -> Formula:
    """What a line that is left out lacks: the names of the conditions that don't hold."""

    def formula(k: int, _: int) -> str:
        said = "&".join(f'IF({holds},"",", {name}")' for name, holds in needs(k))
        return f'IF({odd(k)}=1,MID({said},3,99),"")'

    return formula


def switches(it: Bench) -> list[Part]:
    """A factor for each head and for the MLP of each block."""
    config = it.config

    def mark(frame: Worksheet, area: Area) -> None:
        first = area.line(0).stripe(0).cells
        put(frame, area, stands_out(f"IF(ISNUMBER({first}),{first}<>1,FALSE)"))

    looks: dict[str, Any] = {"label": lambda i: f"block {i}", "label_style": "name"}
    size: dict[str, int] = {"rows": config.n_layer, "columns": config.n_head + 1}
    return [
        Bar("Switches", SWITCH_WORDS, link="switches"),
        heads("block", *(f"head {j}" for j in range(config.n_head)), "MLP"),
        yellow("switches", lambda state: state.lane_b.lab.switches, 2, mark, **size, **looks),
    ]


def steering(it: Bench) -> list[Part]:
    """Each line with the two tokens, whether it is in use, and whether it is left out."""
    config = it.config

    def needs(k: int) -> list[tuple[str, str]]:
        block, plus, minus, factor, start, at = (it.cell("steering", k, c) for c in range(len(STEERING)))
        lanes = f'AND({plus}="",{minus}="",{whole_below(at, config.n_positions)})'
        return [
            ("block", whole_below(block, config.n_layer)),
            ("plus", f'IF({at}="",{it.cell("plus_id", k)}>=0,TRUE)'),
            ("minus", f'IF({at}="",OR({minus}="",{it.cell("minus_id", k)}>=0),TRUE)'),
            ("factor", f"ISNUMBER({factor})"),
            ("from position", f'OR({start}="",{whole_below(start, config.n_positions)})'),
            ("A − B alone, without tokens", f'IF({at}="",TRUE,{lanes})'),
        ]

    def sound(k: int) -> str:
        return f"AND({','.join(holds for _, holds in needs(k))})"

    def lacks(state: State) -> list[str]:
        return [steering_lacks(line, state) for line in state.lane_b.in_ids.steering]

    def on(k: int, _: int) -> str:
        return if_restored(it, 0, f"IF({sound(k)},1,0)")

    def on_now(state: State) -> list[float]:
        return [float(line is not None) for line in state.lane_b.in_ids.steered(state.layout)]

    def token(at: int, name: str) -> Block:
        """The token that is typed, by a word or an id."""
        c, strings = STEERING.index(name), it.layout["vocab_shown"].reference

        def formula(k: int, _: int) -> str:
            id = it.cell(f"{name}_id", k)
            return f'IF({id}>=0,{text_at(strings, f"{id}+1")},"")'

        def twin(state: State) -> list[str]:
            return [shown_at(state.shown, line[c]) for line in state.lane_b.in_ids.steering]

        return column(at, formula, twin, "token", rows=N_STEERING)

    def ids(at: int, name: str) -> tuple[Block, Block]:
        c = STEERING.index(name)
        typed = lambda state: [line[c] for line in state.lane_b.lab.steering]  # noqa: E731
        return spelled_ids(it, at, name, lambda k: it.cell("steering", k, c), typed, N_STEERING)

    limits = (
        takes_index("Block", config.n_layer, 0),
        takes_index("From position", config.n_positions, 4),
        takes_index("Or lane A less lane B at this position", config.n_positions, 5),
    )
    size, mark = (N_STEERING, len(STEERING)), marked(it, "steering_on", 0)
    words = ("", "block", "plus", "minus", "factor", "from position", "or A − B at", "plus", "minus", "in use")
    return [
        Bar("Steering", STEER_WORDS, link="steering"),
        Beside(heads(*words, "left out", "still needs"), spelled_head()),
        Beside(
            screws("steering", "steering", lambda state: state.lane_b.lab.steering, size, *limits, mark),
            token(8, "plus"),
            token(9, "minus"),
            column(10, on, on_now, "flag", "steering_on", N_STEERING),
            column(11, left_out(it, "steering", sound), odd_steering, "flag", "steering_odd", N_STEERING),
            column(12, missing(lambda k: it.cell("steering_odd", k), needs), lacks, "message", rows=N_STEERING),
            *ids(SPELLED, "plus"),
            *ids(SPELLED + 2, "minus"),
        ),
    ]


def patching(it: Bench) -> list[Part]:
    """Each line with both lanes' token at its position, the number that it comes to, and whether it is left out."""
    config = it.config

    def number(part: str) -> str:
        named = f'IF({part}="{MLP}",{config.n_head},IF({part}="{RESID}",{config.n_head + 1},-1))'
        return f"IF(ISNUMBER({part}),IF({whole_below(part, config.n_head)},{part},-1),{named})"

    def needs(k: int) -> list[tuple[str, str]]:
        block, part, position = (it.cell("patches", k, c) for c in range(len(PATCH)))
        inside = whole_below(block, config.n_layer), whole_below(position, config.n_positions)
        return [("block", inside[0]), ("part", f"{number(part)}>=0"), ("position", inside[1])]

    def sound(k: int) -> str:
        return f"AND({','.join(holds for _, holds in needs(k))})"

    def lacks(state: State) -> list[str]:
        return [patch_lacks(line, state) for line in state.lane_b.lab.patches]

    def key(k: int, _: int) -> str:
        """(block (n_head + 2) + part) n_positions + position; -1 where the line is left out"""
        block, part, position = (it.cell("patches", k, c) for c in range(len(PATCH)))
        found = f"({block}*{config.n_head + 2}+{number(part)})*{config.n_positions}+{position}"
        return if_restored(it, -1, f"IF({sound(k)},{found},-1)")

    def key_now(state: State) -> list[int]:
        found = state.lane_b.in_ids.patched(state.layout)
        return [-1 if patch is None else patch_key(patch, state.layout) for patch in found]

    def token(at: int, lane: int) -> Block:
        """What a lane has at the position."""

        def formula(k: int, _: int) -> str:
            position, strings = it.cell("patches", k, PATCH.index("position")), it.lanes("token_text")[lane].reference
            return f'IF({whole_below(position, it.layout.context)},{text_at(strings, f"1,{position}+1")},"")'

        def twin(state: State) -> list[str]:
            shown = (state, state.lane_b.other)[lane].prompt.shown
            return [shown_at(shown, line[PATCH.index("position")]) for line in state.lane_b.lab.patches]

        return column(at, formula, twin, "token", rows=N_PATCHES)

    limits = takes_index("Block", config.n_layer, 0), takes_index("Position", config.n_positions, 2)
    size, mark = (N_PATCHES, len(PATCH)), marked(it, "patch_keys", -1)
    return [
        Bar("Patching", PATCH_WORDS, link="patching"),
        heads("", *PATCH, "", "", "A's token", "B's token", "key", "left out", "still needs"),
        Beside(
            screws("patches", "patch", lambda state: state.lane_b.lab.patches, size, *limits, mark),
            token(7, 0),
            token(8, 1),
            column(9, key, key_now, "id", "patch_keys", N_PATCHES),
            column(10, left_out(it, "patches", sound), odd_patches, "flag", "patches_odd", N_PATCHES),
            column(11, missing(lambda k: it.cell("patches_odd", k), needs), lacks, "message", rows=N_PATCHES),
        ),
    ]


def shown_at(shown: Sequence[str], typed: Value) -> str:
    """The entry that is typed; nothing where there is none."""
    at = below(typed, len(shown))
    return "" if at is None else shown[at]


def lacking(line: Sequence[Value], holds: Sequence[tuple[str, bool]]) -> str:
    """The twin of `missing`."""
    return ", ".join(name for name, sound in holds if not sound) if any(value != "" for value in line) else ""


def steering_lacks(line: Sequence[Value], state: State) -> str:
    config = state.layout.config
    block, plus, minus, factor, start, at = line

    def fine(value: Value, limit: int) -> bool:
        return below(value, limit) is not None

    alone = plus == "" and minus == "" and fine(at, config.n_positions)
    return lacking(
        line,
        [
            ("block", fine(block, config.n_layer)),
            ("plus", at != "" or fine(plus, config.n_vocab)),
            ("minus", at != "" or minus == "" or fine(minus, config.n_vocab)),
            ("factor", not isinstance(factor, str)),
            ("from position", start == "" or fine(start, config.n_positions)),
            ("A − B alone, without tokens", at == "" or alone),
        ],
    )


def patch_lacks(line: Sequence[Value], state: State) -> str:
    config = state.layout.config
    block, part, position = line
    named = part_number(part, config.n_head) is not None
    inside = below(block, config.n_layer) is not None, below(position, config.n_positions) is not None
    return lacking(line, [("block", inside[0]), ("part", named), ("position", inside[1])])


def odd_steering(state: State) -> list[float]:
    """The twin of `left_out`."""
    lines = state.lane_b.in_ids.steering
    return [float(any(v != "" for v in line) and steering_of(line, state.layout) is None) for line in lines]


def odd_patches(state: State) -> list[float]:
    lines = state.lane_b.lab.patches
    return [float(any(v != "" for v in line) and patch_of(line, state.layout) is None) for line in lines]
