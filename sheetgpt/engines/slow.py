"""What keeps LibreOffice busy for minutes while it loads a workbook: found before it is given one.

Measured on LibreOffice 7.4 with the files of scripts/soaks/large.py; the limits are far above what sheetgpt writes, and
what they let through loads within a minute.
"""

import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from sheetgpt.errors import SheetGPTError
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.reading.unzip import READ_ERRORS, chunks, is_sheet, open_zip

PATIENT = 600  # seconds: who allows more than the default wants to wait

# construct -> how many of it on a sheet: 32,000 conditional formats take 16 s and four times as many 16 times as long;
# 60,000 links 46 s, 5,000 validations 3 s and 20,000 more than 75 s; a link over a whole sheet or an array formula
# over one ends neither in 75 s nor in 600; over a million cells they take 1 s and 8 s
LIMITS = {
    "conditional formats": 40_000,
    "data validations": 10_000,
    "hyperlinks": 60_000,
    "cells with a hyperlink": 10_000_000,
    "cells of array formulas": 2_000_000,
}
_MARKS = (b"cfRule", b"dataValidation", b"hyperlink", b'"array"', b"'array'")
_TAG = re.compile(rb"<(?:\w+:)?(cfRule|dataValidation|hyperlink|f)\b([^<>]*+)>")
_REF = re.compile(rb"""\bref\s*=\s*["']([A-Z0-9:$]{1,40})["']""")
_KINDS = {b"cfRule": "conditional formats", b"dataValidation": "data validations", b"hyperlink": "hyperlinks"}


def refuse_slow(workbook: Path, titles: Mapping[str, str]) -> None:
    """Refuses a workbook that LibreOffice would not have loaded in ten minutes. `titles`: of the sheets, by part."""
    try:
        with open_zip(workbook) as archive:
            for name in archive.namelist():
                if is_sheet(name):
                    _refuse(workbook, titles.get(name, name), _counted(archive, name))
    except READ_ERRORS:
        return  # what is wrong with it is told elsewhere


def _refuse(workbook: Path, title: str, found: Mapping[str, int]) -> None:
    for what, n in found.items():
        if n > LIMITS[what]:
            raise SheetGPTError(
                f"LibreOffice would be busy with {workbook.name} for more than ten minutes: its sheet {title!r:.60} "
                f"has {n:,} {what}. Take them out, use another engine, or allow more than {PATIENT} seconds "
                "(--engine-timeout, or timeout in Python)."
            )


def _counted(archive: zipfile.ZipFile, part: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for text in _pieces(archive, part):
        if not any(mark in text for mark in _MARKS):  # sheets of weights, nearly all of the file
            continue
        for tag, attributes in _TAG.findall(text):
            if tag in _KINDS:
                found[_KINDS[tag]] += 1
            if tag == b"hyperlink":
                found["cells with a hyperlink"] += _cells(attributes)
            elif tag == b"f" and b"array" in attributes:
                found["cells of array formulas"] += _cells(attributes)
    return found


def _pieces(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """The part in pieces that end before a tag; of a tag longer than any the end is lost."""
    rest = b""
    for chunk in chunks(archive, part):
        text = rest + chunk
        end = max(text.rfind(b"<"), 0)
        rest = text[end : end + 10_000]
        yield text[:end]
    yield rest


def _cells(attributes: bytes) -> int:
    found = _REF.search(attributes)
    area = Area.parse(f"x!{found[1].decode()}") if found else None
    return area.n_cells if area else 1
