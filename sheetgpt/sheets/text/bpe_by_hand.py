"""The sheet BPE by hand: byte-pair encoding learned on a short text, round by round, and the UTF-8 bytes of another.

Twin: `learn`. Each round the most frequent pair of neighbours becomes one new symbol (①, ②, ③, …), as in Gage's paper
"A New Algorithm for Data Compression" (1994); of equally frequent pairs the one with the largest number.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate, pairwise
from typing import Any

from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Part, State, Values, cell
from sheetgpt.sheets.formulas import code_point
from sheetgpt.sheets.grid import BY_HAND, TOKENIZER
from sheetgpt.sheets.page import Beside, Page, Space, Texts
from sheetgpt.sheets.style.looks import ORANGE, dress, put, stands_out
from sheetgpt.sheets.text.utf8_by_hand import FIRST, TYPED, UNIT, WIDTH, Step, cost_lines, strip, typed, utf8_lines
from sheetgpt.text.shown import MARKS

ROUNDS = 6
NEW = -1  # the number of ①; that of ② is one less. No code point is negative
FIRST_SYMBOL = ord("①")  # so that none is taken for a letter of the text, and each says from which round it is
PAIR = 100  # a pair's number is left * PAIR + right, where left and right are the places where its letters first stand
ZERO = 3  # a column
NO_PAIR = "no pair occurs twice"


@dataclass
class Learned:
    """One round: the letters as numbers, and for each pair its key, count, candidacy and whether it joins."""

    symbols: list[int]
    keys: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    best: int = 0  # the largest count
    pair: int = 0  # the key of the pair that joins; 0 when no pair occurs twice
    joins: list[int] = field(default_factory=list)

    @property
    def n_left(self) -> int:
        """Tokens after it."""
        return len(self.symbols) - sum(self.joins)


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
    return chr(FIRST_SYMBOL + NEW - symbol) if symbol < 0 else MARKS[" "] if symbol == ord(" ") else chr(symbol)


def learned(state: State) -> list[Learned]:
    return learn(state.by_hand[0])


def page(tokenizer: Page) -> Page:
    """`tokenizer`: the sheet that reads the prompt, whose cost is shown."""
    here = Page(BY_HAND, "how merges are learned, with a text of your own", WIDTH, FIRST, "by_hand_")
    note = "How merges are learned, on one line of text: the most frequent pair becomes a new symbol: ①, then ②, ③ …"
    here.head(note, FIRST)
    words = f"Up to {WIDTH} letters. Merging ends when no pair occurs twice, or after {ROUNDS} rounds."
    here.add(Space(), typed("text", words, lambda state: state.by_hand[0], WIDTH, partial(text_goes_on, here)))
    words = f"A pair's number: {PAIR} × the first position of its left letter, plus that of its right letter."
    here.add(
        Beside(Texts({1: "tokens, at first → in the end", FIRST: words}, "note", {1: "label"}), whole(here)),
        Texts({FIRST: "Of several pairs that are the most frequent, the one with the largest number joins."}, "note"),
    )
    here.add(Block("positions", label="position", twin=lambda s: range(1, WIDTH + 1), style="index", named=False))
    for r in range(ROUNDS):
        here.add(*round_lines(here, r), Space())
    here.add(*utf8_lines(here), Space(2), *cost_lines(here, tokenizer))
    widths = {1: 30, TYPED: 18, ZERO: 4} | dict.fromkeys(range(FIRST, FIRST + WIDTH), 6.5)
    here.dresses.append(dress(widths, ORANGE, "D4", gridlines=False))
    return here


def places() -> Page:
    """The page for those who only ask where its lines lie, which doesn't depend on the tokenizer."""
    return page(Page(TOKENIZER, "", 1))


def text_goes_on(here: Page) -> str:
    """Whether there is a character after the last that is read; those beyond U+FFFF may be two units long."""
    numbers = here["0 number"]
    following = f'{WIDTH + 1}+({UNIT}-1)*COUNTIF({numbers.local},">65535")'
    return f"LEN({here['text'].local})>={following}"


def whole(here: Page) -> Part:
    """What all rounds together come to."""

    def formula() -> str:
        return f'COUNT({here["0 number"].local})&" → "&MAX({here[f"{ROUNDS - 1} so far"].local})'

    def twin(state: State) -> str:
        rounds = state.ask(learned)
        return f"{len(rounds[0].symbols)} → {rounds[-1].n_left}"

    return cell(TYPED, formula, twin, "quote", "whole", named=False)


# A round


