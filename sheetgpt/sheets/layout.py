"""Where every tensor lives: sheet, rows, columns, defined name. The sheets, the verifier and `info` all read it here.

Position t stands in column F + t of every token sheet; features run down the rows; columns A to E hold the label,
the index and the neuron's own gain, bias and scale. Weights are [in, out]: one column of a weight sheet is one neuron.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.quantize import EXACT, INT8, WEIGHTS
from sheetgpt.gpt2.sampling import MAX_TOP_K
from sheetgpt.ooxml.area import Area

LABEL, INDEX, GAIN, BIAS, SCALE, FIRST_TOKEN = 1, 2, 3, 4, 5, 6  # columns of a token sheet
TITLE_ROW, POSITION_ROW, ID_ROW, TOKEN_ROW, ACTIVE_ROW = 1, 2, 3, 4, 5  # header rows of a token sheet
FIRST_WEIGHT = 3  # column C of a weight sheet
BAND = 10_000  # tokens side by side in one band of wte

INPUTS = ("new_tokens", "temperature", "top_k", "top_p", "seed", "score_prompt")  # yellow cells with a number

HOME, GUIDE, MODEL, EMBED, OUTPUT, SOFTMAX, SAMPLE, VOCABULARY, WTE, WPE = (
    "Home",
    "Guide",
    "Model",
    "Embed",
    "Output",
    "Softmax",
    "Sample",
    "Vocabulary",
    "wte",
    "wpe",
)
LM_HEAD = "lm_head"

# how the weights were rounded and what that changes; only in a workbook whose weights are not exact
ROUNDING = ("weights", "logits_max_difference", "logits_rms_difference", "top_1_agreement", "compared_tokens")


def defined_name(tensor: str) -> str:
    """`h0.attn.probs.3` -> `h0_attn_probs_3`"""
    return tensor.replace(".", "_")


@dataclass
class _Cursor:
    """Hands out rows down one sheet: a title row for each section, a blank row after it."""

    sheet: str
    row: int
    width: int
    areas: dict[str, Area] = field(default_factory=dict)

    def section(self, name: str, n_rows: int) -> None:
        self.areas[name] = Area(self.sheet, self.row + 1, FIRST_TOKEN, n_rows, self.width)
        self.row += n_rows + 2

    def below(self, name: str) -> None:
        """One more row of the section before, without a title of its own."""
        self.areas[name] = Area(self.sheet, self.row - 1, FIRST_TOKEN, 1, self.width)
        self.row += 1


@dataclass(frozen=True)
class Layout:
    """The map of one workbook: a config, a number of token columns (`context`) and the prompt's room determine it.

    `prompt_bytes` and `merge_rounds` size the Tokenizer sheet; with 0 bytes there is none, and prompts are token ids.
    `end_of_text` is the token after which nothing more is chosen, -1 where there is none.
    `weights` says how the weights stand in their cells: "exact", "int8" or "4 digits" (`sheetgpt.gpt2.quantize`).
    """

    config: GPT2Config
    context: int
    prompt_bytes: int = 0
    merge_rounds: int = 0
    end_of_text: int = -1
    weights: str = EXACT

    def __post_init__(self) -> None:
        if not 1 <= self.context <= self.config.n_positions:
            raise SheetGPTError(
                f"--context {self.context} is not between 1 and the model's {self.config.n_positions} positions."
            )
        if self.weights not in WEIGHTS:
            raise SheetGPTError(f"Weights are {', '.join(WEIGHTS)}, not {self.weights!r}.")

    @property
    def scaled(self) -> bool:
        """Whether weights are whole numbers, with a scale for each neuron."""
        return self.weights == INT8

    def block_sheet(self, i: int) -> str:
        """The tensors `h0.…` are on "Block 0": a sheet h1 looks like a cell to a tool that doesn't quote."""
        return f"Block {i}"

    def weight_sheet(self, i: int) -> str:
        return f"Block {i} weights"

    def header_tokens(self, sheet: str) -> Area:
        """The row of a token sheet that shows the tokens."""
        return Area(sheet, TOKEN_ROW, FIRST_TOKEN, 1, self.context)

    @cached_property
    def tensors(self) -> dict[str, Area]:
        """Every tensor of the trace, and the helper rows beside them, under its dotted name."""
        cfg, width = self.config, self.context
        d = cfg.n_embd
        embed = _Cursor(EMBED, ACTIVE_ROW + 2, width)
        if self.scaled:
            embed.section("embed_scale", 1)
        for name in ("embed_tok", "embed_pos", "embed"):
            embed.section(name, d)
        areas = {"token_ids": self.home["token_ids"], **embed.areas}
        for i in range(cfg.n_layer):
            block = _Cursor(self.block_sheet(i), ACTIVE_ROW + 2, width)
            h = f"h{i}."
            _layer_norm(block, h + "ln_1", d)
            block.section(h + "attn.qkv", 3 * d)
            for j in range(cfg.n_head):
                block.section(f"{h}attn.scores.{j}", width)
                block.below(f"{h}attn.max.{j}")
                block.section(f"{h}attn.exp.{j}", width)
                block.below(f"{h}attn.sum.{j}")
                block.section(f"{h}attn.probs.{j}", width)
            block.section(h + "attn.z", d)
            block.section(h + "attn.out", d)
            block.section(h + "resid_mid", d)
            _layer_norm(block, h + "ln_2", d)
            block.section(h + "mlp.fc", cfg.n_inner)
            block.section(h + "mlp.act", cfg.n_inner)
            block.section(h + "mlp.out", d)
            block.section(h + "resid_post", d)
            areas |= block.areas
        output = _Cursor(OUTPUT, ACTIVE_ROW + 2, width)
        _layer_norm(output, "ln_f", d)
        output.section("logits_wanted", 1)
        output.below("logits_max")
        output.below("logits_lse")
        output.section("logits", cfg.n_vocab)
        return areas | output.areas

    @cached_property
    def trace(self) -> dict[str, Area]:
        """Only what the evaluator's trace holds too."""
        helpers = (".attn.exp.", ".attn.max.", ".attn.sum.", "embed_scale", "logits_wanted", "logits_max", "logits_lse")
        return {name: area for name, area in self.tensors.items() if not any(h in name for h in helpers)}

    @cached_property
    def params(self) -> dict[str, list[Area]]:
        """Every tensor of the checkpoint. `wte` and `lm_head` are [in, out] bands, a token a column, side by side.

        In int8 each matrix has its scales, `h0.mlp.c_fc.scale`: one a neuron, token or position.
        """
        cfg, d = self.config, self.config.n_embd
        areas = {"wte": self._bands(WTE), "wpe": [Area(WPE, 4 + self.scaled, FIRST_TOKEN, d, cfg.n_positions)]}
        for i in range(cfg.n_layer):
            h, sheet, row = f"h{i}.", self.weight_sheet(i), 4
            for name in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"):
                n_in, n_out = cfg.parameter_shapes()[f"{h}{name}.w"]
                areas[f"{h}{name}.w"] = [Area(sheet, row, FIRST_WEIGHT, n_in, n_out)]
                row += n_in + 3
            for weight, tensor in self._vectors(h).items():
                areas[h + weight] = [self._beside(tensor, BIAS if weight.endswith(".b") else GAIN)]
        areas["ln_f.g"] = [self._beside("ln_f", GAIN)]
        areas["ln_f.b"] = [self._beside("ln_f", BIAS)]
        if not cfg.tied:
            areas[LM_HEAD] = self._bands(LM_HEAD)
        return areas | (self._scales() if self.scaled else {})

    def _scales(self) -> dict[str, list[Area]]:
        """A neuron's scale stands in its row, a position's above it; a token's in its row of the Output sheet."""
        cfg = self.config
        areas = {"wpe.scale": [Area(WPE, 4, FIRST_TOKEN, 1, cfg.n_positions)]}
        areas[cfg.head + ".scale"] = [self._beside("logits", SCALE)]
        if not cfg.tied:
            areas["wte.scale"] = [Area(VOCABULARY, self.vocabulary["vocab_shown"].row, 4, cfg.n_vocab)]
        for i in range(cfg.n_layer):
            h = f"h{i}."
            areas |= {
                h + weight.replace(".b", ".scale"): [self._beside(tensor, SCALE)]
                for weight, tensor in self._vectors(h).items()
                if weight.endswith(".b") and "ln_" not in weight
            }
        return areas

    def _vectors(self, h: str) -> dict[str, str]:
        """A block's gains and biases, and the tensor beside which each stands."""
        return {
            "ln_1.g": h + "ln_1",
            "ln_1.b": h + "ln_1",
            "attn.c_attn.b": h + "attn.qkv",
            "attn.c_proj.b": h + "attn.out",
            "ln_2.g": h + "ln_2",
            "ln_2.b": h + "ln_2",
            "mlp.c_fc.b": h + "mlp.fc",
            "mlp.c_proj.b": h + "mlp.out",
        }

    def oriented(self, name: str, cells: NDArray[Any]) -> NDArray[Any]:
        """A parameter in its own shape, from its cells: `wte`, `wpe` and `lm_head` lie on their side in the sheets."""
        shapes = self.config.parameter_shapes()
        if name not in shapes or len(shapes[name]) == 1:
            return cells.ravel()
        return cells.T if name in (WTE, WPE, LM_HEAD) else cells

    def _beside(self, tensor: str, column: int) -> Area:
        area = self.tensors[tensor]
        return Area(area.sheet, area.row, column, area.n_rows, 1)

    def _bands(self, sheet: str) -> list[Area]:
        """Each band stands under two rows, its tokens' ids and strings."""
        cfg = self.config
        return [
            Area(sheet, 5 + b * (cfg.n_embd + 3), FIRST_WEIGHT, cfg.n_embd, min(BAND, cfg.n_vocab - first))
            for b, first in enumerate(range(0, cfg.n_vocab, BAND))
        ]

    @property
    def reads_text(self) -> bool:
        """Whether the workbook has a tokenizer, and so a cell for the prompt's text."""
        return self.prompt_bytes > 0

    @cached_property
    def home(self) -> dict[str, Area]:
        """Inputs and outputs of the Home sheet."""

        def cell(row: int, n_rows: int = 1, column: int = 3) -> Area:
            return Area(HOME, row, column, n_rows)

        def strip(row: int) -> Area:
            return Area(HOME, row, FIRST_TOKEN, 1, self.context)

        text = {"prompt": cell(4), "completion": cell(5)} if self.reads_text else {}
        facts = ("n_given", "n_dropped", "n_prompt", "n_tokens", "loss", "perplexity", "entropy")
        return (
            text
            | {"message": cell(6), "prompt_text": cell(7)}
            | {name: cell(10 + i) for i, name in enumerate(INPUTS)}
            | {"settings_ok": cell(16), "self_check": cell(17)}
            | {name: cell(10 + i, column=FIRST_TOKEN + 9) for i, name in enumerate(facts)}
            | {"positions": strip(20), "prompt_ids": strip(21), "n_ids": Area(HOME, 21, FIRST_TOKEN - 1)}
            | {"ids_typed": strip(22), "token_ids": strip(23), "token_text": strip(24), "active": strip(25)}
            | {"surprisal": strip(26)}
            | {"top_ids": cell(30, 10, 2), "top_tokens": cell(30, 10, 3)}
            | {"top_logits": cell(30, 10, 4), "top_probs": cell(30, 10, 5)}
            | {"next_token": cell(30)}
        )

    @cached_property
    def sample(self) -> dict[str, Area]:
        """The Sample sheet: for each column the choice of the token after it, `ranks` rows a table."""
        cursor = _Cursor(SAMPLE, ACTIVE_ROW + 2, self.context)
        ranks = min(MAX_TOP_K, self.config.n_vocab)
        cursor.section("choosing", 1)
        cursor.section("state", 1)
        for name in ("uniform", "draw"):
            cursor.below(name)
        cursor.section("chosen_id", 1)
        for name in ("chosen_token", "chosen_prob"):
            cursor.below(name)
        cursor.section("top_k_mass", 1)
        for name in ("kept_mass", "kept_share", "left_out", "weight_sum", "vocab_sum"):
            cursor.below(name)
        for name in ("tokens", "probs", "ids", "logits", "scaled", "weights", "cumulative", "kept", "wins"):
            cursor.section(name, ranks)
        return {f"sample_{name}": area for name, area in cursor.areas.items()}

    @cached_property
    def softmax(self) -> dict[str, Area]:
        n = self.config.n_vocab
        return {
            "next_logits": Area(SOFTMAX, 6, 3, n),
            "next_exp": Area(SOFTMAX, 6, 4, n),
            "next_probs": Area(SOFTMAX, 6, 5, n),
            "next_max": Area(SOFTMAX, 3, 3),
            "next_sum": Area(SOFTMAX, 3, 4),
        }

    @cached_property
    def vocabulary(self) -> dict[str, Area]:
        n = self.config.n_vocab
        return {"vocab_shown": Area(VOCABULARY, 4, 2, n), "vocab_hex": Area(VOCABULARY, 4, 3, n)}

    @cached_property
    def model_cells(self) -> dict[str, Area]:
        """The config's own cells on the Model sheet."""
        fields = ("n_vocab", "n_positions", "n_embd", "n_layer", "n_head", "n_inner", "layer_norm_epsilon")
        names = ("model", "fingerprint", *fields, "activation_function", "tied")
        sizes = ("context", "prompt_bytes", "merge_rounds", "end_of_text")
        rounding = () if self.weights == EXACT else ROUNDING
        return {name: Area(MODEL, 4 + i, 2) for i, name in enumerate((*names, *sizes, *rounding))}

    @cached_property
    def built(self) -> dict[str, Area]:
        """On the Model sheet: the inputs of the build, and the evaluator's ten largest logits for them."""
        column = FIRST_TOKEN
        return {
            "built_ids": Area(MODEL, 4, column, 1, self.context),
            "built_n_prompt": Area(MODEL, 5, column),
            "built_prompt": Area(MODEL, 6, column),
            "built_settings": Area(MODEL, 7, column, 5),
            "built_logits": Area(MODEL, 12, column, min(10, self.config.n_vocab)),
        }

    @cached_property
    def names(self) -> dict[str, list[Area]]:
        """Every tensor, parameter, input and output, and what it refers to (several areas: the bands of `wte`)."""
        found = {tensor: [area] for tensor, area in self.tensors.items()} | self.params
        for param in (WTE, LM_HEAD):
            found |= {f"{param}_{b}": [area] for b, area in enumerate(self.params.get(param, []))}
        for group in (self.home, self.softmax, self.sample, self.vocabulary, self.model_cells, self.built):
            found |= {name: [area] for name, area in group.items()}
        return found

    def names_on(self, sheet: str) -> dict[str, list[Area]]:
        """Those whose cells stand on one sheet."""
        return {name: areas for name, areas in self.names.items() if areas[0].sheet == sheet}


def _layer_norm(cursor: _Cursor, name: str, n_embd: int) -> None:
    cursor.section(name + ".mean", 1)
    cursor.below(name + ".rstd")
    cursor.section(name, n_embd)
