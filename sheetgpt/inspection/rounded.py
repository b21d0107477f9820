"""Numbers ranked by so many decimals, and what two programs may make of one that lies at a half of the last."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]
LEAST = 1e-12  # how well a number is known at best: what two programs, or two processors, may differ by


def rounding_doubt(values: Floats, digits: int, off: Floats | float = LEAST) -> Floats:
    """How far apart two programs' roundings of each number to `digits` decimals may be.

    One last digit where the number, known to within `off` and LEAST, lies at a half of it, so that either may be right;
    else nothing.
    """
    unit = 10.0**-digits
    to_half = np.abs(np.abs(values) / unit % 1 - 0.5) * unit
    found: Floats = np.where(to_half <= np.maximum(off, LEAST), 1.001 * unit, 0.0)
    return found
