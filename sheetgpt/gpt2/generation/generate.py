"""A prompt -> its continuation, in NumPy: `generate` returns it whole, `stream` token by token.

The rules of the choice stand in `sampling.py`, the arithmetic in `continuation.py`.
"""

import codecs
import os
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import DEFAULT, Checkpoint, load
from sheetgpt.gpt2.editing.edited import edited_choices
from sheetgpt.gpt2.editing.edits import Edits, check_lengths
from sheetgpt.gpt2.generation.continuation import continue_ids, window
from sheetgpt.gpt2.generation.sampling import Choice, Sampling
from sheetgpt.gpt2.model import Array, Trace, forward
from sheetgpt.text.hugging_face import END_OF_TEXT
from sheetgpt.text.tokenizer import Tokenizer

DEFAULT_PROMPT = "Tom had a red ball. He"


@dataclass(frozen=True)
class Generation:
    """A prompt and what follows. Without a tokenizer the texts are empty."""

    ids: tuple[int, ...]  # the prompt's that fit, then the chosen ones
    n_prompt: int
    n_dropped: int  # the prompt's oldest tokens, for which there was no room
    text: str
    completion: str
    steps: tuple[Choice, ...]


def generate(
    model: str | os.PathLike[str] | Checkpoint = DEFAULT,
    prompt: str | None = None,
    *,
    ids: Sequence[int] | None = None,
    chat: str | None = None,
    new_tokens: int = 16,
    temperature: float = 1.0,
    top_k: int = 40,
    top_p: float = 1.0,
    seed: int = 0,
    context: int | None = None,
    dtype: type = np.float64,
    edits: Edits | None = None,
    patch_from: str | Sequence[int] | None = None,
) -> Generation:
    """The prompt's continuation of up to `new_tokens` tokens, the same for the same seed.

    `model` is what `load` takes, or a Checkpoint. `prompt` goes through its tokenizer; `ids` takes its place, or `chat`
    (what a user says), which the model's chat template wraps.
    Temperature 0 takes the likeliest token each time. Of `context` tokens (default: the model's positions) the new ones
    get `new_tokens`; a prompt that is longer than the rest loses its oldest. It ends early with one of the checkpoint's
    `stop_ids`, such as `<|endoftext|>`.

    `dtype=numpy.float32` reads the weights where they lie; float64 first makes a copy of them, 8 bytes a parameter
    (1.0 GB for GPT-2 small). Raises SheetGPTError for bad input.

    `edits` switch parts off, steer, or patch (`sheetgpt.parse_edits` makes them of words); patches take from a run of
    `patch_from`, a text or ids, which is wrapped like `chat` where that is given. Positions count the tokens that are
    kept.
    """
    checkpoint = model if isinstance(model, Checkpoint) else load(model, needs_text=ids is None)
    sampling = Sampling(temperature, top_k, top_p, seed)
    given = prompt_ids(checkpoint, prompt, ids, chat)
    kept = window(given, checkpoint.config, new_tokens, context)
    other = _other(checkpoint, edits, patch_from, chat is not None, len(kept), new_tokens, context)
    steps = tuple(_choices(checkpoint, kept, sampling, new_tokens, dtype, edits, other))
    chosen = [step.id for step in steps]
    ended = checkpoint.chat is not None and chosen[-1:] and chosen[-1] in checkpoint.stop_ids
    shown = chosen[:-1] if ended else chosen  # an answer is what stands before <|im_end|>
    decode = checkpoint.tokenizer.decode if checkpoint.tokenizer else lambda ids: ""
    return Generation(
        ids=(*kept, *chosen),
        n_prompt=len(kept),
        n_dropped=len(given) - len(kept),
        text=decode([*kept, *shown]),
        completion=decode(shown),
        steps=steps,
    )


def stream(
    model: str | os.PathLike[str] | Checkpoint = DEFAULT,
    prompt: str | None = None,
    *,
    ids: Sequence[int] | None = None,
    chat: str | None = None,
    new_tokens: int = 16,
    temperature: float = 1.0,
    top_k: int = 40,
    top_p: float = 1.0,
    seed: int = 0,
    context: int | None = None,
    dtype: type = np.float64,
    edits: Edits | None = None,
    patch_from: str | Sequence[int] | None = None,
) -> Iterator[tuple[int, str, Choice]]:
    """`generate`, token by token: (id, text, choice) as soon as it is chosen.

    A token may end inside a character; its bytes then wait for the rest. The texts add up to `generate`'s completion.
    """
    checkpoint = model if isinstance(model, Checkpoint) else load(model, needs_text=ids is None)
    sampling = Sampling(temperature, top_k, top_p, seed)
    kept = window(prompt_ids(checkpoint, prompt, ids, chat), checkpoint.config, new_tokens, context)
    other = _other(checkpoint, edits, patch_from, chat is not None, len(kept), new_tokens, context)
    choices = _choices(checkpoint, kept, sampling, new_tokens, dtype, edits, other)
    return with_text(checkpoint.tokenizer, choices, new_tokens, checkpoint.stop_ids, checkpoint.chat is not None)


