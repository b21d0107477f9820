"""The choice of the next token, rule by rule, and against Hugging Face's top-k and top-p (make_golden.py)."""

import math
from typing import Any

import numpy as np
import pytest
from places import GOLDEN

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.generation.sampling import Choice, Sampling, choose, probabilities, states, top, uniforms

HALVES = np.log([0.5, 0.25, 0.125, 0.125])  # logits whose probabilities are these


def pick(logits: Any, u: float = 0.0, **settings: Any) -> Choice:
    return choose(np.asarray(logits, float), Sampling(**settings), u)


def test_park_and_miller_s_ten_thousandth_state_is_theirs() -> None:
    assert states(0, 9997)[-1] == 1043618065  # from 1; published in CACM 31 (1988)


def test_uniforms_leave_out_three_states_and_the_same_seed_gives_the_same() -> None:
    state = 8
    for _ in range(4):
        state = state * 16807 % 2147483647
    assert uniforms(7, 3)[0] == state / 2147483647
    assert uniforms(7, 3) == uniforms(7, 5)[:3] != uniforms(8, 3)
    for seed in (0, 2147483645):
        assert all(0 < u < 1 for u in uniforms(seed, 100))


def test_ties_go_to_the_lowest_id_at_the_boundary_too() -> None:
    assert pick([1, 3, 2, 3, 2, 2], top_k=3).ids == (1, 3, 2)
    assert pick([1, 3, 2, 3, 2, 2], top_k=4).ids == (1, 3, 2, 4)
    many = np.zeros(1000)
    assert pick(many, top_k=64).ids == tuple(range(64))


def test_top_agrees_with_a_full_sort() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 10, 49, 50, 64):
        logits = rng.integers(0, 12, 50).astype(float)
        assert top(logits, n) == np.argsort(-logits, kind="stable")[:n].tolist()
        logits[[7, 8]] = np.nan  # empty cells come last
        assert top(logits, n) == np.argsort(-logits, kind="stable")[:n].tolist()


def test_a_top_k_beyond_the_vocabulary_is_the_whole_of_it() -> None:
    whole = pick(HALVES, top_k=64)
    assert whole.ids == (0, 1, 2, 3)
    np.testing.assert_allclose(whole.probs, [0.5, 0.25, 0.125, 0.125], rtol=1e-15)
    assert whole.top_k_mass == pytest.approx(1, rel=1e-15)


def test_temperature_divides_and_top_k_renormalises() -> None:
    found = pick([0.0, 4.0, 2.0, -9.0], temperature=2, top_k=2)
    assert (found.ids, found.logits, found.scaled) == ((1, 2), (4, 2), (0, -1))
    e = math.exp(-1)
    np.testing.assert_allclose(found.probs, [1 / (1 + e), e / (1 + e)], rtol=1e-15)
    everything = np.exp([0 / 2, 4 / 2, 2 / 2, -9 / 2])
    assert found.top_k_mass == pytest.approx((everything[1] + everything[2]) / everything.sum(), rel=1e-14)


@pytest.mark.parametrize(
    ("top_p", "kept"), [(1e-9, 1), (0.25, 1), (0.26, 2), (0.5, 2), (0.5000000005, 2), (0.75, 3), (0.76, 4), (1, 4)]
)
def test_the_one_that_crosses_top_p_is_kept_and_the_next_is_not(top_p: float, kept: int) -> None:
    found = pick([9, 9, 9, 9, -99, -99], top_k=4, top_p=top_p)
    assert found.cumulative == (0.25, 0.5, 0.75, 1)  # exact
    assert (found.kept, found.kept_mass) == (kept, kept / 4)
    assert found.kept_share == found.top_k_mass * found.kept_mass


@pytest.mark.parametrize("temperature", [0.001, 0.04, 0.1, 1])
def test_top_p_1_keeps_all_where_the_running_total_is_1_before_the_last(temperature: float) -> None:
    found = pick(np.linspace(10, 0, 64), temperature=temperature, top_k=64, top_p=1)
    assert found.kept == 64
    assert pick(np.linspace(10, 0, 64), temperature=0.001, top_k=64, top_p=0.999).kept == 1


def test_no_share_of_equal_logits_lies_near_a_uniform_number() -> None:
    """Where 64 or fewer are equally likely, the running totals are a / b: rounding can't decide between them."""
    m = 2147483647
    for b in range(1, 65):
        nearest = min(abs(round(a * m / b) / m - a / b) for a in range(1, b)) if b > 1 else 1.0
        assert nearest > 7e-12
    assert 1 - uniforms(0, 1)[0] > 4e-10


