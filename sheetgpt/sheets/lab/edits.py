"""The sheet Edits: what the screws of the sheet Lab make of lane B's stream, mixtures of values and MLP outputs.

Twin: `gpt2.edits.Changes`. Each block of lane B computes what it always computes, on its own sheet, and reads here what
becomes of it: factor × value (or, in the mode mean, mean + factor × (value − mean), the mean over the positions so
far), the stream plus what steers it, or lane A's value where a line of Lab patches it. A factor of 1 hands a value on
as it is, to the last bit.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2 import quantize
from sheetgpt.gpt2.edits import Part, Steering
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import Cells, Row
from sheetgpt.sheets.grid import BIAS, EDITS, FIRST_TOKEN, GAIN, HOME, INDEX, LABEL, LANE, POSITION_ROW, TITLE_ROW
from sheetgpt.sheets.lab.lab_layout import Bands, LabLayout
from sheetgpt.sheets.lab.screws import MLP, N_STEERING, RESID, part_number, patch_key, patch_of, steering_of
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.embed import looked_up
from sheetgpt.sheets.network.token_sheet import colour_signed, header
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import State

Floats = NDArray[Any]
NOTE = "Lane B. What the screws on Lab make of it: the stream into a block, the heads' mixtures, the MLP's output."


def sheet(state: State, palette: Palette) -> Sheet:
    lab = LabLayout(state.layout)
    bands, first = lab.blocks, lab.move.first
    last = bands[-1].mlp.last_row
    names: dict[str, list[Area]] = {"lab_directions": [lab.directions]}
    for i, band in enumerate(bands):
        for name, area in (("resid_pre", band.resid), ("attn.z", band.z), ("mlp.out", band.mlp)):
            names[f"{LANE}h{i}.{name}.edited"] = [area]
    columns = state.layout.context
    return Sheet(
        EDITS,
        "lane B: what the switches, steering and patches of Lab make of each block's parts",
        lambda: _rows(state, palette, lab),
        *(last, first + columns - 1),
        names=names,
        second=Area(EDITS, POSITION_ROW, first, last - POSITION_ROW + 1, columns),
        sections=[(f"block {i}", band.steered[0].row - 1) for i, band in enumerate(bands)],
        links=[("A2", f"{quoted(HOME)}!A1")],
        dress=lambda frame: _dress(frame, lab),
    )


def n_formulas(layout: Layout) -> int:
    """Nearly all of them: three parts of each block, a position a column, and what steers."""
    config = layout.config
    return (3 * config.n_layer * layout.context + N_STEERING) * config.n_embd


def _dress(frame: Worksheet, lab: LabLayout) -> None:
    frame.sheet_properties.tabColor = "7030A0"
    frame.freeze_panes = f"{rows.letters(FIRST_TOKEN)}6"
    for column, width in ((LABEL, 26), (INDEX, 7), (GAIN, 11), (BIAS, 11)):
        frame.column_dimensions[rows.letters(column)].width = width
    for column in range(FIRST_TOKEN, lab.move.first):  # where lane A has its columns on other sheets
        frame.column_dimensions[rows.letters(column)].width = 1
    for bands in lab.blocks:
        for area in (bands.resid, bands.z, bands.mlp):
            colour_signed(frame, area, 2)


def guarded(source: str, area: Area) -> str:
    """Nothing where lane B's column is not in use; area: whose first column the formula stands in."""
    return f'IF({Area("", 5, area.column).at(0)},{source},"")'


def _rows(state: State, palette: Palette, lab: LabLayout) -> Iterator[Row]:
    assert state.lab is not None
    move, prompt = lab.move, state.lab.other.prompt
    for row in header(
        state.layout, palette, prompt, EDITS, NOTE, {INDEX: "row", GAIN: "steering 1", BIAS: "steering 2"}
    ):
        left = [piece for piece in row.pieces if piece.column < FIRST_TOKEN]
        right = [piece for piece in row.pieces if piece.column >= FIRST_TOKEN]
        if row.number == TITLE_ROW:
            yield row
            continue
        moved = tuple(move.piece(piece, EDITS) for piece in right)
        yield replace(row, pieces=(*left, *moved))
    yield from _directions(state, palette, lab)
    for i, bands in enumerate(lab.blocks):
        yield from _stream(state, palette, lab, i, bands)
        yield from _heads(state, palette, lab, i, bands)
        yield from _mlp(state, palette, lab, i, bands)


