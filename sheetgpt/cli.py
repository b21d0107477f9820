"""The `sheetgpt` command: its parts are in `sheetgpt.commands` and `sheetgpt.look`; here is how it begins and ends."""

# ruff: noqa: E402
from sheetgpt import stopping

stopping.at_once()  # what is imported here takes a second, in which Ctrl-C would give a traceback

import contextlib
import sys
from typing import Any

import typer
from typer.rich_utils import rich_format_error

from sheetgpt import screen
from sheetgpt.commands.build import build
from sheetgpt.commands.check import check, info
from sheetgpt.commands.run import run
from sheetgpt.commands.train import train
from sheetgpt.commands.verify import verify
from sheetgpt.errors import SheetGPTError, visible
from sheetgpt.look import app as look
from sheetgpt.look.sweep import sweep
from sheetgpt.screen import LONG, Closed, Screen

app = typer.Typer(
    help="GPT-2 as a spreadsheet: every weight a cell, every step a live formula, every number checked.",
    epilog="Start with `sheetgpt build`, then open workbooks/stories.xlsx.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.add_typer(look, name="look")
for command in (build, verify, run, info, check, sweep, train):
    app.command()(command)
err = Screen(stderr=True)


def main() -> None:
    """Runs the command; an error of ours is one sentence and exit status 2, and so is what the system refuses."""
    stopping.in_order()
    screen.as_it_can()
    try:
        with screen.notes(err):
            sys.exit(_status())
    finally:
        stopping.at_once()
        screen.let_go()


def _status() -> int:
    try:
        return int(app(standalone_mode=False) or 0)
    except SheetGPTError as error:
        err.say(f"sheetgpt: {error}", style="red")
        return 2
    except MemoryError:
        err.say("sheetgpt: There is not enough memory for this.", style="red")
        return 2
    except Closed:
        return 141  # what a shell shows for a program that SIGPIPE has ended
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        err.say(visible(f"sheetgpt: The system refuses{where}: {error.strerror or error}.", LONG), style="red")
        return 2
    except Exception as error:
        return _usage(error)


def _usage(error: Any) -> int:
    """An option or argument that isn't one: Typer's own words for it, with nothing in them that can't be seen."""
    if not hasattr(error, "format_message"):
        raise error
    error.message = visible(error.message, LONG)
    with contextlib.suppress(OSError):
        rich_format_error(error)
    return int(error.exit_code)


stopping.as_before()
