"""How fast everything is, on this machine, beside its peers in the same run: one command, one table.

    python -m pip install -e '.[bench]'         # '.[bench,oracle]' to compare the evaluator with transformers, too
    python scripts/bench.py                     # minutes: writer, evaluator, the bundled workbook in LibreOffice
    python scripts/bench.py --full --json bench.json                  # 20 minutes, 10 GB of memory, 4 GB of disk
    python scripts/bench.py --full --folder /scratch --only verify    # one part; reuses what the folder holds
    python scripts/bench.py --full --size 64,2,2 --repeats 1          # a rehearsal in minutes

Parts, in this order, each printed as soon as it is there:
  writers     cells a second and bytes a cell: ours, openpyxl write-only, XlsxWriter, PyExcelerate
  evaluator   milliseconds a token, beside transformers on the CPU
  bundled     LibreOffice on the bundled workbook: load, memory, recalculation after an edit and from scratch
With --full, on a checkpoint of GPT-2 small's shapes with random weights (scripts/make_gpt2_shaped.py):
  build       wall clock, CPU time, memory, file; what openpyxl would take
  office      LibreOffice: load, memory, seconds a prompt token and a generated token, an edit of the last word
  edits       seconds an edit: prompts, temperature and the like, the last id; beside a workbook that only reads
  verify      every tensor against the evaluator
  int8        build, cost and verification with whole-number weights
  columns     LibreOffice's memory a further column
With --medium, on the shapes of the 355M model:
  medium-build, and medium-office: opened by LibreOffice in int8 with 8 columns

A part that fails says why and the rest goes on; the exit status is then 1.
"""

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).with_name("benches")))

import bench_evaluator
import bench_full
import bench_office
import bench_process
import bench_writers
import make_gpt2_shaped
from bench_full import Bench, Model
from bench_process import SHEETGPT

from sheetgpt.errors import SheetGPTError

Lines = list[tuple[str, str]]
Results = dict[str, Any]

ALWAYS = ("writers", "evaluator", "bundled")
FULL = ("build", "office", "edits", "verify", "int8", "columns")
MEDIUM = ("medium-build", "medium-office")
FULL_REPEATS = 2  # a recalculation at full size takes half a minute and more


@dataclass(frozen=True)
class Part:
    """`measure` gets what the parts before it found; `lines` makes a row a figure of what it returns."""

    title: str
    measure: Callable[[Results], Any]
    lines: Callable[[Any], Lines]


def parts(args: argparse.Namespace, folder: Path) -> dict[str, Part]:
    """Every part, by name."""
    bench = Bench(folder, args.timeout, min(args.repeats, FULL_REPEATS))
    model, medium = Model(args.size), Model("medium")
    shapes = ("bundled", "GPT-2 small") if args.full and args.size == "small" else ("bundled",)

    def bundled(found: Results) -> Any:
        workbook = folder / "stories.xlsx"
        bench_process.run([*SHEETGPT, "build", "-o", workbook, "-q"])
        return bench_office.bundled(workbook, args.repeats, args.timeout)

    def build(found: Results, which: Model = model) -> Any:
        built = bench_full.build(bench, which)
        rate = bench_writers.rate(found.get("writers", ()), bench_writers.OPENPYXL)
        return built | bench_full.beside_openpyxl(built, rate)

    def verify(found: Results) -> Any:
        return bench_full.verify(bench, Path(bench_full.build(bench, model)["workbook"]))

    def int8(found: Results) -> Any:
        built = bench_full.build(bench, model, weights="int8")
        return built | {"verify": bench_full.verify(bench, Path(built["workbook"]))}

    def columns(found: Results) -> Any:
        return bench_full.columns(bench, model, found.get("office", {}).get("peak_bytes"))

    office, verified = bench_office.lines, bench_full.verify_lines
    built = bench_full.build_lines
    small = f"{model.name}, random weights"
    return {
        "writers": Part(
            "Writers, a sheet of numbers", lambda _: bench_writers.measure(args.cells), bench_writers.lines
        ),
        "evaluator": Part("Evaluator", lambda _: bench_evaluator.measure(shapes), bench_evaluator.lines),
        "bundled": Part("The bundled workbook", bundled, office),
        "build": Part(f"{small}: build", build, built),
        "office": Part(f"{small}: LibreOffice", lambda _: bench_full.office(bench, model), office),
        "edits": Part(f"{small}: edits", lambda _: bench_full.edits(bench, model), bench_full.edits_lines),
        "verify": Part(f"{small}: verify", verify, verified),
        "int8": Part(f"{small}: int8", int8, lambda found: built(found) + verified(found["verify"])),
        "columns": Part(f"{small}: columns", columns, bench_full.columns_lines),
        "medium-build": Part("gpt2-medium: build", lambda found: build(found, medium), built),
        "medium-office": Part(
            "gpt2-medium: LibreOffice, int8, 8 columns", lambda _: bench_full.opened(bench, medium), office
        ),
    }


