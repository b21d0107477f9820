"""Measure `stories` and `stories-chat` for their cards: bits a byte, memorization, continuations, answers, gaps.

In: the corpus (FOLDER/NAME), the folders of the base and of the fine-tuned model. Out: the figures, every continuation,
and the first answers of each kind, on the terminal. Nothing is selected; the seed is fixed.

    python scripts/training/measure_stories.py ../shared/data/stories \\
        sheetgpt/models/stories sheetgpt/models/stories-chat
"""

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from checkpoint_files import IM_END, chat_prompt, gap_prompt, open_tokenizer
from conversations import conversation, holds_held
from corpus import END, count_bytes, encode, id_of, read_corpus, stories
from finetune import NOTHING
from story_questions import clean_pairs, gap, sentences
from tokenizers import Tokenizer
from torch_gpt2 import GPT2, bits_per_byte, continue_ids, load_weights

ROWS = 20  # tokens in a row that count as copied
PROMPTS = Path(__file__).with_name("story_prompts.txt")
HELD_SETS = {
    "all seen": (),
    "new names": ("names",),
    "new things": ("things",),
    "new forms": ("forms",),
    "new names, things and forms": ("names", "things", "forms"),
}


def open_model(folder: Path) -> tuple[GPT2, Tokenizer]:
    model = GPT2(json.loads((folder / "config.json").read_text("utf-8")))
    load_weights(model, folder)
    return model, open_tokenizer(folder)


