"""The sheet Neuron: what makes one neuron of an MLP fire, and which tokens it then speaks for.

The mathematics and the twin: `inspection/neuron.py`. What it promotes and suppresses is a part of its own,
`neuron-tokens`, since it costs the vocabulary times the width.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from openpyxl.chart import Reference
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.inspection import neuron
from sheetgpt.inspection.neuron import TOP, Array
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block
from sheetgpt.sheets.formulas import text_at
from sheetgpt.sheets.grid import FIRST_TOKEN, INDEX, LABEL
from sheetgpt.sheets.home.after import PROMPT
from sheetgpt.sheets.inside.neuron.chosen import (
    TALL,
    TOKENS_PART,
    Chosen,
    activations,
    every_token,
    on_every_token,
    orange,
)
from sheetgpt.sheets.inside.question import TOKENS, add_text, dress
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Bar, Beside, Page, Paper, Space, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.charts import bars, between
from sheetgpt.sheets.style.choosers import Chooser
from sheetgpt.sheets.style.looks import BLUE, put, scale, stands_out, takes
from sheetgpt.sheets.tensor import Value

NOTE = "Each neuron of an MLP looks at one token at a time; the more strongly it fires, the more of its own it adds."
FIRST_LOOK = 208  # of the bundled model's last block: it fires at "very" and speaks for heavy, loud, long and friendly
red, blue = scale("num", 0, "FFFFFF", "max", None, "E06666"), scale("min", None, "6FA8DC", "num", 0, "FFFFFF")
CHART_ROWS = 13
NUMBER, ACTIVE = 3, 4  # columns of the most active neurons
PROMOTED, SUPPRESSED = FIRST_TOKEN, FIRST_TOKEN + 5  # the token's columns; beside it the number and the id


def starts(layout: Layout) -> Mapping[str, Value]:
    """The yellow cells."""
    config = layout.config
    number = min(FIRST_LOOK, config.n_inner - 1)
    return {"neuron_block": config.n_layer - 1, "neuron_number": number, "neuron_position": PROMPT}


def n_formulas(layout: Layout) -> int:
    config = layout.config
    tokens = config.n_vocab + 2 * config.n_embd + 60 if TOKENS_PART in layout.optional else 0
    return config.n_inner + 4 * layout.context + 30 + tokens


def page(layout: Layout) -> Page:
    it = Chosen(layout)
    here, config = it.page, layout.config
    here.head(NOTE)
    add_text(here, layout)
    here.add(blocks(it), Bar("What is asked", space=0))
    hint = f"0 to {config.n_inner - 1}: any of the block; the most active ones are listed below"
    number = it.ask.number("number", "Neuron", hint, config.n_inner)
    it.ask.add(it.ask.number("block", "Block", "a number of the list", config.n_layer), number, it.ask.position())
    here.add(*on_every_token(it))
    here.positions = replace(here["sum"], n_rows=here.row - here["sum"].row)  # the status above is no token's
    here.add(Space(CHART_ROWS, TALL))
    add_tables(it)
    here.paper = Paper(one=True, last_row=here.row - 1, last_column=FIRST_TOKEN + 19)
    here.add(*activations(it), *(every_token(it) if it.tells_tokens else ()))
    here.dresses += [dress(here, layout), partial(offer, it), partial(add_chart, it)]
    return here


def add_tables(it: Chosen) -> None:
    """The most active neurons at the position, and beside them the tokens, a rank a row."""
    words = "What the chosen neuron promotes and suppresses, whatever the text: (w − mean) × gain · the unembedding."
    left_out = "What it promotes and suppresses is left out of this workbook: build --sheets neuron puts it in."
    heads = {LABEL: "the block's neurons", INDEX: "rank", NUMBER: "neuron", ACTIVE: "activation"}
    tables = most_active(it)
    if it.tells_tokens:
        for column, name in ((PROMOTED, "promotes"), (SUPPRESSED, "suppresses")):
            heads |= {column: name, column + 1: "adds", column + 2: "token id"}
            tables += extremes(it, name, column)

    def title() -> str:
        return f'"Most active at “"&{it.ask.shown("position").local}&"”"'

    def title_now(state: State) -> str:
        return f"Most active at “{state.prompt.shown[it.ask.position_now(state)]}”"

    it.page.add(
        Bar((title, title_now), words if it.tells_tokens else left_out, link="tables"),
        Texts(heads, height=TALL),
        Beside(*tables),
    )
    it.page.join("active", "active_number", "active_value")
    for name in ("promotes", "suppresses") if it.tells_tokens else ():
        it.page.join(name, f"{name}_token", f"{name}_value", f"{name}_id")


def most_active(it: Chosen) -> list[Block]:
    """Name, rank, number and activation."""
    n = min(TOP, it.config.n_inner)

    def name(r: int, j: int) -> str:
        return f'"block "&{it.ask.used("block")}&", neuron "&{it.page["active_number"].line(r).local}'

    def number(r: int, j: int) -> str:
        return it.ranked("active_value", "active_number", r, "activations")

    def value(r: int, j: int) -> str:
        return f"LARGE({it.page['activations'].local},{r + 1})"

    def numbers(state: State) -> list[int]:
        return neuron.active(state.trace, it.now(state)[0], it.ask.position_now(state), n)

    def names(state: State) -> list[str]:
        return [f"block {it.now(state)[0]}, neuron {k}" for k in numbers(state)]

    def values(state: State) -> Array:
        return it.activations(state)[numbers(state)]

    column = partial(it.column, n_rows=n, height=TALL, named=False)
    return [
        column("active_name", LABEL, name, names, style="name", numbered=True, number_from=1),
        column("active_value", ACTIVE, value, values, style="share", colours=[orange]),
        column("active_number", NUMBER, number, numbers, style="id", colours=[partial(mark, it)]),
    ]


def extremes(it: Chosen, name: str, first: int) -> list[Block]:
    """Tokens, how much each is promoted or suppressed, and their ids."""
    n, up = min(TOP, it.config.n_vocab), name == "promotes"

    def token(r: int, j: int) -> str:
        return text_at(it.layout["vocab_shown"].reference, f"{it.page[f'{name}_id'].line(r).local}+1")

    def value(r: int, j: int) -> str:
        return f"{'LARGE' if up else 'SMALL'}({it.page['tokens'].local},{r + 1})"

    def id(r: int, j: int) -> str:
        return it.ranked(f"{name}_value", f"{name}_id", r, "tokens")

    def ids(state: State) -> list[int]:
        promoted, suppressed = neuron.extremes(state.ask(it.effects), n)
        return promoted if up else suppressed

    def tokens(state: State) -> list[str]:
        return [state.shown[k] for k in ids(state)]

    def values(state: State) -> Array:
        return state.ask(it.effects)[ids(state)]

    column = partial(it.column, n_rows=n, height=TALL, named=False)
    return [
        column(f"{name}_token", first, token, tokens, style="token"),
        column(f"{name}_value", first + 1, value, values, style="signed", colours=[red if up else blue]),
        column(f"{name}_id", first + 2, id, ids, style="id"),
    ]


# Looks and lists


def blocks(it: Chosen) -> Block:
    """What the block's list offers."""
    n, label = it.config.n_layer, "the blocks to choose from"
    return Block("blocks", 1, n, twin=lambda state: np.arange(n), label=label, style="id", folded=True, named=False)


