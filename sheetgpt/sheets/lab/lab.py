"""The sheet Lab: lane B's text and settings, the screws to turn in it, and what comes of it beside lane A.

Here stand the texts, the status and the settings; the screws are in `turning`, what comes next in `results`. What is
changed is computed on the sheet Edits. The twin of the yellow cells is `screws.Lab`.
"""

from collections.abc import Iterator
from functools import partial

from openpyxl.formatting.rule import CellIsRule, FormulaRule
from openpyxl.styles import Font
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.editing.edits import MEAN, ZERO
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import letters
from sheetgpt.sheets.block import Part, cell
from sheetgpt.sheets.grid import LABEL
from sheetgpt.sheets.home.prompt import FINE, NOTE, TITLES, ranges
from sheetgpt.sheets.home.prompt import message_now as home_message_now
from sheetgpt.sheets.inputs import prompt_cell
from sheetgpt.sheets.lab.bench import TYPED, WIDE, Bench, column, yellow
from sheetgpt.sheets.lab.results import add_likeliest, compared, divergences
from sheetgpt.sheets.lab.screws import SETTINGS, Lab, settings_of
from sheetgpt.sheets.lab.turning import odd_patches, odd_steering, patching, steering, switches
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Bar, Beside, Page, Paper, Space, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style import looks
from sheetgpt.sheets.style.looks import takes, takes_one_of
from sheetgpt.sheets.tensor import Value

HEAD = "Lane A is the untouched model, lane B the model as you change it here. Every sheet shows B to the right of A."
RESTORED = f"{NOTE}“Restore all” is 1, so nothing is changed in lane B."
ODD = f"{NOTE}a line of steering or patching is left out; “still needs”, to the right of it, says why."
NO_NUMBER = f"{NOTE}a switch holds no number and counts as 1."
NO_CHOICE = f"{NOTE}“Restore all” takes 0 or 1, and what a part leaves that is off is zero or mean."


def page(layout: Layout) -> Page:
    it = Bench(layout)
    here = it.page
    here.head(HEAD)
    here.add(Space())
    add_texts(it)
    here.add(*switches(it), *for_all_switches())
    add_likeliest(it)  # below the switches: what is turned, and what comes of it, are in sight together
    here.add(*compared(it), *steering(it), *patching(it), *divergences(it), *settings(it))
    here.paper = Paper(one=True)
    here.dresses.append(partial(dress, it))
    return here


def dress(it: Bench, frame: Worksheet) -> None:
    """Widths, and where typing begins."""
    rest = dict.fromkeys(range(2, max(WIDE, it.page["switches"].last_column) + 1), 12)  # what a line lacks is in sight
    looks.dress({LABEL: 31} | rest, looks.PURPLE, gridlines=False)(frame)
    selected = frame.sheet_view.selection[0]
    if it.layout.reads_text:
        start = it.page["prompt"]
        selected.activeCell, selected.sqref = start.cells, f"{start.cells}:{letters(WIDE)}{start.row}"
    else:
        selected.activeCell = selected.sqref = it.page["switches"].line(0).stripe(0).cells


def add_texts(it: Bench) -> None:
    """What both lanes read and write."""
    layout, here = it.layout, it.page

    def read(lane: int) -> str:
        return f'{it.lanes("prompt_text")[lane].reference}&""'

    def written(lane: int) -> str:
        return f'{it.lanes("completion")[lane].reference}&""'

    def hint(state: State) -> str:
        first = it.lanes("prompt_ids")[1].line(0).stripe(0).cells
        return f"Lane B's token ids stand on Home, from {first} on."

    def says(state: State) -> str:
        return prompt_cell(state.lane_b.lab.user_says)

    def prompt(state: State) -> str:
        return prompt_cell(state.lane_b.lab.prompt)

    it.box("Lane A reads", cell(TYPED, lambda: read(0), lambda state: state.now.prompt_text, "quote"), 20)
    if layout.chat is not None:
        it.box("Say something to lane B (empty: as to A)", yellow("user_says", says, TYPED, style="prompt"))
    else:
        here.add(Space())
    if layout.reads_text:
        title = "Lane B's prompt (empty: lane A's)" if layout.chat is None else "or a prompt for lane B"
        it.box(title, yellow("prompt", prompt, TYPED, style="prompt"))
    else:
        here.add(cell(TYPED, None, hint, "note"))
    own = cell(TYPED, lambda: read(1), lambda state: state.lane_b.other.now.prompt_text, "quote")
    it.box("Lane B reads", own, 20)
    if layout.reads_text:
        for lane, name in enumerate("AB"):
            twin = partial(completion_now, lane=lane)
            it.box(f"Lane {name} continues", cell(TYPED, partial(written, lane), twin, "completion"))
    else:
        here.add(Space(2))
    status = column(TYPED, lambda i, j: message(it), message_now, "message", "message", named=True, colours=[shade])
    here.add(Beside(Texts({LABEL: "Status"}, "name"), status))


def completion_now(state: State, lane: int) -> str:
    return (state, state.lane_b.other)[lane].now.completion


