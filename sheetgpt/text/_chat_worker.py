"""Runs a checkpoint's chat template, in a process of its own: a task in JSON from standard input, the texts to standard
output. It imports nothing of sheetgpt's, so that it starts at once.
"""

import json
import sys
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

BYTES = 500_000_000


def main() -> None:
    task = json.load(sys.stdin.buffer)
    _bound_memory()
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


def _bound_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))


if __name__ == "__main__":
    main()
