"""Excel's rules, checked without Excel: `check(workbook)` walks every part of the package and names what is broken.

One module a kind of part: `package` (zip, content types, relationships), `workbook` (sheets, names), `styles`,
`sheet` and `furniture` (cells and what stands around them), `formulas`, `causality` (formulas in the columns that are
positions), `charts`, `schema` and `declared` (what stands where).
"""

import os
import zipfile
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from sheetgpt.excel_rules.book import Book
from sheetgpt.excel_rules.columns.causality import Causality
from sheetgpt.excel_rules.columns.directions import directions_problems
from sheetgpt.excel_rules.columns.positions import positions_problems
from sheetgpt.excel_rules.formula.formulas import FormulaCheck
from sheetgpt.excel_rules.package.declared import declared_problems
from sheetgpt.excel_rules.package.schema import schema_problems
from sheetgpt.excel_rules.package.xmlns import MAIN, Element
from sheetgpt.excel_rules.package.zipped import (
    DOCUMENT,
    TYPES_PART,
    Relations,
    content_types,
    link_problems,
    open_package,
    orphan_problems,
    read_parts,
    relations,
    root_problems,
    table_problems,
    zip_problems,
)
from sheetgpt.excel_rules.parts.charts import drawing_problems
from sheetgpt.excel_rules.parts.furniture import furniture_problems
from sheetgpt.excel_rules.parts.sheet import SheetScan, string_problems
from sheetgpt.excel_rules.parts.styles import style_problems
from sheetgpt.excel_rules.parts.workbook import read_book, sheet_titles, string_texts, workbook_problems
from sheetgpt.excel_rules.problem import Problem
from sheetgpt.ooxml.reading.unzip import READ_ERRORS, chunks

__all__ = ["Problem", "check"]


def check(workbook: str | os.PathLike[str]) -> list[Problem]:
    """Every broken rule, sheet by sheet; empty for a sound workbook. A file that is no zip is a SheetGPTError."""
    workbook = Path(workbook)
    with open_package(workbook) as archive:
        problems = list(zip_problems(workbook, archive))
        trees, unreadable = read_parts(archive)
        parts = [name for name in archive.namelist() if not name.endswith("/")]
        kinds, wrong_types = content_types(trees.get(TYPES_PART), parts)
        links, wrong_links = relations(trees, dict.fromkeys(parts, "") | kinds)
        problems += unreadable + wrong_types + wrong_links
        problems += root_problems(trees, kinds)
        for part, tree in trees.items():
            if part == TYPES_PART or part.endswith(".rels"):
                problems += table_problems(part, tree)
        problems += orphan_problems(parts, links)
        problems += link_problems(trees, links)
        main = next((goal for kind, goal in links.get("", {}).values() if kind == DOCUMENT), "")
        if main not in trees or trees[main].tag != MAIN + "workbook":
            return [*problems, Problem(main, "", "The package has no workbook part that can be read.")]
        titles = sheet_titles(trees[main], links.get(main, {}))
        problems += _contents(archive, trees, links, main, titles)
    named = [replace(p, part=titles.get(p.part, p.part)) for p in problems]
    return list(dict.fromkeys(named))


def _contents(
    archive: zipfile.ZipFile, trees: Mapping[str, Element], links: Relations, main: str, titles: dict[str, str]
) -> Iterator[Problem]:
    own = {kind.rpartition("/")[2]: goal for kind, goal in links.get(main, {}).values()}
    styles, strings = trees.get(own.get("styles", "")), trees.get(own.get("sharedStrings", ""))
    book = read_book(titles, trees[main], styles, strings)
    formulas = FormulaCheck(book)
    for where, rule in workbook_problems(trees[main], links.get(main, {}), titles, formulas):
        yield Problem(main, where, rule)
    for where, rule in (*positions_problems(book.names, titles.values()), *directions_problems(book.names)):
        yield Problem(main, where, rule)
    if styles is not None:
        yield from (Problem(own["styles"], where, rule) for where, rule in style_problems(styles))
    if strings is not None:
        for i, text in string_texts(strings):
            yield from (Problem(own["sharedStrings"], f"string {i}", rule) for rule in string_problems(text))
    for part, tree in trees.items():
        if part.startswith(("xl/charts/", "xl/drawings/")) and part.endswith(".xml"):
            yield from (Problem(part, where, rule) for where, rule in drawing_problems(tree, formulas))
    skeletons: dict[str, Element] = {}
    causality = Causality(book)
    for part, title in titles.items():
        yield from _sheet(archive, part, title, book, formulas, causality, skeletons)
    yield from causality.round_about()
    yield from link_problems(skeletons, links)
    for part, tree in (*trees.items(), *skeletons.items()):
        yield from (Problem(part, where, rule) for where, rule in declared_problems(tree))
    yield from schema_problems(archive, skeletons)


def _sheet(
    archive: zipfile.ZipFile,
    part: str,
    title: str,
    book: Book,
    formulas: FormulaCheck,
    causality: Causality,
    skeletons: dict[str, Element],
) -> Iterator[Problem]:
    """One worksheet; its skeleton goes into `skeletons` for the checks of the package as a whole."""
    try:
        deque(chunks(archive, part), maxlen=0)  # whether it unpacks to what it says
        with archive.open(part) as stream:
            scan = SheetScan(title, stream, book, formulas, causality)
    except KeyError:
        return  # the relationship without a target is reported already
    except READ_ERRORS as error:
        yield Problem(title, "", f"The sheet can't be unpacked: {error}.")
        return
    yield from scan.problems
    if scan.skeleton is not None:
        skeletons[part] = scan.skeleton
        for where, rule in furniture_problems(scan.skeleton, scan.used, book, formulas):
            yield Problem(title, where, rule)
