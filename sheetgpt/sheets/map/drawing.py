"""The drawing of the sheet Map: text, embedding, blocks, logits and choice from left to right, each stacked cells."""

from functools import partial
from typing import Any

from sheetgpt.gpt2.generation import sampling
from sheetgpt.gpt2.generation.sampling import Choice
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Formula, Part, cell
from sheetgpt.sheets.formulas import text_at
from sheetgpt.sheets.grid import FIRST_TOKEN, INDEX, LABEL
from sheetgpt.sheets.inside.contributions.parts import scored
from sheetgpt.sheets.map.sizes import Floats, Followed, lengths, likeliest_now, strongest_now
from sheetgpt.sheets.page import Beside, Stack, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.tensor import Value

ROWS = 12  # of the drawing: tokens of the text, numbers of a vector
FIRST = 3  # of a longer text the first so many tokens are shown, and the last ones; between them how many are not
CANDIDATES = 8
TALL = 15  # points
DOTS = "…"
TOK, POS, SUM = 3, 4, 5  # columns of the embedding


def n_tokens(it: Followed) -> int:
    """Rows for tokens."""
    return min(ROWS, it.width)


def column(name: str, at: int, n_rows: int, formula: Formula | None, twin: Any, style: str, **looks: Any) -> Block:
    own: dict[str, Any] = {"n_columns": 1, "fills": False, "label": None, "numbered": False, "height": TALL}
    return Block(name, n_rows, formula=formula, twin=twin, column=at, style=style, **own | looks)


# The text


def places_now(it: Followed, state: State) -> list[Value]:
    """Which position stands in each row; "" below the text, dots where tokens are left out."""
    n, at = n_tokens(it), it.ask.position_now(state)
    if at < n:
        return [i if i <= at else "" for i in range(n)]
    return [*range(FIRST), DOTS, *range(at + FIRST + 2 - n, at + 1)]


def text(it: Followed) -> list[Part]:
    """The tokens up to the one that is followed."""
    n, page, home = n_tokens(it), it.page, it.layout

    def place(i: int, j: int) -> str:
        short = f'IF({i}<={it.position},{i},"")'
        if n == it.width or i < FIRST:
            return short
        long = f'"{DOTS}"' if i == FIRST else f"{it.position}-{n - 1 - i}"
        return f"IF({it.position}<{n},{short},{long})"

    def token(i: int, j: int) -> str:
        at = page["places"].line(i).local
        shown = f'IF(ISNUMBER({at}),{text_at(home["token_text"].reference, f"1,{at}+1")},"")'
        return f'IF({at}="{DOTS}",{it.position}-{n - 2}&" more",{shown})' if i == FIRST else shown

    def tokens_now(state: State) -> list[str]:
        found, more = state.ask(partial_of(places_now, it)), it.ask.position_now(state) - n + 2
        return [state.prompt.shown[k] if isinstance(k, int) else f"{more} more" if k else "" for k in found]

    return [
        column("places", LABEL, n, place, partial(places_now, it), "id"),
        column("tokens", INDEX, n, token, tokens_now, "map token"),
    ]


def partial_of(find: Any, it: Followed) -> Any:
    return partial(find, it)


# What a token becomes


def vectors(it: Followed, at: int, names: tuple[str, ...]) -> list[Part]:
    """The first numbers of the token's column in each tensor."""

    def number(name: str) -> Formula:
        return lambda i, j: it.there(it.layout[name].line(i))

    def numbers(name: str) -> Any:
        return it.now(lambda state: state.trace[name][: n_numbers(it)])

    return [
        column(f"vector_{name}", at + k, n_numbers(it), number(name), numbers(name), "map number")
        for k, name in enumerate(names)
    ]


def n_numbers(it: Followed) -> int:
    return min(ROWS, it.config.n_embd)


# The blocks


def across(it: Followed, name: str, formula: Formula, twin: Any, style: str, n_rows: int = 1, **looks: Any) -> Block:
    """A block a column."""
    own: dict[str, Any] = {"n_columns": it.config.n_layer, "fills": False, "label": None, "numbered": False}
    return Block(name, n_rows, formula=formula, twin=twin, style=style, **own | looks)


def strongest_head(it: Followed) -> Part:
    """The first head whose mix is the longest."""

    def formula(i: int, block: int) -> str:
        return f"MATCH(1,{it.page['shares'].stripe(block).local},0)-1" if it.config.n_head > 1 else "0"

    style = "map short head" if it.crowded else "map head"
    return across(it, "strongest", formula, partial(strongest_now, it), style, named=True)


