"""Lane B's cells on Home: the inputs there are formulas, which take what stands on the sheet Lab, or else lane A's."""

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import Cells, Piece, Row
from sheetgpt.sheets.inputs import prompt_cell
from sheetgpt.sheets.lab.lab_layout import LabLayout
from sheetgpt.sheets.lab.screws import SETTINGS, settings_of
from sheetgpt.sheets.layout import INPUTS, Layout
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.state import State

TITLE = "Lane B"
WORDS = "Its text and its settings come from the sheet Lab, where a part of it can be switched off, steered or patched."


def on_home(state: State, palette: Palette, lab: LabLayout, row: Row, cells: Cells) -> Cells:
    """Lane B's cells in a row of Home."""
    left = 1 + lab.move.step
    if row.number == 1:
        return rows.text(left, TITLE, palette["title"])
    if row.number == 2:
        return rows.text(left, WORDS, palette["note"])
    if row.number == 3:
        return ()
    taken = {(area.row, area.column + lab.move.step): name for name, area in _inputs(state.layout).items()}
    found: list[Piece] = []
    for piece in cells:
        name = taken.get((row.number, piece.column))
        found += [piece] if name is None else _taken(state, palette, lab, name, piece)
    return tuple(found)


def _inputs(layout: Layout) -> dict[str, Area]:
    """What lane A has typed there; the row of typed ids is yellow in lane B, too."""
    texts = [name for name in ("prompt", "user_says") if name in layout]
    return {name: layout[name] for name in (*texts, *INPUTS)}


def _taken(state: State, palette: Palette, lab: LabLayout, name: str, piece: Piece) -> Cells:
    """The formula in the place of a typed value."""
    assert state.lab is not None
    other, layout = state.lab.other, state.layout
    theirs = layout[name].local
    if name in ("prompt", "user_says"):
        typed = lab.typed(name).reference
        value = other.inputs.prompt if name == "prompt" else other.inputs.user_says
        otherwise = f'{theirs}&""'
        if name == "user_says":
            otherwise = f'IF({lab.typed("prompt").reference}="",{otherwise},"")'
        source = f'IF({typed}="",{otherwise},{typed}&"")'
        return rows.formula(piece.column, source, prompt_cell(value), palette["quote"])
    if name not in SETTINGS:
        return rows.formula(piece.column, theirs, float(other.inputs.score_prompt), palette["id"])
    typed = lab.typed(name).reference
    source = f'IF({typed}="",{theirs},{typed})'
    return rows.formula(piece.column, source, settings_of(other.inputs)[name], palette["id"])
