"""The tokenizer's tables: the sheet Merges, and the sheet Characters with kinds, byte letters and added tokens.

Every lookup is by number. Text lookups would ignore case and follow the locale.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml.limits import MAX_ROW
from sheetgpt.sheets.block import Block, State
from sheetgpt.sheets.grid import CHARACTERS, MERGES, TOKENIZER
from sheetgpt.sheets.page import Beside, Page, Space, Texts
from sheetgpt.sheets.style.looks import GREEN, dress
from sheetgpt.text.bpe import Tables, length
from sheetgpt.text.characters import NAMES
from sheetgpt.text.tokenizer import byte_to_unicode

FIRST_ENTRY = 5  # the row
MOST = MAX_ROW - FIRST_ENTRY  # entries


def merges(tables: Tables) -> Page:
    """By rank on the left, for people and for the merged id; on the right the ranks by key, for the binary search."""
    here = Page(MERGES, "the pairs of tokens that join, by rank", 1, prefix="merge_")
    note = f"The pairs that join, in the order they were learned. key = left id × {tables.n_vocab} + right id, sorted."
    _head(here, note, ("rank", "left id", "right id", "merged id", "left", "right", "", "key", "rank"))
    lefts, rights = ([pair[side] for pair in tables.pairs] for side in (0, 1))
    here.add(
        Beside(
            _column(1, "rank", range(len(lefts))),
            _column(2, "left id", lefts),
            _column(3, "right id", rights),
            _column(4, "merged", tables.merged, named=True),
            _column(5, "left", lefts, "token", lambda s: [s.shown[id] for id in lefts]),
            _column(6, "right", rights, "token", lambda s: [s.shown[id] for id in rights]),
            _column(8, "keys", tables.keys, named=True),
            _column(9, "ranks", tables.ranks, "rank", named=True),
        )
    )
    here.dresses.append(_dress((9, 9, 9, 10, 16, 16, 4, 15, 9)))
    return here


def characters(tables: Tables) -> Page:
    here = Page(CHARACTERS, "kinds of characters, letters of bytes, special tokens", 1)
    note = "Unicode as GPT-2 sees it: where each kind of character begins; letters of bytes; special tokens."
    heads = (
        *("from code point", "", "character", "kind", "", "", "byte", "letter", "token id", ""),
        *("number", "added token", "characters", "bytes", "token id"),
    )
    _head(here, note, heads)
    letters, starts = byte_to_unicode(), tables.kind_starts
    columns = [
        _column(1, "kind_starts", starts),
        _column(2, "in Unicode's way", [f"U+{code:04X}" for code in starts], "label"),
        _column(3, "character", [chr(code) if code > 32 else "" for code in starts], "token"),
        _column(4, "kinds", tables.kinds),
        _column(5, "kind's name", [NAMES[kind] for kind in tables.kinds], "label"),
        _column(7, "byte", range(256), "index"),
        _column(8, "letters", [letters[byte] for byte in range(256)], "token"),
        _column(9, "byte_ids", tables.byte_ids),
    ]
    if tables.added:
        texts = [text for text, _ in tables.added]

        def n_characters(i: int, j: int) -> str:
            """The program's own count: characters beyond U+FFFF are two in Excel."""
            return f"LEN({here['added_texts'].line(i).local})"

        columns += [
            _column(11, "added_numbers", range(1, len(texts) + 1), "index"),
            _column(12, "added_texts", texts, "token"),
            replace(
                _column(13, "added_lengths", texts, twin=lambda s: [length(text, s.read.unit) for text in texts]),
                formula=n_characters,
            ),
            _column(14, "added_bytes", [len(text.encode()) for text in texts]),
            _column(15, "added_ids", [id for _, id in tables.added]),
        ]
    here.add(Beside(*columns))
    here.dresses.append(_dress((16, 10, 10, 7, 13, 4, 7, 8, 10, 4, 9, 22, 11, 8, 10)))
    return here


def _head(here: Page, note: str, heads: Sequence[str]) -> None:
    here.head(back=TOKENIZER, beside={3: note}, style="note")
    here.add(Space(FIRST_ENTRY - 1 - here.row), Texts({c: head for c, head in enumerate(heads, 1) if head}))


def _column(
    column: int,
    name: str,
    entries: Sequence[Any],
    style: str = "id",
    twin: Callable[[State], Sequence[Any]] | None = None,
    named: bool = False,
) -> Block:
    """`twin`: where only a state knows what the entries are."""
    own: dict[str, Any] = {"label": None, "style": style, "column": column, "named": named}
    return Block(name, max(len(entries), 1), 1, twin=twin or (lambda state: entries), **own)


def _dress(widths: Sequence[int]) -> Callable[[Worksheet], None]:
    return dress(dict(enumerate(widths, 1)), GREEN, f"A{FIRST_ENTRY}")
