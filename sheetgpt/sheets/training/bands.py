"""State and Next, cell for cell alike: the step, the losses so far, and all weights with their running means.

What State holds as constants, Next has as formulas, one step on. So one copy of Next, pasted as values onto State, is a
step. Arithmetic: `gpt2/learning/adam.py`. `formula(i, j)` is that of row i and column j.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from openpyxl.formatting.rule import ColorScaleRule
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.config import LOOKED_UP
from sheetgpt.gpt2.learning.adam import State
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.sheets.block import Block, Part, cell
from sheetgpt.sheets.grid import FIRST_TOKEN, LABEL
from sheetgpt.sheets.page import AT_TOP, Beside, Page, Space, Stack, Texts
from sheetgpt.sheets.tensor import Kind
from sheetgpt.sheets.training.lesson import NEXT, STATE, TRAINING, Lesson, Moment, in_cells, shape_in_cells

NUMBER, LOSSES = 3, 4  # columns of the losses
BANDS = {  # what the names begin with -> the band's title and what it says
    "": ("w", "the weights"),
    "m.": ("m", "of each weight's gradient the running mean"),
    "v.": ("v", "of its square the running mean"),
}


def titled(page: Page, note: str, column: int = FIRST_TOKEN) -> None:
    """The title's row and the way back to the first sheet."""
    page.add(Texts({LABEL: page.title, column: note}, styles={LABEL: "title", column: "note"}, height=AT_TOP))
    page.links.append((f"A{page.row}", f"{quoted(TRAINING)}!A1"))
    page.add(Texts({LABEL: "← Training"}, "link"))


def widths(page: Page, of: dict[str, float], freeze: str = "", tab: str = "548235") -> None:
    def dress(frame: Worksheet) -> None:
        frame.sheet_properties.tabColor = tab
        if freeze:
            frame.freeze_panes = freeze
        for column, width in of.items():
            frame.column_dimensions[column].width = width

    page.dresses.append(dress)


def state_page(layout: Lesson) -> Page:
    made = "one step" if layout.unroll < 2 else f"{layout.unroll} steps"
    note = f"All that the training knows. Copy the range next, and paste its values onto the range state: {made}."
    page = Page(STATE, "step, losses, weights and what Adam remembers of each: constants", width(layout))
    titled(page, note)

    def weights(band: str, name: str) -> tuple[None, Callable[[Moment], Any], None]:
        return None, lambda moment: in_cells(name, part(moment.now, band)[name]), None

    page.add(*geometry(layout, "", weights, None, lambda m: m.now.t, None, lambda m: m.losses))
    widths(page, {"A": 22, "B": 7, "C": 7, "D": 9, "E": 3}, freeze="F4")
    return page


def next_page(layout: Lesson) -> Page:
    note = "What State must hold after this step: the same cells, as formulas. Paste their values, not the formulas."
    page = Page(NEXT, "State one step on, as formulas", width(layout), prefix="")
    titled(page, note)

    def weights(band: str, name: str) -> tuple[Any, Callable[[Moment], Any], Any]:
        formula = {"": moved, "m.": mean, "v.": square}[band](layout, page, name)

        def doubt(moment: Moment) -> Any:
            known = moment.doubts
            root = known.root[name]
            of_v = root * (2 * np.sqrt(moment.next.v[name]) + root)
            d = {"": known.w[name], "m.": known.m[name], "v.": of_v}[band]
            return in_cells(name, d / np.maximum(abs(part(moment.next, band)[name]), 1))

        return formula, lambda moment: in_cells(name, part(moment.next, band)[name]), doubt

    def step() -> str:
        return f"{layout['step'].reference}+1"

    def loss(k: int, j: int) -> str:
        """This step's loss in its place; where there is no room left, all move up by one."""
        losses, own = layout["losses"], page["new.losses"]
        place, now, mine = layout["step_now"].reference, layout["loss"].reference, losses.line(k).reference
        later = now if k == layout.room - 1 else losses.line(k + 1).reference
        number = f"$C${own.row + k}"
        return f"IF({place}>{layout.room},{later},IF({number}={place},{now},{mine}))"

    page.add(*geometry(layout, "new.", weights, step, lambda m: m.next.t, loss, lambda m: m.history))
    widths(page, {"A": 22, "B": 7, "C": 7, "D": 9, "E": 3}, freeze="F4")
    return page


def part(state: State, band: str) -> dict[str, Any]:
    return {"": state.w, "m.": state.m, "v.": state.v}[band]


def width(layout: Lesson) -> int:
    """Columns of the widest tensor."""
    return max(shape_in_cells(name, shape)[1] for name, shape in layout.config.parameter_shapes().items())


