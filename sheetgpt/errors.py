"""The one exception for the person at the keyboard: a sentence that says what is wrong, where, and what to do.

And how a text from elsewhere (a file's name, a token, a cell) is shown, in such a sentence or on the screen: a control
character can move a terminal's cursor, U+202E turns a name round, a megabyte hides the sentence around it.
"""

import re
import unicodedata

MOST = 1_000  # characters of a sentence
NATURAL = "\u200c\u200d"  # invisible, but part of how Persian and emoji are written
_PLAIN = re.compile(r"[ -~]*")


def visible(text: object, most: int | None = None, keep: str = "") -> str:
    """The text with what can't be seen written as Python writes it (\\x1b, \\u202e, \\udcff), except what is in `keep`.

    Of a text longer than `most` the middle is left out.
    """
    text = cut(str(text), most)
    if _PLAIN.fullmatch(text):
        return text
    return "".join(c if c in keep or _is_seen(c) else c.encode("unicode_escape").decode() for c in text)


def cut(text: str, most: int | None) -> str:
    """The beginning and the end of a long text, and how much is missing between them."""
    if most is None or len(text) <= most:
        return text
    head, tail = most * 2 // 3, most // 3
    return f"{text[:head]} … ({len(text) - head - tail:,} characters more) … {text[-tail:]}"


def _is_seen(character: str) -> bool:
    """Not a control, a format character, half a surrogate pair, or a line's or paragraph's end (Unicode 4.5)."""
    return character in NATURAL or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


class SheetGPTError(Exception):
    """Bad input, a broken limit or a missing program; the command line prints it without a traceback and exits 2."""

    def __init__(self, sentence: object = "") -> None:
        super().__init__(visible(sentence, MOST))
