"""How fast the writer and the evaluator are, against their peers in the same run.

    python -m pip install -e '.[bench]'
    python scripts/bench.py [--cells 3000000] [--json FILE]

The matrix is the same for all writers: normal random float32 numbers, 1,000 columns wide.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sheetgpt import rows
from sheetgpt.xlsx import Book

WIDTH = 1000


def ours(matrix: np.ndarray, target: Path) -> None:
    book = Book("bench")
    frame = book.frame("Sheet")

    def stream() -> Iterator[bytes]:
        for i, values in enumerate(matrix, 1):
            yield rows.row(i, rows.numbers(1, i, values))

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
    "sheetgpt": ours,
    "openpyxl write-only": openpyxl_write_only,
    "XlsxWriter constant memory": xlsxwriter_constant_memory,
    "PyExcelerate": pyexcelerate,
}


def measure(cells: int) -> list[dict[str, Any]]:
    """Each writer on its share of cells: the slow ones get a tenth, since their time is proportional."""
    generator = np.random.default_rng(1)
    results = []
    for name, write in WRITERS.items():
        n = cells if name == "sheetgpt" else cells // 10
        matrix = generator.normal(0, 0.1, (n // WIDTH, WIDTH)).astype(np.float32)
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "bench.xlsx"
            began = time.perf_counter()
            try:
                write(matrix, target)
            except ImportError as error:
                print(f"{name}: not installed ({error.name})", file=sys.stderr)
                continue
            seconds = time.perf_counter() - began
            size = target.stat().st_size
        results.append(
            {
                "writer": name,
                "cells": matrix.size,
                "cells_per_s": matrix.size / seconds,
                "bytes_per_cell": size / matrix.size,
            }
        )
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--cells", type=int, default=3_000_000
    )  # large enough for both cores and the large sheets' deflate
    parser.add_argument("--json", type=Path, help="write the table to this file, too")
    args = parser.parse_args()
    results = measure(args.cells)
    base = results[0]["cells_per_s"]
    print(f"{platform.machine()}, Python {platform.python_version()}")
    print(f"{'writer':28}{'cells/s':>12}{'bytes/cell':>12}{'ours is':>10}")
    for r in results:
        ratio = base / r["cells_per_s"]
        print(f"{r['writer']:28}{r['cells_per_s']:12,.0f}{r['bytes_per_cell']:12.1f}{ratio:9.1f}x")
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
