"""The network's sheets in a training workbook: the forward pass on the weights of State, and on those of Next.

They are put together from the same parts as in any workbook (`sheets/network`), all blocks on one sheet. A column is a
position of it; columns beyond it are computed like the others and count nothing in the loss.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.model import Array, Trace
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.sheets.block import Block, Guard, Part, unguarded
from sheetgpt.sheets.grid import (
    BIAS,
    FIRST_TOKEN,
    GAIN,
    ID_ROW,
    INDEX,
    LABEL,
    POSITION_ROW,
    TOKEN_ROW,
)
from sheetgpt.sheets.network import block
from sheetgpt.sheets.network.parts import Network, layer_norm
from sheetgpt.sheets.network.token_page import letter
from sheetgpt.sheets.network.weights import VOCABULARY_AXIS
from sheetgpt.sheets.page import AT_TOP, Bar, Beside, Page, Texts
from sheetgpt.sheets.style.looks import signed
from sheetgpt.sheets.tensor import Kind
from sheetgpt.sheets.training.lesson import FORWARD, TRAINING, Lesson, Moment

BLUE, ORANGE = "2F5597", "C55A11"


@dataclass(frozen=True)
class Pass(Network):
    """A pass of the network whose weights stand in bands: `band` begins their names there, `of` is its trace."""

    layout: Lesson
    band: str = ""
    of: Callable[[Moment], Trace] = field(default=lambda moment: moment.trace)

    def weights(self, name: str) -> Area:
        return self.layout[self.band + self.inside + name]

    def traced(self, name: str) -> Callable[[Any], Array]:
        return lambda moment: self.of(moment)[self.inside + name]

    def own(self, name: str, n_rows: int, column: int, axis: str) -> Block:
        """A gain or a bias, which lies in its band, beside the neurons that it belongs to."""

        def twin(moment: Moment) -> Array:
            state = moment.next if self.band else moment.now
            return state.w[self.inside + name]

        return Block(
            f"{self.inside}{name}.own",
            n_rows,
            n_columns=1,
            column=column,
            formula=lambda i, j: self.weights(name).stripe(i).reference,
            twin=twin,
            doubt=None if not self.band else lambda moment: moment.doubts.w[self.inside + name][:, None],
            label=None,
            numbered=False,
            style="weight",
            guard=unguarded,
            named=False,
        )

    def keys(self) -> Block:
        return Block(
            n_rows=self.layout.context,
            n_columns=1,
            column=LABEL,
            formula=lambda k, j: f'"key: "&${letter(k)}${TOKEN_ROW}',
            twin=self.keys_now,
            label=None,
            numbered=False,
            style="label",
            guard=unguarded,
        )

    def keys_now(self, moment: Moment) -> list[str]:
        ids = [int(i) for i in self.of(moment)["token_ids"]] if self.of(moment) else []
        return [f"key: {moment.shown[ids[k]] if k < len(ids) else ''}" for k in range(self.layout.context)]


def token_page(
    layout: Lesson, title: str, words: str, note: str, prefix: str, header: list[Part], guard: Guard, tab: str
) -> Page:
    """A page with a column a position, its `header` below the title: three rows and the labels of the columns."""
    page = Page(title, words, layout.context, prefix=prefix, guard=guard, numbered=True)
    page.bar_end = FIRST_TOKEN + layout.context - 1
    page.links.append(("A2", f"{quoted(TRAINING)}!A1"))
    page.add(
        Texts({LABEL: title, FIRST_TOKEN: note}, styles={LABEL: "title", FIRST_TOKEN: "note"}, height=AT_TOP),
        *header,
    )

    def dress(frame: Worksheet) -> None:
        frame.sheet_properties.tabColor = tab
        frame.freeze_panes = f"{letter(0)}{page.placed[len(header) + 1][0] + 0}"
        for column, width in {LABEL: 24, INDEX: 7, GAIN: 9, BIAS: 9, BIAS + 1: 3}.items():
            frame.column_dimensions[get_column_letter(column)].width = width
        for t in range(layout.context):
            frame.column_dimensions[letter(t)].width = 9.5

    page.dresses.append(dress)
    return page


def line(name: str, formula: Any, twin: Any, style: str, **more: Any) -> Block:
    """One row of a header."""
    own: dict[str, Any] = {"label": None, "numbered": False, "guard": unguarded, "axes": ("token",)} | more
    return Block(name, formula=formula, twin=twin, style=style, **own)


def positions(layout: Lesson) -> Beside:
    back = Texts({LABEL: "← Training", INDEX: "position"}, "label", {LABEL: "link"})
    numbers = line("", None, lambda moment: [float(t) for t in range(layout.context)], "id")
    return Beside(back, numbers)


def word_header(layout: Lesson, page: Callable[[], Page]) -> list[Part]:
    """Position, id, token, and whether the column counts: of what this step reads."""

    def id(i: int, t: int) -> str:
        here = f"{letter(t)}${POSITION_ROW}"
        token = token_of(layout, here)
        return f"IF({here}=0,{layout['end'].reference},{token})" if layout.letters else token

    def shown(i: int, t: int) -> str:
        return f'INDEX({layout["vocabulary"].reference},{letter(t)}${ID_ROW}+1)&""'

    def counts(i: int, t: int) -> str:
        return f"IF({letter(t)}${POSITION_ROW}<{layout['n_targets'].reference},1,0)"

    return [
        positions(layout),
        Beside(
            Texts({INDEX: "token id"}, "label"), line("token_ids", id, lambda m: [float(i) for i in m.wanted.ids], "id")
        ),
        Beside(
            Texts({INDEX: "token"}, "label"),
            line(
                "token_text",
                shown,
                lambda moment: [moment.shown[i] for i in moment.wanted.ids],
                "token",
                kind=Kind.TEXTS,
            ),
        ),
        Beside(
            Texts({LABEL: "tensor", INDEX: "row", GAIN: "gain", BIAS: "bias"}),
            line("counts", counts, lambda m: [float(share > 0) for share in m.wanted.shares], "flag"),
        ),
    ]


def token_of(layout: Lesson, place: str) -> str:
    """The id of the run's token number `place`, from 0 on, of a letter from 1 on; behind the run that of its last."""
    n = layout["n_targets"].reference
    if layout.letters:
        end, word, letters = (layout[name].reference for name in ("end", "word", "letters"))
        return f"IF({place}<={n}-1,FIND(MID({word},{place},1),{letters}),{end})"
    return f"INDEX({layout['word_ids'].reference},{layout['word_number'].reference},MIN({place},{n})+1)"