def round_lines(here: Page, r: int) -> Iterator[Part]:
    """Its letters as numbers, their pairs, how often each occurs, which joins, and what is left."""

    def at(line: str, p: int) -> str:
        """A line at position p, which counts from 0."""
        return here[f"{r} {line}"].at(0, p)

    def all(line: str, back: int = 0) -> str:
        return here[f"{r - back} {line}"].local

    def line(name: str, label: str, formula: Step, twin: Callable[[Learned], Values], style: str = "id") -> Block:
        return strip(f"{r} {name}", label, formula, lambda s: twin(s.ask(learned)[r]), style=style)

    def beside(name: str, formula: Callable[[], str], twin: Callable[[Learned], Any], style: str) -> Block:
        return cell(TYPED, formula, lambda s: twin(s.ask(learned)[r]), style, f"{r} {name}", named=False)

    def letter(p: int) -> str:
        number = at("number", p)
        code = f"IF({number}<0,{FIRST_SYMBOL + NEW}-{number},IF({number}=32,{ord(MARKS[' '])},{number}))"
        return f'IF({number}="","",_xlfn.UNICHAR({code}))'

    def new(frame: Worksheet, area: Area) -> None:
        """A symbol that a join has made, marked."""
        put(frame, area, stands_out(f"N({here[f'{r} number'].stripe(0).cells})<0"))

    title = "The text" if r == 0 else f"After round {r}"
    yield replace(
        line("letter", title, letter, lambda this: [*map(letter_of, this.symbols)], "token"),
        label_style="name",
        colours=[new],
    )

    def number(p: int) -> str:
        """Of the text's letters their code points; then those that no join has swallowed, a new letter for a pair."""
        position = here["positions"].at(0, p)
        if r == 0:
            text, place = here["text"].local, position  # of the character: those before it may be two units long
            if p > 0:
                before = here["0 number"]
                place = f'({position}+({UNIT}-1)*COUNTIF(${before.at(0, 0)}:{before.at(0, p - 1)},">65535"))'
            return f'IF({place}>LEN({text}),"",IFERROR({code_point(text, place, f"LEN({text})")},65533))'
        left = here[f"{r - 1} so far"]
        from_zero = replace(left, column=left.column - 1, n_columns=left.n_columns + 1).local
        there = f"MATCH({position}-0.5,{from_zero},1)"
        new = f"IF(INDEX({all('joins', 1)},1,{there})=1,{NEW - r + 1},INDEX({all('number', 1)},1,{there}))"
        return f'IF({position}>MAX({left.local}),"",{new})'

    yield line("number", "as numbers", number, lambda this: this.symbols)

    def pair(p: int) -> str:
        if p == WIDTH - 1:
            return '""'
        left, right = (f"MATCH({at('number', q)},{all('number')},0)" for q in (p, p + 1))
        return f'IF({at("number", p)}="","",IF({at("number", p + 1)}="","",{left}*{PAIR}+{right}))'

    yield line("pair", "pair with the next letter", pair, lambda this: this.keys)

    def count(p: int) -> str:
        return f'IF({at("pair", p)}="","",COUNTIF({all("pair")},{at("pair", p)}))'

    yield Beside(
        line("count", "how often it occurs", count, lambda this: this.counts),
        beside("most", lambda: f"MAX({all('count')})", lambda this: this.best, "total"),
    )

    def candidate(p: int) -> str:
        """The pair, where it is one of the most frequent and occurs twice."""
        count, most, pair = at("count", p), all("most"), at("pair", p)
        return f'IF({pair}="","",IF({most}>1,IF({count}={most},{pair},""),""))'

    def candidates(this: Learned) -> list[int | str]:
        pairs = zip(this.keys, this.counts, strict=True)
        return [key if this.best > 1 and count == this.best else "" for key, count in pairs]

    yield Beside(
        line("candidate", "the most frequent pairs", candidate, candidates),
        beside("chosen", lambda: f"MAX({all('candidate')})", lambda this: this.pair, "id"),
    )

    def gone(p: int) -> str:
        """Whether the letter before has taken this one in."""
        return f"N({at('joins', p - 1)})=1" if p > 0 else "FALSE"

    def joins(p: int) -> str:
        chosen = all("chosen")
        return f'IF({at("number", p)}="","",IF({gone(p)},0,IF({chosen}=0,0,IF({at("pair", p)}={chosen},1,0))))'

    def rule() -> str:
        """The pair that joins, and its new letter."""
        left, place = all("letter"), f"MATCH(1,{all('joins')},0)"
        found = f'INDEX({left},1,{place})&INDEX({left},1,{place}+1)&" → {letter_of(NEW - r)}"'
        return f'IF({all("chosen")}=0,"{NO_PAIR}",{found})'

    def rule_now(this: Learned) -> str:
        if not this.pair:
            return NO_PAIR
        left, right = (letter_of(this.symbols[place - 1]) for place in divmod(this.pair, PAIR))
        return f"{left}{right} → {letter_of(NEW - r)}"

    yield Beside(
        line("joins", "joins the next letter?", joins, lambda this: this.joins, "flag"),
        beside("rule", rule, rule_now, "quote"),
    )

    def so_far(p: int) -> str:
        return f'{at("so far", p - 1)}+IF({at("number", p)}="",0,IF({gone(p)},0,1))'

    def so_far_now(this: Learned) -> list[int]:
        kept = [*accumulate(int(not swallowed) for swallowed in [0, *this.joins][: len(this.symbols)])]
        return kept + [kept[-1] if kept else 0] * (WIDTH - len(kept))

    def counted() -> str:
        """How many there were, and how many there are now."""
        return f'COUNT({all("number")})&" → "&MAX({all("so far")})&" tokens"'

    yield Beside(
        line("so far", "tokens left so far", so_far, so_far_now),
        beside("counted", counted, lambda this: f"{len(this.symbols)} → {this.n_left} tokens", "quote"),
        cell(ZERO, None, lambda state: 0, "index"),
    )
