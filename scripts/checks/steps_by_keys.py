"""Steps by keys in LibreOffice's own window, as the sheet Training tells them, held against NumPy's.

    python scripts/checks/steps_by_keys.py [WORKBOOK] [--steps 10] [--pictures FOLDER]

Without a WORKBOOK, a new one of `build --train`. It works on a copy, in a LibreOffice with a fresh profile, on a screen
of its own. After each step the copy is saved by keys, too, and the file that LibreOffice wrote is read: the step's
number, all losses, all weights and their running means, and the loss shown before and after the next step must be
NumPy's to 1e-9. Ends with status 1 where they aren't. `--copy-once` leaves out every copy but the first, which must be
found out.

Needs Linux, and `apt install xvfb xdotool`, for pictures imagemagick, too. SHEETGPT_SOFFICE names another LibreOffice.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from sheetgpt.engines import cached
from sheetgpt.engines.office import find_soffice
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.learning import learn
from sheetgpt.sheets.training.bands import BANDS, part
from sheetgpt.sheets.training.lesson import Moment
from sheetgpt.workbook.training.lesson import build_lesson, open_lesson, pasted

TOLERANCE = 1e-9
PATIENCE = 120.0  # seconds for whatever the window has to show
SCREEN = "1366x768x24"

Found = TypeVar("Found")


class NothingHappens(Exception):
    """The window didn't do what the sheet says it would."""


def wait(what: str, find: Callable[[], Found]) -> Found:
    end = time.monotonic() + PATIENCE
    while not (found := find()):
        if time.monotonic() > end:
            raise NothingHappens(f"After {PATIENCE:g} seconds there is still no {what}.")
        time.sleep(0.2)
    return found


@dataclass
class Window:
    """LibreOffice's window with a workbook, and the keys that go to it."""

    workbook: Path
    display: str
    pictures: Path | None
    main: str = ""
    plain: set[str] = field(default_factory=set)  # the windows where nothing is asked
    taken: int = 0

    def ask(self, *words: str) -> list[str]:
        environment = {**os.environ, "DISPLAY": self.display}
        done = subprocess.run(["xdotool", *words], env=environment, capture_output=True, text=True, check=False)
        return done.stdout.split()

    def there(self, title: str = ".*") -> list[str]:
        return self.ask("search", "--onlyvisible", "--name", title)

    def await_workbook(self) -> None:
        self.main = wait("window with the workbook", lambda: self.there(self.workbook.name))[0]
        time.sleep(3)  # until the last of its bars is drawn
        self.plain = {*self.there()}
        self.ask("mousemove", "1000", "400")  # where no tip comes up

    def keys(self, *keys: str) -> None:
        self.ask("key", "--clearmodifiers", *keys)
        time.sleep(0.4)

    def picture(self, name: str) -> None:
        if self.pictures is not None:
            self.taken += 1
            file = self.pictures / f"{self.taken:02d}-{name}.png"
            subprocess.run(["import", "-display", self.display, "-window", "root", str(file)], check=True)

    def go_to(self, name: str) -> None:
        self.keys("ctrl+shift+t", "ctrl+a")  # the Name Box
        self.ask("type", "--delay", "40", name)
        self.keys("Return")

    def asked(self) -> set[str]:
        return {*self.there()} - self.plain

    def agree(self, what: str) -> None:
        """Enter on what has come up, and on what that brings up, until nothing is asked any more.

        There is no window manager here to give it the keys.
        """
        wait(what, self.asked)
        answered = set[str]()
        while asked := self.asked():
            if new := asked - answered:
                self.ask("windowfocus", "--sync", new.pop())
                time.sleep(0.4)
                self.picture(what.replace(" ", "-"))
                answered = asked
                self.keys("Return")
            time.sleep(0.3)

    def step(self, copy: bool) -> None:
        """What the sheet Training says."""
        self.ask("windowfocus", "--sync", self.main)
        if copy:
            self.go_to("next")
            self.keys("ctrl+c")
            self.picture("copied")
        self.go_to("state")
        self.keys("ctrl+shift+v")
        self.agree("paste")
        self.picture("pasted")

    def save(self) -> None:
        before = self.workbook.stat()

        def saved() -> bool:
            if self.asked():  # the first time, whether to keep the format
                self.agree("format")
            return self.workbook.stat() != before and zipfile.is_zipfile(self.workbook)

        self.ask("windowfocus", "--sync", self.main)
        self.keys("ctrl+s")
        wait("new file", saved)


