"""Jobs in forked processes, over pipes alone: no semaphore, no shared memory, no file, for these need a /dev/shm.

A worker inherits what it works on, since row functions can't be pickled, and arrays shouldn't be. It ends with the
process that started it, whatever ends that one: SIGKILL, too.
"""

import contextlib
import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from sheetgpt.errors import SheetGPTError

Tell = Callable[[int], None]
Work = Callable[[int, Tell], Any]  # a job's number, and where to say how far it is -> its result

WATCH = 0.1  # seconds between a worker's looks at its parent
PR_SET_PDEATHSIG = 1  # prctl(2)


class CannotStart(Exception):
    """The system gives no process, or no pipe to it."""


def available() -> bool:
    """Not on macOS, whose libraries may have threads that a fork cuts off (Python's documentation, multiprocessing)."""
    return sys.platform not in ("win32", "darwin") and "fork" in multiprocessing.get_all_start_methods()


def run(
    work: Work, jobs: Sequence[int], n_workers: int, poll: float
) -> Generator[tuple[int, int | None, Any], None, None]:
    """Yields a job's number and how far it is, at most every `poll` seconds, and at last None with its result.

    The jobs begin in the order given. Raises what a job raises; whatever ends this, no worker stays behind.
    CannotStart: nothing was begun.
    """
    crew = _start(work, n_workers, poll)
    try:
        waiting, busy = deque(jobs), dict[Connection, int]()
        for pipe in crew:
            _give(pipe, waiting, busy)
        while busy:
            ready = wait(list(busy))
            for pipe in [pipe for pipe in busy if pipe in ready]:
                job = busy[pipe]
                try:
                    so_far, result = pipe.recv()
                except (EOFError, ConnectionResetError):
                    raise SheetGPTError(_ended(crew[pipe])) from None
                if isinstance(result, BaseException):
                    raise result
                if so_far is None:
                    del busy[pipe]
                    _give(pipe, waiting, busy)
                yield job, so_far, result
    finally:
        for process in crew.values():
            process.kill()
        for pipe, process in crew.items():
            process.join()
            pipe.close()


def _start(work: Work, n_workers: int, poll: float) -> dict[Connection, BaseProcess]:
    """As many as the system gives, each by the pipe to it."""
    if sys.platform == "win32":
        raise CannotStart
    fork = multiprocessing.get_context("fork")
    crew: dict[Connection, BaseProcess] = {}
    with _undisturbed() as mask:
        for _ in range(n_workers):
            try:
                ours, theirs = fork.Pipe()
            except OSError:
                break
            process = fork.Process(target=_serve, args=(theirs, work, poll, os.getpid(), mask), daemon=True)
            try:
                process.start()
            except (OSError, AssertionError):  # the latter: a daemonic process may have no children
                ours.close()
                break
            finally:
                theirs.close()
            crew[ours] = process
    if not crew:
        raise CannotStart
    return crew


@contextlib.contextmanager
def _undisturbed() -> Iterator[set[signal.Signals]]:
    """Signals wait: a worker must not run its parent's handlers. Yields those that waited before, too."""
    if sys.platform == "win32":
        raise CannotStart
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield {signal.Signals(number) for number in mask}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _give(pipe: Connection, waiting: deque[int], busy: dict[Connection, int]) -> None:
    if waiting:
        busy[pipe] = waiting.popleft()
        with contextlib.suppress(OSError):  # it is gone, as will be seen when it is asked
            pipe.send(busy[pipe])


def _ended(process: BaseProcess) -> str:
    process.join()
    code = process.exitcode or 0
    if code >= 0:
        return f"A process that wrote a sheet stopped before it was done (exit status {code})."
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    hints = {
        "SIGKILL": "if memory ran out, close other programs",
        "SIGBUS": "if the checkpoint's file was changed or can't be read any more, build again",
    }
    hint = f": {hints[name]}" if name in hints else ""
    return f"A process that wrote a sheet was ended from outside ({name}){hint}."


def _serve(pipe: Connection, work: Work, poll: float, parent: int, mask: set[signal.Signals]) -> None:
    """A worker's life: jobs come, results go. Ctrl-C is for the parent, which then ends its workers."""
    if sys.platform == "win32":
        raise CannotStart
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    _end_with(parent)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    told = 0.0

    def tell(so_far: int) -> None:
        nonlocal told
        if time.monotonic() > told + poll:
            told = time.monotonic()
            pipe.send((so_far, None))

    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        while True:
            job = pipe.recv()
            try:
                result = work(job, tell)
            except BaseException as error:
                result = _portable(error)
            pipe.send((None, result))


def _portable(error: BaseException) -> BaseException:
    """The error itself, where a pipe can carry it; with the place where it was raised, which a pipe doesn't carry."""
    if not isinstance(error, SheetGPTError):
        error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError("".join(traceback.format_exception(error)))
    return error


def _end_with(parent: int) -> None:
    """Linux ends this process together with its parent; elsewhere a thread looks whether it is still there."""
    if sys.platform == "linux":
        with contextlib.suppress(Exception):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
