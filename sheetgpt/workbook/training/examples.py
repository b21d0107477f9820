"""A file to learn from -> tokens of a checkpoint's own: words, one a line, or a running text."""

from pathlib import Path

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.learning.loss import between_ends
from sheetgpt.sheets.training.lesson import Lesson
from sheetgpt.text.tokenizer import Tokenizer
from sheetgpt.text.words import read_lines, read_running


def words_of(file: Path, tokenizer: Tokenizer, layout: Lesson) -> tuple[list[str], list[tuple[int, ...]]]:
    """The words of a list, and the run of each."""
    listed, runs = [], []
    for n, word in read_lines(file):
        found = encode(word, tokenizer, f"{file}, line {n}:")
        if len(found) > layout.longest:
            more = "give more --positions" if layout.context < layout.config.n_positions else "the model has no more"
            raise SheetGPTError(
                f"{file}, line {n}: {len(found)} tokens, and {layout.context} columns take {layout.longest}: {more}."
            )
        listed.append(word)
        runs.append(between_ends(found, layout.end))
    return listed, runs


def tokens_of(file: Path, tokenizer: Tokenizer) -> list[int]:
    """A running text's."""
    tokens = encode(read_running(file), tokenizer, f"{file} can't be learned from:")
    if len(tokens) < 2:
        raise SheetGPTError(f"{file} has one token only: to learn, it takes one to read and one to guess.")
    return tokens


def encode(text: str, tokenizer: Tokenizer, where: str) -> list[int]:
    """Its tokens; a refusal says where the text stands."""
    try:
        return tokenizer.encode(text)
    except SheetGPTError as error:
        raise SheetGPTError(f"{where} {error}") from error
