"""The strip of the Home sheet: every token a column, with its id, its string and how much of a surprise it was.

The id in column t is the prompt's, or the one that column t - 1 chose. Arithmetic:
`token_ids` in `workbook/yellow/inputs.py`, `all_ids` in `workbook/state.py`, `surprisal` in
`gpt2/generation/sampling.py`.
"""

from typing import Any

import numpy as np
from openpyxl.formatting.rule import FormulaRule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.generation import sampling
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Part, cell
from sheetgpt.sheets.formulas import is_among, text_at
from sheetgpt.sheets.grid import FIRST_TOKEN, HOME, LABEL
from sheetgpt.sheets.home.after import LAST, PROMPT
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Bar, Beside, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.looks import plain, put, scale, stands_out
from sheetgpt.sheets.tensor import Kind
from sheetgpt.sheets.text.pages import Text

HINT, BEFORE = 2, FIRST_TOKEN - 1  # columns: a few words; what stands left of the first token


def line(name: str, title: str, hint: str = "", before: Part | None = None, **looks: Any) -> Part:
    """A row of the strip."""
    words = Texts({LABEL: title, HINT: hint}, "name", {HINT: "note"})
    cells = Block(name, label=None, axes=("token",), **looks)
    return Beside(words, cells) if before is None else Beside(words, before, cells)


def strip(layout: Layout, text: Text | None) -> list[Part]:
    """Position, ids typed, id, string, active flag and surprisal."""
    rows = [
        Bar("The text, one token per column: the prompt, then what the model writes", space=0),
        positions(layout),
        *typed_ids(layout),
        *tokens(layout, text),
        *surprise(layout),
    ]
    rows += probability(layout)
    return rows if layout.chat is None else [*rows, special_line(layout, text)]


def positions(layout: Layout) -> Part:
    """Beside them two words that stand for one: a list for the question which one is meant."""
    words = Texts({LABEL: "position", BEFORE - 1: PROMPT, BEFORE: LAST}, "note", {LABEL: "name"})
    looks: dict[str, Any] = {"kind": Kind.CONSTANT, "style": "id", "axes": ("token",), "label": None}
    return Beside(words, Block("positions", twin=lambda state: np.arange(layout.context), **looks))


def typed_ids(layout: Layout) -> list[Part]:
    """Ids in the place of a text."""

    def n_typed() -> str:
        return f"COUNTA({layout['prompt_ids'].local})"

    def valid(i: int, t: int) -> str:
        """1 while every column so far holds a typed token id: a whole number below n_vocab."""
        token, before = layout["prompt_ids"].at(0, t), layout["ids_typed"].at(0, t - 1)
        valid = f"AND({token}>=0,{token}<{layout.config.n_vocab},INT({token})={token})"
        return f"IF(ISNUMBER({token}),IF({valid},{before},0),0)"

    title = "or type token ids" if layout.reads_text else "type token ids"
    hint, ids = "instead of a prompt →", cell(BEFORE, n_typed, lambda s: len(s.inputs.ids), "index", "n_ids")
    flags: dict[str, Any] = {"style": "flag", "folded": True, "idle": 0}
    start = cell(BEFORE, None, lambda state: 1, "flag")
    return [
        line("prompt_ids", title, hint, ids, kind=Kind.INPUT, style="input", twin=lambda s: [*s.inputs.ids]),
        line(
            *("ids_typed", "valid id typed?", "", start),
            formula=valid,
            twin=lambda s: np.ones(len(s.inputs.ids)),
            **flags,
        ),
    ]


def tokens(layout: Layout, text: Text | None) -> list[Part]:
    """What stands in each column, and whether anything does."""

    def read_id(i: int, t: int) -> str:
        """Where nothing is written: the id typed here, or the text's. It asks for no id on its right, and for no count
        of them all, so that another last id leaves the columns before it alone. Typed ids always have room.
        """
        typed = f'IF({layout["ids_typed"].at(0, t)}=1,{layout["prompt_ids"].at(0, t)},"")'
        if text is None:
            return typed
        position, n_read = layout["positions"].at(0, t), text.tokenizer["n_tokens"].reference
        place = f"{position}+1+MAX(0,{n_read}-{layout.context})"
        read = f"INDEX({text.tokenizer['ids'].reference},{place})"
        first = layout["prompt_ids"].stripe(0).local
        return f'IF(COUNTA({first})>0,{typed},IF({position}<{n_read},{read},""))'

    def token_id(i: int, t: int) -> str:
        """The prompt's ids, from the first that is not dropped; then what the column before has chosen."""
        position, n_prompt = layout["positions"].at(0, t), layout["n_prompt"].local
        place = f"{position}+1+{layout['n_dropped'].local}"
        source = f"INDEX({layout['prompt_ids'].local},1,{place})"
        if text is not None:
            read = f"INDEX({text.tokenizer['ids'].reference},{place})"
            source = f"IF({layout['n_ids'].local}>0,{source},{read})"
        chosen, new_tokens = layout["sample_chosen_id"].at(0, t - 1, HOME), layout["new_tokens"].local
        written = f"IF({n_prompt}*{layout['settings_ok'].local}>0,{position}-{n_prompt}<{new_tokens},FALSE)"
        return f'IF({position}<{n_prompt},{source},IF({written},{chosen},""))'

    def shown(i: int, t: int) -> str:
        token = text_at(layout["vocab_shown"].reference, f"{layout['token_ids'].at(0, t)}+1")
        return f'IF({layout["active"].at(0, t)},{token},"")'

    def active(i: int, t: int) -> str:
        return f"IF(ISNUMBER({layout['token_ids'].at(0, t)}),1,0)"

    def ids_now(state: State) -> Any:
        return np.array(state.prompt.ids, float)

    def active_now(state: State) -> Any:
        return np.ones(state.prompt.n)

    def colour(frame: Worksheet, area: Area) -> None:
        colour_tokens(frame, area, layout)

    looks: dict[str, Any] = {"kind": Kind.TEXTS, "style": "token", "colours": [colour]}
    flags: dict[str, Any] = {"style": "flag", "folded": True, "idle": 0}
    return [
        line(
            "token_ids",
            "token id",
            formula=read_id if layout.reads_only else token_id,
            twin=ids_now,
            style="id",
            traced=True,
        ),
        line("token_text", "token", "· is a space", formula=shown, twin=lambda s: [*s.prompt.shown], **looks),
        line("active", "in use?", formula=active, twin=active_now, **flags),
    ]


