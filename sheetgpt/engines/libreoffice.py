"""The LibreOffice engine: recalculates a workbook in a headless LibreOffice of its own and reads it back.

The `uno` module belongs to the system's or LibreOffice's own Python, so _uno_worker.py runs there as a subprocess and
plain files in a temporary folder go to and fro; office.py keeps the processes. Each call has a LibreOffice to itself,
or shares one with others inside `with resident():`.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sheetgpt import system
from sheetgpt.engines import Cells, Inputs, Step, cached, plain, require_workbook, seconds, slow
from sheetgpt.engines._uno_worker import CANT_LOAD
from sheetgpt.engines.office import lent
from sheetgpt.engines.office import resident as resident
from sheetgpt.errors import SheetGPTError
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.reading import foreign
from sheetgpt.ooxml.reading.unzip import READ_ERRORS
from sheetgpt.ooxml.writing import unfinished

LARGEST = 1 << 31  # bytes of a file: 7.4 opens one of 2.10 GB, and calls one of 2.20 GB damaged
TOO_LARGE = (
    "LibreOffice 7.4 reads no file of 2 GiB or more: build with --weights int8, fewer --digits or less --context"
)


@dataclass(frozen=True)
class Session:
    """What a workbook answered, a dict a step, and what it cost."""

    results: list[dict[str, Cells | None]]
    load_seconds: float
    step_seconds: list[float]  # edits and recalculation, without the reading
    peak_bytes: int | None  # LibreOffice's peak memory, where the system tells and it was this workbook's alone


def run(workbook: Path, steps: Sequence[Step], *, timeout: float = 600) -> list[dict[str, Cells | None]]:
    """One process, one load, then each step; None stands for a name or sheet that is not there."""
    return session(workbook, steps, timeout=timeout).results


def recalculate(
    workbook: Path, inputs: Inputs, read: Sequence[str], *, timeout: float = 600
) -> dict[str, Cells | None]:
    """Puts the inputs in, recalculates every formula, reads."""
    return run(workbook, [Step(inputs, read)], timeout=timeout)[0]


def session(
    workbook: Path,
    steps: Sequence[Step],
    *,
    timeout: float = 600,
    after: Callable[[dict[str, Cells | None]], None] | None = None,
    alone: bool = False,
) -> Session:
    """Like `run`, with seconds and bytes. `after` gets each step's answer as soon as it is there.

    `alone` asks for a LibreOffice of its own inside `resident`, too: only there are the peak bytes this workbook's.
    """
    return _converse(Path(workbook), steps, None, timeout, after, alone)


def export_pdf(
    workbook: Path,
    pdf: Path,
    sheets: Sequence[str] | None = None,
    inputs: Inputs | None = None,
    *,
    timeout: float = 600,
) -> None:
    """The workbook's pages, or those of some sheets (`Home`) or ranges (`Home!A1:P40`), recalculated, as a PDF."""
    target = {"url": Path(pdf).absolute().as_uri(), "sheets": list(sheets or ())}
    _converse(Path(workbook), [Step(inputs or {}, ())], target, timeout)


def _converse(
    workbook: Path,
    steps: Sequence[Step],
    pdf: dict[str, Any] | None,
    timeout: float,
    after: Callable[[dict[str, Cells | None]], None] | None = None,
    alone: bool = False,
) -> Session:
    timeout = seconds(timeout)
    require_workbook(workbook)
    if timeout <= slow.PATIENT:
        slow.refuse_slow(workbook, _titles(workbook))
    job: dict[str, Any] = {
        "steps": [
            {
                "set": [_target(key) | {"values": plain(key, value)} for key, value in step.set.items()],
                "read": [_target(key) for key in step.read],
                "hard": step.hard,
                "lazy": step.lazy,
                "copy": [(_target(target), _target(source)) for target, source in step.copy.items()],
            }
            for step in steps
        ],
        "pdf": pdf,
        "stream": after is not None,
    }
    told = 0

    def tell(folder: Path) -> None:
        nonlocal told
        while after is not None and (answer := folder / f"{told}.json").exists():
            found = zip(steps[told].read, enumerate(json.loads(answer.read_text("utf-8"))), strict=True)
            after({key: _cells(folder / f"{told}-{j}.f64", cells) for key, (j, cells) in found})
            told += 1

    with (
        lent(alone) as office,
        _harmless(workbook, office.folder) as job["workbook"],
        office.work(job, workbook.name, timeout, tell) as (folder, answer),
    ):
        tell(folder)
        if "error" in answer:
            raise SheetGPTError(_explained(answer["error"], workbook))
        results = [
            {key: _cells(folder / f"{i}-{j}.f64", answer["steps"][i][j]) for j, key in enumerate(step.read)}
            for i, step in enumerate(steps)
        ]
    peak = None if office.shared else answer["peak_bytes"]
    return Session(results, answer["load_seconds"], answer["step_seconds"], peak)


def _titles(workbook: Path) -> dict[str, str]:
    """Of the sheets, by part; none of a workbook that only LibreOffice can read."""
    try:
        return {part: title for title, part in cached.package(workbook).sheets.items()}
    except SheetGPTError:
        return {}


@contextlib.contextmanager
def _harmless(workbook: Path, folder: Path) -> Iterator[str]:
    """The address under which LibreOffice opens the workbook: its own, or a copy's that leads nowhere else."""
    copy = folder / "copy.xlsx"
    try:
        yield _opened(workbook.absolute(), copy).as_uri()
    finally:
        copy.unlink(missing_ok=True)


def _opened(workbook: Path, copy: Path) -> Path:
    try:
        if foreign.without(workbook, copy):
            return copy
        if str(workbook).isprintable():
            return workbook
        copy.symlink_to(workbook)  # bytes that are no UTF-8 make no address that LibreOffice understands
        return copy
    except READ_ERRORS as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise SheetGPTError(unfinished.no_room(error)) from error
        raise SheetGPTError(
            f"{workbook} can't be read as an .xlsx workbook ({error}): build or copy it again."
        ) from error


def _explained(error: str, workbook: Path) -> str:
    """The worker's sentence with the workbook's name; a file too large for LibreOffice is not damaged."""
    size = workbook.stat().st_size
    if error == CANT_LOAD and size >= LARGEST:
        return f"{workbook.name} has {size / 1e9:.1f} GB, and {TOO_LARGE}."
    if error == CANT_LOAD and (limit := system.memory_limit()) is not None:
        return (
            f"LibreOffice can't load {workbook.name}: it may be damaged, or the {limit / 1e9:.1f} GB of memory that"
            " `ulimit -v` allows may be too little."
        )
    return error.replace("{workbook}", workbook.name)


def _target(key: str) -> dict[str, Any]:
    """A defined name holds no "!", a range always does."""
    if "!" not in key:
        return {"key": key, "name": key}
    found = Area.parse(key)
    if found is None:
        raise SheetGPTError(f"{key} is not a range of cells: write it like Home!B7 or Home!B7:K7.")
    first = found.row - 1, found.column - 1  # UNO counts from 0
    return {"key": key, "rectangle": (found.sheet, *first, found.n_rows, found.n_columns)}


def _cells(numbers: Path, answer: dict[str, Any] | None) -> Cells | None:
    if answer is None:
        return None
    values = np.fromfile(numbers, dtype="<f8").astype(np.float64).reshape(answer["rows"], answer["columns"])
    return Cells(values, {(row, column): text for row, column, text in answer["texts"]})
