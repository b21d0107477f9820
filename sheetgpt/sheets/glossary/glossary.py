"""The sheet Glossary: the words of the trade in plain words, each with a link to where it can be seen."""

from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.ooxml.area import quoted
from sheetgpt.sheets.glossary.terms import FIRST_ROW, GLOSSARY, TERMS
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Page, Paper, Space, Texts

WORDS = "what the words mean: logit, residual stream, perplexity and others"
NAME, SAID, SEEN = 1, 2, 3  # columns
NOTE = "On the other sheets a ? and many headings lead here."
LONG = 95  # characters that fit on a line


def page(layout: Layout) -> Page:
    here = Page(GLOSSARY, WORDS, 1)
    here.last_column = SEEN
    here.head(NOTE, SAID)
    here.add(Space())
    assert here.row == FIRST_ROW
    for term in TERMS:
        texts = {NAME: term.name, SAID: term.words, SEEN: ""}
        if term.at in layout:
            area = layout[term.at] if len(layout.tensor(term.at).areas) == 1 else layout.tensor(term.at).areas[0]
            here.links.append((f"C{here.row}", f"{quoted(area.sheet)}!A{max(area.row - 1, 1)}"))
            texts[SEEN] = area.sheet
        height = 32 if len(term.words) > LONG else 18
        here.add(Texts(texts, "paragraph", {NAME: "name", SEEN: "link"}, height=height))
    here.paper = Paper(one=True, upright=True)
    here.dresses.append(dress)
    return here


def dress(frame: Worksheet) -> None:
    frame.sheet_properties.tabColor = "C55A11"
    frame.sheet_view.showGridLines = False
    frame.freeze_panes = f"A{FIRST_ROW - 1}"
    for column, width in zip("ABC", (22, 100, 14), strict=True):
        frame.column_dimensions[column].width = width
