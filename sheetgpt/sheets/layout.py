"""Where every tensor lives: sheet, rows, columns, defined name. The sheets, the verifier and `info` all read it here.

A `Layout` makes a record of each (`tensor.Tensor`), and maps from names to cells for those who write formulas.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.quantize import EXACT, INT8, WEIGHTS
from sheetgpt.gpt2.sampling import MAX_TOP_K
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.grid import (
    EMBED,
    FIRST_TOKEN,
    HOME,
    LM_HEAD,
    MODEL,
    OUTPUT,
    SAMPLE,
    SOFTMAX,
    VOCABULARY,
    WTE,
    Cursor,
)
from sheetgpt.sheets.network.weights_layout import VOCABULARY_AXIS, parameters
from sheetgpt.sheets.tensor import Kind, Tensor, by_name, places
from sheetgpt.text.chat import Chat

INPUTS = ("new_tokens", "temperature", "top_k", "top_p", "seed", "score_prompt")  # yellow cells with a number

NO_SHEETS = "none"  # what the Model sheet says where no optional sheet is in

# what a chat template puts around what the user says; only in a workbook of a model that has one
CHAT = ("chat_before", "chat_after")

# how the weights were rounded and what that changes; only in a workbook whose weights are not exact
ROUNDING = ("weights", "logits_max_difference", "logits_rms_difference", "top_1_agreement", "compared_tokens")


def defined_name(tensor: str) -> str:
    """`h0.attn.probs.3` -> `h0_attn_probs_3`"""
    return tensor.replace(".", "_")


@dataclass(frozen=True)
class Layout:
    """The map of one workbook: a config, a number of token columns (`context`) and the prompt's room determine it.

    `prompt_bytes` and `merge_rounds` size the Tokenizer sheet; with 0 bytes there is none, and prompts are token ids.
    `end_of_text` are the tokens after which nothing more is chosen.
    `weights` says how the weights stand in their cells: "exact", "int8" or "4 digits" (`sheetgpt.gpt2.quantize`).
    With a `chat` Home has a cell for what the user says, and the prompt in full is a formula.
    `optional` names the sheets that are in and needn't be (`sheets.optional`), in the order of the registry.
    With two `lanes` there is a second text beside the first (`sheets.lanes`); what this map shows is the first's.
    """

    config: GPT2Config
    context: int
    prompt_bytes: int = 0
    merge_rounds: int = 0
    end_of_text: tuple[int, ...] = ()
    weights: str = EXACT
    optional: tuple[str, ...] = ()
    chat: Chat | None = None
    lanes: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.context <= self.config.n_positions:
            raise SheetGPTError(
                f"--context {self.context} is not between 1 and the model's {self.config.n_positions} positions."
            )
        if self.weights not in WEIGHTS:
            raise SheetGPTError(f"Weights are {', '.join(WEIGHTS)}, not {self.weights!r}.")
        if self.chat is not None and not self.reads_text:
            raise SheetGPTError("A workbook without a tokenizer can't have a cell for what the user says.")
        if self.lanes not in (1, 2):
            raise SheetGPTError(f"--lanes {self.lanes}: a workbook has 1 lane, or 2 and the sheet Lab.")

    @property
    def scaled(self) -> bool:
        """Whether weights are whole numbers, with a scale for each neuron."""
        return self.weights == INT8

    @property
    def optional_sheets(self) -> str:
        """`optional`, as the Model sheet has it."""
        return ", ".join(self.optional) or NO_SHEETS

    def block_sheet(self, i: int) -> str:
        """The tensors `h0.…` are on "Block 0": a sheet h1 looks like a cell to a tool that doesn't quote."""
        return f"Block {i}"

    @property
    def reads_text(self) -> bool:
        """Whether the workbook has a tokenizer, and so a cell for the prompt's text."""
        return self.prompt_bytes > 0

    @property
    def read_prompt(self) -> Area:
        """The cell whose text the Tokenizer reads."""
        return self.home["prompt" if self.chat is None else "full_prompt"]

    def home_row(self, n: int) -> int:
        """Row n of a Home sheet without a chat, whose cells stand two rows lower in one that has it."""
        return n if self.chat is None or n < 4 else n + 2

    @cached_property
    def records(self) -> dict[str, Tensor]:
        """Everything with a name that the layout alone knows: tensors, parameters, inputs and outputs."""
        groups = self._network, self._weights, self._home, self._softmax, self._sample, self._vocabulary
        return by_name(tensor for group in (*groups, self._model, self._built) for tensor in group)

    def tensor(self, name: str) -> Tensor:
        """The record of one name."""
        return self.records[name]

    # Names and the cells that they refer to, as formulas want them

    @cached_property
    def tensors(self) -> dict[str, Area]:
        """Every tensor of the trace, and the helper rows beside them."""
        return places(self._network)

    @cached_property
    def trace(self) -> dict[str, Area]:
        """Only what the evaluator's trace holds too."""
        return places(tensor for tensor in self._network if tensor.traced)

    @cached_property
    def params(self) -> dict[str, list[Area]]:
        """Every tensor of the checkpoint; those of `wte` and `lm_head` are bands, side by side."""
        return {tensor.name: [*tensor.areas] for tensor in self._weights}

    @cached_property
    def home(self) -> dict[str, Area]:
        """Inputs and outputs of the Home sheet."""
        return places(self._home)

    @cached_property
    def sample(self) -> dict[str, Area]:
        """The Sample sheet: for each column the choice of the token after it, a rank a row."""
        return places(self._sample)

    @cached_property
    def softmax(self) -> dict[str, Area]:
        return places(self._softmax)

    @cached_property
    def vocabulary(self) -> dict[str, Area]:
        return places(self._vocabulary)

    @cached_property
    def model_cells(self) -> dict[str, Area]:
        """The config's own cells on the Model sheet."""
        return places(self._model)

    @cached_property
    def built(self) -> dict[str, Area]:
        """On the Model sheet: the inputs of the build, and the evaluator's ten largest logits for them."""
        return places(self._built)

    @cached_property
    def names(self) -> dict[str, list[Area]]:
        """What each defined name refers to: everything in the records, and each band of `wte` and `lm_head`."""
        found = {name: [*tensor.areas] for name, tensor in self.records.items()}
        for param in (WTE, LM_HEAD):
            found |= {f"{param}_{b}": [area] for b, area in enumerate(self.params.get(param, []))}
        return found

    def names_on(self, sheet: str) -> dict[str, list[Area]]:
        """Those whose cells stand on one sheet."""
        return {name: areas for name, areas in self.names.items() if areas[0].sheet == sheet}

    # The records, in the order of the sheets' rows

    @cached_property
    def _network(self) -> list[Tensor]:
        """From the token ids to the logits."""
        embed = Cursor(EMBED, self.context)
        if self.scaled:
            embed.section("embed_scale", 1)
        for name in ("embed_tok", "embed_pos", "embed"):
            embed.section(name, self.config.n_embd, "feature", traced=True)
        ids = by_name(self._home)["token_ids"]
        blocks = [tensor for i in range(self.config.n_layer) for tensor in self._block(i)]
        output = Cursor(OUTPUT, self.context)
        _layer_norm(output, "ln_f", self.config.n_embd)
        output.section("logits_wanted", 1)
        output.below("logits_max")
        output.below("logits_lse")
        output.section("logits", self.config.n_vocab, VOCABULARY_AXIS, traced=True)
        return [ids, *embed.tensors, *blocks, *output.tensors]

    def _block(self, i: int) -> list[Tensor]:
        config, d, width, h = self.config, self.config.n_embd, self.context, f"h{i}."
        block = Cursor(self.block_sheet(i), width)
        _layer_norm(block, h + "ln_1", d)
        block.section(h + "attn.qkv", 3 * d, "feature", traced=True)
        for j in range(config.n_head):
            block.section(f"{h}attn.scores.{j}", width, "key", traced=True)
            block.below(f"{h}attn.max.{j}")
            block.section(f"{h}attn.exp.{j}", width, "key")
            block.below(f"{h}attn.sum.{j}")
            block.section(f"{h}attn.probs.{j}", width, "key", traced=True)
        for name in ("attn.z", "attn.out", "resid_mid"):
            block.section(h + name, d, "feature", traced=True)
        _layer_norm(block, h + "ln_2", d)
        for name in ("mlp.fc", "mlp.act"):
            block.section(h + name, config.n_inner, "neuron", traced=True)
        for name in ("mlp.out", "resid_post"):
            block.section(h + name, d, "feature", traced=True)
        return block.tensors

    @cached_property
    def _weights(self) -> list[Tensor]:
        own = Area(VOCABULARY, self.vocabulary["vocab_shown"].row, 4, self.config.n_vocab)
        return [*parameters(self.config, self.scaled, self.tensors, own)]

    @cached_property
    def _home(self) -> list[Tensor]:
        return [*self._controls(), *self._strip(), *self._table()]

    def _controls(self) -> Iterator[Tensor]:
        """The yellow cells, what is wrong with them in words, and on the right of them what they come to."""

        def cell(name: str, row: int, kind: Kind, column: int = 3) -> Tensor:
            return Tensor(name, (Area(HOME, self.home_row(row), column),), kind)

        if self.chat is not None:
            yield Tensor("user_says", (Area(HOME, 4, 3),), Kind.INPUT)
            yield Tensor("prompt", (Area(HOME, 5, 3),), Kind.INPUT)
            yield cell("full_prompt", 4, Kind.TEXTS)
        elif self.reads_text:
            yield cell("prompt", 4, Kind.INPUT)
        if self.reads_text:
            yield cell("completion", 5, Kind.TEXTS)
        yield cell("message", 6, Kind.TEXTS)
        yield cell("prompt_text", 7, Kind.TEXTS)
        for i, name in enumerate(INPUTS):
            yield cell(name, 10 + i, Kind.INPUT)
        yield cell("settings_ok", 16, Kind.NUMBERS)
        yield cell("self_check", 17, Kind.TEXTS)
        facts = ("n_given", "n_dropped", "n_prompt", "n_tokens", "loss", "perplexity", "entropy")
        for i, name in enumerate(facts):
            yield cell(name, 10 + i, Kind.NUMBERS, FIRST_TOKEN + 9)

    def _strip(self) -> Iterator[Tensor]:
        """A token a column, as on the token sheets."""

        def line(name: str, row: int, kind: Kind, traced: bool = False) -> Tensor:
            area = Area(HOME, self.home_row(row), FIRST_TOKEN, 1, self.context)
            return Tensor(name, (area,), kind, ("token",), traced)

        yield line("positions", 20, Kind.CONSTANT)
        yield line("prompt_ids", 21, Kind.INPUT)
        yield Tensor("n_ids", (Area(HOME, self.home_row(21), FIRST_TOKEN - 1),), Kind.NUMBERS)
        yield line("ids_typed", 22, Kind.NUMBERS)
        yield line("token_ids", 23, Kind.NUMBERS, traced=True)
        yield line("token_text", 24, Kind.TEXTS)
        yield line("active", 25, Kind.NUMBERS)
        yield line("surprisal", 26, Kind.NUMBERS)
        if self.chat is not None:
            yield line("special_token", 27, Kind.NUMBERS)

    def _table(self) -> Iterator[Tensor]:
        """The ten likeliest next tokens, a rank a row."""

        def column(name: str, column: int, kind: Kind = Kind.NUMBERS) -> Tensor:
            return Tensor(name, (Area(HOME, self.home_row(30), column, 10),), kind, ("rank",))

        yield column("top_ids", 2)
        yield column("top_tokens", 3, Kind.TEXTS)
        yield column("top_logits", 4)
        yield column("top_probs", 5)
        yield Tensor("next_token", (Area(HOME, self.home_row(30), 3),), Kind.TEXTS)

    @cached_property
    def _sample(self) -> list[Tensor]:
        cursor = Cursor(SAMPLE, self.context)
        ranks = min(MAX_TOP_K, self.config.n_vocab)
        cursor.section("sample_choosing", 1)
        cursor.section("sample_state", 1)
        for name in ("uniform", "draw"):
            cursor.below(f"sample_{name}")
        cursor.section("sample_chosen_id", 1)
        cursor.below("sample_chosen_token", kind=Kind.TEXTS)
        cursor.below("sample_chosen_prob")
        cursor.section("sample_top_k_mass", 1)
        for name in ("kept_mass", "kept_share", "left_out", "weight_sum", "vocab_sum"):
            cursor.below(f"sample_{name}")
        cursor.section("sample_tokens", ranks, "rank", kind=Kind.TEXTS)
        for name in ("probs", "ids", "logits", "scaled", "weights", "cumulative", "kept", "wins"):
            cursor.section(f"sample_{name}", ranks, "rank")
        return cursor.tensors

    @cached_property
    def _softmax(self) -> list[Tensor]:
        n = self.config.n_vocab
        columns = (("next_logits", 3), ("next_exp", 4), ("next_probs", 5))
        return [
            *(Tensor(name, (Area(SOFTMAX, 6, c, n),), Kind.NUMBERS, (VOCABULARY_AXIS,)) for name, c in columns),
            Tensor("next_max", (Area(SOFTMAX, 3, 3),), Kind.NUMBERS),
            Tensor("next_sum", (Area(SOFTMAX, 3, 4),), Kind.NUMBERS),
        ]

    @cached_property
    def _vocabulary(self) -> list[Tensor]:
        return [
            Tensor(name, (Area(VOCABULARY, 4, column, self.config.n_vocab),), Kind.CONSTANT, (VOCABULARY_AXIS,))
            for column, name in ((2, "vocab_shown"), (3, "vocab_hex"))
        ]

    @cached_property
    def _model(self) -> list[Tensor]:
        fields = ("n_vocab", "n_positions", "n_embd", "n_layer", "n_head", "n_inner", "layer_norm_epsilon")
        names = ("model", "fingerprint", *fields, "activation_function", "tied")
        sizes: tuple[str, ...] = ("context", "prompt_bytes", "merge_rounds", "end_of_text", "optional_sheets")
        sizes += () if self.lanes == 1 else ("lanes",)
        rounding = () if self.weights == EXACT else ROUNDING
        found, n = [], 4
        for name in (*names, *sizes, *rounding, *(() if self.chat is None else CHAT)):
            lines = len(self.end_of_text) or 1 if name == "end_of_text" else 1
            axes = ("token id",) if lines > 1 else ()
            found.append(Tensor(name, (Area(MODEL, n, 2, lines),), Kind.CONSTANT, axes))
            n += lines
        return found

    @cached_property
    def _built(self) -> list[Tensor]:
        column = FIRST_TOKEN
        return [
            Tensor("built_ids", (Area(MODEL, 4, column, 1, self.context),), Kind.CONSTANT, ("token",)),
            Tensor("built_n_prompt", (Area(MODEL, 5, column),), Kind.CONSTANT),
            Tensor("built_prompt", (Area(MODEL, 6, column),), Kind.CONSTANT),
            Tensor("built_settings", (Area(MODEL, 7, column, 5),), Kind.CONSTANT, ("setting",)),
            Tensor("built_logits", (Area(MODEL, 12, column, min(10, self.config.n_vocab)),), Kind.CONSTANT, ("rank",)),
        ]


def _layer_norm(cursor: Cursor, name: str, n_embd: int) -> None:
    cursor.section(name + ".mean", 1, traced=True)
    cursor.below(name + ".rstd", traced=True)
    cursor.section(name, n_embd, "feature", traced=True)
