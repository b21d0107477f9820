"""Damage to checkpoints and workbooks, at random and repeatable: `checkpoint(folder, rng)` and `workbook(file, rng)`.

Each does one thing to one part, of the kinds that transfers, editors, scripts and people with intentions leave behind,
changes it in place, and says in words what it did. Used by soak_mutations.py; the tests have their own, chosen cases.
"""

import json
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

NUMBERS: list[Any] = [0, -1, 1, 2, 7, 64.5, 1e308, -1e-320, 10**9, 2**31, 2**63, 10**300, True, 1 << 20, 3.0]
VALUES: list[Any] = [
    *NUMBERS,
    None,
    False,
    "",
    "x",
    "²",
    "gpt2",
    "\ud800",
    "a\x1b[2J",
    "é" * 70_000,
    [],
    {},
    [[[[]]]],
    [1, "2"],
]
RAW = [
    b"1" * 5_000,
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"0." + b"0" * 100_000 + b"1",
    b'"\\ud800"',
    b'"\xff"',
    b"[" + b"1," * 200_000 + b"1]",
    b"1_000",
    b"+1",
    b"'x'",
    b"",
]


def checkpoint(folder: Path, rng: Random) -> str:
    """One of the folder's files."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".json", ".txt", ".safetensors"))
    path = rng.choice(files)
    if rng.random() < 0.1:
        return f"{path.name}: {no_file(path, rng)}"
    if rng.random() < 0.2:
        path.write_bytes(bytes_of(path.read_bytes(), rng))
        return f"{path.name}: bytes"
    if path.suffix == ".safetensors":
        return f"{path.name}: {safetensors_file(path, rng)}"
    if path.suffix == ".txt":
        return f"{path.name}: {merges(path, rng)}"
    return f"{path.name}: {json_file(path, rng)}"


def no_file(path: Path, rng: Random) -> str:
    """Something else in its place."""
    kind = rng.choice(["nothing", "empty", "folder", "pipe", "endless", "link to nothing", "sparse", "link to itself"])
    path.unlink()
    if kind == "empty":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "sparse":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    elif kind != "nothing":
        targets = {"endless": "/dev/zero", "link to nothing": "nowhere", "link to itself": path.name}
        path.symlink_to(targets[kind])
    return kind


def bytes_of(data: bytes, rng: Random) -> bytes:
    """Bits flipped, bytes put in, taken out, copied, cut off."""
    for _ in range(rng.choice([1, 1, 1, 3, 30])):
        at, n = rng.randrange(len(data) + 1), rng.choice([1, 1, 2, 8, 100, 4096])
        junk = rng.choice([rng.randbytes(n), bytes(n), b"\xff" * n, data[at : at + n], rng.choice(RAW)])
        kind = rng.randrange(5)
        if kind == 0 and at < len(data):
            data = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + junk + data[at:]
        elif kind == 2:
            data = data[:at] + data[at + n :]
        elif kind == 3:
            data = data[:at] + junk + data[at + len(junk) :]
        else:
            data = data[:at]
    return data


def places(content: Any) -> list[tuple[Any, Any]]:
    """Every list or object of a JSON value with each of its keys; of long ones the first and last ones."""
    found, level = [], [content]
    while level:
        item = level.pop()
        if isinstance(item, dict | list):
            keys = list(item) if isinstance(item, dict) else list(range(len(item)))
            for key in keys if len(keys) < 40 else [*keys[:8], *keys[-8:]]:
                found.append((item, key))
                level.append(item[key])
    return found


def json_value(content: Any, rng: Random) -> bytes:
    """One value of it another one, gone, there twice, or something that is hardly JSON."""
    mark = "@@mark@@"
    holder, key = rng.choice(places(content) or [({"a": 1}, "a")])
    kind, written = rng.randrange(6), None
    if kind == 0:
        holder[key] = rng.choice(VALUES)
    elif kind == 1:
        del holder[key]
    elif kind == 2:
        holder[key], written = mark, rng.choice(RAW)
    elif kind == 3:
        holder[key] = rng.choice(places(content))[0]
    elif kind == 4 and isinstance(holder, dict):
        holder[rng.choice([str(key) + " ", "", "²", "-1", "a" * 70_000])] = holder[key]
    else:
        written, holder[key] = json.dumps(rng.choice(VALUES)).encode() + b', "n_embd": 7, "n_embd": 8', mark
    try:
        data = json.dumps(content, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):  # it stands inside itself now
        return b"{" * 5_000
    data = data.replace(json.dumps(mark).encode(), written) if written is not None else data
    return (
        data
        if rng.random() < 0.9
        else data.decode("utf-8", "replace").encode(rng.choice(["utf-16", "utf-8-sig", "utf-32"]))
    )


def json_file(path: Path, rng: Random) -> str:
    content = json.loads(path.read_bytes())
    if path.name == "tokenizer.json" and rng.random() < 0.4:
        return wrong_type(path, content, rng)
    if path.name == "config.json" and rng.random() < 0.3:
        return alias(path, content, rng)
    path.write_bytes(json_value(content, rng))
    return "JSON"


# what a tokenizer.json may say beside what sheetgpt reads of it
UNREAD = (
    "truncation",
    "padding",
    "version",
    "normalizer",
    "decoder",
    "post_processor",
    "added_tokens",
    "pre_tokenizer",
)
IN_MODEL = ("unk_token", "fuse_unk", "byte_fallback", "dropout", "ignore_merges", "continuing_subword_prefix")
IN_TOKEN = ("special", "lstrip", "rstrip", "single_word", "normalized", "id", "content")
IN_PART = ("add_prefix_space", "trim_offsets", "use_regex", "type")


def wrong_type(path: Path, content: dict[str, Any], rng: Random) -> str:
    """A value of another type somewhere in tokenizer.json."""
    part = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    content.setdefault("decoder", part)
    content.setdefault("post_processor", dict(part))
    places = [(content, UNREAD), (content["model"], IN_MODEL), (content["added_tokens"][0], IN_TOKEN)]
    places += [(content[key], IN_PART) for key in ("pre_tokenizer", "decoder", "post_processor")]
    holder, keys = rng.choice(places)
    key, value = rng.choice(keys), rng.choice(VALUES)
    holder[key] = value
    path.write_bytes(json.dumps(content).encode("utf-8", "surrogatepass"))
    return f"{key} {value!r:.20}"


ALIASES = {"n_embd": "hidden_size", "n_positions": "max_position_embeddings", "n_layer": "num_hidden_layers"}
ALIASES |= {"n_head": "num_attention_heads"}


def alias(path: Path, content: dict[str, Any], rng: Random) -> str:
    """A size under the name that other models have for it: instead of GPT-2's, or beside it with a value of its own."""
    for own in rng.sample(sorted(ALIASES), rng.randint(1, len(ALIASES))):
        value = content.get(own)
        if rng.random() < 0.6:
            content.pop(own, None)
        content[ALIASES[own]] = value if rng.random() < 0.6 else rng.choice(VALUES)
    path.write_bytes(json.dumps(content).encode("utf-8", "surrogatepass"))
    return "aliases"


