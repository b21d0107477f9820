"""The tables and charts of the sheet Contributions: the strongest parts, the parts block by block, the residual stream.

They show what the workings below them hold (`workings.py`).
"""

from collections.abc import Callable
from functools import partial

from openpyxl.chart import Reference
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.inspection.contributions import Attribution, of_a_block
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Part, unguarded
from sheetgpt.sheets.formulas import rank_id
from sheetgpt.sheets.grid import FIRST_TOKEN, INDEX, LABEL
from sheetgpt.sheets.inside.contributions.parts import Find, Floats, Parts, all_doubts
from sheetgpt.sheets.page import Bar, Beside, Space, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style import looks
from sheetgpt.sheets.style.charts import bars, between, lines, mark, rich

TALL = 15  # points: of a row beside the charts
RANKS = 12  # parts in the list of the strongest
ADDS, SIZE, NUMBER = 3, 4, 5  # columns of that list
LARGEST, SUM = 4, 5  # columns on the left of the heat map
WRITTEN, STREAM, COSINE = 3, 4, 5  # columns of the residual stream
BESIDE_CHARTS = 13  # rows that the stream's charts need
ORANGE = ("num", 0, "FFFFFF", "max", None, "F9B76B")
GREEN = ("num", 0, "FFFFFF", "num", 1, "93C47D")


def strongest(it: Parts) -> list[Part]:
    """The strongest parts, largest first; of equal ones (to nine decimals) the earlier one."""
    n, here = min(RANKS, len(it.parts)), it.page

    def at(name: str, r: int) -> str:
        return here[name].line(r).local

    def of_part(line: str, r: int) -> str:
        return f"INDEX({here[line].local},1,{at('number', r)}+1)"

    def name(r: int, j: int) -> str:
        return f'{of_part("places", r)}&" "&{of_part("whats", r)}'

    def adds(r: int, j: int) -> str:
        return of_part("values", r)

    def size(r: int, j: int) -> str:
        """The key of this rank, which stands on its left."""
        rank = Area(here.title, here["name"].row + r, INDEX).local
        return f"LARGE({here['keys'].local},{rank})"

    def number(r: int, j: int) -> str:
        above = (at("size", r - 1), at("number", r - 1)) if r else None
        return rank_id(at("size", r), here["keys"].local, here["numbers"].local, len(it.parts), above)

    def others(i: int, j: int) -> str:
        return f"{here['sum'].local}-SUM({here['adds'].local})"

    def ranked(values: Callable[[Attribution], Floats]) -> Find:
        return lambda found: values(found)[found.ranked(n), None]

    def names(found: Attribution) -> list[str]:
        return [found.parts[k].name for k in found.ranked(n)]

    def rest(found: Attribution) -> float:
        return found.total - float(found.values[found.ranked(n)].sum())

    values, doubts = ranked(lambda found: found.values), ranked(lambda found: found.doubts)
    keys, key_doubts = ranked(lambda found: found.keys), ranked(lambda found: found.key_doubts)
    column, signed = partial(it.block, height=TALL), partial(it.block, height=TALL, style="signed")
    return [
        Bar(question(it), link="strongest"),
        Texts({LABEL: "part", INDEX: "rank", ADDS: "adds", SIZE: "size", NUMBER: "part's no."}, height=TALL),
        Beside(
            column("name", LABEL, name, names, n, style="name", numbered=True, number_from=1),
            signed("adds", ADDS, adds, values, n, doubt=doubts),
            column("size", SIZE, size, keys, n, style="share", doubt=key_doubts),
            column("number", NUMBER, number, lambda found: found.ranked(n), n, style="id"),
        ),
        signed("others", ADDS, others, rest, label="all other parts", doubt=all_doubts),
    ]


def question(it: Parts) -> tuple[Callable[[], str], Callable[[State], str]]:
    """The heading of the list."""
    start, after, minus = "What decided? What speaks for “", "” after “", "” rather than “"

    def formula() -> str:
        token, other, position = (it.ask.shown(name).local for name in ("token", "other", "position"))
        rather = f'IF({it.used("other")}="","","{minus}"&{other})'
        asked = f'"{start}"&{token}&{rather}&"{after}"&{position}&"”"'
        return f'IF(ISNUMBER({it.used("position")}),{asked},"What decided?")'

    def twin(state: State) -> str:
        found = state.ask(it.look)
        rather = "" if found.other is None else minus + state.shown[found.other]
        return f"{start}{state.shown[found.token]}{rather}{after}{state.prompt.shown[found.position]}”"

    return formula, twin


