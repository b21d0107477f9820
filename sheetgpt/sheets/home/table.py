"""The table of the Home sheet: the ten most likely next tokens, and how the temperature reshapes their odds.

Arithmetic: `top` and `probabilities` in `gpt2/generation/sampling.py`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from openpyxl.chart import Reference
from openpyxl.formatting.rule import FormulaRule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.generation import sampling
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import letters
from sheetgpt.sheets.block import Block, Part, cell
from sheetgpt.sheets.formulas import rank_id, sum_exp, text_at, to_go_on
from sheetgpt.sheets.grid import FIRST_TOKEN, HOME, INDEX, LABEL, SOFTMAX
from sheetgpt.sheets.home.after import AFTER, used
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Bar, Beside, Page, Space, Stack, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.charts import bars, between
from sheetgpt.sheets.tensor import Kind

TALL = 15  # points: of a row beside the charts
RANKS = 10
TEMPERATURES = (0.2, 0.5, 1, 1.5, 2)
RANK, ID, TOKEN, LOGIT, PROB = range(1, FIRST_TOKEN)  # columns


Find = Callable[[State, Any], Any]  # of the likeliest tokens' ids, what a column says of them


def table(here: Page, layout: Layout, settings: Part) -> list[Part]:
    """The ten likeliest tokens; on their right the settings, so that both are on the first screen."""
    heads = Texts(dict(enumerate(("rank", "id", "token", "logit", f"of all {layout.config.n_vocab:,}"), 1)))
    return [
        Space(0 if layout.chat else 1),
        title(here, layout),
        Beside(Stack(asked(layout), heads, Beside(*likeliest(here, layout))), settings),
    ]


def temperatures(here: Page, layout: Layout) -> list[Part]:
    """The same tokens at five temperatures, and the charts."""
    words = f"softmax(logit / T) over all {layout.config.n_vocab:,} tokens"
    heats, reshaped, sums = at_temperatures(here, layout)

    def token(i: int, j: int) -> str:
        return f'{here["top_tokens"].line(i).local}&""'

    def tokens(state: State) -> list[str]:
        found = state.ask(best)
        return [*(state.shown[k] for k in found), *[""] * (RANKS - len(found))]

    looks: dict[str, Any] = {"n_columns": 1, "column": PROB, "label": None, "named": False, "height": TALL}
    return [
        Bar("The same tokens at other temperatures T", words),
        Beside(Texts({PROB: "token"}, height=TALL), heats),
        Beside(Block("again", RANKS, formula=token, twin=tokens, style="token", **looks), reshaped),
        Beside(Texts({PROB: "sum of exp"}, "label", height=TALL), sums),
    ]


def asked(layout: Layout) -> Part:
    """After which position: what is typed, and what it comes to."""
    return Beside(
        Texts({LABEL: "after which position?", PROB: "← in use"}, styles={LABEL: "name", PROB: "note"}),
        cell(TOKEN, None, lambda state: state.chosen[AFTER], "input", AFTER, kind=Kind.INPUT),
        cell(LOGIT, lambda: used(layout), lambda state: state.now.after, "id", "next_used"),
    )


def known(here: Page, layout: Layout, i: int, source: str, heated: bool = False) -> str:
    """Nothing is shown where there is no text, or no token of this rank."""
    rank = here["ranks"].line(i).local
    return f'IF(AND({to_go_on(layout, HOME, heated=heated)},{rank}<={layout.config.n_vocab}),{source},"")'


def best(state: State) -> Any:
    """The likeliest tokens' ids, as many as there are."""
    return sampling.top(state.now.logits, RANKS)


def title(here: Page, layout: Layout) -> Part:
    """Of both; the token stands right of the frozen column, across which LibreOffice paints no change of a text."""

    def formula() -> str:
        last = f"INDEX({layout['token_text'].local},1,{layout['next_used'].local}+1)"
        return f'"The ten likeliest tokens"&IF({to_go_on(layout, HOME)}," after “"&{last}&"”","")'

    def twin(state: State) -> str:
        return f"The ten likeliest tokens after “{state.prompt.shown[state.now.after]}”"

    left = {LABEL: "What comes next?"} | dict.fromkeys(range(INDEX + 1, FIRST_TOKEN), "")
    words = {FIRST_TOKEN: "Settings: change a yellow number, and the text is written anew"}
    right = words | dict.fromkeys(range(FIRST_TOKEN + 1, here.bar_end + 1), "")
    said = cell(INDEX, formula, twin, "section", kind=Kind.TEXTS, named=False)
    return Beside(Texts(left, "section"), said, Texts(right, "maths"))


