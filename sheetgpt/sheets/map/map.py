"""The sheet Map: one drawing of the whole network, live, whose boxes lead to their rows.

The text runs down the left, and the token that is followed goes from left to right: through its embedding, along the
residual stream past each block, to the logits and the choice. `drawing.py` has the boxes, `sizes.py` what they show.
"""

from collections.abc import Mapping
from functools import partial

from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import letters
from sheetgpt.sheets.block import Part, cell
from sheetgpt.sheets.grid import EMBED, FIRST_TOKEN, HOME, INDEX, LABEL, OUTPUT, SAMPLE, TOKENIZER
from sheetgpt.sheets.home.after import PROMPT
from sheetgpt.sheets.home.prompt import NOTE
from sheetgpt.sheets.inside.question import SHOWN, TYPED, USED
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.map import drawing
from sheetgpt.sheets.map.drawing import POS, SUM, TOK, n_numbers, n_tokens
from sheetgpt.sheets.map.looks import dress
from sheetgpt.sheets.map.sizes import MAP, Followed, workings
from sheetgpt.sheets.page import AT_TOP, Beside, Page, Paper, Space, Stack, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.tensor import Kind, Value

HINT = "The whole network, live. Every box is a link to its rows (LibreOffice: Ctrl+click its words)."


def starts(layout: Layout) -> Mapping[str, Value]:
    return {"map_position": PROMPT}


def n_formulas(layout: Layout) -> int:
    it = Followed(layout)
    heads, n_layer = layout.config.n_layer * layout.config.n_head, layout.config.n_layer
    drawn = n_tokens(it) * (2 + n_layer) + 4 * n_numbers(it) + 4 * drawing.CANDIDATES + 5 * n_layer
    return layout.context * (len(it.written) + len(it.stream) + heads + 2) + 2 * heads + drawn


def page(layout: Layout) -> Page:
    it = Followed(layout)
    here = it.page
    here.head(HINT, FIRST_TOKEN, height=AT_TOP)
    here.add(asked(it), Space(1, 6))
    boxes(it)
    here.add(
        Beside(
            *drawing.text(it),
            *drawing.vectors(it, TOK, ("embed_tok", "embed_pos", "embed")),
            drawing.looks_at(it),
            *drawing.vectors(it, it.after, ("ln_f",)),
            Stack(drawing.candidates(it), Space(1), drawing.draw(it)),
        )
    )
    river(it)
    here.add(Space(1, 6), *legend(it))
    here.paper = Paper(one=True, last_row=here.row - 1, last_column=here.bar_end)
    here.add(*workings(it), *drawing.chooses(it))
    first = here["positions"]
    here.positions = Area(MAP, first.row, FIRST_TOKEN, here["likeliest"].row - first.row + 1, layout.context)
    here.dresses.append(partial(dress, it))
    return here


def asked(it: Followed) -> Part:
    """The yellow cell, what it comes to, and what the drawing says in a sentence."""
    ask = it.ask.position()

    def typed(state: State) -> Value:
        return it.ask.value(state, "position")

    return Beside(
        Texts({LABEL: "Follow position"}, "name", height=18),
        cell(TYPED, None, typed, "input", "position", kind=Kind.INPUT),
        cell(USED, ask.formula, ask.now, "id"),
        cell(SHOWN, ask.shown_formula, ask.shown, "token"),
        cell(FIRST_TOKEN, partial(said, it), partial(said_now, it), "quote", "said", kind=Kind.TEXTS),
    )


def said(it: Followed) -> str:
    """What is wrong with what is typed, or with the text; else what the network makes of the token."""
    home, page = it.layout, it.page
    token, place, first = it.ask.shown("position").local, it.position, page["candidates"].line(0).local
    refused = it.ask.position().refusal_formula()
    next_one, best = page["next"].local, f'IF({first}="","","{LIKELIEST}"&{first}&"”")'
    given = f'IF({next_one}="","{ENDED}","{GOES_ON}"&{next_one}&"”")'
    after = f'IF({page["choosing"].local}=1,"{CHOSEN}"&{next_one}&"”",{given})'
    story = f'"{AFTER}"&{token}&"{AT}"&{place}&{best}&{after}&"."'
    return f'IF({it.ask.ready},IF({refused}="",{story},"{NOTE}"&{refused}),{home["message"].reference})'


AFTER, AT, ENDED = "“", "” at position ", ": the text ends here"
LIKELIEST, CHOSEN, GOES_ON = ": the likeliest next token is “", "; drawn is “", "; in the text follows “"


