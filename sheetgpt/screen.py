"""What the command prints, so that no text from elsewhere reaches the terminal as it is, and no traceback comes of it.

What an encoding lacks (cp1252, Latin-1) is written as a backslash escape; a full disk is a sentence, a closed pipe the
quiet end.
"""

import contextlib
import json
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.table import Table as RichTable
from rich.text import Text

from sheetgpt.errors import SheetGPTError, visible

LINE = "\n\t"  # part of a text that is shown as one
LONG = 500  # characters of a cell of a table, or of a problem


class Closed(Exception):
    """Nobody reads the output any more."""


class Screen(Console):
    """A console for text from elsewhere. Standard error takes what it can: there is nowhere to say that it can't."""

    def say(self, *parts: str | tuple[str, str], style: str | None = None) -> None:
        """Plain text in one piece, however long; a part may have a style of its own."""
        shown = [
            visible(part, keep=LINE) if isinstance(part, str) else (visible(part[0], keep=LINE), part[1])
            for part in parts
        ]
        self.print(Text.assemble(*shown, style=style or ""), highlight=False, soft_wrap=True)

    def write(self, text: str) -> None:
        """The text as it is but for controls, at once, without a line end of its own."""
        with self._guarded():
            self.file.write(visible(text, keep=LINE))
            self.file.flush()

    def print(self, *objects: Any, **settings: Any) -> None:
        with self._guarded():
            super().print(*objects, **settings)

    def render(self, *arguments: Any, **settings: Any) -> Iterator[Segment]:
        """The net under everything that is printed: what a caller forgot, is made visible here."""
        for text, style, control in super().render(*arguments, **settings):
            yield Segment(text if control else visible(text, keep=LINE), style, control)

    def on_broken_pipe(self) -> None:
        raise Closed

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise Closed from None
        except OSError as error:
            self.quiet = True
            if not self.stderr:
                raise SheetGPTError(f"The output can't be written: {error.strerror or error}.") from error

    @property
    def blocks(self) -> str:
        """What a bar is drawn with."""
        return "█" if self.encoding.startswith("utf") else "#"


def printer() -> Screen:
    """Standard output, as wide as the terminal; into a file or a pipe wide enough that nothing is cut off."""
    console = Screen()
    return console if console.is_terminal else Screen(width=160)


def printers() -> tuple[Screen, Screen]:
    """Standard output and standard error."""
    return printer(), Screen(stderr=True)


class Table(RichTable):
    """A table whose cells are plain text."""

    def add_row(self, *cells: Any, style: str | Style | None = None, end_section: bool = False) -> None:
        shown = [Text(visible(cell, LONG)) if isinstance(cell, str) else cell for cell in cells]
        super().add_row(*shown, style=style, end_section=end_section)


def printable_json(value: Any, encoding: str = "utf-8") -> str:
    """JSON that a person can read: its own escapes stand for what can't be seen, or what the encoding lacks."""
    text = json.dumps(value, ensure_ascii=not encoding.lower().startswith("utf"), indent=1)
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c == "\n" or visible(c) == c else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


class Notes(logging.Handler):
    """What the package says in passing, as a line on standard error; the same thing only once."""

    def __init__(self, err: Screen) -> None:
        super().__init__(logging.INFO)
        self._err, self._said = err, set[str]()

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage()
        if said not in self._said:
            self._said.add(said)
            self._err.say(visible(said, LONG))


@contextlib.contextmanager
def notes(err: Screen) -> Iterator[None]:
    """Prints them meanwhile."""
    log, handler = logging.getLogger("sheetgpt"), Notes(err)
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


def as_it_can() -> None:
    """What the streams' encodings lack becomes a backslash escape."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def let_go() -> None:
    """Flushes the streams; one that takes nothing any more is let go, before Python's own end finds out."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
