"""What a formula may hold depends on where it stands: in a cell, shared by several, in a name, a format, a validation.

Excel's file formats say it in terms of the parsed formula's tokens: PtgRef3d and PtgArea3d are references that name a
sheet (their own sheet, too), PtgArray an array constant, PtgUnion, PtgIsect and PtgRange the operators comma, space
and colon between references. What no formula of the workbook may hold (other workbooks, unknown functions, deleted
cells, unions and intersections outside of names) is the affair of `formulas.py` and `grammar.py`.
"""

from collections.abc import Iterator
from enum import Enum

from sheetgpt.excel_rules.formula.grammar import Reading
from sheetgpt.excel_rules.formula.intersection import is_area
from sheetgpt.ooxml.limits import MAX_LIST


class Place(Enum):
    """Where a formula stands, in the words of a sentence."""

    CELL = "formula"
    SHARED = "shared formula"
    ARRAY = "array formula"
    NAME = "name"
    CHART = "chart's range"
    FORMAT = "conditional format"
    SCALE = "color scale"
    LIST = "validation's list"
    VALIDATION = "validation"
    LINK = "hyperlink"

    @property
    def takes_unions(self) -> bool:
        return self in (Place.NAME, Place.CHART)


def place_problems(reading: Reading, place: Place) -> Iterator[str]:
    match place:
        case Place.SHARED:
            yield from _shared_problems(reading)
        case Place.CHART:
            yield from _chart_problems(reading)
        case Place.FORMAT | Place.SCALE:
            yield from _format_problems(reading, place)
        case Place.LIST | Place.VALIDATION:
            yield from _validation_problems(reading, place)


def _shared_problems(reading: Reading) -> Iterator[str]:
    """[MS-XLSB] 2.5.98.98 and [MS-XLS] 2.5.198.118 SharedParsedFormula: no PtgRef3d, PtgArea3d, PtgArray, PtgUnion,
    PtgIsect, PtgRange, PtgNameX, PtgRefErr or PtgAreaErr; names (PtgName, LAMBDA aside) and functions (number
    0x017B aside) may stand in it.

    Excel takes the references to other sheets of every cell for those of the first and then refuses to save ("longer
    than the allowed limit of 8192 characters": EPPlus #92, ImportExcel #651), or calls the file corrupt (EPPlus #213,
    #253).
    """
    for reference in reading.references:
        if reference.sheet is not None:
            yield f"The shared formula names a sheet ({reference.text}); Excel would read every cell as the first."
    if reading.marks("{"):
        yield "The shared formula holds an array constant in braces, which Excel can't share."
    if reading.marks(":"):
        yield "The shared formula joins two results with a colon, which Excel can't share."
    if "#REF!" in reading.errors:
        yield "The shared formula holds a deleted reference (#REF!), which Excel can't share."


def _chart_problems(reading: Reading) -> Iterator[str]:
    """[MS-XLS] 2.5.198.8 ChartParsedFormula: references that name their sheet, names, unions, parentheses."""
    if any(
        kind not in ("sheet", "name", "mark") or (kind == "mark" and text not in "(),") for kind, text in reading.tokens
    ):
        yield "A chart's range is made of cells, names, commas and parentheses only."


def _format_problems(reading: Reading, place: Place) -> Iterator[str]:
    """[MS-XLSB] 2.5.98.6 CFParsedFormula and 2.5.98.7 CFVOParsedFormula: no PtgRef3d, PtgArea3d, PtgArray, PtgUnion or
    PtgIsect, a range never alone, and in a color scale no relative reference. Since Excel 2010 references to other
    sheets stand in an extension of the sheet (2.5.56 FRTCFParsedFormula14), not in this element."""
    yield from _sheet_problems(reading, place)
    yield from _array_problems(reading, place)
    if _is_one_area(reading):
        yield f"The {place.value} is a range of several cells where one value is wanted."
    if place is Place.SCALE:
        for r in reading.references:
            if r.left_moves or r.right_moves or r.rows_move:
                yield f"The {place.value} refers to {r.text}; Excel wants an absolute reference here."


def _validation_problems(reading: Reading, place: Place) -> Iterator[str]:
    """[MS-XLSB] 2.5.98.8 DVParsedFormula: no PtgRef3d, PtgArray, PtgUnion or PtgIsect; PtgArea3d only as a whole list;
    a range alone only as a list; a list is a reference, a name or a text of at most 255 characters, no calculation
    (2.4.355 BrtDValList; longer, Excel "repairs" the file: ClosedXML #1016, XlsxWriter #562)."""
    yield from _array_problems(reading, place)
    if place is Place.VALIDATION:
        yield from _sheet_problems(reading, place)
        if _is_one_area(reading):
            yield f"The {place.value} compares with a range of several cells where one value is wanted."
        return
    if not _is_one_area(reading):
        yield from _sheet_problems(reading, place)
    first, *more = reading.tokens
    if first[0] in ("number", "error") or (first[0] == "string" and more):
        yield "The validation's list is neither a reference, nor a name, nor a text."
    elif first[0] == "string" and len(first[1][1:-1].replace('""', '"')) > MAX_LIST:
        yield f"The validation's list has more than {MAX_LIST} characters; put it into cells."


def _sheet_problems(reading: Reading, place: Place) -> Iterator[str]:
    for reference in reading.references:
        if reference.sheet is not None:
            yield f"The {place.value} names a sheet ({reference.text}); only its own sheet's cells may stand here."


def _array_problems(reading: Reading, place: Place) -> Iterator[str]:
    if reading.marks("{"):
        yield f"The {place.value} holds an array constant in braces, which Excel refuses here."


def _is_one_area(reading: Reading) -> bool:
    return len(reading.tokens) == 1 and len(reading.references) == 1 and is_area(reading.references[0].text)
