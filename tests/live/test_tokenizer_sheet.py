"""The tokenizer's sheets, live in LibreOffice: ids and every column against their twins in Python, text from ids."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from text_now import TextNow
from texts import typed

from sheetgpt.engines import Cells, Step, libreoffice
from sheetgpt.excel_rules import check
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.writing.book import Book
from sheetgpt.sheets.block import Block, laid_out
from sheetgpt.sheets.inputs import cell_text
from sheetgpt.sheets.page import Page
from sheetgpt.sheets.style.palette import registered
from sheetgpt.sheets.text import decoding
from sheetgpt.sheets.text.bpe_by_hand import ROUNDS as ROUNDS_BY_HAND
from sheetgpt.sheets.text.columns import Sizes
from sheetgpt.sheets.text.pages import Text
from sheetgpt.sheets.text.tokenizer import FINE, messages
from sheetgpt.sheets.text.utf8_by_hand import WIDTH
from sheetgpt.text import bpe
from sheetgpt.text.shown import token_strings
from sheetgpt.text.tokenizer import Tokenizer, byte_to_unicode
from sheetgpt.workbook.build import add

CAPACITY, ROUNDS, TOKENS = 40, 5, 12
START = "the thethe"
TEXTS = (
    *(
        "",
        "a",
        " ",
        "the",
        " the the",
        "hello there",
        "thethethe",
        "ththe the",
        "  the",
        "the  ",
        " \n the\t",
        "a\n\tb",
        "a↵\t↵↵the\n↵",
        "↵",
    ),
    *("it's they're I'll 'tis ''s 's't", "'S 'r 'l", "x1y22 3.14½", "é日本👍", "👩‍👧a", "e\u0301", "\u00a0the\u3000x"),
    *("<|endoftext|>", "the<|endoftext|> the", "  <|endoftext|>  ", "<|endoftext|", "x<pad>y", "x<pad><pad>+y", "<pad"),
    *("x" * CAPACITY, "x" * (CAPACITY + 1), "é" * 20, "é" * 20 + "a", "👍" * 10, "👍" * 11, "a" + "€" * 13 + "é"),
    *("=1+1", "'", "\ufeffa", "\x01\x1f", "aaaabbbbccccdddd", "abcdefghij"),
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("a", "a"), ("aa", "aa"), ("h", "e"), ("the", "the")]
    merges += [("a", "b"), ("ab", "c"), ("abc", "d"), ("abcd", "e"), ("abcde", "f"), ("abcdef", "g")]
    tokens = [*byte_to_unicode().values(), *(a + b for a, b in merges)]
    added = {"<|endoftext|>": len(tokens), "<pad>": len(tokens) + 1, "<pad>+": len(tokens) + 2}
    return Tokenizer({token: i for i, token in enumerate(tokens)}, merges, added)


def sheets_of(tokenizer: Tokenizer, rounds: int = ROUNDS) -> Text:
    shown, hexes = (Area("Vocabulary", 1, column, tokenizer.n_vocab) for column in (1, 2))
    back = decoding.page(Area("Home", 2, 1, 1, TOKENS), shown, hexes, capacity=CAPACITY)
    return Text.between(Sizes(bpe.Tables.of(tokenizer), CAPACITY, rounds), Area("Home", 1, 1), shown, back)


@pytest.fixture(scope="module")
def sheets(tokenizer: Tokenizer) -> Text:
    return sheets_of(tokenizer)


@pytest.fixture(scope="module")
def workbook(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer, sheets: Text) -> Path:
    """Home with a prompt in A1 and ids below it, the tokenizer's sheets, and what they look up."""
    book = Book("Tokenizer")
    home, palette, shown = book.frame("Home"), registered(book), token_strings(tokenizer, tokenizer.n_vocab)[0]
    hexes = [tokenizer.token_bytes(i).hex().upper() for i in range(tokenizer.n_vocab)]
    ids = tokenizer.encode(START)
    lines = rows.row(1, rows.text(1, START)), rows.row(2, rows.numbers(1, np.array(ids)))
    book.add(home, lambda: lines, "L2", TOKENS)
    now = TextNow(bpe.run(START, sheets.sizes.tables, CAPACITY, ROUNDS), shown, hexes, ids)
    for page in (sheets.tokenizer, sheets.merges, sheets.characters, sheets.decoding, sheets.by_hand):
        add(book, page.sheet(now, palette))
    entries = list(enumerate(zip(shown, hexes, strict=True), 1))
    cells = [rows.row(n, rows.text(1, a), rows.text(2, b)) for n, (a, b) in entries]
    book.add(book.frame("Vocabulary"), lambda: cells, f"B{len(cells)}", 2 * len(cells))
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.xlsx"
    book.save(path)
    return path