def forward_page(layout: Lesson) -> Page:
    from_sheet = f"One {layout.example} from the sheet {layout.list_sheet} through the network."
    note = f"{from_sheet} Read down one column, as in any workbook of sheetgpt."
    words, header = f"the {layout.example} through the network", word_header(layout, lambda: page)
    page: Page = token_page(layout, FORWARD, words, note, "", header, unguarded, BLUE)
    page.positions = Area(FORWARD, POSITION_ROW, FIRST_TOKEN, 0, layout.context)
    page.add(*network(Pass(layout, page), lambda t: f"{letter(t)}${ID_ROW}"))
    return page


def network(net: Pass, id: Callable[[int], str]) -> list[Part]:
    """embed, all blocks, ln_f and the logits. `id`: the cell with the token of position t."""
    config, page = net.layout.config, net.page

    def last(i: int) -> Callable[[], Area]:
        return lambda: page["embed" if i == 0 else f"h{i - 1}.resid_post"]

    found = embed(net, id)
    for i in range(config.n_layer):
        inside = Pass(net.layout, page, f"h{i}.", net.band, net.of)
        found += block.parts(inside, last(i))
    found += layer_norm(net, last(config.n_layer), "ln_f", limit=4)
    return [*found, *unembed(net)]


def embed(net: Pass, id: Callable[[int], str]) -> list[Part]:
    """x = wte[id] + wpe[position]  [n_embd, T]"""
    layout, page = net.layout, net.page

    def token(i: int, t: int) -> str:
        return f"INDEX({net.weights('wte').line(i).reference},1,{id(t)}+1)"

    def position(i: int, t: int) -> str:
        return net.weights("wpe").at(i, t, page.title)

    def both(i: int, t: int) -> str:
        return f"{page['embed_tok'].at(i, t)}+{page['embed_pos'].at(i, t)}"

    found: list[Part] = []
    for name, formula, words in (
        ("embed_tok", token, "The token's own embedding: its column of wte.  [n_embd, T]"),
        ("embed_pos", position, "The position's embedding: its column of wpe.  [n_embd, T]"),
        ("embed", both, "Their sum is what the first block reads.  [n_embd, T]"),
    ):
        x = net.tensor(name, layout.config.n_embd, "feature", label=name, formula=formula, colours=[signed(0.5)])
        found += [Bar(name, words, link=name), x]
    return found


def unembed(net: Pass) -> list[Part]:
    """A token's logit is its column of `wte` (or `lm_head`) times ln_f.  [n_vocab, T]"""
    config = net.layout.config

    def logit(v: int, t: int) -> str:
        return f"SUMPRODUCT({net.weights(config.head).stripe(v).reference},{net.area('ln_f').down(t)})"

    def tokens(moment: Moment) -> tuple[str, ...]:
        return moment.shown

    fit = f"How well each token fits as the next one: its column of {config.head} × ln_f.  [n_vocab, T]"
    own: dict[str, Any] = {"twin": net.traced("logits"), "axes": (VOCABULARY_AXIS, "token"), "traced": True}
    return [
        Bar("logits", fit, link="logits"),
        Block("logits", config.n_vocab, labels=tokens, formula=logit, colours=[signed(4)], **own),
    ]
