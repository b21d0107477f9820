"""How long LibreOffice takes to load a workbook and to recalculate it, and how much memory.

A plan is a list of steps, each under a label; one session takes them in turn, and the steps of a label are repetitions
of the same work, of which the median counts. Steps without a label only put the workbook into the state before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from sheetgpt.engines import Step, libreoffice
from sheetgpt.errors import SheetGPTError
from sheetgpt.sheets.inputs import Inputs
from sheetgpt.sheets.layout import Layout
from sheetgpt.text.tokenizer import Tokenizer
from sheetgpt.workbook.checkpoints import built_from
from sheetgpt.workbook.reopen import Workbook, open_workbook

READ = ("n_tokens",)
TEXT = "The old king had three sons and a great garden full of golden apples"
OTHER = "A young fox and two wolves went into the dark forest to look for water"
WORD = " river"
LOOKED_AT = ("attention_token", "lens_position", "contributions_position", "neuron_position")
SHORT, LONG, NEW = 6, 12, 4  # tokens of the full-size prompts, and tokens written after the longer one

Plan = list[tuple[str, Step]]


@dataclass(frozen=True)
class Prompts:
    """Prompts of a wanted number of tokens: beginnings of a text, or ids where the workbook reads none."""

    layout: Layout
    inputs: Inputs
    tokenizer: Tokenizer | None

    def of(self, n: int, text: str = TEXT, new: int = 0, last_word: bool = False) -> Inputs:
        """`last_word`: another one in place of the last."""
        given = replace(self.inputs, new_tokens=new)
        if self.tokenizer is None or not self.layout.reads_text:
            ids = [*range(1, n), n + 1 if last_word else n]
            return replace(given, prompt="", ids=tuple(i % self.layout.config.n_vocab for i in ids))
        prompt = beginning(self.tokenizer, text, n)
        if last_word:
            prompt = prompt.rpartition(" ")[0] + WORD
        return replace(given, prompt=prompt, ids=())


def beginning(tokenizer: Tokenizer, text: str, n: int) -> str:
    """The longest beginning of `text` with `n` tokens, or with the nearest number that there is."""
    ends = range(1, len(text) + 1)
    return text[: min(ends, key=lambda end: (abs(len(tokenizer.encode(text[:end])) - n), -end))]


def prompts(book: Workbook) -> Prompts:
    return Prompts(book.layout, book.inputs, built_from(book).tokenizer)


def edit(before: Inputs, after: Inputs, layout: Layout) -> Step:
    """Only the cells that differ, as a person would type them; the edit's own recalculation has to do."""
    old = before.cells(layout)
    changed = {name: value for name, value in after.cells(layout).items() if value != old[name]}
    return Step(changed, READ, hard=False)


def bundled_plan(given: Prompts, repeats: int) -> Plan:
    """Another prompt, with new tokens and without, then everything from scratch."""
    layout, plan = given.layout, Plan()
    new = min(12, layout.context - 9)
    for label, n_new, score in (
        (f"another prompt, {new} new tokens, surprises", new, True),
        ("another prompt, no new tokens, surprises", 0, True),
        ("another prompt, no new tokens, no surprises", 0, False),
    ):
        pair = [replace(given.of(8, text, n_new), score_prompt=score) for text in (TEXT, OTHER)]
        plan.append(("", Step(pair[0].cells(layout), READ)))
        plan += [(label, edit(pair[k % 2], pair[(k + 1) % 2], layout)) for k in range(repeats)]
    whole = replace(given.of(8, new=new), score_prompt=True)
    plan += [(f"from scratch, {new} new tokens, surprises", Step(whole.cells(layout), READ))] * repeats
    return plan


def full_plan(given: Prompts, repeats: int) -> Plan:
    """A short and a long prompt from scratch, an edit of the last word, and new tokens from scratch."""
    layout, plan = given.layout, Plan()
    long = given.of(LONG)
    other = given.of(LONG, last_word=True)
    plan += [("short", Step(given.of(SHORT).cells(layout), READ))] * repeats
    plan += [("long", Step(long.cells(layout), READ))] * repeats
    plan += [("last word", edit((long, other)[k % 2], (other, long)[k % 2], layout)) for k in range(repeats)]
    plan += [("long and new", Step(given.of(LONG, new=NEW).cells(layout), READ))] * repeats
    return plan


