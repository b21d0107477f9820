"""What kind of character each code point is, for GPT-2's pattern: white space, letter, number, anything else.

Asked of the reference itself, once a process: the `tokenizers` package has its own Unicode tables, older than those of
other libraries (17,000 letters and numbers of scripts that Unicode added since are "anything else" to it).
"""

from functools import cache

from tokenizers import Regex, pre_tokenizers

ADDED, SPACE, LETTER, NUMBER, OTHER = range(5)  # ADDED: inside a token such as <|endoftext|>
NAMES = ("added token", "space", "letter", "number", "other")

_PATTERNS = ((SPACE, r"\s"), (LETTER, r"\p{L}"), (NUMBER, r"\p{N}"))
# No version of Unicode has letters, numbers or spaces from plane 4 on; asking about those too takes four times as long.
_ASKED = 0x40000


@cache
def kind_ranges() -> tuple[list[int], list[int]]:
    """Where each run of code points of one kind begins, in order, and its kind."""
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, _ASKED)]))
    runs = pre_tokenizers.Split(Regex(r"\s+|\p{L}+|\p{N}+|[^\s\p{L}\p{N}]+"), "isolated").pre_tokenize_str(every)
    firsts = [run[0] for run, _ in runs]
    kinds = dict.fromkeys(firsts, OTHER)
    for kind, pattern in _PATTERNS:
        # Each first character stands alone on its line, and only those of this kind are pieces without the line's end.
        alone = pre_tokenizers.Split(Regex(f"(?!\n){pattern}"), "isolated").pre_tokenize_str("\n".join(firsts))
        kinds.update({piece: kind for piece, _ in alone if piece in kinds})
    return [ord(first) for first in firsts], [kinds[first] for first in firsts]
