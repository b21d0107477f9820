"""What the workbook's cells look like: one table of styles, registered once for each book."""

from sheetgpt.ooxml.book import Book, Style

_STYLES = {
    "title": Style(bold=True, size=16, color="1F3864"),
    "note": Style(italic=True, color="595959"),
    "paragraph": Style(color="404040", wrap=True, middle=True),
    "section": Style(bold=True, color="FFFFFF", fill="2F5597"),
    "maths": Style(italic=True, color="FFFFFF", fill="2F5597"),
    "header": Style(bold=True, fill="D9E2F3", align="center"),
    "label": Style(color="595959"),
    "name": Style(bold=True, middle=True),
    "index": Style(color="7F7F7F", align="center"),
    "token": Style(bold=True, fill="FFF2CC", align="center", boxed=True),
    "id": Style(color="595959", align="center", middle=True),
    "flag": Style(color="A6A6A6", align="center", number_format='"on";;"off"'),
    "number": Style(number_format="0.000"),
    "weight": Style(color="375623", fill="E2EFDA", number_format="0.0000"),
    "input": Style(bold=True, fill="FFE699", align="center", boxed=True),
    "prompt": Style(bold=True, size=12, fill="FFE699", wrap=True, number_format="@", middle=True),
    "completion": Style(bold=True, size=12, color="833C0B", fill="FBE5D6", wrap=True, middle=True),
    "share": Style(number_format="0.000", align="center"),
    "bits": Style(number_format="0.0", align="center"),
    "heat": Style(bold=True, fill="D9E2F3", align="center", number_format='"T = "0.0'),
    "prob": Style(number_format="0.0%", align="center"),
    "tiny": Style(number_format="0.00E+00"),
    "count": Style(number_format="#,##0", align="right"),
    "total": Style(bold=True, number_format="#,##0", align="right", fill="D9E2F3"),
    "link": Style(color="0563C1", underline=True, middle=True),
    "message": Style(bold=True, color="C00000"),
    "quote": Style(italic=True, color="1F3864"),
}


class Palette:
    """`palette["note"]` is the number that a cell of that style carries."""

    def __init__(self, book: Book) -> None:
        self._numbers = {name: book.style(style) for name, style in _STYLES.items()}

    def __getitem__(self, name: str) -> int:
        return self._numbers[name]
