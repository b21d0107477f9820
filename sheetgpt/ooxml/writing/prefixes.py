"""Drawings and charts under the prefixes that Excel writes: `<xdr:wsDr>`, `<c:chartSpace>`, `<a:t>`.

openpyxl makes the drawing's and the chart's own namespace the default one: the same to XML, but ExcelJS, which goes by
the prefixed names, stops at such a file (github.com/exceljs/exceljs/issues/2591).
"""

from typing import Any

from lxml import etree

PREFIXES = {
    "xdr": "http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing",
    "c": "http://schemas.openxmlformats.org/drawingml/2006/chart",
    "a": "http://schemas.openxmlformats.org/drawingml/2006/main",
    "r": "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
}
DRAWN = ("xl/drawings/drawing", "xl/charts/chart")


def prefixed(xml: bytes) -> bytes:
    """The same elements, attributes and texts."""
    tree = etree.fromstring(xml)
    names = {
        prefix: name for prefix, name in PREFIXES.items() if prefix != "xdr" or etree.QName(tree).namespace == name
    }
    root = etree.Element(tree.tag, dict(tree.attrib), nsmap=names)
    _copy(tree, root)
    written: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True)
    return written


def _copy(tree: Any, into: Any) -> None:
    into.text = tree.text
    for child in tree:
        made = etree.SubElement(into, child.tag, dict(child.attrib))
        made.tail = child.tail
        _copy(child, made)
