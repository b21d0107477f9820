"""The references in a formula as the sheets write it, for whoever moves a copy of its cells elsewhere."""

import re

# group 1: a text, in which nothing is a reference; 2: the sheet, quoted, with its !; 3 to 6: $, column, $ and row of
# the first corner; 7 to 10: those of the last, where it is a range
REFERENCE = re.compile(
    r"""("(?:[^"]|"")*")|('(?:[^']|'')+'!)?(?<![\w.$])(\$?)([A-Z]{1,3})(\$?)([1-9]\d*)"""
    r"""(?::(\$?)([A-Z]{1,3})(\$?)([1-9]\d*))?(?![\w.(])"""
)
