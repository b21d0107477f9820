"""What a checkpoint holds, and the sentence that refuses one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import load

Tensors = dict[str, np.ndarray]


Write = Callable[..., Path]


def assert_params(params: Tensors, tensors: Tensors) -> None:
    """Equal to the bit, under OpenAI's names."""
    assert all(values.dtype == np.float32 for values in params.values())
    for ours, theirs in {
        "wte": "wte.weight",
        "wpe": "wpe.weight",
        "h0.ln_1.g": "h.0.ln_1.weight",
        "h0.ln_1.b": "h.0.ln_1.bias",
        "h1.attn.c_attn.w": "h.1.attn.c_attn.weight",
        "h1.attn.c_attn.b": "h.1.attn.c_attn.bias",
        "h1.attn.c_proj.w": "h.1.attn.c_proj.weight",
        "h1.attn.c_proj.b": "h.1.attn.c_proj.bias",
        "h0.ln_2.g": "h.0.ln_2.weight",
        "h0.ln_2.b": "h.0.ln_2.bias",
        "h0.mlp.c_fc.w": "h.0.mlp.c_fc.weight",
        "h0.mlp.c_fc.b": "h.0.mlp.c_fc.bias",
        "h1.mlp.c_proj.w": "h.1.mlp.c_proj.weight",
        "h1.mlp.c_proj.b": "h.1.mlp.c_proj.bias",
        "ln_f.g": "ln_f.weight",
        "ln_f.b": "ln_f.bias",
    }.items():
        np.testing.assert_array_equal(params[ours], tensors[theirs], err_msg=ours)


def refused(model: str | Path) -> str:
    with pytest.raises(SheetGPTError) as caught:
        load(model)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))
    return sentence
