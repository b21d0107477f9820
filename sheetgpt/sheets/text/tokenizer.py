"""The Tokenizer sheet: the prompt's text becomes token ids, a byte a row, every step a column from left to right.

The columns are functions, in `reading.py` and, of a merge round, in `merging.py`; here they get their places. The ids
stand in `tokenizer_ids`, their number in `tokenizer_n_tokens`, and what is wrong, if anything, in `tokenizer_message`.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from openpyxl.formatting.rule import CellIsRule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.errors import SheetGPTError
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.limits import MAX_COLUMN, MAX_ROW, MAX_TEXT
from sheetgpt.sheets.block import Block, Part, State, Value, cell
from sheetgpt.sheets.grid import TOKENIZER
from sheetgpt.sheets.inputs import LINE_BREAK
from sheetgpt.sheets.page import Beside, Page, Texts
from sheetgpt.sheets.style import looks
from sheetgpt.sheets.text.columns import Column, Reader, Sizes, in_text
from sheetgpt.sheets.text.merging import (
    ROUND,
    ROUND_WORKINGS,
    Merging,
    all_rounds,
    final,
    open_now,
    open_pairs,
    rank,
    runs,
    runs_now,
)
from sheetgpt.sheets.text.reading import (
    added,
    at,
    byte,
    character,
    code,
    count,
    found_of,
    ids,
    kind,
    kind_name,
    last,
    left,
    letter,
    longest_of,
    n_bytes,
    nth,
    number,
    position,
    row,
    short,
    start,
    token,
    width,
    word,
)
from sheetgpt.sheets.text.tables import MOST
from sheetgpt.text import bpe

NOTE = "From text to token ids, a byte a row, from left to right: what the prompt becomes. [+] above opens workings."
FINE = bpe.sentences(0, 0)[bpe.FITS]

# What stands together: the columns, their title, and what to say of them
SECTIONS = (
    ([row], "", ""),
    (
        [position, character, code, n_bytes, nth],
        "1 Characters",
        "A character is known by its number in Unicode, its code point. Each gets one row per byte. · is a space.",
    ),
    (
        [byte, letter],
        "2 UTF-8 bytes",
        "The bits of the code point in one to four bytes, each 0 to 255.",
    ),
    (
        [added, left, kind, kind_name],
        "3 Kinds",
        "First special tokens, such as <|endoftext|>. All else is a space, a letter, a number or something else: see "
        "the sheet Characters.",
    ),
    (
        [start, short, word, last],
        "4 Words",
        "A token never spans two words. A word: one kind of character, with the space before it; or 's 't 're 've 'm "
        "'ll 'd; or spaces.",
    ),
    (
        [final, count],
        "5 Result",
        "Ids after the last merge round (→), at the tokens' first bytes.",
    ),
    ([number, at, ids, token], "6 Tokens", "The ids as a list: what the network reads, and what they stand for."),
)
LIST = (number, at, ids, token)  # these have a row for each token that there may be
COLUMNS = [column for columns, _, _ in SECTIONS for column in columns]
WORKINGS = (position, n_bytes, nth, letter, added, left, kind, start, short, last, count, at)  # folded: see `dress`
FIRST_ROUND = len(COLUMNS) + 2  # the column; one before it is left free for words
AROUND = " This tokenizer puts tokens of its own around every text."
ROUND_WORDS = (
    "7 Merge rounds →  At first every byte is a token. Each pair of neighbours in a word is looked up in the list of "
    "merges; a pair that is not there has no rank (–). In every word the pair with the smallest rank joins, wherever "
    "it occurs, from left to right; then the next round begins, until no pair is left."
)
FIRST_CELL = 4  # the column of the cells above the columns
NAMED = ("byte", "word", "final", "ids", "message", "n_tokens", "problem", "n_rounds", "unit")

STATUSES = (bpe.FITS, bpe.EMPTY, bpe.TOO_LONG, bpe.HALF_CHARACTER, bpe.NO_TOKEN, bpe.TOO_MANY_ROUNDS)
PROBLEM = {status: number for number, status in enumerate(STATUSES)}  # as the sheet writes it


def messages(sizes: Sizes) -> tuple[str, ...]:
    """What the message says for each problem, 0 for none."""
    words = bpe.sentences(sizes.capacity, sizes.rounds, sizes.tables)
    return tuple(words[status] for status in STATUSES)


def page(sizes: Sizes, merges: Page, characters: Page, prompt: Area, vocab_shown: Area) -> Page:
    """`prompt` is the cell with the text, `vocab_shown` the column of token strings by id."""
    check_room(sizes)
    here = Page(TOKENIZER, "the prompt's text becomes token ids, step by step", 1, prefix="tokenizer_")
    on = Reader(here, sizes, merges, characters, prompt, vocab_shown)
    rounds = [Merging(on, r) for r in range(sizes.rounds)]
    here.head(NOTE, FIRST_CELL, more=[one("text", partial(text, on), lambda state: state.read.text, "quote")])
    here.add(one("message", partial(message, on), lambda s: messages(sizes)[PROBLEM[s.read.status]], "message"))
    here.add(*summary(on))
    here.add(*heads(on, rounds))
    first_byte = here.row
    here.add(Beside(*columns(on), *(block for this in rounds for block in of_round(this)), *groups(on)))
    here.dresses.append(partial(dress, here, rounds, first_byte))
    return here


def check_room(sizes: Sizes) -> None:
    tables = sizes.tables
    if not 1 <= sizes.capacity <= MAX_TEXT:
        raise SheetGPTError(
            f"--prompt-bytes {sizes.capacity} is not between 1 and {MAX_TEXT}, the characters that a cell holds."
        )
    if not 1 <= sizes.rounds <= (MAX_COLUMN - FIRST_ROUND) // len(ROUND):
        raise SheetGPTError(f"{sizes.rounds} merge rounds don't fit on a sheet of {MAX_COLUMN:,} columns.")
    if last_column(sizes) > MAX_COLUMN:
        raise SheetGPTError(f"{len(tables.added):,} added tokens don't fit on the sheet Tokenizer.")
    if len(tables.keys) > MOST:
        raise SheetGPTError(f"The {len(tables.merged):,} merges don't fit on a sheet of {MAX_ROW:,} rows.")


def column_of_round(r: int) -> int:
    return FIRST_ROUND + len(ROUND) * r


def column_of_group(sizes: Sizes, g: int) -> int:
    """One is left free before the first."""
    return column_of_round(sizes.rounds) + 1 + g


def last_column(sizes: Sizes) -> int:
    return column_of_group(sizes, sizes.n_groups - 1) if sizes.n_groups else column_of_round(sizes.rounds) - 1


# Above the columns


def one(name: str, formula: Callable[[], str], twin: Callable[[State], Value], style: str, column: int = 0) -> Block:
    return cell(column or FIRST_CELL, formula, twin, style, name, named=name in NAMED)


def text(on: Reader) -> str:
    """The prompt with line feeds. LibreOffice keeps a tab as U+0001 in a cell of several lines; Excel, which counts in
    UTF-16, doesn't.
    """
    prompt = on.prompt.reference
    tabs = f"AND({on['unit']}=1,ISNUMBER(FIND(CHAR(10),{prompt})))"
    typed = f'IF({tabs},SUBSTITUTE({prompt},CHAR(1),CHAR(9)),{prompt}&"")'
    return f'IF(ISERROR({prompt}),"",SUBSTITUTE({typed},"{LINE_BREAK}",CHAR(10)))'


def message(on: Reader) -> str:
    return f"CHOOSE({on['problem']}+1," + ",".join(f'"{words}"' for words in messages(on.sizes)) + ")"


def summary(on: Reader) -> list[Part]:
    """What the text comes to: a head, and below it a cell, in the column that shows it."""
    cells: list[tuple[Column, str, str, Callable[[], str], Callable[[State], Value]]] = [
        (code, "characters", "length", lambda: f"LEN({on['text']})", lambda s: bpe.length(s.read.text, s.read.unit)),
        (n_bytes, "😀 counts as", "unit", lambda: "LEN(_xlfn.UNICHAR(128512))", lambda s: s.read.unit),
        (byte, "bytes", "all_bytes", lambda: f"COUNT({on['byte']})", lambda s: s.read.n),
        (word, "words", "n_words", lambda: f"MAX({on['word']})", lambda s: max(s.read.word, default=0)),
        (token, "merge rounds", "n_rounds", partial(all_rounds, on), lambda s: len(s.read.rounds)),
        (final, "tokens", "n_tokens", partial(n_tokens, on), lambda s: len(s.read.ids)),
        (added, "problem", "problem", partial(problem, on), lambda s: PROBLEM[s.read.status]),
    ]
    heads = {place_of(at): head for at, head, *_ in cells}
    room = f"Room for {on.sizes.capacity} bytes, and for words of up to {on.sizes.rounds} merge rounds."
    note = FIRST_ROUND - 1
    values = [one(name, formula, twin, "sum", place_of(at)) for at, _, name, formula, twin in cells]
    return [Texts(heads | {note: room}, styles={note: "note"}), Beside(*values)]


def n_tokens(on: Reader) -> str:
    """Those of the text and those around it; of an empty text the one that stands for it."""
    around = len(on.tables.prefix) + len(on.tables.suffix)
    found = on.at("count", on.sizes.capacity - 1) + f"+{around}" * (around > 0)
    empty = f"IF({on['problem']}={PROBLEM[bpe.EMPTY]},{len(on.tables.empty)},0)"
    return f"IF({on['problem']}={PROBLEM[bpe.FITS]},{found},{empty})"


def problem(on: Reader) -> str:
    """The number of the first that there is."""
    last, rounds = on.sizes.capacity - 1, on.sizes.rounds
    end, codes = on.at("position", last), on["code"]
    more = f"{end}+{width(on, last)}<={on['length']}"
    checks = {
        bpe.EMPTY: f"{on['length']}=0",
        bpe.TOO_LONG: f'IF({end}="",FALSE,OR({on.at("nth", last)}<{on.at("n_bytes", last)},{more}))',
        bpe.HALF_CHARACTER: f'OR(COUNTIF({codes},"<0")>0,COUNTIFS({codes},">=55296",{codes},"<=57343")>0)',
        bpe.NO_TOKEN: f'COUNTIF({on["round 0 id"]},"<0")>0',
        bpe.TOO_MANY_ROUNDS: f"{on[f'round {rounds - 1} open']}>0",
    }
    found = f"{PROBLEM[bpe.FITS]}"
    for status, check in reversed(checks.items()):
        found = f"IF({check},{PROBLEM[status]},{found})"
    return found


def heads(on: Reader, rounds: Sequence[Merging]) -> Iterator[Part]:
    """Sections, their explanations, the columns' heads, and the row before the first byte."""
    sizes, columns_of_rounds = on.sizes, [(this, column_of_round(this.r)) for this in rounds]
    titles = {first: title for first, _, title, _ in in_view()} | {FIRST_ROUND - 1: "7 Merges"}
    titles |= {first: f"Round {this.r + 1}" for this, first in columns_of_rounds}
    titles |= {column_of_group(sizes, 0): f"Special tokens, {bpe.GROUP} a column"} if sizes.n_groups else {}
    yield Texts({c: titles.get(c, "") for c in range(1, last_column(sizes) + 1)}, "section")

    words = {first: words for first, _, _, words in in_view()} | {FIRST_ROUND - 1: ROUND_WORDS}
    if on.tables.prefix or on.tables.suffix:
        words[max(first for first, *_ in in_view())] += AROUND
    place = ROUND.index(rank)
    labels = {first + place - 2: "pairs left:" for _, first in columns_of_rounds}
    yield Beside(
        Texts(words | labels, "paragraph", dict.fromkeys(labels, "label"), height=96),
        *(
            one(this.name("open"), partial(open_pairs, this), partial(open_now, this), "id", first + place)
            for this, first in columns_of_rounds
        ),
    )
    names = {c: column.head for c, column in enumerate(COLUMNS, 1)}
    names |= {first + j: column.head for _, first in columns_of_rounds for j, column in enumerate(ROUND)}
    yield Texts(names)
    yield Beside(
        cell(COLUMNS.index(count) + 1, None, lambda state: 0, "id"),
        *(
            one(this.name("runs"), partial(runs, this), partial(runs_now, this), "flag", first)
            for this, first in columns_of_rounds
        ),
    )


