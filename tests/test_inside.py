"""The lens and the contributions: against `transformers` (scripts/make_golden.py), in Python, and on their sheets."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from patching import patch, set_formula

import sheetgpt
from sheetgpt.engines import Step, libreoffice
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoint import Checkpoint, load
from sheetgpt.gpt2.model import forward
from sheetgpt.inspection import contributions as made_of
from sheetgpt.inspection import lens as seen
from sheetgpt.inspection.subject import Subject, subject
from sheetgpt.sheets import contributions as contributions_sheet
from sheetgpt.sheets.home_prompt import FINE
from sheetgpt.verification.verify import Case, judge, prepare, verify
from sheetgpt.workbook.build import build
from sheetgpt.workbook.reopen import open_workbook

GOLDEN = Path(__file__).parent / "golden"
CASES = [*(f"{a}.{p}" for a in ("gelu_new", "gelu", "relu") for p in ("long", "one")), "0", "1", "2"]


def model_of(case: str) -> tuple[Checkpoint, list[int]]:
    """The model and the ids of a golden case."""
    if case.isdigit():
        return load("fairytale"), ids_of("fairytale.npz", case)
    odd = load(GOLDEN / "odd")
    activation = case.partition(".")[0]
    return replace(odd, config=replace(odd.config, activation_function=activation)), ids_of("odd.npz", case)


def ids_of(file: str, case: str) -> list[int]:
    return [int(i) for i in np.load(GOLDEN / file)[f"{case}.ids"]]


def read(checkpoint: Checkpoint, ids: list[int]) -> Subject:
    """With the weights' own bits, as `transformers` has them, in place of their decimals."""
    params = {name: tensor.astype(np.float64) for name, tensor in checkpoint.params.items()}
    shown = [str(i) for i in range(checkpoint.config.n_vocab)]
    return Subject(checkpoint.config, params, forward(params, checkpoint.config, ids), tuple(ids), shown)


@pytest.mark.parametrize("case", CASES)
def test_the_lens_agrees_with_transformers(case: str) -> None:
    checkpoint, ids = model_of(case)
    golden = np.load(GOLDEN / "inside.npz")
    text = read(checkpoint, ids)
    found = seen.look(text.params, text.config, text.trace, len(ids) - 1)
    top = np.array(found.top(10)).T
    np.testing.assert_array_equal(top, golden[f"{case}.lens_ids"])
    np.testing.assert_allclose(np.take_along_axis(found.logits, top, 0), golden[f"{case}.lens_logits"], rtol=1e-9)
    np.testing.assert_allclose(found.entropy, golden[f"{case}.lens_entropy"], rtol=1e-9, atol=1e-11)
    frame = seen.table(text)
    assert frame.index.tolist() == ["embedding", *(f"block {i}" for i in range(text.config.n_layer))]
    assert frame["rank"].iloc[-1] == 1
    assert frame[1].tolist() == [text.shown[id] for id in top[0]]


@pytest.mark.parametrize("case", CASES)
def test_the_contributions_agree_with_transformers(case: str) -> None:
    """Which were found by taking each part out of the last state, the final norm's variance held fixed."""
    checkpoint, ids = model_of(case)
    golden, text = np.load(GOLDEN / "inside.npz"), read(checkpoint, ids)
    found = made_of.of(text)
    adds, written = golden[f"{case}.adds"], golden[f"{case}.written"]
    np.testing.assert_allclose(found.values, adds, rtol=1e-9, atol=1e-9 * np.abs(adds).max())
    np.testing.assert_allclose(found.writes, written, rtol=1e-9, atol=1e-9 * np.abs(written).mean())
    assert adds.sum() == pytest.approx(text.trace["logits"][:, -1].max(), rel=1e-9)


