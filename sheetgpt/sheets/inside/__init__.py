"""Sheets that show what the network does with a text; a workbook can do without each."""
