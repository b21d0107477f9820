"""The tokens that end a text: `eos_token_id`, as Hugging Face's `generate` reads it.

generation_config.json decides alone where there is one, else config.json. Where neither says anything, it is GPT-2's
50256 in a vocabulary that has it, and `<|endoftext|>` in a smaller one.
Source: `transformers` 5.24, generation/utils.py (`adjust_generation_fn`), configuration_gpt2.py.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sheetgpt.errors import SheetGPTError
from sheetgpt.text.hugging_face import END_OF_TEXT
from sheetgpt.text.tokenizer import Tokenizer

GENERATION = "generation_config.json"
KEY = "eos_token_id"
GPT2S_OWN = 50256
MANY = 1000  # far more than any model has; each takes a row of the Model sheet


def stop_ids(
    config: Mapping[str, Any], generation: Mapping[str, Any] | None, n_vocab: int, tokenizer: Tokenizer | None, at: Path
) -> tuple[tuple[int, ...], list[str]]:
    """The ids in their order, and notes. `at`: the folder of the two files; `generation`: None where there is none."""
    file, content = ("config.json", config) if generation is None else (GENERATION, generation)
    if generation is None and KEY not in config:
        end = tokenizer.added.get(END_OF_TEXT) if tokenizer else None
        found: Any = GPT2S_OWN if n_vocab > GPT2S_OWN else end
    else:
        found = content.get(KEY)
    listed = [] if found is None else found if isinstance(found, list) else [found]
    if len(listed) > MANY or not all(type(i) is int for i in listed):
        raise SheetGPTError(f"{at / file} says {KEY} {found!r:.80}; expected a token's id, a list of ids, or null.")
    inside = tuple(dict.fromkeys(i for i in listed if 0 <= i < n_vocab))
    beyond = [str(i)[:20] for i in dict.fromkeys(listed) if not 0 <= i < n_vocab]
    shown = " and ".join(beyond[:2]) + (f" and {len(beyond) - 2} more" if beyond[2:] else "")
    never = "they never come" if beyond[1:] else "it never comes"
    note = f"{at / file} says {KEY} {shown}, and the model's last token is {n_vocab - 1}: {never}."
    return inside, [note] if beyond else []
