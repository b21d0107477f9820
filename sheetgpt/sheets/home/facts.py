"""On the right of Home's settings: how many tokens there are, how surprising the prompt was, how sure the model is."""

from collections.abc import Callable

import numpy as np

from sheetgpt.gpt2.generation import sampling
from sheetgpt.sheets.block import Part, cell
from sheetgpt.sheets.formulas import to_go_on
from sheetgpt.sheets.grid import FIRST_TOKEN, HOME
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.page import Beside, Texts
from sheetgpt.sheets.state import State
from sheetgpt.sheets.tensor import Value
from sheetgpt.sheets.text.pages import Text

TITLE, FACT = FIRST_TOKEN, FIRST_TOKEN + 4  # columns
BITS, INFINITE = 1023, "∞"  # a double ends below 2^1024


def line(
    name: str,
    title: str,
    formula: Callable[[], str],
    twin: Callable[[State], Value],
    style: str = "id",
    doubt: Callable[[State], float] | None = None,
) -> Part:
    return Beside(Texts({TITLE: title}, "name"), cell(FACT, formula, twin, style, name, doubt=doubt))


def lengths(layout: Layout, text: Text | None) -> list[Part]:
    """How many tokens the prompt has, how many of them have room, and how many there are with the new ones."""

    def given() -> str:
        typed = f"SUM({layout['ids_typed'].local})"
        if text is None:
            return typed
        first = layout["prompt_ids"].stripe(0).local  # as in strip.read_id
        ids = f"COUNTA({first})" if layout.reads_only else layout["n_ids"].local
        return f"IF({ids}>0,{typed},{text.tokenizer['n_tokens'].reference})"

    def dropped() -> str:
        if layout.reads_only:
            return f"MAX(0,{layout['n_given'].local}-{layout.context})"
        room = f"{layout.context}-IF({layout['settings_ok'].local}=1,{layout['new_tokens'].local},0)"
        return f"MAX(0,{layout['n_given'].local}-({room}))"

    def kept() -> str:
        return f"{layout['n_given'].local}-{layout['n_dropped'].local}"

    def every() -> str:
        return f"SUM({layout['active'].local})"

    return [
        line("n_given", "Prompt tokens", given, lambda s: s.now.n_given),
        line("n_dropped", "– dropped for lack of room", dropped, lambda s: s.now.n_given - s.prompt.n_prompt),
        line("n_prompt", "– kept", kept, lambda s: s.prompt.n_prompt),
        line("n_tokens", "All tokens, with the new ones", every, lambda s: s.prompt.n),
    ]


def surprises(layout: Layout) -> list[Part]:
    """In bits: of the prompt's tokens, and of the next one."""

    def loss() -> str:
        """The mean of the prompt's surprisals; its first token has none."""
        n_prompt = layout["n_prompt"].local
        total = f'SUMIF({layout["positions"].local},"<"&{n_prompt},{layout["surprisal"].local})'
        scored = f"AND({layout['score_prompt'].local}=1,{n_prompt}>1)"
        return f'IF({scored},{total}/({n_prompt}-1),"")'

    def loss_now(state: State) -> Value:
        known = state.inputs.score_prompt and state.prompt.n_prompt > 1
        return float(np.mean(state.now.surprisal[1 : state.prompt.n_prompt])) if known else ""

    def perplexity() -> str:
        """2^loss"""
        loss = layout["loss"].local
        return f'IF(ISNUMBER({loss}),IF({loss}<{BITS},2^{loss},"{INFINITE}"),"")'

    def perplexity_now(state: State) -> Value:
        bits = state.ask(loss_now)
        return "" if isinstance(bits, str) else 2**bits if bits < BITS else INFINITE

    def entropy() -> str:
        """log2 of the sum of e = exp((l - largest) / T), minus the mean of (l - largest) / T log2 e"""
        logits, probs, peak, total = (layout[f"next_{name}"].reference for name in ("logits", "probs", "max", "sum"))
        heat, mean = layout["temperature"].local, f"SUMPRODUCT({probs},{logits}-{peak})"
        return f'IF({to_go_on(layout, HOME, heated=True)},IF({heat}=0,0,(LN({total})-{mean}/{heat})/LN(2)),"")'

    def entropy_now(state: State) -> Value:
        probs = sampling.probabilities(state.now.logits, state.inputs.sampling.temperature)
        return -float(np.sum(probs[probs > 0] * np.log2(probs[probs > 0])))

    def doubt(state: State) -> float:
        return state.now.doubt

    def hot(state: State) -> float:
        return max(state.now.doubt, float(sampling.doubt(state.now.logits, state.inputs.sampling.temperature)))

    return [
        line("loss", "Prompt's surprise, bits per token", loss, loss_now, "share", doubt),
        line("perplexity", "Prompt's perplexity", perplexity, perplexity_now, "large", doubt),
        line("entropy", "Next token's entropy, bits", entropy, entropy_now, "share", hot),
    ]
