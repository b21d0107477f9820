"""What a tokenizer may ask for and the Tokenizer sheet can't do: refused by its name, rather than read differently."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import count

from sheetgpt.errors import SheetGPTError
from sheetgpt.text.tokenizer import Tokenizer

# Read as a line feed; stands for one in the prompt's cell; not to be had in XML, or in no cell.
MAX_TOKEN = 256  # characters of an added token that is compared with others
MAX_STEPS = 1_000_000  # of comparing them
UNKEPT = "\r↵\0\ufffe\uffff"


def check_order(tokenizer: Tokenizer, pairs: Sequence[tuple[int, int]], merged: Sequence[int]) -> None:
    """A round merges every occurrence of a pair at once; that is the reference's result only if no later token of the
    list makes an earlier pair possible, which holds for every list that training wrote."""
    born = {token: rank for rank, token in reversed(list(enumerate(merged)))}
    for rank, (left, right) in enumerate(pairs):
        if max(born.get(left, -1), born.get(right, -1)) >= rank:
            a, b = tokenizer.merges[rank]
            raise SheetGPTError(
                f"Merge {rank + 1}, {a!r} + {b!r}, comes before the merge that makes one of its parts; "
                f"the Tokenizer sheet needs the merges in the order in which they were learned."
            )


def check_flags(tokenizer: Tokenizer) -> None:
    """The sheet finds added tokens wherever they stand, the longest first; flags may ask for more than that.

    `tokenizers` looks for those that aren't normalized first, in the whole text. That is another result only where one
    of them can begin inside one that is normalized: of two that begin together, the sheet takes the longer one, too.
    """
    for token, flags in tokenizer.flags.items():
        wanted = [flag for flag in ("lstrip", "rstrip", "single_word") if flags.get(flag)]
        if wanted:
            raise SheetGPTError(
                f"The added token {token!r} is marked {wanted[0]}, which the Tokenizer sheet doesn't support."
            )
    early = sorted(token for token, flags in tokenizer.flags.items() if not flags["normalized"])
    late = [token for token, flags in tokenizer.flags.items() if flags["normalized"]] if early else []
    steps = count()
    for token in late:
        if len(token) > MAX_TOKEN:
            raise SheetGPTError(
                f"An added token marked normalized, {token!r:.40}, has {len(token):,} characters; the Tokenizer sheet "
                f"supports {MAX_TOKEN:,}."
            )
        first = next(_found_before(token, early, steps), None)
        if first is not None:
            raise SheetGPTError(
                f"The added tokens {token!r} (marked normalized) and {first!r} (not normalized) can overlap in a text, "
                f"which the Tokenizer sheet doesn't support."
            )


def _found_before(token: str, early: Sequence[str], steps: Iterator[int]) -> Iterator[str]:
    """The `early` tokens (sorted) that begin inside `token` in some text, which the sheet would read as `token` first.

    Not so where a longer early token always begins with `token` there: aaa in aaaa, if `token` is aa.
    """
    for i in range(len(token)):
        inside = token[i:]
        yield from _beginnings(inside, early)
        for k in range(bisect_left(early, inside), len(early)) if i else ():
            if not early[k].startswith(inside):
                break
            if next(steps) > MAX_STEPS:
                raise SheetGPTError(
                    "The added tokens, of which some are marked normalized, can overlap one another in too many ways; "
                    "the Tokenizer sheet doesn't support that."
                )
            whole = token[:i] + early[k]
            if early[k] != inside and not any(len(other) > len(token) for other in _beginnings(whole, early)):
                yield early[k]


def _beginnings(text: str, words: Sequence[str]) -> Iterator[str]:
    """Those of the sorted words with which the text begins, the longest first."""
    at = bisect_right(words, text)
    while at and words[at - 1][:1] == text[:1]:
        word = words[at - 1]
        if text.startswith(word):
            yield word
        same = next((n for n, (a, b) in enumerate(zip(text, word, strict=False)) if a != b), len(word))
        text = text[: same if same < len(word) else len(word) - 1]
        at = bisect_right(words, text, 0, at - 1)


def check_characters(tokenizer: Tokenizer) -> None:
    """A cell must keep the text of an added token, and the prompt's cell must be able to hold it."""
    for token in tokenizer.added:
        found = [repr(character) for character in UNKEPT if character in token]
        if "\t" in token and "\n" in token:
            found.append("a tab and a line break")  # LibreOffice keeps the tab of a cell with lines as U+0001
        if found:
            raise SheetGPTError(
                f"The added token {token!r} holds {found[0]}, which a spreadsheet's cell doesn't keep as it is; the "
                f"Tokenizer sheet doesn't support that."
            )
