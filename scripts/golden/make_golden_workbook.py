"""Write tests/golden/processors: a tiny model with a tokenizer, and two workbooks of it, for test_processors.py.

They are built on one machine and must verify on every other. Run this again whenever what `build` writes changes in a
way that `verify` notices (a formula moves, a text changes); the model stays as it is unless its folder is deleted.

    python scripts/golden/make_golden_workbook.py
"""

import json
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
from safetensors.numpy import save_file

import sheetgpt
from sheetgpt.gpt2.config import GPT2Config

FOLDER = Path(__file__).parents[2] / "tests" / "golden" / "processors"
CONFIG = GPT2Config(n_vocab=288, n_positions=16, n_embd=12, n_layer=2, n_head=2, n_inner=20)
ASKED: dict[str, Any] = {"context": 4, "temperature": 0.8, "top_p": 0.95, "seed": 7, "sheets": "all"}
WORKBOOKS: dict[str, dict[str, Any]] = {
    "exact.xlsx": {"prompt": "the", "new_tokens": 2, "prompt_bytes": 6, "merge_rounds": 2},
    "int8-lab.xlsx": {"ids": [5, 9], "new_tokens": 2, "prompt_bytes": 0, "weights": "int8", "lanes": 2},
}


def main() -> None:
    model = FOLDER / "model"
    if not model.exists():
        write_model(model)
    for name, more in WORKBOOKS.items():
        path = sheetgpt.build(model, FOLDER / name, **ASKED, **more)
        squeeze(path)
        print(f"{path.name}: {path.stat().st_size:,} bytes")


def squeeze(path: Path) -> None:
    """The same parts, packed as small as they get: the file is committed."""
    with ZipFile(path) as book:
        parts = [(info, book.read(info)) for info in book.infolist()]
    with ZipFile(path, "w") as book:
        for info, data in parts:
            book.writestr(ZipInfo(info.filename, info.date_time), data, ZIP_DEFLATED, 9)


def write_model(folder: Path) -> None:
    """Random weights, and the first tokens of the bundled model's tokenizer."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(18)
    tensors = {
        hugging_face_name(name): (rng.normal(size=shape) * 0.3 + name.endswith(".g")).astype(np.float32)
        for name, shape in CONFIG.parameter_shapes().items()
    }
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    sizes = {name: getattr(CONFIG, name) for name in ("n_positions", "n_embd", "n_layer", "n_head", "n_inner")}
    config = {"model_type": "gpt2", "vocab_size": CONFIG.n_vocab, "tie_word_embeddings": CONFIG.tied, **sizes}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    bundled = Path(sheetgpt.__file__).parent / "models" / "fairytale"
    ids: dict[str, int] = json.loads((bundled / "vocab.json").read_bytes())
    few = {token: id for token, id in ids.items() if id < CONFIG.n_vocab}
    lines = (bundled / "merges.txt").read_text("utf-8").splitlines(keepends=True)
    merges = [line for line in lines if line[0] == "#" or line.strip().replace(" ", "") in few]
    (folder / "vocab.json").write_text(json.dumps(few, ensure_ascii=False), "utf-8")
    (folder / "merges.txt").write_text("".join(merges), "utf-8")


def hugging_face_name(name: str) -> str:
    """`h0.attn.c_attn.w` -> `h.0.attn.c_attn.weight`"""
    stem, _, ending = name.rpartition(".")
    whole = stem + {"w": ".weight", "g": ".weight", "b": ".bias"}[ending] if stem else f"{name}.weight"
    return f"h.{whole[1:]}" if whole[0] == "h" and whole[1].isdigit() else whole


if __name__ == "__main__":
    main()
