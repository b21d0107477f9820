"""A name, folder or file -> a GPT-2 checkpoint: config, float32 parameters and tokenizer, every tensor checked.

Reads Hugging Face's format (config.json, safetensors in one file or in shards, tokenizer files) and renames the tensors
to OpenAI's names (`sheetgpt.gpt2.config`). Never reads a pickle. Float32 tensors stay views of the memory-mapped file.
"""

import difflib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2 import hub
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.mapped import release
from sheetgpt.text import tokenizer
from sheetgpt.text.tokenizer import Tokenizer, read_json

DEFAULT = "fairytale"
BUNDLED = Path(__file__).parent.parent / "models"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
CONVERT = f"sheetgpt reads only safetensors, so save the model as {WEIGHTS} (save_pretrained in transformers)."
ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2}
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
MASKS = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")  # constants that older files carry; c_attn.bias is a weight


@dataclass(frozen=True)
class Checkpoint:
    """`params` has the names and shapes of `config.parameter_shapes()`; a matrix is [in, out]."""

    name: str
    config: GPT2Config
    params: dict[str, NDArray[np.float32]]
    tokenizer: Tokenizer | None
    source: str = ""  # what `load` was given: a workbook remembers it
    files: tuple[str, ...] = ()  # its own, which nothing may be written over


@dataclass(frozen=True)
class Tensor:
    """One tensor as a file holds it: raw little-endian bytes, mapped, not yet read."""

    file: str
    dtype: str
    shape: tuple[int, ...]
    raw: NDArray[np.uint8]


def load(
    model: str | os.PathLike[str] = DEFAULT,
    *,
    quiet: bool = False,
    check: Callable[[GPT2Config], None] = lambda config: None,
) -> Checkpoint:
    """The checkpoint of a bundled name, a folder or .safetensors file, or a name on the Hugging Face hub.

    `check` may refuse a config by raising SheetGPTError, before a hub's model is downloaded.
    """
    name = os.fspath(model)
    path = _whole_path(name)
    if name in bundled():
        weights = _weights_in(BUNDLED / name)
    elif os.path.isfile(path):
        weights = _checked_file(path)
        name = path.stem if path.name not in (WEIGHTS, INDEX) else path.parent.name
    elif os.path.isdir(path) and (name not in hub.ALIASES or (path / "config.json").exists()):
        weights = _weights_in(path)
        name = path.name
    elif isinstance(model, str) and hub.is_hub_name(name):
        weights = _from_hub(name, quiet, check)
    else:
        raise _unknown(name)
    return replace(_load_files(name, weights), source=os.fspath(model), files=own_files(weights.parent))


def _whole_path(name: str) -> Path:
    path = os.path.expanduser(name)
    try:
        return Path(os.path.abspath(path))
    except OSError:  # the current folder is gone, and nothing can be found in there
        return Path(path)


def found_files(model: str | os.PathLike[str]) -> tuple[str, ...]:
    """`own_files` of what `load` would take, without loading it; none where it isn't on this computer."""
    name = os.fspath(model)
    path = os.path.expanduser(name)
    if name in bundled():
        return own_files(BUNDLED / name)
    if os.path.exists(path):
        return own_files(Path(path) if os.path.isdir(path) else Path(path).parent)
    folder = hub.cached_folder(name) if hub.is_hub_name(name) else None
    return () if folder is None else own_files(folder)


def load_cached(name: str) -> Checkpoint:
    """The checkpoint of a name on the hub from the cache of what was downloaded before: nobody is asked."""
    weights = _from_hub(name, True, lambda config: None, ask=False)
    return replace(_load_files(name, weights), source=name, files=own_files(weights.parent))


def own_files(folder: Path) -> tuple[str, ...]:
    """What a checkpoint in this folder consists of."""
    names = ("config.json", "generation_config.json", INDEX, *tokenizer.FILES)
    return (*(str(folder / name) for name in names), *(str(path) for path in folder.glob("*.safetensors")))


def bundled() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.parent.name for path in BUNDLED.glob("*/config.json"))


def _unknown(name: str) -> SheetGPTError:
    """A name that nothing answers to, with what it may have been meant to be."""
    if name == DEFAULT:
        return SheetGPTError(f"The bundled model {name!r} is missing from {BUNDLED}: reinstall sheetgpt.")
    known = [DEFAULT, *hub.ALIASES]
    path = Path(os.path.expanduser(name))
    beside = os.listdir(path.parent) if os.path.isdir(path.parent) and os.access(path.parent, os.R_OK) else []
    beside = [file for file in beside if file.endswith(".safetensors") or os.path.isdir(path.parent / file)]
    close = difflib.get_close_matches(name, known, n=2)
    close += [str(path.parent / file) for file in difflib.get_close_matches(path.name, beside, n=2)]
    return SheetGPTError(
        f"There is no model {name!r}: it is neither a folder nor a .safetensors file, nor one of "
        f"{', '.join(known)}, nor a name on the hub (owner/name). "
        f"{'Did you mean ' + ' or '.join(close) + '?' if close else 'Check the name.'}"
    )


