"""Checkpoints from folders and files: every form that Hugging Face writes, and every refusal in one sentence."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import Tensors, Write, assert_params, refused
from safetensors.numpy import save_file

from sheetgpt.gpt2.checkpoints import checkpoint
from sheetgpt.gpt2.checkpoints.checkpoint import load
from sheetgpt.gpt2.config import ALIASES


def write_raw(path: Path, tensors: Mapping[str, tuple[str, tuple[int, ...], bytes]], pad: int = 0) -> None:
    """A safetensors file byte by byte, for types that NumPy lacks and for offsets that the library avoids."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(raw)]}
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8 + pad)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(raw for _, _, raw in tensors.values()))


def as_raw(tensors: Tensors) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    return {name: ("F32", values.shape, values.tobytes()) for name, values in tensors.items()}


def test_a_folder_loads_with_its_shapes_values_and_tokenizer(write_checkpoint: Write, hf_tensors: Tensors) -> None:
    loaded = load(write_checkpoint())
    assert loaded.name == "tiny"
    assert (loaded.config.n_vocab, loaded.config.n_embd, loaded.config.n_inner, loaded.config.tied) == (
        260,
        6,
        14,
        True,
    )
    assert {name: values.shape for name, values in loaded.params.items()} == loaded.config.parameter_shapes()
    assert_params(loaded.params, hf_tensors)
    assert loaded.tokenizer
    assert loaded.tokenizer.decode(loaded.tokenizer.encode("the end")) == "the end"


def test_float32_weights_are_not_copied_and_cant_be_written(write_checkpoint: Write) -> None:
    for values in load(write_checkpoint()).params.values():
        assert not values.flags.owndata
        assert not values.flags.writeable


def test_a_file_loads_with_what_lies_beside_it(write_checkpoint: Write, hf_tensors: Tensors) -> None:
    folder = write_checkpoint()
    assert load(str(folder / "model.safetensors")).name == "tiny"
    (folder / "model.safetensors").rename(folder / "step-100.safetensors")
    loaded = load(folder / "step-100.safetensors")
    assert loaded.name == "step-100"
    assert loaded.tokenizer
    assert_params(loaded.params, hf_tensors)


def test_a_relative_path_and_the_home_sign_work(write_checkpoint: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_checkpoint()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder.parent))
    assert load(".").name == load("~/tiny").name == load("model.safetensors").name == "tiny"


def test_a_folder_without_tokenizer_files_loads(write_checkpoint: Write) -> None:
    assert load(write_checkpoint(vocab=False)).tokenizer is None


def test_the_prefix_transformer_is_dropped(write_checkpoint: Write, hf_tensors: Tensors) -> None:
    prefixed = {f"transformer.{name}": values for name, values in hf_tensors.items()}
    assert_params(load(write_checkpoint(tensors=prefixed)).params, hf_tensors)


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_mask_buffers_are_ignored_whatever_their_type(
    write_checkpoint: Write, hf_tensors: Tensors, prefix: str
) -> None:
    tensors = {f"{prefix}{name}": values for name, values in hf_tensors.items()}
    for i in range(2):
        tensors[f"{prefix}h.{i}.attn.bias"] = np.tril(np.ones((1, 1, 10, 10), dtype=np.uint8))
        tensors[f"{prefix}h.{i}.attn.masked_bias"] = np.array([-1e4], np.float32)
    loaded = load(write_checkpoint(tensors=tensors))
    assert list(loaded.params) == list(loaded.config.parameter_shapes())
    assert_params(loaded.params, hf_tensors)


def test_float16_is_widened_exactly(write_checkpoint: Write, hf_tensors: Tensors) -> None:
    half = {name: values.astype(np.float16) for name, values in hf_tensors.items()}
    half["ln_f.bias"] = np.array([0, -0.0, 6e-8, 65504, -1 / 3, 1], np.float16)
    assert_params(load(write_checkpoint(tensors=half)).params, {n: v.astype(np.float32) for n, v in half.items()})


def test_bfloat16_is_widened_exactly(write_checkpoint: Write, hf_tensors: Tensors) -> None:
    folder = write_checkpoint()
    hf_tensors["ln_f.bias"] = np.array([0, -0.0, 1e-40, 3e38, -1 / 3, 1], np.float32)
    upper = {name: (values.view(np.uint32) >> 16).astype("<u2") for name, values in hf_tensors.items()}
    write_raw(folder / "model.safetensors", {n: ("BF16", v.shape, v.tobytes()) for n, v in upper.items()})
    truncated = {n: (v.view(np.uint32) & 0xFFFF0000).view(np.float32) for n, v in hf_tensors.items()}
    assert_params(load(folder).params, truncated)


