"""Damaged and hostile checkpoints: one sentence, within bounds, and never weights that `safetensors` would refuse."""

import json
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
from bounds import bounded
from safetensors.numpy import save_file

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import load
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.text.tokenizer import byte_to_unicode

Tensors = dict[str, np.ndarray]
Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def within_bounds() -> Iterator[None]:
    with bounded():
        yield


def refused(model: Path) -> str:
    with pytest.raises(SheetGPTError) as caught:
        load(model)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def tokenizer_files(folder: Path) -> None:
    """All files that a tokenizer may have, beside config.json and the weights."""
    letters = [byte_to_unicode()[byte] for byte in range(256)]
    vocab = {token: i for i, token in enumerate(["<|endoftext|>", *letters, "th", "the", "Ġthe"])}
    model = {"type": "BPE", "vocab": vocab, "merges": ["t h", "th e", "Ġ the"]}
    added = [{"id": 0, "content": "<|endoftext|>"}]
    whole = {"pre_tokenizer": {"type": "ByteLevel"}, "model": model, "added_tokens": added}
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    (folder / "added_tokens.json").write_text('{"<|endoftext|>": 0}')
    (folder / "special_tokens_map.json").write_text('{"eos_token": "<|endoftext|>"}')
    (folder / "tokenizer_config.json").write_text('{"eos_token": "<|endoftext|>"}')


NOT_JSON: dict[str, tuple[bytes, str]] = {
    "nested": (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nests its values"),
    "nested a little": (b'{"a": ' + b"[" * 200 + b"]" * 200 + b"}", "nests its values"),
    "objects nested": (b'{"a":' * 100_000, "nests its values"),
    "digits": (b'{"a": ' + b"7" * 5_000 + b"}", "a number of 5,000 characters"),
    "digits of a fraction": (b'{"a": 0.' + b"7" * 5_000 + b"}", "a number of 5,002 characters"),
    "half a pair": (b'{"a": "\\ud800"}', "half a surrogate pair"),
    "half a pair as a key": (b'{"\\uDFFF": 1}', "half a surrogate pair"),
    "a key twice": (b'{"b": 1, "a": 1, "b": 1}', "'b' stands in one object twice"),
    "a key twice inside": (b'{"b": [{"a": 1, "a": 1}]}', "'a' stands in one object twice"),
    **{
        name: ('{"a": 1}'.encode(name), "save it again as UTF-8 without a byte order mark")
        for name in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
    },
    "Latin-1": (b'{"a": "\xe9"}', "not in UTF-8"),
    "a list": (b"[]", "must hold a JSON object, not a list"),
    "null": (b"null", "must hold a JSON object, not null"),
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "run `git lfs pull`"),
    "cut off": (b'{"a": [1, ', "is not JSON"),
    "nothing": (b"", "is not JSON"),
    "too many values": (b'{"a": [' + b"1," * 2_500_000 + b"1]}", "more than 2,500,000 values"),
}
JSON_FILES = (
    *("config.json", "tokenizer.json", "vocab.json", "added_tokens.json", "special_tokens_map.json"),
    *("tokenizer_config.json", "model.safetensors.index.json"),
)


def put(folder: Path, file: str, data: bytes) -> None:
    """The file with these bytes, where it would be read."""
    if file == "vocab.json":
        (folder / "tokenizer.json").unlink()
    if file == "model.safetensors.index.json":
        (folder / "model.safetensors").unlink()
    (folder / file).unlink(missing_ok=True)
    (folder / file).write_bytes(data)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_merges_of_a_windows_editor_are_refused_with_what_to_do(write_checkpoint: Write, encoding: str) -> None:
    folder = write_checkpoint()
    text = (folder / "merges.txt").read_text(encoding="utf-8")
    (folder / "merges.txt").write_text(text, encoding=encoding)
    assert "merges.txt" in refused(folder)
    assert "save it again as UTF-8 without a byte order mark" in refused(folder)


@pytest.mark.parametrize("what", NOT_JSON)
def test_json_that_no_reader_should_take_is_refused_by_name(write_checkpoint: Write, what: str) -> None:
    data, words = NOT_JSON[what]
    for n, file in enumerate(JSON_FILES if len(data) < 1_000_000 else JSON_FILES[:1]):
        folder = write_checkpoint(f"tiny{n}")
        tokenizer_files(folder)
        put(folder, file, data)
        sentence = refused(folder)
        assert words in sentence, file
        assert file in sentence


def test_half_a_pair_that_is_whole_is_none(write_checkpoint: Write, hf_config: dict[str, Any]) -> None:
    text = json.dumps({**hf_config, "a": "\U0001f409", "b": "\\ud800"})
    assert "\\ud83d\\udc09" in text
    folder = write_checkpoint()
    (folder / "config.json").write_text(text)
    assert load(folder).config.n_vocab == 260


