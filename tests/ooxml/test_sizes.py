"""What somebody else made is read in time and memory in proportion to its size: the worst of what soaks/large.py has.

Growth is told by work that is counted, or by the processor time of a text and of one four times as long: what is
linear takes 4 times as long, what goes through the rest from each place 16 times.
"""

import json
import time
import tracemalloc
from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import large
import pytest
from lxml import etree

from sheetgpt.engines import Step, cached, libreoffice, slow
from sheetgpt.errors import SheetGPTError
from sheetgpt.excel_rules import check
from sheetgpt.excel_rules.columns import filled, reach
from sheetgpt.excel_rules.formula import uses
from sheetgpt.excel_rules.formula.references import Box
from sheetgpt.excel_rules.package.siblings import Positions
from sheetgpt.excel_rules.package.xmlns import parse
from sheetgpt.excel_rules.parts import furniture, runs
from sheetgpt.excel_rules.parts.workbook import MAX_LED_TO
from sheetgpt.gpt2.checkpoints.checkpoint import load
from sheetgpt.ooxml.reading import foreign
from sheetgpt.ooxml.reading.elements import elements
from sheetgpt.text import hugging_face, sheet_limits
from sheetgpt.verification import coverage

NOISE = 0.02  # seconds, below which a busy machine's clock says nothing


def grown(work: Callable[[int], object], n: int) -> float:
    """How many times as long 4n takes as n."""

    def seconds(n: int) -> float:
        found = []
        for _ in range(3):
            start = time.process_time()
            work(n)
            found.append(time.process_time() - start)
            if found[-1] > 0.5:
                break
        return min(found)

    return seconds(4 * n) / max(seconds(n), NOISE)


PATTERNS: dict[str, tuple[Any, str]] = {
    "formulas": (foreign._FORMULA, "<f "),
    "links": (foreign._CLICK, "<hlinkClick "),
    "calls": (foreign._PERHAPS[b"CUBE"], "CUBE"),
    "cells": (coverage._FORMULA, "<c "),
    "cells of one tag": (coverage._FORMULA, ' r="A1"'),
    "uses: sheets": (uses._USE, "''"),
    "uses: names": (uses._USE, "a?"),
    "relative": (filled._RELATIVE, "''"),
    "abroad": (reach._ABROAD, "''"),
    "abroad without quotes": (reach._ABROAD, "a."),
    "runs": (runs._COLUMN, "''"),
}


@pytest.mark.parametrize("kind", PATTERNS)
def test_a_pattern_goes_through_a_text_once(kind: str) -> None:
    pattern, piece = PATTERNS[kind]
    begin = "<c" if kind == "cells of one tag" else "'" if "'" in piece else ""
    end = "(" if kind == "uses: names" else ""

    def search(n: int) -> None:
        text = begin + piece * n + end
        for _ in pattern.finditer(text.encode() if isinstance(pattern.pattern, bytes) else text):
            pass

    assert grown(search, 4_000) < 8


def test_elements_that_nobody_wants_take_no_memory() -> None:
    data = b"<workbook><sheets><sheet/></sheets>" + b"<a/>" * 200_000 + b"</workbook>"
    tracemalloc.start()
    found = [item.path for item in elements([data], ["sheets/sheet"])]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == ["sheets/sheet"]
    assert peak < 4 * len(data)


def test_elements_have_their_own_text_and_attributes() -> None:
    data = b'<w xmlns:r="x"><n><d a="1" r:b="2">one<e>no</e>&amp;<![CDATA[two]]></d></n><m c="3"/><m/><d>no</d></w>'
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        found = [(item.path, item.attributes, item.text) for item in elements(pieces, ["n/d", "*"])]
        assert found == [("n/d", {"a": "1", "x}b": "2"}, "one&two"), ("m", {"c": "3"}, "")]


def test_a_sheets_title_is_compared_with_none_before_it(plain_workbook: Path, tmp_path: Path) -> None:
    def package(n: int) -> None:
        parts = large.parts_of(plain_workbook)
        large.sheets_without_a_part(parts, n)
        large.write(tmp_path / "many.xlsx", parts)
        cached.package(tmp_path / "many.xlsx")

    assert grown(package, 1_500) < 8


def changed(workbook: Path, target: Path, change: Callable[[large.Parts, int], None], n: int) -> Path:
    parts = large.parts_of(workbook)
    change(parts, n)
    large.write(target, parts)
    return target


