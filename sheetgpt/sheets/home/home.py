"""The Home sheet: the inputs, the prompt a token a column, the ten most likely next tokens, and where everything is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import Cells, letters
from sheetgpt.sheets.block import Block, Drawing, Line, Part
from sheetgpt.sheets.glossary.headings import explained
from sheetgpt.sheets.grid import FIRST_TOKEN, HOME, LAB, LABEL
from sheetgpt.sheets.home import after
from sheetgpt.sheets.home.prompt import (
    TYPED,
    WIDE,
    boxes,
    ranges,
    settings,
    settings_valid,
    status,
    titles,
    trust,
    typed_over,
)
from sheetgpt.sheets.home.strip import strip
from sheetgpt.sheets.home.table import add_charts, table, temperatures
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Bar, Beside, Page, Paper, Space, Texts
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style import looks
from sheetgpt.sheets.style.choosers import Chooser
from sheetgpt.sheets.style.palette import Palette
from sheetgpt.sheets.tensor import Kind, Tensor
from sheetgpt.sheets.text.pages import Text

WORDS = "the prompt, the settings, the ten likeliest next tokens"
CHARTS_END = FIRST_TOKEN + 19  # the last column that is printed: the table's charts end here
TO_LAB, LAB_WORDS = FIRST_TOKEN + 2, "→ Lab: a second text, knobs to turn"
LIST = "The sheets, in the order of their tabs"


def page(layout: Layout, text: Text | None = None) -> Page:
    """What every Home has, down to the table. `text`: only the formulas ask for it, and who declares has none."""
    here = Page(HOME, WORDS, layout.context)
    here.last_column = FIRST_TOKEN - 1 + max(layout.context, 18)
    here.bar_end = FIRST_TOKEN - 1 + max(layout.context, 12)
    if layout.lanes > 1:
        here.links.append((f"{letters(TO_LAB)}{here.row}", f"{quoted(LAB)}!A1"))
    here.add(*title(layout), *boxes(layout, text), *status(layout, text))
    here.add(*strip(layout, text), settings_valid(layout), typed_over(layout, text))
    first = here["token_ids"]
    here.positions = Area(HOME, first.row, FIRST_TOKEN, here.row - first.row, layout.context)
    here.add(*table(here, layout, settings(layout, text)), *temperatures(here, layout), *trust(layout))
    here.also.append(Tensor("next_token", (here["top_tokens"].line(0),), Kind.TEXTS))
    here.dresses += [lambda frame: dress(frame, layout), lambda frame: add_charts(frame, here, layout.config.n_vocab)]
    return here


def sheet(state: State, palette: Palette, others: Sequence[Sheet]) -> Sheet:
    """`others`: the sheets that stand behind it, in the order of their tabs."""
    here = page(state.layout, state.text)
    aside = next((other.on_home for other in others if other.on_home is not None), None)  # there is room for one
    if aside is None:
        here.add(Space())
    else:
        here.links.append((f"A{here.row}", aside[0]))
        here.add(Aside(aside[1]))
    here.paper = Paper(one=True, last_column=CHARTS_END)
    here.add(Bar(LIST))
    here.also.append(Tensor("sheet_list", (Area(HOME, here.row, LABEL, len(others), 2),), Kind.CONSTANT))
    for other in others:
        add_entry(here, other)
    return explained(here).sheet(state, palette)


def add_entry(here: Page, other: Sheet) -> None:
    """A sheet's line in the list, with links to it and to each of its sections."""
    top, columns = f"{quoted(other.title)}!A", range(FIRST_TOKEN, FIRST_TOKEN + len(other.sections))
    here.links.append((f"A{here.row}", f"{top}1"))
    here.links += [
        (f"{letters(c)}{here.row}", f"{top}{row}") for c, (_, row) in zip(columns, other.sections, strict=True)
    ]
    sections = {c: name for c, (name, _) in zip(columns, other.sections, strict=True)}
    here.add(Texts({LABEL: other.title, 2: other.words} | sections, "link", {2: "label"}))
    here.last_column = max(here.last_column, *sections, 0)


@dataclass(frozen=True)
class Aside:
    """A line that another sheet has for Home."""

    cells: Callable[[], Cells]
    n_rows = 1

    def lines(self, on: Drawing, row: int) -> Iterator[Line]:
        yield Line(self.cells())


def title(layout: Layout) -> list[Part]:
    does = "continues your text" if layout.chat is None else "answers you"
    does = "says which token comes next" if layout.reads_only else does
    words = (
        f"Change a yellow cell, and the network {does} (if not: F9, in LibreOffice Ctrl+Shift+F9). Every weight is a "
        "cell, every step a formula, every token a column."
    )

    def name(state: State) -> str:
        return f"GPT-2 in a spreadsheet: {state.now.model}"

    title = Block(n_columns=1, column=LABEL, label=None, twin=name, style="title", height=24)
    aside = Texts({TO_LAB: LAB_WORDS} if layout.lanes > 1 else {}, "link")
    return [Beside(title, aside), Texts({LABEL: words}, "note")]


def dress(frame: Worksheet, layout: Layout) -> None:
    widths: dict[int, float] = dict(enumerate((26, 10, 16, 11, 13), LABEL))
    widths |= dict.fromkeys(range(FIRST_TOKEN, FIRST_TOKEN + layout.context), 9.5)
    looks.dress(widths, looks.ORANGE, "B1", gridlines=False, folds=True)(frame)  # frozen: what a row is called
    validate(frame, layout)
    box = "user_says" if layout.chat else "prompt"
    start = layout[box] if layout.reads_text else layout["prompt_ids"].line(0).stripe(0)
    selected = frame.sheet_view.selection[-1]  # where typing begins
    selected.activeCell = start.cells
    selected.sqref = f"{start.cells}:{letters(WIDE)}{start.row}" if layout.reads_text else start.cells
    for name in ("user_says", "prompt", "completion"):
        if name in layout:
            frame.merged_cells.add(Area(HOME, layout[name].row, TYPED, 1, WIDE - TYPED + 1).cells)


def validate(frame: Worksheet, layout: Layout) -> None:
    """What the input cells take."""
    last = layout.config.n_vocab - 1
    ids = (0, last, True, f"A token id is a whole number from 0 to {last}.")
    Chooser("", layout[after.AFTER], after.offered(layout), "After which position?", after.HINT).validate(frame)
    named = titles(layout)
    for name, (least, most, whole, words) in (ranges(layout) | {"prompt_ids": ids}).items():
        title = named[name][0] if name in named else "Token ids"
        looks.takes(title, words, least, most, whole)(frame, layout[name])
