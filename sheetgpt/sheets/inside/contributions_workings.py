"""The workings of the sheet Contributions: what each part writes, a part a column, and what that adds to the logit.

The mathematics and the twin: `inspection/contributions.py`, whose names these are.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.inspection.contributions import KEY_DIGITS, Attribution
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import Cells, Formulas, Row, Sources
from sheetgpt.sheets.grid import BIAS, FIRST_TOKEN, GAIN, SCALE
from sheetgpt.sheets.inside.asked import bar, used
from sheetgpt.sheets.inside.contributions_layout import DIRECTION, UNEMBEDDING, ContributionsLayout
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.embed import looked_up
from sheetgpt.sheets.palette import Palette

Floats = NDArray[Any]
BIASES = {"attention bias": "attn.out", "MLP bias": "mlp.out"}  # beside which tensor they stand


class Workings:
    """Formulas on the sheet Contributions, each guarded: without a text it shows nothing."""

    def __init__(self, layout: Layout, here: ContributionsLayout) -> None:
        self.layout, self.here = layout, here
        self.position, self.token, self.other = (used(cell) for cell in (here.position, here.token, here.other))
        self.place = f"{self.position}+1"  # the position's column, from 1 on

    def guarded(self, source: str) -> str:
        return f'IF(ISNUMBER({self.position}),{source},"")'

    def picked(self, line: Area) -> str:
        """A row's number at the position."""
        return f"INDEX({line.reference},1,{self.place})"

    def beside(self, tensor: str, column: int) -> Area:
        """The gains or biases that stand beside a tensor's rows."""
        area = self.layout[tensor]
        return Area(area.sheet, area.row, column, area.n_rows)

    # The direction

    def unembedding(self, f: int) -> str:
        """u[f] = head[token][f] - head[other][f], without the second where there is no other token."""
        bands = self.layout.tensor(self.layout.config.head).areas
        scales = self.here.scales
        found = [looked_up(bands, f, token) for token in (self.token, self.other)]
        if self.here.scaled:
            found = [f"{one}*{scales.stripe(k).local}" for k, one in enumerate(found)]
        return f'{found[0]}-IF({self.other}="",0,{found[1]})'

    def scale(self, token: str) -> str:
        scales = self.layout.tensor(self.layout.tensor(self.layout.config.head).scales).area
        return f'IF({token}="","",INDEX({scales.reference},{token}+1))'

    def mean(self) -> str:
        gains = self.beside("ln_f", GAIN)
        return f"SUMPRODUCT({gains.reference},{self.here.unembedding.local})/{self.here.config.n_embd}"

    def direction(self, f: int) -> str:
        """d[f] = (gain[f] u[f] - mean) rstd"""
        gain = self.beside("ln_f", GAIN).line(f).reference
        u, mean, rstd = self.here.unembedding.line(f).local, self.here.mean.local, self.here.rstd.local
        return f"({gain}*{u}-{mean})*{rstd}"

    # What each part writes

    def written(self, k: int, f: int) -> str:
        """Feature f of what part k writes; "" for a bias, which is read where it stands."""
        part, tensors = self.here.parts[k], self.layout
        i = part.level - 1
        if part.what in ("token", "position"):
            return self.picked(tensors["embed_tok" if part.what == "token" else "embed_pos"].line(f))
        if part.what == "MLP":
            bias = self.beside(f"h{i}.mlp.out", BIAS).line(f)
            return f"{self.picked(tensors[f'h{i}.mlp.out'].line(f))}-{bias.reference}"
        if part.what in BIASES:
            return ""
        return self.head(i, (k - 2) % (self.here.config.n_head + 3), f)

    def head(self, i: int, j: int, f: int) -> str:
        """sum over the head's d of W[d, f] z[d]: its rows of c_proj."""
        size = self.here.config.head_size
        weights = self.layout.tensor(f"h{i}.attn.c_proj.w").area.rows_of(j * size, size).stripe(f)
        z = self.here.mixed.stripe(i).rows_of(j * size, size)
        scale = self.beside(f"h{i}.attn.out", SCALE).line(f).reference
        return f"SUMPRODUCT({weights.reference},{z.local})" + (f"*{scale}" if self.here.scaled else "")

    def vector(self, k: int) -> str:
        """All that part k writes, as a range."""
        part = self.here.parts[k]
        if part.what in BIASES:
            return self.beside(f"h{part.level - 1}.{BIASES[part.what]}", BIAS).reference
        return self.here.writes.stripe(k).local

    def value(self, k: int) -> str:
        """What part k adds to the logit: w . d, and of the final norm b . u."""
        if k == len(self.here.parts) - 1:
            return f"SUMPRODUCT({self.here.unembedding.local},{self.beside('ln_f', BIAS).reference})"
        return f"SUMPRODUCT({self.here.direction.local},{self.vector(k)})"

    def key(self, k: int) -> str:
        return f"ROUND(ABS({self.here.values.stripe(k).local}),{KEY_DIGITS})"

    def state(self, d: int) -> Area:
        """The stream at depth d: after the embedding, then after each attention and each MLP."""
        names = ("resid_post", "resid_mid")
        return self.layout["embed" if d == 0 else f"h{(d - 1) // 2}.{names[d % 2]}"]


def length(vector: str) -> str:
    return f"SQRT(SUMPRODUCT({vector},{vector}))"


