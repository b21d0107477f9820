"""Sheets that a workbook may do without, each under a name for `build --sheets` and `--without`.

Another one is a module and a line of the registry, such as `OptionalSheet("lens", lens.sheets, lens.n_formulas,
lens.starts, expensive=True)`. The rest follows: it is built, counted in the forecast of size and memory, noted on the
sheet Model, listed by `info`, and verified with whatever its yellow cells hold when the workbook is opened again.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.palette import Palette
from sheetgpt.sheets.tensor import Value as Value


def none_to_choose(layout: Layout) -> Mapping[str, Value]:
    return {}


@dataclass(frozen=True)
class OptionalSheet:
    """A maker of the registry. What stands in its yellow cells it reads from `state.chosen`, by their names."""

    name: str
    make: Callable[[State, Palette], Iterable[Sheet]]
    n_formulas: Callable[[Layout], int]  # about how many formula cells it adds to a workbook
    starts: Callable[[Layout], Mapping[str, Value]] = none_to_choose  # its yellow cells, and what they hold at first
    expensive: bool = False  # left out of a large model's workbook unless it is asked for
    asked_for: bool = False  # only in where it is named
    part_of: str = ""  # the sheet that it is a part of, which makes it: it has no tab of its own

    def __call__(self, state: State, palette: Palette) -> Iterable[Sheet]:
        return self.make(state, palette) if self.name in state.layout.optional else ()
