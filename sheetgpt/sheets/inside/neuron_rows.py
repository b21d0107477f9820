"""The rows of the sheet Neuron: what is asked, the tables, and the workings below them.

The mathematics and the twin: `inspection/neuron.py`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from sheetgpt.gpt2 import quantize
from sheetgpt.inspection import neuron
from sheetgpt.inspection.neuron import Array
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import Cells, Row
from sheetgpt.sheets.choosers import whole, whole_now
from sheetgpt.sheets.formulas import rank_id, text_at
from sheetgpt.sheets.grid import FIRST_TOKEN, GAIN, INDEX, SCALE
from sheetgpt.sheets.inside import asked
from sheetgpt.sheets.inside.asked import Line, bar, is_whole, position_now, used
from sheetgpt.sheets.inside.neuron_layout import ACTIVE, DIRECTION, NUMBER, PROMOTED, SUPPRESSED, VALUE, NeuronLayout
from sheetgpt.sheets.network.output import unembedding
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.state import State


@dataclass(frozen=True)
class Asked:
    """What is chosen, and the twin's numbers for it."""

    state: State
    here: NeuronLayout

    @cached_property
    def block(self) -> int:
        return whole_now(self.state.chosen["neuron_block"], self.state.layout.config.n_layer - 1, 0)

    @cached_property
    def number(self) -> int:
        return whole_now(self.state.chosen["neuron_number"], self.state.layout.config.n_inner - 1, 0)

    @cached_property
    def position(self) -> int:
        return position_now(self.state.chosen["neuron_position"], self.state.prompt.n)

    @cached_property
    def params(self) -> Mapping[str, Array]:
        """The few that the sheet looks at."""
        layer = f"h{self.block}.mlp.c_proj.w"
        names = [layer, "ln_f.g", self.state.layout.config.head]
        names += [quantize.scale_name(name) for name in names]
        return quantize.evaluated({name: self.state.params[name] for name in names if name in self.state.params})

    @cached_property
    def effects(self) -> Array:
        return neuron.effects(self.params, self.state.layout.config, self.block, self.number)

    def on_tokens(self, name: str) -> Array:
        """`fc` or `act` of the neuron.  [T]"""
        found: Array = self.state.trace[f"h{self.block}.mlp.{name}"][self.number]
        return found

    # The same as formulas

    @property
    def of_block(self) -> str:
        return f"{used(self.here.block)}+1"

    @property
    def of_number(self) -> str:
        return f"{used(self.here.number)}+1"

    def guarded(self, source: str) -> str:
        """Nothing where there is no text, and so no position."""
        return f'IF(ISNUMBER({used(self.here.position)}),{source},"")'

    def among_blocks(self, sources: list[str]) -> str:
        """That of the block that is chosen: no range is named by a text, none is moved; and CHOOSE hands on single
        cells, as some engines don't take a range from it."""
        return f"CHOOSE({self.of_block},{','.join(sources)})"

    def tensors(self, name: str) -> list[Area]:
        config = self.state.layout.config
        return [self.state.layout[f"h{i}.mlp.{name}"] for i in range(config.n_layer)]

    def on_token(self, name: str) -> str:
        """`fc` or `act` of the neuron in the first token's column; fills right."""
        return self.among_blocks([f"INDEX({area.down(0, '')},{self.of_number})" for area in self.tensors(name)])

    def activation(self, n: int) -> str:
        """Of neuron n of the block, at the position."""
        lines = [area.line(n).reference for area in self.tensors("act")]
        return self.among_blocks([f"INDEX({line},1,{used(self.here.position)}+1)" for line in lines])

    def weight(self, f: int) -> str:
        """w[f], the neuron's row in column f of c_proj, times the column's scale where it holds whole numbers."""
        layout, blocks = self.state.layout, range(self.state.layout.config.n_layer)
        columns = [layout.tensor(f"h{i}.mlp.c_proj.w").area.stripe(f).reference for i in blocks]
        found = self.among_blocks([f"INDEX({column},{self.of_number})" for column in columns])
        if not layout.scaled:
            return found
        outs = [layout[f"h{i}.mlp.out"] for i in blocks]
        return f"{found}*{self.among_blocks([Area(a.sheet, a.row + f, SCALE).reference for a in outs])}"

    def passed_on(self, f: int) -> str:
        """d[f] = (w[f] - mean(w)) gain[f]"""
        norm, own = self.state.layout["ln_f"], self.here.written
        gain = Area(norm.sheet, norm.row + f, GAIN).reference
        return f"({own.line(f).local}-AVERAGE({own.local}))*{gain}"

    def effect(self, v: int) -> str:
        """d . head[v]"""
        layout = self.state.layout
        found = f"SUMPRODUCT({unembedding(layout, v).reference},{self.here.direction.local})"
        if not layout.scaled:
            return found
        scales = layout.tensor(layout.tensor(layout.config.head).scales).area
        return f"{found}*{scales.line(v).reference}"


