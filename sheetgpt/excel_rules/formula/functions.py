"""The functions that a formula may use, with how many arguments each takes.

Each was entered in Gnumeric 1.12 and LibreOffice 7.4 and known to both; `since` is the Excel that introduced it.
What came with Excel 2010 or later stands in the file with the prefix `_xlfn.` ([MS-XLSX] 2.2.2, future functions).
"""

from dataclasses import dataclass

NEWEST = 2013  # Excel 2016 and later add nothing that the workbook can't do without
PREFIX = "_xlfn."


@dataclass(frozen=True)
class Function:
    least: int
    most: int
    since: int = 2007

    @property
    def stored_with_prefix(self) -> bool:
        return self.since > 2007


# (least, most arguments): names
_BY_ARGUMENTS = {
    (0, 0): "FALSE NA PI TRUE",
    (0, 1): "COLUMN ROW",
    (1, 1): "ABS ACOS ACOSH ASIN ASINH ATAN ATANH BIN2DEC CHAR CLEAN CODE COLUMNS COS COSH COUNTBLANK DEGREES ERFC "
    "EVEN EXP FACT HEX2DEC INT ISBLANK ISERR ISERROR ISEVEN ISLOGICAL ISNA ISNONTEXT ISNUMBER ISODD ISREF ISTEXT LEN "
    "LN LOG10 LOWER N NORMSDIST NORMSINV NOT ODD PROPER RADIANS ROWS SIGN SIN SINH SQRT T TAN TANH TRANSPOSE TRIM "
    "TYPE UPPER VALUE",
    (1, 2): "DEC2BIN DEC2HEX ERF HYPERLINK LEFT LOG RIGHT TRUNC",
    (1, 3): "FIXED",
    (2, 2): "ATAN2 CEILING COMBIN CORREL COUNTIF COVAR EXACT FLOOR FREQUENCY IFERROR LARGE MMULT MOD MROUND "
    "PERCENTILE POWER QUOTIENT REPT ROUND ROUNDDOWN ROUNDUP SMALL SUMX2MY2 SUMX2PY2 SUMXMY2 TEXT",
    (2, 3): "AVERAGEIF FIND IF LOOKUP MATCH RANK SEARCH SUMIF",
    (2, 4): "INDEX",
    (3, 3): "MID NORMINV",
    (3, 4): "HLOOKUP SUBSTITUTE VLOOKUP",
    (4, 4): "NORMDIST REPLACE",
    (1, 255): "AND AVEDEV AVERAGE CONCATENATE COUNT COUNTA DEVSQ GCD GEOMEAN HARMEAN LCM MAX MEDIAN MIN MODE OR "
    "PRODUCT STDEV STDEVP SUM SUMPRODUCT SUMSQ VAR VARP",
    (2, 255): "CHOOSE COUNTIFS SUBTOTAL",
    (3, 255): "AVERAGEIFS SUMIFS",
}
_LATER = {
    2010: {
        (1, 1): "ERF.PRECISE ERFC.PRECISE NORM.S.INV",
        (2, 2): "COVARIANCE.P PERCENTILE.INC",
        (2, 3): "RANK.AVG RANK.EQ",
        (3, 3): "NORM.INV",
        (4, 4): "NORM.DIST",
        (1, 255): "MODE.SNGL STDEV.P STDEV.S VAR.P VAR.S",
    },
    2013: {
        (1, 1): "ARABIC CSC SEC UNICHAR UNICODE",
        (2, 2): "BITAND BITLSHIFT BITOR BITRSHIFT BITXOR DECIMAL IFNA",
        (1, 3): "NUMBERVALUE",
        (1, 255): "XOR",
    },
    2019: {(1, 255): "CONCAT", (2, 255): "IFS SWITCH", (3, 255): "MAXIFS MINIFS TEXTJOIN"},
}

FUNCTIONS: dict[str, Function] = {
    **{name: Function(*counts) for counts, names in _BY_ARGUMENTS.items() for name in names.split()},
    **{
        name: Function(*counts, since)
        for since, group in _LATER.items()
        for counts, names in group.items()
        for name in names.split()
    },
}

_VOLATILE = "RAND RANDBETWEEN RANDARRAY OFFSET INDIRECT NOW TODAY CELL INFO"
_DYNAMIC = """LET LAMBDA MAP REDUCE SCAN BYROW BYCOL MAKEARRAY FILTER SORT SORTBY UNIQUE SEQUENCE XLOOKUP XMATCH VSTACK
    HSTACK TAKE DROP TOCOL TOROW WRAPROWS WRAPCOLS CHOOSECOLS CHOOSEROWS EXPAND TEXTSPLIT TEXTBEFORE TEXTAFTER"""
VOLATILE, DYNAMIC = frozenset(_VOLATILE.split()), frozenset(_DYNAMIC.split())


def function_problem(written: str, n_arguments: int) -> str | None:
    """What is wrong with a call of the function as the file writes it, or None."""
    name = written.upper()
    prefixed = name.startswith(PREFIX.upper())
    bare = name.removeprefix(PREFIX.upper()).removeprefix("_XLWS.")
    if bare in VOLATILE:
        return f"The function {bare} is volatile: it would recalculate the workbook at every edit."
    if bare in DYNAMIC:
        return f"The function {bare} belongs to dynamic arrays, which older Excel and LibreOffice lack."
    known = FUNCTIONS.get(bare)
    if known is None:
        return f"The function {written} is not on the list of those that Excel, LibreOffice and Gnumeric share."
    if known.since > NEWEST:
        return f"The function {bare} needs Excel {known.since}; the workbook keeps to Excel {NEWEST} and before."
    if known.stored_with_prefix != prefixed:
        return f"Excel stores the function {bare} as {PREFIX if known.stored_with_prefix else ''}{bare}."
    if not known.least <= n_arguments <= known.most:
        wanted = str(known.least) if known.least == known.most else f"{known.least} to {known.most}"
        return f"The function {bare} takes {wanted} arguments, not {n_arguments}."
    return None
