"""The evaluator, run as a workbook runs: from the inputs in its yellow cells to everything that its sheets show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sheetgpt.gpt2.generation.continuation import Cache, advance
from sheetgpt.gpt2.generation.sampling import Choice, choose, doubt, surprisal, uniforms
from sheetgpt.gpt2.model import Array, Trace, forward
from sheetgpt.sheets import starts
from sheetgpt.sheets.home.after import AFTER, used_now
from sheetgpt.sheets.home.chat import n_shown
from sheetgpt.sheets.home.self_check import OTHER_INPUTS, self_check_now
from sheetgpt.sheets.inputs import EXAMPLE, LINE_BREAK, UTF8_EXAMPLE, Inputs
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.optional import Value
from sheetgpt.sheets.state import Built, Now, Origin, Prompt, State
from sheetgpt.sheets.text.decoding import split_text
from sheetgpt.sheets.text.pages import Text
from sheetgpt.text import bpe


@dataclass(frozen=True)
class Writing:
    """The ids of all active columns, the choice after each from the prompt's last on, and their trace."""

    ids: Sequence[int]
    n_prompt: int
    choices: Sequence[Choice]
    trace: Trace


def state_of(
    layout: Layout,
    text: Text | None,
    inputs: Inputs,
    params: Mapping[str, Array],
    writing: Writing,
    strings: tuple[Sequence[str], Sequence[str]],
    n_given: int,
    origin: Origin,
    by_hand: tuple[str, str] = (EXAMPLE, UTF8_EXAMPLE),
    chosen: Mapping[str, Value] | None = None,
) -> State:
    """`params`: as the cells hold them; `strings`: of each token, as it is shown and in bytes; `n_given`: how many
    tokens the prompt has, with those that dropped out; `by_hand`: the texts on the sheet BPE by hand; `chosen`: what
    the yellow cells of the optional sheets hold, where it is not what they hold at first.
    """
    ids, n_prompt, trace = writing.ids, writing.n_prompt, writing.trace
    shown, hexes = strings
    prompt = Prompt(ids, [shown[i] for i in ids], layout.context, n_prompt, inputs.sampling.seed)
    said = "".join(prompt.shown), ""
    if text is not None:
        split = split_text(text.decoding["text"].n_rows, ids, n_prompt, n_shown(layout, ids, n_prompt), hexes)
        said = split[0].replace("\n", LINE_BREAK), split[1].replace("\n", LINE_BREAK)
    bits = surprisal(trace["logits"], ids, 0 if inputs.score_prompt else n_prompt - 1)
    model = Path(origin.source).name or "a model"
    logits = trace["logits"]
    own = starts(layout) | dict(chosen or {})
    at = used_now(own[AFTER], layout, ids, n_prompt, inputs.score_prompt)
    check = OTHER_INPUTS
    if at == n_prompt - 1 and as_built(inputs, inputs.text(layout), ids[:n_prompt], origin.built):
        check = self_check_now(logits[:, at], origin.built.logits)
    now = Now(
        model,
        inputs,
        n_given,
        *said,
        logits=logits[:, at],
        surprisal=bits,
        shown=shown,
        cost=origin.built.cost,
        doubt=float(doubt(logits).max()),
        self_check=check,
        after=at,
    )
    read = None
    if text is not None:
        sizes = text.sizes
        read = bpe.run(inputs.text(layout), sizes.tables, sizes.capacity, sizes.rounds)
    return State(
        *(layout, text, inputs, params, trace, prompt, writing.choices, now, shown, hexes, origin, read, by_hand),
        chosen=own,
    )


def as_built(inputs: Inputs, text: str, ids: Sequence[int], built: Built) -> bool:
    """Whether these are the inputs at build time, which Home's self-check has the evaluator's logits for."""
    theirs = built.inputs
    settings = all(
        ours == other
        for ours, other in (
            (inputs.new_tokens, theirs.new_tokens),
            (inputs.sampling.temperature, theirs.sampling.temperature),
            (inputs.sampling.top_k, theirs.sampling.top_k),
            (inputs.sampling.top_p, theirs.sampling.top_p),
            (inputs.sampling.seed, theirs.sampling.seed),
        )
    )
    return settings and tuple(ids) == tuple(built.ids) and (bool(inputs.ids) or text == built.text)


def write(
    params: Mapping[str, Array], draft: Mapping[str, Array], inputs: Inputs, prompt: Sequence[int], layout: Layout
) -> Writing:
    """What the model writes after the prompt, and every number on the way.

    `params` are the cells' own numbers, which may be slow to make; `draft` are nearly the same and at hand. The draft
    writes the text, and the cells' own numbers read it once as a whole. Where they would choose another token, they
    write it again themselves.
    """
    ids = all_ids(draft, inputs, prompt, layout)
    for _ in range(2):
        trace = forward(params, layout.config, ids)
        choices = choices_in(trace, ids, len(prompt), inputs, layout)
        if all(choice.id == token for choice, token in zip(choices, ids[len(prompt) :], strict=False)):
            break
        ids = all_ids(params, inputs, prompt, layout)
    return Writing(ids, len(prompt), choices, trace)


def choices_in(trace: Trace, ids: Sequence[int], n_prompt: int, inputs: Inputs, layout: Layout) -> tuple[Choice, ...]:
    """The choice after each column from the prompt's last on; none after a token that was written and ends the text."""
    numbers = uniforms(inputs.sampling.seed, inputs.new_tokens + 1)
    places = range(n_prompt - 1, len(ids))
    stopped = len(ids) > n_prompt and ids[-1] in layout.end_of_text
    chosen = zip(places[: len(places) - stopped], numbers, strict=False)
    return tuple(choose(trace["logits"][:, t], inputs.sampling, u) for t, u in chosen)


def all_ids(params: Mapping[str, Array], inputs: Inputs, prompt: Sequence[int], layout: Layout) -> tuple[int, ...]:
    """The ids of all active columns. Nothing is chosen after a chosen token that ends a text."""
    config = layout.config
    cache = Cache(config, len(prompt) + inputs.new_tokens, params["wte"].dtype)
    ids, step = [*prompt], [*prompt]
    for u in uniforms(inputs.sampling.seed, inputs.new_tokens):
        step = [choose(advance(params, config, step, cache), inputs.sampling, u).id]
        ids += step
        if step[0] in layout.end_of_text:
            break
    return tuple(ids)
