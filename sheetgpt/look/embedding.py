"""`sheetgpt look WORKBOOK neighbours` and `analogy`: which tokens are alike."""

from typing import Annotated

import pandas as pd
import typer
from rich.markup import escape
from rich.table import Table

from sheetgpt.inspection import embedding
from sheetgpt.options import MovedModel
from sheetgpt.screen import printer
from sheetgpt.sheets.optional import Value
from sheetgpt.workbook.look import checkpoint_of

Typed = Annotated[
    str | None,
    typer.Argument(help="A word that is one token, or a token's id. [default: the workbook's]", show_default=False),
]


def neighbours(context: typer.Context, word: Typed = None, model: MovedModel = None) -> None:
    """The ten tokens that are nearest to a word.

    `sheetgpt look workbooks/stories.xlsx neighbours dog`
    """
    book, checkpoint = checkpoint_of(context.obj, model)
    table, shown = embedding.embeddings(checkpoint, book.layout.weights)
    _print(embedding.near_table(table, shown, _word(word, book.chosen.get("embedding_word", 0))))


def analogy(
    context: typer.Context, a: Typed = None, b: Typed = None, c: Typed = None, model: MovedModel = None
) -> None:
    """The five tokens that are nearest to a − b + c, without the three.

    `sheetgpt look workbooks/stories.xlsx analogy him he she`
    """
    book, checkpoint = checkpoint_of(context.obj, model)
    typed = zip((a, b, c), "abc", strict=True)
    words = [_word(given, book.chosen.get(f"embedding_{name}", 0)) for given, name in typed]
    table, shown = embedding.embeddings(checkpoint, book.layout.weights)
    _print(embedding.analogy_table(table, shown, words[0], words[1], words[2]))


def _word(given: str | None, in_the_workbook: Value) -> str | int:
    found = in_the_workbook if given is None else given
    if isinstance(found, str):
        return int(found) if found.isascii() and found.isdigit() else found
    return int(found)


def _print(frame: pd.DataFrame) -> None:
    table = Table("", "id", "token", "cosine", box=None, pad_edge=False)
    for rank, id, token, cosine in frame.itertuples():
        table.add_row(str(rank), str(id), escape(token), f"{cosine:.3f}")
    printer().print(table)
