"""The sheet Contributions: tables (`tables.py`) of what each part writes and adds (`workings.py`)."""
