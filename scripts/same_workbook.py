"""Are two workbooks the same, part by part? And the workbooks to ask it of, built with the code at hand.

Every cell's formula, cached value and look, each row's height and each column's width, names, links, colours, lists
and charts are compared, with styles taken for what they say, not for their numbers. A colour's rules are compared range
by range in their order; their numbers don't count. Prints the differences; exit status 1 if there are any.

    python scripts/same_workbook.py --build FOLDER [NAME ...]     # builds all of them, or these (no names: see --list)
    python scripts/same_workbook.py OLD NEW                       # two workbooks, or two folders of them

To hold a change against the code before it: `git worktree add ../before main`, build a folder in each, compare.
"""

import argparse
import json
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from lxml import etree
from safetensors.numpy import save_file

import sheetgpt
from sheetgpt.gpt2.checkpoints.checkpoint import BUNDLED, load, read_config

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATED = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
MOST = 20  # differences that are printed of one part
Element = Any
Said = dict[str, str]  # what stands where


def shorter(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]} …"


def differences(old: Path, new: Path) -> Iterator[str]:
    """One line for each."""
    with zipfile.ZipFile(old) as one, zipfile.ZipFile(new) as other:
        books = Book(one), Book(other)
        names = [[*book.sheets] for book in books]
        if names[0] != names[1]:
            yield f"the sheets are {names[0]} and {names[1]}"
        for title in [name for name in names[0] if name in names[1]]:
            parts = [book.sheets[title] for book in books]
            if books[0].styles == books[1].styles and one.read(parts[0]) == other.read(parts[1]):
                continue
            yield from _apart(title, *(book.cells(part) for book, part in zip(books, parts, strict=True)))
        yield from _apart("the workbook", *(book.rest() for book in books))


def _apart(where: str, *said: Said) -> Iterator[str]:
    keys = [*said[0], *(key for key in said[1] if key not in said[0])]
    found = [key for key in keys if said[0].get(key) != said[1].get(key)]
    for key in found[:MOST]:
        yield f"{where}: {key}: {shorter(said[0].get(key, 'nothing'))}  ->  {shorter(said[1].get(key, 'nothing'))}"
    if len(found) > MOST:
        yield f"{where}: and {len(found) - MOST:,} more"


