"""Write tests/golden/edits.npz: the logits of edited runs, made with forward hooks on `transformers` in float64.

Switches and mean ablation of heads and MLPs, steering by embeddings, and patches from a second text, on the random
model of tests/golden/odd (make_golden.py). For each case "NAME.logits" [n_vocab, T]; the edits of each stand in CASES,
which tests/gpt2/test_edits_of_a_run.py reads from the file as JSON.

    python -m pip install -e '.[oracle]'
    python scripts/golden/make_golden_edits.py
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from make_golden import GOLDEN, load_model

IDS, OTHER = [96, 0, 5, 5, 41, 17], [88, 3, 60, 5, 2, 7, 11]

# switches: [block, head or "mlp", factor]; steering: [block, plus, minus, factor, start];
# patches: [block, part, position]
CASES: dict[str, dict[str, Any]] = {
    "head off": {"switches": [[1, 2, 0.0]]},
    "two heads and an MLP": {"switches": [[0, 0, 0.0], [0, 4, 0.0], [2, "mlp", 0.0]]},
    "turned up": {"switches": [[1, 2, 2.5], [1, "mlp", -0.5]]},
    "means": {"switches": [[0, 1, 0.0], [1, "mlp", 0.0], [2, 3, 0.25]], "mode": "mean"},
    "steered": {"steering": [[1, 7, 12, 3.0, 2], [0, 4, None, -0.5, 0]]},
    "patched head": {"patches": [[1, 3, 4]]},
    "patched MLP": {"patches": [[0, "mlp", 5], [2, "mlp", 1]]},
    "patched stream": {"patches": [[2, "resid", 3], [0, "resid", 0]]},
    "all at once": {
        "switches": [[0, 2, 0.0], [1, "mlp", 0.5]],
        "mode": "mean",
        "steering": [[2, 9, 1, 1.5, 1]],
        "patches": [[1, 3, 4], [1, "mlp", 2], [2, "resid", 5]],
    },
}


def logits(edits: dict[str, Any], ids: list[int], theirs: dict[str, torch.Tensor] | None = None) -> Any:
    """The logits [n_vocab, T] and what the hooks saw: "BLOCK.resid", "BLOCK.heads", "BLOCK.mlp", [T, width] each."""
    model = load_model(GOLDEN / "odd")
    seen: dict[str, torch.Tensor] = {}
    size, wte = model.config.n_embd // model.config.n_head, model.transformer.wte.weight

    def switched(x: torch.Tensor, factor: float) -> torch.Tensor:
        if edits.get("mode") != "mean":
            return x * factor
        mean = torch.stack([x[: t + 1].mean(0) for t in range(len(x))])
        return mean + factor * (x - mean)

    def edit(i: int, what: str, x: torch.Tensor) -> torch.Tensor:
        x = x[0].clone()
        for block, plus, minus, factor, start in edits.get("steering", []):
            if what == "resid" and block == i:
                x[start:] += factor * (wte[plus] - (0 if minus is None else wte[minus]))
        for block, part, factor in edits.get("switches", []):
            if block == i and what == "mlp" == part:
                x = switched(x, factor)
            elif block == i and what == "heads" and part != "mlp":
                x[:, part * size : (part + 1) * size] = switched(x[:, part * size : (part + 1) * size], factor)
        for block, part, position in edits.get("patches", []):
            other = None if theirs is None else theirs[f"{i}.{what}"]
            if block != i or other is None:
                continue
            if part == what:
                x[position] = other[position]
            elif what == "heads" and isinstance(part, int):
                x[position, part * size : (part + 1) * size] = other[position, part * size : (part + 1) * size]
        seen[f"{i}.{what}"] = x
        return x[None]

    for i, block in enumerate(model.transformer.h):
        block.register_forward_pre_hook(lambda module, args, i=i: (edit(i, "resid", args[0]), *args[1:]))
        block.attn.c_proj.register_forward_pre_hook(lambda module, args, i=i: (edit(i, "heads", args[0]),))
        block.mlp.register_forward_hook(lambda module, args, output, i=i: edit(i, "mlp", output))
    with torch.no_grad():
        found = model(torch.tensor([ids])).logits[0].T.numpy()
    assert found.dtype == np.float64
    return found, seen


def main() -> None:
    _, theirs = logits({}, OTHER)
    found = {f"{name}.logits": logits(edits, IDS, theirs)[0] for name, edits in CASES.items()}
    words = {"cases": np.array(json.dumps(CASES)), "ids": np.array(IDS), "other": np.array(OTHER)}
    target = Path(GOLDEN) / "edits.npz"
    np.savez_compressed(target, allow_pickle=False, **found, **words)
    print(f"{target}  {target.stat().st_size:,} bytes, {len(CASES)} cases")


if __name__ == "__main__":
    main()
