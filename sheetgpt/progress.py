"""What a terminal shows while work goes on; a file or a pipe gets nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from sheetgpt.ooxml.writing.book import Written


@contextmanager
def bar(console: Console, quiet: bool = False) -> Iterator[Callable[[Written], None]]:
    """A progress bar over all cells: the sheet, megabytes so far, the time left."""
    words, size = (TextColumn(field, markup=False) for field in ("{task.description}", "{task.fields[size]}"))
    columns = (words, BarColumn(), TaskProgressColumn(), size)
    with _shown(console, quiet, *columns, TimeRemainingColumn()) as progress:
        task = progress.add_task("building", total=None, size="")

        def advance(written: Written) -> None:
            so_far = f"{written.n_bytes / 1e6:,.1f} MB"
            name, done, total = written.sheet, written.cells, written.all_cells
            progress.update(task, description=name, completed=done, total=total, size=so_far)

        yield advance


@contextmanager
def counter(console: Console, quiet: bool, words: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar over runs: how many of how many, the time left."""
    columns = (TextColumn(words, markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with _shown(console, quiet, *columns) as progress:
        task = progress.add_task(words, total=None)

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield advance


@contextmanager
def losses(console: Console, quiet: bool, steps: int) -> Iterator[Callable[[int, float], None]]:
    """A progress bar over the steps of a training, with the loss as it goes down, smoothed like Adam's own means."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    silent = quiet or not console.is_terminal
    with Progress(*columns, console=console, disable=silent, transient=True) as progress:
        task = progress.add_task("loss", total=steps)
        mean = 0.0

        def seen(step: int, loss: float) -> None:
            nonlocal mean
            mean = loss if not mean else 0.95 * mean + 0.05 * loss
            progress.update(task, advance=1, description=f"loss {mean:.3f}")

        yield seen


@contextmanager
def spinner(console: Console, quiet: bool, words: str) -> Iterator[None]:
    columns = (SpinnerColumn(), TextColumn("{task.description}, {task.elapsed:.0f} s", markup=False))
    with _shown(console, quiet, *columns) as progress:
        progress.add_task(words, total=None)
        yield


@contextmanager
def _shown(console: Console, quiet: bool, *columns: ProgressColumn) -> Iterator[Progress]:
    """Started only where there is somebody to see it: up to version 14, rich ends a disabled one with an empty line."""
    silent = quiet or not console.is_terminal
    progress = Progress(*columns, console=console, disable=silent, transient=True)
    with nullcontext() if silent else progress:
        yield progress
