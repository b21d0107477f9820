"""The sheet BPE by hand: byte-pair encoding learned on a short text, round by round, and the UTF-8 bytes of another.

Twin: `learn`. Each round the most frequent pair of neighbours becomes one new letter (Z, Y, X, …), as in Gage's paper
"A New Algorithm for Data Compression" (1994); of equally frequent pairs the one with the largest number.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area, quoted
from sheetgpt.ooxml.rows import Cells, Row
from sheetgpt.sheets.formulas import code_point
from sheetgpt.sheets.grid import HOME
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.text.tokenizer_layout import TokenizerLayout
from sheetgpt.text.bpe import Trace, length

BY_HAND = "BPE by hand"
WIDTH, ROUNDS, CHARACTERS = 24, 6, 12  # letters of the text, rounds, characters of the UTF-8 example
FIRST = 4  # column D: the first letter
NEW = -1  # the number of Z; Y is one less. No code point is negative
PAIR = 100  # a pair's number is left * PAIR + right, where left and right are the places where its letters first stand
INPUT, UTF8_INPUT = Area(BY_HAND, 4, 2), Area(BY_HAND, 9 + 8 * ROUNDS, 2)
POSITIONS = Area(BY_HAND, 7, FIRST, 1, WIDTH)
UNIT = "LEN(_xlfn.UNICHAR(128512))"  # 2 where the program counts in UTF-16, as Excel does
LINES = ("letter", "number", "pair", "count", "candidate", "joins", "so far")


@dataclass
class Learned:
    """One round: the letters as numbers, and for each pair its key, count, candidacy and whether it joins."""

    symbols: list[int]
    keys: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    best: int = 0  # the largest count
    pair: int = 0  # the key of the pair that joins; 0 when no pair occurs twice
    joins: list[int] = field(default_factory=list)


def learn(text: str) -> list[Learned]:
    """Every round of the sheet for a text."""
    symbols, done = [ord(c) for c in text[:WIDTH]], []
    for r in range(ROUNDS):
        places = [symbols.index(symbol) + 1 for symbol in symbols]
        this = Learned(symbols, [a * PAIR + b for a, b in pairwise(places)])
        counts = Counter(this.keys)
        this.counts = [counts[key] for key in this.keys]
        this.best = max(this.counts, default=0)
        this.pair = max((key for key in this.keys if counts[key] == this.best), default=0) if this.best > 1 else 0
        for key in [*this.keys, -1][: len(symbols)]:
            this.joins.append(int(this.pair > 0 and key == this.pair and not (this.joins and this.joins[-1])))
        done.append(this)
        swallowed = [0, *this.joins][: len(symbols)]
        pairs = zip(symbols, this.joins, swallowed, strict=True)
        symbols = [NEW - r if join else symbol for symbol, join, gone in pairs if not gone]
    return done


def letter_of(symbol: int) -> str:
    return chr(ord("Z") + symbol - NEW) if symbol < 0 else chr(symbol)


def _row(r: int, line: str) -> int:
    return 8 + 8 * r + LINES.index(line)


def _cell(r: int, line: str, p: int) -> str:
    """A line of round r at position p, which counts from 0."""
    return Area(BY_HAND, _row(r, line), FIRST).at(0, p)


def line_of(r: int, line: str) -> Area:
    """A whole line of round r."""
    return Area(BY_HAND, _row(r, line), FIRST, 1, WIDTH)


def _line(r: int, line: str, before: int = 0) -> str:
    """A whole line of round r, with so many columns before it."""
    return Area(BY_HAND, _row(r, line), FIRST - before, 1, WIDTH + before).local


def formulas(r: int, p: int) -> dict[str, str]:
    """Round r at position p."""
    number, after, pair, count = (_cell(r, *at) for at in (("number", p), ("number", p + 1), ("pair", p), ("count", p)))
    top, chosen = f"$B${_row(r, 'count')}", f"$B${_row(r, 'candidate')}"
    position = POSITIONS.at(0, p)
    if r == 0:
        text = INPUT.local
        place = position  # of the character in the text: those before it may be two units long
        if p > 0:
            place = f'({position}+({UNIT}-1)*COUNTIF(${_cell(0, "number", 0)}:{_cell(0, "number", p - 1)},">65535"))'
        symbol = f'IF({place}>LEN({text}),"",IFERROR({code_point(text, place, f"LEN({text})")},65533))'
    else:
        there = f"MATCH({position}-0.5,{_line(r - 1, 'so far', 1)},1)"
        new = f"IF(INDEX({_line(r - 1, 'joins')},1,{there})=1,{NEW - r + 1},INDEX({_line(r - 1, 'number')},1,{there}))"
        symbol = f'IF({position}>MAX({_line(r - 1, "so far")}),"",{new})'
    shown = f"IF({number}<0,CHAR({ord('Z') - NEW}+{number}),_xlfn.UNICHAR({number}))"
    left, right = (f"MATCH({cell},{_line(r, 'number')},0)" for cell in (number, after))
    gone = f"N({_cell(r, 'joins', p - 1)})=1" if p > 0 else "FALSE"
    return {
        "letter": f'IF({number}="","",{shown})',
        "number": symbol,
        "pair": f'IF({number}="","",IF({after}="","",{left}*{PAIR}+{right}))' if p < WIDTH - 1 else '""',
        "count": f'IF({pair}="","",COUNTIF({_line(r, "pair")},{pair}))',
        "candidate": f'IF({pair}="","",IF({top}>1,IF({count}={top},{pair},""),""))',
        "joins": f'IF({number}="","",IF({gone},0,IF({chosen}=0,0,IF({pair}={chosen},1,0))))',
        "so far": f'{_cell(r, "so far", p - 1)}+IF({number}="",0,IF({gone},0,1))',
    }


def values(this: Learned, p: int) -> dict[str, int | str]:
    """The cached twin of `formulas`."""
    n = len(this.symbols)
    inside, pair = p < n, p < len(this.keys)
    kept = sum(1 for q in range(min(p + 1, n)) if not (q and this.joins[q - 1]))
    return {
        "letter": letter_of(this.symbols[p]) if inside else "",
        "number": this.symbols[p] if inside else "",
        "pair": this.keys[p] if pair else "",
        "count": this.counts[p] if pair else "",
        "candidate": this.keys[p] if pair and this.best > 1 and this.counts[p] == this.best else "",
        "joins": this.joins[p] if inside else "",
        "so far": kept,
    }


def sheet(tokenizer: TokenizerLayout, palette: Palette, texts: tuple[str, str], read: Trace) -> Sheet:
    """`texts` stand in the yellow cells, for the merges and for UTF-8; `read`: the prompt, whose cost is shown."""
    return Sheet(
        BY_HAND,
        "how merges are learned, with a text of your own",
        lambda: _rows(tokenizer, palette, *texts, read),
        *(UTF8_INPUT.row + 12, FIRST + WIDTH - 1),
        names={"by_hand_text": [INPUT], "by_hand_utf8": [UTF8_INPUT]},
        links=[("A2", f"{quoted(HOME)}!A1")],
        dress=_dress,
    )


def _dress(frame: Worksheet) -> None:
    frame.sheet_properties.tabColor = "C55A11"
    frame.sheet_view.showGridLines = False
    for column, width in {1: 30, 2: 18, 3: 4}.items():
        frame.column_dimensions[rows.letters(column)].width = width
    for p in range(WIDTH):
        frame.column_dimensions[rows.letters(FIRST + p)].width = 6.5
    frame.freeze_panes = "D4"


def _rows(tokenizer: TokenizerLayout, palette: Palette, text: str, utf8_text: str, read: Trace) -> Iterator[Row]:
    note = "How merges are learned, on one line of text: the most frequent pair becomes a new letter."
    yield rows.row(1, rows.text(1, "BPE by hand", palette["title"]), rows.text(4, note, palette["note"]), height=24)
    yield rows.row(2, rows.text(1, "← Home", palette["link"]))
    words = f"Up to {WIDTH} letters. Merging ends when no pair occurs twice, or after {ROUNDS} rounds."
    label, typed = rows.text(1, "Type a text", palette["name"]), rows.text(2, text, palette["input"])
    yield rows.row(4, label, typed, rows.text(4, words, palette["note"]))
    words = f"A pair's number: {PAIR} × the first position of its left letter, plus that of its right letter."
    yield rows.row(5, rows.text(4, words, palette["note"]))
    learned = learn(text)
    numbers = rows.joined(rows.number(FIRST + p, p + 1, palette["index"]) for p in range(WIDTH))
    yield rows.row(POSITIONS.row, rows.text(1, "position", palette["label"]), numbers)
    for r, this in enumerate(learned):
        yield from _round_rows(palette, r, this)
    yield from _utf8_rows(palette, utf8_text, read.unit)
    yield from _cost_rows(tokenizer, palette, read.n, len(read.ids))


def _round_rows(palette: Palette, r: int, this: Learned) -> Iterator[Row]:
    sources, cached = (
        [formulas(r, p) for p in range(WIDTH)],
        [values(this, p) for p in range(WIDTH)],
    )
    labels = {
        "letter": "The text" if r == 0 else f"After round {r}",
        "number": "as numbers",
        "pair": "pair with the next letter",
        "count": "how often it occurs",
        "candidate": "the most frequent pairs",
        "joins": "joins the next letter?",
        "so far": "letters left so far",
    }
    for line in LINES:
        n = _row(r, line)
        style = {"letter": "token", "joins": "flag", "count": "number"}.get(line, "id")
        cells = rows.text(1, labels[line], palette["name" if line == "letter" else "label"])
        cells += _beside(palette, r, line, this)
        if line == "so far":
            cells += rows.number(3, 0, palette["index"])
        style_number = palette["id" if style == "number" else style]
        for p in range(WIDTH):
            cells += rows.formula(FIRST + p, sources[p][line], cached[p][line], style_number)
        yield rows.row(n, cells)


def _beside(palette: Palette, r: int, line: str, this: Learned) -> Cells:
    """Column B: the largest count, the pair that is chosen, and the rule it makes."""
    if line == "count":
        return rows.formula(2, f"MAX({_line(r, 'count')})", this.best, palette["total"])
    if line == "candidate":
        return rows.formula(2, f"MAX({_line(r, 'candidate')})", this.pair, palette["id"])
    if line == "joins":
        chosen, letters = f"$B${_row(r, 'candidate')}", _line(r, "letter")
        place = f"MATCH(1,{_line(r, 'joins')},0)"
        rule = f'INDEX({letters},1,{place})&INDEX({letters},1,{place}+1)&" → {letter_of(NEW - r)}"'
        shown = "no pair occurs twice"
        if this.pair:
            left, right = (letter_of(this.symbols[place - 1]) for place in divmod(this.pair, PAIR))
            shown = f"{left}{right} → {letter_of(NEW - r)}"
        return rows.formula(2, f'IF({chosen}=0,"no pair occurs twice",{rule})', shown, palette["quote"])
    return ()


def _utf8_rows(palette: Palette, example_text: str, unit: int) -> Iterator[Row]:
    """Code points and bytes, a character a column; characters beyond U+FFFF are two positions wide in Excel."""
    top, text = UTF8_INPUT.row, UTF8_INPUT.local
    bar = "UTF-8: the bytes of a text"
    yield rows.row(top - 1, *(rows.text(c, bar if c == 1 else "", palette["section"]) for c in range(1, 16)))
    words = f"Up to {CHARACTERS} characters, of one to four bytes each."
    label, typed = rows.text(1, "Type a text", palette["name"]), rows.text(2, example_text, palette["input"])
    yield rows.row(top, label, typed, rows.text(4, words, palette["note"]))
    example = [ord(c) for c in example_text[:CHARACTERS]]
    positions = [length(example_text[:p], unit) + 1 for p in range(len(example))]
    yield _strip(palette, top + 1, "position", [_place(top + 1, p, text) for p in range(CHARACTERS)], positions)
    here = [f"{rows.letters(FIRST + p)}${top + 1}" for p in range(CHARACTERS)]
    source = f'IF({{0}}="","",IFERROR({code_point(text, "{0}", f"LEN({text})")},65533))'
    yield _strip(palette, top + 2, "code point", [source.format(cell) for cell in here], example)
    spelled = [chr(code).encode() for code in example]
    for k in range(4):
        sources = [_byte(f"{rows.letters(FIRST + p)}${top + 2}", k) for p in range(CHARACTERS)]
        cached: list[int | str] = [token[k] if k < len(token) else "" for token in spelled]
        yield _strip(palette, top + 3 + k, f"byte {k + 1}", sources, cached)


def _place(n: int, p: int, text: str) -> str:
    if p == 0:
        return f'IF(LEN({text})=0,"",1)'
    above = rows.letters(FIRST + p - 1)
    following = f"{above}${n}+IF({above}${n + 1}>65535,{UNIT},1)"
    return f'IF({above}${n}="","",IF({following}>LEN({text}),"",{following}))'


def _byte(code: str, k: int) -> str:
    """Byte k of a code point's one to four, blank past the last."""
    n = f"(1+({code}>127)+({code}>2047)+({code}>65535))"
    lead = f"IF({code}<128,{code},256-2^(8-{n})+INT({code}/64^({n}-1)))"
    source = lead if k == 0 else f'IF({n}>{k},128+MOD(INT({code}/64^({n}-{k + 1})),64),"")'
    return f'IF({code}="","",{source})'


