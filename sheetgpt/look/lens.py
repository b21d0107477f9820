"""`sheetgpt look WORKBOOK lens` and `contributions`: what the model would say at each depth, and which part decided."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from sheetgpt.inspection import contributions as made_of
from sheetgpt.inspection import lens as seen
from sheetgpt.look.printing import sentences
from sheetgpt.options import Ids, MovedModel, NewTokens, Prompt, ids_of
from sheetgpt.screen import printer
from sheetgpt.sheets.home.after import LAST
from sheetgpt.sheets.optional import Value
from sheetgpt.sheets.style.choosers import whole_now
from sheetgpt.workbook.look import subject_of

Position = Annotated[
    int | None,
    typer.Option(help="Which token of the text; 0 is the first. [default: the end of the prompt]", show_default=False),
]
Token = Annotated[int | None, typer.Option(help="The id of the token that is asked for.", show_default=False)]

SHOWN = 5  # of the likeliest tokens


def given_position(asked: int | None, in_the_workbook: Value, n: int) -> int | None:
    """What is asked for, or else what the workbook's cell holds; None for the end of the prompt."""
    last = isinstance(in_the_workbook, str) and in_the_workbook.lower() == LAST
    return n - 1 if asked is None and last else given(asked, in_the_workbook, n)


def given(asked: int | None, in_the_workbook: Value, n: int) -> int | None:
    """What is asked for, or else what the workbook's cell holds, where that is one of n."""
    found = whole_now(in_the_workbook, n - 1, -1)
    return asked if asked is not None else None if found < 0 else found


def lens(
    context: typer.Context,
    position: Position = None,
    token: Token = None,
    prompt: Prompt = None,
    ids: Ids = None,
    new_tokens: NewTokens = None,
    model: MovedModel = None,
) -> None:
    """What the model would say next after each block, and what becomes of one token there.

    `sheetgpt look workbooks/stories.xlsx lens --position 4`
    """
    book, text = subject_of(context.obj, prompt=prompt, ids=ids_of(ids), new_tokens=new_tokens, model=model)
    out, chosen = printer(), book.chosen
    at = given_position(position, chosen.get("lens_position", ""), len(text.ids))
    frame = seen.table(text, at, given(token, chosen.get("lens_token", ""), text.config.n_vocab))
    here, token = frame.attrs["position"], frame.attrs["token"]
    sentences(out, [f"After “{text.tokens[here]}” at position {here}; the token “{text.shown[token]}”, id {token}:"])
    table = Table("after", "rank", "logit", "probability", "entropy", "likeliest", box=None, pad_edge=False)
    for after, row in frame.iterrows():
        likeliest = "  ".join(str(row[k]) for k in range(1, 1 + min(SHOWN, text.config.n_vocab)))
        numbers = f"{row['rank']:.0f}", f"{row['logit']:.3f}", f"{row['probability']:.1%}", f"{row['entropy']:.2f}"
        table.add_row(str(after), *numbers, escape(likeliest))
    for column in table.columns[1:5]:
        column.justify = "right"
    out.print(table)


def contributions(
    context: typer.Context,
    position: Position = None,
    token: Token = None,
    other: Annotated[
        int | None, typer.Option(help="The id of a token whose logit is subtracted.", show_default=False)
    ] = None,
    prompt: Prompt = None,
    ids: Ids = None,
    new_tokens: NewTokens = None,
    model: MovedModel = None,
) -> None:
    """Which parts decided: what each adds to a token's logit, the strongest first.

    `sheetgpt look workbooks/stories.xlsx contributions --position 4`
    """
    book, text = subject_of(context.obj, prompt=prompt, ids=ids_of(ids), new_tokens=new_tokens, model=model)
    out, names = printer(), ("position", "token", "other")
    typed = [book.chosen.get(f"contributions_{name}", "") for name in names]
    at = given_position(position, typed[0], len(text.ids))
    asked = [given(*one, text.config.n_vocab) for one in zip((token, other), typed[1:], strict=True)]
    found = made_of.of(text, at, *asked)
    rather = "" if found.other is None else f" rather than “{text.shown[found.other]}”"
    after = f"“{text.tokens[found.position]}” at position {found.position}"
    sentences(out, [f"What speaks for “{text.shown[found.token]}”, id {found.token},{rather} after {after}:"])
    table = Table("part", "adds", box=None, pad_edge=False)
    for k in found.ranked(len(found.parts)):
        table.add_row(found.parts[k].name, f"{found.values[k]:+.3f}")
    table.add_row("all of them, the logit", f"{found.total:+.3f}", style="bold")
    table.columns[1].justify = "right"
    out.print(table)
