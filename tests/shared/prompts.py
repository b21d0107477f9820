"""What a workbook makes of a prompt that is typed into it, by LibreOffice."""

from sheetgpt.engines import Cells
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.sheets.home.prompt import FINE, NOTE
from sheetgpt.sheets.inputs import LINE_BREAK, Inputs, cell_text
from sheetgpt.sheets.layout import Layout
from sheetgpt.workbook.yellow.inputs import given_ids

Found = dict[str, Cells | None]


READ = ["token_ids", "token_text", "prompt_text", "n_given", "n_prompt", "message", "tokenizer_ids"]


def ids_of(cells: Cells | None) -> list[int]:
    assert cells
    return [int(i) for i in cells.numbers.ravel() if i == i]


def word(cells: Cells | None) -> str:
    assert cells
    return cells.texts.get((0, 0), "")


def wrong(found: Found, text: str, checkpoint: Checkpoint, layout: Layout) -> str:
    """What the workbook got wrong for a text; nothing, if it is right."""
    tokenizer, text = checkpoint.tokenizer, cell_text(text)
    assert tokenizer
    given, said = ids_of(found["tokenizer_ids"]), word(found["message"])
    try:
        wanted = list(given_ids(Inputs(text), tokenizer, layout))
    except SheetGPTError as error:
        fits = given or ids_of(found["token_ids"]) or said not in str(error) or not said
        return f"{text!r}: {given}, {said!r}, not {error}" if fits else ""
    kept = wanted[-layout.context :]
    shown = tokenizer.decode(kept).replace("\0", "␀").replace("\n", LINE_BREAK)
    note = text == "" or len(wanted) > len(kept)
    same = (given, ids_of(found["token_ids"]), word(found["prompt_text"])) == (wanted, kept, shown)
    if same and (said.startswith(NOTE) if note else said == FINE):
        return ""
    return f"{text!r}: {given}, {said!r}, {word(found['prompt_text'])!r}, not {wanted}, {shown!r}"
