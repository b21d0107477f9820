"""A worksheet's extent and its error cells, before a reader in another language is given it.

python-calamine makes a full rectangle of all cells between the outermost ones, and its process ends when there is no
memory for that: one cell in each of two corners asks for 500 GB. Format: ECMA-376 part 1, section 18.3.1.
"""

import contextlib
import mmap
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from xml.parsers import expat

import numpy as np

from sheetgpt import system
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.limits import MAX_COLUMN, MAX_ROW
from sheetgpt.ooxml.reading.unzip import chunks

_BREAKS = np.zeros(256, bool)  # what may follow an element's name
_BREAKS[[*b" \t\n\r/>"]] = True
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
    found, plain, has_errors, text = Survey(), True, False, b""
    for text in _whole_tags(archive, part):
        plain = plain and _plainly(text, found)
        if not plain:
            break
        found.n_shared += text.count(b'"s"') + text.count(b"'s'")
        has_errors = has_errors or b'"e"' in text or b"'e'" in text
    plain = plain and text.rstrip().endswith(b"</worksheet>")
    return found if plain and not has_errors else _exactly(archive, part)


def _plainly(text: bytes, found: Survey) -> bool:
    """Takes in cells that begin `<c r="B7"`, as all do that Excel, LibreOffice and sheetgpt write; False for others.

    A whole piece at once: 60 ns a cell, where an XML reader takes 1,000.
    """
    data = np.frombuffer(text + bytes(16), np.uint8)
    tags, colons = np.flatnonzero(data == ord("<")), np.flatnonzero(data == ord(":"))
    if ((data[colons + 1] == ord("c")) & _BREAKS[data[colons + 2]]).any():  # <x:c
        return False
    cells = tags[(data[tags + 1] == ord("c")) & _BREAKS[data[tags + 2]]]
    if not all((data[cells + i] == letter).all() for i, letter in enumerate(b' r="', 2)):
        return False
    at, column, row = cells + 6, np.zeros_like(cells), np.zeros_like(cells)
    for _ in range(3):
        letter = data[at].astype(np.int64) - ord("A") + 1
        inside = (letter >= 1) & (letter <= 26)
        column, at = np.where(inside, column * 26 + letter, column), at + inside
    for _ in range(7):
        digit = data[at].astype(np.int64) - ord("0")
        inside = (digit >= 0) & (digit <= 9)
        row, at = np.where(inside, row * 10 + digit, row), at + inside
    whole = (data[at] == ord('"')) & (column >= 1) & (column <= MAX_COLUMN) & (row >= 1) & (row <= MAX_ROW)
    if not whole.all():
        return False
    found.last_row = max(found.last_row, int(row.max(initial=0)))
    found.last_column = max(found.last_column, int(column.max(initial=0)))
    found.n_cells += len(cells)
    return True


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
    if sys.platform == "linux":
        with contextlib.suppress(OSError, KeyError, ValueError):
            if (limit := system.memory_limit()) is not None:
                pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
                spare = limit - pages * mmap.PAGESIZE
            lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text("ascii").splitlines())
            spare = min(spare, int(lines["MemAvailable"].split()[0]) * 1024)
    return max(spare, 0)
