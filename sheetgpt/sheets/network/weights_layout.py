"""Where every parameter of the checkpoint lies: matrices on sheets of their own, vectors beside their neurons.

Weights are [in, out]: one column of a weight sheet is one neuron, token or position.
"""

from collections.abc import Iterator, Mapping

from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.quantize import scale_name
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.grid import BAND, BIAS, FIRST_TOKEN, FIRST_WEIGHT, GAIN, LM_HEAD, SCALE, WPE, WTE
from sheetgpt.sheets.tensor import Kind, Tensor

VOCABULARY_AXIS = "token of the vocabulary"
# a linear layer of a block, and the tensor that it computes: bias and scales stand beside that one
LAYERS = {"attn.c_attn": "attn.qkv", "attn.c_proj": "attn.out", "mlp.c_fc": "mlp.fc", "mlp.c_proj": "mlp.out"}


def block_weights(i: int) -> str:
    """The sheet with the matrices of block i."""
    return f"Block {i} weights"


def parameters(config: GPT2Config, scaled: bool, network: Mapping[str, Area], scales_of_wte: Area) -> Iterator[Tensor]:
    """Every tensor of the checkpoint. With `scaled` each matrix has its scales, `h0.mlp.c_fc.scale`.

    `network`: where the tensors lie that the parameters are of; `scales_of_wte`: where those go if `lm_head` has its
    own, which stand in the Output sheet.
    """

    def matrix(name: str, areas: tuple[Area, ...], axes: tuple[str, str], turned: bool = False) -> Tensor:
        return Tensor(name, areas, Kind.WEIGHT, axes, turned=turned, scales=scale_name(name) if scaled else "")

    def vector(name: str, axis: str, area: Area) -> Tensor:
        return Tensor(name, (area,), Kind.WEIGHT, (axis,))

    def beside(tensor: str, column: int) -> Area:
        area = network[tensor]
        return Area(area.sheet, area.row, column, area.n_rows)

    positions = Area(WPE, 4 + scaled, FIRST_TOKEN, config.n_embd, config.n_positions)
    yield matrix("wte", bands(WTE, config), ("feature", VOCABULARY_AXIS), turned=True)
    yield matrix("wpe", (positions,), ("feature", "position"), turned=True)
    shapes = config.parameter_shapes()
    for i in range(config.n_layer):
        h, row = f"h{i}.", 4
        for layer in LAYERS:
            n_in, n_out = shapes[f"{h}{layer}.w"]
            yield matrix(f"{h}{layer}.w", (Area(block_weights(i), row, FIRST_WEIGHT, n_in, n_out),), ("in", "out"))
            row += n_in + 3
        for norm, layers in (("ln_1", ("attn.c_attn", "attn.c_proj")), ("ln_2", ("mlp.c_fc", "mlp.c_proj"))):
            yield vector(f"{h}{norm}.g", "feature", beside(h + norm, GAIN))
            yield vector(f"{h}{norm}.b", "feature", beside(h + norm, BIAS))
            for layer in layers:
                yield vector(f"{h}{layer}.b", "out", beside(h + LAYERS[layer], BIAS))
    yield vector("ln_f.g", "feature", beside("ln_f", GAIN))
    yield vector("ln_f.b", "feature", beside("ln_f", BIAS))
    if not config.tied:
        yield matrix(LM_HEAD, bands(LM_HEAD, config), ("feature", VOCABULARY_AXIS), turned=True)
    if not scaled:
        return
    yield vector(scale_name("wpe"), "position", positions.rows_of(-1, 1))
    yield vector(scale_name(config.head), VOCABULARY_AXIS, beside("logits", SCALE))
    if not config.tied:
        yield vector(scale_name("wte"), VOCABULARY_AXIS, scales_of_wte)
    for i in range(config.n_layer):
        for layer, tensor in LAYERS.items():
            yield vector(scale_name(f"h{i}.{layer}.w"), "out", beside(f"h{i}.{tensor}", SCALE))


def bands(sheet: str, config: GPT2Config) -> tuple[Area, ...]:
    """`wte` or `lm_head` in bands below one another, each under two rows: its tokens' ids and strings."""
    d, n = config.n_embd, config.n_vocab
    return tuple(
        Area(sheet, 5 + b * (d + 3), FIRST_WEIGHT, d, min(BAND, n - first)) for b, first in enumerate(range(0, n, BAND))
    )
