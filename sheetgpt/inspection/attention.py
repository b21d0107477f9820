"""Who looks at whom, and what each head does on a text.

A pattern is [key, query]: p[k, q] is how much attention token q pays to token k <= q; a column adds up to 1.

What a head does is the share of its attention that goes to certain keys, averaged over the tokens that have such a key:

- previous:  p[q - 1, q], for q >= 1.
- first:     p[0, q], for q >= 1.
- itself:    p[q, q], for q >= 1: the first token can look at nothing else.
- duplicate: sum of p[k, q] over the earlier copies k < q, ids[k] = ids[q]; for every q that has one.
- induction: sum of p[k + 1, q] over the same k: the token that came after the copy; for the same q.

The keys of previous, duplicate and induction are the detection patterns of TransformerLens (`head_detector.py`:
`previous_token_head`, `duplicate_token_head`, `induction_head`; where a token follows its own copy, the token after
that copy is the token itself, and counts). Its score "mul" divides by all attention, which is 1 for each of the T
tokens: it is the average here, times the number of tokens that it is over, divided by T. To average over the tokens
that have such a key is how "In-context Learning and Induction Heads" (Olsson et al. 2022) scores prefix matching: the
average attention from the repeated tokens to those that followed them the first time.

entropy is in bits, - sum over k of p[k, q] log2 p[k, q], averaged over q >= 1: 0 where a head looks at one token only,
log2(q + 1) where it looks at all alike.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import DEFAULT
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.inspection.subject import Model, Subject, subject

Floats = NDArray[Any]

MEASURES = ("previous", "first", "itself", "duplicate", "induction")
CLOSE = 1e-9  # of two that differ by less the first counts: how a program rounds must not decide


def attention(
    model: Model = DEFAULT,
    prompt: str | None = None,
    *,
    ids: Sequence[int] | None = None,
    block: int = 0,
    head: int = 0,
) -> pd.DataFrame:
    """The pattern of one head: rows are the tokens looked at, columns the tokens that look.  [T, T]

    `sheetgpt.attention("stories", "Once upon a time", block=1, head=3)`. Raises SheetGPTError for bad input.
    """
    return pattern(subject(model, prompt, ids), block, head)


def heads(model: Model = DEFAULT, prompt: str | None = None, *, ids: Sequence[int] | None = None) -> pd.DataFrame:
    """What every head does on the prompt: a row for each (block, head), the columns as this module's head has them.

    NaN where no token has such a key. The column `most` names the largest of the five.
    """
    return head_table(subject(model, prompt, ids))


def pattern(text: Subject, block: int, head: int) -> pd.DataFrame:
    """Of a text that has been read; no number where the key comes after the query."""
    check_head(text.config, block, head)
    probs = text.trace[f"h{block}.attn.probs.{head}"]
    seen = np.where(later(len(text.ids)), np.nan, probs)
    return pd.DataFrame(seen, index=text.labels("key"), columns=text.labels("token"))


def head_table(text: Subject) -> pd.DataFrame:
    """The measures, the entropy and the strongest measure of every head."""
    places = [(i, j) for i in range(text.config.n_layer) for j in range(text.config.n_head)]
    found = [measures(text.trace[f"h{i}.attn.probs.{j}"], text.ids) for i, j in places]
    table = pd.DataFrame(found, pd.MultiIndex.from_tuples(places, names=("block", "head")), [*MEASURES, "entropy"])
    table["most"] = [strongest(one[: len(MEASURES)]) for one in found]
    return table


def measures(probs: Floats, ids: Sequence[int]) -> Floats:
    """The five averages and the entropy of one pattern; NaN where no token has such a key.  [T, T] -> [6]"""
    n, copy = len(ids), copies(ids)
    has_copy = copy.any(axis=0)
    after = np.zeros_like(copy)
    after[1:] = copy[:-1]
    totals = (
        (np.trace(probs, 1), n - 1),
        (probs[0, 1:].sum(), n - 1),
        (np.trace(probs) - probs[0, 0], n - 1),
        (probs[copy].sum(), has_copy.sum()),
        (probs[after].sum(), has_copy.sum()),
        (entropies(probs)[1:].sum(), n - 1),
    )
    return np.array([total / count if count else np.nan for total, count in totals])


def copies(ids: Sequence[int]) -> NDArray[np.bool_]:
    """Where the key is an earlier copy of the query's token.  [T] -> [T, T], [key, query]"""
    tokens = np.asarray(ids)
    same: NDArray[np.bool_] = np.triu(tokens[:, None] == tokens[None, :], 1)
    return same


def later(n: int) -> NDArray[np.bool_]:
    """Where the key comes after the query.  [n, n], [key, query]"""
    return np.tri(n, n, -1, bool)


def entropies(probs: Floats) -> Floats:
    """- sum over k of p[k, q] log2 p[k, q], in bits; a key without attention adds nothing.  [T, T] -> [T]"""
    logs = np.log2(probs, where=probs > 0, out=np.zeros_like(probs))
    found: Floats = -(probs * logs).sum(axis=0)
    return found


def strongest(found: Floats) -> str:
    """The name of the largest measure, "" where there is none."""
    known = np.nan_to_num(found, nan=-1)
    return MEASURES[first_of_largest(known)] if known.max() >= 0 else ""


def first_of_largest(values: Floats) -> int:
    """The first of those within CLOSE of the largest."""
    return int(np.argmax(values >= values.max() - CLOSE))


def check_head(config: GPT2Config, block: int, head: int) -> None:
    for name, number, n in (("block", block, config.n_layer), ("head", head, config.n_head)):
        if number not in range(n):
            raise SheetGPTError(f"There is no {name} {number}: the model has {name}s 0 to {n - 1}.")
