"""What a workbook would have a spreadsheet program load or run: pictures and data from elsewhere, objects, macros.

`foreign` names it; `without` writes the package again, with no relationship (ECMA-376 part 2, section 9.3) that leads
to any of it, for a program whose own settings may not stop everything: LibreOffice 7.4 fetches the picture that fills
a shape or a chart whatever they say. What formulas would fetch, those settings do stop.
"""

import html
import posixpath
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import unquote
from xml.sax.saxutils import quoteattr

from sheetgpt.ooxml.reading.elements import XMLError, elements
from sheetgpt.ooxml.reading.unzip import READ_ERRORS
from sheetgpt.ooxml.writing import archive

CHUNK = 1 << 20
LISTED = 20
MOST = 1 << 24  # bytes of a part that is read whole
_NAMESPACE = "http://schemas.openxmlformats.org/package/2006/relationships"
_KEYS = ("Id", "Type", "Target", "TargetMode")

Relation = Mapping[str, str]  # its attributes

# how a relationship's type ends, in small letters -> what it leads to; anything else is harmless inside the package
ACTIVE = {
    "externallink": "another workbook",
    "externallinkpath": "another workbook",
    "xlpathmissing": "another workbook",
    "oleobject": "an object of another program",
    "package": "an embedded document",
    "control": "a control",
    "ctrlprop": "a form control",
    "activexcontrolbinary": "an ActiveX control",
    "vbaproject": "macros",
    "xlmacrosheet": "a sheet of macros",
    "xlintlmacrosheet": "a sheet of macros",
    "dialogsheet": "a dialogue of macros",
    "attachedtoolbars": "toolbars of macros",
    "connections": "a data connection",
    "querytable": "a query to a data connection",
    "volatiledependencies": "data in real time",
    "webextension": "an add-in",
    "webextensiontaskpanes": "an add-in",
    "extensibility": "an add-in's buttons",
    "customdata": "an add-in's data",
    "audio": "a sound",
    "video": "a film",
    "media": "a film or sound",
    "image": "a picture",
}
INSIDE = frozenset(("image",))  # active only where they lead out of the package
FETCHING = ("WEBSERVICE", "RTD", "DDE", "IMAGE", "CALL", "REGISTER.ID", "STOCKHISTORY", "SQL.REQUEST")

# `[^<>]*`: no tag holds a `<`, so that `<f <f <f …` isn't gone through to its end from each
_FORMULA = re.compile(rb"<(?:\w+:)?(?:f|formula[12]?|definedName|calculatedColumnFormula)\b[^<>]*>([^<]+)", re.I)
_CALL = re.compile(rf"(?<![\w.])(?:_xlfn\.)?({'|'.join(map(re.escape, FETCHING))}|CUBE[A-Z]+)\s*\(", re.I)
# a call as it may stand in the file, so that nothing else (`sudden`, bytes in hexadecimal) has its formulas read
# One pattern a word: with a word at its beginning a pattern is fast, with ten of them slow
_PERHAPS = {
    word.encode(): re.compile(rf"{begin}{re.escape(word)}{end}[\s\x80-\xff]*+[(&]".encode("latin-1"))
    for word, begin, end in (*((name, "", "") for name in FETCHING), ("CUBE", "(?<![A-Z0-9_])", "[A-Z]++"))
}
_VML = re.compile(rb"""\b(?:src|href|althref)\s*=\s*["'][^"'#]""", re.I)
_CLICK = re.compile(rb"<(?:\w+:)?(?:hlink\w+|hyperlink)\b[^<>]*>")
_USED = re.compile(rb"""\b(?:embed|link|pict|relid|id|href)\s*=\s*["']([^"']{1,200})["']""")
_BLANKS = re.compile(r"[\x00-\x20]")  # which programs leave out of an address
_UNPIXELLED = re.compile(rb"<(?:\w+:)?svg\b|\A(?:\x1f\x8b|%!|%PDF|\xc5\xd0\xd3\xc6)")  # SVG, also packed; EPS; PDF
_RASTERS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\x01\0\0\0", b"\xd7\xcd\xc6\x9a")


@dataclass(frozen=True)
class Foreign:
    """What it is, such as "a linked picture", the part that asks for it, and its address or function."""

    what: str
    part: str
    target: str = ""

    def __str__(self) -> str:
        return f"{self.what} in {self.part}{f' ({self.target})' if self.target else ''}"


def foreign(workbook: Path) -> list[Foreign]:
    """Everything of the kind, each once; empty for a workbook as sheetgpt builds it.

    A file that can't be read as a zip has none: what is wrong with it is told elsewhere.
    """
    try:
        with zipfile.ZipFile(workbook) as package:
            return list(dict.fromkeys([*_of_parts(package), *_of_formulas(package)]))
    except READ_ERRORS:
        return []


