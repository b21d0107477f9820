"""Small workbooks whose answers are known by hand."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
from openpyxl.workbook.defined_name import DefinedName

from sheetgpt.engines import Cells, Step

NAMES = {
    "x": "'My sheet'!$B$2",
    "block": "'My sheet'!$B$10:$D$11",
    "doubled": "'My sheet'!$C$2",
    "union": "'My sheet'!$B$2,'My sheet'!$D$2",
    "broken": "#REF!",
    "computed": "SUM('My sheet'!$B$2:$C$2)",
    "gone": "Nowhere!$A$1",
    "through": "'My sheet:Größe'!$A$1:$B$2",
}
READ = ["x", "doubled", "My sheet!B2:J2", "Größe!C5", "My sheet!B4:B8"]


def save(path: Path) -> Path:
    """x = 3, 2x, 2x + 1, errors and texts on the first sheet; a formula over both sheets on the second."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "My sheet"
    sheet.append([])
    sheet.append([None, 3, "=B2*2", "=C2+1", "=1/0", "=NA()", '=IF(B2>100,B2,"")', '="a"&B2', "=NOSUCH(1)", "=1=1"])
    sheet.append([None, "text", "=B3", "=SUM(B10:D11)", "=E2+1"])
    for i in range(4, 9):  # a chain: each row twice the one above it, plus x
        sheet.cell(i, 2, f"=2*{'B$2' if i == 4 else f'B${i - 1}'}+B$2")
    book.create_sheet("Größe")["C5"] = "='My sheet'!D2*10"
    for name, target in NAMES.items():
        book.defined_names[name] = DefinedName(name, attr_text=target)
    fresh = path.with_name("fresh.xlsx")
    book.save(fresh)
    rewrite(fresh, path, lambda part: re.sub(rb"</f><v ?/>|</f><v></v>", b"</f><v>999</v>", part))
    fresh.unlink()
    return path


def rewrite(source: Path, target: Path, change: Callable[[bytes], bytes]) -> None:
    """Every sheet's XML through `change`."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            part = old.read(entry)
            new.writestr(entry, change(part) if entry.filename.startswith("xl/worksheets/") else part)


STEPS = {
    "as saved": Step({}, READ, hard=False),
    "hard": Step({}, [*READ, *NAMES, "never", "Nowhere!A1", "'my sheet'!$b$3:$E$3"]),
    "edit": Step({"x": 5}, READ, hard=False),
    "edit, hard": Step({}, READ),
    "cell": Step({"Größe!A1": 4.5, "My sheet!B3": None}, ["Größe!A1:B1", "My sheet!B3:C3"], hard=False),
    "range": Step({"block": ["=1+1", 2, None, "-x", 0.1]}, ["block", "My sheet!D3"], hard=False),
    "shorter": Step({"My sheet!B10:D11": [1]}, ["block", "My sheet!D3"]),
    "large": Step(
        {"Größe!A1": 1, "Größe!C66666": 2, "Größe!A66667": 3, "Größe!B66668": "here", "Größe!C100000": 4},
        ["Größe!A1:C100000"],
    ),
}


def same(one: Cells | None, other: Cells | None) -> bool:
    assert one is not None
    assert other is not None
    return np.array_equal(one.numbers, other.numbers, equal_nan=True) and one.texts == other.texts
