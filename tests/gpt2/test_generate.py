"""The continuation: the cache against the full forward pass, transformers' greedy one, window, end, text, errors."""

import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from places import GOLDEN

import sheetgpt
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.gpt2.generation.continuation import Cache, advance, continue_ids, window
from sheetgpt.gpt2.generation.generate import DEFAULT_PROMPT, generate, stream, with_text
from sheetgpt.gpt2.generation.sampling import Choice, Sampling, choose, uniforms
from sheetgpt.gpt2.model import as_cells, forward
from sheetgpt.text.tokenizer import Tokenizer, byte_to_unicode

FUNCTIONS: tuple[Any, ...] = (generate, stream)


def in_cells(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    return {name: as_cells(tensor) for name, tensor in checkpoint.params.items()}


@pytest.fixture(params=["micro", "odd"])
def model(request: pytest.FixtureRequest) -> Checkpoint:
    checkpoint: Checkpoint = request.getfixturevalue(request.param)
    return checkpoint


@pytest.mark.parametrize("parts", [(4, 1, 1, 1), (1, 1, 5), (2, 3, 2), (7,)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_the_cache_gives_the_full_forward_s_logits(
    model: Checkpoint, parts: tuple[int, ...], dtype: type[np.floating[Any]], tolerance: float
) -> None:
    ids = [5, 9, 33, 0, 9, 36, 1]
    params = {name: tensor.astype(dtype) for name, tensor in in_cells(model).items()}
    expected = forward(params, model.config, ids, dtype)["logits"]
    cache, done = Cache(model.config, len(ids), dtype), 0
    for n in parts:
        found = advance(params, model.config, ids[done : done + n], cache)
        done += n
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected[:, done - 1], rtol=tolerance, atol=tolerance)


def test_each_choice_is_that_of_the_full_forward_s_last_column(model: Checkpoint) -> None:
    params, ids = in_cells(model), [5, 9, 33]
    for sampling in (Sampling(0), Sampling(0.8, 5, seed=3), Sampling(2.0, 64, 0.9, seed=2147483645)):
        chosen = list(ids)
        steps = continue_ids(params, model.config, ids, sampling, 6)
        for step, u in zip(steps, uniforms(sampling.seed, 6), strict=True):
            expected = choose(forward(params, model.config, chosen)["logits"][:, -1], sampling, u)
            chosen.append(step.id)
            assert (step.id, step.ids, step.winner) == (expected.id, expected.ids, expected.winner)
            assert step.uniform == u
            np.testing.assert_allclose(step.logits, expected.logits, rtol=1e-12)
        assert len(chosen) == 9


@pytest.mark.parametrize("case", [name for name in np.load(GOLDEN / "choices.npz").files if "greedy" in name])
def test_greedy_continuations_are_those_of_transformers(case: str) -> None:
    name = case.split(",")[0]
    expected = [int(i) for i in np.load(GOLDEN / "choices.npz")[case]]
    checkpoint = load("stories" if name.isdigit() else GOLDEN / "odd")
    if not name.isdigit():
        checkpoint = replace(checkpoint, config=replace(checkpoint.config, activation_function=name.split(".")[0]))
    found = generate(checkpoint, ids=expected[:-15], new_tokens=15, temperature=0)
    assert list(found.ids) == expected


def test_the_bundled_model_continues_a_prompt() -> None:
    settings: dict[str, Any] = {"new_tokens": 12, "temperature": 0.8, "top_k": 20, "top_p": 0.95, "seed": 7}
    found = sheetgpt.generate("stories", "Once upon a time", **settings)
    checkpoint = load("stories")
    assert found == generate(checkpoint, "Once upon a time", **settings)
    assert found != generate(checkpoint, "Once upon a time", **settings | {"seed": 8})
    assert checkpoint.tokenizer is not None
    assert found.ids[: found.n_prompt] == tuple(checkpoint.tokenizer.encode("Once upon a time"))
    assert found.ids[found.n_prompt :] == tuple(step.id for step in found.steps)
    assert found.text == "Once upon a time" + found.completion == checkpoint.tokenizer.decode(found.ids)
    assert len(found.steps) == 12
    streamed = list(sheetgpt.stream("stories", "Once upon a time", **settings))
    assert [choice for _, _, choice in streamed] == list(found.steps)
    assert [id for id, _, _ in streamed] == list(found.ids[found.n_prompt :])
    assert "".join(text for _, text, _ in streamed) == found.completion
    single = generate(checkpoint, "Once upon", **settings, dtype=np.float32)
    assert len(single.steps) == 12
    assert all(logit == float(np.float32(logit)) for step in single.steps for logit in step.logits)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_token_copies_no_matrix(dtype: type[np.floating[Any]]) -> None:
    checkpoint = load("stories")
    params = {name: tensor.astype(dtype) for name, tensor in checkpoint.params.items()}
    cache = Cache(checkpoint.config, 4, dtype)
    advance(params, checkpoint.config, [1, 2], cache)
    tracemalloc.start()
    advance(params, checkpoint.config, [3], cache)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < params["h0.attn.c_proj.w"].nbytes  # the smallest


def test_a_long_prompt_loses_its_oldest_tokens_to_make_room(micro: Checkpoint) -> None:
    ids = list(range(30))
    assert window(ids, micro.config, 4) == ids[-12:]
    assert window(ids, micro.config, 4, context=6) == [28, 29]
    assert window(ids[:2], micro.config, 4, context=6) == [0, 1]
    assert window(ids, micro.config, 0, context=1) == [29]
    assert window(ids, micro.config, 15) == [29]
    found = generate(micro, ids=ids, new_tokens=4, context=6, temperature=0)
    assert found.ids[:2] == (28, 29)
    assert (found.n_prompt, found.n_dropped, len(found.ids)) == (2, 28, 6)
    assert found == replace(generate(micro, ids=[28, 29], new_tokens=4, temperature=0), n_dropped=28)
    assert (found.text, found.completion) == ("", "")  # no tokenizer


def test_no_new_tokens_is_the_prompt_alone(micro: Checkpoint) -> None:
    assert generate(micro, ids=[1, 2], new_tokens=0).ids == (1, 2)
    assert list(stream(micro, ids=[1, 2], new_tokens=0)) == []


def test_an_empty_prompt_begins_a_text_and_none_is_the_default() -> None:
    checkpoint = load("stories")
    assert checkpoint.tokenizer is not None
    assert generate(checkpoint, "", new_tokens=1).ids[:-1] == (0,)
    default = tuple(checkpoint.tokenizer.encode(DEFAULT_PROMPT))
    assert generate(checkpoint, new_tokens=1).ids[:-1] == default
    letters = {letter: byte for byte, letter in byte_to_unicode().items()}
    with pytest.raises(SheetGPTError, match=r"no <\|endoftext\|> to begin"):
        generate(replace(checkpoint, tokenizer=Tokenizer(letters, [])), "")


def test_nothing_follows_the_end_of_the_text() -> None:
    prompt = "They lived happily ever after."
    found = generate("stories", prompt, temperature=0, new_tokens=20)
    assert found.text == prompt + "<|endoftext|>"
    assert found.ids[-1] == 0
    assert len(found.steps) == 1
    assert [text for _, text, _ in stream("stories", prompt, temperature=0, new_tokens=20)] == ["<|endoftext|>"]


def test_the_chosen_stop_id_is_the_last(micro: Checkpoint) -> None:
    params = in_cells(micro)
    free = [choice.id for choice in continue_ids(params, micro.config, [3, 4], Sampling(1.5, 64, seed=1), 10)]
    stop = free[4]
    stopped = [
        choice.id for choice in continue_ids(params, micro.config, [3, 4], Sampling(1.5, 64, seed=1), 10, (stop, 99))
    ]
    assert stopped == free[: free.index(stop) + 1]
    assert list(
        continue_ids(params, micro.config, [stop, stop], Sampling(), 1, [stop])
    )  # in the prompt it ends nothing


def test_streamed_text_waits_for_whole_characters() -> None:
    letters = byte_to_unicode()
    tokenizer = Tokenizer({letters[byte]: byte for byte in range(256)}, [])
    template = choose(np.zeros(2), Sampling(0), 0.0)

    def pieces(data: bytes) -> list[str]:
        choices: list[Choice] = [replace(template, id=byte) for byte in data]
        return [text for _, text, _ in with_text(tokenizer, choices, len(choices), ())]

    assert pieces("aé“".encode()) == ["a", "", "é", "", "", "“"]
    assert pieces("é".encode()[:1]) == ["\ufffd"]
    rng = np.random.default_rng(5)
    for data in (rng.integers(0, 256, 40, np.uint8).tobytes() for _ in range(200)):
        assert "".join(pieces(data)) == data.decode(errors="replace")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"new_tokens": 16}, "new_tokens must be a whole number between 0 and 15, not 16"),
        ({"new_tokens": -1}, "not -1"),
        ({"new_tokens": 1.5}, "not 1.5"),
        ({"new_tokens": 6, "context": 6}, "between 0 and 5, not 6"),
        ({"context": 17, "new_tokens": 1}, "context must be a whole number between 1 and 16, not 17"),
        ({"context": 0, "new_tokens": 0}, "not 0"),
        ({"ids": []}, "prompt is empty"),
        ({"ids": [64], "new_tokens": 1}, "Token id 64"),
        ({"prompt": "a"}, "not both"),
        ({"prompt": "a", "ids": None}, "no tokenizer"),
        ({"ids": None}, "no tokenizer"),
        ({"top_k": 65}, "top_k"),
        ({"dtype": np.float16}, "numpy.float32 or numpy.float64"),
    ],
)
def test_bad_input_is_refused_before_anything_is_computed(
    micro: Checkpoint, settings: dict[str, Any], words: str
) -> None:
    for function in FUNCTIONS:
        with pytest.raises(SheetGPTError, match=words):
            function(micro, **{"ids": [1], "new_tokens": 2} | settings)


@pytest.mark.parametrize("prompt", [[1, 2], b"a", 5])
def test_a_prompt_that_is_no_text_is_refused(prompt: Any) -> None:
    for function in FUNCTIONS:
        with pytest.raises(SheetGPTError, match=r"The prompt is a .*give a text, or token ids as ids="):
            function("stories", prompt)


def test_more_tokens_than_the_model_or_the_cache_has_are_refused(micro: Checkpoint) -> None:
    with pytest.raises(SheetGPTError, match="between 0 and 14, not 15"):
        continue_ids(micro.params, micro.config, [1, 2], Sampling(), 15)
    with pytest.raises(SheetGPTError, match="has 2 columns; 3 tokens"):
        advance(micro.params, micro.config, [1, 2, 3], Cache(micro.config, 2, np.float32))
