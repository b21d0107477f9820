"""Train the bundled model: a byte-level BPE tokenizer and a one-million-parameter GPT-2 on fairy tales.

In: a folder holding `fairy-tales.train.txt` and `fairy-tales.heldout.txt`. Out: a checkpoint in Hugging Face's
format (`config.json`, `model.safetensors`, `vocab.json`, `merges.txt`), its weights rounded to four significant
decimal digits. The architecture is GPT-2's own; the names and the [in, out] orientation are the checkpoint's.
The matrices inside the blocks are trained with Muon (Jordan et al., 2024), all else with AdamW.

    python -m pip install -e '.[train]'
    python scripts/train_fairytale.py ../shared/data sheetgpt/models/fairytale --steps 6000
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn

END = "<|endoftext|>"
CONFIG: dict[str, Any] = {
    "architectures": ["GPT2LMHeadModel"],
    "model_type": "gpt2",
    "vocab_size": 2048,
    "n_positions": 128,
    "n_ctx": 128,
    "n_embd": 128,
    "n_layer": 4,
    "n_head": 4,
    "n_inner": None,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


class Conv1D(nn.Module):
    """y = x W + b with GPT-2's orientation: weight [in, out]."""

    def __init__(self, n_in: int, n_out: int, std: float):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_in, n_out) * std)
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


