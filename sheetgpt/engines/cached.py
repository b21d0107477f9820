"""The cached engine: the values a workbook holds as last saved, for one that was recalculated and saved in Excel.

Values come by python-calamine, which drops errors and forgets where names point: both are read from the package's XML
(ECMA-376, part 1, sections 18.2 and 18.3).
"""

import io
import posixpath
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import python_calamine

from sheetgpt.engines import Cells, Inputs, number, require_workbook
from sheetgpt.errors import SheetGPTError
from sheetgpt.ooxml.area import Area

_CHUNK = 1 << 20
_DOCUMENT = "/officeDocument"  # how the relationship's type ends, in the transitional and the strict namespace


@dataclass(frozen=True)
class Package:
    """A workbook's own table of contents."""

    sheets: dict[str, str]  # title -> part
    names: dict[str, Area | None]  # upper-case defined name -> its cells; None: not one rectangle of a sheet
    references: dict[str, str]  # defined name -> what it refers to, both as they stand in the file


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
        with zipfile.ZipFile(workbook) as archive:
            documents = [target for kind, target in _relationships(archive, "").values() if kind.endswith(_DOCUMENT)]
            related = _relationships(archive, documents[0])
            root = ElementTree.fromstring(archive.read(documents[0]))
    except (KeyError, IndexError, ElementTree.ParseError, zipfile.BadZipFile, OSError, ValueError) as error:
        raise SheetGPTError(
            f"{workbook} can't be read as an .xlsx workbook ({error}): build or copy it again."
        ) from error
    sheets = {}
    for sheet in root.iterfind("./{*}sheets/{*}sheet"):
        identity = next((value for name, value in sheet.attrib.items() if name.endswith("}id")), "")
        sheets[sheet.get("name", "")] = related.get(identity, ("", ""))[1]
    titles = {title.casefold() for title in sheets}
    names: dict[str, Area | None] = {}
    references: dict[str, str] = {}
    for name in root.iterfind("./{*}definedNames/{*}definedName"):
        if name.get("localSheetId") is None:
            key, reference = name.get("name", ""), (name.text or "").strip().removeprefix("=")
            references[key], found = reference, Area.parse(reference)
            names[key.upper()] = found if found and found.sheet.casefold() in titles else None
    return Package(sheets, names, references)


def _relationships(archive: zipfile.ZipFile, part: str) -> dict[str, tuple[str, str]]:
    """A part's relationships: id -> type, target part."""
    folder, name = posixpath.split(part)
    root = ElementTree.fromstring(archive.read(posixpath.join(folder, "_rels", f"{name}.rels")))
    return {
        item.get("Id", ""): (item.get("Type", ""), posixpath.join("/", folder, item.get("Target", "")).lstrip("/"))
        for item in root
    }


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
        with python_calamine.load_workbook(_named(Path(workbook))) as book, zipfile.ZipFile(workbook) as archive:
            for folded, wanted in by_sheet.items():
                title, part = parts[folded]
                found_cells = _sheet(book.get_sheet_by_name(title), wanted)
                _add_errors(_errors(archive, part), wanted, found_cells)
                results |= found_cells
    except (python_calamine.CalamineError, zipfile.BadZipFile, ElementTree.ParseError, OSError, KeyError) as error:
        raise SheetGPTError(
            f"{workbook} can't be read as an .xlsx workbook ({error}): build or copy it again."
        ) from error
    return results


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
    if set(map(type, values)) == {float}:  # nearly all rows: at once
        target.numbers[row, offset : offset + len(values)] = values
        return
    for column, value in enumerate(values, offset):
        if isinstance(value, str):
            if value:
                target.texts[row, column] = value
        elif (single := number(value)) is not None:
            target.numbers[row, column] = single


def _errors(archive: zipfile.ZipFile, part: str) -> dict[tuple[int, int], str]:
    """The cells of type "e", which calamine shows as empty. Most sheets have none: a search spares them the XML."""
    with archive.open(part) as stream:
        tail = b""
        while chunk := stream.read(_CHUNK):
            text = tail + chunk
            if b't="e"' in text or b"t='e'" in text:
                break
            tail = text[-4:]
        else:
            return {}
    found: dict[tuple[int, int], str] = {}
    rows, columns, row = count(), count(), 0
    with archive.open(part) as stream:
        for event, element in ElementTree.iterparse(stream, events=("start", "end")):
            tag = element.tag.rpartition("}")[2]
            if event == "start" and tag == "row":  # a row or a cell without "r" follows the one before it
                row = int(element.get("r", next(rows) + 1)) - 1
                rows, columns = count(row + 1), count()
            elif event == "start" and tag == "c":
                at = Area.parse(f"x!{element.get('r', '')}")
                column = at.column - 1 if at else next(columns)
                columns = count(column + 1)
            elif event == "end" and tag == "c" and element.get("t") == "e":
                found[row, column] = element.findtext("{*}v") or "#N/A"
            elif event == "end" and tag == "row":
                element.clear()
    return found


def _add_errors(errors: Mapping[tuple[int, int], str], wanted: Mapping[str, Area], found: Mapping[str, Cells]) -> None:
    for key, area in wanted.items() if errors else ():
        for (row, column), text in errors.items():
            i, j = row + 1 - area.row, column + 1 - area.column
            if 0 <= i < area.n_rows and 0 <= j < area.n_columns:
                found[key].texts[i, j] = text
                found[key].numbers[i, j] = np.nan
