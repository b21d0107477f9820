"""What the sheet Attention says in words, each sentence beside its twin; and which head and token are chosen."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sheetgpt.inspection.attention import MEASURES, Floats, copies, head_table
from sheetgpt.inspection.rounded import rounding_doubt
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.choosers import offered, offered_now, whole_now
from sheetgpt.sheets.inside.attention_layout import ATTENTION, KEY, LAST, SHARE, Places
from sheetgpt.sheets.state import State

N_RANKED = 3
STEP = 1e-12  # between two keys that get the same attention, so that the first of them comes first
IN_WORDS = {
    "": "",
    "previous": "the previous token",
    "first": "the first token",
    "itself": "itself",
    "duplicate": "earlier copies of the token",
    "induction": "what came after an earlier copy",
}


@dataclass(frozen=True)
class Seen:
    """What is chosen: block, head, and the position of a token."""

    state: State
    block: int
    head: int
    token: int

    @classmethod
    def of(cls, state: State) -> "Seen":
        config, last = state.layout.config, state.prompt.n - 1
        block, head, token = (state.chosen[f"attention_{name}"] for name in ("block", "head", "token"))
        return cls(
            state,
            whole_now(block, config.n_layer - 1, 0),
            whole_now(head, config.n_head - 1, 0),
            whole_now(token, last, last),
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

    def token_sentence(self) -> str:
        """The twin of `token_sentence`."""
        token = self.state.prompt.shown[self.token]
        if self.token == 0:
            return f"“{token}” is the first token: it can look at nothing but itself."
        first, second, *third = (self._who(k) for k in self.ranked)
        more = "".join(f" and {who}" for who in third)
        return f"“{token}” at position {self.token} looks most at {first}, then at {second}{more}."

    def _who(self, k: int) -> str:
        who = "itself" if k == self.token else f"“{self.state.prompt.shown[k]}” at position {k}"
        return f"{who} ({percent_now(self.shares[k])})"

    def head_sentence(self) -> str:
        """The twin of `head_sentence`."""
        if self.n < 2:
            return ""
        return _HEAD.format(self.block, self.head, *map(percent_now, self.chosen_row[:3]))

    def copies_sentence(self) -> str:
        """The twin of `copies_sentence`."""
        if self.n < 2:
            return ""
        shares = self.chosen_row[3:5]
        return _NO_COPIES if math.isnan(shares[0]) else _COPIES.format(*map(percent_now, shares))

    def refusal(self) -> str:
        """The twin of `refusal`."""
        words = _NO_HEAD.format("block", self.block), _NO_HEAD.format("head", self.head), _NO_TOKEN
        shown = (self.block, self.head, self.token)
        typed = [self.state.chosen[f"attention_{name}"] for name in ("block", "head", "token")]
        rows = zip(words, typed, shown, ("", "", LAST), strict=True)
        return "".join(said for said, given, number, usual in rows if not offered_now(given, number, usual))

    def sentences(self) -> list[str]:
        """The twin of `sentences`."""
        return [self.token_sentence(), self.head_sentence(), self.copies_sentence(), self.refusal()]


_HEAD = (
    "On average, head {1} of block {0} gives {2} of a token's attention to the token before it, {3} to the first "
    "token, and {4} to the token itself."
)
_COPIES = "A token that has come before gives {0} to its earlier copies, and {1} to the tokens after them."
_NO_COPIES = "No token of this text has come before, so there are no copies to look at."
_NO_HEAD = "There is no such {0}, so {0} {1} is shown. "
_NO_TOKEN = "There is no such position, so the last token is described."


def sentences(at: Places) -> list[str]:
    """As formulas, in the order of their rows."""
    return [token_sentence(at), head_sentence(at), copies_sentence(at), refusal(at)]


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


def token_sentence(at: Places) -> str:
    """What the chosen token looks at most."""
    token, keys, shares = at.token.local, at.beside(KEY).local, at.beside(SHARE).local
    own = f"INDEX({keys},{token}+1)"

    def who(i: int) -> str:
        place = Area(ATTENTION, at.ranked.row + i, at.ranked.column).local
        other = joined("“{0}” at position {1}", f"INDEX({keys},{place}+1)", place)
        return f'IF({place}={token},"itself",{other})&{joined(" ({0})", percent(f"INDEX({shares},{place}+1)"))}'

    first = joined("“{0}” is the first token: it can look at nothing but itself.", own)
    third = f'IF({token}>1," and "&{who(2)},"")'
    words = "“{0}” at position {1} looks most at {2}, then at {3}{4}."
    others = joined(words, own, token, who(0), who(1), third)
    return f'IF({token}<0,"",IF({token}=0,{first},{others}))'


def head_sentence(at: Places) -> str:
    """What the chosen head does on the whole text."""
    shares = [percent(_own_share(at, m)) for m in range(3)]
    said = joined(_HEAD, at.block.local, at.head.local, *shares)
    return f'IF({at.counts.stripe(0).local}>0,{said},"")'


def copies_sentence(at: Places) -> str:
    """What it does where a token has come before."""
    said = joined(_COPIES, *(percent(_own_share(at, m)) for m in (3, 4)))
    some = f'IF(ISNUMBER({_own_share(at, 3)}),{said},"{_NO_COPIES}")'
    return f'IF({at.counts.stripe(0).local}>0,{some},"")'


def _own_share(at: Places, measure: int) -> str:
    """A measure of the chosen head."""
    cells = at.table.stripe(measure)
    if cells.n_cells == 1:  # IronCalc has no INDEX of a single cell
        return cells.local
    return f"INDEX({cells.local},{at.block.local}*{at.layout.config.n_head}+{at.head.local}+1)"


def refusal(at: Places) -> str:
    """What is chosen and not there."""
    cells, shown = [chooser.cell.local for chooser in at.choosers], (at.block.local, at.head.local, at.token.local)
    words = [joined(_NO_HEAD.replace("{0}", name), "", shown[i]) for i, name in enumerate(("block", "head"))]
    words.append(f'"{_NO_TOKEN}"')
    choices = zip(cells, shown, ("", "", LAST), words, strict=True)
    parts = [f'IF({offered(cell, number, usual)},"",{said})' for cell, number, usual, said in choices]
    return f'IF({at.token.local}<0,"",{"&".join(parts)})'
