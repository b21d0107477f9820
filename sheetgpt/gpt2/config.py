"""GPT-2's shapes and switches, validated: what a checkpoint's `config.json` says, in plain Python.

Names are OpenAI's (`n_vocab`, `n_embd`, `n_head` ...); tensor names are those of OpenAI's checkpoint with dots,
`h0.attn.c_attn.w`. Source: github.com/openai/gpt-2, `src/model.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sheetgpt.errors import SheetGPTError

ACTIVATIONS = ("gelu_new", "gelu_pytorch_tanh", "gelu", "relu")

# Bounds beyond which no workbook can be: a worksheet's rows, and what 4 GiB of file hold (`workbook.limits`).
MAX_SIZE = 1_048_576
MAX_HEADS = 10_000  # GPT-2 XL has 1,200
MAX_PARAMS = 5_000_000_000

# The names that other models of `transformers` have for the same: GPT2Config.attribute_map there. It reads GPT-2's own
# names first and these after them, so that of two that differ these hold.
ALIASES = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}

LOOKED_UP = ("wte", "wpe", "lm_head")  # matrices of which a row is a token or a position, not a column a neuron


@dataclass(frozen=True)
class GPT2Config:
    """Shapes of one GPT-2. `tied` says that the unembedding is `wte` itself, not a tensor `lm_head` of its own."""

    n_vocab: int
    n_positions: int
    n_embd: int
    n_layer: int
    n_head: int
    n_inner: int
    layer_norm_epsilon: float = 1e-5
    activation_function: str = "gelu_new"
    tied: bool = True

    def __post_init__(self) -> None:
        for field in ("n_vocab", "n_positions", "n_embd", "n_layer", "n_head", "n_inner"):
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise SheetGPTError(f"The config's {field} must be a whole number of at least 1, not {value!r:.80}.")
            if value > MAX_SIZE:
                raise SheetGPTError(
                    f"The config's {field} {str(value)[:80]} is too large: a worksheet has {MAX_SIZE:,} rows for it."
                )
        self._check_extent()
        if self.n_embd % self.n_head:
            raise SheetGPTError(
                f"The config's n_embd {self.n_embd} can't be divided among {self.n_head} heads (n_head)."
            )
        if self.activation_function not in ACTIVATIONS:
            raise SheetGPTError(
                f"The config's activation_function {self.activation_function!r:.80} is not one of "
                f"{', '.join(ACTIVATIONS)}."
            )
        epsilon = self.layer_norm_epsilon
        if not isinstance(epsilon, int | float) or isinstance(epsilon, bool) or not 0 < epsilon < 1:
            raise SheetGPTError(f"The config's layer_norm_epsilon must lie between 0 and 1, not {epsilon!r:.80}.")

    def _check_extent(self) -> None:
        """Before anything is made of every layer, head or weight: a damaged number may ask for any amount of it."""
        if self.n_layer * self.n_head > MAX_HEADS:
            raise SheetGPTError(
                f"The config's {self.n_layer:,} layers (n_layer) of {self.n_head:,} heads (n_head) are more than "
                f"{MAX_HEADS:,} heads, too many for a workbook."
            )
        if self.n_params > MAX_PARAMS:
            raise SheetGPTError(
                f"The config's shapes come to {self.n_params:,} parameters; no workbook holds more than {MAX_PARAMS:,}."
            )

    @property
    def head_size(self) -> int:
        return self.n_embd // self.n_head

    @property
    def head(self) -> str:
        """The tensor that turns the last state into logits."""
        return "wte" if self.tied else "lm_head"

    @property
    def n_params(self) -> int:
        d, inner = self.n_embd, self.n_inner
        block = 4 * d * d + 4 * d + 2 * d * inner + inner + d + 4 * d
        return (self.n_vocab * (1 if self.tied else 2) + self.n_positions + 2) * d + self.n_layer * block

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor of the checkpoint in its order; matrices are [in, out]."""
        d, inner = self.n_embd, self.n_inner
        shapes: dict[str, tuple[int, ...]] = {"wte": (self.n_vocab, d), "wpe": (self.n_positions, d)}
        for i in range(self.n_layer):
            block: dict[str, tuple[int, ...]] = {
                "ln_1.g": (d,),
                "ln_1.b": (d,),
                "attn.c_attn.w": (d, 3 * d),
                "attn.c_attn.b": (3 * d,),
                "attn.c_proj.w": (d, d),
                "attn.c_proj.b": (d,),
                "ln_2.g": (d,),
                "ln_2.b": (d,),
                "mlp.c_fc.w": (d, inner),
                "mlp.c_fc.b": (inner,),
                "mlp.c_proj.w": (inner, d),
                "mlp.c_proj.b": (d,),
            }
            shapes |= {f"h{i}.{name}": shape for name, shape in block.items()}
        shapes |= {"ln_f.g": (d,), "ln_f.b": (d,)}
        if not self.tied:
            shapes["lm_head"] = (self.n_vocab, d)
        return shapes

    @classmethod
    def from_json(cls, config: Mapping[str, Any]) -> "GPT2Config":
        """From Hugging Face's `config.json`; refuses what would compute something other than GPT-2."""
        config = {**config, **{own: config[alias] for alias, own in ALIASES.items() if alias in config}}
        kind = config.get("model_type", "gpt2")
        if kind != "gpt2":
            raise SheetGPTError(f"config.json says model_type {kind!r:.80}; sheetgpt builds 'gpt2' models only.")
        switches = {
            "scale_attn_weights": True,
            "scale_attn_by_inverse_layer_idx": False,
            "add_cross_attention": False,
        }
        for key, expected in switches.items():
            if config.get(key, expected) is not expected:
                raise SheetGPTError(f"config.json says {key} {config[key]!r:.80}; sheetgpt expects {expected!r}.")
        sizes = {"n_vocab": "vocab_size", "n_positions": "n_positions", "n_embd": "n_embd"}
        sizes |= {"n_layer": "n_layer", "n_head": "n_head"}
        missing = [key for key in sizes.values() if key not in config]
        if missing:
            raise SheetGPTError(f"config.json has no {missing[0]!r}, which the model's shapes depend on.")
        tied = config.get("tie_word_embeddings", True)
        if type(tied) is not bool:
            raise SheetGPTError(f"config.json says tie_word_embeddings {tied!r:.80}; expected true or false.")
        width: Any = config["n_embd"]
        inner: Any = config.get("n_inner")
        if inner is None and isinstance(width, int):
            inner = 4 * width
        return cls(
            **{name: config[key] for name, key in sizes.items()},
            n_inner=inner,
            layer_norm_epsilon=config.get("layer_norm_epsilon", 1e-5),
            activation_function=config.get("activation_function", "gelu_new"),
            tied=tied,
        )
