"""Whatever stands in the yellow cells, every cell of every sheet is what its twin says: texts, ids, settings."""

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from judging import case_of, judged, wrong
from patching import cell_xml, patch
from ready import hugging_face_tensors
from safetensors.numpy import save_file

from sheetgpt.engines import cached
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.sheets.grid import BY_HAND
from sheetgpt.text import bpe
from sheetgpt.verification.verify import Case, prepare, verify
from sheetgpt.workbook.build import build

INPUTS: dict[str, dict[str, Any]] = {
    "the window slides": {"prompt": "a b c d e f g h i j k l m n o p", "new_tokens": 3},
    "empty": {"prompt": "", "temperature": 0, "new_tokens": 2},
    "ids": {"ids": [0, 84, 0, 258], "new_tokens": 0},
    "greedy": {"prompt": "the king and the queen", "temperature": 0, "new_tokens": 4},
    "full": {"prompt": "a b c d e f g h i", "new_tokens": 3, "seed": 5, "top_k": 3, "top_p": 0.4},
    "one token": {"prompt": "a", "new_tokens": 0, "temperature": 0.001},
    "characters": {"prompt": "é日本👍👩‍👧 the", "new_tokens": 1},
    "white space": {"prompt": 'the king↵and\t  I\'ll\n\n"so" ', "new_tokens": 2},
    "added tokens": {"prompt": "<|endoftext|>the <|endoftext|> <|endoftext|", "new_tokens": 2, "temperature": 100},
    "digits": {"prompt": "1984", "new_tokens": 11, "top_k": 64, "seed": 2147483645},
}
# beside ids that are typed, the text is not asked for; the Tokenizer sheet reads it all the same
UNREAD = {
    "too long": ("x" * 90, bpe.TOO_LONG),
    "a character cut": ("the " * 19 + "日😀😀", bpe.TOO_LONG),
    "an added token cut": ("the " * 18 + "<|endoftext|>", bpe.TOO_LONG),
    "too many rounds": ("xqzjkvwpybmfxqzjkvwpybmf " + "understanding", bpe.TOO_MANY_ROUNDS),
}
BY_HAND_TEXTS = (
    ("the the then, 👍👍 the other", "👍日é\u00a0x👩‍👧!"),
    ("", ""),
    ("ab", "0123456789abcdef"),
    ("👍ZZ ZZ ZZ ZZ ZZ ZZ ZZ Zx", "😀" * 12),  # as long as they may be, and a Z of the text's own
    ("a" * 25, "😀" * 13),  # one more
)


def unread(path: Path, text: str, status: str) -> Case:
    """Typed ids, and a text that the Tokenizer sheet can't make ids of."""
    case = case_of(path, {"ids": [84, 258], "new_tokens": 1})
    inputs, sheets = replace(case.state.inputs, prompt=text), case.state.text
    assert sheets is not None
    read = bpe.run(text, sheets.sizes.tables, sheets.sizes.capacity, sheets.sizes.rounds)
    assert read.status == status, read.status
    now = replace(case.state.now, inputs=inputs)
    return replace(
        case,
        state=replace(case.state, inputs=inputs, read=read, now=now),
        puts=inputs.cells(case.state.layout),
    )


def by_hand(path: Path, texts: tuple[str, str]) -> Case:
    case = case_of(path, {"prompt": "the king"})
    puts = {**case.puts, "by_hand_text": texts[0], "by_hand_utf8": texts[1]}
    return replace(case, state=replace(case.state, by_hand=texts), puts=puts)


def test_every_cell_is_right_for_other_inputs(reader_workbook: Path) -> None:
    cases = {name: case_of(reader_workbook, given) for name, given in INPUTS.items()}
    cases |= {name: unread(reader_workbook, *text) for name, text in UNREAD.items()}
    found = judged(reader_workbook, cases)
    assert {name: list(bad.items())[:4] for name, bad in found.items() if bad} == {}


def test_texts_typed_into_bpe_by_hand_are_read_back(reader_workbook: Path, tmp_path: Path) -> None:
    sheets = case_of(reader_workbook, {"prompt": "the king"}).state.text
    assert sheets is not None
    own_text, utf8 = (sheets.by_hand[name].cells for name in ("text", "utf8"))
    found = judged(reader_workbook, {texts[0]: by_hand(reader_workbook, texts) for texts in BY_HAND_TEXTS})
    assert {name: list(bad.items())[:4] for name, bad in found.items() if bad} == {}

    def typed(sheet: str) -> str:
        for cell, text in ((own_text, "abababa"), (utf8, "é")):
            old = cell_xml(sheet, cell)
            sheet = sheet.replace(old, re.sub(r"(<t[^>]*>)[^<]*", lambda m, text=text: m[1] + text, old))  # type: ignore[misc]
        return sheet

    own = patch(reader_workbook, tmp_path / "own.xlsx", {BY_HAND: typed})
    assert wrong(verify(own)) == {}
    number = patch(own, tmp_path / "number.xlsx", {BY_HAND: lambda sheet: sheet.replace(
        cell_xml(sheet, own_text), f'<c r="{own_text}"><v>1984</v></c>'
    )})  # fmt: skip
    assert all(cell != f"{BY_HAND}!{own_text}" for cell in wrong(verify(number, engine="cached")))


def test_a_prompt_that_is_not_scored_is_right_too(reader: Checkpoint, tmp_path: Path) -> None:
    """`cached` alone takes score_prompt from the file; here LibreOffice recalculates what it would read."""
    path = build(
        reader, tmp_path / "w.xlsx", prompt="the king", context=8, prompt_bytes=16, merge_rounds=6, score_prompt=False
    )
    case = prepare(path, {}, as_saved=True)
    assert isinstance(case, Case)
    assert judged(path, {"not scored": case}) == {"not scored": {}}
    assert verify(path, engine="cached").passed


def test_a_perplexity_beyond_all_numbers_is_infinite(reader: Checkpoint, tmp_path: Path) -> None:
    """A loss of more than 1024 bits: 2^loss is no number in a spreadsheet, and none in Python."""
    shutil.copytree(reader.source, tmp_path / "wild")
    params = {**reader.params, "ln_f.g": reader.params["ln_f.g"] * 10_000}
    save_file(hugging_face_tensors(params), tmp_path / "wild" / "model.safetensors", {"format": "pt"})
    wild = load(tmp_path / "wild")
    path = build(wild, tmp_path / "w.xlsx", prompt="the king and the queen", context=8, prompt_bytes=32, merge_rounds=6)
    case = case_of(path, {})
    assert case.state.now.surprisal[1:5].mean() > 1024
    assert judged(path, {"infinite": case}) == {"infinite": {}}
    perplexity = case.state.layout["perplexity"].reference
    found = cached.recalculate(path, {}, [perplexity])[perplexity]
    assert found is not None
    assert found.texts[0, 0] == "∞"
