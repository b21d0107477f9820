"""The processes behind the LibreOffice engine: how they start, take workbook after workbook, and end."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import openpyxl
import pytest
from bounds import bounded
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from openpyxl.workbook.properties import CalcProperties
from small_books import STEPS, rewrite, same, save

import sheetgpt
from sheetgpt.engines import Step, libreoffice, office, surroundings
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint

pytestmark = pytest.mark.own_libreoffice


@pytest.fixture(scope="module")
def workbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("a folder with späces") / "Ein schönes Büchlein №1.xlsx")


def doubled(workbook: Path, x: float) -> float:
    cells = libreoffice.recalculate(workbook, {"x": x}, ["doubled"])["doubled"]
    assert cells
    return float(cells.numbers.item())


def test_two_engines_at_once_do_not_collide(workbook: Path) -> None:
    found: dict[int, object] = {}

    def ask(x: int) -> None:
        found[x] = doubled(workbook, x)

    threads = [threading.Thread(target=ask, args=(x,)) for x in (7, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {7: 14, 8: 16}


def test_a_named_soffice_is_the_one_that_is_used(
    workbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "my office"
    own.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/calls"\nexec "{office.find_soffice()}" "$@"\n')
    own.chmod(0o755)
    python = office.find_python(office.find_soffice())
    monkeypatch.setattr(office, "find_python", lambda _: python)
    monkeypatch.setenv("SHEETGPT_SOFFICE", str(own))
    assert doubled(workbook, 6) == 12
    assert "--headless" in (tmp_path / "calls").read_text()
    monkeypatch.setenv("SHEETGPT_SOFFICE", str(tmp_path / "nowhere/soffice"))
    with pytest.raises(SheetGPTError, match=r"SHEETGPT_SOFFICE names .*nowhere/soffice, and there is no such program"):
        doubled(workbook, 6)


ENDLESS = """
import sys
from pathlib import Path
from contextlib import nullcontext
from sheetgpt.engines import Step, libreoffice
with libreoffice.resident() if sys.argv[2] == "resident" else nullcontext():
    if sys.argv[2] == "resident":
        libreoffice.run(Path(sys.argv[1]), [Step({}, ["x"])])
    libreoffice.run(Path(sys.argv[1]), [Step({}, ["x"])] * 50_000)
"""


def family(root: int) -> dict[int, str]:
    """The living descendants of a process, by the sessions that its children opened: pid -> program."""
    living: dict[int, tuple[str, int, int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            name, _, rest = status.read_text().partition("(")[2].rpartition(")")
            state, parent, _, session, *_ = rest.split()
            if state != "Z":
                living[int(status.parent.name)] = (name, int(parent), int(session))
    workers = {pid for pid, (_, parent, session) in living.items() if parent == root and session == pid}
    return {pid: name for pid, (name, _, session) in living.items() if session in workers}


def alive(pids: set[int]) -> set[int]:
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z":
                found.add(pid)
    return found


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    assert condition()


@pytest.fixture(params=["alone", "resident"])
def endless(request: pytest.FixtureRequest, workbook: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process whose LibreOffice never comes to an end."""
    command = [sys.executable, "-c", ENDLESS, str(workbook), request.param]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: "soffice.bin" in family(process.pid).values() or process.poll() is not None)
    yield process
    process.kill()
    process.communicate()


def test_a_killed_command_takes_libreoffice_with_it(endless: "subprocess.Popen[str]") -> None:
    pids = set(family(endless.pid))
    (soffice,) = (pid for pid, name in family(endless.pid).items() if name == "soffice.bin")
    command = Path(f"/proc/{soffice}/cmdline").read_text(encoding="utf-8").replace("\0", " ")
    [(profile, folder)] = re.findall("UserInstallation=(file://(/[^ ]*)/profile)", command)
    [pipe] = re.findall("name=(sheetgpt[0-9a-f]+)", command)
    traces = [*office.sockets(pipe, profile), folder]
    wait_for(lambda: all(map(os.path.exists, traces)))
    endless.kill()
    endless.wait()
    wait_for(lambda: not alive(pids) and not any(map(os.path.exists, traces)))


