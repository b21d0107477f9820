"""Whether somebody typed over a cell: each layer's column is added up once more, in another way.

The sum of y = Wᵀx + b over its neurons is x times the sums of W's rows, plus the sum of b: one product for a whole
layer, so that what was written over a neuron shows at a thousandth of the layer's cost (Huang and Abraham 1984,
"Algorithm-based fault tolerance for matrix operations"). It holds whatever the text and the weights are. What it can't
see: scores, exponentials and mixed values of the heads, and what differs by less than the tolerance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from openpyxl.formatting.rule import CellIsRule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.checkpoints.quantize import scale_name
from sheetgpt.gpt2.model import as_cells
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Part, unguarded
from sheetgpt.sheets.grid import ACTIVE_ROW, GAIN, ID_ROW, POSITION_ROW, TOKEN_ROW
from sheetgpt.sheets.network.parts import Network, Source
from sheetgpt.sheets.network.token_page import guarded, letter
from sheetgpt.sheets.page import Bar
from sheetgpt.sheets.state import State

RED = PatternFill(bgColor="C00000")
CHECKS = "checks"  # of a block: `h0.checks`
CLOSE = "0.000001"
DIP = 0.18  # GELU lies at most 0.17 below max(x, 0)
TITLE = "checks: do the sums come out?"
WORDS = "Each layer's column added up in another way. “no”: somebody typed over one of its cells."
HEADER = "header, as on Home"

Formula = Callable[[int], str]  # of position t: whether it comes out


@dataclass(frozen=True)
class Check:
    label: str
    formula: Formula


def agree(one: str, other: str, size: str) -> str:
    return f"ABS({one}-({other}))<{CLOSE}*(1+{size})"


def spread(y: str) -> str:
    return f"MAX({y})-MIN({y})"


def length(x: str) -> str:
    """The square of it."""
    return f"SUMPRODUCT({x},{x})"


def normed(net: Network, x: Source, name: str) -> Check:
    """sum(y) = (sum(gain x) - mean sum(gain)) rstd + sum(bias), mean and rstd found anew."""

    def formula(t: int) -> str:
        gain, bias = (net.weights(f"{name}.{own}").local for own in "gb")
        y, at = net.area(name).down(t), x().down(t, net.page.title)
        spreads = f"DEVSQ({at})/{net.layout.config.n_embd}+{net.layout['layer_norm_epsilon'].reference}"
        total = f"(SUMPRODUCT({gain},{at})-AVERAGE({at})*SUM({gain}))/SQRT({spreads})+SUM({bias})"
        return agree(f"SUM({y})", total, spread(y))

    return Check(name, formula)


def multiplied(net: Network, name: str, x: str, layer: str) -> Check:
    """sum((y - b) / s) = x . the sums of W's rows, s being the scales of whole numbers."""

    def formula(t: int) -> str:
        bias, rows = net.weights(f"{layer}.b").local, net.page[sums(layer)].local
        y, at = net.area(name).down(t), net.area(x).down(t)
        total = f"SUM({y})-SUM({bias})"
        if net.layout.scaled:
            total = f"SUMPRODUCT(({y}-{bias})/{net.weights(scale_name(f'{layer}.w')).local})"
        return agree(total, f"SUMPRODUCT({at},{rows})", f"SQRT({length(at)}*{length(rows)})")

    return Check(name, formula)


def added(net: Network, name: str, a: Source, b: str) -> Check:
    def formula(t: int) -> str:
        y, first, second = (area.down(t, net.page.title) for area in (net.area(name), a(), net.area(b)))
        return agree(f"SUM({y})", f"SUM({first})+SUM({second})", spread(y))

    return Check(name, formula)


def shares(net: Network) -> Check:
    """Each head's attention adds up to 1."""

    def formula(t: int) -> str:
        heads = (net.area(f"attn.probs.{j}").down(t) for j in range(net.layout.config.n_head))
        return f"{'+'.join(f'ABS(SUM({probs})-1)' for probs in heads)}<{CLOSE}"

    return Check("attn.probs", formula)


