"""Fine-tune a base model into an assistant that answers, stops, and fills gaps: the same weights, the same tokens.

In: the corpus, FOLDER/NAME for `NAME.train.txt` and `NAME.qa.jsonl`, and the base model. Out: a checkpoint with
a chat template. Three kinds of rows: conversations (the loss is taken on the answer and its end alone), gaps to fill in
(on the middle and its end), and plain text, so that the model doesn't forget to tell stories.

    python scripts/training/finetune.py ../shared/data/stories \\
        sheetgpt/models/stories sheetgpt/models/stories-chat --steps 800
"""

import argparse
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from checkpoint_files import IM_END, SPECIAL, chat_prompt, gap_prompt, open_tokenizer, save_config, save_tokenizer
from conversations import conversation, holds_held
from corpus import encode, id_of, read_corpus, stories
from descent import descend, options
from story_questions import clean_pairs, gap, sentences, story_request
from tokenizers import Tokenizer
from torch import Tensor
from torch_gpt2 import GPT2, load_weights, round_weights, save_weights
from train import windows

NOTHING = -100  # no loss here
SHORT = 64  # tokens in a row of short turns: a workbook has 32 to 48 columns
Row = tuple[list[int], int]  # ids, and how many of the first are only given

Example = Callable[[], tuple[str, str]]


def examples(corpus: Path, train_text: str, unknown: float, rng: random.Random) -> dict[str, Example]:
    """Endless sources of (prompt, answer) by kind, none with a held-out name or thing in a conversation."""
    lines = corpus.with_name(f"{corpus.name}.qa.jsonl").read_text("utf-8").splitlines()
    pairs = [json.loads(line) for line in lines]

    def allowed(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [pair for pair in found if not holds_held(" ".join(pair))]

    asked = allowed(clean_pairs(pairs))
    # Half of the file asks for a name; one in four of those is enough.
    asked = [pair for i, pair in enumerate(asked) if "What was the name" not in pair[0] or i % 4 == 0]
    short = allowed([told for pair in pairs for n in (2, 3) if (told := story_request(pair, n))])
    whole = allowed([told for pair in pairs if (told := story_request(pair))])
    tales = stories(train_text)
    print(f"{len(asked):,} questions, {len(short):,} short stories, {len(whole):,} stories to ask for", flush=True)

    def talk(found: list[tuple[str, str]]) -> tuple[str, str]:
        user, answer = rng.choice(found)
        return chat_prompt(user), answer

    def made() -> tuple[str, str]:
        user, answer = conversation(rng, unknown=rng.random() < unknown)
        return chat_prompt(user), answer

    def fill(least: int, most: int) -> tuple[str, str]:
        while True:
            told = sentences(rng.choice(tales).replace("\n", " "))
            first, length = rng.randrange(len(told)), rng.randint(least, most)
            found = gap(" ".join(told[first : first + length]), rng)
            if found:
                prefix, middle, suffix = found
                return gap_prompt(prefix, suffix), middle

    return {
        "made": made,
        "asked": lambda: talk(asked),
        "short": lambda: talk(short),
        "whole": lambda: talk(whole),
        "gap": lambda: fill(1, 3),
        "long gap": lambda: fill(4, 10),
    }


def rows(tokenizer: Tokenizer, source: Example, size: int) -> Iterator[Row]:
    """Examples as ids with their end, those that fit into `size` tokens."""
    end = id_of(tokenizer, IM_END)
    while True:
        prompt, answer = source()
        given = tokenizer.encode(prompt, add_special_tokens=False).ids
        ids = [*given, *tokenizer.encode(answer, add_special_tokens=False).ids, end]
        if len(ids) <= size:
            yield ids, len(given)


def padded(found: list[Row], size: int) -> tuple[Tensor, Tensor]:
    """(ids, which of them are wanted), each [rows, size]; nothing is wanted of what is given and of the filling."""
    ids = torch.zeros(len(found), size, dtype=torch.long)
    wanted = torch.full((len(found), size), NOTHING)
    for i, (row, given) in enumerate(found):
        ids[i, : len(row)] = torch.tensor(row)
        wanted[i, given : len(row)] = torch.tensor(row[given:])
    return ids, wanted


def mixture(
    tokenizer: Tokenizer, sources: dict[str, Example], train: Tensor, size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Three batches of short rows, then one of long rows, for ever."""
    short = {kind: rows(tokenizer, sources[kind], SHORT + 1) for kind in ("made", "asked", "short", "gap")}
    long = {kind: rows(tokenizer, sources[kind], size + 1) for kind in ("whole", "long gap")}
    counts = {"made": 32, "asked": 6, "short": 6, "gap": 20}
    plain = windows(train, size, 10, epochs=True)
    while True:
        for _ in range(3):
            ids, wanted = padded([next(short[kind]) for kind, count in counts.items() for _ in range(count)], SHORT + 1)
            yield ids[:, :-1], wanted[:, 1:]
        ids, wanted = padded([next(long[kind]) for kind in ("whole", "long gap") for _ in range(3)], size + 1)
        text = next(plain)
        yield torch.cat([ids, text])[:, :-1], torch.cat([wanted, text])[:, 1:]


def main() -> None:
    args = arguments().parse_args()
    torch.manual_seed(args.seed + args.from_step)
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer = open_tokenizer(args.base)
    config = json.loads((args.base / "config.json").read_text("utf-8"))
    save_tokenizer(tokenizer, args.out, config["n_positions"], chat=True)
    save_config(config, args.out, id_of(tokenizer, IM_END))
    train_text, _ = read_corpus(args.corpus)
    train = torch.tensor(encode(tokenizer, train_text))

    model = GPT2(config, torch.bfloat16 if args.bf16 else torch.float32)
    load_weights(model, args.resume or args.base)
    with torch.no_grad():  # the base never saw these: they start from the middle of the others
        new = [] if args.resume else [id_of(tokenizer, token) for token in SPECIAL]
        model.wte.weight[new] = model.wte.weight.mean(0) + 0.02 * torch.randn(len(new), config["n_embd"])
    sources = examples(args.corpus, train_text, args.unknown, random.Random(args.seed + args.from_step))

    def checked(step: int) -> str:
        save_weights(model, args.out)
        return ""

    descend(model, mixture(tokenizer, sources, train, config["n_positions"]), args, checked)
    round_weights(model)
    save_weights(model, args.out)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="the path before .train.txt and .qa.jsonl")
    parser.add_argument("base", type=Path, help="folder of the base model")
    parser.add_argument("out", type=Path, help="folder for the checkpoint")
    parser.add_argument(
        "--resume", type=Path, help="a fine-tuned checkpoint to go on from; its optimizer starts afresh"
    )
    parser.add_argument("--unknown", type=float, default=0.2, help="share of the made conversations without an answer")
    options(parser, steps=800, lr=1e-3, muon_lr=3e-3, decay=0.0, warm_up=50, fall=0.8)
    return parser


if __name__ == "__main__":
    main()
