"""A workbook in which a GPT-2 learns: its own kind, with its own list of sheets, in the order of the tabs.

What the sheets show at a `lesson.Moment` is what is written, and what `verify` compares. Arithmetic: `backward.py`
and `adam.py` in `gpt2/learning/`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.grid import FIRST_TOKEN, POSITION_ROW
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Page
from sheetgpt.sheets.sheet import Sheet, positions_name
from sheetgpt.sheets.style.palette import Palette
from sheetgpt.sheets.tensor import Tensor
from sheetgpt.sheets.training import bands, first, guide, one_weight, steps, unrolled, words, writes
from sheetgpt.sheets.training.lesson import AFTER, BACKWARD, NEXT, STATE, WRITES_AFTER, Lesson, Moment
from sheetgpt.sheets.training.passes import backward, gradient, losses
from sheetgpt.sheets.training.passes import forward as passes

RANGES = {STATE: "state", NEXT: "next"}  # what is pasted onto, and what is copied
DIRECTED = {BACKWARD: "gradients", AFTER: "after", WRITES_AFTER: "after"}  # which way a sheet's formulas read


def one_step(layout: Lesson) -> list[Page]:
    """What makes a step."""
    return [
        passes.forward_page(layout),
        losses.loss_page(layout),
        backward.page(layout),
        gradient.page(layout),
        bands.next_page(layout),
    ]


def pages(layout: Lesson) -> list[Page]:
    """In an unrolled workbook those of a step are here once, as if it were a single one."""
    if layout.unroll:
        many = Many.of(layout)
        return [many.first, *many.before, *many.step, *many.behind]
    step = one_step(layout)
    others = [
        guide.page(layout, next(page for page in step if page.title == BACKWARD)),
        bands.state_page(layout),
        *step,
        one_weight.page(layout),
        losses.after_page(layout),
        writes.page(layout, after=False),
        writes.page(layout, after=True),
        words.words_page(layout),
        words.shapes_page(layout),
    ]
    return [first.page(layout, others), *others]


@dataclass(frozen=True)
class Many:
    """The pages of an unrolled workbook; those of a step stand in it once for each of the `moves`."""

    first: Page
    before: Sequence[Page]
    step: Sequence[Page]
    behind: Sequence[Page]
    moves: Sequence[steps.Move]

    @classmethod
    def of(cls, layout: Lesson) -> "Many":
        before, behind = [words.words_page(layout), bands.state_page(layout)], [words.shapes_page(layout)]
        step = [unrolled.head(layout), *one_step(layout)]
        moves = steps.moves(layout, step)
        listed = [(page.title, page.words) for page in before]
        listed += [(move.title, steps.words_of(move.k)) for move in moves]
        listed += [(page.title, page.words) for page in behind]
        return cls(unrolled.page(layout, moves, listed), before, step, behind, moves)

    def sheets(self, moment: Moment, palette: Palette) -> list[Sheet]:
        each = [steps.sheet(self.step, now, move, palette) for now, move in zip(moment.steps, self.moves, strict=True)]
        ranges: Mapping[str, Sequence[Area]] = {RANGES[NEXT]: [self.moves[-1].area(bands.state_area(self.step[-1]))]}
        each[-1] = replace(each[-1], names={**each[-1].names, **ranges})
        before, behind = ([single(page, moment, palette) for page in some] for some in (self.before, self.behind))
        return [single(self.first, moment, palette), *before, *each, *behind]


def single(page: Page, moment: Moment, palette: Palette) -> Sheet:
    """A page that has a sheet to itself."""
    sheet = page.sheet(moment, palette)
    if page.title in RANGES:
        sheet = replace(sheet, names={**sheet.names, RANGES[page.title]: [bands.state_area(page)]})
    if page.title in DIRECTED:
        name = positions_name(page.title).replace("positions", DIRECTED[page.title])
        area = Area(page.title, POSITION_ROW, FIRST_TOKEN, page.last_row - POSITION_ROW + 1, page.width)
        sheet = replace(sheet, names={**sheet.names, name: [area]})
    return sheet


def declared(layout: Layout) -> Iterator[Tensor]:
    assert isinstance(layout, Lesson)
    for page in pages(layout):
        yield from page.tensors


lay_out = partial(Lesson, declare=declared)  # a `Lesson` that knows its sheets


def sheets(moment: Moment, palette: Palette) -> list[Sheet]:
    if moment.layout.unroll:
        return Many.of(moment.layout).sheets(moment, palette)
    return [single(page, moment, palette) for page in pages(moment.layout)]
