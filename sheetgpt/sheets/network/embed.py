"""The Embed sheet: a token becomes a column of numbers, its row of `wte` plus its position's row of `wpe`."""

from collections.abc import Sequence

from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block
from sheetgpt.sheets.grid import BAND, EMBED, ID_ROW
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network import checksums
from sheetgpt.sheets.network.checksums import checks
from sheetgpt.sheets.network.headings import bar
from sheetgpt.sheets.network.parts import Network
from sheetgpt.sheets.network.token_page import letter, token_page
from sheetgpt.sheets.page import Bar, Page
from sheetgpt.sheets.style.looks import signed

NOTE = "Each column is one token. Read down: its embedding, its position's, and their sum."


def looked_up(matrix: Sequence[Area], i: int, id: str) -> str:
    """wte[id][i]: the id's column, in row i of the band of 10,000 tokens that holds it."""
    rows = [band.line(i).reference for band in matrix]
    if len(rows) == 1:
        return f"INDEX({rows[0]},1,{id}+1)"
    bands = ",".join(f"INDEX({row},1,MOD({id},{BAND})+1)" for row in rows)
    return f"CHOOSE(INT({id}/{BAND})+1,{bands})"


def page(layout: Layout) -> Page:
    page = token_page(layout, EMBED, "a token and its position become a column of numbers", "Embedding", NOTE)
    net = Network(layout, page)

    def scale(i: int, t: int) -> str:
        return f"INDEX({layout['wte.scale'].reference},{letter(t)}${ID_ROW}+1)"

    def token(i: int, t: int) -> str:
        found = looked_up(layout.tensor("wte").areas, i, f"{letter(t)}${ID_ROW}")
        return f"{found}*{page['embed_scale'].at(0, t)}" if layout.scaled else found

    def position(i: int, t: int) -> str:
        found = layout["wpe"].at(i, t, EMBED)
        return f"{found}*{layout['wpe.scale'].at(0, t, EMBED)}" if layout.scaled else found

    def both(i: int, t: int) -> str:
        """x = wte[id] + wpe[position]"""
        return f"{page['embed_tok'].at(i, t)}+{page['embed_pos'].at(i, t)}"

    if layout.scaled:
        words = "The weights are whole numbers; this is what they are multiplied by, the token's own scale.  [1, T]"
        page.add(
            Bar("embed_scale", words),
            Block(
                "embed_scale",
                label="scale",
                formula=scale,
                twin=lambda state: state.params["wte.scale"][list(state.prompt.ids)],
                style="tiny",
                axes=("token",),
            ),
        )
    for name, formula, words in (
        ("embed_tok", token, "The token's own embedding: its column on the sheet wte.  [n_embd, T]"),
        ("embed_pos", position, "The position's embedding: the same column on the sheet wpe.  [n_embd, T]"),
        ("embed", both, "Their sum is what the first block reads: which token, and where.  [n_embd, T]"),
    ):
        x = net.tensor(name, layout.config.n_embd, "feature", label=name, formula=formula, colours=[signed(0.5)])
        page.add(bar(name, words, name), x)
    page.add(*checks(net, "embed.checks", [checksums.looked_up(net)]))
    return page
