"""The words that the sheet Embedding is asked about: which tokens they are, and what their rows of wte are.

The mathematics and the twin: `inspection/embedding.py`. A word is looked up among the tokens as they are shown, with a
space before it and as it is typed: beside each token stands which spelling it is, told by EXACT, as MATCH and = ignore
case.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from sheetgpt.gpt2.checkpoints import quantize
from sheetgpt.inspection import embedding
from sheetgpt.inspection.embedding import Array, Map
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Formula, Part, Values
from sheetgpt.sheets.grid import FIRST_TOKEN
from sheetgpt.sheets.inside.question import NO_TOKEN, Ask, Question, is_whole
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.embed import looked_up
from sheetgpt.sheets.page import Bar, Beside, Page, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.choosers import whole_now
from sheetgpt.sheets.tensor import Value

EMBEDDING, ABOUT = "Embedding", "which tokens are alike: nearest tokens, analogies, and a map"
WORDS = {  # the yellow cells: title and hint
    "word": ("Word", "a word or a token's id: its nearest tokens"),
    "a": ("a", "the analogy: a"),
    "b": ("b", "minus b"),
    "c": ("c", "plus c"),
}
SEVERAL = "No token of this model is this word alone: it is read in several tokens. Type another word, or an id."
MAP_COLUMNS = 12
FIRST = 3  # the first column of the workings; on their left label and number


@dataclass(frozen=True)
class Found:
    """What the four words come to, and what is made of them."""

    state: State

    @cached_property
    def table(self) -> Array:
        names = [name for name in ("wte", quantize.scale_name("wte")) if name in self.state.params]
        params = quantize.evaluated({name: self.state.params[name] for name in names})
        return np.asarray(params["wte"], np.float64)

    @property
    def typed(self) -> list[Value]:
        return [self.state.chosen[f"embedding_{name}"] for name in WORDS]

    @cached_property
    def spellings(self) -> list[str]:
        """Of each word after a space and as it is typed; of a number and of nothing, nothing.  [8]"""
        texts = (typed if isinstance(typed, str) else "" for typed in self.typed)
        return [spelling for text in texts for spelling in (embedding.spellings(text) if text else ("", ""))]

    @cached_property
    def ids(self) -> list[int | None]:
        """The token that each word is."""
        shown = self.state.shown
        return [
            embedding.token_of(typed, shown) if isinstance(typed, str) else _id_of(typed, len(shown))
            for typed in self.typed
        ]

    @cached_property
    def vectors(self) -> Array:
        """The words' rows and a - b + c, NaN where there is no token.  [n_embd, 5]"""
        missing = np.full(self.table.shape[1], np.nan)
        found = [missing if id is None else self.table[id] for id in self.ids]
        return np.stack([*found, found[1] - found[2] + found[3]], axis=1)

    @cached_property
    def map(self) -> Map:
        ids = embedding.common(self.state.hexes)
        if self.state.axes is not None:
            centre, *axes = self.state.axes.T
            return Map(ids, centre, np.array(axes))
        return embedding.map_of(self.table[ids], ids)

    @cached_property
    def cosines(self) -> list[Array]:
        """Of every token, with the word and with the sum; NaN for those that are left out.  [2][n_vocab]"""
        return [self._cosines(0, self.ids[:1]), self._cosines(len(WORDS), self.ids[1:])]

    def _cosines(self, vector: int, without: Sequence[int | None]) -> Array:
        known = [id for id in without if id is not None]
        if len(known) < len(without):
            return np.full(len(self.table), np.nan)
        found = embedding.cosines(self.table, self.vectors[:, vector])
        found[known] = np.nan
        return found


def _id_of(typed: float, n_vocab: int) -> int | None:
    """An id that is typed as a number; None for what is none."""
    found = whole_now(typed, n_vocab - 1, -1)
    return None if found < 0 else found


