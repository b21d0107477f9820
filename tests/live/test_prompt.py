"""The live workbook from its prompt cell on: ids, strings and text for any text, and words where there are no ids."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from patching import cell_xml, patch
from prompts import READ, ids_of, word, wrong
from ready import fairytale_words
from texts import gpt2_files, random_texts, typed

import sheetgpt
from sheetgpt.engines import Step, libreoffice
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.sheets.home.prompt import FINE
from sheetgpt.sheets.layout import defined_name
from sheetgpt.text import bpe
from sheetgpt.workbook.build import build
from sheetgpt.workbook.reopen import open_workbook


def failures(workbook: Path, checkpoint: Checkpoint, texts: list[str], hard: bool = True) -> list[str]:
    layout = open_workbook(workbook).layout
    answers = libreoffice.run(workbook, [Step({"prompt": typed(text)}, READ, hard=hard) for text in texts])
    found = (wrong(answer, text, checkpoint, layout) for text, answer in zip(texts, answers, strict=True))
    return [problem for problem in found if problem]


def test_any_text_gives_the_references_ids(
    make_checkpoint: Callable[..., Checkpoint], tmp_path: Path, share: float
) -> None:
    """300 texts with --thorough, half of them typed one after the other, some too long for 80 bytes or 6 columns.

    All of `fairytale`'s vocabulary, over as little a network as there is: only the text is looked at.
    """
    config = GPT2Config(n_vocab=2048, n_positions=64, n_embd=1, n_layer=1, n_head=1, n_inner=1)
    checkpoint = make_checkpoint(config, "all-words", files=fairytale_words(2048))
    sizes: dict[str, Any] = {"context": 6, "new_tokens": 0, "prompt_bytes": 80, "merge_rounds": 6, "top_k": 1}
    workbook = build(checkpoint, tmp_path / "words.xlsx", prompt="the king", without="all", score_prompt=False, **sizes)
    texts = ["", " ", "the king" * 9, "x" * 80, "x" * 81, "=1+1", "'", "007", *random_texts(round(292 * share), 3)]
    assert failures(workbook, checkpoint, texts[::2]) == []
    assert failures(workbook, checkpoint, texts[1::2], hard=False) == []


def test_gpt2s_own_vocabulary(make_checkpoint: Callable[..., Checkpoint], tmp_path: Path, thorough: bool) -> None:
    if not thorough:
        pytest.skip("half a minute; --thorough runs it, and scripts/checks/check_tokenizer.py any number of texts")
    config = GPT2Config(n_vocab=50257, n_positions=64, n_embd=1, n_layer=1, n_head=1, n_inner=1)
    checkpoint = make_checkpoint(config, "gpt2-words", files=gpt2_files())
    # a column and a candidate: the network's 50,257 logits are not what is looked at
    sizes: dict[str, Any] = {"context": 1, "new_tokens": 0, "top_k": 1, "prompt_bytes": 64, "merge_rounds": 24}
    workbook = build(checkpoint, tmp_path / "words.xlsx", prompt="Hello", without="all", score_prompt=False, **sizes)
    texts = ["", "Hello world, it's 2026", "<|endoftext|>", *random_texts(12, 4)]
    assert failures(workbook, checkpoint, texts, hard=False) == []


LINES = "a\n\tb, ↵\r\n— 日本👍"


@pytest.mark.parametrize("prompt", [None, "", "the end. " * 5, LINES])
def test_verification_passes_from_the_prompt_cell(
    reader_workbook: Path, reader: Checkpoint, prompt: str | None
) -> None:
    report = sheetgpt.verify(reader_workbook, prompt=prompt, model=reader.source)
    assert report.passed, report.frame()[lambda f: ~f.passed]
    assert {"tokenizer_ids", "token_text", "prompt_text"} <= {t.name for t in report.tensors}


@pytest.mark.parametrize(
    ("cell", "value", "tensor"),
    [
        ("Merges!I{first}", 3, "tokenizer_ids"),
        ("Vocabulary!B{token}", "x", "token_text"),
        ("Vocabulary!C{token}", "41", "prompt_text"),
    ],
)
def test_a_wrong_table_fails_verification(
    reader_workbook: Path, reader: Checkpoint, tmp_path: Path, cell: str, value: Any, tensor: str
) -> None:
    """The tables are constants: the tensors that they make must be compared, not only those of the network."""
    tokenizer = reader.tokenizer
    assert tokenizer
    tables, (left, right) = bpe.Tables.of(tokenizer), tokenizer.merges[0]
    places = {"first": 5 + list(tables.ranks).index(0), "token": 4 + tokenizer.encode(left + right)[0]}
    sheet, _, place = cell.format(**places).partition("!")
    kind, content = ("n", f"<v>{value}</v>") if value == 3 else ("inlineStr", f"<is><t>{value}</t></is>")
    new = f'<c r="{place}" t="{kind}">{content}</c>'
    change = {sheet: lambda xml: xml.replace(cell_xml(xml, place), new)}
    broken = patch(reader_workbook, tmp_path / "broken.xlsx", change)
    report = sheetgpt.verify(broken, prompt=left + right, model=reader.source)
    assert tensor in {t.name for t in report.tensors if not t.passed}


def test_a_line_break_is_spelt_where_every_program_keeps_it(reader: Checkpoint, tmp_path: Path) -> None:
    """In the file, in what is put into it, and back: LibreOffice 26 drops a line feed that stands in a cell."""
    read = "a\n\tb, \n\n— 日本👍"
    sizes: dict[str, Any] = {"context": 40, "new_tokens": 0, "prompt_bytes": 40, "merge_rounds": 6}
    workbook = build(reader, tmp_path / "w.xlsx", prompt=LINES, without="all", **sizes)
    home = open_workbook(workbook)
    assert (home.prompt, home.inputs.prompt) == (read, read)
    assert home.inputs.cells(home.layout)["prompt"] == read.replace("\n", "↵")
    book = openpyxl.load_workbook(workbook)
    assert book["Home"]["C4"].value == book["Model"]["F6"].value == read.replace("\n", "↵")
    assert "paste ↵" in book["Home"]["C3"].value
    for given in (LINES, read):
        found = sheetgpt.run(workbook, prompt=given, new_tokens=0)
        assert (found.prompt, list(found.ids)) == (read, reader.tokenizer.encode(read) if reader.tokenizer else [])
    [cells] = libreoffice.run(workbook, [Step({}, ["self_check", "prompt_text"])])
    assert word(cells["self_check"]).startswith("✓")
    assert word(cells["prompt_text"]) == read.replace("\n", "↵")


def test_typed_ids_take_the_place_of_the_text(reader_workbook: Path) -> None:
    read = [*READ, "top_ids"]
    typed, text, gap = libreoffice.run(
        reader_workbook,
        [
            Step({"prompt": "the king", "prompt_ids": [5, 6, 7]}, read),
            Step({"prompt_ids": []}, read),
            Step({"prompt_ids": [5, None, 7]}, read),
        ],
    )
    assert ids_of(typed["token_ids"]) == [5, 6, 7]
    assert word(typed["message"]) == FINE
    assert ids_of(text["token_ids"]) == ids_of(text["tokenizer_ids"])
    assert ids_of(gap["token_ids"]) == [5]
    assert "gap" in word(gap["message"])


def test_text_edits_leave_nothing_stale(reader_workbook: Path, reader: Checkpoint) -> None:
    """Typed one after the other without a hard recalculation, then once more with one."""
    rng, layout = random.Random(9), open_workbook(reader_workbook).layout
    names = [*READ, *(defined_name(name) for name in layout.trace), "top_ids", "top_probs", "tokenizer_word"]
    steps = []
    for text in random_texts(25, 11, 3):
        edit: dict[str, Any] = {"prompt": typed(text)}
        if rng.random() < 0.3:
            edit = {"prompt_ids": [rng.randrange(512) for _ in range(rng.randrange(4))]}
        steps += [Step(edit, names, hard=False), Step({}, names)]
    answers = libreoffice.run(reader_workbook, steps)
    for step, soft, hard in zip(steps[::2], answers[::2], answers[1::2], strict=True):
        for name in names:
            a, b = soft[name], hard[name]
            assert a, name
            assert b, name
            assert a.texts == b.texts, (step.set, name)
            np.testing.assert_array_equal(a.numbers, b.numbers, err_msg=f"{step.set} {name}")


def test_a_prompt_past_the_capacity_is_refused(reader_workbook: Path, reader: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(SheetGPTError, match="more than the 80 bytes"):
        sheetgpt.run(reader_workbook, prompt="x" * 81)
    with pytest.raises(SheetGPTError, match=r"more than the 40 bytes.*--prompt-bytes"):
        build(reader, tmp_path / "w.xlsx", prompt="x" * 41, prompt_bytes=40)
    with pytest.raises(SheetGPTError, match=r"more than 1 merge rounds.*--merge-rounds"):
        build(reader, tmp_path / "w.xlsx", prompt="the kingdom", merge_rounds=1)
    assert not list(tmp_path.iterdir())


def test_without_the_tokenizer_sheet_prompts_are_ids(reader: Checkpoint, tmp_path: Path) -> None:
    workbook = build(reader, tmp_path / "w.xlsx", ids=[1, 2], context=3, prompt_bytes=0)
    assert "prompt" not in open_workbook(workbook).layout
    with pytest.raises(SheetGPTError, match="no tokenizer in the workbook"):
        sheetgpt.run(workbook, prompt="the")
    assert sheetgpt.verify(workbook, ids=[3, 4, 5], model=reader.source).passed
