"""The big-sheet writer: openpyxl makes the package (styles, names, charts, formats), the rows are streamed into it.

In: sheets, each an openpyxl worksheet as frame and a function that yields its rows, plain data that `xml.py` writes.
Out: one `.xlsx`, the same bytes for the same input, written beside its target and then renamed.
Knows OOXML (ECMA-376), knows nothing of GPT-2.
"""

import datetime
import io
import os
import re
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from openpyxl import Workbook
from openpyxl.cell.cell import Cell
from openpyxl.styles import Alignment, Border, Font, PatternFill, Protection, Side
from openpyxl.workbook.defined_name import DefinedName
from openpyxl.workbook.properties import CalcProperties
from openpyxl.worksheet.page import PageMargins
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt import system
from sheetgpt.errors import SheetGPTError
from sheetgpt.ooxml import workers
from sheetgpt.ooxml.rows import Row
from sheetgpt.ooxml.writing import archive, fonts, unfinished
from sheetgpt.ooxml.writing.locks import Lock
from sheetgpt.ooxml.writing.prefixes import DRAWN, prefixed
from sheetgpt.ooxml.writing.xml import escape, written

Rows = Callable[[], Iterable[Row]]

EPOCH = datetime.datetime(2000, 1, 1)  # a clock would make two builds differ
CHUNK = 1 << 20
MANY_CELLS = 2_000_000  # below this, starting worker processes costs more than it saves
# Excel puts a green triangle into a cell for each of its hints, the attributes of ignoredError (ECMA-376 part 1,
# 18.3.1.50). Not here for texts, of tokens such as 1984 or 1/2/31, and for ranges: a formula refers to what it uses,
# not to all that stands there. Two stay in force, evalError and formula: no cell of a sound workbook shows an error,
# and none differs from two like neighbours, so that such a triangle marks a formula that somebody broke.
NO_HINTS = ("twoDigitTextYear", "numberStoredAsText", "formulaRange", "emptyCellReference")
POLL = 0.2  # seconds between two looks at what the worker processes have done


@dataclass(frozen=True)
class Style:
    """What a cell looks like; `Book.style` turns it into the number that cells carry."""

    bold: bool = False
    italic: bool = False
    size: float = 10
    color: str | None = None
    fill: str | None = None
    number_format: str = "General"
    align: str | None = None
    wrap: bool = False
    boxed: bool = False
    underline: bool = False
    middle: bool = False  # of a tall row
    turned: bool = False  # reads from below upwards
    shrinks: bool = False  # where the text is wider than the cell
    open: bool = False  # may be typed over in a book that is locked


@dataclass(frozen=True)
class Sheet:
    frame: Worksheet
    rows: Rows
    last_cell: str
    n_cells: int
    links: list[tuple[str, str]]  # cell, place in the workbook
    lock: Lock | None = None


@dataclass(frozen=True)
class Written:
    """How far a save is: the sheet at work or just done, cells and bytes of all sheets so far, and all cells."""

    sheet: str
    cells: int
    all_cells: int
    n_bytes: int  # compressed


Progress = Callable[[Written], None]


