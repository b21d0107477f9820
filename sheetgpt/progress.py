"""Where the commands print, and what a terminal shows while work goes on; a file or a pipe gets nothing of that."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from sheetgpt.ooxml.book import Written


def printer() -> Console:
    """As wide as the terminal; into a file or a pipe wide enough that nothing is cut off."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


@contextmanager
def bar(console: Console, quiet: bool = False) -> Iterator[Callable[[Written], None]]:
    """A progress bar over all cells: the sheet, megabytes so far, the time left."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[size]}"))
    silent = quiet or not console.is_terminal
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=silent, transient=True) as progress:
        task = progress.add_task("building", total=None, size="")

        def advance(written: Written) -> None:
            size = f"{written.n_bytes / 1e6:,.1f} MB"
            name, done, total = written.sheet, written.cells, written.all_cells
            progress.update(task, description=name, completed=done, total=total, size=size)

        yield advance


@contextmanager
def spinner(console: Console, quiet: bool, words: str) -> Iterator[None]:
    columns = (SpinnerColumn(), TextColumn("{task.description}, {task.elapsed:.0f} s"))
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as progress:
        progress.add_task(words, total=None)
        yield
