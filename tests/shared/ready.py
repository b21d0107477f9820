"""What the fixtures of `conftest.py` are made of, for tests and scripts."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from checkpoints import Tensors

import sheetgpt

MICRO_IDS = (5, 9, 33)


Command = Callable[..., tuple[int, str, str]]


def hugging_face_tensors(params: Mapping[str, np.ndarray]) -> Tensors:
    """`h0.attn.c_attn.w` -> `h.0.attn.c_attn.weight`."""
    endings = {"w": ".weight", "g": ".weight", "b": ".bias"}
    tensors = {}
    for name, tensor in params.items():
        stem, _, ending = name.rpartition(".")
        theirs = stem + endings[ending] if stem else name + ".weight"
        tensors[re.sub(r"^h(\d+)\.", r"h.\1.", theirs)] = np.ascontiguousarray(tensor, np.float32)
    return tensors


def fairytale_words(n_vocab: int) -> dict[str, bytes]:
    """The tokenizer of `fairytale`, or the first `n_vocab` of its 2,048 tokens: a merge makes the next id."""
    folder = Path(sheetgpt.__file__).parent / "models" / "fairytale"
    ids: dict[str, int] = json.loads((folder / "vocab.json").read_bytes())
    few = {token: i for token, i in ids.items() if i < n_vocab}
    lines = (folder / "merges.txt").read_text("utf-8").splitlines(keepends=True)
    merges = [line for line in lines if line[0] == "#" or line.strip().replace(" ", "") in few]
    return {"vocab.json": json.dumps(few).encode(), "merges.txt": "".join(merges).encode()}
