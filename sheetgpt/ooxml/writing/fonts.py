"""The order of a font's children: openpyxl's isn't Excel's.

ECMA-376 (part 1, 18.8.22) allows any order, a choice; "Excel requires the child elements to be in the following
sequence", says [MS-OI29500] 2.1.706, and Microsoft's validator holds every file to it, though Excel itself is known to
open openpyxl's files.
"""

from typing import Any

from lxml import etree

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
STYLES = "xl/styles.xml"
_ORDER = "b i strike condense extend outline shadow u vertAlign sz color name family charset scheme"
CHILDREN = tuple(MAIN + name for name in _ORDER.split())


def in_excels_order(styles: bytes) -> bytes:
    """The stylesheet with every font's children in that order, those of the differential formats, too."""
    root = etree.fromstring(styles)
    for font in root.iter(MAIN + "font"):
        font[:] = sorted(font, key=_place)
    return bytes(etree.tostring(root))


def _place(child: Any) -> int:
    return CHILDREN.index(child.tag)
