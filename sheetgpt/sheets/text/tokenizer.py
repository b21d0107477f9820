"""The Tokenizer sheet: the prompt's text becomes token ids, a byte a row, every step a column from left to right.

Formulas: tokenizer_steps.py. Cached values: the trace of `bpe.run`, which has the same columns. The ids stand in
`tokenizer_ids`, their number in `tokenizer_n_tokens`, and what is wrong, if anything, in `tokenizer_message`.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from openpyxl.formatting.rule import CellIsRule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import quoted
from sheetgpt.ooxml.rows import Cells, Row
from sheetgpt.sheets.grid import HOME
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.text.tokenizer_layout import (
    COLUMNS,
    FIRST_BYTE,
    FIRST_ROUND,
    HEADER_ROW,
    LABEL_ROW,
    LINE_BREAK,
    LIST,
    MESSAGE_ROW,
    ROUND,
    SECTION_ROW,
    SUMMARY,
    TEXT_ROW,
    TOKENIZER,
    VALUE_ROW,
    WORDS_ROW,
    ZERO_ROW,
    TokenizerLayout,
)
from sheetgpt.sheets.text.tokenizer_steps import RoundSteps, Steps
from sheetgpt.text import bpe
from sheetgpt.text.bpe import Cell, Round, Trace
from sheetgpt.text.characters import NAMES
from sheetgpt.text.tokenizer import byte_to_unicode

FINE = bpe.sentences(0, 0)[bpe.FITS]

# a section's columns (of COLUMNS or ROUND), its title and what to say of it
SECTIONS = (
    (1, 1, "", ""),
    (
        *(2, 6, "1 Characters"),
        "A computer knows a character by its number in Unicode, its code point. The text is cut into characters, and "
        "each gets one row per byte.",
    ),
    (
        *(7, 8, "2 UTF-8 bytes"),
        "The code point's bits in one to four bytes. GPT-2 shows each byte as a letter: a space is Ġ.",
    ),
    (
        *(9, 12, "3 Kinds"),
        "Special tokens such as <|endoftext|> are found first. Every other character is a space, a letter, a number or "
        "something else, as the sheet Characters lists them.",
    ),
    (
        *(13, 16, "4 Words"),
        "A token never spans two words. A word is a run of one kind of character with the space before it, or a short "
        "ending: 's 't 're 've 'm 'll 'd. Further spaces form a word of their own.",
    ),
    (17, 18, "5 Result", "The id after the last merge round (the rounds are on the right), and the tokens so far."),
    (19, 22, "6 Tokens", "The same ids as a list, which is what the network reads."),
)
AROUND = " This tokenizer puts tokens of its own around every text."
HEADS = (
    *("byte", "place", "character", "code point", "bytes", "byte no.", "byte", "letter", "special", "left", "kind", ""),
    *("starts?", "ending?", "word", "ends at", "token id", "tokens", "no.", "from byte", "id", "token"),
)
ROUND_HEADS = ("id", "token", "bytes", "rank", "best", "joins")
SUMMARY_HEADS = ("characters", "length of 😀", "bytes", "words", "rounds", "tokens", "problem")
ROUND_WORDS = (
    "7 Merge rounds →  At first every byte is a token. Each pair of neighbours in a word is looked up in the list of "
    "merges; a pair that is not there has no rank (–). In every word the pair with the smallest rank joins, wherever "
    "it occurs, from left to right; then the next round begins, until no pair is left."
)
WIDTHS = (6, 9, 8, 10, 8, 8, 8, 8, 8, 8, 8, 12, 8, 8, 8, 8, 9, 9, 6, 9, 9, 16)
_STYLES = {
    **dict.fromkeys(("character", "letter", "token", "final", "id"), "piece"),
    **dict.fromkeys(("added", "left", "start", "short"), "rare"),
}
_ROUND_STYLES = {"token": "piece", "rank": "rank", "best": "rank", "merge": "joins"}


def sheet(layout: TokenizerLayout, palette: Palette, text: str, trace: Trace, shown: Sequence[str]) -> Sheet:
    """`text` is what the prompt cell holds, `trace` how `bpe.run` reads it, `shown` the token strings by id."""
    return Sheet(
        TOKENIZER,
        "the prompt's text becomes token ids, step by step",
        lambda: tokenizer_rows(layout, palette, text, trace, shown),
        *(FIRST_BYTE + layout.n_ids - 1, layout.last_column),
        names=layout.names(),
        links=[("A2", f"{quoted(HOME)}!A1")],
        dress=lambda frame: _dress(frame, layout),
    )


def _dress(frame: Worksheet, layout: TokenizerLayout) -> None:
    """Widths, colours, and the merged cells of the explanations."""
    frame.sheet_properties.tabColor = "C55A11"
    frame.sheet_view.showGridLines = False
    frame.freeze_panes = f"D{FIRST_BYTE}"
    first = layout.column(COLUMNS[0])
    for i, width in enumerate(WIDTHS):
        frame.column_dimensions[rows.letters(first.column + i)].width = width
    frame.column_dimensions[rows.letters(FIRST_ROUND - 1)].width = 46
    for r in range(layout.rounds):
        for name, width in zip(ROUND, (8, 13, 7, 8, 8, 7), strict=True):
            frame.column_dimensions[rows.letters(layout.round(r, name).column)].width = width
    fine = CellIsRule(operator="equal", formula=[f'"{FINE}"'], font=Font(color="548235"))
    frame.conditional_formatting.add(layout.cells["message"].cells, fine)
    boxes = [layout.column("token"), *(layout.round(r, "token") for r in range(layout.rounds))]
    filled = CellIsRule(operator="notEqual", formula=['""'], fill=PatternFill(bgColor="FFF2CC"))
    frame.conditional_formatting.add(" ".join(area.cells for area in boxes), filled)
    for begin, end, _, _ in SECTIONS[1:]:
        a, b = (rows.letters(column) for column in (begin, end))
        frame.merged_cells.add(f"{a}{WORDS_ROW}:{b}{WORDS_ROW}")


def summary_formulas(layout: TokenizerLayout) -> dict[str, str]:
    """The single cells above the columns."""
    steps, last = Steps(layout), layout.capacity - 1
    cells = {name: area.local for name, area in layout.cells.items()}
    prompt, end = layout.prompt.reference, steps.cell("position", last)
    more = f"{end}+{steps.width(last)}<={cells['length']}"
    too_long = f'IF({end}="",FALSE,OR({steps.cell("nth", last)}<{steps.cell("n_bytes", last)},{more}))'
    code, ids = layout.column("code").local, layout.round(0, "id").local
    half = f'OR(COUNTIF({code},"<0")>0,COUNTIFS({code},">=55296",{code},"<=57343")>0)'
    missing, still_open = f'COUNTIF({ids},"<0")>0', f"{layout.open_pairs(layout.rounds - 1).local}>0"
    # LibreOffice keeps a tab as U+0001 in a cell of several lines; Excel, which counts in UTF-16, doesn't.
    tabs = f"AND({cells['unit']}=1,ISNUMBER(FIND(CHAR(10),{prompt})))"
    checks = {bpe.EMPTY: f"{cells['length']}=0", bpe.TOO_LONG: too_long, bpe.HALF_CHARACTER: half}
    checks |= {bpe.NO_TOKEN: missing, bpe.TOO_MANY_ROUNDS: still_open}
    problem = f"{PROBLEM[bpe.FITS]}"
    for status, check in reversed(checks.items()):
        problem = f"IF({check},{PROBLEM[status]},{problem})"
    fits, tables = f"{cells['problem']}={PROBLEM[bpe.FITS]}", layout.tables
    n_tokens, n_around = steps.cell("count", last), len(tables.prefix) + len(tables.suffix)
    n_tokens += f"+{n_around}" * (n_around > 0)
    typed = f'IF({tabs},SUBSTITUTE({prompt},CHAR(1),CHAR(9)),{prompt}&"")'
    return {
        "text": f'IF(ISERROR({prompt}),"",SUBSTITUTE({typed},"{LINE_BREAK}",CHAR(10)))',
        "message": f"CHOOSE({cells['problem']}+1," + ",".join(f'"{words}"' for words in messages(layout)) + ")",
        "length": f"LEN({cells['text']})",
        "unit": "LEN(_xlfn.UNICHAR(128512))",
        "n_bytes": f"COUNT({layout.column('byte').local})",
        "n_words": f"MAX({layout.column('word').local})",
        "n_rounds": f"SUM({layout.runs().local})",
        "n_tokens": f"IF({fits},{n_tokens},IF({cells['problem']}={PROBLEM[bpe.EMPTY]},{len(tables.empty)},0))",
        "problem": problem,
    }


def messages(layout: TokenizerLayout) -> tuple[str, ...]:
    """What the message says for each problem, 0 for none."""
    words = bpe.sentences(layout.capacity, layout.rounds, layout.tables)
    return tuple(words[status] for status in STATUSES)


STATUSES = (bpe.FITS, bpe.EMPTY, bpe.TOO_LONG, bpe.HALF_CHARACTER, bpe.NO_TOKEN, bpe.TOO_MANY_ROUNDS)
PROBLEM = {status: number for number, status in enumerate(STATUSES)}  # as the sheet writes it


def _summary_values(layout: TokenizerLayout, text: str, trace: Trace) -> dict[str, int | str]:
    problem = PROBLEM[trace.status]
    return {
        "text": text,
        "message": messages(layout)[problem],
        "length": bpe.length(text, trace.unit),
        "unit": trace.unit,
        "n_bytes": trace.n,
        "n_words": max(trace.word, default=0),
        "n_rounds": len(trace.rounds),
        "n_tokens": len(trace.ids),
        "problem": problem,
    }


def tokenizer_rows(
    layout: TokenizerLayout, palette: Palette, text: str, trace: Trace, shown: Sequence[str]
) -> Iterator[Row]:
    yield from _top(layout, palette, text, trace)
    yield from _heads(layout, palette, trace)
    steps = Steps(layout)
    done = [*trace.rounds, *[Round()] * (layout.rounds - len(trace.rounds))]
    rounds = [
        _round_cells(RoundSteps(steps, r), palette, done[r], shown, layout.capacity) for r in range(layout.rounds)
    ]
    known = cached_columns(layout, trace, shown)
    pad: list[Cell] = [""] * (layout.capacity - trace.n)
    groups = [[*column, *pad] for column in trace.groups]
    columns = [
        (number, steps.step(name), palette[_STYLES.get(name, "id")], known[name])
        for number, name in enumerate(COLUMNS[1:], 2)
        if name != "number"
    ]
    for i in range(layout.capacity):
        cells = [rows.number(1, i + 1, palette["index"])]
        cells += [rows.formula(number, partial(step, i), values[i], style) for number, step, style, values in columns]
        cells.insert(COLUMNS.index("number"), rows.number(COLUMNS.index("number") + 1, i + 1, palette["index"]))
        cells += [at_byte(i) for at_byte in rounds]
        for g, values in enumerate(groups):
            source = partial(_of_group, steps, g, i)
            cells.append(rows.formula(layout.group(g).column, source, values[i], palette["rare"]))
        yield rows.row(FIRST_BYTE + i, *cells)
    for i in range(layout.capacity, layout.n_ids):  # a text that fills every byte, and the tokens around it
        cells = [rows.number(COLUMNS.index("number") + 1, i + 1, palette["index"])]
        cells += [
            rows.formula(number, partial(step, i), values[i], style)
            for number, step, style, values in columns
            if COLUMNS[number - 1] in LIST
        ]
        yield rows.row(FIRST_BYTE + i, *cells)


def _of_group(steps: Steps, g: int, i: int) -> str:
    return steps.guarded(i, steps.group(g, i))


def _round_cells(
    steps: RoundSteps, palette: Palette, done: Round, shown: Sequence[str], capacity: int
) -> Callable[[int], Cells]:
    """The cells of one round at byte i, counting from 0."""
    first = steps.layout.round(steps.r, ROUND[0]).column
    tokens = [_shown(shown, token) for token in done.id]
    pad: list[Cell] = [""] * (capacity - len(tokens))
    columns = [
        (
            *(first + j, steps.step(name), palette[_ROUND_STYLES.get(name, "id")]),
            [*(tokens if name == "token" else getattr(done, name)), *pad],
        )
        for j, name in enumerate(ROUND)
    ]
    return lambda i: rows.joined(
        rows.formula(column, partial(step, i), values[i], style) for column, step, style, values in columns
    )


def _shown(shown: Sequence[str], token: Cell) -> str:
    return "" if token == "" else "?" if token < 0 else shown[token]


def cached_columns(layout: TokenizerLayout, trace: Trace, shown: Sequence[str]) -> dict[str, list[Cell] | list[str]]:
    """The trace, padded to the sheet's rows, and the columns that only show it."""
    letters, n = byte_to_unicode(), layout.capacity
    own = ("position", "code", "n_bytes", "nth", "byte", "added", "left", "kind", "start", "short", "word", "last")
    pad: list[Cell] = [""] * (n - trace.n)
    columns: dict[str, list[Cell] | list[str]] = {name: [*getattr(trace, name), *pad] for name in (*own, "final")}
    visible = zip(trace.code, trace.nth, strict=True)
    columns["character"] = [("" if nth > 1 else _symbol(code)) for code, nth in visible] + [""] * len(pad)
    columns["letter"] = [letters[byte] for byte in trace.byte] + [""] * len(pad)
    columns["kind_name"] = [NAMES[kind] for kind in trace.kind] + [""] * len(pad)
    count = 0
    counts: list[Cell] = []
    for token in columns["final"]:
        count += token != ""
        counts.append(count)
    blank: list[Cell] = [""] * (layout.n_ids - len(trace.ids))
    return columns | {
        "count": counts,
        "at": [*trace.starts, *blank],
        "id": [*trace.ids, *blank],
        "token": [_shown(shown, token) for token in trace.ids] + [""] * len(blank),
    }


