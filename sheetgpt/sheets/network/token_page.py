"""What every page with a token a column shares: the header rows, the guard, and how its blocks look.

Position t stands in the same column on each of these sheets. A row's formula is written for the row's first column and
fills right; it is guarded by its column's `active` flag. What a row has of its own, gain, bias and scale, stands on its
left.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from openpyxl.utils import get_column_letter

from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.sheets.block import Block, Part, unguarded
from sheetgpt.sheets.grid import (
    ACTIVE_ROW,
    BIAS,
    FIRST_TOKEN,
    GAIN,
    HOME,
    INDEX,
    LABEL,
    POSITION_ROW,
    SCALE,
    TOKEN_ROW,
)
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import AT_TOP, Beside, Page, Paper, Texts
from sheetgpt.sheets.state import Prompt, State
from sheetgpt.sheets.style.looks import dress
from sheetgpt.sheets.tensor import Kind

BLUE = "2F5597"


def letter(t: int) -> str:
    """The column of position t."""
    return get_column_letter(FIRST_TOKEN + t)


def guarded(source: str, t: int, flag_row: int = ACTIVE_ROW, idle: str = '""') -> str:
    """Nothing is computed, and an empty cell shown, where the column's flag is 0."""
    return f"IF({letter(t)}${flag_row},{source},{idle})"


def token_page(
    layout: Layout,
    title: str,
    words: str,
    heading: str,
    note: str,
    prefix: str = "",
    heads: Mapping[int, str] | None = None,
    tab: str = BLUE,
) -> Page:
    """A page with its header. `heading`: its title row; `heads` names columns B to E."""
    page = Page(title, words, layout.context, prefix=prefix, guard=guarded, numbered=True)
    page.paper = Paper(head=ACTIVE_ROW)
    page.bar_end = FIRST_TOKEN + layout.context - 1
    page.positions = Area(title, POSITION_ROW, FIRST_TOKEN, 0, layout.context)
    page.links.append(("A2", f"{quoted(HOME)}!A1"))
    page.add(*header(layout, heading, note, heads))
    widths: dict[int, float] = {LABEL: 26, INDEX: 7, GAIN: 9, BIAS: 9, SCALE: 9 if layout.scaled else 3}
    widths |= dict.fromkeys(range(FIRST_TOKEN, FIRST_TOKEN + layout.context), 9.5)
    page.dresses.append(dress(widths, tab, f"{letter(0)}{ACTIVE_ROW + 1}"))
    return page


def header(
    layout: Layout,
    heading: str,
    note: str,
    heads: Mapping[int, str] | None = None,
    lane: Callable[[Area], Area] = lambda area: area,
    prompt: Callable[[State], Prompt] = lambda state: state.prompt,
) -> list[Part]:
    """The five rows above every token page: title, position, id, string, active.

    `lane`: where what Home has of a text lies, and `prompt` the text; without them the first lane's.
    """
    own = {INDEX: "row", GAIN: "gain", BIAS: "bias"} | ({SCALE: "scale"} if layout.scaled else {})
    strip: dict[str, Any] = {"label": None, "numbered": False}
    back = {LABEL: "← Home", INDEX: "position"}

    def positions(state: State) -> Any:
        return np.arange(layout.context)

    def of_home(name: str) -> Any:
        return lambda i, t: lane(layout[name]).down(t, "")

    return [
        Texts({LABEL: heading, FIRST_TOKEN: note}, styles={LABEL: "title", FIRST_TOKEN: "note"}, height=AT_TOP),
        Beside(Texts(back, "label", {LABEL: "link"}), Block(twin=positions, style="id", **strip)),
        Beside(
            Texts({INDEX: "token id"}, "label"),
            Block(formula=of_home("token_ids"), twin=lambda s: np.array(prompt(s).ids, float), style="id", **strip),
        ),
        Beside(
            Texts({INDEX: "token"}, "label"),
            Block(formula=of_home("token_text"), twin=lambda s: [*prompt(s).shown], style="token", **strip),
        ),
        Beside(
            Texts({LABEL: "tensor", **(heads or own)}),
            Block(
                formula=of_home("active"),
                twin=lambda s: np.ones(prompt(s).n),
                style="flag",
                guard=unguarded,
                idle=0,
                **strip,
            ),
        ),
    ]


def keys(width: int) -> Block:
    """Beside row k the token of position k, which is the key there."""
    return Block(
        n_rows=width,
        n_columns=1,
        column=LABEL,
        formula=lambda k, j: f'"key: "&${letter(k)}${TOKEN_ROW}',
        twin=lambda s: [f"key: {s.prompt.shown[k] if k < s.prompt.n else ''}" for k in range(width)],
        label=None,
        numbered=False,
        style="label",
        guard=unguarded,
    )


def beside(page: Page, name: str, n_rows: int, column: int, axis: str) -> Block:
    """A parameter's numbers, each in its neuron's row: a gain, a bias or a scale."""
    return Block(
        name,
        n_rows,
        n_columns=1,
        column=column,
        twin=lambda s: s.params[page.prefix + name],
        label=None,
        numbered=False,
        style="scale" if column == SCALE else "weight",
        axes=(axis,),
        kind=Kind.WEIGHT,
    )
