"""Makes sheetgpt/models/tiny: a GPT-2 small enough to follow with a pencil, its weights rounded to tenths.

python scripts/training/tiny.py [FOLDER]

It learns those first names of the list of `build --train` that six letters can spell. Two pairs of letters, the most
frequent ones, are tokens, so that a token is not always a letter. The same numbers on every machine but for the
last bits, which the rounding takes away.
"""

import json
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np

from sheetgpt.gpt2.checkpoints.save import save_checkpoint
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.learning import adam
from sheetgpt.gpt2.learning.adam import Settings
from sheetgpt.gpt2.learning.learn import gradients, learn
from sheetgpt.gpt2.learning.loss import example
from sheetgpt.gpt2.learning.new import new_params
from sheetgpt.gpt2.model import Array

MODELS = Path(__file__).parents[2] / "sheetgpt" / "models"
LETTERS = "aeilmn"
CONFIG = GPT2Config(n_vocab=9, n_positions=8, n_embd=8, n_layer=1, n_head=2, n_inner=8)
SEED, STEPS = 0, 3000
RATE = 0.02


def words() -> list[str]:
    every = (MODELS / "names" / "names.txt").read_text("utf-8").lower().split()
    return [word for word in every if {*word} <= {*LETTERS} and len(word) < CONFIG.n_positions]


def merges(found: list[list[str]], n: int) -> list[tuple[str, str]]:
    """Byte-pair encoding: the most frequent pair of neighbours joins, n times. `found`: words, which it changes."""
    pairs: list[tuple[str, str]] = []
    for _ in range(n):
        counts = Counter(pair for word in found for pair in pairwise(word))
        pairs.append(max(counts, key=lambda pair: (counts[pair], pair)))
        for word in found:
            for i in range(len(word) - 1, 0, -1):
                if tuple(word[i - 1 : i + 1]) == pairs[-1]:
                    word[i - 1 : i + 1] = ["".join(pairs[-1])]
    return pairs


def loss_of(params: dict[str, Array], texts: list[list[int]]) -> float:
    """The mean over the words, in nats a letter."""
    return float(np.mean([gradients(params, CONFIG, example(text, 0, CONFIG.n_positions))["loss"] for text in texts]))


def rounded(params: dict[str, Array]) -> dict[str, Array]:
    return {name: np.round(tensor, 1) + 0.0 for name, tensor in params.items()}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else MODELS / "tiny"
    found = [[*word] for word in words()]
    pairs = merges(found, CONFIG.n_vocab - 1 - len(LETTERS))
    names = ["<|endoftext|>", *LETTERS, *("".join(pair) for pair in pairs)]
    texts = [[names.index(token) for token in word] for word in found]
    params = {name: tensor.astype(np.float64) for name, tensor in new_params(CONFIG, SEED).items()}
    examples = [example(text, 0, CONFIG.n_positions) for text in texts]
    settings = Settings(learning_rate=RATE, steps=STEPS)
    state, _ = learn(adam.start(params), CONFIG, examples, settings, STEPS)
    small = rounded(state.w)
    print(f"{len(texts)} words; loss {loss_of(state.w, texts):.3f}, rounded {loss_of(small, texts):.3f}")
    vocab = {name: i for i, name in enumerate(names)}
    rules = "".join(f"{left} {right}\n" for left, right in pairs)
    files = {
        "vocab.json": (json.dumps(vocab, indent=0) + "\n").encode(),
        "merges.txt": f"#version: 0.2\n{rules}".encode(),
    }
    save_checkpoint(folder, CONFIG, small, files)


if __name__ == "__main__":
    main()
