"""GPT-2's byte-level BPE: text to token ids and back, a thin hand over the `tokenizers` package.

Reads what Hugging Face writes beside a checkpoint: tokenizer.json, or vocab.json + merges.txt, and what the module
`hugging_face` makes of the other files. The scheme (each byte is a printable letter, merges join letters inside a
pre-token) is from github.com/openai/gpt-2, `src/encoder.py`.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers

from sheetgpt.errors import SheetGPTError
from sheetgpt.text import hugging_face
from sheetgpt.text.hugging_face import ADVICE, END_OF_TEXT, MAX_ID
from sheetgpt.text.json_file import is_file, read_bytes, read_json, read_text

FILES = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
)
VERSION = re.compile(r"#version: [\d.]+( - Trained by `huggingface/tokenizers`)?\s*")
FLAGS = ("lstrip", "rstrip", "single_word", "normalized")
OTHER_FILES = {
    "vocab.txt": "WordPiece",
    **dict.fromkeys(("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "spm.model"), "SentencePiece"),
}


def byte_to_unicode() -> dict[int, str]:
    """The letter of each byte: itself where it prints, else the next free one from U+0100 (so the space is 'Ġ')."""
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {byte: chr(byte) for byte in printing}
    others = [byte for byte in range(256) if byte not in letters]
    return letters | {byte: chr(0x100 + n) for n, byte in enumerate(others)}


class Tokenizer:
    """`vocab` (in byte letters) and `added` (plain text) share one range of ids and no token.

    `prefix` and `suffix` are the ids around every text. `beyond`: tokens that the model has no row for, with their ids.
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        merges: Iterable[tuple[str, str]],
        added: Mapping[str, int] | None = None,
        *,
        flags: Mapping[str, Mapping[str, bool]] | None = None,
        around: tuple[Sequence[int], Sequence[int]] = ((), ()),
        limit: int = MAX_ID,
        notes: Sequence[str] = (),
    ) -> None:
        """`flags`: what an added token swallows around it (lstrip, rstrip) or asks for (single_word, normalized).

        `limit`: the tokens that the model has; `notes`: what a person should know of these files.
        """
        self.merges = list(merges)
        if added is None:
            added = {token: vocab[token] for token in (END_OF_TEXT,) if token in vocab}
        every = dict(added)
        _check_ids(vocab, {})
        _check_merges(self.merges, vocab)
        _check_ids(vocab, every)
        self.beyond = _beyond({**vocab, **every}, self.merges, limit)
        self.added = every
        self.vocab = {token: i for token, i in vocab.items() if token not in every and token not in self.beyond}
        self.byte_ids = [vocab.get(letter, -1) for _, letter in sorted(byte_to_unicode().items())]
        self.flags = {token: {"normalized": False, **(flags or {}).get(token, {})} for token in every}
        self.prefix, self.suffix = (tuple(ids) for ids in around)
        for i in (*self.prefix, *self.suffix):
            if i >= limit:
                raise SheetGPTError(f"Every text gets the token {i}, and the model's last is {limit - 1}.")
        self.notes = (*notes, *_beyond_note(self.beyond, limit))
        self._bytes = {i: _spelled(token) for token, i in {**vocab, **every}.items() if i < limit}
        self._missing = {byte for byte, i in enumerate(self.byte_ids) if i < 0}
        self._rust = _rust_tokenizer({**vocab, **every}, self.merges, every, self.flags)

    @cached_property
    def n_vocab(self) -> int:
        """One more than the largest id: the rows that an embedding must have."""
        return max(self._bytes, default=-1) + 1

    @property
    def empty(self) -> tuple[int, ...]:
        """What the model reads where there is no text: the ids around it, or else `<|endoftext|>`."""
        around = (*self.prefix, *self.suffix)
        end = self.added.get(END_OF_TEXT)
        return around or (() if end is None or END_OF_TEXT in self.beyond else (end,))

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, in which added tokens such as `<|endoftext|>` stand for themselves."""
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise SheetGPTError(
                f"The text holds half a surrogate pair, {text[error.start]!r}, as character {error.start + 1}: "
                f"it is not a Unicode character, so leave it out."
            ) from None
        ids: list[int] = self._rust.encode(text, add_special_tokens=False).ids
        used = {*ids}
        for token, i in self.beyond.items() if self.beyond and max(ids, default=0) >= min(self.beyond.values()) else ():
            if i in used:
                raise SheetGPTError(
                    f"The text holds {token!r}, token {i}, and the model has no such row: leave it out of the text."
                )
        # BPE drops a letter that its vocabulary lacks without a word; GPT-2's own has all 256.
        if self._missing and b"".join(map(self.token_bytes, ids)) != text.encode():
            for n, character in enumerate(text, 1):
                if not self._missing.isdisjoint(character.encode()):
                    raise SheetGPTError(f"The vocabulary has no token for {character!r}, character {n} of the text.")
        return [*self.prefix, *ids, *self.suffix]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`; bytes that form no character become U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", errors="replace")

    def token_bytes(self, id: int) -> bytes:
        """The bytes of one token; none for an id without a token (a model may have more rows than its vocabulary)."""
        return self._bytes.get(int(id), b"")

    def token_text(self, id: int) -> str:
        """One token as text, to show above its column."""
        return self.token_bytes(id).decode("utf-8", errors="replace")

    @classmethod
    def load(cls, directory: str | os.PathLike[str], limit: int = MAX_ID) -> "Tokenizer | None":
        """The tokenizer whose files stand in `directory`; None when there are none. `limit`: of the model's tokens."""
        folder = Path(directory)
        found = [name for name in FILES[:3] if is_file(folder / name)]
        others = [name for name in OTHER_FILES if is_file(folder / name)]
        if not found and not others:
            return None
        names = {*FILES, "config.json"} - {"vocab.json", "merges.txt"}
        contents = {name: read_json(folder / name) for name in names if is_file(folder / name)}
        kind = hugging_face.kind_of(contents, folder)
        if not found:
            raise SheetGPTError(f"{folder / others[0]} belongs to a {OTHER_FILES[others[0]]} tokenizer; {ADVICE}")
        if "tokenizer.json" in found:  # transformers prefers it too
            vocab, merges = _read_tokenizer_json(folder / "tokenizer.json", contents["tokenizer.json"])
            hugging_face.check_decoder(contents["tokenizer.json"], kind, folder / "tokenizer.json")
        elif len(found) == 1:
            lacking = "merges.txt" if found == ["vocab.json"] else "vocab.json"
            raise SheetGPTError(f"{folder} has {found[0]} but no {lacking}: a tokenizer needs both, or neither.")
        else:
            vocab, merges = _vocab(read_json(folder / "vocab.json"), folder / "vocab.json"), _read_merges(folder)
        config = hugging_face.settings(contents, folder)
        tokens = hugging_face.added_tokens(contents, config, kind, folder)
        try:
            added, notes = hugging_face.with_ids(tokens, vocab, folder)
            ids = {token: described.id for token, described in added.items() if described.id is not None}
            flags = {token: {flag: getattr(described, flag) for flag in FLAGS} for token, described in added.items()}
            around = hugging_face.around(contents, config, kind, ids, folder)
            tokenizer = cls(vocab, merges, ids, flags=flags, around=around, limit=limit, notes=notes)
        except SheetGPTError as error:
            raise SheetGPTError(f"The tokenizer in {folder} is broken: {error}") from None
        if "tokenizer.json" in found:
            _ask_the_library(folder / "tokenizer.json", contents["tokenizer.json"])
        return tokenizer


