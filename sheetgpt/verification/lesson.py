"""A training workbook held against NumPy: from the state in its cells to everything that its formulas must come to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sheetgpt.gpt2.learning import adam
from sheetgpt.ooxml.reading.foreign import not_loaded
from sheetgpt.sheets import training
from sheetgpt.sheets.style.palette import PLAIN
from sheetgpt.sheets.training.bands import BANDS
from sheetgpt.sheets.training.lesson import Moment
from sheetgpt.verification.compare import part
from sheetgpt.verification.judge import Found, report
from sheetgpt.verification.report import Report
from sheetgpt.workbook.reopen import DamagedWorkbook
from sheetgpt.workbook.training.lesson import open_lesson, tensor_of

Recalculated = Callable[[Path, Mapping[str, Any], Sequence[str]], Found]


def verify_lesson(path: Path, engine: str, recalculated: Recalculated, wrong_cells: int | None) -> Report:
    """`recalculated`: what the engine computes, of a file, what is put in, and what is read.

    Where many steps stand one after another, each is judged from the state that the program itself came to in the step
    before. So what is known of a step's rounding (`Moment.doubts`) holds for every one of them. From NumPy's own state
    it would grow from step to step, and without a bound where the loss swings.
    """
    try:
        moment = open_lesson(path)
    except DamagedWorkbook as error:
        return Report(str(path), engine, (), (str(error),))
    expected = training.sheets(moment, PLAIN)
    areas = {sheet.title: sheet.area.reference for sheet in expected}
    answer = recalculated(path, {}, list(areas.values()))
    found = {title: answer[reference] for title, reference in areas.items()}
    if moment.layout.unroll:
        expected = training.sheets(replace(moment, computed=computed(moment, found)), PLAIN)
    return replace(report(path, (), engine, expected, found, wrong_cells), not_loaded=not_loaded(path))


def computed(moment: Moment, found: Found) -> tuple[adam.State, ...]:
    """The states after all steps but the last, as a program computed them; none from the first with an error on.

    `found`: the cells of the sheets.
    """
    layout, states = moment.layout, list[adam.State]()
    tensors = [*layout.config.parameter_shapes()]
    for move in training.Many.of(layout).moves[:-1]:
        cells, bands = found[move.title], dict[str, dict[str, Any]]()
        if cells is None:
            break
        try:
            for band in BANDS:
                own = {name: part(cells, move.area(layout[f"new.{band}{name}"])) for name in tensors}
                bands[band] = {name: tensor_of(layout, band, name, own[name]) for name in tensors}
        except ValueError:
            break
        states.append(adam.State(moment.now.t + move.k, bands[""], bands["m."], bands["v."]))
    return tuple(states)
