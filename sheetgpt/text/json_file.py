"""Files of a model's folder, read within bounds: JSON as RFC 8259 has it, and no more of it than a model can need.

What is refused: files that are none (pipes, devices), files too large, text that isn't UTF-8, a key twice in one
object, half surrogate pairs, numbers and nestings beyond all use. Python's own reader takes some of these and falls
over the others; the libraries in Rust that read the same files (`safetensors`, `tokenizers`) refuse nearly all.
"""

import codecs
import json
import os
import re
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sheetgpt.errors import SheetGPTError

# A tokenizer.json of 250,000 tokens has 20 to 35 MB and 1.5 million values. Parsed, a value takes up to 250 bytes.
MAX_BYTES = 40_000_000
MAX_VALUES = 2_500_000
MAX_DEPTH = 64
MAX_DIGITS = 400  # 1e308 written out has 309; transformers writes 1e30 so, as the length of a text
_KINDS = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "a boolean", type(None): "null"}
POINTER = b"version https://git-lfs.github.com/spec/"
_UTF_16 = "is in UTF-16, as PowerShell's `>` writes it"
_ENCODINGS = {
    "utf-8-sig": "begins with a byte order mark, as Windows' editors write it",
    **dict.fromkeys(("utf-16", "utf-16-le", "utf-16-be"), _UTF_16),
    **dict.fromkeys(("utf-32", "utf-32-le", "utf-32-be"), "is in UTF-32"),
}
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")


def is_file(path: Path) -> bool:
    """Whether there is such a file. Refuses what stands there and isn't one: a pipe, a device, a link to nothing."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise SheetGPTError(f"{path} is a link to a file that isn't there.") from None
        return False
    except (OSError, ValueError) as error:
        raise SheetGPTError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}.") from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a device or a socket"
        raise SheetGPTError(f"{path} is {kind}, not a file.")
    return True


def read_bytes(path: Path, most: int = MAX_BYTES) -> bytes:
    """The whole file, when it has at most `most` bytes."""
    if not is_file(path):
        raise SheetGPTError(f"{path} can't be read: there is no such file.")
    try:
        with path.open("rb") as file:  # a size of 0 in the folder says nothing: files under /proc have it
            size = os.fstat(file.fileno()).st_size
            data = file.read(most + 1) if size <= most else b""
    except OSError as error:
        raise SheetGPTError(f"{path} can't be read: {error.strerror or error}.") from None
    if size > most or len(data) > most:
        raise SheetGPTError(f"{path} has more than {most:,} bytes, which no file of a GPT-2 model needs.")
    return data


def read_text(path: Path, *, marked: bool = False) -> str:
    """The file in UTF-8; with `marked` it may begin with a byte order mark, as a list of somebody's own may."""
    data = read_bytes(path)
    if marked:
        data = data.removeprefix(codecs.BOM_UTF8)
    refuse_marks(data, str(path))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SheetGPTError(f"{path} can't be read: it is not in UTF-8 ({error.reason} at {error.start}).") from None


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a model's folder."""
    return parse_object(read_bytes(path), str(path))


def parse_object(data: bytes, name: str) -> dict[str, Any]:
    """The object that `data` is in JSON; `name` is what refusals call it."""
    content = parse(data, name)
    if not isinstance(content, dict):
        raise SheetGPTError(f"{name} must hold a JSON object, not {_KINDS[type(content)]}.")
    return content


def parse(data: bytes, name: str) -> Any:
    """Any value in JSON, or SheetGPTError."""
    refuse_pointer(data, name)
    refuse_marks(data, name)
    if sum(map(data.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise SheetGPTError(f"{name} holds more than {MAX_VALUES:,} values, which no file of a GPT-2 model needs.")
    try:
        text = data.decode("utf-8")
        content = json.loads(text, object_pairs_hook=_once, parse_int=_short(int), parse_float=_short(float))
    except RecursionError:
        raise SheetGPTError(f"{name} nests its values more than {MAX_DEPTH} deep.") from None
    except UnicodeDecodeError as error:
        raise SheetGPTError(f"{name} is not JSON (not in UTF-8 at byte {error.start}): fetch it again.") from None
    except ValueError as error:
        raise SheetGPTError(f"{name} is not JSON ({error}): fetch it again.") from None
    if _depth(content) > MAX_DEPTH:
        raise SheetGPTError(f"{name} nests its values more than {MAX_DEPTH} deep.")
    if _HALF_PAIR.search(text) and _has_half_pair(content):
        raise SheetGPTError(f"{name} holds half a surrogate pair, which is no Unicode character: fetch it again.")
    return content


def refuse_pointer(begin: bytes, name: str) -> None:
    """What a clone without Git LFS has in a large file's place."""
    if begin.startswith(POINTER):
        raise SheetGPTError(f"{name} is only a Git LFS pointer, not the file itself: run `git lfs pull` in its folder.")


def refuse_marks(data: bytes, name: str) -> None:
    """What editors and shells on Windows write: `transformers` and the libraries in Rust refuse all of it, too.

    RFC 8259, section 8.1: a byte order mark must not be added, and a reader may ignore it or not.
    """
    found = _ENCODINGS.get(json.detect_encoding(data[:4])) if data else None
    if found:
        raise SheetGPTError(f"{name} {found}: save it again as UTF-8 without a byte order mark.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, whose keys must differ: which of two values holds, readers don't agree on."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice[:80]!r} stands in one object twice")
    return found


def _short(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def within(digits: str) -> Any:
        if len(digits) > MAX_DIGITS:
            raise ValueError(f"a number of {len(digits):,} characters")
        return read(digits)

    return within


def _depth(content: Any) -> int:
    """How deep lists and objects stand inside one another, level by level: recursion would end in its own limit."""
    level, depth = [content], 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return depth


def _has_half_pair(content: Any) -> bool:
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False
