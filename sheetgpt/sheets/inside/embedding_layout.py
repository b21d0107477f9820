"""Where everything on the sheet Embedding lies: the text, the words, the tables beside the map, then the workings."""

from dataclasses import dataclass

from sheetgpt.inspection.embedding import ANALOGIES, NEAREST
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.grid import FIRST_TOKEN
from sheetgpt.sheets.inside.asked import TOKENS
from sheetgpt.sheets.layout import Layout

EMBEDDING = "Embedding"
WORDS = ("word", "a", "b", "c")
ACROSS, UP, NAME = TOKENS + 1, TOKENS + 2, TOKENS + 3  # rows: the text's tokens on the map
ASKED = 12  # the row of the first yellow cell
TABLES = 20  # the first rank
MAP_ROWS, MAP_COLUMNS = 28, 12
FEATURES = 3  # the first column of the rows that are looked up: the four words', then their sum
CENTRE = FEATURES + len(WORDS) + 1  # then the two axes
LENGTH, NEAR, NEAR_SUM, SPELLED = 3, 4, 5, 6  # columns of every token


@dataclass(frozen=True)
class EmbeddingLayout:
    """`n_common`: how many tokens are on the map."""

    layout: Layout
    n_common: int

    def word(self, i: int) -> Area:
        """A yellow cell."""
        return Area(EMBEDDING, ASKED + i, 3)

    def strip(self, row: int) -> Area:
        return Area(EMBEDDING, row, FIRST_TOKEN, 1, self.layout.context)

    @property
    def nearest(self) -> Area:
        """Cosine and id, a rank a row."""
        return Area(EMBEDDING, TABLES, 3, NEAREST, 2)

    @property
    def analogy(self) -> Area:
        """Cosine and id, a rank a row."""
        return Area(EMBEDDING, self.nearest.last_row + 4, 3, ANALOGIES, 2)

    @property
    def map_row(self) -> int:
        """The first row beside the map."""
        return TABLES - 1

    @property
    def spelled(self) -> Area:
        """A word a row: its spelling after a space, that one's number and place, and the same as it is typed."""
        return Area(EMBEDDING, self.map_row + MAP_ROWS + 3, 3, len(WORDS), 6)

    @property
    def spellings(self) -> list[Area]:
        """The eight texts that are looked for, in the order of their numbers, which count from 1."""
        return [self.spelled.line(i).stripe(c) for i in range(len(WORDS)) for c in (0, 3)]

    @property
    def sizes(self) -> Area:
        """Above the rows that are looked up: lengths, and how far the map's centre lies along its axes."""
        return Area(EMBEDDING, self.spelled.last_row + 4, FEATURES, 1, len(WORDS) + 4)

    @property
    def features(self) -> Area:
        """The four words' rows of wte, and a - b + c."""
        return Area(EMBEDDING, self.sizes.row + 1, FEATURES, self.layout.config.n_embd, len(WORDS) + 1)

    @property
    def axes(self) -> Area:
        """The centre of the map and its two directions."""
        return Area(EMBEDDING, self.features.row, CENTRE, self.layout.config.n_embd, 3)

    @property
    def common(self) -> Area:
        """Across and up."""
        return Area(EMBEDDING, self.features.last_row + 4, 3, self.n_common, 2)

    @property
    def every(self) -> Area:
        """Length, cosine with the word, cosine with the sum, and the number of the spelling that it is."""
        return Area(EMBEDDING, self.common.last_row + 4, LENGTH, self.layout.config.n_vocab, 4)

    @property
    def last_column(self) -> int:
        return FIRST_TOKEN + max(MAP_COLUMNS, self.layout.context) - 1