def activated(net: Network, name: str, x: str) -> Check:
    """An activation function is max(x, 0), but for a small dip: no neuron lies elsewhere."""
    dip = 0 if net.layout.config.activation_function == "relu" else DIP

    def formula(t: int) -> str:
        y, at = net.area(name).down(t), net.area(x).down(t)
        most, slack = f"({at}>0)*{at}", f"{CLOSE}*(1+({at}>0)*{at})"
        return f"SUMPRODUCT(({y}>{most}+{slack})+({y}<{most}-{slack}-{dip:g}))=0"

    return Check(name, formula)


def sums(layer: str) -> str:
    """The name of the column with the sums of a layer's rows."""
    return f"{layer}.sums"


def row_sums(net: Network, layer: str) -> list[Part]:
    """What each input weighs in all neurons together: left of the tokens, since it is no position's."""
    n_in, _ = net.layout.config.parameter_shapes()[f"{net.page.prefix}{layer}.w"]

    def formula(i: int, j: int) -> str:
        return f"SUM({net.weights(f'{layer}.w').line(i).reference})"

    def twin(state: State) -> Any:
        return as_cells(state.params[f"{net.page.prefix}{layer}.w"]).sum(axis=1)

    return [left_column(sums(layer), n_in, formula, twin)]


def left_column(name: str, n_rows: int, formula: Callable[[int, int], str], twin: Callable[[State], Any]) -> Block:
    looks: dict[str, Any] = {"n_columns": 1, "column": GAIN, "guard": unguarded, "numbered": True, "named": False}
    return Block(name, n_rows, formula=formula, twin=twin, label=name, **looks)


def looked_up(net: Network) -> Check:
    """embed = embed_tok + embed_pos"""
    return added(net, "embed", lambda: net.area("embed_tok"), "embed_pos")


def unembedded(net: Network) -> Check:
    """sum(logits / s) = ln_f . the sums of the unembedding's rows"""
    layout, head = net.layout, net.layout.config.head

    def formula(t: int) -> str:
        y, x, rows = net.area("logits").down(t), net.area("ln_f").down(t), net.page[sums(head)].local
        total = f"SUMPRODUCT({y}/{layout[scale_name(head)].local})" if layout.scaled else f"SUM({y})"
        holds = agree(total, f"SUMPRODUCT({x},{rows})", f"SQRT({length(x)}*{length(rows)})")
        return f"IF({net.at('logits_wanted', 0, t)}=1,{holds},TRUE)"

    return Check("logits", formula)


def vocabulary_sums(net: Network) -> Block:
    """What each number of the final state weighs in all logits together."""
    head = net.layout.config.head

    def formula(i: int, j: int) -> str:
        return "+".join(f"SUM({band.line(i).reference})" for band in net.layout.tensor(head).areas)

    def twin(state: State) -> Any:
        return as_cells(state.params[head]).sum(axis=0)

    return left_column(sums(head), net.layout.config.n_embd, formula, twin)


def checks(net: Network, title: str, found: Sequence[Check]) -> list[Part]:
    """A row for each; the first is of the header and holds in every column, the others in those in use.

    Home counts the ones (`overwritten.py`).
    """
    layout = net.layout
    header = {POSITION_ROW: "positions", ID_ROW: "token_ids", TOKEN_ROW: "token_text", ACTIVE_ROW: "active"}

    def same(row: int, t: int) -> str:
        own, home = f"{letter(t)}${row}", layout[header[row]].down(t, "")
        return f"EXACT({own},{home})" if row == TOKEN_ROW else f"{own}={home}"

    def formula(i: int, t: int) -> str:
        if i == 0:
            return f"IF(AND({','.join(same(row, t) for row in header)}),1,0)"
        return guarded(f"IF({found[i - 1].formula(t)},1,0)", t)

    def twin(state: State) -> Any:
        holds = np.ones((1 + len(found), layout.context))
        holds[1:, state.prompt.n :] = np.nan
        return holds

    def label(i: int) -> str:
        return found[i - 1].label if i else HEADER

    looks: dict[str, Any] = {"style": "flag", "guard": unguarded, "axes": ("check", "token"), "colours": [red]}
    return [Bar(TITLE, WORDS), Block(title, 1 + len(found), label=label, formula=formula, twin=twin, **looks)]


def red(frame: Worksheet, area: Area) -> None:
    """What doesn't come out."""
    rule = CellIsRule(operator="equal", formula=["0"], font=Font(bold=True, color="FFFFFF"), fill=RED, stopIfTrue=True)
    frame.conditional_formatting.add(area.cells, rule)
