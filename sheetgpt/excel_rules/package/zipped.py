"""The package around the sheets (ECMA-376 part 2): the zip file, content types and relationships."""

import posixpath
import re
import struct
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO
from urllib.parse import unquote

from lxml import etree

from sheetgpt.errors import SheetGPTError
from sheetgpt.excel_rules.package.xmlns import (
    CHART,
    CORE_PROPERTIES,
    DRAWING,
    EXTENDED_PROPERTIES,
    MAIN,
    PACKAGE_RELATIONS,
    RELATION,
    SPREADSHEET_DRAWING,
    TYPES,
    Element,
    local,
    local_name,
    parse,
)
from sheetgpt.excel_rules.problem import Problem
from sheetgpt.ooxml.reading.unzip import READ_ERRORS, bomb, is_sheet, is_xml, open_zip, read

TYPES_PART = "[Content_Types].xml"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
_MICROSOFT = "http://schemas.microsoft.com/office/"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships/"
_SHEETML = "application/vnd.openxmlformats-officedocument.spreadsheetml."
_OFFICEML = "application/vnd.openxmlformats-officedocument."

# relationship type -> content type of its target; None: any
KINDS: dict[str, str | None] = {
    _OFFICE + "officeDocument": _SHEETML + "sheet.main+xml",
    _OFFICE + "worksheet": _SHEETML + "worksheet+xml",
    _OFFICE + "styles": _SHEETML + "styles+xml",
    _OFFICE + "sharedStrings": _SHEETML + "sharedStrings+xml",
    _OFFICE + "calcChain": _SHEETML + "calcChain+xml",
    _OFFICE + "comments": _SHEETML + "comments+xml",
    _OFFICE + "table": _SHEETML + "table+xml",
    _OFFICE + "theme": _OFFICEML + "theme+xml",
    _OFFICE + "drawing": _OFFICEML + "drawing+xml",
    _OFFICE + "chart": _OFFICEML + "drawingml.chart+xml",
    _OFFICE + "vmlDrawing": _OFFICEML + "vmlDrawing",
    _OFFICE + "extended-properties": _OFFICEML + "extended-properties+xml",
    _OFFICE + "custom-properties": _OFFICEML + "custom-properties+xml",
    _PACKAGE + "metadata/core-properties": "application/vnd.openxmlformats-package.core-properties+xml",
    _OFFICE + "chartUserShapes": _OFFICEML + "drawingml.chartshapes+xml",
    _OFFICE + "themeOverride": _OFFICEML + "themeOverride+xml",
    _OFFICE + "sheetMetadata": _SHEETML + "sheetMetadata+xml",
    _OFFICE + "customXmlProps": _OFFICEML + "customXmlProperties+xml",
    # what Excel adds by itself when it saves a chart, a threaded comment, a check box, a document with a label
    _MICROSOFT + "2011/relationships/chartStyle": "application/vnd.ms-office.chartstyle+xml",
    _MICROSOFT + "2011/relationships/chartColorStyle": "application/vnd.ms-office.chartcolorstyle+xml",
    _MICROSOFT + "2017/10/relationships/person": "application/vnd.ms-excel.person+xml",
    _MICROSOFT + "2017/10/relationships/threadedComment": "application/vnd.ms-excel.threadedcomments+xml",
    _MICROSOFT + "2020/02/relationships/classificationlabels": "application/vnd.ms-office.classificationlabels+xml",
    _MICROSOFT + "2022/11/relationships/FeaturePropertyBag": "application/vnd.ms-excel.featurepropertybag+xml",
    _PACKAGE + "metadata/thumbnail": None,
    _OFFICE + "image": None,
    _OFFICE + "hyperlink": None,
    _OFFICE + "printerSettings": None,
    _OFFICE + "customXml": None,
}
# content type -> root element of the part
ROOTS = {
    _SHEETML + "sheet.main+xml": MAIN + "workbook",
    _SHEETML + "styles+xml": MAIN + "styleSheet",
    _SHEETML + "sharedStrings+xml": MAIN + "sst",
    _SHEETML + "comments+xml": MAIN + "comments",
    _SHEETML + "table+xml": MAIN + "table",
    _OFFICEML + "theme+xml": DRAWING + "theme",
    _OFFICEML + "drawing+xml": SPREADSHEET_DRAWING + "wsDr",
    _OFFICEML + "drawingml.chart+xml": CHART + "chartSpace",
    _OFFICEML + "extended-properties+xml": EXTENDED_PROPERTIES + "Properties",
    "application/vnd.openxmlformats-package.core-properties+xml": CORE_PROPERTIES + "coreProperties",
}
_ID = re.compile(r"[^\W\d][\w.-]*")
_MEDIA_TYPE = re.compile(r"[-\w.+!#$&^]+/[-\w.+!#$&^]+(;.*)?", re.ASCII)
MAX_TAGS = 3_000_000  # of the parts that become trees: lxml takes some 150 bytes for each
WORKSHEET, DOCUMENT = _OFFICE + "worksheet", _OFFICE + "officeDocument"

