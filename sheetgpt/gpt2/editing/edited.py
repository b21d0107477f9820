"""A run of the model under edits: token ids -> the ids that follow, as in `continuation` but with parts changed.

Without a key/value cache: the whole text goes through `model.forward` again for each token. What the edits do at a
position depends on nothing after it, so every token sees the same past as if it had been computed step by step.
"""

from collections.abc import Container, Iterator, Mapping, Sequence

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.editing.edits import Changes, Edits
from sheetgpt.gpt2.generation.continuation import continue_ids
from sheetgpt.gpt2.generation.sampling import Choice, Sampling, check_whole, choose, uniforms
from sheetgpt.gpt2.model import Array, Trace, check_ids, forward


def edited_choices(
    params: Mapping[str, Array],
    config: GPT2Config,
    ids: Sequence[int],
    sampling: Sampling,
    new_tokens: int,
    stop_ids: Container[int],
    edits: Edits,
    other: Trace | None = None,
) -> Iterator[Choice]:
    """The choices that follow `ids` under `edits`, one at a time: `new_tokens` of them, or fewer at a stop id.

    `other` is the trace of the run that patches take from. A patch at a position that the text doesn't have yet waits
    until it has it; one at a position that the other run doesn't have does nothing. Without edits the choices are
    `continue_ids`', by its own arithmetic.

    Raises SheetGPTError, before anything is computed, for bad edits, patches without another run, ids that the model
    lacks and more tokens than positions.
    """
    edits.check(config)
    if edits.takes and other is None:
        raise SheetGPTError("A patch takes something from another run: there is none.")
    if not edits:
        return continue_ids(params, config, ids, sampling, new_tokens, stop_ids)
    check_ids(ids, config)
    check_whole("new_tokens", new_tokens, 0, config.n_positions - len(ids))
    return _choices(params, config, ids, sampling, new_tokens, stop_ids, Changes(edits, config, params["wte"], other))


def _choices(
    params: Mapping[str, Array],
    config: GPT2Config,
    ids: Sequence[int],
    sampling: Sampling,
    new_tokens: int,
    stop_ids: Container[int],
    changes: Changes,
) -> Iterator[Choice]:
    so_far = list(ids)
    for u in uniforms(sampling.seed, new_tokens):
        trace = forward(params, config, so_far, params["wte"].dtype.type, changes)
        choice = choose(trace["logits"][:, -1], sampling, u)
        yield choice
        if choice.id in stop_ids:
            return
        so_far.append(choice.id)
