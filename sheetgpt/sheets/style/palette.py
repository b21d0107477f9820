"""What the workbook's cells look like: one table of styles, registered once for each book."""

from collections import defaultdict
from collections.abc import Mapping

from sheetgpt.ooxml.writing.book import Book, Style
from sheetgpt.text.bpe import NO_PAIR

Palette = Mapping[str, int]
PLAIN: Palette = defaultdict(int)  # for whoever reads only values

_STYLES = {
    "title": Style(bold=True, size=16, color="1F3864"),
    "note": Style(italic=True, color="595959"),
    "paragraph": Style(color="404040", wrap=True, middle=True),
    "section": Style(bold=True, color="FFFFFF", fill="2F5597"),
    "maths": Style(italic=True, color="FFFFFF", fill="2F5597"),
    "help": Style(bold=True, color="0563C1", fill="D9E2F3", align="center"),
    "header": Style(bold=True, fill="D9E2F3", align="center"),
    "label": Style(color="595959", middle=True),
    "token header": Style(bold=True, fill="D9E2F3", align="center", shrinks=True),
    "name": Style(bold=True, middle=True),
    "index": Style(color="7F7F7F", align="center"),
    "token": Style(bold=True, fill="FFF2CC", align="center", boxed=True, shrinks=True),  # <|endoftext|> is wide
    "id": Style(color="595959", align="center", middle=True),
    "wrapped id": Style(color="595959", align="center", middle=True, wrap=True),
    "flag": Style(color="A6A6A6", align="center", number_format='"yes";;"no"'),
    "number": Style(number_format="0.000"),
    "signed": Style(number_format="+0.000;-0.000;0.000", align="center"),
    "weight": Style(color="375623", fill="E2EFDA", number_format="0.0000", open=True),
    "scale": Style(number_format="0.00E+00", open=True),  # of whole numbers: a weight, too
    "input": Style(bold=True, fill="FFE699", align="center", boxed=True, open=True),
    "typed text": Style(bold=True, fill="FFE699", boxed=True, open=True),  # a long one shows its beginning
    "prompt": Style(bold=True, size=12, fill="FFE699", wrap=True, number_format="@", middle=True, open=True),
    "completion": Style(bold=True, size=12, color="833C0B", fill="FBE5D6", wrap=True, middle=True),
    "share": Style(number_format="0.000", align="center"),
    "bits": Style(number_format="0.0", align="center"),
    "heat": Style(bold=True, fill="D9E2F3", align="center", number_format='"T = "0.0'),
    "prob": Style(number_format="0.0%", align="center"),
    "points": Style(number_format="+0.0%;-0.0%;0.0%", align="center"),  # a difference of probabilities, in their unit
    "large": Style(number_format="[>=1000000]0.0E+00;0.000", align="center"),  # which may be any size
    "tiny": Style(number_format="0.00E+00"),
    "count": Style(number_format="#,##0", align="right"),
    "total": Style(bold=True, number_format="#,##0", align="right", fill="D9E2F3"),
    "sum": Style(bold=True, number_format="#,##0", align="center", fill="D9E2F3"),
    "small link": Style(color="0563C1", underline=True, size=9),
    "small note": Style(italic=True, color="A6A6A6", size=9),
    "hint": Style(italic=True, color="7F6000", wrap=True, middle=True),
    "answer": Style(bold=True, fill="FFE699", align="center", boxed=True, middle=True, open=True),
    "check": Style(color="C55A11", wrap=True, middle=True),
    "figure of": Style(bold=True, size=14, color="833C0B", align="left"),
    "paper": Style(size=10, align="center", boxed=True, middle=True, number_format="0.00"),
    "paper title": Style(bold=True, size=10, color="FFFFFF", fill="2F5597"),
    "paper token": Style(bold=True, size=10, fill="FFF2CC", align="center", boxed=True),
    "hidden": Style(color="FFFFFF", number_format=";;;"),
    "link": Style(color="0563C1", underline=True, middle=True),
    "message": Style(bold=True, color="C00000"),
    "quote": Style(italic=True, color="1F3864", middle=True),
    "upright": Style(bold=True, fill="FFF2CC", align="center", turned=True),
    "key": Style(bold=True, fill="FFF2CC", align="right"),
    "upright header": Style(bold=True, fill="D9E2F3", align="center", turned=True),
    "pattern": Style(align="center", number_format='[<0.005]"";0%'),
    "order": Style(color="A6A6A6", number_format="0.000", align="center"),
    "whole share": Style(align="center", number_format="0%"),
    "colour": Style(number_format=";;;"),  # of a small map: the colour says it all
    # the map's
    # LibreOffice shows links in a dark blue of its own, so the boxes are light
    "map box": Style(
        bold=True, size=11, color="1F3864", fill="9DC3E6", align="center", underline=True, boxed=True, middle=True
    ),
    "map head": Style(
        bold=True, color="0563C1", fill="DDEBF7", align="center", underline=True, number_format='"head "0', middle=True
    ),
    "map short head": Style(
        bold=True, color="0563C1", fill="DDEBF7", align="center", underline=True, number_format='"h "0', middle=True
    ),
    "map label": Style(color="595959", middle=True),
    "map token": Style(bold=True, fill="FFF2CC", align="center", shrinks=True),
    "map number": Style(size=8, color="595959", align="center", number_format="0.00", middle=True),
    "map share": Style(align="center", number_format='[<0.005]"";0%'),
    "map adds": Style(bold=True, align="center", number_format='"+ "0.0', middle=True),
    "map length": Style(color="1F3864", fill="9DC3E6", align="center", number_format="0.0", middle=True),
    "map stream": Style(bold=True, color="1F3864", fill="9DC3E6", align="center", number_format='0.0" ▸"', middle=True),
    "map logit": Style(align="center", number_format="0.00"),
    "map mark": Style(bold=True, color="C55A11"),
    "map next": Style(bold=True, color="FFFFFF", fill="C55A11", align="center"),
    # the tokenizer's
    "rank": Style(color="595959", align="center", number_format=f'[={NO_PAIR}]"–";0'),  # a dash where nothing merges
    "rare": Style(color="595959", align="center", number_format='0;-0;"–"'),  # mostly 0
    "joins": Style(bold=True, color="C55A11", align="center", number_format='"↓";;'),
    "piece": Style(bold=True, color="1F3864", align="center"),
}

_LEARNING = {  # only in a workbook that learns
    "figure": Style(
        bold=True, size=12, color="833C0B", fill="FBE5D6", align="center", number_format="0.000", middle=True
    ),
    "loss": Style(number_format="0.000;;"),  # 0 where there is none yet
    # with a format of their own: General takes that of the cell that is referred to, in LibreOffice
    "weight value": Style(color="375623", fill="E2EFDA", align="center", number_format="0.000000000000"),
    "rate": Style(align="center", number_format="0.00000000"),
    "gradient": Style(number_format="0.0000"),
}


def registered(book: Book, learns: bool = False) -> Palette:
    """`palette["note"]` is the number that a cell of that style carries in this book."""
    return {name: book.style(style) for name, style in {**_STYLES, **(_LEARNING if learns else {})}.items()}
