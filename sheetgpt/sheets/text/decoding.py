"""The Decoding sheet: token ids become bytes and bytes become text again, tokens and bytes each down the rows.

Twin: `utf8.decode`. A token can hold half a character, so decoding works on the bytes of all tokens together.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate

import numpy as np

from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, State, Values, cell
from sheetgpt.sheets.formulas import text_at
from sheetgpt.sheets.grid import DECODING
from sheetgpt.sheets.page import Beside, Page, Texts
from sheetgpt.sheets.style.looks import ORANGE, dress
from sheetgpt.text.utf8 import Decoded, decode

NOTE = "From token ids to text: tokens left, their bytes right. \ufffd marks bytes that form no character."
TOKEN_HEADS = ("no.", "id", "token", "bytes, hexadecimal", "bytes", "ends at")
BYTE_HEADS = ("byte", "of token", "byte no.", "byte", "still needs", "code point", "text so far")
FIRST_OF_BYTES, END, SAID = 8, 6, 4  # columns: of the bytes' part, of the tokens' ends, of the text in full
MORE = "…"  # the text goes on, but the sheet doesn't

Step = Callable[[int], str]  # the formula of a row


def n_bytes(n_tokens: int) -> int:
    """The bytes that the sheet has rows for: 16 a token, which is four times what text needs."""
    return min(max(512, 16 * n_tokens), 4096)


@dataclass(frozen=True)
class Spelled:
    """What a state's tokens spell."""

    tokens: Sequence[bytes]
    done: Decoded

    @property
    def data(self) -> bytes:
        return b"".join(self.tokens)

    @property
    def places(self) -> list[tuple[int, int]]:
        """Of each byte: the token's number and the byte's in it, from 1."""
        return [(k, j) for k, token in enumerate(self.tokens, 1) for j in range(1, len(token) + 1)]


def spelled(state: State) -> Spelled:
    tokens = [bytes.fromhex(state.hexes[i]) for i in state.prompt.ids]
    return Spelled(tokens, decode(b"".join(tokens)))  # in full: a character that the sheet's end cuts shows nothing yet


