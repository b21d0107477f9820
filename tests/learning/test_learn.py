"""A new model, the words it learns, its steps, and the checkpoint that is left of it."""

import hashlib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer as Rust
from tokenizers import decoders, models, pre_tokenizers

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import load
from sheetgpt.gpt2.checkpoints.save import save_checkpoint
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.generation.generate import default_prompt, generate
from sheetgpt.gpt2.generation.sampling import MODULUS
from sheetgpt.gpt2.learning import adam, learn, loss
from sheetgpt.gpt2.learning.adam import Settings
from sheetgpt.gpt2.learning.new import new_params, normal_draws
from sheetgpt.gpt2.model import as_cells
from sheetgpt.text.words import END, N_VOCAB, NAMES, read_words, spell, tokenizer_files
from sheetgpt.workbook.build import build
from sheetgpt.workbook.tensors import read

SMALL = GPT2Config(n_vocab=N_VOCAB, n_positions=12, n_embd=8, n_layer=2, n_head=2, n_inner=16)


def test_a_new_model_is_the_same_on_every_machine() -> None:
    """Its numbers to the last bit, whatever NumPy and C library are there."""
    digest = hashlib.sha256(b"".join(x.astype("<f4").tobytes() for x in new_params(SMALL, 7).values())).hexdigest()
    assert digest == "816881f6427575ad8072f6c78212dea2b391fe1f5d3a90e105b4d1ecc3daf4dd"
    state, first = pow(48271, 8, MODULUS), []
    for _ in range(3 + 24):
        state = 16807 * state % MODULUS
        first.append(Fraction(state, MODULUS))
    assert normal_draws(7, 2).tolist() == [float(sum(first[3:15]) - 6), float(sum(first[15:]) - 6)]


def test_a_new_model_has_what_gpt2_began_with() -> None:
    config = GPT2Config(n_vocab=200, n_positions=50, n_embd=40, n_layer=3, n_head=2, n_inner=160, tied=False)
    params = new_params(config, 1)
    assert {n: x.shape for n, x in params.items()} == config.parameter_shapes()
    for n, x in params.items():
        assert x.dtype == np.float32
        if x.ndim == 1:
            assert (x == (1 if n.endswith(".g") else 0)).all(), n
        else:
            deviation = 0.02 / 6**0.5 if n.endswith("c_proj.w") else 0.02
            assert abs(x.std() / deviation - 1) < 5 / (2 * x.size) ** 0.5, n
            assert abs(x.mean()) < 5 * deviation / x.size**0.5, n


def test_draws_are_nearly_normal_and_those_of_neighbouring_seeds_apart() -> None:
    draws = normal_draws(3, 20_000)
    shares = [float((abs(draws) < z).mean()) for z in (1, 2, 3)]
    assert shares == pytest.approx([0.6827, 0.9545, 0.9973], abs=0.01)
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.03
    few = np.corrcoef([normal_draws(seed, 5_000) for seed in range(8)])
    assert abs(few[~np.eye(8, dtype=bool)]).max() < 0.06


@pytest.mark.parametrize("seed", [-1, 2147483646, 1.5, True])
def test_seeds_that_are_none(seed: Any) -> None:
    with pytest.raises(SheetGPTError, match="seed must be a whole number between 0 and 2147483645"):
        new_params(SMALL, seed)
    new_params(SMALL, 2147483645)


def test_the_names_that_come_with_it() -> None:
    names = read_words(NAMES, 11)
    assert NAMES.read_text("utf-8") == "".join(f"{name}\n" for name in names)
    assert len(names) == len(set(names)) >= 200
    assert max(map(len, names)) == 11
    assert {letter for name in names for letter in name} == set("abcdefghijklmnopqrstuvwxyz") - {"q"}


