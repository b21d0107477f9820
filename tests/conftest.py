"""Tiny checkpoints in Hugging Face's format, written as its libraries write them, for every test module.

And what some tests need that isn't everywhere, GPT-2's trained weights, Gnumeric and Microsoft's validator: they say
loudly that they were not run.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import open_xml_sdk
import pytest
from huggingface_hub import constants, try_to_load_from_cache
from ready import MICRO_IDS, Command, fairytale_words, hugging_face_tensors
from safetensors.numpy import save_file

from sheetgpt import cli, stopping
from sheetgpt.engines import libreoffice, office
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.text.tokenizer import byte_to_unicode
from sheetgpt.workbook.build import build
from sheetgpt.workbook.checkpoints import MODELS

Tensors = dict[str, np.ndarray]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough",
        action="store_true",
        help="all random cases, not one in five; all of the bench",
    )


@pytest.fixture(scope="session")
def share(request: pytest.FixtureRequest) -> float:
    """Of the random cases that a test has: those that a run without --thorough leaves out are others of the kind."""
    return 1.0 if request.config.getoption("--thorough") else 0.2


@pytest.fixture(scope="session")
def thorough(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--thorough"))


@pytest.fixture(scope="session", autouse=True)
def one_libreoffice() -> Iterator[None]:
    """Starting LibreOffice takes 1.2 seconds of processor time, one more workbook in a resident one 0.07."""
    with libreoffice.resident():
        yield


@pytest.fixture(scope="session", autouse=True)
def a_cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What builds remember on this computer; in every process that a test starts."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def checkpoints_beside_the_workbooks(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A workbook's path to its checkpoint is followed only where the user allows it: here in all temporary folders."""
    os.environ[MODELS] = str(tmp_path_factory.getbasetemp())


