"""The Tokenizer sheet's columns, a byte of the text a row: characters, kinds, words, and the tokens that come out.

Twin: `bpe.Trace`, where the same columns are computed in Python under the same names.
"""

from collections.abc import Sequence
from itertools import accumulate

from sheetgpt.sheets.block import State
from sheetgpt.sheets.formulas import code_point, text_at
from sheetgpt.sheets.text.columns import Reader, always, column, in_list, numbers
from sheetgpt.text import shown as shown_as
from sheetgpt.text.bpe import Cell
from sheetgpt.text.characters import ADDED, LETTER, NAMES, SPACE
from sheetgpt.text.tokenizer import byte_to_unicode

BLANK, APOSTROPHE = ord(" "), ord("'")
MARKS = {ord(character): mark for character, mark in shown_as.MARKS.items()}
WIDE = 0xFFFF  # characters beyond are two units in UTF-16


def shown(state: State, ids: Sequence[Cell]) -> list[str]:
    """Tokens as they are shown; "?" for one that the model has no row for."""
    return ["" if id == "" else "?" if id < 0 else state.shown[id] for id in ids]


row = numbers("row", "byte", 6, lambda sizes: sizes.capacity)

# Characters


@column("place in the text", 18, lambda on, state: state.read.position, guard=always)
def position(on: Reader, i: int) -> str:
    """Where this byte's character stands in the text: the byte above's, or the next one's."""
    if i == 0:
        return f'IF({on["length"]}=0,"",1)'
    here = on.at("position", i - 1)
    following = f"{here}+{width(on, i - 1)}"
    inside = f"{on.at('nth', i - 1)}<{on.at('n_bytes', i - 1)}"
    return f'IF({here}="","",IF({inside},{here},IF({following}>{on["length"]},"",{following})))'


def width(on: Reader, i: int) -> str:
    """Characters beyond U+FFFF are two units long where a spreadsheet counts in UTF-16, as Excel does."""
    return f"IF({on.at('code', i)}>{WIDE},{on['unit']},1)"


def symbol(code: int) -> str:
    return MARKS.get(code) or (chr(9216 + code) if code < 32 else chr(code))


def symbols(on: Reader, state: State) -> list[str]:
    return ["" if nth > 1 else symbol(code) for code, nth in zip(state.read.code, state.read.nth, strict=True)]


@column("character", 11, symbols, "piece")
def character(on: Reader, i: int) -> str:
    """To look at, as tokens are: the space as ·, a line feed as ↵, other control characters as their symbols."""
    code = on.at("code", i)
    visible = f'IF({code}<32,_xlfn.UNICHAR(9216+{code}),IFERROR(_xlfn.UNICHAR({code}),""))'
    for marked, mark in reversed(MARKS.items()):
        visible = f'IF({code}={marked},"{mark}",{visible})'
    return f'IF({on.at("nth", i)}>1,"",{visible})'


@column("code point", 12, lambda on, state: state.read.code)
def code(on: Reader, i: int) -> str:
    """-1 where UNICODE refuses half a character that stands alone."""
    found = f"IFERROR({code_point(on['text'], on.at('position', i), on['length'])},-1)"
    return found if i == 0 else f"IF({on.at('nth', i)}>1,{on.at('code', i - 1)},{found})"


@column("its bytes", 10, lambda on, state: state.read.n_bytes)
def n_bytes(on: Reader, i: int) -> str:
    """UTF-8 (RFC 3629): one byte up to U+007F, two up to U+07FF, three up to U+FFFF, four beyond."""
    code = on.at("code", i)
    return f"IF({code}<128,1,IF({code}<2048,2,IF({code}<65536,3,4)))"


@column("which of them", 14, lambda on, state: state.read.nth)
def nth(on: Reader, i: int) -> str:
    """1, 2, … up to the character's number of bytes, then 1 again for the next character."""
    above, size = on.at("nth", i - 1), on.at("n_bytes", i - 1)
    return "1" if i == 0 else f"IF({above}<{size},{above}+1,1)"


@column("value", 15, lambda on, state: state.read.byte)
def byte(on: Reader, i: int) -> str:
    """Six bits a byte, the first with as many leading ones as the character has bytes."""
    code, n, nth = (on.at(name, i) for name in ("code", "n_bytes", "nth"))
    first = f"256-2^(8-{n})+INT({code}/64^({n}-1))"
    return f"IF({n}=1,MAX({code},0),IF({nth}=1,{first},128+MOD(INT({code}/64^({n}-{nth})),64)))"


