"""Words to learn from, one a line, or a text; and the smallest tokenizer that spells words: the end of a text, a to z.

Its files are a byte-level BPE without merges, such as any reader of GPT-2's tokenizer takes: vocab.json has a letter's
id, merges.txt has no line but its version. A text with another character has no token in it, and is refused.
"""

import json
import re
from pathlib import Path
from string import ascii_lowercase

from sheetgpt.errors import SheetGPTError, visible
from sheetgpt.text.hugging_face import END_OF_TEXT
from sheetgpt.text.json_file import is_file, read_text

END = 0  # the id of END_OF_TEXT
LETTERS = {letter: i for i, letter in enumerate(ascii_lowercase, END + 1)}
N_VOCAB = len(LETTERS) + 1
LONGEST = 10_000_000  # bytes of a running text; a workbook takes less than a tenth
NAMES = Path(__file__).parent.parent / "models" / "names" / "names.txt"


def tokenizer_files() -> dict[str, bytes]:
    """Their names and contents."""
    vocab = {END_OF_TEXT: END, **LETTERS}
    return {"vocab.json": (json.dumps(vocab, indent=0) + "\n").encode(), "merges.txt": b"#version: 0.2\n"}


def spell(word: str) -> list[int]:
    """The ids of a word's letters."""
    return [LETTERS[letter] for letter in word]


def read_words(path: Path, most: int) -> list[str]:
    """The words of a file, one a line, in lower case, in the file's order. Blank lines don't count.

    Refuses a word of more than `most` letters, anything but the letters a to z, and a file without a word.
    """
    words = []
    for n, line in read_lines(path):
        word = line.lower()
        other = next((letter for letter in word if letter not in LETTERS), None)
        if other is not None:
            raise SheetGPTError(
                f"{path}, line {n}: {visible(line, 40)!r} has {visible(other)!r} in it; a word has the letters "
                f"a to z only."
            )
        if len(word) > most:
            raise SheetGPTError(
                f"{path}, line {n}: {visible(word, 40)!r} has {len(word)} letters; the model's positions have room "
                f"for {most}."
            )
        words.append(word)
    return words


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines that aren't blank, without what is blank around them, and their numbers from 1. Refuses none at all."""
    lines = enumerate(re.split("\r\n?|\n", read_text(path, marked=True)), 1)
    found = [(n, line.strip()) for n, line in lines if line.strip()]
    if not found:
        raise SheetGPTError(f"{path} has no word in it: write one a line.")
    return found


def read_running(path: Path) -> str:
    """A running text, its lines ending as Unix has it; the last end, which editors add, is left out. Refuses none."""
    if is_file(path) and (size := path.stat().st_size) > LONGEST:
        raise SheetGPTError(
            f"{path} has {size:,} bytes; a text to learn from has up to {LONGEST:,}: take a part of it."
        )
    text = re.sub("\r\n?", "\n", read_text(path, marked=True)).removesuffix("\n")
    if not text:
        raise SheetGPTError(f"{path} has no text in it.")
    return text
