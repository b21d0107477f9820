"""What ends a command from outside (Ctrl-C, SIGTERM, a closed terminal): no traceback, and nothing stays behind.

The first signal becomes an exception, so that every `with` and `finally` tidies up on its way out. Others that come
while this goes on are not heard; one that comes later than PATIENCE says that the tidying has got stuck, and ends the
process at once. Before the work and after it there is nothing to tidy, and a signal is left to the system.
"""

import os
import signal
import threading
import time
from types import FrameType

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
PATIENCE = 3.0  # seconds
_USUAL = {signal.SIGINT: signal.default_int_handler}  # what Python itself makes of them; the system's way for others
_first: float | None = None  # when the signal came that is being obeyed


def at_once() -> None:
    """From here on a signal ends the process as the system does it: without a word."""
    for number in _ours():
        signal.signal(number, signal.SIG_DFL)


def in_order() -> None:
    """From here on a signal is an exception: KeyboardInterrupt, or SystemExit with the status that a shell shows."""
    global _first
    _first = None
    for number in _ours():
        signal.signal(number, _stop)


def as_before() -> None:
    """From here on Python's own ways hold again."""
    for number in _ours():
        signal.signal(number, _USUAL.get(number, signal.SIG_DFL))


def _ours() -> list[signal.Signals]:
    """Those that this program may change: not one that whoever started it has switched off or handles (nohup)."""
    if threading.current_thread() is not threading.main_thread():  # only that one may
        return []
    known = (signal.SIG_DFL, signal.default_int_handler, _stop)
    return [number for number in SIGNALS if signal.getsignal(number) in known]


def _stop(number: int, _: FrameType | None) -> None:
    global _first
    if _first is None:
        _first = time.monotonic()
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
    if time.monotonic() > _first + PATIENCE:
        os._exit(128 + number)
