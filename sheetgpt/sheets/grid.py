"""The grid that all token sheets share, the sheets' titles, and a cursor that hands out rows to tensors.

Position t stands in column F + t of every token sheet; features run down the rows; columns A to E hold the label,
the index and the neuron's own gain, bias and scale.
"""

from dataclasses import dataclass, field

from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.tensor import Kind, Tensor

LABEL, INDEX, GAIN, BIAS, SCALE, FIRST_TOKEN = 1, 2, 3, 4, 5, 6  # columns of a token sheet
TITLE_ROW, POSITION_ROW, ID_ROW, TOKEN_ROW, ACTIVE_ROW = 1, 2, 3, 4, 5  # header rows of a token sheet
FIRST_WEIGHT = 3  # column C of a weight sheet
BAND = 10_000  # tokens side by side in one band of wte

HOME, GUIDE, MODEL, EMBED, OUTPUT, SOFTMAX, SAMPLE, VOCABULARY, WTE, WPE = (
    "Home",
    "Guide",
    "Model",
    "Embed",
    "Output",
    "Softmax",
    "Sample",
    "Vocabulary",
    "wte",
    "wpe",
)
LM_HEAD = "lm_head"
LAB, EDITS = "Lab", "Edits"  # only where there are two lanes
LANE = "B_"  # before a name: what it refers to in the second lane


@dataclass
class Cursor:
    """Hands out rows down one token sheet: a title row for each section, a blank row after it."""

    sheet: str
    width: int
    row: int = ACTIVE_ROW + 2
    tensors: list[Tensor] = field(default_factory=list)

    def section(
        self, name: str, n_rows: int, axis: str = "", *, traced: bool = False, kind: Kind = Kind.NUMBERS
    ) -> None:
        """`axis`: what a row is, where there are several; a column is a token."""
        self._add(name, self.row + 1, n_rows, axis, traced, kind)
        self.row += n_rows + 2

    def below(self, name: str, *, traced: bool = False, kind: Kind = Kind.NUMBERS) -> None:
        """One more row of the section before, without a title of its own."""
        self._add(name, self.row - 1, 1, "", traced, kind)
        self.row += 1

    def _add(self, name: str, row: int, n_rows: int, axis: str, traced: bool, kind: Kind) -> None:
        axes = (axis, "token") if axis else ("token",)
        area = Area(self.sheet, row, FIRST_TOKEN, n_rows, self.width)
        self.tensors.append(Tensor(name, (area,), kind, axes, traced=traced))
