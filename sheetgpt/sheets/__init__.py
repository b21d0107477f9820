"""The registry: every sheet of a workbook, in the order of the tabs. A new sheet is a module and a line here.

One that a workbook may do without is an `OptionalSheet` (`sheets/optional.py`).

Each entry makes sheets out of a `State` and the styles of a book. What is built, named, linked from Home, listed,
verified and checked are loops over `sheets(state)`; nothing else knows which there are.
"""

from collections.abc import Callable, Iterable
from typing import Any

from numpy.typing import NDArray

from sheetgpt.gpt2.sampling import doubt
from sheetgpt.sheets.choice import sample
from sheetgpt.sheets.home import about, guide, home
from sheetgpt.sheets.inside import attention, contributions, embedding, lens, neuron, neuron_layout
from sheetgpt.sheets.lab import edits, lab
from sheetgpt.sheets.lab.lab_home import on_home
from sheetgpt.sheets.lab.lab_layout import LabLayout
from sheetgpt.sheets.lab.lanes import COPIED, beside, copied
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network import block, embed, weights
from sheetgpt.sheets.network import output as unembed
from sheetgpt.sheets.optional import OptionalSheet, Value
from sheetgpt.sheets.palette import PLAIN, Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import LaneB, State
from sheetgpt.sheets.text import bpe_by_hand, decoding, tokenizer, tokenizer_tables, vocabulary

Maker = Callable[[State, Palette], Iterable[Sheet]]


def of_text(make: Callable[..., Iterable[Sheet]]) -> Maker:
    """Sheets that only a workbook with a tokenizer has."""
    return lambda s, p: make(s, p) if s.text is not None else ()


REGISTRY: list[Maker] = [
    lambda s, p: [guide.sheet(s.layout, p)],
    of_text(lambda s, p: [tokenizer.sheet(s.text.tokenizer, p, s.inputs.text(s.layout), s.read, s.shown)]),
    lambda s, p: [embed.sheet(s.layout, p, s.prompt, s.params, s.trace)],
    lambda s, p: [block.sheet(s.layout, p, s.prompt, i, s.params, s.trace) for i in range(s.layout.config.n_layer)],
    lambda s, p: [unembed.output(s.layout, p, s.prompt, s.shown, s.params, s.trace, s.inputs.score_prompt)],
    lambda s, p: [unembed.softmax(s.layout, p, s.shown, s.now.logits, s.inputs.sampling.temperature)],
    lambda s, p: [sample.sheet(s.layout, p, s.prompt, s.inputs.sampling, s.choices, s.shown, doubts(s))],
    OptionalSheet("attention", lambda s, p: [attention.sheet(s, p)], attention.n_formulas, attention.starts),
    OptionalSheet("lens", lambda s, p: [lens.page(s.layout).sheet(s, p)], lens.n_formulas, lens.starts, expensive=True),
    OptionalSheet(
        "contributions", lambda s, p: [contributions.sheet(s, p)], contributions.n_formulas, contributions.starts
    ),
    OptionalSheet("neuron", lambda s, p: [neuron.sheet(s, p)], neuron.n_formulas, neuron.starts),
    OptionalSheet(neuron_layout.TOKENS_PART, lambda s, p: (), lambda layout: 0, expensive=True, part_of="neuron"),
    OptionalSheet(
        "embedding", lambda s, p: [embedding.sheet(s, p)], embedding.n_formulas, embedding.starts, expensive=True
    ),
    of_text(lambda s, p: [decoding.sheet(s.text.decoding, p, s.prompt.ids, s.shown, s.hexes)]),
    of_text(lambda s, p: [bpe_by_hand.sheet(s.text.tokenizer, p, s.by_hand, s.read)]),
    lambda s, p: [about.sheet(s.layout, p, s.origin.source, s.origin.fingerprint, s.origin.built)],
    lambda s, p: [vocabulary.sheet(s.layout, p, s.shown, s.hexes, own_scales(s))],
    of_text(lambda s, p: tokenizer_tables.sheets(s.text.tokenizer, p, s.shown, s.read.unit)),
    lambda s, p: [weights.embedding(s.layout, p, s.params["wte"], s.shown)],
    lambda s, p: [weights.positions(s.layout, p, s.params)],
    lambda s, p: [] if s.layout.config.tied else [weights.unembedding(s.layout, p, s.params["lm_head"], s.shown)],
    lambda s, p: [weights.block(s.layout, p, i, s.params) for i in range(s.layout.config.n_layer)],
]


def doubts(state: State) -> NDArray[Any]:
    """How well each column's probabilities can be known, relative.  [T]"""
    return doubt(state.trace["logits"], state.inputs.sampling.temperature)


def own_scales(state: State) -> NDArray[Any] | None:
    """The scales of `wte` in int8, where the Output sheet has those of `lm_head`."""
    return None if state.layout.config.tied else state.params.get("wte.scale")


def optional_sheets() -> list[OptionalSheet]:
    """Those that have a name for `build --sheets`."""
    return [make for make in REGISTRY if isinstance(make, OptionalSheet)]


def starts(layout: Layout) -> dict[str, Value]:
    """The yellow cells of the optional sheets that are in, and what they hold at first."""
    inside = [sheet for sheet in optional_sheets() if sheet.name in layout.optional]
    return {name: value for sheet in inside for name, value in sheet.starts(layout).items()}


def optional_formulas(layout: Layout) -> int:
    """About how many formula cells the optional sheets add."""
    return sum(sheet.n_formulas(layout) for sheet in optional_sheets() if sheet.name in layout.optional)


def sheets(state: State, palette: Palette = PLAIN) -> list[Sheet]:
    """Every sheet; Home is the first and lists the others."""
    others = [sheet for make in REGISTRY for sheet in make(state, palette)]
    if state.lab is None:
        return [home.sheet(state.layout, palette, state.text, state.prompt, state.now, others), *others]
    return with_lane_b(state, state.lab, palette, others)


def with_lane_b(state: State, lane: LaneB, palette: Palette, others: list[Sheet]) -> list[Sheet]:
    """The sheets of both lanes: each text's own beside the other's, and Lab and Edits, which turn lane B's screws."""
    here, b = LabLayout(state.layout), lane.other
    move = here.move
    mine = {
        sheet.title: sheet for make in REGISTRY if not isinstance(make, OptionalSheet) for sheet in make(b, palette)
    }
    found = [lab.sheet(state, palette)]
    for sheet in others:
        if move.moves(sheet.title):
            found.append(beside(sheet, mine[sheet.title], move))
        else:
            found.append(sheet)
        if sheet.title in COPIED:
            found.append(copied(mine[sheet.title], move))
        if sheet.title == state.layout.block_sheet(state.layout.config.n_layer - 1):
            found.append(edits.sheet(state, palette))
    own = home.sheet(state.layout, palette, state.text, state.prompt, state.now, found)
    theirs = home.sheet(b.layout, palette, b.text, b.prompt, b.now, found)
    last = state.layout.home["top_ids"].last_row + 1
    return [beside(own, theirs, move, lambda row, cells: on_home(state, palette, here, row, cells), last), *found]