def _bar(palette: Palette, number: int, title: str, words: str, last: int) -> Row:
    filler = rows.joined(rows.blank(c, palette["maths"]) for c in range(INDEX, last + 1) if c != GAIN)
    said = rows.text(GAIN, words, palette["maths"])
    cells = sorted((*filler, *said), key=lambda piece: piece.column)
    return rows.row(number, rows.text(LABEL, title, palette["section"]), tuple(cells))


def _directions(state: State, palette: Palette, lab: LabLayout) -> Iterator[Row]:
    """factor × (wte[plus] − wte[minus]), a column for each line of steering; 0 where the line is not in use."""
    assert state.lab is not None
    layout, area = state.layout, lab.directions
    wte, scales = layout.tensor("wte"), layout.tensor("wte").scales
    found = directions(state)
    words = "factor × (the embedding of one token − that of the other): added to the stream of lane B"
    yield _bar(palette, area.row - 1, "steering", words, lab.move.first + layout.context - 1)
    for r in range(area.n_rows):
        cells: Cells = ()
        for k in range(N_STEERING):
            line = lab.steering.line(k)
            plus, minus, factor = (line.stripe(c).reference for c in (1, 2, 3))
            looked = [looked_up(wte.areas, r, cell) for cell in (plus, minus)]
            if scales:
                looked = [
                    f"{one}*INDEX({layout.tensor(scales).area.reference},{cell}+1)"
                    for one, cell in zip(looked, (plus, minus), strict=True)
                ]
            less = f"IF(ISNUMBER({minus}),{looked[1]},0)"
            on = f"IF({lab.steering_on.line(k).reference}=1,ISNUMBER({plus}),FALSE)"
            source = f"IF({on},{factor}*({looked[0]}-{less}),0)"
            cells += rows.formula(GAIN + k, source, float(found[r, k]), palette["number"])
        label = rows.text(LABEL, "what is added", palette["label"]) + rows.number(INDEX, r, palette["index"])
        yield rows.row(area.row + r, label, cells)


def directions(state: State) -> Floats:
    """[n_embd, lines of steering]"""
    assert state.lab is not None
    names = [name for name in ("wte", quantize.scale_name("wte")) if name in state.params]
    wte = quantize.evaluated({name: state.params[name] for name in names})["wte"]
    found = np.zeros((state.layout.config.n_embd, N_STEERING))
    for k, line in enumerate(state.lab.lab.steering):
        steer = None if state.lab.lab.restored else steering_of(line, state.layout)
        if steer is not None and steer.plus is not None:
            minus = 0 if steer.minus is None else wte[steer.minus].astype(float)
            found[:, k] = steer.factor * (wte[steer.plus].astype(float) - minus)
    return found


def _flags(
    palette: Palette, area: Area, title: str, source: str, values: Floats, beside: Cells = (), style: str = "flag"
) -> Row:
    cells = rows.fill_right(area.column, guarded(source, area), values, palette[style])
    return rows.row(area.row, rows.text(LABEL, title, palette["label"]), beside, cells)


def _padded(values: Floats, context: int) -> Floats:
    return np.pad(values.astype(float), (0, context - len(values)), constant_values=np.nan)


