"""The tokenizer's tables: the sheet Merges, and the sheet Characters with kinds, byte letters and added tokens.

Every lookup is by number. Text lookups would ignore case and follow the locale.
"""

from collections.abc import Iterator, Sequence

from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import quoted
from sheetgpt.ooxml.rows import Cells, Row
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.text.tokenizer_layout import CHARACTERS, FIRST_ENTRY, MERGES, TOKENIZER, TokenizerLayout
from sheetgpt.text.bpe import Tables, length
from sheetgpt.text.characters import NAMES
from sheetgpt.text.tokenizer import byte_to_unicode

MERGE_HEADS = ("rank", "left id", "right id", "merged id", "left", "right", "", "key", "rank")
CHARACTER_HEADS = (
    *("from code point", "", "character", "kind", "", "", "byte", "letter", "token id", ""),
    *("number", "added token", "characters", "bytes", "token id"),
)


def sheets(layout: TokenizerLayout, palette: Palette, shown: Sequence[str], unit: int = 1) -> list[Sheet]:
    """Merges and Characters. `unit`: how many characters a program takes an emoji for."""
    tables = layout.tables
    names = {f"merge_{name}": [layout.lookups[name]] for name in ("keys", "ranks", "merged")}
    n_merges, n_characters = len(tables.keys), max(len(tables.kind_starts), 256, len(tables.added))
    return [
        Sheet(
            MERGES,
            "the pairs of tokens that join, by rank",
            lambda: merge_rows(tables, palette, shown),
            *(FIRST_ENTRY - 1 + n_merges, 9),
            names=names,
            links=[("A2", f"{quoted(TOKENIZER)}!A1")],
            dress=lambda frame: _dress(frame, (9, 9, 9, 10, 16, 16, 4, 15, 9)),
        ),
        Sheet(
            CHARACTERS,
            "kinds of characters, letters of bytes, special tokens",
            lambda: character_rows(tables, palette, unit),
            *(FIRST_ENTRY - 1 + n_characters, 15),
            links=[("A2", f"{quoted(TOKENIZER)}!A1")],
            dress=lambda frame: _dress(frame, (16, 10, 10, 7, 13, 4, 7, 8, 10, 4, 9, 22, 11, 8, 10)),
        ),
    ]


def _dress(frame: Worksheet, widths: Sequence[int]) -> None:
    frame.sheet_properties.tabColor = "548235"
    frame.freeze_panes = f"A{FIRST_ENTRY}"
    for i, width in enumerate(widths, 1):
        frame.column_dimensions[rows.letters(i)].width = width


def _head(palette: Palette, title: str, note: str, heads: Sequence[str]) -> Iterator[Row]:
    yield rows.row(1, rows.text(1, title, palette["title"]), height=24)
    yield rows.row(2, rows.text(1, "← Tokenizer", palette["link"]), rows.text(3, note, palette["note"]))
    n = FIRST_ENTRY - 1
    yield rows.row(n, *(rows.text(c, head, palette["header"]) for c, head in enumerate(heads, 1) if head))


def merge_rows(tables: Tables, palette: Palette, shown: Sequence[str]) -> Iterator[Row]:
    """By rank on the left, for people and for the merged id; on the right the ranks by key, for the binary search."""
    note = f"The pairs that join, in the order they were learned. key = left id × {tables.n_vocab} + right id, sorted."
    yield from _head(palette, "Merges", note, MERGE_HEADS)
    plain, token = palette["id"], palette["token"]
    for i, (key, rank) in enumerate(zip(tables.keys, tables.ranks, strict=True)):
        n = FIRST_ENTRY + i
        cells: Cells = ()
        if i < len(tables.pairs):
            (left, right), merged = tables.pairs[i], tables.merged[i]
            numbers = (i, left, right, merged)
            cells = rows.joined(rows.number(c, value, plain) for c, value in enumerate(numbers, 1))
            cells += rows.text(5, shown[left], token) + rows.text(6, shown[right], token)
        yield rows.row(n, cells, rows.number(8, key, plain), rows.number(9, rank, palette["rank"]))


def character_rows(tables: Tables, palette: Palette, unit: int) -> Iterator[Row]:
    note = "Unicode as GPT-2 sees it: where each kind of character begins; letters of bytes; special tokens."
    yield from _head(palette, "Characters", note, CHARACTER_HEADS)
    letters = byte_to_unicode()
    for i in range(max(len(tables.kind_starts), 256, len(tables.added))):
        n = FIRST_ENTRY + i
        cells: Cells = ()
        if i < len(tables.kind_starts):
            cells += _run(n, tables.kind_starts[i], tables.kinds[i], palette)
        if i < 256:
            cells += rows.number(7, i, palette["index"]) + rows.text(8, letters[i], palette["token"])
            cells += rows.number(9, tables.byte_ids[i], palette["id"])
        if i < len(tables.added):
            token, number = tables.added[i]
            cells += rows.number(11, i + 1, palette["index"]) + rows.text(12, token, palette["token"])
            # The program's own count: characters beyond U+FFFF are two in Excel.
            cells += rows.formula(13, f"LEN($L${n})", length(token, unit), palette["id"])
            cells += rows.number(14, len(token.encode()), palette["id"]) + rows.number(15, number, palette["id"])
        yield rows.row(n, cells)


def _run(n: int, code: int, kind: int, palette: Palette) -> Cells:
    return rows.joined(
        (
            rows.number(1, code, palette["id"]),
            rows.text(2, f"U+{code:04X}", palette["label"]),
            rows.text(3, chr(code) if code > 32 else "", palette["token"]),
            rows.number(4, kind, palette["id"]),
            rows.text(5, NAMES[kind], palette["label"]),
        )
    )
