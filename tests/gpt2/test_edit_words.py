"""Edits as words: what each word means, that edits come back as they were, and what is said of words that are none."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ready import fairytale_words

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.editing.edit_words import EditWords, edits_of, parse_edits, words_of
from sheetgpt.gpt2.editing.edits import MEAN, ZERO, Edits, Patch, Steering
from sheetgpt.text.tokenizer import Tokenizer

EVERYTHING: dict[tuple[int, int | str], float] = {(1, 0): 0.0, (1, 1): 0.0, (1, "mlp"): 0.0}


@pytest.fixture(scope="module")
def wordy(make_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    """`micro` with a tokenizer of 512 tokens."""
    config = GPT2Config(n_vocab=514, n_positions=16, n_embd=16, n_layer=2, n_head=2, n_inner=24)
    return make_checkpoint(config, "wordy", files=fairytale_words(512))


@pytest.mark.parametrize(
    ("words", "edits"),
    [
        ({}, Edits()),
        ({"off": "1.0"}, Edits({(1, 0): 0.0})),
        ({"off": "1.0, 0.mlp*0.5"}, Edits({(1, 0): 0.0, (0, "mlp"): 0.5})),
        ({"off": ["1.0", "0.MLP*-2e-1"], "mean": True}, Edits({(1, 0): 0.0, (0, "mlp"): -0.2}, MEAN)),
        ({"off": "1"}, Edits(EVERYTHING)),
        ({"off": "1*2"}, Edits(dict.fromkeys(EVERYTHING, 2.0))),
        ({"off": ["1", "1.1*1"]}, Edits(EVERYTHING | {(1, 1): 1.0})),
        ({"steer": "1:#5-#6*4"}, Edits(steering=(Steering(1, 5, 6, 4.0),))),
        ({"steer": "1:~3*-2@5"}, Edits(steering=(Steering(1, None, None, -2.0, 5, 3),))),
        ({"steer": ["0:#5*-.5@3", "1:#5*4"]}, Edits(steering=(Steering(0, 5, None, -0.5, 3), Steering(1, 5, None, 4)))),
        ({"patch": "1.0@4,0.mlp@2-4"}, Edits(patches=(Patch(1, 0, 4), *(Patch(0, "mlp", t) for t in (2, 3, 4))))),
        ({"patch": "1.resid@all"}, Edits(patches=tuple(Patch(1, "resid", t) for t in range(16)))),
    ],
)
def test_what_words_mean(micro: Checkpoint, words: dict[str, Any], edits: Edits) -> None:
    assert parse_edits(micro, **words) == edits


def test_a_word_is_the_token_after_a_space_or_else_the_token_as_it_is(wordy: Checkpoint) -> None:
    assert wordy.tokenizer
    the, space_he = (wordy.tokenizer.encode(text) for text in (" the", " he"))
    assert [len(the), len(space_he)] == [1, 1]
    steer = parse_edits(wordy, steer=["0:the-he*4", "0: the*1", "0:-*2", "0:*-**2@1"]).steering
    assert (steer[0].plus, steer[0].minus) == (the[0], space_he[0])
    assert (steer[1].plus, steer[1].minus) == (the[0], None)
    assert (steer[2].plus, steer[3].plus, steer[3].minus) == tuple(wordy.tokenizer.vocab[c] for c in "-**")
    both = [wordy.tokenizer.vocab[token] for token in ("Ġt", "t")]  # the second can be had by its id
    assert [parse_edits(wordy, steer=f"0:{w}*1").steering[0].plus for w in ("t", f"#{both[1]}")] == both


def test_a_token_with_the_sign_in_it_is_found() -> None:
    """`-`, `--` and `---` are tokens: what can be read in two ways is said."""
    vocab = {token: i for i, token in enumerate([*map(chr, range(33, 127)), "--", "---"])}
    tokenizer = Tokenizer(vocab, [("-", "-"), ("--", "-")])
    config = GPT2Config(n_vocab=200, n_positions=16, n_embd=16, n_layer=2, n_head=2, n_inner=24)

    def steering(text: str) -> tuple[int, int | None]:
        steer = edits_of(EditWords(steer=(text,)), config, tokenizer).steering[0]
        assert steer.plus is not None
        return steer.plus, steer.minus

    assert steering("0:--*2") == (vocab["--"], None)
    assert steering("0:---b*2") == (vocab["--"], vocab["b"])
    assert steering("0:a-#3*2") == (vocab["a"], 3)
    with pytest.raises(
        SheetGPTError, match=rf"more than one way: write #{vocab['---']} or #{vocab['-']}-#{vocab['-']}\."
    ):
        steering("0:---*2")


PARTS = st.tuples(st.integers(0, 1), st.sampled_from([0, 1, "mlp"]))
FACTORS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 1.0, -1.0])
STEERING = st.builds(
    Steering,
    st.integers(0, 1),
    st.integers(0, 513),
    st.none() | st.integers(0, 513),
    FACTORS,
    st.integers(0, 15),
)
RANGES: st.SearchStrategy[Any] = st.tuples(
    st.integers(0, 1), st.sampled_from([0, 1, "mlp", "resid"]), st.integers(0, 15), st.integers(0, 15)
)
EDITS = st.builds(
    Edits,
    st.dictionaries(PARTS, FACTORS),
    st.sampled_from([ZERO, MEAN]),
    st.lists(STEERING, max_size=3).map(tuple),
    st.lists(RANGES, max_size=3).map(
        lambda ranges: tuple(Patch(i, part, t) for i, part, a, b in ranges for t in range(a, b + 1))
    ),
)


@given(EDITS)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_edits_come_back_from_their_words(wordy: Checkpoint, edits: Edits) -> None:
    words = words_of(edits, wordy.config, wordy.tokenizer)
    assert edits_of(words, wordy.config, wordy.tokenizer) == edits
    typed = list(words.options)
    given = {name: tuple(typed[n + 1] for n, word in enumerate(typed) if word == f"--{name}") for name in NAMES}
    assert parse_edits(wordy, mean="--mean" in typed, off=given["off"], steer=given["steer"], patch=given["patch"]) == (
        edits
    )


NAMES = ("off", "steer", "patch")


def test_words_are_as_short_as_they_can_be(wordy: Checkpoint) -> None:
    assert wordy.tokenizer
    the, he = (wordy.tokenizer.encode(text)[0] for text in (" the", " he"))
    edits = Edits(
        EVERYTHING | {(0, 1): 0.5},
        MEAN,
        (Steering(1, the, he, 4.0), Steering(0, 513, None, 0.1, 2)),  # 513 is a row without a token
        (Patch(0, 1, 3), Patch(0, 1, 4), Patch(1, "mlp", 5), *(Patch(0, "resid", t) for t in range(16))),
    )
    words = words_of(edits, wordy.config, wordy.tokenizer)
    assert str(words) == (
        "--off '0.1*0.5,1' --mean --steer '1:the-he*4' --steer '0:#513*0.1@2' --patch 0.1@3-4,1.mlp@5,0.resid@all"
    )
    assert str(words_of(Edits(), wordy.config, None)) == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        *(
            ({"off": word}, r"switches nothing off: write .* 2\.3,")
            for word in ("", "2.", "a", "1.resid", "1.0*", "1,")
        ),
        *(({"off": word}, "switches nothing off") for word in ("-1.0", "1.0*nan", "1.0=3", "9" * 5000, "1.٣")),
        *(({"steer": word}, r"doesn't steer: write .* 1:dog-cat\*4") for word in ("", "1:the", "the*4", "1:*4")),
        *(({"steer": word}, "doesn't steer") for word in ("1:the*x", "1:the*4@", "1:the*4@-1", "1.2:the*4")),
        *(({"patch": word}, r"is no patch: write .* 2\.3@4") for word in ("", "1.0", "1@3", "1.0@", "1.0@2-", "1.0@x")),
        ({"off": "2.0"}, "There is no block 2"),
        ({"off": "7"}, "There is no block 7"),
        ({"off": "1.2"}, "There is no head 2 in block 1"),
        ({"off": "1.0*1e999"}, "finite"),
        ({"steer": "1:#514*4"}, "There is no token 514"),
        ({"steer": "1:the*4@16"}, "There is no position 16"),
        ({"steer": "2:the*4"}, "There is no block 2"),
        ({"patch": "1.0@16"}, "There is no position 16"),
        ({"patch": "1.0@3-999999999"}, "There is no position 999999999"),
        ({"patch": "1.0@5-2"}, "run backwards: write 2-5"),
        ({"steer": "1:theking*4"}, r"'theking' is \d tokens of this model, “·the” “.*” .*, such as #\d+\."),
        ({"steer": "1:the-theking*4"}, "'theking' is"),
        ({"steer": "1:theking-the*4"}, "'theking' is"),
        ({"steer": "1:the-he-theking*4"}, "'he-theking' is"),
    ],
)
def test_words_that_are_none_are_one_sentence(wordy: Checkpoint, words: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SheetGPTError, match=sentence) as said:
        parse_edits(wordy, **words)
    assert len(str(said.value)) < 300


def test_without_a_tokenizer_tokens_are_ids(micro: Checkpoint) -> None:
    with pytest.raises(SheetGPTError, match="no tokenizer files: give a token by its id, such as #5, not 'king'"):
        parse_edits(micro, steer="1:king*4")
    with pytest.raises(SheetGPTError, match="not 'king'"):
        parse_edits(micro, steer="1:#5-king*4")
