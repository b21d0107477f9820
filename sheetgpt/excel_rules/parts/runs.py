"""Cuts long runs of like cells in a worksheet's XML down to their first and last cell, so that a sheet of millions of
cells is read in seconds.

A run is plain numbers (the weights), the cells of one shared formula, or one formula written out in every column. Each
run is checked as a whole: addresses, styles, values, and that every formula is the first one moved to its column. Its
first and last cell, which see what can still be wrong, stay; a run that is not sound stays whole.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import IO

from openpyxl.utils import get_column_letter

from sheetgpt.excel_rules.formula.references import column_number
from sheetgpt.ooxml.limits import MAX_COLUMN

BLOCK = 1 << 20

COLUMNS = {get_column_letter(c): c for c in range(1, MAX_COLUMN + 1)}
LETTERS = [b"", *(letters.encode() for letters in COLUMNS)]

_START = rb'<c r="[A-Z]{1,3}[1-9]\d{0,6}"(?: s="\d{1,5}")?'
_PLAIN = rb"<v>-?\d{1,17}(?:\.\d{1,30})?(?:[eE][-+]?\d{1,2})?</v>"
_CHILD = rb'<f t="shared" si="\d{1,9}"/>'
_OWN = rb"<f>[^<]{1,8192}</f>"
_RUN = re.compile(
    rb"(?:%b>%b</c>){8,}+|(?:%b(?:>%b%b| t=\"str\">%b<v></v>)</c>){4,}+|(?:%b(?:>%b%b| t=\"str\">%b<v></v>)</c>){4,}+"
    rb"|%b>%b</c>(?:<c>%b</c>){8,}+"
    % (_START, _PLAIN, *(_START, _CHILD, _PLAIN, _CHILD), *(_START, _OWN, _PLAIN, _OWN), _START, _PLAIN, _PLAIN)
)
_INDEX = re.compile(rb' si="(\d+)"')
_ADDRESS = re.compile(rb' r="([^"]+)"')
_STYLE = re.compile(rb' s="(\d+)"')
_FORMULA = re.compile(rb"<f>([^<]+)</f>")
_ENTITY = re.compile(rb"&(?!amp;|lt;|gt;)")  # anything else might hide a quote
# a text or a sheet's name, to be passed over; or the relative column of a reference
_COLUMN = re.compile(
    rb"""(?:"[^"]*"|(?<!')'(?:[^']|'')*+'!|(?<![A-Za-z0-9_.$\\\x80-\xff])([A-Z]{1,3})(?=\$?[0-9]+(?![A-Za-z0-9_.(!\x80-\xff])))"""
)


def thinned(stream: IO[bytes], n_styles: int, runs: dict[str, int] | None = None) -> Iterator[bytes]:
    """The XML, block by block, with every sound run cut to its ends. `runs` gets the lengths of those that are one
    formula written out, by the address of the first cell, before the block with it comes."""

    def cut(run: re.Match[bytes]) -> bytes:
        text = run[0]
        addresses = _ADDRESS.findall(text)
        letters = addresses[0].rstrip(b"0123456789")
        digits = addresses[0][len(letters) :]
        first = COLUMNS.get(letters.decode(), MAX_COLUMN)
        if b" ".join(addresses) != _addresses(first, len(addresses)).replace(b"#", digits):
            return text
        if any(int(style) >= n_styles for style in set(_STYLE.findall(text))) or len(set(_INDEX.findall(text))) > 1:
            return text
        sources = _FORMULA.findall(text)
        if not _is_one_formula(sources):
            return text
        if sources and runs is not None:
            runs[addresses[0].decode()] = len(sources)
        start, end = text[: text.index(b"</c>") + 4], text[text.rindex(b"<c") :]
        if not end.startswith(b"<c>"):
            return start + end
        last = first + text.count(b"<c>")  # of a run without addresses the last cell is given its own
        return text if last > MAX_COLUMN else b'%b<c r="%b%b">%b' % (start, LETTERS[last], digits, end[3:])

    rest = b""
    while block := stream.read(BLOCK):
        block = rest + block
        end = block.rfind(b"</c>") + 4
        end = end if end > 3 else len(block)
        rest = block[end:]
        yield _RUN.sub(cut, block[:end])
    yield rest


@lru_cache(maxsize=256)
def _addresses(first: int, n: int) -> bytes:
    """`F# G# H#`, empty beyond the last column."""
    return b" ".join(b"%b#" % letters for letters in LETTERS[first : first + n])


def _is_one_formula(sources: list[bytes]) -> bool:
    """Is each of them the first, moved to the right column by column?"""
    if not sources or _ENTITY.search(sources[0]):
        return not sources
    pieces, columns, end = [], [], 0
    for found in _COLUMN.finditer(sources[0]):
        if found[1]:
            pieces.append(sources[0][end : found.start(1)].replace(b"%", b"%%"))
            columns.append(column_number(found[1].decode()))
            end = found.end(1)
    pieces.append(sources[0][end:].replace(b"%", b"%%"))
    if columns and max(columns) + len(sources) > MAX_COLUMN:
        return False
    template = b"%b".join(pieces)
    return all(
        source == template % tuple([LETTERS[column + i] for column in columns]) for i, source in enumerate(sources)
    )
