"""The tables and charts of the sheet Contributions: the strongest parts, blocks × parts, and the residual stream.

They show what the workings below them hold (`contributions_workings.py`).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openpyxl.chart import Reference
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.inspection.contributions import Attribution
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import Cells, Row
from sheetgpt.sheets.charts import bars, between, lines, mark, rich
from sheetgpt.sheets.formulas import rank_id
from sheetgpt.sheets.grid import FIRST_TOKEN
from sheetgpt.sheets.inside import asked
from sheetgpt.sheets.inside.asked import bar
from sheetgpt.sheets.inside.contributions_layout import (
    ADDS,
    CONTRIBUTIONS,
    NAME,
    NUMBER,
    RANK,
    SIZE,
    ContributionsLayout,
)
from sheetgpt.sheets.inside.contributions_workings import Workings
from sheetgpt.sheets.palette import Palette

Floats = NDArray[Any]
TALL = 15  # points: of a row beside the charts


def ranked_rows(palette: Palette, work: Workings, found: Attribution, title: tuple[str, str]) -> Iterator[Row]:
    """The strongest parts, largest first; of equal ones (to nine decimals) the earlier one."""
    here, ranks = work.here, work.here.ranks
    n = ranks.row - 2
    filler = rows.joined(rows.blank(column, palette["maths"]) for column in range(2, asked.LAST_COLUMN + 1))
    yield rows.row(n, rows.formula(1, *title, palette["section"]), filler)
    heads = {NAME: "part", RANK: "rank", ADDS: "adds", SIZE: "size", NUMBER: "part's no."}
    yield rows.row(n + 1, *(rows.text(c, head, palette["header"]) for c, head in heads.items()), height=TALL)
    best = found.ranked(ranks.n_rows)
    keys, numbers = here.keys.local, here.numbers.local
    for r, k in enumerate(best):
        row, above = ranks.row + r, None
        if r:
            above = f"${rows.letters(SIZE)}${row - 1}", f"${rows.letters(NUMBER)}${row - 1}"
        size, number = f"${rows.letters(SIZE)}${row}", f"${rows.letters(NUMBER)}${row}"
        place = rank_id(size, keys, numbers, len(here.parts), above)
        name = f'INDEX({here.places.local},1,{number}+1)&" "&INDEX({here.whats.local},1,{number}+1)'
        doubt = float(found.doubts[k])
        yield rows.row(
            row,
            rows.formula(NAME, work.guarded(name), found.parts[k].name, palette["name"]),
            rows.number(RANK, r + 1, palette["index"]),
            rows.formula(
                ADDS,
                work.guarded(f"INDEX({here.values.local},1,{number}+1)"),
                float(found.values[k]),
                palette["signed"],
                doubt,
            ),
            rows.formula(
                SIZE,
                work.guarded(f"LARGE({keys},${rows.letters(RANK)}${row})"),
                float(found.keys[k]),
                palette["share"],
                float(found.key_doubts[k]),
            ),
            rows.formula(NUMBER, work.guarded(place), k, palette["id"]),
            height=TALL,
        )
    shown = Area(CONTRIBUTIONS, ranks.row, ADDS, ranks.n_rows)
    rest = f"{here.fact(0).local}-SUM({shown.local})"
    others = found.total - float(found.values[best].sum())
    cell = rows.formula(ADDS, work.guarded(rest), others, palette["signed"], float(found.doubts.sum()))
    yield rows.row(ranks.last_row + 1, rows.text(1, "all other parts", palette["label"]), cell, height=TALL)


def _table(
    palette: Palette, here: ContributionsLayout, table: Area, values: Floats, source: Area, style: str, doubts: Floats
) -> Iterator[tuple[int, list[Cells]]]:
    """Each level's row: its label, and every part in the column of its kind."""
    labels = ["embedding", *(f"block {i}" for i in range(here.config.n_layer)), "final norm"]
    for level in range(table.n_rows):
        cells = []
        for k, part in enumerate(here.parts[: source.n_columns]):
            if part.level == level:
                place = here.place(table, part)
                guarded = f"{source.stripe(k).local}"
                cells.append(rows.formula(place.column, guarded, float(values[k]), palette[style], float(doubts[k])))
        yield level, [rows.text(1, labels[level], palette["name"]), *cells]


def _heads(palette: Palette, row: int, table: Area, here: ContributionsLayout, more: Mapping[int, str]) -> Row:
    heads = (head for _, head in here.kinds[: table.n_columns])
    cells = (rows.text(table.column + c, head, palette["header"]) for c, head in enumerate(heads))
    return rows.row(row, *(rows.text(c, head, palette["header"]) for c, head in more.items()), *cells)


