"""Write the golden files: what Hugging Face's `transformers` computes in float64, for tests/gpt2/test_model.py.

Out: tests/golden/odd/ (a random checkpoint with odd shapes, in Hugging Face's format), odd.npz and stories.npz: for
each case the token ids, every block's output [n_layer, n_embd, T] and logits (the odd model's of every token, the
bundled model's of the last). The checkpoint is made only where it is not there yet. And choices.npz: the greedy
continuation of every case, and what Hugging Face's top-k and top-p leave of the logits: "case,temperature,k,p"
is the vocabulary's probabilities afterwards, 0 where a token is out. Their top-k keeps all that tie with the k-th token
and ours the lowest ids; no case here has such a tie. And attentions.npz: of the bundled model on each prompt, and on a
text that repeats itself, the ids and every head's pattern, [n_layer, n_head, query, key]. And inside.npz: what the last
token's states look like through the final norm and unembedding, and what each part adds to its largest logit.

    python -m pip install -e '.[oracle]'
    python scripts/golden/make_golden.py
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from sheetgpt.text.tokenizer import Tokenizer

GOLDEN = Path(__file__).parents[2] / "tests" / "golden"
BUNDLED = Path(__file__).parents[2] / "sheetgpt" / "models" / "stories"
PROMPTS = ("Tom had a red ball. He", "“Who is there?” asked the old lady.", "<|endoftext|>The dog")
REPEATED = "The old bear said: the old bear is sad, the old bear"
ODD_IDS = {"long": [96, 0, 5, 5, 41, 17, 88, 3, 60], "one": [7]}
ACTIVATIONS = ("gelu_new", "gelu", "relu")
NEW_TOKENS = 15  # with the longest prompt as many as the odd model has positions
WARPS = ((0.7, 40, 0.9), (1.0, 5, 1.0), (1.5, 64, 0.5), (0.2, 12, 0.99))  # temperature, top_k, top_p

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
    chosen: Arrays = {}
    inside: Arrays = {}
    for activation in ACTIVATIONS:
        for name, ids in ODD_IDS.items():
            key = f"{activation}.{name}"
            blocks, logits = outputs(odd, ids, activation_function=activation)
            cases |= case(key, ids, blocks, logits)
            chosen |= choices(key, odd, ids, logits[:, -1], activation_function=activation)
            inside |= seen_inside(key, load_model(odd, activation_function=activation), ids)
    write(args.out / "odd.npz", cases)
    tokenizer = Tokenizer.load(args.model)
    assert tokenizer is not None
    cases = {}
    for i, prompt in enumerate(PROMPTS):
        ids = tokenizer.encode(prompt)
        blocks, logits = outputs(args.model, ids)
        cases |= case(str(i), ids, blocks, logits[:, -1:])
        chosen |= choices(str(i), args.model, ids, logits[:, -1])
        inside |= seen_inside(str(i), load_model(args.model), ids)
    write(args.out / "stories.npz", cases)
    write(args.out / "choices.npz", chosen)
    write(args.out / "inside.npz", inside)
    patterns: Arrays = {}
    for i, text in enumerate((*PROMPTS, REPEATED)):
        ids = tokenizer.encode(text)
        patterns |= {f"{i}.ids": np.array(ids, float), f"{i}.attentions": attentions(args.model, ids)}
    write(args.out / "attentions.npz", patterns)


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
    model = load_model(folder, **changes)
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


def attentions(folder: Path, ids: list[int]) -> NDArray[np.float64]:
    """Who looks at whom, in every head.  [n_layer, n_head, query, key]"""
    with torch.no_grad():
        found = load_model(folder)(torch.tensor([ids]), output_attentions=True).attentions
    return np.concatenate([layer.numpy() for layer in found])


def load_model(folder: Path, **changes: str) -> GPT2LMHeadModel:
    """The checkpoint in float64."""
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
    return model


def choices(name: str, folder: Path, ids: list[int], logits: NDArray[np.float64], **changes: str) -> Arrays:
    """The prompt with its greedy continuation, and the warped distributions of its last token's logits.  [n_vocab]"""
    model = load_model(folder, **changes)
    prompt = torch.tensor([ids])
    everything = torch.ones_like(prompt)  # else an id 0 in the prompt is taken for padding
    greedy = model.generate(
        prompt, attention_mask=everything, max_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=0
    )
    found = {f"{name},greedy": greedy[0].numpy().astype(float)}
    for temperature, k, p in WARPS:
        warp = LogitsProcessorList([TemperatureLogitsWarper(temperature), TopKLogitsWarper(k), TopPLogitsWarper(p)])
        warped = warp(prompt, torch.tensor(logits)[None])[0]
        found[f"{name},{temperature},{k},{p}"] = torch.softmax(warped, -1).numpy()
    return found


