"""The sheet Lab: lane B's text and settings, the screws to turn in it, and what comes of it beside lane A.

What is changed is computed on the sheet Edits; the looks are in `lab_dress`. Twins: `lab_layout.Lab` of the yellow
cells, `lab_results` of the rest.
"""

from collections.abc import Iterator

from sheetgpt.gpt2.edits import MEAN, ZERO
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import Cells, Row
from sheetgpt.sheets.choosers import typed_cell, whole_below
from sheetgpt.sheets.formulas import text_at
from sheetgpt.sheets.grid import HOME, LAB
from sheetgpt.sheets.home.prompt import FINE, NOTE, TITLES
from sheetgpt.sheets.home.prompt import message_now as home_message_now
from sheetgpt.sheets.inputs import prompt_cell
from sheetgpt.sheets.lab.lab_dress import WIDE, dress
from sheetgpt.sheets.lab.lab_layout import TYPED, LabLayout
from sheetgpt.sheets.lab.lab_results import result_rows
from sheetgpt.sheets.lab.screws import (
    MLP,
    PATCH,
    RESID,
    SETTINGS,
    STEERING,
    Lab,
    below,
    patch_key,
    patch_of,
    settings_of,
    steering_of,
)
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.optional import Value
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import State

WORDS = (
    "Lane A is the untouched model, lane B the model as you change it here. Every sheet shows both, lane B on the "
    "right of lane A."
)
STEER_WORDS = (
    "factor × (a token's embedding − another's), or factor × (lane A's stream − lane B's at a position), is added to "
    "the stream that enters a block, from a position on"
)
PATCH_WORDS = "take a part's output from lane A at one position: part is a head's number, mlp, or resid (the stream)"
SWITCH_WORDS = "1: as it is.  0: off.  Any other factor turns a part up or down, or, below 0, around."
RESTORED = f"{NOTE}“Restore all” is 1, so nothing is changed in lane B."
ODD = f"{NOTE}a line of steering or patching names something that the model doesn't have, and is left out."
NO_NUMBER = f"{NOTE}a switch holds no number and counts as 1."
NO_CHOICE = f"{NOTE}“Restore all” takes 0 or 1, and what a part leaves that is off is zero or mean."


def sheet(state: State, palette: Palette) -> Sheet:
    lab = LabLayout(state.layout)
    return Sheet(
        LAB,
        "two texts side by side, and screws to turn in the second",
        lambda: _rows(state, palette, lab),
        *(lab.divergence.last_row, max(WIDE, lab.switches.last_column, 22)),
        names=lab.names,
        sections=[
            ("switches", lab.switches.row - 2),
            ("steering", lab.steering.row - 2),
            ("patching", lab.patches.row - 2),
            ("result", lab.table.row - 2),
        ],
        links=[("A2", f"{quoted(HOME)}!A1")],
        dress=lambda frame: dress(frame, state.layout, lab),
    )


def bar(palette: Palette, number: int, title: str, words: str = "") -> Row:
    """A section's coloured title row."""
    said = rows.text(TYPED, words, palette["maths"])
    rest = rows.joined(rows.blank(c, palette["maths"]) for c in range(TYPED + 1, WIDE + 1))
    return rows.row(number, rows.text(1, title, palette["section"]), rows.blank(2, palette["maths"]), said, rest)


def _rows(state: State, palette: Palette, lab: LabLayout) -> Iterator[Row]:
    yield rows.row(1, rows.text(1, "Lab", palette["title"]), rows.text(TYPED, WORDS, palette["note"]), height=24)
    yield rows.row(2, rows.text(1, "← Home", palette["link"]))
    yield from _texts(state, palette, lab)
    yield from _settings(state, palette, lab)
    yield from _switches(state, palette, lab)
    yield from _steering(state, palette, lab)
    yield from _patches(state, palette, lab)
    yield from result_rows(state, palette, lab, bar)


def _box(palette: Palette, n: int, title: str, cell: Cells, style: str, height: float = 32) -> Row:
    rest = rows.joined(rows.blank(c, palette[style]) for c in range(TYPED + 1, WIDE + 1))
    return rows.row(n, rows.text(1, title, palette["name"]), cell, rest, height=height)


