"""Adam and AdamW: from gradients to new weights, tensor by tensor, in plain arithmetic that a cell can do, too.

Source: Kingma and Ba, "Adam: a method for stochastic optimization" (2015), algorithm 1; the decay of weights apart from
the gradient is Loshchilov and Hutter's (2019), as `torch.optim.AdamW` has it. As in nanoGPT only matrices decay, not
biases and gains.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.model import Array, as_cells

SCHEDULES = ("constant", "linear", "cosine")
LAST_BITS = 8 * 2.0**-53  # what a cell or two of plain arithmetic may lose, relative


@dataclass(frozen=True)
class Settings:
    """How far a step goes. Raises SheetGPTError for a value that makes no step.

    `warm_up`: steps over which the learning rate rises. With `schedule` "linear" or "cosine" it falls after them, to 0
    behind step number `steps`. The defaults are for the 4,000 parameters that learn names: after 1,000 steps two
    programs' losses differ by 1e-13. At a constant rate of 0.01 a step sets rounding growing: 1e-8 after 400, 0.3 after
    1,000, and no two programs agree.
    """

    learning_rate: float = 0.005
    beta1: float = 0.9
    beta2: float = 0.99
    epsilon: float = 1e-8
    decay: float = 0.0
    warm_up: int = 50
    schedule: str = "linear"
    steps: int = 1000

    def __post_init__(self) -> None:
        for name in ("learning_rate", "decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise SheetGPTError(f"{name} must be a number of at least 0, not {getattr(self, name)!r}.")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise SheetGPTError(f"{name} must be at least 0 and below 1, not {getattr(self, name)!r}.")
        if not 0 < self.epsilon < math.inf:
            raise SheetGPTError(f"epsilon must be a number above 0, not {self.epsilon!r}.")
        if self.schedule not in SCHEDULES:
            raise SheetGPTError(f"schedule must be one of {', '.join(SCHEDULES)}, not {self.schedule!r:.80}.")
        for name, least in (("warm_up", 0), ("steps", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise SheetGPTError(f"{name} must be a whole number of at least {least}, not {value!r:.80}.")


@dataclass(frozen=True)
class State:
    """A model in training: `t` steps were made; its weights, and of each the running means of gradient and square."""

    t: int
    w: dict[str, Array]
    m: dict[str, Array] = field(repr=False)
    v: dict[str, Array] = field(repr=False)


def start(params: Mapping[str, Array]) -> State:
    """Before the first step: nothing is known of the gradients.

    float32 becomes the numbers that a workbook's cells hold; other weights are kept as they are.
    """
    w = {name: as_cells(tensor) if tensor.dtype == np.float32 else tensor for name, tensor in params.items()}
    nothing = {name: np.zeros_like(tensor) for name, tensor in w.items()}
    return State(0, w, nothing, nothing)


def learning_rate(t: int, settings: Settings) -> float:
    """Of step t = 1, 2, ...: rises by t / warm_up, then falls by a line or half a cosine wave where that is asked for.

    With `progress` = (t - 1 - warm_up) / (steps - warm_up), between 0 and 1, it falls by 1 - progress or by
    (1 + cos(pi progress)) / 2, so that the last step still moves.
    """
    if t <= settings.warm_up:
        return settings.learning_rate * t / settings.warm_up
    progress = min(max((t - 1 - settings.warm_up) / max(settings.steps - settings.warm_up, 1), 0.0), 1.0)
    fall = {"constant": 1.0, "linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}
    return settings.learning_rate * fall[settings.schedule]


def decays(tensor: Array) -> bool:
    """Whether decay is for this tensor: matrices, not biases and gains."""
    return tensor.ndim == 2


def mean(m: Array, gradient: Array, settings: Settings) -> Array:
    """beta1 m + (1 - beta1) g, the running mean of the gradient."""
    return settings.beta1 * m + (1 - settings.beta1) * gradient


def square(v: Array, gradient: Array, settings: Settings) -> Array:
    """beta2 v + (1 - beta2) g^2, the running mean of its square."""
    return settings.beta2 * v + (1 - settings.beta2) * gradient * gradient


def corrections(t: int, settings: Settings) -> tuple[float, float]:
    """1 - beta1^t and 1 - beta2^t: what m and v, which began at 0, have seen of a whole mean by step t."""
    return 1 - settings.beta1**t, 1 - settings.beta2**t


def moved(w: Array, m: Array, v: Array, t: int, settings: Settings) -> Array:
    """w (1 - rate decay) - rate m_hat / (sqrt(v_hat) + epsilon), from the means after step t's gradient."""
    rate, (first, second) = learning_rate(t, settings), corrections(t, settings)
    kept = w * (1 - rate * settings.decay) if settings.decay and decays(w) else w
    new: Array = kept - rate * (m / first) / (np.sqrt(v / second) + settings.epsilon)
    return new


