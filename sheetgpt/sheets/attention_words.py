"""What the sheet Attention says in words, each sentence beside its twin; and which head and token are chosen."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sheetgpt.inspection.attention import MEASURES, Floats, copies, head_table
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.attention_layout import ATTENTION, KEY, SHARE, Places
from sheetgpt.sheets.choosers import whole_now
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
        if self.state.prompt.n < 2:
            return ""
        known = [percent_now(share) for share in self.chosen_row[:5] if not math.isnan(share)]
        first, more, last = _head_words(str(self.block), str(self.head), *known[:3]), "", "."
        if len(known) == len(MEASURES):
            more = _COPIES.format(*known[3:])
        return first + more + last


_HEAD = (
    "On average, head {1} of block {0} gives {2} of a token's attention to the token before it, {3} to the first "
    "token, and {4} to the token itself"
)
_COPIES = "; of a token that has come before, {0} to its earlier copies, and {1} to the tokens after them"


def _head_words(*parts: str) -> str:
    return _HEAD.format(*parts)


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
    row = f"{at.block.local}*{at.layout.config.n_head}+{at.head.local}+1"
    shares = [f"INDEX({at.table.stripe(m).local},{row})" for m in range(len(MEASURES))]
    first = joined(_HEAD, at.block.local, at.head.local, *map(percent, shares[:3]))
    copies = f'IF(ISNUMBER({shares[3]}),{joined(_COPIES, *map(percent, shares[3:]))},"")'
    return f'IF({at.counts.stripe(0).local}>0,{first}&{copies}&".","")'
