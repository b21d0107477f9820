"""The rules of each part: workbook, sheets, styles, charts."""
