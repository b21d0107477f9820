"""The Tokenizer sheet's formulas, a function a column: each gives the formula for byte i, counting from 0.

Twin: `bpe.py`, where the same columns are computed in Python under the same names. Every formula stands behind one
guard, so that rows past the end of the text cost next to nothing.
"""

from collections.abc import Callable

from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.formulas import code_point, text_at
from sheetgpt.sheets.text.tokenizer_layout import COLUMNS, ROUND, TokenizerLayout
from sheetgpt.text.bpe import NO_PAIR
from sheetgpt.text.characters import ADDED, LETTER, NAMES, SPACE

Formula = Callable[[int], str]

BLANK, APOSTROPHE = ord(" "), ord("'")
WIDE = 0xFFFF  # characters beyond are two units in UTF-16


class Steps:
    """The formulas of one layout, without `=`."""

    def __init__(self, layout: TokenizerLayout) -> None:
        self.layout = layout
        self.text, self.length, self.unit = (layout.cells[name].local for name in ("text", "length", "unit"))
        self.tables = {name: area.reference for name, area in layout.lookups.items()}
        self.columns = {name: layout.column(name) for name in COLUMNS}

    def cell(self, name: str, i: int) -> str:
        return self.columns[name].at(i)

    @property
    def only_one(self) -> bool:
        """Whether the tables of added tokens have a single row."""
        return len(self.layout.tables.added) == 1

    def of_added(self, name: str, number: str) -> str:
        """An added token's entry in a table, by its number; INDEX of a single cell fails in Gnumeric."""
        return self.tables[name] if self.only_one else f"INDEX({self.tables[name]},{number})"

    def guarded(self, i: int, source: str) -> str:
        """Blank past the end of the text."""
        return f'IF({self.cell("position", i)}="","",{source})'

    def step(self, name: str) -> Formula:
        formula: Formula = getattr(self, name)
        if name in ("position", "count", "at", "id", "token"):  # these have guards of their own
            return formula
        return lambda i: self.guarded(i, formula(i))

    # Characters

    def position(self, i: int) -> str:
        """Where this byte's character stands in the text: the byte above's, or the next one's."""
        if i == 0:
            return f'IF({self.length}=0,"",1)'
        here = self.cell("position", i - 1)
        following = f"{here}+{self.width(i - 1)}"
        inside = f"{self.cell('nth', i - 1)}<{self.cell('n_bytes', i - 1)}"
        return f'IF({here}="","",IF({inside},{here},IF({following}>{self.length},"",{following})))'

    def width(self, i: int) -> str:
        """Characters beyond U+FFFF are two units long where a spreadsheet counts in UTF-16, as Excel does."""
        return f"IF({self.cell('code', i)}>{WIDE},{self.unit},1)"

    def character(self, i: int) -> str:
        """To look at: control characters as their symbols, the space as ␣, which more fonts have than its own."""
        code = self.cell("code", i)
        visible = f'IF({code}<32,_xlfn.UNICHAR(9216+{code}),IFERROR(_xlfn.UNICHAR({code}),""))'
        shown = f'IF({code}=32,"␣",{visible})'
        return f'IF({self.cell("nth", i)}>1,"",{shown})'

    def code(self, i: int) -> str:
        """-1 where UNICODE refuses half a character that stands alone."""
        found = f"IFERROR({code_point(self.text, self.cell('position', i), self.length)},-1)"
        return found if i == 0 else f"IF({self.cell('nth', i)}>1,{self.cell('code', i - 1)},{found})"

    def n_bytes(self, i: int) -> str:
        """UTF-8 (RFC 3629): one byte up to U+007F, two up to U+07FF, three up to U+FFFF, four beyond."""
        code = self.cell("code", i)
        return f"IF({code}<128,1,IF({code}<2048,2,IF({code}<65536,3,4)))"

    def nth(self, i: int) -> str:
        """1, 2, … up to the character's number of bytes, then 1 again for the next character."""
        above, size = self.cell("nth", i - 1), self.cell("n_bytes", i - 1)
        return "1" if i == 0 else f"IF({above}<{size},{above}+1,1)"

    def byte(self, i: int) -> str:
        """Six bits a byte, the first with as many leading ones as the character has bytes."""
        code, n, nth = (self.cell(name, i) for name in ("code", "n_bytes", "nth"))
        first = f"256-2^(8-{n})+INT({code}/64^({n}-1))"
        return f"IF({n}=1,MAX({code},0),IF({nth}=1,{first},128+MOD(INT({code}/64^({n}-{nth})),64)))"

    def letter(self, i: int) -> str:
        return f"INDEX({self.tables['letters']},{self.cell('byte', i)}+1)"

    # Added tokens and kinds of characters

    def added(self, i: int) -> str:
        """The number of the longest added token that starts here; the table has the longest last."""
        if not self.layout.tables.groups:
            return "0"
        if self.layout.n_groups:
            columns = (self.layout.group(g).at(i) for g in range(self.layout.n_groups))
            return f"MAX({','.join(columns)})"
        return self.group(0, i)

    def group(self, g: int, i: int) -> str:
        """The same among one group. Token by token: MID and EXACT take one text, and a range of texts only by an
        array's rules, which engines read differently; in LibreOffice this is also faster."""
        lengths, texts = (self.layout.lookups[f"added_{name}"] for name in ("lengths", "texts"))
        here = f"MID({self.text},{self.cell('position', i)},"
        same = [
            f"EXACT({here}{lengths.line(k - 1).reference}),{texts.line(k - 1).reference})*{k}"
            for k, _ in self.layout.tables.groups[g]
        ]
        found = f"MAX({','.join(same)})"
        return found if i == 0 else f"IF({self.cell('nth', i)}>1,0,IF({self.cell('left', i - 1)}>1,0,{found}))"

    def left(self, i: int) -> str:
        """Bytes that are left of an added token, this one included; 0 outside of one."""
        if "added_texts" not in self.tables:
            return "0"
        added, above = self.cell("added", i), self.cell("left", i - 1)
        first = f"IF({added}>0,{self.of_added('added_bytes', added)},0)"
        return first if i == 0 else f"IF({above}>1,{above}-1,{first})"

    def kind(self, i: int) -> str:
        """ADDED inside an added token, else what the table of ranges says of the code point: a binary search."""
        kinds, starts = self.tables["kinds"], self.tables["kind_starts"]
        found = f"INDEX({kinds},MATCH(MAX({self.cell('code', i)},0),{starts},1))"
        if i > 0:
            found = f"IF({self.cell('nth', i)}>1,{self.cell('kind', i - 1)},{found})"
        return f"IF({self.cell('left', i)}>0,{ADDED},{found})"

    def kind_name(self, i: int) -> str:
        """The kind in words."""
        names = ",".join(f'"{name}"' for name in NAMES)
        return f"CHOOSE({self.cell('kind', i)}+1,{names})"

    # Words

    def start(self, i: int) -> str:
        """1 where a piece of GPT-2's pattern starts: 's|'t|'re|… | ?letters | ?numbers | ?others | spaces.

        Of a character's bytes only the first can. An added token is a piece by itself, and so is a short ending: the
        byte after either starts one, a byte inside does not. A space starts one after anything but a space; after a
        space only if it is the last before something else, to which it then belongs. Anything else starts one unless a
        space stands before it, or a character of its own kind.
        """
        if i == 0:
            return "1"
        kind, above, short = self.cell("kind", i), self.cell("kind", i - 1), self.cell("short", i - 1)
        area = self.layout.column("kind")
        kinds = area.rows_of(0, area.n_rows + 4).local  # what follows the last byte is blank
        after = f"N(INDEX({kinds},{self.cell('row', i)}+{self.cell('n_bytes', i)}))"
        space = f"IF({above}<>{SPACE},1,IF({after}>{SPACE},1,0))"
        other = f"IF({self.cell('code', i - 1)}={BLANK},0,IF({above}={kind},0,1))"
        inside = f"IF({above}={ADDED},1,IF({short}=1,1,IF({short}>1,0,IF({kind}={SPACE},{space},{other}))))"
        added = f"IF({self.cell('added', i)}>0,1,0)"
        return f"IF({self.cell('nth', i)}>1,0,IF({kind}={ADDED},{added},{inside}))"

    def short(self, i: int) -> str:
        """Bytes that are left of 's 't 'm 'd 're 've 'll, this one included; 0 outside of one.

        One begins where a piece starts with an apostrophe that is in no added token, and letters follow that fit.
        """
        # 0 where no piece starts, or one of kind ADDED, which is 0
        above, begins = self.cell("short", i - 1), f"{self.cell('start', i)}*{self.cell('kind', i)}"
        (b1, k1), (b2, k2) = ((self.cell("byte", i + n), self.cell("kind", i + n)) for n in (1, 2))
        long = ",".join(f"AND({b1}={ord(a)},{b2}={ord(b)})" for a, b in ("re", "ve", "ll"))
        two = ",".join(f"{b1}={ord(a)}" for a in "stmd")
        found = f"IF({k1}<>{LETTER},0,IF(OR({two}),2,IF({k2}<>{LETTER},0,IF(OR({long}),3,0))))"
        first = f"IF({self.cell('byte', i)}<>{APOSTROPHE},0,IF({begins}=0,0,{found}))"
        return first if i == 0 else f"IF({above}>1,{above}-1,{first})"

    def word(self, i: int) -> str:
        """The number of the piece: one more wherever one starts."""
        return "1" if i == 0 else f"{self.cell('word', i - 1)}+{self.cell('start', i)}"

    def last(self, i: int) -> str:
        """The row of the word's last byte, handed up from below."""
        same = f"{self.cell('word', i + 1)}={self.cell('word', i)}"
        return f"IF({same},{self.cell('last', i + 1)},{self.cell('row', i)})"

    # Result

    def final(self, i: int) -> str:
        """The id after the last round that ran."""
        first, end = self.layout.round(0, "id"), self.layout.round(self.layout.rounds - 1, ROUND[-1])
        line = Area(first.sheet, first.row + i, first.column, 1, end.column - first.column + 1).local
        return f"INDEX({line},1,{len(ROUND)}*{self.layout.cells['n_rounds'].local}-{len(ROUND) - 1})"

    def count(self, i: int) -> str:
        """Tokens that have started down to this byte."""
        above = self.cell("count", i - 1)
        return f'IF({self.cell("final", i)}="",{above},{above}+1)'

    def listed(self, i: int, source: str) -> str:
        """Blank past the last token."""
        return f'IF({self.cell("number", i)}>{self.layout.cells["n_tokens"].local},"",{source})'

    def at(self, i: int) -> str:
        """The row where the count reaches this number: a binary search in a column that never falls."""
        tables = self.layout.tables
        if i < len(tables.prefix):
            return self.listed(i, '""')
        counts = self.layout.column("count").rows_of(-1, self.layout.capacity + 1).local  # from the 0 above on
        found = f"MATCH({self.cell('number', i)}-{len(tables.prefix) + 0.5:g},{counts},1)"
        if tables.suffix:
            return self.listed(i, f'IF({self.after_text(i)}>0,"",{found})')
        return self.listed(i, found if i > 0 else f'IF({self.length}=0,"",{found})')

    def after_text(self, i: int) -> str:
        """1, 2, … for the tokens after the text."""
        n_tokens = self.layout.cells["n_tokens"].local
        return f"{self.cell('number', i)}-{n_tokens}+{len(self.layout.tables.suffix)}"

    def id(self, i: int) -> str:
        """The id of token i; before and after the text those that the tokenizer adds; <|endoftext|> for no text."""
        tables, found = self.layout.tables, f"INDEX({self.layout.column('final').local},{self.cell('at', i)})"
        if i < len(tables.prefix):
            return self.listed(i, str(tables.prefix[i]))
        if tables.suffix:
            ends = ",".join(map(str, tables.suffix))
            return self.listed(i, f"IF({self.after_text(i)}>0,CHOOSE({self.after_text(i)},{ends}),{found})")
        return self.listed(i, found if i > 0 or not tables.empty else f"IF({self.length}=0,{tables.empty[0]},{found})")

    def token(self, i: int) -> str:
        return self.listed(i, text_at(self.layout.vocab_shown.reference, f"{self.cell('id', i)}+1"))


