"""A token that is asked for by a word: its bytes in hexadecimal, found in the column of the vocabulary's.

Digits and A to F say no small and capital letters and hold no wildcard, so that MATCH, which minds neither, finds the
word and no other. As on the sheet Embedding, the word with a space before it comes first; · is a space, ↵ a line feed.
"""

from collections.abc import Sequence

from sheetgpt.inspection.embedding import SPACE
from sheetgpt.sheets.inputs import LINE_BREAK

LONGEST, NONE = 20, "–"  # characters of a word; what stands for one that is not in ASCII, and is found nowhere


def hexadecimal(typed: str) -> str:
    """The bytes of a text in ASCII; a number has none."""
    word = f'SUBSTITUTE(SUBSTITUTE({typed},"{SPACE}"," "),"{LINE_BREAK}",CHAR(10))'

    def one(k: int) -> str:
        code = f"_xlfn.UNICODE(MID({word},{k},1))"
        return f'IF(LEN({typed})<{k},"",IF({code}<128,DEC2HEX({code},2),"{NONE}"))'

    found = "&".join([*map(one, range(1, LONGEST + 1)), f'IF(LEN({typed})>{LONGEST},"{NONE}","")'])
    return f'IF(ISTEXT({typed}),IFERROR({found},"{NONE}"),"")'


def hexadecimal_now(typed: object) -> str:
    """The twin of `hexadecimal`."""
    if not isinstance(typed, str):
        return ""
    word = typed.replace(SPACE, " ").replace(LINE_BREAK, "\n")
    found = "".join(f"{ord(c):02X}" if ord(c) < 128 else NONE for c in word[:LONGEST])
    return found + (NONE if len(word) > LONGEST else "")


def place(spelled: str, hexes: str) -> str:
    """Where the word's token stands in the vocabulary, from 1 on; 0 where no token is the word."""
    found = f'IFERROR(MATCH("20"&{spelled},{hexes},0),IFERROR(MATCH({spelled},{hexes},0),0))'
    return f'IF({spelled}="",0,{found})'


def id_now(typed: object, hexes: Sequence[str]) -> int | None:
    """The twin of `place`, as an id."""
    spelled = hexadecimal_now(typed)
    known = (found for found in ("20" + spelled, spelled) if spelled and found in hexes)
    first = next(known, None)
    return None if first is None else [*hexes].index(first)
