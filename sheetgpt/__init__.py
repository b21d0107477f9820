"""GPT-2 as a spreadsheet: every weight a cell, every step a live formula, every number checked.

import sheetgpt
sheetgpt.build("stories", "stories.xlsx", prompt="Once upon a time")
sheetgpt.verify("stories.xlsx").passed
sheetgpt.read("stories.xlsx", "h0.attn.probs.3")
sheetgpt.generate("stories", "Once upon a time", new_tokens=16, temperature=0.8, seed=7).text
"""

TYPE_CHECKING = False  # typing's own takes time to import, and type checkers know the name
if TYPE_CHECKING:
    from sheetgpt.errors import SheetGPTError
    from sheetgpt.excel_rules import check
    from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
    from sheetgpt.gpt2.editing.edit_words import parse_edits
    from sheetgpt.gpt2.editing.edits import Edits, Patch, Steering
    from sheetgpt.gpt2.generation.generate import generate, stream
    from sheetgpt.inspection.attention import attention, heads
    from sheetgpt.inspection.contributions import contributions
    from sheetgpt.inspection.embedding import analogy, neighbours
    from sheetgpt.inspection.lens import lens
    from sheetgpt.inspection.neuron import active_neurons, neuron, neuron_tokens
    from sheetgpt.inspection.patching import patch_sweep
    from sheetgpt.inspection.sweep import sweep
    from sheetgpt.verification.verify import verify
    from sheetgpt.workbook.build import build
    from sheetgpt.workbook.run import Prediction, evaluate, run
    from sheetgpt.workbook.tensors import read
    from sheetgpt.workbook.training.lesson import build_lesson
    from sheetgpt.workbook.training.train import train

__version__ = "0.1.0"
__all__ = [
    "Checkpoint",
    "Edits",
    "Patch",
    "Prediction",
    "SheetGPTError",
    "Steering",
    "active_neurons",
    "analogy",
    "attention",
    "build",
    "build_lesson",
    "check",
    "contributions",
    "evaluate",
    "generate",
    "heads",
    "lens",
    "load",
    "neighbours",
    "neuron",
    "neuron_tokens",
    "parse_edits",
    "patch_sweep",
    "read",
    "run",
    "stream",
    "sweep",
    "train",
    "verify",
]
# Each comes in when it is asked for: what they need takes a second to import, and the command has to be able to stop
# quietly from its first moment on.
_PLACES = {
    "errors": ("SheetGPTError",),
    "excel_rules": ("check",),
    "gpt2.checkpoints.checkpoint": ("Checkpoint", "load"),
    "gpt2.editing.edit_words": ("parse_edits",),
    "gpt2.editing.edits": ("Edits", "Patch", "Steering"),
    "gpt2.generation.generate": ("generate", "stream"),
    "inspection.attention": ("attention", "heads"),
    "inspection.contributions": ("contributions",),
    "inspection.embedding": ("analogy", "neighbours"),
    "inspection.lens": ("lens",),
    "inspection.neuron": ("active_neurons", "neuron", "neuron_tokens"),
    "inspection.patching": ("patch_sweep",),
    "inspection.sweep": ("sweep",),
    "verification.verify": ("verify",),
    "workbook.build": ("build",),
    "workbook.training.lesson": ("build_lesson",),
    "workbook.run": ("Prediction", "evaluate", "run"),
    "workbook.tensors": ("read",),
    "workbook.training.train": ("train",),
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    for place, names in _PLACES.items():
        if name in names:
            globals()[name] = getattr(import_module(f"sheetgpt.{place}"), name)
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
