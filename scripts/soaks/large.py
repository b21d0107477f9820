"""Workbooks and checkpoints with one thing in them n times over: what a reader must take in time proportional to n.

`WORKBOOKS` and `CHECKPOINTS` have a function a kind, which changes a sound file or folder. Used by soak_sizes.py and by
the tests.
"""

import json
import re
import struct
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from openpyxl.utils import get_column_letter

Parts = dict[str, bytes]

BOOK, BOOK_RELS, TYPES = "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "[Content_Types].xml"
STYLES, STRINGS, SHEET = "xl/styles.xml", "xl/sharedStrings.xml", "xl/worksheets/sheet1.xml"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
SHEETML = "application/vnd.openxmlformats-officedocument.spreadsheetml."


def parts_of(path: Path) -> Parts:
    with zipfile.ZipFile(path) as archive:
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}


def write(path: Path, parts: Parts) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


def each(n: int, line: Callable[[int], str]) -> bytes:
    return "".join(map(line, range(n))).encode()


def before(parts: Parts, part: str, mark: str, more: bytes) -> None:
    """`more` before the last `mark` of a part."""
    head, found, rest = parts[part].rpartition(mark.encode())
    assert found, (part, mark)
    parts[part] = head + more + found + rest


def names(parts: Parts, n: int) -> None:
    before(parts, BOOK, "</definedNames>", each(n, lambda i: f'<definedName name="n_{i}">Home!$A$1</definedName>'))


def names_in_a_chain(parts: Parts, n: int) -> None:
    """Each refers to the next."""
    line = '<definedName name="n_{}">n_{}+Home!$A$1</definedName>'
    before(parts, BOOK, "</definedNames>", each(n, lambda i: line.format(i, i + 1)))


def names_in_a_lattice(parts: Parts, n: int) -> None:
    """Each refers to two that refer to the same two: 2^n ways through."""
    line = '<definedName name="n_{0}_{2}">n_{1}_0+n_{1}_1</definedName>'
    more = each(n, lambda i: line.format(i, i + 1, 0) + line.format(i, i + 1, 1))
    before(parts, BOOK, "</definedNames>", more)


def name_of_many(parts: Parts, n: int) -> None:
    """One name of n ranges, which every one of n more refers to."""
    union = ",".join(f"Home!$A${i + 1}" for i in range(n))
    more = f'<definedName name="m_a">{union}</definedName>'.encode()
    more += each(n, lambda i: f'<definedName name="m_{i}">m_a</definedName>')
    before(parts, BOOK, "</definedNames>", more)


def sheets(parts: Parts, n: int) -> None:
    """Empty ones, each with its part."""
    content = f'<worksheet xmlns="{MAIN}"><sheetData/></worksheet>'.encode()
    parts |= {f"xl/worksheets/more{i}.xml": content for i in range(n)}
    line = '<sheet xmlns:r="' + OFFICE + '" name="More {0}" sheetId="{1}" r:id="more{0}"/>'
    before(parts, BOOK, "</sheets>", each(n, lambda i: line.format(i, i + 1000)))
    link = '<Relationship Id="more{0}" Type="' + OFFICE + '/worksheet" Target="/xl/worksheets/more{0}.xml"/>'
    before(parts, BOOK_RELS, "</Relationships>", each(n, link.format))
    kind = '<Override PartName="/xl/worksheets/more{0}.xml" ContentType="' + SHEETML + 'worksheet+xml"/>'
    before(parts, TYPES, "</Types>", each(n, kind.format))


def sheets_without_a_part(parts: Parts, n: int) -> None:
    line = '<sheet xmlns:r="' + OFFICE + '" name="More {0}" sheetId="{1}" r:id="more{0}"/>'
    before(parts, BOOK, "</sheets>", each(n, lambda i: line.format(i, i + 1000)))


def small_elements(parts: Parts, n: int) -> None:
    before(parts, BOOK, "</workbook>", b"<extLst>" + b"<a/>" * n + b"</extLst>")


def small_relationships(parts: Parts, n: int) -> None:
    before(parts, BOOK_RELS, "</Relationships>", b"<a/>" * n)


def relationships(parts: Parts, n: int) -> None:
    line = '<Relationship Id="q{0}" Type="' + OFFICE + '/hyperlink" Target="http://x/" TargetMode="External"/>'
    parts["xl/worksheets/_rels/sheet1.xml.rels"] = parts.get(
        "xl/worksheets/_rels/sheet1.xml.rels",
        b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"></Relationships>',
    )
    before(parts, "xl/worksheets/_rels/sheet1.xml.rels", "</Relationships>", each(n, line.format))


