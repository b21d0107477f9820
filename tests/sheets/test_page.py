"""The parts of a page: where their cells stand, and what is said of each."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import Formulas
from sheetgpt.sheets.block import Block, Part
from sheetgpt.sheets.page import Bar, Beside, Page, Space, Stack, Texts
from sheetgpt.sheets.style.palette import PLAIN

NO_STATE: Any = None  # these twins ask for none
FORMULA: dict[str, Any] = {"formula": lambda i, j: f"{i}+{j}", "label": None}


def page(*parts: Part) -> Page:
    found = Page("Toy", "a page", width=3, first=2, bar_end=4, prefix="toy_")
    found.add(*parts)
    return found


def formulas(found: Page) -> dict[tuple[int, int], Formulas]:
    """By the row and the column of the first cell."""
    each = [(row.number, piece) for row in found.rows(NO_STATE, PLAIN) for piece in row.pieces]
    return {(number, piece.column): piece for number, piece in each if isinstance(piece, Formulas)}


def test_a_triangle_without_its_diagonal_begins_one_further_in_each_row() -> None:
    values = np.arange(9.0).reshape(3, 3)
    found = formulas(page(Block("x", 3, triangle=True, strict=True, twin=lambda s: values, **FORMULA)))
    assert {at: [*piece.values] for at, piece in found.items()} == {(1, 3): [1, 2], (2, 4): [5]}
    sources = [piece.sources() for piece in found.values() if callable(piece.sources)]
    assert sources == ["0+1", "1+2"]


def test_each_cell_may_have_its_own_doubt() -> None:
    known = np.array([[0.1, 0.2], [0.3, 0.4]])

    def doubt(state: Any) -> NDArray[Any]:
        return known

    found = formulas(page(Block("x", 2, twin=lambda s: known, doubt=doubt, **FORMULA)))
    assert [np.asarray(piece.doubt).tolist() for piece in found.values()] == [[0.1, 0.2, 0], [0.3, 0.4, 0]]


def test_a_name_for_blocks_that_stand_together_is_the_rectangle_around_them() -> None:
    one, other = (Block(name, 2, 1, column=column, named=False) for name, column in (("a", 2), ("b", 4)))
    found = page(Texts({1: "above"}), Beside(one, Stack(Space(), other)))
    found.join("both", "a", "b")
    assert found["both"] == Area("Toy", 2, 2, 3, 3)
    assert {tensor.name: tensor.area for tensor in found.tensors} == {"toy_both": found["both"]}


def test_blank_rows_stand_in_the_file_where_they_have_a_height() -> None:
    found = page(Space(2), Texts({1: "here"}), Beside(Texts({1: "beside"}), Space(2, height=15)))
    heights = {row.number: row.height for row in found.rows(NO_STATE, PLAIN)}
    assert heights == {3: None, 4: 15, 5: 15}


def test_a_bar_that_ends_on_the_left_leaves_the_rest_to_what_stands_there() -> None:
    (row,) = page(Bar("short", last=1, space=0)).rows(NO_STATE, PLAIN)
    assert [piece.column for piece in row.pieces] == [1]