class Block(nn.Module):
    """x + attention(ln_1(x)), then x + mlp(ln_2(x)).  [B, T, n_embd] -> [B, T, n_embd]"""

    def __init__(self, n_embd: int, n_head: int, n_layer: int):
        super().__init__()
        self.n_head = n_head
        out_std = 0.02 / math.sqrt(2 * n_layer)
        self.ln_1 = nn.LayerNorm(n_embd)
        self.attn = nn.ModuleDict(
            {"c_attn": Conv1D(n_embd, 3 * n_embd, 0.02), "c_proj": Conv1D(n_embd, n_embd, out_std)}
        )
        self.ln_2 = nn.LayerNorm(n_embd)
        self.mlp = nn.ModuleDict(
            {"c_fc": Conv1D(n_embd, 4 * n_embd, 0.02), "c_proj": Conv1D(4 * n_embd, n_embd, out_std)}
        )

    def forward(self, x: Tensor) -> Tensor:
        qkv = self.attn["c_attn"](self.ln_1(x)).unflatten(-1, (3, self.n_head, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [B, n_head, T, head]
        z = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn["c_proj"](z.transpose(1, 2).flatten(2))
        hidden = F.gelu(self.mlp["c_fc"](self.ln_2(x)), approximate="tanh")
        return x + self.mlp["c_proj"](hidden)


class GPT2(nn.Module):
    """ids [B, T] -> logits [B, T, n_vocab], the head tied to wte."""

    def __init__(self) -> None:
        super().__init__()
        c = CONFIG
        self.wte = nn.Embedding(c["vocab_size"], c["n_embd"])
        self.wpe = nn.Embedding(c["n_positions"], c["n_embd"])
        nn.init.normal_(self.wte.weight, std=0.02)
        nn.init.normal_(self.wpe.weight, std=0.01)
        self.h = nn.ModuleList(Block(c["n_embd"], c["n_head"], c["n_layer"]) for _ in range(c["n_layer"]))
        self.ln_f = nn.LayerNorm(c["n_embd"])

    def forward(self, ids: Tensor) -> Tensor:
        x = self.wte(ids) + self.wpe.weight[: ids.shape[1]]
        for block in self.h:
            x = block(x)
        return self.ln_f(x) @ self.wte.weight.T


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalized by five Newton-Schulz steps (github.com/KellerJordan/Muon)."""

    def __init__(self, params: list[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(buffer, group["momentum"])
                # c_attn is three matrices side by side: q, k and v are orthogonalized apart
                pieces = update.split(update.shape[0], dim=1) if update.shape[1] == 3 * update.shape[0] else [update]
                update = torch.cat([orthogonalize(piece) for piece in pieces], dim=1)
                p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"])


def orthogonalize(g: Tensor) -> Tensor:
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.T if g.shape[0] > g.shape[1] else g
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        s = x @ x.T
        x = a * x + (b * s + c * s @ s) @ x
    x = x.T if g.shape[0] > g.shape[1] else x
    return x * 0.2 * math.sqrt(max(g.shape))  # the size of an AdamW update


def train_tokenizer(text: str) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"],
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(text.split("\n\n"), trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, text: str) -> Tensor:
    """One long row of ids; the blank line between two tales becomes <|endoftext|>."""
    end = tokenizer.token_to_id(END)
    tales = tokenizer.encode_batch(text.split("\n\n"), add_special_tokens=False)
    return torch.tensor([i for tale in tales for i in (end, *tale.ids)])


@torch.no_grad()
def bits_per_byte(model: GPT2, ids: Tensor, n_bytes: int, stride: int = 16) -> float:
    """All of `ids` in windows of n_positions, each token scored once with at least n_positions - stride before it."""
    size = CONFIG["n_positions"]
    nats, done = 0.0, 0
    starts = list(range(0, len(ids) - 1, stride))
    windows, firsts = [], []
    for start in starts:
        end = min(start + size, len(ids) - 1)
        if end <= done:
            break
        begin = max(0, end - size)
        windows.append(begin)
        firsts.append(done - begin)
        done = end
    for i in range(0, len(windows), 64):
        batch = torch.stack([ids[b : b + size + 1] for b in windows[i : i + 64]])
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten(), reduction="none")
        for row, first in zip(loss.view(len(batch), size), firsts[i : i + 64], strict=True):
            nats += row[first:].double().sum().item()
    return nats / math.log(2) / n_bytes


def round_digits(tensor: Tensor, digits: int = 4) -> Tensor:
    """To `digits` significant decimal digits: short to read in a cell, closer than float16."""
    flat = [float(f"{v:.{digits - 1}e}") for v in tensor.flatten().tolist()]
    return torch.from_numpy(np.array(flat, np.float32)).view_as(tensor)


def schedule(step: int, steps: int) -> float:
    """Warm up over 200 steps, hold, then fall to zero over the last 60 per cent."""
    fall = 0.6 * steps
    return min(1.0, (step + 1) / 200, (steps - step) / fall)


def save(model: GPT2, out: Path) -> None:
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, out / "model.safetensors", {"format": "pt"})
    (out / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="folder with fairy-tales.train.txt and fairy-tales.heldout.txt")
    parser.add_argument("out", type=Path, help="folder for the checkpoint")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", type=Path, help="a checkpoint of a run cut short; its optimizer starts afresh")
    parser.add_argument("--from-step", type=int, default=0, help="the step at which --resume was saved")
    args = parser.parse_args()
    torch.manual_seed(args.seed + args.from_step)
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)

    train_text = (args.corpus / "fairy-tales.train.txt").read_text()
    held_text = (args.corpus / "fairy-tales.heldout.txt").read_text()
    tokenizer = train_tokenizer(train_text)
    tokenizer.model.save(str(args.out))
    train, held = encode(tokenizer, train_text), encode(tokenizer, held_text)
    held_bytes = len(held_text.encode())
    ratio = held_bytes / len(held)
    print(f"{len(train):,} training tokens, {len(held):,} held out, {ratio:.2f} bytes a token", flush=True)

    model = GPT2()
    if args.resume:
        model.load_state_dict(load_file(args.resume / "model.safetensors"))
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    matrices = [p for name, p in model.named_parameters() if name.startswith("h.") and p.ndim == 2]
    others = [p for name, p in model.named_parameters() if not (name.startswith("h.") and p.ndim == 2)]
    adam = torch.optim.AdamW(others, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    muon = Muon(matrices, lr=args.lr, weight_decay=0.05)

    size, began, running = CONFIG["n_positions"], time.time(), 0.0
    offsets = torch.arange(size + 1)
    for step in range(args.from_step, args.steps):
        for optimizer in (adam, muon):
            for group in optimizer.param_groups:
                group["lr"] = args.lr * schedule(step, args.steps)
        batch = train[torch.randint(len(train) - size - 1, (args.batch, 1)) + offsets]
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(others, 1.0)
        adam.step()
        muon.step()
        running += loss.item()
        if (step + 1) % 100 == 0:
            line = f"step {step + 1:6d}  loss {running / 100:.4f}  {time.time() - began:6.0f} s"
            running = 0.0
            if (step + 1) % 1000 == 0:
                save(model, args.out)  # so that a run cut short leaves something
                line += f"  held-out {bits_per_byte(model, held, held_bytes, 128):.4f} bits a byte (no overlap)"
            print(line, flush=True)

    exact = bits_per_byte(model, held, held_bytes)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(round_digits(p))
    rounded = bits_per_byte(model, held, held_bytes)
    print(f"held-out bits a byte, stride 16: {exact:.4f} before rounding, {rounded:.4f} after", flush=True)
    save(model, args.out)


if __name__ == "__main__":
    main()
