"""The Sample sheet: in each column the token after it is chosen, from the likeliest candidates down.

The rules stand in `sampling.py`, the NumPy twin: the `top_k` largest logits, over the temperature, to shares of 1, of
those as many as reach `top_p`, and among them a uniform number decides.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openpyxl.formatting.rule import FormulaRule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.sampling import ALL_OF_IT, MARGIN, MODULUS, MULTIPLIER, Choice, Sampling, states
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import Cells, Row
from sheetgpt.sheets.formulas import rank_id, sum_exp, text_at
from sheetgpt.sheets.grid import FIRST_TOKEN, ID_ROW, INDEX, OUTPUT, POSITION_ROW, SAMPLE, SCALE
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.token_sheet import Prompt, guarded, header, letter, token_sheet

Table = tuple[str, str, str, str]  # name, title, words, style
Line = tuple[str, str, str, tuple[str, str] | None]  # name, label, style, the bar above it: title and words

CHANCE = ("The seed's next number between 1 and 2147483646: the one before × 16807, the rest of the division by "
          "2147483647. The three before the first stand on its left.")  # fmt: skip
LINES: tuple[Line, ...] = (
    ("choosing", "chooses?", "flag",
     ("Where?", "1 where the token after this one is chosen: from the prompt's last token on.")),
    ("state", "by chance", "id", ("A number by chance", CHANCE)),
    ("uniform", "as a share of 1", "share", None),
    ("draw", "× what is kept", "share", None),
    ("chosen_id", "token id", "id", ("The choice", "The first candidate whose running total exceeds the draw.")),
    ("chosen_token", "token", "token", None),
    ("chosen_prob", "its probability", "prob", None),
    ("top_k_mass", "the candidates' (top_k)", "prob",
     ("How much is left out", "Of the whole vocabulary's probability: what the candidates hold, and top_p's part.")),
    ("kept_mass", "of that kept by top_p", "prob", None),
    ("kept_share", "kept of everything", "prob", None),
    ("left_out", "left out", "prob", None),
    ("weight_sum", "sum of their weights", "number", None),
    ("vocab_sum", "over all tokens", "number", None),
)  # fmt: skip
TABLES: tuple[Table, ...] = (
    ("tokens", "candidates", "The likeliest next tokens, the best first; the one that is chosen is marked.", "token"),
    ("probs", "probability", "Weight over the sum of the weights: shares of 1 among the candidates.", "prob"),
    ("ids", "token ids", "Where that logit stands; on a tie the lowest id that is not in the list yet.", "id"),
    ("logits", "logits", "The top_k largest logits of the Output sheet.", "number"),
    ("scaled", "scaled", "(logit − largest) / temperature; at temperature 0 there is one candidate.", "number"),
    ("weights", "weight", "exp(scaled).", "share"),
    ("cumulative", "running total", "This probability and all above it.", "share"),
    ("kept", "kept by top_p", "The running total, down to the first candidate that reaches top_p.", "share"),
    ("wins", "wins", "1 where the draw falls: not below the total before, and below this one.", "flag"),
)

EXACT = ("choosing", "state", "uniform", "chosen_id", "ids", "wins", "logits")  # what no logit's rounding reaches


def cell(layout: Layout, name: str, t: int = 0, i: int = 0) -> str:
    """Row i of a table on this sheet, at position t."""
    return layout.sample[f"sample_{name}"].at(i, t, SAMPLE)


def column(layout: Layout, name: str) -> str:
    """The whole of a table, at the first position."""
    return layout.sample[f"sample_{name}"].down(0, SAMPLE)


def warm_up(layout: Layout) -> str:
    """The last of the three numbers that are thrown away."""
    return f"${letter(-1)}${layout.sample['sample_state'].row}"


def line_formula(layout: Layout, name: str) -> str:
    """The formula of a single row, at the first position; it stands behind the row's guard."""
    home = {name: area.reference for name, area in layout.home.items()}
    position, token = f"{letter(0)}${POSITION_ROW}", f"{letter(0)}${ID_ROW}"
    logits = layout.tensors["logits"].down(0, SAMPLE)
    ids, wins = column(layout, "ids"), column(layout, "wins")
    written = f"AND({position}>={home['n_prompt']},{token}={layout.model_cells['end_of_text'].reference})"
    before = f"IF({position}={home['n_prompt']}-1,{warm_up(layout)},{letter(-1)}${layout.sample['sample_state'].row})"
    heat, largest = home["temperature"], cell(layout, "logits")
    chosen = cell(layout, "chosen_id")
    return {
        "choosing": f"IF({home['settings_ok']}=1,IF({position}<{home['n_prompt']}-1,0,IF({written},0,1)),0)",
        "state": f"MOD({MULTIPLIER}*{before},{MODULUS})",
        "uniform": f"{cell(layout, 'state')}/{MODULUS}",
        "draw": f"{cell(layout, 'uniform')}*{cell(layout, 'kept_mass')}",
        "chosen_id": f"INDEX({ids},MATCH(1,{wins},0))",
        "chosen_token": text_at(layout.vocabulary["vocab_shown"].reference, f"{chosen}+1"),
        "chosen_prob": f"INDEX({column(layout, 'probs')},MATCH(1,{wins},0))",
        "weight_sum": f"SUM({column(layout, 'weights')})",
        "vocab_sum": f"IF({heat}=0,1,{sum_exp(logits, largest, heat)})",
        "top_k_mass": f"{cell(layout, 'weight_sum')}/{cell(layout, 'vocab_sum')}",
        "kept_mass": f"MAX({column(layout, 'kept')})",
        "kept_share": f"{cell(layout, 'top_k_mass')}*{cell(layout, 'kept_mass')}",
        "left_out": f"1-{cell(layout, 'kept_share')}",
    }[name]


