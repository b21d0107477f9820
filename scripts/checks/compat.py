"""The micro and the bundled workbook in every spreadsheet engine at hand: does it load, and does it compute right?

    python scripts/checks/compat.py [--soffice PATH ...] [--hyperformula FOLDER] [--engine NAME ...]
        [--slow] [--json FILE]

Each engine gets another prompt and other settings (temperature, top_k, new tokens) than the file was built with; every
tensor that it computes is held against NumPy. Then one formula of the file is broken under its old cached value: an
engine "recalculates" where that is seen. Engines that are missing are listed as "not here".

LibreOffice: those in the usual places, the one that SHEETGPT_SOFFICE names, and each --soffice. HyperFormula: node, and
the folder in which `npm install hyperformula` was run. --slow: the bundled workbook in the slow engines, too.
"""

import argparse
import contextlib
import glob
import importlib.metadata
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.worksheet.formula import ArrayFormula

from sheetgpt.engines import Cells, cached, edit, gnumeric, number, office
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets import lay_out
from sheetgpt.sheets.layout import Layout
from sheetgpt.verification.verify import ENGINES, verify
from sheetgpt.workbook.build import build

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "shared"))
from patching import patch, set_formula

WORKBOOKS = ("micro", "bundled")
SETTINGS: dict[str, Any] = {"new_tokens": 3, "temperature": 0.7, "top_k": 5}
PROMPTS: dict[str, dict[str, Any]] = {
    "micro": {"ids": [60, 2, 17]},
    "bundled": {"prompt": "“Who is it?”↵asked the dog"},
}
SLOW = {"formulas", "Gnumeric", "HyperFormula"}  # minutes to hours for the bundled workbook
NOT_HERE = "not here"
Found = dict[str, Cells | None]


def refilled(workbook: Path, inputs: Mapping[str, Any], folder: str) -> Path:
    """A copy with the inputs in it and not one cached value: openpyxl drops them all."""
    book = openpyxl.load_workbook(workbook)
    edit(book, inputs, cached.package(workbook).names, workbook)
    target = Path(folder, "refilled.xlsx")
    book.save(target)
    return target


def in_formualizer(workbook: Path, inputs: Mapping[str, Any], read: Sequence[str], _timeout: float) -> Found:
    import formualizer  # type: ignore[import-not-found, unused-ignore]

    with tempfile.TemporaryDirectory() as folder:
        book = formualizer.Workbook.load_path(str(refilled(workbook, inputs, folder)))
        book.evaluate_all()
        return _read(workbook, read, book.get_value)


def _read(workbook: Path, read: Sequence[str], value_at: Any) -> Found:
    """Cell by cell, by `value_at(sheet, row, column)`, which count from 1; an error is a dict with its kind."""
    names, found = cached.package(workbook).names, dict[str, Cells | None]()
    for key in read:
        area = cached.place(key, names)
        if area is None:
            found[key] = None
            continue
        values = [
            [value_at(area.sheet, area.row + i, area.column + j) for j in range(area.n_columns)]
            for i in range(area.n_rows)
        ]
        found[key] = _as_cells(values)
    return found


def _as_cells(values: Sequence[Sequence[Any]]) -> Cells:
    import numpy as np

    cells = Cells(np.full((len(values), len(values[0])), np.nan), {})
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            if isinstance(value, dict):
                value = f"#{value.get('kind', 'ERROR')}!"
            if (single := number(value)) is not None:
                cells.numbers[i, j] = single
            elif value:
                cells.texts[i, j] = str(value)
    return cells


def in_hyperformula(workbook: Path, inputs: Mapping[str, Any], read: Sequence[str], timeout: float) -> Found:
    """HyperFormula opens no files: its sheets are given as formulas and constants, without any cached value."""
    with tempfile.TemporaryDirectory() as folder:
        book = openpyxl.load_workbook(refilled(workbook, inputs, folder))
        sheets = {s.title: [[_content(c.value) for c in row] for row in s.iter_rows()] for s in book.worksheets}
        names = {n: f"={d.value}" for n, d in book.defined_names.items()}
        job, answer = Path(folder, "job.json"), Path(folder, "answer.json")
        names_at = cached.package(workbook).names
        areas = {key: _from_0(cached.place(key, names_at)) for key in read}
        job.write_text(json.dumps({"sheets": sheets, "names": names, "read": areas}), "utf-8")
        command = ["node", "--stack-size=60000", "--max-old-space-size=8000", str(_script()), str(job), str(answer)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if "Error" in line] or [f"exit status {done.returncode}"]
            raise SheetGPTError(f"HyperFormula: {said[0]}")
        values = json.loads(answer.read_text("utf-8"))
        return {key: None if values[key] is None else _as_cells(values[key]) for key in read}