def geometry(
    layout: Lesson,
    prefix: str,
    weights: Callable[[str, str], tuple[Any, Callable[[Moment], Any], Any]],
    step: Callable[[], str] | None,
    step_now: Callable[[Moment], float],
    loss: Callable[[int, int], str] | None,
    losses: Callable[[Moment], Any],
) -> list[Part]:
    """The parts of both sheets. `weights(band, name)`: formula, twin and doubt of one tensor."""
    room, kind = layout.room, Kind.CONSTANT if step is None else Kind.NUMBERS
    beside: dict[str, Any] = {"n_columns": 1, "label": None, "numbered": False}
    lost = Block(
        f"{prefix}losses",
        room,
        formula=loss,
        twin=lambda moment: np.array([*losses(moment), *[0.0] * (room - len(losses(moment)))]),
        column=LOSSES,
        style="loss",
        axes=("step",),
        kind=kind,
        **beside,
    )
    numbers = Block(n_rows=room, column=NUMBER, twin=lambda moment: np.arange(1.0, room + 1), style="index", **beside)
    bands = [tensor for band in BANDS for tensor in _band(layout, prefix, band, weights)]
    return [
        Beside(Texts({NUMBER: "step"}, "label"), cell(LOSSES, step, step_now, "id", f"{prefix}step", kind=kind)),
        Beside(
            Stack(Texts({NUMBER: "", LOSSES: "losses"}), Beside(numbers, lost)),
            Stack(*bands),
        ),
    ]


def _band(
    layout: Lesson, prefix: str, band: str, weights: Callable[[str, str], tuple[Any, Callable[[Moment], Any], Any]]
) -> list[Part]:
    title, words = BANDS[band]
    columns = Block(
        n_rows=1,
        n_columns=width(layout),
        twin=lambda moment: np.arange(float(width(layout))),
        label="column",
        numbered=False,
        style="index",
        kind=Kind.CONSTANT,
    )
    found: list[Part] = [Texts({LABEL: title, FIRST_TOKEN: words}, "section", {FIRST_TOKEN: "name"}), columns]
    shapes = layout.config.parameter_shapes()
    above = {each for each, other in pairwise(shapes) if each[:-1] == other[:-1]}  # its bias stands right below
    for name, shape in shapes.items():
        formula, twin, doubt = weights(band, name)
        n_rows, n_columns = shape_in_cells(name, shape)
        kind = Kind.NUMBERS if formula else Kind.CONSTANT if band else Kind.WEIGHT
        block = Block(
            f"{prefix}{band}{name}",
            n_rows,
            n_columns,
            formula=formula,
            twin=twin,
            label=name,
            doubt=doubt,
            style={"": "weight", "m.": "tiny", "v.": "tiny"}[band],
            axes=("out",) if len(shape) == 1 else ("in", "out"),
            kind=kind,
            turned=name in LOOKED_UP,
        )
        found += [block] if name in above else [block, Space()]
    return found


def moved(layout: Lesson, page: Page, name: str) -> Callable[[int, int], str]:
    """w (1 - rate decay) - rate m_hat / (sqrt(v_hat) + epsilon), with m and v from here; only matrices decay."""

    def formula(i: int, j: int) -> str:
        rate, epsilon, decay = (layout[x].reference for x in ("rate", "epsilon", "decay"))
        first, second = layout["correction1"].reference, layout["correction2"].reference
        w = layout[name].at(i, j, NEXT)
        kept = f"{w}*(1-{rate}*{decay})" if len(layout.config.parameter_shapes()[name]) == 2 else w
        m, v = page[f"new.m.{name}"].at(i, j), page[f"new.v.{name}"].at(i, j)
        return f"{kept}-{rate}*({m}/{first})/(SQRT({v}/{second})+{epsilon})"

    return formula


def mean(layout: Lesson, page: Page, name: str) -> Callable[[int, int], str]:
    """beta1 m + (1 - beta1) g"""

    def formula(i: int, j: int) -> str:
        beta, g = layout["beta1"].reference, layout[f"grad_{name}"].at(i, j, NEXT)
        return f"{beta}*{layout[f'm.{name}'].at(i, j, NEXT)}+(1-{beta})*{g}"

    return formula


def square(layout: Lesson, page: Page, name: str) -> Callable[[int, int], str]:
    """beta2 v + (1 - beta2) g^2"""

    def formula(i: int, j: int) -> str:
        beta, g = layout["beta2"].reference, layout[f"grad_{name}"].at(i, j, NEXT)
        return f"{beta}*{layout[f'v.{name}'].at(i, j, NEXT)}+(1-{beta})*{g}*{g}"

    return formula


def state_area(page: Page) -> Area:
    """From the step to the last weight: what is copied, and what it is pasted on."""
    first = next(area for block, area in page.blocks if block.column == LOSSES)
    last_row = max(area.last_row for _, area in page.blocks)
    last_column = max(area.last_column for _, area in page.blocks)
    return Area(page.title, first.row, LOSSES, last_row - first.row + 1, last_column - LOSSES + 1)


def heat(frame: Worksheet, area: Area) -> None:
    """Blue for the least of the tensor, red for the largest, white at 0."""
    rule = ColorScaleRule("min", None, "6FA8DC", "num", 0, "FFFFFF", "max", None, "E06666")
    frame.conditional_formatting.add(area.cells, rule)
