"""Tokenizer folders of many kinds against `transformers`: its ids and texts, or a refusal that names the cause.

scripts/golden/make_golden_tokenizers.py made the folders and asked AutoTokenizer; only its answers are needed here.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from places import GOLDEN

from sheetgpt.errors import SheetGPTError
from sheetgpt.sheets.inputs import cell_text
from sheetgpt.text import bpe
from sheetgpt.text.tokenizer import Tokenizer

FOLDERS = json.loads((GOLDEN / "tokenizers.json").read_text(encoding="utf-8"))
PLAIN = FOLDERS["cases"]["plain-old"]["answers"]
# a folder that isn't read -> what the refusal must name
REFUSED = {
    "prefix-space-config": "add_prefix_space True",
    "prefix-space-saved": "add_prefix_space True",
    "split-special-tokens": "split_special_tokens True",
    "normalizer-as-it-stands": "the normalizer Lowercase",
    "word-piece": "'BertTokenizer', which is WordPiece",
    "class-bert": "'BertTokenizer', which is WordPiece",
    "class-t5": "'T5Tokenizer', which is SentencePiece",
    "class-llama": "'LlamaTokenizer', which is SentencePiece",
}
FOREIGN = ("OpenAIGPT", "CLIP", "CTRL", "Blenderbot", "BlenderbotSmall", "CodeGen", "GPTNeoX", "Qwen2", "Whisper")
for foreign in (*FOREIGN, "Deberta", "My"):
    REFUSED[f"class-{foreign.lower()}"] = f"tokenizer_class '{foreign}Tokenizer'; "
# a tokenizer that the sheet can't follow -> what the refusal must name
NO_SHEET = {
    "added-lstrip": "marked lstrip",
    "added-rstrip": "marked rstrip",
    "added-single-word": "marked single_word",
    "added-mixed-overlap": "'abc' (marked normalized) and 'bcd' (not normalized) can overlap",
    "old-mixed-overlap": "'<x><' (marked normalized) and '<y>' (not normalized) can overlap",
    "added-decoder-mixed-overlap": "'<x><' (marked normalized) and '<y>' (not normalized) can overlap",
    "added-mixed-inside": "'<a><b>' (marked normalized) and '<b>' (not normalized) can overlap",
    "added-carriage-return": r"'a\rb' holds '\r'",
}
BEYOND = {"added-beyond-the-model": ("[PAD]", "<x>")}


def marked(content: Any) -> Any:
    """With the shared vocabulary and merges in the places of their marks."""
    if isinstance(content, dict):
        return {key: marked(value) for key, value in content.items()}
    return (
        {"@vocab": FOLDERS["vocab"], "@merges": FOLDERS["merges"]}.get(content, content) if _mark(content) else content
    )


def _mark(content: Any) -> bool:
    return isinstance(content, str) and content.startswith("@")


def folder_of(name: str, folder: Path) -> Path:
    for file, content in FOLDERS["cases"][name]["files"].items():
        if content == "@merges":
            text = "\n".join(["#version: 0.2", *map(" ".join, FOLDERS["merges"])])
        else:
            text = json.dumps(marked(content)) if file.endswith(".json") else content
        (folder / file).write_text(text, encoding="utf-8", newline="")
    return folder


def answers(name: str) -> list[tuple[str, list[int], str]]:
    """Each text, its ids and what they spell."""
    found = zip(FOLDERS["texts"], FOLDERS["cases"][name]["answers"], PLAIN, strict=True)
    return [(text, *(plain if answer is None else answer)) for text, answer, plain in found]


def read(name: str, folder: Path) -> Tokenizer:
    tokenizer = Tokenizer.load(folder_of(name, folder), FOLDERS["cases"][name]["files"]["config.json"]["vocab_size"])
    assert tokenizer
    return tokenizer


@pytest.mark.parametrize("name", [name for name in FOLDERS["cases"] if name not in REFUSED])
def test_a_folder_gives_the_references_ids_and_texts(name: str, tmp_path: Path) -> None:
    tokenizer = read(name, tmp_path)
    for text, ids, decoded in answers(name):
        if any(token in text for token in BEYOND.get(name, ())):
            with pytest.raises(SheetGPTError, match="the model has no such row"):
                tokenizer.encode(text)
            continue
        assert tokenizer.encode(text) == ids, text
        assert tokenizer.decode(ids) == decoded, text


@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_that_reads_differently_is_refused_by_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(SheetGPTError) as caught:
        read(name, tmp_path)
    assert REFUSED[name] in str(caught.value)
    assert "broken" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in FOLDERS["cases"] if name not in REFUSED])
def test_the_tokenizer_sheets_twin_gives_them_too_or_says_why_not(name: str, tmp_path: Path) -> None:
    tokenizer = read(name, tmp_path)
    if name in NO_SHEET:
        with pytest.raises(SheetGPTError) as caught:
            bpe.Tables.of(tokenizer)
        assert NO_SHEET[name] in str(caught.value)
        return
    tables = bpe.Tables.of(tokenizer)
    for text in map(cell_text, FOLDERS["texts"]):
        trace = bpe.run(text, tables)
        if any(token in text for token in BEYOND.get(name, ())):
            assert trace.status == bpe.NO_TOKEN
        else:
            assert trace.ids == (tokenizer.encode(text) or list(tokenizer.empty)), text
            assert trace.status == (bpe.FITS if text else bpe.EMPTY)


def test_the_matrix_is_large_enough() -> None:
    assert len(FOLDERS["cases"]) >= 80
    assert {*REFUSED, *NO_SHEET} < {*FOLDERS["cases"]}
