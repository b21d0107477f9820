"""The lower half of the sheet Lab: what lane B would say next beside what lane A would, and how far apart they are."""

from collections.abc import Callable, Iterator

import numpy as np
from openpyxl.chart import Reference
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2 import sampling
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import Row
from sheetgpt.sheets.charts import bars, between
from sheetgpt.sheets.choosers import typed_cell, whole_below
from sheetgpt.sheets.formulas import sum_exp, text_at
from sheetgpt.sheets.lab.lab_layout import LabLayout
from sheetgpt.sheets.lab.lanes import COPIED
from sheetgpt.sheets.lab.screws import below
from sheetgpt.sheets.optional import Value
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.state import State

HEADS = ("lane A's likeliest", "A", "B", "B − A", "logit A", "logit B", "B − A", "lane B's likeliest", "B")
RESULT_WORDS = (
    "The ten likeliest next tokens of lane A and of lane B, with their probabilities at each lane's temperature"
)
Bar = Callable[[Palette, int, str, str], Row]


def ready(state: State, lab: LabLayout) -> str:
    """Whether both lanes have something to show."""
    home = state.layout
    areas = [home[name] for name in ("n_tokens", "settings_ok")]
    return "*".join(area.reference for one in areas for area in (one, lab.move.area(one))) + ">0"


def _softmax(state: State, name: str) -> tuple[str, str]:
    """A column or cell of the sheet Softmax, lane A's and lane B's."""
    area = state.layout[name]
    return area.reference, Area(COPIED[area.sheet], area.row, area.column, area.n_rows, area.n_columns).reference


def result_rows(state: State, palette: Palette, lab: LabLayout, bar: Bar) -> Iterator[Row]:
    assert state.lab is not None
    layout, area, other = state.layout, lab.table, state.lab.other
    home, some = layout, ready(state, lab)
    logits, heats = (state.now.logits, other.now.logits), [s.inputs.sampling.temperature for s in (state, other)]
    probs = [sampling.probabilities(x, heat) for x, heat in zip(logits, heats, strict=True)]
    doubts = [float(sampling.doubt(x, heat)) for x, heat in zip(logits, heats, strict=True)]
    apart = float(max(sampling.doubt(x, 1.0) for x in logits))  # how well a difference of logits can be known
    best = [sampling.top(x, area.n_rows) for x in logits]
    (p_a, p_b), (l_a, l_b) = _softmax(state, "next_probs"), _softmax(state, "next_logits")
    yield bar(palette, area.row - 2, "What comes next", RESULT_WORDS)
    yield rows.row(area.row - 1, *(rows.text(c, head, palette["header"]) for c, head in enumerate(HEADS, 1)))
    top_b = lab.move.area(home["top_tokens"]), lab.move.area(home["top_probs"])
    for k in range(area.n_rows):
        n, a, b = area.row + k, best[0][k], best[1][k]
        id = home["top_ids"].line(k).reference
        sources: tuple[tuple[str, float | str, str, float], ...] = (
            (home["top_tokens"].line(k).reference, state.shown[a], "token", 0.0),
            (f"INDEX({p_a},{id}+1)", float(probs[0][a]), "prob", doubts[0]),
            (f"INDEX({p_b},{id}+1)", float(probs[1][a]), "prob", doubts[1]),
            (f"$C${n}-$B${n}", float(probs[1][a] - probs[0][a]), "share", max(doubts)),
            (f"INDEX({l_a},{id}+1)", float(logits[0][a]), "number", 0.0),
            (f"INDEX({l_b},{id}+1)", float(logits[1][a]), "number", 0.0),
            (f"$F${n}-$E${n}", float(logits[1][a] - logits[0][a]), "signed", apart),
            (top_b[0].line(k).reference, state.shown[b], "token", 0.0),
            (top_b[1].line(k).reference, float(probs[1][b]), "prob", doubts[1]),
        )
        cells = [
            rows.formula(c, f'IF({some},{source},"")', value, palette[style], doubt)
            for c, (source, value, style, doubt) in enumerate(sources, 1)
        ]
        yield rows.row(n, *cells, height=16)
    yield from _difference(state, palette, lab, bar)
    yield from _divergence(state, palette, lab)


def chosen(typed: Value, otherwise: int, n_vocab: int) -> int:
    """The id that is typed, or the usual one where that is none."""
    id = below(typed, n_vocab)
    return otherwise if id is None else id