def looks_at(it: Followed) -> Part:
    """How much attention the strongest head of each block pays to each token; between dots what is left."""
    n, page, config = n_tokens(it), it.page, it.config

    def share(i: int, block: int) -> str:
        first, last = (it.layout[f"h{block}.attn.probs.{j}"] for j in (0, config.n_head - 1))
        stride = (last.row - first.row) // max(config.n_head - 1, 1)  # rows from one head's pattern to the next one's
        every = Area(first.sheet, first.row, first.column, last.last_row - first.row + 1, it.width)
        at, head = page["places"].line(i).local, page["strongest"].stripe(block).local
        found = f"INDEX({every.reference},{head}*{stride}+{at}+1,{it.position}+1)" if every.n_cells > 1 else "1"
        shown = f'IF(ISNUMBER({at}),{found},"")'
        if i != FIRST or n == it.width:
            return shown
        own = page["looks_at"].stripe(block)
        others = f"SUM({own.rows_of(0, FIRST).local},{own.rows_of(FIRST + 1, n - FIRST - 1).local})"
        return f'IF({at}="{DOTS}",1-{others},{shown})'

    def shares_now(state: State) -> list[list[Value]]:
        at = it.ask.position_now(state)
        heads = strongest_now(it, state)
        each = [state.trace[f"h{i}.attn.probs.{heads[i]}"][: at + 1, at] for i in it.blocks]
        lines: list[list[Value]] = []
        for place in places_now(it, state):
            if place == DOTS:
                lines.append([float(p[FIRST : at + FIRST + 2 - n].sum()) for p in each])
            else:
                lines.append([float(p[place]) if isinstance(place, int) else "" for p in each])
        return lines

    return across(it, "looks_at", share, shares_now, "map share", n, height=TALL)


def adds(it: Followed, part: str) -> Block:
    """How long is what the part of each block writes."""

    def formula(i: int, block: int) -> str:
        return it.there(it.page["written"].line(it.written.index(f"h{block}.{part}.out")))

    def twin(state: State) -> Floats:
        names = [f"h{block}.{part}.out" for block in it.blocks]
        return lengths(names, state)[:, it.ask.position_now(state)]

    return across(it, f"{part}_adds", formula, twin, "map adds", named=True, height=18)


def embedded(it: Followed) -> list[Part]:
    """How long the two parts of the embedding are, and their sum."""

    def length(name: str, style: str, at: int) -> Block:
        line = ("stream", 0) if name == "embed" else ("written", it.written.index(name))

        def formula(i: int, j: int) -> str:
            return it.there(it.page[line[0]].line(line[1]))

        return column(f"length_{name}", at, 1, formula, it.now(partial(lengths, [name])), style, height=None)

    return [
        length("embed_tok", "map length", TOK),
        length("embed_pos", "map length", POS),
        length("embed", "map stream", SUM),
    ]


def stream(it: Followed) -> Part:
    """How long the residual stream is after each block."""

    def formula(i: int, block: int) -> str:
        return it.there(it.page["stream"].line(1 + block))

    def twin(state: State) -> Floats:
        return lengths(it.stream[1:], state)[:, it.ask.position_now(state)]

    return across(it, "after", formula, twin, "map stream", named=True)


# The choice


def choice_now(it: Followed, state: State) -> Choice | None:
    """What was drawn after the position; None where nothing is."""
    k = it.ask.position_now(state) - (state.prompt.n_prompt - 1)
    return state.choices[k] if 0 <= k < len(state.choices) else None


