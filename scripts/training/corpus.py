"""A corpus of stories -> a byte-level BPE tokenizer and ids.

The corpus is `NAME.train.txt` and `NAME.heldout.txt`. Between two stories stands a line `<|endoftext|>` or, in a text
without one, a blank line; to the model it is the token `<|endoftext|>`, id 0, in either case.
"""

from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END = "<|endoftext|>"
OFTEN = 20_000  # as often as a common word, so that a word is merged into one token


def read_corpus(corpus: Path) -> tuple[str, str]:
    """Training text and held-out text."""
    train, held = (corpus.with_name(f"{corpus.name}.{part}.txt").read_text("utf-8") for part in ("train", "heldout"))
    return train, held


def stories(text: str) -> list[str]:
    """The text's pieces, without what stands between them."""
    if END not in text:
        return text.split("\n\n")
    return [story for story in (piece.strip("\n") for piece in text.split(END)) if story]


def count_bytes(text: str) -> int:
    """The bytes that bits a byte counts: of what stands between two stories only the two line ends, never a marker."""
    return len(text.replace(END, "").encode())


def train_tokenizer(
    text: str, vocab_size: int, special: tuple[str, ...] = (), words: tuple[str, ...] = ()
) -> Tokenizer:
    """GPT-2's: byte-level BPE, its pre-tokenization. Special tokens have the first ids; each of `words` becomes one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END, *special],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    often = [word for word in words for _ in range(OFTEN)]
    tokenizer.train_from_iterator([*stories(text), *often], trainer)
    return tokenizer


def id_of(tokenizer: Tokenizer, token: str) -> int:
    """The id of a token that is there."""
    return int(tokenizer.get_vocab()[token])


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """One long row of ids, <|endoftext|> before each story."""
    end = id_of(tokenizer, END)
    pieces = tokenizer.encode_batch(stories(text), add_special_tokens=False)
    return [i for piece in pieces for i in (end, *piece.ids)]
