"""The Tokenizer sheet's algorithm in Python, a column and a byte at a time.

The twin of `reading.py` and `merging.py` in sheets/text.

In: a text and the tables of one tokenizer. Out: what every cell of the sheet holds, and so the ids.
The scheme is from github.com/openai/gpt-2, `src/encoder.py`; a rank is a merge's place in the list of merges.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from sheetgpt.text.characters import ADDED, LETTER, SPACE, kind_ranges
from sheetgpt.text.sheet_limits import check_characters, check_flags, check_order
from sheetgpt.text.tokenizer import Tokenizer

Cell = int | Literal[""]  # a blank cell is the empty text, as a formula gives it
BLANK: Cell = ""
NO_PAIR = 999_999  # the rank of what doesn't merge: above that of every merge
GROUP = 50  # added tokens that one formula looks for: it stays under 4,000 characters
NO_KEY = -1_000_000_000_000  # below every key, so that the binary search always lands somewhere

FITS, EMPTY, TOO_LONG, TOO_MANY_ROUNDS, HALF_CHARACTER, NO_TOKEN = (
    "fits",
    "empty",
    "too long",
    "too many rounds",
    "half a character",
    "no token",
)


def sentences(capacity: int, rounds: int, tables: "Tables | None" = None) -> dict[str, str]:
    """What to say of each status, in the words that the Tokenizer sheet and the command line share."""
    empty = "The prompt is empty: type some text."
    if tables and (tables.prefix or tables.suffix):
        empty = "The prompt is empty, so the model reads only the tokens that its tokenizer puts around every text."
    elif tables and tables.empty:
        empty = "The prompt is empty, so <|endoftext|>, the token between two texts, takes its place."
    return {
        FITS: "The whole prompt was read.",
        EMPTY: empty,
        TOO_LONG: f"The prompt has more than the {capacity} bytes that this workbook has room for: shorten it.",
        HALF_CHARACTER: "The prompt holds half a character, which is not text: delete it and type it again.",
        NO_TOKEN: "The prompt holds something for which this model has no token: leave it out.",
        TOO_MANY_ROUNDS: f"A word of the prompt needs more than {rounds} merge rounds: shorten it or put spaces in it.",
    }


@dataclass(frozen=True)
class Tables:
    """A tokenizer as numbers. `keys` are sorted, `left id * n_vocab + right id`; `merged` goes by rank."""

    n_vocab: int
    byte_ids: Sequence[int]  # -1 where the vocabulary lacks the byte's letter
    pairs: Sequence[tuple[int, int]]  # left and right id, by rank
    merged: Sequence[int]
    keys: Sequence[int]
    ranks: Sequence[int]
    kind_starts: Sequence[int]
    kinds: Sequence[int]
    added: Sequence[tuple[str, int]]  # text and id, the longest last; -1 for a token that the model has no row for
    prefix: Sequence[int] = ()  # the ids that stand before every text
    suffix: Sequence[int] = ()  # and behind it
    empty: Sequence[int] = ()  # the ids of an empty text

    @cached_property
    def groups(self) -> list[list[tuple[int, str]]]:
        """The added tokens by their numbers, which count from 1, as many together as one formula looks for."""
        numbered = [(k, token) for k, (token, _) in enumerate(self.added, 1)]
        return [numbered[first : first + GROUP] for first in range(0, len(numbered), GROUP)]

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "Tables":
        ids = {**tokenizer.vocab, **tokenizer.added}
        pairs = [(ids[left], ids[right]) for left, right in tokenizer.merges]
        merged = [ids[left + right] for left, right in tokenizer.merges]
        check_order(tokenizer, pairs, merged)
        check_flags(tokenizer)
        check_characters(tokenizer)
        n_vocab = tokenizer.n_vocab
        by_key = {left * n_vocab + right: rank for rank, (left, right) in enumerate(pairs)}  # a repeated pair: its last
        keys = [NO_KEY, *sorted(by_key)]
        starts, kinds = kind_ranges()
        return cls(
            n_vocab,
            tokenizer.byte_ids,
            pairs,
            merged,
            keys,
            [NO_PAIR, *(by_key[key] for key in keys[1:])],
            starts,
            kinds,
            [
                (token, -1 if token in tokenizer.beyond else tokenizer.added[token])
                for token in sorted(tokenizer.added, key=lambda token: (len(token.encode()), token))
            ],
            tokenizer.prefix,
            tokenizer.suffix,
            tokenizer.empty,
        )


def length(text: str, unit: int) -> int:
    """LEN(text), where a character beyond U+FFFF counts as `unit`."""
    return len(text) + (unit - 1) * sum(character > "\uffff" for character in text)


@dataclass
class Round:
    """One merge round, a byte a row."""

    id: list[Cell] = field(default_factory=list)  # of the token that starts at this byte
    n_bytes: list[Cell] = field(default_factory=list)
    rank: list[Cell] = field(default_factory=list)  # of its pair with the token after it, in the same word
    best: list[Cell] = field(default_factory=list)  # the smallest rank in the word so far
    merge: list[Cell] = field(default_factory=list)  # 1: joins with the token after it

    @property
    def n_open(self) -> int:
        return sum(1 for rank in self.rank if rank != "" and rank != NO_PAIR)


@dataclass
class Trace:
    """Every column of the sheet, `n` bytes long; and the ids, or why there are none."""

    text: str = ""
    position: list[int] = field(default_factory=list)
    code: list[int] = field(default_factory=list)
    n_bytes: list[int] = field(default_factory=list)
    nth: list[int] = field(default_factory=list)
    byte: list[int] = field(default_factory=list)
    groups: list[list[int]] = field(default_factory=list)  # where there are more than GROUP: of each group, by column
    added: list[int] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    start: list[int] = field(default_factory=list)
    short: list[int] = field(default_factory=list)
    word: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    final: list[Cell] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    starts: list[Cell] = field(default_factory=list)  # the row of each id, from 1; blank where it is in no row
    status: str = FITS

    unit: int = 1  # how many characters an emoji counts as: 2 where the program counts in UTF-16, as Excel does

    @property
    def n(self) -> int:
        return len(self.byte)

    def in_utf16(self) -> "Trace":
        """The same in a program that counts in UTF-16: only the positions differ."""
        positions: list[int] = []
        for i, (position, nth) in enumerate(zip(self.position, self.nth, strict=True)):
            first = i == 0 or nth > 1
            wide = 0 if first else (self.code[i - 1] > 0xFFFF) + positions[-1] - self.position[i - 1]
            positions.append(positions[-1] if nth > 1 else position + wide)
        return replace(self, unit=2, position=positions)


def run(text: str, tables: Tables, capacity: int = 256, rounds: int = 48) -> Trace:
    """The sheet after `text` was typed into the prompt cell."""
    trace = Trace(text)
    _bytes(trace, text, capacity)
    _added(trace, text, tables)
    _kinds(trace, tables)
    _words(trace)
    while trace.n and len(trace.rounds) < rounds and (not trace.rounds or trace.rounds[-1].n_open):
        before = trace.rounds[-1] if trace.rounds else None
        trace.rounds.append(_round(trace, before, tables))
    _result(trace, text, tables, capacity)
    return trace


def _bytes(trace: Trace, text: str, capacity: int) -> None:
    """UTF-8: RFC 3629."""
    for position, character in enumerate(text, 1):
        code = ord(character)
        if 0xD800 <= code <= 0xDFFF:
            code = -1
        n = 1 + (code >= 0x80) + (code >= 0x800) + (code >= 0x10000)
        for nth in range(1, n + 1):
            if trace.n == capacity:
                return
            for column, value in (("position", position), ("code", code), ("n_bytes", n), ("nth", nth)):
                getattr(trace, column).append(value)
            trace.byte.append(_byte(code, n, nth))


def _byte(code: int, n: int, nth: int) -> int:
    if n == 1:
        return max(code, 0)
    if nth == 1:
        return 256 - (1 << 8 - n) + (code >> 6 * (n - 1))
    return 128 + (code >> 6 * (n - nth)) % 64


def _added(trace: Trace, text: str, tables: Tables) -> None:
    """The longest added token that starts here, and the bytes that are left of it."""
    trace.groups = [[] for _ in tables.groups] if len(tables.groups) > 1 else []
    for i in range(trace.n):
        before = trace.left[-1] if i else 0
        here = trace.position[i] - 1 if before <= 1 and trace.nth[i] == 1 else None
        of_groups = [_longest(text, here, group) for group in tables.groups]
        found = max(of_groups, default=0)
        trace.added.append(found)
        for column, longest in zip(trace.groups, of_groups, strict=False):
            column.append(longest)
        n = len(tables.added[found - 1][0].encode()) if found else 0
        trace.left.append(before - 1 if before > 1 else n)


def _longest(text: str, here: int | None, group: Sequence[tuple[int, str]]) -> int:
    """The number of the longest of these added tokens that stands `here` in the text, 0 for none."""
    return 0 if here is None else max((k for k, token in group if text.startswith(token, here)), default=0)


def _kinds(trace: Trace, tables: Tables) -> None:
    for i in range(trace.n):
        kind = tables.kinds[bisect_right(tables.kind_starts, max(trace.code[i], 0)) - 1]
        trace.kind.append(ADDED if trace.left[i] else kind)


def _words(trace: Trace) -> None:
    """What the pattern 's|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+ cuts."""
    for i in range(trace.n):
        trace.start.append(int(_starts(trace, i)))
        trace.short.append(trace.short[-1] - 1 if i and trace.short[-1] > 1 else _short(trace, i))
        trace.word.append((trace.word[-1] if i else 0) + trace.start[i])
    for i in reversed(range(trace.n)):
        inside = i + 1 < trace.n and trace.word[i + 1] == trace.word[i]
        trace.last.insert(0, trace.last[0] if inside else i + 1)


