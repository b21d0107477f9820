"""What a program computed, held against what the sheets say they must hold: cell by cell, name by name."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.engines import Cells, cached
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.layout import defined_name
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.verification.compare import compare, missing, results
from sheetgpt.verification.coverage import formula_cells, n_formulas, uncovered
from sheetgpt.verification.report import Report, SheetCells, TensorResult

Array = NDArray[Any]
Found = Mapping[str, Cells | None]  # title of a sheet -> its cells from A1 on


def report(
    path: Path,
    problems: Sequence[str],
    engine: str,
    expected: Sequence[Sheet],
    found: Found,
    wrong_cells: int | None,
) -> Report:
    """Each sheet against its cells, and the workbook's formulas against those that were compared."""
    tensors: list[TensorResult] = []
    problems, seen = [*problems], []
    places, compared = formula_cells(path), 0
    references = {name.upper(): to for name, to in cached.package(path).references.items()}
    for sheet in expected:
        wrong_names = dict(_name_problems(sheet, references))
        got, own = found[sheet.title], places.pop(sheet.title, np.empty((0, 2), np.int64))
        if got is None:
            tensors += missing(sheet)
            continue
        difference = compare(sheet, got)
        for result in results(difference, wrong_cells):
            problem = wrong_names.get(result.name, "") if not result.problem else result.problem
            tensors.append(replace(result, problem=problem))
        own = without(own, sheet)
        extra, lacking = uncovered(own, difference.want.formulas)
        compared += len(own) - len(extra)
        problems += _cells(sheet.title, extra, "holds a formula where there should be none", wrong_cells)
        problems += _cells(sheet.title, lacking, "should hold a formula and doesn't", wrong_cells)
        seen.append(SheetCells(sheet.title, difference.n_cells, len(own), len(difference.red), difference.max_rel))
    n_foreign = n_formulas(places)
    for title, own in places.items():
        if len(own):
            problems.append(f"The sheet {title} is none of this workbook's: nothing says what its formulas must show.")
    total = sum(sheet.formulas for sheet in seen) + n_foreign
    return Report(str(path), engine, tuple(tensors), tuple(problems), total, compared, tuple(seen))


def without(places: Array, sheet: Sheet) -> Array:
    """A formula in a yellow cell that takes one is an input, as a number there would be: what it comes to is read."""
    taken = {(area.row - 1, area.column - 1) for name in sheet.answers for area in sheet.names[name]}
    return places[[tuple(at) not in taken for at in places.tolist()]] if taken else places


def _cells(title: str, places: Array, words: str, most: int | None) -> Iterator[str]:
    """A sentence for each of the cells, or for the first ones."""
    for at in places[:most]:
        yield f"{_cell(title, at)} {words}."
    if most is not None and len(places) > most:
        yield f"{title}: so do {len(places) - most:,} more cells."


def _cell(title: str, at: Array) -> str:
    return f"{title}!{Area(title, int(at[0]) + 1, int(at[1]) + 1).cells}"


def _name_problems(sheet: Sheet, references: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Defined names that are gone or point elsewhere."""
    for name, areas in sheet.names.items():
        reference = references.get(defined_name(name).upper())
        if reference is None:
            yield name, f"the name {defined_name(name)} is missing"
        elif [Area.parse(one) for one in _parts(reference)] != [*areas]:
            yield name, f"the name {defined_name(name)} refers to {reference}"


def _parts(reference: str) -> list[str]:
    """The ranges of a union."""
    return re.findall(r"(?:'(?:[^']|'')*'|[^,'])+", reference)
