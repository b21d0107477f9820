"""Attributes and elements that the schema doesn't know where they stand: Excel calls such a workbook damaged.

openxml-audit, which `schema.py` runs, leaves out the attributes of an element that has none or that several types
share, what stands in an element that can hold no other, and foreign namespaces. Here, by its own tables, those of
Microsoft's SDK: an attribute must belong to one of the types that an element of this name can have.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from lxml import etree
from openxml_audit.codegen.schema_loader import get_registry

from sheetgpt.excel_rules.package.xmlns import Element, local, local_name

_COMPATIBILITY = "http://schemas.openxmlformats.org/markup-compatibility/2006"
# what Excel understands without being told to ignore it; the schema says where
_KNOWN = (
    "http://schemas.openxmlformats.org/",
    "http://schemas.microsoft.com/office/",
    "http://www.w3.org/XML/1998/namespace",
    "http://purl.oclc.org/ooxml/",
)


class Declared(NamedTuple):
    """All that some type of an element may have."""

    attributes: frozenset[str]  # those without a namespace
    is_leaf: bool


def declared_problems(tree: Element) -> Iterator[tuple[str, str]]:
    """(where, rule) for each attribute or child that can't be there."""
    ignorable = _ignorable(tree)
    for element in tree.iter(etree.Element):
        known = _declared(element.tag)
        if known is None:
            continue
        for key in element.attrib:
            space = etree.QName(key).namespace
            if space is None:
                wrong = key not in known.attributes
            else:
                wrong = not space.startswith(_KNOWN) and space not in ignorable
            if wrong:
                yield local(element), f"The element {local(element)!r} can't have the attribute {local_name(key)!r}."
        if known.is_leaf and len(element):
            yield local(element), f"The element {local(element)!r} can't hold the element {local(element[0])!r}."


@cache
def _declared(tag: str) -> Declared | None:
    """None of an element that the tables don't have."""
    types: list[Any] = get_registry().get_element_type_candidates(tag)
    if not types:
        return None
    attributes = frozenset(a.local_name for each in types for a in each.attributes if not a.prefix)
    leaf = all(each.particle is None and not each.children for each in types)
    return Declared(attributes, leaf)


def _ignorable(tree: Element) -> frozenset[str]:
    """The namespaces that a reader may skip (ECMA-376 part 3): by prefix, and in practice said by the root."""
    prefixes = tree.get(f"{{{_COMPATIBILITY}}}Ignorable", "").split()
    return frozenset(tree.nsmap[prefix] for prefix in prefixes if prefix in tree.nsmap)
