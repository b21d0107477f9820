"""XML of the package: namespaces (ECMA-376 part 1, annex A), and reading a part without trusting it."""

import re
from typing import Any

from lxml import etree

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
SPREADSHEET_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing}"
RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
CORE_PROPERTIES = "{http://schemas.openxmlformats.org/package/2006/metadata/core-properties}"
EXTENDED_PROPERTIES = "{http://schemas.openxmlformats.org/officeDocument/2006/extended-properties}"
PACKAGE_RELATIONS = "{http://schemas.openxmlformats.org/package/2006/relationships}"
TYPES = "{http://schemas.openxmlformats.org/package/2006/content-types}"
SPACE = "{http://www.w3.org/XML/1998/namespace}space"

Element = Any  # lxml ships no types

MAX_ATTRIBUTES = 2_000  # of an element; libxml2 compares each with all before it, which takes 4 s for 20,000
_LONG = re.compile(rb"[^<>]{5000,}+")
_ATTRIBUTE = re.compile(rb"""=\s*+["']""")


def parse(data: bytes) -> Element:
    """The root element; raises XMLSyntaxError or ValueError. Entities stay unread: no part has a DTD."""
    check_attributes(data)
    return etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))


def check_attributes(piece: bytes) -> None:
    """Raises ValueError for an element with too many of them."""
    if any(len(_ATTRIBUTE.findall(long[0])) > MAX_ATTRIBUTES for long in _LONG.finditer(piece)):
        raise ValueError(f"an element has more than {MAX_ATTRIBUTES:,} attributes")


def local(element: Element) -> str:
    """The tag without its namespace; a comment has none."""
    return local_name(element.tag) if isinstance(element.tag, str) else ""


def local_name(tag: str) -> str:
    return tag.rpartition("}")[2]


def number(text: str | None) -> int | None:
    """A whole number as XML writes it, or None: not int(), which takes ' 1_0 ' too."""
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 19 else None


def is_true(text: str | None) -> bool:
    return text in ("1", "true")
