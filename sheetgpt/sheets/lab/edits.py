"""The sheet Edits: what the screws of the sheet Lab make of lane B's stream, mixtures of values and MLP outputs.

Twin: `gpt2.edits.Changes`. Each block of lane B computes what it always computes, on its own sheet, and reads here what
becomes of it: factor × value (or, in the mode mean, mean + factor × (value − mean), the mean over the positions so
far), the stream plus what steers it, or lane A's value where a line of Lab patches it. A factor of 1 hands a value on
as it is, to the last bit.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.checkpoints import quantize
from sheetgpt.gpt2.editing.edits import MEAN, Patch, Steering
from sheetgpt.gpt2.editing.edits import Part as Changed
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import letters
from sheetgpt.sheets.block import Block, Formula, Part, unguarded
from sheetgpt.sheets.grid import BIAS, EDITS, FIRST_TOKEN, GAIN, HOME, INDEX, LABEL, LANE, POSITION_ROW
from sheetgpt.sheets.lab.lanes import Move, Redirect
from sheetgpt.sheets.lab.screws import MLP, N_STEERING, RESID, START, STEERING, patch_key
from sheetgpt.sheets.lab.screws import WORDS as TOKENS
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.embed import looked_up
from sheetgpt.sheets.network.token_page import guarded, header, letter
from sheetgpt.sheets.page import Bar, Beside, Page
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.looks import PURPLE, dress, signed

Floats = NDArray[Any]
WORDS = "lane B: what the switches, steering and patches of Lab make of each block's parts"
NOTE = "Lane B. What the knobs on Lab make of it: the stream into a block, the heads' mixtures, the MLP's output."
PARTS: dict[Changed, str] = {MLP: "MLP", RESID: "stream"}  # as their flags call them
HEADS = {INDEX: "row", GAIN: "steering 1", BIAS: "steering 2"}


def page(layout: Layout, screws: Page) -> Page:
    """`screws`: the sheet Lab."""
    it = Edited(layout, screws)
    it.page.add(*directions(it))
    for i in range(layout.config.n_layer):
        it.page.add(*stream(it, i), *heads(it, i), *mlp(it, i))
    return it.page


def n_formulas(layout: Layout) -> int:
    """Nearly all of them: three parts of each block, a position a column, and what steers."""
    config = layout.config
    return (3 * config.n_layer * layout.context + N_STEERING) * config.n_embd


def move(layout: Layout, edits: Page) -> Move:
    """To lane B, whose blocks read what the sheet Edits has made of a part's output."""

    def redirects() -> Iterator[Redirect]:
        for i in range(layout.config.n_layer):
            parts = {"resid_pre": into(layout, i), **{name: layout[f"h{i}.{name}"] for name in ("attn.z", "mlp.out")}}
            for name, area in parts.items():
                yield Redirect(layout.block_sheet(i), area, edits[edited(i, name)])

    return Move(layout, tuple(redirects()))


def edited(i: int, name: str) -> str:
    """The name of what goes on of a part of block i."""
    return f"{LANE}h{i}.{name}.edited"


def into(layout: Layout, i: int) -> Area:
    """The stream that enters block i."""
    return layout["embed" if i == 0 else f"h{i - 1}.resid_post"]


class Edited:
    """What the blocks have in common: they stand in lane B's columns, and read the screws."""

    def __init__(self, layout: Layout, screws: Page) -> None:
        self.layout, self.config, self.screws, self.move = layout, layout.config, screws, Move(layout)
        first, context = self.move.first, layout.context
        self.page = Page(EDITS, WORDS, context, first=first, guard=self.guard, bar_end=first + context - 1)
        self.page.second = Area(EDITS, POSITION_ROW, first, 0, context)
        self.page.links.append(("A2", f"{quoted(HOME)}!A1"))
        self.page.dresses.append(self.dress())
        self.page.add(*header(layout, EDITS, NOTE, HEADS, self.move.area, lambda state: state.lane_b.other.prompt))

    def guard(self, source: str, t: int) -> str:
        """Nothing where lane B's column is not in use."""
        return guarded(source, self.move.step + t)

    def position(self, t: int) -> str:
        return f"{letter(self.move.step + t)}${POSITION_ROW}"

    def at(self, name: str, i: int, t: int) -> str:
        return self.page[name].at(i, t)

    def steering(self, k: int, name: str) -> str:
        """A yellow cell of a line of steering."""
        return self.screws["steering"].line(k).stripe(STEERING.index(name)).reference

    def flags(self, name: str, label: Callable[[int], str], formula: Formula, twin: Any, n: int, **looks: Any) -> Block:
        looks = {"style": "flag", **looks}
        return Block(name, n, label=label, formula=formula, twin=twin, numbered=False, named=False, **looks)

    def patched(self, name: str, i: int, parts: Sequence[Changed]) -> Block:
        """Whether a line of Lab takes a part from lane A at the column's position, where lane A has one."""
        firsts = [patch_key(Patch(i, part, 0), self.layout) for part in parts]

        def formula(j: int, t: int) -> str:
            keys, active = self.screws["patch_keys"].reference, self.layout["active"].at(0, t, "")
            return f"IF({active}=1,IF(COUNTIF({keys},{firsts[j]}+{self.position(t)})>0,1,0),0)"

        def twin(state: State) -> Floats:
            lane, n = state.lane_b, state.prompt.n
            known = {patch_key(p, state.layout) for p in lane.in_ids.patched(state.layout) if p is not None}
            columns = range(lane.other.prompt.n)
            return np.array([[t < n and first + t in known for t in columns] for first in firsts], float)

        def label(j: int) -> str:
            return f"{PARTS.get(parts[j], f'head {parts[j]}')}: lane A's?"

        return self.flags(name, label, formula, twin, len(parts))

    def goes_on(self, i: int, name: str, label: str, formula: Formula) -> Block:
        """What becomes of a part.  [n_embd, T]"""

        def twin(state: State) -> Floats:
            return state.lane_b.made[f"h{i}.{name}"]

        looks: dict[str, Any] = {"label": label, "numbered": True, "colours": [signed(2)]}
        return Block(edited(i, name), self.config.n_embd, formula=formula, twin=twin, **looks)

    def dress(self) -> Callable[[Worksheet], None]:
        """Narrow where lane A has its columns on other sheets."""
        narrow = dict.fromkeys(range(FIRST_TOKEN, self.move.first), 1)
        widths = {LABEL: 26, INDEX: 7, GAIN: 11, BIAS: 11} | narrow
        return dress(widths, PURPLE, f"{letters(FIRST_TOKEN)}6")