def _symbol(code: int) -> str:
    return "␣" if code == 32 else chr(9216 + code) if code < 32 else chr(code)


def _top(layout: TokenizerLayout, palette: Palette, text: str, trace: Trace) -> Iterator[Row]:
    note = "From text to token ids, one byte per row, from left to right. Nothing is typed here; the prompt is on Home."
    title = rows.text(1, "Tokenizer", palette["title"]), rows.text(4, note, palette["note"])
    yield rows.row(1, *title, height=24)
    formulas, values = summary_formulas(layout), _summary_values(layout, text, trace)

    def cell(name: str, style: str) -> Cells:
        area = layout.cells[name]
        return rows.formula(area.column, formulas[name], values[name], palette[style])

    yield rows.row(TEXT_ROW, rows.text(1, "← Home", palette["link"]), cell("text", "quote"))
    yield rows.row(MESSAGE_ROW, cell("message", "message"))
    capacity = f"Room for {layout.capacity} bytes, and for words of up to {layout.rounds} merge rounds."
    heads = [rows.text(4 + i, head, palette["header"]) for i, head in enumerate(SUMMARY_HEADS)]
    yield rows.row(LABEL_ROW, *heads, rows.text(4 + len(heads), capacity, palette["note"]))
    yield rows.row(VALUE_ROW, *(cell(name, "total") for name in SUMMARY))