def ids_of(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


def copied(pieces: list[list[int]], train: list[int]) -> float:
    """The share of pieces of which ROWS tokens in a row stand in `train`."""
    seen = {tuple(train[i : i + ROWS]) for i in range(len(train) - ROWS + 1)}
    return sum(any(tuple(p[i : i + ROWS]) in seen for i in range(len(p) - ROWS + 1)) for p in pieces) / len(pieces)


def memorization(model: GPT2, tokenizer: Tokenizer, train_text: str, held_text: str) -> Iterator[str]:
    """Continuations of 40 tokens; the prompts are 24 tokens of a held-out story, at its start and in its middle."""
    train = encode(tokenizer, train_text)
    held = [ids_of(tokenizer, story) for story in stories(held_text)]
    starts = [(story, at) for story in held for at in (0, len(story) // 2) if len(story) >= at + 64]
    prompts = [story[at : at + 24] for story, at in starts]
    real = [story[at + 24 : at + 64] for story, at in starts]
    for temperature in (0.0, 0.7):
        pieces = continue_ids(model, prompts, 40, temperature)
        yield f"{copied(pieces, train):.1%} of {len(pieces)} continuations at temperature {temperature} copied"
    yield f"{copied(real, train):.1%} of the held-out text's own continuations stand in the training text"


def held_bits(model: GPT2, tokenizer: Tokenizer, held_text: str) -> Iterator[str]:
    ids, n_bytes = torch.tensor(encode(tokenizer, held_text)), count_bytes(held_text)
    for size, stride in ((model.wpe.num_embeddings, model.wpe.num_embeddings), (128, 128), (128, 16)):
        yield f"{bits_per_byte(model, ids, n_bytes, size, stride):.4f} bits a byte, windows of {size} moved by {stride}"


def continuations(model: GPT2, tokenizer: Tokenizer) -> Iterator[str]:
    """24 tokens at temperature 0.7 after each of our own prompts."""
    prompts = PROMPTS.read_text("utf-8").splitlines()
    pieces = continue_ids(model, [ids_of(tokenizer, p) for p in prompts], 24, 0.7, id_of(tokenizer, END))
    for n, (prompt, piece) in enumerate(zip(prompts, pieces, strict=True), 1):
        yield f"{n}. **{prompt}**{tokenizer.decode(piece, skip_special_tokens=False)}".replace("\n", " ↵ ")


def answers(model: GPT2, tokenizer: Tokenizer, users: list[str], new_tokens: int = 40) -> list[str | None]:
    """The likeliest answer to each; None where the model does not stop."""
    end = id_of(tokenizer, IM_END)
    found = continue_ids(model, [ids_of(tokenizer, chat_prompt(user)) for user in users], new_tokens, stop=end)
    return [None if len(ids) == new_tokens else tokenizer.decode(ids, skip_special_tokens=False) for ids in found]


def questions(corpus: Path) -> dict[str, list[tuple[str, str]]]:
    """The held-out sets: made from templates with the held-out words, and the stories' own questions that hold one."""
    sets: dict[str, list[tuple[str, str]]] = {}
    for name, held in HELD_SETS.items():
        rng = random.Random(f"held {name}")
        for unknown in (False, True):
            made = dict.fromkeys(conversation(rng, frozenset(held), unknown) for _ in range(400))
            sets[name + (", not in the text" if unknown else "")] = [*made][:200]
    lines = corpus.with_name(f"{corpus.name}.qa.jsonl").read_text("utf-8").splitlines()
    sets["the stories' own, new words"] = [
        pair for pair in clean_pairs(map(json.loads, lines)) if holds_held(" ".join(pair))
    ]
    return sets


def chat(model: GPT2, tokenizer: Tokenizer, corpus: Path, show: int = 3) -> Iterator[str]:
    """Of each held-out set how many answers are right to the letter; the first `show`, and the first wrong ones."""
    for name, pairs in questions(corpus).items():
        said = answers(model, tokenizer, [user for user, _ in pairs])
        wrong = [n for n, (answer, (_, wanted)) in enumerate(zip(said, pairs, strict=True)) if answer != wanted]
        share, endless = 1 - len(wrong) / len(pairs), said.count(None)
        yield f"\n| {name} | {len(pairs) - len(wrong)} of {len(pairs)} | {share:.1%} | {endless} don't stop"
        for n in [*range(show), *wrong[:show]]:
            yield f"- {pairs[n][0]} → {said[n]}" + (f" (expected: {pairs[n][1]})" if n in wrong else "")


def requests(model: GPT2, tokenizer: Tokenizer) -> Iterator[str]:
    """Short stories about things asked for, at temperature 0: how many name the thing, how many stop."""
    things = ["owl", "goat", "clock", "guitar", "sock", "whale", "zebra", "bell", "bridge", "glove", "ant", "cave"]
    users = [f"Tell me a short story about a{'n' if thing[0] in 'aeiou' else ''} {thing}." for thing in things]
    said = answers(model, tokenizer, users, 80)
    named = sum(bool(answer) and thing in str(answer) for thing, answer in zip(things, said, strict=True))
    yield f"\n{named} of {len(things)} name the thing asked for, {said.count(None)} don't stop\n"
    yield from (f"- {user} → {answer}" for user, answer in zip(users, said, strict=True))


def gaps(tokenizer: Tokenizer, held_text: str, n: int = 400) -> list[tuple[str, str, str]]:
    """Pieces of held-out stories, a sentence to three, each with its gap."""
    rng = random.Random("gaps")
    found: list[tuple[str, str, str]] = []
    told = [sentences(story.replace("\n", " ")) for story in stories(held_text)]
    while len(found) < n:
        story = rng.choice(told)
        first, length = rng.randrange(len(story)), rng.randint(1, 3)
        cut = gap(" ".join(story[first : first + length]), rng)
        if cut and len(ids_of(tokenizer, "".join(cut))) <= 60:
            found.append(cut)
    return found


@torch.no_grad()
def nats(model: GPT2, tokenizer: Tokenizer, given: str, middle: str) -> float:
    """-log p(middle | given), without the end."""
    before, after = ids_of(tokenizer, given), ids_of(tokenizer, middle)
    ids = torch.tensor([before + after])
    wanted = torch.full_like(ids, NOTHING)
    wanted[0, len(before) :] = torch.tensor(after)
    return float(F.cross_entropy(model(ids[:, :-1])[0], wanted[0, 1:], reduction="sum"))


def fill(base: GPT2, model: GPT2, tokenizer: Tokenizer, held_text: str) -> Iterator[str]:
    cuts, end = gaps(tokenizer, held_text), id_of(tokenizer, IM_END)
    n_tokens = sum(len(ids_of(tokenizer, middle)) for _, middle, _ in cuts)
    ways = {
        "with the suffix": [nats(model, tokenizer, gap_prompt(p, s), m) for p, m, s in cuts],
        "the suffix left empty": [nats(model, tokenizer, gap_prompt(p, ""), m) for p, m, _ in cuts],
        "as plain text": [nats(model, tokenizer, p, m) for p, m, _ in cuts],
        "the base model, as plain text": [nats(base, tokenizer, p, m) for p, m, _ in cuts],
    }
    for way, found in ways.items():
        yield f"{sum(found) / n_tokens:.3f} nats a token of the middle, {way}"
    better = sum(a < b for a, b in zip(ways["with the suffix"], ways["as plain text"], strict=True))
    yield f"{better} of {len(cuts)} middles are likelier with the suffix than as plain text"
    said = continue_ids(model, [ids_of(tokenizer, gap_prompt(p, s)) for p, _, s in cuts], 24, stop=end)
    texts = [tokenizer.decode(ids, skip_special_tokens=False) for ids in said]
    plain = continue_ids(model, [ids_of(tokenizer, p) for p, _, _ in cuts], 24)
    started = [tokenizer.decode(ids, skip_special_tokens=False) for ids in plain]
    exact = sum(text == middle for text, (_, middle, _) in zip(texts, cuts, strict=True))
    blind = sum(text.startswith(middle) for text, (_, middle, _) in zip(started, cuts, strict=True))
    endless = sum(len(ids) == 24 for ids in said)
    yield f"{exact} of {len(cuts)} filled exactly, {endless} don't stop; {blind} begin so as plain text"
    for text, (prefix, middle, suffix) in list(zip(texts, cuts, strict=True))[:12]:
        yield f"- {prefix} **[{text}]** {suffix} (the story: {middle})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="the path before .train.txt, .heldout.txt and .qa.jsonl")
    parser.add_argument("base", type=Path)
    parser.add_argument("chat", type=Path)
    parser.add_argument("--only", choices=["base", "chat"])
    args = parser.parse_args()
    torch.manual_seed(1)
    train_text, held_text = read_corpus(args.corpus)
    base, tokenizer = open_model(args.base)
    parts: list[Iterator[str]] = []
    if args.only != "chat":
        parts = [held_bits(base, tokenizer, held_text), memorization(base, tokenizer, train_text, held_text)]
        parts.append(continuations(base, tokenizer))
    if args.only != "base":
        model, _ = open_model(args.chat)
        parts += [chat(model, tokenizer, args.corpus), requests(model, tokenizer)]
        parts += [held_bits(model, tokenizer, held_text), fill(base, model, tokenizer, held_text)]
    for part in parts:
        for line in part:
            print(line, flush=True)


if __name__ == "__main__":
    main()