def content_types(parts: Parts, n: int) -> None:
    line = '<Override PartName="/none{}.xml" ContentType="application/xml"/>'
    before(parts, TYPES, "</Types>", each(n, line.format))


def other_parts(parts: Parts, n: int) -> None:
    parts |= {f"xl/none/{i}.xml": b"<a/>" for i in range(n)}


def pictures(parts: Parts, n: int) -> None:
    parts |= {f"xl/media/image{i}.png": b"\x89PNG" for i in range(n)}


def strings(parts: Parts, n: int) -> None:
    parts[STRINGS] = f'<sst xmlns="{MAIN}">'.encode() + each(n, "<si><t>text {}</t></si>".format) + b"</sst>"
    link = f'<Relationship Id="strings" Type="{OFFICE}/sharedStrings" Target="/{STRINGS}"/>'.encode()
    before(parts, BOOK_RELS, "</Relationships>", link)
    kind = f'<Override PartName="/{STRINGS}" ContentType="{SHEETML}sharedStrings+xml"/>'.encode()
    before(parts, TYPES, "</Types>", kind)


def styles(parts: Parts, n: int) -> None:
    line = b'<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    before(parts, STYLES, "</cellXfs>", line * n)


def fonts_and_styles(parts: Parts, n: int) -> None:
    before(parts, STYLES, "</fonts>", b'<font><sz val="9"/></font>' * n)
    styles(parts, n)


def number_formats(parts: Parts, n: int) -> None:
    line = '<numFmt numFmtId="{0}" formatCode="0.0&quot;{0}&quot;"/>'
    head, _, rest = parts[STYLES].partition(b"<fonts")
    head = re.sub(rb"<numFmts.*?</numFmts>", b"", head)
    more = b"<numFmts>" + each(n, lambda i: line.format(i + 200)) + b"</numFmts>"
    parts[STYLES] = head + more + b"<fonts" + rest


def cells(parts: Parts, n: int) -> None:
    row = '<row r="{0}"><c r="A{0}"><v>1.5</v></c></row>'
    before(parts, SHEET, "</sheetData>", each(n, lambda i: row.format(i + 2000)))