def said_now(it: Followed, state: State) -> str:
    refused, at = str(it.ask.position().refusal(state)), it.ask.position_now(state)
    if refused:
        return NOTE + refused
    found, best = drawing.choice_now(it, state), drawing.best_now(it, state)
    ids = found.ids if found else () if best == "" else (int(best),)
    likeliest = f"{LIKELIEST}{state.shown[ids[0]]}”" if ids else ""
    if found:
        after = f"{CHOSEN}{state.shown[found.id]}”"
    else:
        after = f"{GOES_ON}{state.prompt.shown[at + 1]}”" if at + 1 < state.prompt.n else ENDED
    return f"{AFTER}{state.prompt.shown[at]}{AT}{at}{likeliest}{after}."


def top(sheet: str) -> str:
    return f"{quoted(sheet)}!A1"


def boxes(it: Followed) -> None:
    """The names of the boxes, and of what stands in them: each a link to its rows."""
    here, layout = it.page, it.layout
    blocks = {FIRST_TOKEN + i: layout.block_sheet(i) for i in it.blocks}
    right = range(it.after, it.after + 5)
    short = {c: title if c == FIRST_TOKEN or not it.crowded else str(c - FIRST_TOKEN) for c, title in blocks.items()}
    titles = {LABEL: "The text", INDEX: "", TOK: "Embedding", POS: "", SUM: "", **short}
    titles |= dict(zip(right, ("Output", "The choice", "", "", ""), strict=True))
    tokens = TOKENIZER if layout.reads_text else HOME
    places = {LABEL: top(tokens), TOK: top(EMBED), it.after: top(OUTPUT), it.after + 1: top(SAMPLE)}
    places |= {column: top(title) for column, title in blocks.items()}
    link(it, places)
    for first, last in ((LABEL, INDEX), (TOK, SUM), (it.after + 1, it.after + 4)):
        merge(it, first, last)
    here.add(Texts(titles, "map box", height=18))
    names = {LABEL: "", INDEX: "token", TOK: "token", POS: "position", SUM: "sum", it.after: "ln_f"}
    names |= dict(zip(right[1:], ("token", "logit", "probability", ""), strict=True))
    link(it, {INDEX: top(HOME), TOK: rows(it, "embed_tok"), POS: rows(it, "embed_pos"), SUM: rows(it, "embed")})
    link(it, {FIRST_TOKEN + i: rows(it, f"h{i}.attn.probs.0") for i in it.blocks})
    more = {"ln_f": it.after, "sample_tokens": it.after + 1, "logits": it.after + 2, "sample_probs": it.after + 3}
    link(it, {column: rows(it, name) for name, column in more.items()})
    here.add(Beside(Texts(names, "map head"), drawing.strongest_head(it)))


def rows(it: Followed, tensor: str) -> str:
    """The bar above a tensor's rows."""
    area = it.layout[tensor]
    return f"{quoted(area.sheet)}!A{area.row - 1}"


def link(it: Followed, places: Mapping[int, str]) -> None:
    """Links for cells of the row that comes next."""
    it.page.links += [(f"{letters(column)}{it.page.row}", place) for column, place in places.items()]


def merge(it: Followed, first: int, last: int) -> None:
    """Makes one cell of several in the row that comes next."""
    cells = Area(MAP, it.page.row, first, 1, last - first + 1).cells
    it.page.dresses.append(lambda frame: frame.merged_cells.add(cells))


def river(it: Followed) -> None:
    """The residual stream, from the embedding to the output; above it what attention adds, below it the MLP."""
    here, blocks, right = it.page, it.blocks, range(it.after, it.after + 5)
    attention, mlp = drawing.adds(it, "attn"), drawing.adds(it, "mlp")
    link(it, {FIRST_TOKEN + i: rows(it, f"h{i}.attn.out") for i in blocks})
    here.add(Beside(Texts({LABEL: "attention adds"}, "map label"), attention))
    link(it, {FIRST_TOKEN + i: rows(it, f"h{i}.resid_post") for i in blocks} | {SUM: rows(it, "embed")})
    merge(it, LABEL, INDEX)
    banks = {LABEL: "residual stream", INDEX: ""} | dict.fromkeys(right, "") | {it.after: "▸"}
    here.add(Beside(Texts(banks, "map stream", height=20), *drawing.embedded(it), drawing.stream(it)))
    link(it, {FIRST_TOKEN + i: rows(it, f"h{i}.mlp.out") for i in blocks})
    here.add(Beside(Texts({LABEL: "MLP adds"}, "map label"), mlp))


def legend(it: Followed) -> list[Part]:
    width = it.config.n_embd
    lines = (
        "Blocks: the strongest head (whose mix of values is the longest), and how much the token looks at each token.",
        f"Embedding and Output: the first {n_numbers(it)} of the token's {width} numbers, blue below 0, red above it.",
        f"+ and ▸: the length of what a part adds, and of the stream after it: √ of the sum of {width} squares.",
    )
    return [Texts({LABEL: line}, "note") for line in lines]
