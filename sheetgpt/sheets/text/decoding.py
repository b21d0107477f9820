"""The Decoding sheet: token ids become bytes and bytes become text again, tokens and bytes each down the rows.

Twin: `utf8.decode`. A token can hold half a character, so decoding works on the bytes of all tokens together.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial

import numpy as np
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import quoted
from sheetgpt.ooxml.rows import Cells, Row
from sheetgpt.sheets.formulas import text_at
from sheetgpt.sheets.grid import HOME
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.text.text_layout import BYTE_COLUMNS, DECODING, FIRST, TOKEN_COLUMNS, DecodingLayout
from sheetgpt.text.utf8 import decode

TOKEN_HEADS = ("no.", "id", "token", "bytes, hexadecimal", "bytes", "ends at")
BYTE_HEADS = ("byte", "of token", "byte no.", "byte", "still needs", "code point", "text so far")
MORE = "…"  # the text goes on, but the sheet doesn't


def token_formulas(layout: DecodingLayout, k: int) -> dict[str, str]:
    """The formulas of token k's row."""
    number, token, size = (layout.column(name).at(k) for name in ("number", "id", "size"))
    row = "1," if layout.ids.n_rows == 1 else ""  # Gnumeric takes a lone number for a row, along a line too
    id_cell = f"INDEX({layout.ids.reference},{row}{number})"
    shown, hexes = (text_at(area.reference, f"{token}+1") for area in (layout.vocab_shown, layout.vocab_hex))
    return {
        "id": f'IF(ISNUMBER({id_cell}),{id_cell},"")',
        "token": f'IF({token}="","",{shown})',
        "hex": f'IF({token}="","",{hexes})',
        "size": f"LEN({layout.column('hex').at(k)})/2",
        "end": f"{layout.column('end').at(k - 1)}+{size}",
    }


def byte_formulas(layout: DecodingLayout, i: int) -> dict[str, str]:
    """The formulas of byte i. `need`: bytes that its character still lacks, -1 where it fits nowhere."""
    row, of, nth, byte, need, code = (layout.column(name).at(i) for name in BYTE_COLUMNS[:-1])
    above, before, code_above, text_above = (layout.column(n).at(i - 1) for n in ("byte", "need", "code", "text"))
    ends, total = layout.column("end").rows_of(-1, layout.n_tokens + 1).local, layout.total.local
    high = f"IF({above}=237,159,IF({above}=244,143,191))"
    low = f"IF({above}=224,160,IF({above}=240,144,128))"
    goes_on = f"AND({before}>0,{byte}>={low},{byte}<={high})" if i > 0 else "FALSE"
    lead = f"IF({byte}<128,0,IF(OR({byte}<194,{byte}>244),-1,IF({byte}<224,1,IF({byte}<240,2,3))))"
    bits = f"{byte}-CHOOSE(MAX({need},0)+1,0,192,224,240)"
    broken = f'IF(AND({before}>0,NOT({goes_on})),"\ufffd","")&' if i > 0 else ""
    shown = f'IF({code}=0,"␀",IFERROR(_xlfn.UNICHAR({code}),"\ufffd"))'
    out = f'{broken}IF(OR({need}=-1,AND({need}>0,{row}={total})),"\ufffd",IF({need}=0,{shown},""))'
    sources = {
        "of": f"MATCH({row}-0.5,{ends},1)",
        "nth": f"{row}-INDEX({ends},{of})",
        "byte": f"HEX2DEC(MID(INDEX({layout.column('hex').local},{of}),2*{nth}-1,2))",
        "need": f"IF({goes_on},{before}-1,{lead})" if i > 0 else lead,
        "code": f"IF({goes_on},{code_above}*64+{byte}-128,{bits})" if i > 0 else bits,
        "text": f"{text_above}&{out}" if i > 0 else out,
    }
    return {name: f'IF({row}>{total},"",{source})' for name, source in sources.items()}


def sheet(
    layout: DecodingLayout, palette: Palette, ids: Sequence[int], shown: Sequence[str], hexes: Sequence[str]
) -> Sheet:
    """`ids` are those that the cells hold; `hexes` the column `vocab_hex`."""
    return Sheet(
        DECODING,
        "token ids become bytes, and bytes become text",
        lambda: _rows(layout, palette, _values(layout, ids, shown, hexes)),
        *(FIRST + max(layout.n_tokens, layout.capacity) - 1, len(TOKEN_COLUMNS) + 1 + len(BYTE_COLUMNS)),
        names={layout.name: [layout.text]},
        links=[("A2", f"{quoted(HOME)}!A1")],
        dress=_dress,
    )


def _dress(frame: Worksheet) -> None:
    frame.sheet_properties.tabColor = "C55A11"
    frame.sheet_view.showGridLines = False
    frame.freeze_panes = f"A{FIRST}"
    for i, width in enumerate((6, 9, 16, 26, 7, 9, 4, 7, 9, 9, 7, 11, 11, 60), 1):
        frame.column_dimensions[rows.letters(i)].width = width


