"""Muon (Jordan et al., 2024): momentum whose update is made orthogonal, for the matrices inside the blocks."""

import math

import torch
from torch import Tensor, nn


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalized by five Newton-Schulz steps (github.com/KellerJordan/Muon)."""

    def __init__(self, params: list[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            pieces: list[Tensor] = []
            for p in group["params"]:
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(buffer, group["momentum"])
                pieces += squares(update)
            updates = iter(orthogonalize(pieces))
            for p in group["params"]:
                update = torch.cat([next(updates) for _ in squares(p)], dim=1)
                p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"])


def squares(matrix: Tensor) -> list[Tensor]:
    """c_attn is three matrices side by side: q, k and v are orthogonalized apart."""
    rows, columns = matrix.shape
    return list(matrix.split(rows, dim=1)) if columns == 3 * rows else [matrix]


def orthogonalize(matrices: list[Tensor]) -> list[Tensor]:
    """Each matrix with its singular values near 1, times the size of an AdamW update; those of one shape at once."""
    flat = [m.T if m.shape[0] > m.shape[1] else m for m in matrices]
    done: list[Tensor] = list(flat)
    for shape in {m.shape for m in flat}:
        at = [i for i, m in enumerate(flat) if m.shape == shape]
        for i, x in zip(at, newton_schulz(torch.stack([flat[i] for i in at])), strict=True):
            done[i] = x * 0.2 * math.sqrt(max(shape))
    return [x.T if m.shape[0] > m.shape[1] else x for m, x in zip(matrices, done, strict=True)]


def newton_schulz(x: Tensor) -> Tensor:
    """[N, rows, columns] with rows <= columns: x x' is brought near the identity."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        s = x @ x.mT
        x = a * x + (b * s + c * s @ s) @ x
    return x
