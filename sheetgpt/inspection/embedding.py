"""Words as directions: the nearest tokens, analogies, and a map of the commonest ones.

Token v's embedding is its row of `wte`, before a position is added. Two tokens are as near as the cosine of the angle
between their rows: w . x / (|w| |x|); 0 where either row is all zeros. The analogy a - b + c is the sum of the rows
themselves, not of their directions, and its nearest tokens are taken without a, b and c (Mikolov and others,
"Linguistic Regularities in Continuous Space Word Representations", 2013, leave them out as well: without that, a itself
usually wins).

The map shows the first MAP tokens of more than one byte: byte-pair encoding gives the lowest ids to the pairs that it
met most often. Its axes are the two directions in which these tokens' rows differ most, their first two principal
components: eigenvectors of the covariance of the rows, each turned so that its largest entry is positive. No two
processors agree on an eigenvector's last digits, so a finished map is never found again to be compared: `map_problems`
holds it against what makes it right.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints import quantize
from sheetgpt.gpt2.checkpoints.checkpoint import DEFAULT, Checkpoint, load
from sheetgpt.gpt2.model import unembed
from sheetgpt.inspection.subject import Model
from sheetgpt.text.shown import token_strings

Array = NDArray[Any]
Word = str | int

NEAREST, ANALOGIES = 10, 5  # how many tokens are shown
MAP = 300
SPACE = "·"  # as a token's space is shown
LAST_BIT = float(np.finfo(np.float64).eps)
SOLVER = 60  # times n last bits of |C|: what LAPACK's own tests grant its symmetric eigensolvers (TESTING/sep.in)


def neighbours(model: Model = DEFAULT, word: Word = "dog") -> pd.DataFrame:
    """The ten tokens that are nearest to a word, or to a token's id: `id`, `token` and `cosine`, by rank.

    A word is looked for with a space before it first, as it stands in a text, then without. Raises SheetGPTError for a
    word that the model reads in several tokens.
    """
    return near_table(*embeddings(model), word)


def analogy(model: Model = DEFAULT, a: Word = "him", b: Word = "he", c: Word = "she") -> pd.DataFrame:
    """The five tokens that are nearest to a - b + c, without the three: `id`, `token` and `cosine`, by rank.

    `sheetgpt.analogy("stories", "him", "he", "she")`. Words and ids as in `neighbours`.
    """
    return analogy_table(*embeddings(model), a, b, c)


def embeddings(model: Model, weights: str = quantize.EXACT) -> tuple[Array, Sequence[str]]:
    """`wte` as cells hold it, whose weights are exact or rounded, and each token as it is shown."""
    checkpoint = model if isinstance(model, Checkpoint) else load(model)
    shown, _ = token_strings(checkpoint.tokenizer, checkpoint.config.n_vocab)
    params = quantize.evaluated(quantize.stored({"wte": checkpoint.params["wte"]}, weights))
    return np.asarray(params["wte"], np.float64), shown


def near_table(table: Array, shown: Sequence[str], word: Word) -> pd.DataFrame:
    """Of embeddings that are there.  [n_vocab, n_embd]"""
    id = the_id(word, shown)
    found = cosines(table, table[id])
    return _frame(nearest(found, [id], NEAREST), found, shown)


def analogy_table(table: Array, shown: Sequence[str], a: Word, b: Word, c: Word) -> pd.DataFrame:
    """Of embeddings that are there.  [n_vocab, n_embd]"""
    ids = [the_id(word, shown) for word in (a, b, c)]
    found = cosines(table, table[ids[0]] - table[ids[1]] + table[ids[2]])
    return _frame(nearest(found, ids, ANALOGIES), found, shown)


def _frame(ids: list[int], found: Array, shown: Sequence[str]) -> pd.DataFrame:
    columns = {"id": ids, "token": [shown[id] for id in ids], "cosine": found[ids]}
    return pd.DataFrame(columns, index=pd.Index(range(1, len(ids) + 1), name="rank"))


def the_id(word: Word, shown: Sequence[str]) -> int:
    """Of a word or an id. Raises SheetGPTError where there is none."""
    if isinstance(word, str):
        found = token_of(word, shown)
        if found is None:
            raise SheetGPTError(f"No token of this model is {word!r} alone: it reads that in several tokens.")
        return found
    if word not in range(len(shown)):
        raise SheetGPTError(f"There is no token {word}: ids are 0 to {len(shown) - 1}.")
    return word


def spellings(word: str) -> tuple[str, str]:
    """How the token of a word may be shown: with a space before it, and as it is typed."""
    written = word.replace(" ", SPACE)
    return SPACE + written, written


def token_of(word: str, shown: Sequence[str]) -> int | None:
    """The lowest id whose token is the word after a space, or else the word."""
    for spelling in spellings(word) if word else ():
        if spelling in shown:
            return list(shown).index(spelling)
    return None


def norms(table: Array) -> Array:
    """The length of each row.  [n_vocab, n_embd] -> [n_vocab]"""
    found: Array = np.sqrt((table * table).sum(axis=1))
    return found


def cosines(table: Array, vector: Array) -> Array:
    """Of every row with a vector.  [n_vocab, n_embd], [n_embd] -> [n_vocab]"""
    sizes = norms(table) * np.sqrt(vector @ vector)
    dots = unembed(table, vector[:, None])[:, 0]
    found: Array = np.divide(dots, sizes, np.zeros_like(dots), where=sizes > 0)
    return found


def nearest(found: Array, without: Sequence[int], n: int) -> list[int]:
    """The ids of the largest cosines but those of `without`, of equal ones the lowest first."""
    order = np.argsort(-found, kind="stable")
    return [int(id) for id in order if id not in {*without}][:n]


@dataclass(frozen=True)
class Map:
    """The axes of the map, and which tokens are on it."""

    ids: Array  # [n]
    centre: Array  # the mean of their rows  [n_embd]
    axes: Array  # [2, n_embd]

    def places(self, rows: Array) -> Array:
        """Across and up.  [n, n_embd] -> [n, 2]"""
        found: Array = (rows - self.centre) @ self.axes.T
        return found


def common(hexes: Sequence[str]) -> Array:
    """The ids of the first tokens of more than one byte, without those for control, which stand before the bytes; the
    first of all where there are not even three.
    """
    first = next((id for id, found in enumerate(hexes) if len(found) == 2), 0)
    longer = [id for id, found in enumerate(hexes) if len(found) > 2 and id > first]
    return np.array((longer if len(longer) > 2 else [*range(len(hexes))])[:MAP])


def map_of(rows: Array, ids: Array) -> Map:
    """`rows`: the embeddings of these ids.  [n, n_embd]"""
    centre = rows.mean(axis=0)
    centred = rows - centre
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = np.zeros((2, rows.shape[1]))
    axes[: vectors.shape[1]] = vectors.T[::-1][:2]
    largest = np.abs(axes).argmax(axis=1)
    signs = np.where(axes[np.arange(2), largest] < 0, -1.0, 1.0)
    return Map(ids, centre, axes * signs[:, None])


def map_problems(found: Map, rows: Array, saved: float) -> Iterator[tuple[int, str]]:
    """What is wrong with a map's centre c (0) and its directions v1, v2 (1, 2), found on whatever machine.  [m, n]

    With X = rows - mean, C = X^T X and lambda = v^T C v, this must hold: c is the mean; v1 and v2 are orthonormal;
    C v = lambda v; the lambdas are C's two largest eigenvalues, in this order; a v's largest entry is positive. How far
    off each may be, with u the last bit of 1, and `saved` what a program that saves the file may take from a number:

    - c: a mean of m numbers is off by at most m u / 2 of the mean of their sizes, in whatever order they are added up
      (Higham, "Accuracy and Stability of Numerical Algorithms", 4.2): once at build time, once now.
    - v: a solver's v are orthonormal to p u, and are exact for C + E with |E| <= p u |C|, p = SOLVER n. Forming C is
      off by m u / 2 trace(C), the size that |X|^T |X| has at most (Higham, 3.5); taking C v by n u / 2 |C|; X itself by
      u / 2 a number. The mean's own error d adds m |d|^2 to C, since X adds up to zero but for that. |C| <= trace(C).
    - lambda: as C v, now with the solver's E twice: by Weyl, E moves no eigenvalue by more than |E|. So eigenvalues are
      known this well however near they are to one another. Eigenvectors are not: any that keep to these bounds are
      right, and of two equally long directions either may be the first.
    - the sign: of entries that `saved` can't tell apart any may be the largest.
    """
    m, n = rows.shape
    mean = rows.mean(axis=0)
    mean_off = (m + 1) * LAST_BIT * np.abs(rows).mean(axis=0) + saved * np.abs(mean)
    if not (np.abs(found.centre - mean) <= mean_off).all():
        yield 0, "the centre is not the mean of the tokens' rows"
    x = rows - mean
    c, unit_off = x.T @ x, SOLVER * n * LAST_BIT + 2 * saved
    off = 2 * (unit_off + (m + n) * LAST_BIT) * float(np.trace(c)) + m * float(mean_off @ mean_off)
    longest = np.linalg.eigvalsh(c)[::-1]
    first = None  # where it is right: the second must stand at right angles to it
    for i, v in enumerate(found.axes[:n]):
        with np.errstate(over="ignore", invalid="ignore"):  # anything may stand in a file; NaN is within no bound
            size = float(v @ c @ v)
            largest = v[np.abs(v) >= (1 - 2 * saved) * np.abs(v).max()]
            right = {
                "has not length 1": abs(v @ v - 1) <= unit_off,
                "has no right angle with the first": first is None or abs(first @ v) <= unit_off,
                "is no eigenvector of the tokens' covariance": np.linalg.norm(c @ v - size * v) <= off,
                "is not the one in which they differ most": abs(size - longest[i]) <= off,
                "has a negative largest entry": largest.max() > 0,
            }
        wrong = [words for words, holds in right.items() if not holds]
        if wrong:
            yield i + 1, f"the {('first', 'second')[i]} direction {wrong[0]}"
        elif i == 0:
            first = v
    if found.axes[n:].any():
        yield 2, "the second direction is not zero, where there is a single feature"
