"""The cached engine: the values a workbook holds as last saved, for one that was recalculated and saved in Excel.

Values come by python-calamine, which drops errors, forgets where names point and believes every size: `survey` and the
package's XML give these (ECMA-376, part 1, sections 18.2 and 18.3).
"""

import io
import posixpath
import zipfile
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import python_calamine

from sheetgpt.engines import Cells, Inputs, number, require_workbook
from sheetgpt.engines.survey import Survey, spare_memory, survey
from sheetgpt.errors import SheetGPTError
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.reading.elements import Element, XMLError, elements
from sheetgpt.ooxml.reading.unzip import READ_ERRORS, chunks, is_sheet, is_xml, open_zip, read

ANY_CELLS = 1 << 22  # that names may cover beyond twice the cells that their sheets have
_UNREADABLE: tuple[type[Exception], ...] = (XMLError, *READ_ERRORS)
_DOCUMENT = "/officeDocument"  # how the relationship's type ends, in the transitional and the strict namespace


@dataclass(frozen=True)
class Package:
    """A workbook's own table of contents."""

    sheets: dict[str, str]  # title -> part
    names: dict[str, Area | None]  # upper-case defined name -> its cells; None: not one rectangle of a sheet
    references: dict[str, str]  # defined name -> what it refers to, both as they stand in the file
    size: int  # bytes of all parts, unpacked


def recalculate(workbook: Path, inputs: Inputs | None, read: Sequence[str]) -> dict[str, Cells | None]:
    """Nothing is recalculated: the cells as they were saved."""
    if inputs:
        raise SheetGPTError(
            f"The cached engine can't be given new inputs ({', '.join(inputs)}): type them into {Path(workbook).name},"
            " recalculate and save it, or use another engine."
        )
    names = package(workbook).names
    return cells(workbook, {key: place(key, names) for key in read})


def place(key: str, names: Mapping[str, Area | None]) -> Area | None:
    """Where a defined name or a range is."""
    if "!" not in key:
        return names.get(key.upper())
    found = Area.parse(key)
    if found is None:
        raise SheetGPTError(f"{key} is not a range of cells: write it like Home!B7 or Home!B7:K7.")
    return found


def package(workbook: Path) -> Package:
    """Sheets and workbook-level names, by relationships."""
    require_workbook(Path(workbook))
    try:
        with open_zip(workbook) as archive:
            documents = [target for kind, target in _relationships(archive, "").values() if kind.endswith(_DOCUMENT)]
            if not documents:
                raise ValueError("it names no workbook part")
            related = _relationships(archive, documents[0])
            wanted = ("sheets/sheet", "definedNames/definedName")
            found = list(elements(chunks(archive, documents[0]), wanted))
            sheets = _sheets([item for item in found if item.path == wanted[0]], related)
            size = sum(entry.file_size for entry in archive.infolist())
    except _UNREADABLE as error:
        raise _damaged(workbook, error) from error
    titles = {title.casefold() for title in sheets}
    names: dict[str, Area | None] = {}
    references: dict[str, str] = {}
    for item in found:
        if item.path == wanted[1] and "localSheetId" not in item.attributes:
            key, reference = item.attributes.get("name", ""), item.text.strip().removeprefix("=")
            references[key], place = reference, Area.parse(reference)
            names[key.upper()] = place if place and place.sheet.casefold() in titles else None
    return Package(sheets, names, references, size)


def _damaged(workbook: Path, error: BaseException) -> SheetGPTError:
    return SheetGPTError(f"{workbook} can't be read as an .xlsx workbook ({error}): build or copy it again.")


