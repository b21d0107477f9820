"""The tables of the Sample sheet, a candidate a row; see `sample_records.py`."""

from sheetgpt.gpt2.sampling import ALL_OF_IT, MARGIN
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.choice.sample_records import Here, Table
from sheetgpt.sheets.formulas import rank_id, text_at
from sheetgpt.sheets.grid import INDEX, OUTPUT


def candidate_id(here: Here, j: int) -> str:
    """Where the rank's logit stands among all; on a tie the next id that has it."""
    logits, above = here.layout["logits"], None
    if j:
        above = here.cell("logits", j - 1), here.cell("ids", j - 1)
    ids = Area(OUTPUT, logits.row, INDEX, logits.n_rows).reference
    return rank_id(here.cell("logits", j), here.logits, ids, here.layout.config.n_vocab, above)


def scaled(here: Here, j: int) -> str:
    """(logit_j - logit_0) / temperature, or 0 at temperature 0."""
    heat = here.home("temperature")
    return f"IF({heat}=0,0,({here.cell('logits', j)}-{here.cell('logits')})/{heat})"


def cumulative(here: Here, j: int) -> str:
    """cumulative_{j-1} + prob_j"""
    return f"{here.cell('cumulative', j - 1)}+{here.cell('probs', j)}" if j else here.cell("probs")


def kept(here: Here, j: int) -> str:
    """The running total, as long as the one before lies below top_p."""
    if j == 0:
        return here.cell("cumulative")
    below = f"{here.cell('cumulative', j - 1)}<{top_p_limit(here.home('top_p'))}"
    return f'IF({below},{here.cell("cumulative", j)},"")'


def top_p_limit(top_p: str) -> str:
    """What the running total must not reach before a rank that is kept: the twin's `sampling.top_p_limit`."""
    return f"IF({top_p}>{ALL_OF_IT:.10f},2,{top_p}-{MARGIN:.9f})"


def wins(here: Here, j: int) -> str:
    """1 where cumulative_{j-1} <= draw < cumulative_j, of those that are kept."""
    draw = here.cell("draw")
    inside = f"IF({draw}<{here.cell('cumulative', j)},1,0)"
    if j == 0:
        return inside
    return f"IF(ISNUMBER({here.cell('kept', j)}),IF({draw}>={here.cell('cumulative', j - 1)},{inside},0),0)"


CANDIDATES = Table(
    "tokens",
    "candidates",
    "The likeliest next tokens, best first; the chosen one is marked.",
    "token",
    lambda here, j: text_at(here.strings, f"{here.cell('ids', j)}+1"),
    lambda now: [now.shown[token] for token in now.choice.ids],
    idle="",
)
TABLES = (
    CANDIDATES,
    Table(
        "probs",
        "probability",
        "Weight divided by the sum of the weights: a probability among the candidates.",
        "prob",
        lambda here, j: f"{here.cell('weights', j)}/{here.cell('weight_sum')}",
        lambda now: now.choice.probs,
    ),
    Table(
        "ids",
        "token ids",
        "The token with that logit; on a tie the lowest id that is not in the list yet.",
        "id",
        candidate_id,
        lambda now: now.choice.ids,
        exact=True,
    ),
    Table(
        "logits",
        "logits",
        "The top_k largest logits of the Output sheet.",
        "number",
        lambda here, j: f"LARGE({here.logits},{j + 1})",
        lambda now: now.choice.logits,
        exact=True,
    ),
    Table(
        "scaled",
        "scaled",
        "(logit − largest) / temperature; at temperature 0 there is one candidate.",
        "number",
        scaled,
        lambda now: now.choice.scaled,
    ),
    Table(
        "weights",
        "weight",
        "exp(scaled).",
        "share",
        lambda here, j: f"EXP({here.cell('scaled', j)})",
        lambda now: now.weights.tolist(),
    ),
    Table(
        "cumulative",
        "running total",
        "This probability and all above it.",
        "share",
        cumulative,
        lambda now: now.choice.cumulative,
    ),
    Table(
        "kept",
        "kept by top_p",
        "The running total, down to the first candidate at which it reaches top_p.",
        "share",
        kept,
        lambda now: now.choice.cumulative[: now.choice.kept],
    ),
    Table(
        "wins",
        "chosen",
        "yes where the random number falls: at or above the previous running total, and below this one.",
        "flag",
        wins,
        lambda now: [int(j == now.choice.winner) for j in range(len(now.choice.ids))],
        exact=True,
    ),
)
