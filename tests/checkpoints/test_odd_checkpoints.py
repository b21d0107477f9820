"""Checkpoints that are not quite a GPT-2: wrapped, with other heads, tokens beyond the model, or something else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import Tensors, Write, assert_params, refused
from safetensors.numpy import save_file

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import load
from sheetgpt.gpt2.generation.generate import generate
from sheetgpt.workbook.build import build
from sheetgpt.workbook.checkpoints import built_from
from sheetgpt.workbook.reopen import open_workbook

UNQUANTISED = "build the model that it was made from, with --weights int8"


@pytest.mark.parametrize(
    "prefix",
    [
        *(
            "module.",
            "_orig_mod.",
            "module.transformer.",
            "_orig_mod.module.transformer.",
            "pretrained_model.transformer.",
        ),
        *("transformer._orig_mod.", "model.transformer.", "_fsdp_wrapped_module."),
    ],
)
def test_the_prefixes_of_wrappers_are_dropped(write_checkpoint: Write, hf_tensors: Tensors, prefix: str) -> None:
    head = hf_tensors["wte.weight"] + 1
    wrapped = {f"{prefix}{name}": values for name, values in hf_tensors.items()}
    wrapped |= {f"{prefix.replace('transformer.', '')}lm_head.weight": head}
    found = load(write_checkpoint(tensors=wrapped))
    assert_params(found.params, hf_tensors)
    np.testing.assert_array_equal(found.params["lm_head"], head)
    assert found.notes == ()


def test_a_wrapper_around_one_block_is_dropped(write_checkpoint: Write, hf_tensors: Tensors) -> None:
    wrapped = {name.replace("h.1.", "h.1._orig_mod."): values for name, values in hf_tensors.items()}
    assert_params(load(write_checkpoint(tensors=wrapped)).params, hf_tensors)


@pytest.mark.parametrize(
    "heads",
    [
        ("score.weight",),
        ("classifier.weight", "classifier.bias"),
        ("v_head.summary.weight", "v_head.summary.bias"),
        ("multiple_choice_head.summary.weight", "multiple_choice_head.summary.bias"),
        ("qa_outputs.weight", "qa_outputs.bias"),
        ("module.v_head.summary.weight",),
    ],
)
def test_another_head_is_left_out_with_a_note(
    write_checkpoint: Write, hf_tensors: Tensors, heads: tuple[str, ...]
) -> None:
    extra = {name: np.zeros((2, 6), np.float16) for name in heads}
    found = load(write_checkpoint(tensors={f"transformer.{n}": v for n, v in hf_tensors.items()} | extra))
    assert_params(found.params, hf_tensors)
    names = ", ".join(name.removeprefix("module.") for name in sorted(heads))
    [note] = found.notes
    assert note.endswith(f"has another head beside the language model ({names}), which is left out.")


def test_another_head_doesnt_replace_a_missing_tensor(write_checkpoint: Write, hf_tensors: Tensors) -> None:
    del hf_tensors["ln_f.bias"]
    hf_tensors["score.weight"] = np.zeros((2, 6), np.float32)
    assert "has no tensor 'ln_f.bias'" in refused(write_checkpoint())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "quantised (gptq, 4 bits)"),
        ({"quant_method": "awq", "bits": 4}, "quantised (awq, 4 bits)"),
        ({"load_in_8bit": True, "llm_int8_threshold": 6.0}, "quantised (bitsandbytes)"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "quantised (bitsandbytes)"),
        ({"quant_method": "fp8"}, "quantised (fp8)"),
    ],
)
def test_a_quantised_model_is_named_by_its_config(
    write_checkpoint: Write, hf_config: dict[str, Any], settings: dict[str, Any], said: str
) -> None:
    sentence = refused(write_checkpoint(config=hf_config | {"quantization_config": settings}))
    assert f"config.json says that its weights are {said}" in sentence
    assert UNQUANTISED in sentence


@pytest.mark.parametrize(
    ("ending", "said"),
    [("qweight", "GPTQ or AWQ"), ("weight.absmax", "bitsandbytes"), ("SCB", "bitsandbytes"), ("g_idx", "GPTQ")],
)
def test_a_quantised_model_is_named_by_its_tensors(
    write_checkpoint: Write, hf_tensors: Tensors, ending: str, said: str
) -> None:
    del hf_tensors["h.0.attn.c_attn.weight"]
    hf_tensors[f"transformer.h.0.attn.c_attn.{ending}"] = np.zeros((2, 6), np.float32)
    sentence = refused(write_checkpoint())
    assert f"has the tensor 'h.0.attn.c_attn.{ending}', so it is quantised ({said})" in sentence
    assert UNQUANTISED in sentence


@pytest.mark.parametrize("name", ["model-q4_k_m.gguf", "model.onnx"])
def test_weights_in_another_programs_format_are_named(write_checkpoint: Write, name: str) -> None:
    folder = write_checkpoint()
    (folder / "model.safetensors").rename(folder / name)
    assert f"has its weights only as {name}: sheetgpt reads only safetensors" in refused(folder)


def test_adapters_without_their_model_are_named(write_checkpoint: Write, hf_tensors: Tensors) -> None:
    folder = write_checkpoint()
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    for model in (folder, folder / "adapter_model.safetensors"):
        sentence = refused(model)
        assert "holds adapters (LoRA or the like), not a whole model" in sentence
        assert "merge_and_unload" in sentence


def test_adapters_inside_the_model_are_named(write_checkpoint: Write, hf_tensors: Tensors) -> None:
    hf_tensors["base_model.model.transformer.h.0.attn.c_attn.lora_A.default.weight"] = np.zeros((2, 6), np.float32)
    assert "so it holds adapters that are not merged (LoRA)" in refused(write_checkpoint())


def test_adapters_beside_a_whole_model_are_left_out_with_a_note(write_checkpoint: Write) -> None:
    folder = write_checkpoint()
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    assert load(folder).notes == (f"{folder / 'adapter_config.json'} describes adapters, which are left out.",)


@pytest.mark.parametrize("vocab", [True, False])
def test_another_kind_of_tokenizer_is_named_with_a_prompt_and_without(
    write_checkpoint: Write, hf_config: dict[str, Any], vocab: bool, tmp_path: Path
) -> None:
    folder = write_checkpoint(vocab=vocab, config=hf_config | {"tokenizer_class": "BertTokenizer"})
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\nthe\n")
    sentence = refused(folder)
    assert "config.json says tokenizer_class 'BertTokenizer', which is WordPiece" in sentence
    assert "--prompt-bytes 0 builds a workbook whose prompts are token ids" in sentence
    target = tmp_path / "x.xlsx"
    with pytest.raises(SheetGPTError, match="which is WordPiece"):
        build(folder, target, ids=[1], context=3)
    assert not target.exists()
    built = open_workbook(build(folder, target, ids=[1], context=3, prompt_bytes=0))
    assert built_from(built).notes == (f"The tokenizer is left out. {sentence}",)
    assert generate(folder, ids=[1], new_tokens=1).n_prompt == 1


@pytest.mark.parametrize(("file", "scheme"), [("vocab.txt", "WordPiece"), ("spiece.model", "SentencePiece")])
def test_another_kind_of_tokenizer_is_named_by_its_file(write_checkpoint: Write, file: str, scheme: str) -> None:
    folder = write_checkpoint(vocab=False)
    (folder / file).write_text("[PAD]\n")
    assert f"{file} belongs to a {scheme} tokenizer; sheetgpt reads byte-level BPE" in refused(folder)


def test_a_padding_id_beyond_the_model_loads_with_a_note(
    write_checkpoint: Write, hf_vocab: dict[str, int], tmp_path: Path
) -> None:
    folder = write_checkpoint()
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": "[PAD]"}))
    found = load(folder)
    assert found.notes == ("The token '[PAD]' has the id 260, and the model's last is 259: no text may hold it.",)
    assert found.tokenizer
    assert found.tokenizer.n_vocab == 260
    assert build(found, tmp_path / "x.xlsx", ids=[1, 2], context=3, prompt_bytes=4, merge_rounds=1).exists()


def test_an_index_and_its_shards_lose_their_prefixes_too(
    write_checkpoint: Callable[..., Path], hf_tensors: Tensors
) -> None:
    folder = write_checkpoint()
    (folder / "model.safetensors").unlink()
    names = {f"module.{name}": values for name, values in hf_tensors.items()}
    save_file(names, folder / "a.safetensors")
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": dict.fromkeys(names, "a.safetensors")})
    )
    assert_params(load(folder).params, hf_tensors)
