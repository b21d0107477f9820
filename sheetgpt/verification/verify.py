"""Holds a recalculated workbook against the NumPy evaluator: every tensor, every active column, every weight.

A difference counts relative to the evaluator's value, but never to less than FLOOR: below it 1e-12 absolute is allowed.
Cached values are evidence only for the engine `cached`, which checks what another program computed and saved.
"""

import codecs
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sheetgpt.engines import Cells, cached, formulas, ironcalc, libreoffice
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2 import quantize, sampling
from sheetgpt.gpt2.model import as_cells
from sheetgpt.gpt2.sampling import Choice
from sheetgpt.sheets.decoding import decoded_bytes
from sheetgpt.sheets.inputs import Inputs
from sheetgpt.sheets.layout import Layout, defined_name
from sheetgpt.sheets.tokenizer_layout import ids_column
from sheetgpt.sheets.vocabulary import token_strings
from sheetgpt.text.tokenizer import Tokenizer
from sheetgpt.verification.choice import choice_results, token_strings_results
from sheetgpt.verification.compare import TensorResult, compare, compare_texts, logit_rounding, shape_problem
from sheetgpt.workbook.build import fingerprint
from sheetgpt.workbook.inputs import given_ids, token_ids, with_prompt, with_settings, write
from sheetgpt.workbook.reopen import DamagedWorkbook, open_workbook

Array = NDArray[Any]

Recalculate = Callable[[Path, Mapping[str, Any], Sequence[str], float], dict[str, Cells | None]]

ENGINES: dict[str, Recalculate] = {
    "libreoffice": lambda path, inputs, names, timeout: libreoffice.recalculate(path, inputs, names, timeout=timeout),
    "formulas": lambda path, inputs, names, _: formulas.recalculate(path, inputs, names),
    "ironcalc": lambda path, inputs, names, _: ironcalc.recalculate(path, inputs, names),
    "cached": lambda path, inputs, names, _: cached.recalculate(path, inputs, names),
}


@dataclass(frozen=True)
class Report:
    """Every tensor's result. `passed` is the verdict."""

    workbook: str
    engine: str
    tensors: tuple[TensorResult, ...]
    problems: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.problems and bool(self.tensors) and all(t.passed for t in self.tensors)

    @property
    def max_rel(self) -> float:
        return max((t.max_rel for t in self.tensors if t.max_rel is not None), default=0.0)

    def frame(self) -> pd.DataFrame:
        """A tensor a row."""
        columns = ("name", "range", "max_abs", "max_rel", "where", "problem", "passed")
        return pd.DataFrame([[getattr(t, c) for c in columns] for t in self.tensors], columns=list(columns))

    def to_json(self) -> str:
        tensors = [
            {"name": t.name, "range": t.range, "max_abs": t.max_abs, "max_rel": t.max_rel, "where": t.where}
            | ({"problem": t.problem} if t.problem else {})
            for t in self.tensors
        ]
        whole = {"passed": self.passed, "engine": self.engine, "workbook": self.workbook}
        return json.dumps(whole | {"problems": self.problems, "tensors": tensors}, indent=1, allow_nan=False)


