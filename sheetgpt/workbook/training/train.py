"""Many steps of a training workbook: by NumPy, or by the workbook's own formulas in a spreadsheet program.

The state that comes out is written into the workbook with everything that it leads to, beside it first and then in its
place: whatever ends the program, there is a whole workbook.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from sheetgpt.engines import Cells, Step, ironcalc, libreoffice
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import load
from sheetgpt.gpt2.checkpoints.save import save_checkpoint
from sheetgpt.gpt2.learning import adam, learn
from sheetgpt.gpt2.model import Array
from sheetgpt.ooxml.writing import target
from sheetgpt.sheets.training.bands import BANDS
from sheetgpt.sheets.training.lesson import Lesson, Moment
from sheetgpt.text import tokenizer
from sheetgpt.text.words import tokenizer_files
from sheetgpt.workbook.reopen import is_lesson
from sheetgpt.workbook.training.lesson import NO_END, open_lesson, pasted, save, tensor_of

ENGINES = ("numpy", "libreoffice", "ironcalc")
KEEP = 25  # steps after which a spreadsheet program's state is read, so that Ctrl-C loses no more
SECONDS = 30.0  # that a step may take there

Seen = Callable[[int, float], None]  # step and its loss


@dataclass
class Kept:
    """The last whole state, and the losses of the steps that led to it."""

    state: adam.State
    losses: list[float]


def train(
    workbook: str | os.PathLike[str],
    steps: int = 1000,
    *,
    engine: str = "numpy",
    save_to: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | None = None,
    seen: Seen = lambda step, loss: None,
) -> pd.DataFrame:
    """Makes so many steps, writes the workbook anew, and returns step, word (or window) and loss of each.

    With the `engine` "libreoffice" or "ironcalc" the workbook's own formulas make every step: the values of Next are
    put into State, and everything is recalculated. `save_to` is a folder for the trained model, a checkpoint that
    `build` and transformers read; where the workbook was built from a checkpoint, `model` is that one, for its
    tokenizer. Stopped by Ctrl-C, the workbook holds the steps that were made until then.
    Raises SheetGPTError for bad input, and where a loss is no number; the workbook is then as it was.
    """
    path = Path(workbook)
    if engine not in ENGINES:
        raise SheetGPTError(f"There is no engine {engine!r} to train with: choose one of {', '.join(ENGINES)}.")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise SheetGPTError(f"The number of steps must be a whole number of at least 1, not {steps!r:.80}.")
    if not is_lesson(path):
        raise SheetGPTError(f"{path} is no training workbook: sheetgpt build --train makes one.")
    moment = open_lesson(path)
    if moment.layout.unroll:
        raise SheetGPTError(
            f"{path} has its {moment.layout.unroll} steps in its cells: to make more, build one without --unroll."
        )
    target.check(path, "the workbook", {}, makes_folders=False)
    files = {} if save_to is None else files_of(moment, model)
    kept = Kept(moment.now, [])
    makers = {"numpy": by_numpy, "libreoffice": by_libreoffice, "ironcalc": by_ironcalc}
    try:
        makers[engine](path, moment, steps, kept, seen)
    except (KeyboardInterrupt, SystemExit):
        if kept.losses:
            save(after(moment, kept), path)
        raise
    save(after(moment, kept), path)
    if save_to is not None:
        end = moment.layout.end
        save_checkpoint(save_to, moment.config, kept.state.w, files, end if end != NO_END else None)
    numbers = range(moment.step, moment.step + len(kept.losses))
    words = [moment.words[learn.turn(t, len(moment.words))] for t in numbers]
    return pd.DataFrame({"step": [*numbers], moment.layout.example: words, "loss": kept.losses})


def after(moment: Moment, kept: Kept) -> Moment:
    return pasted(moment, kept.state, (*moment.losses, *kept.losses))


def files_of(moment: Moment, model: str | os.PathLike[str] | None) -> dict[str, bytes]:
    """The tokenizer's files, for a checkpoint."""
    if moment.layout.letters:
        return tokenizer_files()
    if model is None:
        raise SheetGPTError(f"The model to save needs the tokenizer of {moment.source}: give that as --model.")
    checkpoint = load(model)
    if checkpoint.config != moment.config:
        raise SheetGPTError(f"{checkpoint.name} has other shapes than the model in the workbook.")
    own = [Path(file) for file in checkpoint.files]
    return {file.name: file.read_bytes() for file in own if file.name in tokenizer.FILES and file.is_file()}