def _difference(state: State, palette: Palette, lab: LabLayout, bar: Bar) -> Iterator[Row]:
    """The logit of one token less that of another, in both lanes."""
    assert state.lab is not None
    n_vocab, some = state.layout.config.n_vocab, ready(state, lab)
    strings = state.layout["vocab_shown"].reference
    logits = state.now.logits, state.lab.other.now.logits
    usual = sampling.top(logits[0], 2)
    usual = [*usual, *usual][:2]  # a vocabulary of one token
    area = lab.tokens
    words = "The logit of one token less that of another. Empty: lane A's likeliest, and its second likeliest."
    yield bar(palette, area.row - 2, "Two tokens compared", words)
    heads = ((2, "id"), (3, "in use"), (4, "lane A"), (5, "lane B"), (6, "B − A"))
    yield rows.row(area.row - 1, *(rows.text(c, head, palette["header"]) for c, head in heads))
    ids, signed, doubt = [], palette["signed"], float(max(sampling.doubt(x, 1.0) for x in logits))
    for k, title in enumerate(("token", "less token")):
        cell, n = area.line(k), area.row + k
        otherwise = state.layout["top_ids"].line(min(k, n_vocab - 1)).reference
        id = chosen(state.lab.lab.tokens[k], usual[k], n_vocab)
        ids.append(id)
        fits = whole_below(cell.local, n_vocab)
        picked = [f"INDEX({one},$C${n}+1)" for one in _softmax(state, "next_logits")]
        yield rows.row(
            n,
            rows.text(1, title, palette["name"]),
            typed_cell(2, state.lab.lab.tokens[k], palette),
            rows.formula(3, f'IF({some},IF({fits},{cell.local},{otherwise}),"")', id, palette["id"]),
            rows.formula(4, f'IF({some},{picked[0]},"")', float(logits[0][id]), palette["number"]),
            rows.formula(5, f'IF({some},{picked[1]},"")', float(logits[1][id]), palette["number"]),
            rows.formula(6, f'IF({some},$E${n}-$D${n},"")', float(logits[1][id] - logits[0][id]), signed, doubt),
            rows.formula(7, f'IF({some},{text_at(strings, f"$C${n}+1")},"")', state.shown[id], palette["token"]),
        )
    n = lab.differences.row
    apart = [float(x[ids[0]] - x[ids[1]]) for x in logits]
    yield rows.row(
        n,
        rows.text(1, "logit difference", palette["name"]),
        *(
            rows.formula(c, f'IF({some},${letter}${n - 2}-${letter}${n - 1},"")', value, signed, doubt)
            for c, letter, value in ((4, "D", apart[0]), (5, "E", apart[1]), (6, "F", apart[1] - apart[0]))
        ),
    )


def divergence(logits: np.ndarray, other: np.ndarray) -> float:
    """KL(softmax(logits) || softmax(other)) in bits."""
    x, y = logits - logits.max(), other - other.max()
    log_p, log_q = x - np.log(np.exp(x).sum()), y - np.log(np.exp(y).sum())
    return float((np.exp(log_p) * (log_p - log_q)).sum() / np.log(2))


def _divergence(state: State, palette: Palette, lab: LabLayout) -> Iterator[Row]:
    """sum of p (log p − log q), with p = exp(x − max) / Z_x: the mean of x − y under p, less log(Z_x / Z_y)."""
    assert state.lab is not None
    some, n = ready(state, lab), lab.divergence.row
    (x, y), tops = _softmax(state, "next_logits"), _softmax(state, "next_max")
    values = state.now.logits, state.lab.other.now.logits
    said = (
        ("lane B seen from A", "KL(A‖B): bits lost by taking B's probabilities for A's, at temperature 1"),
        ("lane A seen from B", "KL(B‖A): bits lost by taking A's for B's"),
    )
    yield rows.row(n - 1, rows.text(1, "How far apart are the lanes?", palette["header"]))
    for k, ((p, q), (own, theirs)) in enumerate((((x, y), tops), ((y, x), tops[::-1]))):
        sums = sum_exp(p, own), sum_exp(q, theirs)
        above = f"({p}>{own}-700)"
        weighted = f"SUMPRODUCT({above}*EXP(1)^(({p}-{own})*{above})*(({p}-{own})-({q}-{theirs})))"
        source = f"({weighted}/{sums[0]}-LN({sums[0]})+LN({sums[1]}))/LN(2)"
        value = divergence(*values[:: 1 if k == 0 else -1])
        title, words = said[k]
        doubt = float(max(sampling.doubt(one, 1.0) for one in values))
        yield rows.row(
            n + k,
            rows.text(1, title, palette["name"]),
            rows.formula(4, f'IF({some},{source},"")', value, palette["number"], doubt),
            rows.text(5, words, palette["note"]),
        )


def add_chart(frame: Worksheet, lab: LabLayout) -> None:
    """Lane A's ten likeliest tokens, and their probabilities in both lanes."""
    area = lab.table
    chart = bars("col", "Lane A's likeliest tokens in both lanes")
    chart.y_axis.scaling.min = 0
    chart.add_data(Reference(frame, 2, area.row - 1, 3, area.last_row), titles_from_data=True)
    chart.set_categories(Reference(frame, 1, area.row, 1, area.last_row))
    chart.legend.position = "r"
    chart.anchor = between(11, area.row - 1, 7, area.n_rows + 1)
    frame.add_chart(chart)
