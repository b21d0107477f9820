"""The Softmax sheet: id, token, logit after the last token, exp, probability; a row a token of the vocabulary."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2 import sampling
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import quoted
from sheetgpt.ooxml.rows import Row
from sheetgpt.sheets.grid import HOME, SOFTMAX
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet

Floats = NDArray[Any]


def softmax(layout: Layout, palette: Palette, shown: Sequence[str], logits: Floats, temperature: float) -> Sheet:
    """The Softmax sheet: id, token, logit after the last token, exp, probability; a row a token of the vocabulary."""
    return Sheet(
        SOFTMAX,
        "logits become probabilities at the temperature",
        lambda: softmax_rows(layout, palette, shown, logits, temperature),
        *(layout["next_probs"].last_row, 5),
        names=layout.names_on(SOFTMAX),
        links=[("A2", f"{quoted(HOME)}!A1")],
        dress=_dress_softmax,
    )


def _dress_softmax(frame: Worksheet) -> None:
    frame.freeze_panes = "A6"
    for column, width in zip("ABCDE", (10, 18, 12, 14, 14), strict=True):
        frame.column_dimensions[column].width = width


def softmax_rows(
    layout: Layout, palette: Palette, shown: Sequence[str], logits: Floats, temperature: float
) -> Iterator[Row]:
    cells, home = layout, layout
    next_logits, exps = cells["next_logits"], cells["next_exp"]
    n_tokens, heat = home["n_tokens"].reference, home["temperature"].reference
    winner, doubt = int(np.argmax(logits)), float(sampling.doubt(logits, temperature))
    exp = np.where(np.arange(len(logits)) == winner, 1.0, 0.0)
    if temperature > 0:
        exp = np.exp((logits - logits.max()) / temperature)
    words = "Which token comes next: the logits after the last token, divided by the temperature, become probabilities."
    yield rows.row(1, rows.text(1, "Softmax", palette["title"]), rows.text(3, words, palette["note"]), height=24)
    yield rows.row(
        2,
        rows.text(1, "← Home", palette["link"]),
        rows.text(2, "computed?", palette["label"]),
        rows.text(3, "largest", palette["label"]),
        rows.text(4, "sum", palette["label"]),
        rows.text(5, "id of the largest", palette["label"]),
    )
    peak, best = cells["next_max"], f"$E${cells['next_max'].row}"
    ready = f"$B${cells['next_max'].row}"  # one cell asks once what each of the rows would have to
    some = f'IF({ready},{{}},"")'
    yield rows.row(
        3,
        rows.formula(2, f"IF({n_tokens}*{home['settings_ok'].reference}>0,1,0)", 1, palette["flag"]),
        rows.formula(3, some.format(f"MAX({next_logits.local})"), float(logits.max()), palette["number"]),
        rows.formula(4, some.format(f"SUM({exps.local})"), float(exp.sum()), palette["number"], doubt),
        rows.formula(5, some.format(f"MATCH({peak.local},{next_logits.local},0)-1"), winner, palette["id"]),
    )
    titles = ("id", "token", "logit", "exp((logit − largest) / temperature)", "probability")
    yield rows.row(5, *(rows.text(c, name, palette["header"]) for c, name in enumerate(titles, 1)))
    probs, source = exp / exp.sum(), layout["logits"]
    for v in range(len(logits)):
        n = next_logits.row + v
        picked = some.format(f"INDEX({source.line(v).reference},1,{n_tokens})")
        raised = f"IF({heat}>0,EXP(($C${n}-{peak.local})/{heat}),IF($A${n}={best},1,0))"
        yield rows.row(
            n,
            rows.number(1, v, palette["id"]),
            rows.text(2, shown[v], palette["label"]),
            rows.formula(3, picked, float(logits[v]), palette["number"]),
            rows.formula(4, some.format(raised), float(exp[v]), palette["tiny"], doubt),
            rows.formula(5, some.format(f"$D${n}/{cells['next_sum'].local}"), float(probs[v]), palette["tiny"], doubt),
        )
