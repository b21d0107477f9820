"""What a chat template puts around the words of a user, as two texts: one before them and one after.

A chat template is a Jinja program in a checkpoint's tokenizer_config.json, which turns a list of messages into the text
that the model reads (Hugging Face, "Chat templates"). A cell can't run a program. But for one message of a user,
followed by the start of the model's answer, nearly every template only sets fixed texts around the message, and those
a formula can join. `chat_of` runs the template on a few messages and makes sure of that.

The program comes with the checkpoint, so it may be anything. It runs in Jinja's sandbox, in a process of its own that
has little time and memory.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sheetgpt.errors import SheetGPTError
from sheetgpt.text.json_file import is_file, read_bytes, read_json

TEMPLATE_FILE = "chat_template.jinja"
MOST_CHARACTERS, SECONDS = 100_000, 20

_MARK = "\ue000\ue001"  # private characters, which no template has
_PROBES = ("Hello", "Two words.", " blanks around ", "a line\nand another", "Größe, 遠い", "'\"{{x}} <b> &amp; \\n")


@dataclass(frozen=True)
class Chat:
    """The fixed texts around what the user says; after `after` the model answers."""

    before: str
    after: str

    def wrap(self, words: str) -> str:
        return f"{self.before}{words}{self.after}"


def chat_in(folder: Path) -> Chat | None:
    """That of a checkpoint's folder; None where it has no chat template. One that can't become a formula is refused."""
    path, file = folder / "tokenizer_config.json", folder / TEMPLATE_FILE
    config = read_json(path) if is_file(path) else {}
    template = config.get("chat_template")
    if is_file(file):  # as newer versions of transformers write it
        template = read_bytes(file).decode(errors="replace")
    if isinstance(template, list) and template:  # several, by name
        named = [t for t in template if isinstance(t, dict)]
        template = next((t.get("template") for t in named if t.get("name") == "default"), None)
        if template is None:
            raise SheetGPTError("The model has several chat templates, and none is named default.")
    if not isinstance(template, str):
        return None
    roles = {key: value for key, value in config.items() if key.endswith("_token")}
    tokens = {key: value.get("content") if isinstance(value, dict) else value for key, value in roles.items()}
    return chat_of(template, {key: value for key, value in tokens.items() if isinstance(value, str)})


def chat_of(template: str, tokens: Mapping[str, str]) -> Chat:
    """`tokens`: what the template may call by name, such as `bos_token`.

    Raises SheetGPTError if the template fails, takes too long, or does more than to put texts around the words.
    """
    if len(template) > MOST_CHARACTERS:
        raise SheetGPTError(
            f"The chat template has {len(template):,} characters; at most {MOST_CHARACTERS:,} are read."
        )
    first, *others = _rendered(template, tokens, (_MARK, *_PROBES))
    before, *after = first.split(_MARK)
    if len(after) != 1:
        times = "leaves out what the user says" if not after else "repeats what the user says"
        raise SheetGPTError(f"The chat template {times}, so it can't become a formula.")
    chat = Chat(before, after[0])
    if any(chat.wrap(probe) != text for probe, text in zip(_PROBES, others, strict=True)):
        raise SheetGPTError("The chat template changes what the user says, so it can't become a formula.")
    return chat


def _rendered(template: str, tokens: Mapping[str, str], words: tuple[str, ...]) -> list[str]:
    task = json.dumps({"template": template, "tokens": dict(tokens), "words": words})
    command = [sys.executable, str(Path(__file__).with_name("_chat_worker.py"))]
    try:
        done = subprocess.run(command, input=task.encode(), capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise SheetGPTError(f"The chat template did not end within {SECONDS} seconds.") from None
    if done.returncode:
        raise SheetGPTError("The chat template stopped with an error, or took too much memory.")
    found: dict[str, Any] = json.loads(done.stdout)
    if "error" in found:
        raise SheetGPTError(f"The chat template can't be used: {found['error']}.")
    return list(found["texts"])
