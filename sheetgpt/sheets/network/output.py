"""The Output sheet (final layer norm, a logit for each token of the vocabulary) and the Softmax sheet (the odds).

logits = wte . ln_f(x); probability = exp((logit - max) / temperature) over the sum. Twins: `model.unembed`,
`sampling.probabilities`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2 import sampling
from sheetgpt.gpt2.model import Trace
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import Row
from sheetgpt.sheets.formulas import log_sum_exp
from sheetgpt.sheets.grid import HOME, OUTPUT, POSITION_ROW, SOFTMAX
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.parts import Network, Params, layer_norm
from sheetgpt.sheets.network.token_sheet import Section, colour_signed, letter, sheet_rows, token_sheet
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import Prompt

Floats = NDArray[Any]


def unembedding(layout: Layout, token: int) -> Area:
    """The token's own column of `wte` (or of `lm_head`, when the model has one)."""
    bands = layout.tensor(layout.config.head).areas
    width = bands[0].n_columns
    return bands[token // width].stripe(token % width)


def logit(layout: Layout, token: int, t: int) -> str:
    """The token's column of `wte` . ln_f(x), times the token's scale where that column holds whole numbers."""
    y = layout.tensors["logits"]
    scale = f"*$E${y.row + token}" if layout.scaled else ""
    return f"SUMPRODUCT({unembedding(layout, token).reference},{layout.tensors['ln_f'].down(t, OUTPUT)}){scale}"


def wanted(layout: Layout, t: int) -> str:
    """Yes where logits are computed: from the prompt's last token on, and at every token when score_prompt is 1."""
    score, n_prompt = layout.home["score_prompt"].reference, layout.home["n_prompt"].reference
    return f"IF({score}=1,1,IF({letter(t)}${POSITION_ROW}>={n_prompt}-1,1,0))"


def output_sections(
    layout: Layout, shown: Sequence[str], params: Params, trace: Trace, wanted_now: Floats
) -> Sequence[Section]:
    areas, config = layout.tensors, layout.config
    x = areas[f"h{config.n_layer - 1}.resid_post"]
    flags, logits = areas["logits_wanted"], areas["logits"]
    every, top = np.where(wanted_now > 0, trace["logits"], np.nan), areas["logits_max"]
    peak = every.max(axis=0, keepdims=True)
    return [
        *layer_norm(Network(layout, params, trace), x, "ln_f"),
        Section(
            flags,
            "logits computed?",
            "Yes where logits are computed: from the prompt's last token on, or everywhere if Home scores the prompt.",
            np.pad(wanted_now, ((0, 0), (0, layout.context - wanted_now.shape[1]))),
            lambda i, t: wanted(layout, t),
            lambda i: "computed?",
            idle="0",
            style="flag",
        ),
        Section(
            areas["logits_max"],
            "",
            "",
            peak,
            lambda i, t: f"MAX({logits.down(t, OUTPUT)})",
            lambda i: "largest logit",
            titled=False,
            guard=flags.row,
        ),
        Section(
            areas["logits_lse"],
            "",
            "",
            peak + np.log(np.exp(every - peak).sum(axis=0, keepdims=True)),
            lambda i, t: log_sum_exp(logits.down(t, OUTPUT), top.at(0, t, OUTPUT)),
            lambda i: "log of the sum of exp",
            titled=False,
            guard=flags.row,
            doubt=sampling.doubt(trace["logits"]),
        ),
        Section(
            logits,
            "logits",
            f"How well each token fits as the next one: its column of {config.head} × ln_f.  [n_vocab, T]",
            every,
            lambda v, t: logit(layout, v, t),
            lambda v: shown[v],
            scale=params.get(layout.tensor(config.head).scales),
            guard=flags.row,
        ),
    ]


def output(
    layout: Layout,
    palette: Palette,
    prompt: Prompt,
    shown: Sequence[str],
    params: Params,
    trace: Trace,
    score_prompt: bool,
) -> Sheet:
    """The Output sheet."""
    areas = layout.tensors
    now = np.array([[1.0 if score_prompt or t >= prompt.n_prompt - 1 else 0.0 for t in range(prompt.n)]])
    note = f"The final state of each column, compared with every token's column of the sheet {layout.config.head}."
    return token_sheet(
        layout,
        OUTPUT,
        "the last layer norm and a logit for every token of the vocabulary",
        sheet_rows(
            *(layout, palette, prompt, "Output", note), lambda: output_sections(layout, shown, params, trace, now)
        ),
        areas["logits"],
        lambda frame: colour_signed(frame, areas["ln_f"], 4),
        sections=[("ln_f", areas["ln_f.mean"].row - 1), ("logits", areas["logits"].row - 1)],
    )


def softmax(layout: Layout, palette: Palette, shown: Sequence[str], logits: Floats, temperature: float) -> Sheet:
    """The Softmax sheet: id, token, logit after the last token, exp, probability; a row a token of the vocabulary."""
    return Sheet(
        SOFTMAX,
        "logits become probabilities at the temperature",
        lambda: softmax_rows(layout, palette, shown, logits, temperature),
        *(layout.softmax["next_probs"].last_row, 5),
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
    cells, home = layout.softmax, layout.home
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
    probs, source = exp / exp.sum(), layout.tensors["logits"]
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
