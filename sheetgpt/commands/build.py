"""`sheetgpt build`: a checkpoint becomes a workbook."""

from pathlib import Path
from typing import Annotated, Any

import typer

import sheetgpt
from sheetgpt import screen
from sheetgpt.commands import train as learning
from sheetgpt.engines import libreoffice
from sheetgpt.errors import visible
from sheetgpt.gpt2.checkpoints.checkpoint import DEFAULT, bundled
from sheetgpt.ooxml.writing import target
from sheetgpt.ooxml.writing.book import Progress, Written
from sheetgpt.options import Chat, Ids, NewTokens, Prompt, Quiet, Seed, Temperature, TopK, TopP, ids_of
from sheetgpt.progress import bar
from sheetgpt.screen import LONG, Screen
from sheetgpt.workbook.build import load_fitting, planned
from sheetgpt.workbook.limits import file_bytes, forecast, in_browsers, memory_bytes
from sheetgpt.workbook.reopen import open_workbook
from sheetgpt.workbook.tiny import tiny_settings

NAMES = ", ".join(f"`{name}`" for name in bundled())
Model = Annotated[
    str,
    typer.Argument(
        help=f"A bundled model ({NAMES}), a folder, a .safetensors file, or a name on the Hugging Face hub."
    ),
]


def build(
    given: typer.Context,
    model: Model = DEFAULT,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="The file to write. [default: workbooks/MODEL.xlsx, or MODEL-lab.xlsx]"),
    ] = None,
    prompt: Prompt = None,
    ids: Ids = None,
    chat: Chat = None,
    context: Annotated[
        int | None,
        typer.Option(
            help="Token columns, for the prompt and the new tokens. [default: 32, or 16 from 50 million parameters on;"
            " half as many again, or more, for a model with a chat template]",
            show_default=False,
        ),
    ] = None,
    new_tokens: NewTokens = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    seed: Seed = None,
    prompt_bytes: Annotated[
        int, typer.Option(help="Bytes of text the Tokenizer sheet has room for; with 0, prompts are token ids.")
    ] = 256,
    merge_rounds: Annotated[int, typer.Option(help="Merge rounds the Tokenizer sheet has room for.")] = 48,
    weights: Annotated[
        str,
        typer.Option(help="`exact`, or `int8`: whole numbers, one scale per neuron; cuts a large file to a third."),
    ] = "exact",
    digits: Annotated[
        int | None, typer.Option(help="Round every weight to this many significant digits, 1 to 9.", show_default=False)
    ] = None,
    sheets: Annotated[
        str | None,
        typer.Option(
            help="Which of the expensive sheets that look inside: `all`, `none`, or names such as lens,embedding."
            " [default: all, or none from 50 million parameters on]",
            show_default=False,
        ),
    ] = None,
    without: Annotated[
        str,
        typer.Option(
            help="Leave out any of the sheets that look inside, such as attention; `info` lists them.",
            show_default=False,
        ),
    ] = "",
    lab: Annotated[
        bool,
        typer.Option("--lab", help="Two texts side by side, and a sheet Lab that changes the model in the second."),
    ] = False,
    lanes: Annotated[int, typer.Option(help="1, or 2: what --lab stands for.")] = 1,
    reads_only: Annotated[
        bool,
        typer.Option(
            "--reads-only",
            help="Say what comes next, and write nothing: a change of the temperature then recomputes no block.",
        ),
    ] = False,
    unprotected: Annotated[
        bool, typer.Option("--unprotected", help="Leave formulas open, to be taken apart; they are locked otherwise.")
    ] = False,
    solutions: Annotated[
        bool, typer.Option("--solutions", help="Fill in the sheet Exercises: the second workbook, for the teacher.")
    ] = False,
    tiny: Annotated[
        bool, typer.Option("--tiny", help="A model of 8 dimensions, whose whole block fits on one printed page.")
    ] = False,
    train: learning.Train = False,
    words: learning.Words = None,
    text: learning.Text = None,
    layers: learning.Layers = None,
    width: learning.Width = None,
    heads: learning.Heads = None,
    positions: learning.Positions = None,
    untied: learning.Untied = False,
    unroll: learning.Unroll = None,
    quiet: Quiet = False,
) -> None:
    """Write a GPT-2 checkpoint into a workbook.

    `sheetgpt build` makes workbooks/stories.xlsx from the bundled model `stories`.

    `sheetgpt build stories-chat --chat "Tom has a red ball. What does Tom have?"` builds one that answers.

    `sheetgpt build --lab` makes workbooks/stories-lab.xlsx, with a second text in which heads can be switched off.

    `sheetgpt build --solutions` makes workbooks/stories-solutions.xlsx, with the exercises of stories.xlsx solved.

    `sheetgpt build --tiny` makes workbooks/tiny.xlsx, a model of 616 weights to follow with a pencil.

    `sheetgpt build gpt2 --weights int8` downloads GPT-2 small and rounds its weights to whole numbers.

    `sheetgpt build my/checkpoint -o my.xlsx --prompt "Hello" --new-tokens 8` takes a checkpoint of your own.

    `sheetgpt build --train` makes workbooks/names-train.xlsx, in which a new GPT-2 learns first names.

    `sheetgpt build my/model --train --text my.txt` makes workbooks/model-train.xlsx, where a small one learns a text.

    `sheetgpt build --train --unroll 15` makes workbooks/names-unrolled.xlsx, in which it learns one in fifteen steps.
    """
    out, err = screen.printers()
    lesson = {"words": words, "text": text, "layers": layers, "width": width, "heads": heads, "positions": positions}
    lesson |= {"untied": untied, "unroll": unroll}
    if train:
        learning.build_to_learn(given, model, output, seed, quiet, lesson)
        return
    learning.refuse_without_train(lesson)
    if tiny:
        build(given, **{**given.params, **tiny_settings(_typed(given)), "tiny": False})
        return
    if output is not None:
        target.check(output, "-o", {}, makes_folders=True)
    needs_text = prompt_bytes > 0 or prompt is not None
    checkpoint = load_fitting(model, context, weights, digits, quiet=quiet, needs_text=needs_text)
    for note in () if quiet else checkpoint.notes:
        err.say(visible(f"Note: {note}", LONG), style="dark_orange")
    layout = planned(
        *(checkpoint, context, prompt_bytes, merge_rounds, weights, digits, sheets, without, 2 if lab else lanes),
        reads_only=reads_only,
        solutions=solutions,
    )
    room = [] if quiet else [f"{forecast(layout)} {in_browsers(layout, file_bytes(layout))}"]
    with bar(err, quiet) as advance:
        settings: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
        made = sheetgpt.build(
            *(checkpoint, output),
            prompt=prompt,
            ids=ids_of(ids),
            chat=chat,
            context=context,
            new_tokens=new_tokens,
            **{name: value for name, value in settings.items() if value is not None},
            prompt_bytes=prompt_bytes,
            merge_rounds=merge_rounds,
            weights=weights,
            digits=digits,
            sheets=sheets,
            without=without,
            lanes=2 if lab else lanes,
            reads_only=reads_only,
            solutions=solutions,
            unprotected=unprotected,
            progress=_saying_first(err, room, advance),
        )
    if not quiet:
        size = made.stat().st_size
        out.say(f"{made}  {size / 1e6:,.1f} MB")
        memory = f"LibreOffice needs about {memory_bytes(layout) / 1e9:.1f} GB of memory to open it."
        out.say(f"{memory} {in_browsers(layout, size)}")
        if size >= libreoffice.LARGEST:
            out.say(f"{libreoffice.TOO_LARGE}.", style="dark_orange")
        if weights != "exact" or digits is not None:
            book = open_workbook(made)
            out.say(f"Weights ({book.layout.weights}): {book.cost}.")


def _typed(context: typer.Context) -> dict[str, Any]:
    """The words of the command line, without what has its default."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {
        name: context.params[name]
        for name, source in sources.items()
        if source is not None and source.name != "DEFAULT"
    }


def _saying_first(err: Screen, sentences: list[str], advance: Progress) -> Progress:
    """Prints the sentences as soon as the writing begins: by then every input has been found right."""

    def tell(written: Written) -> None:
        while sentences:
            err.say(sentences.pop(0))
        advance(written)

    return tell