def _from_0(area: Area | None) -> tuple[str, int, int, int, int] | None:
    """Sheet, first row and column, which count from 0 there, number of rows and columns."""
    return None if area is None else (area.sheet, area.row - 1, area.column - 1, area.n_rows, area.n_columns)


def _script() -> Path:
    return Path(__file__).with_name("compat_hyperformula.cjs")


def _content(value: Any) -> Any:
    """As HyperFormula reads what is typed: a text is marked, so that it is not taken for a number or a formula."""
    if isinstance(value, ArrayFormula):
        return value.text
    if isinstance(value, str):
        return value.replace("_xlfn.", "") if value.startswith("=") else f"'{value}"
    return value


def in_gnumeric(workbook: Path, inputs: Mapping[str, Any], read: Sequence[str], timeout: float) -> Found:
    return gnumeric.recalculate(workbook, inputs, read, timeout=timeout)


ENGINES |= {"Gnumeric": in_gnumeric, "HyperFormula": in_hyperformula, "formualizer": in_formualizer}


def sofficees(named: Sequence[str]) -> list[str]:
    """Every LibreOffice that is named or stands in a usual place."""
    found = [os.environ.get(office.NAMED), *named, shutil.which("soffice")]
    found += [path for place in office.LINUX for path in sorted(glob.glob(place))]
    real = [str(Path(path).resolve()) for path in found if path and shutil.which(path)]
    return list(dict.fromkeys(real))


def version_of(command: Sequence[str]) -> str:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        words = (done.stdout + done.stderr).replace("'", "").split()
        return next((word for word in words if word[:1].isdigit()), NOT_HERE)
    return NOT_HERE


def engines(args: argparse.Namespace) -> list[tuple[str, str, dict[str, str]]]:
    """Engine, version and environment of each."""

    def package(name: str) -> str:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return NOT_HERE

    offices = [("libreoffice", version_of([s, "--version"]), {office.NAMED: s}) for s in sofficees(args.soffice)]
    hyper = args.hyperformula / "node_modules" / "hyperformula"
    there = hyper.is_dir() and shutil.which("node")
    hyper_version = json.loads((hyper / "package.json").read_text())["version"] if there else NOT_HERE
    return [
        *(offices or [("libreoffice", NOT_HERE, {})]),
        ("Gnumeric", version_of(["ssconvert", "--version"]), {}),
        ("formulas", package("formulas"), {}),
        ("ironcalc", package("ironcalc"), {}),
        ("HyperFormula", hyper_version, {"SHEETGPT_HYPERFORMULA": str(hyper.absolute())}),
        ("formualizer", package("formualizer"), {}),
    ]


def micro(folder: Path) -> Checkpoint:
    """2 layers, 2 heads, width 16, 64 tokens, from a seed: the tests' own smallest model."""
    import numpy as np
    from ready import hugging_face_tensors
    from safetensors.numpy import save_file

    config = GPT2Config(n_vocab=64, n_positions=16, n_embd=16, n_layer=2, n_head=2, n_inner=24)
    rng = np.random.default_rng(1)
    shapes = config.parameter_shapes().items()
    params = {k: (rng.normal(size=s) * 0.3 + k.endswith(".g")).astype(np.float32) for k, s in shapes}
    folder.mkdir()
    sizes = {f"n_{k}": getattr(config, f"n_{k}") for k in ("positions", "embd", "layer", "head", "inner")}
    settings = {"model_type": "gpt2", "vocab_size": 64, "activation_function": config.activation_function, **sizes}
    (folder / "config.json").write_text(json.dumps(settings))
    save_file(hugging_face_tensors(params), folder / "model.safetensors", {"format": "pt"})
    return load(folder)


def broken(workbook: Path, layout: Layout, target: Path) -> Path:
    """One neuron of the last layer norm is off by 0.1 %, its cached value as it was."""
    area = layout["ln_f"]
    cell = area.line(1).stripe(1)
    return patch(workbook, target, {area.sheet: set_formula(cell.cells, lambda formula: f"({formula})*1.001")})


