"""The files of a checkpoint in Hugging Face's format: config.json, the tokenizer's, and the assistant's conversation.

A conversation is written in ChatML, a gap in the order prefix, suffix, middle; both end with `<|im_end|>`.
"""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from sheetgpt.gpt2.checkpoints.save import config_json, json_bytes
from sheetgpt.gpt2.config import GPT2Config

END = "<|endoftext|>"
IM_START, IM_END = "<|im_start|>", "<|im_end|>"
FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE = "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"
SPECIAL = (IM_START, IM_END, FIM_PREFIX, FIM_SUFFIX, FIM_MIDDLE)
ROLES = ("user", "assistant")
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def chat_prompt(user: str) -> str:
    """What CHAT_TEMPLATE makes of one message, up to where the assistant begins."""
    return f"{IM_START}user\n{user}{IM_END}\n{IM_START}assistant\n"


def gap_prompt(prefix: str, suffix: str) -> str:
    """After it comes the middle."""
    return f"{FIM_PREFIX}{prefix}{FIM_SUFFIX}{suffix}{FIM_MIDDLE}"


def config_of(vocab_size: int, n_positions: int, n_embd: int, n_layer: int, n_head: int) -> dict[str, Any]:
    """config.json of a GPT-2 whose end is `<|endoftext|>`."""
    return config_json(GPT2Config(vocab_size, n_positions, n_embd, n_layer, n_head, 4 * n_embd))


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_bytes(json_bytes(content))


def open_tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def save_tokenizer(tokenizer: Tokenizer, out: Path, n_positions: int, *, chat: bool = False) -> None:
    """vocab.json and merges.txt or, with special tokens, tokenizer.json and tokenizer_config.json."""
    special = {i: token.content for i, token in sorted(tokenizer.get_added_tokens_decoder().items())}
    if len(special) < 2:
        tokenizer.model.save(str(out))
        return
    tokenizer.save(str(out / "tokenizer.json"))
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    settings: dict[str, Any] = {
        "add_prefix_space": False,
        "added_tokens_decoder": {str(i): {"content": content, **flags} for i, content in special.items()},
        "additional_special_tokens": [content for content in special.values() if content != END],
        "bos_token": END,
        "clean_up_tokenization_spaces": False,
        "eos_token": IM_END if chat else END,
        "model_max_length": n_positions,
        "pad_token": END,
        "tokenizer_class": "GPT2Tokenizer",
        "unk_token": END,
    }
    write_json(out / "tokenizer_config.json", {**settings, "chat_template": CHAT_TEMPLATE} if chat else settings)


def save_config(config: dict[str, Any], out: Path, end: int = 0) -> None:
    """config.json and generation_config.json; `end`: the token after which nothing is chosen."""
    write_json(out / "config.json", {**config, "eos_token_id": end})
    if end:
        write_json(out / "generation_config.json", {"bos_token_id": 0, "eos_token_id": end, "pad_token_id": 0})