def _texts(state: State, palette: Palette, lab: LabLayout) -> Iterator[Row]:
    """What both lanes read and write."""
    assert state.lab is not None
    layout, home, move = state.layout, state.layout, lab.move
    texts, now = state.lab.lab, (state.now, state.lab.other.now)
    read = home["prompt_text"]
    cell = rows.formula(TYPED, f'{read.reference}&""', now[0].prompt_text, palette["quote"])
    yield _box(palette, 4, "Lane A reads", cell, "quote", 20)
    if layout.chat is not None:
        said = rows.text(TYPED, prompt_cell(texts.user_says), palette["prompt"])
        yield _box(palette, 5, "Say something to lane B (empty: as to A)", said, "prompt")
    if layout.reads_text:
        typed = rows.text(TYPED, prompt_cell(texts.prompt), palette["prompt"])
        title = "Lane B's prompt (empty: lane A's)" if layout.chat is None else "or a prompt for lane B"
        yield _box(palette, 6, title, typed, "prompt")
    else:
        first = move.area(home["prompt_ids"]).cells.partition(":")[0]
        hint = f"Lane B's token ids stand on Home, from {first} on."
        yield rows.row(6, rows.text(TYPED, hint, palette["note"]))
    cell = rows.formula(TYPED, f'{move.area(read).reference}&""', now[1].prompt_text, palette["quote"])
    yield _box(palette, 7, "Lane B reads", cell, "quote", 20)
    if layout.reads_text:
        written = home["completion"]
        for n, name, area, one in ((8, "A", written, now[0]), (9, "B", move.area(written), now[1])):
            cell = rows.formula(TYPED, f'{area.reference}&""', one.completion, palette["completion"])
            yield _box(palette, n, f"Lane {name} continues", cell, "completion")
    cell = rows.formula(TYPED, message(state, lab), message_now(state), palette["message"])
    yield rows.row(10, rows.text(1, "Status", palette["name"]), cell)


def n_odd(lab: LabLayout) -> str:
    """How many lines say something and are left out."""
    counts = Area(LAB, lab.steering.row, 11, lab.steering.n_rows), Area(LAB, lab.patches.row, 10, lab.patches.n_rows)
    return "+".join(f"SUM({area.local})" for area in counts)


def message(state: State, lab: LabLayout) -> str:
    """The first thing that is to be said."""
    home, move = state.layout, lab.move
    a, b = home["message"], move.area(home["message"])
    lengths = [area.reference for area in (home["n_tokens"], move.area(home["n_tokens"]))]
    said = f'"{NOTE}the texts have "&{lengths[0]}&" and "&{lengths[1]}&" tokens; positions are matched by index."'
    checks = [
        (f"NOT(OR({_fine(a)},{_note(a)}))", f'"Lane A: "&{a.reference}'),
        (f"NOT(OR({_fine(b)},{_note(b)}))", f'"Lane B: "&{b.reference}'),
        (f"{lab.restore.local}=1", f'"{RESTORED}"'),
        (f"{n_odd(lab)}>0", f'"{ODD}"'),
        (f"COUNTA({lab.switches.local})>COUNT({lab.switches.local})", f'"{NO_NUMBER}"'),
        (f"NOT({_chosen(lab)})", f'"{NO_CHOICE}"'),
        (_note(a), f'"Lane A: "&{a.reference}'),
        (_note(b), f'"Lane B: "&{b.reference}'),
        (f"{lengths[0]}<>{lengths[1]}", said),
    ]
    formula = f'"{FINE}"'
    for condition, words in reversed(checks):
        formula = f"IF({condition},{words},{formula})"
    return formula


def _chosen(lab: LabLayout) -> str:
    """Whether the two cells for all switches hold what they offer; an empty one is fine."""
    restore, mode = lab.restore.local, lab.mode.local
    return f'AND(OR({restore}="",{restore}=0,{restore}=1),OR({mode}="",{mode}="{ZERO}",{mode}="{MEAN}"))'


def chosen_now(lab: Lab) -> bool:
    """The twin of `_chosen`. A spreadsheet's = knows no small and capital letters."""
    mode = lab.mode.lower() if isinstance(lab.mode, str) else lab.mode
    return lab.restore in ("", 0, 1) and mode in ("", ZERO, MEAN)


def _fine(area: Area) -> str:
    return f'{area.reference}="{FINE}"'


def _note(area: Area) -> str:
    return f'LEFT({area.reference},{len(NOTE)})="{NOTE}"'


