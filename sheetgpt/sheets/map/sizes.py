"""The workings of the sheet Map, a token a column: how long is what each part writes, the stream, and each head's mix.

A length is the root of the sum of squares of a token's numbers. The strongest head of a block is the one whose mix of
values, its rows of attn.z, is longest (Kobayashi and others 2020, "Attention is Not Only a Weight", weigh attention by
the vectors that it mixes, too). What decides is each head's share of the longest, to nine digits, and of equal ones the
first: how a program rounds must not decide.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.inspection.rounded import rounding_doubt
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Part, unguarded
from sheetgpt.sheets.grid import FIRST_TOKEN
from sheetgpt.sheets.home.after import LAST, PROMPT
from sheetgpt.sheets.inside.contributions.parts import scored
from sheetgpt.sheets.inside.question import Question
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.token_page import guarded
from sheetgpt.sheets.page import Bar, Beside, Page
from sheetgpt.sheets.state import State

MAP, WORDS = "Map", "the whole network on one page, live"
MANY = 6  # with more blocks the sheet is shown smaller, and its headings are shorter
DIGITS = 9  # heads whose shares of the longest mix are equal to so many decimals count as equal

Floats = NDArray[Any]
Twin = Callable[[State], Any]


class Followed:
    """The page, and the position that is followed on it."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.config, self.width = layout, layout.config, layout.context
        self.blocks = range(layout.config.n_layer)
        self.written = ["embed_tok", "embed_pos", *(f"h{i}.{p}.out" for i in self.blocks for p in ("attn", "mlp"))]
        self.stream = ["embed", *(f"h{i}.resid_post" for i in self.blocks)]
        self.after = FIRST_TOKEN + layout.config.n_layer  # the column right of the blocks
        self.page = Page(MAP, WORDS, layout.context, prefix="map_", bar_end=self.after + 4)
        self.ask = Question(self.page, layout)
        self.page.guard = self.ask.guard

    @property
    def crowded(self) -> bool:
        return len(self.blocks) > MANY

    @property
    def position(self) -> str:
        return self.ask.used("position")

    def there(self, line: Area) -> str:
        """A row's cell at the position. IronCalc has no INDEX of a single cell."""
        own = line.local if line.sheet == MAP else line.reference
        return own if line.n_columns == 1 else f"INDEX({own},1,{self.position}+1)"

    def now(self, values: Callable[[State], Floats]) -> Twin:
        """The twin of `there`, of many rows at once.  [n, T] -> [n]"""
        return lambda state: values(state)[:, self.ask.position_now(state)]

    def line(self, name: str, n_rows: int, formula: Any, twin: Twin, style: str = "share", **looks: Any) -> Block:
        """A cell for each token of the text."""
        own: dict[str, Any] = {"guard": self._in_use, "folded": True, "named": False, "numbered": False}
        return Block(name, n_rows, formula=formula, twin=twin, style=style, **own | looks)

    def _in_use(self, source: str, t: int) -> str:
        return guarded(source, t, self.page["active"].row)


def lengths(names: Sequence[str], state: State) -> Floats:
    """Of each token's column in several tensors.  [n, T]"""
    return np.stack([np.sqrt((state.trace[name] ** 2).sum(axis=0)) for name in names])


def mixes(it: Followed, state: State) -> Floats:
    """How long each head's mix of values is, block below block.  [n_layer * n_head, T]"""
    config = it.config
    found = [state.trace[f"h{i}.attn.z"].reshape(config.n_head, config.head_size, -1) for i in it.blocks]
    return np.concatenate([np.sqrt((z**2).sum(axis=1)) for z in found])


def shares(it: Followed, state: State) -> Floats:
    """Of each head's mix in its block's longest, at the position; 1 where all are 0.  [n_head, n_layer]"""
    own = mixes(it, state)[:, it.ask.position_now(state)].reshape(it.config.n_layer, -1).T
    most = own.max(axis=0)
    found: Floats = np.where(most > 0, own / np.where(most > 0, most, 1), 1)
    return found


def strongest_now(it: Followed, state: State) -> list[int]:
    """Each block's strongest head: the first whose share is 1."""
    return [int(np.argmax(np.round(share, DIGITS) == 1)) for share in shares(it, state).T]


