"""Any tensor of a finished workbook as a DataFrame: `sheetgpt.read`."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from sheetgpt.engines import Cells, cached
from sheetgpt.errors import SheetGPTError
from sheetgpt.sheets.layout import defined_name
from sheetgpt.workbook.reopen import open_workbook


def read(path: str | os.PathLike[str], tensor: str) -> pd.DataFrame:
    """A tensor of the trace (or a parameter) as the file holds it, its columns labelled with the tokens.

    `tensor` is a name of the trace such as "h0.attn.probs.3" or a defined name such as "h0_attn_probs_3". Attention
    has tokens on both axes. Raises SheetGPTError for a name that the workbook doesn't have.
    """
    workbook = open_workbook(path)
    bands = {defined_name(name): areas for name, areas in workbook.layout.names.items() if len(areas) > 1}
    keys = [area.reference for area in bands.get(defined_name(tensor), [])] or [defined_name(tensor)]
    cells = cached.recalculate(Path(path), {}, [*keys, "token_text"])
    found = cells[keys[0]]
    if len(keys) > 1:  # the bands of a vocabulary lie side by side
        found = Cells(np.concatenate([part.numbers for key in keys if (part := cells[key])], axis=1), {})
    if found is None:
        raise SheetGPTError(f"{path} has no tensor {tensor!r}; `sheetgpt info {path}` lists the names.")
    frame = pd.DataFrame(found.numbers)
    if found.texts:
        frame = frame.astype(object)
        for (i, j), text in found.texts.items():
            frame.iat[i, j] = text
    layout = workbook.layout
    axes = {defined_name(name): record.axes for name, record in layout.records.items()}.get(defined_name(tensor), ())
    labels = _labels(cells, len(workbook.ids))
    if axes[-1:] == ("token",):
        frame = frame.iloc[:, : len(labels)]
        frame.columns = pd.Index(labels, name="token")
    if axes[:1] == ("key",):
        frame = frame.iloc[: len(labels)]
        frame.index = pd.Index(labels, name="key")
    return frame


def _labels(cells: Mapping[str, Cells | None], n: int) -> list[str]:
    strings = cells["token_text"]
    return [str(t) if strings is None else strings.texts.get((0, t), "") for t in range(n)]