def merges(path: Path, rng: Random) -> str:
    lines = path.read_text("utf-8").split("\n")
    at, kind = rng.randrange(len(lines)), rng.randrange(7)
    if kind == 0:
        lines[at] = rng.choice(["", " ", "a", "a b c", "\x00 \x00", "#version", "Ġ  t", "\ufeff", "é é"])
    elif kind == 1 and at:
        lines[at - 1 : at + 1] = [lines[at - 1] + lines[at]]
    elif kind == 2:
        lines.insert(at, rng.choice(lines))
    elif kind == 3:
        rng.shuffle(lines)
    elif kind == 4:
        lines[0] += lines.pop(1)
    elif kind == 6:
        lines[0] = "\ufeff" + lines[0]
    path.write_bytes("\r\n".join(lines).encode() if kind == 5 else "\n".join(lines).encode())
    return f"merges {kind}"


def safetensors_file(path: Path, rng: Random) -> str:
    """Its header, its length, its bytes."""
    data = path.read_bytes()
    n = int.from_bytes(data[:8], "little")
    header, body, length = json.loads(data[8 : 8 + n]), data[8 + n :], None
    name = rng.choice([key for key in header if key != "__metadata__"])
    entry, kind = header[name], rng.randrange(12)
    if kind == 0:
        shift = rng.choice([-8, -4, -1, 1, 4, 8, 1 << 40])
        entry["data_offsets"] = [offset + shift for offset in entry["data_offsets"]]
    elif kind == 1:
        entry["data_offsets"] = rng.choice(
            [header[other]["data_offsets"] for other in header if other != "__metadata__"]
        )
    elif kind == 2:
        entry["shape"] = rng.choice(
            [[1] * 200_000, [], [0], [-1], [10**9] * 4, entry["shape"][::-1], [2**64], ["2"], [2.0]]
        )
    elif kind == 3:
        entry["dtype"] = rng.choice(["F16", "BF16", "F64", "I8", "F8_E4M3", "f32", "", 32, None, ["F32"], "BOOL"])
    elif kind == 4:
        at = rng.randrange(len(body) + 1)
        body = body[:at] + rng.randbytes(rng.choice([1, 4, 64])) + body[at:]
    elif kind == 5:
        body = body[: -rng.choice([1, 4, 64])]
    elif kind == 6:
        header["__metadata__"] = rng.choice([{"format": 1}, [], "pt", None, {"a": None}, {"a": {}}])
    elif kind == 7:
        header[rng.choice([name + "x", "", "wte.weight", "lm_head.weight", "\ud800"])] = header.pop(name)
    elif kind == 8:
        length = rng.choice([0, 1, n - 1, n + 1, n + 8, 1 << 31, 1 << 63, (1 << 64) - 1])
    elif kind == 9:
        header["more"] = {
            **entry,
            "data_offsets": rng.choice([entry["data_offsets"], [len(body), len(body)]]),
            "shape": [0],
        }
    text = json.dumps(header).encode()
    if kind == 10:
        text = text[:-1] + b", " + json.dumps(name).encode() + b": " + json.dumps(entry).encode() + b"}"
    elif kind == 11:
        text = rng.choice(
            [text.decode().encode("utf-16"), b"\xef\xbb\xbf" + text, b" " + text, text + b"\0", json_value(header, rng)]
        )
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)
    return f"header {kind}"


