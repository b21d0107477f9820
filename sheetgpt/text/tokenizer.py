"""GPT-2's byte-level BPE: text to token ids and back, a thin hand over the `tokenizers` package.

Reads what Hugging Face writes beside a checkpoint: tokenizer.json, or vocab.json + merges.txt, and the added tokens of
added_tokens.json, special_tokens_map.json and tokenizer_config.json. The scheme (each byte is a printable letter,
merges join letters inside a pre-token) is from github.com/openai/gpt-2, `src/encoder.py`.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers

from sheetgpt.errors import SheetGPTError
from sheetgpt.text.json_file import is_file, read_json, read_text

END_OF_TEXT = "<|endoftext|>"
FILES = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
)
MAX_ID = 2**31
VERSION = re.compile(r"#version: [\d.]+( - Trained by `huggingface/tokenizers`)?\s*")
_ID = re.compile("[0-9]{1,10}")
FLAGS = ("lstrip", "rstrip", "single_word", "normalized")


def byte_to_unicode() -> dict[int, str]:
    """The letter of each byte: itself where it prints, else the next free one from U+0100 (so the space is 'Ġ')."""
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {byte: chr(byte) for byte in printing}
    others = [byte for byte in range(256) if byte not in letters]
    return letters | {byte: chr(0x100 + n) for n, byte in enumerate(others)}


class Tokenizer:
    """`vocab` (in byte letters) and `added` (plain text) share one range of ids and no token."""

    def __init__(
        self,
        vocab: Mapping[str, int],
        merges: Iterable[tuple[str, str]],
        added: Mapping[str, int] | None = None,
        *,
        flags: Mapping[str, Mapping[str, bool]] | None = None,
    ) -> None:
        """`flags`: what an added token swallows around it (lstrip, rstrip) or asks for (single_word, normalized)."""
        self.merges = list(merges)
        self.added = dict(added or {})
        if END_OF_TEXT in vocab:
            self.added.setdefault(END_OF_TEXT, vocab[END_OF_TEXT])
        self.vocab = {token: i for token, i in vocab.items() if token not in self.added}
        _check_ids(vocab, self.added)
        _check_merges(self.merges, vocab)
        self._bytes = _bytes_by_id(self.vocab, self.added)
        self.flags = {token: dict(flags.get(token, {})) for token in self.added} if flags else {}
        self._missing = {byte for byte, letter in byte_to_unicode().items() if letter not in vocab}
        self._rust = _rust_tokenizer({**vocab, **self.added}, self.merges, self.added, flags or {})

    @cached_property
    def n_vocab(self) -> int:
        """One more than the largest id: the rows that an embedding must have."""
        return max(self._bytes, default=-1) + 1

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
        # BPE drops a letter that its vocabulary lacks without a word; GPT-2's own has all 256.
        if self._missing and b"".join(map(self.token_bytes, ids)) != text.encode():
            for n, character in enumerate(text, 1):
                if not self._missing.isdisjoint(character.encode()):
                    raise SheetGPTError(f"The vocabulary has no token for {character!r}, character {n} of the text.")
        return ids

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
    def load(cls, directory: str | os.PathLike[str]) -> "Tokenizer | None":
        """The tokenizer whose files stand in `directory`; None when there are none."""
        folder = Path(directory)
        found = [name for name in FILES[:3] if is_file(folder / name)]
        if not found:
            return None
        if "tokenizer.json" in found:  # transformers prefers it too
            vocab, merges = _read_tokenizer_json(folder / "tokenizer.json")
        elif len(found) == 1:
            lacking = "merges.txt" if found == ["vocab.json"] else "vocab.json"
            raise SheetGPTError(f"{folder} has {found[0]} but no {lacking}: a tokenizer needs both, or neither.")
        else:
            vocab, merges = _vocab(read_json(folder / "vocab.json"), folder / "vocab.json"), _read_merges(folder)
        added, flags = _read_added(folder, vocab)
        try:
            return cls(vocab, merges, added, flags=flags)
        except SheetGPTError as error:
            raise SheetGPTError(f"The tokenizer in {folder} is broken: {error}") from None


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
    rust.add_special_tokens([AddedToken(token, **{"normalized": False, **flags.get(token, {})}) for token in by_id])
    return rust


def _bytes_by_id(vocab: Mapping[str, int], added: Mapping[str, int]) -> dict[int, bytes]:
    byte = {letter: byte for byte, letter in byte_to_unicode().items()}

    def spell(token: str) -> bytes:
        try:
            return bytes([byte[letter] for letter in token])
        except KeyError:  # not in byte letters: a special token that nobody declared
            return token.encode("utf-8", errors="replace")

    spelled = {i: spell(token) for token, i in vocab.items()}
    return spelled | {i: token.encode("utf-8", errors="replace") for token, i in added.items()}


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


def _read_tokenizer_json(path: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges, when everything else in the file is GPT-2's."""
    content = read_json(path)
    model = content.get("model")
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        found = model.get("type") if isinstance(model, dict) else model
        raise SheetGPTError(f"{path} says model type {found!r}; expected 'BPE', GPT-2's tokenizer.")
    # An unk_token would never be used, as every byte has a letter.
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges"):
        if model.get(key):
            raise SheetGPTError(f"{path} says model {key} {model[key]!r}; GPT-2's tokenizer has none.")
    if content.get("normalizer"):
        raise SheetGPTError(f"{path} has the normalizer {_kind(content['normalizer'])}; GPT-2's tokenizer has none.")
    splitter = content.get("pre_tokenizer") or {}
    found = _kind(splitter)
    if found != "ByteLevel" or not splitter.get("use_regex", True):
        found += " without its regex" if found == "ByteLevel" else ""
        raise SheetGPTError(f"{path} has the pre_tokenizer {found}; GPT-2's is ByteLevel.")
    _check_prefix_space(splitter, path)
    merges = model.get("merges")
    if not isinstance(merges, list):
        raise SheetGPTError(f"{path} has no list of merges.")
    return _vocab(model.get("vocab"), path), _pairs(merges, path)


