"""The map's axes on the sheet Embedding: constants of the build, like weights, and no machine finds another's again.

So the twin of all that is computed from them takes them as the file has them. Whether they are right is asked of their
properties (`inspection.embedding.map_problems`), for the weights at build time. Where weights come from the workbook
instead, edited or not, the axes do so as well, unasked like these.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.gpt2.checkpoints import quantize
from sheetgpt.inspection.embedding import Map, common, map_of, map_problems
from sheetgpt.verification.compare import SAVED
from sheetgpt.verification.report import TOLERANCE

Array = NDArray[Any]


def checked_axes(axes: Array, params: Mapping[str, Array], hexes: Sequence[str]) -> tuple[Array, list[str]]:
    """The axes that the sheet must hold, and sentences on those in the file that are wrong.  [n_embd, 3] -> same

    `params`: as the cells hold them. A wrong axis gives way to one that is found now, which shows its wrong cells; what
    differs from that by no more than computed cells may is left as it is.
    """
    names = [name for name in ("wte", quantize.scale_name("wte")) if name in params]
    ids = common(hexes)
    rows = np.asarray(quantize.evaluated({name: params[name] for name in names})["wte"][ids], np.float64)
    wrong = dict(map_problems(Map(ids, axes[:, 0], axes[:, 1:].T), rows, SAVED))
    if not wrong:
        return axes, []
    anew = map_of(rows, ids)
    found, right = np.column_stack([anew.centre, *anew.axes]), axes.copy()
    for i in wrong:
        far = np.abs(axes[:, i] - found[:, i]) > TOLERANCE * np.abs(found[:, i])
        right[far, i] = found[far, i]
    return right, [f"The map on the sheet Embedding is not this model's: {words}." for words in wrong.values()]
