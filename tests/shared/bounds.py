"""Bounds around one test: what a regression would take, memory or time without end, becomes an error in it."""

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from sheetgpt.engines import office

MEMORY, SECONDS = 1 << 30, 30


@contextmanager
def bounded() -> Iterator[None]:
    """At most a gigabyte more than this process has, and half a minute.

    A LibreOffice started in here is bounded, too, as every child process is, so it is not kept for the tests after it.
    """

    def late(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"after {SECONDS} seconds")

    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    signal.alarm(SECONDS)
    keeper, office._keeper = office._keeper, None
    try:
        yield
    finally:
        signal.alarm(0)
        office._keeper = keeper
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGALRM, before)
