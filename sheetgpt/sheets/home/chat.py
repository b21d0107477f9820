"""What Home has for a model with a chat template: what it reads, what it answers, and which tokens are special."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.sheets.formulas import is_among
from sheetgpt.sheets.layout import CHAT, Layout
from sheetgpt.sheets.page import Part
from sheetgpt.sheets.state import State
from sheetgpt.sheets.text.decoding import MORE
from sheetgpt.sheets.text.text_layout import Text


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
    decoding = text.decoding
    n, n_prompt = layout["n_tokens"].local, layout["n_prompt"].local
    last = f"INDEX({layout['token_ids'].local},1,{n})"
    stopped = f"IF({n}>{n_prompt},{is_among(last, layout['end_of_text'])},FALSE)"
    n_bytes = f"INDEX({decoding.column('end').reference},{n}-1)"
    seen = f"INDEX({decoding.column('text').reference},MIN({n_bytes},{decoding.capacity}))"
    before = f'IF({n_bytes}=0,"",{seen}&IF({n_bytes}>{decoding.capacity},"{MORE}",""))'
    return f"IF({stopped},{before},{decoding.text.reference})"


def n_shown(layout: Layout, ids: Sequence[int], n_prompt: int) -> int:
    """How many of the tokens the text has that Home shows: the twin of `answered`, for `decoding.split_text`."""
    stopped = len(ids) > n_prompt and ids[-1] in layout.end_of_text
    return len(ids) - (stopped and layout.chat is not None)


def special_line(layout: Layout, text: Text | None, line: Callable[..., Part]) -> Part:
    """1 where the id is an added token's."""

    def special(i: int, t: int) -> str:
        active, id = layout["active"].at(0, t), layout["token_ids"].at(0, t)
        added = None if text is None else text.tokenizer.lookups.get("added_ids")
        return "0" if added is None else f"IF({active}=1,IF({is_among(id, added)},1,0),0)"

    def special_now(state: State) -> NDArray[Any]:
        added = set() if text is None else {id for _, id in text.tokenizer.tables.added}
        return np.array([float(id in added) for id in state.prompt.ids])

    looks = {"style": "flag", "folded": True, "idle": 0}
    return line("special_token", "special token?", formula=special, twin=special_now, **looks)