@pytest.mark.parametrize(
    "data",
    [
        b"anna\nbo\n",
        b"anna\r\nbo",
        b"anna\rbo\r",
        b"\xef\xbb\xbfAnna\r\nBO\r\n",
        b"\n anna \n\n\tbo\t\r\r",
        b"anna\nbo",
    ],
)
def test_words_are_read(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(data)
    assert read_words(path, 4) == ["anna", "bo"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "has no word in it: write one a line"),
        (b"\xef\xbb\xbf\r\n \r\n", "has no word in it"),
        (b"bo\n\nanna\nbobby\n", "line 4: 'bobby' has 5 letters; the model's positions have room for 4"),
        ("bo\nzoë\n".encode(), "line 2: 'zoë' has 'ë' in it; a word has the letters a to z only"),
        (b"bo\nma ry\n", "line 2: 'ma ry' has ' ' in it"),
        (b"bo,3\n", "line 1: 'bo,3' has ',' in it"),
        ("bo\u202e".encode(), r"line 1: 'bo\\\\u202e' has '\\\\u202e' in it"),
        ("İ\n".encode(), "line 1: 'İ' has '\u0307' in it"),
        ("bo\n".encode("utf-16"), "is in UTF-16"),
    ],
)
def test_words_that_are_none(data: bytes, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(data)
    with pytest.raises(SheetGPTError, match=sentence) as refused:
        read_words(path, 4)
    assert str(path) in str(refused.value)


def test_words_in_no_file(tmp_path: Path) -> None:
    with pytest.raises(SheetGPTError, match="there is no such file"):
        read_words(tmp_path / "words.txt", 4)


def test_the_tokenizer_of_27_is_read_as_the_library_reads_it(tmp_path: Path) -> None:
    for name, data in tokenizer_files().items():
        (tmp_path / name).write_bytes(data)
    rust = Rust(models.BPE.from_file(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt")))
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.decoder = decoders.ByteLevel()
    for word in read_words(NAMES, 11):
        assert rust.encode(word).ids == spell(word)
        assert rust.decode(spell(word)) == word


QUICK = Settings(learning_rate=0.01, warm_up=0, schedule="constant")
WORDS = [spell(word) for word in ("emma", "otto", "ida", "bartholomew")]
LIST = [loss.example(word, END, SMALL.n_positions) for word in WORDS]


def test_a_model_learns_its_words() -> None:
    """It begins at guessing, ln 27, and knows four words soon; each step's loss is that of its own word."""
    state, losses = learn.learn(adam.start(new_params(SMALL, 2)), SMALL, LIST, QUICK, 300)
    assert losses[0] == pytest.approx(np.log(27), abs=0.1)
    assert np.mean(losses[-4:]) < 0.5
    assert state.t == 300
    first = learn.gradients(adam.start(new_params(SMALL, 2)).w, SMALL, LIST[0])
    assert losses[0] == float(first["loss"])


def test_words_go_round_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[int, ...]] = []

    def gradients(params: Any, config: Any, wanted: loss.Example) -> Any:
        read.append(wanted.ids)
        return right(params, config, wanted)

    right = learn.gradients
    monkeypatch.setattr(learn, "gradients", gradients)
    seen: list[tuple[int, float]] = []
    state, first = learn.learn(adam.start(new_params(SMALL, 2)), SMALL, LIST, QUICK, 3)
    state, second = learn.learn(state, SMALL, LIST, QUICK, 3, lambda t, found: seen.append((t, found)))
    assert read == [LIST[i].ids for i in (0, 1, 2, 3, 0, 1)]
    assert seen == list(zip((4, 5, 6), second, strict=True))
    assert len(first) == 3
    assert [learn.turn(t, 4) for t in (1, 4, 5)] == [0, 3, 0]


def test_it_starts_from_the_numbers_in_the_cells() -> None:
    params = new_params(SMALL, 2)
    start = adam.start(params)
    assert all((start.w[n] == as_cells(x)).all() and start.w[n].dtype == np.float64 for n, x in params.items())


def test_rounding_does_not_grow_while_a_model_learns() -> None:
    """Two programs agree after hundreds of steps: weights that differ in their last bits have losses that do."""
    config = GPT2Config(n_vocab=N_VOCAB, n_positions=16, n_embd=16, n_layer=1, n_head=4, n_inner=64)
    words = [loss.example(spell(word), END, 16) for word in read_words(NAMES, 15)]
    start = adam.start(new_params(config, 0))
    signs = np.random.default_rng(1)
    near = {n: w * (1 + 2e-16 * signs.choice([-1, 1], w.shape)) for n, w in start.w.items()}
    one, other = (
        np.array(learn.learn(state, config, words, Settings(), 400)[1]) for state in (start, replace(start, w=near))
    )
    assert 0 < abs(one - other).max() < 1e-11


def test_what_can_not_be_learned() -> None:
    start = adam.start(new_params(SMALL, 2))
    with pytest.raises(SheetGPTError, match="There are no examples"):
        learn.learn(start, SMALL, [], QUICK, 1)
    with pytest.raises(SheetGPTError, match="A word has 12 tokens, and the model's 12 positions take 11"):
        loss.example([1] * 12, END, 12)
    with pytest.raises(SheetGPTError, match=r"The loss of step 2 is nan: .*Learn slower"), np.errstate(all="ignore"):
        learn.learn(start, SMALL, LIST, Settings(learning_rate=1e200, warm_up=0), 5)


def test_a_saved_model_is_read_again(tmp_path: Path) -> None:
    state, _ = learn.learn(adam.start(new_params(SMALL, 2)), SMALL, LIST, QUICK, 20)
    folder = save_checkpoint(tmp_path / "new" / "names", SMALL, state.w, tokenizer_files(), END)
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "merges.txt",
        "model.safetensors",
        "vocab.json",
    ]
    found = load(folder)
    assert found.config == SMALL
    assert found.notes == ()
    assert found.stop_ids == (END,)
    assert {n: x.tolist() for n, x in found.params.items()} == {
        n: x.astype(np.float32).tolist() for n, x in state.w.items()
    }
    assert found.tokenizer is not None
    assert found.tokenizer.encode("emma") == WORDS[0]
    with pytest.raises(SheetGPTError, match="no token for 'ë'"):
        found.tokenizer.encode("zoë")


def test_every_config_is_saved_as_it_is(tmp_path: Path) -> None:
    config = GPT2Config(11, 6, 6, 1, 3, 7, 1e-6, "relu", tied=False)
    folder = save_checkpoint(tmp_path / "odd", config, new_params(config, 1), {})
    assert load(folder).config == config
    assert json.loads((folder / "config.json").read_text())["n_inner"] == 7


def test_a_folder_of_another_model_is_left_alone(tmp_path: Path) -> None:
    params = new_params(SMALL, 2)
    save_checkpoint(tmp_path, SMALL, params, tokenizer_files())
    save_checkpoint(tmp_path, SMALL, new_params(SMALL, 3), tokenizer_files())  # the same files: replaced
    assert load(tmp_path).params["wte"].tolist() == new_params(SMALL, 3)["wte"].tolist()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for name in ("tokenizer.json", "generation_config.json", "model.safetensors.index.json"):
        (tmp_path / name).write_text("{}")
        with pytest.raises(SheetGPTError, match=f"has a {name} of another model"):
            save_checkpoint(tmp_path, SMALL, params, tokenizer_files())
        (tmp_path / name).unlink()
    with pytest.raises(SheetGPTError, match="no number in float32"):
        save_checkpoint(tmp_path, SMALL, {**params, "wpe": params["wpe"] * np.float64(1e300)}, tokenizer_files())
    with pytest.raises(SheetGPTError, match="can't be written"):
        save_checkpoint(tmp_path / "config.json", SMALL, params, {})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_model_of_letters_builds_without_a_prompt(tmp_path: Path) -> None:
    """The usual prompt has capitals and spaces, for which it has no token: it begins with none."""
    folder = save_checkpoint(tmp_path / "names", SMALL, new_params(SMALL, 2), tokenizer_files())
    tokenizer = load(folder).tokenizer
    assert tokenizer is not None
    assert default_prompt(tokenizer) == ""
    sizes: dict[str, Any] = {"context": 5, "prompt_bytes": 12, "merge_rounds": 2}
    target = build(str(folder), tmp_path / "names.xlsx", without="all", **sizes)
    assert read(target, "token_ids").iloc[0].tolist()[0] == END
    assert generate(str(folder), new_tokens=3, temperature=0).ids[0] == END
