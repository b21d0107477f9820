"""What `verify` and `run` print: a report, and a prediction, of one lane or of two side by side."""

from sheetgpt.errors import visible
from sheetgpt.screen import LONG, Screen, Table
from sheetgpt.sheets.home.prompt import FINE
from sheetgpt.verification.report import Report
from sheetgpt.workbook.run import Prediction


def print_report(out: Screen, report: Report, everything: bool, quiet: bool) -> None:
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


def say_not_loaded(err: Screen, result: Prediction) -> None:
    for words in result.not_loaded:
        err.say(visible(words, LONG), style="dark_orange")


def print_run(
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
