"""The Gradient sheet: how the loss changes with each weight, in the weight's own shape.

A weight of a linear layer met an input and an output in every column: its gradient is the sum of their products.
Arithmetic: what the functions of `gpt2/learning/backward.py` keep for their weights.
"""

from collections.abc import Callable
from typing import Any

from sheetgpt.gpt2.model import Array
from sheetgpt.sheets.block import Block
from sheetgpt.sheets.page import Bar, Page
from sheetgpt.sheets.training.bands import heat, titled, width, widths
from sheetgpt.sheets.training.lesson import GRADIENT, Lesson, Moment, in_cells, shape_in_cells

NOTE = "How the loss changes where a weight grows a little: red, it rises; blue, it falls. Adam goes the other way."
Formula = Callable[[int, int], str]


def page(layout: Lesson) -> Page:
    here = Page(GRADIENT, "the gradient of every weight, in its own shape", width(layout), prefix="grad_")
    titled(here, NOTE)
    config = layout.config
    if config.tied:
        here.add(*tied(layout, here))
    else:
        here.add(
            *_block(
                layout, "wte", "wte", embedded(layout), "Each token gets the columns in which it was read.", fills=False
            )
        )
        here.add(*_block(layout, "lm_head", "lm_head", unembedded(layout), UNEMBEDDED, fills=False))
    here.add(*_block(layout, "wpe", "wpe", placed(layout), "Each position gets its own column of d embed."))
    for i in range(config.n_layer):
        h = f"h{i}."
        here.add(*norm(layout, f"{h}ln_1", f"h{i - 1}.resid_post" if i else "embed"))
        for layer, x, y in (
            ("attn.c_attn", "ln_1", "attn.qkv"),
            ("attn.c_proj", "attn.z", "resid_mid"),
        ):
            here.add(*linear(layout, h + layer, h + x, h + y))
        here.add(*norm(layout, f"{h}ln_2", f"{h}resid_mid"))
        for layer, x, y in (("mlp.c_fc", "ln_2", "mlp.fc"), ("mlp.c_proj", "mlp.act", "resid_post")):
            here.add(*linear(layout, h + layer, h + x, h + y))
    here.add(*norm(layout, "ln_f", f"h{config.n_layer - 1}.resid_post"))
    widths(here, {"A": 24, "B": 7, "C": 3, "D": 3, "E": 3}, freeze="F3", tab="7030A0")
    return here


UNEMBEDDED = "As the table that logits are read from: d logits × ln_f, summed over the columns."


def _block(layout: Lesson, name: str, of: str, formula: Formula, words: str, **more: Any) -> list[Any]:
    """`of`: the parameter whose shape it has."""
    n_rows, n_columns = shape_in_cells(of, layout.config.parameter_shapes()[of])

    def twin(moment: Moment) -> Array:
        return in_cells(of, moment.trace[f"grad_{name}"])

    axes = ("out",) if n_rows == 1 else ("in", "out")
    own: dict[str, Any] = {"label": name, "twin": twin, "style": "gradient", "axes": axes, "colours": [heat]}
    return [Bar(name, words), Block(name, n_rows, n_columns, formula=formula, **(own | more))]


def linear(layout: Lesson, name: str, x: str, y: str) -> list[Any]:
    """Of y = Wᵀx + b: for W[i, o] the sum over t of x[i, t] d y[o, t], for b[o] that of d y[o, t]."""

    def weight(i: int, o: int) -> str:
        return f"SUMPRODUCT({layout[x].line(i).reference},{layout[f'd_{y}'].line(o).reference})"

    def bias(i: int, o: int) -> str:
        return f"SUM({layout[f'd_{y}'].line(o).reference})"

    w, b = f"{name}.w", f"{name}.b"
    words = f"The sum over the columns of {x} × d {y}."
    return [
        *_block(layout, w, w, weight, words, fills=False),
        *_block(layout, b, b, bias, f"The sum over the columns of d {y}.", fills=False),
    ]


def norm(layout: Lesson, name: str, x: str) -> list[Any]:
    """For the gain the sum over t of d y (x - mean) rstd, for the bias that of d y."""

    def gain(i: int, o: int) -> str:
        away = f"{layout[x].line(o).reference}-{layout[f'{name}.mean'].reference}"
        return f"SUMPRODUCT({layout[f'd_{name}'].line(o).reference},{away},{layout[f'{name}.rstd'].reference})"

    def bias(i: int, o: int) -> str:
        return f"SUM({layout[f'd_{name}'].line(o).reference})"

    g, b = f"{name}.g", f"{name}.b"
    return [
        *_block(layout, g, g, gain, f"The sum over the columns of d {name} × (x − mean) × rstd.", fills=False),
        *_block(layout, b, b, bias, f"The sum over the columns of d {name}.", fills=False),
    ]


def placed(layout: Lesson) -> Formula:
    """d embed, a column a position; no word reaches the positions beyond the columns."""

    def formula(i: int, t: int) -> str:
        return layout["d_embed"].at(i, t, GRADIENT) if t < layout.context else "0"

    return formula


def embedded(layout: Lesson) -> Formula:
    """For token v the sum of d embed over the columns that have read it."""

    def formula(i: int, v: int) -> str:
        return f"SUMPRODUCT(({layout['token_ids'].reference}={v})*{layout['d_embed'].line(i).reference})"

    return formula


def unembedded(layout: Lesson) -> Formula:
    def formula(i: int, v: int) -> str:
        return f"SUMPRODUCT({layout['ln_f'].line(i).reference},{layout['d_logits'].line(v).reference})"

    return formula


def tied(layout: Lesson, here: Page) -> list[Any]:
    """One table with two uses: both parts, and their sum."""

    def both(i: int, v: int) -> str:
        return f"{here['wte.embed'].at(i, v)}+{here['wte.unembed'].at(i, v)}"

    read = "As the table that tokens are looked up in: each token gets the columns of d embed in which it was read."
    return [
        *_block(layout, "wte.embed", "wte", embedded(layout), read, fills=False),
        *_block(layout, "wte.unembed", "wte", unembedded(layout), UNEMBEDDED, fills=False),
        *_block(layout, "wte", "wte", both, "The sum of both parts: the table has one gradient."),
    ]