class Alike:
    """The page. `common`: the ids of the tokens on the map."""

    def __init__(self, layout: Layout, common: Sequence[int]) -> None:
        self.layout, self.n_vocab, self.n_embd = layout, layout.config.n_vocab, layout.config.n_embd
        self.common = common
        last = FIRST_TOKEN + max(MAP_COLUMNS, layout.context) - 1
        self.page = Page(EMBEDDING, ABOUT, layout.context, prefix="embedding_", bar_end=last, last_column=last)
        self.ask = Question(self.page, layout)

    def block(
        self, name: str, at: int, formula: Formula | None, find: Callable[[Found], Values], style: str, **looks: Any
    ) -> Block:
        """From column `at` on, without a label; `find`: its twin."""
        usual: dict[str, Any] = {"n_columns": 1, "label": None, "numbered": False, "fills": False, "named": False}

        def twin(state: State) -> Values:
            return find(state.ask(Found))

        return Block(name, column=at, formula=formula, twin=twin, style=style, **usual | looks)

    def column(self, v: int) -> Area:
        """The token's column on the sheet wte."""
        bands = self.layout.tensor("wte").areas
        width = bands[0].n_columns
        return bands[v // width].stripe(v % width)

    @property
    def scales(self) -> Area:
        """Of whole numbers, what each token's are multiplied by."""
        return self.layout.tensor(self.layout.tensor("wte").scales).area

    def scale(self, v: int) -> str:
        return f"*{self.scales.line(v).reference}" if self.layout.scaled else ""

    @property
    def has_sum(self) -> str:
        """Whether a, b and c are tokens."""
        a, *_, c = (self.ask.used(name) for name in ("a", "b", "c"))
        return f"COUNT({a}:{c})=3"

    def which(self, text: str, least: int = 0) -> str:
        """The number of the first spelling that the text is, or `least`; only those before `least` are asked."""
        spellings = [self.page[f"spelling {k}"].line(i).local for i in range(len(WORDS)) for k in (0, 1)]
        found = str(least)
        for number, spelling in reversed([*enumerate(spellings[: least - 1] if least else spellings, 1)]):
            found = f"IF(EXACT({text},{spelling}),{number},{found})"
        return found


def words(it: Alike) -> list[Ask]:
    """The four yellow cells."""
    return [word(it, i, name, *said) for i, (name, said) in enumerate(WORDS.items())]


def word(it: Alike, i: int, name: str, title: str, hint: str) -> Ask:
    """A token of the vocabulary, as a word or by its id."""
    last = it.n_vocab - 1

    def formula() -> str:
        typed = it.ask.typed(name)
        with_space, as_typed = (it.page[f"place {k}"].line(i).local for k in (0, 1))
        spelled = f'IF({with_space}>0,{with_space}-1,IF({as_typed}>0,{as_typed}-1,""))'
        return f'IF(ISNUMBER({typed}),IF({is_whole(typed, str(last))},INT({typed}),""),{spelled})'

    def now(state: State) -> int | None:
        return state.ask(Found).ids[i]

    def refusal() -> str:
        typed = it.ask.typed(name)
        none = f'IF(ISNUMBER({typed}),"{NO_TOKEN}{last}.","{SEVERAL}")'
        return f'IF({typed}="","",IF(ISNUMBER({it.ask.used(name)}),"",{none}))'

    def refused(state: State) -> str:
        typed = it.ask.value(state, name)
        none = SEVERAL if isinstance(typed, str) else f"{NO_TOKEN}{last}."
        return "" if typed == "" or now(state) is not None else none

    ask = it.ask.token(name, title, hint, lambda: "", now)
    return replace(ask, formula=formula, refusal_formula=refusal, refusal=refused)


def spelled(it: Alike) -> list[Part]:
    """The eight spellings; which of them each is, as two may be the same; and where its first token stands."""
    page = it.page

    def spelling(k: int, i: int, j: int) -> str:
        """After a space (0), and as it is typed (1)."""
        typed, as_typed = it.ask.typed([*WORDS][i]), page["spelling 1"].line(i).local
        if k == 0:
            return f'IF({as_typed}="","","{embedding.SPACE}"&{as_typed})'
        return f'IF(ISNUMBER({typed}),"",SUBSTITUTE({typed}&""," ","{embedding.SPACE}"))'

    def number(k: int, i: int, j: int) -> str:
        return it.which(page[f"spelling {k}"].line(i).local, 2 * i + k + 1)

    def number_now(k: int, found: Found) -> list[int]:
        return [found.spellings.index(spelling) + 1 for spelling in found.spellings[k::2]]

    def place(k: int, i: int, j: int) -> str:
        own, number = (page[f"{name} {k}"].line(i).local for name in ("spelling", "number"))
        return f'IF({own}="",0,IFERROR(MATCH({number},{page["spelled"].local},0),0))'

    def place_now(k: int, found: Found) -> list[int]:
        shown = found.state.shown
        return [shown.index(own) + 1 if own and own in shown else 0 for own in found.spellings[k::2]]

    def three(k: int) -> list[Block]:
        at = FIRST + 3 * k
        label: dict[str, Any] = {"label": [*WORDS].__getitem__} if k == 0 else {}
        return [
            each(f"spelling {k}", at, partial(spelling, k), lambda found: found.spellings[k::2], "id", **label),
            each(f"number {k}", at + 1, partial(number, k), partial(number_now, k), "id"),
            each(f"place {k}", at + 2, partial(place, k), partial(place_now, k), "id"),
        ]

    each = partial(it.block, n_rows=len(WORDS))
    said = "As tokens are shown: after a space, else as typed; its number; its place among every token, 0 for none."
    heads = ("after a space", "number", "place", "as typed", "number", "place")
    return [
        Bar("Workings: the words", said, link="workings"),
        Texts(dict(enumerate(heads, FIRST))),
        Beside(*three(0), *three(1)),
    ]


def directions(it: Alike) -> list[Part]:
    """The rows of wte, their lengths, and the constants of the map."""
    page, n = it.page, len(WORDS) + 1
    centre = FIRST + n  # its column, and then those of the two axes

    def feature(f: int, k: int) -> str:
        """Of word k, wte[id][f]; after the four words a - b + c."""
        if k == len(WORDS):
            a, b, c = (page["vectors"].line(f).stripe(i).local for i in (1, 2, 3))
            return f'IF({it.has_sum},{a}-{b}+{c},"")'
        id = it.ask.used([*WORDS][k])
        scale = f"*INDEX({it.scales.reference},{id}+1)" if it.layout.scaled else ""
        return f'IF(ISNUMBER({id}),{looked_up(it.layout.tensor("wte").areas, f, id)}{scale},"")'

    def size(i: int, k: int) -> str:
        """|w|"""
        column = page["vectors"].stripe(k)
        return f'IF(ISNUMBER({column.line(0).local}),SQRT(SUMPRODUCT({column.local},{column.local})),"")'

    def sizes_now(found: Found) -> Array:
        return np.array([np.sqrt(found.vectors[:, k] @ found.vectors[:, k]) for k in range(n)])

    def offset(i: int, axis: int) -> str:
        """How far the map's centre lies along an axis."""
        return f"SUMPRODUCT({page['axes'].stripe(0).local},{page['axes'].stripe(1 + axis).local})"

    def offsets_now(found: Found) -> Array:
        return np.array([found.map.centre @ axis for axis in found.map.axes])

    def axes_now(found: Found) -> Array:
        return np.stack([found.map.centre, *found.map.axes], axis=1)

    said = "The words' rows of wte, and a − b + c; then the map's centre and its two directions, found at build time."
    heads = (*WORDS, "a − b + c", "centre", "across", "up")
    label: dict[str, Any] = {"label": "length; place of the centre", "n_columns": n}
    rows: dict[str, Any] = {"n_rows": it.n_embd, "named": True}
    features: dict[str, Any] = {"label": "feature", "numbered": True, "n_columns": n}
    return [
        Bar("Workings: directions", said),
        Texts(dict(enumerate(heads, FIRST))),
        Beside(
            it.block("sizes", FIRST, size, sizes_now, "number", **label),
            it.block("offsets", centre + 1, offset, offsets_now, "number", n_columns=2),
        ),
        Beside(
            it.block("vectors", FIRST, feature, lambda found: found.vectors, "number", **rows, **features),
            it.block("axes", centre, None, axes_now, "weight", **rows, n_columns=3),
        ),
    ]
