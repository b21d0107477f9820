"""The references in a formula as the sheets write it, for whoever moves a copy of its cells elsewhere."""

import re
from collections.abc import Callable, Sequence

from sheetgpt.ooxml.rows import Sources

# group 1: a text, in which nothing is a reference; 2: the sheet, quoted, with its !; 3 to 6: $, column, $ and row of
# the first corner; 7 to 10: those of the last, where it is a range
REFERENCE = re.compile(
    r"""("(?:[^"]|"")*")|('(?:[^']|'')+'!)?(?<![\w.$])(\$?)([A-Z]{1,3})(\$?)([1-9]\d*)"""
    r"""(?::(\$?)([A-Z]{1,3})(\$?)([1-9]\d*))?(?![\w.(])"""
)


def rewritten(sources: Sources, rewrite: Callable[[str], str]) -> Sources:
    """The formulas of cells side by side, each rewritten; those that are made on demand still are."""

    def of(known: str | Sequence[str]) -> str | Sequence[str]:
        return rewrite(known) if isinstance(known, str) else [rewrite(source) for source in known]

    return (lambda: of(sources())) if callable(sources) else of(sources)
