"""A word that stands for one token, as it is typed on a command line or in Python.

`king` is the token with a space before it where there is one, as words are in a text, and else the token as it is
typed; ` king` with its space is only the first. `#123` is a token's id.
"""

import re
from collections.abc import Iterator, Sequence

from sheetgpt.errors import SheetGPTError, cut
from sheetgpt.text.shown import show
from sheetgpt.text.tokenizer import Tokenizer

ID = re.compile(r"#([0-9]{1,9})")


def one_token(word: str | int, tokenizer: Tokenizer | None, n_vocab: int) -> int:
    """The id of the one token that a word is. Raises SheetGPTError, with the tokens that the word falls into."""
    found = token_or_none(word, tokenizer) if isinstance(word, str) else int(word)
    if found is None:
        raise not_one(str(word), tokenizer)
    if not 0 <= found < n_vocab:
        raise SheetGPTError(f"There is no token {found}: the model's are 0 to {n_vocab - 1}.")
    return found


def token_or_none(word: str, tokenizer: Tokenizer | None) -> int | None:
    """The id, which the model may lack; None where the word is not one token."""
    number = ID.fullmatch(word)
    if number:
        return int(number[1])
    return next((ids[0] for ids in _readings(word, tokenizer) if len(ids) == 1), None)


def not_one(word: str, tokenizer: Tokenizer | None) -> SheetGPTError:
    """What is said of a word that is not one token."""
    typed = repr(cut(word, 40))
    if tokenizer is None:
        return SheetGPTError(f"The model has no tokenizer files: give a token by its id, such as #5, not {typed}.")
    pieces = next(_readings(word, tokenizer), [])
    if not pieces:
        return SheetGPTError(f"{typed} is no token of this model: give a word that is one token, or an id such as #5.")
    spelt = cut(" ".join(f"“{show(tokenizer.token_bytes(i))}”" for i in pieces), 120)
    return SheetGPTError(
        f"{typed} is {len(pieces)} tokens of this model, {spelt}: give a word that is one token, or a token's id, such "
        f"as #{pieces[0]}."
    )


def _readings(word: str, tokenizer: Tokenizer | None) -> Iterator[Sequence[int]]:
    """The ids of the word after a space, then of the word alone."""
    if tokenizer is None or not word:
        return
    for spelling in (" " + word, word):
        try:
            ids = tokenizer.encode(spelling)
        except SheetGPTError:  # the vocabulary lacks the space, or a character
            continue
        yield ids[len(tokenizer.prefix) : len(ids) - len(tokenizer.suffix)]
