"""Runs a checkpoint's chat template, in a process of its own: a task in JSON from standard input, the texts to standard
output. It imports nothing of sheetgpt's, so that it starts at once. It ends with the process that started it.
"""

import contextlib
import json
import os
import sys
import threading
import time
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

BYTES = 500_000_000
SECONDS = 30  # of processor time: more than whoever waits for it does


def main() -> None:
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    task = json.load(sys.stdin.buffer)
    _bounds()
    # as `transformers` sets it up, but for the date: a workbook would keep the day on which it was built
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = lambda x, **options: json.dumps(x, ensure_ascii=False, indent=options.get("indent"))
    environment.globals |= {"raise_exception": _refuse}
    answer: dict[str, Any]
    try:
        program = environment.from_string(task["template"])
        messages = ([{"role": "user", "content": words}] for words in task["words"])
        texts = [program.render(messages=m, add_generation_prompt=True, **task["tokens"]) for m in messages]
        answer = {"texts": texts}
    except (
        TemplateError,
        TypeError,
        ValueError,
        LookupError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        answer = {"error": str(error).strip().rstrip(".")[:200] or type(error).__name__}
    sys.stdout.buffer.write(json.dumps(answer).encode())


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def _bounds() -> None:
    """Windows has no such bounds."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        with contextlib.suppress(ValueError):  # macOS gives every process more to begin with, and then refuses
            resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))


def _end_with(parent: int) -> None:
    """A template may loop for ever, and the one who would stop it may have been killed. (Windows never tells.)"""
    end = time.monotonic() + SECONDS
    while os.getppid() == parent and time.monotonic() < end:
        time.sleep(0.1)
    os._exit(1)


if __name__ == "__main__":
    main()