XML_VALUES = [
    "",
    "0",
    "-1",
    "7",
    "1e308",
    "1E400",
    "99999999999",
    "XFD1048576",
    "A1:XFD1048576",
    "ZZZZ1",
    "x" * 40_000,
    "²",
]
XML_VALUES += ["&#0;", "&lol;", "../../x", "rId99", "NaN", "s", "e", "str", "shared", "0x10", "1_0", " 1 "]
XML_VALUES += ["inf", "-Infinity", "1e999", "\ufeff1"]
WHOLE = "$A$1:$XFD$1048576"
Parts = dict[str, bytes]


def workbook(path: Path, rng: Random) -> str:
    """A value in a cell, a place in the XML, an entry of the zip file, or bytes of it."""
    with zipfile.ZipFile(path) as archive:
        parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    ways: list[tuple[Callable[[Parts, Random], str], int]] = [(cell, 30), (name, 10), (xml, 30), (package, 10)]
    way = rng.choices([*(one for one, _ in ways), None], [*(weight for _, weight in ways), 20])[0]
    if way is None:
        return zip_file(path, rng)
    said = way(parts, rng)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for part, data in parts.items():
            archive.writestr(part, data)
    return said


def sheet_of(parts: Parts, rng: Random) -> str:
    """Mostly the first, Home, and the one with the constants of the build."""
    sheets = [part for part in parts if part.startswith("xl/worksheets/sheet")]
    model = [part for part in sheets if b"fingerprint" in parts[part]]
    return rng.choice([rng.choice(sheets), sheets[0], *model])


def cell(parts: Parts, rng: Random) -> str:
    """One cell's number or text."""
    part = sheet_of(parts, rng)
    found = list(re.finditer(rb"<v>[^<]*</v>|<t[^>]*>[^<]*</t>", parts[part]))
    if not found:
        return "nothing"
    one = rng.choice(found)
    value = rng.choice([*map(repr, NUMBERS), *XML_VALUES, "TRUE", "int8", "9 digits", "exact", "gelu"])
    tag = b"v" if one[0].startswith(b"<v") else b"t"
    text = value.encode("utf-8", "replace")
    parts[part] = parts[part][: one.start()] + b"<" + tag + b">" + text + b"</" + tag + b">" + parts[part][one.end() :]
    return f"{part} cell"


def name(parts: Parts, rng: Random) -> str:
    """One defined name's range, or the name itself."""
    text = parts["xl/workbook.xml"].decode()
    found = list(re.finditer(r"<definedName [^>]*>([^<]*)</definedName>", text))
    one = rng.choice(found)
    sheet = one[1].rpartition("!")[0]
    range_ = rng.choice([WHOLE, "$A$1:$A$1048576", "$1:$1048576", "$XFE$1", "#REF!", "$A$0", "$A$1:$A$1:$A$1"])
    new = rng.choice([f"{sheet}!{range_}", "", "1", "Home!A1,Home!B1", rng.choice(found)[1], f"'No sheet'!{WHOLE}"])
    parts["xl/workbook.xml"] = (text[: one.start(1)] + new + text[one.end(1) :]).encode()
    return "name"


