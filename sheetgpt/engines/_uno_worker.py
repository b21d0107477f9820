"""Drives LibreOffice through UNO; started by office.py under the Python that owns the `uno` module.

Standard library and uno only, Python 3.8 or later. Its argument is a folder. Each line of standard input names a folder
in there with a job.json; it leaves answer.json beside the numbers of each range, raw little-endian float64 in files
named by step and range. An empty line ends it. It kills its process group, LibreOffice included, as soon as standard
input closes: whoever started it is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from array import array
from pathlib import Path
from typing import Any

CELLS_A_CALL = 200_000  # getDataArray answers in one message: this keeps it at some megabytes
READ_CELLS, INPUT_CELLS = 1 << 28, 1 << 20  # GPT-2 XL's wte has 80 million; a prompt's ids 16,384
LOCATED_ERRORS = 1_000  # asking for one cell's error takes 1 to 4 ms; a wholly broken workbook has millions
NAN = float("nan")
DESKTOP = "com.sun.star.frame.Desktop"
CANT_LOAD = "LibreOffice can't load {workbook}: it may be damaged, so build or copy it again."
ERRORS = {503: "#NUM!", 519: "#VALUE!", 524: "#REF!", 525: "#NAME?", 532: "#DIV/0!", 32767: "#N/A"}


class Refused(Exception):
    """A sentence for the person at the keyboard."""


def grid(values: Any, n_rows: int, n_columns: int) -> list[list[Any]]:
    """The values row by row, None for the cells that remain."""
    if n_rows * n_columns > INPUT_CELLS:
        raise Refused(f"{n_rows * n_columns:,} cells, more than any workbook of sheetgpt's gives it")
    cells = values if isinstance(values, list) else [values]
    if not isinstance(values, list) and n_rows * n_columns > 1:
        raise Refused(f"one value for {n_rows * n_columns} cells: give a sequence")
    if len(cells) > n_rows * n_columns:
        raise Refused(f"{len(cells)} values for {n_rows * n_columns} cells: give at most one per cell")
    cells = cells + [None] * (n_rows * n_columns - len(cells))
    return [cells[i : i + n_columns] for i in range(0, len(cells), n_columns)]


def start(setup: dict[str, Any], folder: Path, state: dict[str, Any]) -> Any:
    """LibreOffice's component context; its process goes into the state."""
    import uno  # type: ignore[import-not-found, unused-ignore]
    from com.sun.star.connection import NoConnectException  # type: ignore[import-not-found, unused-ignore]

    command = [setup["soffice"], "--headless", "--norestore", "--nologo", "--nodefault", "--nofirststartwizard"]
    command += [f"--accept=pipe,name={setup['pipe']};urp;", f"-env:UserInstallation={setup['profile']}"]
    # Not this process's own: LibreOffice's Python is a script that sets variables for itself.
    environment = {
        **setup["environment"],
        **dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(folder)),
    }  # its scratch files go away with the folder
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
    with (folder / "office.log").open("wb") as log:
        state["office"] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
    while True:
        try:
            return resolver.resolve(f"uno:pipe,name={setup['pipe']};urp;StarOffice.ComponentContext")
        except NoConnectException:
            if state["office"].poll() is not None:
                raise
            time.sleep(0.05)


def properties(**values: Any) -> tuple[Any, ...]:
    from com.sun.star.beans import PropertyValue

    made = []
    for name, value in values.items():
        made.append(PropertyValue())
        made[-1].Name, made[-1].Value = name, value
    return tuple(made)


def load(context: Any, job: dict[str, Any]) -> Any:
    """The document, untitled: a template's copy takes no lock beside the file and can't be saved over it."""
    desktop = context.ServiceManager.createInstanceWithContext(DESKTOP, context)
    # Macros and updates: never (css.document.MacroExecMode, UpdateDocMode).
    options: dict[str, Any] = {"Hidden": True, "AsTemplate": True, "MacroExecutionMode": 0, "UpdateDocMode": 0}
    # Whatever it is called: a damaged one might be read as text, another format bring links of its own.
    options["FilterName"] = "Calc MS Excel 2007 XML"
    document = desktop.loadComponentFromURL(job["workbook"], "_blank", 0, properties(**options))
    if document is None or not document.supportsService("com.sun.star.sheet.SpreadsheetDocument"):
        raise ValueError("not a spreadsheet")
    # Nobody takes an edit back: of what a training step sets, keeping it takes a tenth of the time, and memory.
    document.IsUndoEnabled = False
    return document