def test_libreoffice_s_own_socket_is_named_as_libreoffice_names_it() -> None:
    seen_in_libreoffice_7_4 = (
        "SingleOfficeIPC_3e13d8af2ab5bd33ba7577527b328c"  # its bytes in hexadecimal, zeros dropped
    )
    assert office.sockets("p", "file:///tmp/sg-sae2w0ct/profile")[1].endswith(seen_in_libreoffice_7_4)


def test_the_death_of_libreoffice_is_told_in_a_sentence(endless: "subprocess.Popen[str]") -> None:
    for pid, name in family(endless.pid).items():
        if name == "soffice.bin":
            os.kill(pid, signal.SIGKILL)
    assert re.search("SheetGPTError: LibreOffice stopped while .*memory", endless.communicate(timeout=60)[1])


@pytest.mark.parametrize("resident", [False, True])
def test_a_timeout_ends_every_process(
    workbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resident: bool
) -> None:
    others, seen = set(family(os.getpid())), set[int]()
    sockets: set[str] = set()
    expected: list[str] = []
    name_sockets = office.sockets
    done = threading.Event()

    def watch() -> None:
        """Stops LibreOffice, too: one that hangs takes no processor time."""
        while not done.is_set():
            living = family(os.getpid())
            seen.update(living)
            for pid in [pid for pid, name in living.items() if name == "soffice.bin" and pid not in others]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            sockets.update(path for path in expected if os.path.exists(path))
            time.sleep(0.05)

    def note(pipe: str, profile: str) -> list[str]:
        expected.extend(name_sockets(pipe, profile))
        return list(expected)

    monkeypatch.setattr(office, "sockets", note)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    watcher = threading.Thread(target=watch)
    watcher.start()
    with libreoffice.resident() if resident else contextlib.nullcontext():
        try:
            with pytest.raises(SheetGPTError, match=r"had not finished with .* after 5 seconds .* raise the limit"):
                libreoffice.run(workbook, [Step({}, ["x"])] * 50_000, timeout=5)
        finally:
            done.set()
            watcher.join()
        seen -= others
        assert len(seen) >= 2
        wait_for(lambda: not alive(seen))
        assert not list(tmp_path.iterdir())
        assert not [path for path in sockets if os.path.exists(path)]
        assert doubled(workbook, 4) == 8
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def keeper() -> Iterator[office._Keeper]:
    """Keeps a LibreOffice from test to test, as `resident` does inside its block."""
    keeper = office._Keeper()
    yield keeper
    with keeper.busy:
        keeper.dismiss()


@pytest.fixture
def resident(keeper: office._Keeper, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int | None]:
    """With it, every call goes to one LibreOffice; tells the process of its worker."""
    monkeypatch.setattr(office, "_keeper", keeper)
    return lambda: keeper.office.worker.pid if keeper.office else None


Resident = Callable[[], int | None]


def test_one_libreoffice_opens_workbook_after_workbook(resident: Resident, workbook: Path, tmp_path: Path) -> None:
    assert doubled(workbook, 4) == 8
    first = resident()
    libreoffice.export_pdf(workbook, tmp_path / "w.pdf", ["Größe"])
    assert (tmp_path / "w.pdf").read_bytes().startswith(b"%PDF")
    told: list[object] = []
    assert (
        len(libreoffice.session(workbook, list(STEPS.values()), after=told.append).results) == len(told) == len(STEPS)
    )
    assert resident() == first
    programs = list(family(os.getpid()).items())
    assert [name for pid, name in programs if os.getpgid(pid) == first].count("soffice.bin") == 1


