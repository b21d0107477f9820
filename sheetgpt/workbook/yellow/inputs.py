"""What the yellow cells of a workbook hold, and the token ids that its columns hold because of it.

The twin of the Home sheet's strip: the ids of the prompt's text, or those typed in its place; of these the last ones
that fit into the columns.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.generation.continuation import window
from sheetgpt.gpt2.generation.sampling import check_whole
from sheetgpt.gpt2.model import check_ids
from sheetgpt.sheets.inputs import Inputs, cell_text
from sheetgpt.sheets.layout import Layout
from sheetgpt.text import bpe
from sheetgpt.text.tokenizer import Tokenizer

_MORE = {
    bpe.TOO_LONG: " `sheetgpt build --prompt-bytes` makes more room.",
    bpe.TOO_MANY_ROUNDS: " `sheetgpt build --merge-rounds` makes more room.",
}


def with_prompt(
    inputs: Inputs, layout: Layout, prompt: str | None, ids: Sequence[int] | None, chat: str | None = None
) -> Inputs:
    """The inputs with another prompt: a text, ids, or what the user says; without any, as they are."""
    given = [name for name, value in (("--prompt", prompt), ("--ids", ids), ("--chat", chat)) if value is not None]
    if len(given) > 1:
        raise SheetGPTError(f"Give {' or '.join(given)}, not {'both' if len(given) == 2 else 'all'}.")
    if ids is not None:
        if len(ids) > layout.context:
            columns = f"the workbook has {layout.context} columns"
            raise SheetGPTError(f"The prompt has {len(ids)} tokens, and {columns}: build with more --context.")
        check_ids(ids, layout.config)
        return replace(inputs, ids=tuple(ids))
    if chat is not None:
        if layout.chat is None:
            raise SheetGPTError("The model has no chat template that a formula can follow: give the whole --prompt.")
        if not chat:
            raise SheetGPTError("--chat is empty: say something, or give a --prompt.")
        return replace(inputs, prompt="", user_says=cell_text(_text(chat)), ids=())
    if prompt is None:
        return inputs
    if not layout.reads_text:
        raise SheetGPTError(
            "There is no tokenizer in the workbook, so it can't read a text: give the prompt as --ids 1,2,3."
        )
    return replace(inputs, prompt=cell_text(_text(prompt)), user_says="", ids=())


def _text(prompt: str) -> str:
    """Refuses halves of characters: Python's stand-ins for bytes of the command line that are not UTF-8, or others."""
    half = next((ord(character) for character in prompt if 0xD800 <= ord(character) < 0xE000), None)
    if half is None:
        return prompt
    if 0xDC80 <= half < 0xDD00:
        raise SheetGPTError(
            f"The prompt holds the byte 0x{half - 0xDC00:02X}, which is not UTF-8: give it as UTF-8 text."
        )
    raise SheetGPTError(f"The prompt holds U+{half:04X}, half of a character: delete it and type it again.")


def with_settings(inputs: Inputs, **changes: Any) -> Inputs:
    """The inputs with other settings (`new_tokens`, `temperature`, `top_k`, `top_p`, `seed`); None leaves one alone."""
    given = {name: value for name, value in changes.items() if value is not None}
    n = given.pop("new_tokens", inputs.new_tokens)
    return replace(inputs, new_tokens=n, sampling=replace(inputs.sampling, **given))


def token_ids(inputs: Inputs, tokenizer: Tokenizer | None, layout: Layout) -> tuple[int, ...]:
    """The prompt's ids in the columns: of those that are given, the last that there is room for.

    Raises SheetGPTError where the Home sheet would show a sentence in place of ids.
    """
    check_room(inputs, layout)
    given = given_ids(inputs, tokenizer, layout)
    check_ids(given[: layout.config.n_positions], layout.config)
    return tuple(window(given, layout.config, inputs.new_tokens, layout.context))


def check_room(inputs: Inputs, layout: Layout) -> None:
    """Refuses as many new tokens as columns, or more; and any where the workbook only reads."""
    n, columns = inputs.new_tokens, layout.context
    if layout.reads_only and n != 0:
        raise SheetGPTError(
            "This workbook only reads: it was built with --reads-only and writes no new tokens. Ask for --new-tokens 0,"
            " or build one without --reads-only."
        )
    if isinstance(n, int) and n >= columns:
        raise SheetGPTError(
            f"{n} new tokens and a prompt don't fit into the workbook's {columns} columns:"
            f" ask for at most {columns - 1}, or build with more --context."
        )
    check_whole("new_tokens", n, 0, columns - 1)


def given_ids(inputs: Inputs, tokenizer: Tokenizer | None, layout: Layout) -> Sequence[int]:
    """All ids of the prompt, however many."""
    if inputs.ids or not layout.reads_text:
        return inputs.ids
    if tokenizer is None:
        raise SheetGPTError("The prompt is a text, and there is no tokenizer to read it: name the checkpoint.")
    tables, text = tables_of(tokenizer), inputs.text(layout)
    trace = bpe.run(text, tables, layout.prompt_bytes, layout.merge_rounds)
    if trace.status not in (bpe.FITS, bpe.EMPTY) or not (trace.ids or text):
        words = bpe.sentences(layout.prompt_bytes, layout.merge_rounds, tables)[trace.status]
        raise SheetGPTError(words + _MORE.get(trace.status, ""))
    return tokenizer.encode(text) if text else trace.ids


@lru_cache(maxsize=4)
def tables_of(tokenizer: Tokenizer) -> bpe.Tables:
    return bpe.Tables.of(tokenizer)