class Ranges:
    """The cell ranges that a job's targets stand for, each looked up once: every question to LibreOffice takes time."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self.known: dict[str, tuple[Any, int, int] | None] = {}

    def find(self, target: dict[str, Any]) -> tuple[Any, int, int] | None:
        """The range with its numbers of rows and columns; None where there is none."""
        key = target["key"]
        if key not in self.known:
            cells = find(self.document, target)
            self.known[key] = None if cells is None else (cells, *size(cells))
        return self.known[key]


def find(document: Any, target: dict[str, Any]) -> Any:
    """The cell range of a defined name or a rectangle, or None."""
    if "name" in target:
        names = document.NamedRanges
        if not names.hasByName(target["name"]):
            return None
        name = names.getByName(target["name"])
        _, _, end = re.sub(r"'(?:[^']|'')*'", "quoted", name.getContent()).partition(":")
        if "." in end:  # a range through several sheets: None in 7.4, the first sheet's part in 25.2
            return None
        return name.getReferredCells()  # None for a union, a formula, a broken reference
    sheet, row, column, n_rows, n_columns = target["rectangle"]
    titles = {title.casefold(): title for title in document.Sheets.ElementNames}
    if sheet.casefold() not in titles:
        return None
    cells = document.Sheets.getByName(titles[sheet.casefold()])
    return cells.getCellRangeByPosition(column, row, column + n_columns - 1, row + n_rows - 1)


def size(cells: Any) -> tuple[int, int]:
    address = cells.getRangeAddress()
    return address.EndRow - address.StartRow + 1, address.EndColumn - address.StartColumn + 1


def put(ranges: Ranges, edit: dict[str, Any]) -> None:
    """Text goes in as text, even if it begins with "="; the empty text clears."""
    from com.sun.star.uno import RuntimeException

    found = ranges.find(edit)
    if found is None:
        raise Refused(f"{{workbook}} has no cells named {edit['key']} for this input.")
    cells, n_rows, n_columns = found
    try:
        rows = grid(edit["values"], n_rows, n_columns)
    except Refused as refusal:
        raise Refused(f"The input {edit['key']} has {refusal}.") from refusal
    try:
        cells.setDataArray(tuple(tuple("" if value is None else value for value in row) for row in rows))
    except RuntimeException as error:
        if type(error) is not RuntimeException:
            raise
        raise Refused(f"LibreOffice refuses the input {edit['key']}: its cells may be protected.") from error


def paste(ranges: Ranges, copies: list[list[dict[str, Any]]]) -> None:
    """The values of some ranges into others; an error among them is refused, since it would become an empty cell.

    Where LibreOffice calculates by itself, what is read is computed now, and what follows from it later.
    """
    values = []
    for target, source in copies:
        found, place = ranges.find(source), ranges.find(target)
        if found is None or place is None or found[1:] != place[1:]:
            raise Refused(f"{{workbook}} has no cells {source['key']} that fit {target['key']}.")
        data = found[0].getDataArray()
        if any(value is None for row in data for value in row):
            raise Refused(f"{{workbook}} has errors in {source['key']}, which can't be copied to {target['key']}.")
        values.append((place[0], data))
    ranges.document.enableAutomaticCalculation(False)
    for cells, data in values:
        cells.setDataArray(data)


def read(found: tuple[Any, int, int], numbers: Path, budget: list[int]) -> dict[str, Any]:
    """Numbers into the file; size, texts and errors into the answer."""
    cells, n_rows, n_columns = found
    if n_rows * n_columns > READ_CELLS:
        raise Refused(f"{{workbook}} has a range of {n_rows * n_columns:,} cells to read, which no memory holds.")
    texts: list[tuple[int, int, str]] = []
    step = max(1, CELLS_A_CALL // n_columns)
    with numbers.open("wb") as out:
        for first in range(0, n_rows, step):
            last = min(first + step, n_rows) - 1
            part = cells if n_rows <= step else cells.getCellRangeByPosition(0, first, n_columns - 1, last)
            values = array("d")
            for i, row in enumerate(part.getDataArray(), first):
                for j, value in enumerate(row):
                    if isinstance(value, float) and value == value:
                        values.append(value)
                        continue
                    values.append(NAN)
                    if value != "":
                        texts.append((i, j, value if isinstance(value, str) else error_text(cells, i, j, budget)))
            if sys.byteorder == "big":
                values.byteswap()
            values.tofile(out)
    return {"rows": n_rows, "columns": n_columns, "texts": texts}


def error_text(cells: Any, row: int, column: int, budget: list[int]) -> str:
    """getDataArray gives nothing at all for an error; the first ones are named, by code and so in no one's language."""
    if not budget[0]:
        return "#ERROR!"
    budget[0] -= 1
    code = cells.getCellByPosition(column, row).getError()
    return ERRORS.get(code, f"Err:{code}")