def split_text(
    layout: DecodingLayout, ids: Sequence[int], n_prompt: int, n_shown: int, hexes: Sequence[str]
) -> tuple[str, str]:
    """What the first `n_prompt` ids spell, as far as the sheet shows it, and what those up to `n_shown` add to that."""
    ends = np.cumsum([0, *(len(hexes[i]) // 2 for i in ids)])
    texts = decode([byte for i in ids for byte in bytes.fromhex(hexes[i])]).text
    start, whole = (texts[n - 1] if n else "" for n in np.minimum(ends[[n_prompt, n_shown]], layout.capacity))
    return start, whole[len(start) :] + MORE * bool(ends[n_shown] > layout.capacity)


Column = list[int] | list[str] | list[int | str]


def _values(
    layout: DecodingLayout, ids: Sequence[int], shown: Sequence[str], hexes: Sequence[str]
) -> dict[str, Column]:
    """What each column holds, and the single cells."""
    spelled = [bytes.fromhex(hexes[i]) for i in ids]
    data = b"".join(spelled)
    sizes = [len(token) for token in spelled] + [0] * (layout.n_tokens - len(ids))
    places = [(k, j) for k, token in enumerate(spelled, 1) for j in range(1, len(token) + 1)][: layout.capacity]
    seen = data[: layout.capacity]
    done = decode(data)  # a character that the sheet's end cuts shows nothing yet
    pad: list[int | str] = [""] * (layout.capacity - len(seen))
    idle = [""] * (layout.n_tokens - len(ids))
    blank: list[int | str] = [*idle]
    whole = done.text[len(seen) - 1] if seen else ""
    return {
        "id": list[int | str](ids) + blank,
        "token": [shown[i] for i in ids] + idle,
        "hex": [hexes[i] for i in ids] + idle,
        "size": sizes,
        "end": [sum(sizes[: k + 1]) for k in range(len(sizes))],
        "of": [k for k, _ in places] + pad,
        "nth": [j for _, j in places] + pad,
        "byte": [*seen, *pad],
        "need": done.need[: len(seen)] + pad,
        "code": done.code[: len(seen)] + pad,
        "text": [*done.text[: len(seen)], *map(str, pad)],
        "total": [len(data)],
        "whole": [whole + MORE * (len(data) > layout.capacity)],
    }


def _rows(layout: DecodingLayout, palette: Palette, values: dict[str, Column]) -> Iterator[Row]:
    note = "From token ids to text: tokens left, their bytes right. \ufffd marks bytes that form no character."
    title = rows.text(1, "Decoding", palette["title"]), rows.text(4, note, palette["note"])
    yield rows.row(1, *title, height=24)
    yield rows.row(2, rows.text(1, "← Home", palette["link"]))
    texts, total, capacity = layout.column("text").local, layout.total.local, layout.capacity
    seen = f'INDEX({texts},MIN({total},{capacity}))&IF({total}>{capacity},"{MORE}","")'
    whole = rows.formula(4, f'IF({total}=0,"",{seen})', values["whole"][0], palette["quote"])
    yield rows.row(3, rows.text(1, "text", palette["name"]), whole)
    count = rows.formula(4, layout.column("end").at(layout.n_tokens - 1), values["total"][0], palette["total"])
    room = rows.text(5, f"of {capacity:,} that fit on this sheet", palette["note"])
    yield rows.row(4, rows.text(1, "bytes", palette["name"]), count, room)
    bars = {1: "1 Tokens and their bytes", len(TOKEN_COLUMNS) + 2: "2 Bytes and their characters"}
    yield rows.row(5, *(rows.text(c, bars.get(c, ""), palette["section"]) for c in range(1, 15)))
    heads = [*enumerate(TOKEN_HEADS, 1), *enumerate(BYTE_HEADS, len(TOKEN_COLUMNS) + 2)]
    yield rows.row(6, *(rows.text(c, head, palette["header"]) for c, head in heads))
    yield rows.row(FIRST - 1, rows.number(layout.column("end").column, 0, palette["index"]))
    tokens, seen_bytes = (_columns(layout, palette, values, names) for names in (TOKEN_COLUMNS, BYTE_COLUMNS))
    for i in range(max(layout.n_tokens, layout.capacity)):
        cells: list[Cells] = []
        if i < layout.n_tokens:
            cells += _line(tokens, i, cache(partial(token_formulas, layout, i)))
        if i < layout.capacity:
            cells += _line(seen_bytes, i, cache(partial(byte_formulas, layout, i)))
        yield rows.row(FIRST + i, *cells)


Dressed = list[tuple[str, int, int, Column]]  # a name, its column, its style, its values


def _columns(layout: DecodingLayout, palette: Palette, values: dict[str, Column], names: Sequence[str]) -> Dressed:
    """All but the first, which numbers the lines."""
    styles = {"token": "token", "text": "quote", "hex": "label"}
    first = layout.column(names[0])
    numbers: Column = [*range(1, first.n_rows + 1)]
    head = (names[0], first.column, palette["index"], numbers)
    rest = ((name, layout.column(name).column, palette[styles.get(name, "id")], values[name]) for name in names[1:])
    return [head, *rest]


def _line(columns: Dressed, i: int, formulas: Callable[[], dict[str, str]]) -> Iterator[Cells]:
    """`formulas` are made when the file is written: verification asks for the values only."""
    (_, column, style, _), *rest = columns
    yield rows.number(column, i + 1, style)
    for name, column, style, values in rest:
        yield rows.formula(column, partial(_named, formulas, name), values[i], style)


def _named(formulas: Callable[[], dict[str, str]], name: str) -> str:
    return formulas()[name]
