"""The IronCalc engine: the Rust spreadsheet of that name recalculates, which shares nothing with LibreOffice.

Its Python package loads the file, cached values included, but `evaluate` computes every formula anew. One that it can't
read becomes `#ERROR!`, a function that it doesn't know `#NAME?`, a cycle `#CIRC!`: none keeps what the file said.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sheetgpt.engines import Cells, Inputs, edits, number
from sheetgpt.engines.cached import package, place
from sheetgpt.errors import SheetGPTError
from sheetgpt.ooxml.area import Area


def recalculate(workbook: Path, inputs: Inputs | None, read: Sequence[str]) -> dict[str, Cells | None]:
    """Puts the inputs in, computes every formula, reads."""
    workbook = Path(workbook)
    names = package(workbook).names
    places = {key: place(key, names) for key in read}
    with _explained(workbook):
        model, sheets = _opened(workbook)
        _put(model, sheets, edits(inputs or {}, names, sheets, workbook))
        model.evaluate()
        return _read(model, sheets, places)


def repeat(
    workbook: Path,
    inputs: Inputs,
    copy: Mapping[str, str],
    times: int,
    read: Sequence[str],
    read_more: Sequence[str],
    after: Callable[[dict[str, Cells | None]], None],
    often: int = 25,
) -> None:
    """Puts the inputs in and computes; then copies values (target -> source) and computes, again and again.

    `after` gets what `read` names, at first and each time, and now and then and in the end what `read_more` names, too.
    """
    names = package(workbook).names
    places, more = ({key: place(key, names) for key in keys} for keys in (read, (*read, *read_more)))
    areas = [(Area.parse(target), Area.parse(source)) for target, source in copy.items()]
    with _explained(workbook):
        model, sheets = _opened(workbook)
        _put(model, sheets, edits(inputs, names, sheets, workbook))
        model.evaluate()
    after(_read(model, sheets, places))
    for k in range(1, times + 1):
        with _explained(workbook):
            for to, values in [
                (to, _cells(model, sheets[of.sheet.casefold()], of).numbers) for to, of in areas if to and of
            ]:
                if np.isnan(values).any():
                    raise SheetGPTError(f"{workbook.name} has errors in what goes into {to.reference}.")
                sheet = sheets[to.sheet.casefold()]
                for (i, j), value in np.ndenumerate(values):
                    model.update_cell_with_number(sheet, to.row + i, to.column + j, float(value))
            model.evaluate()
        after(_read(model, sheets, more if k % often == 0 or k == times else places))


@contextlib.contextmanager
def _explained(workbook: Path) -> Iterator[None]:
    """What goes wrong in Rust, as a sentence."""
    try:
        yield
    except (SheetGPTError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in Rust is no Exception
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise SheetGPTError(f"IronCalc can't compute {workbook.name} ({said}): use another engine.") from error


def _opened(workbook: Path) -> tuple[Any, dict[str, int]]:
    """The model, and the numbers of its sheets."""
    try:
        import ironcalc
    except ImportError as error:
        raise SheetGPTError(
            "The IronCalc engine needs the Python package ironcalc: pip install 'sheetgpt[ironcalc]'."
        ) from error
    model = ironcalc.load_from_xlsx(str(workbook.absolute()))
    return model, {sheet["name"].casefold(): i for i, sheet in enumerate(model.get_worksheets_properties())}


def _put(model: Any, sheets: Mapping[str, int], cells: Iterable[tuple[str, int, int, float | str | None]]) -> None:
    for title, row, column, value in cells:
        where = sheets[title.casefold()], row, column
        if value is None or value == "":
            model.clear_cell_contents(*where)
        elif isinstance(value, str):
            model.update_cell_with_text(*where, value)
        else:
            model.update_cell_with_number(*where, value)


def _read(model: Any, sheets: Mapping[str, int], places: Mapping[str, Area | None]) -> dict[str, Cells | None]:
    found: dict[str, Cells | None] = dict.fromkeys(places)
    for key, area in places.items():
        if area is not None and area.sheet.casefold() in sheets:
            found[key] = _cells(model, sheets[area.sheet.casefold()], area)
    return found


def _cells(model: Any, sheet: int, area: Area) -> Cells:
    """The range's values; what lies past the sheet's used cells is blank."""
    cells = Cells(np.full((area.n_rows, area.n_columns), np.nan), {})
    _, last_row, _, last_column = model.get_sheet_dimensions(sheet)
    shape = min(area.n_rows, last_row + 1 - area.row), min(area.n_columns, last_column + 1 - area.column)
    for i, j in np.ndindex(max(shape[0], 0), max(shape[1], 0)):
        value = model.get_cell_value(sheet, area.row + i, area.column + j)
        if (single := number(value)) is not None:
            cells.numbers[i, j] = single
        elif value:
            cells.texts[i, j] = value
    return cells
