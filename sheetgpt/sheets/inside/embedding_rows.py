"""The rows of the sheet Embedding that show something: the text on the map, the words, and the tables.

The mathematics and the twin: `inspection/embedding.py`. A word is looked up among the tokens as they are shown, with a
space before it and as it is typed: beside each token stands which spelling it is, told by EXACT, as MATCH and = ignore
case.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sheetgpt.gpt2 import quantize
from sheetgpt.inspection import embedding
from sheetgpt.inspection.embedding import Array, Map
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import Cells, Row
from sheetgpt.sheets.formulas import rank_id, text_at
from sheetgpt.sheets.grid import FIRST_TOKEN, INDEX
from sheetgpt.sheets.inside.asked import NO_TOKEN, Line, is_whole, token_now, used
from sheetgpt.sheets.inside.embedding_layout import (
    ACROSS,
    ASKED,
    EMBEDDING,
    MAP_ROWS,
    NAME,
    NEAR,
    NEAR_SUM,
    UP,
    WORDS,
    EmbeddingLayout,
)
from sheetgpt.sheets.network.embed import looked_up
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.state import State

TALL = 15  # points: of a row beside the map
SEVERAL = "No token of this model is this word alone: it is read in several tokens. Type another word, or an id."
HINTS = ("a word or a token's id: its nearest tokens", "the analogy: a", "minus b", "plus c")


@dataclass(frozen=True)
class Asked:
    """The four words, and the twin's numbers for them."""

    state: State
    here: EmbeddingLayout

    @cached_property
    def table(self) -> Array:
        names = [name for name in ("wte", quantize.scale_name("wte")) if name in self.state.params]
        params = quantize.evaluated({name: self.state.params[name] for name in names})
        return np.asarray(params["wte"], np.float64)

    @cached_property
    def spellings(self) -> list[str]:
        """Of the four words, as `EmbeddingLayout.spellings`; of a number and of nothing, nothing."""
        texts = (typed if isinstance(typed, str) else "" for typed in self.typed)
        return [spelling for text in texts for spelling in (embedding.spellings(text) if text else ("", ""))]

    @property
    def typed(self) -> list[float | str]:
        return [self.state.chosen[f"embedding_{name}"] for name in WORDS]

    @cached_property
    def ids(self) -> list[int | None]:
        """What each comes to."""
        shown = self.state.shown
        return [
            embedding.token_of(typed, shown) if isinstance(typed, str) else token_now(typed, len(shown))
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

    def near(self, which: int) -> Array:
        """Cosines of every token, with the word (0) or the sum (1); NaN for those that are left out."""
        without = self.ids[:1] if which == 0 else self.ids[1:]
        if None in without:
            return np.full(len(self.table), np.nan)
        found = embedding.cosines(self.table, self.vectors[:, 0 if which == 0 else 4])
        found[[id for id in without if id is not None]] = np.nan
        return found

    def ranked(self, which: int, n: int) -> list[int]:
        found = self.near(which)
        order = np.argsort(np.where(np.isnan(found), np.inf, -found), kind="stable")
        return [int(id) for id in order[:n] if not np.isnan(found[id])]

    # Formulas

    def column(self, v: int) -> Area:
        """The token's column on the sheet wte."""
        bands = self.state.layout.tensor("wte").areas
        width = bands[0].n_columns
        return bands[v // width].stripe(v % width)

    def scale(self, v: int) -> str:
        """What its whole numbers are multiplied by."""
        layout = self.state.layout
        return f"*{layout.tensor(layout.tensor('wte').scales).area.line(v).reference}" if layout.scaled else ""

    def id_formula(self, i: int) -> str:
        typed, n = self.here.word(i).local, self.state.layout.config.n_vocab
        with_space, as_typed = (self.here.spelled.line(i).stripe(c).local for c in (2, 5))
        spelled = f'IF({with_space}>0,{with_space}-1,IF({as_typed}>0,{as_typed}-1,""))'
        number = f'IF({is_whole(typed, str(n - 1))},INT({typed}),"")'
        return f"IF(ISNUMBER({typed}),{number},{spelled})"

    def feature(self, i: int, f: int) -> str:
        """Of word i, or of the sum."""
        if i == len(WORDS):
            a, b, c = (self.here.features.line(f).stripe(k).local for k in (1, 2, 3))
            return f'IF({self.has_sum},{a}-{b}+{c},"")'
        id = used(self.here.word(i))
        source = looked_up(self.state.layout.tensor("wte").areas, f, id)
        if self.state.layout.scaled:
            scales = self.state.layout.tensor(self.state.layout.tensor("wte").scales).area
            source += f"*INDEX({scales.reference},{id}+1)"
        return f'IF(ISNUMBER({id}),{source},"")'

    def which(self, text: str, least: int = 0) -> str:
        """The number of the first spelling that the text is, or `least`; only those before `least` are asked."""
        spellings = self.here.spellings[: least - 1] if least else self.here.spellings
        found = str(least)
        for number, spelling in reversed([*enumerate(spellings, 1)]):
            found = f"IF(EXACT({text},{spelling.local}),{number},{found})"
        return found

    @property
    def three(self) -> Area:
        """The ids of a, b and c."""
        return Area(EMBEDDING, ASKED + 1, 4, 3)

    @property
    def has_sum(self) -> str:
        return f"COUNT({self.three.local})=3"

    def cosine(self, which: int, v: int) -> str:
        """With the word's row, or with the sum's."""
        here, row = self.here, self.here.every.row + v
        k = 0 if which == 0 else len(WORDS)
        size = f"($C${row}*{here.sizes.stripe(k).local})"
        dot = f"SUMPRODUCT({self.column(v).reference},{here.features.stripe(k).local}){self.scale(v)}"
        own = f"$B${row}"
        ids = [used(here.word(i)) for i in ((0,) if which == 0 else (1, 2, 3))]
        left_out = f"{own}={ids[0]}" if which == 0 else f"OR({','.join(f'{own}={id}' for id in ids)})"
        given = f"ISNUMBER({ids[0]})" if which == 0 else self.has_sum
        return f'IF({given},IF({left_out},"",IF({size}>0,{dot}/{size},0)),"")'

    def place(self, source: str, axis: int, scale: str = "") -> str:
        """Of a column of numbers, along an axis of the map."""
        own, offset = self.here.axes.stripe(1 + axis).local, self.here.sizes.stripe(6 + axis).local
        return f"SUMPRODUCT({source},{own}){scale}-{offset}"


def lines(it: Asked) -> list[Line]:
    """The four yellow cells."""
    n = it.state.layout.config.n_vocab
    strings = it.state.layout["vocab_shown"].reference
    found = []
    for i, name in enumerate(WORDS):
        cell, typed, id = it.here.word(i), it.typed[i], it.ids[i]
        number = f'IF(ISNUMBER({cell.local}),"{NO_TOKEN}{n - 1}.","{SEVERAL}")'
        refusal = f'IF({cell.local}="","",IF(ISNUMBER({used(cell)}),"",{number}))'
        now = "" if typed == "" or id is not None else SEVERAL if isinstance(typed, str) else f"{NO_TOKEN}{n - 1}."
        shown = f'IF(ISNUMBER({used(cell)}),{text_at(strings, f"{used(cell)}+1")},"")'
        found.append(
            Line(
                *(cell, name.capitalize() if i == 0 else name, typed, it.id_formula(i), "" if id is None else id),
                *(shown, "" if id is None else it.state.shown[id], HINTS[i], (refusal, now)),
            )
        )
    return found


def strip_rows(it: Asked, palette: Palette) -> Iterator[Row]:
    """Where the text's tokens are on the map; in columns that are not active the first token again, for the chart."""
    layout, prompt = it.state.layout, it.state.prompt
    home, tok = layout, layout["embed_tok"]
    active, first = home["active"].at(0, 0, ""), home["active"].stripe(0).reference
    places = it.map.places(it.table[list(prompt.ids)])
    places = np.concatenate([places, np.repeat(places[:1], layout.context - prompt.n, axis=0)])
    for axis, (n, title) in enumerate(((ACROSS, "on the map: across"), (UP, "up"))):
        own, other = (it.place(source, axis) for source in (tok.down(0, ""), tok.stripe(0).reference))
        cells = rows.fill_right(
            FIRST_TOKEN, f'IF({active},{own},IF({first},{other},""))', places[:, axis], palette["share"]
        )
        yield rows.row(n, rows.text(1, title, palette["label"]), cells, folded=True)
    texts = home["token_text"]
    source = f'IF({active},{texts.at(0, 0, "")},{texts.stripe(0).reference}&"")'
    shown = [*prompt.shown, *[prompt.shown[0]] * (layout.context - prompt.n)]
    cells = rows.fill_right(FIRST_TOKEN, source, shown, palette["id"])
    yield rows.row(NAME, rows.text(1, "named", palette["label"]), cells, folded=True)


def table_rows(it: Asked, palette: Palette) -> Iterator[Row]:
    """The nearest tokens, and below them the analogy's; the map stands on their right."""
    here, shown = it.here, it.state.shown
    end = here.map_row + MAP_ROWS - 1
    word = f'"Nearest to “"&$E${ASKED}&"”"'
    three = [f"$E${ASKED + i}" for i in (1, 2, 3)]
    names = ["" if id is None else shown[id] for id in it.ids]
    written: dict[int, Cells] = {
        here.nearest.row - 2: rows.formula(1, word, f"Nearest to “{names[0]}”", palette["section"]),
        here.analogy.row - 2: rows.formula(
            *(1, f'{three[0]}&" − "&{three[1]}&" + "&{three[2]}', f"{names[1]} − {names[2]} + {names[3]}"),
            palette["section"],
        ),
    }
    for n in written:
        written[n] += rows.joined(rows.blank(c, palette["maths"]) for c in range(2, FIRST_TOKEN))
    words = "A map of the commonest tokens (grey) and the text's own (orange): along the two main directions."
    filler = rows.joined(rows.blank(c, palette["maths"]) for c in range(FIRST_TOKEN + 1, here.last_column + 1))
    written[here.nearest.row - 2] += rows.text(FIRST_TOKEN, words, palette["maths"]) + filler
    heads = ((1, "token"), (2, "rank"), (3, "cosine"), (4, "id"))
    for area, which in ((here.nearest, 0), (here.analogy, 1)):
        written[area.row - 1] = rows.joined(rows.text(c, head, palette["header"]) for c, head in heads)
        best = it.ranked(which, area.n_rows)
        for r in range(area.n_rows):
            written[area.row + r] = _rank(it, palette, area, which, best, r)
    for n in range(here.nearest.row - 2, end + 1):
        yield rows.row(n, written.get(n, ()), height=TALL)


def _rank(it: Asked, palette: Palette, area: Area, which: int, best: list[int], r: int) -> Cells:
    every = it.here.every.stripe(NEAR - 3 if which == 0 else NEAR_SUM - 3)
    numbers = Area(EMBEDDING, every.row, INDEX, every.n_rows).local
    value, id = (area.line(r).stripe(c).local for c in (0, 1))
    above = tuple(area.line(r - 1).stripe(c).local for c in (0, 1)) if r else None
    place = rank_id(value, every.local, numbers, every.n_rows, above)  # type: ignore[arg-type]
    strings = it.state.layout["vocab_shown"].reference
    known, found = r < len(best), it.near(which)
    return (
        *rows.formula(
            *(1, f'IF(ISNUMBER({id}),{text_at(strings, f"{id}+1")},"")', it.state.shown[best[r]] if known else ""),
            palette["token"],
        ),
        *rows.number(2, r + 1, palette["index"]),
        *rows.formula(
            *(3, f'IF(COUNT({every.local})>{r},LARGE({every.local},{r + 1}),"")'),
            *(float(found[best[r]]) if known else "", palette["share"]),
        ),
        *rows.formula(4, f'IF(ISNUMBER({value}),{place},"")', best[r] if known else "", palette["id"]),
    )