def surprise(layout: Layout) -> list[Part]:
    def bits(i: int, t: int) -> str:
        """-log2 of the probability that the model gave this token, at temperature 1, where its logits are computed."""
        logits = layout["logits"].down(t - 1, HOME)
        wanted, log_sum = (layout[name].at(0, t - 1, HOME) for name in ("logits_wanted", "logits_lse"))
        bits = f"({log_sum}-INDEX({logits},{layout['token_ids'].at(0, t)}+1))/LN(2)"
        known = f'IF({layout["active"].at(0, t)},IF({wanted}=1,{bits},""),"")'
        return f'IF({layout["positions"].at(0, t)}=0,"",{known})'

    heat = scale("num", 0, "FFFFFF", "num", 4, "FCE4D6", "num", 12, "E06666")

    looks: dict[str, Any] = {"style": "bits", "doubt": lambda state: state.now.doubt, "colours": [heat]}
    return [line("surprisal", "surprise, bits", formula=bits, twin=lambda state: state.now.surprisal, **looks)]


def probability(layout: Layout) -> list[Part]:
    """Of each written token, when it was chosen: among all tokens of the vocabulary, at the temperature."""

    def prob(i: int, t: int) -> str:
        """exp((logit - largest) / T) / the sum of that over all tokens"""
        largest, total = (layout[name].at(0, t - 1, HOME) for name in ("logits_max", "sample_vocab_sum"))
        logit = f"INDEX({layout['logits'].down(t - 1, HOME)},{layout['token_ids'].at(0, t)}+1)"
        heat, written = layout["temperature"].local, f"{layout['positions'].at(0, t)}>={layout['n_prompt'].local}"
        found = f"IF({heat}=0,1,EXP(({logit}-{largest})/{heat})/{total})"
        return f'IF({layout["active"].at(0, t)},IF({written},{found},""),"")'

    def prob_now(state: State) -> Any:
        found, logits, heat = np.full(layout.context, np.nan), state.trace["logits"], state.inputs.sampling.temperature
        for t in range(state.prompt.n_prompt, state.prompt.n):
            found[t] = sampling.probabilities(logits[:, t - 1], heat)[state.prompt.ids[t]]
        return found

    def doubt(state: State) -> Any:
        return np.roll(sampling.doubt(state.trace["logits"], state.inputs.sampling.temperature), 1)

    looks: dict[str, Any] = {"style": "prob", "formula": prob, "twin": prob_now, "doubt": doubt}
    return [line("written_prob", "its probability", f"among all {layout.config.n_vocab:,}", **looks)]


def special_line(layout: Layout, text: Text | None) -> Part:
    """Of a chat."""

    def special(i: int, t: int) -> str:
        """1 where the id is an added token's."""
        active, id = layout["active"].at(0, t), layout["token_ids"].at(0, t)
        added = None if text is None else text.characters.areas.get("added_ids")
        return "0" if added is None else f"IF({active}=1,IF({is_among(id, added)},1,0),0)"

    def special_now(state: State) -> Any:
        added = set() if text is None else {id for _, id in text.sizes.tables.added}
        return np.array([float(id in added) for id in state.prompt.ids])

    looks: dict[str, Any] = {"style": "flag", "folded": True, "idle": 0}
    return line("special_token", "special token?", formula=special, twin=special_now, **looks)


def colour_tokens(frame: Worksheet, area: Area, layout: Layout) -> None:
    """What the model wrote in orange, special tokens in blue."""
    rules = [plain(f'{area.at(0)}=""'), stands_out(f"{layout['positions'].at(0)}>={layout['n_prompt'].local}")]
    if layout.chat is not None:
        special = [f"{layout['special_token'].at(0)}=1"]
        blue = FormulaRule(special, font=Font(bold=True, color="1F4E78"), fill=PatternFill(bgColor="BDD7EE"))
        rules.insert(1, blue)
    put(frame, area, *rules)
