"""Tiny checkpoints in Hugging Face's format, written as its libraries write them, for every test module."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from sheetgpt.tokenizer import byte_to_unicode

Tensors = dict[str, np.ndarray]


@pytest.fixture
def hf_config() -> dict[str, Any]:
    """config.json of a GPT-2 with 2 layers, 2 heads, width 6 and a vocabulary of 260."""
    return {
        "model_type": "gpt2",
        "vocab_size": 260,
        "n_positions": 10,
        "n_embd": 6,
        "n_layer": 2,
        "n_head": 2,
        "n_inner": 14,
        "layer_norm_epsilon": 1e-5,
        "activation_function": "gelu_new",
    }


@pytest.fixture
def hf_tensors() -> Tensors:
    """Random tensors for `hf_config`, under Hugging Face's names."""
    shapes: dict[str, tuple[int, ...]] = {"wte.weight": (260, 6), "wpe.weight": (10, 6)}
    for i in range(2):
        shapes |= {f"h.{i}.ln_1.weight": (6,), f"h.{i}.ln_1.bias": (6,)}
        shapes |= {f"h.{i}.attn.c_attn.weight": (6, 18), f"h.{i}.attn.c_attn.bias": (18,)}
        shapes |= {f"h.{i}.attn.c_proj.weight": (6, 6), f"h.{i}.attn.c_proj.bias": (6,)}
        shapes |= {f"h.{i}.ln_2.weight": (6,), f"h.{i}.ln_2.bias": (6,)}
        shapes |= {f"h.{i}.mlp.c_fc.weight": (6, 14), f"h.{i}.mlp.c_fc.bias": (14,)}
        shapes |= {f"h.{i}.mlp.c_proj.weight": (14, 6), f"h.{i}.mlp.c_proj.bias": (6,)}
    shapes |= {"ln_f.weight": (6,), "ln_f.bias": (6,)}
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture
def hf_vocab() -> dict[str, int]:
    """`<|endoftext|>`, the 256 bytes and three merges: 260 tokens, as many as `hf_config` says."""
    letters = [byte_to_unicode()[byte] for byte in range(256)]
    return {token: i for i, token in enumerate(["<|endoftext|>", *letters, "th", "the", "Ġthe"])}


@pytest.fixture
def write_tokenizer(hf_vocab: dict[str, int]) -> Callable[[Path], None]:
    """Writes vocab.json and merges.txt into a folder."""

    def write(folder: Path) -> None:
        (folder / "vocab.json").write_text(json.dumps(hf_vocab), encoding="utf-8")
        (folder / "merges.txt").write_text("#version: 0.2\nt h\nth e\nĠ the\n", encoding="utf-8")

    return write


@pytest.fixture
def write_checkpoint(
    tmp_path: Path,
    hf_config: dict[str, Any],
    hf_tensors: Tensors,
    write_tokenizer: Callable[[Path], None],
) -> Callable[..., Path]:
    """Writes a folder with config.json, model.safetensors and tokenizer files; returns it."""

    def write(
        name: str = "tiny",
        *,
        config: Mapping[str, Any] | None = None,
        tensors: Tensors | None = None,
        vocab: bool = True,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(hf_config if config is None else dict(config)))
        save_file(hf_tensors if tensors is None else tensors, folder / "model.safetensors", {"format": "pt"})
        if vocab:
            write_tokenizer(folder)
        return folder

    return write