def test_numbers_at_odd_offsets_load_aligned(write_checkpoint: Write, hf_tensors: Tensors) -> None:
    folder = write_checkpoint()
    write_raw(folder / "model.safetensors", as_raw(hf_tensors), pad=1)
    loaded = load(folder)
    assert all(values.flags.aligned for values in loaded.params.values())
    assert_params(loaded.params, hf_tensors)


@pytest.mark.parametrize("tied", [True, False])
def test_a_head_equal_to_wte_counts_as_tied(
    write_checkpoint: Write, hf_config: dict[str, Any], hf_tensors: Tensors, tied: bool
) -> None:
    tensors = hf_tensors | {"lm_head.weight": hf_tensors["wte.weight"].copy()}
    loaded = load(write_checkpoint(tensors=tensors, config=hf_config | {"tie_word_embeddings": tied}))
    assert loaded.config.tied
    assert "lm_head" not in loaded.params


@pytest.mark.parametrize("config_says", [{}, {"tie_word_embeddings": True}, {"tie_word_embeddings": False}])
def test_a_head_of_its_own_is_kept_whatever_config_says(
    write_checkpoint: Write, hf_config: dict[str, Any], hf_tensors: Tensors, config_says: dict[str, Any]
) -> None:
    head = hf_tensors["wte.weight"].copy()
    head[259, 5] += 1
    tensors = {f"transformer.{name}": values for name, values in hf_tensors.items()} | {"lm_head.weight": head}
    loaded = load(write_checkpoint(tensors=tensors, config=hf_config | config_says))
    assert not loaded.config.tied
    np.testing.assert_array_equal(loaded.params["lm_head"], head)
    assert list(loaded.params) == list(loaded.config.parameter_shapes())


@pytest.fixture
def shards(write_checkpoint: Write, hf_tensors: Tensors) -> Path:
    """A folder with the weights in two files and an index."""
    folder = write_checkpoint()
    (folder / "model.safetensors").unlink()
    names = list(hf_tensors)
    weight_map: dict[str, str] = {}
    for n, part in enumerate((names[:9], names[9:]), 1):
        file = f"model-0000{n}-of-00002.safetensors"
        save_file({f"transformer.{name}": hf_tensors[name] for name in part}, folder / file)
        weight_map |= {f"transformer.{name}": file for name in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


def test_shards_load_from_the_folder_or_the_index(shards: Path, hf_tensors: Tensors) -> None:
    for model in (shards, shards / "model.safetensors.index.json"):
        loaded = load(model)
        assert loaded.name == "tiny"
        assert_params(loaded.params, hf_tensors)


def test_the_bundled_name_loads(write_checkpoint: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoint("stories")
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path)
    assert checkpoint.bundled() == ["stories"]
    assert load().name == load("stories").name == "stories"


def test_a_missing_bundled_model_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path)
    assert "bundled model 'stories' is missing" in refused("stories")


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("fairytail", "fairytale"),
        ("storys", "stories"),
        ("gpt-2", "gpt2"),
        ("distillgpt2", "distilgpt2"),
        ("xyzzy", "Check the name"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, guess: str) -> None:
    sentence = refused(name)
    assert sentence.startswith(f"There is no model {name!r}")
    assert guess in sentence.split(";")[-1]


def test_a_misspelt_path_is_refused_with_the_nearest(write_checkpoint: Write, tmp_path: Path) -> None:
    folder = write_checkpoint("my-model")
    assert f"Did you mean {folder}?" in refused(str(tmp_path / "my_model"))
    assert f"Did you mean {folder / 'model.safetensors'}?" in refused(folder / "modell.safetensors")
    assert "There is no model" in refused("a" * 5000)


def test_missing_tensors_are_named_with_the_shape_expected(write_checkpoint: Write, hf_tensors: Tensors) -> None:
    del hf_tensors["h.1.mlp.c_fc.weight"], hf_tensors["ln_f.bias"]
    sentence = refused(write_checkpoint())
    assert "has no tensor 'h.1.mlp.c_fc.weight' (and 1 more)" in sentence
    assert "[6, 14]" in sentence