def cells_in_a_row(parts: Parts, n: int) -> None:
    """As long as a row may be, several of them."""
    letters = [get_column_letter(i + 1) for i in range(16_384)]
    rows = (
        f'<row r="{r + 2000}">'
        + "".join(f'<c r="{c}{r + 2000}" t="b"><v>1</v></c>' for c in letters[: min(16_384, n - 16_384 * r)])
        + "</row>"
        for r in range(-(-n // 16_384))
    )
    before(parts, SHEET, "</sheetData>", "".join(rows).encode())


def formulas(parts: Parts, n: int) -> None:
    """Each of a shape and text of its own."""
    row = '<row r="{0}"><c r="A{0}"><f>SUM(B{0}:C{0})+{1}</f><v>0</v></c></row>'
    before(parts, SHEET, "</sheetData>", each(n, lambda i: row.format(i + 2000, i)))


def formulas_of_shapes(parts: Parts, n: int) -> None:
    """As many shapes as formulas."""
    row = '<row r="{0}"><c r="A{0}"><f>1{1}</f><v>0</v></c></row>'
    more = each(n, lambda i: row.format(i + 2000, "".join("+-*/"[i >> k & 3] + "B1" for k in range(0, 20, 2))))
    before(parts, SHEET, "</sheetData>", more)


def zigzag(parts: Parts, n: int) -> None:
    """Cells that hand on a position to and fro, so that going through them in order takes as many rounds."""
    first = re.search(r'<definedName name="positions_[^"]*"[^>]*>([^<]*)<', parts[BOOK].decode())
    assert first
    start = first[1].partition(":")[0].replace("$", "")
    row = '<row r="{0}"><c r="A{0}"><f>{1}</f><v>0</v></c></row>'
    order = [i // 2 if i % 2 == 0 else n - 1 - i // 2 for i in range(n)]  # 0, n-1, 1, n-2 ...
    reads = {order[0]: start} | {b: f"A{a + 2000}" for a, b in pairwise(order)}
    before(parts, SHEET, "</sheetData>", each(n, lambda i: row.format(i + 2000, reads[i])))


def running_totals(parts: Parts, n: int) -> None:
    first = re.search(r'<definedName name="positions_[^"]*"[^>]*>([^<]*)<', parts[BOOK].decode())
    assert first
    start = first[1].partition(":")[0].replace("$", "")
    row = '<row r="{0}"><c r="A{0}"><f>{1}</f><v>0</v></c><c r="B{0}"><f>SUM(A$2000:A{0})</f><v>0</v></c></row>'
    before(parts, SHEET, "</sheetData>", each(n, lambda i: row.format(i + 2000, start)))


def rows(parts: Parts, n: int) -> None:
    before(parts, SHEET, "</sheetData>", each(n, lambda i: f'<row r="{i + 2000}" ht="15"/>'))


def after_rows(parts: Parts, more: bytes) -> None:
    head, found, rest = parts[SHEET].partition(b"</sheetData>")
    parts[SHEET] = head + found + more + rest


def merges(parts: Parts, n: int) -> None:
    ref = '<mergeCell ref="A{}:B{}"/>'
    more = each(n, lambda i: ref.format(i + 3000, i + 3000))
    after_rows(parts, b"<mergeCells>" + more + b"</mergeCells>")


def formats(parts: Parts, n: int) -> None:
    line = '<conditionalFormatting sqref="A{0}"><cfRule type="expression" priority="{1}"><formula>A{0}&gt;{1}</formula>'
    line += "</cfRule></conditionalFormatting>"
    after_rows(parts, each(n, lambda i: line.format(i % 1_000_000 + 1, i + 1)))


def format_of_many_ranges(parts: Parts, n: int) -> None:
    ranges = " ".join(f"A{i + 1}" for i in range(n))
    line = f'<conditionalFormatting sqref="{ranges}"><cfRule type="expression" priority="1"><formula>1=1</formula>'
    after_rows(parts, (line + "</cfRule></conditionalFormatting>").encode())


def validations(parts: Parts, n: int) -> None:
    line = '<dataValidation type="whole" sqref="A{0}"><formula1>1</formula1><formula2>{0}</formula2></dataValidation>'
    more = each(n, lambda i: line.format(i + 1))
    after_rows(parts, b"<dataValidations>" + more + b"</dataValidations>")


def links(parts: Parts, n: int) -> None:
    more = each(n, lambda i: f'<hyperlink ref="A{i + 1}" location="Home!A{i + 1}"/>')
    after_rows(parts, b"<hyperlinks>" + more + b"</hyperlinks>")


def columns(parts: Parts, n: int) -> None:
    head, found, rest = parts[SHEET].partition(b"<sheetData")
    more = b"<cols>" + b'<col min="1" max="1" width="9"/>' * n + b"</cols>"
    parts[SHEET] = re.sub(rb"<cols>.*?</cols>", b"", head) + more + found + rest


def attributes(parts: Parts, n: int) -> None:
    more = each(n, lambda i: f' a{i}="1"')
    before(parts, SHEET, "</sheetData>", b'<row r="3000"' + more + b"/>")


def comments(parts: Parts, n: int) -> None:
    line = '<comment ref="A{}" authorId="0"><text><t>x</t></text></comment>'
    head = f'<comments xmlns="{MAIN}"><authors><author>x</author></authors><commentList>'.encode()
    parts["xl/comments1.xml"] = head + each(n, lambda i: line.format(i + 1)) + b"</commentList></comments>"


def drawing(parts: Parts, n: int) -> None:
    space = "http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"
    more = b"<from><col>1</col><row>1</row></from>" * n
    parts["xl/drawings/drawing99.xml"] = f'<wsDr xmlns="{space}">'.encode() + more + b"</wsDr>"
    parts["xl/drawings/_rels/drawing99.xml.rels"] = (
        b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"></Relationships>'
    )


def of_bytes(kind: str) -> Callable[[Parts, int], None]:
    """n times `kind` as the text of a cell in a sheet, of a part that isn't XML, and of a drawing."""

    def change(parts: Parts, n: int) -> None:
        drawing(parts, 1)
        parts["xl/drawings/drawing99.xml"] = kind.encode() * n
        head, found, rest = parts[SHEET].partition(b"<sheetData")
        parts[SHEET] = head + kind.encode() * n + found + rest

    return change


def formula_text(kind: str, end: str = "") -> Callable[[Parts, int], None]:
    """One formula of n times `kind`: in a cell, in a name, in a conditional format, in a link."""

    def change(parts: Parts, n: int) -> None:
        text = (kind * n + end).replace("&", "&amp;").replace("<", "&lt;")
        row = f'<row r="2000"><c r="A2000"><f>{text}</f><v>0</v></c></row>'.encode()
        before(parts, SHEET, "</sheetData>", row)
        before(parts, BOOK, "</definedNames>", f'<definedName name="long">{text}</definedName>'.encode())
        cf = f'<cfRule type="expression" priority="1"><formula>{text}</formula></cfRule>'
        link = text.replace('"', "&quot;")
        more = f'<conditionalFormatting sqref="A1">{cf}</conditionalFormatting>'
        after_rows(parts, (more + f'<hyperlinks><hyperlink ref="A1" location="{link}"/></hyperlinks>').encode())

    return change


def number_format_text(kind: str) -> Callable[[Parts, int], None]:
    def change(parts: Parts, n: int) -> None:
        number_formats(parts, 1)
        parts[STYLES] = parts[STYLES].replace(b'formatCode="', b'formatCode="' + kind.encode() * n, 1)

    return change


def long_value(parts: Parts, n: int) -> None:
    row = f'<row r="2000"><c r="A2000"><v>{"1" * n}</v></c><c r="B2000" t="inlineStr"><is><t>{"_x" * n}</t></is></c>'
    before(parts, SHEET, "</sheetData>", (row + "</row>").encode())


WORKBOOKS: dict[str, tuple[Callable[[Parts, int], None], int]] = {  # kind -> what it does, the smallest size
    "names": (names, 25_000),
    "names in a chain": (names_in_a_chain, 10_000),
    "names in a lattice": (names_in_a_lattice, 5_000),
    "a name of many ranges": (name_of_many, 1_000),
    "sheets": (sheets, 2_000),
    "sheets without a part": (sheets_without_a_part, 10_000),
    "small elements": (small_elements, 1_000_000),
    "small relationships": (small_relationships, 500_000),
    "relationships": (relationships, 25_000),
    "content types": (content_types, 25_000),
    "parts": (other_parts, 5_000),
    "pictures": (pictures, 5_000),
    "shared strings": (strings, 100_000),
    "styles": (styles, 16_000),
    "fonts and styles": (fonts_and_styles, 8_000),
    "number formats": (number_formats, 5_000),
    "cells": (cells, 100_000),
    "cells in rows": (cells_in_a_row, 100_000),
    "formulas": (formulas, 5_000),
    "shapes of formulas": (formulas_of_shapes, 5_000),
    "cells that hand on": (zigzag, 2_000),
    "running totals": (running_totals, 2_000),
    "rows": (rows, 50_000),
    "merged ranges": (merges, 2_500),
    "conditional formats": (formats, 5_000),
    "a format's ranges": (format_of_many_ranges, 50_000),
    "validations": (validations, 5_000),
    "hyperlinks": (links, 5_000),
    "columns": (columns, 20_000),
    "attributes": (attributes, 50_000),
    "comments": (comments, 20_000),
    "drawing": (drawing, 20_000),
    "bytes <f ": (of_bytes("<f "), 50_000),
    "bytes <hlink ": (of_bytes("<hlink "), 50_000),
    "bytes <c ": (of_bytes("<c "), 50_000),
    "bytes CUBE": (of_bytes("f>CUBE"), 50_000),
    "bytes CUBECUBE": (of_bytes("CUBE"), 50_000),
    "bytes src=": (of_bytes("src "), 50_000),
    "bytes <": (of_bytes("<"), 100_000),
    "bytes <c r": (of_bytes('<c r="A1"><v>1'), 50_000),
    "bytes <c/>": (of_bytes("<c/>"), 50_000),
    "formula ((": (formula_text("("), 5_000),
    "formula ''": (formula_text("'"), 5_000),
    "formula 'a''": (formula_text("a''", "'"), 5_000),
    'formula "': (formula_text('"', "a"), 5_000),
    'formula x"" ': (formula_text('x""'), 5_000),
    "formula aaa": (formula_text("a"), 5_000),
    "formula a.a": (formula_text("a."), 5_000),
    "formula A1:": (formula_text("A1:"), 5_000),
    "formula A1+": (formula_text("A1+", "1"), 5_000),
    "formula 111": (formula_text("1"), 5_000),
    "formula {1": (formula_text("{1,"), 5_000),
    "formula --": (formula_text("-", "1"), 5_000),
    "formula %%": (formula_text("%"), 5_000),
    "formula IF(": (formula_text("IF(1,"), 5_000),
    "formula IF()": (formula_text("IF(1,", "1" + ")" * 5_000), 5_000),
    "formula _x0041_": (formula_text("_x0041_"), 5_000),
    "formula CUBE": (formula_text("CUBE"), 20_000),
    "number format": (number_format_text("0"), 50_000),
    "number format [": (number_format_text("["), 50_000),
    "a long value": (long_value, 50_000),
}


# Checkpoints: functions of a folder


def change_json(folder: Path, file: str, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / file
    content = json.loads(path.read_text()) if path.exists() else {}
    change(content)
    path.write_text(json.dumps(content))


def added_tokens_file(folder: Path, n: int) -> None:
    (folder / "added_tokens.json").write_text(json.dumps({f"<{i}>": 260 + i for i in range(n)}))


def added_tokens_listed(folder: Path, n: int) -> None:
    more = [
        {"id": 260 + i, "content": f"<{i}>", "special": True, "lstrip": False, "rstrip": False, "single_word": False}
        | {"normalized": False}
        for i in range(n)
    ]
    change_json(folder, "tokenizer.json", lambda c: c["added_tokens"].extend(more))


def added_tokens_decoder(folder: Path, n: int) -> None:
    more = {str(260 + i): {"content": f"<{i}>", "special": i % 2 == 0} for i in range(n)}
    change_json(folder, "tokenizer_config.json", lambda c: c.setdefault("added_tokens_decoder", {}).update(more))


def extra_special_tokens(folder: Path, n: int) -> None:
    more = [f"<{i}>" for i in range(n)]
    change_json(folder, "tokenizer_config.json", lambda c: c.update(extra_special_tokens=more))


def roles(folder: Path, n: int) -> None:
    more = {f"r{i}_token": f"<{i}>" for i in range(n)}
    change_json(folder, "tokenizer_config.json", lambda c: c.update(more))


def long_added_token(folder: Path, n: int) -> None:
    token = {"id": 260, "content": "xy" * n, "special": False, "normalized": True, "lstrip": False, "rstrip": False}
    other = {"id": 261, "content": "yx" * n + "z", "special": True, "normalized": False, "lstrip": False}
    more = [t | {"single_word": False, "rstrip": False} for t in (token, other)]
    change_json(folder, "tokenizer.json", lambda c: c["added_tokens"].extend(more))


def normalized_tokens(folder: Path, n: int) -> None:
    """Half of them marked normalized, and of one beginning."""
    more = [
        {"id": 260 + i, "content": f"ab{i}ab", "special": i % 2 == 0, "normalized": i % 2 == 1}
        | {"lstrip": False, "rstrip": False, "single_word": False}
        for i in range(n)
    ]
    change_json(folder, "tokenizer.json", lambda c: c["added_tokens"].extend(more))


def vocabulary(folder: Path, n: int) -> None:
    more = {f"Ġ{i}": 260 + i for i in range(n)}
    change_json(folder, "tokenizer.json", lambda c: c["model"]["vocab"].update(more))


def merge_list(folder: Path, n: int) -> None:
    """Tokens of two letters, merged to ones of four."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    pairs = [a + b for a in letters for b in letters]
    wide = [x + y for x in pairs for y in pairs][:n]
    vocab = {token: 260 + i for i, token in enumerate(dict.fromkeys([*pairs, *wide]))}
    lines = [f"{p[0]} {p[1]}" for p in pairs] + [f"{w[:2]} {w[2:]}" for w in wide]

    def change(content: dict[str, Any]) -> None:
        del content["model"]["vocab"]["th"], content["model"]["vocab"]["the"], content["model"]["vocab"]["Ġthe"]
        content["model"]["vocab"].update(vocab)
        content["model"]["merges"] = lines

    change_json(folder, "tokenizer.json", change)


def merges_of_long_tokens(folder: Path, n: int) -> None:
    """a, aa, aaaa …: n bytes of them, each the double of the one before, and a chain that grows by one letter."""
    steps = int((2 * n) ** 0.5)
    tokens = ["a" * (k + 2) for k in range(steps)]

    def change(content: dict[str, Any]) -> None:
        content["model"]["vocab"].update({token: 260 + i for i, token in enumerate(tokens)})
        content["model"]["merges"] = [f"{token[:-1]} a" for token in tokens]

    change_json(folder, "tokenizer.json", change)


def processors(folder: Path, n: int) -> None:
    more = {"type": "Sequence", "processors": [{"type": "ByteLevel", "add_prefix_space": False}] * n}
    change_json(folder, "tokenizer.json", lambda c: c.update(post_processor=more))


def template_tokens(folder: Path, n: int) -> None:
    tokens = {"x": {"id": "x", "ids": [0] * n, "tokens": ["x"] * n}}
    single = [{"SpecialToken": {"id": "x", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    more = {"type": "TemplateProcessing", "single": single, "pair": single, "special_tokens": tokens}
    change_json(folder, "tokenizer.json", lambda c: c.update(post_processor=more))


def header(folder: Path, n: int) -> None:
    path = folder / "model.safetensors"
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    content, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    content |= {f"other.{i}": {"dtype": "F32", "shape": [0], "data_offsets": [len(body)] * 2} for i in range(n)}
    text = json.dumps(content).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def metadata(folder: Path, n: int) -> None:
    path = folder / "model.safetensors"
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    content = json.loads(data[8 : 8 + size]) | {"__metadata__": {f"k{i}": "v" for i in range(n)}}
    text = json.dumps(content).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])


def index(folder: Path, n: int) -> None:
    more = {f"other.{i}": "model-00001-of-00002.safetensors" for i in range(n)}
    change_json(folder, "model.safetensors.index.json", lambda c: c["weight_map"].update(more))


def index_files(folder: Path, n: int) -> None:
    more = {f"other.{i}": f"model-{i}.safetensors" for i in range(n)}
    change_json(folder, "model.safetensors.index.json", lambda c: c["weight_map"].update(more))


def config(folder: Path, n: int) -> None:
    change_json(folder, "config.json", lambda c: c.update({f"key{i}": i for i in range(n)}))


def end_tokens(folder: Path, n: int) -> None:
    change_json(folder, "config.json", lambda c: c.update(eos_token_id=[i % 260 for i in range(n)]))


def generation_end_tokens(folder: Path, n: int) -> None:
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [i % 260 for i in range(n)]}))


def template(folder: Path, n: int) -> None:
    text = "{% for m in messages %}" + "{{ m.content }}" * 1 + "{% endfor %}" + "x" * n
    change_json(folder, "tokenizer_config.json", lambda c: c.update(chat_template=text))


def templates(folder: Path, n: int) -> None:
    more = [{"name": f"t{i}", "template": "x"} for i in range(n)]
    change_json(folder, "tokenizer_config.json", lambda c: c.update(chat_template=more))


def nested(folder: Path, n: int) -> None:
    (folder / "config.json").write_text('{"a":' * n + "1" + "}" * n)


def merges_file(text: str) -> Callable[[Path, int], None]:
    def change(folder: Path, n: int) -> None:
        (folder / "merges.txt").write_text("#version: 0.2" + text * n)

    return change


CHECKPOINTS: dict[str, tuple[str, Callable[[Path, int], None], int]] = {  # kind -> form, what it does, smallest size
    "added_tokens.json": ("shards", added_tokens_file, 100_000),
    "added tokens of tokenizer.json": ("one file", added_tokens_listed, 25_000),
    "added_tokens_decoder": ("one file", added_tokens_decoder, 50_000),
    "extra_special_tokens": ("one file", extra_special_tokens, 50_000),
    "roles": ("one file", roles, 50_000),
    "a long added token": ("one file", long_added_token, 2_000),
    "normalized tokens": ("one file", normalized_tokens, 1_000),
    "vocabulary": ("one file", vocabulary, 100_000),
    "merges": ("one file", merge_list, 50_000),
    "merges of long tokens": ("one file", merges_of_long_tokens, 500_000),
    "post-processors": ("one file", processors, 50_000),
    "tokens around a text": ("one file", template_tokens, 100_000),
    "header": ("one file", header, 25_000),
    "metadata": ("one file", metadata, 100_000),
    "index": ("shards", index, 100_000),
    "files of an index": ("shards", index_files, 100_000),
    "config.json": ("one file", config, 200_000),
    "end tokens": ("one file", end_tokens, 200_000),
    "generation_config's end tokens": ("one file", generation_end_tokens, 200_000),
    "chat template": ("one file", template, 20_000),
    "chat templates": ("one file", templates, 100_000),
    "nested": ("one file", nested, 100_000),
    "merges.txt of blanks": ("shards", merges_file(" "), 200_000),
    "merges.txt of lines": ("shards", merges_file("\n"), 1_000_000),
    "merges.txt of returns": ("shards", merges_file("\r"), 1_000_000),
}
