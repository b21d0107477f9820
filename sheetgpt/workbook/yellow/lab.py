"""Lane B of a workbook with two lanes: from Lab's yellow cells to everything that the sheets show of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sheetgpt.gpt2.editing.edited import edited_choices
from sheetgpt.gpt2.editing.edits import Changes
from sheetgpt.gpt2.model import Array, Trace, forward
from sheetgpt.sheets.inputs import Inputs
from sheetgpt.sheets.lab.screws import Lab
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.state import LaneB, State
from sheetgpt.text.tokenizer import Tokenizer
from sheetgpt.workbook.state import Writing, choices_in, state_of
from sheetgpt.workbook.yellow.inputs import given_ids, token_ids

RAW = ("attn.z", "mlp.out")  # a block's own sheet shows them as they are before they are changed


def with_lane_b(
    state: State,
    lab: Lab,
    tokenizer: Tokenizer | None,
    params: Mapping[str, Array],
    draft: Mapping[str, Array],
) -> State:
    """`state` is lane A's; `params` are the cells' own numbers, `draft` nearly the same and at hand.

    Raises SheetGPTError where lane B's text or settings are none.
    """
    layout = state.layout
    inputs = lab.inputs(state.inputs, layout)
    start = token_ids(inputs, tokenizer, layout)
    writing, made = write(params, draft, lab.in_ids(state.hexes), inputs, start, layout, state.trace)
    n_given = len(given_ids(inputs, tokenizer, layout))
    strings = state.shown, state.hexes
    other = state_of(
        layout, state.text, inputs, state.params, writing, strings, n_given, state.origin, chosen=state.chosen
    )
    return replace(state, lab=LaneB(lab, other, made))


def write(
    params: Mapping[str, Array],
    draft: Mapping[str, Array],
    lab: Lab,
    inputs: Inputs,
    prompt: Sequence[int],
    layout: Layout,
    other: Trace,
) -> tuple[Writing, Trace]:
    """What the changed model writes after the prompt; and what goes on of the parts that can be changed.

    The twin of `state.write`, which writes lane A. In the trace the parts stand as they came.
    """
    config, edits = layout.config, lab.edits(layout)

    def all_ids(weights: Mapping[str, Array]) -> tuple[int, ...]:
        found = edited_choices(
            weights, config, prompt, inputs.sampling, inputs.new_tokens, layout.end_of_text, edits, other
        )
        return (*prompt, *(choice.id for choice in found))

    ids = all_ids(draft)
    for _ in range(2):
        changes = Changes(edits, config, params["wte"], other)
        trace = forward(params, config, ids, change=changes)
        choices = choices_in(trace, ids, len(prompt), inputs, layout)
        if all(choice.id == token for choice, token in zip(choices, ids[len(prompt) :], strict=False)):
            break
        ids = all_ids(params)
    raw = {f"h{i}.{name}": changes.raw[f"h{i}.{name}"] for i in range(config.n_layer) for name in RAW}
    return Writing(ids, len(prompt), choices, trace | raw), changes.made