def xml(parts: Parts, rng: Random) -> str:
    """A tag or an attribute anywhere."""
    part = rng.choice([rng.choice(sorted(parts)), "xl/workbook.xml", sheet_of(parts, rng)])
    data, kind = parts[part], rng.randrange(8)
    tags = list(re.finditer(rb"<[^>]*>", data))
    tag = rng.choice(tags)
    if kind == 0:
        data = data[: tag.start()] + data[tag.end() :]
    elif kind == 1:
        data = data[: tag.start()] + tag[0] * rng.choice([2, 1000, 50_000]) + data[tag.end() :]
    elif kind == 2:
        data = data[: tag.start()] + rng.choice(tags)[0] + data[tag.end() :]
    elif kind == 3:
        inside = re.compile(rb'"[^"]*"').sub(lambda _: b'"' + rng.choice(XML_VALUES).encode() + b'"', tag[0], count=1)
        data = data[: tag.start()] + inside + data[tag.end() :]
    elif kind == 4:
        data = bytes_of(data, rng)
    elif kind == 5:
        laugh = (
            b'<!DOCTYPE a [<!ENTITY a "'
            + b"ha" * 50
            + b'">'
            + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 50) for i in range(8))
            + b"]>"
        )
        data = data.replace(b"?>", b"?>" + laugh, 1)[: rng.choice([None, -9])] + b"&i;"
    elif kind == 6:
        data = data.decode("utf-8", "replace").encode(rng.choice(["utf-16", "utf-8-sig", "latin-1"]), "replace")
    else:
        data = prefixed(data)
    parts[part] = data
    return f"{part} XML {kind}"


def prefixed(data: bytes) -> bytes:
    """The same with a prefix for the namespace that has none, as some programs write it."""
    data = re.sub(rb"<(/?)([A-Za-z]\w*)(?=[\s/>])", rb"<\1p:\2", data)
    return data.replace(b' xmlns="', b' xmlns:p="', 1)


def package(parts: Parts, rng: Random) -> str:
    """Parts that are gone, elsewhere, huge, or other ones."""
    part, kind = rng.choice([*parts, "xl/workbook.xml", sheet_of(parts, rng)]), rng.randrange(6)
    if kind == 0:
        del parts[part]
    elif kind == 1:
        parts[rng.choice(["x" * 60_000 + ".xml", "/" + part, "../" + part, part.upper() + "x"])] = parts.pop(part)
    elif kind == 2:
        parts[part] = rng.choice(list(parts.values()))
    elif kind == 3:
        parts[part] = parts[part].replace(b">", b">" + b" " * 45_000_000, 1)
    elif kind == 4:
        row = b'<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
        parts[part] = parts[part].replace(b"</sheetData>", row + b"</sheetData>")
    else:
        parts[part] = b""
    return f"{part} package {kind}"


def zip_file(path: Path, rng: Random) -> str:
    """The archive itself."""
    data, kind = path.read_bytes(), rng.randrange(5)
    at = [found.start() for found in re.finditer(b"PK\x01\x02", data)]
    if kind == 0:
        path.write_bytes(bytes_of(data, rng))
        return "zip bytes"
    if kind == 1:
        return no_file(path, rng)
    if kind == 2:  # a directory's entry: flags, method, checksum, sizes, name's length, attributes, place
        changed = bytearray(data)
        for _ in range(rng.choice([1, 3])):
            changed[rng.choice(at) + rng.randrange(4, 46)] = rng.randrange(256)
        path.write_bytes(changed)
        return "zip directory"
    if kind == 3:  # the same flags, method and sizes in both headers
        offset, value = rng.choice([(6, 1), (6, 8), (8, 12), (8, 99), (8, 0), (22, 1 << 31), (22, 100), (18, 5)])
        changed, entry = bytearray(data), rng.choice(at)
        local = int.from_bytes(data[entry + 42 : entry + 46], "little")
        size = 2 if offset < 14 else 4
        for place in (local + offset, entry + offset + 2):
            changed[place : place + size] = value.to_bytes(size, "little")
        path.write_bytes(changed)
        return f"zip headers {offset} {value}"
    return longer(path, data, rng.choice(at))


def longer(path: Path, data: bytes, entry: int) -> str:
    """A part whose packed data go on for 40 MB beyond the size that both headers give."""
    n_name = int.from_bytes(data[entry + 28 : entry + 30], "little")
    with zipfile.ZipFile(path) as archive:
        parts = {one.filename: archive.read(one) for one in archive.infolist()}
    target = data[entry + 46 : entry + 46 + n_name].decode()
    long = parts[target] + b"<c/>" * 8_000_000
    sound = len(parts[target])
    parts[target] = long
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    whole = bytearray(path.read_bytes())
    both = struct.pack("<II", zlib.crc32(long), archive.getinfo(target).compress_size) + struct.pack("<I", len(long))
    lie = struct.pack("<II", zlib.crc32(long[:sound]), archive.getinfo(target).compress_size) + struct.pack("<I", sound)
    path.write_bytes(bytes(whole).replace(both, lie))
    return f"{target} longer than it says"
