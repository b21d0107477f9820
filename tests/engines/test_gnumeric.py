"""The live workbook in Gnumeric, where it is installed: ids from text, text from ids, the tokens that are written."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prompts import READ, word, wrong
from ready import fairytale_words

from sheetgpt.engines import Cells, Inputs, gnumeric
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.verification.verify import verify
from sheetgpt.workbook.build import build
from sheetgpt.workbook.reopen import open_workbook

pytestmark = pytest.mark.gnumeric

TEXTS = (
    "",
    "Once there was a king,  wasn't there?",
    "it's\ttheirs\n\nI'll",
    "<|endoftext|>the king<|endoftext|",
    "Straße 3½, é日本👍👩‍👧",
    "=1+1",
    "x" * 49,
)
# Gnumeric saves a text without xml:space, and its last blank is lost
BLANK_LOST = "holds 'key:', not 'key: '"


@pytest.fixture(scope="module")
def words(make_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    """Part of a real tokenizer over a network one wide."""
    config = GPT2Config(n_vocab=512, n_positions=64, n_embd=1, n_layer=1, n_head=1, n_inner=1)
    return make_checkpoint(config, "words", files=fairytale_words(config.n_vocab))


@pytest.fixture(scope="module")
def workbook(words: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("gnumeric") / "words.xlsx"
    return build(
        words, target, prompt="the king", context=8, new_tokens=0, without="all", prompt_bytes=48, merge_rounds=8
    )


def test_any_text_gives_the_references_ids(workbook: Path, words: Checkpoint) -> None:
    layout = open_workbook(workbook).layout
    answers = [gnumeric.recalculate(workbook, {"prompt": text}, READ) for text in TEXTS]
    problems = [wrong(answer, text, words, layout) for text, answer in zip(TEXTS, answers, strict=True)]
    assert [problem for problem in problems if problem] == []


def test_bpe_by_hand_and_the_self_check_work(workbook: Path) -> None:
    read = ["self_check", "BPE by hand!B13", "BPE by hand!B21", "BPE by hand!B29"]
    found = gnumeric.recalculate(workbook, {"BPE by hand!B4": "aaabdaaabac"}, read)
    assert word(found["self_check"]).startswith("✓")
    assert [word(found[key]) for key in read[1:]] == ["aa → ①", "ab → ②", "①② → ③"]


@pytest.mark.parametrize("temperature", [0, 0.8])
def test_every_tensor_and_the_tokens_that_are_written_are_numpys(
    micro: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temperature: float
) -> None:
    def recalculate(path: Path, inputs: Inputs, areas: list[str], _timeout: float) -> object:
        found: dict[str, Cells | None] = gnumeric.recalculate(path, inputs, areas)
        return found

    monkeypatch.setitem(sys.modules["sheetgpt.verification.verify"].ENGINES, "libreoffice", recalculate)
    workbook = build(micro, tmp_path / "w.xlsx", ids=[5, 9, 33], context=8)
    report = verify(
        workbook,
        ids=[60, 2, 2, 17],
        new_tokens=3,
        temperature=temperature,
        top_k=7,
        top_p=0.9,
        seed=3,
        wrong_cells=None,
    )
    results = {t.name: t for t in report.tensors}
    exact = {name for name, t in results.items() if t.passed or (t.max_rel and t.max_rel < 1e-14)}
    differing = results.keys() - exact  # a constant's last bit may be another
    assert {cell.problem for name in differing for cell in results[name].cells} <= {BLANK_LOST}
    assert all(results[name].cells for name in differing)
    assert results["token_text"].passed
    assert results["sample_chosen_id"].passed
    assert len(results) > 60
