"""Links from a page's headings to the sheet Glossary."""

from collections.abc import Iterator

from sheetgpt.ooxml.area import quoted
from sheetgpt.ooxml.rows import letters
from sheetgpt.sheets.block import Block
from sheetgpt.sheets.glossary.terms import GLOSSARY, row_of
from sheetgpt.sheets.grid import INDEX, LABEL
from sheetgpt.sheets.page import Bar, Page, Texts

LIGHT = ("header", "name", "label")  # LibreOffice shows a link in dark blue: not to be read on a bar, which gets a ?


def explained(page: Page) -> Page:
    """The page, with links where a heading is a term; a cell that is a link already stays what it is."""
    page.explains = True
    taken = {cell for cell, _ in page.links}
    for cell, heading in headings(page):
        row = row_of(heading)
        if row is not None and cell not in taken:
            page.links.append((cell, f"{quoted(GLOSSARY)}!A{row}"))
    return page


def headings(page: Page) -> Iterator[tuple[str, str]]:
    """Each heading, and the cell that can be its link."""
    for row, part in page.placed:
        if isinstance(part, Bar) and part.asks(page):
            yield f"{letters(INDEX)}{row}", str(part.title)
        elif isinstance(part, Texts):
            for column, text in part.texts.items():
                if part.styles.get(column, part.style) in LIGHT:
                    yield f"{letters(column)}{row}", text
        elif isinstance(part, Block) and isinstance(part.label, str) and part.n_rows == 1:
            yield f"{letters(LABEL)}{row}", part.label
