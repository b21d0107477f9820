"""The Home sheet: the inputs, the prompt a token a column, the ten most likely next tokens, and where everything is.

Twin of the table: `sampling.top` and `sampling.probabilities`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from openpyxl.formatting.rule import CellIsRule, ColorScaleRule, FormulaRule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import Cells, Row
from sheetgpt.sheets.grid import FIRST_TOKEN, HOME
from sheetgpt.sheets.home.places import home_row
from sheetgpt.sheets.home.prompt import FINE, NOTE, TITLES, WIDE, bar, inputs_rows, ranges
from sheetgpt.sheets.home.strip import last_line, strip_rows
from sheetgpt.sheets.home.table import add_charts, table_rows
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.token_sheet import letter
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import Now, Prompt
from sheetgpt.sheets.text.text_layout import Text

LINKS_ROW = 44
ASIDE_ROW = LINKS_ROW - 3  # a line that another sheet has for Home
WORDS = "the prompt, the settings, the ten likeliest next tokens"


def sheet(
    layout: Layout, palette: Palette, text: Text | None, prompt: Prompt, now: Now, others: Sequence[Sheet]
) -> Sheet:
    """`others`: the sheets that stand behind it, in the order of their tabs."""
    strip, first = (layout["token_ids"], layout[last_line(layout)]), home_row(layout, LINKS_ROW)
    sections = max((len(other.sections) for other in others), default=0)
    links = [(f"A{first + i}", f"{quoted(other.title)}!A1") for i, other in enumerate(others)]
    for i, other in enumerate(others):
        places = enumerate(f"{quoted(other.title)}!A{row}" for _, row in other.sections)
        links += [(f"{letter(k)}{first + i}", place) for k, place in places]
    links += [(f"A{home_row(layout, ASIDE_ROW)}", place) for place, _ in asides(others)]
    return Sheet(
        HOME,
        WORDS,
        lambda: home_rows(layout, text, palette, prompt, now, others),
        *(first + len(others) - 1, FIRST_TOKEN - 1 + max(layout.context, 18, sections)),
        names=layout.names_on(HOME) | {"sheet_list": [Area(HOME, first, 1, len(others), 2)]},
        positions=Area(HOME, strip[0].row, FIRST_TOKEN, strip[1].row - strip[0].row + 1, layout.context),
        links=links,
        dress=lambda frame: _dress(frame, layout, text),
    )


def asides(others: Sequence[Sheet]) -> list[tuple[str, Callable[[], Cells]]]:
    """The line that a sheet has for Home: there is room for one."""
    return [other.on_home for other in others if other.on_home is not None][:1]


def _dress(frame: Worksheet, layout: Layout, text: Text | None) -> None:
    for column, width in zip("ABCDE", (26, 10, 16, 11, 13), strict=True):
        frame.column_dimensions[column].width = width
    for t in range(layout.context):
        frame.column_dimensions[letter(t)].width = 9.5
    frame.sheet_view.showGridLines = False
    frame.sheet_format.outlineLevelRow = 1  # flags that only formulas need are folded
    frame.sheet_properties.tabColor = "C55A11"
    _validate(frame, layout)
    _colour(frame, layout)
    add_charts(frame, layout)
    message = layout["message"]
    fine = CellIsRule(operator="equal", formula=[f'"{FINE}"'], font=Font(color="548235"))
    note = FormulaRule([f'LEFT({message.local},{len(NOTE)})="{NOTE}"'], font=Font(color="C55A11"))
    for rule in (fine, note):
        frame.conditional_formatting.add(message.cells, rule)
    box = "user_says" if layout.chat else "prompt"
    start = layout[box] if layout.reads_text else layout["prompt_ids"].line(0).stripe(0)
    selected = frame.sheet_view.selection[0]  # where typing begins
    selected.activeCell = start.cells
    selected.sqref = start.cells if text is None else f"{start.cells}:{letter(WIDE - FIRST_TOKEN)}{start.row}"
    if text is not None:
        for row in (layout[name].row for name in ("user_says", "prompt", "completion") if name in layout):
            frame.merged_cells.add(f"C{row}:{letter(WIDE - FIRST_TOKEN)}{row}")


def _validate(frame: Worksheet, layout: Layout) -> None:
    """What the input cells take."""
    last = layout.config.n_vocab - 1
    ids = (0, last, True, f"A token id is a whole number from 0 to {last}.")
    for name, (least, most, whole, words) in (ranges(layout) | {"prompt_ids": ids}).items():
        kind: Literal["whole", "decimal"] = "whole" if whole else "decimal"
        rule = DataValidation(kind, operator="between", formula1=str(least), formula2=str(most), allow_blank=True)
        rule.error, rule.prompt = words, f"{TITLES[name][1]} {words}" if name in TITLES else words
        rule.errorTitle = rule.promptTitle = TITLES[name][0] if name in TITLES else "Token ids"
        rule.showErrorMessage = rule.showInputMessage = True
        rule.add(layout[name].cells)
        frame.add_data_validation(rule)


def _colour(frame: Worksheet, layout: Layout) -> None:
    """The strip: what the model wrote in orange, special tokens in blue, and the redder the more of a surprise."""
    home = layout
    strings, written = home["token_text"], f"{letter(0)}${home['positions'].row}>={home['n_prompt'].local}"
    blank = FormulaRule([f'{letter(0)}${strings.row}=""'], fill=PatternFill(bgColor="FFFFFF"), stopIfTrue=True)
    orange = FormulaRule([written], font=Font(bold=True, color="FFFFFF"), fill=PatternFill(bgColor="C55A11"))
    special = [] if layout.chat is None else [f"{home['special_token'].at(0)}=1"]
    blue = (
        [FormulaRule(special, font=Font(bold=True, color="1F4E78"), fill=PatternFill(bgColor="BDD7EE"))]
        if special
        else []
    )
    for rule in (blank, *blue, orange):
        frame.conditional_formatting.add(strings.cells, rule)
    heat = ColorScaleRule("num", 0, "FFFFFF", "num", 4, "FCE4D6", "num", 12, "E06666")
    frame.conditional_formatting.add(home["surprisal"].cells, heat)


def home_rows(
    layout: Layout, text: Text | None, palette: Palette, prompt: Prompt, now: Now, others: Sequence[Sheet]
) -> Iterator[Row]:
    yield from inputs_rows(layout, text, palette, prompt, now)
    yield from strip_rows(layout, text, palette, prompt, now)
    yield from table_rows(layout, palette, prompt, now)
    for _, line in asides(others):
        yield rows.row(home_row(layout, ASIDE_ROW), line())
    n = home_row(layout, LINKS_ROW) - 1
    yield rows.row(n, rows.text(1, "The sheets, in the order of their tabs", palette["section"]), bar(n, palette))
    for i, other in enumerate(others):
        cells = [rows.text(1, other.title, palette["link"]), rows.text(2, other.words, palette["label"])]
        for k, (section, _) in enumerate(other.sections):
            cells.append(rows.text(FIRST_TOKEN + k, section, palette["link"]))
        yield rows.row(n + 1 + i, *cells)