def heat_rows(palette: Palette, here: ContributionsLayout, found: Attribution) -> Iterator[Row]:
    """Blocks × parts, with the sums of the rows in column E and of the columns below."""
    table, total = here.heat, float(found.doubts.sum())
    last = max(asked.LAST_COLUMN, table.last_column)
    words = "What each part adds to the logit: red speaks for the token, blue against it."
    yield bar(table.row - 2, palette, "Blocks × parts", words, last)
    yield _heads(palette, table.row - 1, table, here, {4: "largest", 5: "sum"})
    sums = np.zeros(len(here.kinds))
    kinds = [kind for kind, _ in here.kinds]
    for part, value in zip(here.parts, found.values, strict=True):
        sums[kinds.index(part.what)] += value
    for level, (label, *cells) in _table(palette, here, table, found.values, here.values, "signed", found.doubts):
        row = table.line(level)
        own = sum(float(v) for part, v in zip(here.parts, found.values, strict=True) if part.level == level)
        cell = rows.formula(5, f"SUM({row.local})", own, palette["signed"], total)
        largest: Cells = ()
        if level == 0:
            doubt = float(found.key_doubts[found.keys.argmax()])
            largest = rows.formula(4, f"MAX({here.keys.local})", float(found.keys.max()), palette["share"], doubt)
        yield rows.row(row.row, label, largest, cell, *cells)
    columns = [f"SUM({table.stripe(c).local})" for c in range(table.n_columns)]
    below = rows.text(1, "all blocks", palette["label"])
    below += rows.formula(5, f"SUM({table.local})", found.total, palette["signed"], total)
    below += (rows.Formulas(table.column, columns, sums, palette["signed"], total),)
    yield rows.row(table.last_row + 1, below)


def length_rows(palette: Palette, here: ContributionsLayout, found: Attribution) -> Iterator[Row]:
    """The same table of lengths."""
    table = here.sizes
    last = max(asked.LAST_COLUMN, here.heat.last_column)
    words = "How long a vector each part writes into the residual stream at this position, in whatever direction."
    yield bar(table.row - 2, palette, "Lengths", words, last)
    yield _heads(palette, table.row - 1, table, here, {})
    doubts = np.zeros(len(found.lengths))
    for level, cells in _table(palette, here, table, found.lengths, here.lengths, "share", doubts):
        yield rows.row(table.row + level, *cells)


def stream_rows(palette: Palette, work: Workings, found: Attribution) -> Iterator[Row]:
    """The residual stream: the length of what is written, of the stream itself, its cosine with the last state."""
    here, table, share = work.here, work.here.stream, palette["share"]
    words = "What a part writes is added to the stream; how long it is then, and how near to its last state."
    last = max(asked.LAST_COLUMN, here.heat.last_column)
    yield bar(table.row - 2, palette, "The residual stream", words, last)
    heads = ((1, "after"), (2, ""), (3, "written"), (4, "stream"), (5, "cosine"))
    yield rows.row(table.row - 1, *(rows.text(c, head, palette["header"]) for c, head in heads), height=TALL)
    states = [here.states.stripe(d).local for d in range(here.states.n_columns)]
    end = len(states) - 1
    for d, (place, step_name) in enumerate(here.depths):
        own, size = states[d], here.state_lengths.stripe(d).local
        step = f"({own}-{states[d - 1]})" if d else own
        product = f"{size}*{here.state_lengths.stripe(end).local}"
        cosine = f"IF({product}>0,SUMPRODUCT({own},{states[end]})/({product}),0)"
        yield rows.row(
            table.row + d,
            rows.text(1, f"{place} {step_name}".strip(), palette["name"]),
            rows.formula(3, work.guarded(f"SQRT(SUMPRODUCT({step}*{step}))"), float(found.steps[d]), share),
            rows.formula(4, size, float(found.stream_lengths[d]), share),
            rows.formula(5, work.guarded(cosine), float(found.cosines[d]), share),
            height=TALL,
        )


def add_charts(frame: Worksheet, here: ContributionsLayout) -> None:
    """The strongest parts as bars, beside their list; the stream's lengths and cosine, beside theirs."""
    ranks, stream = here.ranks, here.stream
    strongest = bars("bar", "What the strongest parts add to the logit", "0.0")
    strongest.add_data(Reference(frame, ADDS, ranks.row, ADDS, ranks.last_row + 1))
    strongest.set_categories(Reference(frame, NAME, ranks.row, NAME, ranks.last_row + 1))
    strongest.x_axis.scaling.orientation = "maxMin"
    strongest.x_axis.tickLblPos = "low"
    strongest.legend = None
    strongest.anchor = between(FIRST_TOKEN, ranks.row - 1, 10, ranks.n_rows + 2)
    frame.add_chart(strongest)
    names = Reference(frame, 1, stream.row, 1, stream.last_row)
    for title, form, columns, left in (
        ("Length of what is written, and of the stream", "0", (3, 4), FIRST_TOKEN),
        ("Cosine with the last state", "0.0", (5,), FIRST_TOKEN + 6),
    ):
        chart = lines(title, form)
        for column, color in zip(columns, ("C55A11", "2F5597"), strict=False):
            chart.add_data(Reference(frame, column, stream.row - 1, column, stream.last_row), titles_from_data=True)
            mark(chart.series[-1], color)
        chart.set_categories(names)
        chart.legend.position = "b"
        chart.y_axis.scaling.min = 0 if len(columns) > 1 else None
        chart.x_axis.tickLblPos, chart.x_axis.txPr = "low", rich("", 700)
        chart.anchor = between(left, stream.row - 1, 6, here.n_beside + 1)
        frame.add_chart(chart)
