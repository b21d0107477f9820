"""Holds other programs' readers against a workbook: what each keeps when it saves a copy, and what tables read.

`python scripts/checks/compat_readers.py WORKBOOK --node FOLDER`: FOLDER is where `npm install exceljs xlsx` was run.
A copy is held against the original: formulas, constants, styles, defined names, charts; and `sheetgpt verify`
recalculates it in --engine. Table readers (pandas, polars) must read every cached number.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import subprocess
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
from openpyxl.worksheet.formula import ArrayFormula

from sheetgpt.engines import office
from sheetgpt.verification.verify import verify

SCRIPT = Path(__file__).with_suffix(".cjs")
Saver = Callable[[Path, Path, Path], None]  # source, target, node's folder


def by_openpyxl(source: Path, target: Path, _node: Path) -> None:
    openpyxl.load_workbook(source).save(target)


def by_libreoffice(source: Path, target: Path, _node: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [str(office.find_soffice()), f"-env:UserInstallation=file://{folder}/profile", "--headless"]
        command += ["--convert-to", "xlsx:Calc MS Excel 2007 XML", "--outdir", f"{folder}/out", str(source)]
        subprocess.run(command, check=True, capture_output=True, timeout=600)
        Path(folder, "out", source.name).rename(target)


def by_node(name: str) -> Saver:
    def save(source: Path, target: Path, node: Path) -> None:
        modules = {"SHEETGPT_NODE_MODULES": str(node.absolute() / "node_modules")}
        command = ["node", "--max-old-space-size=6000", str(SCRIPT), name, str(source), str(target)]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | modules, check=False)
        if done.returncode:
            raise RuntimeError((done.stderr.splitlines() or ["failed"])[-1])

    return save


SAVERS: dict[str, Saver] = {
    "openpyxl": by_openpyxl,
    "ExcelJS": by_node("exceljs"),
    "SheetJS": by_node("xlsx"),
    "LibreOffice": by_libreoffice,
}
TABLES = {"pandas openpyxl": "openpyxl", "pandas calamine": "calamine", "polars": "polars"}


def contents(path: Path) -> dict[str, Counter[Any]]:
    """What a workbook holds, kind by kind, so that two can be compared."""
    book = openpyxl.load_workbook(path)
    found: dict[str, Counter[Any]] = {kind: Counter() for kind in ("formulas", "constants", "styles")}
    for sheet in book.worksheets:
        for row in sheet.iter_rows():
            for cell in row:
                value: Any = cell.value.text if isinstance(cell.value, ArrayFormula) else cell.value
                if value is not None:
                    kind = "formulas" if cell.data_type == "f" else "constants"
                    plain = (
                        "".join(str(value).replace("_xlfn.", "").replace("'", "").split())
                        if kind == "formulas"
                        else value
                    )
                    found[kind][sheet.title, cell.coordinate, plain] += 1
                    found["styles"][sheet.title, cell.coordinate, cell.number_format, cell.font.b] += 1
    found["names"] = Counter(book.defined_names.keys())
    with zipfile.ZipFile(path) as package:
        found["charts"] = Counter(name.startswith("xl/charts/chart") for name in package.namelist())
        found["charts"].pop(False, None)
    return found


def kept(before: dict[str, Counter[Any]], after: dict[str, Counter[Any]]) -> dict[str, str]:
    return {kind: f"{(all_ & after[kind]).total():,} of {all_.total():,}" for kind, all_ in before.items()}


def verified(path: Path, engine: str, model: Path | None) -> str:
    try:
        report = verify(path, engine=engine, model=model)
    except Exception as error:
        return " ".join(str(error).split())[:120]
    wrong = f", {len(report.problems)} problems" if report.problems else ""
    return f"{'passed' if report.passed else 'failed'}: {report.coverage}, {report.max_rel:.1e}{wrong}"


def numbers_read(source: Path, reader: str) -> str:
    """The numbers of every sheet: how many of those that openpyxl finds cached."""
    book = openpyxl.load_workbook(source, read_only=True, data_only=True)
    wanted = sum(
        isinstance(value, int | float) for sheet in book for row in sheet.iter_rows(values_only=True) for value in row
    )
    if reader == "polars":
        import polars  # type: ignore[import-not-found, unused-ignore]

        frames: Any = polars.read_excel(source, sheet_id=0, has_header=False, infer_schema_length=0)
        columns = [column.to_list() for frame in frames.values() for column in frame.get_columns()]
    else:
        tables = pd.read_excel(source, sheet_name=None, header=None, engine=reader)  # type: ignore[call-overload]
        columns = [table[column].tolist() for table in tables.values() for column in table]
    found = sum(_is_number(value) for column in columns for value in column)
    return f"{found:,} of {wanted:,} numbers"


def _is_number(value: Any) -> bool:
    if isinstance(value, str):  # polars reads a column of texts and numbers as texts
        with contextlib.suppress(ValueError):
            value = float(value)
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workbook", type=Path)
    parser.add_argument("--node", type=Path, default=Path(), help="where npm has put exceljs and xlsx")
    parser.add_argument("--engine", default="libreoffice", help="recalculates the copies")
    parser.add_argument("--model", type=Path, help="the checkpoint, where the workbook's isn't bundled")
    parser.add_argument("--only", action="append", help="only this one")
    args = parser.parse_args()
    before = contents(args.workbook)
    print("| program | " + " | ".join(before) + " | verify | seconds |\n|" + "---|" * (len(before) + 3))
    with tempfile.TemporaryDirectory() as folder:
        for name, save in SAVERS.items():
            if args.only and name not in args.only:
                continue
            target, begun = Path(folder, f"{name}.xlsx"), time.perf_counter()
            try:
                save(args.workbook, target, args.node)
            except Exception as error:
                print(f"| {name} | " + f"can't: {' '.join(str(error).split())[:120]}" + " |", flush=True)
                continue
            seconds = time.perf_counter() - begun
            cells = [
                *kept(before, contents(target)).values(),
                verified(target, args.engine, args.model),
                f"{seconds:.0f}",
            ]
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    for name, reader in TABLES.items():
        if args.only and name not in args.only:
            continue
        try:
            said = numbers_read(args.workbook, reader)
        except Exception as error:
            said = f"can't: {' '.join(str(error).split())[:120]}"
        print(f"{name}: {said}", flush=True)
    print(json.dumps({p: importlib.metadata.version(p) for p in ("openpyxl", "pandas", "python-calamine")}))


if __name__ == "__main__":
    main()
