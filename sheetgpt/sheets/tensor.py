"""What has a name in a workbook, as a record: where it lies, what kind it is, what its axes are.

The layout makes each record once. Whoever wants to know more of a name than where it lies asks its record; nobody takes
a name apart.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from numpy.typing import NDArray

from sheetgpt.ooxml.area import Area

Value = float | str  # of a yellow cell; an empty one is ""


class Kind(Enum):
    """What stands in the cells."""

    INPUT = "input"  # what a person types: the yellow cells
    ANSWER = "answer"  # a yellow cell that takes a formula of one's own, too
    WEIGHT = "weight"
    NUMBERS = "computed numbers"
    TEXTS = "computed texts"
    CONSTANT = "constant"


@dataclass(frozen=True)
class Tensor:
    """`axes`: what a row of the cells is, and what a column; one name for a vector, none for a single cell.

    Several areas are bands that lie side by side in the tensor: `wte` is wider than a sheet.
    """

    name: str  # the trace's and the checkpoint's, with dots
    areas: tuple[Area, ...]
    kind: Kind
    axes: tuple[str, ...] = ()
    traced: bool = False  # whether the evaluator's trace holds it, under the same name
    turned: bool = False  # a matrix whose columns in the cells are its rows in the checkpoint
    scales: str = ""  # the tensor with a scale for each column, where the cells hold whole numbers

    @property
    def area(self) -> Area:
        """Of a tensor that lies in one piece."""
        (area,) = self.areas
        return area

    @property
    def computed(self) -> bool:
        return self.kind in (Kind.NUMBERS, Kind.TEXTS)

    def own_shape(self, cells: NDArray[Any]) -> NDArray[Any]:
        """A parameter as the checkpoint has it, from its cells, bands already side by side."""
        if len(self.axes) == 1:
            return cells.ravel()
        return cells.T if self.turned else cells


def by_name(tensors: Iterable[Tensor]) -> dict[str, Tensor]:
    return {tensor.name: tensor for tensor in tensors}


def places(tensors: Iterable[Tensor]) -> dict[str, Area]:
    """Where each lies, of tensors in one piece."""
    return {tensor.name: tensor.area for tensor in tensors}
