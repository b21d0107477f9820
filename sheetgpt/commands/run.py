"""`sheetgpt run`: a prompt for a workbook, and what it writes, in one lane or in two side by side."""

from typing import Annotated, Any

import typer

import sheetgpt
from sheetgpt import screen
from sheetgpt.errors import SheetGPTError, visible
from sheetgpt.gpt2.editing.edit_words import EditWords
from sheetgpt.options import (
    Chat,
    Ids,
    Mean,
    MovedModel,
    NewTokens,
    Off,
    PatchWords,
    Prompt,
    Quiet,
    Seed,
    Steer,
    Temperature,
    Timeout,
    TopK,
    TopP,
    WorkbookFile,
    ids_of,
)
from sheetgpt.progress import spinner
from sheetgpt.screen import LONG, Screen, Table
from sheetgpt.sheets.home.prompt import FINE
from sheetgpt.workbook.run import Prediction, evaluate_changed


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
    out, err = screen.printers()
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
        _say_not_loaded(err, result)
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
        _print_run(out, result, [(id, text) for id, text, _ in ours] if numpy else None, theirs)
    _say_not_loaded(err, result)
    differs = [t.id for t in result.written] != [id for id, _, _ in ours]
    differs |= theirs is not None and result.changed is not None and [t.id for t in result.changed.written] != theirs
    if numpy and differs:
        err.say("The workbook and the evaluator chose different tokens.", style="red")
        raise typer.Exit(1)


def _say_not_loaded(err: Screen, result: Prediction) -> None:
    for words in result.not_loaded:
        err.say(visible(words, LONG), style="dark_orange")


def _print_run(
    out: Screen, result: Prediction, ours: list[tuple[int, str]] | None, theirs: list[int] | None = None
) -> None:
    """The text, the choices, and the table of what would come next; of both lanes, where something is changed in one.

    `ours`, `theirs`: what the evaluator wrote in lane A, and in lane B.
    """
    other = result.changed
    if other is not None:
        out.say("Lane A, the untouched model", style="bold")
    _print_text(out, result)
    if ours is not None:
        _print_verdict(out, "".join(text for _, text in ours), [id for id, _ in ours], result)
    if other is None:
        _print_table(out, result, f"What could come next after “{result.after_shown}”, position {result.after}?")
        return
    out.say("Lane B, changed", style="bold")
    _print_text(out, other)
    if theirs is not None:
        _print_verdict(out, "", theirs, other)
    _print_both(out, result, other)


def _print_text(out: Screen, result: Prediction) -> None:
    if result.message != FINE:
        out.say(result.message, style="dark_orange")
    out.say(result.prompt, (result.completion, "bold dark_orange"))
    if result.written:
        table = Table("", "id", "token", "chance", "random number", "candidates", box=None, pad_edge=False)
        for k, w in enumerate(result.written, 1):
            numbers = f"{w.share:.1%}", f"{w.uniform:.3f}", str(w.candidates)
            table.add_row(str(k), str(w.id), w.shown, *numbers)
        out.print(table)


def _print_verdict(out: Screen, text: str, ids: list[int], result: Prediction) -> None:
    """Whether the evaluator chose the same tokens."""
    same = ids == [w.id for w in result.written]
    verdict = ("the same tokens", "green") if same else ("different tokens", "red")
    out.say("NumPy: ", (text, "bold dark_orange"), "  (" if text else "(", verdict, ")")


def _print_table(out: Screen, result: Prediction, title: str) -> None:
    out.say(title, style="italic")
    table = Table("", "id", "token", "logit", "probability")
    for k, t in enumerate(result.next_tokens, 1):
        bar = out.blocks * round(40 * t.probability)
        table.add_row(str(k), str(t.id), t.shown, f"{t.logit:.3f}", f"{t.probability:6.1%} {bar}")
    out.print(table)


def _print_both(out: Screen, a: Prediction, b: Prediction) -> None:
    """The two lanes' likeliest tokens side by side."""
    table = Table(
        "", "lane A", "logit", "probability", "", "lane B", "logit", "probability", title="What could come next?"
    )
    table.title_justify = "left"
    for k, (x, y) in enumerate(zip(a.next_tokens, b.next_tokens, strict=True), 1):
        left = (x.shown, f"{x.logit:.3f}", f"{x.probability:6.1%}")
        table.add_row(str(k), *left, "", y.shown, f"{y.logit:.3f}", f"{y.probability:6.1%}")
    out.print(table)
    if a.divergence is not None:
        out.say(f"KL divergence of lane B from lane A: {a.divergence:.4g} bits")