class Book:
    """A workbook in the making. `locked`: only cells of an open style may be typed over (`locks`)."""

    def __init__(self, title: str, locked: bool = False) -> None:
        self.locked = locked
        self._open: set[int] = set()
        self.workbook = Workbook()
        self.workbook.remove(self.workbook.worksheets[0])
        # fullCalcOnLoad is left out: a 0 stays in a copy that openpyxl saves, which has no cached values
        self.workbook.calculation = CalcProperties(calcId=191029, calcMode="auto", fullCalcOnLoad=None)
        properties = self.workbook.properties
        properties.title, properties.creator = title, "sheetgpt"
        properties.created = properties.modified = EPOCH
        self.sheets: list[Sheet] = []
        self._links: dict[str, list[tuple[str, str]]] = {}
        self.style = lru_cache(maxsize=None)(self._style)

    def frame(self, title: str) -> Worksheet:
        """An empty worksheet, in the order of the tabs; `add` gives it its rows."""
        frame: Worksheet = self.workbook.create_sheet(title)
        frame.page_setup.orientation = "landscape"
        frame.page_setup.fitToHeight = 0  # as wide as a page, as long as it takes
        frame.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
        frame.page_margins = PageMargins(left=0.4, right=0.4, top=0.4, bottom=0.6, header=0.3, footer=0.3)
        footer = frame.oddFooter
        if footer is not None and footer.left is not None and footer.right is not None:
            footer.left.text, footer.right.text = "&A", "&P / &N"
        return frame

    def add(self, frame: Worksheet, rows: Rows, last_cell: str, n_cells: int) -> None:
        folds = any(column.outlineLevel for column in frame.column_dimensions.values())
        lock = Lock(frozenset(self._open), folds=folds) if self.locked else None
        self.sheets.append(Sheet(frame, rows, last_cell, n_cells, self._links.pop(frame.title, []), lock))

    def name(self, name: str, reference: str) -> None:
        self.workbook.defined_names[name] = DefinedName(name, attr_text=reference)

    def link(self, frame: Worksheet, cell: str, target: str) -> None:
        """A hyperlink inside the workbook; the cell's own text and style are written with its row."""
        self._links.setdefault(frame.title, []).append((cell, target))

    def _style(self, style: Style) -> int:
        """The style's index in the package's cellXfs."""
        cell = Cell(self.workbook.worksheets[0], row=1, column=1)
        font = Font("Calibri", style.size, style.bold, style.italic, color=style.color)
        if style.underline:
            font.underline = "single"
        cell.font = font
        if style.fill:
            cell.fill = PatternFill("solid", start_color=style.fill)
        if style.align or style.wrap or style.middle or style.turned or style.shrinks:
            vertical = "center" if style.middle else "top" if style.wrap else None
            turn = 90 if style.turned else 0
            cell.alignment = Alignment(style.align, vertical, turn, wrap_text=style.wrap, shrink_to_fit=style.shrinks)
        if style.boxed:
            side = Side("thin", color="A6A6A6")
            cell.border = Border(side, side, side, side)
        cell.number_format = style.number_format
        if style.open:
            cell.protection = Protection(locked=False)
            self._open.add(cell.style_id)
        number: int = cell.style_id
        return number

    def save(self, target: Path, progress: Progress | None = None) -> None:
        """Writes the package; `progress` is called after each sheet, and now and then during a large one."""
        self.workbook.active = 0
        frame = self._frame()
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.whole(target) as whole:
                parts = self._parts(frame, whole.parent, progress or (lambda written: None))
                with whole.open("wb") as out:
                    archive.assemble(parts, out)
        except OSError as error:
            raise SheetGPTError(f"The workbook {target} can't be written: {system.refusal(error, target)}.") from error

    def _frame(self) -> io.BytesIO:
        """The package without rows. openpyxl puts each sheet into a temporary file on the way."""
        buffer = io.BytesIO()
        with unfinished.said_of_room():
            self.workbook.save(buffer)
        return buffer

    def _parts(self, frame: io.BytesIO, folder: Path, progress: Progress) -> list[archive.Part]:
        """Every part of the package, compressed, in openpyxl's order."""
        numbered = {
            f"xl/worksheets/sheet{self.workbook.sheetnames.index(s.frame.title) + 1}.xml": s for s in self.sheets
        }
        jobs: list[Job] = []
        with zipfile.ZipFile(frame) as package:
            for i, name in enumerate(package.namelist()):
                jobs.append((name, folder / str(i), _mended(name, package.read(name)), numbered.get(name)))
        done = {}
        with closing(_run(jobs)) as news:
            for part, so_far in news:
                if part is not None:
                    done[part.name] = part
                if so_far is not None:
                    progress(so_far)
        return [done[name] for name, *_ in jobs]


Job = tuple[str, Path, bytes, Sheet | None]


