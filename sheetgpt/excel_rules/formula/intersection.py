"""Where Excel would cut a range down to one of its cells: `SUM(IF(A1:A3>0,1,0))` becomes `SUM(IF(@A1:A3>0,1,0))`.

A plain formula in a file is one of the old language, without dynamic arrays: a range that stands where one value is
wanted means its cell in the formula's own row or column (Microsoft Support, "Implicit intersection operator: @"; seen
in exceljs #1491, XlsxWriter #737 and #980). LibreOffice often does so, too, and the other engines don't. What an
argument wants is the function's class of it ([MS-XLSB] 2.5.98.10 Ftab: val, ref or an array; array formulas aside).
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

VALUE, RANGE, ARRAY = "V", "R", "A"
BRANCH = "B"  # handed on as it is, so that what stands around the function decides
SINGLE = "S"  # a value even inside SUMPRODUCT: `SUMPRODUCT(IF(A1:A3>0,1,0))` needs an array formula

# the classes of the arguments, the part in parentheses over and over; a function that is not named takes values
_BY_CLASSES = {
    "(A)": "CORREL COVAR COVARIANCE.P MMULT MODE MODE.SNGL SUMPRODUCT SUMX2MY2 SUMX2PY2 SUMXMY2",
    "(R)": "AND AVEDEV AVERAGE COUNT COUNTA COUNTBLANK COLUMNS DEVSQ FREQUENCY GCD GEOMEAN HARMEAN ISREF LCM MAX "
    "MEDIAN MIN N OR PRODUCT ROWS STDEV STDEV.P STDEV.S STDEVP SUM SUMSQ T VAR VAR.P VAR.S VARP XOR",
    "(RV)": "COUNTIF COUNTIFS LARGE PERCENTILE PERCENTILE.INC SMALL",
    "V(R)": "SUBTOTAL",
    "RVR": "AVERAGEIF SUMIF",
    "R(RV)": "AVERAGEIFS SUMIFS",
    "VR(V)": "HLOOKUP MATCH RANK RANK.AVG RANK.EQ VLOOKUP",
    "V(A)": "LOOKUP",
    "A(V)": "INDEX",
    "S(B)": "CHOOSE IF",
    "(S)": "IFERROR IFNA TRANSPOSE",
    "(B)": "COLUMN ROW",
}
_CLASSES = {name: classes for classes, names in _BY_CLASSES.items() for name in names.split()}
RETURNS_ARRAY = frozenset(("MMULT", "TRANSPOSE", "FREQUENCY"))
_OPERATORS = frozenset(("+", "-", "*", "/", "^", "&", "=", "<>", "<", ">", "<=", ">=", "%"))


def argument_class(function: str, i: int) -> str:
    """What argument i (from 0) of the function wants; `function` as the file writes it."""
    classes = _CLASSES.get(function.upper().removeprefix("_XLFN."), "(V)")
    fixed, _, rest = classes.partition("(")
    if i < len(fixed):
        return fixed[i]
    repeated = rest.rstrip(")")
    return repeated[(i - len(fixed)) % len(repeated)] if repeated else VALUE


def takes_values_only(function: str) -> bool:
    """Whether no argument of the function is for a range: MID, EXACT, ABS; not MATCH, which looks in one."""
    return function not in ("", "(", "{") and function.upper().removeprefix("_XLFN.") not in _CLASSES


@dataclass
class _Open:
    """A parenthesis, or the formula itself: which ranges stand in its current argument, and is it calculated with."""

    function: str  # a function's name, "(" or "{", or empty for the formula itself
    argument: int = 0
    operated: bool = False
    ranges: list[tuple[int, bool]] = field(default_factory=list)  # index of the token, already calculated with
    result: list[tuple[int, bool]] = field(default_factory=list)  # what the parenthesis hands on

    @property
    def wants(self) -> str:
        if self.function in ("", "(", "{"):
            return SINGLE if not self.function else BRANCH
        return argument_class(self.function, self.argument)


def cut_to_one(tokens: Sequence[tuple[str, str]], areas: Collection[int]) -> int | None:
    """Index of the first token whose range Excel would cut to one cell. `areas`: indices of the tokens that are ranges
    of several cells, references and names alike."""
    stack = [_Open("")]
    for i, (kind, text) in enumerate(tokens):
        top = stack[-1]
        if i in areas or text == ":":
            top.ranges.append((i, False))
        elif kind == "function":
            stack.append(_Open(text[:-1]))
        elif text in ("(", "{"):
            stack.append(_Open(text))
        elif kind == "mark" and text in _OPERATORS:
            top.operated = True
        elif kind == "mark" and text in ",)}":
            if (found := _settle(stack)) is not None:
                return found
            if text == ",":
                continue
            stack.pop()
            stack[-1].ranges += top.result
            if top.function.upper() in RETURNS_ARRAY:
                stack[-1].ranges.append((_start(tokens, i), False))
    return _settle(stack)


def _settle(stack: list[_Open]) -> int | None:
    """The current argument ends: which of its ranges has no right to be one."""
    top = stack[-1]
    wants = top.wants
    for i, before in top.ranges:
        operated = before or top.operated
        if top.function == "(":
            top.result.append((i, operated))
        elif wants == BRANCH and not operated:
            top.result.append((i, False))
        elif wants == SINGLE or (wants != ARRAY and (operated or wants == VALUE) and not _in_array(stack)):
            return i
        elif wants == BRANCH:
            top.result.append((i, True))
    top.argument, top.operated, top.ranges = top.argument + 1, False, []
    return None


def _in_array(stack: list[_Open]) -> bool:
    """Does a function around the current one calculate with arrays?"""
    for around in reversed(stack[:-1]):
        if around.wants in (ARRAY, SINGLE):
            return around.wants == ARRAY
    return False


def _start(tokens: Sequence[tuple[str, str]], end: int) -> int:
    """The function whose parenthesis closes at `end`."""
    depth = 0
    for i in range(end, -1, -1):
        kind, text = tokens[i]
        if kind == "mark" and text in ")}":
            depth += 1
        elif kind == "function" or text in ("(", "{"):
            depth -= 1
            if not depth:
                return i
    return end


def is_area(text: str) -> bool:
    """`A1:A3`, and `A1:A1`, of which Excel makes a range, too; the sheet's name aside."""
    return ":" in re.sub(r"'(?:[^']|'')*'!", "", text)