def _heads(layout: TokenizerLayout, palette: Palette, trace: Trace) -> Iterator[Row]:
    """Sections, their explanations, the columns' heads, and the row before the first byte."""
    n = SECTION_ROW
    titles = {begin: title for begin, _, title, _ in SECTIONS} | {FIRST_ROUND - 1: "7 Merges"}
    titles |= {layout.round(r, "id").column: f"Round {r + 1}" for r in range(layout.rounds)}
    titles |= {layout.group(0).column: f"Special tokens, {bpe.GROUP} a column"} if layout.n_groups else {}
    end = layout.last_column
    bar = (rows.text(c, titles.get(c, ""), palette["section"]) for c in range(1, end + 1))
    yield rows.row(n, *bar)
    n = WORDS_ROW
    sections = {begin: text for begin, _, _, text in SECTIONS}
    if layout.tables.prefix or layout.tables.suffix:
        sections[layout.column("number").column] += AROUND
    words = rows.joined(rows.text(begin, text, palette["paragraph"]) for begin, text in sections.items())
    words += rows.text(FIRST_ROUND - 1, ROUND_WORDS, palette["paragraph"])
    yield rows.row(n, words, *(_open_pairs(layout, palette, trace, r) for r in range(layout.rounds)), height=108)
    n = HEADER_ROW
    heads = rows.joined(rows.text(c, head, palette["header"]) for c, head in enumerate(HEADS, 1))
    for r in range(layout.rounds):
        first = layout.round(r, "id").column
        heads += rows.joined(rows.text(first + j, head, palette["header"]) for j, head in enumerate(ROUND_HEADS))
    yield rows.row(n, heads)
    n = ZERO_ROW
    zero = rows.number(layout.column("count").column, 0, palette["id"])
    yield rows.row(n, zero, *(_runs(layout, palette, trace, r) for r in range(layout.rounds)))


def _open_pairs(layout: TokenizerLayout, palette: Palette, trace: Trace, r: int) -> Cells:
    area, count = layout.open_pairs(r), trace.rounds[r].n_open if r < len(trace.rounds) else 0
    label = rows.text(area.column - 1, "pairs:", palette["label"])
    source = f'COUNTIF({layout.round(r, "rank").local},"<{bpe.NO_PAIR}")'
    return label + rows.formula(area.column, source, count, palette["id"])


def _runs(layout: TokenizerLayout, palette: Palette, trace: Trace, r: int) -> Cells:
    """1 while the round before left something to merge."""
    source = f"IF({layout.open_pairs(r - 1).local}>0,1,0)" if r else f"IF({layout.cells['length'].local}=0,0,1)"
    return rows.formula(layout.runs(r).column, source, int(r < len(trace.rounds)), palette["flag"])