def _checked_file(path: Path) -> Path:
    if path.suffix in PICKLES:
        raise SheetGPTError(f"{path} is a {path.suffix} file, which can run code when it is loaded: {CONVERT}")
    if path.suffix != ".safetensors" and path.name != INDEX:
        raise SheetGPTError(f"{path} is not a checkpoint: give a folder or a .safetensors file.")
    return path


def _weights_in(folder: Path) -> Path:
    """The folder's weights: one file, or the index of its shards."""
    for name in (WEIGHTS, INDEX):
        if (folder / name).is_file():
            return folder / name
    names = sorted(path.name for path in folder.iterdir())
    pickles = [name for name in names if name.endswith(PICKLES)]
    if pickles:
        raise SheetGPTError(f"{folder} has its weights only as {pickles[0]}: {CONVERT}")
    others = [name for name in names if name.endswith(".safetensors")]
    hint = f"; give the file itself, {folder / others[0]}" if others else ", beside config.json"
    raise SheetGPTError(f"{folder} has no weights: expected {WEIGHTS} or {INDEX}{hint}.")


def _from_hub(name: str, quiet: bool, check: Callable[[GPT2Config], None], ask: bool = True) -> Path:
    """The weights in the hub's cache; the rest lies beside them. Weights come last: they take the time."""
    with hub.progress(quiet):
        model = hub.open_model(name, ask)
        config = hub.download(model, "config.json")
        if config is None:
            raise SheetGPTError(f"{model.repo} has no config.json, which gives the model's shapes.")
        check(read_config(config))  # refuses before the weights are downloaded, read_config another architecture
        hub.download(model, "tokenizer.json", needed=False)
        for file in tokenizer.FILES[1:]:
            needed = file in ("vocab.json", "merges.txt") and not (config.parent / "tokenizer.json").exists()
            hub.download(model, file, needed=needed)
        weights = hub.download(model, WEIGHTS)
        if weights is None:
            weights = hub.download(model, INDEX)
            for shard in _shards(weights) if weights else ():
                if hub.download(model, shard) is None:
                    raise SheetGPTError(f"{model.repo} has no {shard}, though its {INDEX} lists it.")
        if weights is None:
            pickle = "pytorch_model.bin" if hub.has_file(model, "pytorch_model.bin") else ""
            found = f"has its weights only as {pickle}" if pickle else f"has no {WEIGHTS}"
            raise SheetGPTError(f"{model.repo} {found}: {CONVERT}")
        hub.remember(model)
    return weights


def read_config(path: Path) -> GPT2Config:
    """GPT2Config of a config.json; its refusals name the file."""
    if not path.is_file():
        raise SheetGPTError(f"{path.parent} has no config.json, which gives the model's shapes; put it there.")
    content = read_json(path)
    try:
        return GPT2Config.from_json(content)
    except SheetGPTError as error:
        raise SheetGPTError(f"{path.parent} can't be built: {error}") from None


def _load_files(name: str, weights: Path) -> Checkpoint:
    folder = weights.parent
    config = read_config(folder / "config.json")
    tensors = _read_shards(weights) if weights.name == INDEX else _collect([weights])
    params, config = _params(tensors, config, weights)
    found = Tokenizer.load(folder)
    if found and found.n_vocab > config.n_vocab:
        last = found.n_vocab - 1
        raise SheetGPTError(
            f"The tokenizer in {folder} has ids up to {last} ({found.token_text(last)!r}), but config.json says "
            f"vocab_size {config.n_vocab}: one of the two belongs to another model."
        )
    return Checkpoint(name, config, params, found)


def _params(
    tensors: Mapping[str, Tensor], config: GPT2Config, weights: Path
) -> tuple[dict[str, NDArray[np.float32]], GPT2Config]:
    """Checked tensors under OpenAI's names; `tied` is what the tensors say, where config.json says otherwise."""
    if "lm_head.weight" in tensors:
        config = replace(config, tied=False)
    shapes = config.parameter_shapes()
    names = {_hugging_face_name(name): name for name in shapes}
    missing = [name for name in names if name not in tensors]
    if missing:
        more = f" (and {len(missing) - 1} more)" if missing[1:] else ""
        shape = list(shapes[names[missing[0]]])
        raise SheetGPTError(
            f"{weights} has no tensor {missing[0]!r}{more}; config.json calls for one of shape {shape}."
        )
    for name, tensor in tensors.items():
        if name not in names:
            raise SheetGPTError(
                f"{tensor.file} has a tensor {name!r} of shape {list(tensor.shape)}, which does not "
                f"belong to the GPT-2 of {config.n_layer} layers that config.json describes."
            )
    params = {ours: _widened(theirs, tensors[theirs], shapes[ours]) for theirs, ours in names.items()}
    if not config.tied and np.array_equal(params["lm_head"], params["wte"]):
        del params["lm_head"]
        config = replace(config, tied=True)
    return params, config


