"""The layouts of the sheets between text and ids: parts of a workbook's layout that only one with a tokenizer has.

They need the tokenizer's tables, which a `Layout` alone, read back from a file, does not know.
"""

from dataclasses import dataclass

from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.text.tokenizer_layout import TokenizerLayout
from sheetgpt.text.bpe import Tables

DECODING = "Decoding"
FIRST = 8  # the row of the first token and of the first byte
TOKEN_COLUMNS = ("number", "id", "token", "hex", "size", "end")
BYTE_COLUMNS = ("row", "of", "nth", "byte", "need", "code", "text")


def decoded_bytes(n_tokens: int) -> int:
    """The bytes that the sheet has rows for: 16 a token, which is four times what text needs."""
    return min(max(512, 16 * n_tokens), 4096)


@dataclass(frozen=True)
class DecodingLayout:
    """`ids`: a row or column of cells, blank after the last id. `vocab_hex`: each token's bytes, by id."""

    ids: Area
    vocab_shown: Area
    vocab_hex: Area
    name: str = "completion"  # of the cell with the text
    capacity: int = 512  # bytes

    @property
    def n_tokens(self) -> int:
        return self.ids.n_rows * self.ids.n_columns

    @property
    def text(self) -> Area:
        return Area(DECODING, 3, 4)

    @property
    def total(self) -> Area:
        """The number of bytes."""
        return Area(DECODING, 4, 4)

    def column(self, name: str) -> Area:
        """One of the tokens' columns, or of the bytes'."""
        if name in TOKEN_COLUMNS:
            return Area(DECODING, FIRST, TOKEN_COLUMNS.index(name) + 1, self.n_tokens)
        return Area(DECODING, FIRST, BYTE_COLUMNS.index(name) + len(TOKEN_COLUMNS) + 2, self.capacity)


@dataclass(frozen=True)
class Text:
    """The sheets that turn text into ids and ids into text."""

    tokenizer: TokenizerLayout
    decoding: DecodingLayout

    @classmethod
    def of(cls, layout: Layout, tables: Tables) -> "Text":
        """Those of one workbook: the prompt's cell is read, and the ids of all columns are decoded."""
        shown, hexes = layout["vocab_shown"], layout["vocab_hex"]
        return cls(
            TokenizerLayout(tables, layout.read_prompt, shown, layout.prompt_bytes, layout.merge_rounds),
            DecodingLayout(layout["token_ids"], shown, hexes, "decoded", decoded_bytes(layout.context)),
        )