def export(document: Any, pdf: dict[str, Any]) -> None:
    """The wanted sheets alone: their formulas become values, then every other sheet is taken out of this copy."""
    titles = {title.casefold(): title for title in document.Sheets.ElementNames}
    areas: dict[str, list[Any]] = {}
    for place in pdf["sheets"] or document.Sheets.ElementNames:
        title, _, cells = place.partition("!")
        if title.casefold() not in titles:
            raise Refused(f"{{workbook}} has no sheet {title} to export")
        areas.setdefault(titles[title.casefold()], []).extend([cells] if cells else [])
    for title, ranges in areas.items():
        sheet = document.Sheets.getByName(title)
        sheet.unprotect("")  # a copy to be printed
        cursor = sheet.createCursor()
        cursor.gotoEndOfUsedArea(False)
        last = cursor.RangeAddress
        used = sheet.getCellRangeByPosition(0, 0, last.EndColumn, last.EndRow)
        used.setDataArray(used.getDataArray())
        if ranges:
            sheet.setPrintAreas(tuple(sheet.getCellRangeByName(cells).RangeAddress for cells in ranges))
    for title in titles.values():
        if title not in areas:
            document.Sheets.removeByName(title)
    document.storeToURL(pdf["url"], properties(FilterName="calc_pdf_Export"))


def memory() -> tuple[int | None, int]:
    """The most bytes that LibreOffice has held, and those that it holds now, where the system tells."""
    if sys.platform == "win32":
        return None, 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            group = int((status.parent / "stat").read_text().rpartition(")")[2].split()[2])
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except (OSError, ValueError, IndexError):
            continue  # it ended meanwhile
        if group == os.getpgid(0) and lines["Name"].strip() == "soffice.bin" and "VmHWM" in lines:
            most, now = (int(lines[key].split()[0]) * 1024 for key in ("VmHWM", "VmRSS"))
            return most, now
    return None, 0


def work(job: dict[str, Any], folder: Path, state: dict[str, Any]) -> dict[str, Any]:
    """The job's steps, one after the other, on a document that stays open in the state."""
    state["doing"] = "loading"
    begun = time.perf_counter()
    document = state["document"] = load(state["context"], job)
    load_seconds, step_seconds, steps, budget = time.perf_counter() - begun, [], [], [LOCATED_ERRORS]
    ranges = Ranges(document)
    for i, step in enumerate(job["steps"]):
        state["doing"] = "recalculating"
        begun = time.perf_counter()
        # An edit can make LibreOffice look at a formula in its row (for the row's height), and so compute half of the
        # workbook for every cell that is set: 20 s each at GPT-2 small's size, where everything is recalculated anyway.
        document.enableAutomaticCalculation(not step["hard"])
        paste(ranges, step["copy"])
        for edit in step["set"]:
            put(ranges, edit)
        document.enableAutomaticCalculation(True)
        # calculateAll recomputes every formula, dirty or not: cached values never survive it
        if step["hard"]:
            document.calculateAll()
        elif not step["lazy"]:
            document.calculate()
        step_seconds.append(time.perf_counter() - begun)
        state["doing"] = "reading"
        found = [ranges.find(target) for target in step["read"]]
        steps.append([c and read(c, folder / f"{i}-{j}.f64", budget) for j, c in enumerate(found)])
        if job.get("stream"):
            (folder / "part").write_text(json.dumps(steps[-1]), "utf-8")
            (folder / "part").rename(folder / f"{i}.json")  # whole from the moment that it is there
    if job.get("pdf"):
        state["doing"] = "exporting"
        export(document, job["pdf"])
    return {"load_seconds": load_seconds, "step_seconds": step_seconds, "peak_bytes": memory()[0], "steps": steps}