def _ask_the_library(path: Path, content: Mapping[str, Any]) -> None:
    """Refuses a tokenizer.json that the library refuses: a value of the wrong type where nothing here looks.

    It wants every flag written out. Files made by hand leave some out, which are read as their usual values here.
    """
    whole = _written_out(content)
    try:
        tokenizers.Tokenizer.from_buffer(read_bytes(path) if whole == content else json.dumps(whole).encode())
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic in Rust is no Exception
        said = str(error).removeprefix("Cannot instantiate Tokenizer from buffer: ") or type(error).__name__
        raise SheetGPTError(
            f"{path} is damaged: the tokenizers library, which transformers reads it with, says {said!r:.300}. "
            "Fetch it again."
        ) from None


def _written_out(content: Mapping[str, Any]) -> Mapping[str, Any]:
    found = {"version": "1.0", **content}
    if isinstance(found.get("added_tokens"), list):
        unsaid = {**dict.fromkeys(FLAGS, False), "special": False}
        found["added_tokens"] = [
            unsaid | entry if isinstance(entry, dict) else entry for entry in found["added_tokens"]
        ]
    for key in ("pre_tokenizer", "decoder", "post_processor"):
        if isinstance(part := found.get(key), dict) and part.get("type") == "ByteLevel":
            found[key] = {"add_prefix_space": False, "trim_offsets": True, **part}
    return found


def _rust_tokenizer(
    vocab: dict[str, int],
    merges: list[tuple[str, str]],
    added: Mapping[str, int],
    flags: Mapping[str, Mapping[str, bool]],
) -> tokenizers.Tokenizer:
    # Added tokens stand in the vocabulary too: that is how `tokenizers` keeps their ids instead of giving out new ones.
    rust = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=merges))
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.decoder = decoders.ByteLevel()
    by_id = sorted(added, key=added.__getitem__)
    rust.add_special_tokens([AddedToken(token, **flags[token]) for token in by_id])
    return rust


_BYTES = {letter: byte for byte, letter in byte_to_unicode().items()}


def _spelled(token: str) -> bytes:
    """A token's bytes: those of its letters; a token with other characters stands for itself.

    The decoder ByteLevel does so with added tokens, too: é added as a token is the byte E9.
    """
    try:
        return bytes([_BYTES[letter] for letter in token])
    except KeyError:
        return token.encode("utf-8", errors="replace")


