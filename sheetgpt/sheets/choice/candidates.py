"""The tables of the Sample sheet, a candidate a row."""

from typing import Any

from sheetgpt.gpt2.generation.sampling import ALL_OF_IT, MARGIN
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.block import Block, Part, unguarded
from sheetgpt.sheets.choice.choosing import IN_USE, Chosen, Columns
from sheetgpt.sheets.formulas import rank_id, text_at
from sheetgpt.sheets.grid import INDEX, OUTPUT
from sheetgpt.sheets.page import Bar, Beside
from sheetgpt.sheets.state import State


def tables(it: Columns) -> list[Part]:
    return [*likeliest(it), *probabilities(it), *draws(it)]


def likeliest(it: Columns) -> list[Part]:
    def token(j: int) -> str:
        return text_at(it.layout["vocab_shown"].reference, f"{it.cell('ids', j)}+1")

    def tokens_now(now: Chosen) -> list[str]:
        return [now.shown[token] for token in now.choice.ids]

    def prob(j: int) -> str:
        return f"{it.cell('weights', j)}/{it.cell('weight_sum')}"

    def id(j: int) -> str:
        """Where the rank's logit stands among all; on a tie the next id that has it."""
        logits = it.layout["logits"]
        above = (it.cell("logits", j - 1), it.cell("ids", j - 1)) if j else None
        ids = Area(OUTPUT, logits.row, INDEX, logits.n_rows).reference
        return rank_id(it.cell("logits", j), it.logits, ids, it.layout.config.n_vocab, above)

    def logit(j: int) -> str:
        return f"LARGE({it.logits},{j + 1})"

    tokens = it.table("tokens", "candidates", token, tokens_now, style="token", idle="")
    return [
        Bar("candidates", "The likeliest next tokens, best first; the chosen one is marked."),
        Beside(tokens, in_use(it, tokens.n_rows)),
        Bar("probability", "Weight divided by the sum of the weights: a probability among the candidates."),
        it.table("probs", "probability", prob, lambda now: now.choice.probs, style="prob"),
        Bar("token ids", "The token with that logit; on a tie the lowest id that is not in the list yet."),
        it.table("ids", "token ids", id, lambda now: now.choice.ids, style="id", exact=True),
        Bar("logits", "The top_k largest logits of the Output sheet."),
        it.table("logits", "logits", logit, lambda now: now.choice.logits, style="number", exact=True),
    ]


def in_use(it: Columns, n: int) -> Block:
    """1 where there is a rank j: `top_k` of them, at temperature 0 one. In column C, once for all tables."""

    def formula(j: int, t: int) -> str:
        return f"IF({j}<IF({it.home('temperature')}=0,1,{it.home('top_k')}),1,0)"

    def twin(state: State) -> list[float]:
        sampling = state.inputs.sampling
        return [float(j < (sampling.top_k if sampling.temperature else 1)) for j in range(n)]

    place: dict[str, Any] = {"n_rows": n, "n_columns": 1, "column": IN_USE}
    return Block(formula=formula, twin=twin, label=None, style="flag", guard=unguarded, **place)


def probabilities(it: Columns) -> list[Part]:
    def scaled(j: int) -> str:
        """(logit_j - logit_0) / temperature, or 0 at temperature 0."""
        heat = it.home("temperature")
        return f"IF({heat}=0,0,({it.cell('logits', j)}-{it.cell('logits')})/{heat})"

    def weight(j: int) -> str:
        return f"EXP({it.cell('scaled', j)})"

    def cumulative(j: int) -> str:
        """cumulative_{j-1} + prob_j"""
        return f"{it.cell('cumulative', j - 1)}+{it.cell('probs', j)}" if j else it.cell("probs")

    return [
        Bar("scaled", "(logit − largest) / temperature; at temperature 0 there is one candidate."),
        it.table("scaled", "scaled", scaled, lambda now: now.choice.scaled, style="number"),
        Bar("weight", "exp(scaled)."),
        it.table("weights", "weight", weight, lambda now: now.weights.tolist()),
        Bar("running total", "This probability and all above it."),
        it.table("cumulative", "running total", cumulative, lambda now: now.choice.cumulative),
    ]


def draws(it: Columns) -> list[Part]:
    def kept(j: int) -> str:
        """The running total, as long as the one before lies below top_p."""
        if j == 0:
            return it.cell("cumulative")
        below = f"{it.cell('cumulative', j - 1)}<{top_p_limit(it.home('top_p'))}"
        return f'IF({below},{it.cell("cumulative", j)},"")'

    def wins(j: int) -> str:
        """1 where cumulative_{j-1} <= draw < cumulative_j, of those that are kept."""
        draw = it.cell("draw")
        inside = f"IF({draw}<{it.cell('cumulative', j)},1,0)"
        if j == 0:
            return inside
        return f"IF(ISNUMBER({it.cell('kept', j)}),IF({draw}>={it.cell('cumulative', j - 1)},{inside},0),0)"

    def wins_now(now: Chosen) -> list[int]:
        return [int(j == now.choice.winner) for j in range(len(now.choice.ids))]

    words = "yes where the random number falls: at or above the previous running total, and below this one."
    return [
        Bar("kept by top_p", "The running total, down to the first candidate at which it reaches top_p."),
        it.table("kept", "kept by top_p", kept, lambda now: now.choice.cumulative[: now.choice.kept]),
        Bar("chosen", words),
        it.table("wins", "chosen", wins, wins_now, style="flag", exact=True),
    ]


def top_p_limit(top_p: str) -> str:
    """What the running total must not reach before a rank that is kept: the twin's `sampling.top_p_limit`."""
    return f"IF({top_p}>{ALL_OF_IT:.10f},2,{top_p}-{MARGIN:.9f})"
