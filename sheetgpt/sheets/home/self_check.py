"""Home's self-check: the workbook's own numbers against the evaluator's, while the inputs are those of the build."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sheetgpt.gpt2.generation import sampling
from sheetgpt.sheets.layout import Layout

LEAST = "1E-300"  # instead of the largest logit, where all of them are 0
AGREES = "✓ the ten largest logits agree with NumPy's to nine digits"
DIFFERS = "✗ the ten largest logits differ from NumPy's by more than 1E"
WHY = ": was a weight or a formula changed?"
OTHER_INPUTS = "– the inputs are not those of the build, so there is nothing to compare with"
N_CHECKED = 10  # logits


def self_check(layout: Layout) -> str:
    """What it says."""
    names = ("built_settings", "built_n_prompt", "built_ids", "built_prompt", "built_logits")
    built = {name: layout[name].reference for name in names}
    settings = layout["new_tokens"].rows_of(0, layout["built_settings"].n_rows)
    position, n_prompt, ids = (layout[name].local for name in ("positions", "n_prompt", "token_ids"))
    same = [f"SUMPRODUCT(1*({settings.local}<>{built['built_settings']}))=0", f"{n_prompt}={built['built_n_prompt']}"]
    same.append(f"{layout['next_used'].local}={n_prompt}-1")
    same.append(f"SUMPRODUCT(({position}<{n_prompt})*({ids}<>{built['built_ids']}))=0")
    if layout.reads_text:
        same.append(f"OR({layout['n_ids'].local}>0,EXACT({layout.read_prompt.local},{built['built_prompt']}))")
    top = layout["top_logits"].rows_of(0, layout["built_logits"].n_rows).local
    logits = built["built_logits"]  # only operators go down a whole column in Gnumeric: no ABS
    difference = f"SQRT(SUMPRODUCT(({top}-{logits})*({top}-{logits})))/MAX(MAX({logits}),-MIN({logits}),{LEAST})"
    power = f"INT(LN({difference})/LN(10))"  # TEXT would take its format in the user's language
    no = f'"{DIFFERS}"&{power}&"{WHY}"'
    verdict = f'IF({difference}<0.000000001,"{AGREES}",{no})'
    return f'IF({layout["settings_ok"].local}=0,"",IF(AND({",".join(same)}),{verdict},"{OTHER_INPUTS}"))'


def self_check_now(logits: NDArray[Any], built: NDArray[Any]) -> str:
    """The twin of `self_check`, where the inputs are those of the build."""
    theirs = np.sort(built)[::-1][:N_CHECKED]
    difference = logits[sampling.top(logits, len(theirs))] - theirs
    with np.errstate(all="ignore"):  # whatever a damaged Model sheet says
        size = float(np.sqrt(difference @ difference) / max(np.abs(theirs).max(), float(LEAST)))
    if size < 1e-9:
        return AGREES
    return f"{DIFFERS}{math.floor(math.log10(size)) if math.isfinite(size) else 0}{WHY}"
