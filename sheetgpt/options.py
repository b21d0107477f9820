"""What several commands take from the command line."""

from pathlib import Path
from typing import Annotated

import typer

from sheetgpt.errors import SheetGPTError

WorkbookFile = Annotated[Path, typer.Argument(help="A workbook built by sheetgpt.", show_default=False)]
Prompt = Annotated[str | None, typer.Option(help="The text to continue.", show_default=False)]
Chat = Annotated[
    str | None,
    typer.Option(help="What you say to a model with a chat template, in place of a prompt.", show_default=False),
]
Ids = Annotated[str | None, typer.Option(help="Token ids in place of a text, such as 1,2,3.", show_default=False)]
NewTokens = Annotated[
    int | None, typer.Option("--new-tokens", "--generate", help="How many tokens to write.", show_default=False)
]
MovedModel = Annotated[
    str | None, typer.Option("--model", help="The checkpoint, if it has moved since the build.", show_default=False)
]
Temperature = Annotated[
    float | None,
    typer.Option(help="0 always takes the likeliest token; 1 keeps the model's own probabilities.", show_default=False),
]
TopK = Annotated[
    int | None, typer.Option(help="Choose among this many of the likeliest tokens, 1 to 64.", show_default=False)
]
TopP = Annotated[
    float | None,
    typer.Option(help="Of these, keep the likeliest that together reach this probability.", show_default=False),
]
Seed = Annotated[
    int | None, typer.Option(help="A whole number: the same seed gives the same text.", show_default=False)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print less.")]
Json = Annotated[
    Path | None, typer.Option("--json", help="Also write the result to this file, as JSON.", show_default=False)
]
Timeout = Annotated[
    float, typer.Option("--engine-timeout", help="Seconds after which the spreadsheet program is stopped.")
]
Off = Annotated[
    list[str] | None,
    typer.Option(
        "--off",
        help="Switch off block.head (2.3), block.mlp (2.mlp) or a block (2); 2.3*0.5 halves it. Several with commas.",
        show_default=False,
    ),
]
Mean = Annotated[bool, typer.Option("--mean", help="A part that is off leaves its average so far, not nothing.")]
Steer = Annotated[
    list[str] | None,
    typer.Option(
        "--steer",
        help="Add factor times a token's embedding, or the difference of two, to the stream that enters a block: "
        "`1:dog-cat*4`, or from position 2 on `1:dog*4@2`; `1:~3*2` adds what the other text's run has "
        "at position 3 more than this one. May be repeated.",
        show_default=False,
    ),
]
PatchWords = Annotated[
    list[str] | None,
    typer.Option(
        "--patch",
        help="Take block.part@position from the other text's run: 2.3@4 for a head, 2.mlp@2-5, 2.resid@0. Several "
        "with commas; 8 positions at most, which is what the sheet Lab has lines for.",
        show_default=False,
    ),
]


def ids_of(text: str | None) -> list[int] | None:
    """`1,2,3` as numbers."""
    if text is None:
        return None
    try:
        return [int(part) for part in text.replace(" ", "").split(",") if part]
    except ValueError:
        raise SheetGPTError(f"--ids takes whole numbers separated by commas, such as 1,2,3, not {text!r}.") from None