def value(cells: Cells | None, row: int, column: int) -> float | str:
    """The cell at row and column, which count from 0; blank is the empty text."""
    assert cells
    number = cells.numbers[row, column]
    return cells.texts.get((row, column), "") if np.isnan(number) else float(number)


def columns_of(page: Page) -> list[tuple[Block, Area]]:
    """Those with a formula a byte."""
    first = page["row"].row
    return [(block, area) for block, area in page.blocks if area.row == first and block.formula]


def whole(page: Page) -> str:
    """All columns, those of groups of added tokens, too."""
    first, last = page["row"], columns_of(page)[-1][1]
    area = Area(first.sheet, first.row, first.column, CAPACITY, last.column)
    return f"{area.sheet}!{area.cells}"


def different(cells: Cells | None, page: Page, trace: bpe.Trace, shown: Sequence[str]) -> list[str]:
    """Where the sheet's columns are not the twin's."""
    wrong = []
    for block, area in columns_of(page):
        wanted = laid_out(block.twin(TextNow(trace, shown)), block.n_rows, 1, "")
        found = [value(cells, i, area.column - 1) for i in range(CAPACITY)]
        wrong += [f"{block.name} of byte {i + 1}" for i in range(CAPACITY) if found[i] != wanted[i][0]]
    return wrong


def test_every_text_gives_the_references_ids_or_says_why_not(
    workbook: Path, tokenizer: Tokenizer, sheets: Text
) -> None:
    read = ["tokenizer_ids", "tokenizer_n_tokens", "tokenizer_message", whole(sheets.tokenizer)]
    shown = token_strings(tokenizer, tokenizer.n_vocab)[0]
    answers = libreoffice.run(workbook, [Step({"Home!A1": typed(text)}, read) for text in TEXTS])
    said = set()
    for text, answer in zip(TEXTS, answers, strict=True):
        text = cell_text(text)
        trace = bpe.run(text, sheets.sizes.tables, CAPACITY, ROUNDS)
        ids = [value(answer["tokenizer_ids"], i, 0) for i in range(CAPACITY)]
        message = str(value(answer["tokenizer_message"], 0, 0))
        wanted = trace.ids if message != FINE else tokenizer.encode(text)
        assert ids == [*wanted, *[""] * (CAPACITY - len(wanted))], text
        assert value(answer["tokenizer_n_tokens"], 0, 0) == len(wanted), text
        assert different(answer[whole(sheets.tokenizer)], sheets.tokenizer, trace, shown) == [], text
        said.add(message)
    assert said == {messages(sheets.sizes)[i] for i in (0, 1, 2, 5)}


def test_edits_give_what_a_recalculation_from_scratch_gives(workbook: Path, sheets: Text) -> None:
    rng, steps = random.Random(4), []
    for _ in range(15):
        text = "".join(
            rng.choice(["the", " ", "a", "'s", "é", "\n", "↵", "1", "<pad>", "!"]) for _ in range(rng.randrange(12))
        )
        steps += [
            Step({"Home!A1": typed(text)}, [whole(sheets.tokenizer)], hard=False),
            Step({}, [whole(sheets.tokenizer)]),
        ]
    answers = [answer[whole(sheets.tokenizer)] for answer in libreoffice.run(workbook, steps)]
    for soft, hard in zip(answers[::2], answers[1::2], strict=True):
        assert soft
        assert hard
        assert soft.texts == hard.texts
        np.testing.assert_array_equal(soft.numbers, hard.numbers)


def test_no_formula_fills_down(sheets: Text) -> None:
    """LibreOffice would group such formulas and may then show stale numbers."""
    for block, _ in columns_of(sheets.tokenizer):
        assert block.formula
        formulas = [block.formula(i, 0) for i in range(CAPACITY)]
        assert formulas[6].replace("$16", "$17").replace("$15", "$16") != formulas[6]
        assert len({*formulas[1:-1]}) == CAPACITY - 2, block.name


