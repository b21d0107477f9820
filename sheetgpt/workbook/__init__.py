"""A workbook as a whole: built, opened again, run, described."""