_TYPES = {"Default": frozenset(("Extension", "ContentType")), "Override": frozenset(("PartName", "ContentType"))}
_LINKS = {"Relationship": frozenset(("Id", "Type", "Target", "TargetMode"))}

Relations = dict[str, dict[str, tuple[str, str]]]  # source part ("" is the package) -> id -> type, target part or ""


def open_package(path: Path) -> zipfile.ZipFile:
    """The archive; what is wrong in it is for the rules to say, but what no memory could hold isn't opened at all."""
    try:
        archive = open_zip(path)
    except READ_ERRORS as error:
        raise SheetGPTError(f"{path} is not an .xlsx workbook ({error}): build it again.") from error
    problem = bomb(archive)
    if problem is not None:
        raise SheetGPTError(f"{path} can't be checked: {problem}.")
    return archive


def zip_problems(path: Path, archive: zipfile.ZipFile) -> Iterator[Problem]:
    entries = archive.infolist()
    for name, n in Counter(entry.filename.lower() for entry in entries).items():
        if n > 1:
            yield Problem(name, "", f"The zip file holds {n} parts with this name.")
    with path.open("rb") as file:
        for entry in entries:
            if entry.flag_bits & 1:
                yield Problem(entry.filename, "", "The part is encrypted.")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                yield Problem(entry.filename, "", "The part is compressed by a method other than deflate.")
            if entry.filename.startswith("/") or "\\" in entry.filename or "//" in entry.filename:
                yield Problem(entry.filename, "", "The part's name is not valid in a package.")
            large = max(entry.file_size, entry.compress_size, entry.header_offset) >= 0xFFFFFFFF
            if not large and _has_zip64(entry.extra + _local_extra(file, entry.header_offset)):
                yield Problem(entry.filename, "", "The part has a ZIP64 header that it doesn't need.")
        needed = len(entries) >= 0xFFFF or archive.start_dir >= 0xFFFFFFFF
        file.seek(max(0, path.stat().st_size - len(archive.comment) - 42))
        if file.read(4) == b"PK\x06\x07" and not needed:
            yield Problem("", "", "The zip file ends in a ZIP64 directory that it doesn't need.")


def _local_extra(file: IO[bytes], offset: int) -> bytes:
    file.seek(offset)
    header = file.read(30)
    if len(header) < 30:
        return b""
    length, extra = struct.unpack("<HH", header[26:30])
    return file.read(length + extra)[length:]


def _has_zip64(extra: bytes) -> bool:
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        if kind == 1:
            return True
        extra = extra[4 + length :]
    return False


def read_parts(archive: zipfile.ZipFile) -> tuple[dict[str, Element], list[Problem]]:
    """Every XML part but the worksheets, which may be huge and are streamed later."""
    trees: dict[str, Element] = {}
    problems, n_tags = [], 0
    for name in dict.fromkeys(archive.namelist()):
        if is_sheet(name) or not is_xml(name):
            continue
        try:
            data = read(archive, name)
            n_tags += data.count(b"<")
            if n_tags > MAX_TAGS:
                raise ValueError(f"the parts have more than {MAX_TAGS:,} tags")
            trees[name] = parse(data)
        except etree.XMLSyntaxError as error:
            problems.append(Problem(name, "", f"The part is not XML: {error.msg}."))
        except READ_ERRORS as error:
            problems.append(Problem(name, "", f"The part can't be unpacked: {error}."))
            continue
        if name in trees and trees[name].getroottree().docinfo.doctype:
            problems.append(Problem(name, "", "The part has a DTD, which no part may have."))
    return trees, problems


def table_problems(part: str, tree: Element) -> Iterator[Problem]:
    """The two kinds of table that the package itself has: nothing in them but their entries (part 2, annex C)."""
    root, entries = (TYPES + "Types", _TYPES) if part == TYPES_PART else (PACKAGE_RELATIONS + "Relationships", _LINKS)
    if tree.tag != root:
        yield Problem(part, "", f"The part's root is {local(tree)!r}, not {local_name(root)!r}.")
    for element in tree.iter(etree.Element):
        allowed = frozenset() if element is tree else entries.get(local(element), frozenset())
        for key in set(element.attrib) - allowed:
            yield Problem(part, "", f"The element {local(element)!r} can't have the attribute {local_name(key)!r}.")
        if any((text or "").strip() for text in (element.text, element.tail)):
            yield Problem(part, "", f"A text stands in or after the element {local(element)!r}.")
        if element is not tree and len(element):
            yield Problem(part, "", f"The element {local(element)!r} can't hold another one.")


