"""A task of the sheet Exercises: what is asked, the right answer, the mistakes that are recognised, the solution.

Each number is a formula and its twin. `marks` says what the check beside a yellow cell makes of what stands in it, in
the order in which it looks: the right answer, each mistake, the right answer rounded, a mistake rounded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sheetgpt.sheets.state import State
from sheetgpt.sheets.tensor import Value

SAME, LEAST = 1.7e-7, 0.001  # relative to the number, and at least to this: no engine's rounding comes near
ROUNDED = 0.0005017  # three decimals; not 0.0005, on which a number of few digits could lie exactly
HALF = 0.5017  # but never so much of a small number
NEAR = 0.02
RIGHT = "✓"
ROUNDED_RIGHT = "✓ to 3 decimals. Let the cell compute it, and you have all of them."
SIGN = "The sign is wrong."
CLOSE = "Close. Was something rounded on the way, or left out that is small?"
NOT_YET = "Not yet. The + on the left opens a hint."
NO_NUMBER = "A number is asked for, and this is a text or an error."

Twin = Callable[[State], float]


@dataclass(frozen=True)
class Number:
    """A number, as a formula and its twin.

    `formula()` is that of one cell. With `across`, `formula(t)` is that of position t; only where t is the last token
    of the prompt it is computed.
    """

    formula: Callable[..., str]
    twin: Twin
    across: bool = False
    doubt: Callable[[State], float] | None = None


@dataclass(frozen=True)
class Mistake:
    """What comes out when something typical goes wrong, and what is said then."""

    number: Number
    words: str


@dataclass(frozen=True)
class Link:
    """A cell that names cells of the workbook, for the column of the prompt's last token, and leads to their row."""

    formula: Callable[[], str]
    twin: Callable[[State], str]
    place: str


@dataclass(frozen=True)
class Task:
    """`solution` is a formula for the yellow cell, `whole` says that the answer is a count.

    `says`, where no number is asked for: the check, of the answer's cell, and its twin.
    """

    name: str
    title: str
    ask: str | tuple[Callable[[], str], Callable[[State], str]]
    links: Sequence[Link]
    hint: str
    solution: Callable[[], str]
    right: Number
    mistakes: Sequence[Mistake] = ()
    whole: bool = False
    choices: Sequence[str] = ()
    says: tuple[Callable[[str], str], Callable[[Value, State], str]] | None = None
    answer: Callable[[State], Value] | None = None  # the solution's twin, where it isn't the right number


def quoted(words: str) -> str:
    """A text as a formula has it."""
    return '"' + words.replace('"', '""') + '"'


def same(a: str, x: str) -> str:
    return f"ABS({a}-{x})<={SAME:.8f}*(ABS({x})+{LEAST})"


def same_now(a: float, x: float) -> bool:
    return abs(a - x) <= SAME * (abs(x) + LEAST)


def rounded(a: str, x: str) -> str:
    return f"ABS({a}-{x})<=MIN({ROUNDED},{HALF}*ABS({x}))"


def rounded_now(a: float, x: float) -> bool:
    return abs(a - x) <= min(ROUNDED, HALF * abs(x))


def typed(answer: str, found: str, otherwise: str) -> str:
    """`found` where there is an answer, nothing where there is none, `otherwise` where it is an error or a text."""
    sentence = quoted(otherwise)
    text = f'IF({answer}="","",{sentence})'
    return f'IF(ISERROR({answer}),{sentence},IF(ISBLANK({answer}),"",IF(ISTEXT({answer}),{text},{found})))'


def marks(task: Task, answer: str, right: str, wrong: Sequence[str]) -> str:
    """The check's formula. `answer`, `right`, `wrong`: the cells of the yellow cell, of the number, of each mistake."""
    rules = [(same(answer, right), RIGHT)]
    rules += [(same(answer, x), m.words) for x, m in zip(wrong, task.mistakes, strict=True)]
    if not task.whole:
        rules.append((rounded(answer, right), ROUNDED_RIGHT))
        rules.append((same(answer, f"(-{right})"), SIGN))
        rules += [(rounded(answer, x), m.words) for x, m in zip(wrong, task.mistakes, strict=True)]
        rules.append((f"ABS({answer}-{right})<={NEAR}*ABS({right})", CLOSE))
    found = quoted(NOT_YET)
    for condition, words in reversed(rules):
        found = f"IF({condition},{quoted(words)},{found})"
    return typed(answer, found, NO_NUMBER)


def marks_now(task: Task, answer: Value, state: State) -> str:
    """The twin of `marks`."""
    if isinstance(answer, str):
        return NO_NUMBER if answer else ""
    right = task.right.twin(state)
    wrong: list[tuple[float, str]] = [(m.number.twin(state), m.words) for m in task.mistakes]
    if same_now(answer, right):
        return RIGHT
    exact = next((words for x, words in wrong if same_now(answer, x)), "")
    if exact or task.whole:
        return exact or NOT_YET
    if rounded_now(answer, right):
        return ROUNDED_RIGHT
    if same_now(answer, -right):
        return SIGN
    near = next((words for x, words in wrong if rounded_now(answer, x)), "")
    return near or (CLOSE if abs(answer - right) <= NEAR * abs(right) else NOT_YET)


def answer_now(task: Task, state: State) -> Value:
    """What the solution comes to."""
    return task.right.twin(state) if task.answer is None else task.answer(state)


def one(formula: Callable[..., str], twin: Callable[[State], Any], **more: Any) -> Number:
    return Number(formula, lambda state: float(twin(state)), **more)
