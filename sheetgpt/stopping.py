"""What ends a command from outside (Ctrl-C, SIGTERM, a closed terminal): no traceback, and nothing stays behind.

The first signal becomes an exception, so that every `with` and `finally` tidies up on its way out. Others that come
while this goes on are not heard; one that comes later than PATIENCE says that the tidying has got stuck, and ends the
process at once. Before the work and after it there is nothing to tidy, and a signal is left to the system.

It must be there before anything else is imported, and so imports only what Python's own start has imported already;
the module `signal` makes its enumerations first.
"""

import _signal as signal  # type: ignore[import-not-found]
import os
import time

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
PATIENCE = 3.0  # seconds
_first: float | None = None  # when the signal came that is being obeyed


def at_once() -> None:
    """From here on a signal ends the process as the system does it: without a word."""
    for number in SIGNALS:
        _set(number, signal.SIG_DFL)


def in_order() -> None:
    """From here on a signal is an exception: KeyboardInterrupt, or SystemExit with the status that a shell shows."""
    global _first
    _first = None
    for number in SIGNALS:
        _set(number, _stop)


def as_before() -> None:
    """From here on Python's own ways hold again."""
    for number in SIGNALS:
        _set(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def _set(number: int, handler: object) -> None:
    """Not for a signal that whoever started the program has switched off (nohup) or handles."""
    if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler, _stop):
        try:
            signal.signal(number, handler)
        except ValueError:  # only the main thread may
            return


def _stop(number: int, _: object) -> None:
    global _first
    if _first is None:
        _first = time.monotonic()
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
    if time.monotonic() > _first + PATIENCE:
        os._exit(128 + number)