class Book:
    """One workbook's parts, styles resolved."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.styles = archive.read("xl/styles.xml")
        root = etree.fromstring(self.styles)
        kinds = {kind: [text(child) for child in root.iterfind(f"{MAIN}{kind}s/*")] for kind in ("font", "fill")}
        kinds["border"] = [text(child) for child in root.iterfind(f"{MAIN}borders/*")]
        formats = {each.get("numFmtId"): each.get("formatCode") for each in root.iterfind(f"{MAIN}numFmts/*")}
        self.looks = []
        for xf in root.iterfind(f"{MAIN}cellXfs/*"):
            own = [kinds[kind][int(xf.get(f"{kind}Id", "0"))] for kind in kinds]
            number = xf.get("numFmtId", "0")
            rest = [f"{key}={value}" for key, value in sorted(xf.items()) if not key.endswith("Id")]
            self.looks.append(" ".join([formats.get(number, number), *own, *rest, *map(text, xf)]))
        self.differing = [text(child) for child in root.iterfind(f"{MAIN}dxfs/*")]
        book = etree.fromstring(archive.read("xl/workbook.xml"))
        targets = self.related("xl/workbook.xml")
        self.sheets = {each.get("name"): targets[each.get(RELATED)] for each in book.iterfind(f"{MAIN}sheets/*")}
        self.book = book

    def related(self, part: str) -> dict[str, str]:
        """Id -> the part that it stands for."""
        folder, _, name = part.rpartition("/")
        path = f"{folder}/_rels/{name}.rels"
        if path not in self.archive.namelist():
            return {}
        found = {}
        for each in etree.fromstring(self.archive.read(path)):
            target = each.get("Target")
            place = target[1:] if target.startswith("/") else f"{folder}/{target}"
            words: list[str] = []
            for word in place.split("/"):
                words = words[:-1] if word == ".." else [*words, word]
            found[each.get("Id")] = "/".join(words)
        return found

    def rest(self) -> Said:
        """Names, properties, and the parts that are no sheet's."""
        said = {f"name {each.get('name')}": text(each) for each in self.book.iterfind(f"{MAIN}definedNames/*")}
        said |= {f"{each.tag}": text(each) for each in self.book if not each.tag.endswith(("definedNames", "sheets"))}
        drawn = [name for name in self.archive.namelist() if name.startswith(("xl/drawings/draw", "xl/charts/"))]
        return said | {name: text(etree.fromstring(self.archive.read(name))) for name in drawn}

    def cells(self, part: str) -> Said:
        """A sheet's cells, one by one, and all else that it says."""
        said: Said = {}
        row = 0
        with self.archive.open(part) as file:
            for _, each in etree.iterparse(file, tag=(f"{MAIN}row", f"{MAIN}sheetData"), huge_tree=True):
                if each.tag == f"{MAIN}sheetData":
                    break
                row = int(each.get("r") or row + 1)
                rest = " ".join(f"{key}={value}" for key, value in sorted(each.items()) if key not in ("r", "spans"))
                if rest:
                    said[f"row {row}"] = rest
                for column, cell in enumerate(each, 1):
                    place = cell.get("r") or f"row {row}, cell {column}"
                    look = self.looks[int(cell.get("s", "0"))]
                    said[place] = " ".join([cell.get("t", ""), *map(text, cell), "|", look])
                each.clear()
        whole = etree.fromstring(_without_cells(self.archive.read(part)), etree.XMLParser(huge_tree=True))
        rules: dict[str, list[str]] = {}
        for each in whole:
            if each.tag == f"{MAIN}conditionalFormatting":
                own = sorted(each, key=lambda rule: int(rule.get("priority")))
                rules.setdefault(each.get("sqref"), []).extend(map(self.rule, own))
            elif each.tag == f"{MAIN}hyperlinks":
                said |= {f"link of {link.get('ref')}": text(link) for link in each}
            else:
                said[each.tag.removeprefix(MAIN)] = text(each)
        return said | {f"colours of {place}": " ".join(found) for place, found in rules.items()}

    def rule(self, rule: Element) -> str:
        attributes = {key: value for key, value in sorted(rule.items()) if key not in ("priority", "dxfId")}
        look = self.differing[int(rule.get("dxfId"))] if rule.get("dxfId") else ""
        return " ".join([str(attributes), *map(text, rule), look])


def text(element: Element) -> str:
    """An element in one spelling, whatever its prefixes."""
    own = "".join(f" {key}={value!r}" for key, value in sorted(element.items()))
    children = [text(child) for child in element]
    if element.tag == f"{MAIN}font":
        children.sort()  # in any order they say the same
    inside = (element.text or "") + "".join(children)
    return f"<{element.tag.removeprefix(MAIN)}{own}>{inside}"


def _without_cells(xml: bytes) -> bytes:
    before, _, rest = xml.partition(b"<sheetData>")
    return before + rest.partition(b"</sheetData>")[2]


# The workbooks

