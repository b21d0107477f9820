"""The sheet Embedding: the nearest tokens of a word, an analogy, and a map of the commonest tokens.

The mathematics and the twin: `inspection/embedding.py`. It compares two vectors with every token's row of wte and takes
the rows' lengths, so it costs as much as three more columns of the Output sheet.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from openpyxl.chart import Reference, ScatterChart, Series
from openpyxl.chart.data_source import StrRef
from openpyxl.chart.label import DataLabelList
from openpyxl.chart.series import SeriesLabel
from openpyxl.formatting.rule import ColorScaleRule
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.inspection import embedding
from sheetgpt.inspection.embedding import Array
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import Row
from sheetgpt.sheets.charts import between, plain, rich
from sheetgpt.sheets.grid import FIRST_TOKEN, HOME
from sheetgpt.sheets.inside import asked
from sheetgpt.sheets.inside.asked import bar
from sheetgpt.sheets.inside.embedding_layout import (
    ACROSS,
    ASKED,
    EMBEDDING,
    MAP_COLUMNS,
    MAP_ROWS,
    NAME,
    UP,
    WORDS,
    EmbeddingLayout,
)
from sheetgpt.sheets.inside.embedding_rows import Asked, lines, strip_rows, table_rows
from sheetgpt.sheets.inside.embedding_workings import workings_rows
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.optional import Value
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import State

NAMED = 30  # of the map's tokens: those that lie farthest from one another
ORANGE, GREY = "C55A11", "A6A6A6"


def starts(layout: Layout) -> Mapping[str, Value]:
    """The yellow cells: words where there is a tokenizer, else ids."""
    last = layout.config.n_vocab - 1
    first: tuple[Value, ...] = ("dog", "him", "he", "she")
    ids: tuple[Value, ...] = tuple(min(i, last) for i in (0, 0, 1, 2))
    found = first if layout.reads_text else ids
    return {f"embedding_{name}": value for name, value in zip(WORDS, found, strict=True)}


def n_formulas(layout: Layout) -> int:
    config = layout.config
    n_common = min(embedding.MAP, config.n_vocab)
    return 4 * config.n_vocab + 5 * config.n_embd + 2 * n_common + 3 * layout.context + 93


def sheet(state: State, palette: Palette) -> Sheet:
    here = EmbeddingLayout(state.layout, len(embedding.common(state.hexes)))
    names = {
        **{f"embedding_{name}": here.word(i) for i, name in enumerate(WORDS)},
        "embedding_nearest": here.nearest,
        "embedding_analogy": here.analogy,
        "embedding_vectors": here.features,
        "embedding_axes": here.axes,
        "embedding_map": here.common,
        "embedding_lengths": here.every.stripe(0),
        "embedding_cosines": here.every.stripe(1),
        "embedding_analogy_cosines": here.every.stripe(2),
    }
    places = [
        ("nearest", here.nearest.row - 2),
        ("analogy", here.analogy.row - 2),
        ("workings", here.spelled.row - 2),
        ("map", here.common.row - 2),
        ("every token", here.every.row - 2),
    ]
    return Sheet(
        EMBEDDING,
        "which tokens are alike: nearest tokens, analogies, and a map",
        lambda: _rows(state, palette, here),
        *(here.every.last_row, here.last_column),
        names={name: [area] for name, area in names.items()},
        positions=Area(EMBEDDING, asked.POSITIONS, FIRST_TOKEN, NAME - asked.POSITIONS + 1, state.layout.context),
        sections=places,
        links=[("A2", f"{quoted(HOME)}!A1")],
        dress=lambda frame: _dress(frame, here, Asked(state, here)),
    )


def _rows(state: State, palette: Palette, here: EmbeddingLayout) -> Iterator[Row]:
    it = Asked(state, here)
    note = "A token's embedding is a direction. Tokens that are used alike come to point in directions that are alike."
    yield rows.row(1, rows.text(1, EMBEDDING, palette["title"]), rows.text(3, note, palette["note"]), height=24)
    yield rows.row(2, rows.text(1, "← Home", palette["link"]))
    yield from asked.strip_rows(state.layout, palette, state.prompt)
    yield from strip_rows(it, palette)
    yield bar(ASKED - 2, palette, "What is asked", last=here.last_column)
    yield from asked.line_rows(state.layout, palette, lines(it), {})
    yield from table_rows(it, palette)
    yield from workings_rows(it, palette)


def _dress(frame: Worksheet, here: EmbeddingLayout, it: Asked) -> None:
    frame.sheet_view.showGridLines = False
    frame.sheet_properties.tabColor = "548235"
    frame.sheet_format.outlineLevelRow = 1  # what only the map needs is folded
    for name, width in zip("ABCDE", (25, 7, 12, 9, 12), strict=True):
        frame.column_dimensions[name].width = width
    for column in range(FIRST_TOKEN, here.last_column + 1):
        frame.column_dimensions[rows.letters(column)].width = 9.5
    frame.freeze_panes = f"{rows.letters(FIRST_TOKEN)}{asked.TOKENS + 1}"
    prompt = DataValidation("custom", formula1="TRUE", allow_blank=True)
    prompt.promptTitle = "A word or an id"
    last = it.state.layout.config.n_vocab - 1
    prompt.prompt = f"A word that is one token, after a space or as you type it; or a token's id, 0 to {last}."
    prompt.showInputMessage, prompt.showErrorMessage = True, False
    for i in range(len(WORDS)):
        prompt.add(here.word(i).cells)
    frame.add_data_validation(prompt)
    for area in (here.nearest, here.analogy):
        frame.conditional_formatting.add(area.stripe(0).cells, ColorScaleRule("num", 0, "FFFFFF", "num", 1, "E69138"))
    _add_map(frame, here, it)


def _add_map(frame: Worksheet, here: EmbeddingLayout, it: Asked) -> None:
    """All common tokens as dots, those farthest apart with their names, and the text's own with theirs."""
    chart = plain(ScatterChart(), "Every dot is a token", "0.0")
    chart.scatterStyle = "lineMarker"
    area, columns = here.common, (here.common.column, here.common.column + 1)
    across, up = (Reference(frame, c, area.row, c, area.last_row) for c in columns)
    chart.series.append(_dots(across, up, GREY, 4))
    for r in _far_apart(it.map.places(it.table[it.map.ids]), NAMED):
        x, y = (Reference(frame, c, area.row + r) for c in columns)
        chart.series.append(_named(_dots(x, y, GREY, 4), Area(EMBEDDING, area.row + r, 1), "7F7F7F", 700))
    for t in range(it.state.layout.context):
        x, y = (Reference(frame, FIRST_TOKEN + t, row) for row in (ACROSS, UP))
        chart.series.append(_named(_dots(x, y, ORANGE, 7), here.strip(NAME).stripe(t), ORANGE, 900))
    chart.legend = None
    chart.x_axis.tickLblPos = chart.y_axis.tickLblPos = "low"
    chart.visible_cells_only = False  # the text's places are folded
    chart.x_axis.numFmt, chart.x_axis.majorGridlines = "0.0", None
    chart.anchor = between(FIRST_TOKEN, here.map_row, MAP_COLUMNS, MAP_ROWS)
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


def _far_apart(places: Array, n: int) -> list[int]:
    """One after another, whichever lies farthest from those before it."""
    chosen = [0]
    away = np.hypot(*(places - places[0]).T)
    while len(chosen) < min(n, len(places)):
        chosen.append(int(away.argmax()))
        away = np.minimum(away, np.hypot(*(places - places[chosen[-1]]).T))
    return chosen
