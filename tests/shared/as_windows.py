"""Runs commands of sheetgpt's without what Windows' Python lacks, and with what Windows forbids: a rehearsal.

In a process of its own the modules, functions and signals that only Unix has are taken away, multiprocessing can only
spawn, a file that is open can be neither deleted nor replaced, and `sys.platform` says win32. Paths stay those of this
system. The argument is a list in JSON of commands, each a list of words; out come [status, output, errors] of each. A
command after the word Ctrl-C is interrupted while it writes the file; after Excel and a file, Excel has that file open.
"""

import _signal  # type: ignore[import-not-found]
import contextlib
import importlib
import io
import json
import mmap
import multiprocessing.context
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODULES = """
fcntl grp pty pwd resource syslog termios tty
"""
OF_OS = """
chown fork forkpty getegid geteuid getgid getloadavg getpgid getpgrp getpriority getsid getuid
killpg lockf mkfifo mknod nice posix_fadvise posix_fallocate posix_spawn pread pwrite
sched_getaffinity setpgid setsid setuid statvfs sysconf uname wait3 wait4 WEXITSTATUS WIFSIGNALED
WTERMSIG O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK
"""
OF_SIGNAL = """
SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGUSR1 pthread_sigmask pthread_kill alarm
"""
EXCEL = set[str]()  # files that it has open


def all_modules() -> list[str]:
    import sheetgpt

    found = pkgutil.walk_packages(sheetgpt.__path__, "sheetgpt.")
    return [module.name for module in found if not module.name.endswith("__main__")]


def hide() -> None:
    """The libraries are there already: how they get along on Windows is their own affair."""
    for name in all_modules():
        importlib.import_module(name)
    importlib.import_module("huggingface_hub.file_download")
    for name in [name for name in sys.modules if name.partition(".")[0] == "sheetgpt"]:
        del sys.modules[name]
    sys.modules |= dict.fromkeys(MODULES.split())  # type: ignore[arg-type]  # None: importing it fails
    for place, names in ((os, OF_OS), (signal, OF_SIGNAL), (_signal, OF_SIGNAL)):
        for name in names.split():
            if hasattr(place, name):
                delattr(place, name)
    for name in [name for name in vars(mmap) if name.startswith("MADV_")]:
        delattr(mmap, name)
    concrete = multiprocessing.context._concrete_contexts  # type: ignore[attr-defined]
    for name in [name for name in concrete if name != "spawn"]:
        del concrete[name]
    setattr(multiprocessing.context._default_context, "_actual_context", concrete["spawn"])  # noqa: B010
    multiprocessing.get_all_start_methods = lambda: ["spawn"]
    sys.platform = "win32"


def is_open(path: Any) -> bool:
    """Whether this process has the file, or one in the folder, open or mapped; or Excel the file."""
    real, links = os.path.realpath(path), [f"/proc/self/fd/{file}" for file in os.listdir("/proc/self/fd")]
    used = [os.readlink(link) for link in links if os.path.islink(link)]
    used += [line.split(maxsplit=5)[-1].strip() for line in Path("/proc/self/maps").read_text("utf-8").splitlines()]
    return real in EXCEL or any(each == real or each.startswith(f"{real}/") for each in used)


def forbid() -> None:
    """What Windows' file system refuses."""

    def guarded(act: Callable[..., Any]) -> Callable[..., Any]:
        def acting(*paths: Any, **settings: Any) -> Any:
            for path in paths:
                if is_open(path):
                    raise PermissionError(13, "The process cannot access the file", os.fspath(path))
            return act(*paths, **settings)

        return acting

    for name in ("unlink", "remove", "rename", "replace", "rmdir"):
        setattr(os, name, guarded(getattr(os, name)))
    shutil._use_fd_functions = False  # type: ignore[attr-defined]
    opened = io.open

    def opening(file: Any, mode: str = "r", *more: Any, **settings: Any) -> Any:
        if set(mode) & set("wa+") and not isinstance(file, int) and os.path.realpath(file) in EXCEL:
            raise PermissionError(13, "Permission denied", os.fspath(file))
        return opened(file, mode, *more, **settings)

    io.open = opening
    popen = subprocess.Popen.__init__

    def starting(self: Any, *words: Any, creationflags: int = 0, **settings: Any) -> None:
        if settings.keys() & {"start_new_session", "preexec_fn", "process_group", "user", "group"}:
            raise ValueError("not on Windows")
        popen(self, *words, **settings)

    subprocess.Popen.__init__ = starting  # type: ignore[method-assign]
    setattr(subprocess, "CREATE_NO_WINDOW", 0x08000000)  # noqa: B010


def run(words: list[str]) -> tuple[int, str, str]:
    from sheetgpt import cli, screen
    from sheetgpt.ooxml.writing import archive

    EXCEL.clear()
    assemble = archive.assemble
    if words[0] == "Excel":
        EXCEL.add(os.path.realpath(words[1]))
        words = words[2:]
    if words[0] == "Ctrl-C":
        words = words[1:]
        archive.assemble = lambda *_: signal.raise_signal(signal.SIGINT)
    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    sys.argv, status = ["sheetgpt", *words], 0
    let_go, screen.let_go = screen.let_go, lambda: None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as stop:
            status = int(stop.code or 0)
    archive.assemble, screen.let_go = assemble, let_go
    for stream in (out, err):
        stream.flush()
    said = [stream.buffer.getvalue().decode(encoding) for stream in (out, err)]
    return status, said[0], said[1]


def main() -> None:
    hide()
    forbid()
    warnings.filterwarnings("error", category=EncodingWarning, module=r"sheetgpt\.")
    for name in all_modules():
        importlib.import_module(name)
    found = [run(words) for words in json.loads(sys.argv[1])]
    sys.stdout.buffer.write(json.dumps(found).encode())


if __name__ == "__main__":
    main()
