"""Write tests/golden/learning.npz: gradients and steps of small GPT-2s, by torch's autograd and AdamW in float64.

The model is `transformers`' GPT2LMHeadModel; its weights are random, with gains that are not 1 and biases that are
not 0. CASES lists them. For each "NAME.params" (the start), for the word that fills the positions and the padded one
"NAME.WORD.loss" and "NAME.WORD.grad" of the parameters, of TRACED also "NAME.WORD.d_TENSOR" of all activations that
`transformers` computes one by one; of STEPPED "NAME.DECAY.losses" of 10 steps on WORDS in turn, and the weights after
the first and the last, "NAME.DECAY.1" and "NAME.DECAY.10". All parameters stand in one row, in the order of
`GPT2Config.parameter_shapes`. Activations have the names and the orientation of the trace: features down the rows.

    python -m pip install -e '.[oracle]'
    python scripts/golden/make_golden_learning.py
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from make_golden import GOLDEN, Arrays
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy
from transformers import GPT2Config as TheirConfig
from transformers import GPT2LMHeadModel
from transformers.models.gpt2 import modeling_gpt2

from sheetgpt.gpt2.checkpoints.checkpoint import hugging_face_name
from sheetgpt.gpt2.checkpoints.save import config_json
from sheetgpt.gpt2.config import ACTIVATIONS, GPT2Config

WORDS = {"full": [3, 1, 7, 7, 10], "padded": [2, 9, 4], "one letter": [5]}
END, STEPS, DECAY = 0, 10, 0.1
ADAM: dict[str, Any] = {"lr": 0.01, "betas": (0.9, 0.99), "eps": 1e-8}
SHAPES: dict[str, Any] = {"n_vocab": 11, "n_positions": 6, "n_embd": 6, "n_head": 3, "n_inner": 7}
CASES: dict[str, dict[str, Any]] = {
    f"{n_layer} {'tied' if tied else 'untied'} {activation}": {
        "n_layer": n_layer,
        "tied": tied,
        "activation_function": activation,
    }
    for n_layer, tied, activation in product(
        (1, 2), (True, False), (a for a in ACTIVATIONS if a != "gelu_pytorch_tanh")
    )
}
TRACED = ("1 tied gelu_new", "2 untied relu")
STEPPED = ("1 tied gelu_new", "2 untied gelu", "1 untied relu", "2 tied gelu_new")


def theirs(config: GPT2Config, params: Arrays) -> GPT2LMHeadModel:
    """Their model with these weights, without dropout."""
    none = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    model = GPT2LMHeadModel(TheirConfig(**config_json(config), **none, attn_implementation="eager")).double()
    weights = {name: torch.tensor(tensor) for name, tensor in params.items()}
    with torch.no_grad():
        for name, tensor in ours(model).items():
            tensor.copy_(weights[name])
    assert model.lm_head.weight.data_ptr() == model.transformer.wte.weight.data_ptr() or not config.tied
    return model


def ours(model: GPT2LMHeadModel) -> dict[str, torch.nn.Parameter]:
    """Its parameters under OpenAI's names."""
    config = GPT2Config.from_json(model.config.to_dict())
    found = {name.removeprefix("transformer."): parameter for name, parameter in model.named_parameters()}
    named = {name: found.pop(hugging_face_name(name)) for name in config.parameter_shapes()}
    assert not found
    return named


def loss_of(model: GPT2LMHeadModel, word: list[int]) -> torch.Tensor:
    """The mean over the word's positions and its end; all positions are read."""
    n = model.config.n_positions
    ids = torch.tensor([[END, *word, *[END] * (n - 1 - len(word))]])
    return cross_entropy(model(ids, use_cache=False).logits[0, : len(word) + 1], torch.tensor([*word, END]))


def flat(tensors: Iterable[torch.Tensor]) -> NDArray[np.float64]:
    """One row of numbers, which take less place in a file than many small arrays."""
    return np.concatenate([tensor.detach().numpy().ravel() for tensor in tensors])