def split_text(capacity: int, ids: Sequence[int], n_prompt: int, n_shown: int, hexes: Sequence[str]) -> tuple[str, str]:
    """What the first `n_prompt` ids spell, as far as the sheet shows it, and what those up to `n_shown` add to that."""
    ends = np.cumsum([0, *(len(hexes[i]) // 2 for i in ids)])
    texts = decode([byte for i in ids for byte in bytes.fromhex(hexes[i])]).text
    start, whole = (texts[n - 1] if n else "" for n in np.minimum(ends[[n_prompt, n_shown]], capacity))
    return start, whole[len(start) :] + MORE * bool(ends[n_shown] > capacity)


def page(ids: Area, vocab_shown: Area, vocab_hex: Area, name: str = "completion", capacity: int = 512) -> Page:
    """`ids`: a row or column of cells, blank after the last id; `vocab_hex`: each token's bytes, by id; `name`: of the
    cell with the text; `capacity`: bytes.
    """
    here = Page(DECODING, "token ids become bytes, and bytes become text", 1)
    here.head(NOTE, SAID)

    def whole() -> str:
        texts, total = here["text"].local, here["total"].local
        seen = f'INDEX({texts},MIN({total},{capacity}))&IF({total}>{capacity},"{MORE}","")'
        return f'IF({total}=0,"",{seen})'

    def whole_now(state: State) -> str:
        texts = state.ask(spelled).done.text
        return (texts[:capacity][-1] if texts else "") + MORE * (len(texts) > capacity)

    def total() -> str:
        return here["end"].at(here["end"].n_rows - 1)

    room = f"of {capacity:,} that fit on this sheet"
    here.add(
        Beside(Texts({1: "text"}, "name"), cell(SAID, whole, whole_now, "quote", name)),
        Beside(
            Texts({1: "bytes", SAID + 1: room}, styles={1: "name", SAID + 1: "note"}),
            cell(SAID, total, lambda state: len(state.ask(spelled).data), "total", "total", named=False),
        ),
    )
    bars = {1: "1 Tokens and their bytes", FIRST_OF_BYTES: "2 Bytes and their characters"}
    heads = dict(enumerate(TOKEN_HEADS, 1)) | dict(enumerate(BYTE_HEADS, FIRST_OF_BYTES))
    n_columns = FIRST_OF_BYTES + len(BYTE_HEADS)
    here.add(Texts({c: bars.get(c, "") for c in range(1, n_columns)}, "section"), Texts(heads))
    here.add(cell(END, None, lambda state: 0, "index"))
    first_row = here.row
    here.add(Beside(*of_tokens(here, ids, vocab_shown, vocab_hex), *of_bytes(here, capacity)))
    widths = dict(enumerate((6, 9, 16, 26, 7, 9, 4, 7, 9, 9, 7, 11, 11, 60), 1))
    here.dresses.append(dress(widths, ORANGE, f"A{first_row}", gridlines=False))
    return here


def column(
    place: int, name: str, n_rows: int, step: Step | None, twin: Callable[[State], Values], style: str = "id"
) -> Block:
    formula = None if step is None else lambda i, j: step(i)
    return Block(name, n_rows, 1, formula, twin, label=None, style=style, column=place, named=False)


def of_tokens(here: Page, ids: Area, vocab_shown: Area, vocab_hex: Area) -> Iterator[Block]:
    """A token a row."""
    n = ids.n_cells

    def id(k: int) -> str:
        row = "1," if ids.n_rows == 1 else ""  # Gnumeric takes a lone number for a row, along a line too
        cell = f"INDEX({ids.reference},{row}{here['number'].at(k)})"
        return f'IF(ISNUMBER({cell}),{cell},"")'

    def of_vocabulary(column: Area) -> Step:
        def entry(k: int) -> str:
            id = here["id"].at(k)
            return f'IF({id}="","",{text_at(column.reference, f"{id}+1")})'

        return entry

    def size(k: int) -> str:
        return f"LEN({here['hex'].at(k)})/2"

    def sizes(state: State) -> list[int]:
        found = [len(token) for token in state.ask(spelled).tokens]
        return found + [0] * (n - len(found))

    def end(k: int) -> str:
        return f"{here['end'].at(k - 1)}+{here['size'].at(k)}"

    yield column(1, "number", n, None, lambda state: range(1, n + 1), "index")
    yield column(2, "id", n, id, lambda state: [*state.prompt.ids])
    yield column(3, "token", n, of_vocabulary(vocab_shown), lambda s: [s.shown[i] for i in s.prompt.ids], "token")
    yield column(4, "hex", n, of_vocabulary(vocab_hex), lambda s: [s.hexes[i] for i in s.prompt.ids], "label")
    yield column(5, "size", n, size, sizes)
    yield column(END, "end", n, end, lambda state: [*accumulate(sizes(state))])


def of_bytes(here: Page, n: int) -> Iterator[Block]:
    """A byte a row; what follows the last is blank."""

    def at(name: str, i: int) -> str:
        return here[name].at(i)

    def step(formula: Step) -> Step:
        return lambda i: f'IF({at("row", i)}>{here["total"].local},"",{formula(i)})'

    def ends() -> str:
        return here["end"].rows_of(-1, here["end"].n_rows + 1).local

    def of(i: int) -> str:
        """The token's number."""
        return f"MATCH({at('row', i)}-0.5,{ends()},1)"

    def nth(i: int) -> str:
        """The byte's number in its token."""
        return f"{at('row', i)}-INDEX({ends()},{at('of', i)})"

    def byte(i: int) -> str:
        return f"HEX2DEC(MID(INDEX({here['hex'].local},{at('of', i)}),2*{at('nth', i)}-1,2))"

    def goes_on(i: int) -> str:
        """Whether this byte goes on with the character before it. Twins: `utf8.lowest`, `utf8.highest`."""
        if i == 0:
            return "FALSE"
        above, before, byte = at("byte", i - 1), at("need", i - 1), at("byte", i)
        low = f"IF({above}=224,160,IF({above}=240,144,128))"
        high = f"IF({above}=237,159,IF({above}=244,143,191))"
        return f"AND({before}>0,{byte}>={low},{byte}<={high})"

    def need(i: int) -> str:
        """Bytes that the character still lacks, -1 where it fits nowhere."""
        byte = at("byte", i)
        lead = f"IF({byte}<128,0,IF(OR({byte}<194,{byte}>244),-1,IF({byte}<224,1,IF({byte}<240,2,3))))"
        return f"IF({goes_on(i)},{at('need', i - 1)}-1,{lead})" if i > 0 else lead

    def code(i: int) -> str:
        """The code point so far."""
        byte = at("byte", i)
        bits = f"{byte}-CHOOSE(MAX({at('need', i)},0)+1,0,192,224,240)"
        return f"IF({goes_on(i)},{at('code', i - 1)}*64+{byte}-128,{bits})" if i > 0 else bits

    def text(i: int) -> str:
        """Everything up to here."""
        need, code = at("need", i), at("code", i)
        broken = f'IF(AND({at("need", i - 1)}>0,NOT({goes_on(i)})),"\ufffd","")&' if i > 0 else ""
        shown = f'IF({code}=0,"␀",IFERROR(_xlfn.UNICHAR({code}),"\ufffd"))'
        cut = f"OR({need}=-1,AND({need}>0,{at('row', i)}={here['total'].local}))"
        out = f'{broken}IF({cut},"\ufffd",IF({need}=0,{shown},""))'
        return f"{at('text', i - 1)}&{out}" if i > 0 else out

    yield column(FIRST_OF_BYTES, "row", n, None, lambda state: range(1, n + 1), "index")
    steps: Sequence[tuple[str, Step, Callable[[Spelled], Sequence[int | str]]]] = (
        ("of", of, lambda found: [k for k, _ in found.places]),
        ("nth", nth, lambda found: [j for _, j in found.places]),
        ("byte", byte, lambda found: [*found.data]),
        ("need", need, lambda found: found.done.need),
        ("code", code, lambda found: found.done.code),
        ("text", text, lambda found: found.done.text),
    )
    for place, (name, formula, twin) in enumerate(steps, FIRST_OF_BYTES + 1):
        style = "quote" if name == "text" else "id"
        yield column(place, name, n, step(formula), partial(_seen, twin, n), style)


def _seen(twin: Callable[[Spelled], Sequence[int | str]], n: int, state: State) -> Sequence[int | str]:
    """As much as the sheet has room for."""
    return twin(state.ask(spelled))[:n]
