"""Write the golden files: what Hugging Face's `transformers` computes in float64, for tests/test_model.py.

Out: tests/golden/odd/ (a random checkpoint with odd shapes, in Hugging Face's format), odd.npz and fairytale.npz: for
each case the token ids, every block's output [n_layer, n_embd, T] and logits (the odd model's of every token, the
bundled model's of the last). The checkpoint is made only where it is not there yet.

    python -m pip install -e '.[oracle]'
    python scripts/make_golden.py
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from transformers import GPT2Config, GPT2LMHeadModel

from sheetgpt.tokenizer import Tokenizer

GOLDEN = Path(__file__).parent.parent / "tests" / "golden"
BUNDLED = Path(__file__).parent.parent / "sheetgpt" / "models" / "fairytale"
PROMPTS = ("Once upon a time there was a", "“Who is there?” cried the old witch.", "<|endoftext|>The king")
ODD_IDS = {"long": [96, 0, 5, 5, 41, 17, 88, 3, 60], "one": [7]}
ACTIVATIONS = ("gelu_new", "gelu", "relu")

Arrays = dict[str, NDArray[np.float64]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=BUNDLED, help="the bundled model's folder")
    parser.add_argument("--out", type=Path, default=GOLDEN)
    args = parser.parse_args()
    odd = args.out / "odd"
    if not (odd / "model.safetensors").exists():
        make_odd(odd)
    cases: Arrays = {}
    for activation in ACTIVATIONS:
        for name, ids in ODD_IDS.items():
            cases |= case(f"{activation}.{name}", ids, *outputs(odd, ids, activation_function=activation))
    write(args.out / "odd.npz", cases)
    tokenizer = Tokenizer.load(args.model)
    assert tokenizer is not None
    cases = {}
    for i, prompt in enumerate(PROMPTS):
        ids = tokenizer.encode(prompt)
        blocks, logits = outputs(args.model, ids)
        cases |= case(str(i), ids, blocks, logits[:, -1:])
    write(args.out / "fairytale.npz", cases)


def make_odd(folder: Path) -> None:
    """No two sizes alike, gains away from 1 and biases away from 0, a head of its own."""
    config = GPT2Config(
        vocab_size=97,
        n_positions=24,
        n_embd=20,
        n_layer=3,
        n_head=5,
        n_inner=52,
        layer_norm_epsilon=1e-6,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    torch.manual_seed(20261123)
    model = GPT2LMHeadModel(config)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            tensor.normal_(std=0.3)
            if ".ln_" in name and name.endswith("weight"):
                tensor += 1
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)


def outputs(folder: Path, ids: list[int], **changes: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Every block's output and the logits, a column a token.  [n_layer, n_embd, T], [n_vocab, T]

    The blocks are listened to: the last of the model's own `hidden_states` has been through ln_f.
    """
    config = GPT2Config.from_pretrained(folder, **changes)
    config._attn_implementation = "eager"
    model = GPT2LMHeadModel(config).double().eval()
    tensors = {
        name: torch.from_numpy(tensor).double() for name, tensor in load_file(folder / "model.safetensors").items()
    }
    tied = config.tie_word_embeddings
    prefix = "" if any(name.startswith("transformer.") for name in tensors) else "transformer."
    state = {name if name.startswith("lm_head") else prefix + name: tensor for name, tensor in tensors.items()}
    if tied:
        state["lm_head.weight"] = state["transformer.wte.weight"]
    model.load_state_dict(state)
    blocks: list[NDArray[np.float64]] = []

    def listen(module: torch.nn.Module, inputs: object, output: object) -> None:
        hidden = output[0] if isinstance(output, tuple) else output
        assert isinstance(hidden, torch.Tensor)
        blocks.append(hidden.reshape(len(ids), -1).T.numpy())

    for block in model.transformer.h:
        block.register_forward_hook(listen)
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].T.numpy()
    assert logits.dtype == np.float64
    return np.stack(blocks), logits


def case(name: str, ids: list[int], blocks: NDArray[np.float64], logits: NDArray[np.float64]) -> Arrays:
    return {f"{name}.ids": np.array(ids, float), f"{name}.blocks": blocks, f"{name}.logits": logits}


def write(target: Path, cases: Arrays) -> None:
    np.savez_compressed(target, **cases)
    print(f"{target}  {target.stat().st_size:,} bytes, {len(cases) // 3} cases")


if __name__ == "__main__":
    main()
