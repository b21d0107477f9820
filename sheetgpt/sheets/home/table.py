"""The table of the Home sheet: the ten most likely next tokens, and how the temperature reshapes their odds.

Twin: `sampling.top` and `sampling.probabilities`.
"""

from collections.abc import Iterator

import numpy as np
from openpyxl.chart import Reference
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2 import sampling
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import Row
from sheetgpt.sheets.charts import bars, between
from sheetgpt.sheets.formulas import rank_id, sum_exp, text_at
from sheetgpt.sheets.grid import FIRST_TOKEN, SOFTMAX
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.token_sheet import letter
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.state import Now, Prompt

TALL = 15  # points: of a row beside the charts
TEMPERATURES = (0.2, 0.5, 1, 1.5, 2)


def table_rows(layout: Layout, palette: Palette, prompt: Prompt, now: Now) -> Iterator[Row]:
    """The k-th largest logit, and its token: the lowest id that has it and is not in the table yet."""
    home, soft = layout, layout
    first, n_vocab = home["top_ids"].row, layout.config.n_vocab
    some = f"{home['n_tokens'].local}*{home['settings_ok'].local}>0"
    last = f"INDEX({home['token_text'].local},1,{home['n_tokens'].local})"
    title = f'"What comes next? The ten likeliest tokens"&IF({some}," after “"&{last}&"”","")'
    heading = rows.formula(1, title, heading_now(prompt), palette["section"])
    over = f"Their probabilities at other temperatures T: softmax(logit / T) over all {n_vocab:,} tokens"
    words = rows.text(FIRST_TOKEN, over, palette["maths"])
    filler = [rows.blank(c, palette["maths"]) for c in (*range(2, FIRST_TOKEN), *range(7, 18))]
    yield rows.row(first - 2, heading, *filler[:4], words, *filler[4:])
    heads = ("rank", "id", "token", "logit", "probability")
    heats = rows.joined(rows.number(FIRST_TOKEN + i, t, palette["heat"]) for i, t in enumerate(TEMPERATURES))
    yield rows.row(first - 1, *(rows.text(c, h, palette["header"]) for c, h in enumerate(heads, 1)), heats, height=TALL)
    heat = now.inputs.sampling.temperature
    best, probs = sampling.top(now.logits, 10), sampling.probabilities(now.logits, heat)
    reshaped = [sampling.probabilities(now.logits, t) for t in TEMPERATURES]
    for k in range(10):
        n, known = first + k, k < len(best)
        id = best[k] if known else 0
        guard = f'IF(AND({some},$A${n}<={n_vocab}),{{}},"")'
        sources: tuple[tuple[int, str, float | str, str], ...] = (
            (2, _found(layout, n, k), id, "id"),
            (3, text_at(layout["vocab_shown"].reference, f"$B${n}+1"), now.shown[id], "token"),
            (4, f"LARGE({soft['next_logits'].reference},$A${n})", float(now.logits[id]), "number"),
            (5, f"INDEX({soft['next_probs'].reference},$B${n}+1)", float(probs[id]), "prob"),
        )
        cells = [rows.number(1, k + 1, palette["index"])]
        for column, formula, found, style in sources:
            doubt = float(sampling.doubt(now.logits, heat)) if style == "prob" else 0.0
            cells.append(rows.formula(column, guard.format(formula), found if known else "", palette[style], doubt))
        for i, p in enumerate(reshaped):
            c = letter(i)
            source = f"EXP(($D${n}-{soft['next_max'].reference})/{c}${first - 1})/{c}${first + 10}"
            cell = guard.format(source), float(p[id]) if known else "", palette["prob"]
            cells.append(rows.formula(FIRST_TOKEN + i, *cell, float(sampling.doubt(now.logits, TEMPERATURES[i]))))
        yield rows.row(n, *cells, height=TALL)
    yield _sums(layout, palette, now, first + 10, some)


def heading_now(prompt: Prompt) -> str:
    return f"What comes next? The ten likeliest tokens after “{prompt.shown[-1]}”"


def _found(layout: Layout, n: int, k: int) -> str:
    """The id of rank k: where its logit stands, or on a tie with the rank above the next id that has it."""
    logits, n_vocab = layout["next_logits"].reference, layout.config.n_vocab
    ids = Area(SOFTMAX, layout["next_logits"].row, 1, n_vocab).reference
    return rank_id(f"$D${n}", logits, ids, n_vocab, (f"$D${n - 1}", f"$B${n - 1}") if k else None)


def _sums(layout: Layout, palette: Palette, now: Now, n: int, some: str) -> Row:
    """Below each temperature: what its exponentials add up to, over the whole vocabulary."""
    soft, cells = layout, [rows.text(5, "sum of exp", palette["label"])]
    for i, t in enumerate(TEMPERATURES):
        c = letter(i)
        source = sum_exp(soft["next_logits"].reference, soft["next_max"].reference, f"{c}${n - 11}")
        total = float(np.exp((now.logits - now.logits.max()) / t).sum())
        doubt = float(sampling.doubt(now.logits, t))
        cells.append(rows.formula(FIRST_TOKEN + i, f'IF({some},{source},"")', total, palette["share"], doubt))
    return rows.row(n, *cells, height=TALL)


def add_charts(frame: Worksheet, layout: Layout) -> None:
    """The ten probabilities at the temperature that is set, and at five others side by side."""
    probs, tokens = layout["top_probs"], layout["top_tokens"]
    names = Reference(frame, tokens.column, tokens.row, tokens.column, tokens.last_row)
    top, tall = probs.row - 1, probs.n_rows + 2  # from the table's heads to its sums
    now = bars("bar", "Next token at the chosen temperature")
    now.y_axis.scaling.min = 0
    now.add_data(Reference(frame, probs.column, probs.row, probs.column, probs.last_row))
    now.set_categories(names)
    now.x_axis.scaling.orientation = "maxMin"
    now.legend = None
    now.anchor = between(FIRST_TOKEN + 6, top, 6, tall)
    frame.add_chart(now)
    heats = bars("col", "The same tokens at other temperatures")
    heats.y_axis.scaling.min = 0
    for i in range(len(TEMPERATURES)):
        column = FIRST_TOKEN + i
        heats.add_data(Reference(frame, column, probs.row - 1, column, probs.last_row), titles_from_data=True)
    heats.set_categories(names)
    heats.legend.position = "r"
    heats.y_axis.scaling.max = 1
    heats.anchor = between(FIRST_TOKEN + 12, top, 8, tall)
    frame.add_chart(heats)
