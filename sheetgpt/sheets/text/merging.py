"""The Tokenizer sheet's columns of one merge round. Twin: `bpe.Round`, under the same names."""

from dataclasses import dataclass, replace

from sheetgpt.sheets.block import State
from sheetgpt.sheets.formulas import text_at
from sheetgpt.sheets.text.columns import Reader, column, in_text
from sheetgpt.sheets.text.reading import shown
from sheetgpt.text.bpe import NO_PAIR, Round


@dataclass(frozen=True)
class Merging:
    """Round r, which counts from 0; round 0 starts from single bytes."""

    on: Reader
    r: int

    def name(self, column: str, back: int = 0) -> str:
        return f"round {self.r - back} {column}"

    def at(self, column: str, i: int, back: int = 0) -> str:
        """The cell of byte i in this round, or so many rounds before it."""
        return self.on.at(self.name(column, back), i)

    def all(self, column: str, back: int = 0) -> str:
        return self.on[self.name(column, back)]

    def done(self, state: State) -> Round:
        rounds = state.read.rounds
        return rounds[self.r] if self.r < len(rounds) else Round()

    def table(self, name: str) -> str:
        """A column of the sheet Merges."""
        return self.on.merges[name].reference


def while_it_runs(this: Merging, i: int, source: str) -> str:
    """Blank where no pair was left to join."""
    return f'IF({this.all("runs")}=0,"",{in_text(this.on, i, source)})'


def at_tokens(this: Merging, i: int, source: str) -> str:
    """Blank inside a token."""
    return f'IF({this.at("id", i)}="","",{source})'


@column("id", 8, lambda this, state: this.done(state).id, guard=while_it_runs)
def id(this: Merging, i: int) -> str:
    """The id of the token that starts at this byte; blank inside a token."""
    on = this.on
    if this.r == 0:
        first = f"INDEX({on.character_table('byte_ids')},{on.at('byte', i)}+1)"
        if not on.tables.added:
            return first
        added, left = on.at("added", i), on.at("left", i)
        return f'IF({left}=0,{first},IF({added}>0,{on.of_added("added_ids", added)},""))'
    before, merged = this.at("id", i, 1), f"INDEX({this.table('merged')},{this.at('rank', i, 1)}+1)"
    kept = f"IF({this.at('merge', i, 1)}=1,{merged},{before})"
    if i > 0:  # swallowed by the token before it
        kept = f'IF({this.at("merge", i - 1, 1)}=1,"",{kept})'
    return f'IF({before}="","",{kept})'


@column("token", 13, lambda this, state: shown(state, this.done(state).id), "piece", at_tokens)
def token(this: Merging, i: int) -> str:
    id = this.at("id", i)
    return f'IF({id}<0,"?",{text_at(this.on.vocab_shown.reference, f"{id}+1")})'


@column("bytes", 7, lambda this, state: this.done(state).n_bytes, guard=at_tokens)
def n_bytes(this: Merging, i: int) -> str:
    """The length of the token that starts here; of one that has just joined, that of both."""
    if this.r == 0:
        return f"MAX({this.on.at('left', i)},1)"
    size = this.at("n_bytes", i, 1)
    swallowed = f"INDEX({this.all('n_bytes', 1)},{this.on.at('row', i)}+{size})"
    return f"IF({this.at('merge', i, 1)}=1,{size}+{swallowed},{size})"


@column("pair's rank", 12, lambda this, state: this.done(state).rank, "rank", at_tokens)
def rank(this: Merging, i: int) -> str:
    """left id * n_vocab + right id, looked up by binary search among the sorted keys of all merges."""
    after = f"{this.on.at('row', i)}+{this.at('n_bytes', i)}"
    key = f"{this.at('id', i)}*{this.on.tables.n_vocab}+INDEX({this.all('id')},{after})"
    place = f"MATCH({key},{this.table('keys')},1)"
    found = f"IF(INDEX({this.table('keys')},{place})={key},INDEX({this.table('ranks')},{place}),{NO_PAIR})"
    return f"IF({after}>{this.on.at('last', i)},{NO_PAIR},{found})"


@column("word's best", 12, lambda this, state: this.done(state).best, "rank", while_it_runs)
def best(this: Merging, i: int) -> str:
    """The smallest rank in the word down to this byte; at the word's last byte, that of the whole word."""
    rank, above = this.at("rank", i), this.at("best", i - 1)
    return rank if i == 0 else f"IF({this.on.at('start', i)}=1,{rank},MIN({above},{rank}))"


@column("joins?", 8, lambda this, state: this.done(state).merge, "joins", while_it_runs)
def merge(this: Merging, i: int) -> str:
    """1 on every byte of a token that joins with the next one: its pair has the word's smallest rank, and the token
    before it has not just taken it in.
    """
    rank, above = this.at("rank", i), this.at("merge", i - 1)
    best = f"INDEX({this.all('best')},{this.on.at('last', i)})"
    wins = f"IF({rank}={NO_PAIR},0,IF({rank}={best},1,0))"
    return wins if i == 0 else f'IF({rank}="",{above},IF({above}=1,0,{wins}))'


ROUND = (id, token, n_bytes, rank, best, merge)
ROUND_WORKINGS = (n_bytes, best)  # folded


def runs(this: Merging) -> str:
    """1 while the round before left something to merge."""
    return f"IF({this.all('open', 1)}>0,1,0)" if this.r else f"IF({this.on['length']}=0,0,1)"


def runs_now(this: Merging, state: State) -> int:
    return int(this.r < len(state.read.rounds))


def open_pairs(this: Merging) -> str:
    """How many pairs can merge in this round."""
    return f'COUNTIF({this.all("rank")},"<{NO_PAIR}")'


def open_now(this: Merging, state: State) -> int:
    return this.done(state).n_open


def all_rounds(on: Reader) -> str:
    """How many ran."""
    return f"SUM({replace(on.page['round 0 runs'], n_columns=len(ROUND) * on.sizes.rounds).local})"


@column("token id", 15, lambda on, state: state.read.final, "piece")
def final(on: Reader, i: int) -> str:
    """The id after the last round that ran."""
    n = len(ROUND)
    line = replace(on.page["round 0 id"].line(i), n_columns=n * on.sizes.rounds).local
    return f"INDEX({line},1,{n}*{on['n_rounds']}-{n - 1})"
