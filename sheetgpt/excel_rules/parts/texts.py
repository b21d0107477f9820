"""The rules of text: its length, the escapes `_xHHHH_` for what XML can't carry (ECMA-376 part 1, section 22.9.2.19
ST_Xstring), and the space at its ends."""

import re
from collections.abc import Iterator

from sheetgpt.ooxml.limits import MAX_TEXT

ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")


def escape_problems(text: str) -> Iterator[str]:
    """An escape must stand for what XML can't carry; a text that merely looks like one has its underscore escaped."""
    for found in ESCAPE.finditer(text):
        code = int(found[1], 16)
        if 0xD800 <= code <= 0xDFFF:
            yield f"The escape {found[0]} is half of a character; write the character itself."
        elif code == 0x5F:
            if not re.match(r"x[0-9A-Fa-f]{4}_", text[found.end() :]):
                yield f"The escape {found[0]} is needed only where a text looks like an escape; write _ itself."
        elif not (code < 0x20 or code in (0x7F, 0xFFFE, 0xFFFF)):
            yield f"{found[0]} would be read as {chr(code)!r}; a text that looks like it is written _x005F{found[0]}."


def text_problems(text: str) -> Iterator[str]:
    """Control characters themselves never come this far: the XML parser refuses them."""
    if len(text) < 100 and "_x" not in text:
        return
    yield from escape_problems(text)
    if (length := len(ESCAPE.sub("?", text).encode("utf-16-le", "surrogatepass")) // 2) > MAX_TEXT:
        yield f"The text has {length:,} characters; a cell holds {MAX_TEXT:,}."


def loses_space(text: str) -> bool:
    """Space at the ends, which is dropped unless the element says xml:space="preserve"."""
    return text != text.strip(" \t\r\n")
