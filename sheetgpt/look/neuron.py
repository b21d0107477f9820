"""`sheetgpt look WORKBOOK neuron`: what a neuron fires at, and which tokens it speaks for."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from sheetgpt.inspection.neuron import active_table, on_tokens, token_table
from sheetgpt.inspection.subject import place
from sheetgpt.look.lens import Position, given, given_position
from sheetgpt.look.printing import sentences
from sheetgpt.options import Ids, MovedModel, NewTokens, Prompt, ids_of
from sheetgpt.screen import printer
from sheetgpt.workbook.look import subject_of


def neuron(
    context: typer.Context,
    block: Annotated[int | None, typer.Option(help="Whose neuron. Block 0 reads first.", show_default=False)] = None,
    number: Annotated[
        int | None, typer.Option("--neuron", help="Which of the block's neurons.", show_default=False)
    ] = None,
    position: Position = None,
    prompt: Prompt = None,
    ids: Ids = None,
    new_tokens: NewTokens = None,
    model: MovedModel = None,
) -> None:
    """A neuron's activation on every token, the tokens that it promotes and suppresses, and the block's most active.

    `sheetgpt look workbooks/stories.xlsx neuron --block 3 --neuron 208`
    """
    book, text = subject_of(context.obj, prompt=prompt, ids=ids_of(ids), new_tokens=new_tokens, model=model)
    out, chosen, config = printer(), book.chosen, text.config
    i = given(block, chosen.get("neuron_block", 0), config.n_layer) or 0
    n = given(number, chosen.get("neuron_number", 0), config.n_inner) or 0
    at = given_position(position, chosen.get("neuron_position", ""), len(text.ids))
    own = on_tokens(text, i, n)
    active = active_table(text, i, at)
    at = place(text, at)
    sentences(out, [f"Block {i}, neuron {n}, on every token:"])
    table = Table("", "token", "sum", "activation", "", box=None, pad_edge=False)
    most = max(float(own["activation"].max()), 1e-9)
    for t, (token, row) in enumerate(own.iterrows()):
        bar = out.blocks * max(0, round(30 * row["activation"] / most))
        table.add_row(str(t), escape(str(token)), f"{row['sum']:.3f}", f"{row['activation']:.3f}", bar)
    for column in table.columns[2:4]:
        column.justify = "right"
    out.print(table)
    tokens = token_table(text.params, config, text.shown, i, n)
    heads = "", "promotes", "adds", "suppresses", "adds"
    table = Table(*heads, title="Whatever the text", title_justify="left", box=None, pad_edge=False)
    for rank, up, adds, down, takes in tokens.itertuples():
        table.add_row(str(rank), escape(up), f"{adds:+.3f}", escape(down), f"{takes:+.3f}")
    out.print(table)
    title = f"Most active of block {i} at position {at}, “{escape(text.tokens[at])}”"
    table = Table("", "neuron", "activation", title=title, title_justify="left", box=None, pad_edge=False)
    for rank, k, value in active.itertuples():
        table.add_row(str(rank), str(k), f"{value:.3f}")
    out.print(table)
