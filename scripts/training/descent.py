"""The descent that training and fine-tuning share: Muon and AdamW, the rate's schedule, the loop, its options.

Muon (Jordan et al., 2024; github.com/KellerJordan/Muon) is for the matrices inside the blocks: momentum whose update is
made orthogonal. AdamW is for all else.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch_gpt2 import GPT2


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalized by five Newton-Schulz steps."""

    def __init__(self, params: list[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            pieces: list[Tensor] = []
            for p in group["params"]:
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                pieces += squares(p.grad.lerp(buffer, group["momentum"]))
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


def optimizers(model: GPT2, lr: float, muon_lr: float, decay: float) -> list[torch.optim.Optimizer]:
    """AdamW, then Muon, each group with the rate that it begins with as `peak`."""
    matrices = [p for name, p in model.named_parameters() if name.startswith("h.") and p.ndim == 2]
    others = [p for name, p in model.named_parameters() if not (name.startswith("h.") and p.ndim == 2)]
    adam = torch.optim.AdamW(others, lr=lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    both = [adam, Muon(matrices, lr=muon_lr, weight_decay=decay)]
    for optimizer in both:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return both


def schedule(step: int, progress: float, warm_up: int, fall: float) -> float:
    """Rise over `warm_up` steps, hold, then fall to zero over the last `fall` of the run."""
    return min(1.0, (step + 1) / warm_up, max(0.0, 1 - progress) / fall)


def descend(
    model: GPT2, source: Iterator[tuple[Tensor, Tensor]], args: argparse.Namespace, checked: Callable[[int], str]
) -> None:
    """Steps on batches (ids, wanted) from --from-step to --steps, or for --minutes; a line every 50 steps.

    `checked` is called after each line's steps, and may save, measure and add to the line.
    """
    both = optimizers(model, args.lr, args.muon_lr or args.lr, args.decay)
    loss_of = torch.compile(model.loss, dynamic=False) if args.bf16 else model.loss
    began, step = time.time(), args.from_step
    progress = 0.0 if args.minutes else step / args.steps
    losses: dict[int, list[float]] = {}
    while progress < 1:
        for group in (group for optimizer in both for group in optimizer.param_groups):
            group["lr"] = group["peak"] * schedule(step, progress, args.warm_up, args.fall)
        ids, wanted = next(source)
        loss = loss_of(ids, wanted)
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(both[0].param_groups[0]["params"], 1.0)
        for optimizer in both:
            optimizer.step()
        losses.setdefault(ids.shape[1], []).append(loss.item())
        step += 1
        progress = (time.time() - began) / 60 / args.minutes if args.minutes else step / args.steps
        if step % 50 == 0:
            means = ", ".join(f"{sum(some) / len(some):.4f} (rows of {size})" for size, some in sorted(losses.items()))
            losses = {}
            print(
                f"step {step:6d}  loss {means}  {time.time() - began:6.0f} s  {progress:4.0%}  {checked(step)}",
                flush=True,
            )
    print(f"{step} steps, {time.time() - began:.0f} s", flush=True)


def options(
    parser: argparse.ArgumentParser, *, steps: int, lr: float, muon_lr: float, decay: float, warm_up: int, fall: float
) -> None:
    """The options of a descent, with these defaults."""
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--minutes", type=float, default=0.0, help="end after this time instead of after --steps")
    parser.add_argument("--lr", type=float, default=lr)
    parser.add_argument("--muon-lr", type=float, default=muon_lr, help="for the blocks' matrices; 0: the same as --lr")
    parser.add_argument("--decay", type=float, default=decay, help="weight decay of the blocks' matrices")
    parser.add_argument("--warm-up", type=int, default=warm_up, help="steps in which the rate rises")
    parser.add_argument("--fall", type=float, default=fall, help="share of the run in which the rate falls")
    parser.add_argument("--bf16", action="store_true", help="compile, and multiply in bfloat16")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--from-step", type=int, default=0, help="the step at which --resume was saved")