def test_the_validator_counts_siblings_once(plain_workbook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = etree.fromstring("<x>" + "<a/><b/>" * 500 + "<a><a/></a>" + "</x>")
    ours, everything = Positions(), list(tree.iter())
    for _ in range(2):  # it walks by twice
        for element in everything:
            assert ours.of(element) == 1 + len(list(element.itersiblings(element.tag, preceding=True)))
    assert ours.steps < 5 * len(everything)
    asked, by_ours = count(), Positions.of
    monkeypatch.setattr(Positions, "of", lambda self, element: next(asked) * 0 + by_ours(self, element))
    assert not check(plain_workbook)
    assert next(asked) > 1_000  # the package asks by the name that it has in this version


@pytest.mark.parametrize("kind", [large.names_in_a_lattice, large.names_in_a_chain])
def test_names_that_lead_to_names_without_end_are_named(
    kind: Callable[[large.Parts, int], None], plain_workbook: Path, tmp_path: Path
) -> None:
    """2 to the power of 200 ways; and 3,000 names deep, where recursion would end in its limit."""
    n = 200 if kind is large.names_in_a_lattice else 3_000
    said = [str(problem) for problem in check(changed(plain_workbook, tmp_path / "names.xlsx", kind, n))]
    assert any(f"leads to more than {MAX_LED_TO} ranges or other names" in words for words in said)


def test_merged_ranges_that_overlap_are_found_without_comparing_all(monkeypatch: pytest.MonkeyPatch) -> None:
    random, n_overlaps = Random(0), 0
    for _ in range(300):
        boxes = []
        for _ in range(random.randint(1, 5)):
            left, top = random.randint(1, 12), random.randint(1, 12)
            boxes.append(Box(left, top, left + random.randint(0, 3), top + random.randint(0, 3)))
        meets = any(a.meets(b) for i, a in enumerate(boxes) for b in boxes[:i])
        assert any(furniture._overlapping([(box, "x") for box in boxes])) == meets
        n_overlaps += meets
    assert 50 < n_overlaps < 250
    asked, meets_one = count(), Box.meets
    monkeypatch.setattr(Box, "meets", lambda self, other: next(asked) >= 0 and meets_one(self, other))
    side_by_side = [(Box(2 * i % 100 + 1, i, 2 * i % 100 + 2, i + 40), "x") for i in range(1, 2_000)]
    assert not list(furniture._overlapping(side_by_side))
    assert next(asked) <= 2 * len(side_by_side)


def test_cells_that_lead_to_and_fro_are_not_followed_for_hours(
    plain_workbook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "ANY_STEPS", 100_000)
    monkeypatch.setattr(reach, "STEPS_A_FORMULA", 1)
    said = "in too many ways to follow"
    assert not check(plain_workbook)
    problems = check(changed(plain_workbook, tmp_path / "zigzag.xlsx", large.zigzag, 800))
    assert any(said in str(problem) for problem in problems)


def test_a_formula_cannot_fill_more_cells_than_the_sheet_has(plain_workbook: Path, tmp_path: Path) -> None:
    def liars(parts: large.Parts, n: int) -> None:
        row = '<row r="{0}"><c r="A{0}"><f t="shared" si="{0}" ref="A{0}:XFD{0}">1+1</f><v>2</v></c></row>'
        large.before(parts, large.SHEET, "</sheetData>", large.each(n, lambda i: row.format(i + 2000)))

    said = [str(problem) for problem in check(changed(plain_workbook, tmp_path / "liars.xlsx", liars, 40))]
    assert any("16,384 cells, more than the sheet has" in words for words in said)


def test_no_element_has_thousands_of_attributes(plain_workbook: Path, tmp_path: Path) -> None:
    said = [str(p) for p in check(changed(plain_workbook, tmp_path / "attributes.xlsx", large.attributes, 3_000))]
    assert any("an element has more than 2,000 attributes" in words for words in said)
    with pytest.raises(ValueError, match="attributes"):
        parse(b"<a " + large.each(3_000, lambda i: f"a{i}=\n'1' ") + b"/>")


def before_then(token: str, early: set[str]) -> set[str]:
    """`sheet_limits._found_before` as it reads: every part of the token, every beginning of every other one."""
    found = {token[i:j] for i in range(len(token)) for j in range(i + 1, len(token) + 1)} & early
    longer = tuple(other for other in early if len(other) > len(token))
    for n in range(1, len(token)):
        overlap = {other for other in early if other.startswith(token[n:])}
        found |= {other for other in overlap if not (token[:n] + other).startswith(longer)}
    return found


def test_added_tokens_overlap_as_they_would_by_trying_all() -> None:
    random, n_found = Random(1), 0
    for _ in range(2_000):
        words = {"".join(random.choices("ab", k=random.randint(1, 5))) for _ in range(random.randint(2, 6))}
        token, *others = sorted(words, key=lambda word: random.random())
        found = set(sheet_limits._found_before(token, sorted(others), count()))
        assert found == before_then(token, set(others)), (token, others)
        n_found += bool(found)
    assert 500 < n_found < 1_900


def test_too_many_added_tokens_are_refused_before_anything_is_made_of_them(
    write_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_checkpoint()
    large.added_tokens_file(folder, 4)
    load(folder)
    monkeypatch.setattr(hugging_face, "MAX_ADDED", 3)
    monkeypatch.setattr(hugging_face, "described", None)
    with pytest.raises(SheetGPTError, match=r"added_tokens\.json has 4 added tokens; no GPT-2 model needs more than 3"):
        load(folder)


WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "truncation": lambda c: c.update(truncation=7),
    "padding": lambda c: c.update(padding="x"),
    "version": lambda c: c.update(version="2.0"),
    "decoder": lambda c: c.update(decoder={"type": "ByteLevel", "trim_offsets": "yes"}),
    "special": lambda c: c["added_tokens"][0].update(special="yes"),
    "normalizer": lambda c: c.update(normalizer=0),
    "use_regex": lambda c: c["pre_tokenizer"].update(use_regex=1),
    "unk_token": lambda c: c["model"].update(unk_token=7),
    "dropout": lambda c: c["model"].update(dropout=False),
}


def tokenizer_json(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    vocab, lines = json.loads((folder / "vocab.json").read_text()), (folder / "merges.txt").read_text().splitlines()
    model = {"type": "BPE", "vocab": vocab, "merges": [line for line in lines if not line.startswith("#")]}
    added = [{"id": 0, "content": "<|endoftext|>"}]
    content = {"pre_tokenizer": {"type": "ByteLevel"}, "model": model, "added_tokens": added}
    change(content)
    (folder / "tokenizer.json").write_text(json.dumps(content))


@pytest.mark.parametrize("kind", WRONG)
def test_the_library_has_the_last_word_on_a_tokenizer_json(kind: str, write_checkpoint: Callable[..., Path]) -> None:
    folder = write_checkpoint()
    tokenizer_json(folder, lambda content: None)
    load(folder)  # with what files made by hand leave out
    tokenizer_json(folder, WRONG[kind])
    with pytest.raises(SheetGPTError, match=r"tokenizer.json is damaged: the tokenizers library.* says .*\."):
        load(folder)


def hyperlink_everywhere(parts: large.Parts, n: int) -> None:
    large.after_rows(parts, b'<hyperlinks><hyperlink ref="A1:XFD1048576" location="Home!A1"/></hyperlinks>')


def array_everywhere(parts: large.Parts, n: int) -> None:
    row = b'<row r="2000"><c r="A2000"><f t="array" ref="A2000:XFD1048576">1+1</f><v>0</v></c></row>'
    large.before(parts, large.SHEET, "</sheetData>", row)


@pytest.mark.parametrize(
    ("change", "n", "words"),
    [
        (large.formats, 40_001, "'Home' has 40,0.. conditional formats"),
        (large.validations, 10_100, "data validations"),
        (large.links, 60_001, "hyperlinks"),
        (hyperlink_everywhere, 1, "cells with a hyperlink"),
        (array_everywhere, 1, "17,147,117,568 cells of array formulas"),
    ],
)
def test_what_keeps_libreoffice_busy_is_named_before_it_starts(
    change: Callable[[large.Parts, int], None],
    n: int,
    words: str,
    plain_workbook: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def started(*_: object) -> object:
        raise AssertionError("LibreOffice was started")

    monkeypatch.setattr(libreoffice, "lent", started)
    book = changed(plain_workbook, tmp_path / "busy.xlsx", change, n)
    with pytest.raises(SheetGPTError, match=words):
        libreoffice.run(book, [Step({}, ["logits"])])
    for patient in (plain_workbook, 600), (book, slow.PATIENT + 1):
        with pytest.raises(AssertionError, match="was started"):
            libreoffice.run(patient[0], [Step({}, ["logits"])], timeout=patient[1])
