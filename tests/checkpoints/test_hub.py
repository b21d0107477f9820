"""Models from the hub, against a local server: first run, cached run, every way a download can fail."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hub_server import COMMIT, Hub, point_at
from huggingface_hub import constants
from huggingface_hub.utils.tqdm import disable_progress_bars, enable_progress_bars
from ready import Command
from safetensors.numpy import save_file

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import load
from sheetgpt.gpt2.checkpoints.hub import is_hub_name
from sheetgpt.workbook.build import build

Tensors = dict[str, np.ndarray]
Write = Callable[..., Path]
GPT2 = "openai-community/gpt2"
ALL = ["config.json", "vocab.json", "merges.txt", "model.safetensors"]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def hub(cache: Path, write_checkpoint: Write, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that has the tiny checkpoint under the name of the real gpt2."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # so that part of a tiny file reaches the disk
    monkeypatch.setattr("time.sleep", lambda _: None)  # huggingface_hub waits before it retries
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    with Hub({GPT2: write_checkpoint()}) as server:
        point_at(server.url, monkeypatch)
        yield server


def refused(name: str = "gpt2") -> str:
    with pytest.raises(SheetGPTError) as caught:
        load(name, quiet=True)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def test_the_first_run_downloads_what_the_model_has(hub: Hub, hf_tensors: Tensors) -> None:
    loaded = load("gpt2", quiet=True)
    assert loaded.name == "gpt2"
    np.testing.assert_array_equal(loaded.params["h1.mlp.c_fc.w"], hf_tensors["h.1.mlp.c_fc.weight"])
    assert loaded.tokenizer
    assert loaded.tokenizer.decode(loaded.tokenizer.encode("the cat")) == "the cat"
    assert hub.downloaded() == ALL


def test_the_second_run_downloads_nothing(hub: Hub) -> None:
    load("gpt2", quiet=True)
    hub.requests.clear()
    load("gpt2", quiet=True)
    assert hub.requests == [("HEAD", "config.json", "")]


def test_the_second_run_needs_no_server(hub: Hub) -> None:
    first = load("gpt2", quiet=True)
    hub.stop()
    second = load("gpt2", quiet=True)
    assert second.config == first.config
    assert second.tokenizer
    assert all(np.array_equal(second.params[name], values) for name, values in first.params.items())


def test_the_second_run_works_offline(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    load("gpt2", quiet=True)
    hub.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load(GPT2, quiet=True).name == GPT2
    assert hub.requests == []


def test_a_new_commit_downloads_only_what_changed(hub: Hub, hf_tensors: Tensors) -> None:
    load("gpt2", quiet=True)
    hub.requests.clear()
    hub.commit = COMMIT[::-1]
    hf_tensors["ln_f.bias"] += 1
    save_file(hf_tensors, hub.repos[GPT2] / "model.safetensors")
    for _ in range(2):
        np.testing.assert_array_equal(load("gpt2", quiet=True).params["ln_f.b"], hf_tensors["ln_f.bias"])
        assert hub.downloaded() == ["model.safetensors"]
    hub.stop()
    np.testing.assert_array_equal(load("gpt2", quiet=True).params["ln_f.b"], hf_tensors["ln_f.bias"])


def test_a_commit_that_is_only_half_there_leaves_the_old_one_for_offline(hub: Hub, hf_tensors: Tensors) -> None:
    old = load("gpt2", quiet=True).params["ln_f.b"]
    hub.commit, hub.break_after = COMMIT[::-1], 1000
    hf_tensors["ln_f.bias"] += 1
    save_file(hf_tensors, hub.repos[GPT2] / "model.safetensors")
    assert "broke off" in refused()
    hub.stop()
    np.testing.assert_array_equal(load("gpt2", quiet=True).params["ln_f.b"], old)


def test_every_tokenizer_file_is_fetched(hub: Hub) -> None:
    folder = hub.repos[GPT2]
    (folder / "added_tokens.json").write_text(json.dumps({"<|endoftext|>": 0}))
    (folder / "special_tokens_map.json").write_text(json.dumps({"bos_token": "<|endoftext|>"}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"add_prefix_space": False}))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [7, 9]}))
    assert load("gpt2", quiet=True).stop_ids == (7, 9)
    others = ["added_tokens.json", "special_tokens_map.json", "tokenizer_config.json", "generation_config.json"]
    assert sorted(hub.downloaded()) == sorted(ALL + others)


def test_a_model_without_a_tokenizer_loads_online_and_from_the_cache(hub: Hub) -> None:
    for name in ("vocab.json", "merges.txt"):
        (hub.repos[GPT2] / name).unlink()
    assert load("gpt2", quiet=True).tokenizer is None
    hub.stop()
    assert load("gpt2", quiet=True).tokenizer is None


def test_another_kind_of_tokenizer_on_the_hub_is_named(hub: Hub) -> None:
    for name in ("vocab.json", "merges.txt"):
        (hub.repos[GPT2] / name).unlink()
    (hub.repos[GPT2] / "vocab.txt").write_text("[PAD]")
    assert "vocab.txt belongs to a WordPiece tokenizer" in refused()


def test_shards_are_fetched_by_their_index(hub: Hub, hf_tensors: Tensors) -> None:
    folder = hub.repos[GPT2]
    (folder / "model.safetensors").unlink()
    names = sorted(hf_tensors)
    files = {name: f"model-0000{1 + (n > 8)}-of-00002.safetensors" for n, name in enumerate(names)}
    for file in set(files.values()):
        save_file({name: hf_tensors[name] for name in names if files[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    np.testing.assert_array_equal(load("gpt2", quiet=True).params["wte"], hf_tensors["wte.weight"])
    hub.stop()
    np.testing.assert_array_equal(load("gpt2", quiet=True).params["wte"], hf_tensors["wte.weight"])


def test_a_shard_that_the_hub_lacks_is_named(hub: Hub) -> None:
    (hub.repos[GPT2] / "model.safetensors").unlink()
    index = {"weight_map": {"wte.weight": "model-00001-of-00001.safetensors"}}
    (hub.repos[GPT2] / "model.safetensors.index.json").write_text(json.dumps(index))
    assert f"{GPT2} has no model-00001-of-00001.safetensors, though its" in refused()


def test_an_interrupted_download_resumes_in_the_next_run(hub: Hub, hf_tensors: Tensors) -> None:
    size = (hub.repos[GPT2] / "model.safetensors").stat().st_size
    hub.break_after = 5000
    sentence = refused()
    assert f"of model.safetensors from {GPT2} broke off after 5,000 of {size:,} bytes" in sentence
    assert "run the same command again to resume it" in sentence
    hub.break_after, hub.down = None, False
    hub.requests.clear()
    np.testing.assert_array_equal(load("gpt2", quiet=True).params["ln_f.b"], hf_tensors["ln_f.bias"])
    assert [r for r in hub.requests if r[0] == "GET"] == [("GET", "model.safetensors", "bytes=5000-")]


def test_a_damaged_download_is_thrown_away(hub: Hub, cache: Path, hf_tensors: Tensors) -> None:
    hub.damage = True
    assert f"model.safetensors of {GPT2} arrived damaged: its checksum is" in refused()
    assert not list(cache.rglob("*.incomplete"))
    hub.damage = False
    np.testing.assert_array_equal(load("gpt2", quiet=True).params["ln_f.b"], hf_tensors["ln_f.bias"])


def test_damage_to_the_part_kept_from_an_interrupted_run_is_noticed(hub: Hub, cache: Path) -> None:
    hub.break_after = 5000
    refused()
    hub.break_after, hub.down = None, False
    (partial,) = cache.rglob("*.incomplete")
    partial.write_bytes(bytes(5000))
    assert "arrived damaged" in refused()
    load("gpt2", quiet=True)


def test_a_part_longer_than_the_file_is_thrown_away(hub: Hub, cache: Path) -> None:
    hub.break_after = 5000
    refused()
    hub.break_after, hub.down = None, False
    (partial,) = cache.rglob("*.incomplete")
    partial.write_bytes(bytes(1_000_000))
    load("gpt2", quiet=True)


def test_a_mirror_whose_tags_are_no_checksums_serves(hub: Hub, hf_tensors: Tensors) -> None:
    hub.mirror = True
    np.testing.assert_array_equal(load("gpt2", quiet=True).params["ln_f.b"], hf_tensors["ln_f.bias"])
    hub.stop()
    assert load("gpt2", quiet=True).tokenizer


@pytest.mark.parametrize("error", [-100, 100])
def test_a_size_other_than_promised_is_refused(hub: Hub, cache: Path, error: int) -> None:
    size = (hub.repos[GPT2] / "model.safetensors").stat().st_size
    hub.size_error = error
    assert f"has {size:,} bytes, but the hub promised {size + error:,}" in refused()
    assert not list(cache.rglob("*.incomplete"))


def test_a_name_that_the_hub_lacks_is_refused(hub: Hub) -> None:
    sentence = refused("nobody/nothing")
    assert f"There is no model nobody/nothing on {hub.url}" in sentence
    assert "no folder nobody/nothing here" in sentence


@pytest.mark.parametrize("status", [401, 404])
def test_a_bare_refusal_counts_as_not_found(hub: Hub, status: int) -> None:
    hub.status = status
    assert f"There is no model {GPT2} on {hub.url}" in refused()


def test_a_gated_model_says_how_to_get_in(hub: Hub) -> None:
    hub.status, hub.error_code = 403, "GatedRepo"
    assert f"{GPT2} is gated: accept its terms at {hub.url}/{GPT2} and set HF_TOKEN" in refused()


def test_a_model_of_another_architecture_is_refused_before_its_weights_come(
    hub: Hub, hf_config: dict[str, Any]
) -> None:
    (hub.repos[GPT2] / "config.json").write_text(json.dumps(hf_config | {"model_type": "bert"}))
    assert "model_type 'bert'" in refused()
    assert hub.downloaded() == ["config.json"]


XL = {"n_embd": 1600, "n_layer": 48, "n_head": 25, "n_inner": None, "vocab_size": 50257, "n_positions": 1024}


def test_a_model_too_large_for_a_workbook_is_refused_before_its_weights_come(
    hub: Hub, hf_config: dict[str, Any], sheetgpt_command: Command, tmp_path: Path
) -> None:
    (hub.repos[GPT2] / "config.json").write_text(json.dumps(hf_config | XL))
    target = tmp_path / "never.xlsx"
    status, _, said = sheetgpt_command("build", "gpt2", "-o", target)
    assert status == 2
    assert "1,557,611,200 weights and 16 columns would take about 12.1 GB" in " ".join(said.split())
    with pytest.raises(SheetGPTError, match="zip file, which holds 4 GiB"):
        build("gpt2", target)
    assert hub.downloaded() == ["config.json"]
    assert not target.exists()


def test_columns_that_the_model_lacks_are_refused_before_its_weights_come(hub: Hub, sheetgpt_command: Command) -> None:
    status, _, said = sheetgpt_command("build", "gpt2", "--context", 11)
    assert (status, "--context 11" in said) == (2, True)
    assert hub.downloaded() == ["config.json"]


def test_load_takes_a_model_that_is_too_large_for_a_workbook(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sheetgpt.workbook.limits.MAX_FILE", 1000)
    with pytest.raises(SheetGPTError, match="4 GiB"):
        build("gpt2")
    assert load("gpt2", quiet=True).params


def test_a_repository_without_config_is_refused(hub: Hub) -> None:
    (hub.repos[GPT2] / "config.json").unlink()
    assert f"{GPT2} on {hub.url} has no config.json" in refused()
    (hub.repos[GPT2] / "adapter_config.json").write_text("{}")
    assert f"adapter_config.json of {GPT2} holds adapters" in refused()


@pytest.mark.parametrize(
    ("there", "said"), [("pytorch_model.bin", "only as pytorch_model.bin"), ("README.md", "has no model.safetensors")]
)
def test_a_model_only_as_pickle_is_refused_without_fetching_it(hub: Hub, there: str, said: str) -> None:
    (hub.repos[GPT2] / "model.safetensors").rename(hub.repos[GPT2] / there)
    sentence = refused()
    assert said in sentence
    assert "sheetgpt reads only safetensors" in sentence
    assert there not in hub.downloaded()


def test_without_a_network_the_sentence_says_what_to_fetch_by_hand(hub: Hub, cache: Path) -> None:
    hub.stop()
    sentence = refused()
    assert f"{GPT2} isn't in the cache {cache} and {hub.url} doesn't answer" in sentence
    assert f"download config.json, model.safetensors, vocab.json and merges.txt from {hub.url}/{GPT2}" in sentence
    assert "put them into one folder here, and give that folder as the model" in sentence


def test_offline_the_sentence_names_the_switch(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refused()
    assert hub.requests == []


def test_offline_a_half_filled_cache_names_the_file_that_it_lacks(hub: Hub, cache: Path) -> None:
    load("gpt2", quiet=True)
    for weights in cache.glob("*/snapshots/*/model.safetensors"):
        weights.unlink()
    hub.stop()
    assert "model.safetensors isn't in the cache and" in refused()


def test_offline_a_cache_without_the_optional_files_serves(hub: Hub, cache: Path) -> None:
    """As another program leaves it: no notes of what the hub hasn't got."""
    load("gpt2", quiet=True)
    notes = list(cache.glob("*/.no_exist/*/*"))
    assert notes
    for note in notes:
        note.unlink()
    hub.stop()
    assert load("gpt2", quiet=True).tokenizer


