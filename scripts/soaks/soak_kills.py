"""Ends build, verify and run at random moments: no half-written target, no process left, nothing beside the target.

    python scripts/soaks/soak_kills.py [--kills 100] [--seed 1]

Each kill: one of SIGKILL, SIGTERM, SIGHUP, SIGINT or SIGINT twice, at a moment between the start and the time that the
command takes when it is left alone. Then the target must be the old file or the whole new one, byte by byte; within 10
seconds every process of it must have ended, with its sockets and, except after SIGKILL, its temporary folder; no
traceback may be printed, but for one of Python's own start; and after the next build nothing may stand beside the
target. Linux only.
"""

import argparse
import contextlib
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from soak_model import MARK, SMALL, make, marked

import sheetgpt
from sheetgpt.engines import office
from sheetgpt.ooxml.writing import unfinished

# With MANY_CELLS = 0 a small workbook, too, is written by worker processes.
PROGRAM = "from sheetgpt.cli import main; from sheetgpt.ooxml import book; book.MANY_CELLS = {}; main()"
# A traceback that comes from here; not one of Python's own start, before it has opened our first module.
OURS = re.compile("/sheetgpt/|-packages/|Exception ignored")
WAYS = {"SIGKILL": 1, "SIGTERM": 1, "SIGHUP": 1, "SIGINT": 1, "SIGINT twice": 2}
OLD = b"what stood there before"


class Soak:
    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.mark = secrets.token_hex(8)
        self.model = make(folder / "model")
        self.place, self.scratch = folder / "place", folder / "tmp"
        self.place.mkdir()
        self.scratch.mkdir()
        self.target = self.place / "w.xlsx"
        self.environment = {**os.environ, MARK: self.mark, "TMPDIR": str(self.scratch), "SHEETGPT_MODELS": str(folder)}
        self.seconds, self.whole = dict[str, float](), dict[str, bytes]()
        for name in self.commands():
            self.seconds[name] = self.time(name)
            self.whole[name] = self.target.read_bytes()  # a workbook that counts as large is packed otherwise

    def commands(self) -> dict[str, list[str]]:
        options = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
        build = ["build", str(self.model), "-o", str(self.target), *options]
        return {
            "build": [PROGRAM.format("2_000_000"), *build],
            "build in processes": [PROGRAM.format(0), *build],
            "verify": [PROGRAM.format(0), "verify", str(self.target)],
            "run": [PROGRAM.format(0), "run", str(self.target), "--prompt", "the queen"],
        }

    def start(self, name: str) -> "subprocess.Popen[str]":
        words = [sys.executable, "-c", *self.commands()[name]]
        return subprocess.Popen(
            words,
            preexec_fn=hears_ctrl_c,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def time(self, name: str) -> float:
        began = time.monotonic()
        process = self.start(name)
        said = process.communicate()
        assert process.returncode == 0, (name, said)
        return time.monotonic() - began

    def kill(self, name: str, way: str) -> tuple[str, list[str]]:
        """How it ended, and what is wrong."""
        building = name.startswith("build")
        self.target.write_bytes(OLD if building else self.whole[name])
        process = self.start(name)
        time.sleep(self.random.uniform(0, self.seconds[name]))
        opened = sockets(self.mark)
        number = getattr(signal, way.split()[0])
        for _ in range(WAYS[way]):
            process.send_signal(number)
            time.sleep(self.random.uniform(0, 0.1) if WAYS[way] > 1 else 0)
        try:
            _, said = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            return "hung", ["it did not end within 60 seconds"]
        wrong = (
            [f"it said: {said.strip()[-1000:]}"]
            if re.search("Traceback|Exception ignored", said) and OURS.search(said)
            else []
        )
        if self.target.read_bytes() not in ((OLD, self.whole[name]) if building else (self.whole[name],)):
            wrong.append("the target is neither the old file nor the whole new one")
        wrong += self.left(opened, folder_may_stay=way == "SIGKILL")
        sheetgpt.build(self.model, self.target, **SMALL)  # type: ignore[arg-type]
        beside = sorted(path.name for path in self.place.iterdir() if path != self.target)
        wrong += [f"after the next build there is {path}" for path in beside]
        ended = "done" if process.returncode == 0 else f"status {process.returncode}"
        return ended, wrong

    def left(self, opened: list[Path], folder_may_stay: bool) -> list[str]:
        """Processes, sockets and temporary folders that are there after 10 seconds."""
        end = time.monotonic() + 10
        while True:
            processes = [f"process {pid} ({name})" for pid, name in marked(self.mark).items()]
            traces = [str(path) for path in opened if path.exists()]
            folders = (
                [] if folder_may_stay else [f"in the temporary folder: {path.name}" for path in self.scratch.iterdir()]
            )
            if not (found := processes + traces + folders) or time.monotonic() > end:
                return found
            time.sleep(0.05)


def hears_ctrl_c() -> None:
    """A shell switches SIGINT off for what it starts in the background, the soak maybe, and so for its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def sockets(mark: str) -> list[Path]:
    """Those of the LibreOffices that run now."""
    found = []
    for pid, name in marked(mark).items():
        if name == "soffice.bin":
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").replace("\0", " ")
                profile = re.search("UserInstallation=([^ ]+)", command)
                pipe = re.search("pipe,name=([^;]+)", command)
                if profile and pipe:
                    found += [Path(path) for path in office.sockets(pipe[1], profile[1])]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        soak = Soak(Path(folder), given.seed)
        print(", ".join(f"{name} {seconds:.1f} s" for name, seconds in soak.seconds.items()), flush=True)
        wrong, counts = 0, Counter[tuple[str, str]]()
        for i in range(given.kills):
            name, way = list(soak.seconds)[i % 4], soak.random.choice(list(WAYS))
            ended, faults = soak.kill(name, way)
            counts[name, ended] += 1
            wrong += bool(faults)
            print(i, name, way, ended, file=sys.stderr)
            for fault in faults:
                print(f"kill {i}, {name}, {way}, {ended}: {fault}", flush=True)
        unfinished.clear(soak.scratch)
        if stay := [path.name for path in soak.scratch.iterdir()]:
            print(f"still in the temporary folder: {', '.join(stay)}")
        for (name, ended), n in sorted(counts.items()):
            print(f"{name}: {ended}, {n} times")
        print(f"{given.kills} kills, {wrong} with a fault")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
