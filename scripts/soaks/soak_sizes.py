"""Whatever reads a file that somebody else made takes time and memory in proportion to its size: three sizes each.

    python scripts/soaks/soak_sizes.py [--only PATTERN] [--scale 1.0] [--seconds 60]

`large` makes the files: one thing n, 2n and 4n times over. Each is read in a process of its own, forked, whose
processor time is bounded. Prints kind, reader, the file's bytes unpacked, seconds and MB of the three, and the exponent
from n to 4n; marks what grows faster than 1.35 or takes more than 20 times the file. Linux only.
"""

import argparse
import contextlib
import gc
import math
import os
import re
import resource
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import large
from soak_mutations import ONE_THREAD, make, silence

import sheetgpt
from sheetgpt import cli
from sheetgpt.engines import slow
from sheetgpt.errors import SheetGPTError
from sheetgpt.excel_rules.formula import formulas
from sheetgpt.gpt2.checkpoints.checkpoint import load
from sheetgpt.ooxml.reading import foreign
from sheetgpt.text.bpe import Tables

MB = 1 << 20
SPARE_MB, MOST_TIMES = 30, 20  # what any file may take, and how many times its size
WORTH = 0.3  # seconds, below which a ratio says nothing


def command(*words: str) -> Callable[[Path], None]:
    def run(path: Path) -> None:
        sys.argv = ["sheetgpt", *(str(path) if word == "IT" else word for word in words)]
        cli.main()

    return run


def opened(path: Path) -> None:
    """What happens before LibreOffice opens it."""
    foreign.not_loaded(path)
    foreign.without(path, path.with_suffix(".copy"))
    slow.refuse_slow(path, {})
    path.with_suffix(".copy").unlink(missing_ok=True)


def loaded(path: Path) -> None:
    checkpoint = load(path)
    if checkpoint.tokenizer is not None:
        checkpoint.tokenizer.encode("the king")
        Tables.of(checkpoint.tokenizer)


class Sizes:
    def __init__(self, folder: Path, scale: float, seconds: int) -> None:
        formulas.MAX_SHAPES = 0  # a parser of 17 ms a formula, for the first 300 forms of them: 5 s for any file
        self.folder, self.scale, self.seconds = folder, scale, seconds
        for form in ("one file", "shards", "no tokenizer"):
            make(folder / form, form)
        self.book = folder / "sound.xlsx"
        sheetgpt.build(folder / "no tokenizer", self.book, ids=[1, 2, 3], context=4)
        model = str(folder / "no tokenizer")
        self.readers = {
            "check": command("check", "IT"),
            "info": command("info", "IT"),
            "verify": command("verify", "IT", "--engine", "cached", "--model", model),
            "open": opened,
        }
        for read in self.readers.values():  # what is loaded on first use is no file's own
            with silence(), contextlib.suppress(SystemExit):
                read(self.book)
        loaded(folder / "one file")
        gc.freeze()

    def workbook(self, kind: str) -> None:
        change, smallest = large.WORKBOOKS[kind]
        paths, sizes = [], []
        for times in (1, 2, 4):
            parts = large.parts_of(self.book)
            change(parts, int(smallest * self.scale) * times)
            paths.append(self.folder / f"{times}.xlsx")
            large.write(paths[-1], parts)
            sizes.append(sum(map(len, parts.values())))
        for reader, read in self.readers.items():
            self.measure(kind, reader, read, paths, sizes)

    def checkpoint(self, kind: str) -> None:
        form, change, smallest = large.CHECKPOINTS[kind]
        paths, sizes = [], []
        for times in (1, 2, 4):
            path = self.folder / f"model{times}"
            shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(self.folder / form, path)
            change(path, int(smallest * self.scale) * times)
            paths.append(path)
            sizes.append(sum(file.stat().st_size for file in path.iterdir()))
        self.measure(kind, "load", loaded, paths, sizes)

    def measure(self, kind: str, name: str, read: Callable[[Path], None], paths: list[Path], sizes: list[int]) -> None:
        found = [forked(read, path, self.seconds) for path in paths]
        took = [seconds for seconds, _, _ in found]
        grown = math.log(max(took[2], 0.01) / max(took[0], 0.01), 4)
        wrong = "SLOW" if took[2] > WORTH and grown > 1.35 else ""
        if took[2] >= self.seconds - 1:
            wrong = "STOPPED"
        if any(peak > SPARE_MB + MOST_TIMES * size / MB for (_, peak, _), size in zip(found, sizes, strict=True)):
            wrong += " MEMORY"
        if any("TRACEBACK" in said for _, _, said in found):
            wrong += " TRACEBACK"
        times = " ".join(f"{seconds:6.2f}" for seconds in took)
        peaks = " ".join(f"{peak:5.0f}" for _, peak, _ in found)
        said = found[-1][2].strip().splitlines()[-1:] or [""]
        print(f"{kind:32} {name:7}{sizes[2] / MB:6.1f} MB {times} s {peaks} MB {grown:5.2f} {wrong:8} {said[0][:150]}")
        sys.stdout.flush()


def forked(read: Callable[[Path], None], path: Path, seconds: int) -> tuple[float, float, str]:
    """Seconds of processor time, MB beyond what the process began with, and what it said."""
    said, told = path.with_suffix(".said"), path.with_suffix(".told")
    pid = os.fork()
    if pid == 0:
        out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        begin = memory("VmRSS")
        try:
            read(path)
        except (SystemExit, SheetGPTError) as error:
            print(error if isinstance(error, SheetGPTError) else "")
        except BaseException as error:
            traceback.print_exc()
            print(f"TRACEBACK {type(error).__name__}")
        sys.stdout.flush()
        sys.stderr.flush()
        told.write_text(str(memory("VmHWM") - begin))
        os._exit(0)
    told.unlink(missing_ok=True)
    _, _, usage = os.wait4(pid, 0)
    peak = float(told.read_text()) if told.exists() else 0.0
    return usage.ru_utime + usage.ru_stime, peak, said.read_text("utf-8", "replace")


def memory(key: str) -> float:
    """Of this process, in MB."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text("utf-8").splitlines())
    return int(lines[key].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="a regular expression: the kinds that have it")
    parser.add_argument("--scale", type=float, default=1.0, help="of all sizes")
    parser.add_argument("--seconds", type=int, default=60, help="of processor time, that a reading may take")
    args = parser.parse_args()
    if ONE_THREAD.items() - os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD})
    with tempfile.TemporaryDirectory(prefix="sheetgpt-sizes-") as folder:
        sizes = Sizes(Path(folder), args.scale, args.seconds)
        for kind in large.WORKBOOKS:
            if re.search(args.only, kind):
                sizes.workbook(kind)
        for kind in large.CHECKPOINTS:
            if re.search(args.only, kind):
                sizes.checkpoint(kind)


if __name__ == "__main__":
    main()