def kinds(it: Parts) -> list[str]:
    """How the columns of a table are headed."""
    return ["token", "position", *of_a_block(it.config), "norm bias"]


def table_end(it: Parts) -> int:
    """The last column of the tables' bars."""
    return max(it.page.bar_end, FIRST_TOKEN + len(kinds(it)) - 1)


def by_kind(it: Parts, name: str, source: str, find: Find, style: str, doubt: Find, n_rows: int) -> Block:
    """A level of the network a row, a kind of part a column; the number is the one above the part's own column."""
    levels = ["embedding", *(f"block {i}" for i in range(it.config.n_layer)), "final norm"]
    n_columns = len(kinds(it)) - (len(levels) - n_rows)  # without the final norm its bias has no column either

    def formula(level: int, kind: int) -> str:
        return it.page[source].stripe(it.levels[level, kind]).local

    def spread(values: Find) -> Find:
        return lambda found: it.spread(values(found))[:n_rows, :n_columns]

    def no_part(level: int, kind: int) -> bool:
        return bool(it.levels[level, kind] < 0)

    return it.block(
        name,
        FIRST_TOKEN,
        formula,
        spread(find),
        n_rows,
        n_columns,
        gaps=no_part,
        label=lambda level: levels[level],
        label_style="name",
        numbered=False,
        style=style,
        guard=unguarded,
        doubt=spread(doubt),
    )


def heat_map(it: Parts) -> list[Part]:
    """What each part adds, with the sums of the rows on the left and of the columns below."""
    here, n = it.page, it.config.n_layer + 2

    def largest(i: int, j: int) -> str:
        return f"MAX({here['keys'].local})"

    def of_level(i: int, j: int) -> str:
        return f"SUM({here['heat'].line(i).local})"

    def of_kind(i: int, j: int) -> str:
        return f"SUM({here['heat'].stripe(j).local})"

    def of_all(i: int, j: int) -> str:
        return f"SUM({here['heat'].local})"

    def level_sums(found: Attribution) -> list[float]:
        return [sum(map(float, line)) for line in it.spread(found.values)]

    def kind_sums(found: Attribution) -> Floats:
        total: Floats = it.spread(found.values).sum(axis=0)
        return total

    def peak_doubt(found: Attribution) -> float:
        return float(found.key_doubts[found.keys.argmax()])

    words = "What each part adds to the logit: red speaks for the token, blue against it."
    total = partial(it.block, style="signed", guard=unguarded, doubt=all_doubts)
    peak = partial(it.block, style="share", guard=unguarded, doubt=peak_doubt)
    return [
        Bar("Blocks × parts", words, link="heat map", last=table_end(it), space=2),
        Texts({LARGEST: "largest", SUM: "sum", **dict(enumerate(kinds(it), FIRST_TOKEN))}),
        Beside(
            peak("largest", LARGEST, largest, lambda found: float(found.keys.max())),
            total("level_sums", SUM, of_level, level_sums, n),
            by_kind(it, "heat", "values", lambda found: found.values, "signed", lambda found: found.doubts, n),
        ),
        Beside(
            total("total", SUM, of_all, lambda found: found.total, label="all blocks"),
            total("kind_sums", FIRST_TOKEN, of_kind, kind_sums, n_columns=len(kinds(it))),
        ),
    ]


def lengths(it: Parts) -> list[Part]:
    """The same table of lengths; the final norm's bias has none."""
    words = "How long a vector each part writes into the residual stream at this position, in whatever direction."
    heads, n = dict(enumerate(kinds(it)[:-1], FIRST_TOKEN)), it.config.n_layer + 1
    return [
        Bar("Lengths", words, link="lengths", last=table_end(it)),
        Texts(heads),
        by_kind(it, "sizes", "lengths", lambda found: found.lengths, "share", lambda found: 0 * found.lengths, n),
    ]