def not_loaded(workbook: Path) -> tuple[str, ...]:
    """A sentence for each, or for the first ones."""
    found = [f"Not loaded: {each}." for each in foreign(workbook)]
    more = [f"Not loaded: {len(found) - LISTED:,} more of the kind."] if len(found) > LISTED else []
    return (*found[:LISTED], *more)


def without(workbook: Path, target: Path) -> bool:
    """Writes the package without what `foreign` finds in its parts; False, and no file, where there is nothing."""
    try:
        with zipfile.ZipFile(workbook) as package, workbook.open("rb") as file:
            twice = any(n > 1 for n in Counter(name.lower() for name in package.namelist()).values())
            if not twice and not _leads_out(package) and not any(_of_parts(package)):
                return False
            drawn = _drawn(package)
            parts = [_part(package, file, info, target, info.filename.lower() in drawn) for info in _once(package)]
        with target.open("wb") as out:
            archive.assemble(parts, out)
    finally:
        for each in target.parent.glob(f"{target.name}.*"):
            each.unlink()
    return True


def _leads_out(package: zipfile.ZipFile) -> bool:
    """Whether any relationship does, a hyperlink's too: a picture may be asked for by it all the same."""
    own = (info for info in _once(package) if info.filename.lower().endswith(".rels"))
    return any(_outside(relation) for info in own for relation in _relations(package, info) or ())


