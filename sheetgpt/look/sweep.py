"""`sheetgpt sweep`: every head and MLP switched off, or patched from another text, and what that changes."""

from typing import Annotated, Any

import typer
from rich.markup import escape

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import DEFAULT, load
from sheetgpt.gpt2.editing.edit_words import part_name
from sheetgpt.inspection import patching
from sheetgpt.inspection import sweep as switched
from sheetgpt.look.lens import Position
from sheetgpt.look.printing import sentences, signed_map, write
from sheetgpt.ooxml.writing import target
from sheetgpt.options import Ids, Json, Prompt, ids_of
from sheetgpt.progress import counter
from sheetgpt.screen import Screen, Table, printable_json, printer

SHOWN, BAR = 20, 20  # rows of the table, blocks of the longest bar
WHAT = {
    patching.RESID: "The stream that enters a block, at one position",
    patching.ATTENTION: "All heads of a block, at one position",
    patching.MLP: "What a block's MLP writes, at one position",
    patching.HEADS: "One head, at all positions (a row is a block, a column a head)",
}

Model = Annotated[str, typer.Argument(help="A model, as for `build`.")]
Token = Annotated[
    str | None,
    typer.Option(
        help="The token whose logit is measured: a word that is one token, or an id such as #12. "
        "[default: the likeliest next token]",
        show_default=False,
    ),
]
Minus = Annotated[
    str | None, typer.Option(help="A token whose logit is subtracted from it, likewise.", show_default=False)
]
PatchFrom = Annotated[
    str | None,
    typer.Option(help="Another prompt: instead of switching parts off, take them from its run.", show_default=False),
]
PatchFromIds = Annotated[str | None, typer.Option(help="The same as token ids, such as 1,2,3.", show_default=False)]
Parts = Annotated[
    list[str] | None,
    typer.Option(
        "--part",
        help="With --patch-from, which maps: resid, attention, mlp, heads, or a head's number, for that head of every "
        "block. May be repeated. [default: the first four]",
        show_default=False,
    ),
]
Top = Annotated[
    int | None,
    typer.Option(help=f"Rows of the table. [default: {SHOWN}]", min=1, show_default=False),
]


