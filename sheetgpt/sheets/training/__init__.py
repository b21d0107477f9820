"""A workbook in which a GPT-2 learns: its own kind, with its own list of sheets, in the order of the tabs.

What the sheets show at a `lesson.Moment` is what is written, and what `verify` compares. Arithmetic: `gpt2/backward.py`
and `gpt2/adam.py`.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.grid import FIRST_TOKEN, POSITION_ROW
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Page
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet, positions_name
from sheetgpt.sheets.tensor import Tensor
from sheetgpt.sheets.training import backward, bands, first, gradient, guide, losses, one_weight, passes, words, writes
from sheetgpt.sheets.training.lesson import AFTER, BACKWARD, NEXT, STATE, WRITES_AFTER, Lesson, Moment

RANGES = {STATE: "state", NEXT: "next"}  # what is pasted onto, and what is copied
DIRECTED = {BACKWARD: "gradients", AFTER: "after", WRITES_AFTER: "after"}  # which way a sheet's formulas read


def pages(layout: Lesson) -> list[Page]:
    back = backward.page(layout)
    others = [
        guide.page(layout, back),
        bands.state_page(layout),
        passes.forward_page(layout),
        losses.loss_page(layout),
        back,
        gradient.page(layout),
        bands.next_page(layout),
        one_weight.page(layout),
        losses.after_page(layout),
        writes.page(layout, after=False),
        writes.page(layout, after=True),
        words.words_page(layout),
        words.shapes_page(layout),
    ]
    return [first.page(layout, others), *others]


def declared(layout: Layout) -> Iterator[Tensor]:
    assert isinstance(layout, Lesson)
    for page in pages(layout):
        yield from page.tensors


lay_out = partial(Lesson, declare=declared)  # a `Lesson` that knows its sheets


def sheets(moment: Moment, palette: Palette) -> list[Sheet]:
    found = []
    for page in pages(moment.layout):
        sheet = page.sheet(moment, palette)
        if page.title in RANGES:
            sheet = replace(sheet, names={**sheet.names, RANGES[page.title]: [bands.state_area(page)]})
        if page.title in DIRECTED:
            name = positions_name(page.title).replace("positions", DIRECTED[page.title])
            area = Area(page.title, POSITION_ROW, FIRST_TOKEN, page.last_row - POSITION_ROW + 1, page.width)
            sheet = replace(sheet, names={**sheet.names, name: [area]})
        found.append(sheet)
    return found
