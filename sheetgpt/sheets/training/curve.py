"""The loss curve on the sheet Training: all losses that State holds and this step's, as a few points."""

import math
from typing import Any

import numpy as np
from openpyxl.chart import Reference, ScatterChart, Series
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Part
from sheetgpt.sheets.page import Bar, Beside, Page, Texts
from sheetgpt.sheets.style.charts import between, mark, plain
from sheetgpt.sheets.training.bands import NUMBER
from sheetgpt.sheets.training.lesson import NEXT, Lesson, Moment

CHART = 4  # its first column
POINTS = 50


def curve(layout: Lesson, here: Page) -> list[Part]:
    """The losses so far as POINTS points: each the mean of its part of the steps."""
    room = layout.room

    def n() -> str:
        return f"MIN({here['step_now'].local},{room})"

    def first(k: int, j: int) -> str:
        return f"INT({k}*{n()}/{POINTS})+1"

    def last(k: int, j: int) -> str:
        return f"MAX({here['curve_first'].line(k).local},INT({k + 1}*{n()}/{POINTS}))"

    def mean(k: int, j: int) -> str:
        losses = layout["new.losses"]
        numbers = Area(NEXT, losses.row, NUMBER, room).reference
        start, end = here["curve_first"].line(k).local, here["curve_last"].line(k).local
        inside = f"({numbers}>={start})*({numbers}<={end})"
        return f"SUMPRODUCT({inside}*{losses.reference})/({end}-{start}+1)"

    def spans(moment: Moment) -> list[tuple[int, int]]:
        total = len(moment.history)
        starts = [k * total // POINTS + 1 for k in range(POINTS)]
        return [(start, max(start, (k + 1) * total // POINTS)) for k, start in enumerate(starts)]

    def means(moment: Moment) -> Any:
        return np.array([np.mean(moment.history[start - 1 : end]) for start, end in moment.ask(spans)])

    one: dict[str, Any] = {"n_rows": POINTS, "n_columns": 1, "label": None, "numbered": False, "axes": ("point",)}
    titles = {CHART: "from step", CHART + 1: "to step", CHART + 2: "loss", CHART + 3: "guessing"}
    return [
        Bar(
            "The curve", f"The last {room:,} losses in {POINTS} parts, of each its mean.", last=CHART + 3, link="curve"
        ),
        Texts(titles),
        Beside(
            Block(
                "curve_first",
                column=CHART,
                formula=first,
                twin=lambda m: np.array([a for a, _ in m.ask(spans)], float),
                style="id",
                **one,
            ),
            Block(
                "curve_last",
                column=CHART + 1,
                formula=last,
                twin=lambda m: np.array([b for _, b in m.ask(spans)], float),
                style="id",
                **one,
            ),
            Block("curve", column=CHART + 2, formula=mean, twin=means, style="share", **one),
            Block(
                "curve_guess",
                column=CHART + 3,
                formula=lambda k, j: here["guess"].local,
                twin=lambda m: np.full(POINTS, math.log(layout.config.n_vocab)),
                style="share",
                **one,
            ),
        ),
    ]


def draw(frame: Worksheet, area: Area, row: int) -> None:
    """The chart, beside the rows from this one on. `area`: the losses; on their left the steps, on their right what
    guessing gives."""
    chart = plain(ScatterChart(), "Loss", "0.00")  # of few steps several points are one: names would be repeated
    chart.scatterStyle = "lineMarker"
    across = Reference(frame, area.column - 1, area.row, area.column - 1, area.last_row)
    for column, colour in ((area.column, "C55A11"), (area.column + 1, "A6A6A6")):
        up = Reference(frame, column, area.row - 1, column, area.last_row)
        series: Any = Series(up, across, title_from_data=True)
        mark(series, colour)
        series.marker.size = 3 if column == area.column else 2  # a first step is a single point
        chart.series.append(series)
    chart.x_axis.numFmt, chart.x_axis.majorGridlines = "0", None
    chart.legend.position = "b"
    chart.anchor = between(CHART, row, 4, 17)
    frame.add_chart(chart)
