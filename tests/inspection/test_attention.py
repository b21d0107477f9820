"""What the heads do: the patterns against `transformers`, the measures against TransformerLens' own definition."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from places import GOLDEN
from ready import MICRO_IDS, Command

import sheetgpt
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.gpt2.model import forward
from sheetgpt.inspection.attention import MEASURES, copies, head_table, measures, pattern, strongest
from sheetgpt.inspection.subject import Subject
from sheetgpt.look.printing import colour

Floats = NDArray[np.float64]

ATTENTIONS = GOLDEN / "attentions.npz"
REPEATED = "The old bear said: the old bear is sad, the old bear"  # golden text 3


def detection(ids: NDArray[np.int64]) -> dict[str, Floats]:
    """[query, key], after `transformer_lens/head_detector.py`."""
    n = len(ids)
    previous = np.eye(n, k=-1)
    same = (ids[:, None] == ids[None, :]).astype(float)
    np.fill_diagonal(same, 0)
    duplicate = np.tril(same)
    induction = np.zeros((n, n))
    induction[:, 1:] = duplicate[:, :-1]
    return {"previous": previous, "duplicate": duplicate, "induction": np.tril(induction)}


def test_patterns_and_measures_agree_with_transformers() -> None:
    """The detector's score "mul" is the attention inside the detection pattern over all attention."""
    golden, checkpoint = np.load(ATTENTIONS), load("stories")
    config = checkpoint.config
    for case in range(4):
        ids = golden[f"{case}.ids"].astype(int)
        trace = forward(checkpoint.params, config, ids.tolist())
        text = Subject(config, checkpoint.params, trace, tuple(ids.tolist()), [str(i) for i in range(config.n_vocab)])
        table, n = head_table(text), len(ids)
        n_repeated = int(copies(text.ids).any(axis=0).sum())
        over = {"previous": n - 1, "duplicate": n_repeated, "induction": n_repeated}
        for (i, j), probs in ((place, golden[f"{case}.attentions"][place]) for place in table.index):
            found = pattern(text, i, j)
            assert [*found.index] == [*found.columns] == [str(token) for token in ids]
            np.testing.assert_allclose(found.fillna(0).to_numpy(), probs.T, rtol=1e-9, atol=1e-12)
            assert np.isnan(found.to_numpy()[np.tril_indices(n, -1)]).all()
            for name, wanted in detection(ids).items():
                score = (probs * wanted).sum() / probs.sum()
                assert np.nan_to_num(table.loc[(i, j), name]) * over[name] / n == pytest.approx(score, rel=1e-9)
            rest = probs[1:]
            assert table.loc[(i, j), "first"] == pytest.approx(rest[:, 0].mean(), rel=1e-9)
            assert table.loc[(i, j), "itself"] == pytest.approx(np.diagonal(probs)[1:].mean(), rel=1e-9)
            bits = [-sum(p * np.log2(p) for p in row if p > 0) for row in rest]
            assert table.loc[(i, j), "entropy"] == pytest.approx(np.mean(bits), rel=1e-9)


def test_the_public_functions_read_a_prompt() -> None:
    """Their weights are the decimals in the cells, a few 1e-8 from the checkpoint's float32."""
    golden = np.load(ATTENTIONS)["3.attentions"]
    found = sheetgpt.attention("stories", REPEATED, block=3, head=3)
    np.testing.assert_allclose(found.fillna(0).to_numpy(), golden[3, 3].T, atol=1e-6)
    assert found.columns[:3].tolist() == ["The", "·old", "·bear"]
    table = sheetgpt.heads("stories", REPEATED)
    assert table.index.names == ["block", "head"]
    assert [*table.columns] == [*MEASURES, "entropy", "most"]
    again = sheetgpt.heads(load("stories"), ids=load("stories").tokenizer.encode(REPEATED))  # type: ignore[union-attr]
    assert again.equals(table)
    for wrong in ({"block": 4}, {"head": -1}, {"head": 1.5}):
        with pytest.raises(SheetGPTError, match=r"There is no (block|head)"):
            sheetgpt.attention("stories", REPEATED, **wrong)


def test_measures_by_hand() -> None:
    """Three times the same token, then another: what is averaged over what."""
    probs = np.array([[1, 0.25, 0.5, 0.1], [0, 0.75, 0.25, 0.2], [0, 0, 0.25, 0.3], [0, 0, 0, 0.4]])
    found = dict(zip([*MEASURES, "entropy"], measures(probs, [7, 7, 7, 8]), strict=True))
    assert found["previous"] == pytest.approx((0.25 + 0.25 + 0.3) / 3)
    assert found["first"] == pytest.approx((0.25 + 0.5 + 0.1) / 3)
    assert found["itself"] == pytest.approx((0.75 + 0.25 + 0.4) / 3)
    assert found["duplicate"] == pytest.approx((0.25 + 0.75) / 2)
    assert found["induction"] == pytest.approx((0.75 + 0.5) / 2)  # of the token at 1 its own place, of that at 2 both
    assert found["entropy"] == pytest.approx((0.8112781244591328 + 1.5 + 1.8464393446710154) / 3)
    nothing = measures(np.ones((1, 1)), [7])
    assert np.isnan(nothing).all()
    assert strongest(nothing[:5]) == ""
    assert np.isnan(measures(np.array([[1, 0.5], [0, 0.5]]), [7, 8])[3:5]).all()


