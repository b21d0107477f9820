"""A model -> a checkpoint's folder in Hugging Face's format, which `checkpoint.load` and `transformers` read.

config.json, model.safetensors (float32, Hugging Face's names) and the tokenizer's files as they are given.
"""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import hugging_face_name
from sheetgpt.gpt2.checkpoints.stopping import GENERATION
from sheetgpt.gpt2.checkpoints.weight_files import INDEX, WEIGHTS
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.model import Array
from sheetgpt.text import tokenizer
from sheetgpt.text.chat import TEMPLATE_FILE

CONFIG = "config.json"


def config_json(config: GPT2Config, end: int | None = 0) -> dict[str, Any]:
    """What config.json says of it; `end`: the token that stands between two texts, None for none."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": config.n_vocab,
        "n_positions": config.n_positions,
        "n_ctx": config.n_positions,
        "n_embd": config.n_embd,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_inner": None if config.n_inner == 4 * config.n_embd else config.n_inner,
        "activation_function": config.activation_function,
        "layer_norm_epsilon": config.layer_norm_epsilon,
        "tie_word_embeddings": config.tied,
        "bos_token_id": end,
        "eos_token_id": end,
    }


def json_bytes(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()


def weights_bytes(params: Mapping[str, Array]) -> bytes:
    """model.safetensors. Refuses what float32 can't hold: no reader takes infinity for a weight."""
    tensors = {}
    with np.errstate(over="ignore"):
        for name, tensor in params.items():
            tensors[hugging_face_name(name)] = np.ascontiguousarray(tensor, np.float32)
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise SheetGPTError(f"The tensor {name!r} holds what is no number in float32: there is nothing to save.")
    return bytes(save(tensors, {"format": "pt"}))


def save_checkpoint(
    folder: str | os.PathLike[str],
    config: GPT2Config,
    params: Mapping[str, Array],
    files: Mapping[str, bytes],
    end: int | None = 0,
    more: Mapping[str, Any] | None = None,
) -> Path:
    """Writes the folder and returns it. `files`: the tokenizer's; `more`: what config.json says beside that.

    Files of the same names are replaced, each whole, the weights last. A folder with other files of a model, which a
    reader would take for this one's, is refused.
    """
    whole = Path(os.path.abspath(os.path.expanduser(folder)))
    contents = {CONFIG: json_bytes({**config_json(config, end), **(more or {})}), **files}
    contents[WEIGHTS] = weights_bytes(params)
    try:
        whole.mkdir(parents=True, exist_ok=True)
        left = [
            name
            for name in (*tokenizer.FILES, INDEX, GENERATION, TEMPLATE_FILE)
            if name not in contents and (whole / name).exists()
        ]
        if left:
            raise SheetGPTError(
                f"{whole} has a {left[0]} of another model, which a reader would take for this one's: "
                f"give another folder."
            )
        for name, data in contents.items():
            _put(whole / name, data)
    except OSError as error:
        raise SheetGPTError(f"{whole} can't be written: {error.strerror or error}.") from None
    return whole


def _put(path: Path, data: bytes) -> None:
    """The whole file or the one that stood there before."""
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        raise SheetGPTError(f"{path} is no file, so nothing can be written there: give another folder.")
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(data)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
