"""`sheetgpt look WORKBOOK attention`: a head's pattern as a heat map, or the table of all heads."""

from typing import Annotated

import pandas as pd
import typer
from rich.table import Table

from sheetgpt.inspection.attention import MEASURES, head_table, pattern
from sheetgpt.look.printing import heat_map, sentences
from sheetgpt.options import Ids, MovedModel, NewTokens, Prompt, ids_of
from sheetgpt.screen import printer
from sheetgpt.sheets.inside.attention.heads import IN_WORDS, NONE
from sheetgpt.sheets.style.choosers import whole_now
from sheetgpt.workbook.look import subject_of


def attention(
    context: typer.Context,
    block: Annotated[int | None, typer.Option(help="Whose head. Block 0 reads first.", show_default=False)] = None,
    head: Annotated[int | None, typer.Option(help="Which of the block's heads.", show_default=False)] = None,
    heads: Annotated[bool, typer.Option("--heads", help="Instead, what every head does on the text.")] = False,
    prompt: Prompt = None,
    ids: Ids = None,
    new_tokens: NewTokens = None,
    model: MovedModel = None,
) -> None:
    """Who looks at whom: the attention of one head, or with --heads what every head does.

    `sheetgpt look workbooks/stories.xlsx attention --block 1 --head 3`
    """
    book, text = subject_of(context.obj, prompt=prompt, ids=ids_of(ids), new_tokens=new_tokens, model=model)
    out, config = printer(), text.config
    if heads:
        out.print(_table(head_table(text)))
        return
    chosen = [book.chosen.get(f"attention_{name}", 0) for name in ("block", "head")]
    i = whole_now(chosen[0], config.n_layer - 1, 0) if block is None else block
    j = whole_now(chosen[1], config.n_head - 1, 0) if head is None else head
    shares = pattern(text, i, j)
    sentences(out, [f"Block {i}, head {j}, in percent: each column is a token that looks, each row one it looks at."])
    heat_map(out, shares)


def _table(found: pd.DataFrame) -> Table:
    """Shares in percent, the largest of each column marked."""
    table = Table("block", "head", *MEASURES, "entropy", "looks most at", box=None, pad_edge=False)
    best = found[[*MEASURES]].max()
    for row in found.reset_index().to_dict("records"):
        cells = [NONE if row[m] != row[m] else f"{row[m]:.0%}" for m in MEASURES]
        marked = [
            f"[bold]{cell}[/bold]" if row[m] == best[m] else cell for m, cell in zip(MEASURES, cells, strict=True)
        ]
        entropy = NONE if row["entropy"] != row["entropy"] else f"{row['entropy']:.2f}"
        table.add_row(str(row["block"]), str(row["head"]), *marked, entropy, IN_WORDS[row["most"]])
    for column in table.columns[:-1]:
        column.justify = "right"
    return table