def test_the_draw_is_scaled_to_what_is_kept_and_the_first_above_it_wins() -> None:
    logits = np.zeros(4)  # four quarters, exact
    assert [pick(logits, u).winner for u in (0, 0.2499, 0.25, 0.4999, 0.5, 0.75)] == [0, 0, 1, 1, 2, 3]
    half = pick(logits, 0.5, top_p=0.5)
    assert (half.kept, half.kept_mass, half.draw, half.winner, half.id) == (2, 0.5, 0.25, 1, 1)
    assert half.uniform == 0.5


@pytest.mark.parametrize("top_p", [0.1, 0.37, 0.9, 1.0])
def test_the_extremes_of_u_take_the_first_and_the_last_kept(top_p: float) -> None:
    logits = np.random.default_rng(1).normal(size=300)
    first, last = pick(logits, 0.0, top_p=top_p), pick(logits, math.nextafter(1, 0), top_p=top_p)
    assert (first.winner, last.winner) == (0, last.kept - 1)
    assert pick(logits, 1 / 2147483647, top_p=top_p).winner == 0


def test_temperature_0_takes_the_largest_whatever_the_rest_says() -> None:
    for u in (0.0, 0.999):
        found = pick([1, 3, 2, 3], u, temperature=0, top_k=3, top_p=0.2)
        assert (found.id, found.ids, found.scaled, found.probs, found.cumulative) == (1, (1,), (0,), (1,), (1,))
        assert (found.kept, found.kept_mass, found.top_k_mass, found.kept_share) == (1, 1, 1, 1)


def test_over_many_seeds_tokens_come_up_as_often_as_they_should() -> None:
    n = 4000
    counts = np.bincount([pick(HALVES, uniforms(seed, 1)[0], top_p=0.8).id for seed in range(n)], minlength=4)
    expected = np.array([4, 2, 1, 0]) / 7
    assert np.abs(counts / n - expected).max() < 4 * math.sqrt(0.25 / n)


def test_probabilities_of_the_cold_and_of_the_hot_are_finite() -> None:
    logits = np.array([1e4, 0.0, -1e4])
    for temperature in (0.001, 100):
        assert np.isfinite(probabilities(logits, temperature)).all()
        assert np.isfinite(pick(logits, 0.5, temperature=temperature).probs).all()


@pytest.mark.parametrize("case", [name for name in np.load(GOLDEN / "choices.npz").files if "greedy" not in name])
def test_what_is_kept_is_what_transformers_keeps(case: str) -> None:
    expected = np.load(GOLDEN / "choices.npz")[case]
    name, temperature, top_k, top_p = case.split(",")
    source = np.load(GOLDEN / ("stories.npz" if name.isdigit() else "odd.npz"))
    logits = source[f"{name}.logits"][:, -1]
    found = choose(logits, Sampling(float(temperature), int(top_k), float(top_p)), 0.5)
    kept = list(found.ids[: found.kept])
    assert sorted(kept) == np.flatnonzero(expected).tolist()
    np.testing.assert_allclose(np.array(found.probs[: found.kept]) / found.kept_mass, expected[kept], rtol=1e-12)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"temperature": -1}, "temperature must be 0 or between .*, not -1"),
        ({"temperature": 1e-4}, "temperature must be .*, not 0.0001"),
        ({"temperature": math.nan}, "temperature must be .*, not nan"),
        ({"temperature": "hot"}, "temperature must be .*, not 'hot'"),
        ({"top_k": 0}, "top_k must be a whole number between 1 and 64, not 0"),
        ({"top_k": 65}, "not 65"),
        ({"top_k": 2.5}, "not 2.5"),
        ({"top_k": True}, "not True"),
        ({"top_p": 0}, "top_p must be above 0"),
        ({"top_p": 1.01}, "not 1.01"),
        ({"top_p": None}, "not None"),
        ({"seed": -1}, "seed must be a whole number between 0 and 2147483645, not -1"),
        ({"seed": 2147483646}, "not 2147483646"),
        ({"seed": 0.0}, "not 0"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SheetGPTError, match=words):
        Sampling(**settings)


def test_numpy_s_own_numbers_are_taken() -> None:
    numbers: tuple[Any, ...] = (np.float64(0.5), np.int64(3), np.float32(0.5), np.int32(5))
    assert uniforms(Sampling(*numbers).seed, 1) == uniforms(5, 1)


def test_logits_and_uniforms_that_choose_nothing_are_refused() -> None:
    with pytest.raises(SheetGPTError, match="logit of token 1 is nan"):
        pick([0.0, math.nan, 1.0])
    with pytest.raises(SheetGPTError, match="below 1, not 1"):
        pick([0.0, 1.0], 1.0)
