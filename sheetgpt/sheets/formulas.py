"""Formulas that more than one sheet needs, each written once: sums of exponentials, ranks, strings, characters.

They take references and give a formula without `=`. Inside SUMPRODUCT Gnumeric takes operators down a whole range, but
no functions: neither EXP nor IF nor ABS.
"""

from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.layout import Layout

SMALLEST = -700  # LibreOffice's EXP(1)^x is #NUM! from -708.4 on; exp(-700) = 1e-304 adds nothing to a sum that has a 1


def sum_exp(x: str, largest: str, divisor: str = "") -> str:
    """sum(exp((x - largest) / divisor)) over a range, what lies below exp(-700) counting as 0.

    At GPT-2's size, 50,257 rows, 15 ms in LibreOffice, and 11 without the limit; 28 if the comparisons divided, too.
    How an engine rounds at the limit changes nothing: what stands there is 1e-304 or 0.
    """
    above = f"({x}>{largest}-{-SMALLEST}{'*' + divisor if divisor else ''})"
    return f"SUMPRODUCT({above}*EXP(1)^(({x}-{largest}){'/' + divisor if divisor else ''}*{above}))"


def log_sum_exp(logits: str, largest: str) -> str:
    """log(sum(exp(logits))), without overflow."""
    return f"{largest}+LN({sum_exp(logits, largest)})"


def rank_id(value: str, logits: str, ids: str, n_vocab: int, above: tuple[str, str] | None) -> str:
    """The token id of a rank: where its logit stands; on a tie with the rank above the next id that has it.

    `above`: the logit and the id of the rank above. Equal rows of the unembedding give exactly equal logits in every
    engine, as the same numbers are added in the same order. Two that differ in the last bits only are equal to
    LibreOffice's `=` and MATCH and to the 15 digits of Excel's `=`, but maybe not to its MATCH. So what decides is
    whether MATCH leads both to the same place: either it tells them apart and finds each, or they are a tie like any
    other. The logits' `=` before it only spares MATCH's search, 0.3 ms, where there is no tie.
    """
    place = f"MATCH({value},{logits},0)"
    if above is None:
        return f"{place}-1"
    logit_above, id_above = above
    tied = f"{n_vocab}-SUMPRODUCT(MAX(({logits}={value})*({ids}>{id_above})*({n_vocab}-{ids})))"
    same = f"IF({value}={logit_above},IF({place}=MATCH({logit_above},{logits},0),1,0),0)"
    return f"IF({same},{tied},{place}-1)"


def is_among(value: str, numbers: Area) -> str:
    """Whether a number stands in a range. Of a single cell IronCalc's COUNTIF is #VALUE!."""
    return f"{value}={numbers.reference}" if numbers.n_cells == 1 else f"COUNTIF({numbers.reference},{value})>0"


def text_at(texts: str, place: str) -> str:
    """An entry of a column of texts. A blank one, an id without a token, is an empty text: INDEX alone would give 0."""
    return f'INDEX({texts},{place})&""'


def code_point(text: str, place: str, length: str) -> str:
    """The code point of the character at `place`, an error where half a surrogate pair stands there.

    UNICODE is asked for the first character of all the rest, so no pair is ever cut, whether the program counts in
    UTF-16 (Excel) or in code points (LibreOffice). UNICODE takes the first character of a text of any length; half a
    pair is #VALUE! in Excel (its documentation: "if text contains partial surrogates"), and other engines may stop.
    """
    return f"_xlfn.UNICODE(MID({text},{place},{length}))"


def to_go_on(layout: Layout, on: str, *, heated: bool = False) -> str:
    """Whether there is a text to go on with, and settings that are valid; asked on the sheet `on`.

    Where nothing is written only what is `heated`, divided by the temperature, asks for the settings: whatever names
    them is recomputed with each turn of one.
    """
    areas = (layout[name] for name in ("n_tokens", "settings_ok"))
    n_tokens, settings_ok = (area.local if area.sheet == on else area.reference for area in areas)
    return f"{n_tokens}>0" if layout.reads_only and not heated else f"{n_tokens}*{settings_ok}>0"
