"""Rows of a worksheet as the bytes that stand in its XML: numbers, texts and formulas with their cached values.

Every cell carries its address (Gnumeric ignores cells without, `compact_numbers`) and text is inline. Format: ECMA-376
part 1, section 18.3.1.
"""

import re
from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
import orjson
from numpy.typing import NDArray
from openpyxl.utils import column_index_from_string, get_column_letter

Values = NDArray[np.number] | Sequence[str]

# a text or a sheet's name, to be passed over; or the relative column of a reference, which no `$` stands before
_COLUMN = re.compile(rb"""(?:"[^"]*"|'[^']*'!|(?<![\w.$])([A-Z]{1,3})(?=\$?[0-9]+(?![\w.(])))""")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


@cache
def letters(column: int) -> bytes:
    return get_column_letter(column).encode()


def escape(text: str) -> bytes:
    """XML text; what XML can't carry becomes `_x0000_`, and a text that looks like that escape is itself escaped."""
    text = _CONTROL.sub(lambda m: f"_x{ord(m.group()):04X}_", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").encode()


def number_texts(values: NDArray[np.number]) -> list[bytes]:
    """Shortest decimals that round to the values (25 ns each); NaN is `null`."""
    return orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")


def row(number: int, *cells: bytes, height: float | None = None) -> bytes:
    tall = b"" if height is None else b' ht="%g" customHeight="1"' % height
    return b'<row r="%d"%b>%b</row>' % (number, tall, b"".join(cells))


def text(column: int, number: int, value: str, style: int = 0) -> bytes:
    """A text cell; a value that begins with = stays text, since it is no formula element."""
    at = b'<c r="%b%d"%b' % (letters(column), number, _style(style))
    if not value:
        return at + b"/>"
    return b'%b t="inlineStr"><is><t xml:space="preserve">%b</t></is></c>' % (at, escape(value))


def number(column: int, number: int, value: float, style: int = 0) -> bytes:
    at = b'<c r="%b%d"%b' % (letters(column), number, _style(style))
    return b"%b><v>%b</v></c>" % (at, orjson.dumps(value))


def blank(column: int, number: int, style: int) -> bytes:
    return b'<c r="%b%d"%b/>' % (letters(column), number, _style(style))


def formula(column: int, number: int, source: str, value: float | str, style: int = 0) -> bytes:
    """One formula, without its `=`, and the value that it has now."""
    body = b"<f>%b</f>" % escape(source)
    return _formula_cell(letters(column), number, body, _cached(value), style)


def fill_right(first: int, number: int, source: str, values: Values, index: int, style: int = 0) -> bytes:
    """One formula from column `first` on, a cell for each value; NaN is cached as the empty text.

    Within its own sheet the formula is shared, `index` numbers the shared ones of a sheet. One that points to another
    sheet is written out in every column: Excel's SharedParsedFormula holds no 3D reference ([MS-XLSB] 2.5.98.98), and
    a file that shares one is read as corrupt, or with every column as the first (EPPlus issues 92 and 253).
    """
    n = len(values)
    if n == 1 or "!" in source:
        return _written_out(first, number, moved(escape(source), n), values, style)
    cached = cached_values(values)
    last = letters(first + n - 1)
    master = b'<f t="shared" ref="%b%d:%b%d" si="%d">%b</f>' % (
        *(letters(first), number, last, number),
        *(index, escape(source)),
    )
    child = b'<f t="shared" si="%d"/>' % index
    cells = [_formula_cell(letters(first), number, master, cached[0], style)]
    cells += [_formula_cell(letters(first + i), number, child, cached[i], style) for i in range(1, n)]
    return b"".join(cells)


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


def each(first: int, number: int, sources: Sequence[str], values: Values, style: int = 0) -> bytes:
    """A formula of its own in every column."""
    return _written_out(first, number, [escape(source) for source in sources], values, style)


def _written_out(first: int, number: int, sources: Sequence[bytes], values: Values, style: int) -> bytes:
    cells = zip(sources, cached_values(values), strict=True)
    return b"".join(
        _formula_cell(letters(first + i), number, b"<f>%b</f>" % source, value, style)
        for i, (source, value) in enumerate(cells)
    )


def numbers(first: int, number: int, values: NDArray[np.number], style: int = 0) -> bytes:
    """Constant numbers side by side: the fast path, for weights."""
    template = _numbers_template(first, len(values), style)
    return template.replace(b"#", b"%d" % number) % tuple(number_texts(values))


def compact_numbers(first: int, number: int, values: NDArray[np.number]) -> bytes:
    """Like `numbers`, but only the first cell carries its address; each of the others follows the one before.

    Half of the file where the numbers are short (1.9 against 4.5 bytes a cell for int8). Excel and LibreOffice read it,
    Gnumeric takes the cells for empty ones.
    """
    texts = number_texts(values)
    return b'<c r="%b%d"><v>%b</v></c>' % (letters(first), number, b"</v></c><c><v>".join(texts))


@lru_cache(maxsize=8)
def _numbers_template(first: int, n: int, style: int) -> bytes:
    at = _style(style)
    return b"".join(b'<c r="%b#"%b><v>%%b</v></c>' % (letters(c), at) for c in range(first, first + n))


def cached_values(values: Values) -> list[tuple[bytes, bytes]]:
    """The type attribute and the text of each cached value."""
    if isinstance(values, np.ndarray):
        return [(b' t="str"', b"") if v == b"null" else (b"", v) for v in number_texts(values)]
    return [_cached(v) for v in values]


def _cached(value: float | str) -> tuple[bytes, bytes]:
    if isinstance(value, str):
        return b' t="str"', escape(value)
    return (b' t="str"', b"") if value != value else (b"", orjson.dumps(value))


def _formula_cell(column: bytes, number: int, body: bytes, cached: tuple[bytes, bytes], style: int) -> bytes:
    """Excel, like any XML reader, may drop white space at a text's ends where `xml:space` doesn't forbid it.

    It writes the attribute itself. `v` is of the same type as `t`, ST_Xstring (18.3.1.96), in the Open XML SDK an
    XstringType, which has the attribute.
    """
    kind, value = cached
    ends = kind and (value[:1].isspace() or value[-1:].isspace())
    keep = b' xml:space="preserve"' if ends else b""
    return b'<c r="%b%d"%b%b>%b<v%b>%b</v></c>' % (column, number, _style(style), kind, body, keep, value)


def _style(style: int) -> bytes:
    return b' s="%d"' % style if style else b""