def sections() -> Iterator[tuple[int, int, str, str]]:
    """First and last column, title and words of each."""
    first = 1
    for columns, title, words in SECTIONS:
        yield first, first + len(columns) - 1, title, words
        first += len(columns)


def in_view() -> Iterator[tuple[int, int, str, str]]:
    """The same, from the first column that isn't folded."""
    for first, end, title, words in sections():
        yield next(c for c in range(first, end + 1) if COLUMNS[c - 1] not in WORKINGS), end, title, words


def place_of(column: Column) -> int:
    return COLUMNS.index(column) + 1


# The columns


def columns(on: Reader) -> Iterator[Block]:
    for place, column in enumerate(COLUMNS, 1):
        n_rows = on.sizes.n_ids if column in LIST else on.sizes.capacity
        yield column.block(on, n_rows, place, named=column.name in NAMED)


def of_round(this: Merging) -> Iterator[Block]:
    for place, column in enumerate(ROUND, column_of_round(this.r)):
        yield column.block(this, this.on.sizes.capacity, place, this.name(column.name))


def groups(on: Reader) -> Iterator[Block]:
    """A column for each group of added tokens, where they are more than one formula looks for."""
    for g in range(on.sizes.n_groups):
        of_group = Column("group", "", 0, partial(found_of, g), "rare", in_text, partial(longest_of, g))
        yield of_group.block(on, on.sizes.capacity, column_of_group(on.sizes, g), f"group {g}")


