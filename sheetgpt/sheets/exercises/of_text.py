"""Tasks to predict and to try: one merge of byte-pair encoding, causality, a head that is switched off."""

from typing import Any

from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.exercises.column import Column
from sheetgpt.sheets.exercises.task import RIGHT, Mistake, Number, Task, one, quoted
from sheetgpt.sheets.grid import LAB
from sheetgpt.sheets.inside.contributions.page import page as contributions_page
from sheetgpt.sheets.inside.contributions.parts import CONTRIBUTIONS, Parts
from sheetgpt.sheets.lab.lab import page as lab_page
from sheetgpt.sheets.lab.results import Both, both
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.state import State
from sheetgpt.sheets.tensor import Value
from sheetgpt.sheets.text import bpe_by_hand

UP, DOWN, SAME = "up", "down", "same"
STILL = 0.0005017  # a change of a probability that counts as none
ONE_WORD = f"Type {UP}, {DOWN} or {SAME}."


def tasks(it: Column) -> list[Task]:
    return [*([merge(it)] if it.layout.reads_text else []), causality(it), *head_off(it)]


def merge(it: Column) -> Task:
    """The letters that are left when the most frequent pair has become one"""
    by_hand = bpe_by_hand.places()
    text, letters = by_hand["text"], by_hand["0 number"]
    left, joins, counts = (by_hand[f"0 {line}"] for line in ("so far", "joins", "count"))

    def now(state: State) -> tuple[int, int, int]:
        """Letters, joins, and how often the pair that joins occurs, overlaps and all."""
        first = bpe_by_hand.learn(state.by_hand[0])[0]
        return len(first.symbols), sum(first.joins), first.best

    def number(formula: str, find: Any) -> Number:
        return one(lambda: formula, lambda s: find(*now(s)))

    n, joined, most = f"COUNT({letters.reference})", f"SUM({joins.reference})", f"MAX({counts.reference})"
    twice = "A pair becomes one letter, not none; and a letter that has joined can't join again."
    before, after = "In “", "” the most frequent pair of neighbours becomes one letter. How many letters are left then?"
    return Task(
        "merge",
        "One merge",
        (
            lambda: f"{quoted(before)}&{text.reference}&{quoted(after)}",
            lambda state: f"{before}{state.by_hand[0]}{after}",
        ),
        [it.fixed("the text", text)],
        "Count the pairs with a pencil first. In aaa the a in the middle can join only once.",
        lambda: f"MAX({left.reference})",
        number(f"MAX({left.reference})", lambda n, joined, most: n - joined),
        [
            Mistake(number(n, lambda n, joined, most: n), "That is how many there are now: two of a pair become one."),
            Mistake(
                number(f"{n}-2*{joined}", lambda n, joined, most: n - 2 * joined),
                twice,
            ),
            Mistake(
                number(f"{n}-{most}", lambda n, joined, most: n - most),
                twice,
            ),
            Mistake(number(joined, lambda n, joined, most: joined), "That is how often the pair joins."),
        ],
        whole=True,
    )


def causality(it: Column) -> Task:
    """The columns on the left of the prompt's last token know nothing of it"""
    n_tokens = it.layout["n_tokens"].reference
    place = it.layout["prompt" if it.layout.reads_text else "prompt_ids"]
    return Task(
        "causality",
        "Causality",
        "Change the last token of the prompt: how many columns of the text keep all their numbers? Predict, then try.",
        [it.fixed("prompt", Area(place.sheet, place.row, place.column))],
        "No formula looks to the right. Which columns stand on the left of the one that changes?",
        lambda: f"{it.place}-1",
        one(lambda: f"{it.place}-1", it.now),
        [
            Mistake(
                one(lambda: it.place, lambda s: it.now(s) + 1),
                "One too many: the token's own column changes, too.",
            ),
            Mistake(
                one(lambda: n_tokens, lambda s: s.prompt.n),
                "All of them? The token's own column changes, to begin with.",
            ),
            Mistake(one(lambda: "0", lambda s: 0), "None? The columns on the left can't see a later token."),
            Mistake(
                one(lambda: f"{n_tokens}-{it.place}+1", lambda s: s.prompt.n - it.now(s)),
                "That is how many columns change.",
            ),
        ],
        whole=True,
    )


def head_off(it: Column) -> list[Task]:
    """On Lab, where there is one; otherwise by what Contributions says of the head; or not at all."""
    if it.layout.lanes == 2:
        return [switched(it)]
    return [contributed(it)] if CONTRIBUTIONS.lower() in it.layout.optional else []


def which(layout: Layout) -> tuple[int, int]:
    """A head of the last block."""
    return layout.config.n_layer - 1, layout.config.n_head // 2


