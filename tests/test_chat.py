"""A chat template becomes two texts around the user's words, or is refused by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Command

from sheetgpt import build, check, generate, verify
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoint import Checkpoint
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.text.chat import Chat, chat_of
from sheetgpt.text.tokenizer import byte_to_unicode
from sheetgpt.verification.verify import Case, prepare
from sheetgpt.workbook.reopen import open_workbook

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
    """Bytes, three merges, the two tokens of ChatML, and its template."""
    letters = [byte_to_unicode()[byte] for byte in range(256)]
    vocab = {token: i for i, token in enumerate(["<|endoftext|>", *letters, "th", "the", "Ġthe"])}
    files = {
        "vocab.json": json.dumps(vocab).encode(),
        "merges.txt": "#version: 0.2\nt h\nth e\nĠ the\n".encode(),
        "added_tokens.json": json.dumps({"<|im_start|>": 260, "<|im_end|>": 261}).encode(),
        "tokenizer_config.json": json.dumps({"chat_template": CHATML}).encode(),
    }
    config = GPT2Config(n_vocab=262, n_positions=64, n_embd=4, n_layer=1, n_head=1, n_inner=4)
    return make_checkpoint(config, "talker", seed=3, files=files)


@pytest.fixture(scope="module")
def chat_workbook(talker: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    sizes: dict[str, Any] = {"context": 36, "prompt_bytes": 60, "merge_rounds": 3}
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
    for given, expected in cases:
        report = verify(chat_workbook, **given)
        assert report.passed, [(t.name, t.problem, t.where, t.cells[:3]) for t in report.tensors if not t.passed]
        assert list(evaluated_prompt(chat_workbook, **given)) == expected
    assert list(generate(talker, chat="oh", new_tokens=1).ids[:-1]) == ids


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
    code, _, error = sheetgpt_command("run", reader_workbook, "--chat", "a")
    assert code == 2
    assert "has no chat template" in error
