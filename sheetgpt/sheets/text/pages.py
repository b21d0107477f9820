"""The sheets between text and ids: parts of a workbook that only one with a tokenizer has.

They need the tokenizer's tables, which a `Layout` alone, read back from a file, does not know.
"""

from dataclasses import dataclass

from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Page
from sheetgpt.sheets.text import bpe_by_hand, decoding, tables, tokenizer
from sheetgpt.sheets.text.columns import Sizes
from sheetgpt.text.bpe import Tables


@dataclass(frozen=True)
class Text:
    """Their pages, and the sizes of the Tokenizer sheet."""

    sizes: Sizes
    merges: Page
    characters: Page
    tokenizer: Page
    decoding: Page
    by_hand: Page

    @classmethod
    def of(cls, layout: Layout, own: Tables) -> "Text":
        """Those of one workbook: the prompt's cell is read, and the ids of all columns are decoded."""
        sizes = Sizes(own, layout.prompt_bytes, layout.merge_rounds)
        shown, hexes = layout["vocab_shown"], layout["vocab_hex"]
        back = decoding.page(layout["token_ids"], shown, hexes, "decoded", decoding.n_bytes(layout.context))
        return cls.between(sizes, layout.read_prompt, shown, back)

    @classmethod
    def between(cls, sizes: Sizes, prompt: Area, shown: Area, back: Page) -> "Text":
        """`prompt` is the cell that is read, `shown` has the tokens by id; `back` is the way from ids to text."""
        merges, characters = tables.merges(sizes.tables), tables.characters(sizes.tables)
        reads = tokenizer.page(sizes, merges, characters, prompt, shown)
        return cls(sizes, merges, characters, reads, back, bpe_by_hand.page(reads))