def switched(it: Column) -> Task:
    """Whether the likeliest token's probability rises or falls in lane B, without the head"""
    screws, (block, head) = lab_page(it.layout), which(it.layout)
    switch = screws["switches"].line(block).stripe(head)
    a, b = (screws[name].line(0).reference for name in ("prob_a", "prob_b"))
    token = screws["token_a"].line(0)
    waits = f"Noted. Now type 0 into {LAB}!{switch.cells} and look at the likeliest tokens there."

    def off_now(state: State) -> bool:
        value = state.lane_b.lab.switches[block][head]
        return (not isinstance(value, str) and value == 0) or value == ""

    def found(state: State) -> Both:
        return state.ask(both)

    def probs_now(state: State) -> tuple[float, float]:
        best = found(state).top(0, 1)[0]
        return float(found(state).probs[0][best]), float(found(state).probs[1][best])

    def way_now(state: State) -> str:
        less = probs_now(state)[1] - probs_now(state)[0]
        return SAME if abs(less) <= STILL else UP if less > 0 else DOWN

    way = f'IF(ABS({b}-{a})<={STILL},"{SAME}",IF({b}>{a},"{UP}","{DOWN}"))'

    def says(answer: str) -> str:
        right = f'IF({answer}={way},"{RIGHT}","No: look again at B - A.")'
        told = f"IF({switch.reference}=0,{right},{quoted(waits)})"
        known = f'OR({answer}="{UP}",{answer}="{DOWN}",{answer}="{SAME}")'
        sentence = quoted(ONE_WORD)
        given = f'IF({answer}="","",IF({known},{told},{sentence}))'
        return f'IF(ISERROR({answer}),{sentence},IF(ISBLANK({answer}),"",{given}))'

    def says_now(answer: Value, state: State) -> str:
        if answer == "":
            return ""
        if not isinstance(answer, str) or answer.lower() not in (UP, DOWN, SAME):
            return ONE_WORD
        if not off_now(state):
            return waits
        return RIGHT if answer.lower() == way_now(state) else "No: look again at B - A."

    return Task(
        "head_off",
        "A head switched off",
        f"Predict: without head {head} of block {block}, will the likeliest token become likelier? "
        f"{UP}, {DOWN} or {SAME}; then see.",
        [it.fixed("switch", switch), it.fixed("likeliest", Area(token.sheet, token.row, token.column, 1, 4))],
        "On Contributions you see what that head adds to the token's logit. What is left without it?",
        lambda: way,
        one(lambda: f"{b}-{a}", lambda s: probs_now(s)[1] - probs_now(s)[0], doubt=lambda s: max(found(s).doubts)),
        says=(says, says_now),
        choices=(UP, DOWN, SAME),
        answer=way_now,
    )


def contributed(it: Column) -> Task:
    """What is left of a logit without what the head adds to it, the rest being as it is"""
    parts, (block, head) = Parts(it.layout), which(it.layout)
    values = contributions_page(it.layout)["values"]
    own = values.stripe(2 + block * parts.of_block + head)
    all_heads = [values.stripe(2 + block * parts.of_block + j) for j in range(it.config.n_head)]
    total = f"SUM({values.reference})"

    def now(state: State) -> Any:
        return state.ask(parts.look)

    def number(formula: str, find: Any) -> Number:
        return one(
            lambda: formula,
            lambda s: find(now(s).values, now(s).values[2 + block * parts.of_block + head]),
            doubt=lambda s: float(now(s).doubts.sum()),
        )

    k = 2 + block * parts.of_block
    mistakes = [
        Mistake(number(own.reference, lambda v, own: own), "That is what the head adds: what is left without it?"),
        Mistake(number(total, lambda v, own: v.sum()), "That is the logit with the head."),
        Mistake(number(f"{total}+{own.reference}", lambda v, own: v.sum() + own), "Added once more: take it away."),
    ]
    if len(all_heads) > 1:
        heads = Area(values.sheet, values.row, all_heads[0].column, 1, len(all_heads)).reference
        mistakes.append(
            Mistake(
                number(f"{total}-SUM({heads})", lambda v, own: v.sum() - v[k : k + len(all_heads)].sum()),
                f"That is without all heads of the block: it is head {head} only.",
            )
        )
    return Task(
        "head_off",
        "A head switched off",
        f"The sheet Contributions takes a logit apart. Without head {head} of block {block}, and all else as it is, "
        "what would be left of the logit?",
        [it.fixed(f"head {head}", own), it.fixed("all parts", values)],
        "The logit is the sum of all parts. A workbook of `build --lab` can really switch the head off.",
        lambda: f"{total}-{own.reference}",
        number(f"{total}-{own.reference}", lambda v, own: v.sum() - own),
        mistakes,
    )