def test_many_added_tokens_are_looked_for_in_several_columns(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A formula has 8,192 characters at most; here it may look for two tokens."""
    monkeypatch.setattr(bpe, "GROUP", 2)
    sheets = sheets_of(tokenizer, 3)
    shown = token_strings(tokenizer, tokenizer.n_vocab)[0]
    book, now = Book("Tokenizer"), TextNow(bpe.run(START, sheets.sizes.tables, CAPACITY, 3), shown)
    home, palette = book.frame("Home"), registered(book)
    book.add(home, lambda: (rows.row(1, rows.text(1, START)),), "A1", 1)
    for page in (sheets.tokenizer, sheets.merges, sheets.characters):
        add(book, page.sheet(now, palette))
    cells = [rows.row(n, rows.text(1, name)) for n, name in enumerate(shown, 1)]
    book.add(book.frame("Vocabulary"), lambda: cells, f"A{len(cells)}", len(cells))
    book.save(tmp_path / "many.xlsx")
    texts = ("x<pad>y", "x<pad><pad>+y", "<|endoftext|><pad>+", "<pad")
    names = [f"Tokenizer!{sheets.tokenizer[f'group {g}'].cells}" for g in range(2)]
    steps = [Step({"Home!A1": text}, [whole(sheets.tokenizer), *names]) for text in texts]
    for text, answer in zip(texts, libreoffice.run(tmp_path / "many.xlsx", steps), strict=True):
        trace = bpe.run(text, sheets.sizes.tables, CAPACITY, 3)
        assert different(answer[whole(sheets.tokenizer)], sheets.tokenizer, trace, shown) == [], text
        for name, column in zip(names, trace.groups, strict=True):
            assert [value(answer[name], i, 0) for i in range(trace.n)] == column, text
        assert trace.added == list(map(max, *trace.groups))
    assert check(tmp_path / "many.xlsx") == []


def test_the_sheets_break_no_rule_of_excel(workbook: Path) -> None:
    assert check(workbook) == []


def test_ids_become_text_again(workbook: Path, tokenizer: Tokenizer) -> None:
    rng = random.Random(5)
    letters = byte_to_unicode()
    broken: tuple[bytes, ...] = (
        b"\xed\xa0\x80",
        b"\xed\x9f\xbf",
        b"\xe0\x9f\x80",
        b"\xe0\xa0\x80",
        b"\xf0\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
    )
    broken += (
        b"\xf4\x8f\xbf\xbf",
        b"\xc1\x80",
        b"\xf5\x80\x80\x80",
        b"a\xe2\x82",
        b"\xe2\x82a",
        b"\xf0\x9f\x91\xf0\x9f",
        b"\x80\x80",
    )
    lists = [
        [],
        tokenizer.encode("é日👍")[:-1],
        *([tokenizer.vocab[letters[byte]] for byte in data] for data in broken),
    ]
    lists += [[rng.randrange(258) for _ in range(rng.randrange(13))] for _ in range(20)]
    answers = libreoffice.run(workbook, [Step({"Home!A2:L2": ids}, ["completion"]) for ids in lists])
    for ids, answer in zip(lists, answers, strict=True):
        text = value(answer["completion"], 0, 0)
        assert text == tokenizer.decode(ids).replace("\0", "␀"), ids


def test_a_text_too_long_to_decode_ends_in_an_ellipsis(workbook: Path, tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("<|endoftext|>" * 4)
    [answer] = libreoffice.run(workbook, [Step({"Home!A2:L2": ids}, ["completion"])])
    assert value(answer["completion"], 0, 0) == ("<|endoftext|>" * 4)[:CAPACITY] + "…"


def test_bpe_by_hand_follows_what_is_typed(workbook: Path, sheets: Text) -> None:
    texts = ("aaabdaaabac", "", "abababab", "aaaaaaa", "the cat sat on the mat", "日本日本語")
    steps = [Step({"BPE by hand!B4": text}, ["BPE by hand!A1:AA60"]) for text in texts]
    for text, answer in zip(texts, libreoffice.run(workbook, steps), strict=True):
        cells, now = answer["BPE by hand!A1:AA60"], TextNow(bpe.Trace(), (), by_hand=(text, ""))
        lines = [(block, area) for block, area in sheets.by_hand.blocks if block.n_columns == WIDTH and block.formula]
        assert len(lines) == 7 * ROUNDS_BY_HAND
        for block, area in lines:
            [wanted] = laid_out(block.twin(now), 1, WIDTH, "")
            found = [value(cells, area.row - 1, area.column - 1 + p) for p in range(WIDTH)]
            assert found == [*wanted], (text, block.name)


@pytest.mark.parametrize("text", ["Me我", "é👍 a", ""])
def test_bpe_by_hand_shows_the_utf8_bytes_of_a_text(workbook: Path, sheets: Text, text: str) -> None:
    top, spelled = sheets.by_hand["utf8"].row, [list(character.encode()) for character in text]
    cells = f"BPE by hand!D{top + 3}:O{top + 6}"
    [answer] = libreoffice.run(workbook, [Step({f"BPE by hand!B{top}": text}, [cells])])
    found = [[value(answer[cells], k, p) for k in range(4)] for p in range(12)]
    assert found == [data + [""] * (4 - len(data)) for data in [*spelled, *[[]] * (12 - len(spelled))]]