def table_formula(layout: Layout, name: str, i: int) -> str:
    """The formula of rank i, at the first position; it stands behind the rank's guard."""
    home = {name: area.reference for name, area in layout.home.items()}
    heat, area, n_vocab = home["temperature"], layout.tensors["logits"], layout.config.n_vocab
    logits = area.down(0, SAMPLE)
    ids = Area(OUTPUT, area.row, 2, area.n_rows).reference

    def here(name: str, back: int = 0) -> str:
        return cell(layout, name, 0, i - back)

    above = (here("logits", 1), here("ids", 1)) if i else None
    total = here("cumulative", 1) if i else "0"
    draw = cell(layout, "draw")
    inside = f"IF({draw}<{here('cumulative')},1,0)"
    return {
        "tokens": text_at(layout.vocabulary["vocab_shown"].reference, f"{here('ids')}+1"),
        "probs": f"{here('weights')}/{cell(layout, 'weight_sum')}",
        "ids": rank_id(here("logits"), logits, ids, n_vocab, above),
        "logits": f"LARGE({logits},{i + 1})",
        "scaled": f"IF({heat}=0,0,({here('logits')}-{cell(layout, 'logits')})/{heat})",
        "weights": f"EXP({here('scaled')})",
        "cumulative": f"{total}+{here('probs')}" if i else here("probs"),
        "kept": f'IF({total}<{top_p_limit(home["top_p"])},{here("cumulative")},"")' if i else here("cumulative"),
        "wins": f"IF(ISNUMBER({here('kept')}),IF({draw}>={total},{inside},0),0)" if i else inside,
    }[name]


def top_p_limit(top_p: str) -> str:
    """What the running total must not reach before a rank that is kept: the twin's `sampling.top_p_limit`."""
    return f"IF({top_p}>{ALL_OF_IT:.10f},2,{top_p}-{MARGIN:.9f})"


def rank_in_use(layout: Layout, i: int) -> str:
    """1 where there is a rank i: `top_k` of them, at temperature 0 one. In column C, once for all tables."""
    home = layout.home
    return f"IF({i}<IF({home['temperature'].reference}=0,1,{home['top_k'].reference}),1,0)"


def rank_guard(layout: Layout, i: int) -> str:
    """What each table's formula of rank i asks first: does its column choose, and is there such a rank?"""
    chooses = f"{letter(0)}${layout.sample['sample_choosing'].row}"
    return f"{chooses}*$C${layout.sample['sample_tokens'].row + i}"


def cached_values(layout: Layout, prompt: Prompt, choices: Sequence[Choice], shown: Sequence[str]) -> dict[str, Any]:
    """What the rows hold: a list a row; the first choice is that of column n_prompt - 1."""
    width, ranks = layout.context, layout.sample["sample_ids"].n_rows
    first = prompt.n_prompt - 1
    values: dict[str, Any] = {name: np.full(width, np.nan) for name, *_ in LINES}
    values |= {name: np.full((ranks, width), np.nan) for name, *_ in TABLES}
    values["choosing"][:] = 0
    values["chosen_token"] = [""] * width
    values["tokens"] = [[""] * width for _ in range(ranks)]
    for k, (choice, state) in enumerate(zip(choices, states(prompt.seed, len(choices)), strict=True)):
        t, n = first + k, len(choice.ids)
        weights = np.exp(choice.scaled)
        single = {"choosing": 1, "state": state, "uniform": choice.uniform, "draw": choice.draw}
        single |= {"chosen_id": choice.id, "chosen_prob": choice.probs[choice.winner]}
        single |= {"top_k_mass": choice.top_k_mass, "kept_mass": choice.kept_mass, "kept_share": choice.kept_share}
        single |= {"left_out": 1 - choice.kept_share}
        single |= {"weight_sum": weights.sum(), "vocab_sum": weights.sum() / choice.top_k_mass}
        for name, value in single.items():
            values[name][t] = value
        values["chosen_token"][t] = shown[choice.id]
        for name in ("probs", "ids", "logits", "scaled", "cumulative"):
            values[name][:n, t] = getattr(choice, name)
        values["weights"][:n, t] = weights
        values["kept"][: choice.kept, t] = choice.cumulative[: choice.kept]
        values["wins"][:n, t] = np.arange(n) == choice.winner
        for i, token in enumerate(choice.ids):
            values["tokens"][i][t] = shown[token]
    return values