@pytest.fixture(autouse=True)
def own_libreoffice(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of it: the tests of starting, killing, profiles and memory."""
    if request.node.get_closest_marker("own_libreoffice"):
        monkeypatch.setattr(office, "_keeper", None)


@pytest.fixture
def sheetgpt_command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs `sheetgpt` in this process: exit status, standard output, standard error."""

    def run(*words: object) -> tuple[int, str, str]:
        capfd.readouterr()
        monkeypatch.setattr("sys.argv", ["sheetgpt", *(str(word) for word in words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        stopping.as_before()  # the command expects the process to end with it
        said = capfd.readouterr()
        return int(stop.value.code or 0), said.out, said.err

    return run


def real_gpt2() -> str | None:
    """GPT-2's checkpoint: the folder that SHEETGPT_GPT2 names, or the hub's name where its cache has the weights."""
    folder = os.environ.get("SHEETGPT_GPT2")
    cached = try_to_load_from_cache("openai-community/gpt2", "model.safetensors", cache_dir=constants.HF_HUB_CACHE)
    return folder or ("gpt2" if isinstance(cached, str) else None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    lacking = {"real_weights": "GPT-2's checkpoint is not here"} if real_gpt2() is None else {}
    lacking |= {"gnumeric": "Gnumeric's ssconvert is not here"} if shutil.which("ssconvert") is None else {}
    lacking |= {"open_xml_sdk": reason} if (reason := open_xml_sdk.lacking()) else {}
    for item in items:
        for marker, reason in lacking.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


NOT_TESTED = {
    "real_weights": (
        "GPT-2's trained weights were NOT tested",
        "They are not in the hub's cache, and SHEETGPT_GPT2 names no folder that has them.",
        "scripts/verify_real_gpt2 fetches them where there is a network. Not run:",
    ),
    "gnumeric": ("Gnumeric was NOT tested", "Its ssconvert is not here: sudo apt install gnumeric. Not run:"),
    "open_xml_sdk": (
        "Microsoft's validator did NOT run",
        "It needs Linux on x86-64 and pip install -e '.[sdk]'. Not run:",
    ),
}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    for marker, (title, *lines) in NOT_TESTED.items():
        not_run = [report.nodeid for report in skipped if marker in report.keywords]
        if not_run:
            terminalreporter.section(title, yellow=True, bold=True)
            for line in [*lines, *(f"  {name}" for name in not_run)]:
                terminalreporter.line(line, yellow=True, bold=True)


@pytest.fixture
def hf_config() -> dict[str, Any]:
    """config.json of a GPT-2 with 2 layers, 2 heads, width 6 and a vocabulary of 260."""
    return {
        "model_type": "gpt2",
        "vocab_size": 260,
        "n_positions": 10,
        "n_embd": 6,
        "n_layer": 2,
        "n_head": 2,
        "n_inner": 14,
        "layer_norm_epsilon": 1e-5,
        "activation_function": "gelu_new",
    }


@pytest.fixture
def hf_tensors() -> Tensors:
    """Random tensors for `hf_config`, under Hugging Face's names."""
    shapes: dict[str, tuple[int, ...]] = {"wte.weight": (260, 6), "wpe.weight": (10, 6)}
    for i in range(2):
        shapes |= {f"h.{i}.ln_1.weight": (6,), f"h.{i}.ln_1.bias": (6,)}
        shapes |= {f"h.{i}.attn.c_attn.weight": (6, 18), f"h.{i}.attn.c_attn.bias": (18,)}
        shapes |= {f"h.{i}.attn.c_proj.weight": (6, 6), f"h.{i}.attn.c_proj.bias": (6,)}
        shapes |= {f"h.{i}.ln_2.weight": (6,), f"h.{i}.ln_2.bias": (6,)}
        shapes |= {f"h.{i}.mlp.c_fc.weight": (6, 14), f"h.{i}.mlp.c_fc.bias": (14,)}
        shapes |= {f"h.{i}.mlp.c_proj.weight": (14, 6), f"h.{i}.mlp.c_proj.bias": (6,)}
    shapes |= {"ln_f.weight": (6,), "ln_f.bias": (6,)}
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture
def hf_vocab() -> dict[str, int]:
    """`<|endoftext|>`, the 256 bytes and three merges: 260 tokens, as many as `hf_config` says."""
    letters = [byte_to_unicode()[byte] for byte in range(256)]
    return {token: i for i, token in enumerate(["<|endoftext|>", *letters, "th", "the", "Ġthe"])}


@pytest.fixture
def write_tokenizer(hf_vocab: dict[str, int]) -> Callable[[Path], None]:
    """Writes vocab.json and merges.txt into a folder."""

    def write(folder: Path) -> None:
        (folder / "vocab.json").write_text(json.dumps(hf_vocab), encoding="utf-8")
        (folder / "merges.txt").write_text("#version: 0.2\nt h\nth e\nĠ the\n", encoding="utf-8")

    return write


@pytest.fixture
def write_checkpoint(
    tmp_path: Path,
    hf_config: dict[str, Any],
    hf_tensors: Tensors,
    write_tokenizer: Callable[[Path], None],
) -> Callable[..., Path]:
    """Writes a folder with config.json, model.safetensors and tokenizer files; returns it."""

    def write(
        name: str = "tiny",
        *,
        config: Mapping[str, Any] | None = None,
        tensors: Tensors | None = None,
        vocab: bool = True,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(hf_config if config is None else dict(config)))
        save_file(hf_tensors if tensors is None else tensors, folder / "model.safetensors", {"format": "pt"})
        if vocab:
            write_tokenizer(folder)
        return folder

    return write


@pytest.fixture(scope="session")
def make_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Checkpoint]:
    """A random checkpoint of the given config, saved in Hugging Face's format and loaded again.

    `files`: the tokenizer's, if it is to have one.
    """

    def make(config: GPT2Config, name: str, seed: int = 1, files: Mapping[str, bytes] | None = None) -> Checkpoint:
        rng = np.random.default_rng(seed)
        params = {
            key: (rng.normal(size=shape) * 0.3 + key.endswith(".g")).astype(np.float32)
            for key, shape in config.parameter_shapes().items()
        }
        folder = tmp_path_factory.mktemp("checkpoint") / name
        folder.mkdir()
        settings = {
            "model_type": "gpt2",
            "vocab_size": config.n_vocab,
            "layer_norm_epsilon": config.layer_norm_epsilon,
            "activation_function": config.activation_function,
            "tie_word_embeddings": config.tied,
        }
        settings |= {key: getattr(config, key) for key in ("n_positions", "n_embd", "n_layer", "n_head", "n_inner")}
        (folder / "config.json").write_text(json.dumps(settings))
        save_file(hugging_face_tensors(params), folder / "model.safetensors", {"format": "pt"})
        for file, data in (files or {}).items():
            (folder / file).write_bytes(data)
        return load(folder)

    return make


@pytest.fixture(scope="session")
def micro(make_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    """2 layers, 2 heads, width 16, vocabulary 64, 16 positions: as small as a model gets that still has everything."""
    config = GPT2Config(n_vocab=64, n_positions=16, n_embd=16, n_layer=2, n_head=2, n_inner=24)
    return make_checkpoint(config, "micro")


@pytest.fixture(scope="session")
def reader(make_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    """Part of a real tokenizer over a network of one block, 4 wide: nearly all of the workbook is text."""
    config = GPT2Config(n_vocab=512, n_positions=64, n_embd=4, n_layer=1, n_head=1, n_inner=4)
    return make_checkpoint(config, "reader", seed=3, files=fairytale_words(config.n_vocab))


@pytest.fixture(scope="session")
def reader_workbook(reader: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 token columns, room for 80 bytes and 6 rounds, no optional sheets. Not to be changed: copy it."""
    target = tmp_path_factory.mktemp("workbook") / "reader.xlsx"
    sizes: dict[str, Any] = {"context": 12, "new_tokens": 0, "prompt_bytes": 80, "merge_rounds": 6}
    return build(reader, target, prompt="the king", without="all", **sizes)


@pytest.fixture(scope="session")
def odd(make_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    """No two sizes alike, a head of its own, gelu, another epsilon."""
    config = GPT2Config(
        n_vocab=37,
        n_positions=9,
        n_embd=15,
        n_layer=3,
        n_head=5,
        n_inner=22,
        layer_norm_epsilon=1e-6,
        activation_function="gelu",
        tied=False,
    )
    return make_checkpoint(config, "odd", seed=2)


@pytest.fixture(scope="session")
def micro_workbook(micro: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The micro model in 6 token columns, 3 of them in use. Not to be changed: copy it."""
    return build(micro, tmp_path_factory.mktemp("workbook") / "micro.xlsx", ids=MICRO_IDS, context=6)


@pytest.fixture(scope="session")
def plain_workbook(micro: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without the optional sheets, half of its formulas, for what has nothing to do with them."""
    target = tmp_path_factory.mktemp("plain") / "micro.xlsx"
    return build(micro, target, ids=MICRO_IDS, context=6, without="all")


@pytest.fixture(scope="session")
def odd_workbook(odd: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(odd, tmp_path_factory.mktemp("workbook") / "odd.xlsx", ids=[36, 0, 0, 7], context=7)
