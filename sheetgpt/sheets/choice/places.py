"""Where everything with a name lies on the sheets Softmax and Sample."""

from sheetgpt.gpt2.sampling import MAX_TOP_K
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.grid import SAMPLE, SOFTMAX, Cursor
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.weights import VOCABULARY_AXIS
from sheetgpt.sheets.tensor import Kind, Tensor


def sample(layout: Layout) -> list[Tensor]:
    cursor = Cursor(SAMPLE, layout.context)
    ranks = min(MAX_TOP_K, layout.config.n_vocab)
    cursor.section("sample_choosing", 1)
    cursor.section("sample_state", 1)
    for name in ("uniform", "draw"):
        cursor.below(f"sample_{name}")
    cursor.section("sample_chosen_id", 1)
    cursor.below("sample_chosen_token", kind=Kind.TEXTS)
    cursor.below("sample_chosen_prob")
    cursor.section("sample_top_k_mass", 1)
    for name in ("kept_mass", "kept_share", "left_out", "weight_sum", "vocab_sum"):
        cursor.below(f"sample_{name}")
    cursor.section("sample_tokens", ranks, "rank", kind=Kind.TEXTS)
    for name in ("probs", "ids", "logits", "scaled", "weights", "cumulative", "kept", "wins"):
        cursor.section(f"sample_{name}", ranks, "rank")
    return cursor.tensors


def softmax(layout: Layout) -> list[Tensor]:
    n = layout.config.n_vocab
    columns = (("next_logits", 3), ("next_exp", 4), ("next_probs", 5))
    return [
        *(Tensor(name, (Area(SOFTMAX, 6, c, n),), Kind.NUMBERS, (VOCABULARY_AXIS,)) for name, c in columns),
        Tensor("next_max", (Area(SOFTMAX, 3, 3),), Kind.NUMBERS),
        Tensor("next_sum", (Area(SOFTMAX, 3, 4),), Kind.NUMBERS),
    ]


def places(layout: Layout) -> list[Tensor]:
    return [*sample(layout), *softmax(layout)]