def _starts(trace: Trace, i: int) -> bool:
    """Does a word start at this byte?"""
    if i == 0 or trace.nth[i] > 1:
        return i == 0
    if trace.kind[i] == ADDED:
        return trace.added[i] > 0
    if trace.kind[i - 1] == ADDED or trace.short[i - 1] == 1:
        return True
    if trace.short[i - 1] > 1:
        return False
    if trace.kind[i] == SPACE:  # the last space before something else belongs to what follows, or stands alone
        after = i + trace.n_bytes[i]
        return trace.kind[i - 1] != SPACE or (after < trace.n and trace.kind[after] > SPACE)
    return trace.code[i - 1] != 32 and trace.kind[i - 1] != trace.kind[i]


def _short(trace: Trace, i: int) -> int:
    """The length of 's, 't, 're, 've, 'm, 'll, 'd where one starts here, else 0."""
    if trace.byte[i] != 39 or not trace.start[i] or trace.kind[i] == ADDED:
        return 0
    following = zip(trace.byte[i + 1 : i + 3], trace.kind[i + 1 : i + 3], strict=True)
    letters = bytes(byte if kind == LETTER else 0 for byte, kind in following)
    if letters[:1] in (b"s", b"t", b"m", b"d"):
        return 2
    return 3 if letters in (b"re", b"ve", b"ll") else 0


