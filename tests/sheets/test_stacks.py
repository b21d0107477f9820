"""How the parts of a page find their places: beside each other, one below the other, and what has a name."""

from typing import Any

import numpy as np
import pytest

from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import Numbers, Text
from sheetgpt.sheets.block import Block
from sheetgpt.sheets.page import Bar, Beside, Page, Space, Stack, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.palette import PLAIN
from sheetgpt.sheets.tensor import Kind, Tensor


def column(name: str, number: int, *values: float) -> Block:
    return Block(
        name, len(values), 1, twin=lambda state: np.array(values), column=number, label=None, kind=Kind.CONSTANT
    )


def shown(page: Page, state: Any = None) -> dict[tuple[int, int], Any]:
    """Row and column -> what stands there."""
    found: dict[tuple[int, int], Any] = {}
    for row in page.rows(state, PLAIN):
        for piece in row.pieces:
            assert isinstance(piece, Text | Numbers)
            values = [piece.value] if isinstance(piece, Text) else piece.values
            found |= {(row.number, piece.column + j): value for j, value in enumerate(values)}
    return found


@pytest.fixture
def page() -> Page:
    """Two stacks of unequal height beside each other, and a block below the taller."""
    here = Page("Toy", "a toy", 1)
    left = Stack(column("a", 1, 1), Space(2), column("b", 1, 2, 3))
    right = Stack(Texts({3: "x"}), column("c", 3, 4, 5))
    here.add(Beside(left, right), column("d", 1, 6))
    return here


def test_stacks_stand_beside_each_other(page: Page) -> None:
    cells = {(1, 1): 1, (4, 1): 2, (5, 1): 3, (1, 3): "x", (2, 3): 4, (3, 3): 5, (6, 1): 6}
    assert shown(page) == cells
    assert page["b"] == Area("Toy", 4, 1, 2)
    assert page["c"] == Area("Toy", 2, 3, 2)


def test_a_part_of_a_block_has_a_name(page: Page) -> None:
    page.also.append(Tensor("first", (page["b"].line(0),), Kind.CONSTANT))
    assert page.sheet(None, PLAIN).names["first"] == [Area("Toy", 4, 1)]


def test_a_bar_asks_for_its_formula_when_it_is_written(page: Page) -> None:
    """What it reads may stand below it."""

    def below() -> str:
        return page["later"].local

    def twin(state: State) -> str:
        return "said"

    page.add(Bar((below, twin)), column("later", 1, 7))
    sources = [piece.sources for row in page.rows(None, PLAIN) for piece in row.pieces if hasattr(piece, "sources")]
    assert [source() for source in sources if callable(source)] == ["$A$9"]
