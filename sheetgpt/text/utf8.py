"""The Decoding sheet's algorithm in Python, byte by byte: the twin of sheets/text/decoding.py.

Bytes become text as Python's errors="replace" does it: a sequence that breaks off, as far as it was right, is one
U+FFFD (Unicode 15, section 3.9, "substitution of maximal subparts").
"""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Decoded:
    """What each row holds after its byte."""

    need: list[int] = field(default_factory=list)  # bytes that the character still lacks; -1: this byte fits nowhere
    code: list[int] = field(default_factory=list)  # the code point so far
    text: list[str] = field(default_factory=list)  # everything up to here


def decode(data: Sequence[int]) -> Decoded:
    done = Decoded()
    for i, byte in enumerate(data):
        before, above = (done.need[-1], data[i - 1]) if i else (0, 0)
        goes_on = before > 0 and lowest(above) <= byte <= highest(above)
        if goes_on:
            need, code = before - 1, done.code[-1] * 64 + byte - 128
        else:
            need = 0 if byte < 128 else -1 if byte < 194 or byte > 244 else 1 + (byte > 223) + (byte > 239)
            code = byte - (192 if need == 1 else 224 if need == 2 else 240 if need == 3 else 0)
        out = "\ufffd" if before > 0 and not goes_on else ""
        out += "\ufffd" if need == -1 or (need > 0 and i + 1 == len(data)) else ""
        out += visible(code) if need == 0 else ""
        done.need.append(need)
        done.code.append(code)
        done.text.append((done.text[-1] if i else "") + out)
    return done


def lowest(above: int) -> int:
    """The least byte that may follow: after E0 and F0 less would be needlessly long."""
    return 160 if above == 224 else 144 if above == 240 else 128


def highest(above: int) -> int:
    """The greatest: after ED more would be a surrogate, after F4 beyond Unicode."""
    return 159 if above == 237 else 143 if above == 244 else 191


def visible(code: int) -> str:
    """No cell can hold U+0000."""
    return chr(code or 0x2400)