def _patched(state: State, palette: Palette, lab: LabLayout, i: int, part: Part, area: Area, beside: Cells = ()) -> Row:
    """Whether a line of Lab takes this part from lane A at the column's position, where lane A has one."""
    assert state.lab is not None
    layout, config, other = state.layout, state.layout.config, state.lab.other.prompt
    number = part_number(part, config.n_head)
    assert number is not None
    base = (i * (config.n_head + 2) + number) * config.n_positions
    position = Area(EDITS, POSITION_ROW, area.column).at(0)
    theirs = layout["active"].at(0, 0, "")
    source = f"IF({theirs}=1,IF(COUNTIF({lab.patch_keys.reference},{base}+{position})>0,1,0),0)"
    keys = {patch_key(p, layout) for p in _patches(state)}
    now = [float(base + t in keys and t < state.prompt.n) for t in range(other.n)]
    title = f"{_name(part)}: lane A's?"
    return _flags(palette, area, title, source, _padded(np.array(now), layout.context), beside)


def _patches(state: State) -> list[Any]:
    assert state.lab is not None
    lab = state.lab.lab
    return [] if lab.restored else [p for line in lab.patches if (p := patch_of(line, state.layout)) is not None]


def _name(part: Part) -> str:
    return {MLP: "MLP", RESID: "stream"}[part] if isinstance(part, str) else f"head {part}"


def _stream(state: State, palette: Palette, lab: LabLayout, i: int, bands: Bands) -> Iterator[Row]:
    """The stream that enters the block: as the block before left it, plus what steers it, or lane A's."""
    assert state.lab is not None
    layout, move, other = state.layout, lab.move, state.lab.other.prompt
    last = bands.resid.last_column
    words = "The stream that enters the block, plus what steers it; or lane A's, where it is patched.  [n_embd, T]"
    yield _bar(palette, bands.steered[0].row - 1, f"block {i}: stream", words, last)
    later: list[Row] = []
    for k, area in enumerate(bands.steered):
        line, on = lab.steering.line(k), lab.steering_on.line(k).reference
        block, start = (line.stripe(c).reference for c in (0, 4))
        position = Area(EDITS, POSITION_ROW, area.column).at(0)
        source = f"IF({on}=1,IF({block}={i},IF({position}>={start},1,0),0),0)"
        steer = None if state.lab.lab.restored else steering_of(state.lab.lab.steering[k], layout)
        here = steer if steer is not None and steer.block == i else None
        now = [float(here is not None and t >= here.start) for t in range(other.n)]
        yield _flags(palette, area, f"steering {k + 1} here?", source, _padded(np.array(now), layout.context))
        later.append(_apart(state, palette, lab, k, bands, here))
    yield from later
    yield _patched(state, palette, lab, i, RESID, bands.resid_patched)
    x = layout["embed" if i == 0 else f"h{i - 1}.resid_post"]
    own = move.area(x)

    def source_of(r: int) -> str:
        plus = "".join(
            f"+{area.at(0)}*${rows.letters(GAIN + k)}${lab.directions.row + r}" for k, area in enumerate(bands.steered)
        )
        raw, lanes = own.at(r, 0, EDITS), ""
        for k, area in enumerate(bands.apart):
            at = lab.steering.line(k).stripe(5).reference
            theirs, ours = (f"INDEX({so_far(one, r)},1,{at}+1)" for one in (x, own))
            lanes += f"+IF({area.at(0)}=0,0,{area.at(0)}*({theirs}-{ours}))"
        return f"IF({bands.resid_patched.at(0)}=1,{x.at(r, 0, EDITS)},{raw}{plus}{lanes})"

    yield from _numbers(state, palette, bands.resid, f"h{i}.resid_pre", "stream", source_of)


def so_far(area: Area, r: int) -> str:
    """Row r from the first position to the formula's own: the range grows as it fills right."""
    first, number = rows.letters(area.column), area.row + r
    return f"{quoted(area.sheet)}!${first}${number}:{first}${number}"


