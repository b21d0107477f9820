"""What the soak works on: a random GPT-2 of one block, 4 wide, with the bundled tokenizer; and the processes."""

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from sheetgpt.gpt2.checkpoints.checkpoint import BUNDLED, DEFAULT, read_config

MARK = "SHEETGPT_SOAK"  # an environment variable, which every process of the soak inherits
SMALL = {"prompt": "the king", "context": 12, "new_tokens": 4, "prompt_bytes": 80, "merge_rounds": 6}


def make(folder: Path, seed: int = 3) -> Path:
    """A checkpoint in Hugging Face's format: nearly all of its workbook is text."""
    folder.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(BUNDLED / DEFAULT / name, folder)
    n_vocab = read_config(BUNDLED / DEFAULT / "config.json").n_vocab
    shapes = {"wte.weight": (n_vocab, 4), "wpe.weight": (64, 4), "ln_f.weight": (4,), "ln_f.bias": (4,)}
    shapes |= {f"h.0.ln_{i}.{kind}": (4,) for i in (1, 2) for kind in ("weight", "bias")}
    shapes |= {"h.0.attn.c_attn.weight": (4, 12), "h.0.attn.c_attn.bias": (12,)}
    for layer in ("attn.c_proj", "mlp.c_fc", "mlp.c_proj"):
        shapes |= {f"h.0.{layer}.weight": (4, 4), f"h.0.{layer}.bias": (4,)}
    generator = np.random.default_rng(seed)
    tensors = {name: generator.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    save_file(tensors, folder / "model.safetensors")
    sizes = {"vocab_size": n_vocab, "n_positions": 64, "n_embd": 4, "n_layer": 1, "n_head": 1, "n_inner": 4}
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2", **sizes}))
    return folder


def marked(mark: str) -> dict[int, str]:
    """The living processes that inherited this mark: pid -> program."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes().split(b"\0"):
                name, _, rest = (process / "stat").read_text().partition("(")[2].rpartition(")")
                if rest.split()[0] != "Z":
                    found[int(process.name)] = name
        except OSError:
            continue  # it ended meanwhile, or is another user's
    return found
