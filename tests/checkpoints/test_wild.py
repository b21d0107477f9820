"""A whole checkpoint as fine-tunes are: chat tokens, tokens around a text, several ends; in Python and the sheets."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prompts import ids_of
from ready import Command

import sheetgpt
from sheetgpt.engines import Cells, Step, libreoffice
from sheetgpt.excel_rules import check
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.sheets.inputs import Inputs
from sheetgpt.text import bpe
from sheetgpt.text.tokenizer import byte_to_unicode
from sheetgpt.verification.verify import verify
from sheetgpt.workbook.build import build
from sheetgpt.workbook.reopen import open_workbook
from sheetgpt.workbook.yellow.inputs import given_ids

CAPACITY, CONTEXT = 24, 9
START, END, BOS, EOS, PAD = "<|im_start|>", "<|im_end|>", "<s>", "</s>", "[PAD]"
LETTERS = [byte_to_unicode()[byte] for byte in range(256)]
VOCAB = {token: i for i, token in enumerate(["<|endoftext|>", *LETTERS, "th", "the"])}
N = len(VOCAB)  # <|im_start|>, <|im_end|>, <s>, </s> follow, and [PAD] has no row any more
IDS = {"<|endoftext|>": 0, START: N, END: N + 1, BOS: N + 2, EOS: N + 3, PAD: N + 4, "é": VOCAB["é"]}


def tokenizer_json() -> dict[str, Any]:
    """The added tokens, half of them normalized, and a template that puts <s> before every text and </s> behind it."""
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "special": True}
    added = [{"id": i, "content": token, "normalized": i % 2 == 1, **plain} for token, i in IDS.items()]
    text, special = {"Sequence": {"id": "A", "type_id": 0}}, {BOS: IDS[BOS], EOS: IDS[EOS]}
    single = [{"SpecialToken": {"id": BOS, "type_id": 0}}, text, {"SpecialToken": {"id": EOS, "type_id": 0}}]
    ids = {token: {"id": token, "ids": [i], "tokens": [token]} for token, i in special.items()}
    return {
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
        "post_processor": {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": ids},
        "model": {"type": "BPE", "vocab": VOCAB, "merges": [["t", "h"], ["th", "e"]]},
    }


@pytest.fixture(scope="module")
def wild(make_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    """Two tokens end a text: whatever comes third after two different seeds."""
    config = GPT2Config(n_vocab=N + 4, n_positions=32, n_embd=4, n_layer=1, n_head=1, n_inner=4)
    made = make_checkpoint(config, "wild", seed=5, files={"tokenizer.json": json.dumps(tokenizer_json()).encode()})
    free = [sheetgpt.generate(made, "the", new_tokens=6, top_k=64, seed=seed).ids[5] for seed in (1, 2)]
    assert free[0] != free[1]
    folder = Path(made.source)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": free}))
    found = load(folder)
    assert found.stop_ids == tuple(free)
    return found


@pytest.fixture(scope="module")
def workbook(wild: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wild") / "wild.xlsx"
    sizes: dict[str, Any] = {
        "context": CONTEXT,
        "prompt_bytes": CAPACITY,
        "merge_rounds": 3,
        "top_k": 64,
        "without": "all",
    }
    return build(wild, target, prompt="the", new_tokens=6, **sizes)


def test_the_prompt_gets_the_tokens_around_it(wild: Checkpoint) -> None:
    assert wild.tokenizer
    assert wild.tokenizer.encode(f"{START}the{END}é") == [N + 2, N, 258, N + 1, VOCAB["é"], N + 3]
    assert sheetgpt.generate(wild, "", new_tokens=0).ids == (N + 2, N + 3)
    assert f"The token '{PAD}' has the id {N + 4}, and the model's last is {N + 3}" in " ".join(wild.notes)


TEXTS = ("the", "", f"{START}a{END}", "遠い é", "é£", f"{BOS}x{EOS}", "x" * CAPACITY, "x" * (CAPACITY + 1), f"a{PAD}")


def test_the_tokenizer_sheet_reads_as_python_does(workbook: Path, wild: Checkpoint) -> None:
    assert wild.tokenizer
    layout = open_workbook(workbook).layout
    read = ["tokenizer_ids", "tokenizer_n_tokens", "tokenizer_message"]
    answers = libreoffice.run(workbook, [Step({"prompt": text}, read) for text in TEXTS])
    words = bpe.sentences(CAPACITY, 3, bpe.Tables.of(wild.tokenizer))
    for text, answer in zip(TEXTS, answers, strict=True):
        status = {TEXTS[1]: bpe.EMPTY, TEXTS[-2]: bpe.TOO_LONG, TEXTS[-1]: bpe.NO_TOKEN}.get(text, bpe.FITS)
        wanted = [] if status in (bpe.TOO_LONG, bpe.NO_TOKEN) else list(wild.tokenizer.encode(text))
        assert ids_of(answer["tokenizer_ids"]) == wanted, text
        assert wanted == [] or list(given_ids(Inputs(text), wild.tokenizer, layout)) == wanted
        assert number(answer["tokenizer_n_tokens"]) == len(wanted)
        assert answer["tokenizer_message"]
        assert answer["tokenizer_message"].texts[0, 0] == words[status]


def number(cells: Cells | None) -> float:
    assert cells
    return float(cells.numbers[0, 0])


def test_nothing_is_written_after_either_end(workbook: Path, wild: Checkpoint) -> None:
    assert open_workbook(workbook).layout.end_of_text == wild.stop_ids
    seeds = range(1, 30)
    ends: dict[int, int] = {}
    found = {seed: sheetgpt.generate(wild, "the", new_tokens=6, top_k=64, seed=seed) for seed in seeds}
    for seed, written in found.items():
        if written.ids[-1] in wild.stop_ids and len(written.ids) < 3 + 6:
            ends.setdefault(written.ids[-1], seed)
    assert {*ends} == {*wild.stop_ids}
    going_on = next(seed for seed in seeds if len(found[seed].ids) == 3 + 6)
    chosen = [*ends.values(), going_on]
    for seed, answer in zip(
        chosen, libreoffice.run(workbook, [Step({"seed": s}, ["token_ids"]) for s in chosen]), strict=True
    ):
        assert tuple(ids_of(answer["token_ids"])) == found[seed].ids
    pieces = [piece for _, piece, _ in sheetgpt.stream(wild, "the", new_tokens=6, top_k=64, seed=chosen[0])]
    assert "".join(pieces) == found[chosen[0]].completion
    assert verify(workbook, seed=chosen[0]).passed
    assert verify(workbook, prompt="", new_tokens=2).passed
    assert verify(workbook, prompt="x" * 6, new_tokens=1, seed=3).passed  # with the tokens around it, all columns


def test_verify_notices_that_a_text_ends_elsewhere(workbook: Path, wild: Checkpoint, tmp_path: Path) -> None:
    moved = shutil.copytree(wild.source, tmp_path / "wild")
    assert verify(workbook, engine="cached", model=moved).passed
    (moved / "generation_config.json").write_text('{"eos_token_id": 7}')
    report = verify(workbook, engine="cached", model=moved)
    assert not report.passed
    first, second = wild.stop_ids
    wanted = f"The Model sheet says that a text ends with token {first} or {second}, and the checkpoint with token 7."
    assert wanted in report.problems


def test_the_workbook_keeps_excels_rules(workbook: Path) -> None:
    assert check(workbook) == []


@pytest.mark.parametrize(
    ("config", "generation", "ends"),
    [
        ({"eos_token_id": 7}, None, (7,)),
        ({"eos_token_id": [7, 9, 7]}, None, (7, 9)),
        ({"eos_token_id": None}, None, ()),
        ({"eos_token_id": []}, None, ()),
        ({"eos_token_id": 7}, {"eos_token_id": 9}, (9,)),
        ({"eos_token_id": 7}, {"eos_token_id": None}, ()),
        ({"eos_token_id": 7}, {"temperature": 1.0}, ()),
        ({"eos_token_id": [50256, 3, -1]}, None, (3,)),
        ({}, None, (0,)),  # <|endoftext|>, as the vocabulary is smaller than GPT-2's
    ],
)
def test_the_ends_are_those_that_hugging_face_reads(
    write_checkpoint: Callable[..., Path],
    hf_config: dict[str, Any],
    config: dict[str, Any],
    generation: dict[str, Any] | None,
    ends: tuple[int, ...],
) -> None:
    folder = write_checkpoint(config=hf_config | config)
    if generation is not None:
        (folder / "generation_config.json").write_text(json.dumps(generation))
    found = load(folder)
    assert found.stop_ids == ends
    beyond = ["eos_token_id 50256 and -1, and the model's last token is 259: they never come."] if ends == (3,) else []
    assert [note.split(" says ")[1] for note in found.notes] == beyond


@pytest.mark.parametrize("value", ["0", 1.5, True, ["7"], {"a": 1}])
def test_an_end_that_is_no_id_is_refused(
    write_checkpoint: Callable[..., Path], hf_config: dict[str, Any], value: object
) -> None:
    folder = write_checkpoint(config=hf_config | {"eos_token_id": value})
    with pytest.raises(sheetgpt.SheetGPTError, match=r"config.json says eos_token_id .*; expected a token's id"):
        load(folder)


def test_without_an_end_the_model_sheet_says_so(micro: Checkpoint, tmp_path: Path) -> None:
    book = build(replace(micro, stop_ids=()), tmp_path / "none.xlsx", ids=[1], context=3)
    assert open_workbook(book).layout.end_of_text == ()
    [cells] = [sheetgpt.read(book, "end_of_text")]
    np.testing.assert_array_equal(cells.to_numpy(), [[-1]])


def test_the_command_line_says_what_was_left_out(wild: Checkpoint, tmp_path: Path, sheetgpt_command: Command) -> None:
    target = tmp_path / "x.xlsx"
    status, _, said = sheetgpt_command("build", wild.source, "-o", target, "--ids", "1", "--prompt-bytes", 0)
    assert status == 0
    assert f"Note: The token '{PAD}' has the id" in " ".join(said.split())
