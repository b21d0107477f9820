"""What the sheet Map looks like: widths, colours, the list of the yellow cell."""

from openpyxl.formatting.rule import ColorScaleRule, DataBarRule, FormulaRule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml.area import Area
from sheetgpt.ooxml.rows import letters
from sheetgpt.sheets.grid import FIRST_TOKEN, INDEX, LABEL
from sheetgpt.sheets.map.drawing import FIRST, MARK, POS, SUM, TOK, n_tokens
from sheetgpt.sheets.map.sizes import MAP, Followed
from sheetgpt.sheets.style.choosers import Chooser
from sheetgpt.sheets.style.looks import probability, signed

ORANGE = "C55A11"
WIDTHS = {LABEL: 5.0, INDEX: 11.0, TOK: 7.5, POS: 7.5, SUM: 7.5}
OUTPUT = (7.5, 11.0, 7.0, 10.0, 8.0)  # widths of the columns right of the blocks
BLOCKS, NARROWEST, WIDEST = 42, 6.5, 14  # of all blocks together, and of one
NAMED = 8  # of the first block, whose heading is a word even where those of the others are numbers


def dress(it: Followed, frame: Worksheet) -> None:
    frame.sheet_view.showGridLines = False
    frame.sheet_properties.tabColor = ORANGE
    frame.sheet_format.outlineLevelRow = 1
    n_layer = it.config.n_layer
    frame.sheet_view.zoomScale = 75 if it.crowded else 100
    blocks = dict.fromkeys(range(FIRST_TOKEN, it.after), min(WIDEST, max(NARROWEST, BLOCKS / n_layer)))
    blocks[FIRST_TOKEN] = max(blocks[FIRST_TOKEN], NAMED)
    for column, width in {**WIDTHS, **blocks, **dict(enumerate(OUTPUT, it.after))}.items():
        frame.column_dimensions[letters(column)].width = width
    page = it.page
    offered = Area(MAP, page["positions"].row, FIRST_TOKEN - 2, 1, it.width + 2)
    words = "Which token to follow: a position; prompt: the end of what was typed; last: of what was written."
    Chooser("", page["position"], offered, "Position", words).validate(frame)
    mark(it, frame)
    colour(it, frame)


def mark(it: Followed, frame: Worksheet) -> None:
    """White where there is no token; the one that is followed, and the one that was drawn, stand out."""
    tokens, candidates, marks = it.page["tokens"], it.page["candidates"], it.page["marks"]
    font, fill, white = Font(bold=True, color="FFFFFF"), PatternFill(bgColor=ORANGE), PatternFill(bgColor="FFFFFF")
    chosen = {
        tokens: f"${letters(LABEL)}{tokens.row}={it.position}",
        candidates: f'${letters(marks.column)}{marks.row}="{MARK}"',
    }
    drawn = it.page["next"]
    nothing = FormulaRule([f'{drawn.cells}=""'], fill=white)
    frame.conditional_formatting.add(drawn.cells, nothing)
    for area, rule in chosen.items():
        blank = f'{letters(area.column)}{area.row}=""'
        frame.conditional_formatting.add(area.cells, FormulaRule([blank], fill=white, stopIfTrue=True))
        frame.conditional_formatting.add(area.cells, FormulaRule([rule], font=font, fill=fill))


def colour(it: Followed, frame: Worksheet) -> None:
    """As on the sheets that these numbers come from; what several tokens get together has no colour."""
    page, formats = it.page, frame.conditional_formatting
    for name in ("embed_tok", "embed_pos", "embed"):
        signed(0.5)(frame, page[f"vector_{name}"])
    signed(4)(frame, page["vector_ln_f"])
    looks = page["looks_at"]
    probability(frame, looks.rows_of(0, min(FIRST, looks.n_rows)))
    if looks.n_rows > FIRST:
        several = n_tokens(it) < it.width
        probability(frame, looks.rows_of(FIRST + several, looks.n_rows - FIRST - several))
    attention, mlp = page["attn_adds"], page["mlp_adds"]
    most = f"MAX({attention.local},{mlp.local},0.000001)"
    for area, deep in ((attention, "F4B183"), (mlp, "A9D18E")):
        rule = ColorScaleRule("num", 0, "FFFFFF", end_type="formula", end_value=most, end_color=deep)
        formats.add(area.cells, rule)
    formats.add(page["probs"].cells, DataBarRule("num", 0, "max", color="F4B183", minLength=0, maxLength=100))
