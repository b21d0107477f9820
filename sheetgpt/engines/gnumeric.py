"""The Gnumeric engine: `ssconvert --recalc` into a new workbook, whose cached values are then read.

ssconvert sets cells of the first sheet only, so inputs go into a copy by openpyxl; cached values don't survive that,
which is no loss before a recalculation. What Gnumeric 1.12 does otherwise than Excel and LibreOffice:

- Within SUMPRODUCT only operators go down a whole range, functions such as EXP, ABS or EXACT don't: #VALUE!, or one
  cell's value. INDEX of a single cell, and INDEX of a line with one number, are #REF!.
- `_x0001_` in a file stays these seven letters: control characters can't be given. U+007F becomes no letter.
- It writes spaces at a text's ends so that readers drop them: the cell had them.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import openpyxl

from sheetgpt.engines import Cells, Inputs, cached, edit, seconds
from sheetgpt.errors import SheetGPTError
from sheetgpt.ooxml.writing import unfinished


def recalculate(
    workbook: Path, inputs: Inputs | None, read: Sequence[str], *, timeout: float = 600
) -> dict[str, Cells | None]:
    """Puts the inputs in, recalculates every formula, reads."""
    workbook = Path(workbook)
    names = cached.package(workbook).names
    places = {key: cached.place(key, names) for key in read}
    timeout = seconds(timeout)
    with unfinished.temporary() as folder:
        source, target = workbook.absolute(), folder / "recalculated.xlsx"
        if inputs:
            try:
                book = openpyxl.load_workbook(source)
            except Exception as error:  # openpyxl raises whatever comes up in it
                raise SheetGPTError(f"{workbook} can't be read ({error}): build or copy it again.") from error
            edit(book, inputs, names, workbook)
            source = folder / "edited.xlsx"
            with unfinished.said_of_room():
                book.save(source)
        program = shutil.which("ssconvert")
        if program is None:
            raise SheetGPTError(
                "Gnumeric's ssconvert is not installed: install it (sudo apt install gnumeric) or use another engine."
            )
        try:
            done = subprocess.run(
                [program, "--recalc", source.as_uri(), target.as_uri()],
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=min(timeout, 1e6),  # poll(2) counts milliseconds in 31 bits
            )
        except subprocess.TimeoutExpired:
            raise SheetGPTError(
                f"Gnumeric had not finished with {workbook.name} after {timeout:g} seconds and was stopped:"
                " raise the limit (timeout, in seconds)."
            ) from None
        if done.returncode or not target.exists():
            said = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
            raise SheetGPTError(f"Gnumeric can't recalculate {workbook.name} ({said[0]}): build or copy it again.")
        return cached.cells(target, places)