def lines(it: Asked) -> list[Line]:
    """The three yellow cells."""
    here, state = it.here, it.state
    config, chosen = state.layout.config, state.chosen
    return [
        _line(here.block, "Block", chosen["neuron_block"], it.block, config.n_layer, "a number of the list"),
        _line(
            *(here.number, "Neuron", chosen["neuron_number"], it.number, config.n_inner),
            f"0 to {config.n_inner - 1}: any of the block; the most active ones are listed below",
        ),
        asked.position_line(state.layout, state.prompt, here.position, chosen["neuron_position"]),
    ]


def _line(cell: Area, title: str, typed: float | str, now: int, n: int, hint: str) -> Line:
    """A number from 0 to n - 1; 0 for what is none."""
    last, words = str(n - 1), f"There is no such {title.lower()}, so 0 is taken: they are 0 to {n - 1}."
    known = typed == "" or whole_now(typed, n - 1, -1) >= 0
    refusal = f'IF({cell.local}="","",IF({is_whole(cell.local, last)},"","{words}"))', "" if known else words
    return Line(cell, title, typed, whole(cell.local, last, "0"), now, '""', "", hint, refusal)


def strip_rows(it: Asked, palette: Palette, sum_row: int, heights: float) -> Iterator[Row]:
    """The neuron on every token: what it adds up, and what the activation function makes of it."""
    layout, prompt = it.state.layout, it.state.prompt
    active = layout["active"].at(0, 0, "")
    for n, (title, name, style) in enumerate((("sum", "fc", "share"), ("activation", "act", "share")), sum_row):
        values = prompt.padded(it.on_tokens(name)[None], 1)[0]
        cells = rows.fill_right(FIRST_TOKEN, f'IF({active},{it.on_token(name)},"")', values, palette[style])
        yield rows.row(n, rows.text(1, title, palette["name"]), cells, height=heights)


def table_rows(it: Asked, palette: Palette, height: float) -> Iterator[Row]:
    """The most active neurons at the position, and beside them the tokens, a rank a row."""
    here, first = it.here, it.here.active.row
    words = "What the chosen neuron promotes and suppresses, whatever the text: (w − mean) × gain · the unembedding."
    left_out = "What it promotes and suppresses is left out of this workbook: build --sheets neuron puts it in."
    last = here.last_column
    title = f'"Most active at “"&$E${here.position.row}&"”"'
    _, *rest = bar(first - 2, palette, "", words if here.tells_tokens else left_out, last).pieces
    now = f"Most active at “{it.state.prompt.shown[it.position]}”"
    yield rows.row(first - 2, rows.formula(1, title, now, palette["section"]), tuple(rest))
    heads = {1: "the block's neurons", INDEX: "rank", NUMBER: "neuron", ACTIVE: "activation"}
    if here.tells_tokens:
        for column, name in ((PROMOTED, "promotes"), (SUPPRESSED, "suppresses")):
            heads |= {column: name, column + 1: "adds", column + 2: "token id"}
    yield rows.row(first - 1, *(rows.text(c, head, palette["header"]) for c, head in heads.items()), height=height)
    for r in range(max(here.n_active, here.n_top if here.tells_tokens else 0)):
        cells = _active_cells(it, palette, r) if r < here.n_active else ()
        if here.tells_tokens and r < here.n_top:
            cells += _token_cells(it, palette, PROMOTED, "LARGE", r) + _token_cells(it, palette, SUPPRESSED, "SMALL", r)
        yield rows.row(first + r, cells, height=height)


