"""A workbook as openpyxl reads it, of which only some sheets are wanted: the others cost it seconds."""

import io
import zipfile
from pathlib import Path

import openpyxl
from openpyxl.workbook import Workbook
from openpyxl.worksheet.worksheet import Worksheet
from patching import sheet_part

EMPTY = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData/></worksheet>'


def some_sheets(path: Path, *titles: str, values: bool = False) -> Workbook:
    """All tabs and names are there, and of these sheets the cells. `values`: what formulas came to in their place."""
    only = io.BytesIO()
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(only, "w") as part:
        wanted = {sheet_part(whole, title) for title in titles}
        for name in whole.namelist():
            empty = name.startswith("xl/worksheets/sheet") and name not in wanted
            part.writestr(name, EMPTY if empty else whole.read(name))
    only.seek(0)
    return openpyxl.load_workbook(only, data_only=values)


def one_sheet(path: Path, title: str, values: bool = False) -> Worksheet:
    found = some_sheets(path, title, values=values)[title]
    assert isinstance(found, Worksheet)
    return found


def defined_names(path: Path) -> dict[str, str]:
    """Each name's cells."""
    return {name: str(found.attr_text) for name, found in some_sheets(path).defined_names.items()}