def letters(on: Reader, state: State) -> list[str]:
    letter_of = byte_to_unicode()
    return [MARKS[BLANK] if byte == BLANK else letter_of[byte] for byte in state.read.byte]


@column("GPT-2's sign", 13, letters, "piece")
def letter(on: Reader, i: int) -> str:
    """As GPT-2's files write the byte; but a space is · wherever it is seen, which is Ġ there."""
    found = f"INDEX({on.character_table('letters')},{on.at('byte', i)}+1)"
    return f'IF({on.at("byte", i)}={BLANK},"{MARKS[BLANK]}",{found})'


# Added tokens and kinds of characters


@column("special token no.", 17, lambda on, state: state.read.added, "rare")
def added(on: Reader, i: int) -> str:
    """The number of the longest added token that starts here; the table has the longest last."""
    if not on.tables.groups:
        return "0"
    if on.sizes.n_groups:
        return f"MAX({','.join(on.at(f'group {g}', i) for g in range(on.sizes.n_groups))})"
    return longest_of(0, on, i)


def longest_of(g: int, on: Reader, i: int) -> str:
    """The same among one group. Token by token: MID and EXACT take one text, and a range of texts only by an
    array's rules, which engines read differently; in LibreOffice this is also faster."""
    lengths, texts = (on.characters[f"added_{name}"] for name in ("lengths", "texts"))
    here = f"MID({on['text']},{on.at('position', i)},"
    same = [
        f"EXACT({here}{lengths.line(k - 1).reference}),{texts.line(k - 1).reference})*{k}"
        for k, _ in on.tables.groups[g]
    ]
    found = f"MAX({','.join(same)})"
    return found if i == 0 else f"IF({on.at('nth', i)}>1,0,IF({on.at('left', i - 1)}>1,0,{found}))"


def found_of(g: int, on: Reader, state: State) -> list[int]:
    """Twin of `longest_of`, where there are several groups."""
    found: list[int] = state.read.groups[g]
    return found


@column("bytes left of it", 16, lambda on, state: state.read.left, "rare")
def left(on: Reader, i: int) -> str:
    """Bytes that are left of an added token, this one included; 0 outside of one."""
    if not on.tables.added:
        return "0"
    added, above = on.at("added", i), on.at("left", i - 1)
    first = f"IF({added}>0,{on.of_added('added_bytes', added)},0)"
    return first if i == 0 else f"IF({above}>1,{above}-1,{first})"


@column("kind, a number", 15, lambda on, state: state.read.kind)
def kind(on: Reader, i: int) -> str:
    """ADDED inside an added token, else what the table of ranges says of the code point: a binary search."""
    kinds, starts = on.character_table("kinds"), on.character_table("kind_starts")
    found = f"INDEX({kinds},MATCH(MAX({on.at('code', i)},0),{starts},1))"
    if i > 0:
        found = f"IF({on.at('nth', i)}>1,{on.at('kind', i - 1)},{found})"
    return f"IF({on.at('left', i)}>0,{ADDED},{found})"


@column("kind", 19, lambda on, state: [NAMES[kind] for kind in state.read.kind])
def kind_name(on: Reader, i: int) -> str:
    """The kind in words."""
    names = ",".join(f'"{name}"' for name in NAMES)
    return f"CHOOSE({on.at('kind', i)}+1,{names})"


# Words


@column("starts a word?", 15, lambda on, state: state.read.start, "rare")
def start(on: Reader, i: int) -> str:
    """1 where a piece of GPT-2's pattern starts: 's|'t|'re|… | ?letters | ?numbers | ?others | spaces.

    Of a character's bytes only the first can. An added token is a piece by itself, and so is a short ending: the
    byte after either starts one, a byte inside does not. A space starts one after anything but a space; after a
    space only if it is the last before something else, to which it then belongs. Anything else starts one unless a
    space stands before it, or a character of its own kind.
    """
    if i == 0:
        return "1"
    kind, above, short = on.at("kind", i), on.at("kind", i - 1), on.at("short", i - 1)
    kinds = on.page["kind"].rows_of(0, on.sizes.capacity + 4).local  # what follows the last byte is blank
    after = f"N(INDEX({kinds},{on.at('row', i)}+{on.at('n_bytes', i)}))"
    space = f"IF({above}<>{SPACE},1,IF({after}>{SPACE},1,0))"
    other = f"IF({on.at('code', i - 1)}={BLANK},0,IF({above}={kind},0,1))"
    inside = f"IF({above}={ADDED},1,IF({short}=1,1,IF({short}>1,0,IF({kind}={SPACE},{space},{other}))))"
    added = f"IF({on.at('added', i)}>0,1,0)"
    return f"IF({on.at('nth', i)}>1,0,IF({kind}={ADDED},{added},{inside}))"


