"""What a training workbook can hold: formulas of a step, steps one after another, and what is learned from."""

from dataclasses import replace

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.ooxml.limits import MAX_COLUMN, MAX_ROW
from sheetgpt.sheets.block import Block
from sheetgpt.sheets.training import one_step
from sheetgpt.sheets.training.lesson import Lesson

SECONDS = 4.5e-6  # that LibreOffice takes for a formula of a step
MOST_FORMULAS = 400_000  # some 2 seconds a step there
MOST_UNROLLED, MOST_STEPS = 1_000_000, 100  # formulas in all steps, and steps
MOST_LISTED = 1_000_000  # cells of what is learned from: each step writes some megabytes of them anew


def with_steps(layout: Lesson, unroll: int | None) -> Lesson:
    """The layout with so many steps one after another, if a spreadsheet can make them."""
    if unroll is None:
        return layout
    if isinstance(unroll, bool) or not isinstance(unroll, int) or unroll < 1:
        raise SheetGPTError(f"--unroll {unroll!r:.80} must be a whole number of at least 1.")
    each = step_formulas(layout)
    most = min(MOST_STEPS, MOST_UNROLLED // each)
    if unroll > most:
        raise SheetGPTError(
            f"--unroll {unroll}: a step of this model takes {each:,} formulas, and sheetgpt builds workbooks of up to "
            f"{MOST_STEPS} steps and {MOST_UNROLLED:,} formulas in them. {'Take' if most else 'Leave it out, or take'} "
            + (f"at most --unroll {most}, a smaller model" if most else "a smaller model")
            + ", or fewer --positions."
        )
    return replace(layout, unroll=unroll, room=unroll)


def fitting(layout: Lesson) -> Lesson:
    """The layout, if a spreadsheet can make its step."""
    config = layout.config
    formulas = about_formulas(config, layout.context)
    widest = max(config.n_vocab, config.n_positions, 3 * config.n_embd, config.n_inner)
    if formulas > MOST_FORMULAS or widest > MAX_COLUMN // 2 or 3 * config.n_params // config.n_embd > MAX_ROW:
        fewer = ", or fewer --positions" if about_formulas(config, 2) <= MOST_FORMULAS else ""
        raise SheetGPTError(
            f"A step of this model would take about {formulas:,} formulas, {formulas * SECONDS:.0f} s in LibreOffice,"
            f" with {config.n_params:,} weights and {layout.context} columns; sheetgpt builds workbooks that learn up "
            f"to {MOST_FORMULAS:,}. Take a smaller model{fewer}."
        )
    return layout


def about_formulas(config: GPT2Config, columns: int) -> int:
    """Of the four passes forward, one backward, the gradients and the new state."""
    head = 4 * columns + 4
    block = 14 * config.n_embd + 2 * config.n_inner + config.n_head * head
    return columns * (5 * (config.n_layer * block + 4 * config.n_embd) + 16 * config.n_vocab) + 4 * config.n_params


def step_formulas(layout: Lesson) -> int:
    """Of one step of an unrolled workbook, but its few losses."""
    parts = [(page, part) for page in one_step(replace(layout, room=1)) for _, part in page.placed]
    return sum(part.n_formulas(page.width) for page, part in parts if isinstance(part, Block))


def listing(layout: Lesson, name: str, what: str) -> Lesson:
    """The layout, if its list fits on a sheet. `name`: the file; `what`: how much is in it."""
    cells = layout.n_words * (2 if layout.letters else layout.context + 4)
    if cells > MOST_LISTED:
        raise SheetGPTError(
            f"{name} has {what}, which take {cells:,} cells; sheetgpt builds workbooks that learn from up to "
            f"{MOST_LISTED:,}. Take a part of it."
        )
    return layout