def test_contributions_sum_to_the_logit_or_the_difference() -> None:
    for position, token, other in ((None, None, None), (2, 700, None), (4, 12, 13)):
        frame = sheetgpt.contributions(
            "fairytale", "Once upon a time there was", position=position, token=token, other=other
        )
        text = subject("fairytale", "Once upon a time there was", None)
        at = frame.attrs["position"]
        assert at == (len(text.ids) - 1 if position is None else position)
        logits = text.trace["logits"][:, at]
        wanted = logits[frame.attrs["token"]] - (0 if other is None else logits[other])
        assert frame["adds"].sum() == pytest.approx(wanted, rel=1e-9)
        assert frame.attrs["logit"] == pytest.approx(wanted, rel=1e-12)
        assert frame.loc[("final norm", "bias"), "adds"] != 0
        assert len(frame) == 2 + 4 * (4 + 3) + 1


def test_the_stream_ends_in_its_last_state() -> None:
    frame = made_of.residual("fairytale", "The king")
    assert len(frame) == 9
    assert frame["cosine"].iloc[-1] == pytest.approx(1)
    assert frame["written"].iloc[0] == frame["stream"].iloc[0]
    assert (frame["written"] > 0).all()


@pytest.mark.parametrize(
    ("asked", "words"),
    [({"position": 9}, "no position 9"), ({"position": -1}, "no position -1"), ({"token": 2048}, "no token 2048")],
)
def test_what_is_not_there_is_refused(asked: dict[str, int], words: str) -> None:
    for function in (sheetgpt.lens, sheetgpt.contributions):
        with pytest.raises(SheetGPTError, match=words):
            function("fairytale", "The king", **asked)


# The sheets


@pytest.fixture(scope="module")
def inside(odd: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Only these two sheets beside the network."""
    return build(
        odd,
        tmp_path_factory.mktemp("inside") / "inside.xlsx",
        ids=[36, 0, 0, 7],
        context=9,
        new_tokens=2,
        without="attention",
    )


READ = ["contributions", "contributions_sum", "contributions_logit", "logits"]


@pytest.mark.parametrize(("name", "n"), [("micro", 50), ("fairytale", 4)])
def test_contributions_sum_to_the_logit_in_libreoffice(
    name: str, n: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Random prompts, positions, tokens and second tokens; the sheet's own sum and Output's own logit."""
    checkpoint = request.getfixturevalue(name) if name == "micro" else load(name)
    config, rng = checkpoint.config, np.random.default_rng(7)
    sizes: dict[str, Any] = {"prompt_bytes": 24, "merge_rounds": 3}
    workbook = build(checkpoint, tmp_path / "b.xlsx", ids=[1], context=6, without="attention,lens", **sizes)
    cases, steps = [], []
    for k in range(n):
        length = int(rng.integers(1, 7))
        ids = [int(i) for i in rng.integers(0, config.n_vocab, length)]
        position, token, other = (int(rng.integers(0, top)) for top in (length, config.n_vocab, config.n_vocab))
        asked: tuple[Any, Any, Any] = (position, token, other if k % 2 else None)
        cases.append((ids, asked))
        names = ("contributions_position", "contributions_token", "contributions_other")
        steps.append(Step({"prompt_ids": ids, "score_prompt": 1, **dict(zip(names, asked, strict=True))}, READ))
    for (ids, (position, token, other)), cells in zip(cases, libreoffice.run(workbook, steps), strict=True):
        numbers = {name: cells[name].numbers for name in READ if cells[name] is not None}  # type: ignore[union-attr]
        logits = numbers["logits"][:, position]
        wanted = logits[token] - (0 if other is None else logits[other])
        total, logit = numbers["contributions_sum"][0, 0], numbers["contributions_logit"][0, 0]
        assert logit == wanted, (ids, position, token, other)
        assert total == pytest.approx(wanted, rel=1e-9, abs=1e-9), (ids, position, token, other)
        frame = sheetgpt.contributions(checkpoint, ids=ids, position=position, token=token, other=other)
        np.testing.assert_allclose(numbers["contributions"][0], frame["adds"], rtol=1e-9, atol=1e-11)
