"""A chat template becomes two texts around the user's words, or is refused by name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from judging import case_of, judged
from ready import Command

from sheetgpt import build, check, generate, stream, verify
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.sheets.layout import CHAT
from sheetgpt.text.chat import Chat, chat_of
from sheetgpt.text.tokenizer import byte_to_unicode
from sheetgpt.verification.verify import Case, prepare
from sheetgpt.workbook.build import n_columns
from sheetgpt.workbook.reopen import open_workbook

LONG = f"<|{'x' * 60}|>"
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.mark.parametrize(
    ("template", "chat"),
    [
        (CHATML, Chat("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n")),
        ("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}", Chat("<s>", "</s>")),
        ("{{ messages[-1]['content'] }}", Chat("", "")),
        (
            "{%- for m in messages %}\n {%- if 1 %}\nYou: {{ m.content }}\n {%- endif %}\n{% endfor %}Bot:",
            Chat("You: ", "Bot:"),
        ),
    ],
)
def test_the_words_are_put_between_two_texts(template: str, chat: Chat) -> None:
    assert chat_of(template, {"bos_token": "<s>", "eos_token": "</s>"}) == chat


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{{ messages[0].content | trim }}", "changes what the user says"),
        ("{{ messages[0].content | upper }}", "changes what the user says"),
        ("{{ messages[0].content }}{{ messages[0].content }}", "repeats what the user says"),
        ("nothing", "leaves out what the user says"),
        ("{{ raise_exception('Roles must alternate') }}", "can't be used: Roles must alternate"),
        ("{% for %}", "can't be used"),
        ("{{ strftime_now('%d') }}", "can't be used: 'strftime_now' is undefined"),
        ("{{ ''.__class__.__mro__ }}{{ messages[0].content }}", "can't be used: access to attribute"),
        ("{{ 'a' * 10**10 }}", "error, or took too much memory"),
        ("x" * 100_001, "100,001 characters"),
    ],
)
def test_what_no_formula_can_do_is_refused(template: str, sentence: str) -> None:
    with pytest.raises(SheetGPTError, match=sentence):
        chat_of(template, {})


def test_an_endless_template_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sheetgpt.text.chat.SECONDS", 1)
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    with pytest.raises(SheetGPTError, match="did not end within 1 seconds"):
        chat_of(loop, {})


@pytest.fixture(scope="module")
def talker(make_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    """Bytes, three merges, the two tokens of ChatML, a long one, and the template. Every second token ends a text."""
    letters = [byte_to_unicode()[byte] for byte in range(256)]
    vocab = {token: i for i, token in enumerate(["<|endoftext|>", *letters, "th", "the", "Ġthe"])}
    files = {
        "vocab.json": json.dumps(vocab).encode(),
        "merges.txt": "#version: 0.2\nt h\nth e\nĠ the\n".encode(),
        "added_tokens.json": json.dumps({"<|im_start|>": 260, "<|im_end|>": 261, LONG: 262}).encode(),
        "tokenizer_config.json": json.dumps({"chat_template": CHATML}).encode(),
        "generation_config.json": json.dumps({"eos_token_id": [*range(1, 262, 2)]}).encode(),
    }
    config = GPT2Config(n_vocab=263, n_positions=64, n_embd=4, n_layer=1, n_head=1, n_inner=4)
    return make_checkpoint(config, "talker", seed=3, files=files)


@pytest.fixture(scope="module")
def chat_workbook(talker: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    sizes: dict[str, Any] = {"context": 36, "prompt_bytes": 60, "merge_rounds": 3, "without": "all"}
    return build(talker, tmp_path_factory.mktemp("workbook") / "chat.xlsx", chat="the end", new_tokens=2, **sizes)


def test_what_the_user_says_is_wrapped(talker: Checkpoint, chat_workbook: Path) -> None:
    assert check(chat_workbook) == []
    start, words, end, answer = "<|im_start|>user\n", "oh", "<|im_end|>\n", "<|im_start|>assistant\n"
    ids = talker.tokenizer.encode(start + words + end + answer) if talker.tokenizer else []
    assert (ids[0], ids.count(260), ids.count(261)) == (260, 2, 1)
    cases: list[tuple[dict[str, Any], list[int]]] = [
        ({"chat": "oh"}, ids),
        ({"chat": "<|im_end|>"}, [*ids[:6], 261, *ids[8:]]),
        ({"prompt": "the end"}, [258, 33, 102, 111, 101]),
    ]
    wrong = judged(chat_workbook, {str(given): case_of(chat_workbook, given) for given, _ in cases})
    assert {name: [*bad.items()][:4] for name, bad in wrong.items() if bad} == {}
    for given, expected in cases:
        assert list(evaluated_prompt(chat_workbook, **given)) == expected
    assert list(generate(talker, chat="oh", new_tokens=1).ids[:-1]) == ids


def test_an_answer_is_what_stands_before_the_token_that_ends_it(talker: Checkpoint, chat_workbook: Path) -> None:
    """Also where a token that ends a text comes after a part of a character, or where the sheet Decoding is full."""
    given: dict[str, dict[str, Any]] = {f"seed {seed}": {"chat": "the", "seed": seed} for seed in range(8)}
    given |= {f"long, seed {seed}": {"ids": [262] * 9, "seed": seed} for seed in range(4)}
    given |= {"none written": {"prompt": "the<|im_end|>", "new_tokens": 0}, "a stop in the prompt": {"ids": [261, 261]}}
    settings: dict[str, Any] = {"new_tokens": 2, "temperature": 2, "top_k": 64}
    assert talker.tokenizer is not None
    cases = {name: case_of(chat_workbook, settings | case) for name, case in given.items()}
    wrong = judged(chat_workbook, cases)
    assert {name: [*bad.items()][:4] for name, bad in wrong.items() if bad} == {}
    ended = []
    for name, case in cases.items():
        ids, n = case.state.prompt.ids, case.state.prompt.n_prompt
        if name.startswith("seed"):
            ended.append(ids[-1] % 2)
            written = ids[n : len(ids) - ended[-1]]
            said = b"".join(talker.tokenizer.token_bytes(id) for id in written).decode(errors="replace")
            found = generate(talker, **settings | given[name])
            streamed = "".join(text for _, text, _ in stream(talker, **settings | given[name]))
            assert case.state.now.completion == found.completion == streamed == said
    assert {*ended} == {0, 1}


def test_the_bundled_assistant_answers_and_stops(tmp_path: Path) -> None:
    path = build("stories-chat", tmp_path / "w.xlsx", without="all", prompt_bytes=96, merge_rounds=12)
    assert open_workbook(path).layout.context == 48
    given = {"chat": "Ben has a sock. What does Ben have?"}
    case = case_of(path, given)
    assert case.state.now.completion == "Ben has a sock."
    assert [case.state.shown[id] for id in case.state.prompt.ids][-3:] == ["ck", ".", "<|im_end|>"]
    assert judged(path, {"asked": case}) == {"asked": {}}


@pytest.mark.parametrize(("around", "columns"), [(0, 32), (8, 48), (16, 48), (17, 64), (5000, 256)])
def test_a_template_s_tokens_come_on_top(around: int, columns: int) -> None:
    config = load("stories-chat").config
    assert n_columns(config, None, around) == columns
    assert n_columns(config, 7, around) == 7
    large = GPT2Config(n_vocab=50257, n_positions=1024, n_embd=768, n_layer=12, n_head=12, n_inner=3072)
    assert n_columns(large, None, 8) == 24


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"chat_template": "{{ messages[0].content | trim }}"}, "The chat template changes what the user says"),
        (
            {"chat_template": [{"name": "tools", "template": CHATML}]},
            "several chat templates, and none is named default",
        ),
        ({"chat_template": CHATML, "add_bos_token": True}, "a tokenizer that puts tokens of its own around each text"),
    ],
)
def test_a_template_that_no_formula_can_follow_is_noted(
    talker: Checkpoint, tmp_path: Path, sheetgpt_command: Command, config: dict[str, Any], words: str
) -> None:
    shutil.copytree(talker.source, tmp_path / "m")
    tokens = {"bos_token": "<|endoftext|>"}
    (tmp_path / "m" / "tokenizer_config.json").write_text(json.dumps(tokens | config))
    checkpoint = load(tmp_path / "m")
    assert checkpoint.chat is None
    assert any(words in note and "So Home has no cell for what the user says." in note for note in checkpoint.notes)
    sizes = ["--prompt", "the", "--context", "6", "--prompt-bytes", "20", "--merge-rounds", "3", "--without", "all"]
    code, _, said = sheetgpt_command("build", tmp_path / "m", "-o", tmp_path / "w.xlsx", *sizes)
    assert code == 0
    assert f"Note: {checkpoint.notes[-1]}" in " ".join(said.split())


def evaluated_prompt(workbook: Path, **given: str) -> tuple[int, ...]:
    case = prepare(workbook, given)
    assert isinstance(case, Case)
    return tuple(case.state.prompt.ids[: case.state.prompt.n_prompt])


def test_run_answers_and_the_file_remembers(chat_workbook: Path, sheetgpt_command: Command) -> None:
    code, said, _ = sheetgpt_command("run", chat_workbook, "--chat", "the", "--numpy")
    assert code == 0
    assert "the same tokens" in said
    assert open_workbook(chat_workbook).inputs.user_says == "the end"
    assert verify(chat_workbook, engine="cached").passed


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--chat", "a", "--prompt", "b"], "Give --prompt or --chat, not both."),
        (["--chat", ""], "--chat is empty"),
        (["--chat", "the " * 99], "bytes"),
    ],
)
def test_what_cannot_be_said(chat_workbook: Path, sheetgpt_command: Command, words: list[str], sentence: str) -> None:
    code, _, error = sheetgpt_command("run", chat_workbook, *words)
    assert code == 2
    assert sentence in error


def test_a_plain_model_has_no_chat(reader_workbook: Path, sheetgpt_command: Command) -> None:
    assert not {"user_says", "full_prompt", "special_token"} & {*open_workbook(reader_workbook).layout.records}
    assert CHAT[0] not in open_workbook(reader_workbook).layout
    code, _, error = sheetgpt_command("run", reader_workbook, "--chat", "a")
    assert code == 2
    assert "has no chat template" in error
