"""A page of blocks: what its parts come to, row by row."""

from typing import Any, cast

import numpy as np

from sheetgpt.ooxml.rows import Cells, Formulas
from sheetgpt.sheets.block import Block, cell
from sheetgpt.sheets.page import Page, Space
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.palette import PLAIN

NO_STATE = cast(State, None)  # these twins don't ask it


def formulas(cells: Cells) -> list[tuple[int, Any, list[float], list[float]]]:
    """First column, formulas, values and doubts of each piece."""
    found = []
    for piece in cells:
        assert isinstance(piece, Formulas)
        assert callable(piece.sources)
        doubts = np.broadcast_to(piece.doubt, len(piece.values)).tolist()
        found.append((piece.column, piece.sources(), [float(value) for value in piece.values], doubts))
    return found


def test_a_block_has_no_cells_in_its_gaps_and_a_doubt_of_its_own_in_each_cell() -> None:
    page = Page("A", "", width=4, first=2)
    values = np.arange(8.0).reshape(2, 4)
    page.add(
        Block(
            "a",
            2,
            formula=lambda i, j: f"{i}+{j}",
            twin=lambda state: values,
            label=None,
            fills=False,
            doubt=lambda state: values / 8,
            gaps=lambda i, j: (i, j) in {(0, 0), (0, 2), (1, 3)},
        )
    )
    first, second = (formulas(row.pieces) for row in page.sheet(NO_STATE, PLAIN).rows())
    assert first == [(3, ["0+1"], [1], [1 / 8]), (5, ["0+3"], [3], [3 / 8])]
    assert second == [(2, ["1+0", "1+1", "1+2"], [4, 5, 6], [4 / 8, 5 / 8, 6 / 8])]


def test_a_page_may_have_a_line_for_home() -> None:
    page = Page("A", "", width=1, first=2)
    page.add(Space(1), Block("a", formula=lambda i, j: "1+1", twin=lambda state: 2.0, label=None))
    parts = [cell(2, lambda: page["a"].reference, lambda state: 2.0, ""), cell(7, None, lambda state: 3.0, "")]
    page.on_home = "'A'!A2", parts
    on_home = page.sheet(NO_STATE, PLAIN).on_home
    assert on_home is not None
    place, cells = on_home
    two, three = cells()
    assert place == "'A'!A2"
    assert formulas((two,)) == [(2, "'A'!$B$2", [2], [0])]
    assert three.column == 7
    assert Page("B", "", width=1).on_home is None
