"""What goes wrong around the program: it is ended, interrupted, has no room or no shared memory, LibreOffice fails.

Nothing half-written, nothing left behind, and a sentence that says what was seen.
"""

import contextlib
import errno
import math
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from ready import Command

import sheetgpt
from sheetgpt import stopping
from sheetgpt.engines import Step, blame, gnumeric, libreoffice, office
from sheetgpt.errors import SheetGPTError
from sheetgpt.ooxml import rows, workers
from sheetgpt.ooxml.writing import book as xlsx
from sheetgpt.ooxml.writing import unfinished
from sheetgpt.text.chat import chat_of

FORK = "fork" in multiprocessing.get_all_start_methods()
needs_fork = pytest.mark.skipif(not FORK, reason="worker processes need fork")


def book(seconds_a_row: float, note: Path | None = None) -> xlsx.Book:
    """Two sheets of 40 rows; whoever writes one notes its process."""
    made = xlsx.Book("slow")

    def slowly() -> Iterator[rows.Row]:
        if note is not None:
            (note / str(os.getpid())).touch()
        for i in range(1, 41):
            time.sleep(seconds_a_row)
            yield rows.row(i, rows.numbers(1, np.arange(10.0)))

    for title in ("one", "two"):
        made.add(made.frame(title), slowly, "J40", 400)
    return made


@pytest.fixture
def in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small workbook, too, is written by two worker processes."""
    monkeypatch.setattr(xlsx, "MANY_CELLS", 0)
    monkeypatch.setattr("os.cpu_count", lambda: 2)


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_for(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


@needs_fork
@pytest.mark.parametrize("linux", [True, False])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_workers_end_with_the_process_that_builds_and_the_next_build_clears_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_processes: None, number: signal.Signals, linux: bool
) -> None:
    if not linux:  # without its help
        monkeypatch.setattr(workers, "PR_SET_PDEATHSIG", -1)
    (notes := tmp_path / "notes").mkdir()
    target = tmp_path / "place" / "w.xlsx"
    context = multiprocessing.get_context("fork")
    builder = context.Process(target=book(0.5, notes).save, args=(target,))
    builder.start()
    wait_for(lambda: len(list(notes.iterdir())) == 2)
    assert builder.pid
    os.kill(builder.pid, number)
    builder.join()
    pids = [int(path.name) for path in notes.iterdir()]
    assert builder.pid not in pids
    wait_for(lambda: all(map(ended, pids)), 3)
    assert len(list(target.parent.iterdir())) == 1  # what a dead process leaves
    book(0).save(target)
    assert list(target.parent.iterdir()) == [target]


@needs_fork
def test_the_folder_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    with unfinished.folder_beside(tmp_path / "w.xlsx") as mine:
        (mine / "part").touch()
        unfinished.clear(tmp_path)
        book(0).save(tmp_path / "w.xlsx")
        assert (mine / "part").exists()
    assert list(tmp_path.iterdir()) == [tmp_path / "w.xlsx"]


def test_a_folder_cleared_before_it_was_locked_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    make = tempfile.mkdtemp

    def and_clear(**where: Any) -> str:
        made.append(make(**where))
        if len(made) == 1:
            unfinished.clear(tmp_path)
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", and_clear)
    with unfinished.folder_beside(tmp_path / "w.xlsx") as folder:
        assert folder.is_dir()
    assert len(made) == 2
    assert list(tmp_path.iterdir()) == []


def test_the_users_own_files_beside_the_target_stay(tmp_path: Path) -> None:
    for name in ("w.xlsx.part", ".w.xlsx.part", "whole", ".sheetgpt"):
        (tmp_path / name).write_text("mine")
    with unfinished.whole(tmp_path / "w.xlsx") as whole:
        whole.write_text("new")
    assert {path.read_text() for path in tmp_path.iterdir() if path.name != "w.xlsx"} == {"mine"}
    assert (tmp_path / "w.xlsx").read_text() == "new"
    assert len(list(tmp_path.iterdir())) == 5


@needs_fork
def test_an_interrupted_build_waits_for_no_worker(tmp_path: Path, in_processes: None) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        book(0.5).save(tmp_path / "w.xlsx", interrupt)
    assert time.monotonic() - began < 10  # the sheets alone take 20 s
    assert list(tmp_path.iterdir()) == []
    assert multiprocessing.active_children() == []


@needs_fork
def test_no_shared_memory_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_processes: None) -> None:
    """As with a missing or read-only /dev/shm: no semaphore, and no map of a temporary file."""

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("_multiprocessing.SemLock", read_only)
    monkeypatch.setattr("multiprocessing.heap.Arena.__init__", read_only)
    (notes := tmp_path / "notes").mkdir()
    book(0, notes).save(tmp_path / "w.xlsx")
    assert str(os.getpid()) not in {path.name for path in notes.iterdir()}


@needs_fork
@pytest.mark.parametrize("lacking", ["Process.start", "Pipe"])
def test_without_a_second_process_one_writes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_processes: None, lacking: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(multiprocessing.context.ForkContext, lacking, refuse) if lacking == "Pipe" else (
        monkeypatch.setattr(multiprocessing.context.ForkProcess, "start", refuse)
    )
    (notes := tmp_path / "notes").mkdir()
    book(0, notes).save(tmp_path / "w.xlsx")
    assert [path.name for path in notes.iterdir()] == [str(os.getpid())]


class Odd(Exception):
    """A pipe can carry it, and nobody can unpack it."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