def sweep(
    model: Model = DEFAULT,
    prompt: Prompt = None,
    ids: Ids = None,
    token: Token = None,
    minus: Minus = None,
    position: Position = None,
    mean: Annotated[
        bool, typer.Option("--mean", help="A part that is off leaves its average so far, in place of nothing.")
    ] = False,
    top: Top = None,
    patch_from: PatchFrom = None,
    patch_from_ids: PatchFromIds = None,
    part: Parts = None,
    json_file: Json = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Find the part that matters: switch off every head and every MLP, one at a time, and see what that changes.

    `sheetgpt sweep stories --prompt "Tom had a red ball. He"`

    The table's first column names the part as `--off` takes it: 2.3 is head 3 of block 2. All figures are NumPy's.

    `sheetgpt sweep gpt2 --prompt "When Mary and John went home, John gave a drink to" --token Mary --minus John`
    measures the difference of two logits, as the study of indirect objects does.

    `sheetgpt sweep stories --prompt "The girl was sad because" --patch-from "The boy was sad because" --token she
    --minus he` takes each part from the other text's run instead: in the heat map 100 is all the way to what the other
    run says, and 0 is no change.
    """
    theirs = ids_of(patch_from_ids) if patch_from is None else patch_from
    _check(theirs is not None, patch_from is not None and patch_from_ids is not None, mean, top, part)
    checkpoint = load(model)
    if json_file is not None:
        target.check(json_file, "--json", {"one of the checkpoint's own files": checkpoint.files}, makes_folders=False)
    words: dict[str, Any] = {"ids": ids_of(ids), "token": token, "minus": minus, "position": position}
    with counter(Screen(stderr=True), quiet, "runs of the model") as advance:
        if theirs is None:
            found: switched.Sweep | patching.PatchSweep
            found = switched.sweep(checkpoint, prompt, **words, mean=mean, progress=advance)
        else:
            words |= {"patch_from": theirs, "parts": part or patching.PARTS}
            found = patching.patch_sweep(checkpoint, prompt, **words, progress=advance)
    try:
        if json_file is not None:
            write(json_file, printable_json({"model": checkpoint.name, **found.to_dict()}))
    finally:  # a disk that has filled up meanwhile doesn't take the result along
        if isinstance(found, patching.PatchSweep):
            _print_maps(printer(), found)
        else:
            _print_table(printer(), found, SHOWN if top is None else top)


def _check(patches: bool, twice: bool, mean: bool, top: int | None, part: list[str] | None) -> None:
    if twice:
        raise SheetGPTError("Give only one of --patch-from and --patch-from-ids.")
    if part and not patches:
        raise SheetGPTError("--part chooses the maps of --patch-from: give another prompt with it.")
    for name, given in (("--mean", mean), ("--top", top is not None)) if patches else ():
        if given:
            raise SheetGPTError(f"{name} is for parts that are switched off: leave it out, or --patch-from.")


def _measure(found: switched.Sweep | patching.PatchSweep) -> str:
    """`“·was”, id 12, rather than “·is”, id 9`"""
    minus = "" if found.minus is None else f" rather than “{found.minus_shown}”, id {found.minus},"
    return f"“{found.token_shown}”, id {found.token},{minus}"


def _after(found: switched.Sweep | patching.PatchSweep) -> str:
    return f"after “{found.tokens[found.position]}” at position {found.position}"


def _logit(found: switched.Sweep | patching.PatchSweep) -> str:
    return "logit" if found.minus is None else "logit difference"


def _print_table(out: Screen, found: switched.Sweep, top: int) -> None:
    """The parts that change most, the largest first."""
    left = "its average so far" if found.mode == "mean" else "nothing"
    plain = f"{_logit(found)} {found.plain.logit:.3f}, probability {found.plain.probability:.1%}"
    sentences(out, [f"{_measure(found)} {_after(found)}: {plain}.", f"With one part off, which leaves {left}:"])
    heads = "off", _logit(found), "", "probability", "KL, bits"
    table = Table(*heads, box=None, pad_edge=False)
    most = max((abs(e.logit) for e in found.effects), default=0) or 1
    for e in found.effects[:top]:
        bar = out.blocks * round(BAR * abs(e.logit) / most)
        new = found.plain.probability + e.probability
        table.add_row(part_name(e.block, e.part), f"{e.logit:+.3f}", bar, f"{new:.1%}", f"{e.kl:.3f}")
    for column in (table.columns[1], *table.columns[3:]):
        column.justify = "right"
    out.print(table)
    rest = len(found.effects) - top
    if rest > 0:
        change = "changes" if rest == 1 else "change"
        sentences(out, [f"{rest} more {change} it less (--top {len(found.effects)} shows all)."])


def _print_maps(out: Screen, found: patching.PatchSweep) -> None:
    """What the two runs say, then a heat map a part."""
    for name, tokens, one in (("This text", found.tokens, found.plain), ("The other", found.other_tokens, found.other)):
        text = "|".join(tokens)
        sentences(out, [f"{name}: {text}", f"  {_logit(found)} {one.logit:.3f}, probability {one.probability:.1%}"])
    sizes = len(found.tokens), len(found.other_tokens)
    apart = "" if sizes[0] == sizes[1] else "; in the other text after its own last token"
    sentences(out, [f"Measured: {_measure(found)} {_after(found)}{apart}."])
    if apart:
        n = min(sizes)
        shared = f"positions 0 to {n - 1}" if n > 1 else "position 0"
        matched = f"Positions are matched by number, so only {shared} can be patched"
        sentences(out, [f"{matched}: the texts have {sizes[0]} and {sizes[1]} tokens."])
    if found.in_shares:
        sentences(out, ["In percent of the way from this run's to the other's; below 0 is the opposite way."])
    else:
        sentences(out, ["The two runs agree on what is measured, so these are the changes themselves."])
    for part in found.effects:
        title = WHAT.get(part, f"Head {part} of a block, at one position")
        out.print(f"\n[bold]{escape(title)}[/bold]")
        signed_map(out, found.frame(part), found.in_shares)