def candidates(it: Followed) -> Part:
    """The likeliest next tokens, among which Sample draws; inside the prompt the likeliest alone."""
    n, page, home = min(CANDIDATES, it.config.n_vocab), it.page, it.layout
    token_at, logit_at, prob_at, mark_at = range(it.after + 1, it.after + 5)

    def sample(name: str, j: int = 0) -> str:
        return it.there(home[f"sample_{name}"].line(j))

    def drawn(source: str, otherwise: str = '""') -> str:
        return f"IF({page['choosing'].local}=1,{source},{otherwise})"

    def known(source: str) -> str:
        """Of the likeliest token, where nothing is drawn."""
        return f'IF(ISNUMBER({page["best"].local}),{source},"")'

    def token(j: int, _: int) -> str:
        own = text_at(home["vocab_shown"].reference, f"{page['best'].local}+1")
        return drawn(f'{sample("tokens", j)}&""', *([known(own)] if j == 0 else []))

    def tokens_now(state: State) -> list[str]:
        found, best = choice_now(it, state), best_now(it, state)
        ids = found.ids if found else () if best == "" else (int(best),)
        return padded([state.shown[id] for id in ids])

    def logit(j: int, _: int) -> str:
        return drawn(sample("logits", j), *([known(it.there(home["logits_max"]))] if j == 0 else []))

    def logits_now(state: State) -> list[Value]:
        found, best = choice_now(it, state), best_now(it, state)
        most = float(state.trace["logits"][:, it.ask.position_now(state)].max())
        return padded([*found.logits] if found else [] if best == "" else [most])

    def prob(j: int, _: int) -> str:
        """Among all tokens, at the temperature: as Home has it."""
        weight = sample("weights", j)
        return drawn(f'IF(ISNUMBER({weight}),{weight}/{sample("vocab_sum")},"")')

    def probs_now(state: State) -> list[Value]:
        found = choice_now(it, state)
        if found is None:
            return padded([])
        logits = state.trace["logits"][:, it.ask.position_now(state)]
        return padded([*sampling.probabilities(logits, state.inputs.sampling.temperature)[[*found.ids]].tolist()])

    def mark(j: int, _: int) -> str:
        return drawn(f'IF({sample("ids", j)}={sample("chosen_id")},"{MARK}","")')

    def marks_now(state: State) -> list[str]:
        found = choice_now(it, state)
        return [MARK if found and j == found.winner else "" for j in range(n)]

    def padded(found: list[Any]) -> list[Any]:
        return [*found, *[""] * n][:n]

    return Beside(
        column("candidates", token_at, n, token, tokens_now, "map token", named=False),
        column("logits", logit_at, n, logit, logits_now, "map logit", named=False),
        column("probs", prob_at, n, prob, probs_now, "prob", named=False, doubt=partial(doubt, it)),
        column("marks", mark_at, n, mark, marks_now, "map mark", named=False),
    )


MARK = "◀ drawn"


def doubt(it: Followed, state: State) -> float:
    logits = state.trace["logits"][:, it.ask.position_now(state)]
    return float(sampling.doubt(logits, state.inputs.sampling.temperature))


def best_now(it: Followed, state: State) -> Value:
    """The likeliest next token's id, inside the text; "" where it is not known."""
    at = it.ask.position_now(state)
    return int(likeliest_now(state)[at]) if scored(state, at) and at + 1 < state.prompt.n else ""


def draw(it: Followed) -> Part:
    """The random number, and the token that comes next: drawn here, or given by the text."""
    label_at, value_at, page, home = it.after + 1, it.after + 3, it.page, it.layout
    place, end = it.position, home["n_tokens"].reference

    def kind_of(drawn: str, given: str, none: str) -> str:
        return f"IF({page['choosing'].local}=1,{drawn},IF({place}+1<{end},{given},{none}))"

    def next_one(state: State) -> tuple[Choice | None, str]:
        found, at = choice_now(it, state), it.ask.position_now(state) + 1
        given = state.prompt.shown[at] if at < state.prompt.n else ""
        return found, state.shown[found.id] if found else given

    def number(i: int, j: int) -> str:
        return f'IF({page["choosing"].local}=1,{it.there(home["sample_uniform"])},"")'

    def number_now(state: State) -> Value:
        found = choice_now(it, state)
        return found.uniform if found else ""

    def title(i: int, j: int) -> str:
        return kind_of(f'"{DRAWN}"', f'"{GIVEN}"', f'"{ENDS}"')

    def title_now(state: State) -> str:
        found, given = next_one(state)
        return DRAWN if found else GIVEN if given else ENDS

    def token(i: int, j: int) -> str:
        text = text_at(home["token_text"].reference, f"1,{place}+2")
        return kind_of(f'{it.there(home["sample_chosen_token"])}&""', text, '""')

    return Stack(
        Beside(
            Texts({label_at: "random number"}, "map label"),
            column("uniform", value_at, 1, number, number_now, "map logit", named=False),
        ),
        Beside(
            column("next_title", label_at, 1, title, title_now, "map label", named=False),
            column("next", value_at, 1, token, lambda state: next_one(state)[1], "map next"),
        ),
    )


DRAWN, GIVEN, ENDS = "drawn", "the text goes on", "the text ends"


def chooses(it: Followed) -> list[Part]:
    """Folded: whether Sample draws at the position, and the likeliest token where it doesn't."""

    def choosing() -> str:
        return it.ask.guard(it.there(it.layout["sample_choosing"]), 0)

    def choosing_now(state: State) -> int:
        return int(choice_now(it, state) is not None)

    def best() -> str:
        goes_on = f"{it.position}+1<{it.layout['n_tokens'].reference}"
        return it.ask.guard(f'IF({goes_on},{it.there(it.page["likeliest"])},"")', 0)

    def line(name: str, title: str, held: Block) -> Part:
        return Beside(Texts({LABEL: title}, "label", folded=True), held)

    return [
        line("", "draws there?", cell(FIRST_TOKEN, choosing, choosing_now, "flag", "choosing", named=False)),
        line("", "likeliest there", cell(FIRST_TOKEN, best, partial(best_now, it), "id", "best", named=False)),
    ]