def sheet(
    layout: Layout,
    palette: Palette,
    prompt: Prompt,
    sampling: Sampling,
    choices: Sequence[Choice],
    shown: Sequence[str],
    doubts: NDArray[Any],
) -> Sheet:
    """`doubts`: how well a probability of each column can be known, relative.  [T]"""
    return token_sheet(
        layout,
        SAMPLE,
        "the next token is chosen, column by column",
        lambda: sample_rows(layout, palette, prompt, sampling, choices, shown, doubts),
        layout.sample["sample_wins"],
        lambda frame: _colour(frame, layout),
        tab="C55A11",
    )


def _colour(frame: Worksheet, layout: Layout) -> None:
    """The choice stands out; where there is no candidate there is no box."""
    for name, width in (("C", 12), ("D", 12), ("E", 12)):
        frame.column_dimensions[name].width = width
    areas = {name: layout.sample[f"sample_{name}"] for name in ("tokens", "probs", "wins")}
    marked = Font(bold=True, color="FFFFFF"), PatternFill(bgColor="C55A11")
    won = f"{letter(0)}{areas['wins'].row}=1"
    for name in ("tokens", "probs"):
        frame.conditional_formatting.add(areas[name].cells, FormulaRule([won], font=marked[0], fill=marked[1]))
    idle = FormulaRule([f'{letter(0)}{areas["tokens"].row}=""'], fill=PatternFill(bgColor="FFFFFF"))
    frame.conditional_formatting.add(areas["tokens"].cells, idle)


def sample_rows(
    layout: Layout,
    palette: Palette,
    prompt: Prompt,
    sampling: Sampling,
    choices: Sequence[Choice],
    shown: Sequence[str],
    doubts: NDArray[Any],
) -> Iterator[Row]:
    values = cached_values(layout, prompt, choices, shown)
    inherited = np.pad(doubts, (0, layout.context - len(doubts)))
    note = "In each column the token after it is chosen; the column after reads it."
    ranks = sampling.top_k if sampling.temperature else 1
    yield from header(layout, palette, prompt, "Sample", note, {INDEX: "rank", 3: "in use"})
    for name, label, style, above in LINES:
        area = layout.sample[f"sample_{name}"]
        if above:
            yield _bar(layout, palette, area.row - 1, *above)
        source = guarded(line_formula(layout, name), 0, idle="0")
        if name != "choosing":
            source = guarded(line_formula(layout, name), 0, layout.sample["sample_choosing"].row)
        doubt = 0.0 if name in EXACT else inherited
        cells = rows.fill_right(FIRST_TOKEN, source, values[name], palette[style], doubt)
        before = _warm_up_cells(layout, palette, prompt.seed) if name == "state" else ()
        yield rows.row(area.row, rows.text(1, label, palette["label"]), before, cells)
    for name, title, words, style in TABLES:
        area = layout.sample[f"sample_{name}"]
        yield _bar(layout, palette, area.row - 1, title, words)
        for i in range(area.n_rows):
            n = area.row + i
            source = f'IF({rank_guard(layout, i)},{table_formula(layout, name, i)},"")'
            doubt = 0.0 if name in EXACT else inherited
            cells = rows.fill_right(FIRST_TOKEN, source, values[name][i], palette[style], doubt)
            head = rows.text(1, title, palette["label"]) + rows.number(2, i, palette["index"])
            if name == "tokens":
                head += rows.formula(3, rank_in_use(layout, i), float(i < ranks), palette["flag"])
            yield rows.row(n, head, cells)


def _warm_up_cells(layout: Layout, palette: Palette, seed: int) -> Cells:
    """Columns C to E: the three numbers before the first that is used."""
    n, source, state = layout.sample["sample_state"].row, f"({layout.home['seed'].reference}+1)", seed + 1
    cells: Cells = ()
    for c in range(SCALE - 2, SCALE + 1):
        state = MULTIPLIER * state % MODULUS
        ok = f'IF({layout.home["settings_ok"].reference}=1,MOD({MULTIPLIER}*{source},{MODULUS}),"")'
        cells += rows.formula(c, ok, state, palette["id"])
        source = f"${letter(c - FIRST_TOKEN)}${n}"
    return cells


def _bar(layout: Layout, palette: Palette, number: int, title: str, words: str) -> Row:
    filler = rows.joined(rows.blank(c, palette["maths"]) for c in range(2, FIRST_TOKEN))
    filler += rows.text(FIRST_TOKEN, words, palette["maths"])
    rest = range(FIRST_TOKEN + 1, FIRST_TOKEN + layout.context)
    filler += rows.joined(rows.blank(c, palette["maths"]) for c in rest)
    return rows.row(number, rows.text(1, title, palette["section"]), filler)