def _active_cells(it: Asked, palette: Palette, r: int) -> Cells:
    here = it.here
    found = it.state.trace[f"h{it.block}.mlp.act"][:, it.position]
    n = neuron.active(it.state.trace, it.block, it.position, r + 1)[r]
    numbers = Area(here.activations.sheet, here.activations.row, INDEX, here.activations.n_rows)
    place = _ranked(here.active.stripe(1), here.active.stripe(0), r, here.activations, numbers)
    name = f'"block "&{used(here.block)}&", neuron "&{here.active.stripe(0).line(r).local}'
    return (
        *rows.formula(1, it.guarded(name), f"block {it.block}, neuron {n}", palette["name"]),
        *rows.number(INDEX, r + 1, palette["index"]),
        *rows.formula(NUMBER, it.guarded(place), n, palette["id"]),
        *rows.formula(
            ACTIVE, it.guarded(f"LARGE({here.activations.local},{r + 1})"), float(found[n]), palette["share"]
        ),
    )


def _token_cells(it: Asked, palette: Palette, first: int, which: str, r: int) -> Cells:
    """A token, how much it is promoted or suppressed, and its id."""
    here, table = it.here, it.here.extremes(first)
    up, down = neuron.extremes(it.effects, r + 1)
    id = (up if which == "LARGE" else down)[r]
    ids = Area(here.effects.sheet, here.effects.row, INDEX, here.effects.n_rows)
    place = _ranked(table.stripe(1), table.stripe(2), r, here.effects, ids)
    strings = it.state.layout["vocab_shown"].reference
    name = text_at(strings, f"{table.stripe(2).line(r).local}+1")
    return (
        *rows.formula(first, it.guarded(name), it.state.shown[id], palette["token"]),
        *rows.formula(
            first + 1,
            it.guarded(f"{which}({here.effects.local},{r + 1})"),
            float(it.effects[id]),
            palette["signed"],
        ),
        *rows.formula(first + 2, it.guarded(place), id, palette["id"]),
    )


def _ranked(values: Area, ids: Area, r: int, among: Area, numbers: Area) -> str:
    """Which one stands at rank r; of equal ones the first that is not in the list yet."""
    above = (values.line(r - 1).local, ids.line(r - 1).local) if r else None
    return rank_id(values.line(r).local, among.local, numbers.local, among.n_rows, above)


def workings_rows(it: Asked, palette: Palette) -> Iterator[Row]:
    """The block's activations; the neuron's output weights; and every token."""
    here, config, number = it.here, it.state.layout.config, palette["number"]
    last = here.last_column

    def label(name: str, i: int) -> Cells:
        return rows.text(1, name, palette["label"]) + rows.number(INDEX, i, palette["index"])

    first = here.activations.row
    yield bar(first - 1, palette, "Workings: the block", "Every neuron's activation at the position.", last)
    found = it.state.trace[f"h{it.block}.mlp.act"][:, it.position]
    for n in range(config.n_inner):
        cells = rows.formula(VALUE, it.guarded(it.activation(n)), float(found[n]), number)
        yield rows.row(first + n, label("neuron", n), cells)
    if not here.tells_tokens:
        return
    first = here.written.row
    words = "w: its row of mlp.c_proj, what it writes into the stream at an activation of 1; d = (w − mean) × gain."
    yield bar(first - 2, palette, "Workings: what it writes", words, last)
    yield rows.row(first - 1, rows.text(VALUE, "w", palette["header"]), rows.text(DIRECTION, "d", palette["header"]))
    w = neuron.output_row(it.params, it.block, it.number)
    d = neuron.direction(it.params, it.block, it.number)
    for f in range(config.n_embd):
        own = rows.formula(VALUE, it.guarded(it.weight(f)), float(w[f]), number)
        own += rows.formula(DIRECTION, it.guarded(it.passed_on(f)), float(d[f]), number)
        yield rows.row(first + f, label("feature", f), own)
    first = here.effects.row
    words = f"d · the token's column of {config.head}; × activation × rstd of the final norm: what it adds to a logit."
    yield bar(first - 1, palette, "Workings: every token", words, last)
    for v, name in enumerate(it.state.shown):
        cells = rows.formula(VALUE, it.guarded(it.effect(v)), float(it.effects[v]), number)
        yield rows.row(first + v, label(name, v), cells)
