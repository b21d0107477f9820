"""The strip of the Home sheet: every token a column, with its id, its string and how much of a surprise it was.

Twin: `token_ids` in `workbook/inputs.py`, `all_ids` in `workbook/state.py`. The id in column t is the prompt's, or the
one that column t - 1 chose.
"""

from collections.abc import Iterator

import numpy as np

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.rows import Cells, Row
from sheetgpt.sheets.formulas import is_among, text_at
from sheetgpt.sheets.grid import FIRST_TOKEN, HOME
from sheetgpt.sheets.home.prompt import bar
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.state import Now, Prompt
from sheetgpt.sheets.text.text_layout import Text


def strip_rows(layout: Layout, text: Text | None, palette: Palette, prompt: Prompt, now: Now) -> Iterator[Row]:
    """Position, ids typed, id, string, active flag and surprisal."""
    home, idle = layout, layout.context - prompt.n
    n = home["positions"].row
    title = "The text, one token per column: the prompt, then what the model writes"
    yield rows.row(n - 1, rows.text(1, title, palette["section"]), bar(n - 1, palette))

    def line(name: str, title: str, hint: str, cells: Cells, folded: bool = False) -> Row:
        words = rows.text(1, title, palette["name"]), rows.text(2, hint, palette["note"])
        return rows.row(home[name].row, *words, cells, folded=folded)

    def formulas(name: str, source: str, values: rows.Values, style: str, doubt: float = 0.0) -> Cells:
        return rows.fill_right(FIRST_TOKEN, source, values, palette[style], doubt)

    yield line("positions", "position", "", rows.numbers(FIRST_TOKEN, np.arange(layout.context), palette["id"]))
    n, typed = home["prompt_ids"].row, now.inputs.ids
    cells = rows.formula(5, f"COUNTA({home['prompt_ids'].local})", len(typed), palette["index"])
    if typed:
        cells += rows.numbers(FIRST_TOKEN, np.array(typed), palette["input"])
    cells += rows.joined(rows.blank(FIRST_TOKEN + t, palette["input"]) for t in range(len(typed), layout.context))
    yield line("prompt_ids", "type token ids" if text is None else "or type token ids", "instead of a prompt →", cells)
    n = home["ids_typed"].row
    flags = np.array([1.0] * len(typed) + [0.0] * (layout.context - len(typed)))
    start = rows.number(5, 1, palette["flag"])
    yield line(
        "ids_typed", "valid id typed?", "", start + formulas("ids_typed", _typed(layout), flags, "flag"), folded=True
    )
    ids = np.array([*prompt.ids, *[np.nan] * idle], float)
    yield line("token_ids", "token id", "", formulas("token_ids", _token_id(layout, text), ids, "id"))
    vocabulary = layout["vocab_shown"].reference
    token = text_at(vocabulary, f"{home['token_ids'].at(0)}+1")
    source = f'IF({home["active"].at(0)},{token},"")'
    shown = [*prompt.shown, *[""] * idle]
    yield line("token_text", "token", "· is a space", formulas("token_text", source, shown, "token"))
    flags = np.array([1.0] * prompt.n + [0.0] * idle)
    source = f"IF(ISNUMBER({home['token_ids'].at(0)}),1,0)"
    yield line("active", "in use?", "", formulas("active", source, flags, "flag"), folded=True)
    bits = np.concatenate([now.surprisal, np.full(idle, np.nan)])
    yield line("surprisal", "surprise, bits", "", formulas("surprisal", _surprisal(layout), bits, "bits", now.doubt))
    if text is not None and layout.chat is not None:
        special = {id for _, id in text.tokenizer.tables.added}
        flags = np.array([float(id in special) for id in prompt.ids] + [0.0] * idle)
        cells = formulas("special_token", _special(layout, text), flags, "flag")
        yield line("special_token", "special token?", "", cells, folded=True)


def last_line(layout: Layout) -> str:
    """The name of the strip's last row."""
    return "surprisal" if layout.chat is None else "special_token"


def _special(layout: Layout, text: Text) -> str:
    """1 where the id is an added token's."""
    added, active, id = (
        text.tokenizer.lookups.get("added_ids"),
        layout["active"].at(0),
        layout["token_ids"].at(0),
    )
    return "0" if added is None else f"IF({active}=1,IF({is_among(id, added)},1,0),0)"


def _typed(layout: Layout) -> str:
    """1 while every column so far holds a typed token id: a whole number below n_vocab."""
    token, before = layout["prompt_ids"].at(0), layout["ids_typed"].at(0, -1)
    valid = f"AND({token}>=0,{token}<{layout.config.n_vocab},INT({token})={token})"
    return f"IF(ISNUMBER({token}),IF({valid},{before},0),0)"


def _token_id(layout: Layout, text: Text | None) -> str:
    """The prompt's ids, from the first that is not dropped; then what the column before has chosen."""
    home = layout
    position, n_prompt = home["positions"].at(0), home["n_prompt"].local
    place = f"{position}+1+{home['n_dropped'].local}"
    source = f"INDEX({home['prompt_ids'].local},1,{place})"
    if text is not None:
        source = f"IF({home['n_ids'].local}>0,{source},INDEX({text.tokenizer.column('id').reference},{place}))"
    chosen = layout["sample_chosen_id"].at(0, -1, HOME)
    written = f"IF({n_prompt}*{home['settings_ok'].local}>0,{position}-{n_prompt}<{home['new_tokens'].local},FALSE)"
    return f'IF({position}<{n_prompt},{source},IF({written},{chosen},""))'


def _surprisal(layout: Layout) -> str:
    """-log2 of the probability that the model gave this token, at temperature 1, where its logits are computed."""
    home, logits = layout, layout["logits"]
    wanted, log_sum = (layout[name].at(0, -1, HOME) for name in ("logits_wanted", "logits_lse"))
    bits = f"({log_sum}-INDEX({logits.down(-1, HOME)},{home['token_ids'].at(0)}+1))/LN(2)"
    known = f'IF({home["active"].at(0)},IF({wanted}=1,{bits},""),"")'
    return f'IF({home["positions"].at(0)}=0,"",{known})'