SMALL = {"context": 10, "prompt_bytes": 48, "merge_rounds": 6}
CHAT = {"context": 48, "prompt_bytes": 96, "merge_rounds": 12, "chat": "Who is Tom?"}
NO_TEXT = {"ids": (5, 9, 33), "context": 6}
RATHER_ODD = {"n_positions": 9, "n_embd": 15, "n_layer": 3, "n_head": 5, "n_inner": 22, "tie_word_embeddings": False}
MICRO = {"n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_inner": 24}
BANDS = {"n_positions": 32, "n_embd": 24, "n_layer": 2, "n_head": 3, "n_inner": 96}
LAB = {"lanes": 2, "prompt": "the king", "new_tokens": 2}
# name -> config of a random model, or a bundled one; the folder of its tokenizer; arguments of `build`
WORKBOOKS: dict[str, tuple[dict[str, Any] | str, str, dict[str, Any]]] = {
    "ids": ({"vocab_size": 64, **MICRO}, "", NO_TEXT),
    "untied": ({"vocab_size": 37, **RATHER_ODD, "activation_function": "gelu"}, "", {"ids": (36, 0, 0, 7)}),
    "int8": ({"vocab_size": 64, **MICRO}, "", {**NO_TEXT, "weights": "int8"}),
    "untied-int8": ({"vocab_size": 37, **RATHER_ODD}, "", {"ids": (36, 0, 7), "weights": "int8"}),
    "text": ({"vocab_size": 2048, **MICRO}, "stories", {**SMALL, "prompt": "the king", "new_tokens": 3, "seed": 4}),
    "plain": ({"vocab_size": 2048, **MICRO}, "stories", {**SMALL, "prompt": "a", "without": "all", "digits": 3}),
    "chat": ({"vocab_size": 2048, **MICRO, "n_positions": 64}, "stories-chat", CHAT),
    "lab": ({"vocab_size": 2048, **MICRO}, "stories", {**SMALL, **LAB}),
    "lab-ids": ({"vocab_size": 64, **MICRO}, "", {**NO_TEXT, "lanes": 2, "weights": "int8"}),
    "lab-chat": ({"vocab_size": 2048, **MICRO, "n_positions": 64}, "stories-chat", {**CHAT, "lanes": 2}),
    "bands": ({"vocab_size": 20_123, **BANDS}, "", {"ids": (5, 20_122), "context": 4, "sheets": "all"}),
    "stories": ("stories", "", {}),
    "stories-chat": ("stories-chat", "", {}),
    "stories-lab": ("stories", "", {"lanes": 2}),
}


def checkpoint(folder: Path, config: dict[str, Any], words: str) -> Path:
    """A random GPT-2 with the tokenizer of a bundled model, or none."""
    own = {"model_type": "gpt2", **config}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(own), "utf-8")
    generator, endings = np.random.default_rng(5), {"w": ".weight", "g": ".weight", "b": ".bias"}
    tensors = {}
    for name, shape in read_config(folder / "config.json").parameter_shapes().items():
        stem, _, ending = name.rpartition(".")
        theirs = re.sub(r"^h(\d+)\.", r"h.\1.", stem) + endings[ending] if stem else f"{name}.weight"
        tensors[theirs] = (generator.normal(size=shape) * 0.3 + name.endswith(".g")).astype(np.float32)
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, folder / "model.safetensors")
    for file in (BUNDLED / words).glob("*") if words else ():
        if file.name not in ("config.json", "model.safetensors", "README.md"):
            shutil.copy(file, folder)
    return folder


def build(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or WORKBOOKS:
        model, words, arguments = WORKBOOKS[name]
        with tempfile.TemporaryDirectory() as scratch:
            made = model if isinstance(model, str) else checkpoint(Path(scratch, name), model, words)
            sheetgpt.build(replace(load(made), source=name), folder / f"{name}.xlsx", **arguments)
        print(name, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, metavar="FOLDER")
    parser.add_argument("--list", action="store_true", help="the names of the workbooks that --build makes")
    parser.add_argument("words", nargs="*", metavar="OLD NEW | NAME")
    args = parser.parse_args()
    if args.list:
        print("\n".join(WORKBOOKS))
    elif args.build:
        build(args.build, args.words)
    elif len(args.words) == 2:
        old, new = map(Path, args.words)
        both = (
            sorted({path.name for place in (old, new) for path in place.glob("*.xlsx")}) if old.is_dir() else [""]
        )  # "": not a folder
        n = 0
        for name in both:
            one, other = (old / name, new / name) if name else (old, new)
            if not (one.exists() and other.exists()):
                print(f"{name}: only in {old if one.exists() else new}")
                n += 1
                continue
            for line in differences(one, other):
                print(f"{name}: {line}" if name else line)
                n += 1
        print(f"{n} differences in {len(both)} workbooks" if n else f"the same: {', '.join(both) or old.name}")
        sys.exit(1 if n else 0)
    else:
        parser.error("give two workbooks or folders, or --build FOLDER")


if __name__ == "__main__":
    main()