def so_far(area: Area, r: int, t: int) -> str:
    """Row r from the first position to the formula's own: the range grows as it fills right."""
    return f"{quoted(area.sheet)}!${area.at(r)}:{area.at(r, t)}"


def lines_now(state: State) -> list[Steering | None]:
    """What each line of steering comes to."""
    return state.lane_b.in_ids.steered(state.layout)


def directions(it: Edited) -> list[Part]:
    """factor × (wte[plus] − wte[minus]), a column for each line of steering; 0 where the line is not in use."""
    wte = it.layout.tensor("wte")

    def embedding(r: int, id: str) -> str:
        scale = f"*INDEX({it.layout[wte.scales].reference},{id}+1)" if wte.scales else ""
        return looked_up(wte.areas, r, id) + scale

    def formula(r: int, k: int) -> str:
        factor = it.steering(k, "factor")
        plus, minus = (it.screws[f"{name}_id"].line(k).reference for name in TOKENS)
        less = f"IF({minus}>=0,{embedding(r, minus)},0)"
        on = f"IF({it.screws['steering_on'].line(k).reference}=1,{plus}>=0,FALSE)"
        return f"IF({on},{factor}*({embedding(r, plus)}-{less}),0)"

    def twin(state: State) -> Floats:
        names = [name for name in ("wte", quantize.scale_name("wte")) if name in state.params]
        rows = quantize.evaluated({name: state.params[name] for name in names})["wte"]
        found = np.zeros((it.config.n_embd, N_STEERING))
        for k, line in enumerate(lines_now(state)):
            if line is not None and line.plus is not None:
                minus = 0 if line.minus is None else rows[line.minus].astype(float)
                found[:, k] = line.factor * (rows[line.plus].astype(float) - minus)
        return found

    words = "factor × (the embedding of one token − that of the other): added to the stream of lane B"
    place: dict[str, Any] = {"n_columns": N_STEERING, "column": GAIN, "guard": unguarded, "fills": False}
    looks: dict[str, Any] = {"label": "what is added", "numbered": True}
    return [
        Bar("steering", words, column=GAIN),
        Block("lab_directions", it.config.n_embd, formula=formula, twin=twin, **place, **looks),
    ]


def stream(it: Edited, i: int) -> list[Part]:
    """The stream that enters the block: as the block before left it, plus what steers it, or lane A's."""
    here, apart, patched = (f"h{i}.{name}" for name in ("steered", "apart", "stream_patched"))
    x = into(it.layout, i)
    own = it.move.area(x)

    def formula(r: int, t: int) -> str:
        """x + sum over lines of here * direction + apart * (lane A's x at a position - lane B's x there)"""
        words, lanes = "", ""
        for k in range(N_STEERING):
            words += f"+{it.at(here, k, t)}*{it.page['lab_directions'].line(r).stripe(k).local}"
            theirs, ours = (f"INDEX({so_far(one, r, t)},1,{it.steering(k, 'at')}+1)" for one in (x, own))
            lanes += f"+IF({it.at(apart, k, t)}=0,0,{it.at(apart, k, t)}*({theirs}-{ours}))"
        return f"IF({it.at(patched, 0, t)}=1,{x.at(r, t, EDITS)},{own.at(r, t, EDITS)}{words}{lanes})"

    words = "The stream that enters the block, plus what steers it; or lane A's, where it is patched.  [n_embd, T]"
    return [
        Bar(f"block {i}: stream", words, link=f"block {i}", column=GAIN),
        steered(it, i, here),
        by_lanes(it, i, here, apart),
        it.patched(patched, i, [RESID]),
        it.goes_on(i, "resid_pre", "stream", formula),
    ]