def measure(chosen: Mapping[str, Part], save: Callable[[Results], None]) -> tuple[Results, bool]:
    """Runs the parts in turn and prints each; the results, and whether all went well.

    `save` gets the results so far after each part: a run that breaks off leaves what it had.
    """
    results: Results = {}
    good = True
    for name, part in chosen.items():
        print(f"\n{part.title}", flush=True)
        try:
            found = part.measure(results)
        except Exception as error:  # whatever broke in one part, half an hour of others shall not be lost
            sentence = str(error) if isinstance(error, SheetGPTError) else f"{type(error).__name__}: {error}"
            print(f"  failed: {sentence}", flush=True)
            good = False
            results[name] = {"failed": sentence}
            save(results)
            continue
        results[name] = found
        for what, figure in part.lines(found):
            print(f"  {what:50} {figure}", flush=True)
        good = good and passed(found)
        save(results)
    return results, good


def passed(found: Any) -> bool:
    """False where a verification in it says so."""
    if not isinstance(found, dict):
        return True
    return found.get("passed") is not False and passed(found.get("verify"))


@contextlib.contextmanager
def scratch(folder: Path | None) -> Iterator[Path]:
    """The folder, made where it isn't there, or a temporary one."""
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="sheetgpt-bench-") as temporary:
            yield Path(temporary)
        return
    folder.mkdir(parents=True, exist_ok=True)
    yield folder


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="GPT-2 small's shapes, too")
    parser.add_argument(
        "--medium", action="store_true", help="the 355M model's shapes, too: 14 GB of memory, 5 GB of disk"
    )
    parser.add_argument("--only", action="append", metavar="PART", help="this part; may be given several times")
    parser.add_argument(
        "--folder", type=Path, help="for checkpoints and workbooks, reused if present [a temporary one]"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to this file, too")
    parser.add_argument("--repeats", type=int, default=5, help="of a recalculation [5]; at full size at most 2")
    # large enough for both cores and the large sheets' deflate
    parser.add_argument("--cells", type=int, default=3_000_000, help="of the writers' matrix [3000000]; peers: a tenth")
    parser.add_argument("--size", default="small", help="in place of GPT-2 small's shapes: N_EMBD,N_LAYER,N_HEAD")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds that one LibreOffice may take [3600]")
    args = parser.parse_args(words)
    known = (*ALWAYS, *(FULL if args.full else ()), *(MEDIUM if args.medium else ()))
    args.parts = [name for name in known if not args.only or name in args.only]
    unknown = sorted(set(args.only or ()) - set(known))
    if unknown:
        hint = " (give --full or --medium)" if set(unknown) <= {*FULL, *MEDIUM} else ""
        parser.error(f"there is no part {unknown[0]}{hint}; here there are {', '.join(known)}")
    try:
        make_gpt2_shaped.size(args.size)
    except ValueError:
        parser.error(f"--size takes small or three numbers such as 64,2,2, not {args.size}")
    if args.json and not args.json.absolute().parent.is_dir():
        parser.error(f"--json {args.json} can't be written: there is no such folder")
    if args.repeats < 1:
        parser.error("--repeats must be at least 1")
    return args


def main(words: Sequence[str] | None = None) -> int:
    args = arguments(words)
    machine = bench_process.machine()
    facts = "{cpu}, {cores} cores; Python {python}, LibreOffice {libreoffice}; {date}, load average {load_average}"
    print(facts.format(**machine))

    def save(results: Results) -> None:
        if args.json:
            args.json.write_text(json.dumps({"machine": machine, "parts": results}, indent=1) + "\n")

    with scratch(args.folder) as folder:
        every = parts(args, folder)
        _, good = measure({name: every[name] for name in args.parts}, save)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
