"""Write tests/golden/text.npz: the bundled model `tiny` learns a running text, by torch in float64.

The text's tokens are those of `AutoTokenizer`, cut into windows of COLUMNS tokens to read; one window ends with the
token that the next begins with. "runs": the tokens of each window, -1 behind the last; of window k "k.loss", "k.theirs"
(what `GPT2LMHeadModel` itself says of these tokens as labels; it works that out in float32) and "k.grad", the gradients
of all parameters in one row, in the order of `GPT2Config.parameter_shapes`. "losses": of STEPS steps of AdamW, the
windows in turn, and "weights" after the last. Nothing is padded here.

    python -m pip install -e '.[oracle]'
    python scripts/golden/make_golden_text.py
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from make_golden import GOLDEN, Arrays
from make_golden_learning import flat, ours
from torch.nn.functional import cross_entropy
from transformers import AutoTokenizer, GPT2LMHeadModel

from sheetgpt.gpt2.checkpoints.checkpoint import BUNDLED

TEXT, COLUMNS, STEPS = "annamilanellie", 4, 20
ADAM: dict[str, Any] = {"lr": 0.01, "betas": (0.9, 0.99), "eps": 1e-8}


def loss_of(model: GPT2LMHeadModel, run: list[int]) -> torch.Tensor:
    """All tokens but the last are read, all but the first guessed."""
    return cross_entropy(model(torch.tensor([run[:-1]]), use_cache=False).logits[0], torch.tensor(run[1:]))


def tiny() -> GPT2LMHeadModel:
    """With the tenths that a workbook's cells hold, and not what float32 makes of them."""
    model = GPT2LMHeadModel.from_pretrained(BUNDLED / "tiny", attn_implementation="eager").double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.round(parameter * 10) / 10)
    return model


def main() -> None:
    tokens = AutoTokenizer.from_pretrained(BUNDLED / "tiny").encode(TEXT, add_special_tokens=False)
    runs = [tokens[i : i + COLUMNS + 1] for i in range(0, len(tokens) - 1, COLUMNS)]
    assert 2 <= len(runs[-1]) <= COLUMNS, "the last window is to be shorter"
    found: Arrays = {"runs": np.array([[*run, *[-1] * (COLUMNS + 1 - len(run))] for run in runs])}
    for k, run in enumerate(runs):
        model, ids = tiny(), torch.tensor([run])
        loss = loss_of(model, run)
        loss.backward()
        found[f"{k}.loss"], found[f"{k}.theirs"] = (np.array(x.item()) for x in (loss, model(ids, labels=ids).loss))
        found[f"{k}.grad"] = flat(parameter.grad for parameter in ours(model).values())
    model = tiny()
    optimizer = torch.optim.AdamW(ours(model).values(), weight_decay=0.0, **ADAM)
    losses = []
    for step in range(STEPS):
        loss = loss_of(model, runs[step % len(runs)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    found |= {"losses": np.array(losses), "weights": flat(ours(model).values())}
    about = {"text": TEXT, "columns": COLUMNS, "steps": STEPS, "adam": ADAM}
    target = Path(GOLDEN) / "text.npz"
    np.savez_compressed(target, allow_pickle=False, about=np.array(json.dumps(about)), **found)
    print(f"{target}  {target.stat().st_size:,} bytes, {len(found)} arrays")


if __name__ == "__main__":
    main()