def test_nothing_of_it_is_left(workbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with libreoffice.resident():
        keeper = office._keeper
        assert keeper
        assert not keeper.office  # it starts with the first workbook
        for x in (1, 2):
            assert doubled(workbook, x) == 2 * x
        assert keeper.office
        [folder], sockets, pids = list(tmp_path.iterdir()), keeper.office.sockets, set(family(os.getpid()))
        assert not [path for path in folder.iterdir() if path.name.startswith("job")]
        pids = {pid for pid in pids if os.getpgid(pid) == keeper.office.worker.pid}
        assert len(pids) >= 2
    assert not alive(pids)
    assert not [path for path in [str(folder), *sockets] if os.path.exists(path)]


ODD = CalcProperties(calcMode="manual", iterate=True, iterateCount=7, iterateDelta=0.1, fullPrecision=False)


def test_a_workbook_leaves_nothing_to_the_next(workbook: Path, tmp_path: Path) -> None:
    """Manual calculation, iteration, other dates, rounded precision: all of them stay with the workbook that asks."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet
    sheet["A1"], sheet["A2"], sheet["B1"], sheet["B2"] = 1, "=A1*2", "=B2+1", "=B1/2"
    sheet["A3"], sheet["A4"] = "=1/3", "=DATE(2020,1,1)"
    sheet["A3"].number_format = "0.0"
    book.calculation, book.epoch = ODD, CALENDAR_MAC_1904
    book.save(tmp_path / "odd.xlsx")
    odd = [Step({"Sheet!A1": 5}, ["Sheet!A1:B4"], hard=False), Step({}, ["Sheet!A1:B4"])]
    alone = [libreoffice.run(workbook, list(STEPS.values())), libreoffice.run(tmp_path / "odd.xlsx", odd)]
    with libreoffice.resident():
        for _ in range(2):
            shared = [libreoffice.run(workbook, list(STEPS.values())), libreoffice.run(tmp_path / "odd.xlsx", odd)]
            for before, after in zip(alone, shared, strict=True):
                assert [step.keys() for step in before] == [step.keys() for step in after]
                pairs = [(step[key], other[key]) for step, other in zip(before, after, strict=True) for key in step]
                assert all(one is other is None or same(one, other) for one, other in pairs)


def test_a_damaged_file_and_a_refused_input_do_not_end_it(resident: Resident, workbook: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.xlsx"
    with zipfile.ZipFile(empty, "w") as package:
        package.writestr("[Content_Types].xml", "no workbook")
    rewrite(workbook, tmp_path / "damaged.xlsx", lambda part: part[: len(part) // 2])
    assert doubled(workbook, 1) == 2
    first = resident()
    with contextlib.suppress(SheetGPTError):  # LibreOffice opens what there is of it
        libreoffice.recalculate(tmp_path / "damaged.xlsx", {}, ["x"])
    for path, inputs, sentence in [
        (empty, {}, r"can't load empty\.xlsx: it may be damaged"),
        (workbook, {"never": 1}, "no cells named never"),
        (workbook, {"block": 1}, "one value for 6 cells"),
    ]:
        with pytest.raises(SheetGPTError, match=sentence):
            libreoffice.recalculate(path, inputs, ["x"])
        assert doubled(workbook, 3) == 6
    assert resident() == first


@pytest.mark.parametrize(
    ("program", "sentence"),
    [("soffice.bin", "LibreOffice stopped while .*memory"), ("python", "that drives LibreOffice stopped .*status -9")],
)
def test_a_death_costs_one_workbook(resident: Resident, workbook: Path, program: str, sentence: str) -> None:
    assert doubled(workbook, 1) == 2
    first = resident()
    assert first

    def kill(_: object) -> None:
        for pid, name in family(os.getpid()).items():
            with contextlib.suppress(ProcessLookupError):  # others of the family end while this one is looked at
                if os.getpgid(pid) == first and name.startswith(program):
                    os.kill(pid, signal.SIGKILL)

    with pytest.raises(SheetGPTError, match=sentence):
        libreoffice.session(workbook, [Step({}, ["x"])] * 50_000, after=kill, timeout=60)
    wait_for(lambda: not alive({first}))
    assert doubled(workbook, 4) == 8
    assert resident() != first


def test_one_that_died_between_two_workbooks_is_replaced(
    resident: Resident, keeper: office._Keeper, workbook: Path
) -> None:
    assert doubled(workbook, 1) == 2
    first = resident()
    assert first
    os.killpg(first, signal.SIGKILL)
    # Not `alive`: a process whose first thread is gone is "Z" in /proc while its other threads are still ending.
    wait_for(lambda: keeper.office and keeper.office.worker.poll() is not None)
    assert doubled(workbook, 2) == 4


def test_an_interruption_in_the_middle_costs_one_workbook(resident: Resident, workbook: Path) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        libreoffice.session(workbook, [Step({}, ["x"])] * 50_000, after=interrupt)
    assert resident() is None
    assert doubled(workbook, 2) == 4


def test_one_that_starts_within_bounds_is_not_kept(
    resident: Resident, keeper: office._Keeper, workbook: Path, tmp_path: Path
) -> None:
    """It would have them for the tests after it: 1 GB of address space is too little for a larger workbook."""
    keeper.dismiss()
    with zipfile.ZipFile(empty := tmp_path / "empty.xlsx", "w") as package:
        package.writestr("[Content_Types].xml", "no workbook")
    with bounded():
        assert doubled(workbook, 1) == 2
        with pytest.raises(SheetGPTError, match=r"may be damaged, or the [0-9.]+ GB of memory that `ulimit -v` allows"):
            libreoffice.recalculate(empty, {}, [])
    assert resident() is None


@pytest.mark.parametrize(("limit", "value"), [("JOBS", 1), ("LARGE", 1)])
def test_it_makes_room_for_a_fresh_one(
    resident: Resident, workbook: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    monkeypatch.setattr(office, limit, value)
    for x in (1, 2):
        assert doubled(workbook, x) == 2 * x
        assert resident() is None


def test_two_threads_in_one_resident_do_not_wait_for_each_other(resident: Resident, workbook: Path) -> None:
    inside: list[float] = []

    def ask(_: object) -> None:
        if not inside:
            inside.append(doubled(workbook, 8))

    assert len(libreoffice.session(workbook, [Step({}, ["x"])] * 2, after=ask).results) == 2
    assert inside == [16]


def test_peak_memory_is_told_of_a_workbook_alone(resident: Resident, workbook: Path) -> None:
    steps = [Step({}, ["x"])]
    assert libreoffice.session(workbook, steps).peak_bytes is None
    alone = libreoffice.session(workbook, steps, alone=True).peak_bytes
    assert alone is None or alone > 10_000_000


HOSTILE = {  # each alone kept LibreOffice 7.4 from recalculating, but for the last
    "SAL_USE_VCLPLUGIN": "gen",
    "UNO_TYPES": "file:///nowhere",
    "UNO_SERVICES": "file:///nowhere",
    "URE_BOOTSTRAP": "file:///nowhere",
    "BRAND_BASE_DIR": "file:///nowhere",
    "CONFIGURATION_LAYERS": "none",
    "SC_FORCE_CALCULATION": "opencl",
    "VALGRIND": "nothing",
    "RR": "1",
    "LC_ALL": "C",
}


def test_no_variable_keeps_a_workbook_from_being_verified(
    plain_workbook: Path, micro: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setattr(office, "find_python", office.find_python.__wrapped__)  # not what was found before
    workbook = shutil.copy(plain_workbook, tmp_path / "Büchlein №1.xlsx")
    assert sheetgpt.verify(workbook, model=micro.source).passed


def test_nothing_in_the_working_folder_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "uno.py").write_text("open('run', 'w')")
    monkeypatch.chdir(tmp_path)
    office.find_python.__wrapped__(office.find_soffice())
    assert not (tmp_path / "run").exists()


def test_few_variables_reach_libreoffice() -> None:
    given = {"PATH": "/my/bin", "HOME": "/home/me", "LD_LIBRARY_PATH": "/conda/lib", "SHEETGPT_SOAK": "7"}
    found = surroundings.variables(given | HOSTILE)
    assert not found.keys() & (HOSTILE.keys() - surroundings.SET.keys() - {"LC_ALL"})
    assert "LD_LIBRARY_PATH" not in found
    assert (found["HOME"], found["SHEETGPT_SOAK"]) == ("/home/me", "7")
    assert found["PATH"].startswith("/my/bin:")
    assert found["SAL_USE_VCLPLUGIN"] == "svp"


def test_a_snap_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "snap").write_text("#!/bin/sh\n", "utf-8")
    (tmp_path / "snap").chmod(0o755)
    (tmp_path / "libreoffice").symlink_to("snap")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(office, "LINUX", ())
    with pytest.raises(SheetGPTError, match="only as a snap"):
        office._installed.__wrapped__()
