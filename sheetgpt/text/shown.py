"""Tokens as something that can be seen: a space as ·, a line feed as ↵, bytes that are no character as ⟨E2⟩."""

import unicodedata

from sheetgpt.text.tokenizer import Tokenizer

MARKS = {" ": "·", "\n": "↵", "\t": "→", "\r": "␍", "\u00a0": "⍽"}


def token_strings(tokenizer: Tokenizer | None, n_vocab: int) -> tuple[list[str], list[str]]:
    """For each id, what to show (a space as ·, a stray byte as ⟨E2⟩) and its bytes in hexadecimal.

    Where nothing is known, `#12` and no bytes.
    """
    if tokenizer is None:
        return [f"#{i}" for i in range(n_vocab)], [""] * n_vocab
    known = [tokenizer.token_bytes(i) if i < tokenizer.n_vocab else None for i in range(n_vocab)]
    return (
        [f"#{i}" if b is None else show(b) for i, b in enumerate(known)],
        ["" if b is None else b.hex().upper() for b in known],
    )


def show(token: bytes) -> str:
    """A token's bytes as something that can be seen."""
    try:
        text = token.decode()
    except UnicodeDecodeError:
        return "⟨" + token.hex(" ").upper() + "⟩"
    return "".join(_visible(c) for c in text)


def _visible(c: str) -> str:
    if c in MARKS:
        return MARKS[c]
    if ord(c) < 32:
        return chr(0x2400 + ord(c))
    return f"⟨U+{ord(c):04X}⟩" if unicodedata.category(c) in ("Cc", "Cf", "Cn", "Co", "Zl", "Zp") else c
