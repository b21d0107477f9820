"""Lane B's cells on Home: the inputs there are formulas, which take what stands on the sheet Lab, or else lane A's."""

from collections.abc import Mapping

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.rows import Cells, Row
from sheetgpt.sheets.home.after import AFTER
from sheetgpt.sheets.inputs import prompt_cell
from sheetgpt.sheets.lab.lanes import Fill, Move
from sheetgpt.sheets.lab.screws import SETTINGS, settings_of
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Page
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.palette import Palette

TITLE = "Lane B"
WORDS = "Its text and its settings come from the sheet Lab, where a part of it can be switched off, steered or patched."


def on_home(other: State, palette: Palette, screws: Page) -> Fill:
    """Lane B's cells in a row of Home. `other`: its state; `screws`: the sheet Lab."""
    step = Move(other.layout).step
    heads = {
        1: rows.text(1 + step, TITLE, palette["title"]),
        2: rows.text(1 + step, WORDS, palette["note"]),
        3: (),
    }
    sources, values = taken(other.layout, screws), values_of(other)
    found: dict[tuple[int, int], Cells] = {}
    for name, source in sources.items():
        area, value = other.layout[name], values[name]
        column, style = area.column + step, palette["quote" if isinstance(value, str) else "id"]
        found[area.row, column] = rows.formula(column, source, value, style)

    def fill(row: Row, cells: Cells) -> Cells:
        here = heads.get(row.number)
        return rows.joined(found.get((row.number, piece.column), (piece,)) for piece in cells) if here is None else here

    return fill


def taken(layout: Layout, screws: Page) -> dict[str, str]:
    """The formula in the place of each typed value; the row of typed ids is yellow in lane B, too."""

    def typed(name: str) -> str:
        return screws[name].reference

    def theirs(name: str) -> str:
        return layout[name].local

    found = {name: f'IF({typed(name)}="",{theirs(name)},{typed(name)})' for name in SETTINGS}
    found["score_prompt"] = theirs("score_prompt")
    found[AFTER] = f'IF({theirs(AFTER)}="","",{theirs(AFTER)})'
    if layout.reads_text:
        found["prompt"] = f'IF({typed("prompt")}="",{theirs("prompt")}&"",{typed("prompt")}&"")'
    if layout.chat is not None:
        otherwise = f'IF({typed("prompt")}="",{theirs("user_says")}&"","")'
        found["user_says"] = f'IF({typed("user_says")}="",{otherwise},{typed("user_says")}&"")'
    return found


def values_of(other: State) -> Mapping[str, float | str]:
    """The twin of `taken`."""
    inputs = other.inputs
    texts = {"prompt": prompt_cell(inputs.prompt), "user_says": prompt_cell(inputs.user_says)}
    return {**texts, **settings_of(inputs), "score_prompt": float(inputs.score_prompt), AFTER: other.chosen[AFTER]}