def message(it: Bench) -> str:
    """The first thing that is to be said."""
    (a, b), (n, m) = it.lanes("message"), it.lanes("n_tokens")
    said = f'"{NOTE}the texts have "&{n.reference}&" and "&{m.reference}&" tokens; positions are matched by index."'
    odd = "+".join(f"SUM({it.page[name].local})" for name in ("steering_odd", "patches_odd"))
    factors = it.page["switches"].local
    checks = [
        (f"NOT(OR({_fine(a)},{_note(a)}))", f'"Lane A: "&{a.reference}'),
        (f"NOT(OR({_fine(b)},{_note(b)}))", f'"Lane B: "&{b.reference}'),
        (f"{it.cell('restore')}=1", f'"{RESTORED}"'),
        (f"{odd}>0", f'"{ODD}"'),
        (f"COUNTA({factors})>COUNT({factors})", f'"{NO_NUMBER}"'),
        (f"NOT({_chosen(it)})", f'"{NO_CHOICE}"'),
        (_note(a), f'"Lane A: "&{a.reference}'),
        (_note(b), f'"Lane B: "&{b.reference}'),
        (f"{n.reference}<>{m.reference}", said),
    ]
    formula = f'"{FINE}"'
    for condition, words in reversed(checks):
        formula = f"IF({condition},{words},{formula})"
    return formula


def message_now(state: State) -> str:
    """The twin of `message`."""
    lab, other = state.lane_b.lab, state.lane_b.other
    said = {lane: home_message_now(state.layout, state.text, one.now) for lane, one in (("A", state), ("B", other))}
    for lane, words in said.items():
        if words != FINE and not words.startswith(NOTE):
            return f"Lane {lane}: {words}"
    if lab.restored:
        return RESTORED
    if any(map(sum, (odd_steering(state), odd_patches(state)))):
        return ODD
    if any(isinstance(factor, str) and factor != "" for line in lab.switches for factor in line):
        return NO_NUMBER
    if not chosen_now(lab):
        return NO_CHOICE
    for lane, words in said.items():
        if words != FINE:
            return f"Lane {lane}: {words}"
    n, m = state.prompt.n, other.prompt.n
    return FINE if n == m else f"{NOTE}the texts have {n} and {m} tokens; positions are matched by index."


def _chosen(it: Bench) -> str:
    """Whether the two cells for all switches hold what they offer; an empty one is fine."""
    restore, mode = it.cell("restore"), it.cell("mode")
    return f'AND(OR({restore}="",{restore}=0,{restore}=1),OR({mode}="",{mode}="{ZERO}",{mode}="{MEAN}"))'


def chosen_now(lab: Lab) -> bool:
    """The twin of `_chosen`. A spreadsheet's = knows no small and capital letters."""
    mode = lab.mode.lower() if isinstance(lab.mode, str) else lab.mode
    return lab.restore in ("", 0, 1) and mode in ("", ZERO, MEAN)


def _fine(area: Area) -> str:
    return f'{area.reference}="{FINE}"'


def _note(area: Area) -> str:
    return f'LEFT({area.reference},{len(NOTE)})="{NOTE}"'


def shade(frame: Worksheet, message: Area) -> None:
    """The status: green where all is well, orange for a note."""
    fine = CellIsRule(operator="equal", formula=[f'"{FINE}"'], font=Font(color="548235"))
    starts = 1, 1 + len("Lane A: ")  # of Lab's own notes, of a lane's
    either = ",".join(f'MID({message.local},{start},{len(NOTE)})="{NOTE}"' for start in starts)
    note = FormulaRule([f"OR({either})"], font=Font(color="C55A11"))
    looks.put(frame, message, fine, note)


def settings(it: Bench) -> Iterator[Part]:
    """Of each setting lane A's, lane B's own, and what lane B takes."""
    yield Bar("Settings", "An empty yellow cell of lane B takes lane A's.")
    yield Texts({2: "lane A", 3: "lane B", 4: "in use"})
    for name in SETTINGS:
        least, most, whole, words = ranges(it.layout)[name]
        title = TITLES[name][0]
        yield Beside(
            Texts({LABEL: title}, "name"),
            cell(2, partial(setting, it, name, 0), partial(setting_now, name=name, lane=0), "id"),
            yellow(name, partial(typed_now, name=name), TYPED, takes(title, words, least, most, whole)),
            cell(4, partial(setting, it, name, 1), partial(setting_now, name=name, lane=1), "id"),
        )


def setting(it: Bench, name: str, lane: int) -> str:
    return it.lanes(name)[lane].reference


def setting_now(state: State, name: str, lane: int) -> float:
    return settings_of((state, state.lane_b.other)[lane].inputs)[name]


def typed_now(state: State, name: str) -> Value:
    return state.lane_b.lab.settings.get(name, "")


def for_all_switches() -> Iterator[Part]:
    """Two yellow cells, each with its title and what it is for, below the switches."""

    def restored(frame: Worksheet, area: Area) -> None:
        looks.put(frame, area, CellIsRule("equal", ["1"], **looks.deep()))

    titles, words = (
        ("Restore all", "A part that is off leaves"),
        "1 undoes every change on this sheet, 0 brings it back",
    )
    one_or_none = takes(titles[0], "1 undoes every change, 0 brings it back.", 0, 1)
    mean_or_zero = takes_one_of(titles[1], f"{ZERO}, or {MEAN}: its mean over the positions so far.", ZERO, MEAN)
    styles = {LABEL: "name", 3: "note"}
    yield Beside(
        Texts({LABEL: titles[0], 3: words}, styles=styles),
        yellow("restore", lambda state: state.lane_b.lab.restore, 2, one_or_none, restored),
    )
    yield Beside(
        Texts({LABEL: titles[1], 3: "zero, or mean: its mean over the positions so far"}, styles=styles),
        yellow("mode", lambda state: state.lane_b.lab.mode, 2, mean_or_zero),
    )
