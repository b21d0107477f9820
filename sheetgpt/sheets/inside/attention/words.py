"""What is chosen on the sheet Attention, and what it says about that in words: each sentence beside its twin."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sheetgpt.inspection.attention import MEASURES, Floats, copies, head_table
from sheetgpt.inspection.rounded import rounding_doubt
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Formula, Values, cell, unguarded
from sheetgpt.sheets.grid import FIRST_TOKEN
from sheetgpt.sheets.home.after import LAST, PROMPT
from sheetgpt.sheets.inside.question import position_now, position_of
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.token_page import guarded
from sheetgpt.sheets.page import Page
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.choosers import offered, offered_now, whole, whole_now
from sheetgpt.sheets.tensor import Value

ATTENTION, ABOUT = "Attention", "who looks at whom, and what each head does"
TYPED, SHOWN, RANKED = 3, 4, 5  # columns: what is typed, what is shown for it, what the chosen token looks at
ROOM = 14  # columns that the table and its words take, at least
N_RANKED = 3
STEP = 1e-12  # between two keys that get the same attention, so that the first of them comes first
_HEAD = (
    "On average, head {1} of block {0} gives {2} of a token's attention to the token before it, {3} to the first "
    "token, and {4} to the token itself."
)
_COPIES = "A token that has come before gives {0} to its earlier copies, and {1} to the tokens after them."
_NO_COPIES = "No token of this text has come before, so there are no copies to look at."
_NO_HEAD = "There is no such {0}, so {0} {1} is shown. "
_NO_TOKEN = "There is no such position, so the prompt's last token is described."

Twin = Callable[[State], Values]


@dataclass(frozen=True)
class Seen:
    """What is chosen: block, head, and the position of a token."""

    state: State
    block: int
    head: int
    token: int

    @classmethod
    def of(cls, state: State) -> "Seen":
        config = state.layout.config
        block, head, token = (state.chosen[f"attention_{name}"] for name in ("block", "head", "token"))
        return cls(
            state,
            whole_now(block, config.n_layer - 1, 0),
            whole_now(head, config.n_head - 1, 0),
            position_now(token, state),
        )

    @property
    def n(self) -> int:
        """Tokens of the text."""
        return self.state.prompt.n

    @cached_property
    def copies(self) -> Floats:
        """1 where the key is an earlier copy.  [n, n], [key, query]"""
        return copies(self.state.prompt.ids).astype(float)

    def probs(self, head: int) -> Floats:
        """A head of the chosen block.  [n, n], [key, query]"""
        found: Floats = self.state.trace[f"h{self.block}.attn.probs.{head}"]
        return found

    @property
    def shares(self) -> Floats:
        """How the chosen token's attention is shared out.  [token + 1]"""
        found: Floats = self.probs(self.head)[: self.token + 1, self.token]
        return found

    @property
    def order(self) -> Floats:
        """The larger, the more attention: shares to nine digits, and of equal ones the first key's."""
        return np.floor(self.shares * 1e9 + 0.5) / 1e9 - np.arange(self.token + 1) * STEP

    @property
    def order_doubts(self) -> Floats:
        """How well each can be known, absolute."""
        return rounding_doubt(self.shares, 9)

    @cached_property
    def ranked(self) -> list[int]:
        """The positions that the chosen token looks at most."""
        return [int(k) for k in np.argsort(-self.order, kind="stable")[:N_RANKED]]

    @cached_property
    def table(self) -> Floats:
        """The measures and the entropy of every head.  [heads, 6]"""
        found: Floats = head_table(self.state.subject)[[*MEASURES, "entropy"]].to_numpy()
        return found

    @property
    def chosen_row(self) -> Floats:
        """Of the chosen head."""
        found: Floats = self.table[self.block * self.state.layout.config.n_head + self.head]
        return found


