"""How a step of the Tokenizer sheet is written: a column is a function, its formula, with head and twin in front of it.

    @column("word", 8, lambda on, state: state.read.word)
    def word(on: Reader, i: int) -> str:
        \"\"\"The number of the piece: one more wherever one starts.\"\"\"
        return "1" if i == 0 else f"{on.at('word', i - 1)}+{on.at('start', i)}"

`i` is the byte, counting from 0. The twin is the column of the same name in `bpe.Trace`, where Python computes it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, State
from sheetgpt.sheets.page import Page
from sheetgpt.text.bpe import Tables


@dataclass(frozen=True)
class Sizes:
    """What decides how large the sheet is: the tokenizer's tables, room for bytes, and for merge rounds."""

    tables: Tables
    capacity: int = 256
    rounds: int = 48

    @property
    def n_ids(self) -> int:
        """The most tokens: one for each byte, and those that the tokenizer puts around every text."""
        return self.capacity + len(self.tables.prefix) + len(self.tables.suffix)

    @property
    def n_groups(self) -> int:
        """Columns for added tokens, where they are more than one formula looks for."""
        return len(self.tables.groups) if len(self.tables.groups) > 1 else 0


@dataclass(frozen=True)
class Reader:
    """What the formulas are written from: the sheet's own page, its sizes, and what lies on other sheets."""

    page: Page
    sizes: Sizes
    merges: Page
    characters: Page
    prompt: Area  # the cell with the text
    vocab_shown: Area  # the column of token strings, by id

    @property
    def tables(self) -> Tables:
        return self.sizes.tables

    def at(self, name: str, i: int) -> str:
        """A column's cell at byte i."""
        return self.page[name].at(i)

    def __getitem__(self, name: str) -> str:
        """A whole column, or one of the cells above the columns."""
        return self.page[name].local

    def character_table(self, name: str) -> str:
        return self.characters[name].reference

    def of_added(self, name: str, number: str) -> str:
        """An added token's entry in a table, by its number; INDEX of a single cell fails in Gnumeric."""
        table = self.character_table(name)
        return table if len(self.tables.added) == 1 else f"INDEX({table},{number})"


Guard = Callable[[Any, int, str], str]  # of a column's formula
Twin = Callable[[Any, State], Sequence[Any]]


def in_text(on: Reader, i: int, source: str) -> str:
    """Blank past the end of the text, so that those rows cost next to nothing."""
    return f'IF({on.at("position", i)}="","",{source})'


def in_list(on: Reader, i: int, source: str) -> str:
    """Blank past the last token."""
    return f'IF({on.at("number", i)}>{on["n_tokens"]},"",{source})'


def always(on: Reader, i: int, source: str) -> str:
    return source


@dataclass(frozen=True)
class Column:
    """`formula(on, i)` stands behind the guard; `on` is the `Reader`, or what a column of another kind is made from."""

    name: str
    head: str
    width: float
    twin: Twin
    style: str
    guard: Guard
    formula: Callable[[Any, int], str] | None

    def block(self, on: Any, n_rows: int, column: int, name: str = "", named: bool = False) -> Block:
        def guarded(i: int, j: int) -> str:
            assert self.formula is not None
            return self.guard(on, i, self.formula(on, i))

        return Block(
            name or self.name,
            *(n_rows, 1),
            formula=None if self.formula is None else guarded,
            twin=partial(self.twin, on),
            label=None,
            style=self.style,
            column=column,
            named=named,
        )


def column(
    head: str, width: float, twin: Twin, style: str = "id", guard: Guard = in_text
) -> Callable[[Callable[[Any, int], str]], Column]:
    """Makes a column of the formula that stands below."""
    return lambda formula: Column(formula.__name__, head, width, twin, style, guard, formula)


def numbers(name: str, head: str, width: float, n: Callable[[Sizes], int]) -> Column:
    """1, 2, … as constants."""
    return Column(name, head, width, lambda on, state: range(1, n(on.sizes) + 1), "index", always, None)
