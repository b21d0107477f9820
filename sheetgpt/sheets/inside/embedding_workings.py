"""The workings of the sheet Embedding: the words as they are spelled, their rows of wte, the map, and every token.

The mathematics and the twin: `inspection/embedding.py`; the formulas: `embedding_rows.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sheetgpt.inspection import embedding
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.rows import Cells, Row
from sheetgpt.sheets.grid import INDEX
from sheetgpt.sheets.inside.asked import bar
from sheetgpt.sheets.inside.embedding_layout import LENGTH, SPELLED, WORDS
from sheetgpt.sheets.inside.embedding_rows import Asked
from sheetgpt.sheets.palette import Palette


def workings_rows(it: Asked, palette: Palette) -> Iterator[Row]:
    yield from _spelling_rows(it, palette)
    yield from _feature_rows(it, palette)
    yield from _map_rows(it, palette)
    yield from _every_rows(it, palette)


def _spelling_rows(it: Asked, palette: Palette) -> Iterator[Row]:
    """The eight spellings; which of them each is, as two may be the same; and where its first token stands."""
    here, shown = it.here, it.state.shown
    area, found = here.spelled, here.every.stripe(SPELLED - LENGTH).local
    words = "As tokens are shown: after a space, else as typed; its number; its place among every token, 0 for none."
    yield bar(area.row - 2, palette, "Workings: the words", words, here.last_column)
    heads = ("after a space", "number", "place", "as typed", "number", "place")
    yield rows.row(area.row - 1, *(rows.text(3 + c, head, palette["header"]) for c, head in enumerate(heads)))
    for i, name in enumerate(WORDS):
        typed = here.word(i).local
        cells: Cells = rows.text(1, name, palette["label"])
        written = f'IF(ISNUMBER({typed}),"",SUBSTITUTE({typed}&""," ","{embedding.SPACE}"))'
        as_typed = area.line(i).stripe(3).local
        sources = f'IF({as_typed}="","","{embedding.SPACE}"&{as_typed})', written
        for k, source in enumerate(sources):
            spelling, column = it.spellings[2 * i + k], area.column + 3 * k
            cell, number = (area.line(i).stripe(3 * k + c).local for c in (0, 1))
            place = f'IF({cell}="",0,IFERROR(MATCH({number},{found},0),0))'
            cells += rows.formula(column, source, spelling, palette["id"])
            own = it.which(cell, 2 * i + k + 1)
            cells += rows.formula(column + 1, own, it.spellings.index(spelling) + 1, palette["id"])
            first = shown.index(spelling) + 1 if spelling and spelling in shown else 0
            cells += rows.formula(column + 2, place, first, palette["id"])
        yield rows.row(area.row + i, cells)


def _feature_rows(it: Asked, palette: Palette) -> Iterator[Row]:
    """The rows of wte, their lengths, and the constants of the map."""
    here, number = it.here, palette["number"]
    area, sizes, last = here.features, here.sizes, here.last_column
    words = "The words' rows of wte, and a − b + c; then the map's centre and its two directions, found at build time."
    yield bar(sizes.row - 2, palette, "Workings: directions", words, last)
    heads = [*WORDS, "a − b + c", "centre", "across", "up"]
    yield rows.row(sizes.row - 1, *(rows.text(3 + c, head, palette["header"]) for c, head in enumerate(heads)))
    cells: Cells = rows.text(1, "length; place of the centre", palette["label"])
    for k in range(5):
        column = area.stripe(k).local
        value = float(np.sqrt(it.vectors[:, k] @ it.vectors[:, k]))
        source = f'IF(ISNUMBER({area.line(0).stripe(k).local}),SQRT(SUMPRODUCT({column},{column})),"")'
        cells += rows.formula(3 + k, source, value, number)
    for axis in (0, 1):
        source = f"SUMPRODUCT({here.axes.stripe(0).local},{here.axes.stripe(1 + axis).local})"
        cells += rows.formula(9 + axis, source, float(it.map.centre @ it.map.axes[axis]), number)
    yield rows.row(sizes.row, cells)
    constants = np.stack([it.map.centre, *it.map.axes], axis=1)
    for f in range(area.n_rows):
        label = rows.text(1, "feature", palette["label"]) + rows.number(INDEX, f, palette["index"])
        found = rows.each(3, [it.feature(i, f) for i in range(5)], it.vectors[f], number)
        yield rows.row(area.row + f, label, found, rows.numbers(8, constants[f], palette["weight"]))


def _map_rows(it: Asked, palette: Palette) -> Iterator[Row]:
    here, area = it.here, it.here.common
    words = "The first tokens of more than one byte, which are the commonest: their rows along the two directions."
    yield bar(area.row - 2, palette, "Workings: the map", words, here.last_column)
    heads = ((1, "token"), (2, "id"), (3, "across"), (4, "up"))
    yield rows.row(area.row - 1, *(rows.text(c, head, palette["header"]) for c, head in heads))
    ids = [int(id) for id in it.map.ids]
    places = it.map.places(it.table[ids])
    for r, id in enumerate(ids):
        label = rows.text(1, it.state.shown[id], palette["label"]) + rows.number(INDEX, id, palette["index"])
        sources = [it.place(it.column(id).reference, axis, it.scale(id)) for axis in (0, 1)]
        yield rows.row(area.row + r, label, rows.each(3, sources, places[r], palette["share"]))


def _every_rows(it: Asked, palette: Palette) -> Iterator[Row]:
    here, area = it.here, it.here.every
    words = "The length of each token's row; its cosine with the word and a − b + c, which are left out; its spelling."
    yield bar(area.row - 2, palette, "Workings: every token", words, here.last_column)
    heads = ((1, "token"), (2, "id"), (3, "length"), (4, "the word"), (5, "a − b + c"), (6, "spelling"))
    yield rows.row(area.row - 1, *(rows.text(c, head, palette["header"]) for c, head in heads))
    values = np.stack([embedding.norms(it.table), it.near(0), it.near(1)], axis=1)
    for v, name in enumerate(it.state.shown):
        label = rows.text(1, name, palette["label"]) + rows.number(INDEX, v, palette["index"])
        which = it.spellings.index(name) + 1 if name in it.spellings else 0
        spelled = rows.formula(SPELLED, it.which(f"$A${area.row + v}"), which, palette["id"])
        yield rows.row(area.row + v, label, rows.each(3, _Sources(it, v), values[v], palette["number"]), spelled)


@dataclass(frozen=True)
class _Sources:
    """The formulas of one token, made when they are written."""

    it: Asked
    v: int

    def __call__(self) -> Sequence[str]:
        column = self.it.column(self.v).reference
        length = f"SQRT(SUMPRODUCT({column},{column})){self.it.scale(self.v)}"
        return [length, self.it.cosine(0, self.v), self.it.cosine(1, self.v)]