@contextlib.contextmanager
def office(workbook: Path, scratch: Path, pictures: Path | None) -> Iterator[Window]:
    """Its screen, and LibreOffice with the workbook; both end with the block."""
    quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    with contextlib.ExitStack() as stack:
        screen = subprocess.Popen(  # type: ignore[call-overload]
            ["Xvfb", "-displayfd", "1", "-nolisten", "tcp", "-screen", "0", SCREEN], stdout=subprocess.PIPE, **quiet
        )
        stack.callback(end, screen)
        display = f":{screen.stdout.readline().decode().strip()}"
        profile = f"-env:UserInstallation={(scratch / 'profile').as_uri()}"
        program = subprocess.Popen(  # type: ignore[call-overload]
            [find_soffice(), profile, "--norestore", "--nologo", "--nofirststartwizard", workbook],
            stdout=subprocess.DEVNULL,
            env={**os.environ, "DISPLAY": display, "SAL_USE_VCLPLUGIN": "gen"},
            **quiet,
        )
        stack.callback(end, program)
        window = Window(workbook, display, pictures)
        window.await_workbook()
        yield window


def end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def differences(saved: Path, moment: Moment) -> dict[str, float]:
    """The largest difference of each kind of number from NumPy's; infinite where a number is missing."""
    found = open_lesson(saved)
    if (found.now.t, len(found.losses)) != (moment.now.t, len(moment.losses)):
        return {f"step {found.now.t} with {len(found.losses)} losses": float("inf")}
    cells = cached.recalculate(saved, {}, ["loss_now", "loss_after"])
    shown = [np.nan if cell is None else float(cell.numbers[0, 0]) for cell in cells.values()]
    wanted = [*moment.losses, float(moment.trace["loss"]), float(moment.after["loss"])]
    worst = {"losses": float(abs(np.array([*found.losses, *shown]) - np.array(wanted)).max())}
    for band, (title, _) in BANDS.items():
        own, other = part(found.now, band), part(moment.now, band)
        worst[title] = max(float(abs(own[name] - other[name]).max()) for name in other)
    return {name: float("inf") if np.isnan(value) else value for name, value in worst.items()}


def compare(workbook: Path, steps: int, pictures: Path | None, copy_once: bool) -> bool:
    """Makes the steps and prints each; whether all agree."""
    moment, right = open_lesson(workbook), True
    with tempfile.TemporaryDirectory() as folder, office(workbook, Path(folder), pictures) as window:
        for made in range(steps):
            word = moment.words[moment.turn]
            state, losses = learn.learn(moment.now, moment.config, moment.examples, moment.settings, 1)
            moment = pasted(moment, state, (*moment.losses, *losses))
            window.step(copy=made == 0 or not copy_once)
            window.save()
            found = differences(workbook, moment)
            agrees = max(found.values()) <= TOLERANCE
            right = right and agrees
            said = ", ".join(f"{name} {value:.1e}" for name, value in found.items())
            print(f"step {moment.now.t} {word}: loss {losses[0]:.6f}; largest difference {said}", flush=True)
    return right


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workbook", type=Path, nargs="?")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--pictures", type=Path, help="a folder for pictures of the screen")
    parser.add_argument("--copy-once", action="store_true", help="a mistake, on purpose: ends with status 1")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # which ends the window and the screen, too
    if missing := [name for name in ("Xvfb", "xdotool") if shutil.which(name) is None]:
        parser.error(f"{' and '.join(missing)} must be installed: apt install xvfb xdotool")
    if args.pictures is not None:
        args.pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "by-keys.xlsx"
        try:
            if args.workbook is None:
                build_lesson(None, copy)
            else:
                shutil.copyfile(args.workbook, copy)
            right = compare(copy, args.steps, args.pictures, args.copy_once)
        except (SheetGPTError, NothingHappens, OSError) as error:
            print(error, file=sys.stderr)
            return 1
    print(
        f"{args.steps} steps by keys in LibreOffice's window "
        + (f"give NumPy's state and losses to {TOLERANCE:g}." if right else "DON'T give NumPy's state and losses.")
    )
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
