"""Where everything on the sheet Neuron lies: the question, the strip, the tables, and below them the workings."""

from dataclasses import dataclass

from sheetgpt.inspection.neuron import TOP
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.grid import FIRST_TOKEN
from sheetgpt.sheets.layout import Layout

NEURON = "Neuron"
TOKENS_PART = "neuron-tokens"  # what it promotes and suppresses: a product with the whole vocabulary
OFFERED = 6  # the row of what the lists offer
ASKED = 9  # the row of the first yellow cell
SUM, ACTIVATION = 16, 17  # rows of the strip
CHART, CHART_ROWS = 18, 13
TABLES = CHART + CHART_ROWS + 3  # the first rank
VALUE, DIRECTION = 3, 4  # columns of the workings
NUMBER, ACTIVE = 3, 4  # columns of the most active neurons
PROMOTED, SUPPRESSED = FIRST_TOKEN, FIRST_TOKEN + 5  # the token's columns; beside it the number and the id


@dataclass(frozen=True)
class NeuronLayout:
    layout: Layout

    @property
    def tells_tokens(self) -> bool:
        return TOKENS_PART in self.layout.optional

    def _asked(self, i: int) -> Area:
        return Area(NEURON, ASKED + i, 3)

    @property
    def block(self) -> Area:
        return self._asked(0)

    @property
    def number(self) -> Area:
        return self._asked(1)

    @property
    def position(self) -> Area:
        return self._asked(2)

    def strip(self, row: int) -> Area:
        return Area(NEURON, row, FIRST_TOKEN, 1, self.layout.context)

    @property
    def n_active(self) -> int:
        return min(TOP, self.layout.config.n_inner)

    @property
    def n_top(self) -> int:
        return min(TOP, self.layout.config.n_vocab)

    @property
    def active(self) -> Area:
        """Number and activation, a rank a row."""
        return Area(NEURON, TABLES, NUMBER, self.n_active, 2)

    def extremes(self, first: int) -> Area:
        """Token, number and id, a rank a row."""
        return Area(NEURON, TABLES, first, self.n_top, 3)

    @property
    def activations(self) -> Area:
        """Of every neuron of the block, at the position."""
        return Area(NEURON, TABLES + TOP + 3, VALUE, self.layout.config.n_inner)

    @property
    def written(self) -> Area:
        """The neuron's output weights, and beside them as the final norm passes them on."""
        return Area(NEURON, self.activations.last_row + 4, VALUE, self.layout.config.n_embd)

    @property
    def direction(self) -> Area:
        return Area(NEURON, self.written.row, DIRECTION, self.layout.config.n_embd)

    @property
    def effects(self) -> Area:
        """Of every token."""
        return Area(NEURON, self.written.last_row + 4, VALUE, self.layout.config.n_vocab)

    @property
    def blocks(self) -> Area:
        """The numbers that the block's list offers."""
        return Area(NEURON, OFFERED, FIRST_TOKEN, 1, self.layout.config.n_layer)

    @property
    def last_row(self) -> int:
        return self.effects.last_row if self.tells_tokens else self.activations.last_row

    @property
    def last_column(self) -> int:
        width = max(12, self.layout.context, self.layout.config.n_layer)
        return FIRST_TOKEN + width - 1