def _hugging_face_name(name: str) -> str:
    """'h0.attn.c_attn.w' -> 'h.0.attn.c_attn.weight'."""
    name = re.sub(r"^h(\d+)\.", r"h.\1.", name)
    for ending, theirs in ((".w", ".weight"), (".g", ".weight"), (".b", ".bias")):
        if name.endswith(ending):
            return name.removesuffix(ending) + theirs
    return f"{name}.weight"


def _widened(name: str, tensor: Tensor, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The tensor as float32, which holds every float16 and bfloat16 exactly."""
    if tensor.shape != shape:
        raise SheetGPTError(
            f"{tensor.file}: tensor {name!r} has the shape {list(tensor.shape)}; config.json calls for {list(shape)}."
        )
    if tensor.dtype not in ITEM_BYTES:
        raise SheetGPTError(f"{tensor.file}: tensor {name!r} has dtype {tensor.dtype}; expected F32, F16 or BF16.")
    values: NDArray[np.float32]
    if tensor.dtype == "BF16":  # the upper half of a float32
        bits = tensor.raw.view("<u2").astype(np.uint32)
        bits <<= 16
        values = bits.view(np.float32)
    else:
        # A copy only where it has to be: float16, or a file whose numbers don't start at a multiple of 4 bytes.
        values = np.require(tensor.raw.view("<f4" if tensor.dtype == "F32" else "<f2"), np.float32, ["ALIGNED"])
    # The extremes carry NaN and infinity along, and need no second array of the tensor's size.
    if not (np.isfinite(values.min()) and np.isfinite(values.max())):
        at = int(np.argmin(np.isfinite(values)))
        place = [int(i) for i in np.unravel_index(at, shape)]
        raise SheetGPTError(f"{tensor.file}: tensor {name!r} holds {values[at]} at {place}; expected finite numbers.")
    release(values)
    return values.reshape(shape)


def _shards(index: Path) -> list[str]:
    """File names in an index, which must lie beside it."""
    files = read_json(index).get("weight_map")
    if not isinstance(files, dict) or not files:
        raise SheetGPTError(f"{index} has no 'weight_map', which gives the file of each tensor.")
    for tensor, file in files.items():
        if not isinstance(file, str) or not re.fullmatch(r"[\w.-]+\.safetensors", file):
            raise SheetGPTError(f"{index} puts {tensor!r} into {file!r}; expected the name of a .safetensors file.")
    return sorted(set(files.values()))


def _read_shards(index: Path) -> dict[str, Tensor]:
    paths = [index.parent / file for file in _shards(index)]
    for path in paths:
        if not path.is_file():
            raise SheetGPTError(f"{path} is missing, though {INDEX} lists it: fetch it again.")
    return _collect(paths)


def _collect(paths: list[Path]) -> dict[str, Tensor]:
    """The files' tensors without the prefix `transformer.` and without mask buffers."""
    tensors: dict[str, Tensor] = {}
    for path in paths:
        for full_name, tensor in _read_safetensors(path):
            name = full_name.removeprefix("transformer.")
            if MASKS.fullmatch(name):
                continue
            if name in tensors:
                raise SheetGPTError(
                    f"{path} has the tensor {name!r}, which {tensors[name].file} has too; there must be only one."
                )
            tensors[name] = tensor
    return tensors


def _read_safetensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Tensors of a file: 8 bytes, the header's length; the header in JSON; the tensors' bytes."""
    try:
        data = np.asarray(np.memmap(path, np.uint8, mode="r"))
        length = int.from_bytes(data[:8].tobytes(), "little")
        header = json.loads(data[8 : 8 + length].tobytes())
        entries = [(name, _entry(entry)) for name, entry in header.items() if name != "__metadata__"]
    except OSError as error:
        raise SheetGPTError(f"{path} can't be read: {error.strerror or error}.") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise SheetGPTError(
            f"{path} is not a safetensors file, or only the beginning of one: fetch it again."
        ) from None
    for name, (dtype, shape, start, end) in entries:
        raw = data[8 + length + start : 8 + length + end]
        wanted = int(np.prod(shape, dtype=object)) * ITEM_BYTES.get(dtype, 0)
        if wanted and len(raw) != wanted:
            raise SheetGPTError(
                f"{path} is cut short or damaged: tensor {name!r} of {dtype} {list(shape)} takes "
                f"{wanted} bytes, and only {len(raw)} are there. Fetch it again."
            )
        yield name, Tensor(str(path), dtype, shape, raw)


def _entry(entry: Mapping[str, Any]) -> tuple[str, tuple[int, ...], int, int]:
    start, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    if not all(type(n) is int and n >= 0 for n in (*shape, start, end)):
        raise ValueError("no offsets")
    return str(entry["dtype"]), shape, start, end