def test_a_server_in_trouble_is_named(hub: Hub) -> None:
    hub.down = True
    assert f"{hub.url} doesn't answer (Server error '503" in refused()


@pytest.mark.parametrize(("answers", "file"), [(1, "config.json"), (4, "tokenizer.json"), (5, "tokenizer.json")])
def test_a_hub_that_vanishes_between_two_files_does_not_pass_for_one_without_them(
    hub: Hub, answers: int, file: str
) -> None:
    hub.answers_left = answers
    assert refused().startswith(f"{file} can't be downloaded: ")


def test_a_server_that_is_no_hub_is_refused(hub: Hub) -> None:
    hub.commit = ""
    assert f"{hub.url} (HF_ENDPOINT) doesn't answer as a Hugging Face hub does" in refused()


def test_a_folder_of_the_same_name_goes_before_the_hub(
    hub: Hub, write_checkpoint: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_checkpoint("gpt2").parent)
    load("gpt2")
    assert hub.requests == []


def test_an_empty_folder_of_the_same_name_does_not(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpt2").mkdir()
    monkeypatch.chdir(tmp_path)
    load("gpt2", quiet=True)
    assert hub.downloaded() == ALL


@pytest.fixture
def no_terminal_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub's switch for progress bars where standard error is no terminal."""
    monkeypatch.setenv("TQDM_POSITION", "-1")


@pytest.mark.usefixtures("no_terminal_needed")
def test_quiet_shows_no_progress_bar_and_its_absence_one(hub: Hub, capfd: pytest.CaptureFixture[str]) -> None:
    load("gpt2", quiet=True)
    assert capfd.readouterr().err == ""
    hub.commit = COMMIT[::-1]
    (hub.repos[GPT2] / "config.json").open("a").write(" ")
    load("gpt2")
    assert "config.json: 100%" in capfd.readouterr().err


@pytest.mark.usefixtures("no_terminal_needed")
def test_quiet_leaves_the_progress_bars_as_they_were(hub: Hub, capfd: pytest.CaptureFixture[str]) -> None:
    disable_progress_bars()
    try:
        load("gpt2", quiet=True)
        hub.commit = COMMIT[::-1]
        (hub.repos[GPT2] / "config.json").open("a").write(" ")
        load("gpt2")
        assert capfd.readouterr().err == ""
    finally:
        enable_progress_bars()


def test_the_environments_switches_hold_in_a_new_process(hub: Hub, tmp_path: Path) -> None:
    program = "import sheetgpt.gpt2.checkpoints.checkpoint as c; print(c.load('distilgpt2', quiet=True).config.n_vocab)"
    hub.repos = {"distilbert/distilgpt2": hub.repos[GPT2]}
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path / "elsewhere"), "HF_ENDPOINT": hub.url}
    for switch in ({}, {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}):
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment | switch, capture_output=True, text=True, check=False
        )
        assert (run.returncode, run.stdout) == (0, "260\n"), run.stderr
    assert hub.downloaded() == ALL
    assert (tmp_path / "elsewhere" / "models--distilbert--distilgpt2").is_dir()


@pytest.mark.parametrize("name", ["gpt2", "distilgpt2", "openai-community/gpt2", "a/b.c-d_e", "x1/2"])
def test_hub_names_are_known_by_their_form(name: str) -> None:
    assert is_hub_name(name)


@pytest.mark.parametrize(
    "name", ["gpt3", "", "/", "a/", "/b", "a/b/c", "./a", "../a", "~/a", "a b/c", "a/b..c", "a/-b"]
)
def test_other_names_are_not_taken_to_the_hub(name: str) -> None:
    assert not is_hub_name(name)