@needs_fork
@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), r"w.xlsx can't be written: No space left on device"),
        (SheetGPTError("a sentence"), "^a sentence$"),
        (MemoryError(), "Memory ran out while a sheet was written"),
        (Odd(1, 2), "1 and 2"),
    ],
)
def test_what_goes_wrong_in_a_worker_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_processes: None, error: Exception, seen: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(xlsx, "_filled", fail)
    with pytest.raises(RuntimeError if isinstance(error, Odd) else SheetGPTError, match=seen):
        book(0).save(tmp_path / "w.xlsx")
    assert list(tmp_path.iterdir()) == []


ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@needs_fork
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells")
def test_an_endless_template_ends_with_the_process_that_waits_for_it() -> None:
    waiting = multiprocessing.get_context("fork").Process(target=chat_of, args=(ENDLESS, {}))
    waiting.start()
    assert waiting.pid
    children = Path(f"/proc/{waiting.pid}/task/{waiting.pid}/children")
    wait_for(children.read_text)
    [child] = map(int, children.read_text(encoding="utf-8").split())
    spent = Path(f"/proc/{child}/stat")
    wait_for(lambda: int(spent.read_text(encoding="utf-8").split()[13]) >= 40)  # 0.4 s: it is in the loop
    waiting.kill()
    waiting.join()
    wait_for(lambda: ended(child), 5)


# Signals


@pytest.fixture
def foreground() -> Iterator[None]:
    """Signals as a shell's foreground has them: its `&` switches SIGINT off, `nohup` SIGHUP."""
    usual = {signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, usual.get(number, signal.SIG_DFL)) for number in stopping.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def in_order(foreground: None) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in stopping.SIGNALS}
    stopping.as_before()
    stopping.in_order()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit), (signal.SIGHUP, SystemExit)]
)
def test_a_second_signal_does_not_disturb_the_tidying(
    in_order: None, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, error: type[BaseException]
) -> None:
    tidied, gone = [], list[int]()
    monkeypatch.setattr(os, "_exit", gone.append)

    def work() -> None:
        try:
            signal.raise_signal(number)
        finally:
            for other in stopping.SIGNALS:
                signal.raise_signal(other)
            tidied.append("up")

    with pytest.raises(error) as stop:
        work()
    assert tidied == ["up"]
    assert gone == []
    if isinstance(stop.value, SystemExit):
        assert stop.value.code == 128 + number
    monkeypatch.setattr(stopping, "PATIENCE", -1.0)  # the tidying has got stuck
    signal.raise_signal(signal.SIGINT)
    assert gone == [130]


def test_a_signal_that_was_switched_off_stays_off() -> None:
    """`nohup` does so with SIGHUP, a shell's `&` with SIGINT."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stopping.in_order()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        stopping.as_before()
        signal.signal(signal.SIGHUP, before)


INTERRUPTED = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from sheetgpt.cli import main
print("still here", file=sys.stderr)
sys.argv = ["sheetgpt", "info", "nowhere"]
main()
"""