def tidy(state: dict[str, Any]) -> bool:
    """Closes the document; tells whether LibreOffice is as it was before, with nothing open."""
    try:
        document = state.pop("document", None)
        if document is not None:
            document.close(True)
        desktop = state["context"].ServiceManager.createInstanceWithContext(DESKTOP, state["context"])
        return not desktop.getComponents().createEnumeration().hasMoreElements() and state["office"].poll() is None
    except Exception as error:
        print(error, file=sys.stderr)
        return False


def failure(error: Exception, state: dict[str, Any]) -> dict[str, Any]:
    """What went wrong: a sentence with {workbook} in place of the file's name, or that LibreOffice has ended.

    `refused`: the fault is in what was asked for.
    """
    if isinstance(error, Refused):
        return {"error": str(error), "refused": True}
    office = state.get("office")
    try:
        code = office.wait(2) if office else None
    except subprocess.TimeoutExpired:
        code = None
    if code is not None or type(error).__name__ == "DisposedException":
        return {"error": "", "refused": False, "stopped": code, "doing": state["doing"]}
    if state["doing"] == "loading":
        return {"error": CANT_LOAD, "refused": False}
    said = f"LibreOffice failed while {state['doing']} {{workbook}}: {type(error).__name__} {error}"
    return {"error": said.strip(), "refused": False}


def main() -> None:
    folder = Path(sys.argv[1])
    setup = json.loads((folder / "setup.json").read_text("utf-8"))
    jobs: queue.Queue[str] = queue.Queue()
    state: dict[str, Any] = {}
    threading.Thread(target=follow_parent, args=(folder, setup["sockets"], jobs, state), daemon=True).start()
    while name := jobs.get():
        answer = attempt(setup, folder, folder / name, state)
        (folder / name / "answer.part").write_text(json.dumps(answer), "utf-8")
        (folder / name / "answer.part").replace(folder / name / "answer.json")
    leave(state)


def attempt(setup: dict[str, Any], folder: Path, place: Path, state: dict[str, Any]) -> dict[str, Any]:
    """The answer to a job, or the sentence that says why there is none; `fit`: LibreOffice can take another."""
    state["doing"] = "starting up for"
    expected = True
    try:
        if "context" not in state:
            state["context"] = start(setup, folder, state)
        answer = work(json.loads((place / "job.json").read_text("utf-8")), place, state)
    except Exception as error:
        answer = failure(error, state)
        expected = isinstance(error, Refused) or answer["error"] == CANT_LOAD
    fit = expected and (not setup["shared"] or tidy(state))  # closing takes its time: not where all is killed anyway
    return {**answer, "fit": fit, "bytes": memory()[1]}


def leave(state: dict[str, Any]) -> None:
    """Asks LibreOffice to go; where that takes long, it is killed with the process group in a moment."""
    if "context" in state:
        try:
            state["context"].ServiceManager.createInstanceWithContext(DESKTOP, state["context"]).terminate()
            state["office"].wait(5)
        except Exception as error:
            print(error, file=sys.stderr)
    sys.stderr.flush()
    if sys.platform == "win32":
        end_office(state)
    os._exit(0)


def end_office(state: dict[str, Any]) -> None:
    """For Windows, which has no process groups: only whoever has started the office knows it."""
    office = state.get("office")
    if office and office.poll() is None:
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(office.pid)], check=False, capture_output=True)


def follow_parent(folder: Path, sockets: list[str], jobs: queue.Queue[str], state: dict[str, Any]) -> None:
    """Hands on the lines of standard input, and leaves no trace when it closes."""
    for line in sys.stdin.buffer:
        jobs.put(line.decode().strip())
    for path in sockets:
        with contextlib.suppress(OSError):
            os.unlink(path)
    if sys.platform == "win32":
        end_office(state)  # first, since what it has open can't be deleted
    shutil.rmtree(folder, ignore_errors=True)
    if sys.platform == "win32":
        os._exit(1)
    else:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
