"""The table of the Home sheet: the ten most likely next tokens, and how the temperature reshapes their odds.

Twin: `sampling.top` and `sampling.probabilities`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from openpyxl.chart import BarChart, Reference
from openpyxl.chart.text import RichText, Text
from openpyxl.chart.title import Title
from openpyxl.drawing.spreadsheet_drawing import AnchorMarker, TwoCellAnchor
from openpyxl.drawing.text import CharacterProperties, Paragraph, ParagraphProperties, RegularTextRun
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2 import sampling
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import Row
from sheetgpt.sheets.formulas import rank_id, sum_exp, text_at
from sheetgpt.sheets.grid import FIRST_TOKEN, SOFTMAX
from sheetgpt.sheets.home_prompt import Now
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.token_sheet import Prompt, letter

TALL = 15  # points: of a row beside the charts
GAP = 76_200  # EMU, 8 pixels
TEMPERATURES = (0.2, 0.5, 1, 1.5, 2)


def table_rows(layout: Layout, palette: Palette, prompt: Prompt, now: Now) -> Iterator[Row]:
    """The k-th largest logit, and its token: the lowest id that has it and is not in the table yet."""
    home, soft = layout.home, layout.softmax
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
            (3, text_at(layout.vocabulary["vocab_shown"].reference, f"$B${n}+1"), now.shown[id], "token"),
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
    logits, n_vocab = layout.softmax["next_logits"].reference, layout.config.n_vocab
    ids = Area(SOFTMAX, layout.softmax["next_logits"].row, 1, n_vocab).reference
    return rank_id(f"$D${n}", logits, ids, n_vocab, (f"$D${n - 1}", f"$B${n - 1}") if k else None)


def _sums(layout: Layout, palette: Palette, now: Now, n: int, some: str) -> Row:
    """Below each temperature: what its exponentials add up to, over the whole vocabulary."""
    soft, cells = layout.softmax, [rows.text(5, "sum of exp", palette["label"])]
    for i, t in enumerate(TEMPERATURES):
        c = letter(i)
        source = sum_exp(soft["next_logits"].reference, soft["next_max"].reference, f"{c}${n - 11}")
        total = float(np.exp((now.logits - now.logits.max()) / t).sum())
        doubt = float(sampling.doubt(now.logits, t))
        cells.append(rows.formula(FIRST_TOKEN + i, f'IF({some},{source},"")', total, palette["share"], doubt))
    return rows.row(n, *cells, height=TALL)


def add_charts(frame: Worksheet, layout: Layout) -> None:
    """The ten probabilities at the temperature that is set, and at five others side by side."""
    probs, tokens = layout.home["top_probs"], layout.home["top_tokens"]
    names = Reference(frame, tokens.column, tokens.row, tokens.column, tokens.last_row)
    now = _chart("bar", "Next token at the chosen temperature")
    now.add_data(Reference(frame, probs.column, probs.row, probs.column, probs.last_row))
    now.set_categories(names)
    now.x_axis.scaling.orientation = "maxMin"
    now.legend = None
    now.anchor = _over(probs, 6, 6)
    frame.add_chart(now)
    heats = _chart("col", "The same tokens at other temperatures")
    for i in range(len(TEMPERATURES)):
        column = FIRST_TOKEN + i
        heats.add_data(Reference(frame, column, probs.row - 1, column, probs.last_row), titles_from_data=True)
    heats.set_categories(names)
    heats.legend.position = "r"
    heats.y_axis.scaling.max = 1
    heats.anchor = _over(probs, 12, 8)
    frame.add_chart(heats)


def _over(table: Area, t: int, n: int) -> TwoCellAnchor:
    """Beside the table, from its heads to its sums, over n columns from that of position t.

    Both corners stand in cells, so that no program's column widths push one chart over another; the rows have a height
    of their own, since LibreOffice sizes a chart before it fits the others to their text.
    """
    column, top = FIRST_TOKEN + t - 1, table.row - 2  # both count from 0
    start, end = AnchorMarker(column, GAP, top, GAP), AnchorMarker(column + n, 0, table.last_row + 1, 0)
    return TwoCellAnchor(editAs="twoCell", _from=start, to=end)


def _rich(words: str, size: int, bold: bool) -> RichText:
    """A chart's text; `size` in hundredths of a point."""
    style = CharacterProperties(sz=size, b=bold)
    runs = [RegularTextRun(rPr=style, t=words)] if words else []
    return RichText(p=[Paragraph(pPr=ParagraphProperties(defRPr=style), r=runs, endParaRPr=style)])


def _chart(kind: str, title: str) -> Any:
    chart: Any = BarChart()  # its attributes are descriptors, which type checkers misread
    chart.type, chart.style = kind, 10
    chart.title = Title(tx=Text(rich=_rich(title, 1000, True)), overlay=False)
    for axis in (chart.x_axis, chart.y_axis):
        axis.txPr = _rich("", 800, False)
    chart.gapWidth = 30
    chart.roundedCorners = chart.varyColors = False  # Excel takes true for both where they are missing
    chart.x_axis.tickLblSkip = 1
    chart.x_axis.delete = chart.y_axis.delete = False
    chart.y_axis.numFmt, chart.y_axis.majorGridlines = "0%", None
    chart.y_axis.scaling.min = 0
    return chart
