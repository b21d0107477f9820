"""The sheet Lens, the logit lens: what the model would say after each block, for a position that is chosen there.

The mathematics and the twin: `inspection/lens.py`. A depth a column; one position's states, normed, and their logits
over the whole vocabulary, so it costs as much as n_layer + 1 more columns of the Output sheet.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from openpyxl.chart import Reference
from openpyxl.formatting.rule import FormulaRule
from openpyxl.styles import PatternFill
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.checkpoints import quantize
from sheetgpt.gpt2.generation import sampling
from sheetgpt.inspection import lens
from sheetgpt.inspection.lens import Array, Lens
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import letters
from sheetgpt.sheets.block import Block, Formula, Part
from sheetgpt.sheets.formulas import SMALLEST, log_sum_exp, rank_id, text_at
from sheetgpt.sheets.grid import BIAS, FIRST_TOKEN, GAIN, INDEX
from sheetgpt.sheets.home.after import PROMPT
from sheetgpt.sheets.inside.question import Ask, Question, add_text, dress
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.output import unembedding
from sheetgpt.sheets.page import Bar, Page, Paper, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.charts import between, lines, mark, rich
from sheetgpt.sheets.style.looks import BLUE, plain, put, scale, stands_out
from sheetgpt.sheets.tensor import Value

LENS, WORDS = "Lens", "what the model would say next after each block"
NOTE = "If the model ended here, what would it say? Each block's state, seen through the final norm and unembedding."
TALL = 15  # points: of a row beside the charts
CHARTS = (  # of a line: right and down from the first, its name, title, format and colour
    (0, 0, "probability", "Probability of the token", "0%", "C55A11"),
    (0, 9, "rank", "Its rank, 1 the likeliest", "0", "2F5597"),
    (4, 0, "logit", "Its logit", "0", "7030A0"),
    (4, 9, "entropy", "Entropy, bits", "0", "548235"),
)
orange = scale("num", 0, "FFFFFF", "num", 1, "E69138")
SHADES = ((0.5, "E69138"), (0.2, "F6B26B"), (0.05, "F9CB9C"), (0.01, "FCE5CD"))  # of a token, by its probability


def starts(layout: Layout) -> Mapping[str, Value]:
    """The yellow cells."""
    return {"lens_position": PROMPT, "lens_token": ""}


def n_formulas(layout: Layout) -> int:
    """Nearly all of them: the logits, and the states as they come and normed."""
    return (layout.config.n_layer + 1) * (layout.config.n_vocab + 2 * layout.config.n_embd)


def page(layout: Layout) -> Page:
    it = Depths(layout)
    here = it.page
    here.head(NOTE)
    add_text(here, layout)
    here.add(Bar("What is asked"))
    it.ask.add(it.ask.position(), it.token(), beside={"token": [it.ask.word("token")]})
    here.add(*likeliest(it), *followed(it), *best(it), *network(it))
    here.paper = Paper(one=True, last_row=dict(here.sections)["workings"] - 1, last_column=here.bar_end)
    here.dresses += [dress(here, layout), it.add_charts]
    return here


class Depths:
    """What the blocks have in common: a depth d is a column, and what a formula reads stands in its own."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.config, self.depths = layout, layout.config, lens.depths(layout.config)
        self.n_top = min(lens.TOP, layout.config.n_vocab)
        self.charts = FIRST_TOKEN + len(self.depths) + 1  # their first column: right of the depths
        self.page = Page(LENS, WORDS, width=len(self.depths), prefix="lens_", bar_end=self.charts + 7)
        self.page.last_column = max(self.page.bar_end, FIRST_TOKEN + layout.context - 1, FIRST_TOKEN + 12)
        self.ask = Question(self.page, layout)
        self.page.guard = self.ask.guard

    def look(self, state: State) -> Lens:
        """What the blocks' twins are taken from."""
        names = [self.config.head, "ln_f.g", "ln_f.b", quantize.scale_name(self.config.head)]
        params = quantize.evaluated({name: state.params[name] for name in names if name in state.params})
        token = self.ask.token_now(state, "token")
        return lens.look(params, self.config, state.trace, self.ask.position_now(state), token)

    def block(
        self, name: str, label: str, formula: Formula, find: Callable[[Lens], Any], n_rows: int = 1, **looks: Any
    ) -> Block:
        def twin(state: State) -> Any:
            return find(state.ask(self.look))

        return Block(name, n_rows, formula=formula, twin=twin, label=label, fills=False, **looks)

    def doubts(self, state: State) -> Array:
        """How well a probability can be known at each depth."""
        return sampling.doubt(state.ask(self.look).logits)

    def at(self, name: str, i: int, d: int) -> str:
        return self.page[name].line(i).stripe(d).local

    def column(self, name: str, d: int) -> str:
        return self.page[name].stripe(d).local

    def ids(self) -> str:
        """Of the whole vocabulary, on the left of the logits."""
        return Area(LENS, self.page["logits"].row, INDEX, self.config.n_vocab).local

    def chance(self, logit: str, d: int) -> str:
        """exp(l - log of the sum of exp): softmax at temperature 1"""
        return f"EXP({logit}-{self.at('log_sum_exp', 0, d)})"

    def token(self) -> Ask:
        """Which token to follow."""

        def likeliest() -> str:
            logits = self.column("logits", len(self.depths) - 1)
            return f"MATCH(MAX({logits}),{logits},0)-1"

        hint = "a word, or an id (they stand on Vocabulary): followed through the depths; empty: the likeliest"
        return self.ask.token("token", "Token", hint, likeliest, lambda state: state.ask(self.look).token)

    def shade(self, frame: Worksheet, area: Area) -> None:
        """A token the darker, the likelier; the one that is asked for in blue."""
        first = letters(FIRST_TOKEN)
        own, probs = f"{first}{self.page['ids'].row}={self.ask.used('token')}", f"{first}{self.page['probs'].row}"
        rules = [stands_out(own, BLUE, stop=True)]
        for least, color in SHADES:
            rules.append(FormulaRule([f"{probs}>={least}"], fill=PatternFill(bgColor=color), stopIfTrue=True))
        put(frame, area, *rules, plain(f"{probs}<{SHADES[-1][0]}", stop=False))

    def add_charts(self, frame: Worksheet) -> None:
        """What becomes of the token: probability and rank; logit and entropy."""
        top = self.page["tokens"].row - 1
        names = Reference(frame, FIRST_TOKEN, top, FIRST_TOKEN + len(self.depths) - 1)
        for right, down, name, title, form, color in CHARTS:
            chart, area = lines(title, form), self.page[name]
            data = Reference(frame, area.column, area.row, area.last_column, area.row)
            chart.add_data(data, from_rows=True)
            mark(chart.series[0], color)
            chart.set_categories(names)
            chart.legend = None
            chart.x_axis.tickLblPos, chart.x_axis.txPr = "low", rich("", 700)
            if name == "rank":
                chart.y_axis.scaling.logBase, chart.y_axis.scaling.orientation = 10, "maxMin"
                chart.y_axis.scaling.min = 1
                chart.x_axis.tickLblPos = "high"
            elif name in ("probability", "entropy"):
                chart.y_axis.scaling.min = 0
            chart.anchor = between(self.charts + right, top + down, 4, 9)
            frame.add_chart(chart)