def edits_plan(given: Prompts, looked_at: Mapping[str, float | str], repeats: int) -> Plan:
    """One edit after the other, nothing written: prompts of several lengths, the knobs, the last id, what the sheets
    that look inside are asked (`looked_at`: what their yellow cells hold).
    """
    layout, now = given.layout, given.of(3)
    plan: Plan = [("", Step(now.cells(layout), READ))]

    def then(label: str, after: Inputs) -> None:
        nonlocal now
        plan.append((label, edit(now, after, layout)))
        now = after

    for k in range(repeats):
        for n in (1, 3, 6, 9):
            then(f"prompt of {n} token{'s' * (n > 1)}", given.of(n, (OTHER, TEXT)[k % 2]))
        for name, value in (("temperature", 0.5), ("top_k", 5), ("seed", 8)):
            sampling = replace(now.sampling, **{name: value})  # type: ignore[arg-type]
            then(name, replace(now, sampling=sampling))
        ids = [i % layout.config.n_vocab for i in range(1, 7)]
        then("", replace(now, prompt="", ids=tuple(ids)))
        sixth = layout["prompt_ids"].stripe(5)  # one cell: to put all six again would be an edit of the first, too
        last = (ids[5] + k + 1) % layout.config.n_vocab
        plan.append(("the last of 6 ids", Step({f"{sixth.sheet}!{sixth.cells}": last}, READ, hard=False)))
        now = replace(now, ids=(*ids[:5], last))
        for name in (each for each in LOOKED_AT if each in looked_at):
            plan.append((name.replace("_", ": ", 1), Step({name: k % 2}, READ, hard=False)))
        then("", given.of(3))
    return plan


def edits(workbook: Path, repeats: int, timeout: float) -> dict[str, Any]:
    book = open_workbook(workbook)
    return time_plan(workbook, edits_plan(prompts(book), book.chosen, repeats), timeout)


def full_columns_plan(given: Prompts) -> Plan:
    """Every column in use: what LibreOffice then holds is the most."""
    new = 2
    return [("all columns", Step(given.of(given.layout.context - new, new=new).cells(given.layout), READ))]


def time_plan(workbook: Path, plan: Plan, timeout: float) -> dict[str, Any]:
    """`load_s`, `peak_bytes`; for each label its repetitions, their median and the tokens in the columns."""
    found = libreoffice.session(workbook, [step for _, step in plan], timeout=timeout)
    measured: dict[str, Any] = {"load_s": found.load_seconds, "peak_bytes": found.peak_bytes, "recalculations": {}}
    for (label, _), seconds, cells in zip(plan, found.step_seconds, found.results, strict=True):
        if not label:
            continue
        answer = cells["n_tokens"]
        if answer is None or not answer.numbers[0, 0] > 0:
            raise SheetGPTError(f"{workbook} shows no tokens after the step {label!r}, so it did not read the prompt.")
        row = measured["recalculations"].setdefault(label, {"s": []})
        row["s"].append(seconds)
        row["tokens"] = int(answer.numbers[0, 0])
    for row in measured["recalculations"].values():
        row["median_s"] = median(row["s"])
    return measured


def bundled(workbook: Path, repeats: int, timeout: float) -> dict[str, Any]:
    return time_plan(workbook, bundled_plan(prompts(open_workbook(workbook)), repeats), timeout)


def full(workbook: Path, repeats: int, timeout: float) -> dict[str, Any]:
    measured = time_plan(workbook, full_plan(prompts(open_workbook(workbook)), repeats), timeout)
    return measured | per_token(measured["recalculations"])


def per_token(recalculations: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """Seconds a token: of the prompt by the slope between two lengths and by the mean, and of generation."""
    short, long, new = (recalculations[label] for label in ("short", "long", "long and new"))
    return {
        "s_per_prompt_token_slope": slope(short, long),
        "s_per_prompt_token_mean": long["median_s"] / long["tokens"],
        "s_per_generated_token": slope(long, new),
    }


def slope(a: Mapping[str, Any], b: Mapping[str, Any]) -> float | None:
    """None where both have as many tokens, as when the model stopped at once."""
    n = b["tokens"] - a["tokens"]
    return (b["median_s"] - a["median_s"]) / n if n else None


def lines(measured: Mapping[str, Any]) -> list[tuple[str, str]]:
    table = [("LibreOffice: load", f"{measured['load_s']:.1f} s"), ("peak memory", gigabytes(measured["peak_bytes"]))]
    words = {"short": "from scratch, a short prompt", "long": "from scratch, a longer prompt"}
    words |= {"last word": "after an edit of the last word", "long and new": "from scratch, with new tokens"}
    for label, row in measured["recalculations"].items():
        spread = f" ({min(row['s']):.2f} to {max(row['s']):.2f})" if len(row["s"]) > 1 else ""
        table.append((words.get(label, label), f"{row['median_s']:.2f} s{spread}, {row['tokens']} tokens"))
    for key, what in (
        ("s_per_prompt_token_slope", "a prompt token more"),
        ("s_per_prompt_token_mean", "a prompt token, whole time by tokens"),
        ("s_per_generated_token", "a generated token"),
    ):
        if key in measured:
            table.append((what, "none was written" if measured[key] is None else f"{measured[key]:.2f} s"))
    return table


def gigabytes(n: float | None) -> str:
    return "unknown" if n is None else f"{n / 1e9:.2f} GB" if n >= 1e9 else f"{n / 1e6:.1f} MB"
