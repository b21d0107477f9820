"""The lower half of the sheet Lab: what lane B would say next beside what lane A would, and how far apart they are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openpyxl.chart import Reference
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.generation import sampling
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Formula, Part, Values
from sheetgpt.sheets.formulas import sum_exp, text_at
from sheetgpt.sheets.grid import LABEL
from sheetgpt.sheets.lab.bench import Bench, column, notes, yellow
from sheetgpt.sheets.lab.screws import below
from sheetgpt.sheets.lab.token_cells import SPELLED, spelled_head, spelled_ids
from sheetgpt.sheets.page import Bar, Beside, Space, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.charts import bars, between
from sheetgpt.sheets.style.looks import signed
from sheetgpt.sheets.tensor import Kind, Tensor, Value

Floats = NDArray[Any]
HEADS = (
    "A's likeliest",
    "A",
    "B",
    "B − A, points",
    "logit A",
    "logit B",
    "logit B − A",
    "B's likeliest",
    "B",
)
RESULT_WORDS = (
    "The ten likeliest next tokens of lane A and of lane B, with their probabilities at each lane's temperature"
)
COMPARED_WORDS = (
    "The logit of one token less that of another: words, or ids (see Vocabulary). Empty: lane A's two likeliest."
)
NO_SUCH = "This is no token: type one word of the vocabulary, or an id."
SAID = (
    ("lane B seen from A", "KL(A‖B): bits lost by taking B's probabilities for A's, at temperature 1"),
    ("lane A seen from B", "KL(B‖A): bits lost by taking A's for B's"),
)


@dataclass(frozen=True)
class Both:
    """What each lane says after its last token: lane A, then lane B."""

    logits: Sequence[Floats]
    probs: Sequence[Floats]  # at its temperature
    doubts: Sequence[float]  # how well its probabilities can be known, relative
    apart: float  # and a difference of logits, relative, too
    strings: Sequence[str]  # of the vocabulary
    compared: tuple[int, int]  # the ids of the two tokens that are compared

    def pair(self, lane: int) -> Floats:
        """The logits of the two tokens."""
        return self.logits[lane][[*self.compared]]

    def top(self, lane: int, n: int) -> list[int]:
        """The ids of the likeliest."""
        return [*sampling.top(self.logits[lane], n)]


def both(state: State) -> Both:
    lanes = state, state.lane_b.other
    logits = [one.now.logits for one in lanes]
    given = [*zip(logits, (one.inputs.sampling.temperature for one in lanes), strict=True)]
    usual = sampling.top(logits[0], 2)
    usual = [*usual, *usual][:2]  # a vocabulary of one token
    first, second = (
        chosen(typed, id, len(logits[0])) for typed, id in zip(state.lane_b.in_ids.tokens, usual, strict=True)
    )
    return Both(
        logits,
        [sampling.probabilities(*each) for each in given],
        [float(sampling.doubt(*each)) for each in given],
        float(max(sampling.doubt(x, 1.0) for x in logits)),
        state.shown,
        (first, second),
    )


def chosen(typed: Value, otherwise: int, n_vocab: int) -> int:
    """The id that is typed, or the usual one where that is none."""
    id = below(typed, n_vocab)
    return otherwise if id is None else id


def shown(
    it: Bench,
    at: int,
    style: str,
    formula: Formula,
    find: Callable[[Both], Values],
    doubt: Callable[[Both], float] = lambda found: 0.0,
    **more: Any,
) -> Block:
    """A column of results: nothing where a lane has nothing to show."""

    def guard(source: str, j: int) -> str:
        areas = [area for name in ("n_tokens", "settings_ok") for area in it.lanes(name)]
        return f'IF({"*".join(area.reference for area in areas)}>0,{source},"")'

    return column(
        at,
        formula,
        lambda state: find(state.ask(both)),
        style,
        guard=guard,
        doubt=lambda state: doubt(state.ask(both)),
        **more,
    )


def add_likeliest(it: Bench) -> None:
    """Lane A's ten likeliest tokens, and what lane B makes of them; on the right lane B's own."""
    n, here = min(10, it.config.n_vocab), it.page

    def home(name: str, lane: int) -> Formula:
        """From the lane's own table."""
        return lambda k, _: it.lanes(name)[lane].line(k).reference

    def softmax(name: str, lane: int) -> Formula:
        """What the lane makes of lane A's token."""
        return lambda k, _: f"INDEX({it.lanes(name)[lane].reference},{it.layout['top_ids'].line(k).reference}+1)"

    def less(name: str) -> Formula:
        return lambda k, _: f"{it.cell(name + '_b', k)}-{it.cell(name + '_a', k)}"

    def tokens(lane: int) -> Callable[[Both], list[str]]:
        return lambda found: [found.strings[id] for id in found.top(lane, n)]

    def probs(lane: int, of: int = 0) -> Callable[[Both], Floats]:
        return lambda found: found.probs[lane][found.top(of, n)]

    def logits(lane: int) -> Callable[[Both], Floats]:
        return lambda found: found.logits[lane][found.top(0, n)]

    def doubt(lane: int) -> Callable[[Both], float]:
        return lambda found: found.doubts[lane]

    def block(at: int, name: str, style: str, formula: Formula, find: Callable[[Both], Values], **more: Any) -> Block:
        return shown(it, at, style, formula, find, name=name, rows=n, height=16, **more)

    def prob_less(found: Both) -> Floats:
        return probs(1)(found) - probs(0)(found)

    def worst(found: Both) -> float:
        return max(found.doubts)

    def logit_less(found: Both) -> Floats:
        return logits(1)(found) - logits(0)(found)

    here.add(
        Bar("What comes next", RESULT_WORDS, link="result"),
        Texts(dict(enumerate(HEADS, 1))),
        Beside(
            block(1, "token_a", "token", home("top_tokens", 0), tokens(0)),
            block(2, "prob_a", "prob", softmax("next_probs", 0), probs(0), doubt=doubt(0)),
            block(3, "prob_b", "prob", softmax("next_probs", 1), probs(1), doubt=doubt(1)),
            block(4, "prob_less", "points", less("prob"), prob_less, doubt=worst, colours=[signed(0.5)]),
            block(5, "logit_a", "number", softmax("next_logits", 0), logits(0)),
            block(6, "logit_b", "number", softmax("next_logits", 1), logits(1)),
            block(7, "", "signed", less("logit"), logit_less, doubt=lambda found: found.apart),
            block(8, "", "token", home("top_tokens", 1), tokens(1)),
            block(9, "", "prob", home("top_probs", 1), probs(1, of=1), doubt=doubt(1)),
        ),
    )
    whole = replace(here["token_a"], n_columns=len(HEADS))
    here.also.append(Tensor("lab_table", (whole,), Kind.NUMBERS, ("rank",)))
    here.dresses.append(lambda frame: add_chart(frame, whole))


