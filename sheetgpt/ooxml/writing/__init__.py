"""Writing an .xlsx file: rows, parts, and the zip around them."""