def _beyond(ids: Mapping[str, int], merges: Iterable[tuple[str, str]], limit: int) -> dict[str, int]:
    """The tokens with ids from `limit` on. Refuses those that a text can't do without."""
    found = {token: i for token, i in ids.items() if i >= limit}
    needed = {*byte_to_unicode().values(), *(left + right for left, right in merges)} if found else set()
    for token in needed.intersection(found):
        raise SheetGPTError(
            f"Token {token!r} has the id {found[token]}, but config.json says vocab_size {limit}: one of the two "
            f"belongs to another model."
        )
    return found


def _beyond_note(beyond: Mapping[str, int], limit: int) -> Iterator[str]:
    """One sentence, however many tokens."""
    for token, i in list(beyond.items())[:1]:
        more = f"{len(beyond) - 1:,} more have" if beyond.keys() - {token} else ""
        what = f"The token {token!r:.80} has the id {i}, {more + ' such ids, ' if more else ''}and the model's last is"
        yield f"{what} {limit - 1}: no text may hold {'them' if more else 'it'}."


def _check_ids(vocab: Mapping[str, int], added: Mapping[str, int]) -> None:
    owner: dict[int, str] = {}
    for tokens in (vocab, added):
        for token, i in tokens.items():
            if owner.setdefault(i, token) != token:
                raise SheetGPTError(f"Id {i} belongs to two tokens, {owner[i]!r} and {token!r}.")
            if token in vocab and vocab[token] != i:
                raise SheetGPTError(f"Token {token!r} has two ids, {vocab[token]} and {i}.")


def _check_merges(merges: Iterable[tuple[str, str]], vocab: Mapping[str, int]) -> None:
    for n, (left, right) in enumerate(merges, 1):
        for token in (left, right, left + right):
            if token not in vocab:
                raise SheetGPTError(
                    f"Merge {n}, {left!r} + {right!r}, needs {token!r}, which is not in the vocabulary."
                )


def _vocab(content: object, path: Path) -> dict[str, int]:
    if not isinstance(content, dict):
        raise SheetGPTError(f"{path} has no vocabulary: expected a JSON object of tokens and ids.")
    for token, i in content.items():
        if type(i) is not int or not 0 <= i < MAX_ID:
            raise SheetGPTError(f"{path} gives token {token!r} the id {i!r}; expected a whole number, 0 or more.")
    return content


def _pairs(lines: Iterable[object], path: Path) -> list[tuple[str, str]]:
    """Merges as written: 'left right' or, in newer files, ['left', 'right']."""
    pairs = []
    for n, line in enumerate(lines, 1):
        parts = line.split(" ") if isinstance(line, str) else line
        if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(p, str) and p for p in parts):
            raise SheetGPTError(f"{path} has {line!r} as merge {n}; expected two tokens with one space between them.")
        pairs.append((parts[0], parts[1]))
    return pairs


def _read_merges(folder: Path) -> list[tuple[str, str]]:
    path = folder / "merges.txt"
    lines = re.split("\r\n?|\n", read_text(path))
    if VERSION.fullmatch(lines[0]):  # only there: '#' is a token like any other
        del lines[0]
    elif lines[0].startswith("#version"):
        raise SheetGPTError(f"{path} has more than a version in its first line; a merge needs a line of its own.")
    return _pairs((line for line in lines if line), path)


def _read_tokenizer_json(path: Path, content: Mapping[str, Any]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges, when the model and what cuts the text are GPT-2's."""
    model = content.get("model")
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        found = model.get("type") if isinstance(model, dict) else model
        scheme = " (SentencePiece's)" if found == "Unigram" else ""
        raise SheetGPTError(f"{path} says model type {found!r}{scheme}; {ADVICE}")
    # An unk_token would never be used, as every byte has a letter.
    for key in ("byte_fallback", "dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges"):
        if model.get(key):
            scheme = " (SentencePiece's)" if key == "byte_fallback" else ""
            raise SheetGPTError(f"{path} says model {key} {model[key]!r:.80}{scheme}; GPT-2's tokenizer has none.")
    if content.get("normalizer"):
        raise SheetGPTError(f"{path} has the normalizer {_kind(content['normalizer'])}; GPT-2's tokenizer has none.")
    splitter = content.get("pre_tokenizer") or {}
    found = _kind(splitter)
    if found != "ByteLevel" or not splitter.get("use_regex", True):
        found += {"ByteLevel": " without its regex", "Metaspace": " (SentencePiece's)"}.get(found, "")
        raise SheetGPTError(f"{path} has the pre_tokenizer {found}; GPT-2's is ByteLevel.")
    if splitter.get("add_prefix_space"):
        raise SheetGPTError(
            f"{path} says add_prefix_space {splitter['add_prefix_space']!r}; expected false, as in GPT-2."
        )
    merges = model.get("merges")
    if not isinstance(merges, list):
        raise SheetGPTError(f"{path} has no list of merges.")
    return _vocab(model.get("vocab"), path), _pairs(merges, path)


def _kind(part: Any) -> str:
    return str(part.get("type")) if isinstance(part, dict) else repr(part)