@pytest.mark.parametrize("name", ["typer", "sheetgpt.engines.libreoffice"])
def test_an_interruption_during_start_up_gives_no_traceback(foreground: None, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.format(name=name)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.returncode in (-signal.SIGINT, 130)


def test_importing_the_command_changes_no_signal() -> None:
    assert signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_IGN)


def test_the_package_offers_its_names_without_importing_all_of_them() -> None:
    assert set(sheetgpt.__all__) <= set(dir(sheetgpt))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sheetgpt.nothing
    shown = "import sys, sheetgpt; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"


# What is to blame


@pytest.fixture
def fake_office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A shell script in LibreOffice's place, driven by the real one's Python."""
    python = office.find_python(office.find_soffice())
    monkeypatch.setattr(office, "find_python", lambda _: python)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()

    def make(script: str) -> None:
        program = tmp_path / "soffice"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("SHEETGPT_SOFFICE", str(program))

    return make


@pytest.mark.own_libreoffice
@pytest.mark.parametrize(
    ("script", "seen", "memory"),
    [
        ("echo one; echo libfoo: not found >&2; exit 77", r"\(exit status 77; it said: libfoo: not found\)", False),
        ("exit 3", r"\(exit status 3\)\.", False),
        ("kill -9 $$", r"\(exit status -9\): most often the machine ran out of memory", True),
        ("echo terminate called after bad_alloc; echo more; kill -ABRT $$", r"\(exit status -6; it said: term", True),
    ],
)
def test_a_libreoffice_that_ends_at_once_is_described(
    plain_workbook: Path, fake_office: Callable[[str], None], tmp_path: Path, script: str, seen: str, memory: bool
) -> None:
    fake_office(script)
    with pytest.raises(SheetGPTError, match=rf"^LibreOffice stopped while starting up for micro\.xlsx {seen}") as told:
        libreoffice.run(plain_workbook, [Step({}, ["token_ids"])])
    assert ("memory" in str(told.value)) == memory
    assert list((tmp_path / "tmp").iterdir()) == []


def test_last_words_leave_out_what_says_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert blame.last_words(log) == ""
    for lines, said in [
        ("Warning: failed to launch javaldx - java may not function correctly", ""),
        ("Application Error\n\nFatal exception: Signal 6\nStack:\n/lib/libc.so.6(+0x1)[0x7f69]", "Signal 6"),
        ("a\x1b[31mred\u202e.", "a\ufffd[31mred\ufffd"),
        ("x" * 10_000, "x" * 200 + "…"),
        ("OSError: [Errno 5] Input/output error", "OSError: [Errno 5] Input/output error"),
    ]:
        log.write_text(lines)
        assert blame.last_words(log).endswith(said)
        assert said or not blame.last_words(log)


BROKEN_UNO = """
import os, subprocess, sys
if {when!r} == "import":
    raise ImportError("no uno here")
def getComponentContext():
    raise RuntimeError("no types")
"""


@pytest.mark.own_libreoffice
@pytest.mark.parametrize("resident", [False, True])
@pytest.mark.parametrize("when", ["import", "later"])
def test_without_uno_nothing_stays_behind(
    plain_workbook: Path,
    fake_office: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
    resident: bool,
) -> None:
    fake_office(f"echo $$ > {tmp_path}/started; exec sleep 100")
    module = tmp_path / "lib" / "com" / "sun" / "star"
    module.mkdir(parents=True)
    (tmp_path / "lib" / "uno.py").write_text(BROKEN_UNO.format(when=when))
    (module / "connection.py").write_text("class NoConnectException(Exception): pass\n")
    python = tmp_path / "python"
    start = f'PYTHONPATH={tmp_path}/lib exec {sys.executable} "$@"'
    python.write_text(f"#!/bin/sh\necho $$ >> {tmp_path}/worker\n{start}\n")
    python.chmod(0o755)
    monkeypatch.setattr(office, "find_python", lambda _: python)
    with (
        libreoffice.resident() if resident else contextlib.nullcontext(),
        pytest.raises(SheetGPTError, match=r"LibreOffice failed while starting up for .*: .*Error no (uno here|types)"),
    ):
        libreoffice.run(plain_workbook, [Step({}, ["token_ids"])])
    assert ended(int((tmp_path / "worker").read_text()))
    assert not (tmp_path / "started").exists()
    assert list((tmp_path / "tmp").iterdir()) == []


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_temporary_folder_is_not_blamed_on_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """openpyxl writes each sheet's frame into a temporary file."""
    monkeypatch.setattr(openpyxl.Workbook, "save", full)
    with pytest.raises(SheetGPTError, match=r"temporary folder .* \(No space left on device\): make room there"):
        book(0).save(tmp_path / "w.xlsx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.own_libreoffice
def test_too_little_room_for_libreoffice_is_said_before_it_starts(
    plain_workbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    little = shutil.disk_usage(tmp_path)._replace(free=300_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: little)
    with pytest.raises(SheetGPTError, match=rf"room for only 0\.3 MB in the temporary folder {tmp_path}"):
        libreoffice.run(plain_workbook, [Step({}, ["token_ids"])])
    assert list(tmp_path.iterdir()) == []


def test_a_full_folder_is_named_where_libreoffice_stumbles_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plain_workbook: Path
) -> None:
    """What it says of it is that the workbook may be damaged."""
    libreoffice.run(plain_workbook, [Step({}, ["token_ids"])])
    with zipfile.ZipFile(tmp_path / "empty.xlsx", "w") as package:
        package.writestr("[Content_Types].xml", "no workbook")
    little = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: little)
    with pytest.raises(SheetGPTError, match=r"room for only 0\.0 MB in the temporary folder"):
        libreoffice.run(tmp_path / "empty.xlsx", [Step({}, ["token_ids"])])


