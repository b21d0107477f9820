"""The Sample sheet and the strip's surprise, against what the evaluator chose: part of `verify`."""

from collections.abc import Mapping, Sequence

import numpy as np

from sheetgpt.engines import Cells
from sheetgpt.gpt2.sampling import Choice, surprisal
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.sample import cached_values
from sheetgpt.sheets.token_sheet import Prompt
from sheetgpt.verification.compare import Array, TensorResult, compare, compare_texts, logit_rounding
from sheetgpt.workbook.inputs import Inputs

WHOLE = (
    "sample_choosing",
    "sample_state",
    "sample_uniform",
    "sample_chosen_id",
    "sample_ids",
    "sample_wins",
    "sample_logits",
)
TEXTS = ("sample_tokens", "sample_chosen_token")


def choice_results(
    layout: Layout,
    cells: Mapping[str, Cells | None],
    expected: Mapping[str, Array],
    ids: Sequence[int],
    n_prompt: int,
    inputs: Inputs,
    choices: Sequence[Choice],
) -> list[TensorResult]:
    """Every row of the Sample sheet; log-sum-exp and surprisal where logits are computed."""
    prompt = Prompt(ids, [""] * len(ids), layout.context, n_prompt, inputs.sampling.seed)
    values = cached_values(layout, prompt, choices, [""] * layout.config.n_vocab)
    results = []
    logits, pad = expected["logits"], layout.context - len(ids)
    for name, area in layout.sample.items():
        if name not in TEXTS:
            want = np.atleast_2d(values[name.removeprefix("sample_")])
            loose = 0 if name in WHOLE else np.pad(logit_rounding(logits, inputs.sampling.temperature), (0, pad))
            results.append(compare(name, area, cells[name], want, slack=loose))
    first = 0 if inputs.score_prompt else n_prompt - 1
    peak = logits.max(axis=0)
    log_sum = peak + np.log(np.exp(logits - peak).sum(axis=0))
    log_sum[:first] = np.nan
    rows = {"logits_lse": log_sum, "surprisal": surprisal(logits, ids, first)}
    for name, row in rows.items():
        area = layout.tensors[name] if name in layout.tensors else layout.home[name]
        want, loose = np.pad(row, (0, pad), constant_values=np.nan)[None], np.pad(logit_rounding(logits), (1, pad))[:-1]
        results.append(compare(name, area, cells[name], want, slack=loose))
    results.append(compare("n_prompt", layout.home["n_prompt"], cells["n_prompt"], np.array([[float(n_prompt)]])))
    return results


def token_strings_results(
    layout: Layout,
    cells: Mapping[str, Cells | None],
    n_prompt: int,
    choices: Sequence[Choice],
    shown: Sequence[str],
) -> list[TensorResult]:
    """The candidates' strings, and the chosen ones'."""
    candidates: dict[tuple[int, int], str] = {}
    chosen: dict[tuple[int, int], str] = {}
    for k, choice in enumerate(choices):
        chosen[0, n_prompt - 1 + k] = shown[choice.id]
        candidates |= {(i, n_prompt - 1 + k): shown[token] for i, token in enumerate(choice.ids)}
    wants = zip(TEXTS, (candidates, chosen), strict=True)
    return [compare_texts(name, layout.sample[name], cells[name], want) for name, want in wants]
