"""A name, folder or file -> a GPT-2 checkpoint: config, float32 parameters and tokenizer, every tensor checked.

Reads Hugging Face's format (config.json, safetensors in one file or in shards, tokenizer files) and renames the tensors
to OpenAI's names (`sheetgpt.gpt2.config`). Never reads a pickle. Float32 tensors stay views of the memory-mapped file.
"""

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sheetgpt.errors import SheetGPTError
from sheetgpt.file_kinds import UNFINISHED
from sheetgpt.gpt2.checkpoints import foreign, hub
from sheetgpt.gpt2.checkpoints.mapped import release
from sheetgpt.gpt2.checkpoints.stopping import GENERATION, stop_ids
from sheetgpt.gpt2.checkpoints.weight_files import INDEX, ITEM_BYTES, WEIGHTS, Tensor, shards, tensors_of
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.text import tokenizer
from sheetgpt.text.chat import TEMPLATE_FILE, Chat, chat_in
from sheetgpt.text.json_file import is_file, read_json
from sheetgpt.text.tokenizer import Tokenizer

DEFAULT = "stories"
BUNDLED = Path(__file__).parents[2] / "models"
HEAD = "lm_head.weight"
CONVERT = f"sheetgpt reads only safetensors, so save the model as {WEIGHTS} (save_pretrained in transformers)."
OTHERS = (".gguf", ".ggml", ".onnx", ".npz")  # formats of other programs
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
MANY = 100  # folders that are looked into for what may have been meant
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")


@dataclass(frozen=True)
class Checkpoint:
    """`params` has the names and shapes of `config.parameter_shapes()`; a matrix is [in, out]."""

    name: str
    config: GPT2Config
    params: dict[str, NDArray[np.float32]]
    tokenizer: Tokenizer | None
    chat: Chat | None = None  # what its chat template puts around what a user says
    source: str = ""  # what `load` was given: a workbook remembers it
    files: tuple[str, ...] = ()  # its own, which nothing may be written over
    stop_ids: tuple[int, ...] = ()  # after one of these nothing more is written
    notes: tuple[str, ...] = ()  # what a person should know: what was left out, or read differently than it says


def _fits(config: GPT2Config) -> None:
    """Takes any model."""


def load(
    model: str | os.PathLike[str] = DEFAULT,
    *,
    quiet: bool = False,
    check: Callable[[GPT2Config], None] = _fits,
    needs_text: bool = True,
) -> Checkpoint:
    """The checkpoint of a bundled name, a folder or .safetensors file, or a name on the Hugging Face hub.

    `check` may refuse a config by raising SheetGPTError, before its weights are downloaded or read. A tokenizer that
    sheetgpt can't read is refused, too; without `needs_text` it is left out, and a note says why.
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
    return replace(
        _load_files(name, weights, check, needs_text), source=os.fspath(model), files=own_files(weights.parent)
    )


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


def load_cached(name: str, needs_text: bool = True) -> Checkpoint:
    """The checkpoint of a name on the hub from the cache of what was downloaded before: nobody is asked."""
    weights = _from_hub(name, True, _fits, ask=False)
    return replace(_load_files(name, weights, _fits, needs_text), source=name, files=own_files(weights.parent))


def own_files(folder: Path) -> tuple[str, ...]:
    """What a checkpoint in this folder consists of."""
    names = ("config.json", "generation_config.json", INDEX, *tokenizer.FILES)
    return (*(str(folder / name) for name in names), *(str(path) for path in folder.glob("*.safetensors")))


def bundled() -> list[str]:
    """Names of the models that come with the package, the default first."""
    names = sorted(path.parent.name for path in BUNDLED.glob("*/config.json"))
    return sorted(names, key=lambda name: name != DEFAULT)


def _unknown(name: str) -> SheetGPTError:
    """A name that nothing answers to, with what it may have been meant to be."""
    if name == DEFAULT:
        return SheetGPTError(f"The bundled model {name!r} is missing from {BUNDLED}: reinstall sheetgpt.")
    known = [*bundled(), *hub.ALIASES]
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
    foreign.check_whole(path.parent, path)
    if path.suffix in PICKLES:
        raise SheetGPTError(f"{path} is a {path.suffix} file, which can run code when it is loaded: {CONVERT}")
    if path.name.endswith(UNFINISHED):
        raise SheetGPTError(f"{path} is still being downloaded, or its download broke off: fetch it again.")
    if path.suffix.lower() in WORKBOOKS:
        raise SheetGPTError(f"{path} is a workbook, and a model is wanted: give the folder that it was built from.")
    if path.suffix != ".safetensors" and path.name != INDEX:
        raise SheetGPTError(f"{path} is not a checkpoint: give a folder or a .safetensors file.")
    return path


def _weights_in(folder: Path) -> Path:
    """The folder's weights: one file, or the index of its shards."""
    for name in (WEIGHTS, INDEX):
        if is_file(folder / name):
            return folder / name
    foreign.check_whole(folder)
    names = sorted(path.name for path in folder.iterdir())
    others = [name for name in names if name.endswith(".safetensors")]
    pickles = [name for name in names if name.endswith((*PICKLES, *(OTHERS if not others else ())))]
    if pickles:
        raise SheetGPTError(f"{folder} has its weights only as {pickles[0]}: {CONVERT}")
    part = next((name for name in names if name.endswith(UNFINISHED)), None)
    if part and not others:
        raise SheetGPTError(f"{folder} has no weights yet: {part} is still being downloaded, or broke off.")
    inside = [folder / "snapshots" / name for name in listed(folder / "snapshots")]  # a model's folder in a hub's cache
    inside += [folder / name for name in names if (folder / name).is_dir()]
    whole = [place for place in inside[:MANY] if any((place / name).is_file() for name in (WEIGHTS, INDEX))]
    if whole:
        raise SheetGPTError(f"{folder} has its model in a folder inside: give {whole[0]}.")
    hint = f"; give the file itself, {folder / others[0]}" if others else ", beside config.json"
    raise SheetGPTError(f"{folder} has no weights: expected {WEIGHTS} or {INDEX}{hint}.")