def step(state: State, gradients: Mapping[str, Array], settings: Settings) -> State:
    """One step on the gradients, which go by their parameters' names (`grad_` + name)."""
    t = state.t + 1
    m = {name: mean(state.m[name], gradients[f"grad_{name}"], settings) for name in state.w}
    v = {name: square(state.v[name], gradients[f"grad_{name}"], settings) for name in state.w}
    return State(t, {name: moved(w, m[name], v[name], t, settings) for name, w in state.w.items()}, m, v)


@dataclass(frozen=True)
class Doubts:
    """How far two sound programs may be apart, absolute: in each w, each m and the square root of each v."""

    w: dict[str, Array]
    m: dict[str, Array] = field(repr=False)
    root: dict[str, Array] = field(repr=False)


def doubts(
    before: State, after: State, gradient_doubts: Mapping[str, Array], settings: Settings, carried: Doubts | None = None
) -> Doubts:
    """What the rounding of the gradients (`rounding.gradient_doubts`) leaves of a step from `before` to `after`.

    Let a gradient be known to D. Then m is known to M = beta1 M_before + (1 - beta1) D. The root of v is the length of
    (sqrt(beta2) sqrt(v_before), sqrt(1 - beta2) g), and lengths differ by no more than their vectors do, so it is known
    to R = sqrt(beta2 R_before^2 + (1 - beta2) D^2). With m_hat = m / (1 - beta1^t), s = sqrt(v / (1 - beta2^t)), M and
    R divided by (1 - beta1^t) and sqrt(1 - beta2^t), and the other program's m_hat' and s' >= s - R,

        |m_hat / (s + eps) - m_hat' / (s' + eps)|  <=  (M + R |m_hat| / (s + eps)) / (max(s - R, 0) + eps),

    as m_hat/(s + eps) - m_hat'/(s' + eps) = (m_hat - m_hat')/(s' + eps) + m_hat (s' - s)/((s + eps)(s' + eps)). Where
    gradients are noise, s is 0 beside eps = 1e-8 and all of D / eps comes through: a noise of 1e-17 moves a new weight
    by 1e-11 at a rate of 0.01. Everywhere else D is divided by the root of the gradient's own mean square.

    Without `carried` the state before the step is the same in both programs, as in a workbook. With it, steps follow
    one another; that weights which differ have other gradients is then left out.
    """
    rate, (first, second) = learning_rate(after.t, settings), corrections(after.t, settings)
    found = Doubts({}, {}, {})
    for name, w in after.w.items():
        d, root = gradient_doubts[f"grad_{name}"], np.sqrt(after.v[name])
        was_w, was_m, was_root = (part[name] for part in (carried.w, carried.m, carried.root)) if carried else (0, 0, 0)
        m = settings.beta1 * was_m + (1 - settings.beta1) * d + LAST_BITS * abs(before.m[name])
        r = np.sqrt(settings.beta2 * np.square(was_root) + (1 - settings.beta2) * d * d) + LAST_BITS * root
        m_hat, s = abs(after.m[name]) / first, root / math.sqrt(second)
        apart = (m / first + r / math.sqrt(second) * m_hat / (s + settings.epsilon)) / (
            np.maximum(s - r / math.sqrt(second), 0) + settings.epsilon
        )
        # 1 - beta^t keeps the absolute rounding of beta^t
        own = m_hat / (s + settings.epsilon) * (1 + 1 / first + 1 / second)
        found.w[name] = was_w + rate * (apart + LAST_BITS * own) + LAST_BITS * np.maximum(abs(w), abs(before.w[name]))
        found.m[name], found.root[name] = m, r
    return found
