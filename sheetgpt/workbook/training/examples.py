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
        found = tokenizer.encode(word)
        if len(found) > layout.longest:
            raise SheetGPTError(
                f"{file}, line {n}: {len(found)} tokens, and {layout.context} columns take {layout.longest}: give more "
                f"--positions."
            )
        listed.append(word)
        runs.append(between_ends(found, layout.end))
    return listed, runs


def tokens_of(file: Path, tokenizer: Tokenizer) -> list[int]:
    """A running text's."""
    text = read_running(file)
    try:
        tokens = tokenizer.encode(text)
    except SheetGPTError as error:
        raise SheetGPTError(f"{file} can't be learned from: {error}") from error
    if len(tokens) < 2:
        raise SheetGPTError(f"{file} has one token only: to learn, it takes one to read and one to guess.")
    return tokens
