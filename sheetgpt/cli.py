"""The `sheetgpt` command: takes the words from the command line, calls one function, prints what comes back."""

# ruff: noqa: E402
from sheetgpt import stopping

stopping.at_once()  # what is imported here takes a second, in which Ctrl-C would give a traceback

import contextlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.rich_utils import rich_format_error

import sheetgpt
from sheetgpt import learning, screen
from sheetgpt.engines import libreoffice
from sheetgpt.errors import SheetGPTError, visible
from sheetgpt.gpt2.checkpoint import DEFAULT, bundled
from sheetgpt.gpt2.edit_words import EditWords
from sheetgpt.look import app as look
from sheetgpt.look.printing import write
from sheetgpt.look.sweep import sweep
from sheetgpt.ooxml import target
from sheetgpt.ooxml.book import Progress, Written
from sheetgpt.options import (
    Chat,
    Ids,
    Mean,
    MovedModel,
    NewTokens,
    Off,
    PatchWords,
    Prompt,
    Steer,
    WorkbookFile,
    ids_of,
)
from sheetgpt.printing import print_report, print_run, say_not_loaded
from sheetgpt.progress import bar, spinner
from sheetgpt.screen import LONG, Closed, Screen, printer
from sheetgpt.verification.report import MOST
from sheetgpt.workbook.build import load_fitting, planned
from sheetgpt.workbook.checkpoints import own_files_of
from sheetgpt.workbook.limits import file_bytes, forecast, in_browsers, memory_bytes
from sheetgpt.workbook.reopen import open_workbook
from sheetgpt.workbook.run import evaluate_changed

