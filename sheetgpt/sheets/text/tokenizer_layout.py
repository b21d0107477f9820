"""Where everything of the tokenizer lives: a byte of the prompt a row, a column each step, and the tables they look in.

The sheet holds `capacity` bytes and `rounds` merge rounds; both and the tokenizer's tables determine it.
"""

from dataclasses import dataclass
from functools import cached_property

from sheetgpt.errors import SheetGPTError
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.limits import MAX_COLUMN, MAX_ROW, MAX_TEXT
from sheetgpt.text.bpe import Tables

TOKENIZER, MERGES, CHARACTERS = "Tokenizer", "Merges", "Characters"
TEXT_ROW, MESSAGE_ROW, LABEL_ROW, VALUE_ROW = 2, 3, 4, 5
SECTION_ROW, WORDS_ROW, HEADER_ROW, ZERO_ROW, FIRST_BYTE = 6, 7, 8, 9, 10
FIRST_ENTRY = 5  # of every table on the sheets Merges and Characters
LINE_BREAK = "↵"  # in the prompt's cell: LibreOffice 26 drops a line feed there, LEN("a", line feed, "b") is 2

COLUMNS = (
    *("row", "position", "character", "code", "n_bytes", "nth", "byte", "letter"),
    *("added", "left", "kind", "kind_name", "start", "short", "word", "last"),
    *("final", "count", "number", "at", "id", "token"),
)
LIST = ("number", "at", "id", "token")  # the columns with a row for each token
SUMMARY = ("length", "unit", "n_bytes", "n_words", "n_rounds", "n_tokens", "problem")
ROUND = ("id", "token", "n_bytes", "rank", "best", "merge")
FIRST_ROUND = len(COLUMNS) + 2  # one column is left free for words


@dataclass(frozen=True)
class TokenizerLayout:
    """`prompt` is the cell with the text, `vocab_shown` the column of token strings by id."""

    tables: Tables
    prompt: Area
    vocab_shown: Area
    capacity: int = 256
    rounds: int = 48

    def __post_init__(self) -> None:
        if not 1 <= self.capacity <= MAX_TEXT:
            raise SheetGPTError(
                f"--prompt-bytes {self.capacity} is not between 1 and {MAX_TEXT}, the characters that a cell holds."
            )
        if not 1 <= self.rounds <= (MAX_COLUMN - FIRST_ROUND) // len(ROUND):
            raise SheetGPTError(f"{self.rounds} merge rounds don't fit on a sheet of {MAX_COLUMN:,} columns.")
        if self.last_column > MAX_COLUMN:
            raise SheetGPTError(f"{len(self.tables.added):,} added tokens don't fit on the sheet Tokenizer.")
        if len(self.tables.keys) > MAX_ROW - FIRST_ENTRY:
            raise SheetGPTError(f"The {len(self.tables.merged):,} merges don't fit on a sheet of {MAX_ROW:,} rows.")

    def column(self, name: str) -> Area:
        """A column of the Tokenizer sheet: a row for each byte, or for each token that there may be."""
        n = self.n_ids if name in LIST else self.capacity
        return Area(TOKENIZER, FIRST_BYTE, COLUMNS.index(name) + 1, n)

    @property
    def n_ids(self) -> int:
        """The most tokens: one for each byte, and those that the tokenizer puts around every text."""
        return self.capacity + len(self.tables.prefix) + len(self.tables.suffix)

    def round(self, r: int, name: str) -> Area:
        """A column of merge round r, which counts from 0."""
        column = FIRST_ROUND + r * len(ROUND) + ROUND.index(name)
        return Area(TOKENIZER, FIRST_BYTE, column, self.capacity)

    def group(self, g: int) -> Area:
        """A column for each group of added tokens, where they are more than one formula looks for."""
        return Area(TOKENIZER, FIRST_BYTE, FIRST_ROUND + self.rounds * len(ROUND) + 1 + g, self.capacity)

    @property
    def n_groups(self) -> int:
        return len(self.tables.groups) if len(self.tables.groups) > 1 else 0

    @property
    def last_column(self) -> int:
        """Of the Tokenizer sheet."""
        return self.group(self.n_groups - 1).column if self.n_groups else self.runs().last_column

    def runs(self, r: int | None = None) -> Area:
        """The cell that says whether round r runs; without r, the line that has all of them."""
        if r is None:
            return Area(TOKENIZER, ZERO_ROW, FIRST_ROUND, 1, self.rounds * len(ROUND))
        return Area(TOKENIZER, ZERO_ROW, self.round(r, "id").column)

    def open_pairs(self, r: int) -> Area:
        """The cell that counts the pairs which can merge in round r."""
        return Area(TOKENIZER, WORDS_ROW, self.round(r, "rank").column)

    @cached_property
    def cells(self) -> dict[str, Area]:
        """Single cells of the Tokenizer sheet."""
        summary = {name: Area(TOKENIZER, VALUE_ROW, 4 + i) for i, name in enumerate(SUMMARY)}
        return {"text": Area(TOKENIZER, TEXT_ROW, 4), "message": Area(TOKENIZER, MESSAGE_ROW, 4), **summary}

    @cached_property
    def lookups(self) -> dict[str, Area]:
        """The columns of the tables."""
        merges, bytes_, added = len(self.tables.keys), 256, len(self.tables.added)
        starts = len(self.tables.kind_starts)
        sizes = (
            *((MERGES, 4, "merged", max(len(self.tables.merged), 1)), (MERGES, 8, "keys", merges)),
            *((MERGES, 9, "ranks", merges), (CHARACTERS, 1, "kind_starts", starts), (CHARACTERS, 4, "kinds", starts)),
            *((CHARACTERS, 8, "letters", bytes_), (CHARACTERS, 9, "byte_ids", bytes_)),
            *((CHARACTERS, 11, "added_numbers", added), (CHARACTERS, 12, "added_texts", added)),
            *((CHARACTERS, 13, "added_lengths", added), (CHARACTERS, 14, "added_bytes", added)),
            (CHARACTERS, 15, "added_ids", added),
        )
        return {name: Area(sheet, FIRST_ENTRY, column, n) for sheet, column, name, n in sizes if n}

    def names(self) -> dict[str, list[Area]]:
        """The Tokenizer sheet's defined names."""
        columns = {f"tokenizer_{name}": [self.column(name)] for name in ("byte", "word", "final")}
        cells = {
            f"tokenizer_{name}": [self.cells[name]] for name in ("message", "n_tokens", "problem", "n_rounds", "unit")
        }
        return {"tokenizer_ids": [self.column("id")]} | columns | cells