def _strip(palette: Palette, n: int, label: str, sources: Sequence[str], cached: Sequence[int | str]) -> Row:
    padded = [*cached, *[""] * (len(sources) - len(cached))]
    cells = (rows.formula(FIRST + p, source, padded[p], palette["id"]) for p, source in enumerate(sources))
    return rows.row(n, rows.text(1, label, palette["label"]), *cells)


def _cost_rows(tokenizer: TokenizerLayout, palette: Palette, n_bytes: int, n_tokens: int) -> Iterator[Row]:
    n = UTF8_INPUT.row + 9
    title = "The length of the prompt: in bytes, and in tokens after the merges"
    yield rows.row(n, *(rows.text(c, title if c == 1 else "", palette["section"]) for c in range(1, 16)))
    lines = (("as bytes", "n_bytes", n_bytes), ("as BPE tokens", "n_tokens", n_tokens))
    for i, (label, name, value) in enumerate(lines, 1):
        cell = rows.formula(2, tokenizer.cells[name].reference, value, palette["total"])
        yield rows.row(n + i, rows.text(1, label, palette["label"]), cell)
    ratio = f"IF($B${n + 2}=0,0,$B${n + 1}/$B${n + 2})"
    cell = rows.formula(2, ratio, n_bytes / n_tokens if n_tokens else 0, palette["number"])
    yield rows.row(n + 3, rows.text(1, "bytes per token", palette["label"]), cell)