def likeliest(it: Depths) -> list[Part]:
    """What it would say at each depth."""
    words = "The ten likeliest tokens after each depth, the likelier the darker; blue the token that is asked for."
    strings = it.layout["vocab_shown"].reference

    def token(i: int, d: int) -> str:
        return text_at(strings, f"{it.at('ids', i, d)}+1")

    def twin(state: State) -> list[list[str]]:
        return [[state.shown[id] for id in line] for line in top(state.ask(it.look))]

    looks: dict[str, Any] = {"style": "token", "number_from": 1, "height": TALL, "colours": [it.shade]}
    return [
        Bar("What it would say next", words, link="likeliest"),
        Texts(dict(enumerate(("after", "rank", "", "", "", *it.depths), 1)), height=TALL),
        Block("tokens", it.n_top, formula=token, twin=twin, fills=False, **looks),
    ]


def followed(it: Depths) -> list[Part]:
    """What becomes of the token that is asked for, and the entropy."""
    words = "How it rises from depth to depth, and how sure the model is."

    def rank(i: int, d: int) -> str:
        """1 + how many tokens are likelier, or as likely with a lower id."""
        logits, own = it.column("logits", d), it.at("logit", 0, d)
        lower = f"SUMPRODUCT(({logits}={own})*({it.ids()}<{it.ask.used('token')}))"
        return f"1+SUMPRODUCT(1*({logits}>{own}))+{lower}"

    def logit(i: int, d: int) -> str:
        return f"INDEX({it.column('logits', d)},{it.ask.used('token')}+1)"

    def probability(i: int, d: int) -> str:
        return it.chance(it.at("logit", 0, d), d)

    def entropy(i: int, d: int) -> str:
        """log2 of the sum of e = exp(l - largest), minus the mean of (l - largest) log2 e"""
        logits, peak = it.column("logits", d), it.at("largest", 0, d)
        log_sum = f"({it.at('log_sum_exp', 0, d)}-{peak})"
        above = f"({logits}>{peak}-{-SMALLEST})"
        terms = f"SUMPRODUCT({above}*EXP(1)^(({logits}-{peak})*{above})*({logits}-{peak}))"
        return f"({log_sum}-{terms}/EXP({log_sum}))/LN(2)"

    line = partial(it.block, height=TALL)
    sure = partial(line, doubt=it.doubts)
    return [
        Bar("The token that is asked for", words, link="the token", last=it.charts - 2, space=2),
        line("rank", "its rank", rank, lambda found: found.ranks, style="id"),
        line("logit", "its logit", logit, lambda found: found.logits[found.token], style="share"),
        sure("probability", "its probability", probability, lambda found: found.probs, style="prob", colours=[orange]),
        sure("entropy", "entropy, bits", entropy, lambda found: found.entropy, style="share"),
    ]