def seen_inside(name: str, model: GPT2LMHeadModel, ids: list[int], n: int = 10) -> Arrays:
    """The lens at the last token: the ids and logits of the n largest, and the entropy in bits, at each depth.

    And the contributions to the largest logit, in the order of the network: what the logit changes by when a part is
    taken out of the last state and the final norm's variance stays as it is; `written` are the parts themselves.
    """
    parts: list[torch.Tensor] = []
    states: list[torch.Tensor] = []
    n_head = model.config.n_head

    def embedding(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
        parts.append(output.reshape(-1, output.shape[-1])[-1])

    def projection(module: torch.nn.Module, inputs: tuple[torch.Tensor], output: object) -> None:
        z = inputs[0][0, -1]
        for j in range(n_head):
            alone = torch.zeros_like(z)
            own = slice(j * len(z) // n_head, (j + 1) * len(z) // n_head)
            alone[own] = z[own]
            parts.append(alone @ module.weight)
        parts.append(module.bias)

    def mlp(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
        parts.extend((output[0, -1] - module.c_proj.bias, module.c_proj.bias))

    body = model.transformer
    body.wte.register_forward_hook(embedding)
    body.wpe.register_forward_hook(embedding)
    for block in body.h:
        block.register_forward_pre_hook(lambda module, inputs: states.append(inputs[0][0, -1]))
        block.attn.c_proj.register_forward_hook(projection)
        block.mlp.register_forward_hook(mlp)
    at_the_end = body.ln_f.register_forward_pre_hook(lambda module, inputs: states.append(inputs[0][0, -1]))
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, -1]
        at_the_end.remove()
        seen = torch.stack([model.lm_head(body.ln_f(state)) for state in states])
        best = seen.topk(min(n, len(logits)))
        entropy = torch.distributions.Categorical(logits=seen).entropy() / np.log(2)
        last, u = states[-1], model.lm_head.weight[int(logits.argmax())]
        scale = torch.sqrt(last.var(correction=0) + model.config.layer_norm_epsilon)

        def logit(state: torch.Tensor) -> torch.Tensor:
            return ((state - state.mean()) / scale * body.ln_f.weight + body.ln_f.bias) @ u

        adds = [logit(last) - logit(last - part) for part in parts] + [body.ln_f.bias @ u]
    return {
        f"{name}.lens_ids": best.indices.T.numpy().astype(float),
        f"{name}.lens_logits": best.values.T.numpy(),
        f"{name}.lens_entropy": entropy.numpy(),
        f"{name}.written": torch.stack(parts).detach().T.numpy(),
        f"{name}.adds": torch.stack(adds).detach().numpy(),
    }


def case(name: str, ids: list[int], blocks: NDArray[np.float64], logits: NDArray[np.float64]) -> Arrays:
    return {f"{name}.ids": np.array(ids, float), f"{name}.blocks": blocks, f"{name}.logits": logits}


def write(target: Path, cases: Arrays) -> None:
    np.savez_compressed(target, allow_pickle=False, **cases)
    print(f"{target}  {target.stat().st_size:,} bytes, {len(cases)} arrays")


if __name__ == "__main__":
    main()
