"""The Sample sheet: in each column the token after it is chosen, from the likeliest candidates down.

The rules stand in `sampling.py`, the NumPy twin, whose names these are: the `top_k` largest logits, over the
temperature, to shares of 1, of those as many as reach `top_p`, and among them a uniform number decides. Ranks
j = 0, 1, … begin with the likeliest. The single rows are here, the tables with a rank a row in `candidates.py`.
"""

from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.generation.sampling import MODULUS, MULTIPLIER, WARM_UP
from sheetgpt.sheets.block import Block, Part, cell
from sheetgpt.sheets.choice.candidates import tables
from sheetgpt.sheets.choice.choosing import IN_USE, Chosen, Columns
from sheetgpt.sheets.formulas import is_among, sum_exp, text_at
from sheetgpt.sheets.grid import BIAS, FIRST_TOKEN, GAIN, ID_ROW, INDEX, POSITION_ROW, SAMPLE, SCALE
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network.token_page import letter, token_page
from sheetgpt.sheets.page import Bar, Beside, Page
from sheetgpt.sheets.state import State
from sheetgpt.sheets.style.looks import dress, plain, put, stands_out
from sheetgpt.sheets.tensor import Value

NOTE = "Each column chooses the token that follows it; the next column reads that token."
ORANGE = "C55A11"


def page(layout: Layout) -> Page:
    words, heads = "the next token is chosen, column by column", {INDEX: "rank", IN_USE: "in use"}
    page = token_page(layout, SAMPLE, words, "Sample", NOTE, prefix="sample_", heads=heads, tab=ORANGE)
    it = Columns(layout, page)
    page.add(*where(it), *random_number(it), *choice(it), *left_out(it), *tables(it))
    page.dresses += [dress(dict.fromkeys((GAIN, BIAS, SCALE), 12)), lambda frame: _colour(frame, page)]
    return page


def _colour(frame: Worksheet, page: Page) -> None:
    """The choice stands out; where there is no candidate there is no box."""
    for name in ("tokens", "probs"):
        put(frame, page[name], stands_out(f"{letter(0)}{page['wins'].row}=1"))
    put(frame, page["tokens"], plain(f'{letter(0)}{page["tokens"].row}=""', stop=False))


def where(it: Columns) -> list[Part]:
    def choosing() -> str:
        """1 from the prompt's last token on, unless this token was written and ends the text."""
        position, n_prompt, token = it.header(POSITION_ROW), it.home("n_prompt"), it.header(ID_ROW)
        written = f"AND({position}>={n_prompt},{is_among(token, it.layout['end_of_text'])})"
        return f"IF({it.home('settings_ok')}=1,IF({position}<{n_prompt}-1,0,IF({written},0,1)),0)"

    words = "yes where the next token is chosen: from the prompt's last token on."
    return [
        Bar("Where", words),
        it.line("choosing", "chooses?", choosing, lambda now: 1, style="flag", idle=0, exact=True, every=True),
    ]


def random_number(it: Columns) -> list[Part]:
    def state() -> str:
        """s_i = 16807 s_{i-1} mod 2147483647; the one before the first stands in column E."""
        own, first = it.page["state"], f"{it.header(POSITION_ROW)}={it.home('n_prompt')}-1"
        return f"MOD({MULTIPLIER}*IF({first},${own.at(0, -1)},{own.at(0, -1)}),{MODULUS})"

    def uniform() -> str:
        return f"{it.cell('state')}/{MODULUS}"

    def draw() -> str:
        return f"{it.cell('uniform')}*{it.cell('kept_mass')}"

    words = (
        "The seed's next random number, 1 to 2147483646: the one before × 16807, modulo 2147483647. On the left are "
        "the three that come before the first one used."
    )
    own = it.line("state", "random number", state, lambda now: now.state, style="id", exact=True)
    return [
        Bar("A random number", words),
        Beside(own, *(warm_up(it, t) for t in range(-WARM_UP, 0))),
        it.line("uniform", "between 0 and 1", uniform, lambda now: now.choice.uniform, style="share", exact=True),
        it.line("draw", "× probability kept", draw, lambda now: now.choice.draw, style="share"),
    ]


def warm_up(it: Columns, t: int) -> Block:
    """Columns C to E: the three numbers before the first that is used."""

    def formula() -> str:
        before = f"({it.home('seed')}+1)" if t == -WARM_UP else f"${it.page['state'].at(0, t - 1)}"
        return f'IF({it.home("settings_ok")}=1,MOD({MULTIPLIER}*{before},{MODULUS}),"")'

    def twin(state: State) -> int:
        found = state.prompt.seed + 1
        for _ in range(t + WARM_UP + 1):
            found = MULTIPLIER * found % MODULUS
        return found

    return cell(FIRST_TOKEN + t, formula, twin, "id")


def choice(it: Columns) -> list[Part]:
    def winner(table: str) -> str:
        """The entry of the rank that wins."""
        return f"INDEX({it.column(table)},MATCH(1,{it.column('wins')},0))"

    def token() -> str:
        return text_at(it.layout["vocab_shown"].reference, f"{it.cell('chosen_id')}+1")

    def prob_now(now: Chosen) -> Value:
        return now.choice.probs[now.choice.winner]

    return [
        Bar("The choice", "The first candidate whose running total exceeds this number."),
        it.line("chosen_id", "token id", lambda: winner("ids"), lambda now: now.choice.id, style="id", exact=True),
        it.line("chosen_token", "token", token, lambda now: now.shown[now.choice.id], style="token", idle=""),
        it.line("chosen_prob", "probability, of those kept", lambda: winner("probs"), prob_now, style="prob"),
    ]


def left_out(it: Columns) -> list[Part]:
    def top_k_mass() -> str:
        return f"{it.cell('weight_sum')}/{it.cell('vocab_sum')}"

    def kept_mass() -> str:
        return f"MAX({it.column('kept')})"

    def kept_share() -> str:
        return f"{it.cell('top_k_mass')}*{it.cell('kept_mass')}"

    def rest() -> str:
        return f"1-{it.cell('kept_share')}"

    def weight_sum() -> str:
        return f"SUM({it.column('weights')})"

    def weight_sum_now(now: Chosen) -> float:
        return float(now.weights.sum())

    def vocab_sum() -> str:
        """The sum of exp((logit - largest) / temperature) over the whole vocabulary; 1 at temperature 0."""
        heat = it.home("temperature")
        return f"IF({heat}=0,1,{sum_exp(it.logits, it.cell('logits'), heat)})"

    def vocab_sum_now(now: Chosen) -> float:
        return weight_sum_now(now) / now.choice.top_k_mass

    words = "Shares of the whole probability: what the candidates hold, and what those kept by top_p hold."
    return [
        Bar("How much is left out", words),
        it.line("top_k_mass", "of the candidates (top_k)", top_k_mass, lambda now: now.choice.top_k_mass, style="prob"),
        it.line("kept_mass", "of these, kept by top_p", kept_mass, lambda now: now.choice.kept_mass, style="prob"),
        it.line("kept_share", "kept in all", kept_share, lambda now: now.choice.kept_share, style="prob"),
        it.line("left_out", "left out", rest, lambda now: 1 - now.choice.kept_share, style="prob"),
        it.line("weight_sum", "sum of their weights", weight_sum, weight_sum_now),
        it.line("vocab_sum", "the same sum over all tokens", vocab_sum, vocab_sum_now),
    ]