# Looks


def dress(here: Page, rounds: Sequence[Merging], first_byte: int, frame: Worksheet) -> None:
    """Widths, colours, and the merged cells of the explanations."""
    widths = {c: column.width for c, column in enumerate(COLUMNS, 1)} | {FIRST_ROUND - 1: 46}
    widths |= {column_of_round(this.r) + j: column.width for this in rounds for j, column in enumerate(ROUND)}
    looks.dress(widths, looks.ORANGE, f"D{first_byte}", gridlines=False)(frame)
    workings = [place_of(column) for column in WORKINGS]
    workings += [column_of_round(this.r) + ROUND.index(column) for this in rounds for column in ROUND_WORKINGS]
    looks.fold_columns(frame, workings)
    fine = CellIsRule(operator="equal", formula=[f'"{FINE}"'], font=Font(color="548235"))
    frame.conditional_formatting.add(here["message"].cells, fine)
    boxes = [here["token"], *(here[this.name("token")] for this in rounds)]
    filled = CellIsRule(operator="notEqual", formula=['""'], fill=PatternFill(bgColor="FFF2CC"))
    frame.conditional_formatting.add(" ".join(area.cells for area in boxes), filled)
    words_row = first_byte - 3
    for begin, end, title, _ in in_view():
        if title and begin < end:
            frame.merged_cells.add(f"{rows.letters(begin)}{words_row}:{rows.letters(end)}{words_row}")
