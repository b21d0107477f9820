"""The formulas engine: the Python package `formulas` recalculates, which shares nothing with LibreOffice.

Some ten milliseconds a cell, so for micro models. Inputs are put into the loaded cells before the model is compiled,
and cells are read one by one: the package itself forgets blank cells and writes every name in upper case.
"""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sheetgpt.engines import Cells, Inputs, edit, number
from sheetgpt.engines.cached import package, place
from sheetgpt.errors import SheetGPTError

UNSOLVED = "#UNSOLVED!"  # a cycle, or an array formula that the package could not lay out


def recalculate(workbook: Path, inputs: Inputs | None, read: Sequence[str]) -> dict[str, Cells | None]:
    """Puts the inputs in, computes every formula, reads."""
    workbook = Path(workbook)
    contents = package(workbook)
    places = {key: place(key, contents.names) for key in read}
    titles = {title.casefold() for title in contents.sheets}
    try:
        values = _values(workbook, inputs or {}, contents.names)
    except SheetGPTError:
        raise
    except Exception as error:  # the package raises whatever comes up in it
        raise SheetGPTError(
            f"The Python package formulas can't compute {workbook.name} ({type(error).__name__}: {_first_line(error)}):"
            " use another engine."
        ) from error
    results: dict[str, Cells | None] = dict.fromkeys(read)
    for key, area in places.items():
        if area is not None and area.sheet.casefold() in titles:
            cells = Cells(np.full((area.n_rows, area.n_columns), np.nan), {})
            sheet = values.get(area.sheet.upper(), {})
            for i, j in np.ndindex(area.n_rows, area.n_columns):
                value = sheet.get((area.row + i, area.column + j))
                if (single := number(value)) is not None:
                    cells.numbers[i, j] = single
                elif value is not None and str(value):
                    cells.texts[i, j] = str(value)
            results[key] = cells
    return results


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def _values(workbook: Path, inputs: Inputs, names: Any) -> dict[str, dict[tuple[int, int], Any]]:
    model = compiled(workbook, inputs, names)
    with contextlib.redirect_stderr(io.StringIO()):  # a progress bar that nobody asked for
        return found_in(model, model.calculate())


def compiled(workbook: Path, inputs: Inputs, names: Any) -> Any:
    """The package's own model of the workbook, with the inputs put in."""
    model = _model_class()()
    with contextlib.redirect_stderr(io.StringIO()):
        book, context = model.add_book(str(workbook.absolute()))
        edit(book, inputs, names, workbook)
        model.pushes(*book.worksheets, context=context)
        model.finish()
    return model


def found_in(model: Any, solution: Any) -> dict[str, dict[tuple[int, int], Any]]:
    """Upper-case sheet title -> (row, column) from 1 -> value of each cell that holds something."""
    import schedula  # type: ignore[import-untyped, unused-ignore]

    values: dict[str, dict[tuple[int, int], Any]] = {}
    for name, cell in model.cells.items():
        if getattr(cell, "range", None) is None:
            continue  # a defined name
        area = cell.range.ranges[0]
        answer = solution.get(name)
        shape = int(area["r2"]) - int(area["r1"]) + 1, area["n2"] - area["n1"] + 1
        grid = np.full(shape, UNSOLVED, object) if answer is None else np.asarray(answer.value, object)
        sheet = values.setdefault(area["sheet"].upper(), {})
        for i, j in np.ndindex(grid.shape):
            if grid[i, j] is not schedula.EMPTY:
                sheet[int(area["r1"]) + i, area["n1"] + j] = grid[i, j]
    return values


def _model_class() -> Any:
    """ExcelModel without three of its habits: giving up at a broken name, rounding constants to 15 decimals, and
    reading whatever other workbook a formula names."""
    try:
        import formulas
        from formulas.errors import FormulaError
    except ImportError as error:
        raise SheetGPTError(
            "The formulas engine needs the Python package formulas: pip install 'sheetgpt[formulas]'."
        ) from error

    class Model(formulas.ExcelModel):  # type: ignore[misc]
        def add_book(self, book: Any = None, context: Any = None, data_only: bool = False) -> Any:
            if self.books and str(book).upper() not in self.books:
                raise OSError("another workbook")  # whose cells are then #REF!
            return super().add_book(book, context, data_only)

        def add_references(self, book: Any, context: Any = None) -> Any:
            for name in list(book.defined_names):
                try:
                    formulas.Parser().ast(f"={book.defined_names[name].value}", context=context)
                except FormulaError:
                    del book.defined_names[name]
            return super().add_references(book, context)

        def compile_cell(self, cell: Any, context: Any, references: Any, formula_references: Any) -> Any:
            if isinstance(cell.value, float):
                return self._compile_cell(cell.coordinate, cell.value, context, True, references)
            return super().compile_cell(cell, context, references, formula_references)

    return Model