def test_of_equal_measures_the_first_is_named() -> None:
    """Where a head looks at all alike, three of the averages are the same number, up to its last bit."""
    alike = np.array([1 / 3, np.nextafter(1 / 3, 1), 1 / 3, np.nan, np.nan])
    assert strongest(alike) == strongest(alike[[1, 0, 2, 3, 4]]) == "previous"


def test_there_are_induction_heads_for_words_and_hardly_for_random_tokens() -> None:
    """In the bundled model. Olsson et al. repeat random tokens; this one has learned it on stories only."""
    table = sheetgpt.heads("stories", REPEATED)
    assert table.loc[(3, 3), "most"] == "induction"
    assert table["induction"].max() > 0.4
    random = np.random.default_rng(0).integers(1, 1915, 20).tolist()
    assert sheetgpt.heads("stories", ids=[*random, *random])["induction"].max() < 0.15


@pytest.fixture(scope="module")
def looked_at(micro: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("look")
    return sheetgpt.build(micro, folder / "w.xlsx", ids=[*MICRO_IDS, 5], context=6), micro.source


def test_look_prints_the_pattern_in_shades(looked_at: tuple[Path, str], sheetgpt_command: Command) -> None:
    path, model = looked_at
    status, said, _ = sheetgpt_command("look", path, "attention", "--block", 1, "--head", 1, "--model", model)
    assert status == 0
    shares = sheetgpt.attention(model, ids=[*MICRO_IDS, 5], block=1, head=1).to_numpy()
    title, *lines = said.rstrip().splitlines()
    assert title.startswith("Block 1, head 1")
    assert [line.split()[0:2] for line in lines[2:]] == [["0", "#5"], ["1", "#9"], ["2", "#33"], ["3", "#5"]]
    last = [line.rstrip()[-3:].lstrip(" ░▒▓█") for line in lines[2:]]
    assert last == [f"{100 * share:.0f}" if share >= 0.005 else "·" for share in shares[:, 3]]
    assert "\x1b" not in said


def test_look_prints_colours_into_a_terminal(
    looked_at: tuple[Path, str], sheetgpt_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("COLUMNS", "26")
    path, model = looked_at
    status, said, _ = sheetgpt_command("look", path, "attention", "--model", model)
    assert status == 0
    assert "48;2;197;90;17m100" in said  # the first token has only itself to look at
    assert "#33" in said.splitlines()[-2]  # two columns have room: the others come below them
    assert said.count("#33") == 3


def test_the_colours_are_those_of_the_sheets() -> None:
    assert [colour(share) for share in (0, 0.25, 0.5, 1)] == ["255,255,255", "252,219,181", "249,183,107", "197,90,17"]


def test_look_prints_the_table_of_all_heads(looked_at: tuple[Path, str], sheetgpt_command: Command) -> None:
    path, model = looked_at
    status, said, _ = sheetgpt_command("look", path, "attention", "--heads", "--ids", "1,2", "--model", model)
    assert status == 0
    lines = [line.split() for line in said.splitlines()]
    table = sheetgpt.heads(model, ids=[1, 2])
    shares = table[[*MEASURES[:3]]].to_numpy()
    for line, (i, j), row in zip(lines[1:5], ((0, 0), (0, 1), (1, 0), (1, 1)), shares, strict=True):
        assert line[:5] == [str(i), str(j), *(f"{share:.0%}" for share in row)]
    assert all(line[5:7] == ["–", "–"] for line in lines[1:5])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--block", 2), "There is no block 2: the model has blocks 0 to 1."),
        (("--head", -1), "There is no head -1: the model has heads 0 to 1."),
        (("--ids", "1,x"), "--ids takes whole numbers"),
        (("--prompt", "a"), "There is no tokenizer in the workbook"),
    ],
)
def test_look_says_what_it_can_not_do(
    looked_at: tuple[Path, str], sheetgpt_command: Command, words: tuple[object, ...], sentence: str
) -> None:
    path, model = looked_at
    status, said, problem = sheetgpt_command("look", path, "attention", *words, "--model", model)
    assert (status, said) == (2, "")
    assert sentence in problem