def message_now(state: State) -> str:
    """The twin of `message`."""
    assert state.lab is not None
    lanes = ("A", state), ("B", state.lab.other)
    said = {lane: home_message_now(state.layout, state.text, one.now) for lane, one in lanes}
    for lane, words in said.items():
        if words != FINE and not words.startswith(NOTE):
            return f"Lane {lane}: {words}"
    if state.lab.lab.restored:
        return RESTORED
    if any(map(sum, (odd_steering(state), odd_patches(state)))):
        return ODD
    if any(isinstance(factor, str) and factor != "" for line in state.lab.lab.switches for factor in line):
        return NO_NUMBER
    if not chosen_now(state.lab.lab):
        return NO_CHOICE
    for lane, words in said.items():
        if words != FINE:
            return f"Lane {lane}: {words}"
    n, m = state.prompt.n, state.lab.other.prompt.n
    return FINE if n == m else f"{NOTE}the texts have {n} and {m} tokens; positions are matched by index."


def _settings(state: State, palette: Palette, lab: LabLayout) -> Iterator[Row]:
    """Of each setting lane A's, lane B's own, and what lane B takes; on the right the two cells for all switches."""
    assert state.lab is not None
    layout, n = state.layout, lab.settings_row
    yield bar(palette, n - 1, "Settings", "An empty yellow cell of lane B takes lane A's.")
    heads = rows.joined(
        rows.text(c, head, palette["header"]) for c, head in ((2, "lane A"), (3, "lane B"), (4, "in use"))
    )
    yield rows.row(n, heads)
    ours, theirs = settings_of(state.inputs), settings_of(state.lab.other.inputs)
    beside: dict[int, tuple[Area, str, Value, str]] = {
        n + 1: (lab.restore, "Restore all", state.lab.lab.restore, "1 undoes every change below, 0 brings it back"),
        n + 2: (lab.mode, "A part that is off leaves", state.lab.lab.mode, "zero, or mean: its mean so far"),
    }
    for i, name in enumerate(SETTINGS, n + 1):
        area = layout[name]
        cells = [
            rows.text(1, TITLES[name][0], palette["name"]),
            rows.formula(2, area.reference, ours[name], palette["id"]),
            typed_cell(TYPED, state.lab.lab.settings.get(name, ""), palette),
            rows.formula(4, lab.move.area(area).reference, theirs[name], palette["id"]),
        ]
        if i in beside:
            cell, title, value, words = beside[i]
            cells += [rows.text(6, title, palette["name"]), typed_cell(cell.column, value, palette)]
            cells.append(rows.text(cell.column + 1, words, palette["note"]))
        yield rows.row(i, *cells)


def _switches(state: State, palette: Palette, lab: LabLayout) -> Iterator[Row]:
    assert state.lab is not None
    config, area = state.layout.config, lab.switches
    yield bar(palette, area.row - 2, "Switches", SWITCH_WORDS)
    heads = ["block", *(f"head {j}" for j in range(config.n_head)), "MLP"]
    yield rows.row(area.row - 1, *(rows.text(c, head, palette["header"]) for c, head in enumerate(heads, 1)))
    for i, line in enumerate(state.lab.lab.switches):
        cells = rows.joined(typed_cell(area.column + j, value, palette) for j, value in enumerate(line))
        yield rows.row(area.row + i, rows.text(1, f"block {i}", palette["name"]), cells)


def odd_steering(state: State) -> list[int]:
    """1 for a line that says something and is left out."""
    assert state.lab is not None
    return [
        int(any(v != "" for v in line) and steering_of(line, state.layout) is None) for line in state.lab.lab.steering
    ]


def odd_patches(state: State) -> list[int]:
    assert state.lab is not None
    return [int(any(v != "" for v in line) and patch_of(line, state.layout) is None) for line in state.lab.lab.patches]


def _sound_steering(layout: Layout, line: Area) -> str:
    config = layout.config
    block, plus, minus, factor, start, at = (line.stripe(c).local for c in range(len(STEERING)))
    words = f'AND({whole_below(plus, config.n_vocab)},OR({minus}="",{whole_below(minus, config.n_vocab)}))'
    lanes = f'AND({plus}="",{minus}="",{whole_below(at, config.n_positions)})'
    return (
        f"AND({whole_below(block, config.n_layer)},ISNUMBER({factor}),"
        f'OR({start}="",{whole_below(start, config.n_positions)}),IF({at}="",{words},{lanes}))'
    )


