"""GPT-2 in PyTorch, for training only: ids [B, T] -> logits [B, T, n_vocab], and its bits a byte on a text.

The names and the [in, out] orientation are those of Hugging Face's checkpoint, so `state_dict` is the file's content.
Products may be taken in bfloat16; parameters, residual stream, layer norms and softmax are float32 in either case.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


class Conv1D(nn.Module):
    """y = x W + b with GPT-2's orientation: weight [in, out]."""

    def __init__(self, n_in: int, n_out: int, std: float):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_in, n_out) * std)
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.to(x.dtype) + self.bias.to(x.dtype)


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

    def forward(self, x: Tensor, later: Tensor, dtype: torch.dtype) -> Tensor:
        qkv = self.attn["c_attn"](self.ln_1(x).to(dtype)).unflatten(-1, (3, self.n_head, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [B, n_head, T, head]
        # Written out: compiled for a CPU, faster at T = 128 than the fused kernel (14,400 tokens a second and 9,900).
        scores = (q @ k.mT).float() / math.sqrt(q.shape[-1])
        z = scores.masked_fill(later, -math.inf).softmax(-1).to(dtype) @ v
        x = x + self.attn["c_proj"](z.transpose(1, 2).flatten(2)).float()
        hidden = F.gelu(self.mlp["c_fc"](self.ln_2(x).to(dtype)).float(), approximate="tanh")
        return x + self.mlp["c_proj"](hidden.to(dtype)).float()


class GPT2(nn.Module):
    """The head is tied to wte; `dtype` is the type in which matrices are multiplied."""

    def __init__(self, config: dict[str, Any], dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.dtype = dtype
        self.wte = nn.Embedding(config["vocab_size"], config["n_embd"])
        self.wpe = nn.Embedding(config["n_positions"], config["n_embd"])
        nn.init.normal_(self.wte.weight, std=0.02)
        nn.init.normal_(self.wpe.weight, std=0.01)
        shape = (config["n_embd"], config["n_head"], config["n_layer"])
        self.h = nn.ModuleList(Block(*shape) for _ in range(config["n_layer"]))
        self.ln_f = nn.LayerNorm(config["n_embd"])

    def forward(self, ids: Tensor) -> Tensor:
        size = ids.shape[1]
        later = torch.ones(size, size, dtype=torch.bool).triu(1)
        x = self.wte(ids) + self.wpe.weight[:size]
        for block in self.h:
            x = block(x, later, self.dtype)
        return (self.ln_f(x).to(self.dtype) @ self.wte.weight.to(self.dtype).T).float()

    def loss(self, ids: Tensor, wanted: Tensor) -> Tensor:
        """Mean cross-entropy in nats; where `wanted` is -100, nothing is asked."""
        return F.cross_entropy(self(ids).flatten(0, 1), wanted.flatten())


def save_weights(model: GPT2, out: Path) -> None:
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, out / "model.safetensors", {"format": "pt"})


def load_weights(model: GPT2, folder: Path) -> None:
    model.load_state_dict(load_file(folder / "model.safetensors"))


@torch.no_grad()
def bits_per_byte(model: GPT2, ids: Tensor, n_bytes: int, size: int, stride: int = 16) -> float:
    """All of `ids` in windows of `size`, each token scored once with at least size - stride before it."""
    nats, done = 0.0, 0
    windows, firsts = [], []
    for start in range(0, len(ids) - 1, stride):
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


@torch.no_grad()
def round_weights(model: GPT2) -> None:
    for parameter in model.parameters():
        parameter.copy_(round_digits(parameter))


def round_digits(tensor: Tensor, digits: int = 4) -> Tensor:
    """To `digits` significant decimal digits: short to read in a cell, closer than float16."""
    flat = [float(f"{v:.{digits - 1}e}") for v in tensor.flatten().tolist()]
    return torch.from_numpy(np.array(flat, np.float32)).view_as(tensor)


@torch.no_grad()
def continue_ids(
    model: GPT2, prompts: list[list[int]], new_tokens: int, temperature: float = 0.0, stop: int = -1
) -> list[list[int]]:
    """What follows each prompt, at most `new_tokens`, without `stop`; temperature 0 takes the likeliest token.

    Prompts of one length go together, so that nothing has to be padded.
    """
    answers: list[list[int]] = [[] for _ in prompts]
    for length in sorted({len(prompt) for prompt in prompts}):
        which = [i for i, prompt in enumerate(prompts) if len(prompt) == length]
        rows = torch.tensor([prompts[i] for i in which])
        for _ in range(new_tokens):
            logits = model(rows[:, -model.wpe.num_embeddings :])[:, -1]
            chosen = (
                logits.argmax(-1) if not temperature else torch.multinomial((logits / temperature).softmax(-1), 1)[:, 0]
            )
            rows = torch.cat([rows, chosen[:, None]], dim=1)
            if bool((rows[:, length:] == stop).any(-1).all()):
                break
        for i, row in zip(which, rows[:, length:].tolist(), strict=True):
            answers[i] = row[: row.index(stop)] if stop in row else row
    return answers
