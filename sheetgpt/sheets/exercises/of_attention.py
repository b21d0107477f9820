"""Tasks on the attention of Block 0: a score, a weight, a mix of values. Their arithmetic: `gpt2/model.py`."""

import math
from typing import Any

import numpy as np

from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.sheets.exercises.column import Column
from sheetgpt.sheets.exercises.task import Mistake, Number, Task, one
from sheetgpt.sheets.formulas import sum_exp
from sheetgpt.sheets.state import State

UNDIVIDED = "Divide by the sum of the column's exponentials."
IN_ROW = "A row in place of a column: the weights of one column add up to 1."
MOST = 700  # e to the 710th is more than a cell holds


def score(it: Column) -> Task:
    """key of the first token . query of the last / sqrt(d)"""
    d, n, scores = it.config.head_size, it.config.n_embd, it.area("h0.attn.scores.0")
    query, key = it.role(0, d), it.role(1, d)
    queries, keys = it.role(0, n), it.role(1, n)

    def right_now(state: State) -> float:
        return float(it.column_now(state, "h0.attn.scores.0")[0])

    def product(a: Area, b: Area) -> Number:
        """The first token's column of `a` with the last one's of `b`."""
        first = a.stripe(0).reference

        def twin(state: State) -> float:
            qkv = state.trace["h0.attn.qkv"]
            top = it.area("h0.attn.qkv").row
            one, other = (qkv[area.row - top :][: area.n_rows] for area in (a, b))
            return float(one[:, 0] @ other[:, it.now(state)] / math.sqrt(d))

        return Number(lambda t: f"SUMPRODUCT({first},{b.down(t, '')})/SQRT({d})", twin, across=True)

    mistakes = [
        Mistake(
            one(lambda: f"{it.at(scores)}*SQRT({d})", lambda s: right_now(s) * math.sqrt(d)),
            f"The square root is forgotten: divide by √{d}.",
        ),
        Mistake(
            one(lambda: f"{it.at(scores)}/SQRT({d})", lambda s: right_now(s) / math.sqrt(d)),
            f"Divided by {d}: it is the square root of {d} by which it is divided.",
        ),
        Mistake(product(query, key), "Query and key are swapped: the last token asks, the first one answers."),
        Mistake(
            one(
                lambda: f"INDEX({scores.reference},{it.place},{it.place})",
                lambda s: it.column_now(s, "h0.attn.scores.0")[it.now(s)],
            ),
            "That is the last token's own key: take the first token's.",
        ),
    ]
    if it.config.n_head > 1:
        mistakes.append(Mistake(product(keys, queries), f"All heads at once: head 0 has the first {d} rows only."))
    return Task(
        "score",
        "A score",
        f"How well does the last token's query fit the first token's key? Query · key / √{d}, for head 0.",
        [it.here("query", query), it.fixed("key", key.stripe(0))],
        "SUMPRODUCT(one column, other column) multiplies row by row and adds up. SQRT is the square root.",
        lambda: f"SUMPRODUCT({key.stripe(0).reference},{it.down(query)})/SQRT({d})",
        one(lambda: it.at(scores), right_now),
        mistakes,
    )


