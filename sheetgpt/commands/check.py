"""`sheetgpt check` and `sheetgpt info`: what can be said of a file without recalculating it."""

from pathlib import Path
from typing import Annotated

import typer

import sheetgpt
from sheetgpt import screen
from sheetgpt.errors import visible
from sheetgpt.gpt2.checkpoints.checkpoint import DEFAULT
from sheetgpt.options import Quiet
from sheetgpt.progress import spinner
from sheetgpt.screen import LONG


def check(
    workbook: Annotated[Path, typer.Argument(help="Any .xlsx file.", show_default=False)], quiet: Quiet = False
) -> None:
    """Check a workbook against the rules and limits of Excel and of sheetgpt, without Excel.

    `sheetgpt check workbooks/stories.xlsx`

    It names the cells that break a rule, up to 50 a sheet. Exit status: 0 if none does, 1 if some do, 2 for bad input.
    """
    out, err = screen.printers()
    with spinner(err, quiet, "checking"):
        problems = sheetgpt.check(workbook)
    for problem in problems:
        out.say(visible(problem, LONG))
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    out.print(count if problems else "[green]clean[/green]: no rule is broken")
    raise typer.Exit(1 if problems else 0)


def info(target: Annotated[str, typer.Argument(help="A model, as for `build`, or a workbook.")] = DEFAULT) -> None:
    """Show a model's shapes and parameters and, for a workbook, its sheets and defined names.

    `sheetgpt info workbooks/stories.xlsx`
    """
    from sheetgpt.workbook.info import describe

    out, _ = screen.printers()
    for table in describe(target):
        out.print(table)
