"""`sheetgpt build --train` and `sheetgpt train`: a workbook in which a GPT-2 learns, and many of its steps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from sheetgpt.errors import SheetGPTError
from sheetgpt.options import Quiet, WorkbookFile
from sheetgpt.progress import bar, losses
from sheetgpt.screen import Table, printers
from sheetgpt.workbook.training.lesson import build_lesson
from sheetgpt.workbook.training.train import train as make_steps

PANEL = "A workbook that learns (--train)"
Train = Annotated[
    bool,
    typer.Option(
        "--train", help="A workbook in which a new GPT-2, or MODEL, learns words or a text.", rich_help_panel=PANEL
    ),
]
Words = Annotated[
    Path | None,
    typer.Option(
        help="The words, one a line. [default: first names, for a new model]", show_default=False, rich_help_panel=PANEL
    ),
]
Text = Annotated[
    Path | None,
    typer.Option(
        help="A running text instead of words, cut into windows of --positions tokens; a MODEL's tokenizer reads it.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
Layers = Annotated[int | None, typer.Option(help="Blocks. [default: 1]", show_default=False, rich_help_panel=PANEL)]
Width = Annotated[
    int | None, typer.Option(help="Numbers a token. [default: 16]", show_default=False, rich_help_panel=PANEL)
]
Heads = Annotated[
    int | None,
    typer.Option(help="Attention heads in a block. [default: 4]", show_default=False, rich_help_panel=PANEL),
]
Positions = Annotated[
    int | None,
    typer.Option(
        help="Columns: one more than the longest word has tokens; the tokens of a text's window. [default: 12]",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
Untied = Annotated[
    bool,
    typer.Option("--untied", help="The unembedding has a matrix of its own.", rich_help_panel=PANEL),
]
Unroll = Annotated[
    int | None,
    typer.Option(
        help="So many steps stand in the workbook one after another, all on one word or window: move the learning rate,"
        " and the curve of their losses is drawn anew. 15 is a good number.",
        show_default=False,
        rich_help_panel=PANEL,
    ),
]
OWN = {"output", "seed", "quiet", "train"}  # besides those of the panel


def build_to_learn(
    context: typer.Context, model: str, output: Path | None, seed: int | None, quiet: bool, own: Mapping[str, Any]
) -> None:
    """`own`: the options of the panel, None where they aren't given."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = {name for name, source in sources.items() if source is not None and source.name != "DEFAULT"}
    new = "model" not in given
    other = sorted(given - OWN - {*own} - ({"model"}))
    if other:
        raise SheetGPTError(f"--{other[0].replace('_', '-')} is nothing for a workbook that learns: leave it out.")
    sizes: dict[str, Any] = {name: value for name, value in own.items() if value is not None and value is not False}
    if not new and (fixed := [name for name in ("layers", "width", "heads", "untied") if name in sizes]):
        raise SheetGPTError(f"--{fixed[0]} is for a new model; {model} has its own shapes.")
    if sizes.pop("untied", False):
        sizes["tied"] = False
    if seed is not None:
        sizes["seed"] = seed
    out, err = printers()
    with bar(err, quiet) as advance:
        made = build_lesson(None if new else model, output, **sizes, progress=advance)
    if not quiet:
        out.say(f"{made}  {made.stat().st_size / 1e6:,.1f} MB")
        if own["unroll"] is None:
            out.say(f"Its first sheet says how to make a step; sheetgpt train {made} --steps 1000 makes a thousand.")
        else:
            out.say("Its first sheet says which learning rates to try; each draws the curve anew.")


def refuse_without_train(own: Mapping[str, Any]) -> None:
    given = [name for name, value in own.items() if value is not None and value is not False]
    if given:
        raise SheetGPTError(f"--{given[0]} is for a workbook that learns: add --train.")


def train(
    workbook: WorkbookFile,
    steps: Annotated[int, typer.Option(help="How many steps to make.")] = 1000,
    engine: Annotated[
        str,
        typer.Option(help="numpy, or libreoffice or ironcalc: the workbook's own formulas make every step."),
    ] = "numpy",
    save: Annotated[
        Path | None,
        typer.Option(help="Also write the trained model to this folder, as a checkpoint.", show_default=False),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="With --save, where the workbook was built from a checkpoint: that checkpoint, for its tokenizer.",
            show_default=False,
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Make many steps in a workbook of `build --train`, from where it stands.

    `sheetgpt train workbooks/names-train.xlsx --steps 1000 --save names` trains the model and writes it into the
    workbook and into the folder names; `sheetgpt build names` then makes the usual workbook of it.

    With `--engine libreoffice` the workbook's own formulas make every step. Ctrl-C leaves a whole workbook with the
    steps that were made; a second run goes on from there.
    """
    out, err = printers()
    with losses(err, quiet, steps) as seen:
        made = make_steps(workbook, steps, engine=engine, save_to=save, model=model, seen=seen)
    if quiet:
        return
    table = Table("steps", "mean loss", box=None, pad_edge=False)
    part = max(1, len(made) // 10)
    for first in range(0, len(made), part):
        some = made.iloc[first : first + part]
        table.add_row(f"{some['step'].iloc[0]} to {some['step'].iloc[-1]}", f"{some['loss'].mean():.3f}")
    out.print(table)
    out.say(f"{workbook} now stands at step {made['step'].iloc[-1]}.")
    if save is not None:
        out.say(f"The trained model is in {save}: sheetgpt build {save}")