def _apart(state: State, palette: Palette, lab: LabLayout, k: int, bands: Bands, here: Steering | None) -> Row:
    """The factor of a line that adds what lane A has at a position more than lane B, in the columns that it reaches."""
    assert state.lab is not None
    layout, area, line = state.layout, bands.apart[k], lab.steering.line(k)
    factor, at = (line.stripe(c).reference for c in (3, 5))
    position, there = Area(EDITS, POSITION_ROW, area.column).at(0), so_far(layout["active"], 0)
    reached = f"IF({position}>={at},IF(INDEX({there},1,{at}+1)=1,{factor},0),0)"
    source = f"IF({bands.steered[k].at(0)}=1,IF(ISNUMBER({at}),{reached},0),0)"
    known = here is not None and here.at is not None and here.at < state.prompt.n
    n = state.lab.other.prompt.n
    now = [here.factor if here is not None and known and t >= here.first else 0.0 for t in range(n)]
    title = f"{k + 1}: × (A − B)"
    return _flags(palette, area, title, source, _padded(np.array(now), layout.context), style="share")


def _numbers(
    state: State, palette: Palette, area: Area, name: str, label: str, source: Callable[[int], str]
) -> Iterator[Row]:
    """The rows of one activation."""
    assert state.lab is not None
    made = state.lab.other.prompt.padded(state.lab.made[name], area.n_rows)
    for r in range(area.n_rows):
        head = rows.text(LABEL, label, palette["label"]) + rows.number(INDEX, r, palette["index"])
        cells = rows.fill_right(area.column, guarded(source(r), area), made[r], palette["number"])
        yield rows.row(area.row + r, head, cells)


def _factor(state: State, palette: Palette, lab: LabLayout, i: int, j: int) -> Cells:
    """The switch in effect, in column C."""
    assert state.lab is not None
    cell, typed = lab.switches.line(i).stripe(j).reference, state.lab.lab.switches[i][j]
    now = 1.0 if state.lab.lab.restored or isinstance(typed, str) else float(typed)
    source = f"IF({lab.restore.reference}=1,1,IF(ISNUMBER({cell}),{cell},1))"
    return rows.formula(GAIN, source, now, palette["share"])


def switched(state: State, lab: LabLayout, raw: Area, r: int, flag: Area, theirs: str) -> str:
    """Lane A's value, or the part's own as its factor leaves it."""
    factor, own = f"$C${flag.row}", raw.at(r, 0, EDITS)
    mean = f"AVERAGE({so_far(raw, r)})"
    by = f'IF({lab.mode.reference}="mean",{mean}+{factor}*({own}-{mean}),{factor}*{own})'
    return f"IF({flag.at(0)}=1,{theirs},IF({factor}=1,{own},{by}))"


def _heads(state: State, palette: Palette, lab: LabLayout, i: int, bands: Bands) -> Iterator[Row]:
    layout, size = state.layout, state.layout.config.head_size
    z = layout[f"h{i}.attn.z"]
    raw = lab.move.area(z)
    words = "Each head's mixture of values: × its factor, or around its mean; or lane A's.  [n_embd, T]"
    yield _bar(palette, bands.head_patched[0].row - 1, f"block {i}: heads", words, bands.z.last_column)
    for j, area in enumerate(bands.head_patched):
        yield _patched(state, palette, lab, i, j, area, _factor(state, palette, lab, i, j))

    def source_of(r: int) -> str:
        return switched(state, lab, raw, r, bands.head_patched[r // size], z.at(r, 0, EDITS))

    yield from _numbers(state, palette, bands.z, f"h{i}.attn.z", "z", source_of)


def _mlp(state: State, palette: Palette, lab: LabLayout, i: int, bands: Bands) -> Iterator[Row]:
    layout = state.layout
    out = layout[f"h{i}.mlp.out"]
    raw = lab.move.area(out)
    words = "What the MLP writes: × its factor, or around its mean; or lane A's.  [n_embd, T]"
    yield _bar(palette, bands.mlp_patched.row - 1, f"block {i}: MLP", words, bands.mlp.last_column)
    beside = _factor(state, palette, lab, i, layout.config.n_head)
    yield _patched(state, palette, lab, i, MLP, bands.mlp_patched, beside)

    def source_of(r: int) -> str:
        return switched(state, lab, raw, r, bands.mlp_patched, out.at(r, 0, EDITS))

    yield from _numbers(state, palette, bands.mlp, f"h{i}.mlp.out", "mlp.out", source_of)
