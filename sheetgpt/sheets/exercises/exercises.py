"""The sheet Exercises: tasks in the order of the Guide, each with a yellow cell that is checked against the model.

A yellow cell takes a formula of the student's own; what it comes to is read, as a typed number is. All tasks are about
the last token of the prompt that stands on Home. Folded at the end stand the numbers that the checks compare with, in
white. The tasks: `of_network`, `of_choice`, `of_text`; a task's parts: `task`.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from openpyxl.formatting.rule import FormulaRule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import letters
from sheetgpt.sheets.block import Block, Part, cell
from sheetgpt.sheets.exercises import of_choice, of_network, of_text
from sheetgpt.sheets.exercises.column import EXERCISES, Column
from sheetgpt.sheets.exercises.compared import column_now, compared, flags, ready_cell, vectors
from sheetgpt.sheets.exercises.task import RIGHT, Task, answer_now, marks, marks_now
from sheetgpt.sheets.formulas import text_at
from sheetgpt.sheets.grid import BAND, FIRST_TOKEN, FIRST_WEIGHT
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Beside, Page, Paper, Space, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.tensor import Kind, Value

SOLUTIONS = "solutions"  # the optional part that fills the yellow cells
NUMBER, TITLE, SAID, ANSWER, CHECK = 1, 2, 3, 6, 8  # columns; what is said runs on up to the answer
WIDTHS = (4, 19, 22, 19, 19, 14, 1, 27)
NOTE = "Fill in the yellow cells: a formula of your own that points at the model's cells, or an answer."
SOLVED = "Here they hold the solutions."
HOW = "Everything is about the last token of the prompt on Home. The blue links lead to what a task uses."
FOLDED = "Folded above: the numbers that the checks compare with."


def starts(layout: Layout) -> Mapping[str, Value]:
    """The yellow cells: empty. Where they hold the solutions nothing is typed."""
    if solved(layout):
        return {}
    return {f"exercises_{task.name}": "" for task in all_tasks(Column(layout))}


def n_formulas(layout: Layout) -> int:
    return 8 * layout.context + layout.config.n_embd + 130


def solved(layout: Layout) -> bool:
    return SOLUTIONS in layout.optional


def all_tasks(it: Column) -> list[Task]:
    return [*of_network.tasks(it), *of_choice.tasks(it), *of_text.tasks(it)]


def page(layout: Layout) -> Page:
    it = Column(layout)
    here, found = it.page, all_tasks(it)
    here.last_column = CHECK
    here.head(NOTE + (f" {SOLVED}" if solved(layout) else ""), SAID, beside={SAID: HOW}, style="note")
    here.add(progress(it, found), *where(it), Space(height=6))
    first = here.row
    for number, task in enumerate(found, 1):
        add_task(it, number, task)
    last = here.row - 1
    here.add(Space(height=6), *column_now(it))
    for task in found:
        here.add(*compared(it, task))
    here.add(*vectors(it), flags(it, found, partial(done_now, it)), Texts({TITLE: FOLDED}, "note"))
    here.paper = Paper(one=True, last_row=last, last_column=CHECK)
    here.dresses.append(partial(dress, first, last))
    return here


def progress(it: Column, found: list[Task]) -> Part:
    """How many are done."""

    def formula() -> str:
        return f'SUM({it.page["done"].local})&" of {len(found)}"'

    def twin(state: State) -> str:
        return f"{sum(done_now(it, task, state) for task in found)} of {len(found)}"

    words = Texts({TITLE: "Done so far"}, "name", height=20)
    return Beside(words, cell(SAID, formula, twin, "figure of", "progress", kind=Kind.TEXTS))


def where(it: Column) -> list[Part]:
    """The last token of the prompt, and the likeliest one after it: string, number, column."""
    head = it.config.head
    texts, names = it.layout["token_text"].reference, it.layout["vocab_shown"].reference

    def line(title: str, *found: tuple[Callable[[], str], Callable[[State], Value], str]) -> Part:
        cells = (ready_cell(it, SAID + k, formula, twin, style) for k, (formula, twin, style) in enumerate(found))
        return Beside(Texts({TITLE: title}, "name"), *cells)

    def column_now(state: State) -> str:
        return f"column {letters(FIRST_TOKEN + it.now(state))}"

    def best_column_now(state: State) -> str:
        return f"{head}, column {letters(FIRST_WEIGHT + it.best_now(state) % BAND)}"

    return [
        line(
            "Prompt's last token",
            (lambda: text_at(texts, f"1,{it.place}"), lambda s: s.prompt.shown[it.now(s)], "token"),
            (lambda: f'"position "&({it.place}-1)', lambda s: f"position {it.now(s)}", "id"),
            (lambda: f'"column "&{it.page["letters"].local}', column_now, "id"),
        ),
        line(
            "Likeliest next",
            (lambda: text_at(names, f"{it.best}+1"), lambda s: s.shown[it.best_now(s)], "token"),
            (lambda: f'"id "&{it.best}', lambda s: f"id {it.best_now(s)}", "id"),
            (lambda: f'"{head}, column "&{it.page["best_letters"].local}', best_column_now, "id"),
        ),
    ]


def add_task(it: Column, number: int, task: Task) -> None:
    """What is asked, the yellow cell and its check; the hint, folded; the cells that it uses."""
    here, row = it.page, it.page.row
    blanks = dict.fromkeys(range(SAID + 1, ANSWER), "")
    text = cell(SAID, *task.ask, "paragraph") if isinstance(task.ask, tuple) else Texts({SAID: task.ask}, "paragraph")
    here.add(
        Beside(
            cell(NUMBER, None, lambda state: number, "id"),
            Texts({TITLE: task.title}, "name", height=32),
            text,
            Texts(blanks, "paragraph"),
            answer_cell(it, task),
            ready_cell(it, CHECK, partial(check, it, task), partial(checked, it, task), "check", f"check {task.name}"),
        ),
        Texts({TITLE: "Hint", SAID: task.hint} | blanks, "hint", height=30, folded=True),
    )
    links = []
    for column, link in enumerate(task.links, SAID):
        here.links.append((Area(EXERCISES, here.row, column).cells, link.place))
        links.append(ready_cell(it, column, link.formula, link.twin, "small link"))
    here.add(Beside(Texts({TITLE: "hint: the + on the left"}, "small note", height=18), *links))
    wide = [Area(EXERCISES, row + k, SAID, 1, ANSWER - SAID) for k in range(2)]
    here.dresses.append(partial(merge, [*wide, Area(EXERCISES, row, CHECK, 3)]))
    if task.choices:
        here.dresses.append(partial(offer, here[task.name], task.choices))


def check(it: Column, task: Task) -> str:
    """What is said of the yellow cell."""
    answer = it.page[task.name].local
    if task.says is not None:
        return task.says[0](answer)
    wrong = [it.page[f"wrong {task.name} {k}"].local for k in range(len(task.mistakes))]
    return marks(task, answer, it.page[f"right {task.name}"].local, wrong)


def answer_cell(it: Column, task: Task) -> Block:
    """The yellow cell: for an answer, or with the solution."""
    if not solved(it.layout):
        return cell(ANSWER, None, partial(answered, it, task), "answer", task.name, kind=Kind.ANSWER)
    kind = Kind.TEXTS if task.choices else Kind.NUMBERS
    return ready_cell(
        it,
        ANSWER,
        task.solution,
        partial(answered, it, task),
        "answer",
        task.name,
        kind=kind,
        named=True,
        doubt=task.right.doubt,
    )


def answered(it: Column, task: Task, state: State) -> Value:
    return answer_now(task, state) if solved(it.layout) else state.chosen[f"exercises_{task.name}"]


def checked(it: Column, task: Task, state: State) -> str:
    answer = answered(it, task, state)
    return marks_now(task, answer, state) if task.says is None else task.says[1](answer, state)


def done_now(it: Column, task: Task, state: State) -> int:
    return int(checked(it, task, state).startswith(RIGHT))


def merge(areas: Sequence[Area], frame: Worksheet) -> None:
    for area in areas:
        frame.merged_cells.add(area.cells)


def offer(area: Area, choices: Sequence[str], frame: Worksheet) -> None:
    """What the yellow cell of a prediction takes; a formula is fine, too."""
    rule = DataValidation("list", formula1='"' + ",".join(choices) + '"', allow_blank=True)
    rule.showErrorMessage = False
    rule.add(area.cells)
    frame.add_data_validation(rule)


def dress(first: int, last: int, frame: Worksheet) -> None:
    """Widths, and what is done in green."""
    frame.sheet_properties.tabColor = "C55A11"
    frame.sheet_view.showGridLines = False
    frame.sheet_format.outlineLevelRow = 1
    frame.freeze_panes = f"A{first}"
    for column, width in enumerate(WIDTHS, 1):
        frame.column_dimensions[letters(column)].width = width
    checks = Area(EXERCISES, first, CHECK, last - first + 1)
    top = f"${letters(CHECK)}{first}"
    done = FormulaRule([f'LEFT({top},1)="{RIGHT}"'], font=Font(bold=True, color="548235"), stopIfTrue=True)
    answers = Area(EXERCISES, first, ANSWER, last - first + 1)
    green = FormulaRule([f'LEFT({top},1)="{RIGHT}"'], fill=PatternFill(bgColor="C6E0B4"))
    frame.conditional_formatting.add(checks.cells, done)
    frame.conditional_formatting.add(answers.cells, green)
