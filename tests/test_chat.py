"""A chat template becomes two texts around the user's words, or is refused by name."""

import pytest

from sheetgpt.errors import SheetGPTError
from sheetgpt.text.chat import Chat, chat_of

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
