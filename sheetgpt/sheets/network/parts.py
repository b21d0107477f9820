"""What the network is put together from, each function beside its formula: layer norm, linear layer, sum, activation.

Arithmetic: the functions of the same names in `model.py`. `formula(i, t)` is row i's formula at position t.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from sheetgpt.gpt2.checkpoints.quantize import scale_name
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Part
from sheetgpt.sheets.grid import BIAS, GAIN, SCALE
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.headings import bar
from sheetgpt.sheets.network.token_page import beside, keys
from sheetgpt.sheets.page import Beside, Page
from sheetgpt.sheets.style.looks import signed

# x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))); sqrt(2/pi) is written out: 320 bytes a cell less in LibreOffice, and up
# to a tenth of its time. Excel keeps 15 digits of a number in a formula.
GELU_TANH = "0.5*{x}*(1+TANH(0.797884560802865*({x}+0.044715*{x}^3)))"
ACTIVATION = {
    "gelu_new": GELU_TANH,
    "gelu_pytorch_tanh": GELU_TANH,
    # x times the normal distribution's cumulative probability of x
    "gelu": "{x}*NORMSDIST({x})",
    "relu": "MAX({x},0)",
}

Label = str | Callable[[int], str]
Source = Callable[[], Area]  # where a layer's input lies, asked when its formulas are written


@dataclass(frozen=True)
class Network:
    """A page of the network. A block says "attn.qkv" for its own `h3.attn.qkv`: `page.prefix` stands before it.

    Where several blocks share a page, `inside` is what tells their names apart there.
    """

    layout: Layout
    page: Page
    inside: str = ""

    def area(self, name: str) -> Area:
        return self.page[self.inside + name]

    def at(self, name: str, i: int, t: int) -> str:
        return self.area(name).at(i, t)

    def weights(self, name: str) -> Area:
        """Where a parameter lies."""
        return self.layout[self.page.prefix + self.inside + name]

    def traced(self, name: str) -> Callable[[Any], NDArray[Any]]:
        """The evaluator's numbers."""
        return lambda state: state.trace[self.page.prefix + self.inside + name]

    def line(self, name: str, n_rows: int = 1, **more: Any) -> Block:
        return Block(self.inside + name, n_rows, **more)

    def tensor(self, name: str, n_rows: int, axis: str, **more: Any) -> Block:
        """A block that the evaluator's trace holds, too: its own axis down the rows, and a token a column."""
        return self.line(name, n_rows, twin=self.traced(name), axes=(axis, "token"), traced=True, **more)

    def own(self, name: str, n_rows: int, column: int, axis: str) -> Block:
        """A parameter's numbers beside the neurons that they belong to."""
        return beside(self.page, self.inside + name, n_rows, column, axis)

    def keys(self) -> Block:
        """Beside row k the token of position k."""
        return keys(self.layout.context)


def layer_norm(net: Network, x: Source, name: str, limit: float = 2) -> list[Part]:
    """y = (x - mean(x)) / sqrt(var(x) + eps) * gain + bias, down one token's column.  [n_embd, T]"""
    sheet, n = net.page.title, net.layout.config.n_embd

    def mean(i: int, t: int) -> str:
        return f"AVERAGE({x().down(t, sheet)})"

    def rstd(i: int, t: int) -> str:
        epsilon = net.layout["layer_norm_epsilon"].reference
        return f"1/SQRT(DEVSQ({x().down(t, sheet)})/{n}+{epsilon})"

    def normed(i: int, t: int) -> str:
        centred = f"({x().at(i, t, sheet)}-{net.at(name + '.mean', 0, t)})"
        row = net.area(name).row + i
        return f"{centred}*{net.at(name + '.rstd', 0, t)}*$C${row}+$D${row}"

    def line(part: str, label: str, formula: Callable[[int, int], str]) -> Block:
        twin = net.traced(f"{name}.{part}")
        return net.line(f"{name}.{part}", label=label, formula=formula, twin=twin, axes=("token",), traced=True)

    words = "(x − mean) × rstd × gain + bias: one scale for all, then each row stretched and shifted.  [n_embd, T]"
    return [
        bar(name, "First the column's mean, and one over its standard deviation.", name, ": its scale"),
        line("mean", "mean", mean),
        line("rstd", "rstd = 1/√(variance+ε)", rstd),
        bar(name, words),
        Beside(
            net.tensor(name, n, "feature", label=name, formula=normed, colours=[signed(limit)]),
            net.own(name + ".g", n, GAIN, "feature"),
            net.own(name + ".b", n, BIAS, "feature"),
        ),
    ]


def linear(x: Area, weights: Area, o: int, t: int, row: int, sheet: str, scaled: bool) -> str:
    """y[o] = (sum over i of W[i, o] x[i]) s[o] + b[o], without s where the weights are no whole numbers.

    6 ns a multiply-add in LibreOffice, against 20+ for MMULT.
    """
    scale = f"*$E${row}" if scaled else ""
    return f"SUMPRODUCT({weights.stripe(o).reference},{x.down(t, sheet)}){scale}+$D${row}"


def dense(
    net: Network, name: str, n_out: int, x: str, layer: str, words: str, label: Label = "", axis: str = "feature"
) -> list[Part]:
    """y = Wᵀx + b, a linear layer: a row is a neuron, its weights one column of the weight sheet.  [out, T]"""
    page, scaled, matrix = net.page, net.layout.scaled, f"{layer}.w"

    def formula(o: int, t: int) -> str:
        return linear(net.area(x), net.weights(matrix), o, t, net.area(name).row + o, page.title, scaled)

    y = net.tensor(name, n_out, axis, label=label or name, formula=formula, colours=[signed(2)])
    own = [net.own(f"{layer}.b", n_out, BIAS, "out")]
    own += [net.own(scale_name(matrix), n_out, SCALE, "out")] if scaled else []
    return [bar(name, words, name), Beside(y, *own)]


def add(net: Network, name: str, a: Source, b: str, words: str) -> list[Part]:
    """y = a + b: what a part of the block found out is added to what came in."""

    def formula(i: int, t: int) -> str:
        return f"{a().at(i, t, net.page.title)}+{net.at(b, i, t)}"

    y = net.tensor(name, net.layout.config.n_embd, "feature", label=name, formula=formula, colours=[signed(2)])
    return [bar(name, words, name), y]


def activate(net: Network, name: str, x: str, words: str) -> list[Part]:
    """y = f(x), each number by itself: the config's activation function."""
    source = ACTIVATION[net.layout.config.activation_function]

    def formula(n: int, t: int) -> str:
        return source.format(x=net.at(x, n, t))

    n_inner = net.layout.config.n_inner
    return [
        bar(name, words, name),
        net.tensor(name, n_inner, "neuron", label=name, formula=formula, colours=[signed(2)]),
    ]