def workings(it: Followed) -> list[Part]:
    """Folded: the drawing above takes its numbers from here."""
    layout, config = it.layout, it.config

    def length(area: Area) -> str:
        """sqrt(sum of squares), down one token's column"""
        return f"SQRT(SUMPRODUCT({area.down(0, '')},{area.down(0, '')}))"

    def written(i: int, t: int) -> str:
        return length(layout[it.written[i]])

    def stream(i: int, t: int) -> str:
        return length(layout[it.stream[i]])

    def mix(row: int, t: int) -> str:
        """Head j's rows of z."""
        block, j = divmod(row, config.n_head)
        return length(layout[f"h{block}.attn.z"].rows_of(j * config.head_size, config.head_size))

    def of_home(name: str) -> Any:
        return lambda i, t: layout[name].at(0, 0, "")

    def likeliest(i: int, t: int) -> str:
        """The lowest id that has the largest logit, where Output has logits."""
        wanted, most, logits = (layout[name] for name in ("logits_wanted", "logits_max", "logits"))
        return f'IF({wanted.at(0, 0, "")},MATCH({most.at(0, 0, "")},{logits.down(0, "")},0)-1,"")'

    def head(row: int) -> str:
        block, j = divmod(row, config.n_head)
        return f"block {block}, head {j}: attn.z"

    words = "The length of what each part writes, of the stream after each block and of each head's mix."
    flags: dict[str, Any] = {"style": "flag", "idle": 0, "guard": unguarded}
    return [
        Bar("Workings", words),
        Beside(
            Block("offered", n_columns=2, column=FIRST_TOKEN - 2, twin=lambda s: [PROMPT, LAST], style="id", **_plain),
            Block("positions", label="position", twin=lambda s: np.arange(it.width), style="id", **_quiet),
        ),
        it.line("active", 1, of_home("active"), lambda s: np.ones(s.prompt.n), label="active", **flags),
        it.line("written", len(it.written), written, partial(lengths, it.written), label=lambda i: it.written[i]),
        it.line("stream", len(it.stream), stream, partial(lengths, it.stream), label=lambda i: it.stream[i]),
        it.line("mixes", config.n_layer * config.n_head, mix, partial(mixes, it), label=head),
        it.line("likeliest", 1, likeliest, likeliest_now, "id", label="likeliest next token: id"),
        *strongest(it),
    ]


_quiet: dict[str, Any] = {"folded": True, "named": False}
_plain: dict[str, Any] = {"label": None, **_quiet}


def strongest(it: Followed) -> list[Part]:
    """A block a column: each head's mix at the position, its share of the longest."""
    page, config = it.page, it.config

    def mix(j: int, block: int) -> str:
        return it.there(page["mixes"].line(block * config.n_head + j))

    def mixes_now(state: State) -> Floats:
        return mixes(it, state)[:, it.ask.position_now(state)].reshape(config.n_layer, -1).T

    def share(j: int, block: int) -> str:
        """mix / the block's longest, to nine digits"""
        own, most = page["mix"].line(j).stripe(block).local, f"MAX({page['mix'].stripe(block).local})"
        return f"IF({most}>0,ROUND({own}/{most},{DIGITS}),1)"

    def doubt(state: State) -> Floats:
        return rounding_doubt(shares(it, state), DIGITS)

    sizes: dict[str, Any] = {"n_columns": config.n_layer, "fills": False, "style": "share", "numbered": False, **_quiet}
    return [
        Block("mix", config.n_head, formula=mix, twin=mixes_now, label=lambda j: f"head {j}: |z|", **sizes),
        Block(
            "shares",
            config.n_head,
            formula=share,
            twin=lambda state: np.round(shares(it, state), DIGITS),
            doubt=doubt,
            label=lambda j: f"head {j}: share of the longest",
            **sizes,
        ),
    ]


def likeliest_now(state: State) -> Floats:
    known = [scored(state, t) for t in range(state.prompt.n)]
    found: Floats = np.where(known, state.trace["logits"][:, : state.prompt.n].argmax(axis=0), np.nan)
    return found
