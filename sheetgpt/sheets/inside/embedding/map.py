"""The map of the sheet Embedding: the commonest tokens and the text's own along two directions, and their chart.

The directions are data of the build (`inspection/embedding.py`), constants on the sheet; each dot's place is a formula.
"""

from functools import partial
from typing import Any

import numpy as np
from openpyxl.chart import Reference, ScatterChart, Series
from openpyxl.chart.data_source import StrRef
from openpyxl.chart.label import DataLabelList
from openpyxl.chart.series import SeriesLabel
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.inspection.embedding import Array
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Part
from sheetgpt.sheets.grid import FIRST_TOKEN, INDEX, LABEL
from sheetgpt.sheets.inside.embedding.words import FIRST, MAP_COLUMNS, Alike, Found
from sheetgpt.sheets.page import Bar, Beside, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.charts import between, plain, rich

MAP_ROWS = 28
NAMED = 30  # of the map's tokens: those that lie farthest from one another
ORANGE, GREY = "C55A11", "A6A6A6"


def place(it: Alike, rows: str, axis: int, scale: str = "") -> str:
    """(w - centre) . axis, of a column of numbers"""
    own, offset = it.page["axes"].stripe(1 + axis).local, it.page["offsets"].stripe(axis).local
    return f"SUMPRODUCT({rows},{own}){scale}-{offset}"


def text_on_map(it: Alike) -> list[Part]:
    """Where the text's tokens are on the map; in columns that are not active the first token again, for the chart."""
    home, context = it.layout, it.layout.context

    def own(axis: int, i: int, t: int) -> str:
        active, x = home["active"], home["embed_tok"]
        here, first = place(it, x.down(t, ""), axis), place(it, x.stripe(0).reference, axis)
        return f'IF({active.at(0, t, "")},{here},IF({active.stripe(0).reference},{first},""))'

    def own_now(axis: int, state: State) -> Array:
        found, ids = state.ask(Found), [*state.prompt.ids]
        places = found.map.places(found.table[ids])[:, axis]
        return np.concatenate([places, np.repeat(places[:1], context - len(ids))])

    def named(i: int, t: int) -> str:
        active, texts = home["active"].at(0, t, ""), home["token_text"]
        return f'IF({active},{texts.at(0, t, "")},{texts.stripe(0).reference}&"")'

    def named_now(state: State) -> list[str]:
        shown = [*state.prompt.shown]
        return [*shown, *shown[:1] * (context - len(shown))]

    line = partial(Block, folded=True, named=False, style="share")
    return [
        line("text across", label="on the map: across", formula=partial(own, 0), twin=partial(own_now, 0)),
        line("text up", label="up", formula=partial(own, 1), twin=partial(own_now, 1)),
        line("text named", label="named", formula=named, twin=named_now, style="id"),
    ]


def common_tokens(it: Alike) -> list[Part]:
    """The commonest tokens' places, across and up."""

    def own(r: int, axis: int) -> str:
        return place(it, it.column(it.common[r]).reference, axis, it.scale(it.common[r]))

    said = "The first tokens of more than one byte, which are the commonest: their rows along the two directions."
    looks: dict[str, Any] = {"n_rows": len(it.common)}
    name: dict[str, Any] = {"label": "", "labels": lambda state: [state.shown[id] for id in it.common], "named": True}
    return [
        Bar("Workings: the map", said, link="map"),
        Texts({LABEL: "token", INDEX: "id", FIRST: "across", FIRST + 1: "up"}),
        Beside(
            it.block("map", FIRST, own, places, "share", n_columns=2, **looks, **name),
            it.block("", INDEX, None, lambda found: np.array(it.common), "index", **looks),
        ),
    ]


def places(found: Found) -> Array:
    """Across and up, of the commonest tokens.  [n, 2]"""
    return found.map.places(found.table[found.map.ids])


def add_chart(it: Alike, state: State, frame: Worksheet) -> None:
    """All common tokens as dots, those farthest apart with their names, and the text's own with theirs."""
    chart = plain(ScatterChart(), "Every dot is a token; a few lie outside", "0.0")
    chart.scatterStyle = "lineMarker"
    dots, own, names = it.page["map"], [it.page["text across"], it.page["text up"]], it.page["text named"]
    columns = (dots.column, dots.column + 1)
    across, up = (Reference(frame, c, dots.row, c, dots.last_row) for c in columns)
    chart.series.append(_dots(across, up, GREY, 4))
    every = places(state.ask(Found))
    limits = [_limits(every[:, axis]) for axis in (0, 1)]
    for axis, (least, most) in zip((chart.x_axis, chart.y_axis), limits, strict=True):
        axis.scaling.min, axis.scaling.max = least, most
    inside = [k for k, place in enumerate(every) if all(a < x < b for x, (a, b) in zip(place, limits, strict=True))]
    for r in (inside[k] for k in _far_apart(every[inside], NAMED)):
        x, y = (Reference(frame, c, dots.row + r) for c in columns)
        chart.series.append(_named(_dots(x, y, GREY, 4), Area(dots.sheet, dots.row + r, LABEL), "7F7F7F", 700))
    for t in range(it.layout.context):
        x, y = (Reference(frame, FIRST_TOKEN + t, area.row) for area in own)
        chart.series.append(_named(_dots(x, y, ORANGE, 7), names.stripe(t), ORANGE, 900))
    chart.legend = None
    chart.x_axis.tickLblPos = chart.y_axis.tickLblPos = "low"
    chart.visible_cells_only = False  # the text's places are folded
    chart.x_axis.numFmt, chart.x_axis.majorGridlines = "0.0", None
    chart.anchor = between(FIRST_TOKEN, it.page["nearest"].row - 1, MAP_COLUMNS, MAP_ROWS)
    frame.add_chart(chart)


def _dots(across: Reference, up: Reference, color: str, size: int) -> Any:
    series: Any = Series(up, across)
    series.marker.symbol, series.marker.size = "circle", size
    series.marker.graphicalProperties.solidFill = color
    series.marker.graphicalProperties.line.solidFill = color
    series.graphicalProperties.line.noFill = True
    series.smooth = False
    return series


def _named(series: Any, name: Area, color: str, size: int) -> Any:
    """With the text of a cell beside the dot: a series' name is the one label that every program takes from a cell."""
    series.tx = SeriesLabel(strRef=StrRef(name.reference))
    labels = DataLabelList(dLblPos="r", showSerName=True)
    labels.showVal = labels.showCatName = labels.showLegendKey = labels.showPercent = labels.showBubbleSize = False
    labels.txPr = rich("", size)
    labels.txPr.p[0].pPr.defRPr.solidFill = color
    series.dLbls = labels
    return series


def _limits(places: Array) -> tuple[float, float]:
    """Of an axis: where 98 of 100 lie, and a tenth more. A single outlier would push all others together."""
    least, most = (float(at) for at in np.percentile(places, (1, 99)))
    room = max((most - least) / 10, 0.1)
    return round(least - room, 1), round(most + room, 1)


def _far_apart(places: Array, n: int) -> list[int]:
    """One after another, whichever lies farthest from those before it."""
    chosen = [0]
    away = np.hypot(*(places - places[0]).T)
    while len(chosen) < min(n, len(places)):
        chosen.append(int(away.argmax()))
        away = np.minimum(away, np.hypot(*(places - places[chosen[-1]]).T))
    return chosen
