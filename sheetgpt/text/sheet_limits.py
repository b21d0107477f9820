"""What a tokenizer may ask for and the Tokenizer sheet can't do: refused by its name, rather than read differently."""

from collections.abc import Iterator, Sequence, Set

from sheetgpt.errors import SheetGPTError
from sheetgpt.text.tokenizer import Tokenizer

# Read as a line feed; stands for one in the prompt's cell; not to be had in XML, or in no cell.
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
    early = {token for token, flags in tokenizer.flags.items() if not flags["normalized"]}
    begins = {token[:n] for token in early for n in range(1, len(token) + 1)}
    for token in (token for token, flags in tokenizer.flags.items() if flags["normalized"]):
        first = next(_found_before(token, early, begins), None)
        if first is not None:
            raise SheetGPTError(
                f"The added tokens {token!r} (marked normalized) and {first!r} (not normalized) can overlap in a text, "
                f"which the Tokenizer sheet doesn't support."
            )


def _found_before(token: str, early: Set[str], begins: Set[str]) -> Iterator[str]:
    """The `early` tokens that begin inside `token` in some text, which the sheet would read as `token` first.

    Not so where a longer early token always begins with `token` there: aaa in aaaa, if `token` is aa.
    """
    yield from sorted({token[i:j] for i in range(len(token)) for j in range(i + 1, len(token) + 1)} & early)
    longer = tuple(other for other in early if len(other) > len(token))
    for n in (n for n in range(1, len(token)) if token[n:] in begins):
        for other in sorted(early):
            if other.startswith(token[n:]) and not (token[:n] + other).startswith(longer):
                yield other


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
