"""Where a function that takes one value gets a range or an array: `SUMPRODUCT(MAX(EXACT(A1:A3,B1)*C1:C3))`.

Excel calculates that inside SUMPRODUCT, but no document promises it for every nesting, and programs disagree: IronCalc
puts an @ before such a range inside MAX, and Gnumeric takes operators down a range, but neither EXACT nor ABS.
What an argument wants is the function's class of it (`intersection.py`).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sheetgpt.excel_rules.formula.intersection import ARRAY, RANGE, RETURNS_ARRAY, argument_class, takes_values_only


@dataclass
class _Open:
    """A parenthesis, or the formula itself: the range or array of its current argument, and what it hands on."""

    function: str  # a function's name, "(" or "{", or empty for the formula itself
    start: int  # index of its token
    argument: int = 0
    array: int | None = None
    result: int | None = None
    given: list[int] = field(default_factory=list)  # of every argument: its first range or array

    def settle(self) -> None:
        """The current argument ends. Where a function wants a range or an array, it makes one value of it."""
        if self.array is not None:
            self.given.append(self.array)
            if self.function == "(" or argument_class(self.function, self.argument) not in (RANGE, ARRAY):
                self.result = self.array if self.result is None else self.result
        self.argument, self.array = self.argument + 1, None


def one_value_wanted(tokens: Sequence[tuple[str, str]], areas: Collection[int]) -> tuple[int, int] | None:
    """Indices of the first function that takes one value and gets more, and of the range or array that it gets.

    `areas`: indices of the tokens that are ranges of several cells, references and names alike.
    """
    stack = [_Open("", -1)]
    for i, (kind, text) in enumerate(tokens):
        top = stack[-1]
        if i in areas or text == ":":
            top.array = i if top.array is None else top.array
        elif kind == "function":
            stack.append(_Open(text[:-1], i))
        elif kind == "mark" and text in ("(", "{"):
            stack.append(_Open(text, i))
        elif kind == "mark" and text in ",;" and top.function != "{":
            top.settle()
        elif kind == "mark" and text in ")}":
            top.settle()
            stack.pop()
            if top.given and takes_values_only(top.function):
                return top.start, top.given[0]
            whole = text == "}" or top.function.upper() in RETURNS_ARRAY
            found = top.start if whole else top.result
            stack[-1].array = found if stack[-1].array is None else stack[-1].array
    return None
