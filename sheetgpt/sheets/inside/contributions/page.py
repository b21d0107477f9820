"""The sheet Contributions: which parts of the network decided, for a position and a token that are chosen there.

Direct logit attribution; the mathematics and the twin: `inspection/contributions.py`. The tables here show what
`workings.py` computes below them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from sheetgpt.inspection.contributions import Attribution
from sheetgpt.ooxml.area import quoted
from sheetgpt.sheets.block import Block, Part, cell, unguarded
from sheetgpt.sheets.formulas import text_at
from sheetgpt.sheets.grid import BIAS, FIRST_TOKEN, GAIN, LABEL
from sheetgpt.sheets.home.after import PROMPT
from sheetgpt.sheets.inside.contributions.parts import Find, Floats, Parts, all_doubts, scored
from sheetgpt.sheets.inside.contributions.tables import (
    add_charts,
    colour,
    heat_map,
    lengths,
    residual,
    strongest,
    table_end,
)
from sheetgpt.sheets.inside.contributions.workings import add_written, direction
from sheetgpt.sheets.inside.question import POSITIONS, Ask, add_text, dress
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Bar, Page, Paper, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.tensor import Value

NOTE = "Which parts decided? The logit is a sum; here is what each part adds to it, the final norm's scale fixed."
NOT_SCORED = (
    "Home doesn't score the prompt, so the likeliest token is not known here; "
    "the one that follows in the text is taken."
)
FACT = FIRST_TOKEN + 8  # the column of the sum of all parts


def starts(layout: Layout) -> Mapping[str, Value]:
    """The yellow cells."""
    return {"contributions_position": PROMPT, "contributions_token": "", "contributions_other": ""}


def n_formulas(layout: Layout) -> int:
    """Nearly all of them: the workings, where only the two biases of each block have no column."""
    it = Parts(layout)
    columns = len(it.parts) - 1 - 2 * it.config.n_layer + it.config.n_layer + len(it.depths) + 2
    return columns * it.config.n_embd


def page(layout: Layout) -> Page:
    it = Parts(layout)
    here = it.page
    here.head(NOTE)
    add_text(here, layout)
    here.add(*likeliest(it))
    here.positions = replace(here["likeliest"], row=POSITIONS, n_rows=here.row - POSITIONS)
    here.add(Bar("What is asked"))
    beside = {name: [*found] for name, found in facts(it).items()}
    for name in ("token", "other"):
        beside[name] = [*beside.get(name, []), it.ask.word(name)]
    it.ask.add(it.ask.position(), token(it), other(it), beside=beside, note=not_scored(it))
    here.add(*strongest(it), *heat_map(it), *lengths(it), *residual(it))
    here.paper = Paper(one=True, last_row=here.row, last_column=max(table_end(it), FIRST_TOKEN + 11))
    here.add(*direction(it))
    add_written(it)
    here.on_home = f"{quoted(here.title)}!A{dict(here.sections)['strongest']}", for_home(it)
    here.dresses += [dress(here, layout), partial(colour, it), partial(add_charts, it)]
    return here


# What is asked


def likeliest(it: Parts) -> list[Block]:
    """What the model would say after each token, where the Output sheet has logits: the lowest id on a tie."""

    def id(i: int, t: int) -> str:
        logits, largest, wanted = (it.layout[name] for name in ("logits", "logits_max", "logits_wanted"))
        return f'IF({wanted.at(0, 0, "")},MATCH({largest.at(0, 0, "")},{logits.down(0, "")},0)-1,"")'

    def ids(state: State) -> Floats:
        known = [scored(state, t) for t in range(state.prompt.n)]
        return np.where(known, state.trace["logits"][:, : state.prompt.n].argmax(axis=0), np.nan)

    def token(i: int, t: int) -> str:
        id = it.page["likeliest"].at(0)
        return f'IF(ISNUMBER({id}),{text_at(it.layout["vocab_shown"].reference, f"{id}+1")},"")'

    def tokens(state: State) -> list[str]:
        return ["" if np.isnan(id) else state.shown[int(id)] for id in ids(state)]

    line = partial(Block, n_columns=it.layout.context, label_style="name", guard=unguarded, named=False)
    return [
        line("likeliest", formula=id, twin=ids, label="likeliest next token: id", style="id"),
        line("likeliest_token", formula=token, twin=tokens, label="token", style="piece"),
    ]


def likeliest_there(it: Parts) -> str:
    """The id of the likeliest token after the position; no number where the Output sheet has no logits."""
    return f"INDEX({it.page['likeliest'].local},1,{it.place})"


def token(it: Parts) -> Ask:
    def otherwise() -> str:
        next_one = f"INDEX({it.layout['token_ids'].reference},1,{it.place}+1)"
        return f"IF(ISNUMBER({likeliest_there(it)}),{likeliest_there(it)},{next_one})"

    hint = "a word, or an id: whose logit is taken apart; empty: the likeliest"
    return it.ask.token("token", "Token", hint, otherwise, it.found(lambda found: found.token))


def other(it: Parts) -> Ask:
    hint = "a word, or an id: its logit is subtracted; empty: nothing is"
    return it.ask.token("other", "Compared with", hint, lambda: '""', it.found(lambda found: found.other))


def not_scored(it: Parts) -> tuple[Callable[[], str], Callable[[State], str]]:
    """A note where the likeliest token is not known."""

    def formula() -> str:
        return f'IF({it.ask.typed("token")}="",IF(ISNUMBER({likeliest_there(it)}),"","{NOT_SCORED}"),"")'

    def twin(state: State) -> str:
        known = it.ask.value(state, "token") != "" or scored(state, it.ask.position_now(state))
        return "" if known else NOT_SCORED

    return formula, twin


def facts(it: Parts) -> Mapping[str, list[Part]]:
    """The sum of all parts, and beside it the logit that the Output sheet computed."""

    def total() -> str:
        return f"SUM({it.page['values'].local})"

    def logit() -> str:
        """As the Output sheet has it; where it has none, ln_f(x) . u with the layer norm written out."""
        logits, other = it.layout["logits"].reference, it.used("other")
        own, less = (f"INDEX({logits},{token}+1,{it.place})" for token in (it.used("token"), other))
        x, u = it.page["stream"].stripe(len(it.depths) - 1).local, it.page["unembedding"].local
        gain, bias = (it.beside("ln_f", column).reference for column in (GAIN, BIAS))
        mean, wanted = it.picked(it.layout["ln_f.mean"]), it.picked(it.layout["logits_wanted"])
        here = f"SUMPRODUCT(({x}-{mean})*{gain}*{u})*{it.page['rstd'].local}+SUMPRODUCT({bias},{u})"
        return f'IF({wanted}=1,{own}-IF({other}="",0,{less}),{here})'

    def difference() -> str:
        return f"{it.page['sum'].local}-{it.page['logit'].local}"

    def fact(name: str, title: str, formula: Callable[[], str], find: Find, **looks: Any) -> list[Part]:
        own = it.block(name, FACT, lambda i, j: formula(), find, doubt=all_doubts, **looks)
        return [Texts({FACT - 3: title}, "name"), own]

    named = partial(fact, style="signed", named=True)
    return {
        "position": named("sum", "Sum of all parts", total, lambda found: found.total),
        "token": named("logit", "Logit on the sheet Output", logit, lambda found: found.logit),
        "other": fact("", "Difference", difference, lambda found: found.total - found.logit, style="tiny"),
    }


def for_home(it: Parts) -> list[Part]:
    """The token, and the three strongest parts: what each adds, and its name."""

    def one(r: int, column: int) -> list[Block]:
        def adds() -> str:
            return it.page["adds"].line(r).reference

        def value(found: Attribution) -> float:
            return float(found.values[found.ranked(3)[r]])

        def doubt(found: Attribution) -> float:
            return float(found.doubts[found.ranked(3)[r]])

        def name() -> str:
            return it.page["name"].line(r).reference

        def name_now(found: Attribution) -> str:
            return found.parts[found.ranked(3)[r]].name

        return [
            cell(column, adds, it.found(value), "signed", doubt=it.found(doubt)),
            cell(column + 1, name, it.found(name_now), "quote"),
        ]

    def token() -> str:
        return it.ask.shown("token").reference

    def token_now(state: State) -> str:
        return state.shown[state.ask(it.look).token]

    words = Texts({LABEL: "What speaks for"}, "link")
    return [words, cell(2, token, token_now, "token"), *one(0, 3), *one(1, 6), *one(2, 10)]