@contextmanager
def listening(model: GPT2LMHeadModel, kept: dict[str, torch.Tensor]) -> Iterator[None]:
    """Fills `kept` with the activations of a forward pass, which keep their gradients."""
    body, last = model.transformer, model.config.n_layer - 1

    def keep(name: str, tensor: torch.Tensor) -> None:
        tensor.retain_grad()
        kept[name] = tensor

    def out(module: torch.nn.Module, name: str) -> None:
        handles.append(module.register_forward_hook(lambda _m, _i, output: keep(name, output)))

    def into(module: torch.nn.Module, name: str) -> None:
        handles.append(module.register_forward_pre_hook(lambda _m, inputs: keep(name, inputs[0])))

    handles: list[Any] = []
    out(body.wte, "embed_tok")
    out(body.wpe, "embed_pos")
    into(body.h[0].ln_1, "embed")
    for i, block in enumerate(body.h):
        out(block.ln_1, f"h{i}.ln_1")
        out(block.attn.c_attn, f"h{i}.attn.qkv")
        into(block.attn.c_proj, f"h{i}.attn.z")
        out(block.attn.c_proj, f"h{i}.attn.out")
        into(block.ln_2, f"h{i}.resid_mid")
        out(block.ln_2, f"h{i}.ln_2")
        out(block.mlp.c_fc, f"h{i}.mlp.fc")
        out(block.mlp.act, f"h{i}.mlp.act")
        out(block.mlp.c_proj, f"h{i}.mlp.out")
        into(body.h[i + 1].ln_1 if i < last else body.ln_f, f"h{i}.resid_post")
    out(body.ln_f, "ln_f")
    out(model.lm_head, "logits")
    plain, blocks = modeling_gpt2.nn.functional.softmax, iter(range(last + 1))

    def softmax(scores: torch.Tensor, **how: Any) -> torch.Tensor:
        probs, i = plain(scores, **how), next(blocks)
        keep(f"h{i}.attn.scores", scores)
        keep(f"h{i}.attn.probs", probs)
        return probs

    modeling_gpt2.nn.functional.softmax = softmax
    try:
        yield
    finally:
        modeling_gpt2.nn.functional.softmax = plain
        for handle in handles:
            handle.remove()


def gradients(config: GPT2Config, params: Arrays, word: list[int], traced: bool) -> Arrays:
    """The loss and its gradients."""
    model = theirs(config, params)
    kept: dict[str, torch.Tensor] = {}
    with listening(model, kept):
        loss = loss_of(model, word)
    loss.backward()
    found = {"loss": np.array(loss.item()), "grad": flat(parameter.grad for parameter in ours(model).values())}
    for name, tensor in kept.items() if traced else ():
        gradient = tensor.grad[0].numpy()
        if gradient.ndim == 3:  # [head, query, key]
            found |= {f"d_{name}.{j}": gradient[j].T for j in range(config.n_head)}
        else:
            found[f"d_{name}"] = gradient.T
    return found


def steps(config: GPT2Config, params: Arrays, decay: float) -> Arrays:
    """Ten steps on the words in turn; only matrices decay."""
    model = theirs(config, params)
    named = ours(model)
    matrices, others = ([p for p in named.values() if (p.ndim == 2) is is_matrix] for is_matrix in (True, False))
    groups = [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, **ADAM)
    found: Arrays = {}
    losses, words = [], list(WORDS.values())
    for step in range(STEPS):
        loss = loss_of(model, words[step % len(words)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step + 1 in (1, STEPS):
            found[str(step + 1)] = flat(named.values())
    return {"losses": np.array(losses), **found}


def main() -> None:
    found: Arrays = {}
    for case, about in CASES.items():
        config = GPT2Config(**SHAPES, **about)
        rng = np.random.default_rng([20261129, len(found)])
        params = {
            name: rng.normal(size=shape).round(3) * 0.4 + name.endswith(".g")
            for name, shape in config.parameter_shapes().items()
        }
        found[f"{case}.params"] = np.concatenate([tensor.ravel() for tensor in params.values()])
        for word in ("full", "padded"):
            arrays = gradients(config, params, WORDS[word], case in TRACED)
            found |= {f"{case}.{word}.{name}": array for name, array in arrays.items()}
        for decay in (0.0, DECAY) if case in STEPPED else ():
            found |= {f"{case}.{decay}.{name}": array for name, array in steps(config, params, decay).items()}
    assert all(array.dtype == np.float64 for array in found.values())
    about = {"cases": CASES, "shapes": SHAPES, "words": WORDS, "end": END, "traced": TRACED, "stepped": STEPPED}
    about |= {"adam": ADAM, "decays": (0.0, DECAY), "steps": STEPS}
    target = Path(GOLDEN) / "learning.npz"
    np.savez_compressed(target, allow_pickle=False, about=np.array(json.dumps(about)), **found)
    print(f"{target}  {target.stat().st_size:,} bytes, {len(found)} arrays")


if __name__ == "__main__":
    main()
