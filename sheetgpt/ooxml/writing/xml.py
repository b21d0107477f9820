"""Rows as the bytes that stand in a worksheet's XML. Format: ECMA-376 part 1, section 18.3.1.

Every cell carries its address (Gnumeric ignores cells without, `rows.compact_numbers`) and text is inline.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import count

import numpy as np
import orjson
from numpy.typing import NDArray
from openpyxl.utils import column_index_from_string, get_column_letter

from sheetgpt.ooxml.rows import Formulas, Numbers, Piece, Row, Text, Values

# a text or a sheet's name, to be passed over; or the relative column of a reference, which no `$` stands before
_COLUMN = re.compile(rb"""(?:"[^"]*"|'[^']*'!|(?<![\w.$])([A-Z]{1,3})(?=\$?[0-9]+(?![\w.(])))""")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")

Cached = tuple[bytes, bytes]  # of a cell: its type attribute, its <v> element


@cache
def letters(column: int) -> bytes:
    return get_column_letter(column).encode()


def written(rows: Iterable[Row]) -> Iterator[bytes]:
    """The rows of one sheet, whose shared formulas are numbered as they come."""
    index, below, last = count(), b"", 0
    for row in rows:
        if below and row.number > last + 1:  # a blank row has the [+], too
            yield b'<row r="%d"%b/>' % (last + 1, below)
            below = b""
        last = row.number
        tall = b"" if row.height is None else b' ht="%g" customHeight="1"' % row.height
        tall += b' hidden="1" outlineLevel="1"' if row.folded else below
        below = b' collapsed="1"' if row.folded else b""  # the [+] stands at the row below
        cells = b"".join(_piece(piece, row.number, index) for piece in row.pieces)
        yield b'<row r="%d"%b>%b</row>' % (row.number, tall, cells)


def _piece(piece: Piece, number: int, index: Iterator[int]) -> bytes:
    if isinstance(piece, Formulas):
        return _formulas(piece, number, index)
    if isinstance(piece, Text):
        return _text(piece, number)
    return _compact(piece, number) if piece.compact else _numbers(piece, number)


def escape(text: str) -> bytes:
    """XML text; what XML can't carry becomes `_x0000_`, and a text that looks like that escape is itself escaped."""
    text = _CONTROL.sub(lambda m: f"_x{ord(m.group()):04X}_", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").encode()


def _text(piece: Text, number: int) -> bytes:
    at = b'<c r="%b%d"%b' % (letters(piece.column), number, _style(piece.style))
    if not piece.value:
        return at + b"/>"
    return b'%b t="inlineStr"><is><t xml:space="preserve">%b</t></is></c>' % (at, escape(piece.value))


def _numbers(piece: Numbers, number: int) -> bytes:
    """The fast path, for weights."""
    template = _numbers_template(piece.column, len(piece.values), piece.style)
    return template.replace(b"#", b"%d" % number) % tuple(number_texts(piece.values))


def _compact(piece: Numbers, number: int) -> bytes:
    texts = number_texts(piece.values)
    return b'<c r="%b%d"><v>%b</v></c>' % (letters(piece.column), number, b"</v></c><c><v>".join(texts))


@lru_cache(maxsize=8)
def _numbers_template(first: int, n: int, style: int) -> bytes:
    at = _style(style)
    return b"".join(b'<c r="%b#"%b><v>%%b</v></c>' % (letters(c), at) for c in range(first, first + n))


def number_texts(values: NDArray[np.number]) -> list[bytes]:
    """Shortest decimals that round to the values (25 ns each); NaN is `null`."""
    return orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")


def _formulas(piece: Formulas, number: int, index: Iterator[int]) -> bytes:
    """Within its own sheet a formula that fills right is shared; one that points to another is written out.

    Excel's SharedParsedFormula holds no 3D reference ([MS-XLSB] 2.5.98.98), and a file that shares one is read as
    corrupt, or with every column as the first (EPPlus issues 92 and 253).
    """
    n, values = len(piece.values), cached_values(piece.values)
    first, style = piece.column, _style(piece.style)
    sources = piece.sources() if callable(piece.sources) else piece.sources
    if not isinstance(sources, str):
        bodies = [b"<f>%b</f>" % escape(source) for source in sources]
    elif n == 1:
        bodies = [b"<f>%b</f>" % escape(sources)]
    elif "!" in sources:
        bodies = [b"<f>%b</f>" % source for source in moved(escape(sources), n)]
    else:
        i, last = next(index), letters(first + n - 1)
        ref = b"%b%d:%b%d" % (letters(first), number, last, number)
        master = b'<f t="shared" ref="%b" si="%d">%b</f>' % (ref, i, escape(sources))
        bodies = [master] + [b'<f t="shared" si="%d"/>' % i] * (n - 1)
    return b"".join(
        b'<c r="%b%d"%b%b>%b%b</c>' % (letters(column), number, style, kind, body, value)
        for column, (body, (kind, value)) in enumerate(zip(bodies, values, strict=True), first)
    )


def moved(source: bytes, n: int) -> list[bytes]:
    """The formula as it stands in each of `n` columns: relative columns move along, texts and sheets' names don't."""
    pieces, columns, end = [], [], 0
    for found in _COLUMN.finditer(source):
        if found[1]:
            pieces.append(source[end : found.start(1)])
            columns.append(column_index_from_string(found[1].decode()))
            end = found.end(1)
    pieces.append(source[end:])
    if len(set(columns)) <= 1:  # nearly every formula: 1 µs a cell
        return [letters(columns[0] + i).join(pieces) if columns else source for i in range(n)]
    return [
        b"".join(b"%b%b" % (piece, letters(c + i)) for piece, c in zip(pieces, columns, strict=False)) + pieces[-1]
        for i in range(n)
    ]


def cached_values(values: Values) -> list[Cached]:
    """The type attribute and the element of each cached value."""
    if isinstance(values, np.ndarray):
        return [_EMPTY if v == b"null" else (b"", b"<v>%b</v>" % v) for v in number_texts(values)]
    return [_cached(v) for v in values]


_EMPTY: Cached = b' t="str"', b"<v></v>"


def _cached(value: float | str) -> Cached:
    """Excel, like any XML reader, may drop white space at a text's ends where `xml:space` doesn't forbid it.

    It writes the attribute itself. `v` is of the same type as `t`, ST_Xstring (18.3.1.96), in the Open XML SDK an
    XstringType, which has the attribute.
    """
    if isinstance(value, str):
        keep = b' xml:space="preserve"' if value[:1].isspace() or value[-1:].isspace() else b""
        return b' t="str"', b"<v%b>%b</v>" % (keep, escape(value))
    return _EMPTY if value != value else (b"", b"<v>%b</v>" % orjson.dumps(value))


def _style(style: int) -> bytes:
    return b' s="%d"' % style if style else b""
