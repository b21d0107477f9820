"""The sheet Neuron: what makes one neuron of an MLP fire, and which tokens it then speaks for.

The mathematics and the twin: `inspection/neuron.py`. What it promotes and suppresses is a part of its own,
`neuron-tokens`, since it costs the vocabulary times the width.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from openpyxl.chart import Reference
from openpyxl.formatting.rule import ColorScaleRule, FormulaRule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import Row
from sheetgpt.sheets.charts import bars, between
from sheetgpt.sheets.choosers import Chooser
from sheetgpt.sheets.grid import FIRST_TOKEN, HOME
from sheetgpt.sheets.inside import asked
from sheetgpt.sheets.inside.asked import bar, used
from sheetgpt.sheets.inside.neuron_layout import (
    ACTIVATION,
    ASKED,
    CHART,
    CHART_ROWS,
    NEURON,
    OFFERED,
    PROMOTED,
    SUM,
    SUPPRESSED,
    TABLES,
    NeuronLayout,
)
from sheetgpt.sheets.inside.neuron_rows import Asked, lines, strip_rows, table_rows, workings_rows
from sheetgpt.sheets.inside.question import LAST
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.optional import Value
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import State

TALL = 15  # points: of a row beside the chart
FIRST_LOOK = 208  # of the bundled model's last block: it fires at "very" and speaks for heavy, loud, long and friendly


def starts(layout: Layout) -> Mapping[str, Value]:
    """The yellow cells."""
    config = layout.config
    number = min(FIRST_LOOK, config.n_inner - 1)
    return {"neuron_block": config.n_layer - 1, "neuron_number": number, "neuron_position": LAST}


def n_formulas(layout: Layout) -> int:
    config = layout.config
    tokens = config.n_vocab + 2 * config.n_embd + 60 if NeuronLayout(layout).tells_tokens else 0
    return config.n_inner + 4 * layout.context + 30 + tokens


def sheet(state: State, palette: Palette) -> Sheet:
    here = NeuronLayout(state.layout)
    names = {
        "neuron_block": here.block,
        "neuron_number": here.number,
        "neuron_position": here.position,
        "neuron_sum": here.strip(SUM),
        "neuron_activation": here.strip(ACTIVATION),
        "neuron_active": here.active,
        "neuron_activations": here.activations,
    }
    sections = [("strip", SUM - 1), ("tables", TABLES - 2), ("workings", here.activations.row - 1)]
    if here.tells_tokens:
        names |= {
            "neuron_promotes": here.extremes(PROMOTED),
            "neuron_suppresses": here.extremes(SUPPRESSED),
            "neuron_writes": here.written,
            "neuron_direction": here.direction,
            "neuron_tokens": here.effects,
        }
        sections.append(("every token", here.effects.row - 1))
    return Sheet(
        NEURON,
        "what one neuron fires at, and which tokens it then speaks for",
        lambda: _rows(state, palette, here),
        *(here.last_row, here.last_column),
        names={name: [area] for name, area in names.items()},
        positions=Area(NEURON, asked.POSITIONS, FIRST_TOKEN, ACTIVATION - asked.POSITIONS + 1, state.layout.context),
        sections=sections,
        links=[("A2", f"{quoted(HOME)}!A1")],
        dress=lambda frame: _dress(frame, state.layout, here),
    )


def _rows(state: State, palette: Palette, here: NeuronLayout) -> Iterator[Row]:
    it, last = Asked(state, here), here.last_column
    note = (
        "Each neuron of an MLP looks at one token at a time; the more strongly it fires, the more of its own it adds."
    )
    yield rows.row(1, rows.text(1, NEURON, palette["title"]), rows.text(3, note, palette["note"]), height=24)
    yield rows.row(2, rows.text(1, "← Home", palette["link"]))
    yield from asked.strip_rows(state.layout, palette, state.prompt)
    offered = rows.numbers(FIRST_TOKEN, np.arange(here.blocks.n_columns), palette["id"])
    yield rows.row(OFFERED, rows.text(1, "the blocks to choose from", palette["label"]), offered, folded=True)
    yield bar(ASKED - 2, palette, "What is asked", last=last)
    yield from asked.line_rows(state.layout, palette, lines(it), {})
    words = "Under each token of the text above: weights × the column + bias, and what the activation makes of that."
    yield bar(SUM - 1, palette, "The neuron on every token", words, last)
    yield from strip_rows(it, palette, SUM, TALL)
    for n in range(CHART, CHART + CHART_ROWS):
        yield rows.row(n, height=TALL)
    yield from table_rows(it, palette, TALL)
    yield from workings_rows(it, palette)


def _dress(frame: Worksheet, layout: Layout, here: NeuronLayout) -> None:
    asked.dress(frame, layout, here.position, {})
    frame.sheet_format.outlineLevelRow = 1
    Chooser("", here.block, here.blocks, "Block", "Which block's MLP. Block 0 reads first.").validate(frame)
    rule = DataValidation("whole", operator="between", formula1="0", formula2=str(layout.config.n_inner - 1))
    rule.allowBlank = True
    rule.errorTitle = rule.promptTitle = "Neuron"
    rule.error = rule.prompt = f"A neuron of the block, 0 to {layout.config.n_inner - 1}."
    rule.showErrorMessage = rule.showInputMessage = True
    rule.add(here.number.cells)
    frame.add_data_validation(rule)
    for column in range(FIRST_TOKEN, here.last_column + 1):
        frame.column_dimensions[rows.letters(column)].width = 9.5
    frame.freeze_panes = f"{rows.letters(FIRST_TOKEN)}{asked.TOKENS + 1}"
    _colour(frame, here)
    chart = bars("col", "Activation on every token", "0.0")
    chart.add_data(Reference(frame, FIRST_TOKEN, ACTIVATION, here.strip(ACTIVATION).last_column), from_rows=True)
    chart.set_categories(Reference(frame, FIRST_TOKEN, asked.TOKENS, here.strip(ACTIVATION).last_column))
    chart.series[0].graphicalProperties.solidFill = "C55A11"
    chart.series[0].invertIfNegative = False
    chart.x_axis.tickLblPos = "low"
    chart.legend = None
    chart.anchor = between(FIRST_TOKEN, CHART, min(max(12, layout.context), 16), CHART_ROWS)
    frame.add_chart(chart)


def _colour(frame: Worksheet, here: NeuronLayout) -> None:
    """Orange where the neuron fires; the chosen one among the most active; what it promotes and suppresses."""
    formats, orange = frame.conditional_formatting, ("num", 0, "FFFFFF", "max", None, "E69138")
    formats.add(here.strip(ACTIVATION).cells, ColorScaleRule(*orange))
    formats.add(here.active.stripe(1).cells, ColorScaleRule(*orange))
    chosen = f"{here.active.line(0).stripe(0).local.replace('$', '')}={used(here.number)}"
    blue = FormulaRule([chosen], font=Font(bold=True, color="FFFFFF"), fill=PatternFill(bgColor="2F5597"))
    formats.add(here.active.stripe(0).cells, blue)
    if here.tells_tokens:
        formats.add(here.extremes(PROMOTED).stripe(1).cells, ColorScaleRule("num", 0, "FFFFFF", "max", None, "E06666"))
        formats.add(
            here.extremes(SUPPRESSED).stripe(1).cells, ColorScaleRule("min", None, "6FA8DC", "num", 0, "FFFFFF")
        )
