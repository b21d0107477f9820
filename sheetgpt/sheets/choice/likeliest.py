"""On the right of the Softmax sheet: the likeliest tokens in order, as Home has them, their total so far, a chart."""

from typing import Any

import numpy as np
from openpyxl.chart import Reference
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.generation import sampling
from sheetgpt.sheets.block import Block, Part, unguarded
from sheetgpt.sheets.home.table import RANKS, best
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Page
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.charts import bars, between

RANK, NAME, SHARE, TOTAL = range(7, 11)  # columns
TITLES = {RANK: "rank", NAME: "likeliest", SHARE: "probability", TOTAL: "so far"}
WIDTHS = {RANK: 6, NAME: 14, SHARE: 12, TOTAL: 10}


def ranked(here: Page, layout: Layout) -> list[Part]:
    """A rank a row; nothing where Home has none."""

    def token(i: int, j: int) -> str:
        return f'{layout["top_tokens"].line(i).reference}&""'

    def share(i: int, j: int) -> str:
        held = layout["top_probs"].line(i).reference
        return f'IF(ISNUMBER({held}),{held},"")'

    def total(i: int, j: int) -> str:
        """This probability and all above it."""
        shares = here["ranked_probs"]
        return f'IF(ISNUMBER({shares.line(i).local}),SUM({shares.rows_of(0, i + 1).local}),"")'

    def padded(found: list[Any]) -> list[Any]:
        return [*found, *[""] * (RANKS - len(found))]

    def shares_now(state: State) -> list[float]:
        found = sampling.probabilities(state.now.logits, state.inputs.sampling.temperature)
        return [float(found[id]) for id in state.ask(best)]

    def doubt(state: State) -> float:
        return float(sampling.doubt(state.now.logits, state.inputs.sampling.temperature))

    own: dict[str, Any] = {"n_rows": RANKS, "n_columns": 1, "label": None, "named": False, "guard": unguarded}
    own["fills"] = False
    return [
        Block(column=RANK, twin=lambda state: np.arange(1, RANKS + 1), style="index", **own),
        Block(
            "ranked_tokens",
            column=NAME,
            formula=token,
            twin=lambda state: padded([state.shown[id] for id in state.ask(best)]),
            style="token",
            **own,
        ),
        Block(
            "ranked_probs",
            column=SHARE,
            formula=share,
            twin=lambda state: padded(shares_now(state)),
            style="prob",
            doubt=doubt,
            **own,
        ),
        Block(
            "ranked_totals",
            column=TOTAL,
            formula=total,
            twin=lambda state: padded(np.cumsum(shares_now(state)).tolist()),
            style="prob",
            doubt=doubt,
            **own,
        ),
    ]


def add_chart(frame: Worksheet, here: Page) -> None:
    shares, names = here["ranked_probs"], here["ranked_tokens"]
    chart = bars("bar", "The likeliest next tokens at the temperature")
    chart.y_axis.scaling.min = 0
    chart.add_data(Reference(frame, shares.column, shares.row, shares.column, shares.last_row))
    chart.set_categories(Reference(frame, names.column, names.row, names.column, names.last_row))
    chart.x_axis.scaling.orientation = "maxMin"
    chart.legend = None
    chart.anchor = between(RANK, shares.last_row + 2, 7, 16)
    frame.add_chart(chart)