def listed(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if os.path.isdir(folder) and os.access(folder, os.R_OK) else []


def _from_hub(name: str, quiet: bool, check: Callable[[GPT2Config], None], ask: bool = True) -> Path:
    """The weights in the hub's cache; the rest lies beside them. Weights come last: they take the time."""
    with hub.progress(quiet):
        model = hub.open_model(name, ask)
        config = hub.download(model, "config.json")
        if config is None:
            raise SheetGPTError(f"{model.repo} has no config.json, which gives the model's shapes.")
        check(read_config(config))  # refuses before the weights are downloaded, read_config another architecture
        hub.download(model, "tokenizer.json", needed=False)
        for file in (*tokenizer.FILES[1:], GENERATION, TEMPLATE_FILE):
            needed = file in ("vocab.json", "merges.txt") and not (config.parent / "tokenizer.json").exists()
            hub.download(model, file, needed=needed)
        if not any((config.parent / file).exists() for file in ("tokenizer.json", "vocab.json")):
            for file in tokenizer.OTHER_FILES:  # to name the kind
                hub.download(model, file, needed=False)
        weights = hub.download(model, WEIGHTS)
        if weights is None:
            weights = hub.download(model, INDEX)
            for shard in shards(weights) if weights else ():
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
    if not is_file(path):
        raise SheetGPTError(f"{path.parent} has no config.json, which gives the model's shapes; put it there.")
    content = read_json(path)
    foreign.check_not_quantised(content, path)
    try:
        return GPT2Config.from_json(content)
    except SheetGPTError as error:
        raise SheetGPTError(f"{path.parent} can't be built: {error}") from None


def _load_files(name: str, weights: Path, check: Callable[[GPT2Config], None], needs_text: bool) -> Checkpoint:
    folder = weights.parent
    config = read_config(folder / "config.json")
    check(config)
    tensors = tensors_of(weights)
    params, config = _params(tensors, config, weights)
    notes = foreign.left_out([name for name in tensors if name != HEAD], weights)
    found = None
    try:
        found = Tokenizer.load(folder, config.n_vocab)
    except SheetGPTError as error:
        if needs_text:
            raise
        notes += (f"The tokenizer is left out. {error}",)
    generation = read_json(folder / GENERATION) if is_file(folder / GENERATION) else None
    ends, more = stop_ids(read_json(folder / "config.json"), generation, config.n_vocab, found, folder)
    notes += (*(found.notes if found else ()), *more)
    chat = None
    try:
        chat = _chat(folder, found)
    except SheetGPTError as error:
        notes += (f"{error} So Home has no cell for what the user says.",)
    return Checkpoint(name, config, params, found, chat, stop_ids=ends, notes=notes)


def _chat(folder: Path, found: Tokenizer | None) -> Chat | None:
    """What the chat template puts around a user's words; raises SheetGPTError where the sheets can't do the same."""
    chat = chat_in(folder) if found else None
    if chat and found and (found.prefix or found.suffix):  # `transformers` leaves them out of what a template wraps
        raise SheetGPTError("The chat template goes with a tokenizer that puts tokens of its own around each text.")
    return chat


def _params(
    tensors: Mapping[str, Tensor], config: GPT2Config, weights: Path
) -> tuple[dict[str, NDArray[np.float32]], GPT2Config]:
    """Checked tensors under OpenAI's names; `tied` is what the tensors say, where config.json says otherwise."""
    foreign.check_names(tensors, weights)
    if HEAD in tensors:
        config = replace(config, tied=False)
    shapes = config.parameter_shapes()
    names = {hugging_face_name(name): name for name in shapes}
    missing = [name for name in names if name not in tensors]
    if missing:
        more = f" (and {len(missing) - 1} more)" if missing[1:] else ""
        shape = list(shapes[names[missing[0]]])
        raise SheetGPTError(
            f"{weights} has no tensor {missing[0]!r}{more}; config.json calls for one of shape {shape}."
        )
    for name, tensor in tensors.items():
        if name not in names and foreign.belongs_to_body(name):
            raise SheetGPTError(
                f"{tensor.file} has a tensor {name!r} of shape {list(tensor.shape)}, which does not "
                f"belong to the GPT-2 of {config.n_layer} layers that config.json describes."
            )
    params = {ours: _widened(theirs, tensors[theirs], shapes[ours]) for theirs, ours in names.items()}
    if not config.tied and np.array_equal(params["lm_head"], params["wte"]):
        del params["lm_head"]
        config = replace(config, tied=True)
    return params, config


def hugging_face_name(name: str) -> str:
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
