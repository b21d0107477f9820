"""The sheet After: the same word through the network with the weights of Next, and what its loss will be."""

from collections.abc import Callable, Mapping
from typing import Any

from sheetgpt.sheets.grid import BIAS, GAIN, ID_ROW, INDEX, LABEL
from sheetgpt.sheets.network.token_page import letter
from sheetgpt.sheets.page import Beside, Block, Page, Part, Texts, unguarded
from sheetgpt.sheets.tensor import Kind
from sheetgpt.sheets.training.lesson import AFTER, Lesson, Moment
from sheetgpt.sheets.training.losses import loss_parts
from sheetgpt.sheets.training.passes import Pass, line, network, positions, token_page


def page(layout: Lesson) -> Page:
    """The same word on the weights of Next, down to the loss."""
    note = "The same word once more, with the weights as they will be after this step."
    header: list[Part] = [positions(layout)]
    for name, label, style, kind in (
        ("token_ids", "token id", "id", Kind.NUMBERS),
        ("token_text", "token", "token", Kind.TEXTS),
        ("counts", "", "flag", Kind.NUMBERS),
    ):
        left = {INDEX: label} if label else {LABEL: "tensor", INDEX: "row", GAIN: "gain", BIAS: "bias"}
        header.append(Beside(Texts(left, "label" if label else "header"), _same(layout, name, style, kind)))
    here = token_page(
        layout, AFTER, "the word again, with the new weights", note, "after.", header, unguarded, "7F6000"
    )
    net = Pass(layout, here, "", "new.", lambda moment: moment.after)
    here.add(*network(net, lambda t: f"{letter(t)}${ID_ROW}"))
    here.add(*loss_parts(layout, here, lambda moment: moment.after, here))
    return here


def _same(layout: Lesson, name: str, style: str, kind: Kind) -> Block:
    """A row of Forward's header."""
    twins: Mapping[str, Callable[[Moment], Any]] = {
        "token_ids": lambda moment: [float(i) for i in moment.wanted.ids],
        "token_text": lambda moment: [moment.shown[i] for i in moment.wanted.ids],
        "counts": lambda moment: [float(share > 0) for share in moment.wanted.shares],
    }
    return line(name, lambda i, t: layout[name].at(0, t, ""), twins[name], style, kind=kind)