def offer(it: Chosen, frame: Worksheet) -> None:
    """What the yellow cells take."""
    frame.sheet_format.outlineLevelRow = 1
    words = "Which block's MLP. Block 0 reads first."
    Chooser("", it.page["block"], it.page["blocks"], "Block", words).validate(frame)
    last = it.config.n_inner - 1
    takes("Neuron", f"A neuron of the block, 0 to {last}.", 0, last)(frame, it.page["number"])


def add_chart(it: Chosen, frame: Worksheet) -> None:
    """The activation, a column a token."""
    strip = it.page["activation"]
    chart = bars("col", "Activation on every token", "0.0")
    chart.add_data(Reference(frame, FIRST_TOKEN, strip.row, strip.last_column), from_rows=True)
    chart.set_categories(Reference(frame, FIRST_TOKEN, TOKENS, strip.last_column))
    chart.series[0].graphicalProperties.solidFill = "C55A11"
    chart.series[0].invertIfNegative = False
    chart.x_axis.tickLblPos = "low"
    chart.legend = None
    chart.anchor = between(FIRST_TOKEN, strip.row + 1, min(max(12, strip.n_columns), 16), CHART_ROWS)
    frame.add_chart(chart)


def mark(it: Chosen, frame: Worksheet, area: Area) -> None:
    """The neuron that is chosen, among the most active ones."""
    put(frame, area, stands_out(f"{area.line(0).cells}={it.ask.used('number')}", BLUE))
