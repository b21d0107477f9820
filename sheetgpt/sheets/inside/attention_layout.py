"""Where everything stands on the sheet Attention.

On the left, a token a column as everywhere, the pattern of the chosen head, a key a row; below it the table of all
heads, a head a row, and their entropies, again a token a column. On the right of the pattern, in the same rows and in
narrow columns, a small map for every head of the block, and two that the table counts by.
"""

from dataclasses import dataclass
from functools import cached_property

from sheetgpt.inspection.attention import MEASURES
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.choosers import Chooser
from sheetgpt.sheets.grid import FIRST_TOKEN
from sheetgpt.sheets.layout import Layout

ATTENTION = "Attention"
KEY, PLACE, SHARE, ORDER = 1, 2, 3, 4  # columns on the left of the pattern
NONE = "–"  # an average over no token
LAST = "last"  # of the positions to choose from: the last token of the text, however long it is
TYPED, SHOWN, RANKED = 3, 4, 5  # columns C, D and E beside the choosers
CHOICES = 4  # the first of the choosers' rows
OFFERED, BAR, POSITIONS, IDS, TOKENS, ACTIVE, PATTERN = 7, 8, 9, 10, 11, 12, 13  # rows
ROOM = 14  # columns that the table and its words take, at least


@dataclass(frozen=True)
class Places:
    """The areas of one workbook's sheet."""

    layout: Layout

    def _row(self, row: int) -> Area:
        """A cell for every position."""
        return Area(ATTENTION, row, FIRST_TOKEN, 1, self.layout.context)

    @property
    def positions(self) -> Area:
        return self._row(POSITIONS)

    @property
    def ids(self) -> Area:
        return self._row(IDS)

    @property
    def tokens(self) -> Area:
        return self._row(TOKENS)

    @property
    def active(self) -> Area:
        return self._row(ACTIVE)

    @property
    def pattern(self) -> Area:
        """[key, query], of the chosen head."""
        return Area(ATTENTION, PATTERN, FIRST_TOKEN, self.layout.context, self.layout.context)

    @property
    def bar_end(self) -> int:
        """The last column of a section's title row."""
        return FIRST_TOKEN - 1 + max(self.layout.context, ROOM)

    def beside(self, column: int) -> Area:
        """A cell for every key, on the left of the pattern."""
        return Area(ATTENTION, PATTERN, column, self.layout.context)

    def small_map(self, k: int) -> Area:
        """The k-th on the right of the pattern."""
        width = self.layout.context
        first = FIRST_TOKEN + max(width, ROOM) + 1 + k * (width + 1)
        return Area(ATTENTION, PATTERN, first, width, width)

    @property
    def copies(self) -> Area:
        """1 where the key is an earlier copy of the query's token."""
        return self.small_map(self.layout.config.n_head)

    @property
    def distance(self) -> Area:
        """How many tokens before the query the key stands."""
        return self.small_map(self.layout.config.n_head + 1)

    @property
    def has_copy(self) -> Area:
        """Below `copies`: 1 where the query has one."""
        return Area(ATTENTION, self.pattern.last_row + 1, self.copies.column, 1, self.layout.context)

    # The table of all heads, and their entropies

    @property
    def n_heads(self) -> int:
        return self.layout.config.n_layer * self.layout.config.n_head

    @property
    def counts(self) -> Area:
        """Over how many tokens each measure, and the entropy, is averaged."""
        return Area(ATTENTION, self.pattern.last_row + 5, FIRST_TOKEN, 1, len(MEASURES) + 1)

    @property
    def table(self) -> Area:
        """The measures and the entropy, a head a row."""
        return Area(ATTENTION, self.counts.row + 1, FIRST_TOKEN, self.n_heads, len(MEASURES) + 1)

    @property
    def most(self) -> Area:
        """In words, what each head does most."""
        return Area(ATTENTION, self.table.row, self.table.last_column + 2, self.n_heads)

    @property
    def entropies(self) -> Area:
        """In bits, a head a row, a token a column."""
        return Area(ATTENTION, self.table.last_row + 4, FIRST_TOKEN, self.n_heads, self.layout.context)

    # What is chosen, and what is shown for it

    def _beside_choosers(self, i: int, column: int) -> Area:
        return Area(ATTENTION, CHOICES + i, column)

    @cached_property
    def choosers(self) -> tuple[Chooser, ...]:
        """Block, head, and the token that the words are about."""
        blocks = Area(ATTENTION, OFFERED, FIRST_TOKEN + self.layout.context + 2, 1, self.layout.config.n_layer)
        heads = Area(ATTENTION, OFFERED, blocks.last_column + 2, 1, self.layout.config.n_head)
        tokens = Area(ATTENTION, OFFERED, FIRST_TOKEN - 1, 1, self.layout.context + 1)
        entries = (
            ("attention_block", blocks, "Block", "Whose heads to show. Block 0 reads first."),
            ("attention_head", heads, "Head", "Which of the block's heads to show large."),
            ("attention_token", tokens, "Token", f"The position of the token to describe, or “{LAST}”."),
        )
        return tuple(
            Chooser(name, self._beside_choosers(i, TYPED), offered, title, words)
            for i, (name, offered, title, words) in enumerate(entries)
        )

    @property
    def block(self) -> Area:
        """The block that is shown; `head` and `token` likewise."""
        return self._beside_choosers(0, SHOWN)

    @property
    def head(self) -> Area:
        return self._beside_choosers(1, SHOWN)

    @property
    def token(self) -> Area:
        """-1 where there is no text."""
        return self._beside_choosers(2, SHOWN)

    @property
    def ranked(self) -> Area:
        """The positions of the three tokens that the chosen one looks at most."""
        return Area(ATTENTION, CHOICES, RANKED, 3)

    @property
    def said(self) -> Area:
        """On the chosen token, on the chosen head, on what it does with copies, and on what can't be chosen."""
        return Area(ATTENTION, CHOICES - 1, FIRST_TOKEN, 4)

    @property
    def last_row(self) -> int:
        return self.entropies.last_row

    @property
    def last_column(self) -> int:
        return max(self.distance.last_column, self.choosers[1].offered.last_column)