def steered(it: Edited, i: int, name: str) -> Block:
    """Whether a line of steering reaches this block's column: from its position on."""

    def formula(k: int, t: int) -> str:
        on, block, start = it.screws["steering_on"].line(k).reference, it.steering(k, "block"), it.steering(k, START)
        return f"IF({on}=1,IF({block}={i},IF({it.position(t)}>={start},1,0),0),0)"

    def twin(state: State) -> Floats:
        columns = range(state.lane_b.other.prompt.n)
        starts = [line.start if line is not None and line.block == i else len(columns) for line in lines_now(state)]
        return np.array([[t >= start for t in columns] for start in starts], float)

    return it.flags(name, lambda k: f"steering {k + 1} here?", formula, twin, N_STEERING)


def by_lanes(it: Edited, i: int, here: str, name: str) -> Block:
    """The factor of a line that adds what lane A has at a position more than lane B, in the columns that it reaches."""

    def formula(k: int, t: int) -> str:
        factor, at = it.steering(k, "factor"), it.steering(k, "at")
        there = f"INDEX({so_far(it.layout['active'], 0, t)},1,{at}+1)=1"
        reached = f"IF({it.position(t)}>={at},IF({there},{factor},0),0)"
        return f"IF({it.at(here, k, t)}=1,IF(ISNUMBER({at}),{reached},0),0)"

    def twin(state: State) -> Floats:
        found = np.zeros((N_STEERING, state.lane_b.other.prompt.n))
        for k, line in enumerate(lines_now(state)):
            if line is not None and line.block == i and line.at is not None and line.at < state.prompt.n:
                found[k, line.first :] = line.factor
        return found

    return it.flags(name, lambda k: f"{k + 1}: × (A − B)", formula, twin, N_STEERING, style="share")


def heads(it: Edited, i: int) -> list[Part]:
    """What each head has made of the values, its factor and flag above.  [n_embd, T]"""
    words = "Each head's mixture of values: × its factor, or around its mean; or lane A's.  [n_embd, T]"
    return switched(it, i, "attn.z", range(it.config.n_head), Bar(f"block {i}: heads", words, column=GAIN), "z")


def mlp(it: Edited, i: int) -> list[Part]:
    """What the MLP adds to the stream.  [n_embd, T]"""
    words = "What the MLP writes: × its factor, or around its mean; or lane A's.  [n_embd, T]"
    return switched(it, i, "mlp.out", [MLP], Bar(f"block {i}: MLP", words, column=GAIN), "mlp.out")


def switched(it: Edited, i: int, name: str, parts: Sequence[Changed], bar: Bar, label: str) -> list[Part]:
    """y = factor × x, or mean + factor × (x − mean), or lane A's x. The parts stand below one another.  [n_embd, T]"""
    flags, factors, size = f"h{i}.{name}.patched", f"h{i}.{name}.factors", it.config.n_embd // len(parts)
    theirs = it.layout[f"h{i}.{name}"]
    own = it.move.area(theirs)

    def formula(r: int, t: int) -> str:
        factor, x = it.page[factors].line(r // size).local, own.at(r, t, EDITS)
        mean = f"AVERAGE({so_far(own, r, t)})"
        by = f'IF({it.screws["mode"].reference}="{MEAN}",{mean}+{factor}*({x}-{mean}),{factor}*{x})'
        return f"IF({it.at(flags, r // size, t)}=1,{theirs.at(r, t, EDITS)},IF({factor}=1,{x},{by}))"

    screws = Beside(factors_in_effect(it, factors, i, parts), it.patched(flags, i, parts))
    return [bar, screws, it.goes_on(i, name, label, formula)]


def factors_in_effect(it: Edited, name: str, i: int, parts: Sequence[Changed]) -> Block:
    """The switches, in column C; one that holds no number counts as 1."""
    columns = [part if isinstance(part, int) else it.config.n_head for part in parts]

    def formula(j: int, _: int) -> str:
        typed = it.screws["switches"].line(i).stripe(columns[j]).reference
        return f"IF({it.screws['restore'].reference}=1,1,IF(ISNUMBER({typed}),{typed},1))"

    def twin(state: State) -> Floats:
        lab = state.lane_b.lab
        typed = [lab.switches[i][column] for column in columns]
        return np.array([1 if lab.restored or isinstance(one, str) else one for one in typed], float)

    own: dict[str, Any] = {"n_columns": 1, "column": GAIN, "label": None, "numbered": False, "named": False}
    return Block(name, len(parts), formula=formula, twin=twin, guard=unguarded, style="share", **own)
