"""The registry: every sheet of a workbook, in the order of the tabs. A new sheet is a module and a line here.

One that a workbook may do without is an `OptionalSheet` (`sheets/optional.py`).

Each entry makes sheets out of a `State` and the styles of a book. What is built, named, linked from Home, listed,
verified and checked are loops over `sheets(state)`; nothing else knows which there are.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from sheetgpt.sheets.choice import sample, softmax
from sheetgpt.sheets.exercises import exercises, paper
from sheetgpt.sheets.glossary import glossary
from sheetgpt.sheets.glossary.headings import explained
from sheetgpt.sheets.guide import guide
from sheetgpt.sheets.home import about, after, home
from sheetgpt.sheets.inside import lens
from sheetgpt.sheets.inside.attention import page as attention
from sheetgpt.sheets.inside.contributions import page as contributions
from sheetgpt.sheets.inside.embedding import page as embedding
from sheetgpt.sheets.inside.neuron import chosen as neuron_chosen
from sheetgpt.sheets.inside.neuron import page as neuron
from sheetgpt.sheets.lab import edits, lab
from sheetgpt.sheets.lab.lab_home import on_home
from sheetgpt.sheets.lab.lanes import COPIED, beside, copied
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.map import map as network_map
from sheetgpt.sheets.network import block, embed, output, weights
from sheetgpt.sheets.optional import OptionalSheet, Value
from sheetgpt.sheets.page import Page
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import LaneB, State
from sheetgpt.sheets.style.palette import PLAIN, Palette
from sheetgpt.sheets.tensor import Tensor
from sheetgpt.sheets.text import vocabulary

Maker = Callable[[State, Palette], Iterable[Sheet]]


@dataclass(frozen=True)
class Pages:
    """Sheets that the layout alone declares, and so where everything on them lies."""

    of: Callable[[Layout], Iterable[Page]]

    def __call__(self, state: State, palette: Palette) -> list[Sheet]:
        return [explained(page).sheet(state, palette) for page in self.of(state.layout)]

    def tensors(self, layout: Layout) -> Iterator[Tensor]:
        for page in self.of(layout):
            yield from page.tensors


def of_text(make: Callable[..., Iterable[Sheet]]) -> Maker:
    """Sheets that only a workbook with a tokenizer has."""
    return lambda s, p: make(s, p) if s.text is not None else ()


REGISTRY: list[Maker] = [
    lambda s, p: [guide.page(s.layout).sheet(s, p)],
    OptionalSheet("map", Pages(lambda layout: [network_map.page(layout)]), network_map.n_formulas, network_map.starts),
    lambda s, p: [glossary.page(s.layout).sheet(s, p)],
    OptionalSheet("exercises", Pages(lambda layout: [exercises.page(layout)]), exercises.n_formulas, exercises.starts),
    OptionalSheet(exercises.SOLUTIONS, lambda s, p: (), lambda layout: 0, asked_for=True, part_of="exercises"),
    OptionalSheet("paper", Pages(lambda layout: [paper.page(layout)]), paper.n_formulas, asked_for=True),
    of_text(lambda s, p: [explained(s.text.tokenizer).sheet(s, p)]),
    Pages(lambda layout: [embed.page(layout)]),
    Pages(lambda layout: [block.page(layout, i) for i in range(layout.config.n_layer)]),
    Pages(lambda layout: [output.page(layout)]),
    Pages(lambda layout: [softmax.page(layout), sample.page(layout)]),
    OptionalSheet("attention", Pages(lambda layout: [attention.page(layout)]), attention.n_formulas, attention.starts),
    OptionalSheet("lens", Pages(lambda layout: [lens.page(layout)]), lens.n_formulas, lens.starts, expensive=True),
    OptionalSheet(
        "contributions",
        Pages(lambda layout: [contributions.page(layout)]),
        contributions.n_formulas,
        contributions.starts,
    ),
    OptionalSheet("neuron", Pages(lambda layout: [neuron.page(layout)]), neuron.n_formulas, neuron.starts),
    OptionalSheet(neuron_chosen.TOKENS_PART, lambda s, p: (), lambda layout: 0, expensive=True, part_of="neuron"),
    OptionalSheet(
        "embedding", lambda s, p: [embedding.sheet(s, p)], embedding.n_formulas, embedding.starts, expensive=True
    ),
    of_text(lambda s, p: [explained(s.text.decoding).sheet(s, p), s.text.by_hand.sheet(s, p)]),
    Pages(lambda layout: [about.page(layout)]),
    Pages(lambda layout: [vocabulary.page(layout)]),
    of_text(lambda s, p: [explained(page).sheet(s, p) for page in (s.text.merges, s.text.characters)]),
    Pages(lambda layout: [weights.embedding(layout), weights.positions(layout)]),
    Pages(lambda layout: [] if layout.config.tied else [weights.unembedding(layout)]),
    Pages(lambda layout: [weights.block(layout, i) for i in range(layout.config.n_layer)]),
]


def declared(layout: Layout) -> Iterator[Tensor]:
    """Everything that has a name whatever the text and the optional sheets are."""
    yield from home.page(layout).tensors
    for entry in REGISTRY:
        if isinstance(entry, Pages):
            yield from entry.tensors(layout)


lay_out = partial(Layout, declare=declared)  # a `Layout` that knows its sheets


def optional_sheets() -> list[OptionalSheet]:
    """Those that have a name for `build --sheets`."""
    return [make for make in REGISTRY if isinstance(make, OptionalSheet)]


def starts(layout: Layout) -> dict[str, Value]:
    """The yellow cells that ask what to look at, and what they hold at first: Home's, and the optional sheets' own."""
    inside = [sheet for sheet in optional_sheets() if sheet.name in layout.optional]
    return {after.AFTER: after.PROMPT} | {
        name: value for sheet in inside for name, value in sheet.starts(layout).items()
    }


def optional_formulas(layout: Layout) -> int:
    """About how many formula cells the optional sheets add."""
    return sum(sheet.n_formulas(layout) for sheet in optional_sheets() if sheet.name in layout.optional)


def sheets(state: State, palette: Palette = PLAIN) -> list[Sheet]:
    """Every sheet; Home is the first and lists the others."""
    others = [sheet for make in REGISTRY for sheet in make(state, palette)]
    if state.lab is None:
        return [home.sheet(state, palette, others), *others]
    return with_lane_b(state, state.lab, palette, others)


def with_lane_b(state: State, lane: LaneB, palette: Palette, others: list[Sheet]) -> list[Sheet]:
    """The sheets of both lanes: each text's own beside the other's, and Lab and Edits, which turn lane B's screws."""
    b, screws = lane.other, lab.page(state.layout)
    changed = edits.page(state.layout, screws)
    move = edits.move(state.layout, changed)
    mine = {
        sheet.title: sheet for make in REGISTRY if not isinstance(make, OptionalSheet) for sheet in make(b, palette)
    }
    found = [screws.sheet(state, palette)]
    for sheet in others:
        if move.moves(sheet.title):
            found.append(beside(sheet, mine[sheet.title], move))
        else:
            found.append(sheet)
        if sheet.title in COPIED:
            found.append(copied(mine[sheet.title], move))
        if sheet.title == state.layout.block_sheet(state.layout.config.n_layer - 1):
            found.append(changed.sheet(state, palette))
    own = home.sheet(state, palette, found)
    theirs = home.sheet(b, palette, found)
    last = state.layout["entropy"].last_row
    return [beside(own, theirs, move, on_home(b, palette, screws), last), *found]
