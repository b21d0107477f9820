"""Learning: a step on one example, and many steps on a list of them, as the training sheets take them.

An example is a word, or a window of a text. Step t = 1, 2, ... reads number (t - 1) mod n of the list, so that they go
round in their order.
"""

from collections.abc import Callable, Sequence
from itertools import count, islice

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.learning import adam
from sheetgpt.gpt2.learning.adam import Settings, State
from sheetgpt.gpt2.learning.backward import backward
from sheetgpt.gpt2.learning.loss import Example, cross_entropy
from sheetgpt.gpt2.model import Array, Trace, forward


def gradients(params: dict[str, Array], config: GPT2Config, wanted: Example) -> Trace:
    """One example's forward pass, loss and backward pass: all their tensors under their names."""
    some = next(iter(params.values()))
    trace = forward(params, config, wanted.ids, some.dtype.type)
    trace |= cross_entropy(trace["logits"], wanted)
    return trace | backward(params, config, trace, wanted)


def turn(t: int, n: int) -> int:
    """Which of the n examples step t reads."""
    return (t - 1) % n


def learn(
    state: State,
    config: GPT2Config,
    examples: Sequence[Example],
    settings: Settings,
    steps: int,
    seen: Callable[[int, float], None] = lambda t, loss: None,
) -> tuple[State, list[float]]:
    """`steps` more steps from `state` on: the state after them, and each step's loss before its weights moved.

    `seen` gets each step's number and loss. Refuses to go on where a loss is no number.
    """
    if not examples:
        raise SheetGPTError("There are no examples to learn from: give at least one.")
    losses: list[float] = []
    for t in islice(count(state.t + 1), steps):
        found = gradients(state.w, config, examples[turn(t, len(examples))])
        loss = float(found["loss"])
        if not abs(loss) < float("inf"):
            raise SheetGPTError(
                f"The loss of step {t} is {loss}: the weights have grown beyond all bounds. Learn slower."
            )
        losses.append(loss)
        state = adam.step(state, found, settings)
        seen(t, loss)
    return state, losses
