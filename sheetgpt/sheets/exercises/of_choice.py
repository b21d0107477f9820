"""Tasks on Output and Sample: from the logits to the token that is drawn. The rules: `gpt2/generation/sampling.py`."""

import math
from typing import Any

import numpy as np

from sheetgpt.sheets.exercises.column import Column
from sheetgpt.sheets.exercises.task import Mistake, Number, Task, one
from sheetgpt.sheets.formulas import sum_exp
from sheetgpt.sheets.state import State

HEAT = 2  # another temperature than most workbooks have
TEN = 10
RANDOM = 0.87  # a running total is hardly ever exactly that


def tasks(it: Column) -> list[Task]:
    return [heat(it), surprise(it), draw(it)]


def heat(it: Column) -> Task:
    """p = exp(logit / T) / sum of exp(logit / T), of the likeliest token"""
    logits, largest, total = (it.area(name) for name in ("logits", "logits_max", "logits_lse"))

    def share(temperature: float) -> Number:
        def formula(t: int) -> str:
            peak = largest.at(0, t, "")
            return f"1/{sum_exp(logits.down(t, ''), peak, '' if temperature == 1 else str(temperature))}"

        def twin(state: State) -> float:
            return 1 / sum_now(state, temperature)

        return Number(formula, twin, across=True, doubt=it.doubt(temperature))

    def sum_now(state: State, temperature: float, n: int = 0) -> float:
        found: Any = it.column_now(state, "logits")
        found = np.sort(found)[-n:] if n else found
        return float(np.exp((found - found.max()) / temperature).sum())

    def of_ten(t: int) -> str:
        peak = largest.at(0, t, "")
        best = (f"EXP((LARGE({logits.down(t, '')},{k + 1})-{peak})/{HEAT})" for k in range(TEN))
        return f"1/({'+'.join(best)})"

    def usual() -> str:
        return f"EXP({it.at(largest)}-{it.at(total)})"

    def usual_now(state: State) -> float:
        return 1 / sum_now(state, 1)

    mistakes = [
        Mistake(
            one(lambda: f"{usual()}/{HEAT}", lambda s: usual_now(s) / HEAT, doubt=it.doubt()),
            "The probability is divided: it is the logits that are divided by the temperature.",
        ),
        Mistake(one(usual, usual_now, doubt=it.doubt()), f"That is at temperature 1: divide every logit by {HEAT}."),
        Mistake(share(1 / HEAT), f"Multiplied by {HEAT}: a higher temperature divides."),
    ]
    if it.config.n_vocab > TEN:
        ten = Number(of_ten, lambda s: 1 / sum_now(s, HEAT, TEN), across=True, doubt=it.doubt(HEAT))
        mistakes.insert(0, Mistake(ten, f"Only {TEN} tokens: the sum is over the whole vocabulary."))

    def solution() -> str:
        found = f"EXP(1)^(({it.down(logits)}-{it.at(largest)})/{HEAT})"
        return f"1/SUMPRODUCT({found})"

    return Task(
        "temperature",
        "Another temperature",
        f"Divide all logits by {HEAT}, a temperature of {HEAT}. Which probability does softmax give that token now?",
        [it.here("logits", logits), it.here("its logit", largest)],
        f"EXP(its logit / {HEAT}), divided by the sum of EXP(logit / {HEAT}) over the column. "
        f"SUMPRODUCT(EXP(the column / {HEAT})) is that sum.",
        solution,
        share(HEAT),
        mistakes,
    )


def surprise(it: Column) -> Task:
    """−log₂ p, of the likeliest token at temperature 1"""
    largest, total = it.area("logits_max"), it.area("logits_lse")

    def nats() -> str:
        return f"({it.at(total)}-{it.at(largest)})"

    def nats_now(state: State) -> float:
        logits: Any = it.column_now(state, "logits")
        return float(np.log(np.exp(logits - logits.max()).sum()))

    def over(base: float) -> Number:
        return one(lambda: f"{nats()}/LN({base})", lambda s: nats_now(s) / math.log(base), doubt=it.doubt())

    mistakes = [
        Mistake(one(nats, nats_now, doubt=it.doubt()), "The natural logarithm gives nats: bits take base 2."),
        Mistake(over(10), "LOG without a base is to base 10: write LOG(p, 2)."),
        Mistake(
            one(
                lambda: f"-{nats()}/LN(2)",
                lambda s: -nats_now(s) / math.log(2),
                doubt=it.doubt(),
            ),
            "The sign is missing: a logarithm of what is below 1 is negative.",
        ),
        Mistake(
            one(lambda: f"EXP(-{nats()})", lambda s: math.exp(-nats_now(s)), doubt=it.doubt()),
            "That is its probability: take the logarithm of it.",
        ),
    ]
    return Task(
        "surprise",
        "Surprise in bits",
        "How surprised would the model be by that token, at temperature 1? −log₂ of its probability.",
        [it.here("its logit", largest), it.here("log of the sum", total)],
        "Its probability is EXP(its logit − the log of the sum). LOG(p, 2) is the logarithm to base 2.",
        lambda: f"{nats()}/LN(2)",
        over(2),
        mistakes,
    )


def draw(it: Column) -> Task:
    """The first rank whose running total is above the random number × the probability kept"""
    kept, mass, ids = it.area("sample_kept"), it.area("sample_kept_mass"), it.area("sample_ids")

    def rank(ranks: str) -> str:
        return f"IFERROR(MATCH({RANDOM}*{it.at(mass)},{ranks},1),0)"

    def rank_now(state: State) -> int:
        choice = state.choices[0]
        totals = np.array(choice.cumulative[: choice.kept])
        return int((totals <= RANDOM * choice.kept_mass).sum())

    def right() -> Number:
        return Number(lambda t: rank_at(t), lambda s: float(rank_now(s)), across=True)

    def rank_at(t: int) -> str:
        return f"IFERROR(MATCH({RANDOM}*{mass.at(0, t, '')},{kept.down(t, '')},1),0)"

    def answer() -> str:
        return it.page["right draw"].local

    return Task(
        "draw",
        "The draw",
        f"Say that the random number is {RANDOM}. Which rank is drawn, counted from 0 as on Sample?",
        [it.here("totals", kept), it.here("kept", mass)],
        f"Multiply {RANDOM} by the probability that is kept. The first rank with a running total above that is drawn.",
        lambda: rank(it.down(kept)),
        right(),
        [
            Mistake(
                one(lambda: f"{answer()}+1", lambda s: rank_now(s) + 1),
                "Off by one: the likeliest token has rank 0.",
            ),
            Mistake(
                one(lambda: f"{answer()}-1", lambda s: rank_now(s) - 1),
                "One too early: its running total is not above the number yet.",
            ),
            Mistake(one(lambda: "0", lambda s: 0), "That is the likeliest token: the random number decides."),
            Mistake(
                one(
                    lambda: f"INDEX({ids.reference},{answer()}+1,{it.place})",
                    lambda s: s.choices[0].ids[rank_now(s)],
                ),
                "That is the token's id: asked is its rank.",
            ),
        ],
        whole=True,
    )
