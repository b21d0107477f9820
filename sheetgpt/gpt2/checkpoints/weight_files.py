"""Files of weights in the safetensors format -> tensors, mapped and not yet read; one file, or the shards of an index.

A file: 8 bytes, the header's length; the header in JSON; the tensors' bytes, one tensor after the other without a gap
(github.com/huggingface/safetensors, "Format"). The library `safetensors` has the last word on the header.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from numpy.typing import NDArray

from sheetgpt.errors import SheetGPTError
from sheetgpt.file_kinds import kind_of
from sheetgpt.gpt2.checkpoints import foreign
from sheetgpt.text.json_file import is_file, parse_object, read_json, refuse_pointer

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2}
MASKS = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")  # constants that older files carry; c_attn.bias is a weight
MAX_HEADER = 16_000_000  # bytes; GPT-2's have some 15,000, and the library takes 100 million
MAX_DIMENSIONS = 16


@dataclass(frozen=True)
class Tensor:
    """One tensor as a file holds it: raw little-endian bytes, mapped, not yet read."""

    file: str
    dtype: str
    shape: tuple[int, ...]
    raw: NDArray[np.uint8]


def tensors_of(weights: Path) -> dict[str, Tensor]:
    """The tensors of a file or of an index's shards, without prefixes such as `transformer.` and mask buffers."""
    if weights.name != INDEX:
        return _collect([weights])
    files = shards(weights)
    for file in files:
        if not is_file(weights.parent / file):
            raise SheetGPTError(f"{weights.parent / file} is missing, though {INDEX} lists it: fetch it again.")
    found = _collect([weights.parent / file for file in files])
    _check_places(weights, found)
    return found


def shards(index: Path) -> list[str]:
    """File names in an index, which must lie beside it."""
    return sorted(set(_weight_map(index).values()))


def _weight_map(index: Path) -> dict[str, str]:
    files = read_json(index).get("weight_map")
    if not isinstance(files, dict) or not files:
        raise SheetGPTError(f"{index} has no 'weight_map', which gives the file of each tensor.")
    for tensor, file in files.items():
        if not isinstance(file, str) or not re.fullmatch(r"[\w.-]+\.safetensors", file):
            raise SheetGPTError(f"{index} puts {tensor!r} into {file!r}; expected the name of a .safetensors file.")
    return files


def _check_places(index: Path, tensors: Mapping[str, Tensor]) -> None:
    """An index and its shards that don't belong together are of two models, or of two versions of one."""
    listed = {foreign.own_name(name): file for name, file in _weight_map(index).items()}
    for name, tensor in tensors.items():
        file = Path(tensor.file).name
        if listed.get(name) != file:
            told = f"puts it into {listed[name]}" if name in listed else "doesn't list it"
            raise SheetGPTError(f"{tensor.file} has a tensor {name!r}, but {INDEX} {told}: fetch all files again.")
    for name, file in listed.items():
        if name not in tensors and not MASKS.fullmatch(name):
            raise SheetGPTError(f"{INDEX} puts {name!r} into {file}, which has no such tensor: fetch all files again.")


def _collect(paths: list[Path]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for path in paths:
        for full_name, tensor in _read(path):
            name = foreign.own_name(full_name)
            if MASKS.fullmatch(name):
                continue
            if name in tensors:
                raise SheetGPTError(
                    f"{path} has the tensor {name!r}, which {tensors[name].file} has too; there must be only one."
                )
            tensors[name] = tensor
    return tensors


def _read(path: Path) -> Iterator[tuple[str, Tensor]]:
    is_file(path)
    broken = f"{path} is not a safetensors file, or only the beginning of one: fetch it again."
    try:
        data = np.asarray(np.memmap(path, np.uint8, mode="r"))
    except OSError as error:
        raise SheetGPTError(f"{path} can't be read: {error.strerror or error}.") from None
    except ValueError:
        raise SheetGPTError(f"{path} is empty (0 bytes): fetch it again.") from None
    refuse_pointer(data[:80].tobytes(), str(path))
    length = int.from_bytes(data[:8].tobytes(), "little")
    if data[8:9].tobytes() != b"{" and (found := kind_of(path)):
        raise SheetGPTError(f"{path} {found[0]}; it should hold weights (safetensors): fetch the file itself.")
    if data[:4].tobytes() == b"PK\3\4":
        raise SheetGPTError(f"{path} is a zip file, as PyTorch's .bin files are: convert it, a new name won't do.")
    if len(data) < 8 + length or data[8:9].tobytes() != b"{":
        raise SheetGPTError(broken)
    if length > MAX_HEADER:
        raise SheetGPTError(f"{path} has a header of {length:,} bytes; no model needs more than {MAX_HEADER:,}.")
    header = parse_object(data[8 : 8 + length].tobytes(), f"The header of {path}")
    entries = [(name, _entry(path, name, entry)) for name, entry in header.items() if name != "__metadata__"]
    for name, (dtype, shape, start, end) in entries:
        raw = data[8 + length + start : 8 + length + end]
        wanted = int(np.prod(shape, dtype=object)) * ITEM_BYTES.get(dtype, 0)
        if wanted and len(raw) != wanted:
            raise SheetGPTError(
                f"{path} is cut short or damaged: tensor {name!r} of {dtype} {list(shape)} takes "
                f"{wanted} bytes, and only {len(raw)} are there. Fetch it again."
            )
    _ask_the_library(path)
    for name, (dtype, shape, start, end) in entries:
        yield name, Tensor(str(path), dtype, shape, data[8 + length + start : 8 + length + end])


def _entry(path: Path, name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    """Type, shape, first and last byte."""
    try:
        dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers = (*shape, start, end)
        if type(dtype) is not str or not all(type(n) is int and 0 <= n < 1 << 63 for n in numbers):
            raise ValueError
    except (TypeError, KeyError, ValueError):
        raise SheetGPTError(
            f"{path} is damaged: its header doesn't give {name!r} a dtype, a shape and offsets. Fetch it again."
        ) from None
    if len(shape) > MAX_DIMENSIONS:
        raise SheetGPTError(f"{path}: tensor {name!r} has {len(shape):,} dimensions; a GPT-2's have at most 2.")
    return dtype, tuple(shape), start, end


def _ask_the_library(path: Path) -> None:
    """Refuses whatever it refuses: overlapping offsets, gaps, bytes that no tensor owns, unknown types, metadata."""
    try:
        with safetensors.safe_open(path, "numpy"):
            pass
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic in Rust is no Exception
        said = str(error).removeprefix("Error while deserializing header: ") or type(error).__name__
        raise SheetGPTError(f"{path} is damaged: the safetensors library says {said!r}. Fetch it again.") from None
