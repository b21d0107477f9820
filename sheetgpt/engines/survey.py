"""A worksheet's extent and its error cells, before a reader in another language is given it.

python-calamine makes a full rectangle of all cells between the outermost ones, and its process ends when there is no
memory for that: one cell in each of two corners asks for 500 GB. Format: ECMA-376 part 1, section 18.3.1.
"""

import os
import re
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from xml.parsers import expat

from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.unzip import chunks

# As Excel, LibreOffice and sheetgpt begin every cell; any other beginning sends the sheet to a full XML reader.
_CELL = re.compile(rb'<c r="([A-Z]{1,3})([1-9][0-9]{0,6})"')
_BEGINNINGS = (b"<c ", b"<c>", b"<c/", b"<c\t", b"<c\n", b"<c\r", b":c ", b":c>", b":c/", b":c\t", b":c\n", b":c\r")
_ERROR = re.compile(rb"""\bt\s*=\s*["']e["']""")
_SHARED = re.compile(rb"""\bt\s*=\s*["']s["']""")
MAX_TAG = 1 << 24  # bytes without a tag's beginning: text of that length fits no cell

# What calamine takes, measured: a cell as read and as laid into its rectangle, and a place of the rectangle.
CELL_BYTES, PLACE_BYTES = 100, 32


@dataclass
class Survey:
    """What stands in one worksheet. Rows and columns count from 1; 0: no cell."""

    last_row: int = 0
    last_column: int = 0
    n_cells: int = 0
    n_shared: int = 0  # cells whose text stands in the table of shared strings
    errors: dict[tuple[int, int], str] = field(default_factory=dict)  # row and column from 0 -> "#N/A"

    @property
    def extent(self) -> int:
        return self.last_row * self.last_column

    def memory(self, longest: int) -> int:
        """Bytes that reading it takes; `longest`: bytes of the longest shared string."""
        return self.n_cells * CELL_BYTES + self.extent * PLACE_BYTES + self.n_shared * longest * 4


def survey(archive: zipfile.ZipFile, part: str) -> Survey:
    """Raises one of `unzip.READ_ERRORS` or expat.ExpatError for what no reader could read."""
    found = Survey()
    columns: set[bytes] = set()
    plain, has_errors = True, False
    for text in _whole_tags(archive, part):
        cells = _CELL.findall(text)
        if len(cells) != sum(map(text.count, _BEGINNINGS)):
            plain = False
            break
        if cells:
            letters, rows = zip(*cells, strict=True)
            columns.update(letters)
            found.last_row = max(found.last_row, max(map(int, set(rows))))
            found.n_cells += len(cells)
        found.n_shared += len(_SHARED.findall(text))
        has_errors = has_errors or _ERROR.search(text) is not None
    if not plain or has_errors:
        return _exactly(archive, part)
    found.last_column = max((Area.parse(f"x!{one.decode()}1") or _beyond(one)).column for one in columns or (b"A",))
    return found


def _beyond(letters: bytes) -> Area:
    raise ValueError(f"a cell stands in column {letters.decode()}, past the last one")


def _whole_tags(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """The part's text in pieces that end before a tag."""
    rest = b""
    for chunk in chunks(archive, part):
        text = rest + chunk
        end = max(text.rfind(b"<"), 0)
        rest = text[end:]
        if len(rest) > MAX_TAG:
            raise ValueError(f"a text of more than {MAX_TAG:,} bytes")
        yield text[:end]
    yield rest


class _Exact:
    """By an XML reader: a row or a cell without `r` follows the one before it."""

    def __init__(self) -> None:
        self.found = Survey()
        self._rows, self._columns, self._row, self._at = count(), count(), 0, (0, 0)
        self._text: list[str] | None = None  # of an error cell's value, while it is read
        self.reader = expat.ParserCreate(namespace_separator="}")
        self.reader.StartElementHandler, self.reader.EndElementHandler = self._start, self._end
        self.reader.CharacterDataHandler = self._said

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name, place = tag.rpartition("}")[2], attributes.get("r")
        if name == "row":
            self._row = next(self._rows) if place is None else _place(f"A{place}")[0]
            self._rows, self._columns = count(self._row + 1), count()
        elif name == "c":
            self._cell((self._row, next(self._columns)) if place is None else _place(place), attributes.get("t", ""))
        elif name == "v" and self._at in self.found.errors:
            self._text = []

    def _cell(self, at: tuple[int, int], kind: str) -> None:
        self._at, self._columns, found = at, count(at[1] + 1), self.found
        found.last_row, found.last_column = max(found.last_row, at[0] + 1), max(found.last_column, at[1] + 1)
        found.n_cells += 1
        found.n_shared += kind == "s"
        if kind == "e":
            found.errors[at] = "#N/A"

    def _end(self, tag: str) -> None:
        if self._text is not None and tag.rpartition("}")[2] == "v":
            self.found.errors[self._at], self._text = "".join(self._text) or "#N/A", None

    def _said(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)


def _exactly(archive: zipfile.ZipFile, part: str) -> Survey:
    exact = _Exact()
    for chunk in chunks(archive, part):
        exact.reader.Parse(chunk)
    exact.reader.Parse(b"", True)
    return exact.found


def _place(reference: str) -> tuple[int, int]:
    """Row and column from 0."""
    found = Area.parse(f"x!{reference}")
    if found is None or found.n_cells > 1:
        raise ValueError(f"{reference[:40]!r} is no cell")
    return found.row - 1, found.column - 1


def spare_memory() -> int:
    """Bytes that this process may still take, where the system tells."""
    spare = 1 << 40
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            spare = limit - pages * os.sysconf("SC_PAGE_SIZE")
        if sys.platform == "linux":
            lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
            spare = min(spare, int(lines["MemAvailable"].split()[0]) * 1024)
    except (ImportError, OSError, KeyError, ValueError):
        pass
    return max(spare, 0)
