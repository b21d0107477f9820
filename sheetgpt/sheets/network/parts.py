"""What the network is put together from, each function beside its formula: layer norm, linear layer, sum, activation.

Arithmetic: the functions of the same names in `model.py`. `formula(i, t)` is row i's formula at position t.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from sheetgpt.gpt2.model import Trace
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.token_sheet import Section

Params = Mapping[str, NDArray[Any]]
Label = Callable[[int], str]

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


@dataclass(frozen=True)
class Network:
    """What the sections read: where the tensors lie, the cells' weights, and the evaluator's numbers.

    `prefix` stands before every name: a block says "attn.qkv" for its own `h3.attn.qkv`.
    """

    layout: Layout
    params: Params
    trace: Trace
    prefix: str = ""

    def area(self, name: str) -> Area:
        return self.layout.tensors[self.prefix + name]

    def values(self, name: str) -> NDArray[Any]:
        return self.trace[self.prefix + name]

    def weights(self, layer: str) -> Area:
        """The matrix of a linear layer."""
        return self.layout.tensor(f"{self.prefix}{layer}.w").area

    def vector(self, name: str) -> NDArray[Any]:
        """A gain or a bias."""
        return self.params[self.prefix + name]

    def scale(self, layer: str) -> NDArray[Any] | None:
        """The scales of a linear layer whose weights are whole numbers."""
        return self.params.get(self.layout.tensor(f"{self.prefix}{layer}.w").scales)


def layer_norm(net: Network, x: Area, name: str) -> list[Section]:
    """y = (x - mean(x)) / sqrt(var(x) + eps) * gain + bias, down one token's column.  [n_embd, T]"""
    mean, rstd, y = net.area(name + ".mean"), net.area(name + ".rstd"), net.area(name)
    sheet, epsilon = y.sheet, net.layout.model_cells["layer_norm_epsilon"].reference
    words = "Layer norm. First the column's mean, and one over its standard deviation."
    return [
        Section(
            mean,
            net.prefix + name,
            words,
            net.values(name + ".mean"),
            lambda i, t: f"AVERAGE({x.down(t, sheet)})",
            lambda i: "mean",
        ),
        Section(
            rstd,
            net.prefix + name,
            words,
            net.values(name + ".rstd"),
            lambda i, t: f"1/SQRT(DEVSQ({x.down(t, sheet)})/{x.n_rows}+{epsilon})",
            lambda i: "rstd = 1/√(variance+ε)",
            titled=False,
        ),
        Section(
            y,
            net.prefix + name,
            "(x − mean) × rstd × gain + bias: one scale for all, then each row stretched and shifted.  [n_embd, T]",
            net.values(name),
            lambda i, t: f"({x.at(i, t, sheet)}-{mean.at(0, t)})*{rstd.at(0, t)}*$C${y.row + i}+$D${y.row + i}",
            lambda i: name,
            gain=net.vector(name + ".g"),
            bias=net.vector(name + ".b"),
        ),
    ]


def linear(x: Area, weights: Area, o: int, t: int, row: int, sheet: str, scaled: bool) -> str:
    """y[o] = (sum over i of W[i, o] x[i]) s[o] + b[o], without s where the weights are no whole numbers.

    6 ns a multiply-add in LibreOffice, against 20+ for MMULT.
    """
    scale = f"*$E${row}" if scaled else ""
    return f"SUMPRODUCT({weights.stripe(o).reference},{x.down(t, sheet)}){scale}+$D${row}"


def dense(net: Network, name: str, x: str, layer: str, words: str, label: Label | None = None) -> Section:
    """y = Wᵀx + b, a linear layer: a row is a neuron, its weights one column of the weight sheet.  [out, T]"""
    y, inputs, weights, scale = net.area(name), net.area(x), net.weights(layer), net.scale(layer)
    return Section(
        y,
        name,
        words,
        net.values(name),
        lambda o, t: linear(inputs, weights, o, t, y.row + o, y.sheet, scale is not None),
        label or (lambda o: name),
        bias=net.vector(layer + ".b"),
        scale=scale,
    )


def add(net: Network, name: str, a: Area, b: str, words: str) -> Section:
    """y = a + b: what a part of the block found out is added to what came in."""
    y, found = net.area(name), net.area(b)
    return Section(
        y,
        name,
        words,
        net.values(name),
        lambda i, t: f"{a.at(i, t, y.sheet)}+{found.at(i, t)}",
        lambda i: name,
    )


def activate(net: Network, name: str, x: str, words: str) -> Section:
    """y = f(x), each number by itself: the config's activation function."""
    inputs, formula = net.area(x), ACTIVATION[net.layout.config.activation_function]
    return Section(
        net.area(name), name, words, net.values(name), lambda n, t: formula.format(x=inputs.at(n, t)), lambda n: name
    )