@column("short ending?", 14, lambda on, state: state.read.short, "rare")
def short(on: Reader, i: int) -> str:
    """Bytes that are left of 's 't 'm 'd 're 've 'll, this one included; 0 outside of one.

    One begins where a piece starts with an apostrophe that is in no added token, and letters follow that fit.
    """
    # 0 where no piece starts, or one of kind ADDED, which is 0
    above, begins = on.at("short", i - 1), f"{on.at('start', i)}*{on.at('kind', i)}"
    (b1, k1), (b2, k2) = ((on.at("byte", i + n), on.at("kind", i + n)) for n in (1, 2))
    long = ",".join(f"AND({b1}={ord(a)},{b2}={ord(b)})" for a, b in ("re", "ve", "ll"))
    two = ",".join(f"{b1}={ord(a)}" for a in "stmd")
    found = f"IF({k1}<>{LETTER},0,IF(OR({two}),2,IF({k2}<>{LETTER},0,IF(OR({long}),3,0))))"
    first = f"IF({on.at('byte', i)}<>{APOSTROPHE},0,IF({begins}=0,0,{found}))"
    return first if i == 0 else f"IF({above}>1,{above}-1,{first})"


@column("word no.", 20, lambda on, state: state.read.word)
def word(on: Reader, i: int) -> str:
    """The number of the piece: one more wherever one starts."""
    return "1" if i == 0 else f"{on.at('word', i - 1)}+{on.at('start', i)}"


@column("ends at byte", 13, lambda on, state: state.read.last)
def last(on: Reader, i: int) -> str:
    """The row of the word's last byte, handed up from below."""
    same = f"{on.at('word', i + 1)}={on.at('word', i)}"
    return f"IF({same},{on.at('last', i + 1)},{on.at('row', i)})"


# Tokens


def counted(on: Reader, state: State) -> list[int]:
    counts = [*accumulate(int(token != "") for token in state.read.final)]
    return counts + [counts[-1] if counts else 0] * (on.sizes.capacity - len(counts))


@column("tokens so far", 14, counted, guard=always)
def count(on: Reader, i: int) -> str:
    """Tokens that have started down to this byte."""
    above = on.at("count", i - 1)
    return f'IF({on.at("final", i)}="",{above},{above}+1)'


# The list of tokens: a row a token


number = numbers("number", "no.", 6, lambda sizes: sizes.n_ids)


@column("from byte", 10, lambda on, state: state.read.starts, guard=in_list)
def at(on: Reader, i: int) -> str:
    """The row where the count reaches this number: a binary search in a column that never falls."""
    before, after = on.tables.prefix, on.tables.suffix
    if i < len(before):
        return '""'
    counts = on.page["count"].rows_of(-1, on.sizes.capacity + 1).local  # from the 0 above on
    found = f"MATCH({on.at('number', i)}-{len(before) + 0.5:g},{counts},1)"
    if after:
        return f'IF({after_text(on, i)}>0,"",{found})'
    return found if i > 0 else f'IF({on["length"]}=0,"",{found})'


def after_text(on: Reader, i: int) -> str:
    """1, 2, … for the tokens after the text."""
    return f"{on.at('number', i)}-{on['n_tokens']}+{len(on.tables.suffix)}"


@column("id", 9, lambda on, state: state.read.ids, "piece", in_list)
def ids(on: Reader, i: int) -> str:
    """The id of token i; before and after the text those that the tokenizer adds; <|endoftext|> for no text."""
    tables, found = on.tables, f"INDEX({on['final']},{on.at('at', i)})"
    if i < len(tables.prefix):
        return str(tables.prefix[i])
    if tables.suffix:
        ends = ",".join(map(str, tables.suffix))
        return f"IF({after_text(on, i)}>0,CHOOSE({after_text(on, i)},{ends}),{found})"
    return found if i > 0 or not tables.empty else f"IF({on['length']}=0,{tables.empty[0]},{found})"


@column("token", 16, lambda on, state: shown(state, state.read.ids), "piece", in_list)
def token(on: Reader, i: int) -> str:
    return text_at(on.vocab_shown.reference, f"{on.at('ids', i)}+1")
