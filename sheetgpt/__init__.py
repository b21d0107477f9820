"""GPT-2 as a spreadsheet: every weight a cell, every step a live formula, every number checked.

import sheetgpt
sheetgpt.build("fairytale", "fairytale.xlsx", prompt="Once upon a time")
sheetgpt.verify("fairytale.xlsx").passed
sheetgpt.read("fairytale.xlsx", "h0.attn.probs.3")
sheetgpt.generate("fairytale", "Once upon a time", new_tokens=16, temperature=0.8, seed=7).text
"""

from sheetgpt.build import build
from sheetgpt.check import check
from sheetgpt.checkpoint import Checkpoint, load
from sheetgpt.errors import SheetGPTError
from sheetgpt.generate import generate, stream
from sheetgpt.predict import Prediction, evaluate, run
from sheetgpt.verify import verify
from sheetgpt.workbook import read

__version__ = "0.1.0"
__all__ = [
    "Checkpoint",
    "Prediction",
    "SheetGPTError",
    "build",
    "check",
    "evaluate",
    "generate",
    "load",
    "read",
    "run",
    "stream",
    "verify",
]
