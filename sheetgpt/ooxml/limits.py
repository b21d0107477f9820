"""What Excel takes at most. Everything that builds or checks a workbook reads the figures here.

Sources: "Excel specifications and limits", support.microsoft.com, where nothing else is named; ECMA-376 part 1 and
[MS-OI29500] for what stands in the file.
"""

MAX_ROW, MAX_COLUMN = 1_048_576, 16_384  # of a worksheet, the last ones
MAX_FORMULA = 8_192  # characters
MAX_STRING = 255  # characters of a text in a formula
MAX_DEPTH, MAX_ARGUMENTS = 64, 255  # levels of functions inside one another; arguments of one of them
MAX_TEXT = 32_767  # characters in a cell, counted in UTF-16
MAX_TITLE = 31  # characters of a sheet's name: [MS-OI29500] 2.1.578, too
MAX_NAME = 255  # characters of a defined name: "Names in formulas", support.microsoft.com
MAX_SHEETS = 65_534  # the largest sheetId: [MS-OI29500] 2.1.578
MAX_STYLES = 64_000  # unique cell formats
MAX_NUMBER_FORMAT = 255  # characters of a number format: [MS-OI29500] 2.1.712
MAX_LINKS = 65_530  # hyperlinks in a worksheet
MAX_WIDTH, MAX_HEIGHT = 255, 409.5  # of a column in characters, of a row in points
MAX_HEADER = 255  # characters of a header or footer
MAX_LIST = 255  # characters of a validation's list: [MS-XLSB] 2.4.355 BrtDValList
