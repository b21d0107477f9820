"""The Embed sheet: a token becomes a column of numbers, its row of `wte` plus its position's row of `wpe`."""

from collections.abc import Sequence

from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.model import Trace
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.grid import BAND, EMBED, ID_ROW
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.parts import Params
from sheetgpt.sheets.network.token_sheet import Section, colour_signed, letter, sheet_rows, token_sheet
from sheetgpt.sheets.palette import Palette
from sheetgpt.sheets.sheet import Sheet
from sheetgpt.sheets.state import Prompt


def looked_up(matrix: Sequence[Area], i: int, id: str) -> str:
    """wte[id][i]: the id's column, in row i of the band of 10,000 tokens that holds it."""
    rows = [band.line(i).reference for band in matrix]
    if len(rows) == 1:
        return f"INDEX({rows[0]},1,{id}+1)"
    bands = ",".join(f"INDEX({row},1,MOD({id},{BAND})+1)" for row in rows)
    return f"CHOOSE(INT({id}/{BAND})+1,{bands})"


def token_scale(layout: Layout, prompt: Prompt, params: Params) -> list[Section]:
    """The scale of the token's whole numbers, looked up once for its whole column.  [1, T]"""
    scales = layout.tensor("wte.scale").area
    return [
        Section(
            layout.tensors["embed_scale"],
            "embed_scale",
            "The weights are whole numbers; this is what they are multiplied by, the token's own scale.  [1, T]",
            params["wte.scale"][list(prompt.ids)][None, :],
            lambda i, t: f"INDEX({scales.reference},{letter(t)}${ID_ROW}+1)",
            lambda i: "scale",
            style="tiny",
        )
    ]


def embed_sections(layout: Layout, prompt: Prompt, params: Params, trace: Trace) -> Sequence[Section]:
    areas, wpe = layout.tensors, layout.tensor("wpe")
    tok, pos, both = areas["embed_tok"], areas["embed_pos"], areas["embed"]

    def scaled(source: str, scale: Area | None, t: int) -> str:
        return source if scale is None else f"{source}*{scale.at(0, t, EMBED)}"

    scale_of_tok = areas.get("embed_scale")
    scale_of_pos = layout.tensor(wpe.scales).area if wpe.scales else None
    return [
        *(token_scale(layout, prompt, params) if layout.scaled else ()),
        Section(
            tok,
            "embed_tok",
            "The token's own embedding: its column on the sheet wte.  [n_embd, T]",
            trace["embed_tok"],
            lambda i, t: scaled(looked_up(layout.tensor("wte").areas, i, f"{letter(t)}${ID_ROW}"), scale_of_tok, t),
            lambda i: "embed_tok",
        ),
        Section(
            pos,
            "embed_pos",
            "The position's embedding: the same column on the sheet wpe.  [n_embd, T]",
            trace["embed_pos"],
            lambda i, t: scaled(wpe.area.at(i, t, EMBED), scale_of_pos, t),
            lambda i: "embed_pos",
        ),
        Section(
            both,
            "embed",
            "Their sum is what the first block reads: which token, and where.  [n_embd, T]",
            trace["embed"],
            lambda i, t: f"{tok.at(i, t, EMBED)}+{pos.at(i, t, EMBED)}",
            lambda i: "embed",
        ),
    ]


def sheet(layout: Layout, palette: Palette, prompt: Prompt, params: Params, trace: Trace) -> Sheet:
    areas, shown = layout.tensors, ("embed_tok", "embed_pos", "embed")

    def colour(frame: Worksheet) -> None:
        for name in shown:
            colour_signed(frame, areas[name], 0.5)

    note = "Each column is one token. Read down: its embedding, its position's, and their sum."
    return token_sheet(
        layout,
        EMBED,
        "a token and its position become a column of numbers",
        sheet_rows(
            *(layout, palette, prompt, "Embedding", note), lambda: embed_sections(layout, prompt, params, trace)
        ),
        areas["embed"],
        colour,
        sections=[(name, areas[name].row - 1) for name in shown],
    )
