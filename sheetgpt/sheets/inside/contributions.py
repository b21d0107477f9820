"""The sheet Contributions: which parts of the network decided, for a position and a token that are chosen there.

Direct logit attribution; the mathematics and the twin are in `inspection/contributions.py`, the columns that all of it
is read from in `contributions_workings.py`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openpyxl.formatting.rule import ColorScaleRule
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2 import quantize
from sheetgpt.inspection.contributions import Attribution, attribute
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import Cells, Row
from sheetgpt.sheets.formulas import text_at
from sheetgpt.sheets.grid import BIAS, FIRST_TOKEN, GAIN, HOME
from sheetgpt.sheets.inside import asked
from sheetgpt.sheets.inside.asked import Line, bar, position_now, token_now
from sheetgpt.sheets.inside.contributions_layout import ADDS, ASKED, CONTRIBUTIONS, NAME, ContributionsLayout
from sheetgpt.sheets.inside.contributions_tables import add_charts, heat_rows, length_rows, ranked_rows, stream_rows
from sheetgpt.sheets.inside.contributions_workings import Workings, workings_rows
from sheetgpt.sheets.inside.question import LAST
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.optional import Value
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import State

Floats = NDArray[Any]
NOT_SCORED = (
    "Home doesn't score the prompt, so the likeliest token is not known here; "
    "the one that follows in the text is taken."
)


def layout_of(layout: Layout) -> ContributionsLayout:
    return ContributionsLayout(layout.config, layout.context, layout.scaled)


def starts(layout: Layout) -> Mapping[str, Value]:
    """The yellow cells."""
    return {"contributions_position": LAST, "contributions_token": "", "contributions_other": ""}


def n_formulas(layout: Layout) -> int:
    """Nearly all of them: the workings."""
    here = layout_of(layout)
    vectors = here.writes.n_columns - 2 * layout.config.n_layer + here.mixed.n_columns + here.states.n_columns + 2
    return vectors * layout.config.n_embd


def found_now(state: State) -> Attribution:
    """The twin: what is asked, and what comes out."""
    chosen, prompt, config = state.chosen, state.prompt, state.layout.config
    position = position_now(chosen["contributions_position"], prompt.n)
    token = token_now(chosen["contributions_token"], config.n_vocab)
    if token is None:
        logits = state.trace["logits"][:, position]
        token = int(logits.argmax()) if scored(state, position) else prompt.ids[position + 1]
    other = token_now(chosen["contributions_other"], config.n_vocab)
    return attribute(evaluated(state), config, state.trace, position, token, other)


def evaluated(state: State) -> Mapping[str, Floats]:
    """The numbers of the few parameters that the sheet looks at."""
    config = state.layout.config
    blocks = (f"h{i}." for i in range(config.n_layer))
    names = [config.head, "ln_f.g", "ln_f.b"]
    names += [h + name for h in blocks for name in ("attn.c_proj.w", "attn.c_proj.b", "mlp.c_proj.b")]
    names += [quantize.scale_name(name) for name in names]
    return quantize.evaluated({name: state.params[name] for name in names if name in state.params})


def scored(state: State, position: int) -> bool:
    """Whether the Output sheet has logits there."""
    return state.inputs.score_prompt or position >= state.prompt.n_prompt - 1


def sheet(state: State, palette: Palette) -> Sheet:
    here, layout = layout_of(state.layout), state.layout
    strip = Area(CONTRIBUTIONS, asked.POSITIONS, FIRST_TOKEN, here.likeliest.row + 2 - asked.POSITIONS, layout.context)
    names = {
        "contributions_position": here.position,
        "contributions_token": here.token,
        "contributions_other": here.other,
        "contributions": here.values,
        "contributions_sum": here.fact(0),
        "contributions_logit": here.fact(1),
        "contributions_lengths": here.lengths,
        "contributions_direction": here.direction,
        "contributions_writes": here.writes,
        "contributions_stream": here.states,
    }
    sections = [
        ("strongest", here.ranks.row - 2),
        ("heat map", here.heat.row - 2),
        ("lengths", here.sizes.row - 2),
        ("stream", here.stream.row - 2),
        ("workings", here.mean.row - 1),
    ]
    return Sheet(
        CONTRIBUTIONS,
        "which parts of the network decided: what each adds to a logit",
        lambda: _rows(state, palette, here),
        *(here.writes.last_row, here.last_column),
        names={name: [area] for name, area in names.items()},
        positions=strip,
        sections=sections,
        links=[("A2", f"{quoted(HOME)}!A1")],
        on_home=(f"{quoted(CONTRIBUTIONS)}!A{here.ranks.row - 2}", lambda: line_for_home(state, palette, here)),
        dress=lambda frame: _dress(frame, layout, here),
    )


def _rows(state: State, palette: Palette, here: ContributionsLayout) -> Iterator[Row]:
    layout, work, found = state.layout, Workings(state.layout, here), found_now(state)
    note = "Which parts decided? The logit is a sum; here is what each part adds to it, the final norm's scale fixed."
    yield rows.row(1, rows.text(1, CONTRIBUTIONS, palette["title"]), rows.text(3, note, palette["note"]), height=24)
    yield rows.row(2, rows.text(1, "← Home", palette["link"]))
    yield from asked.strip_rows(layout, palette, state.prompt)
    yield from _likeliest_rows(state, palette, here)
    yield bar(ASKED - 2, palette, "What is asked")
    facts, note_too = dict(_facts(work, palette, found)), _not_scored(state, work, found)
    yield from asked.line_rows(layout, palette, lines_now(state, work, found), facts, note_too)
    yield from ranked_rows(palette, work, found, question(state, work, found))
    yield from heat_rows(palette, here, found)
    yield from length_rows(palette, here, found)
    yield from stream_rows(palette, work, found)
    scales = state.params.get(quantize.scale_name(layout.config.head)) if layout.scaled else None
    yield from workings_rows(work, palette, found, scales)


def _likeliest_rows(state: State, palette: Palette, here: ContributionsLayout) -> Iterator[Row]:
    """What the model would say after each token, where the Output sheet has logits: the lowest id on a tie."""
    layout, n = state.layout, state.prompt.n
    logits, largest, wanted = (layout[name] for name in ("logits", "logits_max", "logits_wanted"))
    known = [t for t in range(n) if scored(state, t)]
    best = {t: int(state.trace["logits"][:, t].argmax()) for t in known}
    ids = np.array([best.get(t, np.nan) for t in range(layout.context)])
    shown = [state.shown[best[t]] if t in best else "" for t in range(layout.context)]
    source = f"MATCH({largest.at(0, 0, '')},{logits.down(0, '')},0)-1"
    cells = rows.fill_right(FIRST_TOKEN, f'IF({wanted.at(0, 0, "")},{source},"")', ids, palette["id"])
    yield rows.row(here.likeliest.row, rows.text(1, "likeliest next token: id", palette["name"]), cells)
    strings, id = layout["vocab_shown"].reference, here.likeliest.at(0)
    source = f'IF(ISNUMBER({id}),{text_at(strings, f"{id}+1")},"")'
    cells = rows.fill_right(FIRST_TOKEN, source, shown, palette["piece"])
    yield rows.row(here.likeliest.row + 1, rows.text(1, "token", palette["name"]), cells)


def lines_now(state: State, work: Workings, found: Attribution) -> list[Line]:
    """The three yellow cells."""
    layout, here, chosen = state.layout, work.here, state.chosen
    next_one = f"INDEX({layout['token_ids'].reference},1,{work.place}+1)"
    likeliest = f"INDEX({here.likeliest.local},1,{work.place})"
    otherwise = f"IF(ISNUMBER({likeliest}),{likeliest},{next_one})"
    token = asked.token_formula(layout, here.token, here.position, otherwise)
    other = asked.token_formula(layout, here.other, here.position, '""')
    shown = state.shown
    return [
        asked.position_line(layout, state.prompt, here.position, chosen["contributions_position"]),
        asked.token_line(
            *(layout, here.token, "Token id", chosen["contributions_token"], token, found.token, shown[found.token]),
            "whose logit is taken apart; empty: the likeliest",
        ),
        asked.token_line(
            *(layout, here.other, "Compared with id", chosen["contributions_other"], other, found.other),
            "" if found.other is None else shown[found.other],
            "its logit is subtracted; empty: nothing is",
        ),
    ]


def _not_scored(state: State, work: Workings, found: Attribution) -> tuple[str, str]:
    """A note where the likeliest token is not known."""
    typed, likeliest = work.here.token.local, f"INDEX({work.here.likeliest.local},1,{work.place})"
    source = f'IF({typed}="",IF(ISNUMBER({likeliest}),"","{NOT_SCORED}"),"")'
    unknown = state.chosen["contributions_token"] == "" and not scored(state, found.position)
    return source, NOT_SCORED if unknown else ""


def _facts(work: Workings, palette: Palette, found: Attribution) -> Iterator[tuple[int, Cells]]:
    """The sum of all parts beside the logit that the Output sheet computed."""
    here, doubt = work.here, float(found.doubts.sum())
    total, logit = here.fact(0).local, here.fact(1).local
    facts = (
        ("Sum of all parts", f"SUM({here.values.local})", found.total, "signed"),
        ("Logit on the sheet Output", logit_formula(work), found.logit, "signed"),
        ("Difference", f"{total}-{logit}", found.total - found.logit, "tiny"),
    )
    for i, (title, source, value, style) in enumerate(facts):
        area = here.fact(i)
        label = rows.text(area.column - 3, title, palette["name"])
        yield area.row, label + rows.formula(area.column, work.guarded(source), value, palette[style], doubt)


def logit_formula(work: Workings) -> str:
    """As the Output sheet has it; where it has none, ln_f(x) . u with the layer norm written out."""
    tensors, here = work.layout, work.here
    logits = tensors["logits"].reference
    own, other = (f"INDEX({logits},{token}+1,{work.place})" for token in (work.token, work.other))
    there = f'{own}-IF({work.other}="",0,{other})'
    x, u = here.states.stripe(here.states.n_columns - 1).local, here.unembedding.local
    gain, bias = (work.beside("ln_f", column).reference for column in (GAIN, BIAS))
    mean = work.picked(tensors["ln_f.mean"])
    here_too = f"SUMPRODUCT(({x}-{mean})*{gain}*{u})*{here.rstd.local}+SUMPRODUCT({bias},{u})"
    return f"IF({work.picked(tensors['logits_wanted'])}=1,{there},{here_too})"


def question(state: State, work: Workings, found: Attribution) -> tuple[str, str]:
    """The heading of the list, as a formula and now."""
    start, after, minus = "What decided? What speaks for “", "” after “", "” rather than “"
    token, other, position = (f"$E${cell.row}" for cell in (work.here.token, work.here.other, work.here.position))
    rather = f'IF({work.other}="","","{minus}"&{other})'
    formula = f'IF(ISNUMBER({work.position}),"{start}"&{token}&{rather}&"{after}"&{position}&"”","What decided?")'
    now = start + state.shown[found.token]
    now += "" if found.other is None else minus + state.shown[found.other]
    return formula, f"{now}{after}{state.prompt.shown[found.position]}”"


def _dress(frame: Worksheet, layout: Layout, here: ContributionsLayout) -> None:
    cells = {
        "Token id": (here.token, "the likeliest next token"),
        "Compared with id": (here.other, "no comparison"),
    }
    asked.dress(frame, layout, here.position, cells)
    for column in range(FIRST_TOKEN, here.last_column + 1):
        frame.column_dimensions[rows.letters(column)].width = 9.5
    frame.freeze_panes = f"{rows.letters(FIRST_TOKEN)}{asked.TOKENS + 1}"
    most = Area(CONTRIBUTIONS, here.heat.row, 4).local
    ends = f"-MAX({most},0.000001)", f"MAX({most},0.000001)"
    heat = ("formula", ends[0], "6FA8DC", "num", 0, "FFFFFF", "formula", ends[1], "E06666")
    frame.conditional_formatting.add(here.heat.cells, ColorScaleRule(*heat))
    white = ("num", 0, "FFFFFF", "max", None, "F9B76B")
    for area in (here.sizes, here.stream.stripe(0), here.stream.stripe(1)):
        frame.conditional_formatting.add(area.cells, ColorScaleRule(*white))
    frame.conditional_formatting.add(
        here.stream.stripe(2).cells, ColorScaleRule("num", 0, "FFFFFF", "num", 1, "93C47D")
    )
    add_charts(frame, here)


def line_for_home(state: State, palette: Palette, here: ContributionsLayout) -> Cells:
    """The token, and the three strongest parts: what each adds, and its name."""
    found = found_now(state)
    token = f"{quoted(CONTRIBUTIONS)}!$E${here.token.row}"
    cells = rows.text(1, "What speaks for", palette["link"])
    cells += rows.formula(2, token, state.shown[found.token], palette["token"])
    for r, k in enumerate(found.ranked(3)):
        column, row = (3, 6, 10)[r], here.ranks.line(r)
        adds, name = row.stripe(ADDS - 1).reference, row.stripe(NAME - 1).reference
        cells += rows.formula(column, adds, float(found.values[k]), palette["signed"], float(found.doubts[k]))
        cells += rows.formula(column + 1, name, found.parts[k].name, palette["quote"])
    return cells
