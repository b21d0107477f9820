"""The Glossary's words, and the headings that lead to them."""

from pathlib import Path

import openpyxl
from some_sheets import one_sheet

import sheetgpt
from sheetgpt.sheets.glossary.terms import FIRST_ROW, GLOSSARY, TERMS, row_of


def test_headings_lead_to_their_words(micro_workbook: Path) -> None:
    """A bar by a ? in it, a heading on a light ground by itself; whatever head it names."""
    book = openpyxl.load_workbook(micro_workbook)
    names = {row: book[GLOSSARY].cell(row, 1).value for row in range(FIRST_ROW, FIRST_ROW + len(TERMS))}
    assert [*names.values()] == [term.name for term in TERMS]
    found = set()
    for sheet in book.worksheets:
        for row in sheet.iter_rows():
            for cell in row:
                place = cell.hyperlink.location if cell.hyperlink else None
                if place and place.startswith(f"'{GLOSSARY}'!A") and place != f"'{GLOSSARY}'!A1":
                    heading = sheet.cell(cell.row, 1).value if cell.value == "?" else cell.value
                    found.add((sheet.title, heading, names[int(place.rpartition("A")[2])]))
    assert {
        ("Home", "surprise, bits", "surprise"),
        ("Home", "Prompt's perplexity", "perplexity"),
        ("Home", "Temperature", "temperature"),
        ("Home", "top_k", "top_k"),
        ("Home", "logit", "logit"),
        ("Block 1", "Stream after attention", "residual stream"),
        ("Block 0", "Layer norm 1", "layer norm"),
        ("Block 0", "Layer norm 1: its scale", "layer norm"),
        ("Block 0", "Attention weights, head 1", "attention weight"),
        ("Output", "Logits", "logit"),
        ("Contributions", "The residual stream", "residual stream"),
    } <= found
    assert sheetgpt.check(micro_workbook) == []


def test_each_heading_belongs_to_one_term() -> None:
    headings = [heading for term in TERMS for heading in (term.name.lower(), *term.headings)]
    assert len(headings) == len({*headings})
    assert all(row_of(heading) is not None for heading in headings)
    assert row_of("exp(score), head 11") == row_of("softmax")
    assert row_of("Workings") is None


def test_every_term_that_can_be_seen_says_where(micro_workbook: Path) -> None:
    sheet = one_sheet(micro_workbook, GLOSSARY)
    for row, term in enumerate(TERMS, FIRST_ROW):
        wanted = bool(term.at) and term.at != "prompt"  # a workbook of ids has no cell for a prompt
        assert (sheet.cell(row, 3).hyperlink is not None) == wanted, term.name