def residual(it: Parts) -> list[Part]:
    """The residual stream: the length of what is written, of the stream itself, its cosine with the last state."""
    n = len(it.depths)

    def x(d: int) -> str:
        return it.page["stream"].stripe(d).local

    def size(d: int) -> str:
        return it.page["stream_lengths"].stripe(d).local

    def written(d: int, j: int) -> str:
        """The length of what was added before this depth."""
        step = f"({x(d)}-{x(d - 1)})" if d else x(d)
        return f"SQRT(SUMPRODUCT({step}*{step}))"

    def after(d: int, j: int) -> str:
        return size(d)

    def cosine(d: int, j: int) -> str:
        """x . last / (|x| |last|)"""
        product = f"{size(d)}*{size(n - 1)}"
        return f"IF({product}>0,SUMPRODUCT({x(d)},{x(n - 1)})/({product}),0)"

    def label(d: int) -> str:
        return " ".join(it.depths[d]).strip()

    words = "What a part writes is added to the stream; how long it is then, and how near to its last state."
    heads = {LABEL: "after", INDEX: "", WRITTEN: "written", STREAM: "stream", COSINE: "cosine"}
    column = partial(it.block, n_rows=n, style="share", height=TALL, numbered=False, label_style="name")
    return [
        Bar("The residual stream", words, link="stream", last=table_end(it)),
        Texts(heads, height=TALL),
        Beside(
            column("after_written", WRITTEN, written, lambda found: found.steps, label=label),
            column("after", STREAM, after, lambda found: found.stream_lengths, guard=unguarded),
            column("after_cosine", COSINE, cosine, lambda found: found.cosines),
            Space(BESIDE_CHARTS),
        ),
    ]


def colour(it: Parts, frame: Worksheet) -> None:
    """Red what speaks for the token, blue what speaks against it; orange what is long, green what is near."""
    most = f"MAX({it.page['largest'].local},0.000001)"
    heat = ("formula", f"-{most}", "6FA8DC", "num", 0, "FFFFFF", "formula", most, "E06666")
    scales = {"heat": heat, "sizes": ORANGE, "after_written": ORANGE, "after": ORANGE, "after_cosine": GREEN}
    for name, scale in scales.items():
        looks.scale(*scale)(frame, it.page[name])


def add_charts(it: Parts, frame: Worksheet) -> None:
    """The strongest parts as bars, beside their list; the stream's lengths and cosine, beside theirs."""
    ranks, last = it.page["adds"], it.page["others"].row
    strongest = bars("bar", "What the strongest parts add to the logit", "0.0")
    strongest.add_data(Reference(frame, ADDS, ranks.row, ADDS, last))
    strongest.set_categories(Reference(frame, LABEL, ranks.row, LABEL, last))
    strongest.x_axis.scaling.orientation = "maxMin"
    strongest.x_axis.tickLblPos = "low"
    strongest.legend = None
    strongest.anchor = between(FIRST_TOKEN, ranks.row - 1, 10, ranks.n_rows + 2)
    frame.add_chart(strongest)
    stream = it.page["after"]
    for title, form, columns, left in (
        ("Length of what is written, and of the stream", "0", (WRITTEN, STREAM), FIRST_TOKEN),
        ("Cosine with the last state", "0.0", (COSINE,), FIRST_TOKEN + 6),
    ):
        chart = lines(title, form)
        for column, color in zip(columns, ("C55A11", "2F5597"), strict=False):
            chart.add_data(Reference(frame, column, stream.row - 1, column, stream.last_row), titles_from_data=True)
            mark(chart.series[-1], color)
        chart.set_categories(Reference(frame, LABEL, stream.row, LABEL, stream.last_row))
        chart.legend.position = "b"
        chart.y_axis.scaling.min = 0 if len(columns) > 1 else None
        chart.x_axis.tickLblPos, chart.x_axis.txPr = "low", rich("", 700)
        chart.anchor = between(left, stream.row - 1, 6, max(BESIDE_CHARTS, stream.n_rows) + 1)
        frame.add_chart(chart)