@pytest.mark.parametrize("kind", ["pipe", "endless", "sparse", "folder", "link to nothing", "link to itself"])
def test_what_is_no_file_is_neither_read_nor_passed_over(write_checkpoint: Write, kind: str) -> None:
    for n, file in enumerate((*JSON_FILES, "merges.txt", "model.safetensors")):
        folder = write_checkpoint(f"tiny{n}")
        tokenizer_files(folder)
        put(folder, file, b"")
        if file == "merges.txt":
            (folder / "tokenizer.json").unlink()
        (folder / file).unlink()
        if kind == "pipe":
            os.mkfifo(folder / file)
        elif kind == "folder":
            (folder / file).mkdir()
        elif kind == "sparse":
            with (folder / file).open("wb") as sparse:
                sparse.truncate(1 << 40)
        else:
            targets = {"endless": "/dev/zero", "link to nothing": "nowhere", "link to itself": file}
            (folder / file).symlink_to(targets[kind])
        assert file in refused(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_layer": 10**9}, "n_layer 1000000000 is too large"),
        ({"n_layer": 10**300}, "n_layer 1000"),
        ({"n_positions": 1 << 40}, "n_positions 1099511627776 is too large"),
        ({"vocab_size": 10**9}, "n_vocab 1000000000 is too large"),
        ({"n_inner": 10**9}, "n_inner 1000000000 is too large"),
        ({"n_embd": 1_000_000, "n_head": 1}, "no workbook holds more than 5,000,000,000"),
        ({"n_layer": 1_000_000}, "more than 10,000 heads"),
        ({"n_embd": 10**5, "n_head": 10**5, "n_layer": 2}, "more than 10,000 heads"),
        ({"n_embd": 1e308}, "must be a whole number"),
        ({"n_head": True}, "must be a whole number"),
        ({"layer_norm_epsilon": 10**300}, "layer_norm_epsilon must lie between"),
        ({"tie_word_embeddings": 0}, "tie_word_embeddings 0; expected true or false"),
        ({"tie_word_embeddings": ""}, "tie_word_embeddings ''"),
        ({"tie_word_embeddings": None}, "tie_word_embeddings None"),
        ({"tie_word_embeddings": [False]}, "tie_word_embeddings"),
    ],
)
def test_sizes_are_bounded_before_anything_is_made_of_them(
    write_checkpoint: Write, hf_config: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    sentence = refused(write_checkpoint(config={**hf_config, **change}))
    assert words in sentence
    assert len(sentence) < 500


@pytest.mark.parametrize("tied", [True, False])
def test_the_number_of_parameters_is_that_of_the_tensors(tied: bool) -> None:
    config = GPT2Config(n_vocab=37, n_positions=9, n_embd=15, n_layer=3, n_head=5, n_inner=22, tied=tied)
    assert config.n_params == sum(int(np.prod(shape)) for shape in config.parameter_shapes().values())


# Headers: each takes the sound header (tensor by tensor) and the bytes after it, and gives other ones

Header = dict[str, Any]


def entries(header: Header) -> list[str]:
    return [name for name in header if name != "__metadata__"]


def with_entry(header: Header, n: int, **change: Any) -> Header:
    name = entries(header)[n]
    return {**header, name: {**header[name], **change}}


def shifted(header: Header, body: bytes) -> tuple[Header, bytes]:
    """Four bytes between the tensors, that none owns; a later one is read from the wrong place without them."""
    first = header[entries(header)[0]]["data_offsets"][1]
    return header, body[:first] + bytes(4) + body[first:]


def gap(header: Header, body: bytes) -> tuple[Header, bytes]:
    first = header[entries(header)[0]]["data_offsets"][1]
    moved = {
        name: {**entry, "data_offsets": [at + 4 * (entry["data_offsets"][0] >= first) for at in entry["data_offsets"]]}
        for name, entry in header.items()
        if name != "__metadata__"
    }
    return moved, body[:first] + bytes(4) + body[first:]


def overlapping(header: Header, body: bytes) -> tuple[Header, bytes]:
    twins = [name for name in entries(header) if name.endswith("ln_1.weight")]
    return {**header, twins[1]: header[twins[0]]}, body


def reversed_(header: Header, body: bytes) -> tuple[Header, bytes]:
    start, end = header[entries(header)[0]]["data_offsets"]
    return with_entry(header, 0, data_offsets=[end, start]), body


HEADERS: dict[str, Callable[[Header, bytes], tuple[Header, bytes]]] = {
    "bytes after the last tensor": lambda header, body: (header, body + bytes(8)),
    "bytes before the end gone": lambda header, body: (header, body[:-4]),
    "bytes put in": shifted,
    "a gap": gap,
    "overlapping": overlapping,
    "offsets the other way round": reversed_,
    "metadata is a list": lambda header, body: ({**header, "__metadata__": []}, body),
    "metadata holds a number": lambda header, body: ({**header, "__metadata__": {"format": 1}}, body),
    "metadata holds null": lambda header, body: ({**header, "__metadata__": {"format": None}}, body),
    "an unknown type": lambda header, body: (with_entry(header, 0, dtype="F31"), body),
    "a type as a list": lambda header, body: (with_entry(header, 0, dtype=["F32"]), body),
    "a negative offset": lambda header, body: (with_entry(header, 0, data_offsets=[-4, 0]), body),
    "an offset beyond 64 bits": lambda header, body: (with_entry(header, 0, data_offsets=[0, 1 << 70]), body),
    "a fraction as an offset": lambda header, body: (with_entry(header, 0, data_offsets=[0.0, 4.0]), body),
    "three offsets": lambda header, body: (with_entry(header, 0, data_offsets=[0, 4, 8]), body),
    "200,000 dimensions": lambda header, body: (with_entry(header, 0, shape=[1] * 200_000), body),
    "a shape beyond 64 bits": lambda header, body: (with_entry(header, 0, shape=[1 << 60, 1 << 60]), body),
    "a shape of nothing": lambda header, body: (with_entry(header, 0, shape=None), body),
    "no tensor at all": lambda header, body: (dict.fromkeys(entries(header)), body),
    "a foreign tensor beyond the end": lambda header, body: (
        {**header, "more": {"dtype": "I8", "shape": [8], "data_offsets": [len(body), len(body) + 8]}},
        body,
    ),
}


def parts(path: Path) -> tuple[Header, bytes]:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def write(path: Path, text: bytes, body: bytes, length: int | None = None) -> None:
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)


