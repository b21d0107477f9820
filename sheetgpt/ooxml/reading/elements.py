"""Some elements of an XML part, read without a tree of all: a tree takes 40 times the bytes of small elements."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from xml.parsers import expat

PIECE = 1 << 20
MAX_DEPTH = 256  # elements inside one another; a workbook's have some ten, and the reader keeps each that is open

XMLError = expat.ExpatError


@dataclass
class Element:
    """`path` are its names below the root, without namespaces; an attribute has its own as `uri}name`."""

    path: str
    attributes: dict[str, str]
    text: str = ""


def elements(pieces: Iterable[bytes], wanted: Iterable[str]) -> Iterator[Element]:
    """Those at the paths `wanted`, such as `sheets/sheet`; `*` is any child of the root, if it has an attribute.

    Raises XMLError, and ValueError for elements too deep inside one another.
    """
    reader = _Reader(frozenset(wanted))
    for piece in pieces:
        for start in range(0, len(piece), PIECE):
            reader.parser.Parse(piece[start : start + PIECE])
            yield from reader.taken()
    reader.parser.Parse(b"", True)
    yield from reader.taken()


class _Reader:
    def __init__(self, wanted: frozenset[str]) -> None:
        self._wanted, self._longest = wanted, max(path.count("/") + 1 for path in wanted)
        self._names: list[str] = []  # of what is open, the root's first, as deep as any path goes
        self._depth = 0
        self._open: Element | None = None
        self._text: list[str] = []
        self._done: list[Element] = []
        self.parser = expat.ParserCreate(namespace_separator="}")
        self.parser.StartElementHandler, self.parser.EndElementHandler = self._start, self._end
        self.parser.CharacterDataHandler = self._said

    def taken(self) -> list[Element]:
        done, self._done = self._done, []
        return done

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError(f"its elements stand more than {MAX_DEPTH} deep inside one another")
        if self._depth > self._longest + 1:
            return
        self._names.append(tag.rpartition("}")[2])
        path = "/".join(self._names[1:])
        if path in self._wanted or (self._depth == 2 and attributes and "*" in self._wanted):
            self._open, self._text = Element(path, attributes), []
            self.parser.buffer_text = True

    def _end(self, tag: str) -> None:
        if self._open is not None and self._depth == self._open.path.count("/") + 2:
            self._open.text = "".join(self._text)
            self._done.append(self._open)
            self._open = None
        if self._depth <= self._longest + 1:
            self._names.pop()
        self._depth -= 1

    def _said(self, text: str) -> None:
        if self._open is not None and self._depth == self._open.path.count("/") + 2:
            self._text.append(text)
