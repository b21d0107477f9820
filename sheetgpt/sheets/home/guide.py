"""The Guide sheet: a tour in ten stops, where the parameters are, experiments, and from base model to assistant."""

from collections.abc import Iterator

from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import quoted
from sheetgpt.ooxml.rows import Row
from sheetgpt.sheets.grid import EMBED, GUIDE, HOME, SAMPLE, SOFTMAX
from sheetgpt.sheets.home.about import SHAPES, parameter_parts
from sheetgpt.sheets.home.guide_assistant import N_ROWS, assistant_rows
from sheetgpt.sheets.home.guide_experiments import experiment_rows, link, offered
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.text.tokenizer_layout import TOKENIZER

Stop = tuple[str, str, str]  # where the link goes, its text, what there is to see
FIRST = 4


def stops(layout: Layout) -> list[Stop]:
    """In the order of the computation."""
    first, n = layout.block_sheet(0), layout.config.n_layer

    def to(tensor: str) -> str:
        area = layout[tensor]
        return f"{quoted(area.sheet)}!A{area.row - 1}"

    def top(sheet: str) -> str:
        return f"{quoted(sheet)}!A1"

    ids = "This workbook has no tokenizer: type token ids into the yellow row on Home, one per token."
    text = "The text is cut into words and the words into bytes; round by round, neighbouring bytes join into tokens."
    return [
        (top(HOME), "Home", "Type a prompt. The network reads it and continues it, one token after another."),
        (top(TOKENIZER if layout.reads_text else HOME), "Tokens", text if layout.reads_text else ids),
        (
            *(top(EMBED), "Embedding"),
            f"Each token becomes a column of {layout.config.n_embd} numbers: its own, plus those of its position. From "
            "here on a token keeps its column on every sheet, and no formula ever looks to the right.",
        ),
        (
            *(to(f"h{0}.ln_1.mean"), f"{first}: layer norm"),
            "Before a block reads a column, the column is brought to mean 0 and variance 1, then stretched and "
            "shifted by learned numbers: the green ones beside each row.",
        ),
        (
            *(to("h0.attn.scores.0"), f"{first}: attention"),
            "Each token asks (query); it and every token before it answer (key). The better the two match, the more "
            "of the answering token's value is taken. The orange squares show who looks at whom.",
        ),
        (
            *(to("h0.resid_mid"), f"{first}: what attention adds"),
            "What the heads found is mixed and added to the column: x + attention. Nothing is overwritten.",
        ),
        (
            *(to("h0.mlp.fc"), f"{first}: MLP"),
            f"{layout.config.n_inner:,} neurons look at each column by itself; the more strongly one fires, "
            "the more of its own pattern it adds.",
        ),
        (
            *(to("logits"), "Logits"),
            f"After {n} such blocks, the final state of a column is compared with every token of the vocabulary: "
            f"one number for each of {layout.config.n_vocab:,} tokens.",
        ),
        (
            *(top(SOFTMAX), "Probabilities"),
            "Divided by the temperature and put through softmax, the logits become probabilities. A low temperature "
            "makes the best one nearly certain; a high one makes all of them alike.",
        ),
        (
            *(top(SAMPLE), "The choice"),
            "A random number picks one of the likeliest tokens. It becomes the token of the next column, on every "
            "sheet: so the text grows to the right, without macros and without circular references.",
        ),
    ]


def sheet(layout: Layout, palette: Palette) -> Sheet:
    first = experiments(layout)
    links = enumerate(offered(layout), first + 1)
    return Sheet(
        GUIDE,
        "a tour in ten stops, where the parameters are, experiments, and how a model becomes an assistant",
        lambda: guide_rows(layout, palette),
        *(assistant(layout) + N_ROWS - 1, 5),
        links=[
            ("A2", f"{quoted(HOME)}!A1"),
            *((f"B{FIRST + i}", place) for i, (place, *_) in enumerate(stops(layout))),
            *((f"B{n}", link(experiment)) for n, experiment in links),
        ],
        dress=lambda frame: _dress(frame, layout),
    )


def experiments(layout: Layout) -> int:
    """The row of their title."""
    return FIRST + 14 + len(parameter_parts(layout.config))


def assistant(layout: Layout) -> int:
    """The row of the last section's title."""
    found = offered(layout)
    return experiments(layout) + (len(found) + 2 if found else 0)


def _dress(frame: Worksheet, layout: Layout) -> None:
    frame.sheet_properties.tabColor = "C55A11"
    frame.sheet_view.showGridLines = False
    for column, width in zip("ABCDE", (6, 30, 14, 10, 86), strict=True):
        frame.column_dimensions[column].width = width
    parts = (
        (FIRST, len(stops(layout))),
        (experiments(layout) + 1, len(offered(layout))),
        (assistant(layout) + 1, N_ROWS - 1),
    )
    for n in (n for first, count in parts for n in range(first, first + count)):
        frame.merged_cells.add(f"C{n}:E{n}")


def guide_rows(layout: Layout, palette: Palette) -> Iterator[Row]:
    title = rows.text(1, "A tour in ten stops", palette["title"])
    yield rows.row(1, title, height=28)
    yield rows.row(2, rows.text(1, "← Home", palette["link"]))
    for i, (_, name, words) in enumerate(stops(layout)):
        n = FIRST + i
        cells = rows.number(1, i + 1, palette["id"]), rows.text(2, name, palette["link"])
        rest = (rows.blank(column, palette["paragraph"]) for column in (4, 5))
        yield rows.row(n, *cells, rows.text(3, words, palette["paragraph"]), *rest, height=32)
    yield from _parameters(layout, palette, FIRST + 11)
    yield from experiment_rows(layout, palette, experiments(layout))
    yield from assistant_rows(palette, assistant(layout))


def _parameters(layout: Layout, palette: Palette, n: int) -> Iterator[Row]:
    """Counted by formulas from the shapes on the Model sheet."""
    config = layout.config
    where = {name: layout[name].reference for name in SHAPES}
    parts = parameter_parts(config)
    total = f"$C${n + len(parts) + 1}"
    heads = ("", "Parameters", "how many", "share", "calculated from the shapes on the sheet Model")
    yield rows.row(n, *(rows.text(c, head, palette["section"]) for c, head in enumerate(heads, 1)))
    for i, (part, expression, number) in enumerate(parts, 1):
        name = rows.text(2, part, palette["label"])
        count = rows.formula(3, expression.format(**where), number(config), palette["count"])
        share = number(config) / config.n_params
        yield rows.row(n + i, name, count, rows.formula(4, f"$C${n + i}/{total}", share, palette["prob"]))
    end = n + len(parts) + 1
    whole = rows.formula(3, f"SUM($C${n + 1}:$C${end - 1})", config.n_params, palette["total"])
    words = rows.text(5, "the number of weights in this workbook", palette["label"])
    yield rows.row(end, rows.text(2, "all parameters", palette["name"]), whole, words)