def test_a_missing_head_is_named_when_config_says_untied(write_checkpoint: Write, hf_config: dict[str, Any]) -> None:
    sentence = refused(write_checkpoint(config=hf_config | {"tie_word_embeddings": False}))
    assert "has no tensor 'lm_head.weight'; config.json calls for one of shape [260, 6]" in sentence


def test_the_bias_of_c_attn_is_no_mask_buffer(write_checkpoint: Write, hf_tensors: Tensors) -> None:
    del hf_tensors["h.0.attn.c_attn.bias"]
    assert "has no tensor 'h.0.attn.c_attn.bias'" in refused(write_checkpoint())


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("wte.weight", (261, 6)), ("h.0.attn.c_attn.weight", (18, 6)), ("h.1.ln_1.bias", (1, 6)), ("ln_f.bias", ())],
)
def test_a_misshapen_tensor_is_named_with_both_shapes(
    write_checkpoint: Write, hf_tensors: Tensors, name: str, wrong: tuple[int, ...]
) -> None:
    right = list(hf_tensors[name].shape)
    hf_tensors[name] = np.zeros(wrong, np.float32)
    assert f"tensor {name!r} has the shape {list(wrong)}; config.json calls for {right}." in refused(write_checkpoint())


@pytest.mark.parametrize("name", ["h.2.ln_1.weight", "h.0.crossattention.c_attn.weight"])
def test_an_unexpected_tensor_is_named(write_checkpoint: Write, hf_tensors: Tensors, name: str) -> None:
    hf_tensors[name] = np.zeros((2, 6), np.float32)
    sentence = refused(write_checkpoint())
    assert f"has a tensor {name!r} of shape [2, 6], which does not belong to the GPT-2 of 2 layers" in sentence


@pytest.mark.parametrize(
    ("value", "dtype"), [(np.nan, np.float32), (-np.inf, np.float32), (np.inf, np.float16), (np.nan, np.float16)]
)
def test_a_number_that_is_not_finite_is_named_with_its_place(
    write_checkpoint: Write, hf_tensors: Tensors, value: float, dtype: type[np.floating[Any]]
) -> None:
    hf_tensors["h.1.mlp.c_proj.weight"][3, 4] = value
    tensors = {name: values.astype(dtype) for name, values in hf_tensors.items()}
    assert f"'h.1.mlp.c_proj.weight' holds {value} at [3, 4]; expected finite" in refused(
        write_checkpoint(tensors=tensors)
    )


@pytest.mark.parametrize(("dtype", "said"), [(np.float64, "F64"), (np.int8, "I8")])
def test_another_dtype_is_named(write_checkpoint: Write, hf_tensors: Tensors, dtype: type, said: str) -> None:
    hf_tensors["wpe.weight"] = hf_tensors["wpe.weight"].astype(dtype)
    assert f"tensor 'wpe.weight' has dtype {said}; expected F32, F16 or BF16" in refused(write_checkpoint())


def test_a_tensor_given_twice_is_named(write_checkpoint: Write, hf_tensors: Tensors) -> None:
    hf_tensors["transformer.wpe.weight"] = hf_tensors["wpe.weight"].copy()
    assert "has the tensor 'wpe.weight', which" in refused(write_checkpoint())


def test_another_architecture_is_refused_by_its_config(write_checkpoint: Write, hf_config: dict[str, Any]) -> None:
    sentence = refused(write_checkpoint(config=hf_config | {"model_type": "llama"}))
    assert "model_type 'llama'; sheetgpt builds 'gpt2'" in sentence


@pytest.mark.parametrize("own", ["none", "others"])
def test_the_names_that_other_models_have_for_the_shapes_are_read(
    write_checkpoint: Write, hf_config: dict[str, Any], own: str
) -> None:
    """Where both stand there and differ, `transformers` takes the common name: it sets it after GPT-2's own."""
    common = {alias: hf_config[name] for alias, name in ALIASES.items()}
    rest = {key: value for key, value in hf_config.items() if key not in ALIASES.values()}
    others = dict.fromkeys(ALIASES.values(), 1) if own == "others" else {}
    plain = load(write_checkpoint("plain")).config
    assert load(write_checkpoint("common", config=rest | others | common)).config == plain
    assert load(write_checkpoint("first", config=common | others | rest)).config == plain