app = typer.Typer(
    help="GPT-2 as a spreadsheet: every weight a cell, every step a live formula, every number checked.",
    epilog="Start with `sheetgpt build`, then open workbooks/stories.xlsx.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.add_typer(look, name="look")
out, err = printer(), Screen(stderr=True)

NAMES = ", ".join(f"`{name}`" for name in bundled())
Model = Annotated[
    str,
    typer.Argument(
        help=f"A bundled model ({NAMES}), a folder, a .safetensors file, or a name on the Hugging Face hub."
    ),
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


@app.command()
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
    train: learning.Train = False,
    words: learning.Words = None,
    layers: learning.Layers = None,
    width: learning.Width = None,
    heads: learning.Heads = None,
    positions: learning.Positions = None,
    untied: learning.Untied = False,
    quiet: Quiet = False,
) -> None:
    """Write a GPT-2 checkpoint into a workbook.

    `sheetgpt build` makes workbooks/stories.xlsx from the bundled model `stories`.

    `sheetgpt build stories-chat --chat "Tom has a red ball. What does Tom have?"` builds one that answers.

    `sheetgpt build --lab` makes workbooks/stories-lab.xlsx, with a second text in which heads can be switched off.

    `sheetgpt build gpt2 --weights int8` downloads GPT-2 small and rounds its weights to whole numbers.

    `sheetgpt build my/checkpoint -o my.xlsx --prompt "Hello" --new-tokens 8` takes a checkpoint of your own.

    `sheetgpt build --train` makes workbooks/names-train.xlsx, in which a new GPT-2 learns first names.
    """
    lesson = {"words": words, "layers": layers, "width": width, "heads": heads, "positions": positions}
    if train:
        learning.build_to_learn(given, model, output, seed, quiet, lesson | {"untied": untied})
        return
    learning.refuse_without_train(lesson | {"untied": untied})
    if output is not None:
        target.check(output, "-o", {}, makes_folders=True)
    needs_text = prompt_bytes > 0 or prompt is not None
    checkpoint = load_fitting(model, context, weights, digits, quiet=quiet, needs_text=needs_text)
    for note in () if quiet else checkpoint.notes:
        err.say(visible(f"Note: {note}", LONG), style="dark_orange")
    sizes = (context, prompt_bytes, merge_rounds, weights, digits, sheets, without, 2 if lab else lanes, reads_only)
    layout = planned(checkpoint, *sizes)
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
            progress=_saying_first(room, advance),
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


def _saying_first(sentences: list[str], advance: Progress) -> Progress:
    """Prints the sentences as soon as the writing begins: by then every input has been found right."""

    def tell(written: Written) -> None:
        while sentences:
            err.say(sentences.pop(0))
        advance(written)

    return tell


@app.command()
def verify(
    workbook: WorkbookFile,
    engine: Annotated[
        str, typer.Option(help="libreoffice, formulas, ironcalc, or cached (the values saved in the file).")
    ] = "libreoffice",
    prompt: Prompt = None,
    ids: Ids = None,
    chat: Chat = None,
    new_tokens: NewTokens = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    seed: Seed = None,
    json_file: Json = None,
    model: MovedModel = None,
    weights_from_workbook: Annotated[
        bool,
        typer.Option(
            "--weights-from-workbook", help="Take the weights from the cells, for a workbook with edited weights."
        ),
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show every tensor and every wrong cell.")] = False,
    timeout: Timeout = 600,
    quiet: Quiet = False,
) -> None:
    """Recalculate a workbook and compare every cell with the NumPy evaluator.

    `sheetgpt verify workbooks/stories.xlsx --prompt "The dog said" --new-tokens 5 --temperature 0.8`

    It prints what differs and a line for each sheet; with --all, every tensor. After you have recalculated and saved
    the workbook in Excel, `--engine cached` checks Excel's own arithmetic.

    Exit status: 0 if everything agrees to 1e-9 relative, 1 if something differs, 2 for bad input.
    """
    if json_file is not None:
        own = {"the workbook itself": [workbook], "one of the checkpoint's own files": own_files_of(workbook, model)}
        target.check(json_file, "--json", own, makes_folders=False)
    with spinner(err, quiet, f"recalculating in {engine}"):
        report = sheetgpt.verify(
            workbook,
            engine=engine,
            prompt=prompt,
            ids=ids_of(ids),
            chat=chat,
            new_tokens=new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            model=model,
            weights_from_workbook=weights_from_workbook,
            timeout=timeout,
            wrong_cells=None if everything else MOST,
        )
    try:
        if json_file is not None:
            write(json_file, report.to_json())
    finally:  # a disk that has filled up meanwhile doesn't take the verdict along
        print_report(out, report, everything, quiet)
    raise typer.Exit(0 if report.passed else 1)


@app.command()
def run(
    workbook: WorkbookFile,
    prompt: Prompt = None,
    ids: Ids = None,
    chat: Chat = None,
    new_tokens: NewTokens = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    seed: Seed = None,
    off: Off = None,
    mean: Mean = False,
    steer: Steer = None,
    patch: PatchWords = None,
    patch_from: Annotated[
        str | None, typer.Option(help="The text that --patch takes from; lane A reads it.", show_default=False)
    ] = None,
    numpy: Annotated[bool, typer.Option("--numpy", help="Also print what the NumPy evaluator writes.")] = False,
    stream: Annotated[bool, typer.Option("--stream", help="Print each token as soon as it is written.")] = False,
    json_out: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    model: MovedModel = None,
    timeout: Timeout = 600,
    quiet: Quiet = False,
) -> None:
    """Give a workbook a prompt, recalculate it in LibreOffice, and print what it writes and what could come next.

    `sheetgpt run workbooks/stories.xlsx --prompt "Once upon a time" --new-tokens 16 --temperature 0.8 --seed 7`

    What you don't give stays as the workbook has it. With --stream only the new text is printed, token by token. With
    --numpy the evaluator's own continuation is printed below it; the two must choose the same tokens.

    `sheetgpt run workbooks/stories-lab.xlsx --off 3.2 --prompt "Mia had a cat."` switches head 2 of block 3 off in the
    second lane of a workbook built with --lab, and prints both lanes.
    """
    settings = {"new_tokens": new_tokens, "temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    given: dict[str, Any] = {"prompt": prompt, "ids": ids_of(ids), "chat": chat, **settings}
    if stream and (json_out or numpy):
        raise SheetGPTError("--stream prints only the new text: leave out --json and --numpy.")
    words = EditWords(tuple(off or ()), mean, tuple(steer or ()), tuple(patch or ()))
    if mean and not off:
        raise SheetGPTError("--mean says what a part that is off leaves: name a part with --off, such as --off 2.3.")
    changes: dict[str, Any] = {"edits": words} if words != EditWords() or patch_from is not None else {}
    changes |= {} if patch_from is None else {"patch_from": patch_from}
    if changes and stream:
        raise SheetGPTError("--stream prints one text: leave out --off, --steer, --patch and --patch-from.")
    if stream:
        result = sheetgpt.run(workbook, **given, timeout=timeout, on_text=out.write)
        out.write("\n")
        say_not_loaded(err, result)
        return
    with spinner(err, quiet or json_out, "recalculating in LibreOffice"):
        result = sheetgpt.run(workbook, **given, **changes, timeout=timeout)
    own = given if patch_from is None else given | {"prompt": patch_from, "ids": None, "chat": None}
    ours = list(sheetgpt.evaluate(workbook, model=model, **own)) if numpy else []
    theirs = evaluate_changed(workbook, **changes, model=model, **given) if numpy and changes else None
    if json_out:
        more = {"numpy": [id for id, _, _ in ours]} if numpy else {}
        more |= {"numpy_changed": theirs} if theirs is not None else {}
        out.write(screen.printable_json(result.to_dict() | more, out.encoding) + "\n")
    else:
        print_run(out, result, [(id, text) for id, text, _ in ours] if numpy else None, theirs)
    say_not_loaded(err, result)
    differs = [t.id for t in result.written] != [id for id, _, _ in ours]
    differs |= theirs is not None and result.changed is not None and [t.id for t in result.changed.written] != theirs
    if numpy and differs:
        err.say("The workbook and the evaluator chose different tokens.", style="red")
        raise typer.Exit(1)


@app.command()
def info(target: Annotated[str, typer.Argument(help="A model, as for `build`, or a workbook.")] = DEFAULT) -> None:
    """Show a model's shapes and parameters and, for a workbook, its sheets and defined names.

    `sheetgpt info workbooks/stories.xlsx`
    """
    from sheetgpt.workbook.info import describe

    for table in describe(target):
        out.print(table)


@app.command()
def check(
    workbook: Annotated[Path, typer.Argument(help="Any .xlsx file.", show_default=False)], quiet: Quiet = False
) -> None:
    """Check a workbook against the rules and limits of Excel and of sheetgpt, without Excel.

    `sheetgpt check workbooks/stories.xlsx`

    It names the cells that break a rule, up to 50 a sheet. Exit status: 0 if none does, 1 if some do, 2 for bad input.
    """
    with spinner(err, quiet, "checking"):
        problems = sheetgpt.check(workbook)
    for problem in problems:
        out.say(visible(problem, LONG))
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    out.print(count if problems else "[green]clean[/green]: no rule is broken")
    raise typer.Exit(1 if problems else 0)


app.command()(sweep)
app.command()(learning.train)


def main() -> None:
    """Runs the command; an error of ours is one sentence and exit status 2, and so is what the system refuses."""
    stopping.in_order()
    screen.as_it_can()
    try:
        with screen.notes(err):
            sys.exit(_status())
    finally:
        stopping.at_once()
        screen.let_go()


def _status() -> int:
    try:
        return int(app(standalone_mode=False) or 0)
    except SheetGPTError as error:
        err.say(f"sheetgpt: {error}", style="red")
        return 2
    except MemoryError:
        err.say("sheetgpt: There is not enough memory for this.", style="red")
        return 2
    except Closed:
        return 141  # what a shell shows for a program that SIGPIPE has ended
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        err.say(visible(f"sheetgpt: The system refuses{where}: {error.strerror or error}.", LONG), style="red")
        return 2
    except Exception as error:
        return _usage(error)


def _usage(error: Any) -> int:
    """An option or argument that isn't one: Typer's own words for it, with nothing in them that can't be seen."""
    if not hasattr(error, "format_message"):
        raise error
    error.message = visible(error.message, LONG)
    with contextlib.suppress(OSError):
        rich_format_error(error)
    return int(error.exit_code)


stopping.as_before()
