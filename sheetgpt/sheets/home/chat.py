"""Two formulas on Home that are other ones for a model with a chat template: what it reads, and what it answers."""

from collections.abc import Sequence

from sheetgpt.sheets.formulas import is_among
from sheetgpt.sheets.layout import CHAT, Layout
from sheetgpt.sheets.text.decoding import MORE
from sheetgpt.sheets.text.pages import Text


def full_prompt(layout: Layout) -> str:
    """What the user says, wrapped by the chat template; where nothing is said, the prompt as it is typed.

    Twin: `Inputs.text`.
    """
    says, typed = layout["user_says"].local, layout["prompt"].local
    before, after = (layout[name].reference for name in CHAT)
    return f'IF(ISERROR({says}),"",IF({says}="",{typed}&"",{before}&{says}&{after}))'


def answered(layout: Layout, text: Text) -> str:
    """The text of all tokens, without that of a written one that ends it: an answer is what stands before <|im_end|>.

    The strip shows that token.
    """
    texts = text.decoding["text"]
    n, n_prompt = layout["n_tokens"].local, layout["n_prompt"].local
    last = f"INDEX({layout['token_ids'].local},1,{n})"
    stopped = f"IF({n}>{n_prompt},{is_among(last, layout['end_of_text'])},FALSE)"
    n_bytes = f"INDEX({text.decoding['end'].reference},{n}-1)"
    seen = f"INDEX({texts.reference},MIN({n_bytes},{texts.n_rows}))"
    before = f'IF({n_bytes}=0,"",{seen}&IF({n_bytes}>{texts.n_rows},"{MORE}",""))'
    return f"IF({stopped},{before},{text.decoding['decoded'].reference})"


def n_shown(layout: Layout, ids: Sequence[int], n_prompt: int) -> int:
    """How many of the tokens the text has that Home shows: the twin of `answered`, for `decoding.split_text`."""
    stopped = len(ids) > n_prompt and ids[-1] in layout.end_of_text
    return len(ids) - (stopped and layout.chat is not None)
