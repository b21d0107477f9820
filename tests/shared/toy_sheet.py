"""A sheet as a newcomer writes it from the map, `sheetgpt/README.md`: which of the text's tokens are long.

One module: two blocks, a yellow cell and a chart. `test_toy_sheet.py` puts it into the registry, builds, breaks and
verifies it.
"""

from typing import Any

import numpy as np
from openpyxl.chart import Reference

from sheetgpt.sheets.block import Block, cell
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Bar, Beside, Page, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.charts import bars, between
from sheetgpt.sheets.style.choosers import whole, whole_now
from sheetgpt.sheets.tensor import Kind

LONG, MOST = 3, 99


def starts(layout: Layout) -> dict[str, Any]:
    """The yellow cell."""
    return {"toy_least": LONG}


def n_formulas(layout: Layout) -> int:
    return 2 * layout.context + 1


def page(layout: Layout) -> Page:
    here = Page("Toy", "which tokens are long", width=layout.context, prefix="toy_", guard=guarded(layout))
    here.head("How many characters each token is shown with, and whether that is a long one.")

    def least(state: State) -> int:
        return whole_now(state.chosen["toy_least"], MOST, LONG)

    typed = cell(3, None, lambda state: state.chosen["toy_least"], "input", "least", kind=Kind.INPUT)
    used = cell(4, lambda: whole(here["least"].local, str(MOST), str(LONG)), least, "id", "used")
    here.add(
        Bar("What is long", "From so many characters on.", link="long"), Beside(Texts({1: "at least"}), typed, used)
    )

    def length(i: int, t: int) -> str:
        """characters of token t"""
        return f"LEN({layout['token_text'].at(0, t, '')})"

    def lengths(state: State) -> Any:
        return np.array([len(text) for text in state.prompt.shown], float)

    def long(i: int, t: int) -> str:
        """1 where length >= least"""
        return f"IF({here['length'].at(0, t)}>={here['used'].local},1,0)"

    def are_long(state: State) -> Any:
        return (lengths(state) >= least(state)).astype(float)

    here.add(
        Bar("Tokens", "Those that reach it are marked.", link="tokens"),
        Block("length", label="characters", formula=length, twin=lengths, style="id"),
        Block("long", label="long?", formula=long, twin=are_long, style="flag"),
    )

    def chart(frame: Any) -> None:
        area = here["length"]
        drawn = bars("col", "Characters", "0")
        drawn.add_data(Reference(frame, area.column, area.row, area.last_column, area.row), from_rows=True)
        drawn.anchor = between(area.column, area.last_row + 3, 8, 12)
        frame.add_chart(drawn)

    here.dresses.append(chart)
    return here


def guarded(layout: Layout) -> Any:
    """Nothing is shown in columns that are not in use."""
    return lambda source, t: f'IF({layout["active"].at(0, t, "")},{source},"")'