def prompt_ids(
    checkpoint: Checkpoint, prompt: str | None, ids: Sequence[int] | None, chat: str | None = None
) -> list[int]:
    """The prompt's token ids, from text or as given; without either, the default's. No text is `<|endoftext|>`."""
    tokenizer = checkpoint.tokenizer
    if chat is not None:
        if prompt is not None or ids is not None:
            raise SheetGPTError("Give only one of chat, prompt and ids.")
        if checkpoint.chat is None:
            raise SheetGPTError(
                f"{checkpoint.name} has no chat template that fixed texts can stand for: give a prompt."
            )
        prompt = checkpoint.chat.wrap(chat)
    if ids is not None:
        if prompt is not None:
            raise SheetGPTError("Give a prompt or ids, not both.")
        return list(ids)
    if tokenizer is None:
        raise SheetGPTError(f"{checkpoint.name} has no tokenizer files: give the prompt as ids.")
    if not isinstance(prompt, str | None):
        raise SheetGPTError(f"The prompt is a {type(prompt).__name__}: give a text, or token ids as ids=[1, 2, 3].")
    found = tokenizer.encode(default_prompt(tokenizer) if prompt is None else prompt) or list(tokenizer.empty)
    if not found:
        raise SheetGPTError(
            f"The prompt is empty, and {checkpoint.name} has no {END_OF_TEXT} to begin a text with: give a prompt."
        )
    return found


def default_prompt(tokenizer: Tokenizer) -> str:
    """What a model continues where nothing is given: no text, if its vocabulary can't spell the usual one."""
    try:
        tokenizer.encode(DEFAULT_PROMPT)
    except SheetGPTError:
        return "" if tokenizer.empty else DEFAULT_PROMPT
    return DEFAULT_PROMPT


def with_text(
    tokenizer: Tokenizer | None,
    choices: Iterable[Choice],
    new_tokens: int,
    stop_ids: Container[int],
    silent: bool = False,
) -> Iterator[tuple[int, str, Choice]]:
    """Each choice with its id and the characters that it completes; the last of them gives up what is left over.

    `silent`: one that ends the text adds nothing to it, as in an answer, which is what stands before `<|im_end|>`.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for n, choice in enumerate(choices, 1):
        ends = choice.id in stop_ids
        data = tokenizer.token_bytes(choice.id) if tokenizer and not (ends and silent) else b""
        yield choice.id, decoder.decode(data, final=n == new_tokens or ends), choice


def _other(
    checkpoint: Checkpoint,
    edits: Edits | None,
    patch_from: str | Sequence[int] | None,
    chat: bool,
    n_kept: int,
    new_tokens: int,
    context: int | None,
) -> list[int]:
    """The ids of the run that patches take from, cut as the prompt is; none where nothing is taken.

    Raises SheetGPTError where all of a part's patches are at positions that one of the two runs never has.
    """
    if edits is None or not edits.takes:
        return []
    if patch_from is None:
        raise SheetGPTError("A patch takes something from another run: give its prompt as patch_from.")
    if isinstance(patch_from, str):
        found = prompt_ids(checkpoint, None, None, patch_from) if chat else prompt_ids(checkpoint, patch_from, None)
    else:
        found = list(patch_from)
    kept = window(found, checkpoint.config, new_tokens, context)
    first = {(p.block, p.part): p for p in sorted(edits.patches, key=lambda p: -p.position)}
    check_lengths([*first.values()], n_kept + max(new_tokens - 1, 0), len(kept))
    return kept


def _choices(
    checkpoint: Checkpoint,
    ids: Sequence[int],
    sampling: Sampling,
    new_tokens: int,
    dtype: type,
    edits: Edits | None,
    other: Sequence[int],
) -> Iterator[Choice]:
    if dtype not in (np.float32, np.float64):
        raise SheetGPTError(f"The evaluator computes in numpy.float32 or numpy.float64, not in {dtype!r}.")
    config, stop_ids = checkpoint.config, checkpoint.stop_ids
    if edits is not None:
        edits.check(config)
    params: dict[str, Array] = {name: np.asarray(tensor, dtype) for name, tensor in checkpoint.params.items()}
    if edits is None:
        return continue_ids(params, config, ids, sampling, new_tokens, stop_ids)
    theirs: Trace | None = forward(params, config, other, dtype) if other else None
    return edited_choices(params, config, ids, sampling, new_tokens, stop_ids, edits, theirs)