def test_a_missing_or_broken_config_is_refused(write_checkpoint: Write) -> None:
    folder = write_checkpoint()
    (folder / "config.json").write_text("{")
    assert "config.json is not JSON" in refused(folder)
    (folder / "config.json").unlink()
    assert "has no config.json" in refused(folder)
    assert "has no config.json" in refused(folder / "model.safetensors")


def test_weights_only_as_pickle_are_refused(write_checkpoint: Write) -> None:
    folder = write_checkpoint()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "has its weights only as pytorch_model.bin: sheetgpt reads only safetensors" in refused(folder)
    assert "pytorch_model.bin is a .bin file, which can run code" in refused(folder / "pytorch_model.bin")


def test_a_folder_without_weights_is_refused(write_checkpoint: Write, tmp_path: Path) -> None:
    folder = write_checkpoint()
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    assert f"give the file itself, {folder / 'other.safetensors'}" in refused(folder)
    (tmp_path / "empty").mkdir()
    assert "empty has no weights: expected model.safetensors" in refused(tmp_path / "empty")
    assert "is not a checkpoint" in refused(folder / "vocab.json")


def test_a_file_cut_anywhere_is_refused(write_checkpoint: Write) -> None:
    path = write_checkpoint() / "model.safetensors"
    whole = path.read_bytes()
    for length in (0, 5, 8, 200, len(whole) - 4000, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert "fetch it again" in refused(path).lower()


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [6], "data_offsets": [0, 20]},
        {"dtype": "F32", "shape": [6], "data_offsets": [24, 0]},
        {"dtype": "F32", "shape": [6], "data_offsets": [-24, 0]},
        {"dtype": "F32", "shape": [6.0], "data_offsets": [0, 24]},
        {"dtype": "F32", "shape": [6]},
        {"dtype": "F32", "shape": [6], "data_offsets": [0]},
        [],
    ],
)
def test_a_header_that_contradicts_itself_is_refused(write_checkpoint: Write, entry: object) -> None:
    path = write_checkpoint() / "model.safetensors"
    text = json.dumps({"ln_f.bias": entry}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(24))
    assert "fetch it again" in refused(path).lower()


def test_a_missing_shard_is_named(shards: Path) -> None:
    (shards / "model-00002-of-00002.safetensors").unlink()
    assert "model-00002-of-00002.safetensors is missing, though model.safetensors.index.json lists it" in refused(
        shards
    )


def test_a_tensor_in_two_shards_is_named(shards: Path, hf_tensors: Tensors) -> None:
    save_file({"wte.weight": hf_tensors["wte.weight"]}, shards / "model-00002-of-00002.safetensors")
    assert "has the tensor 'wte.weight', which" in refused(shards)


@pytest.mark.parametrize("file", ["../tiny/model.safetensors", "/etc/x.safetensors", "a.bin", "", 3, ".."])
def test_an_index_that_leaves_its_folder_is_refused(shards: Path, file: object) -> None:
    (shards / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"wte.weight": file}}))
    assert f"puts 'wte.weight' into {file!r}" in refused(shards)


@pytest.mark.parametrize("index", ["{}", '{"weight_map": []}', '{"weight_map": {}}'])
def test_an_index_without_a_map_is_refused(shards: Path, index: str) -> None:
    (shards / "model.safetensors.index.json").write_text(index)
    assert "has no 'weight_map'" in refused(shards)


@pytest.mark.parametrize("token", ["the", "Ġ"])
def test_a_tokenizer_larger_than_the_model_is_refused(
    write_checkpoint: Write, hf_vocab: dict[str, int], token: str
) -> None:
    hf_vocab[token] = 260
    sentence = refused(write_checkpoint())
    assert f"Token {token!r} has the id 260, but config.json says vocab_size 260: one of the two belongs" in sentence


def test_a_tokenizer_smaller_than_the_model_is_fine(
    write_checkpoint: Write, hf_config: dict[str, Any], hf_tensors: Tensors
) -> None:
    hf_tensors["wte.weight"] = np.zeros((300, 6), np.float32)
    loaded = load(write_checkpoint(config=hf_config | {"vocab_size": 300}))
    assert loaded.config.n_vocab == 300
    assert loaded.tokenizer
    assert loaded.tokenizer.n_vocab == 260