def workings_rows(work: Workings, palette: Palette, found: Attribution, params_scales: Floats | None) -> Iterator[Row]:
    """`params_scales`: of all tokens, where their numbers are whole."""
    here = work.here
    words = "(gain × the token's unembedding − their mean) × rstd: a state that points along it raises the logit."
    yield bar(here.mean.row - 1, palette, "Workings: the direction", words)
    yield from _direction_lines(work, palette, found, params_scales)
    words = "A part a column, a feature a row. Feature × direction, added up, is what the part adds to the logit."
    yield bar(here.head - 1, palette, "Workings: what each part writes", words)
    yield from _head_rows(work, palette, found)
    yield from _feature_rows(work, palette, found)


def _direction_lines(work: Workings, palette: Palette, found: Attribution, scales: Floats | None) -> Iterator[Row]:
    here, number = work.here, palette["number"]
    mean = rows.formula(3, work.guarded(work.mean()), found.mean, number)
    yield rows.row(here.mean.row, rows.text(1, "mean of gain × unembedding", palette["label"]), mean)
    rstd = rows.formula(3, work.guarded(work.picked(work.layout["ln_f.rstd"])), found.rstd, number)
    yield rows.row(here.rstd.row, rows.text(1, "rstd of the final norm", palette["label"]), rstd)
    if scales is None:
        return
    tokens: list[tuple[str, int | None]] = [(work.token, found.token), (work.other, found.other)]
    cells = [
        rows.formula(3 + k, work.guarded(work.scale(cell)), "" if token is None else float(scales[token]), number)
        for k, (cell, token) in enumerate(tokens)
    ]
    yield rows.row(here.scales.row, rows.text(1, "scale of each token's numbers", palette["label"]), *cells)


def _name_rows(work: Workings, palette: Palette) -> Iterator[Row]:
    """Above each column the place in the network, and what it is there."""
    here, blocks = work.here, range(work.here.config.n_layer)
    columns = [
        *(UNEMBEDDING, DIRECTION),
        *range(FIRST_TOKEN, FIRST_TOKEN + len(here.parts)),
        *range(here.mixed.column, here.mixed.last_column + 1),
        *range(here.states.column, here.states.last_column + 1),
    ]
    names = [
        *(("unembed-", "ding"), ("direction", "")),
        *((part.place, part.what) for part in here.parts),
        *((f"block {i}", "z") for i in blocks),
        *((place, f"after {step}" if step else "stream") for place, step in here.depths),
    ]
    for below in (0, 1):
        cells = (rows.text(c, name[below], palette["header"]) for c, name in zip(columns, names, strict=True))
        yield rows.row(here.head + below, *cells)


def _head_rows(work: Workings, palette: Palette, found: Attribution) -> Iterator[Row]:
    """The sums and lengths above the columns."""
    here, signed = work.here, palette["signed"]
    yield from _name_rows(work, palette)
    numbers = rows.numbers(FIRST_TOKEN, np.arange(len(here.parts)), palette["index"])
    yield rows.row(here.numbers.row, rows.text(1, "number", palette["label"]), numbers)
    every = range(len(here.parts))
    values = _each(FIRST_TOKEN, [work.guarded(work.value(k)) for k in every], found.values, signed, found.doubts)
    yield rows.row(here.values.row, rows.text(1, "adds to the logit", palette["name"]), values)
    sources, doubts = [work.guarded(work.key(k)) for k in every], found.key_doubts
    keys = _each(FIRST_TOKEN, sources, found.keys, palette["number"], doubts)
    yield rows.row(here.keys.row, rows.text(1, "its size, 9 decimals", palette["label"]), keys)
    sources = [work.guarded(length(work.vector(k))) for k in every[:-1]]
    sizes = _each(FIRST_TOKEN, sources, found.lengths, palette["number"])
    columns_of = [here.states.stripe(d).local for d in range(here.states.n_columns)]
    sources = [work.guarded(length(one)) for one in columns_of]
    sizes += _each(here.states.column, sources, found.stream_lengths, palette["number"])
    yield rows.row(here.lengths.row, rows.text(1, "length", palette["label"]), sizes)


def _feature_rows(work: Workings, palette: Palette, found: Attribution) -> Iterator[Row]:
    here, number = work.here, palette["number"]
    runs = _runs([part.what not in BIASES for part in here.parts[:-1]])
    for f in range(here.config.n_embd):
        own = rows.formula(UNEMBEDDING, work.guarded(work.unembedding(f)), float(found.unembedding[f]), number)
        own += rows.formula(DIRECTION, work.guarded(work.direction(f)), float(found.direction[f]), number)
        written: Cells = ()
        for run in runs:
            sources = partial(_written, work, f, run)
            written += _each(FIRST_TOKEN + run.start, sources, found.writes[f, run.start : run.stop], number)
        blocks = (work.layout[f"h{i}.attn.z"].line(f) for i in range(here.config.n_layer))
        mixed = _each(here.mixed.column, [work.guarded(work.picked(z)) for z in blocks], found.z[f], number)
        states = (work.state(d).line(f) for d in range(here.states.n_columns))
        stream = _each(here.states.column, [work.guarded(work.picked(x)) for x in states], found.stream[f], number)
        label = rows.text(1, "feature", palette["label"]), rows.number(2, f, palette["index"])
        yield rows.row(here.writes.row + f, *label, own, written, mixed, stream)


def _written(work: Workings, f: int, run: range) -> list[str]:
    return [work.guarded(work.written(k, f)) for k in run]


def _each(first: int, sources: Sources, values: Floats, style: int, doubts: Floats | float = 0.0) -> Cells:
    return (Formulas(first, sources, values, style, doubts),)


def _runs(wanted: list[bool]) -> list[range]:
    """Each run of wanted ones."""
    edges = np.flatnonzero(np.diff([0, *wanted, 0])).reshape(-1, 2)
    return [range(int(first), int(end)) for first, end in edges]