def library_refuses(path: Path) -> bool:
    try:
        with safetensors.safe_open(path, "numpy"):
            return False
    except safetensors.SafetensorError:
        return True


@pytest.mark.parametrize("what", HEADERS)
def test_weights_that_safetensors_refuses_are_refused(write_checkpoint: Write, what: str) -> None:
    path = write_checkpoint() / "model.safetensors"
    header, body = HEADERS[what](*parts(path))
    write(path, json.dumps(header).encode(), body)
    assert library_refuses(path)
    assert str(path) in refused(path.parent)


TEXTS: dict[str, Callable[[bytes], bytes]] = {
    "UTF-16": lambda text: text.decode().encode("utf-16"),
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "zeros after it": lambda text: text + bytes(8),
    "a space before it": lambda text: b" " + text,
    "a tensor twice": lambda text: (
        text[:-1] + b', "ln_f.bias": {"dtype": "F32", "shape": [6], "data_offsets": [0, 24]}}'
    ),
    "half a pair": lambda text: text.replace(b"ln_f.bias", b"\\ud800"),
    "nested": lambda text: text[:-1] + b', "__metadata__": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "NaN": lambda text: text.replace(b'"shape": [6]', b'"shape": [NaN]', 1),
    "a list": lambda text: b"[" + text + b"]",
}


@pytest.mark.parametrize("what", TEXTS)
def test_a_header_that_is_not_plain_json_is_refused(write_checkpoint: Write, what: str) -> None:
    path = write_checkpoint() / "model.safetensors"
    header, body = parts(path)
    write(path, TEXTS[what](json.dumps({name: header[name] for name in entries(header)}).encode()), body)
    assert str(path) in refused(path.parent)


def test_weights_that_git_lfs_has_not_fetched_are_named_so(write_checkpoint: Write) -> None:
    folder = write_checkpoint()
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert "model.safetensors is only a Git LFS pointer" in refused(folder)


@pytest.mark.parametrize("length", [0, 1, 1 << 20, 1 << 40, (1 << 64) - 1])
def test_a_headers_length_is_not_believed(write_checkpoint: Write, length: int) -> None:
    path = write_checkpoint() / "model.safetensors"
    header, body = parts(path)
    write(path, json.dumps(header).encode(), body, length)
    assert str(path) in refused(path.parent)
    with path.open("r+b") as file:  # there are as many bytes, and none of them on the disk
        file.truncate(1 << 41)
    assert str(path) in refused(path.parent)


def test_a_header_of_gigabytes_is_refused_unread(write_checkpoint: Write) -> None:
    path = write_checkpoint() / "model.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 1 << 30) + b"{")
        file.truncate(1 << 32)
    assert "can't be read" in (sentence := refused(path.parent)) or "a header of 1,073,741,824 bytes" in sentence
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 1 << 25) + b"{")
        file.truncate(1 << 26)
    assert "a header of 33,554,432 bytes" in refused(path.parent)


