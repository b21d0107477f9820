"""Train a bundled model: a byte-level BPE tokenizer and a one-million-parameter GPT-2 on a corpus of stories.

In: the corpus as `NAME.train.txt` and `NAME.heldout.txt`, given as the path FOLDER/NAME. Out: a checkpoint in Hugging
Face's format, its weights rounded to four significant decimal digits. The architecture is GPT-2's own. The matrices
inside the blocks are trained with Muon (Jordan et al., 2024), all else with AdamW.

    python -m pip install -e '.[train]'
    python scripts/training/train.py ../shared/data/fairy-tales sheetgpt/models/fairytale --steps 6000
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from checkpoint_files import ROLES, SPECIAL, config_of, save_config, save_tokenizer
from corpus import count_bytes, encode, read_corpus, train_tokenizer
from descent import descend, options
from torch import Tensor
from torch_gpt2 import GPT2, bits_per_byte, load_weights, round_weights, save_weights


def windows(ids: Tensor, size: int, batch: int, epochs: bool) -> Iterator[Tensor]:
    """[batch, size + 1] for ever: drawn at random, or (epochs) each place once, moved at random in each round."""
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


def main() -> None:
    args = arguments().parse_args()
    torch.manual_seed(args.seed + args.from_step)
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)

    train_text, held_text = read_corpus(args.corpus)
    extra = (SPECIAL, ROLES) if args.chat_tokens else ((), ())
    tokenizer = train_tokenizer(train_text, args.vocab, *extra)
    save_tokenizer(tokenizer, args.out, args.positions)
    config = config_of(args.vocab, args.positions, args.width, args.layers, args.heads)
    save_config(config, args.out)
    train, held = (torch.tensor(encode(tokenizer, text)) for text in (train_text, held_text))
    n_bytes, size = count_bytes(held_text), args.positions
    ratio = n_bytes / len(held)
    print(f"{len(train):,} training tokens, {len(held):,} held out, {ratio:.2f} bytes a token", flush=True)

    model = GPT2(config, torch.bfloat16 if args.bf16 else torch.float32)
    if args.resume:
        load_weights(model, args.resume)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters", flush=True)

    def checked(step: int) -> str:
        if step % 500:
            return ""
        save_weights(model, args.out)  # so that a run cut short leaves something
        return f"held-out {bits_per_byte(model, held, n_bytes, size, size):.4f} bits a byte (no overlap)"

    source = ((ids[:, :-1], ids[:, 1:]) for ids in windows(train, size, args.batch, args.epochs))
    descend(model, source, args, checked)
    model.dtype = torch.float32
    exact = bits_per_byte(model, held, n_bytes, size, size)
    round_weights(model)
    save_weights(model, args.out)
    print(f"held-out bits a byte, no overlap: {exact:.4f} before rounding", flush=True)
    for stride in (size, 16):
        bits = bits_per_byte(model, held, n_bytes, size, stride)
        print(f"rounded, windows of {size} moved by {stride}: {bits:.4f} bits a byte", flush=True)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="the path before .train.txt and .heldout.txt")
    parser.add_argument("out", type=Path, help="folder for the checkpoint")
    options(parser, steps=6000, lr=4e-3, muon_lr=0.0, decay=0.05, warm_up=200, fall=0.6)
    parser.add_argument("--batch", type=int, default=32, help="windows a step")
    parser.add_argument("--vocab", type=int, default=2048)
    parser.add_argument("--positions", type=int, default=128)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument(
        "--chat-tokens", action="store_true", help="tokens for conversations and gaps, to be used later"
    )
    parser.add_argument("--epochs", action="store_true", help="every window once a round, not drawn with replacement")
    parser.add_argument("--resume", type=Path, help="a checkpoint of a run cut short; its optimizer starts afresh")
    return parser


if __name__ == "__main__":
    main()
