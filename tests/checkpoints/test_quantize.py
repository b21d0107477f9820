"""Weights as whole numbers with scales, or with fewer digits: the arithmetic, the workbook, what verification sees."""

import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Context, Decimal
from pathlib import Path

import numpy as np
import openpyxl
import orjson
import pytest
from patching import Change, in_order, patch, set_number, set_row_formula, set_value, sheet_part
from ready import MICRO_IDS
from some_sheets import defined_names

import sheetgpt
from sheetgpt import cli
from sheetgpt.errors import SheetGPTError
from sheetgpt.excel_rules import check
from sheetgpt.gpt2.checkpoints import quantize
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.gpt2.model import as_cells, forward
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets import lay_out, layout
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.network import embed, weights
from sheetgpt.verification.report import Report
from sheetgpt.verification.verify import verify
from sheetgpt.workbook.reopen import open_workbook

ODD_IDS = (36, 0, 0, 7)


@pytest.fixture(scope="module")
def int8_workbook(micro: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sheetgpt.build(
        micro, tmp_path_factory.mktemp("int8") / "w.xlsx", ids=MICRO_IDS, context=6, weights="int8", without="all"
    )


@pytest.fixture(scope="module")
def odd_int8_workbook(odd: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With an lm_head of its own."""
    return sheetgpt.build(odd, tmp_path_factory.mktemp("int8") / "odd.xlsx", ids=ODD_IDS, context=7, weights="int8")


@pytest.fixture(scope="module")
def digits_workbook(micro: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sheetgpt.build(
        micro, tmp_path_factory.mktemp("digits") / "w.xlsx", ids=MICRO_IDS, context=6, digits=2, without="all"
    )


@pytest.fixture
def int8_layout(micro: Checkpoint) -> Layout:
    return lay_out(micro.config, 6, weights="int8")


def red(report: Report) -> set[str]:
    assert not report.passed
    return {t.name for t in report.tensors if not t.passed}


def test_a_weight_is_off_by_half_a_step_at_most() -> None:
    matrix = np.random.default_rng(3).normal(size=(50, 7)).astype(np.float32) * 10.0 ** np.arange(-3, 4, dtype="f4")
    matrix[:, 5] = 0
    matrix[:, 6] = 1e-45  # its scale would be 0
    whole, scales = quantize.quantize(matrix, 0)
    np.testing.assert_array_equal(scales[:5], np.abs(matrix[:, :5]).max(axis=0) / np.float32(127))
    assert scales[5:].tolist() == [1, 1]
    assert np.abs(whole[:, :5]).max(axis=0).tolist() == [127] * 5
    assert (np.abs(whole * scales.astype(float) - matrix) <= scales / 2 * (1 + 1e-6)).all()


def test_a_token_has_a_scale_and_a_neuron_has_a_scale(odd: Checkpoint) -> None:
    cells = quantize.stored(odd.params, "int8")
    numbers = quantize.evaluated(cells)
    config = odd.config
    sizes = {
        "wte": config.n_vocab,
        "wpe": config.n_positions,
        "lm_head": config.n_vocab,
        "h1.mlp.c_fc.w": config.n_inner,
    }
    for name, n in sizes.items():
        scales = cells[quantize.scale_name(name)]
        assert scales.shape == (n,), name
        across = scales[:, None] if name in ("wte", "wpe", "lm_head") else scales
        np.testing.assert_array_equal(numbers[name], cells[name].astype(float) * across)
        assert (np.abs(numbers[name] - odd.params[name]) <= across * 0.500001).all(), name
    for name, tensor in odd.params.items():
        if tensor.ndim == 1:
            np.testing.assert_array_equal(numbers[name], as_cells(tensor))


@pytest.mark.parametrize("digits", [1, 4, 8, 9])
def test_digits_round_the_decimal_that_a_cell_would_show(digits: int) -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=2000) * 10.0 ** rng.integers(-30, 30, 2000)).astype(np.float32)
    x = np.append(x, np.array([0, 1, -1000, 999.95, 0.125, 0.93505, 3.4e38], np.float32))
    rounded = quantize.round_digits(x, digits)
    context = Context(prec=digits, rounding=ROUND_HALF_EVEN)
    decimals = [context.plus(Decimal(repr(v))) for v in as_cells(x).tolist()]
    assert rounded.tolist() == [float(np.float32(str(decimal))) for decimal in decimals]
    assert max(map(significant, texts(rounded))) == digits


def texts(values: np.ndarray) -> list[str]:
    return orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY).decode()[1:-1].split(",")


def significant(number: str) -> int:
    return len(re.sub(r"e.*|[.-]", "", number).strip("0"))


def test_weight_cells_hold_whole_numbers_and_names_their_scales(odd: Checkpoint, odd_int8_workbook: Path) -> None:
    cells = quantize.stored(odd.params, "int8")
    book = openpyxl.load_workbook(odd_int8_workbook, data_only=True)
    records = lay_out(odd.config, 7, weights="int8").records
    places = {name: [*record.areas] for name, record in records.items()}
    for name in ("wte", "lm_head", "wpe", "h2.attn.c_attn.w", "h0.mlp.c_proj.w"):
        found = values(book, places[name])
        want = cells[name].T if records[name].turned else cells[name]
        np.testing.assert_array_equal(found, want)
        assert np.abs(found).max() <= 127
        scales = values(book, places[quantize.scale_name(name)]).ravel()
        np.testing.assert_array_equal(scales, cells[quantize.scale_name(name)])
        defined = book.defined_names[layout.defined_name(quantize.scale_name(name))].attr_text
        assert defined == places[quantize.scale_name(name)][0].reference
    neuron = places["h1.mlp.c_fc.scale"][0]
    assert (neuron.sheet, neuron.cells[0]) == ("Block 1", "E")


def values(book: openpyxl.Workbook, areas: list[Area]) -> np.ndarray:
    return np.concatenate([[[c.value for c in row] for row in book[a.sheet][a.cells]] for a in areas], axis=1)


@pytest.mark.parametrize("workbook", ["int8_workbook", "odd_int8_workbook", "digits_workbook"])
def test_a_rounded_workbook_breaks_no_rule_and_passes_in_libreoffice(
    workbook: str, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(workbook)
    assert check(path) == []
    report = verify(path)
    assert report.passed, report.frame()[["name", "where", "problem", "max_rel"]].to_string()
    assert {t.name for t in report.tensors} >= set(open_workbook(path).layout.params)
    assert verify(path, engine="cached", weights_from_workbook=True).passed


def test_tokens_in_several_bands_pass_too(micro: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "BAND", 25)
    monkeypatch.setattr(embed, "BAND", 25)
    path = sheetgpt.build(micro, tmp_path / "w.xlsx", ids=[0, 24, 25, 63], context=4, weights="int8")
    report = verify(path)
    assert report.passed, report.frame()[["name", "where", "problem", "max_rel"]].to_string()
    assert "wte_2" in {t.name for t in report.tensors}


def test_edited_scales_are_red_and_the_formulas_read_them(
    odd: Checkpoint, odd_int8_workbook: Path, tmp_path: Path
) -> None:
    """Against the workbook's own weights it is green, which it would not be if a formula read another cell."""
    places = lay_out(odd.config, 7, weights="int8").params
    scales = ("h0.mlp.c_fc.scale", "h1.attn.c_attn.scale", "wpe.scale", "wte.scale", "lm_head.scale")
    changes: dict[str, list[Change]] = {}
    for name in scales:
        (area,) = places[name]
        where = area.stripe(0).line(0).cells  # token 0 is in the prompt, position 0 always
        changes.setdefault(area.sheet, []).append(set_value(where, lambda v: repr(2 * float(v))))
    sheets = {sheet: in_order(*found) for sheet, found in changes.items()}
    broken = patch(odd_int8_workbook, tmp_path / "w.xlsx", sheets)
    assert red(verify(broken)) >= {*scales, "embed_tok", "embed_pos", "h0.mlp.fc", "h1.attn.qkv", "logits"}
    assert verify(broken, weights_from_workbook=True).passed


def test_the_tied_scale_serves_both_ends(int8_workbook: Path, int8_layout: Layout, tmp_path: Path) -> None:
    (area,) = int8_layout.params["wte.scale"]
    assert area.sheet == "Output"
    where = area.line(MICRO_IDS[1]).cells
    broken = patch(int8_workbook, tmp_path / "w.xlsx", {area.sheet: set_value(where, lambda v: repr(2 * float(v)))})
    assert red(verify(broken, engine="cached")) == {"wte.scale"}
    assert verify(broken, weights_from_workbook=True).passed


FAULTS: dict[str, tuple[str, int, Callable[[str], str]]] = {
    "a neuron without its scale": ("h0.mlp.fc", 3, lambda f: re.sub(r"\*\$E\$\d+", "", f)),
    "another token's scale": ("embed_scale", 0, lambda f: f.replace("+1)", "+2)")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_formula_that_misses_its_scale_is_red(
    int8_workbook: Path, int8_layout: Layout, tmp_path: Path, fault: str
) -> None:
    tensor, i, change = FAULTS[fault]
    area = int8_layout[tensor]
    formula = set_row_formula(area.line(i).stripe(0).cells, change)
    broken = patch(int8_workbook, tmp_path / "w.xlsx", {area.sheet: formula})
    assert verify(broken, engine="cached").passed
    assert red(verify(broken)) >= {"embed_tok" if tensor == "embed_scale" else tensor}


@pytest.mark.parametrize("workbook", ["int8_workbook", "digits_workbook"])
def test_an_edited_weight_is_red(
    workbook: str, int8_layout: Layout, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    (area,) = int8_layout.params["h1.mlp.c_fc.w"]
    where = area.line(2).stripe(3).cells
    change = set_value(where, lambda v: str(float(v) + 0.5))
    broken = patch(request.getfixturevalue(workbook), tmp_path / "w.xlsx", {area.sheet: change})
    assert red(verify(broken, engine="cached")) == {"h1.mlp.c_fc.w"}


def test_digits_leave_no_more_digits(micro: Checkpoint, digits_workbook: Path) -> None:
    book = openpyxl.load_workbook(digits_workbook)
    for name, areas in lay_out(micro.config, 6, weights="2 digits").params.items():
        found = values(book, areas)
        want = as_cells(quantize.round_digits(micro.params[name], 2))
        np.testing.assert_array_equal(found.ravel(), want.T.ravel() if name in ("wte", "wpe") else want.ravel())
        assert max(significant(repr(v)) for v in found.ravel().tolist()) <= 2, name


@pytest.mark.parametrize(("workbook", "weights"), [("int8_workbook", "int8"), ("digits_workbook", "2 digits")])
def test_the_workbook_says_what_rounding_costs(
    workbook: str, weights: str, micro: Checkpoint, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(workbook)
    exact = forward(micro.params, micro.config, MICRO_IDS)["logits"]
    book = openpyxl.load_workbook(path, data_only=True)
    own = open_workbook(path)
    params = quantize.evaluated(quantize.stored(micro.params, weights))
    difference = forward(params, micro.config, MICRO_IDS)["logits"] - exact
    assert own.layout.weights == weights
    assert own.cost is not None
    assert own.cost.largest == pytest.approx(np.abs(difference).max(), rel=1e-9)
    assert own.cost.rms == pytest.approx(np.sqrt(np.mean(difference**2)), rel=1e-9)
    same = (difference + exact).argmax(axis=0) == exact.argmax(axis=0)
    assert (own.cost.top_1, own.cost.n_tokens) == (same.mean(), 3)
    home = [cell.value for row in book["Home"].iter_rows() for cell in row]
    assert f"{weights}; {own.cost}." in home


def test_an_exact_workbook_says_nothing_of_it(micro_workbook: Path) -> None:
    assert open_workbook(micro_workbook).cost is None
    assert "weights" not in defined_names(micro_workbook)


def test_what_the_workbook_says_of_its_weights_is_damaged(
    int8_workbook: Path, int8_layout: Layout, tmp_path: Path
) -> None:
    """Verification is red, not an error."""
    rounding = int8_layout
    changes: tuple[tuple[str, str, Change], ...] = (
        ("weights", "int9", lambda sheet: sheet.replace(">int8<", ">int9<", 1)),
        ("weights", "", lambda sheet: sheet.replace(">int8<", ">exact<", 1)),
        (
            "compared_tokens",
            "compared_tokens holds '#NUM!', not a whole number",
            set_number(rounding["compared_tokens"].cells, 1e400),
        ),
    )
    for name, words, change in changes:
        broken = patch(int8_workbook, tmp_path / "w.xlsx", {rounding[name].sheet: change})
        report = verify(broken, engine="cached")
        assert not report.passed
        assert words in "".join(report.problems)


def test_rounding_that_does_not_exist_is_refused(micro: Checkpoint, tmp_path: Path) -> None:
    target = tmp_path / "w.xlsx"
    refusals: tuple[tuple[dict[str, object], str], ...] = (
        ({"weights": "int4"}, "not 'int4'"),
        ({"digits": 0}, "not 0"),
        ({"digits": 10}, "not 10"),
        ({"weights": "int8", "digits": 4}, "not both"),
    )
    for arguments, words in refusals:
        with pytest.raises(SheetGPTError, match=words):
            sheetgpt.build(micro, target, **arguments)  # type: ignore[arg-type]
    assert not target.exists()


def test_the_commands_tell_the_cost(
    micro: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "w.xlsx"

    def command(*words: object) -> str:
        monkeypatch.setattr("sys.argv", ["sheetgpt", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        said = capfd.readouterr()
        assert stop.value.code in (0, None), said.err
        return said.out

    said = command("build", micro.source, "-o", target, "--ids", "5,9,33", "--context", 4, "--weights", "int8")
    cost = open_workbook(target).cost
    assert f"Weights (int8): {cost}" in said
    assert cost is not None
    assert f"{cost.n_same} of 3 tokens" in command("info", target)
    words = ("--ids", "5", "--context", 4, "--digits", "3", "--without", "all")
    said = command("build", micro.source, "-o", target, *words)
    assert "Weights (3 digits): " in said
    assert open_workbook(target).layout == replace(lay_out(micro.config, 4), weights="3 digits")


@pytest.fixture
def compact_workbook(odd: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As if the model were a large one."""
    monkeypatch.setattr(weights, "MANY_CELLS", 100)
    return sheetgpt.build(odd, tmp_path / "w.xlsx", ids=ODD_IDS, context=7, weights="int8", without="all")


def test_cells_without_addresses_hold_the_same(compact_workbook: Path, odd_int8_workbook: Path) -> None:
    with zipfile.ZipFile(compact_workbook) as package:
        sheet = package.read(sheet_part(package, "Block 0 weights"))
    assert sheet.count(b"<c><v>") > 1000
    assert compact_workbook.stat().st_size < odd_int8_workbook.stat().st_size
    assert check(compact_workbook) == []
    assert verify(compact_workbook, engine="cached").passed
    assert verify(compact_workbook).passed


def test_check_counts_cells_without_addresses(compact_workbook: Path, tmp_path: Path) -> None:
    """One too many leaves the sheet's declared range; a bad number among them has its address."""
    broken = tmp_path / "broken.xlsx"
    changes: dict[str, tuple[str, str]] = {
        "<c><v>nan</v></c>": ("K5", "is not a number"),
        "<c><v>1</v></c>": ("dimension", "cover"),
        "<c></c><c><v>1</v></c>": ("row 5", "not valid in row 5"),
        16384 * "<c><v>1</v></c>": ("row 5", "not valid in row 5"),
    }
    for put, (where, rule) in changes.items():

        def change(sheet: str, put: str = put) -> str:
            before, row, after = sheet.partition('<row r="5"')
            cells = after.split("<c><v>", 8)
            return before + row + "<c><v>".join(cells[:8]) + put + "<c><v>" + cells[8]

        patch(compact_workbook, broken, {"Block 0 weights": change})
        found = [(problem.where, problem.rule) for problem in check(broken)]
        assert any(place == where and rule in words for place, words in found), found[:3]
