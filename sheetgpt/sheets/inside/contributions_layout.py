"""Where everything on the sheet Contributions lies: what is asked, the tables that answer, and below them the workings.

The workings have a part of the network a column and a feature a row; each part's sums stand above its column.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.inspection.contributions import Part, depths, parts
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.grid import FIRST_TOKEN

CONTRIBUTIONS = "Contributions"
ASKED = 11  # the row of the first yellow cell
RANKS = 12  # parts in the list of the strongest
NAME, RANK, ADDS, SIZE, NUMBER = 1, 2, 3, 4, 5  # columns of that list
UNEMBEDDING, DIRECTION = 3, 4  # columns of the workings


@dataclass(frozen=True)
class ContributionsLayout:
    config: GPT2Config
    context: int
    scaled: bool

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        return parts(self.config)

    def _area(self, row: int, column: int, n_rows: int = 1, n_columns: int = 1) -> Area:
        return Area(CONTRIBUTIONS, row, column, n_rows, n_columns)

    # What is asked

    @property
    def position(self) -> Area:
        return self._area(ASKED, 3)

    @property
    def token(self) -> Area:
        return self._area(ASKED + 1, 3)

    @property
    def other(self) -> Area:
        return self._area(ASKED + 2, 3)

    @property
    def likeliest(self) -> Area:
        """The id of the likeliest next token after each position; its string stands below."""
        return self._area(6, FIRST_TOKEN, 1, self.context)

    def fact(self, i: int) -> Area:
        """The sum of all parts, the logit, their difference."""
        return self._area(ASKED + i, FIRST_TOKEN + 8)

    # The answers

    @property
    def ranks(self) -> Area:
        """The strongest parts, one a row."""
        return self._area(ASKED + 7, NAME, min(RANKS, len(self.parts)), NUMBER)

    @property
    def heat(self) -> Area:
        """Contributions: a level of the network a row, a kind of part a column."""
        return self._area(ASKED + 7 + RANKS + 5, FIRST_TOKEN, self.config.n_layer + 2, len(self.kinds))

    @property
    def sizes(self) -> Area:
        """The same of the lengths of what the parts write."""
        return self._area(self.heat.last_row + 5, FIRST_TOKEN, self.config.n_layer + 1, len(self.kinds) - 1)

    @property
    def stream(self) -> Area:
        """A row for the stream after the embedding, and after every attention and every MLP."""
        return self._area(self.sizes.last_row + 4, 3, len(self.depths), 3)

    @property
    def n_beside(self) -> int:
        """Rows from the stream's first on that its charts stand beside."""
        return max(13, len(self.depths))

    @cached_property
    def kinds(self) -> Sequence[tuple[str, str]]:
        """The columns of the tables: what the part is called, and how its column is headed."""
        heads = [(f"head {j}", f"head {j}") for j in range(self.config.n_head)]
        blocks = [*heads, ("attention bias", "attn. bias"), ("MLP", "MLP"), ("MLP bias", "MLP bias")]
        return [("token", "token"), ("position", "position"), *blocks, ("bias", "norm bias")]

    def place(self, table: Area, part: Part) -> Area:
        """The cell of a part in the tables."""
        column = [kind for kind, _ in self.kinds].index(part.what)
        return table.line(part.level).stripe(column)

    @cached_property
    def depths(self) -> tuple[tuple[str, str], ...]:
        return depths(self.config)

    # The workings

    @property
    def mean(self) -> Area:
        """Of gain × unembedding."""
        return self._area(self.stream.row + self.n_beside + 2, 3)

    @property
    def rstd(self) -> Area:
        return self._area(self.mean.row + 1, 3)

    @property
    def scales(self) -> Area:
        """Of the two tokens' whole numbers."""
        return self._area(self.mean.row + 2, 3, 1, 2)

    @property
    def head(self) -> int:
        """The row of the places; below it what stands there, the number, the sum, its size, the length."""
        return self.mean.row + 4 + self.scaled

    def _line(self, below: int) -> Area:
        return self._area(self.head + below, FIRST_TOKEN, 1, len(self.parts))

    @property
    def places(self) -> Area:
        return self._line(0)

    @property
    def whats(self) -> Area:
        return self._line(1)

    @property
    def numbers(self) -> Area:
        return self._line(2)

    @property
    def values(self) -> Area:
        return self._line(3)

    @property
    def keys(self) -> Area:
        return self._line(4)

    @property
    def lengths(self) -> Area:
        """The last part, the final norm's bias, writes nothing."""
        return self._area(self.head + 5, FIRST_TOKEN, 1, len(self.parts) - 1)

    @property
    def writes(self) -> Area:
        """A part a column; those of the biases stand where their neurons are."""
        return self._area(self.head + 7, FIRST_TOKEN, self.config.n_embd, len(self.parts) - 1)

    @property
    def unembedding(self) -> Area:
        return self._area(self.writes.row, UNEMBEDDING, self.config.n_embd)

    @property
    def direction(self) -> Area:
        return self._area(self.writes.row, DIRECTION, self.config.n_embd)

    @property
    def mixed(self) -> Area:
        """The heads' mixed values, a block a column."""
        first = FIRST_TOKEN + len(self.parts) + 1
        return self._area(self.writes.row, first, self.config.n_embd, self.config.n_layer)

    @property
    def states(self) -> Area:
        """The stream, a depth a column; each one's length stands above it."""
        return self._area(self.writes.row, self.mixed.last_column + 2, self.config.n_embd, len(self.depths))

    @property
    def state_lengths(self) -> Area:
        return self._area(self.lengths.row, self.states.column, 1, len(self.depths))

    @property
    def last_column(self) -> int:
        return max(self.states.last_column, FIRST_TOKEN + self.context - 1, FIRST_TOKEN + 17)
