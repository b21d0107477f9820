"""Train a bundled model: a byte-level BPE tokenizer and a one-million-parameter GPT-2 on a corpus of stories.

In: the corpus as `NAME.train.txt` and `NAME.heldout.txt`, given as the path FOLDER/NAME. Out: a checkpoint in Hugging
Face's format, its weights rounded to four significant decimal digits. The architecture is GPT-2's own. The matrices
inside the blocks are trained with Muon (Jordan et al., 2024), all else with AdamW.

    python -m pip install -e '.[train]'
    python scripts/train.py ../shared/data/fairy-tales sheetgpt/models/fairytale --steps 6000
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from checkpoint_files import ROLES, SPECIAL, config_of, save_config, save_tokenizer
from corpus import count_bytes, encode, read_corpus, train_tokenizer
from muon import Muon
from torch import Tensor, nn
from torch_gpt2 import GPT2, bits_per_byte, load_weights, round_weights, save_weights


def schedule(step: int, progress: float, fall: float) -> float:
    """Warm up over 200 steps, hold, then fall to zero over the last `fall` of the run."""
    return min(1.0, (step + 1) / 200, max(0.0, 1 - progress) / fall)


def batches(ids: Tensor, size: int, batch: int, epochs: bool) -> Any:
    """Windows of size + 1 for ever: drawn at random, or (epochs) each place once, moved at random in each round."""
    offsets = torch.arange(size + 1)
    while not epochs:
        yield ids[torch.randint(len(ids) - size - 1, (batch, 1)) + offsets]
    rest = torch.empty(0, dtype=torch.long)
    while True:
        if len(rest) < batch:
            starts = torch.arange(int(torch.randint(size, ())), len(ids) - size - 1, size)
            rest = torch.cat([rest, starts[torch.randperm(len(starts))]])
        yield ids[rest[:batch, None] + offsets]
        rest = rest[batch:]


def optimizers(model: GPT2, lr: float, muon_lr: float, decay: float) -> list[torch.optim.Optimizer]:
    """AdamW for all but the blocks' matrices, Muon for those."""
    matrices = [p for name, p in model.named_parameters() if name.startswith("h.") and p.ndim == 2]
    others = [p for name, p in model.named_parameters() if not (name.startswith("h.") and p.ndim == 2)]
    adam = torch.optim.AdamW(others, lr=lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    both = [adam, Muon(matrices, lr=muon_lr, weight_decay=decay)]
    for optimizer in both:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return both


def main() -> None:
    args = arguments().parse_args()
    torch.manual_seed(args.seed + args.from_step)
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)

    train_text, held_text = read_corpus(args.corpus)
    extra = (SPECIAL, ROLES) if args.chat_tokens else ((), ())
    tokenizer = train_tokenizer(train_text, args.vocab, *extra)
    save_tokenizer(tokenizer, args.out, args.positions)
    train, held = (torch.tensor(encode(tokenizer, text)) for text in (train_text, held_text))
    held_bytes = count_bytes(held_text)
    print(
        f"{len(train):,} training tokens, {len(held):,} held out, {held_bytes / len(held):.2f} bytes a token",
        flush=True,
    )

    config = config_of(args.vocab, args.positions, args.width, args.layers, args.heads)
    save_config(config, args.out)
    model = GPT2(config, torch.bfloat16 if args.bf16 else torch.float32)
    if args.resume:
        load_weights(model, args.resume)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    adam, muon = optimizers(model, args.lr, args.muon_lr or args.lr, args.decay)
    loss_of = torch.compile(model.loss, dynamic=False) if args.bf16 else model.loss

    began, running, size = time.time(), 0.0, args.positions
    source = batches(train, size, args.batch, args.epochs)
    step, progress = args.from_step, args.from_step / args.steps
    while progress < 1:
        for group in (*adam.param_groups, *muon.param_groups):
            group["lr"] = group["peak"] * schedule(step, progress, args.fall)
        batch = next(source)
        loss = loss_of(batch[:, :-1], batch[:, 1:])
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(adam.param_groups[0]["params"], 1.0)
        adam.step()
        muon.step()
        step += 1
        progress = step / args.steps if not args.minutes else (time.time() - began) / 60 / args.minutes
        running += loss.item()
        if step % 50 == 0:
            line = f"step {step:6d}  loss {running / 50:.4f}  {time.time() - began:6.0f} s  {progress:.0%}"
            running = 0.0
            if step % 500 == 0:
                save_weights(model, args.out)  # so that a run cut short leaves something
                line += f"  held-out {bits_per_byte(model, held, held_bytes, size, size):.4f} bits a byte (no overlap)"
            print(line, flush=True)

    model.dtype = torch.float32
    print(f"{step} steps, {time.time() - began:.0f} s", flush=True)
    for rounded in (False, True):
        if rounded:
            round_weights(model)
        for length, stride in {(args.positions, args.positions), (args.positions, 16), (128, 128), (128, 16)}:
            bits = bits_per_byte(model, held, held_bytes, length, stride)
            print(f"held-out {bits:.4f} bits a byte, windows of {length} moved by {stride}, {rounded=}", flush=True)
    save_weights(model, args.out)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="the path before .train.txt and .heldout.txt")
    parser.add_argument("out", type=Path, help="folder for the checkpoint")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--minutes", type=float, default=0.0, help="end after this time instead of after --steps")
    parser.add_argument("--batch", type=int, default=32, help="windows a step")
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument(
        "--muon-lr", type=float, default=0.0, help="for the blocks' matrices; the same as --lr by default"
    )
    parser.add_argument("--decay", type=float, default=0.05, help="weight decay of the blocks' matrices")
    parser.add_argument("--fall", type=float, default=0.6, help="share of the run in which the rate falls")
    parser.add_argument("--vocab", type=int, default=2048)
    parser.add_argument("--positions", type=int, default=128)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument(
        "--chat-tokens", action="store_true", help="tokens for conversations and gaps, to be trained later"
    )
    parser.add_argument("--epochs", action="store_true", help="every window once a round, not drawn with replacement")
    parser.add_argument("--bf16", action="store_true", help="compile, and multiply in bfloat16")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", type=Path, help="a checkpoint of a run cut short; its optimizer starts afresh")
    parser.add_argument("--from-step", type=int, default=0, help="the step at which --resume was saved")
    return parser


if __name__ == "__main__":
    main()