def _round(trace: Trace, before: Round | None, tables: Tables) -> Round:
    this = Round()
    for i in range(trace.n):
        token, n = _token(trace, before, tables, i)
        this.id.append(token)
        this.n_bytes.append(n)
    for i, (token, n) in enumerate(zip(this.id, this.n_bytes, strict=True)):
        rank: Cell = ""
        if token != "" and n != "":
            right = this.id[i + n] if i + n < trace.last[i] else ""
            rank = NO_PAIR if right == "" else _rank(tables, token * tables.n_vocab + right)
        this.rank.append(rank)
        this.best.append(rank if trace.start[i] else _smaller(this.best[-1], rank))
    for i, rank in enumerate(this.rank):
        above = this.merge[-1] if i else 0
        wins = rank != NO_PAIR and rank == this.best[trace.last[i] - 1] and not above
        this.merge.append(above if rank == "" else int(wins))
    return this


def _token(trace: Trace, before: Round | None, tables: Tables, i: int) -> tuple[Cell, Cell]:
    """The token that starts at byte i after the round before, and its length."""
    if before is None:
        if trace.added[i]:
            return tables.added[trace.added[i] - 1][1], trace.left[i]
        return ("", "") if trace.left[i] else (tables.byte_ids[trace.byte[i]], 1)
    token, n, rank = before.id[i], before.n_bytes[i], before.rank[i]
    if token == "" or n == "" or rank == "" or (i and before.merge[i - 1] == 1):
        return "", ""
    if before.merge[i] == 0:
        return token, n
    swallowed = before.n_bytes[i + n]
    assert swallowed != ""
    return tables.merged[rank], n + swallowed


def _rank(tables: Tables, key: int) -> int:
    at = bisect_right(tables.keys, key) - 1
    return tables.ranks[at] if tables.keys[at] == key else NO_PAIR


def _smaller(a: Cell, b: Cell) -> Cell:
    """MIN over two cells, which leaves texts out."""
    return b if a == "" else a if b == "" else min(a, b)


def _result(trace: Trace, text: str, tables: Tables, capacity: int) -> None:
    end = trace.rounds[-1] if trace.rounds else Round()
    trace.final = list(end.id)
    if not text:
        trace.status = EMPTY
        trace.ids = [*tables.empty]
        trace.starts = [BLANK] * len(trace.ids)
        return
    if len(text.encode(errors="replace")) > capacity:
        trace.status = TOO_LONG
    elif min(trace.code) < 0:
        trace.status = HALF_CHARACTER
    elif -1 in trace.rounds[0].id:
        trace.status = NO_TOKEN
    elif end.n_open:
        trace.status = TOO_MANY_ROUNDS
    else:
        places: list[Cell] = [i for i, token in enumerate(end.id, 1) if token != ""]
        before, after = ([BLANK] * len(ids) for ids in (tables.prefix, tables.suffix))
        trace.starts = [*before, *places, *after]
        trace.ids = [*tables.prefix, *(token for token in end.id if token != ""), *tables.suffix]
