"""Reading an .xlsx file that someone else may have made."""
