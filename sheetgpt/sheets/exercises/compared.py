"""Folded at the end of the sheet Exercises, in white: which column it is about, and what the checks compare with.

Where a number is found in every token column, only that of the prompt's last token is computed.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sheetgpt.ooxml.rows import letters
from sheetgpt.sheets.block import Block, Part, cell, unguarded
from sheetgpt.sheets.exercises import of_network
from sheetgpt.sheets.exercises.column import Column, column_letters
from sheetgpt.sheets.exercises.task import RIGHT, Number, Task
from sheetgpt.sheets.grid import BAND, FIRST_TOKEN, FIRST_WEIGHT
from sheetgpt.sheets.page import Beside, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.tensor import Value

LABEL, VALUE = 2, 5  # columns
ACROSS: dict[str, Any] = {"label": None, "guard": unguarded, "named": False, "style": "hidden", "folded": True}
DOWN: dict[str, Any] = {**ACROSS, "n_columns": 1, "column": VALUE, "numbered": False}


def ready_cell(
    it: Column,
    column: int,
    formula: Callable[[], str],
    twin: Callable[[State], Value],
    style: str,
    name: str = "",
    **more: Any,
) -> Block:
    """A cell that shows nothing where there is no prompt."""
    more = {"named": False} | more
    return cell(column, lambda: f'IF({it.ready},{formula()},"")', twin, style, name, **more)


def labelled(label: str, *parts: Part) -> Part:
    return Beside(Texts({LABEL: label}, "hidden", folded=True), *parts)


def column_now(it: Column) -> list[Part]:
    """The column of the prompt's last token, its letters; the id of the likeliest next token, its letters."""
    home = it.layout

    def place() -> str:
        n_prompt, ok = home["n_prompt"].reference, home["settings_ok"].reference
        return f'IF({n_prompt}*{ok}>0,{n_prompt},"")'

    def own_letters() -> str:
        return column_letters(f"({it.place}+{FIRST_TOKEN - 1})")

    def best_letters() -> str:
        return column_letters(f"(MOD({it.best},{BAND})+{FIRST_WEIGHT})")

    def best() -> str:
        return it.at(home["sample_ids"])

    def own_letters_now(state: State) -> str:
        return letters(FIRST_TOKEN + it.now(state))

    def best_letters_now(state: State) -> str:
        return letters(FIRST_WEIGHT + it.best_now(state) % BAND)

    return [
        labelled("tokens of the prompt", cell(VALUE, place, lambda s: it.now(s) + 1, "hidden", "place", named=False)),
        labelled("column", ready_cell(it, VALUE, own_letters, own_letters_now, "hidden", "letters")),
        labelled("id of the likeliest", ready_cell(it, VALUE, best, it.best_now, "hidden", "best")),
        labelled("its column", ready_cell(it, VALUE, best_letters, best_letters_now, "hidden", "best_letters")),
    ]


def compared(it: Column, task: Task) -> list[Part]:
    """The right answer, and what comes out by each mistake."""
    if task.says is not None:
        return []
    found = [(f"right {task.name}", task.title, task.right)]
    found += [(f"wrong {task.name} {k}", m.words, m.number) for k, m in enumerate(task.mistakes)]
    return [labelled(label, *one_number(it, name, number)) for name, label, number in found]


def one_number(it: Column, name: str, number: Number) -> list[Part]:
    if not number.across:
        return [ready_cell(it, VALUE, number.formula, number.twin, "hidden", name, doubt=number.doubt)]

    def total() -> str:
        return f"SUM({it.page[f'{name} across'].local})"

    own = ready_cell(it, VALUE, total, number.twin, "hidden", name, doubt=number.doubt)
    return [own, across(it, f"{name} across", number)]


def across(it: Column, name: str, number: Number) -> Block:
    """A formula a position."""
    positions = it.layout["positions"]

    def formula(i: int, t: int) -> str:
        return f'IF({positions.at(0, t, "")}+1={it.place},{number.formula(t)},"")'

    def twin(state: State) -> Any:
        found = np.full(it.layout.context, np.nan)
        found[it.now(state)] = number.twin(state)
        return found

    return Block(name, formula=formula, twin=twin, doubt=number.doubt, **ACROSS)


def vectors(it: Column) -> list[Part]:
    """The last token's weights of head 0, laid in a row; the likeliest token's column of the unembedding."""
    probs, positions = it.layout["h0.attn.probs.0"], it.layout["positions"]

    def weight(i: int, t: int) -> str:
        return f'IF({positions.at(0, t, "")}<{it.place},INDEX({probs.line(t).reference},1,{it.place}),"")'

    def weights_now(state: State) -> Any:
        return it.column_now(state, "h0.attn.probs.0")[: it.now(state) + 1]

    def number(f: int, j: int) -> str:
        return f'IF({it.ready},{of_network.unembedding(it, f)},"")'

    def numbers_now(state: State) -> Any:
        return of_network.row_now(state, it.config.head, it.best_now(state))

    return [
        labelled(
            "weights of the last token", Block("weights", formula=weight, twin=weights_now, fills=False, **ACROSS)
        ),
        labelled(
            "the likeliest token", Block("unembedding", it.config.n_embd, formula=number, twin=numbers_now, **DOWN)
        ),
    ]


def flags(it: Column, found: Sequence[Task], done_now: Callable[[Task, State], int]) -> Part:
    """1 for each task that is done."""

    def done(i: int, j: int) -> str:
        return f'IF(LEFT({it.page[f"check {found[i].name}"].local},1)="{RIGHT}",1,0)'

    def twin(state: State) -> list[int]:
        return [done_now(task, state) for task in found]

    return Block("done", len(found), formula=done, twin=twin, **DOWN)
