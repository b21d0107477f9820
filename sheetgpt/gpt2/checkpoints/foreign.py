"""Checkpoints that are not quite a GPT-2: what wraps its tensors' names, what lies beside it, what it is instead.

The prefixes of PyTorch's wrappers are dropped and other heads left out. Quantised weights and adapters are refused by
their names: those of GPTQ, AWQ and bitsandbytes as `transformers` saves them, those of LoRA as `peft` does.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sheetgpt.errors import SheetGPTError

# transformer: GPT2LMHeadModel; the others: DataParallel, torch.compile, FSDP, TRL, Lightning
_WRAPPERS = re.compile(r"^(?:(?:transformer|module|_orig_mod|_fsdp_wrapped_module|pretrained_model|model)\.)+")
_INSIDE = re.compile(r"(?<=\.)(?:_orig_mod|_fsdp_wrapped_module)\.")
_BODY = re.compile(r"(?:h|wte|wpe|ln_f)\.")
_QUANTISED = {
    "qweight": "GPTQ or AWQ",
    "qzeros": "GPTQ or AWQ",
    "g_idx": "GPTQ",
    "absmax": "bitsandbytes",
    "quant_map": "bitsandbytes",
    "SCB": "bitsandbytes",
}
ADAPTERS = ("adapter_config.json", "adapter_model.safetensors")
UNQUANTISED = (
    "sheetgpt needs the weights themselves: build the model that it was made from, with --weights int8 if the workbook "
    "is to be small."
)
MERGE = (
    "sheetgpt needs the whole model: merge them into it with peft (merge_and_unload, then save_pretrained), and build "
    "that."
)


def own_name(name: str) -> str:
    """'module.transformer.h.0.ln_1.weight' -> 'h.0.ln_1.weight'."""
    return _INSIDE.sub("", _WRAPPERS.sub("", name))


def check_not_quantised(config: Mapping[str, Any], path: Path) -> None:
    """Refuses a config.json that says how the weights are quantised."""
    found = config.get("quantization_config")
    if not found:
        return
    about = found if isinstance(found, dict) else {}
    method = about.get("quant_method") or ("bitsandbytes" if {"load_in_4bit", "load_in_8bit"} & {*about} else "")
    words = ", ".join(filter(None, (f"{method!s:.40}", f"{about['bits']!s:.20} bits" if "bits" in about else "")))
    raise SheetGPTError(f"{path} says that its weights are quantised{f' ({words})' if words else ''}; {UNQUANTISED}")


def check_names(names: Iterable[str], weights: Path) -> None:
    """Refuses the tensors of quantised weights and of adapters."""
    for name in names:
        parts = name.split(".")
        scheme = next((_QUANTISED[part] for part in parts if part in _QUANTISED), None)
        if scheme:
            raise SheetGPTError(f"{weights} has the tensor {name!r:.120}, so it is quantised ({scheme}); {UNQUANTISED}")
        if any(part.startswith(("lora_", "base_layer")) for part in parts):
            raise SheetGPTError(
                f"{weights} has the tensor {name!r:.120}, so it holds adapters that are not merged (LoRA); {MERGE}"
            )


def check_whole(folder: Path, file: Path | None = None) -> None:
    """Refuses a folder that has adapters and no model, or the adapters' own file."""
    found = [name for name in ADAPTERS if (folder / name).is_file()]
    if found if file is None else file.name in ADAPTERS:
        raise SheetGPTError(only_adapters(file or folder / found[0]))


def only_adapters(what: Path | str) -> str:
    """The sentence for adapters without their model."""
    return f"{what} holds adapters (LoRA or the like), not a whole model; {MERGE}"


def left_out(names: Iterable[str], weights: Path) -> tuple[str, ...]:
    """A note on tensors that lie beside the language model, such as the head of a classifier; none of its body."""
    others = [name for name in names if not _BODY.match(name)]
    adapters = [name for name in ADAPTERS[:1] if (weights.parent / name).is_file()]
    notes = [f"{weights.parent / name} describes adapters, which are left out." for name in adapters]
    if others:
        shown = ", ".join(f"{name:.60}" for name in others[:4]) + (", …" if others[4:] else "")
        notes.append(f"{weights} has another head beside the language model ({shown}), which is left out.")
    return tuple(notes)


def belongs_to_body(name: str) -> bool:
    return bool(_BODY.match(name))
