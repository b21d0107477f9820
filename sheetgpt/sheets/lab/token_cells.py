"""Yellow cells on Lab that take a token: a word or an id, and beside them, far on the right, the id that it comes to.

What a word is: `inside.token_words`.
"""

from collections.abc import Callable, Sequence

from sheetgpt.sheets.block import Block
from sheetgpt.sheets.inside.token_words import hexadecimal, hexadecimal_now, id_now, place
from sheetgpt.sheets.lab.bench import Bench, column
from sheetgpt.sheets.lab.screws import below
from sheetgpt.sheets.page import Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.choosers import whole_below
from sheetgpt.sheets.tensor import Value

SPELLED = 16  # the first column of what only formulas need
NONE = -1  # in the place of an id


def spelled_head() -> Texts:
    return Texts({SPELLED: "the words' bytes, and ids"}, "label")


def spelled_ids(
    it: Bench, at: int, name: str, cell: Callable[[int], str], typed: Callable[[State], Sequence[Value]], rows: int
) -> tuple[Block, Block]:
    """The bytes of what is typed in `cell(k)`, and its id: -1 where it is no token."""
    spelled, n_vocab = f"{name}_bytes", it.config.n_vocab

    def id(k: int, _: int) -> str:
        word = place(it.cell(spelled, k), it.layout["vocab_hex"].reference)
        return f"IF({whole_below(cell(k), n_vocab)},{cell(k)},{word}-1)"

    def id_of(value: Value, state: State) -> int:
        found = id_now(value, state.hexes) if isinstance(value, str) else below(value, n_vocab)
        return NONE if found is None else found

    def in_bytes(state: State) -> list[str]:
        return [*map(hexadecimal_now, typed(state))]

    def ids(state: State) -> list[int]:
        return [id_of(value, state) for value in typed(state)]

    return (
        column(at, lambda k, _: hexadecimal(cell(k)), in_bytes, "label", spelled, rows),
        column(at + 1, id, ids, "id", f"{name}_id", rows),
    )