def likeliest(here: Page, layout: Layout) -> list[Block]:
    """A rank a row: the k-th largest logit, and its token."""
    n_vocab = layout.config.n_vocab

    def at(name: str, i: int) -> str:
        return here[name].line(i).local

    def id(i: int) -> str:
        """Where the logit stands, or on a tie with the rank above the next id that has it."""
        soft = layout["next_logits"]
        every, above = Area(SOFTMAX, soft.row, 1, n_vocab), (at("top_logits", i - 1), at("top_ids", i - 1))
        return rank_id(at("top_logits", i), soft.reference, every.reference, n_vocab, above if i else None)

    def token(i: int) -> str:
        return text_at(layout["vocab_shown"].reference, f"{at('top_ids', i)}+1")

    def logit(i: int) -> str:
        return f"LARGE({layout['next_logits'].reference},{at('ranks', i)})"

    def prob(i: int) -> str:
        return f"INDEX({layout['next_probs'].reference},{at('top_ids', i)}+1)"

    def prob_now(state: State, ids: Any) -> Any:
        return sampling.probabilities(state.now.logits, state.inputs.sampling.temperature)[ids].tolist()

    def doubt(state: State) -> float:
        return float(sampling.doubt(state.now.logits, state.inputs.sampling.temperature))

    sizes: dict[str, Any] = {"n_rows": RANKS, "n_columns": 1, "label": None}

    def column(
        name: str,
        number: int,
        style: str,
        source: Callable[[int], str],
        find: Find,
        heated: bool = False,
        **looks: Any,
    ) -> Block:
        def twin(state: State) -> list[Any]:
            found = find(state, state.ask(best))
            return [*found, *[""] * (RANKS - len(found))]

        own = {"column": number, "style": style, "axes": ("rank",), **looks}
        return Block(name, formula=lambda i, j: known(here, layout, i, source(i), heated), twin=twin, **own, **sizes)

    return [
        Block("ranks", column=RANK, twin=lambda state: np.arange(1, RANKS + 1), style="index", named=False, **sizes),
        column("top_ids", ID, "id", id, lambda state, ids: ids, colours=[partial(mark_chosen, layout)]),
        column(
            *("top_tokens", TOKEN, "token", token, lambda s, ids: [s.shown[k] for k in ids]),
            kind=Kind.TEXTS,
            colours=[partial(mark_chosen, layout)],
        ),
        column("top_logits", LOGIT, "number", logit, lambda state, ids: state.now.logits[ids].tolist()),
        column("top_probs", PROB, "prob", prob, prob_now, heated=True, doubt=doubt),
    ]


def mark_chosen(layout: Layout, frame: Worksheet, area: Area) -> None:
    """The token that was written there, orange as in the text."""
    place, n_prompt = layout["next_used"].local, layout["n_prompt"].local
    after = f"INDEX({layout['token_ids'].local},1,{place}+2)"
    chosen = f"AND({place}+2<={layout['n_tokens'].local},{place}+1>={n_prompt},${letters(ID)}{area.row}={after})"
    font, fill = Font(bold=True, color="FFFFFF"), PatternFill(bgColor="C55A11")
    frame.conditional_formatting.add(area.cells, FormulaRule([chosen], font=font, fill=fill))


def at_temperatures(here: Page, layout: Layout) -> tuple[Block, Block, Block]:
    """A temperature a column: the temperature, the ten probabilities, and what the exponentials add up to."""

    def prob(i: int, j: int) -> str:
        """exp((logit - largest) / T) / sum of exp"""
        logit, heat = here["top_logits"].line(i).local, here["heats"].at(0, j)
        source = f"EXP(({logit}-{layout['next_max'].reference})/{heat})/{here['sums'].at(0, j)}"
        return known(here, layout, i, source)

    def probs_now(state: State) -> Any:
        found = [sampling.probabilities(state.now.logits, heat)[state.ask(best)] for heat in TEMPERATURES]
        return np.array(found).T

    def total(i: int, j: int) -> str:
        """Over the whole vocabulary."""
        source = sum_exp(layout["next_logits"].reference, layout["next_max"].reference, here["heats"].at(0, j))
        return f'IF({to_go_on(layout, HOME)},{source},"")'

    def totals_now(state: State) -> list[float]:
        logits = state.now.logits
        return [float(np.exp((logits - logits.max()) / heat).sum()) for heat in TEMPERATURES]

    def doubts(state: State) -> Any:
        return np.array([sampling.doubt(state.now.logits, heat) for heat in TEMPERATURES], float)

    looks: dict[str, Any] = {"label": None, "named": False, "fills": False, "height": TALL}
    looks["n_columns"] = len(TEMPERATURES)
    return (
        Block("heats", twin=lambda state: TEMPERATURES, style="heat", **looks),
        Block("reshaped", RANKS, formula=prob, twin=probs_now, doubt=doubts, style="prob", **looks),
        Block("sums", formula=total, twin=totals_now, doubt=doubts, style="share", **looks),
    )


def add_charts(frame: Worksheet, here: Page, n_vocab: int) -> None:
    """The ten probabilities at the temperature that is set, and at five others side by side."""
    probs, tokens = here["top_probs"], here["top_tokens"]
    names = Reference(frame, tokens.column, tokens.row, tokens.column, tokens.last_row)
    top, tall = here["heats"].row, probs.n_rows + 2  # from their heads to the sums
    now = bars("bar", f"Next token at the chosen temperature, among all {n_vocab:,}")
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
        column, first = FIRST_TOKEN + i, here["heats"].row
        heats.add_data(Reference(frame, column, first, column, first + RANKS), titles_from_data=True)
    heats.set_categories(names)
    heats.legend.position = "r"
    heats.y_axis.scaling.max = 1
    heats.anchor = between(FIRST_TOKEN + 12, top, 8, tall)
    frame.add_chart(heats)