def weight(it: Column) -> Task:
    """exp(score) / sum of exp(score), down the column"""
    scores, e, probs = (it.area(f"h0.attn.{name}.0") for name in ("scores", "exp", "probs"))

    def exps_now(state: State) -> Any:
        """Of the first token's row, as far as there is text; every column's largest is 1.  [T]"""
        found = state.trace["h0.attn.scores.0"]
        peaks = np.array([found[: t + 1, t].max() for t in range(found.shape[1])])
        return np.exp(found[0] - peaks)

    def in_row_now(state: State) -> float:
        row = exps_now(state)
        return float(row[it.now(state)] / row.sum())

    def typed_in_row(t: int) -> str:
        """The same from the scores themselves, up to the last token."""
        row = f"{quoted(scores.sheet)}!${scores.at(0, 0)}:{scores.at(0, t)}"
        return f"EXP({scores.at(0, t, '')}-MAX({row}))/{sum_exp(row, f'MAX({row})')}"

    def typed_in_row_now(state: State) -> float:
        row = state.trace["h0.attn.scores.0"][0, : it.now(state) + 1]
        row = np.exp(row - row.max())
        return float(row[-1] / row.sum())

    def as_typed_now(state: State) -> float:
        """As a student types it, without the column's largest score taken away."""
        return math.exp(min(it.column_now(state, "h0.attn.scores.0")[0], MOST))

    return Task(
        "weight",
        "An attention weight",
        "Softmax makes weights of the last token's scores that add up to 1. Which weight does the first token get?",
        [it.here("scores", scores, triangle=True)],
        "EXP(the first token's score), divided by the sum of EXP(score) over the column. "
        "SUMPRODUCT(EXP(the column)) is that sum.",
        lambda: f"{it.at(e)}/SUM({it.down(e)})",
        one(lambda: it.at(probs), lambda s: it.column_now(s, "h0.attn.probs.0")[0]),
        [
            Mistake(one(lambda: f"{it.at(e)}/SUM({e.line(0).reference})", in_row_now), IN_ROW),
            Mistake(Number(typed_in_row, typed_in_row_now, across=True), IN_ROW),
            Mistake(one(lambda: it.at(e), lambda s: exps_now(s)[it.now(s)]), UNDIVIDED),
            Mistake(one(lambda: f"EXP(MIN({it.at(scores)},{MOST}))", as_typed_now), UNDIVIDED),
            Mistake(
                one(
                    lambda: f"INDEX({probs.reference},{it.place},{it.place})",
                    lambda s: it.column_now(s, "h0.attn.probs.0")[it.now(s)],
                ),
                "That is what the last token gives to itself: the first token's weight stands at the top.",
            ),
        ],
    )


def mixture(it: Column) -> Task:
    """z = sum over the tokens of weight × value"""
    f, probs = it.row, it.area("h0.attn.probs.0")
    value, z = it.role(2, f + 1).line(f), it.area("h0.attn.z")

    def values_now(state: State) -> Any:
        return state.trace["h0.attn.qkv"][2 * it.config.n_embd + f]

    def average_now(state: State) -> float:
        return float(values_now(state)[: it.now(state) + 1].mean())

    def in_row_now(state: State) -> float:
        return float(state.trace["h0.attn.probs.0"][0] @ values_now(state))

    def first_now(state: State) -> float:
        return float(it.column_now(state, "h0.attn.probs.0")[0] * values_now(state)[0])

    return Task(
        "mixture",
        "A mix of values",
        f"Each token's value × the weight that the last token gives it, added up: row {f} of head 0.",
        [it.up_to_here("values", value), it.here("weights", probs, triangle=True)],
        "First value × first weight + second value × second weight, and so on up to the last token. "
        "MMULT(the row, the column) does it at once.",
        lambda: f"SUMPRODUCT({value.reference},{it.page['weights'].local})",
        one(lambda: it.at(z, f), lambda s: it.column_now(s, "h0.attn.z")[f]),
        [
            Mistake(
                one(
                    lambda: f'SUMIF({it.area("positions").reference},"<"&{it.place},{value.reference})/{it.place}',
                    average_now,
                ),
                "A plain average: some tokens count for more than others.",
            ),
            Mistake(
                one(lambda: f"SUMPRODUCT({probs.line(0).reference},{value.reference})", in_row_now),
                "A row in place of a column: the weights of one token stand below one another.",
            ),
            Mistake(
                one(lambda: f"{it.at(probs)}*{value.stripe(0).reference}", first_now),
                "That is the first token's share: add up those of all tokens.",
            ),
            Mistake(
                one(lambda: it.at(value), lambda s: values_now(s)[it.now(s)]),
                "That is the last token's own value: mix those of all tokens.",
            ),
        ],
    )
