"""The map of a workbook: the sizes that decide it, and where everything with a name lies.

The sheets declare the places (`sheets.lay_out` hands them over); whoever writes a formula asks `layout["logits"]`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.quantize import EXACT, INT8, WEIGHTS
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.grid import LM_HEAD, WTE
from sheetgpt.sheets.tensor import Kind, Tensor, by_name
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


def undeclared(layout: "Layout") -> Iterable[Tensor]:
    raise NotImplementedError("sheets.lay_out makes a layout that knows its sheets")


@dataclass(frozen=True)
class Layout:
    """The map of one workbook: a config, a number of token columns (`context`) and the prompt's room determine it.

    `prompt_bytes` and `merge_rounds` size the Tokenizer sheet; with 0 bytes there is none, and prompts are token ids.
    `end_of_text` are the tokens after which nothing more is chosen.
    `weights` says how the weights stand in their cells: "exact", "int8" or "4 digits" (`checkpoints/quantize.py`).
    With a `chat` Home has a cell for what the user says, and the prompt in full is a formula.
    `optional` names the sheets that are in and needn't be (`sheets.optional`), in the order of the registry.
    With two `lanes` there is a second text beside the first (`sheets.lanes`); what this map shows is the first's.
    One that `reads_only` writes nothing after the prompt, so that no id depends on a choice and no choice on a knob.
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
    reads_only: bool = False
    declare: Callable[["Layout"], Iterable[Tensor]] = field(default=undeclared, compare=False, repr=False)

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
        if self.reads_only and self.lanes > 1:
            raise SheetGPTError(
                "--reads-only and --lab don't go together: Lab has lane B write with settings of its own."
            )

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
    def most_new_tokens(self) -> int:
        """A column is left for the prompt."""
        return 0 if self.reads_only else self.context - 1

    @property
    def reads_text(self) -> bool:
        """Whether the workbook has a tokenizer, and so a cell for the prompt's text."""
        return self.prompt_bytes > 0

    @property
    def read_prompt(self) -> Area:
        """The cell whose text the Tokenizer reads."""
        return self["prompt" if self.chat is None else "full_prompt"]

    @cached_property
    def records(self) -> dict[str, Tensor]:
        """Everything with a name that the layout alone knows: tensors, parameters, inputs and outputs."""
        return by_name(self.declare(self))

    def tensor(self, name: str) -> Tensor:
        """The record of one name."""
        return self.records[name]

    def __getitem__(self, name: str) -> Area:
        """The cells of one name, of those that lie in one piece."""
        return self.records[name].area

    def __contains__(self, name: str) -> bool:
        return name in self.records

    @cached_property
    def trace(self) -> dict[str, Area]:
        """What the evaluator's trace holds, too."""
        return {tensor.name: tensor.area for tensor in self.records.values() if tensor.traced}

    @cached_property
    def params(self) -> dict[str, list[Area]]:
        """Every tensor of the checkpoint; those of `wte` and `lm_head` are bands, side by side."""
        weights = (tensor for tensor in self.records.values() if tensor.kind == Kind.WEIGHT)
        return {tensor.name: [*tensor.areas] for tensor in weights}

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