def _steering(state: State, palette: Palette, lab: LabLayout) -> Iterator[Row]:
    assert state.lab is not None
    layout, area = state.layout, lab.steering
    yield bar(palette, area.row - 2, "Steering", STEER_WORDS)
    heads = ["", "block", "plus: id", "minus: id", "factor", "from position", "or A − B at", "plus", "minus"]
    heads += ["in use", "left out"]
    yield rows.row(area.row - 1, *(rows.text(c, h, palette["header"]) for c, h in enumerate(heads, 1) if h))
    odd = odd_steering(state)
    for k, typed in enumerate(state.lab.lab.steering):
        line = area.line(k)
        sound = _sound_steering(layout, line)
        on = steering_of(typed, layout) is not None and not state.lab.lab.restored
        yield rows.row(
            line.row,
            rows.text(1, f"steering {k + 1}", palette["name"]),
            rows.joined(typed_cell(line.column + c, value, palette) for c, value in enumerate(typed)),
            _token(state, palette, 8, line.stripe(1), typed[1]),
            _token(state, palette, 9, line.stripe(2), typed[2]),
            rows.formula(10, f"IF({lab.restore.local}=1,0,IF({sound},1,0))", float(on), palette["flag"]),
            rows.formula(11, f"IF(COUNTA({line.local})=0,0,IF({sound},0,1))", float(odd[k]), palette["flag"]),
        )


def _token(state: State, palette: Palette, column: int, cell: Area, typed: Value) -> Cells:
    """The token with the id that is typed."""
    n, strings = state.layout.config.n_vocab, state.layout["vocab_shown"].reference
    id = below(typed, n)
    source = f'IF({whole_below(cell.local, n)},{text_at(strings, f"{cell.local}+1")},"")'
    return rows.formula(column, source, "" if id is None else state.shown[id], palette["token"])


def _patches(state: State, palette: Palette, lab: LabLayout) -> Iterator[Row]:
    assert state.lab is not None
    layout, config, area = state.layout, state.layout.config, lab.patches
    yield bar(palette, area.row - 2, "Patching", PATCH_WORDS)
    heads = ["", *PATCH, "", "", "A's token", "B's token", "key", "left out"]
    yield rows.row(area.row - 1, *(rows.text(c, h, palette["header"]) for c, h in enumerate(heads, 1) if h))
    odd, strip = odd_patches(state), layout["token_text"]
    texts = state.prompt.shown, state.lab.other.prompt.shown
    for k, typed in enumerate(state.lab.lab.patches):
        line = area.line(k)
        block, part, position = (line.stripe(c).local for c in range(len(PATCH)))
        named = f'IF({part}="{MLP}",{config.n_head},IF({part}="{RESID}",{config.n_head + 1},-1))'
        number = f"IF(ISNUMBER({part}),IF({whole_below(part, config.n_head)},{part},-1),{named})"
        sound = f"AND({whole_below(block, config.n_layer)},{whole_below(position, config.n_positions)},{number}>=0)"
        key = f"({block}*{config.n_head + 2}+{number})*{config.n_positions}+{position}"
        patch = patch_of(typed, layout)
        on = patch is not None and not state.lab.lab.restored
        cells = [rows.joined(typed_cell(line.column + c, value, palette) for c, value in enumerate(typed))]
        for c, lane, shown in ((7, strip, texts[0]), (8, lab.move.area(strip), texts[1])):
            at = below(typed[2], len(shown))
            source = f'IF({whole_below(position, layout.context)},{text_at(lane.reference, f"1,{position}+1")},"")'
            cells.append(rows.formula(c, source, "" if at is None else shown[at], palette["token"]))
        now = patch_key(patch, layout) if patch is not None and on else -1
        cells.append(rows.formula(9, f"IF({lab.restore.local}=1,-1,IF({sound},{key},-1))", now, palette["id"]))
        left_out = f"IF(COUNTA({line.local})=0,0,IF({sound},0,1))"
        cells.append(rows.formula(10, left_out, float(odd[k]), palette["flag"]))
        yield rows.row(line.row, rows.text(1, f"patch {k + 1}", palette["name"]), *cells)
