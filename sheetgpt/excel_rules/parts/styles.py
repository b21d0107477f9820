"""The stylesheet: every index inside its table (ECMA-376 part 1, section 18.8), and the sizes that cells refer to."""

from collections import Counter
from collections.abc import Iterator

from lxml import etree

from sheetgpt.excel_rules.package.xmlns import MAIN, Element, local, local_name, number
from sheetgpt.excel_rules.parts.number_format import number_format_fault
from sheetgpt.ooxml.limits import MAX_STYLES
from sheetgpt.ooxml.writing.fonts import CHILDREN

FIRST_CUSTOM_FORMAT = 164


def size(tree: Element | None, table: str) -> int:
    """How many entries one table of the stylesheet has."""
    found = None if tree is None else tree.find(MAIN + table)
    return 0 if found is None else len(found)


def style_problems(tree: Element) -> Iterator[tuple[str, str]]:
    """(where, rule) for each broken rule."""
    formats = tree.findall(f"{MAIN}numFmts/{MAIN}numFmt")
    ids = Counter(number(f.get("numFmtId")) for f in formats)
    yield from _id_problems(formats, ids)
    for entry in tree.iter(MAIN + "numFmt"):  # those of the differential formats, too
        if fault := number_format_fault(code := entry.get("formatCode") or ""):
            yield f"numFmt {entry.get('numFmtId')}", f"The number format {code!r} is not valid: {fault}."
    tables = {"fontId": "fonts", "fillId": "fills", "borderId": "borders", "xfId": "cellStyleXfs"}
    sizes = {table: size(tree, table) for table in tables.values()}  # lxml counts them each time
    for table in ("cellStyleXfs", "cellXfs"):
        for i, xf in enumerate(tree.iterfind(f"{MAIN}{table}/{MAIN}xf")):
            where = f"{table} {i}"
            for key, target in tables.items():
                given = xf.get(key)
                if given is not None and not _is_index(given, sizes[target]):
                    yield where, f"The style's {key} {given} is not among the {sizes[target]} {target}."
            custom = number(xf.get("numFmtId", "0"))
            if custom is None or (custom >= FIRST_CUSTOM_FORMAT and custom not in ids):
                yield where, f"The style's number format {xf.get('numFmtId')} is not defined."
    for i, style in enumerate(tree.iterfind(f"{MAIN}cellStyles/{MAIN}cellStyle")):
        if not _is_index(style.get("xfId"), sizes["cellStyleXfs"]):
            yield f"cellStyles {i}", f"The named style's xfId {style.get('xfId')} is not among the cellStyleXfs."
    yield from _font_problems(tree)
    if not 1 <= size(tree, "cellXfs") <= MAX_STYLES:
        yield "cellXfs", f"The workbook has {size(tree, 'cellXfs'):,} styles; Excel allows 1 to {MAX_STYLES:,}."
    yield from _count_problems(tree)


def _id_problems(formats: list[Element], ids: Counter[int | None]) -> Iterator[tuple[str, str]]:
    for entry in formats:
        i, where = number(entry.get("numFmtId")), f"numFmt {entry.get('numFmtId')}"
        if i is None or i < FIRST_CUSTOM_FORMAT or ids[i] > 1:
            yield where, f"A custom number format needs an id of its own, {FIRST_CUSTOM_FORMAT} or higher."


def _font_problems(tree: Element) -> Iterator[tuple[str, str]]:
    for font in tree.iter(MAIN + "font"):
        tags = [child.tag for child in font.iterchildren(etree.Element)]
        for tag, n in Counter(tags).items():
            if n > 1 or tag not in CHILDREN:
                yield "fonts", f"A font has {n} elements {local_name(tag)!r}."
        known = [tag for tag in tags if tag in CHILDREN]
        if known != (right := sorted(known, key=CHILDREN.index)):
            given, wanted = (" ".join(map(local_name, order)) for order in (known, right))
            yield "fonts", f"A font's elements stand in the order {given}; Excel's is {wanted}."


def _count_problems(tree: Element) -> Iterator[tuple[str, str]]:
    for table in tree:
        given = table.get("count")
        if given is not None and number(given) != len(table):
            yield local(table), f"The table's count is {given}, but it has {len(table)} entries."


def _is_index(text: str | None, length: int) -> bool:
    i = number(text)
    return i is not None and i < length
