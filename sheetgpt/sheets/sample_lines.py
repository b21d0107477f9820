"""The single rows of the Sample sheet, from the random number to what is left out; see `sample_records.py`."""

from sheetgpt.gpt2.sampling import MODULUS, MULTIPLIER
from sheetgpt.sheets.formulas import is_among, sum_exp, text_at
from sheetgpt.sheets.grid import ID_ROW, POSITION_ROW
from sheetgpt.sheets.sample_records import Here, Line


def choosing(here: Here) -> str:
    """1 from the prompt's last token on, unless this token was written and ends the text."""
    position, n_prompt, token = here.header(POSITION_ROW), here.home("n_prompt"), here.header(ID_ROW)
    same = is_among(token, here.layout.model_cells["end_of_text"])
    written = f"AND({position}>={n_prompt},{same})"
    return f"IF({here.home('settings_ok')}=1,IF({position}<{n_prompt}-1,0,IF({written},0,1)),0)"


def state(here: Here) -> str:
    """s_i = 16807 s_{i-1} mod 2147483647; the one before the first stands in column E."""
    own = here.layout.sample["sample_state"]
    first = f"{here.header(POSITION_ROW)}={here.home('n_prompt')}-1"
    return f"MOD({MULTIPLIER}*IF({first},${own.at(0, -1)},{own.at(0, -1)}),{MODULUS})"


def winner(here: Here, table: str) -> str:
    """The entry of the rank that wins."""
    return f"INDEX({here.column(table)},MATCH(1,{here.column('wins')},0))"


def vocabulary_sum(here: Here) -> str:
    """The sum of exp((logit - largest) / temperature) over the whole vocabulary; 1 at temperature 0."""
    heat = here.home("temperature")
    return f"IF({heat}=0,1,{sum_exp(here.logits, here.cell('logits'), heat)})"


STATE = Line(
    "state",
    "random number",
    "id",
    state,
    lambda now: now.state,
    exact=True,
    title="A random number",
    words="The seed's next random number, 1 to 2147483646: the one before × 16807, modulo 2147483647. On the left "
    "are the three that come before the first one used.",
)
LINES = (
    Line(
        "choosing",
        "chooses?",
        "flag",
        choosing,
        lambda now: 1,
        idle=0,
        exact=True,
        every=True,
        title="Where",
        words="yes where the next token is chosen: from the prompt's last token on.",
    ),
    STATE,
    Line(
        "uniform",
        "between 0 and 1",
        "share",
        lambda here: f"{here.cell('state')}/{MODULUS}",
        lambda now: now.choice.uniform,
        exact=True,
    ),
    Line(
        "draw",
        "× probability kept",
        "share",
        lambda here: f"{here.cell('uniform')}*{here.cell('kept_mass')}",
        lambda now: now.choice.draw,
    ),
    Line(
        "chosen_id",
        "token id",
        "id",
        lambda here: winner(here, "ids"),
        lambda now: now.choice.id,
        exact=True,
        title="The choice",
        words="The first candidate whose running total exceeds this number.",
    ),
    Line(
        "chosen_token",
        "token",
        "token",
        lambda here: text_at(here.strings, f"{here.cell('chosen_id')}+1"),
        lambda now: now.shown[now.choice.id],
        idle="",
    ),
    Line(
        "chosen_prob",
        "its probability",
        "prob",
        lambda here: winner(here, "probs"),
        lambda now: now.choice.probs[now.choice.winner],
    ),
    Line(
        "top_k_mass",
        "of the candidates (top_k)",
        "prob",
        lambda here: f"{here.cell('weight_sum')}/{here.cell('vocab_sum')}",
        lambda now: now.choice.top_k_mass,
        title="How much is left out",
        words="Shares of the whole probability: what the candidates hold, and what those kept by top_p hold.",
    ),
    Line(
        "kept_mass",
        "of these, kept by top_p",
        "prob",
        lambda here: f"MAX({here.column('kept')})",
        lambda now: now.choice.kept_mass,
    ),
    Line(
        "kept_share",
        "kept in all",
        "prob",
        lambda here: f"{here.cell('top_k_mass')}*{here.cell('kept_mass')}",
        lambda now: now.choice.kept_share,
    ),
    Line(
        "left_out",
        "left out",
        "prob",
        lambda here: f"1-{here.cell('kept_share')}",
        lambda now: 1 - now.choice.kept_share,
    ),
    Line(
        "weight_sum",
        "sum of their weights",
        "number",
        lambda here: f"SUM({here.column('weights')})",
        lambda now: float(now.weights.sum()),
    ),
    Line(
        "vocab_sum",
        "the same sum over all tokens",
        "number",
        vocabulary_sum,
        lambda now: float(now.weights.sum()) / now.choice.top_k_mass,
    ),
)
