"""`sheetgpt verify`: a recalculated workbook against the NumPy evaluator, and the report of it."""

from typing import Annotated

import typer

import sheetgpt
from sheetgpt import screen
from sheetgpt.errors import visible
from sheetgpt.look.printing import write
from sheetgpt.ooxml.writing import target
from sheetgpt.options import (
    Chat,
    Ids,
    Json,
    MovedModel,
    NewTokens,
    Prompt,
    Quiet,
    Seed,
    Temperature,
    Timeout,
    TopK,
    TopP,
    WorkbookFile,
    ids_of,
)
from sheetgpt.progress import spinner
from sheetgpt.screen import LONG, Screen, Table
from sheetgpt.verification.report import MOST, Report
from sheetgpt.workbook.checkpoints import own_files_of


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
    out, err = screen.printers()
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
        _print_report(out, report, everything, quiet)
    raise typer.Exit(0 if report.passed else 1)


def _print_report(out: Screen, report: Report, everything: bool, quiet: bool) -> None:
    """What differs, the sheets, what else is wrong, and the verdict."""
    bad = [t for t in report.tensors if not t.passed]
    table = Table("tensor", "range", "largest |Δ|", "largest relative", "where", box=None, pad_edge=False)
    for t in report.tensors if everything else bad:
        numbers = ("", "") if t.max_abs is None or t.max_rel is None else (f"{t.max_abs:.1e}", f"{t.max_rel:.1e}")
        others = f"and {t.n_wrong - 1:,} more" if t.n_wrong > 1 else ""
        words = " ".join(filter(None, (t.where, t.problem, others)))
        table.add_row(t.name, t.range, *numbers, words, style=None if t.passed else "red")
    if table.rows and not quiet:
        out.print(table)
    for t in bad if everything and not quiet else ():
        for cell in t.cells:
            out.say(visible(f"{cell.where} {cell.problem}", LONG), style="red")
    if not quiet:
        sheets = Table("sheet", "cells", "of them formulas", "wrong", "largest relative", box=None, pad_edge=False)
        for s in report.sheets:
            counts = f"{s.cells:,}", f"{s.formulas:,}", f"{s.wrong:,}" if s.wrong else ""
            sheets.add_row(s.title, *counts, f"{s.max_rel:.1e}", style="red" if s.wrong else None)
        out.print(sheets)
    for problem in report.problems:
        out.say(visible(problem, LONG), style="red")
    for words in report.not_loaded:
        out.say(visible(words, LONG), style="dark_orange")
    if report.passed:
        out.print(f"[green]passed[/green]: {report.coverage} agree; largest relative difference {report.max_rel:.1e}")
    else:
        wrong = sum(s.wrong for s in report.sheets)
        what = {0: "see above", 1: "1 cell is wrong"}.get(wrong, f"{wrong:,} cells are wrong")
        out.print(f"[red]failed[/red]: {what}; compared: {report.coverage}")