def add_chart(frame: Worksheet, table: Area) -> None:
    """Lane A's ten likeliest tokens, and their probabilities in both lanes."""
    chart = bars("col", "Lane A's likeliest tokens in both lanes")
    chart.y_axis.scaling.min = 0
    chart.add_data(Reference(frame, 2, table.row - 1, 3, table.last_row), titles_from_data=True)
    chart.set_categories(Reference(frame, 1, table.row, 1, table.last_row))
    chart.legend.position = "r"
    chart.anchor = between(11, table.row - 1, 7, table.n_rows + 1)
    frame.add_chart(chart)


def compared(it: Bench) -> list[Part]:
    """The logits of two tokens in both lanes."""
    n_vocab = it.config.n_vocab

    def id(k: int, _: int) -> str:
        otherwise = it.layout["top_ids"].line(min(k, n_vocab - 1)).reference
        return f"IF({it.cell('token_id', k)}>=0,{it.cell('token_id', k)},{otherwise})"

    def logit(lane: int) -> Formula:
        return lambda k, _: f"INDEX({it.lanes('next_logits')[lane].reference},{it.cell('compared', k)}+1)"

    def less(k: int, _: int) -> str:
        return f"{it.cell('compared_b', k)}-{it.cell('compared_a', k)}"

    def less_now(found: Both) -> Floats:
        return found.pair(1) - found.pair(0)

    def token(k: int, _: int) -> str:
        return text_at(it.layout["vocab_shown"].reference, f"{it.cell('compared', k)}+1")

    def typed_now(state: State) -> Sequence[Value]:
        return state.lane_b.lab.tokens

    def refused(k: int, _: int) -> str:
        return f'IF({it.cell("tokens", k)}="","",IF({it.cell("token_id", k)}>=0,"","{NO_SUCH}"))'

    def refused_now(state: State) -> list[str]:
        found = state.lane_b.in_ids.tokens
        return ["" if id == "" or below(id, n_vocab) is not None else NO_SUCH for id in found]

    def block(at: int, name: str, style: str, formula: Formula, find: Callable[[Both], Values], **more: Any) -> Block:
        return shown(it, at, style, formula, find, name=name, rows=2, **more)

    heads = "type here", "id in use", "lane A", "lane B", "B − A", "token"
    return [
        Bar("Two tokens compared", COMPARED_WORDS),
        Beside(Texts(dict(enumerate(heads, 2))), spelled_head()),
        Beside(
            notes(LABEL, "name", "token", "less token"),
            yellow("tokens", typed_now, 2, rows=2),
            block(3, "compared", "id", id, lambda found: [*found.compared]),
            block(4, "compared_a", "number", logit(0), lambda found: found.pair(0)),
            block(5, "compared_b", "number", logit(1), lambda found: found.pair(1)),
            block(6, "compared_less", "signed", less, less_now, doubt=lambda found: found.apart),
            block(7, "", "token", token, lambda found: [found.strings[id] for id in found.compared]),
            column(8, refused, refused_now, "message", rows=2),
            *spelled_ids(it, SPELLED, "token", lambda k: it.cell("tokens", k), typed_now, 2),
        ),
        Beside(Texts({LABEL: "logit difference"}, "name"), difference(it)),
    ]


