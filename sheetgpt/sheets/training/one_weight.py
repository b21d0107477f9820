"""The sheet One weight: what a step does to a single number, line by line.

Arithmetic: `gpt2/learning/adam.py`.
"""

import math
from collections.abc import Callable
from typing import Any

from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.learning import adam
from sheetgpt.sheets.block import Block, cell
from sheetgpt.sheets.grid import LABEL
from sheetgpt.sheets.page import Bar, Beside, Page, Texts
from sheetgpt.sheets.tensor import Kind
from sheetgpt.sheets.training.bands import titled, widths
from sheetgpt.sheets.training.lesson import ONE_WEIGHT, Lesson, Moment, in_cells

VALUE, SAYS, LIST = 2, 3, 5
MOVE = 0.001


def page(layout: Lesson) -> Page:
    here = Page(ONE_WEIGHT, "what a step does to a single weight, line by line", 1, first=VALUE)
    titled(here, "Choose a weight: its tensor, and where it stands in it. Then read down.", SAYS)
    names = list(layout.config.parameter_shapes())
    n = len(names)

    def at(name: str) -> str:
        return layout[name].reference

    def own(name: str) -> str:
        return here[name].local

    def picked(prefix: str) -> Callable[[], str]:
        """The weight's own cell on one of the sheets; the tensors' ranges in the list's order."""

        def formula() -> str:
            each = ",".join(
                f"INDEX({at(prefix + name)},{own('weight_row')}+1,{own('weight_column')}+1)" for name in names
            )
            return f"CHOOSE(MATCH({own('weight_tensor')},{own('tensors')},0),{each})"

        return formula

    def cell_of(of: Callable[[Moment], Any]) -> Callable[[Moment], float]:
        def twin(moment: Moment) -> float:
            name, i, j = moment.weight
            return float(in_cells(name, of(moment)[name])[i, j])

        return twin

    def gradients(moment: Moment) -> dict[str, Any]:
        return {name: moment.trace[f"grad_{name}"] for name in names}

    gradient = cell_of(gradients)
    m, v, w = cell_of(lambda k: k.next.m), cell_of(lambda k: k.next.v), cell_of(lambda k: k.next.w)

    def m_hat(moment: Moment) -> float:
        return m(moment) / adam.corrections(moment.step, moment.settings)[0]

    def root(moment: Moment) -> float:
        return math.sqrt(v(moment) / adam.corrections(moment.step, moment.settings)[1])

    def change(moment: Moment) -> float:
        return w(moment) - cell_of(lambda k: k.now.w)(moment)

    def doubt(moment: Moment) -> float:
        return cell_of(lambda k: k.doubts.w)(moment)

    def root_doubt(moment: Moment) -> float:
        return cell_of(lambda k: k.doubts.root)(moment) / math.sqrt(adam.corrections(moment.step, moment.settings)[1])

    def line(
        name: str, label: str, words: str, formula: Callable[[], str], twin: Callable[[Moment], Any], **more: Any
    ) -> Beside:
        return Beside(
            Texts({LABEL: label, SAYS: words}, "label"),
            cell(VALUE, formula, twin, "weight value", f"weight_{name}", **more),
        )

    def chosen(k: int) -> Callable[[Moment], Any]:
        return lambda moment: moment.weight[k]

    def ranges(moment: Moment) -> list[str]:
        return [layout[name].cells for name in names]

    typed: dict[str, Any] = {"kind": Kind.INPUT}
    here.add(
        Bar("Which one", "Yellow cells are yours.", last=SAYS),
        Beside(
            Texts({LABEL: "tensor", SAYS: "one of the list on the right"}, "label"),
            cell(VALUE, None, chosen(0), "input", "weight_tensor", **typed),
        ),
        Beside(
            Texts({LABEL: "row", SAYS: "counts from 0; the list says where on State the tensor stands"}, "label"),
            cell(VALUE, None, chosen(1), "input", "weight_row", **typed),
        ),
        Beside(
            Texts({LABEL: "column", SAYS: "counts from 0"}, "label"),
            cell(VALUE, None, chosen(2), "input", "weight_column", **typed),
        ),
        Bar("Before the step", "", last=SAYS),
        line("w", "w", "the weight, on State", picked(""), cell_of(lambda k: k.now.w)),
        line("m", "m", "the running mean of its gradients, on State", picked("m."), cell_of(lambda k: k.now.m)),
        line("v", "v", "the running mean of their squares, on State", picked("v."), cell_of(lambda k: k.now.v)),
        line("gradient", "g", "its gradient: how the loss changes with it, on Gradient", picked("grad_"), gradient),
        Bar("The step", "", last=SAYS),
        line("new_m", "new m", "beta1 × m + (1 − beta1) × g", picked("new.m."), m),
        line("new_v", "new v", "beta2 × v + (1 − beta2) × g²", picked("new.v."), v),
        line(
            "m_hat",
            "m corrected",
            "new m / (1 − beta1 ^ step): m began at 0",
            lambda: f"{own('weight_new_m')}/{at('correction1')}",
            m_hat,
        ),
        line(
            "root",
            "√v corrected",
            "√(new v / (1 − beta2 ^ step)): the usual size of its gradient",
            lambda: f"SQRT({own('weight_new_v')}/{at('correction2')})",
            root,
            doubt=root_doubt,
        ),
        line(
            "new_w",
            "new w",
            "w − rate × m corrected / (√v corrected + epsilon); matrices decay beside it",
            picked("new."),
            w,
            doubt=doubt,
        ),
        line("change", "change", "new w − w", lambda: f"{own('weight_new_w')}-{own('weight_w')}", change, doubt=doubt),
        Bar("Try it", f"Note the loss expected; then type w + {MOVE} into its cell on State.", last=SAYS),
        line(
            "loss",
            "loss now",
            f"of this step's {layout.example}: becomes the one that was expected",
            lambda: at("loss"),
            lambda k: float(k.trace["loss"]),
        ),
        line(
            "moved",
            "loss expected",
            f"loss now + {MOVE} × g: what it should be if w were {MOVE} larger",
            lambda: f"{own('weight_loss')}+{MOVE}*{own('weight_gradient')}",
            lambda k: float(k.trace["loss"]) + MOVE * gradient(k),
        ),
    )
    # beside the first rows, so that all is seen at once
    here.row = 3
    listed: dict[str, Any] = {"n_rows": n, "n_columns": 1, "label": None, "numbered": False, "style": "label"}
    here.add(
        Texts({LIST: "tensor", LIST + 1: "on State"}),
        Beside(
            Block("tensors", column=LIST, twin=lambda moment: names, kind=Kind.CONSTANT, axes=("tensor",), **listed),
            Block(column=LIST + 1, twin=ranges, kind=Kind.CONSTANT, **listed),
        ),
    )

    def dress(frame: Worksheet) -> None:
        rule = DataValidation("list", formula1=here["tensors"].local, allow_blank=False)
        rule.add(here["weight_tensor"].cells)
        frame.add_data_validation(rule)

    here.dresses.append(dress)
    widths(here, {"A": 16, "B": 22, "C": 57, "D": 2, "E": 16, "F": 13}, tab="7030A0")
    return here
