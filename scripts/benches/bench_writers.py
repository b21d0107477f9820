"""How fast our writer is beside its peers: the same kind of matrix, each writer in a process of its own.

Normal random float32 numbers, 1,000 columns wide.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import bench_process
import numpy as np

from sheetgpt.errors import SheetGPTError
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.writing.book import Book

WIDTH = 1000
OURS, OPENPYXL = "sheetgpt", "openpyxl write-only"


def ours(matrix: np.ndarray, target: Path) -> None:
    book = Book("bench")
    frame = book.frame("Sheet")

    def stream() -> Iterator[rows.Row]:
        for i, values in enumerate(matrix, 1):
            yield rows.row(i, rows.numbers(1, values))

    book.add(frame, stream, f"ALL{len(matrix)}", matrix.size)
    book.save(target)


def openpyxl_write_only(matrix: np.ndarray, target: Path) -> None:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    for values in matrix:
        sheet.append(values.tolist())
    book.save(target)


def xlsxwriter_constant_memory(matrix: np.ndarray, target: Path) -> None:
    import xlsxwriter

    book = xlsxwriter.Workbook(str(target), {"constant_memory": True})
    sheet = book.add_worksheet()
    for i, values in enumerate(matrix):
        for j, value in enumerate(values.tolist()):
            sheet.write_number(i, j, value)
    book.close()


def pyexcelerate(matrix: np.ndarray, target: Path) -> None:
    from pyexcelerate import Workbook

    book = Workbook()
    book.new_sheet("Sheet", data=matrix.tolist())
    book.save(str(target))


WRITERS: dict[str, Callable[[np.ndarray, Path], None]] = {
    OURS: ours,
    OPENPYXL: openpyxl_write_only,
    "XlsxWriter constant memory": xlsxwriter_constant_memory,
    "PyExcelerate": pyexcelerate,
}


def measure(cells: int) -> list[dict[str, Any]]:
    """Each writer on its share of cells: the slow ones get a tenth, since their time is proportional.

    A row a writer: `cells_per_s`, `bytes_per_cell`, `ratio` (our speed to its), or `missing`, the package it lacks.
    """
    results: list[dict[str, Any]] = []
    for name in WRITERS:
        n = max(WIDTH, cells if name == OURS else cells // 10)
        said = bench_process.run([sys.executable, __file__, name, n]).output
        results.append({"writer": name} | json.loads(said.splitlines()[-1]))
    for row in results:
        if "missing" not in row:
            row["ratio"] = results[0]["cells_per_s"] / row["cells_per_s"]
    return results


def rate(results: Sequence[dict[str, Any]], name: str) -> float | None:
    """A writer's cells a second; None where it wasn't measured."""
    return next((row.get("cells_per_s") for row in results if row["writer"] == name), None)


def lines(results: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    table = []
    for r in results:
        if "missing" in r:
            table.append((r["writer"], f"not installed ({r['missing']}): pip install -e '.[bench]'"))
            continue
        ratio = "" if r["writer"] == OURS else f", ours is {r['ratio']:.1f} times as fast"
        table.append((r["writer"], f"{r['cells_per_s']:,.0f} cells/s, {r['bytes_per_cell']:.1f} bytes a cell{ratio}"))
    return table


def measure_one(name: str, cells: int) -> dict[str, Any]:
    """One writer in this process."""
    matrix = np.random.default_rng(1).normal(0, 0.1, (cells // WIDTH, WIDTH)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "bench.xlsx"
        began = time.perf_counter()
        try:
            WRITERS[name](matrix, target)
        except ImportError as error:
            return {"missing": error.name}
        seconds = time.perf_counter() - began
        size = target.stat().st_size
    return {"cells": matrix.size, "cells_per_s": matrix.size / seconds, "bytes_per_cell": size / matrix.size}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("writer", choices=WRITERS)
    parser.add_argument("cells", type=int)
    args = parser.parse_args()
    try:
        print(json.dumps(measure_one(args.writer, args.cells)))
    except SheetGPTError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
