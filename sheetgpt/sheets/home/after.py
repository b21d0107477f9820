"""After which position of the text Home's table and Softmax say what comes next.

"prompt" is the end of what was typed, "last" that of what was written; a number is a position where logits are
computed. Never the token that ends a text: nothing is chosen after it.
"""

from collections.abc import Sequence

from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.formulas import is_among, to_go_on
from sheetgpt.sheets.grid import HOME
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.optional import Value

AFTER = "next_position"  # the yellow cell; beside it, `next_used`, the position that it comes to
PROMPT, LAST = "prompt", "last"
HINT = (
    "prompt: the end of what was typed; last: of what was written; or a position. One before the end of the prompt "
    "needs Score the prompt at 1."
)


def offered(layout: Layout) -> Area:
    """The cells whose entries the yellow one offers: two words, and the positions beside them."""
    positions = layout["positions"]
    return Area(positions.sheet, positions.row, positions.column - 2, 1, positions.n_columns + 2)


def used(layout: Layout) -> str:
    """No number where there is no text to go on with."""
    typed, score = layout[AFTER].local, layout["score_prompt"].local
    n, n_prompt = layout["n_tokens"].local, layout["n_prompt"].local
    token = f"INDEX({layout['token_ids'].local},1,{n})"
    stopped = f"IF({n}>{n_prompt},IF({is_among(token, layout['end_of_text'])},1,0),0)"
    last, end = f"{n}-1-{stopped}", f"{n_prompt}-1"
    known = f"AND({typed}<={last},OR({typed}>={end},AND({score}=1,{typed}>=0)))"
    words = f'IF({typed}="{LAST}",{last},{end})'
    found = f"IF(ISNUMBER({typed}),IF({known},INT({typed}),{end}),{words})"
    return f'IF({to_go_on(layout, HOME)},{found},"")'


def used_now(typed: Value, layout: Layout, ids: Sequence[int], n_prompt: int, score: bool) -> int:
    """The twin of `used`. A spreadsheet's = knows no small and capital letters."""
    stopped, end = len(ids) > n_prompt and ids[-1] in layout.end_of_text, n_prompt - 1
    last = len(ids) - 1 - stopped
    if isinstance(typed, str):
        return last if typed.lower() == LAST else end
    known = typed <= last and (typed >= end or (score and typed >= 0))
    return int(typed) if known else end