def _once(package: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """Each entry that `ZipFile` would read under its name: of several with one name the last."""
    return (package.getinfo(name) for name in _names(package).values())


def _part(package: zipfile.ZipFile, file: IO[bytes], info: zipfile.ZipInfo, target: Path, empty: bool) -> archive.Part:
    """The entry as it is, compressed already, or without what leads outside."""
    own = target.with_name(f"{target.name}.{info.header_offset}")
    name = info.filename
    if name.lower().endswith(".rels"):
        return archive.compress(name, [_harmless(package, info)], own)
    if name.lower().endswith(".vml"):
        return archive.compress(name, [_VML.sub(b'title="', _whole(package, info))], own)
    if empty:
        return archive.compress(name, [], own)
    if info.compress_type != zipfile.ZIP_DEFLATED:
        with package.open(info) as stream:
            return archive.compress(name, iter(lambda: stream.read(CHUNK), b""), own)
    file.seek(info.header_offset + 26)
    lengths = int.from_bytes(file.read(2), "little") + int.from_bytes(file.read(2), "little")
    return archive.Part(
        name, Path(file.name), info.CRC, info.file_size, info.compress_size, info.header_offset + 30 + lengths
    )


def _of_parts(package: zipfile.ZipFile) -> Iterator[Foreign]:
    drawn, names = _drawn(package), _names(package)
    for info in _once(package):
        name = info.filename
        source = name.replace("_rels/", "").removesuffix(".rels")
        if name.lower().endswith(".rels"):
            relations = _relations(package, info)
            if relations is None:
                yield Foreign("relationships that can't be read", name)
            fetched = _ids_fetched(package, names.get(source.lower())) if relations is not None else set()
            linked: dict[str, Foreign] = {}  # a part may be named by any number
            for relation in relations if relations is not None else ():
                words, target = _active(relation, relation.get("Id") in fetched), relation.get("Target") or ""
                if words and _kind(relation) == "externallink" and not _outside(relation):
                    part = _resolved(source, target)
                    linked[part] = linked.get(part) or _linked(package, names, source, part)
                    yield linked[part]
                elif words and not source.lower().startswith("xl/externallinks/"):
                    yield Foreign(words, source or "the package", target if _outside(relation) else "")
        elif name.lower().endswith(".vml"):
            if _VML.search(_whole(package, info)):
                yield Foreign("a linked picture", name)
        elif name.lower() in drawn:
            yield Foreign("a picture other than pixels", name)


def _linked(package: zipfile.ZipFile, names: Mapping[str, str], source: str, part: str) -> Foreign:
    """What a part for another workbook names (ECMA-376 part 1, section 18.14): a workbook, an object, a program."""
    content = names.get(part.lower())
    text = _whole(package, package.getinfo(content)) if content else b""
    if b"ddeLink" in text:
        topics = [re.search(rb'\bdde%b="([^"]*)"' % key, text) for key in (b"Service", b"Topic")]
        address = "|".join(html.unescape(found[1].decode("utf-8", "replace")) for found in topics if found)
        return Foreign("a DDE link", source, address)
    folder, name = posixpath.split(part)
    own = names.get(f"{folder}/_rels/{name}.rels".lower())
    targets = [relation.get("Target") or "" for relation in (own and _relations(package, package.getinfo(own))) or ()]
    what = "a linked object" if b"oleLink" in text else "a link to another workbook"
    return Foreign(what, source, ", ".join(targets))


def _resolved(source: str, target: str) -> str:
    """The part that a relationship of the part `source` leads to."""
    return posixpath.normpath(posixpath.join("/", posixpath.dirname(source), unquote(target))).lstrip("/")


def _relations(package: zipfile.ZipFile, info: zipfile.ZipInfo) -> list[Relation] | None:
    """The attributes of each, whatever its name; None where no reader can read them."""
    try:
        return [each.attributes for each in elements([_whole(package, info)], ["*"])]
    except (XMLError, ValueError):
        return None


def _whole(package: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with package.open(info) as stream:
        return stream.read(MOST)


def _outside(relation: Relation) -> bool:
    """Whether the target lies outside the package, by what it says or by its looks."""
    target = _BLANKS.sub("", relation.get("Target") or "")
    return relation.get("TargetMode", "").strip().lower() == "external" or bool(re.match(r"[\w+.-]+:|//|\\", target))


def _kind(relation: Relation) -> str:
    """How its type ends, which is the same in the transitional and the strict namespace."""
    return (relation.get("Type") or "").rstrip("/").rpartition("/")[2].lower()


def _ids_fetched(package: zipfile.ZipFile, part: str | None) -> set[str]:
    """The relationships that a part uses for more than a click: LibreOffice asks for them whatever their type says."""
    if not part or part.lower().startswith("xl/worksheets/"):  # may be huge, and has its hyperlinks for clicks
        return set()
    text = _CLICK.sub(b"", _whole(package, package.getinfo(part)))
    return {identity.decode("utf-8", "replace") for identity in _USED.findall(text)}


def _active(relation: Relation, fetched: bool = False) -> str:
    """What the relationship leads to, where a program would load or run it."""
    kind = _kind(relation)
    if kind == "hyperlink" and not fetched:  # followed when it is clicked
        return ""
    words = ACTIVE.get(kind, "")
    if _outside(relation):
        return f"a link to {words}" if words else "a link to something outside the workbook"
    return "" if kind in INSIDE else words


def _harmless(package: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The relationships that are not active and stay inside. Nobody clicks here, so hyperlinks go too."""
    kept = [each for each in _relations(package, info) or () if not (_active(each) or _outside(each))]
    lines = (" ".join(f"{key}={quoteattr(each[key])}" for key in _KEYS if key in each) for each in kept)
    inner = "".join(f"<Relationship {line}/>" for line in lines)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Relationships xmlns="{_NAMESPACE}">{inner}</Relationships>'.encode()
    )


def _drawn(package: zipfile.ZipFile) -> frozenset[str]:
    """Pictures inside the package that are no pixels: an SVG names files of its own, an EPS is given to a program."""
    pictures = {name for name in package.namelist() if name.lower().startswith("xl/media/")}
    others: set[str] = set()
    for info in _once(package):
        if info.filename.lower().endswith(".rels"):
            source = info.filename.replace("_rels/", "")
            for relation in _relations(package, info) or ():
                if not _outside(relation):
                    part = _resolved(source, relation.get("Target") or "")
                    (pictures if _kind(relation) == "image" else others).add(part)
    names = _names(package)
    own = (names[name.lower()] for name in pictures if name.lower() in names)
    drawn = [name for name in own if not name.endswith("/") and not _has_pixels(package, name)]
    # a shape may have its picture by a relationship of any type
    rest = (names[name.lower()] for name in others - pictures if name.lower() in names)
    drawn += [name for name in rest if not name.endswith("/") and _UNPIXELLED.search(_beginning(package, name, 4096))]
    return frozenset(map(str.lower, drawn))


def _names(package: zipfile.ZipFile) -> dict[str, str]:
    """Each part's name by its small letters: a package makes no difference between the two."""
    return {name.lower(): name for name in package.namelist()}


def _beginning(package: zipfile.ZipFile, own: str, many: int) -> bytes:
    with package.open(own) as stream:
        return stream.read(many)


def _has_pixels(package: zipfile.ZipFile, own: str) -> bool:
    begin = _beginning(package, own, 8)
    return not begin or begin.startswith(_RASTERS)


def _of_formulas(package: zipfile.ZipFile) -> Iterator[Foreign]:
    """The functions that fetch something, where they stand in a formula."""
    for info in _once(package):
        if not info.filename.lower().endswith(".xml"):
            continue
        with package.open(info) as stream:
            rest = b""
            while chunk := stream.read(CHUNK):
                text = rest + chunk
                rest = text[text.rfind(b"<") :][:CHUNK]
                # sheets of weights, nearly all of the file, have no formulas
                if not any(mark in text for mark in (b"f>", b"ormula", b"definedName")):
                    continue
                capitals = text.upper()
                perhaps = any(word in capitals and each.search(capitals) for word, each in _PERHAPS.items())
                if perhaps or b"&#" in text:  # the second: letters as numbers
                    yield from (Foreign("a function that fetches data", info.filename, name) for name in _calls(text))


def _calls(text: bytes) -> Iterator[str]:
    for formula in _FORMULA.findall(text):
        plain = re.sub('"[^"]*"', '""', html.unescape(formula.decode("utf-8", "replace")))
        yield from (name.upper() for name in _CALL.findall(plain))
