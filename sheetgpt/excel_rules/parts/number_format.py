"""The grammar of a number format's code, section by section, parted by semicolons: `#,##0.00;[Red]-#,##0.00;"-";@`.

In: a code as the stylesheet or a chart holds it, in Excel's English spelling. Out: its first fault. From ECMA-376
part 1, section 18.8.31, and the ABNF in [MS-OI29500] 2.1.712 and [MS-XLS] 2.4.126; what Excel finds malformed it
"repairs" by dropping every format. Where the ABNF is silent (literals of other alphabets, East Asian calendars, how
often a letter may stand) it lets things pass.
"""

import re

from sheetgpt.ooxml.limits import MAX_NUMBER_FORMAT

MAX_SECTIONS, MAX_CONDITIONS = 4, 2

_TOKEN = re.compile(
    r"""(?P<literal>"[^"]*"|\\.|_.|\*.|[-+$():!^&'~{}<>=\ ]|[^\x00-\x7f])
    |\[(?P<bracket>[^\]]*)\]
    |(?P<general>general)
    |(?P<ampm>am/pm|a/p)
    |(?P<exponent>e[-+])
    |(?P<date>y+|m+|d+|h+|s+|g+|b+|e+|a{3,4}|r+)
    |(?P<digit>[0\#?])
    |(?P<number>[1-9])
    |(?P<mark>[.,%/@;])""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_COLOR = re.compile(r"black|blue|cyan|green|magenta|red|white|yellow|color *([1-9]|[1-4]\d|5[0-6])", re.IGNORECASE)
_CONDITION = re.compile(r"(<[=>]?|>=?|=) *-?\d+(\.\d+)?(E[-+]?\d+)?", re.IGNORECASE)
_LOCALE = re.compile(r"\$[^\]]*", re.DOTALL)
_ELAPSED = re.compile(r"h+|m+|s+", re.IGNORECASE)
_NUMERALS = re.compile(r"DBNum[1-4]|Hijri|ENG", re.IGNORECASE)
_KINDS = {"color": _COLOR, "condition": _CONDITION, "locale": _LOCALE, "elapsed": _ELAPSED, "numerals": _NUMERALS}

Token = tuple[str, str]  # kind, text


def number_format_fault(code: str) -> str | None:
    """What is wrong with it, as the end of a sentence; None for a sound one."""
    if not 1 <= len(code) <= MAX_NUMBER_FORMAT:
        return f"it has {len(code)} characters, not 1 to {MAX_NUMBER_FORMAT}"
    sections: list[list[Token]] = [[]]
    position = 0
    while position < len(code):
        found = _TOKEN.match(code, position)
        if not found:
            return _unreadable(code[position:])
        position = found.end()
        kind, text = str(found.lastgroup), found[0]
        if text == ";":
            sections.append([])
            continue
        if kind == "bracket":
            kind = next((k for k, pattern in _KINDS.items() if pattern.fullmatch(found[kind])), "")
            if not kind:
                return f"{text} is not a color, condition, language or time span"
        sections[-1].append((kind, text))
    return _sections_fault(sections)


def _unreadable(rest: str) -> str:
    endings = {'"': "a quote is not closed", "[": "a bracket is not closed"}
    return endings.get(rest[0], f"{rest[:12]!r} is neither a placeholder nor a text in quotes")


def _sections_fault(sections: list[list[Token]]) -> str | None:
    if len(sections) > MAX_SECTIONS:
        return f"it has {len(sections)} sections; {MAX_SECTIONS} are allowed"
    if sum(kind == "condition" for section in sections for kind, _ in section) > MAX_CONDITIONS:
        return f"it has more than {MAX_CONDITIONS} conditions"
    if any(("mark", "@") in section for section in sections[:-1]):
        return "the placeholder for text, @, stands before the last section"
    return next((fault for section in sections if (fault := _section_fault(section))), None)


def _section_fault(section: list[Token]) -> str | None:
    kinds = [kind for kind, _ in section]
    for kind in ("color", "condition", "locale", "general"):
        if kinds.count(kind) > 1:
            return f"a section has more than one {kind}: {', '.join(text for k, text in section if k == kind)}"
    is_date = any(kind in ("date", "elapsed") for kind in kinds)
    is_text = ("mark", "@") in section
    has_digits = "digit" in kinds
    if is_date:
        section = _without_fractions(section)
        has_digits = any(kind == "digit" for kind, _ in section)
    if sum((is_date, is_text, "general" in kinds, has_digits)) > 1:
        return "a section mixes numbers, dates, texts or General"
    return None if is_date or is_text or "general" in kinds else _number_fault(section)


def _without_fractions(section: list[Token]) -> list[Token]:
    """`ss.000` and `[s].0`: the zeros after a point belong to the time."""
    kept: list[Token] = []
    after_point = False
    for token in section:
        after_point = token[1] == "." or (after_point and token == ("digit", "0"))
        if not after_point:
            kept.append(token)
    return kept


def _number_fault(section: list[Token]) -> str | None:
    """`#,##0.00%`, `0.00E+00` or `# ??/16`."""
    used = [(kind, text) for kind, text in section if kind in ("digit", "number", "exponent", "mark")]
    texts = [text for _, text in used]
    if texts.count(".") > 1 or texts.count("/") > 1:
        return "a section has two decimal points or fraction bars"
    powers = [i for i, (kind, _) in enumerate(used) if kind == "exponent"]
    if len(powers) > 1:
        return "a section has two exponents"
    if powers and not (_has_digit(used[: powers[0]]) and _has_digit(used[powers[0] + 1 :])):
        return f"the exponent {texts[powers[0]]} lacks digits before or after it"
    if "/" in texts and _has_digit(used):
        bar = texts.index("/")
        after = any(kind in ("digit", "number") for kind, _ in used[bar + 1 :])
        if not after or not _has_digit(used[:bar]) or "." in texts or powers:
            return "a fraction must be digits, a bar and digits"
    return None


def _has_digit(tokens: list[Token]) -> bool:
    return any(kind == "digit" for kind, _ in tokens)
