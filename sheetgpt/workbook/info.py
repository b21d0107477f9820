"""What `sheetgpt info` shows: a model's shapes and parameters, a workbook's sheets and names."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.markup import escape

from sheetgpt.engines import cached
from sheetgpt.errors import visible
from sheetgpt.gpt2.checkpoints.checkpoint import load
from sheetgpt.gpt2.checkpoints.quantize import Cost
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.screen import LONG, Table
from sheetgpt.sheets import optional_sheets
from sheetgpt.sheets.grid import HOME
from sheetgpt.sheets.home.about import parameter_parts
from sheetgpt.sheets.home.home import WORDS as HOME_WORDS
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.training import first, unrolled
from sheetgpt.sheets.training.lesson import TRAINING, Moment
from sheetgpt.workbook.reopen import is_lesson, open_workbook
from sheetgpt.workbook.training.lesson import open_lesson


def describe(target: str) -> Iterator[Table]:
    """Tables for a model or, when `target` is an .xlsx file, for a workbook."""
    if not target.lower().endswith(".xlsx"):
        checkpoint = load(target, needs_text=False)
        yield shapes(checkpoint.name, checkpoint.config)
        yield parameters(checkpoint.config)
        return
    if is_lesson(target):
        yield from _lesson(open_lesson(target), Path(target))
        return
    book = open_workbook(target)
    yield shapes(book.model, book.layout.config)
    yield parameters(book.layout.config)
    if book.cost is not None:
        yield rounding(book.layout, book.cost)
    yield optional(book.layout)
    if book.layout.reads_only:
        yield reading()
    yield sheets(listed(Path(target)))
    yield names(cached.package(Path(target)).references, Path(target).name)


def _lesson(moment: Moment, path: Path) -> Iterator[Table]:
    """A training workbook."""
    yield shapes(moment.source, moment.config)
    yield parameters(moment.config)
    table = Table("training", "", title="Training", title_justify="left", box=None)
    table.add_row("steps made", f"{moment.now.t:,}")
    table.add_row(f"{moment.layout.example}s", f"{len(moment.words):,}")
    if moment.layout.unroll:
        begin, last = moment.steps[0], moment.steps[-1]
        table.add_row(
            "steps one after another",
            f"{moment.layout.unroll}, on the {moment.layout.example} {moment.words[moment.turn]}",
        )
        table.add_row("learning rate", f"{moment.settings.learning_rate:g}")
        table.add_row("loss, from step to step", f"{float(begin.trace['loss']):.3f} to {float(last.trace['loss']):.3f}")
    else:
        table.add_row("loss of the last step", f"{moment.losses[-1]:.3f}" if moment.losses else "")
    yield table
    words = (unrolled if moment.layout.unroll else first).words_of(moment.layout)
    yield sheets(listed(path, TRAINING, words))
    yield names(cached.package(path).references, path.name)


def listed(path: Path, first: str = HOME, first_words: str = HOME_WORDS) -> dict[str, str]:
    """The sheets in the order of their tabs, and what the list on the first says of each."""
    titles = list(cached.package(path).sheets)
    found = cached.recalculate(path, {}, ["sheet_list"])["sheet_list"]
    words = {first: first_words}
    if found is not None:
        words |= {found.texts.get((i, 0), ""): found.texts.get((i, 1), "") for i in range(len(titles))}
    return {title: words.get(title, "") for title in titles}


def shapes(name: str, config: GPT2Config) -> Table:
    table = Table("shape", "", title=escape(visible(name, LONG)), title_justify="left", box=None)
    for field in config.__dataclass_fields__:
        table.add_row(field, str(getattr(config, field)))
    return table


def parameters(config: GPT2Config) -> Table:
    table = Table("part", "parameters", "share", title="Parameters", title_justify="left", box=None, show_footer=True)
    for part, _, count in parameter_parts(config):
        table.add_row(part, f"{count(config):,}", f"{count(config) / config.n_params:.1%}")
    table.columns[0].footer, table.columns[1].footer = "all", f"{config.n_params:,}"
    table.columns[1].justify = table.columns[2].justify = "right"
    return table


def rounding(layout: Layout, cost: Cost) -> Table:
    table = Table("what rounding the weights changes", "", title="Weights", title_justify="left", box=None)
    table.add_row("weights", layout.weights)
    table.add_row("largest difference of a logit from the exact model", f"{cost.largest:.3g}")
    table.add_row("root mean square of these differences", f"{cost.rms:.3g}")
    table.add_row(
        "likeliest next token is the same after", f"{cost.n_same} of {cost.n_tokens} tokens ({cost.top_1:.1%})"
    )
    return table


def optional(layout: Layout) -> Table:
    """Which of the sheets that a workbook may do without it has."""
    table = Table("optional sheet", "", title="Optional sheets", title_justify="left", box=None)
    for sheet in optional_sheets():
        table.add_row(sheet.name, "in the workbook" if sheet.name in layout.optional else "left out")
    return table


def reading() -> Table:
    """Of a workbook that only reads."""
    table = Table("new tokens", "", title="It only reads", title_justify="left", box=None)
    table.add_row("none", "built with --reads-only: a change of temperature, top_k, top_p or seed recomputes no block")
    return table


def sheets(words: Mapping[str, str]) -> Table:
    table = Table("sheet", "what it shows", title="Sheets", title_justify="left", box=None)
    for sheet, what in words.items():
        table.add_row(sheet, what)
    return table


def names(references: Mapping[str, str], title: str) -> Table:
    """Every defined name, as the file has them."""
    table = Table(
        "name", "range", title=escape(visible(f"Defined names of {title}", LONG)), title_justify="left", box=None
    )
    for name, reference in references.items():
        table.add_row(name, reference)
    return table
