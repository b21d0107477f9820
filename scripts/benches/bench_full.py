"""A model at full size: its checkpoint, its workbooks, what building and verifying them takes.

Everything lies in one folder and is reused when it is there: a build that is reused has a size and no times.
"""

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bench_office
import bench_process
from bench_office import gigabytes

from sheetgpt.sheets.layout import Layout
from sheetgpt.workbook.reopen import open_workbook

COLUMNS, FEWER = 16, 8


@dataclass(frozen=True)
class Model:
    """A name for its files, and the shape as make_gpt2_shaped.py takes it: "small", "medium" or "768,2,12"."""

    shape: str

    @property
    def name(self) -> str:
        return "gpt2-" + self.shape.replace(",", "x")


@dataclass(frozen=True)
class Bench:
    """The scratch folder; seconds that LibreOffice may take; how often each recalculation is repeated."""

    folder: Path
    timeout: float
    repeats: int


def checkpoint(bench: Bench, model: Model) -> Path:
    """The model's folder, made where it isn't there yet."""
    made = bench.folder / model.name
    if not made.is_dir():
        part = made.with_name(made.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        script = Path(__file__).parents[1] / "make_gpt2_shaped.py"
        bench_process.run([sys.executable, script, part, "--size", model.shape])
        part.replace(made)
    return made


def build(
    bench: Bench, model: Model, columns: int = COLUMNS, weights: str = "exact", reads_only: bool = False
) -> dict[str, Any]:
    """Runs `sheetgpt build`: `wall_s`, `cpu_s`, `peak_bytes` unless `reused`; `bytes`, `cells`, `n_params`, `cost`."""
    source = checkpoint(bench, model)
    rounded = "" if weights == "exact" else f"-{weights}"
    reads = ["--reads-only"] * reads_only
    target = bench.folder / f"{model.name}-{columns}{rounded}{''.join(reads)}.xlsx"
    found: dict[str, Any] = {"workbook": str(target), "reused": target.is_file()}
    if not target.is_file():
        command = [*bench_process.SHEETGPT, "build", source, "-o", target, "--context", columns, "--weights", weights]
        command += reads
        found |= bench_process.run(command).figures()
    book = open_workbook(target)
    return found | {
        "bytes": target.stat().st_size,
        "cells": n_cells(book.layout),
        "n_params": book.layout.config.n_params,
        "columns": book.layout.context,
        "cost": None if book.cost is None else str(book.cost),
    }


def n_cells(layout: Layout) -> int:
    """Weights and formulas of the network; the other sheets are small beside them."""
    return layout.config.n_params + sum(t.area.n_cells for t in layout.records.values() if t.computed)


def beside_openpyxl(built: Mapping[str, Any], cells_per_s: float | None) -> dict[str, float]:
    """What openpyxl would take for as many cells at the rate that it had for numbers, and how many times our time."""
    if cells_per_s is None or built["reused"]:
        return {}
    seconds = built["cells"] / cells_per_s
    return {"openpyxl_s": seconds, "openpyxl_ratio": seconds / built["wall_s"]}


def build_lines(built: Mapping[str, Any]) -> list[tuple[str, str]]:
    what = f"build {built['n_params']:,} weights, {built['columns']} columns"
    if built["reused"]:
        table = [(what, f"was there already: {built['workbook']}")]
    else:
        table = [
            (what, f"{built['wall_s']:.1f} s, {built['cpu_s']:.1f} s of CPU time"),
            ("largest process", gigabytes(built["peak_bytes"])),
        ]
    table.append(("file", gigabytes(built["bytes"])))
    if "openpyxl_s" in built:
        ratio = f"{built['openpyxl_s']:,.0f} s, {built['openpyxl_ratio']:.1f} times as long"
        table.append(("openpyxl write-only at its rate above", f"{built['cells']:,} cells: {ratio}"))
    if built["cost"]:
        table.append(("what rounding costs", built["cost"]))
    return table


def office(bench: Bench, model: Model) -> dict[str, Any]:
    workbook = Path(build(bench, model)["workbook"])
    return bench_office.full(workbook, bench.repeats, bench.timeout)


def edits(bench: Bench, model: Model) -> dict[str, Any]:
    """The same edits of a workbook that writes, and of one that only reads."""
    found = {}
    for reads_only in (False, True):
        workbook = Path(build(bench, model, reads_only=reads_only)["workbook"])
        found["reads only" if reads_only else "writes"] = bench_office.edits(workbook, bench.repeats, bench.timeout)
    return found


def edits_lines(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    def in_each(say: Callable[[Any], str]) -> str:
        return ", ".join(f"{kind} {say(one)}" for kind, one in found.items())

    def seconds(label: str) -> str:
        return in_each(lambda one: f"{one['recalculations'][label]['median_s']:.2f} s")

    (first, *_) = found.values()
    return [
        ("LibreOffice: load", in_each(lambda one: f"{one['load_s']:.1f} s")),
        ("peak memory", in_each(lambda one: gigabytes(one["peak_bytes"]))),
        *((f"edit: {label}", seconds(label)) for label in first["recalculations"]),
    ]


def opened(bench: Bench, model: Model) -> dict[str, Any]:
    """Only loads it, in int8 with few columns: exact it would pass the 2 GiB that LibreOffice 7.4 reads."""
    workbook = Path(build(bench, model, FEWER, "int8")["workbook"])
    return {"bytes": workbook.stat().st_size} | bench_office.time_plan(workbook, [], bench.timeout)


def verify(bench: Bench, workbook: Path) -> dict[str, Any]:
    """Runs `sheetgpt verify`: `wall_s`, `passed`, `n_tensors`, `max_rel`, and the names of those that differ."""
    report = workbook.with_suffix(".verify.json")
    command = [*bench_process.SHEETGPT, "verify", workbook, "--json", report, "--engine-timeout", bench.timeout]
    used = bench_process.run(command, good=(0, 1))
    whole = json.loads(report.read_text())
    differences = [t["max_rel"] for t in whole["tensors"] if t["max_rel"] is not None]
    return {
        "wall_s": used.wall_s,
        "passed": bool(whole["passed"]) and used.status == 0,
        "n_tensors": len(whole["tensors"]),
        "max_rel": max(differences, default=None),
        "problems": [*whole["problems"], *(f"{t['name']}: {t['wrong']}" for t in whole["tensors"] if t.get("n_wrong"))],
    }


def verify_lines(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    verdict = "passed" if found["passed"] else "FAILED"
    largest = "no number compared" if found["max_rel"] is None else f"largest relative {found['max_rel']:.1e}"
    table = [("verify", f"{verdict}: {found['n_tensors']} tensors, {largest}, {found['wall_s']:.0f} s")]
    return table + [("", problem) for problem in found["problems"][:5]]


def columns(bench: Bench, model: Model, peak: float | None = None) -> dict[str, Any]:
    """Memory a further column: LibreOffice's peak with every column in use, at two numbers of columns.

    `peak`: that of the wider workbook, where it was measured before, which saves loading it once more.
    """
    peaks = {str(FEWER): _peak(bench, model, FEWER)}
    peaks[str(COLUMNS)] = _peak(bench, model, COLUMNS) if peak is None else peak
    return {"peak_bytes": peaks, "bytes_per_column": per_column(peaks)}


def _peak(bench: Bench, model: Model, n: int) -> float | None:
    path = Path(build(bench, model, n)["workbook"])
    plan = bench_office.full_columns_plan(bench_office.prompts(open_workbook(path)))
    found: float | None = bench_office.time_plan(path, plan, bench.timeout)["peak_bytes"]
    return found


def per_column(peaks: Mapping[str, float | None]) -> float | None:
    few, many = peaks[str(FEWER)], peaks[str(COLUMNS)]
    return None if few is None or many is None else (many - few) / (COLUMNS - FEWER)


def columns_lines(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    peaks = ", ".join(f"{n} columns {gigabytes(peak)}" for n, peak in found["peak_bytes"].items())
    return [("LibreOffice's memory a further column", f"{gigabytes(found['bytes_per_column'])} ({peaks})")]
