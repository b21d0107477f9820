"""What the tasks have in common: the column of the prompt's last token, in formulas, in words and in the twin."""

from collections.abc import Callable
from typing import Any

from sheetgpt.gpt2.checkpoints import quantize
from sheetgpt.gpt2.generation import sampling
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import letters
from sheetgpt.sheets.exercises.task import Link
from sheetgpt.sheets.grid import BAND, FIRST_TOKEN, FIRST_WEIGHT
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Page
from sheetgpt.sheets.state import State

EXERCISES = "Exercises"
WORDS = "tasks for a class: a formula of your own, checked against the live model"


def column_letters(number: str) -> str:
    """A column's letters from its number, three at most; the twin is `rows.letters`."""
    first = f'IF({number}>702,CHAR(65+INT(({number}-703)/676)),"")'
    second = f'IF({number}>26,CHAR(65+MOD(INT(({number}-27)/26),26)),"")'
    return f"{first}&{second}&CHAR(65+MOD({number}-1,26))"


class Column:
    """The prompt's last token always exists. It stands in the column `place`, from 1 on, of every token sheet."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.config = layout, layout.config
        self.page = Page(EXERCISES, WORDS, width=layout.context, prefix="exercises_")
        self.row = min(1, self.config.head_size - 1)  # the feature that tasks are about

    # Formulas

    @property
    def place(self) -> str:
        return self.page["place"].local

    @property
    def best(self) -> str:
        """The id of the likeliest token after it."""
        return self.page["best"].local

    @property
    def ready(self) -> str:
        return f"ISNUMBER({self.place})"

    def at(self, area: Area, i: int = 0) -> str:
        """Row i of a tensor, in the column."""
        return f"INDEX({area.line(i).reference},1,{self.place})"

    def down(self, area: Area) -> str:
        """All of the column, in one formula: for the solutions. Gnumeric and `formulas` can't follow it."""
        return f"INDEX({area.reference},0,{self.place})"

    def area(self, name: str) -> Area:
        return self.layout[name]

    def role(self, role: int, n: int) -> Area:
        """The first n rows of the queries (0), the keys (1) or the values (2) of block 0."""
        return self.layout["h0.attn.qkv"].rows_of(role * self.config.n_embd, n)

    # Twin

    def now(self, state: State) -> int:
        """Its position."""
        return state.prompt.n_prompt - 1

    def column_now(self, state: State, tensor: str) -> Any:
        return state.trace[tensor][:, self.now(state)]

    def best_now(self, state: State) -> int:
        return int(state.choices[0].ids[0])

    def param(self, state: State, name: str) -> Any:
        """A parameter's numbers, scales and all."""
        names = [name, quantize.scale_name(name)]
        return quantize.evaluated({each: state.params[each] for each in names if each in state.params})[name]

    def doubt(self, heat: float = 1.0) -> Callable[[State], float]:
        """How well a probability after the column can be known, relative."""
        return lambda state: float(sampling.doubt(self.column_now(state, "logits"), heat))

    # Links

    def here(self, label: str, area: Area, triangle: bool = False) -> Link:
        """Cells of the column. `triangle`: down to the last token's own row."""
        single = area.n_rows == 1

        def formula() -> str:
            column = self.page["letters"].local
            last = f"({area.row - 1}+{self.place})" if triangle else f"{area.last_row}"
            end = "" if single else f'&":"&{column}&{last}'
            return f'"{label}: {plain(area)}!"&{column}&"{area.row}"{end}'

        def twin(state: State) -> str:
            column = letters(FIRST_TOKEN + self.now(state))
            down = area.row + self.now(state) if triangle else area.last_row
            return f"{label}: {plain(area)}!{column}{area.row}" + ("" if single else f":{column}{down}")

        return Link(formula, twin, f"{quoted(area.sheet)}!A{area.row}")

    def up_to_here(self, label: str, line: Area) -> Link:
        """A row, from the first token to the column."""
        start = f"{label}: {plain(line)}!{letters(FIRST_TOKEN)}{line.row}:"
        return Link(
            lambda: f'"{start}"&{self.page["letters"].local}&"{line.row}"',
            lambda state: f"{start}{letters(FIRST_TOKEN + self.now(state))}{line.row}",
            f"{quoted(line.sheet)}!A{line.row}",
        )

    def fixed(self, label: str, area: Area) -> Link:
        """Cells that stay where they are."""
        words = f"{label}: {plain(area)}!{area.cells}"
        return Link(lambda: f'"{words}"', lambda state: words, f"{quoted(area.sheet)}!{area.cells.partition(':')[0]}")

    def of_best(self, label: str) -> Link:
        """The likeliest token's column of the unembedding."""
        bands = self.layout.tensor(self.config.head).areas
        sheet = plain(bands[0])

        def formula() -> str:
            column, band = self.page["best_letters"].local, f"INT({self.best}/{BAND})+1"
            first, last = (
                str(ends[0]) if len(ends) == 1 else f"CHOOSE({band},{','.join(map(str, ends))})"
                for ends in ([band.row for band in bands], [band.last_row for band in bands])
            )
            return f'"{label}: {sheet}!"&{column}&{first}&":"&{column}&{last}'

        def twin(state: State) -> str:
            id = self.best_now(state)
            band, column = bands[id // BAND], letters(FIRST_WEIGHT + id % BAND)
            return f"{label}: {sheet}!{column}{band.row}:{column}{band.last_row}"

        return Link(formula, twin, f"{quoted(bands[0].sheet)}!A{bands[0].row}")


def plain(area: Area) -> str:
    """The sheet as a formula names it, quoted where it must be."""
    return quoted(area.sheet) if " " in area.sheet else area.sheet