def verify(
    workbook: str | os.PathLike[str],
    *,
    engine: str = "libreoffice",
    prompt: str | None = None,
    ids: Sequence[int] | None = None,
    new_tokens: int | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    model: str | os.PathLike[str] | None = None,
    weights_from_workbook: bool = False,
    timeout: float = 600,
) -> Report:
    """Puts the inputs in, recalculates everything, compares every named tensor with the evaluator's.

    Without a prompt, the workbook's own inputs stay. The evaluator runs on the checkpoint that the workbook was made
    from (`model`, where it has moved), or with `weights_from_workbook` on what the cells hold, for edited weights.
    Raises SheetGPTError for bad input; a workbook that is merely wrong gives a report that says so.
    """
    if engine not in ENGINES:
        raise SheetGPTError(f"There is no engine {engine!r}: take one of {', '.join(ENGINES)}.")
    path = Path(workbook)
    try:
        book = open_workbook(path)
    except DamagedWorkbook as error:
        return Report(str(path), engine, (), (str(error),))
    layout = book.layout
    given = prompt is not None or ids is not None
    settings = {"new_tokens": new_tokens, "temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    if engine == "cached" and (given or any(value is not None for value in settings.values())):
        raise SheetGPTError("The cached engine reads what the file holds: it takes no prompt and no settings.")
    changed = given or any(value is not None for value in settings.values())
    try:
        inputs = with_settings(with_prompt(book.inputs, layout, prompt, ids), **settings)
    except SheetGPTError as error:
        if changed:
            raise
        return Report(str(path), engine, (), (f"The inputs in the workbook are not right: {error}",))
    inputs = inputs if engine == "cached" else replace(inputs, score_prompt=True)
    reads_text = layout.reads_text and not inputs.ids
    checkpoint = book.checkpoint(model) if reads_text or not weights_from_workbook else None
    problems = [f"The input {name} is gone: a deleted sheet or name?" for name in book.missing]
    if checkpoint is not None and fingerprint(checkpoint) != book.fingerprint:
        problems.append(f"The checkpoint {checkpoint.name} is not the one that the workbook was made from.")
    if checkpoint is not None and checkpoint.config != layout.config:
        return Report(str(path), engine, (), (*problems, "The Model sheet does not hold the checkpoint's config."))
    tokenizer = None if checkpoint is None else checkpoint.tokenizer
    try:
        start = token_ids(inputs, tokenizer, layout)
    except SheetGPTError as error:
        if changed:
            raise
        return Report(str(path), engine, (), (*problems, f"The inputs in the workbook are not right: {error}"))

    puts = {name: value for name, value in inputs.cells(layout).items() if name not in book.missing}
    cells = _recalculate(engine, path, {} if engine == "cached" else puts, _names(layout), timeout)
    if weights_from_workbook:
        params, unread = _weights(layout, cells)
        if unread:
            return Report(str(path), engine, tuple(unread), tuple(problems))
    else:
        assert checkpoint is not None
        params = quantize.stored(checkpoint.params, layout.weights)
    numbers = quantize.evaluated(params)
    tokens, choices, expected = write(numbers, quantize.draft(params), inputs, start, layout)
    first = 0 if inputs.score_prompt else len(start) - 1
    results = [*_trace_results(layout, cells, expected, first)]
    results += _output_results(layout, cells, expected, inputs.sampling.temperature)
    results += choice_results(layout, cells, expected, tokens, len(start), inputs, choices)
    last, known = expected["logits"][:, -1], checkpoint is not None
    results += _text_results(layout, cells, inputs, tokens, len(start), choices, last, tokenizer, known)
    results += _weight_results(layout, cells, params if layout.scaled else numbers)
    return Report(str(path), engine, tuple(results), tuple(problems))


def _recalculate(
    engine: str, path: Path, inputs: Mapping[str, Any], names: Sequence[str], timeout: float
) -> dict[str, Cells | None]:
    return ENGINES[engine](path, inputs, names, timeout)


def _names(layout: Layout) -> list[str]:
    """Every defined name to read; the vocabulary's matrices band by band."""
    names = [defined_name(name) for name in layout.trace]
    for param, areas in layout.params.items():
        names += [defined_name(param)] if len(areas) == 1 else [f"{param}_{b}" for b in range(len(areas))]
    names += ["tokenizer_ids"] if layout.reads_text else []
    names += ["completion"] if layout.reads_text else []
    names += ["token_text", "prompt_text", "next_logits", "next_probs", "top_ids", "top_tokens", "top_probs"]
    return [*names, "n_prompt", "n_tokens", "surprisal", "logits_lse", *layout.sample]


def _trace_results(
    layout: Layout, cells: Mapping[str, Cells | None], expected: Mapping[str, Array], first: int
) -> list[TensorResult]:
    """The tensors of the trace. Columns past the text, and keys after their query, must be empty.

    `first`: the first position that has logits.
    """
    results = []
    for name, area in layout.trace.items():
        want = np.full((area.n_rows, area.n_columns), np.nan)
        values = np.atleast_2d(expected[name])
        want[: values.shape[0], : values.shape[1]] = values
        if ".attn.scores." in name or ".attn.probs." in name:
            want[np.tril(np.ones(want.shape, bool), -1)] = np.nan
        if name == "logits":
            want[:, :first] = np.nan
        results.append(compare(name, area, cells[defined_name(name)], want))
    return results


def _output_results(
    layout: Layout, cells: Mapping[str, Cells | None], expected: Mapping[str, Array], temperature: float
) -> list[TensorResult]:
    logits = np.asarray(expected["logits"][:, -1], np.float64)
    probs = sampling.probabilities(logits, temperature)
    best = sampling.top(logits, 10)
    n = len(best)
    top = layout.home["top_ids"].n_rows
    wants = {
        "n_tokens": np.array([float(expected["logits"].shape[1])]),
        "next_logits": logits,
        "next_probs": probs,
        "top_ids": np.array([*best, *[np.nan] * (top - n)], float),
        "top_probs": np.array([*probs[best], *[np.nan] * (top - n)], float),
    }
    areas = layout.home | layout.softmax
    loose = {name: float(logit_rounding(logits, temperature)) for name in ("next_probs", "top_probs")}
    return [compare(n, areas[n], cells[n], want[:, None], slack=loose.get(n, 0)) for n, want in wants.items()]


def _text_results(
    layout: Layout,
    cells: Mapping[str, Cells | None],
    inputs: Inputs,
    tokens: Sequence[int],
    n_prompt: int,
    choices: Sequence[Choice],
    logits: Array,
    tokenizer: Tokenizer | None,
    known: bool,
) -> list[TensorResult]:
    """The Tokenizer sheet's ids against the reference's, and the tokens' strings and text to the letter."""
    results, home = [], layout.home
    if layout.reads_text and not inputs.ids:
        area = ids_column(layout.prompt_bytes)
        want = np.full((area.n_rows, 1), np.nan)
        ids = given_ids(inputs, tokenizer, layout)
        want[: len(ids), 0] = ids
        results.append(compare("tokenizer_ids", area, cells["tokenizer_ids"], want))
    if not known:
        return results
    shown, hexes = token_strings(tokenizer, layout.config.n_vocab)
    texts = {(0, t): shown[i] for t, i in enumerate(tokens)}
    results.append(compare_texts("token_text", home["token_text"], cells["token_text"], texts))
    results += token_strings_results(layout, cells, n_prompt, choices, shown)
    best = {(k, 0): shown[i] for k, i in enumerate(sampling.top(logits, home["top_tokens"].n_rows))}
    results.append(compare_texts("top_tokens", home["top_tokens"], cells["top_tokens"], best))
    if not layout.reads_text:
        text = "".join(texts.values())
        return [*results, compare_texts("prompt_text", home["prompt_text"], cells["prompt_text"], {(0, 0): text})]
    whole = b"".join(bytes.fromhex(hexes[i]) for i in tokens)
    n = sum(len(hexes[i]) // 2 for i in tokens[:n_prompt])
    if len(whole) > decoded_bytes(layout.context):
        return results
    start = codecs.getincrementaldecoder("utf-8")("replace").decode(whole[:n], final=n == len(whole))
    rest = whole.decode(errors="replace")[len(start) :]
    for name, text in (("prompt_text", start), ("completion", rest)):
        results.append(compare_texts(name, home[name], cells[name], {(0, 0): text.replace("\0", "␀")}))
    return results


def _weight_results(
    layout: Layout, cells: Mapping[str, Cells | None], params: Mapping[str, Array]
) -> list[TensorResult]:
    """Weights must be the checkpoint's own, to the last digit; in int8 the whole numbers and their scales."""
    results = []
    for name, areas in layout.params.items():
        first = 0
        for b, area in enumerate(areas):
            read = defined_name(name) if len(areas) == 1 else f"{name}_{b}"
            if name in ("wte", "wpe", "lm_head"):
                want = params[name][first : first + area.n_columns].T
                first += area.n_columns
            else:
                want = params[name].reshape(area.n_rows, area.n_columns)
            want = want if want.dtype == np.int8 else as_cells(want)
            results.append(compare(name if len(areas) == 1 else read, area, cells[read], want, exact=True))
    return results


def _weights(layout: Layout, cells: Mapping[str, Cells | None]) -> tuple[dict[str, Array], list[TensorResult]]:
    """The parameters as the cells hold them, and what could not be read."""
    params, unread = {}, []
    for name, areas in layout.params.items():
        names = [defined_name(name)] if len(areas) == 1 else [f"{name}_{b}" for b in range(len(areas))]
        parts = []
        for read, area in zip(names, areas, strict=True):
            found = cells[read]
            problem = shape_problem(area, found)
            if found is not None and not problem and np.isnan(found.numbers).any():
                problem = "holds cells that are no numbers"
            if found is None or problem:
                unread.append(TensorResult(name, area.reference, None, None, problem=problem))
            else:
                parts.append(found.numbers)
        if len(parts) == len(areas):
            whole = np.concatenate(parts, axis=1)
            params[name] = whole.T if name in ("wte", "wpe", "lm_head") else whole
            if name.endswith((".g", ".b", ".scale")):
                params[name] = whole.ravel()
    return params, unread
