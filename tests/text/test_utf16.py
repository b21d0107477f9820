"""The tokenizer's formulas where text is counted in UTF-16, as Excel counts it: an emoji is two units long.

Excel itself can't run here. The package `formulas` computes the Tokenizer sheet with LEN, MID and UNICODE of that kind.
Some engines' UNICODE raises where a character is halved, and not only in that cell: it is never asked to.
"""

import functools
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from formulas.functions import get_functions, wrap_ufunc
from formulas.functions.text import _kw0, _kw1
from text_now import TextNow

from sheetgpt.engines import Cells, formulas
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.writing.book import Book
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.style.palette import PLAIN, registered
from sheetgpt.sheets.text import decoding
from sheetgpt.sheets.text.columns import Sizes
from sheetgpt.sheets.text.pages import Text
from sheetgpt.sheets.text.tokenizer import FINE
from sheetgpt.text import bpe
from sheetgpt.text.shown import token_strings
from sheetgpt.text.tokenizer import Tokenizer, byte_to_unicode
from sheetgpt.verification.compare import compare, expected, results
from sheetgpt.workbook.build import add

CAPACITY = 16
HALF = "\ud83d"
TEXTS = ("a😀the", "😀𝒳é日", "<😀>a<😀>")
READ = ["tokenizer_ids", "tokenizer_message", "Tokenizer!D5:E5"]


def units(text: str) -> list[str]:
    """A text's UTF-16 units, halves of characters as Python has them."""
    data = text.encode("utf-16-le", "surrogatepass")
    return [data[i : i + 2].decode("utf-16-le", "surrogatepass") for i in range(0, len(data), 2)]


def whole(pieces: list[str]) -> str:
    return "".join(pieces).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    merges = [("t", "h"), ("th", "e")]
    tokens = [*byte_to_unicode().values(), *(a + b for a, b in merges)]
    return Tokenizer({token: i for i, token in enumerate(tokens)}, merges, {"<😀>": len(tokens)})


def tables_of(tokenizer: Tokenizer) -> bpe.Tables:
    """With the kinds of ASCII and of the texts' characters; most of the package's time goes into the other 1,500."""
    whole = bpe.Tables.of(tokenizer)
    places = {bisect_right(whole.kind_starts, ord(c)) - 1 for c in {*map(chr, range(128)), *"".join(TEXTS), HALF}}
    kept = [i for i in range(len(whole.kind_starts)) if i in places or i - 1 in places]
    starts, kinds = ([column[i] for i in kept] for column in (whole.kind_starts, whole.kinds))
    return replace(whole, kind_starts=starts, kinds=kinds)


def sheets_of(tokenizer: Tokenizer) -> Text:
    shown = Area("Vocabulary", 1, 1, tokenizer.n_vocab)
    back = decoding.page(Area("Home", 2, 1), shown, shown)  # not asked for here
    return Text.between(Sizes(tables_of(tokenizer), CAPACITY, 3), Area("Home", 1, 1), shown, back)