def sharded(folder: Path, tensors: Tensors) -> dict[str, str]:
    """Two shards and their index."""
    (folder / "model.safetensors").unlink()
    files = {f"model-0000{i + 1}-of-00002.safetensors": [*tensors][i::2] for i in range(2)}
    for file, names in files.items():
        save_file({name: tensors[name] for name in names}, folder / file, {"format": "pt"})
    return {name: file for file, names in files.items() for name in names}


def test_an_index_that_puts_tensors_elsewhere_is_refused(write_checkpoint: Write, hf_tensors: Tensors) -> None:
    folder = write_checkpoint()
    places = sharded(folder, hf_tensors)
    first, second = sorted(set(places.values()))
    index = folder / "model.safetensors.index.json"

    def say(change: dict[str, str | None]) -> None:
        told = {name: file for name, file in {**places, **change}.items() if file is not None}
        index.write_text(json.dumps({"weight_map": told}))

    say({})
    assert load(folder).config.n_layer == 2
    say({"wte.weight": second if places["wte.weight"] == first else first})
    assert "'wte.weight', but model.safetensors.index.json puts it into" in refused(folder)
    say({"wte.weight": None})
    assert "doesn't list it" in refused(folder)
    say({"h.9.ln_1.weight": first})
    assert "'h.9.ln_1.weight'" in refused(folder)
    say({"h.0.attn.bias": first})  # a mask, which no shard needs to have
    assert load(folder).config.n_layer == 2


@pytest.mark.parametrize(
    "first", ["#version: 0.2t h", "#version: 0.2 t h", "#versiont h", "#version: 0.2 - Trained by xt h"]
)
def test_a_first_line_that_swallowed_a_merge_is_refused(write_checkpoint: Write, first: str) -> None:
    folder = write_checkpoint()
    (folder / "merges.txt").write_text(first + "\nth e\nĠ the\n", encoding="utf-8")
    assert "a merge needs a line of its own" in refused(folder)


@pytest.mark.parametrize(
    "first", ["#version: 0.2", "#version: 0.2 ", "#version: 0.2 - Trained by `huggingface/tokenizers`"]
)
def test_a_first_line_that_is_a_version_is_none_of_the_merges(write_checkpoint: Write, first: str) -> None:
    folder = write_checkpoint()
    (folder / "merges.txt").write_text(first + "\nt h\nth e\nĠ the\n", encoding="utf-8")
    tokenizer = load(folder).tokenizer
    assert tokenizer is not None
    assert len(tokenizer.merges) == 3


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("tokenizer_config.json", "added_tokens_decoder", [{"content": "x"}]),
        ("tokenizer_config.json", "added_tokens_decoder", {"²": {"content": "x"}}),
        ("tokenizer_config.json", "added_tokens_decoder", {"-1": {"content": "x"}}),
        ("tokenizer_config.json", "added_tokens_decoder", {"9" * 300: {"content": "x"}}),
        ("tokenizer_config.json", "added_tokens_decoder", "none"),
        ("tokenizer.json", "added_tokens", {"a": 1}),
        ("tokenizer.json", "added_tokens", 7),
        ("tokenizer.json", "added_tokens", [7]),
        ("tokenizer.json", "model", []),
        ("tokenizer.json", "model", {"type": "BPE", "vocab": [], "merges": []}),
        ("tokenizer.json", "model", {"type": "BPE", "vocab": "a", "merges": []}),
        ("tokenizer.json", "model", {"type": "BPE", "vocab": {"a": 0}, "merges": {}}),
        ("tokenizer.json", "model", {"type": "BPE", "vocab": {"a": 10**300}, "merges": []}),
        ("tokenizer.json", "model", {"type": "BPE", "vocab": {"a": True}, "merges": []}),
        ("tokenizer.json", "pre_tokenizer", [7]),
        ("tokenizer_config.json", "tokenizer_class", ["GPT2Tokenizer", None]),
        ("tokenizer_config.json", "tokenizer_class", {"a": 1}),
        ("tokenizer_config.json", "add_eos_token", "false"),
        ("added_tokens.json", "x", [0]),
        ("added_tokens.json", "x", 1.5),
    ],
)
def test_a_tokenizers_parts_of_the_wrong_kind_are_refused(
    write_checkpoint: Write, file: str, key: str, value: object
) -> None:
    folder = write_checkpoint()
    tokenizer_files(folder)
    content = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({**content, key: value}))
    assert str(folder) in refused(folder)


def test_a_vocabulary_that_is_no_object_is_refused(write_checkpoint: Write) -> None:
    folder = write_checkpoint()
    for text in ("[]", "7", '"a"', "null", '{"a": [0]}', '{"a": 1e3}'):
        (folder / "vocab.json").write_text(text)
        assert "vocab.json" in refused(folder)
