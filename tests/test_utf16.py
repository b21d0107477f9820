"""The tokenizer's formulas where text is counted in UTF-16, as Excel counts it: an emoji is two units long.

Excel itself can't run here. The package `formulas` computes the Tokenizer sheet with LEN, MID and UNICODE of that kind.
Some engines' UNICODE raises where a character is halved, and not only in that cell: it is never asked to.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from formulas.functions import get_functions, wrap_ufunc
from formulas.functions.text import _kw0, _kw1

from sheetgpt.engines import formulas
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.book import Book
from sheetgpt.sheets import tokenizer as tokenizer_sheet
from sheetgpt.sheets import tokenizer_tables
from sheetgpt.sheets.palette import registered
from sheetgpt.sheets.tokenizer import FINE
from sheetgpt.sheets.tokenizer_layout import TokenizerLayout
from sheetgpt.sheets.vocabulary import token_strings
from sheetgpt.text import bpe
from sheetgpt.text.tokenizer import Tokenizer, byte_to_unicode
from sheetgpt.workbook.build import add

CAPACITY = 16
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


@pytest.fixture(scope="module")
def workbook(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Tokenizer sheet with a prompt in Home!A1, and what it looks up."""
    shown = token_strings(tokenizer, tokenizer.n_vocab)[0]
    tables, n = bpe.Tables.of(tokenizer), len(shown)
    layout = TokenizerLayout(tables, Area("Home", 1, 1), Area("Vocabulary", 1, 1, n), CAPACITY, 3)
    book = Book("Tokenizer")
    book.add(book.frame("Home"), lambda: [rows.row(1, rows.text(1, "the"))], "A1", 1)
    palette, read = registered(book), bpe.run("the", tables, CAPACITY, 3)
    add(book, tokenizer_sheet.sheet(layout, palette, "the", read, shown))
    for made in tokenizer_tables.sheets(layout, palette, shown):
        add(book, made)
    cells = [rows.row(i, rows.text(1, token)) for i, token in enumerate(shown, 1)]
    book.add(book.frame("Vocabulary"), lambda: cells, f"A{n}", n)
    path = tmp_path_factory.mktemp("utf16") / "tokenizer.xlsx"
    book.save(path)
    return path


@pytest.fixture
def halved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Excel's functions in the package; what UNICODE was asked for that holds half a character."""
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


def test_characters_of_two_units_are_read_whole(workbook: Path, tokenizer: Tokenizer, halved: list[str]) -> None:
    for text in TEXTS:
        found = formulas.recalculate(workbook, {"Home!A1": text}, READ)
        cells, message, counted = (found[key] for key in READ)
        assert cells
        assert message
        assert counted
        assert counted.numbers.tolist() == [[len(units(text)), 2]]  # the functions are those of above
        assert message.texts[0, 0] == FINE, text
        assert cells.numbers[~np.isnan(cells.numbers)].tolist() == tokenizer.encode(text), text
    assert not halved


def test_half_a_character_in_the_prompt_is_named(workbook: Path, halved: list[str]) -> None:
    found = formulas.recalculate(workbook, {"Home!A1": "a\ud83db"}, READ)
    message = found["tokenizer_message"]
    assert message
    assert "half" in message.texts[0, 0]
    assert halved
