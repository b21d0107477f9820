"""Every cell of a workbook that shows an error after LibreOffice has recalculated everything: python FILE.xlsx

Exit status 1 when there is one. SHEETGPT_SOFFICE names another LibreOffice than the one on the path.
"""

import re
import sys
from pathlib import Path

import openpyxl

from sheetgpt.engines import Step, libreoffice

ERROR = re.compile(r"#[A-Z0-9/]+[!?]|#N/A|Err:\d+")


def errors(workbook: Path) -> list[str]:
    """`Home!C17 #VALUE!`, sheet by sheet."""
    book = openpyxl.load_workbook(workbook, read_only=True)
    used = {sheet.title: f"'{sheet.title}'!A1:{sheet.calculate_dimension().split(':')[-1]}" for sheet in book}
    [answer] = libreoffice.run(workbook, [Step({}, list(used.values()))])
    found = []
    for title, key in used.items():
        cells = answer[key]
        for (row, column), text in cells.texts.items() if cells else ():
            if ERROR.fullmatch(text):
                found.append(f"{title}!{openpyxl.utils.get_column_letter(column + 1)}{row + 1} {text}")
    return found


if __name__ == "__main__":
    lines = errors(Path(sys.argv[1]))
    print(*lines[:40], f"{len(lines)} error cells", sep="\n")
    sys.exit(1 if lines else 0)