def by_numpy(path: Path, moment: Moment, steps: int, kept: Kept, seen: Seen) -> None:
    """One step after the other, so that each is kept."""
    for _ in range(steps):
        kept.state, losses = learn.learn(kept.state, moment.config, moment.examples, moment.settings, 1)
        kept.losses.extend(losses)
        seen(kept.state.t, losses[0])


def by_libreoffice(path: Path, moment: Moment, steps: int, kept: Kept, seen: Seen) -> None:
    copies, places = copied(moment.layout), read_state(moment.layout)
    first = Step({place(moment.layout, "write"): 0}, [place(moment.layout, "loss")])
    # Nobody looks at what the model writes, or at the curve: what no step needs isn't recalculated, a third of it all.
    one = Step({}, [place(moment.layout, "loss")], hard=False, copy=copies, lazy=True)
    whole = [
        replace(one, read=[*one.read, *places]) if k % KEEP == 0 or k == steps else one for k in range(1, steps + 1)
    ]
    seen_now = Told(moment, steps, kept, seen)
    libreoffice.session(path, [first, *whole], timeout=60 + SECONDS * steps, after=seen_now.tell)


def by_ironcalc(path: Path, moment: Moment, steps: int, kept: Kept, seen: Seen) -> None:
    copies, places = copied(moment.layout), read_state(moment.layout)
    loss = place(moment.layout, "loss")
    told = Told(moment, steps, kept, seen)
    ironcalc.repeat(path, {place(moment.layout, "write"): 0}, copies, steps, [loss], places, told.tell)


class Told:
    """Follows a program: each answer has the loss of the next step, and now and then the state."""

    def __init__(self, moment: Moment, steps: int, kept: Kept, seen: Seen) -> None:
        self.moment, self.steps, self.kept, self.seen = moment, steps, kept, seen
        self.losses: list[float] = []
        self.made = -1

    def tell(self, answer: dict[str, Cells | None]) -> None:
        layout, self.made = self.moment.layout, self.made + 1
        if any(key != place(layout, "loss") for key in answer):
            self.kept.state = state_of(layout, self.moment.now.t + self.made, answer)
            self.kept.losses[:] = self.losses
        if self.made == self.steps:
            return
        cells, step = answer[place(layout, "loss")], self.moment.step + self.made
        loss = float("nan") if cells is None else float(cells.numbers[0, 0])
        if not abs(loss) < float("inf"):
            said = "" if cells is None else cells.texts.get((0, 0), "")
            raise SheetGPTError(
                f"The loss of step {step} is no number ({said or loss}): learn slower, or verify the file."
            )
        self.losses.append(loss)
        self.seen(step, loss)


def place(layout: Lesson, name: str) -> str:
    return layout[name].reference


def names(layout: Lesson) -> list[str]:
    """The tensors of State."""
    return [band + name for band in BANDS for name in layout.config.parameter_shapes()]


def copied(layout: Lesson) -> dict[str, str]:
    """What a step puts where: of State's cells those of Next."""
    return {place(layout, name): place(layout, f"new.{name}") for name in (*names(layout), "step", "losses")}


def read_state(layout: Lesson) -> list[str]:
    return [place(layout, name) for name in names(layout)]


def state_of(layout: Lesson, t: int, answer: dict[str, Cells | None]) -> adam.State:
    bands: dict[str, dict[str, Array]] = {
        band: {
            name: tensor_of(layout, band, name, answer[place(layout, band + name)])
            for name in layout.config.parameter_shapes()
        }
        for band in BANDS
    }
    return adam.State(t, bands[""], bands["m."], bands["v."])
