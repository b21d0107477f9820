"""From logits to the next token: the NumPy twin of the workbook's choice. Its exact rules, which the sheet follows too:

- **Inputs**: temperature (0 = greedy), top_k whole 1 .. 64, top_p above 0 and at most 1, seed whole 0 .. 2147483645.
- **Uniforms** are Park and Miller's: with m = 2147483647, s_0 = seed + 1 and s_i = 16807 s_{i-1} mod m, exact in
  doubles. Three warm-up steps are thrown away, so generated token k = 0, 1, ... gets u = s_{4+k} / m.
  Source: Park and Miller, "Random number generators: good ones are hard to find", CACM 31 (1988).
- **Ranks** j = 0 .. k-1: the k = min(top_k, n_vocab) largest logits, largest first, the lowest id first on a tie, also
  at the boundary. At temperature 0, k = 1.
- scaled_j = (logit_j - logit_0) / temperature, or 0 at temperature 0; weight_j = exp(scaled_j);
  prob_j = weight_j / (sum of the k weights); cumulative_j = cumulative_{j-1} + prob_j, added up in that order.
- **Kept** is j when cumulative_{j-1} < top_p - 1e-9: the one that reaches top_p stays, and so does the first. top_p = 1
  (more than 1 - 5e-10) keeps all. Without the 1e-9 an engine's rounding would decide where shares add up to top_p, as
  0.25 + 0.25 do to 0.5: LibreOffice's `<` takes numbers for equal that differ by less than 3.6e-15 of them.
- **Winner**: draw = u * kept_mass, with kept_mass the cumulative of the last one kept; the first kept j with
  draw < cumulative_j. Above temperature 0 this is the inverse of the kept ones' cumulative distribution. No rounding
  decides here: u is n / m with the prime m = 2^31 - 1, so it is at least 4.7e-10 / b away from every a / b, 1 included
  (b < m: shares like 3/4, where several logits are equal), and any other running total is met with odds of 1e-14.
- top_k_mass is the share of the whole vocabulary's softmax that the k hold (1 at temperature 0), and
  kept_share = top_k_mass * kept_mass that of the kept ones.
- After a chosen token that ends a text, such as `<|endoftext|>`, nothing more is chosen; its id is part of the ids.
- Window: a context of C columns and N new tokens keep the prompt's last C - N tokens; positions count from 0 there.

Hugging Face's TopKLogitsWarper and TopPLogitsWarper give the same distribution, except that the first keeps every
token that ties with the k-th.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.errors import SheetGPTError

FloatArray = NDArray[Any]

MAX_TOP_K = 64  # rows of the Sample sheet's tables
COLDEST, HOTTEST = 1e-3, 100  # a logit divided by much less than the coldest overflows
ROUNDING = 1e-14  # of the largest logit: some 50 times a double's last bit, what adding up 768 products may lose
MULTIPLIER, MODULUS = 16807, 2147483647
MAX_SEED = MODULUS - 2  # the state 0 never leaves 0, and MODULUS is 0 again
MARGIN, ALL_OF_IT = 1e-9, 0.9999999995  # of top_p; see Kept above
WARM_UP = 3  # neighbouring seeds give nearly equal first uniforms


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen. Raises SheetGPTError for a value that the workbook's cells wouldn't take."""

    temperature: float = 1.0
    top_k: int = 40
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        heat = self.temperature
        if not (_real(heat) and (heat == 0 or COLDEST <= heat <= HOTTEST)):
            raise SheetGPTError(f"The temperature must be 0 or between {COLDEST:g} and {HOTTEST}, not {_shown(heat)}.")
        check_whole("top_k", self.top_k, 1, MAX_TOP_K)
        if not (_real(self.top_p) and 0 < self.top_p <= 1):
            raise SheetGPTError(f"top_p must be above 0 and at most 1, not {_shown(self.top_p)}.")
        check_whole("seed", self.seed, 0, MAX_SEED)


@dataclass(frozen=True)
class Choice:
    """One token's choice: `ids`, `logits`, `scaled`, `probs` and `cumulative` have the k ranks, largest first."""

    id: int
    ids: tuple[int, ...]
    logits: tuple[float, ...]
    scaled: tuple[float, ...]
    probs: tuple[float, ...]
    cumulative: tuple[float, ...]
    kept: int  # the first so many ranks, which top_p leaves
    kept_mass: float
    uniform: float
    draw: float
    winner: int  # its rank: id == ids[winner]
    top_k_mass: float
    kept_share: float


