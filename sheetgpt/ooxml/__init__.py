"""An .xlsx file: rectangles, rows, parts, the zip around them; nothing here knows of GPT-2."""
