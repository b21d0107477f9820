"""Where everything on the sheet Lens lies: a depth a column, first the answers, then what they are read from."""

from dataclasses import dataclass
from functools import cached_property

from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.inspection.lens import TOP, depths
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.grid import FIRST_TOKEN

LENS = "Lens"
ASKED = 9  # the row of the first yellow cell
TRACKED = ("rank", "logit", "probability", "entropy")


@dataclass(frozen=True)
class LensLayout:
    config: GPT2Config
    context: int

    @cached_property
    def depths(self) -> tuple[str, ...]:
        return depths(self.config)

    def _area(self, row: int, n_rows: int = 1) -> Area:
        """Rows in every depth's column."""
        return Area(LENS, row, FIRST_TOKEN, n_rows, len(self.depths))

    @property
    def position(self) -> Area:
        return Area(LENS, ASKED, 3)

    @property
    def token(self) -> Area:
        return Area(LENS, ASKED + 1, 3)

    @property
    def n_top(self) -> int:
        return min(TOP, self.config.n_vocab)

    @property
    def tokens(self) -> Area:
        """The likeliest tokens, a rank a row; below them their probabilities."""
        return self._area(ASKED + 6, self.n_top)

    def tracked(self, name: str) -> Area:
        """A line of what becomes of the token that is asked for, and the entropy."""
        return self._area(self.tokens.last_row + 4 + TRACKED.index(name))

    @property
    def probs(self) -> Area:
        return self._area(self.tracked(TRACKED[-1]).row + 3, self.n_top)

    @property
    def ids(self) -> Area:
        return self._area(self.probs.last_row + 3, self.n_top)

    @property
    def top_logits(self) -> Area:
        return self._area(self.ids.last_row + 3, self.n_top)

    @property
    def states(self) -> Area:
        return self._area(self.top_logits.last_row + 3, self.config.n_embd)

    @property
    def mean(self) -> Area:
        return self._area(self.states.last_row + 3)

    @property
    def rstd(self) -> Area:
        return self._area(self.mean.row + 1)

    @property
    def normed(self) -> Area:
        return self._area(self.mean.row + 2, self.config.n_embd)

    @property
    def largest(self) -> Area:
        return self._area(self.normed.last_row + 3)

    @property
    def log_sum_exp(self) -> Area:
        return self._area(self.largest.row + 1)

    @property
    def logits(self) -> Area:
        return self._area(self.largest.row + 2, self.config.n_vocab)

    @property
    def charts(self) -> int:
        """The column of the charts: right of the depths."""
        return FIRST_TOKEN + len(self.depths) + 1

    @property
    def last_column(self) -> int:
        return max(self.charts + 7, FIRST_TOKEN + self.context - 1, FIRST_TOKEN + 12)