def best(it: Depths) -> list[Part]:
    """The largest logits, their tokens and probabilities."""

    def prob(i: int, d: int) -> str:
        return it.chance(it.at("top_logits", i, d), d)

    def id(i: int, d: int) -> str:
        above = (it.at("top_logits", i - 1, d), it.at("ids", i - 1, d)) if i else None
        return rank_id(it.at("top_logits", i, d), it.column("logits", d), it.ids(), it.config.n_vocab, above)

    def logit(i: int, d: int) -> str:
        return f"LARGE({it.column('logits', d)},{i + 1})"

    def probs(found: Lens) -> Any:
        return np.exp(top_logits(found) - found.log_sum_exp)

    rank = partial(it.block, n_rows=it.n_top, number_from=1)
    return [
        Bar("Workings: probabilities", "At temperature 1: exp(logit − log of the sum of exp).", link="workings"),
        rank("probs", "probability", prob, probs, style="prob", doubt=it.doubts, colours=[orange]),
        Bar("Token ids", "The token with that logit; on a tie the lowest id that is not in the list yet."),
        rank("ids", "id", id, lambda found: top(found).astype(float), style="id"),
        Bar("Largest logits"),
        rank("top_logits", "logit", logit, top_logits, named=False),
    ]


def network(it: Depths) -> list[Part]:
    """The state at each depth, its norm, and the logits."""
    layout, n = it.layout, it.config.n_embd
    epsilon, norm = layout["layer_norm_epsilon"].reference, layout["ln_f"]

    def state(i: int, d: int) -> str:
        stream = layout["embed" if d == 0 else f"h{d - 1}.resid_post"]
        return f"INDEX({stream.line(i).reference},1,{it.ask.used('position')}+1)"

    def mean(i: int, d: int) -> str:
        return f"AVERAGE({it.column('states', d)})"

    def rstd(i: int, d: int) -> str:
        return f"1/SQRT(DEVSQ({it.column('states', d)})/{n}+{epsilon})"

    def normed(i: int, d: int) -> str:
        """(x - mean) rstd gain + bias"""
        gain, bias = (Area(norm.sheet, norm.row + i, column).reference for column in (GAIN, BIAS))
        return f"({it.at('states', i, d)}-{it.column('mean', d)})*{it.column('rstd', d)}*{gain}+{bias}"

    def largest(i: int, d: int) -> str:
        return f"MAX({it.column('logits', d)})"

    def total(i: int, d: int) -> str:
        return log_sum_exp(it.column("logits", d), it.column("largest", d))

    def logit(v: int, d: int) -> str:
        """unembedding[v] . normed"""
        scale = (
            f"*{layout.tensor(layout.tensor(it.config.head).scales).area.line(v).reference}" if layout.scaled else ""
        )
        return f"SUMPRODUCT({unembedding(layout, v).reference},{it.column('normed', d)}){scale}"

    after = "The residual stream at the position: after the embedding, and after every block.  [n_embd, depths]"
    as_at_the_end = "(x − mean) × rstd × gain + bias, at every depth with the final norm's gain and bias."
    fit = f"Each token's column of {it.config.head} × the normed state.  [n_vocab, depths]"
    helper = partial(it.block, named=False)
    by_token: dict[str, Any] = {"n_rows": it.config.n_vocab, "labels": lambda state: state.shown}
    return [
        Bar("States", after),
        it.block("states", "state", state, lambda found: found.states, n),
        Bar("Final norm", as_at_the_end),
        helper("mean", "mean", mean, lambda found: found.mean),
        helper("rstd", "rstd = 1/√(variance+ε)", rstd, lambda found: found.rstd),
        it.block("normed", "ln_f", normed, lambda found: found.normed, n),
        Bar("Logits", fit, link="logits"),
        helper("largest", "largest logit", largest, lambda found: found.largest),
        helper("log_sum_exp", "log of the sum of exp", total, lambda found: found.log_sum_exp, doubt=it.doubts),
        it.block("logits", "", logit, lambda found: found.logits, **by_token),
    ]


def top(found: Lens) -> Array:
    """The ids of the likeliest tokens.  [rank, depths]"""
    return np.array(found.top(min(lens.TOP, len(found.logits)))).T


def top_logits(found: Lens) -> Array:
    return np.take_along_axis(found.logits, top(found), axis=0)