class Chosen:
    """The page, and the cells that say which block, head and token are shown on it."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.config, self.width = layout, layout.config, layout.context
        self.n_heads = layout.config.n_layer * layout.config.n_head
        self.maps = FIRST_TOKEN + max(self.width, ROOM) + 1  # the first column of the small maps
        self.page = Page(ATTENTION, ABOUT, self.width, prefix="attention_", guard=self.guard, bar_end=self.maps - 2)

    def guard(self, source: str, t: int) -> str:
        return guarded(source, t, self.page["active"].row)

    def line(self, name: str, formula: Formula | None, twin: Twin, style: str, **looks: Any) -> Block:
        """A cell for each position."""
        return Block(name, formula=formula, twin=twin, style=style, **{"label": None, "named": False} | looks)

    def column(self, name: str, at: int, formula: Formula | None, twin: Twin, style: str, **looks: Any) -> Block:
        """A cell for each key."""
        sizes: dict[str, Any] = {"n_rows": self.width, "n_columns": 1, "column": at, "guard": unguarded}
        return self.line(name, formula, twin, style, **sizes | looks)

    def shown(self, name: str) -> str:
        """What is shown for "block", "head" or "token": in the column beside the yellow cell."""
        return Area(ATTENTION, self.page[name].row, SHOWN).local

    @property
    def block(self) -> str:
        return self.shown("block")

    @property
    def head(self) -> str:
        return self.shown("head")

    @property
    def token(self) -> str:
        """-1 where there is no text."""
        return self.shown("token")

    def choice(self, name: str) -> tuple[Callable[[], str], Callable[[State], Value]]:
        """What is shown for what is typed, as a formula and now."""
        config, n_tokens = self.config, self.layout["n_tokens"].reference

        def formula() -> str:
            typed = self.page[name].local
            if name == "token":
                return f"IF({n_tokens}>0,{position_of(typed, self.layout)},-1)"
            return whole(typed, str((config.n_layer if name == "block" else config.n_head) - 1), "0")

        def twin(state: State) -> Value:
            found: int = getattr(state.ask(Seen.of), name)
            return found

        return formula, twin

    def share(self, measure: int) -> str:
        """A measure of the chosen head, in percent."""
        return percent(self.measure(measure))

    def measure(self, measure: int) -> str:
        cells = self.page["heads"].stripe(measure)
        if cells.n_cells == 1:  # IronCalc has no INDEX of a single cell
            return cells.local
        return f"INDEX({cells.local},{self.block}*{self.config.n_head}+{self.head}+1)"


def percent(share: str) -> str:
    """A whole number of percent, as text. What stands before INT keeps a half a half, however a program rounds."""
    return f'INT(100*{share}+0.5+1E-9)&"%"'


def percent_now(share: float) -> str:
    return f"{math.floor(100 * share + 0.5 + 1e-9)}%"


def joined(words: str, *parts: str) -> str:
    """The text as a formula, with a formula in place of each {0}, {1}, …"""
    pieces = []
    for i, piece in enumerate(words.replace("}", "{").split("{")):
        pieces.append(parts[int(piece)] if i % 2 else f'"{piece}"')
    return "&".join(piece for piece in pieces if piece != '""')


def token_sentence(it: Chosen) -> Block:
    """What the chosen token looks at most."""
    alone = "“{0}” is the first token: it can look at nothing but itself."
    words = "“{0}” at position {1} looks most at {2}, then at {3}{4}."
    other, share = "“{0}” at position {1}", " ({0})"

    def formula() -> str:
        token, keys, shares, ranked = it.token, it.page["keys"].local, it.page["shares"].local, it.page["ranked"]

        def who(i: int) -> str:
            place = ranked.line(i).local
            name = f'IF({place}={token},"itself",{joined(other, f"INDEX({keys},{place}+1)", place)})'
            return f"{name}&{joined(share, percent(f'INDEX({shares},{place}+1)'))}"

        own, third = f"INDEX({keys},{token}+1)", f'IF({token}>1," and "&{who(2)},"")'
        others = joined(words, own, token, who(0), who(1), third)
        return f'IF({token}<0,"",IF({token}=0,{joined(alone, own)},{others}))'

    def twin(state: State) -> str:
        seen, shown = state.ask(Seen.of), state.prompt.shown

        def who(k: int) -> str:
            name = "itself" if k == seen.token else other.format(shown[k], k)
            return name + share.format(percent_now(seen.shares[k]))

        if seen.token == 0:
            return alone.format(shown[0])
        first, second, *third = map(who, seen.ranked)
        return words.format(shown[seen.token], seen.token, first, second, "".join(f" and {name}" for name in third))

    return cell(FIRST_TOKEN, formula, twin, "quote", "on_token", named=False)


def head_sentence(it: Chosen) -> Block:
    """What the chosen head does on the whole text."""

    def formula() -> str:
        said = joined(_HEAD, it.block, it.head, *(it.share(m) for m in range(3)))
        return f'IF({it.page["counts"].stripe(0).local}>0,{said},"")'

    def twin(state: State) -> str:
        seen = state.ask(Seen.of)
        return _HEAD.format(seen.block, seen.head, *map(percent_now, seen.chosen_row[:3])) if seen.n > 1 else ""

    return cell(FIRST_TOKEN, formula, twin, "quote", "on_head", named=False)


def copies_sentence(it: Chosen) -> Block:
    """What it does where a token has come before."""

    def formula() -> str:
        some = f'IF(ISNUMBER({it.measure(3)}),{joined(_COPIES, it.share(3), it.share(4))},"{_NO_COPIES}")'
        return f'IF({it.page["counts"].stripe(0).local}>0,{some},"")'

    def twin(state: State) -> str:
        seen = state.ask(Seen.of)
        copies, after = seen.chosen_row[3:5]
        said = _NO_COPIES if math.isnan(copies) else _COPIES.format(percent_now(copies), percent_now(after))
        return said if seen.n > 1 else ""

    return cell(FIRST_TOKEN, formula, twin, "quote", "on_copies", named=False)


def refusal(it: Chosen) -> Block:
    """What is chosen and not there."""
    usual: dict[str, tuple[str, ...]] = {"block": (), "head": (), "token": (PROMPT, LAST)}

    def formula() -> str:
        said = {name: joined(_NO_HEAD.replace("{0}", name), "", it.shown(name)) for name in ("block", "head")}
        said["token"] = f'"{_NO_TOKEN}"'
        parts = [
            f'IF({offered(it.page[name].local, it.shown(name), words)},"",{said[name]})'
            for name, words in usual.items()
        ]
        return f'IF({it.token}<0,"",{"&".join(parts)})'

    def twin(state: State) -> str:
        seen = state.ask(Seen.of)
        shown = {"block": seen.block, "head": seen.head, "token": seen.token}
        said = {name: _NO_HEAD.format(name, shown[name]) for name in ("block", "head")} | {"token": _NO_TOKEN}
        typed = {name: state.chosen[f"attention_{name}"] for name in usual}
        return "".join(said[name] for name in usual if not offered_now(typed[name], shown[name], usual[name]))

    return cell(FIRST_TOKEN, formula, twin, "message", "refused", named=False)
