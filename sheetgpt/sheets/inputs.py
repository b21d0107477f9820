"""What stands in a workbook's yellow cells."""

from dataclasses import asdict, dataclass, field
from typing import Any

from sheetgpt.gpt2.generation.sampling import Sampling
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.tensor import Value

LINE_BREAK = "↵"  # in the prompt's cell: LibreOffice 26 drops a line feed there, LEN("a", line feed, "b") is 2
EXAMPLE, UTF8_EXAMPLE = "aaabdaaabac", "Me我"  # the texts on the sheet BPE by hand, at first
DEFAULTS = {"new_tokens": 0, **asdict(Sampling()), "score_prompt": 1}


@dataclass(frozen=True)
class Inputs:
    """The yellow cells. `ids`, where there are any, take the place of a text; `user_says` that of the prompt."""

    prompt: str = ""
    ids: tuple[int, ...] = ()
    new_tokens: int = 0
    sampling: Sampling = field(default_factory=Sampling)
    score_prompt: bool = True
    user_says: str = ""  # only where the layout has a chat

    def cells(self, layout: Layout) -> dict[str, Any]:
        """Defined names and the values to put into them."""
        text = {"prompt": prompt_cell(self.prompt)} if layout.reads_text else {}
        text |= {"user_says": prompt_cell(self.user_says)} if layout.chat is not None else {}
        settings = {"new_tokens": self.new_tokens, **asdict(self.sampling), "score_prompt": int(self.score_prompt)}
        return text | {"prompt_ids": [*self.ids]} | settings

    def text(self, layout: Layout) -> str:
        """The prompt in full, as the Tokenizer sheet reads it."""
        if layout.chat is None or not self.user_says:
            return self.prompt
        return cell_text(layout.chat.wrap(self.user_says))


def whole_number(typed: Value) -> Value:
    """What is typed into a cell, as an int where it is a whole number; infinity, NaN and texts stay what they are."""
    return int(typed) if isinstance(typed, float) and typed.is_integer() else typed


def cell_text(prompt: str) -> str:
    """The text that a prompt stands for, as the Tokenizer sheet reads its cell: ↵ and line ends are line feeds."""
    return prompt.replace("\r\n", "\n").replace("\r", "\n").replace(LINE_BREAK, "\n")


def prompt_cell(prompt: str) -> str:
    """The prompt as it is put into its cell: a line feed as ↵, which every program keeps."""
    return cell_text(prompt).replace("\n", LINE_BREAK)