@pytest.mark.own_libreoffice
@pytest.mark.parametrize("engine", [libreoffice.recalculate, gnumeric.recalculate])
def test_a_missing_temporary_folder_is_named(
    plain_workbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Callable[..., object]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(SheetGPTError, match=r"Nothing can be written to the temporary folder .*nowhere"):
        engine(plain_workbook, {}, ["token_ids"])


# Inputs


@pytest.mark.parametrize("limit", [math.nan, 0, -1, math.inf, -math.inf])
def test_a_time_limit_that_cannot_be_kept_is_refused(
    plain_workbook: Path, sheetgpt_command: Command, limit: float
) -> None:
    for words in (["verify"], ["verify", "--engine", "cached"], ["run"], ["run", "--stream"]):
        status, _, said = sheetgpt_command(*words, plain_workbook, f"--engine-timeout={limit}")
        assert status == 2, words
        assert f"A time limit of {float(limit)} seconds can't be kept: give a finite number above 0" in said
    for call in (libreoffice.recalculate, gnumeric.recalculate):
        with pytest.raises(SheetGPTError, match="can't be kept"):
            call(plain_workbook, {}, [], timeout=limit)


@pytest.mark.parametrize(
    ("prompt", "seen"),
    [("the \udcff", "the byte 0xFF, which is not UTF-8"), ("\ud83d", "U\\+D83D, half of a character")],
)
def test_a_prompt_that_is_no_text_is_refused_by_name(
    reader: sheetgpt.Checkpoint, reader_workbook: Path, tmp_path: Path, prompt: str, seen: str
) -> None:
    for call in (
        lambda: sheetgpt.run(reader_workbook, prompt=prompt),
        lambda: sheetgpt.verify(reader_workbook, prompt=prompt),
        lambda: list(sheetgpt.evaluate(reader_workbook, prompt=prompt)),
        lambda: sheetgpt.build(reader, tmp_path / "w.xlsx", prompt=prompt),
    ):
        with pytest.raises(SheetGPTError, match=f"The prompt holds {seen}"):
            call()
    with pytest.raises(SheetGPTError, match=r"The input prompt holds U\+D[8C].., half of a character"):
        libreoffice.recalculate(reader_workbook, {"prompt": prompt}, ["token_ids"])
    assert not (tmp_path / "w.xlsx").exists()


def test_a_folder_is_locked_until_all_of_it_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else another process could lock it between the look and the clearing, and lose what it then writes there."""
    fcntl = pytest.importorskip("fcntl")
    folder = tmp_path / f"{unfinished.PREFIX}dead"
    folder.mkdir()
    tried = []

    def rmtree(path: Path, ignore_errors: bool) -> None:
        with (path / unfinished.LOCK).open("rb") as lock, pytest.raises(OSError, match="unavailable"):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        tried.append(path)

    monkeypatch.setattr("sheetgpt.ooxml.writing.unfinished.shutil.rmtree", rmtree)
    unfinished.clear(tmp_path)
    assert tried == [folder]
