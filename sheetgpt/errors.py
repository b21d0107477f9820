"""The one exception for the person at the keyboard: a sentence that says what is wrong, where, and what to do."""


class SheetGPTError(Exception):
    """Bad input, a broken limit or a missing program; the command line prints it without a traceback and exits 2."""