def content_types(tree: Element | None, parts: Iterable[str]) -> tuple[dict[str, str], list[Problem]]:
    """The content type of each part, and what is wrong with the table."""
    if tree is None:
        return {}, [Problem(TYPES_PART, "", "The package has no table of content types.")]
    names = {name.lower(): name for name in parts if not name.endswith("/")}
    defaults: dict[str, str] = {}
    overrides: dict[str, str] = {}
    problems = []
    for entry in tree:
        is_default = entry.tag == TYPES + "Default"
        key = (entry.get("Extension") if is_default else entry.get("PartName")) or ""
        table = defaults if is_default else overrides
        kind = entry.get("ContentType")
        if entry.tag not in (TYPES + "Default", TYPES + "Override") or not key or not kind:
            problems.append(Problem(TYPES_PART, key, "The entry is neither a default nor an override with a type."))
            continue
        if not _MEDIA_TYPE.fullmatch(kind):
            problems.append(Problem(TYPES_PART, key, f"The content type {kind!r} is not of the form type/subtype."))
        if key.lower() in table:
            problems.append(Problem(TYPES_PART, key, "The content type is given twice."))
        table[key.lower()] = kind
        if not is_default and key.lower().removeprefix("/") not in names:
            problems.append(Problem(TYPES_PART, key, "The override names a part that is not there."))
        if "macroEnabled" in kind or "vba" in kind:
            problems.append(Problem(TYPES_PART, key, "The content type is for macros; there are none here."))
    found: dict[str, str] = {}
    for lower, name in names.items():
        kind = overrides.get("/" + lower) or defaults.get(lower.rpartition(".")[2])
        if kind:
            found[name] = kind
        elif name != TYPES_PART:
            problems.append(Problem(name, "", "The part has no content type."))
    return found, problems


def relations(trees: Mapping[str, Element], kinds: Mapping[str, str]) -> tuple[Relations, list[Problem]]:
    """Every relationship, by its source and id, and what is wrong with them."""
    found: Relations = {}
    problems: list[Problem] = []
    for part, tree in trees.items():
        if not part.endswith(".rels"):
            continue
        folder, _, file = part.rpartition("_rels/")
        source = folder + file.removesuffix(".rels")
        if source and source not in kinds:
            problems.append(Problem(part, "", f"The relationships belong to {source}, which is not there."))
        ids = found.setdefault(source, {})
        for entry in tree:
            identifier, kind, target = (entry.get(key) or "" for key in ("Id", "Type", "Target"))
            if entry.tag != PACKAGE_RELATIONS + "Relationship" or not (identifier and kind and target):
                problems.append(Problem(part, identifier, "A relationship needs an Id, a Type and a Target."))
                continue
            if not _ID.fullmatch(identifier):
                problems.append(Problem(part, identifier, "A relationship's id must begin with a letter."))
            if identifier in ids:
                problems.append(Problem(part, identifier, "Two relationships have this id."))
            external = entry.get("TargetMode") == "External"
            goal = "" if external else _resolve(folder, target)
            ids[identifier] = (kind, goal)
            problems += [Problem(part, identifier, rule) for rule in _target_problems(kind, target, goal, kinds)]
    return found, problems


def _resolve(folder: str, target: str) -> str:
    target = unquote(target)
    return posixpath.normpath(target.lstrip("/") if target.startswith("/") else posixpath.join(folder, target))


def _target_problems(kind: str, target: str, goal: str, kinds: Mapping[str, str]) -> Iterator[str]:
    if kind not in KINDS:
        yield f"The relationship's type {kind.rpartition('/')[2]!r} is not one that these workbooks use."
    elif not goal and kind != _OFFICE + "hyperlink":
        yield f"The target {target} lies outside the workbook."
    elif goal and goal not in kinds:
        yield f"The target {goal} is not there."
    elif goal and KINDS[kind] not in (None, kinds[goal]):
        yield f"The target {goal} has the content type {kinds[goal]}, not {KINDS[kind]}."


def root_problems(trees: Mapping[str, Element], kinds: Mapping[str, str]) -> Iterator[Problem]:
    """A part holds the kind of document that its content type promises."""
    for part, tree in trees.items():
        wanted = ROOTS.get(kinds.get(part, ""))
        if wanted and tree.tag != wanted:
            yield Problem(part, "", f"The part's root is {tree.tag!r}, not {wanted!r}.")


def link_problems(trees: Mapping[str, Element], found: Relations) -> Iterator[Problem]:
    """Attributes such as r:id name a relationship of their part."""
    for part, tree in trees.items():
        for element in tree.iter(etree.Element):
            for name, value in element.attrib.items():
                if name.startswith(RELATION) and value not in found.get(part, {}):
                    yield Problem(part, value, "The part has no relationship of this id.")


def orphan_problems(parts: Iterable[str], found: Relations) -> Iterator[Problem]:
    """Every part is the target of a relationship; what nothing points at is lost when the file is saved."""
    targets = {goal for ids in found.values() for _, goal in ids.values()}
    for part in parts:
        if part not in targets and part != TYPES_PART and not part.endswith((".rels", "/")):
            yield Problem(part, "", "No relationship leads to the part.")