def one(engine: str, workbook: Path, inputs: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """What is told of one engine and one workbook; runs in a process of its own."""
    begun = time.perf_counter()
    try:
        report = verify(workbook, engine=engine, timeout=timeout, **inputs)
    except Exception as error:
        return {"loads": False, "failure": " ".join(str(error).split())[:160], "seconds": time.perf_counter() - begun}
    bad = [t for t in report.tensors if not t.passed]
    first = [f"{t.name}: {t.where} {t.problem or f'off by {t.max_rel:.0e}'}" for t in bad[:1]]
    return {
        "loads": True,
        "agree": len(report.tensors) - len(bad),
        "tensors": len(report.tensors),
        "max_rel": report.max_rel,
        "failure": " ".join([*report.problems, *first])[:160],
        "failed": [t.name for t in bad],
        "seconds": time.perf_counter() - begun,
    }


def apart(engine: str, workbook: Path, inputs: Mapping[str, Any], more: Mapping[str, str], limit: float) -> Any:
    """`one` in a process of its own: an engine may crash, or never come to an end."""
    command = [sys.executable, __file__, "--child", engine, str(workbook), json.dumps(inputs), str(limit)]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out, tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        process = subprocess.Popen(command, stdout=out, stderr=said, env=os.environ | more, start_new_session=True)
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return {"loads": False, "failure": f"not done after {limit:g} seconds", "seconds": limit}
        for stream in (out, said):
            stream.seek(0)
        lines = out.read().splitlines()
        if process.returncode or not lines:
            last = (said.read().splitlines() or [""])[-1][:120]
            return {"loads": False, "failure": f"exit status {process.returncode}: {last}", "seconds": 0.0}
        return json.loads(lines[-1])


def row(name: str, version: str, which: str, result: Mapping[str, Any]) -> str:
    """A line of the table, in Markdown."""
    agree = f"{result['agree']} of {result['tensors']}" if result.get("loads") else ""
    difference = f"{result['max_rel']:.1e}" if result.get("loads") else ""
    seconds = f"{result['seconds']:.0f}" if "seconds" in result else ""
    loads = {True: "yes", False: "no", None: ""}[result.get("loads")]
    cells = (name, version, which, loads, agree, difference, seconds, result.get("recalculates", ""))
    return "| " + " | ".join([*cells, result.get("failure", "")]) + " |"


HEADS = ("engine", "version", "workbook", "loads", "tensors", "difference", "seconds", "recalculates", "first failure")


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        engine, path, inputs, limit = sys.argv[2:]
        with contextlib.redirect_stdout(io.StringIO()):
            result = one(engine, Path(path), json.loads(inputs), float(limit))
        print(json.dumps(result))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soffice", action="append", default=[], help="one more LibreOffice")
    parser.add_argument("--hyperformula", type=Path, default=Path(), help="where npm has put it")
    parser.add_argument("--engine", action="append", choices=tuple(ENGINES), help="only this one")
    parser.add_argument("--workbook", action="append", choices=WORKBOOKS, help="only this one")
    parser.add_argument("--slow", action="store_true", help="the bundled workbook in the slow engines, too")
    parser.add_argument("--limit", type=float, default=600, help="seconds that an engine may take")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    print("| " + " | ".join(HEADS) + " |\n|" + "---|" * len(HEADS))
    lines, unsound = [], 0
    with tempfile.TemporaryDirectory() as scratch:
        made: dict[str, Path] = {}
        bad: dict[str, Path] = {}
        for which in args.workbook or WORKBOOKS:
            checkpoint = micro(Path(scratch, "micro")) if which == "micro" else load("stories")
            start: dict[str, Any] = {"ids": [5, 9, 33], "context": 8} if which == "micro" else {}
            made[which] = build(checkpoint, Path(scratch, f"{which}.xlsx"), **start)
            if which == "micro":
                bad[which] = broken(made[which], lay_out(checkpoint.config, 8), Path(scratch, "broken.xlsx"))
        for name, version, more in engines(args):
            if args.engine and name not in args.engine:
                continue
            for which, workbook in made.items():
                if version == NOT_HERE or (which == "bundled" and name in SLOW and not args.slow):
                    result = {"failure": "" if version == NOT_HERE else "left out: --slow"}
                else:
                    result = apart(name, workbook, PROMPTS[which] | SETTINGS, more, args.limit)
                    unsound += name in ("libreoffice", "ironcalc") and not _passed(result)
                if result.get("loads") and which in bad:
                    again = apart(name, bad[which], PROMPTS[which] | SETTINGS, more, args.limit)
                    seen = "ln_f" in again.get("failed", ()) and "ln_f" not in result["failed"]
                    result["recalculates"] = "yes" if seen else "not seen"
                lines.append({"engine": name, "version": version, "workbook": which} | result)
                print(row(name, version, which, result), flush=True)
    if args.json:
        args.json.write_text(json.dumps(lines, indent=1) + "\n")
    raise SystemExit(1 if unsound else 0)


def _passed(result: Mapping[str, Any]) -> bool:
    return bool(result.get("loads")) and result["agree"] == result["tensors"] and not result["failure"]


if __name__ == "__main__":
    main()
