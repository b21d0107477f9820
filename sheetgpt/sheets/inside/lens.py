"""The sheet Lens, the logit lens: what the model would say after each block, for a position that is chosen there.

The mathematics and the twin: `inspection/lens.py`. A depth a column; one position's states, normed, and their logits
over the whole vocabulary, so it costs as much as n_layer + 1 more columns of the Output sheet.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import NDArray
from openpyxl.chart import Reference
from openpyxl.formatting.rule import ColorScaleRule, FormulaRule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2 import quantize
from sheetgpt.inspection import lens
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import Formulas, Row
from sheetgpt.sheets.charts import between, lines, mark, rich
from sheetgpt.sheets.grid import FIRST_TOKEN, HOME, INDEX
from sheetgpt.sheets.inside import asked
from sheetgpt.sheets.inside.asked import Line, bar, position_now, token_now, used
from sheetgpt.sheets.inside.attention_layout import LAST
from sheetgpt.sheets.inside.lens_layout import ASKED, LENS, TRACKED, LensLayout
from sheetgpt.sheets.inside.lens_rows import Block, sections
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.optional import Value
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import State

Floats = NDArray[Any]
TALL = 15  # points: of a row beside the charts
SHADES = ((0.5, "E69138"), (0.2, "F6B26B"), (0.05, "F9CB9C"), (0.01, "FCE5CD"))  # of a token, by its probability


def layout_of(layout: Layout) -> LensLayout:
    return LensLayout(layout.config, layout.context)


def starts(layout: Layout) -> Mapping[str, Value]:
    """The yellow cells."""
    return {"lens_position": LAST, "lens_token": ""}


def n_formulas(layout: Layout) -> int:
    """Nearly all of them: the logits, and the states as they come and normed."""
    return (layout.config.n_layer + 1) * (layout.config.n_vocab + 2 * layout.config.n_embd)


def found_now(state: State) -> lens.Lens:
    """The twin."""
    config = state.layout.config
    position = position_now(state.chosen["lens_position"], state.prompt.n)
    names = [config.head, "ln_f.g", "ln_f.b", quantize.scale_name(config.head)]
    params = quantize.evaluated({name: state.params[name] for name in names if name in state.params})
    token = token_now(state.chosen["lens_token"], config.n_vocab)
    return lens.look(params, config, state.trace, position, token)


def sheet(state: State, palette: Palette) -> Sheet:
    here, layout = layout_of(state.layout), state.layout
    names = {
        "lens_position": here.position,
        "lens_token": here.token,
        "lens_tokens": here.tokens,
        "lens_probs": here.probs,
        **{f"lens_{name}": here.tracked(name) for name in TRACKED},
        "lens_ids": here.ids,
        "lens_states": here.states,
        "lens_normed": here.normed,
        "lens_logits": here.logits,
    }
    places = [
        ("likeliest", here.tokens.row - 2),
        ("the token", here.tracked("rank").row - 2),
        ("workings", here.probs.row - 1),
        ("logits", here.largest.row - 1),
    ]
    strip = Area(LENS, asked.POSITIONS, FIRST_TOKEN, 2, layout.context)
    return Sheet(
        LENS,
        "what the model would say next after each block",
        lambda: _rows(state, palette, here),
        *(here.logits.last_row, here.last_column),
        names={name: [area] for name, area in names.items()},
        positions=strip,
        sections=places,
        links=[("A2", f"{quoted(HOME)}!A1")],
        dress=lambda frame: _dress(frame, layout, here),
    )


def _rows(state: State, palette: Palette, here: LensLayout) -> Iterator[Row]:
    layout, found = state.layout, found_now(state)
    note = (
        "If the model ended here, what would it say? Each block's state, seen through the final norm and unembedding."
    )
    yield rows.row(1, rows.text(1, LENS, palette["title"]), rows.text(3, note, palette["note"]), height=24)
    yield rows.row(2, rows.text(1, "← Home", palette["link"]))
    yield from asked.strip_rows(layout, palette, state.prompt)
    last = here.charts + 7
    yield bar(ASKED - 2, palette, "What is asked", last=last)
    yield from asked.line_rows(layout, palette, question(state, here, found), {})
    for title, words, blocks in sections(state, here, found):
        first = blocks[0].area.row
        if title:
            end = here.charts - 2 if blocks[0].area == here.tracked(TRACKED[0]) else last  # the charts stand there
            yield bar(first - 1 - (blocks[0].area == here.tokens), palette, title, words, end)
        if blocks[0].area == here.tokens:
            heads = enumerate(here.depths, FIRST_TOKEN)
            names = enumerate(("after", "rank", "", "", ""), 1)
            after = rows.joined(rows.text(c, name, palette["header"]) for c, name in names)
            yield rows.row(first - 1, after, *(rows.text(c, d, palette["header"]) for c, d in heads), height=TALL)
        for block in blocks:
            yield from _block_rows(state, palette, here, block)


def _block_rows(state: State, palette: Palette, here: LensLayout, block: Block) -> Iterator[Row]:
    guard = f'IF(ISNUMBER({used(here.position)}),{{}},"")'
    for i in range(block.area.n_rows):
        label = rows.text(1, block.label(i), palette["label"])
        if block.area.n_rows > 1:
            counts = 1 if block.area.n_rows == here.n_top and block.area.row < here.states.row else 0
            label += rows.number(INDEX, i + counts, palette["index"])
        sources = lambda i=i: [guard.format(block.source(i, d)) for d in range(len(here.depths))]  # noqa: E731
        cells = Formulas(FIRST_TOKEN, sources, block.values[i], palette[block.style], block.doubt)
        beside_charts = block.area.row <= here.tracked(TRACKED[-1]).row
        yield rows.row(block.area.row + i, label, (cells,), height=TALL if beside_charts else None)


def question(state: State, here: LensLayout, found: lens.Lens) -> list[Line]:
    """The two yellow cells."""
    layout, logits = state.layout, here.logits.stripe(len(here.depths) - 1).local
    likeliest = f"MATCH(MAX({logits}),{logits},0)-1"
    token = asked.token_formula(layout, here.token, here.position, likeliest)
    typed, shown = state.chosen["lens_token"], state.shown[found.token]
    hint = "which is followed through the depths; empty: the likeliest at the end"
    return [
        asked.position_line(layout, state.prompt, here.position, state.chosen["lens_position"]),
        asked.token_line(layout, here.token, "Token id", typed, token, found.token, shown, hint),
    ]


def _dress(frame: Worksheet, layout: Layout, here: LensLayout) -> None:
    asked.dress(frame, layout, here.position, {"Token id": (here.token, "the likeliest at the end")})
    for column in range(FIRST_TOKEN, here.last_column + 1):
        frame.column_dimensions[rows.letters(column)].width = 9.5
    frame.freeze_panes = f"{rows.letters(FIRST_TOKEN)}{asked.TOKENS + 1}"
    first = rows.letters(FIRST_TOKEN)
    own = f"{first}{here.ids.row}={used(here.token)}"
    followed = FormulaRule(
        [own], font=Font(bold=True, color="FFFFFF"), fill=PatternFill(bgColor="2F5597"), stopIfTrue=True
    )
    frame.conditional_formatting.add(here.tokens.cells, followed)
    for least, color in SHADES:
        likely = FormulaRule([f"{first}{here.probs.row}>={least}"], fill=PatternFill(bgColor=color), stopIfTrue=True)
        frame.conditional_formatting.add(here.tokens.cells, likely)
    unlikely = FormulaRule([f"{first}{here.probs.row}<{SHADES[-1][0]}"], fill=PatternFill(bgColor="FFFFFF"))
    frame.conditional_formatting.add(here.tokens.cells, unlikely)
    for area in (here.probs, here.tracked("probability")):
        frame.conditional_formatting.add(area.cells, ColorScaleRule("num", 0, "FFFFFF", "num", 1, "E69138"))
    _add_charts(frame, here)


def _add_charts(frame: Worksheet, here: LensLayout) -> None:
    """What becomes of the token: probability and rank; logit and entropy."""
    names = Reference(frame, FIRST_TOKEN, here.tokens.row - 1, FIRST_TOKEN + len(here.depths) - 1)
    places = ((0, 0), (0, 9), (4, 0), (4, 9))
    shown = (
        ("Probability of the token", "0%", "probability", "C55A11"),
        ("Its rank, 1 the likeliest", "0", "rank", "2F5597"),
        ("Its logit", "0", "logit", "7030A0"),
        ("Entropy, bits", "0", "entropy", "548235"),
    )
    for (right, down), (title, form, name, color) in zip(places, shown, strict=True):
        chart, area = lines(title, form), here.tracked(name)
        data = Reference(frame, area.column, area.row, area.last_column, area.row)
        chart.add_data(data, from_rows=True)
        mark(chart.series[0], color)
        chart.set_categories(names)
        chart.legend = None
        chart.x_axis.tickLblPos, chart.x_axis.txPr = "low", rich("", 700)
        if name == "rank":
            chart.y_axis.scaling.logBase, chart.y_axis.scaling.orientation = 10, "maxMin"
            chart.y_axis.scaling.min = 1
            chart.x_axis.tickLblPos = "high"
        elif name in ("probability", "entropy"):
            chart.y_axis.scaling.min = 0
        chart.anchor = between(here.charts + right, here.tokens.row - 1 + down, 4, 9)
        frame.add_chart(chart)