def difference(it: Bench) -> Block:
    """The logit of one token less that of the other: in lane A, in lane B, and B's less A's."""

    def formula(_: int, j: int) -> str:
        column = ("compared_a", "compared_b", "compared_less")[j]
        return f"{it.cell(column, 0)}-{it.cell(column, 1)}"

    def twin(found: Both) -> list[float]:
        a, b = (float(one[0] - one[1]) for one in (found.pair(0), found.pair(1)))
        return [a, b, b - a]

    more: dict[str, Any] = {"n_columns": 3, "named": True}
    return shown(it, 4, "signed", formula, twin, lambda found: found.apart, name="difference", **more)


def divergences(it: Bench) -> list[Part]:
    """sum of p (log p − log q), with p = exp(x − max) / Z_x: the mean of x − y under p, less log(Z_x / Z_y)."""

    def formula(k: int, _: int) -> str:
        (p, own), (q, theirs) = ordered(it, k)
        sums = sum_exp(p, own), sum_exp(q, theirs)
        above = f"({p}>{own}-700)"
        weighted = f"SUMPRODUCT({above}*EXP(1)^(({p}-{own})*{above})*(({p}-{own})-({q}-{theirs})))"
        return f"({weighted}/{sums[0]}-LN({sums[0]})+LN({sums[1]}))/LN(2)"

    def twin(found: Both) -> list[float]:
        a, b = found.logits
        return [divergence(a, b), divergence(b, a)]

    more: dict[str, Any] = {"named": True, "label": lambda k: SAID[k][0], "label_style": "name"}
    return [
        Space(),
        Texts({LABEL: "How far apart are the lanes?"}),
        Beside(
            shown(it, 4, "number", formula, twin, lambda found: found.apart, name="divergence", rows=2, **more),
            notes(5, "note", *(words for _, words in SAID)),
        ),
    ]


def ordered(it: Bench, k: int) -> list[tuple[str, str]]:
    """Each lane's logits and the largest of them, lane A's first, or last."""
    lanes = [(it.lanes("next_logits")[lane].reference, it.lanes("next_max")[lane].reference) for lane in (0, 1)]
    return lanes if k == 0 else lanes[::-1]


def divergence(logits: Floats, other: Floats) -> float:
    """KL(softmax(logits) || softmax(other)) in bits."""
    x, y = logits - logits.max(), other - other.max()
    log_p, log_q = x - np.log(np.exp(x).sum()), y - np.log(np.exp(y).sum())
    return float((np.exp(log_p) * (log_p - log_q)).sum() / np.log(2))