def _sheets(listed: Sequence[Element], related: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Title -> part. No two readers would agree on a title that stands there twice."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    for sheet in listed:
        title = sheet.attributes.get("name", "")
        ids = [value for name, value in sheet.attributes.items() if name.endswith("}id")]
        if title.casefold() in seen or len(ids) > 1:
            raise ValueError(f"the sheet {title!r:.80} stands there twice")
        seen.add(title.casefold())
        found[title] = related.get(ids[0], ("", ""))[1] if ids else ""
    return found


def _relationships(archive: zipfile.ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """A part's relationships: id -> type, target part."""
    folder, name = posixpath.split(part)
    found: dict[str, tuple[str, str]] = {}
    for item in elements(chunks(archive, posixpath.join(folder, "_rels", f"{name}.rels")), ["*"]):
        identity, kind, target = (item.attributes.get(key, "") for key in ("Id", "Type", "Target"))
        if identity in found:
            raise ValueError(f"two relationships of {name or 'the package'} have one id")
        found[identity] = kind, posixpath.join("/", folder, target).lstrip("/")
    return found


def cells(workbook: Path, places: Mapping[str, Area | None]) -> dict[str, Cells | None]:
    """The cells as saved; each sheet is gone through once."""
    contents = package(workbook)
    parts = {title.casefold(): (title, part) for title, part in contents.sheets.items()}
    by_sheet: dict[str, dict[str, Area]] = {}
    for key, found in places.items():
        if found is not None and found.sheet.casefold() in parts:
            by_sheet.setdefault(found.sheet.casefold(), {})[key] = found
    results: dict[str, Cells | None] = dict.fromkeys(places)
    try:
        surveys = _surveys(workbook, {parts[folded]: wanted for folded, wanted in by_sheet.items()})
        with python_calamine.load_workbook(_named(Path(workbook))) as book:
            for folded, wanted in by_sheet.items():
                title = parts[folded][0]
                found_cells = _sheet(book.get_sheet_by_name(title), wanted)
                _add_errors(surveys[title].errors, wanted, found_cells)
                _no_infinity(found_cells)
                results |= found_cells
    except (SheetGPTError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # calamine's own errors, and its panics, which are no Exceptions
        raise _damaged(workbook, error) from error
    return results


def _surveys(workbook: Path, wanted: Mapping[tuple[str, str], Mapping[str, Area]]) -> dict[str, Survey]:
    """What there is to read on each sheet (title and part). Refuses what there is no memory for.

    Here calamine's mistakes would end the process: it reads xl/workbook.xml, and believes every size and place.
    """
    found: dict[str, Survey] = {}
    with open_zip(workbook) as archive:
        if "xl/workbook.xml" not in archive.namelist():
            raise ValueError("it has no xl/workbook.xml")
        whole = [read(archive, name) for name in archive.namelist() if is_xml(name) and not is_sheet(name)]
        longest = max((len(text) for part in whole if b"</si>" in part for text in part.split(b"</si>")), default=0)
        for title, part in wanted:
            found[title] = survey(archive, part)
            needed, spare = found[title].memory(longest), spare_memory()
            if needed > spare:
                raise SheetGPTError(
                    f"Reading the sheet {title} of {workbook.name} would take about {needed / 1e9:.1f} GB of memory, "
                    f"and {spare / 1e9:.1f} GB are free."
                )
    asked = sum(area.n_cells for areas in wanted.values() for area in areas.values())
    there = sum(one.extent for one in found.values())
    if asked > ANY_CELLS + 2 * there:
        key, area = max((item for areas in wanted.values() for item in areas.items()), key=lambda item: item[1].n_cells)
        raise SheetGPTError(
            f"{key} covers {area.n_cells:,} cells in {workbook.name}, far more than the sheet {area.sheet} has: "
            f"build or copy it again."
        )
    return found


def _named(workbook: Path) -> str | io.BytesIO:
    """The workbook as calamine takes it: a name that isn't UTF-8 is none for it."""
    try:
        str(workbook).encode()
    except UnicodeEncodeError:
        return io.BytesIO(workbook.read_bytes())
    return str(workbook)


def _sheet(sheet: Any, wanted: Mapping[str, Area]) -> dict[str, Cells]:
    """Numbers and texts of one sheet. Calamine's rows begin at row 1, but at the first column that holds anything."""
    found = {key: Cells(np.full((w.n_rows, w.n_columns), np.nan), {}) for key, w in wanted.items()}
    shift = sheet.start[1] if sheet.start else 0
    waiting = sorted(wanted.items(), key=lambda item: item[1].row, reverse=True)
    active: list[tuple[str, Area]] = []
    for i, row in enumerate(sheet.iter_rows(), 1):
        while waiting and waiting[-1][1].row <= i:
            active.append(waiting.pop())
        active = [item for item in active if i <= item[1].last_row]
        if not active and not waiting:
            break
        for key, area in active:
            first = max(area.column - 1 - shift, 0)
            part = row[first : max(area.last_column - shift, 0)]
            offset = first + shift - (area.column - 1)
            _fill(found[key], i - area.row, offset, part)
    return found


def _fill(target: Cells, row: int, offset: int, values: list[Any]) -> None:
    kinds = set(map(type, values))
    if kinds <= {float, str}:  # nearly all rows: at once
        if str in kinds:
            target.texts.update({(row, j): text for j, text in enumerate(values, offset) if text and type(text) is str})
            values = [value if type(value) is float else np.nan for value in values]
        target.numbers[row, offset : offset + len(values)] = values
        return
    for column, value in enumerate(values, offset):
        if isinstance(value, str):
            if value:
                target.texts[row, column] = value
        elif (single := number(value)) is not None:
            target.numbers[row, column] = single


def _no_infinity(found: Mapping[str, Cells]) -> None:
    """What a file has as `inf` or `1e999` is no number that a cell can hold: it counts as that error."""
    for cells in found.values():
        for i, j in np.argwhere(np.isinf(cells.numbers)).tolist():
            cells.texts[i, j], cells.numbers[i, j] = "#NUM!", np.nan


def _add_errors(errors: Mapping[tuple[int, int], str], wanted: Mapping[str, Area], found: Mapping[str, Cells]) -> None:
    places = sorted(errors)
    for key, area in wanted.items() if errors else ():
        first = bisect_left(places, (area.row - 1, 0))
        for row, column in places[first : bisect_left(places, (area.last_row, 0))]:
            i, j = row + 1 - area.row, column + 1 - area.column
            if 0 <= j < area.n_columns:
                found[key].texts[i, j] = errors[row, column]
                found[key].numbers[i, j] = np.nan