def _kind(part: Any) -> str:
    return str(part.get("type")) if isinstance(part, dict) else repr(part)


def _check_prefix_space(settings: Mapping[str, Any], path: Path) -> None:
    if settings.get("add_prefix_space"):
        raise SheetGPTError(
            f"{path} says add_prefix_space {settings['add_prefix_space']!r}; expected false, as in GPT-2."
        )


def _read_added(folder: Path, vocab: Mapping[str, int]) -> tuple[dict[str, int], dict[str, dict[str, bool]]]:
    """Added tokens with their ids, and each one's flags, from whichever of the four files there are."""
    added: dict[str, int] = {}
    flags: dict[str, dict[str, bool]] = {}
    for path in (folder / name for name in FILES if name not in ("vocab.json", "merges.txt")):
        for entry in _added_entries(read_json(path), path) if is_file(path) else ():
            token = entry.get("content")
            # The special tokens' roles are named without an id, which the vocabulary or an earlier file has.
            i = entry["id"] if "id" in entry else added.get(str(token), vocab.get(str(token)))
            if "id" not in entry and i is None:
                continue
            if not isinstance(token, str) or not token or type(i) is not int or not 0 <= i < MAX_ID:
                raise SheetGPTError(
                    f"{path} has the added token {token!r} with the id {i!r}; expected a text and a number."
                )
            if added.setdefault(token, i) != i:
                raise SheetGPTError(
                    f"{path} gives the added token {token!r} the id {i}; another file gives it {added[token]}."
                )
            flags.setdefault(token, {}).update({key: bool(entry[key]) for key in FLAGS if key in entry})
    return added, flags


def _added_entries(content: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    """The file's added tokens as `{"content": text, "id": number, flags}`; the id may be missing."""
    if path.name == "added_tokens.json":
        return [{"content": token, "id": i} for token, i in content.items()]
    if path.name == "tokenizer.json":
        entries = content.get("added_tokens") or []
        if not isinstance(entries, list):
            raise SheetGPTError(f"{path} has no list of added_tokens.")
    else:
        _check_prefix_space(content, path)
        decoder = content.get("added_tokens_decoder") or {}
        if not isinstance(decoder, dict) or not all(_ID.fullmatch(i) for i in decoder):
            raise SheetGPTError(f"{path} has no ids in its added_tokens_decoder: expected an object of ids and tokens.")
        entries = [{**token, "id": int(i)} for i, token in decoder.items() if isinstance(token, dict)]
        roles = [value for key, value in content.items() if key.endswith("_token")]
        for key in ("additional_special_tokens", "extra_special_tokens"):
            roles += content[key] if isinstance(content.get(key), list) else []
        entries += [
            role if isinstance(role, dict) else {"content": role} for role in roles if isinstance(role, dict | str)
        ]
    if not all(isinstance(entry, dict) for entry in entries):
        raise SheetGPTError(
            f"{path} describes an added token in a way that sheetgpt doesn't understand: {entries!r:.80}."
        )
    return list(entries)


def stop_id(tokenizer: Tokenizer | None) -> int | None:
    """The id of `<|endoftext|>`, after which nothing is chosen; None when the tokenizer has none."""
    return tokenizer.added.get(END_OF_TEXT) if tokenizer else None