def _run(jobs: Sequence[Job]) -> Generator[tuple[archive.Part | None, Written | None], None, None]:
    """Compresses every part: in processes, the largest sheets first, where there is much to do and fork exists.

    Yields each part as it is done, and how far all are: with a sheet's part, and by itself while sheets are at work.
    """
    order = sorted(range(len(jobs)), key=lambda i: -_cells(jobs[i]))
    n_workers = min(os.cpu_count() or 1, len(jobs))
    done = [0] * len(jobs)  # cells of each job

    def work(i: int, tell: workers.Tell) -> archive.Part:
        return _compress(jobs[i], tell)

    try:
        if sum(map(_cells, jobs)) <= MANY_CELLS or n_workers == 1 or not workers.available():
            raise workers.CannotStart
        with closing(workers.run(work, order, n_workers, POLL)) as news:
            for i, so_far, part in news:
                done[i] = _cells(jobs[i]) if so_far is None else so_far
                yield part, _written(jobs, done, i)
    except workers.CannotStart:
        for i in order:
            part = work(i, lambda so_far: None)
            done[i] = _cells(jobs[i])
            yield part, _written(jobs, done, i)
    except MemoryError:
        raise SheetGPTError("Memory ran out while a sheet was written: close other programs.") from None


def _cells(job: Job) -> int:
    return job[3].n_cells if job[3] else 0


def _written(jobs: Sequence[Job], done: Sequence[int], i: int) -> Written | None:
    """How far all jobs are; `i` is the one to name, if it is a sheet's."""
    sheet = jobs[i][3]
    n_bytes = sum(target.stat().st_size for _, target, _, _ in jobs if target.exists())
    return Written(sheet.frame.title, sum(done), sum(map(_cells, jobs)), n_bytes) if sheet else None


def _compress(job: Job, tell: workers.Tell) -> archive.Part:
    name, target, xml, sheet = job
    if sheet is None:
        return archive.compress(name, [xml], target)
    chunks = _chunked(_filled(xml, replace(sheet, rows=lambda: _counted(sheet, tell))))
    return archive.compress(name, chunks, target, large=sheet.n_cells > MANY_CELLS)


def _counted(sheet: Sheet, tell: workers.Tell) -> Iterator[Row]:
    """The sheet's rows, told of as they pass: so many of all its rows are so many of its cells, about."""
    last = int(re.sub("[A-Z]", "", sheet.last_cell))
    for n, row in enumerate(sheet.rows(), 1):
        yield row
        tell(sheet.n_cells * min(n, last) // last)


def _filled(frame: bytes, sheet: Sheet) -> Iterator[bytes]:
    """The frame's XML with the rows inside its empty sheetData."""
    before, found, after = re.split(rb"(<sheetData\s*/>|<sheetData>\s*</sheetData>)", frame, maxsplit=1)
    assert found
    yield re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1:%b"' % sheet.last_cell.encode(), before)
    yield b"<sheetData>"
    yield from written(sheet.rows() if sheet.lock is None else sheet.lock.watched(sheet.rows()))
    after = _without_hints(_with_links(after, sheet.links), sheet.last_cell)
    yield b"</sheetData>" + (after if sheet.lock is None else sheet.lock.closed(after))


def _with_links(after: bytes, links: Sequence[tuple[str, str]]) -> bytes:
    """openpyxl drops links from a sheet without cells; their place is before the page's margins."""
    if not links:
        return after
    each = b"".join(b'<hyperlink ref="%b" location="%b"/>' % (c.encode(), escape(to)) for c, to in links)
    before, margins, rest = after.partition(b"<pageMargins")
    assert margins
    return before + b"<hyperlinks>" + each + b"</hyperlinks>" + margins + rest


def _without_hints(after: bytes, last_cell: str) -> bytes:
    """openpyxl has no ignoredErrors. They stand before what refers to other parts: drawings, tables, extensions."""
    kinds = " ".join(f'{kind}="1"' for kind in NO_HINTS)
    place = re.search(rb"<(?:smartTags|drawing|legacyDrawing|picture|tableParts|extLst)\b|</worksheet>", after)
    assert place
    each = f'<ignoredErrors><ignoredError sqref="A1:{last_cell}" {kinds}/></ignoredErrors>'
    return after[: place.start()] + each.encode() + after[place.start() :]


def _chunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _mended(name: str, xml: bytes) -> bytes:
    """One of openpyxl's parts without the moment of saving, with fonts in Excel's order and Excel's prefixes."""
    if name.startswith(DRAWN):
        return prefixed(xml)
    if name == fonts.STYLES:
        return fonts.in_excels_order(xml)
    if name != "docProps/core.xml":
        return xml
    stamp = EPOCH.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    return re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + stamp, xml)