@pytest.fixture(scope="module")
def workbook(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Tokenizer sheet with a prompt in Home!A1, and what it looks up."""
    shown = token_strings(tokenizer, tokenizer.n_vocab)[0]
    n = len(shown)
    book = Book("Tokenizer")
    book.add(book.frame("Home"), lambda: [rows.row(1, rows.text(1, "the"))], "A1", 1)
    palette, sheets = registered(book), sheets_of(tokenizer)
    now = TextNow(bpe.run("the", sheets.sizes.tables, CAPACITY, 3), shown)
    for page in (sheets.tokenizer, sheets.merges, sheets.characters):
        add(book, page.sheet(now, palette))
    cells = [rows.row(i, rows.text(1, token)) for i, token in enumerate(shown, 1)]
    book.add(book.frame("Vocabulary"), lambda: cells, f"A{n}", n)
    path = tmp_path_factory.mktemp("utf16") / "tokenizer.xlsx"
    book.save(path)
    return path


Computed = Callable[[str], tuple[dict[str, Cells | None], list[str]]]


@pytest.fixture(scope="module")
def computed(workbook: Path, tokenizer: Tokenizer) -> Iterator[Computed]:
    """The three sheets for a text, and what UNICODE was asked for that holds half a character; each text once."""
    areas = [sheet.area.reference for sheet in twins(tokenizer, "")]
    with pytest.MonkeyPatch.context() as patch:
        halved = excels_functions(patch)
        model = formulas.compiled(workbook, {}, {})  # once: it takes twice as long as to compute
        prompt = next(name for name in model.cells if name.endswith("HOME'!A1"))

        @functools.cache
        def compute(text: str) -> tuple[dict[str, Cells | None], list[str]]:
            halved.clear()
            solution = model.calculate(inputs={prompt: text})
            patch.setattr(formulas, "_values", lambda *_: formulas.found_in(model, solution))
            return formulas.recalculate(workbook, {}, [*READ, *areas]), [*halved]

        yield compute


def excels_functions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Puts them into the package; what UNICODE is then asked for that holds half a character."""
    found = []

    def unicode(text: Any) -> int:
        first = str(text)[0]
        if any("\ud800" <= c <= "\udfff" for c in str(text)):
            found.append(str(text))
            raise ValueError("half a character")
        return ord(first)

    def mid(text: Any, start: Any, n: Any) -> str:
        return whole(units(str(text))[int(start) - 1 : int(start) - 1 + int(n)])

    def put(names: tuple[str, ...], function: Callable[..., Any], like: dict[str, Any]) -> None:
        for name in names:
            monkeypatch.setitem(get_functions(), name, wrap_ufunc(function, **like))

    as_given = {"args_parser": lambda *a: a, "input_parser": lambda *a: a}
    put(("UNICODE", "_XLFN.UNICODE"), unicode, as_given)
    put(("LEN",), lambda text: len(units(text)), _kw1)
    put(("MID",), mid, _kw0)
    return found


def test_characters_of_two_units_are_read_whole(computed: Computed, tokenizer: Tokenizer) -> None:
    for text in TEXTS:
        found, halved = computed(text)
        cells, message, counted = (found[key] for key in READ)
        assert cells
        assert message
        assert counted
        assert counted.numbers.tolist() == [[len(units(text)), 2]]  # the functions are those of above
        assert message.texts[0, 0] == FINE, text
        assert cells.numbers[~np.isnan(cells.numbers)].tolist() == tokenizer.encode(text), text
        assert not halved


def test_half_a_character_in_the_prompt_is_named(computed: Computed) -> None:
    found, halved = computed(f"a{HALF}b")
    message = found["tokenizer_message"]
    assert message
    assert "half" in message.texts[0, 0]
    assert halved


def twins(tokenizer: Tokenizer, text: str) -> list[Sheet]:
    """What the sheets must hold for a text in a program that counts in UTF-16."""
    shown = token_strings(tokenizer, tokenizer.n_vocab)[0]
    sheets = sheets_of(tokenizer)
    now = TextNow(bpe.run(text, sheets.sizes.tables, CAPACITY, 3).in_utf16(), shown)
    return [page.sheet(now, PLAIN) for page in (sheets.tokenizer, sheets.merges, sheets.characters)]


def test_the_twins_follow(computed: Computed, tokenizer: Tokenizer) -> None:
    """Every cell of the three sheets: positions, lengths, the characters of an added token."""
    for text in (*TEXTS, "x" * 14 + "😀y"):
        sheets = twins(tokenizer, text)
        found, halved = computed(text)
        for sheet in sheets:
            cells = found[sheet.area.reference]
            assert cells
            compared = compare(sheet, cells)
            red = [result.cells for result in results(compared, 5) if not result.passed]
            assert red == [], (text, sheet.title)
        assert not halved


def test_bpe_by_hand_counts_in_units(tokenizer: Tokenizer) -> None:
    """Where each character of the UTF-8 example stands; the merges' letters are characters, whatever their width."""
    sheets = sheets_of(tokenizer)
    read, texts = bpe.run("the", sheets.sizes.tables, CAPACITY, 3), ("a😀a😀", "a😀b😀😀c")
    each = [TextNow(found, (), by_hand=texts) for found in (read, read.in_utf16())]
    points, wide = (expected(sheets.by_hand.sheet(now, PLAIN)).numbers for now in each)
    row, first = sheets.by_hand["place"].row - 1, sheets.by_hand["place"].column - 1
    assert points[row, first : first + 6].tolist() == [1, 2, 3, 4, 5, 6]
    assert wide[row, first : first + 6].tolist() == [1, 2, 4, 5, 7, 9]
    points[row], wide[row] = 0, 0
    assert np.array_equal(points, wide, equal_nan=True)