def choose(logits: FloatArray, sampling: Sampling, u: float) -> Choice:
    """The next token by the rules above, computed in float64.  [n_vocab], 0 <= u < 1"""
    logits = np.asarray(logits, np.float64)
    if not np.isfinite(logits).all():
        at = int(np.argmin(np.isfinite(logits)))
        raise SheetGPTError(f"The logit of token {at} is {logits[at]:g}, so no next token can be chosen.")
    if not 0 <= u < 1:
        raise SheetGPTError(f"The uniform number must be at least 0 and below 1, not {u!r}.")
    ids = top(logits, sampling.top_k if sampling.temperature else 1)
    best = logits[ids]
    scaled = (best - best[0]) / (sampling.temperature or 1)
    weights = np.exp(scaled)
    probs = weights / weights.sum()
    cumulative = np.cumsum(probs)
    kept = 1 + int(np.count_nonzero(cumulative[:-1] < top_p_limit(sampling.top_p)))
    kept_mass = float(cumulative[kept - 1])
    draw = u * kept_mass
    winner = int(np.argmax(draw < cumulative[:kept]))
    top_k_mass = float(probabilities(logits, sampling.temperature)[ids].sum())
    return Choice(
        id=ids[winner],
        ids=tuple(ids),
        logits=tuple(best.tolist()),
        scaled=tuple(scaled.tolist()),
        probs=tuple(probs.tolist()),
        cumulative=tuple(cumulative.tolist()),
        kept=kept,
        kept_mass=kept_mass,
        uniform=u,
        draw=draw,
        winner=winner,
        top_k_mass=top_k_mass,
        kept_share=top_k_mass * kept_mass,
    )


def top_p_limit(top_p: float) -> float:
    """The running total must lie below this before a rank that is kept."""
    return 2 if top_p > ALL_OF_IT else top_p - MARGIN


def states(seed: int, n: int) -> list[int]:
    """Park and Miller's states behind the first `n` uniforms: s_4, s_5, ..."""
    state, found = int(seed) + 1, []
    for i in range(WARM_UP + n):
        state = MULTIPLIER * state % MODULUS
        if i >= WARM_UP:
            found.append(state)
    return found


def uniforms(seed: int, n: int) -> list[float]:
    """The first `n` uniform numbers of a seed, each above 0 and below 1; generated token k gets the k-th."""
    return [state / MODULUS for state in states(seed, n)]


def probabilities(logits: FloatArray, temperature: float) -> FloatArray:
    """softmax(logits / temperature); at temperature 0 all on the largest logit, the lowest id on a tie.  [n_vocab]"""
    if temperature == 0:
        one = np.zeros_like(logits)
        one[int(np.argmax(logits))] = 1
        return one
    e = np.exp((logits - logits.max()) / temperature)
    p: FloatArray = e / e.sum()
    return p


def doubt(logits: FloatArray, temperature: float = 1) -> FloatArray:
    """How well exp(logit / temperature) can be known, relative: it inherits the logits' rounding.  [n_vocab, T] -> [T]

    With logits of 10,000 and a temperature of 0.001 no better than to 1e-7.
    """
    largest: FloatArray = np.abs(logits).max(axis=0)
    return largest * (ROUNDING / temperature if temperature else 0)


def surprisal(logits: FloatArray, ids: Sequence[int], first: int = 0) -> FloatArray:
    """-log2 of the probability, at temperature 1, that each token had after those before it.  [n_vocab, T] -> [T]

    NaN for the first token, and where the logits before it, those of a position below `first`, are not wanted.
    """
    before = logits[:, :-1]
    peak = before.max(axis=0, initial=-np.inf)
    log_sum = peak + np.log(np.exp(before - peak).sum(axis=0))
    bits = np.full(len(ids), np.nan)
    bits[1:] = (log_sum - before[list(ids[1:]), np.arange(len(ids) - 1)]) / np.log(2)
    bits[: first + 1] = np.nan
    return bits


def top(logits: FloatArray, n: int) -> list[int]:
    """The ids of the `n` largest logits, largest first, the lowest id first on a tie."""
    down = -logits
    candidates = np.arange(len(down))
    if n < len(down):  # sorts only what can be among them: 0.1 ms instead of 6 for GPT-2's vocabulary
        candidates = np.flatnonzero(~(down > np.partition(down, n - 1)[n - 1]))
    return [int(i) for i in candidates[np.argsort(down[candidates], kind="stable")][:n]]


def check_whole(name: str, value: Any, least: int, most: int) -> None:
    """Refuses what is no whole number between `least` and `most`."""
    if not isinstance(value, Integral) or isinstance(value, bool) or not least <= int(value) <= most:
        raise SheetGPTError(f"{name} must be a whole number between {least} and {most}, not {_shown(value)}.")


def _real(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    return f"{value:g}" if _real(value) and not isinstance(value, Integral) else repr(value)