class RoundSteps:
    """The formulas of merge round r; round 0 starts from single bytes."""

    def __init__(self, steps: Steps, r: int) -> None:
        self.steps, self.layout, self.tables, self.r = steps, steps.layout, steps.tables, r

    def cell(self, name: str, i: int, back: int = 0) -> str:
        return self.layout.round(self.r - back, name).at(i)

    @property
    def runs(self) -> str:
        """The cell that says whether this round has anything to do."""
        return self.layout.runs(self.r).local

    def guarded(self, i: int, source: str) -> str:
        return f'IF({self.runs}=0,"",{self.steps.guarded(i, source)})'

    def step(self, name: str) -> Formula:
        formula: Formula = getattr(self, name)
        if name in ("id", "best", "merge"):
            return lambda i: self.guarded(i, formula(i))
        return lambda i: f'IF({self.cell("id", i)}="","",{formula(i)})'

    def id(self, i: int) -> str:
        """The id of the token that starts at this byte; blank inside a token."""
        if self.r == 0:
            first = f"INDEX({self.tables['byte_ids']},{self.steps.cell('byte', i)}+1)"
            if "added_ids" not in self.tables:
                return first
            added, left = self.steps.cell("added", i), self.steps.cell("left", i)
            return f'IF({left}=0,{first},IF({added}>0,{self.steps.of_added("added_ids", added)},""))'
        before, merged = self.cell("id", i, 1), f"INDEX({self.tables['merged']},{self.cell('rank', i, 1)}+1)"
        kept = f"IF({self.cell('merge', i, 1)}=1,{merged},{before})"
        if i > 0:  # swallowed by the token before it
            kept = f'IF({self.cell("merge", i - 1, 1)}=1,"",{kept})'
        return f'IF({before}="","",{kept})'

    def token(self, i: int) -> str:
        token = self.cell("id", i)
        return f'IF({token}<0,"?",{text_at(self.layout.vocab_shown.reference, f"{token}+1")})'

    def n_bytes(self, i: int) -> str:
        """The length of the token that starts here; of one that has just joined, that of both."""
        if self.r == 0:
            return f"MAX({self.steps.cell('left', i)},1)"
        size = self.cell("n_bytes", i, 1)
        swallowed = f"INDEX({self.layout.round(self.r - 1, 'n_bytes').local},{self.steps.cell('row', i)}+{size})"
        return f"IF({self.cell('merge', i, 1)}=1,{size}+{swallowed},{size})"

    def rank(self, i: int) -> str:
        """left id * n_vocab + right id, looked up by binary search among the sorted keys of all merges."""
        after = f"{self.steps.cell('row', i)}+{self.cell('n_bytes', i)}"
        right = f"INDEX({self.layout.round(self.r, 'id').local},{after})"
        key = f"{self.cell('id', i)}*{self.layout.tables.n_vocab}+{right}"
        place = f"MATCH({key},{self.tables['keys']},1)"
        found = f"IF(INDEX({self.tables['keys']},{place})={key},INDEX({self.tables['ranks']},{place}),{NO_PAIR})"
        return f"IF({after}>{self.steps.cell('last', i)},{NO_PAIR},{found})"

    def best(self, i: int) -> str:
        """The smallest rank in the word down to this byte; at the word's last byte, that of the whole word."""
        rank, above = self.cell("rank", i), self.cell("best", i - 1)
        return rank if i == 0 else f"IF({self.steps.cell('start', i)}=1,{rank},MIN({above},{rank}))"

    def merge(self, i: int) -> str:
        """1 on every byte of a token that joins with the next one: its pair has the word's smallest rank, and the token
        before it has not just taken it in.
        """
        rank, above = self.cell("rank", i), self.cell("merge", i - 1)
        best = f"INDEX({self.layout.round(self.r, 'best').local},{self.steps.cell('last', i)})"
        wins = f"IF({rank}={NO_PAIR},0,IF({rank}={best},1,0))"
        return wins if i == 0 else f'IF({rank}="",{above},IF({above}=1,0,{wins}))'
