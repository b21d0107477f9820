"""Two lanes and the sheet Lab: whatever is switched, steered or patched, LibreOffice computes what NumPy computes."""

from collections.abc import Callable
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from patching import patch
from ready import fairytale_words
from some_sheets import defined_names, one_sheet

import sheetgpt
from sheetgpt.engines import Step, libreoffice
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.gpt2.editing.edit_words import EditWords
from sheetgpt.gpt2.editing.edits import Edits, Patch, Steering
from sheetgpt.sheets import lay_out
from sheetgpt.sheets.grid import EDITS, LANE
from sheetgpt.sheets.home.home import LAB_WORDS
from sheetgpt.sheets.inside.token_words import id_now
from sheetgpt.sheets.lab import edits as edits_sheet
from sheetgpt.sheets.lab import lab as lab_sheet
from sheetgpt.sheets.lab.results import NO_SUCH
from sheetgpt.sheets.lab.screws import Lab, untouched, with_edits
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.tensor import Kind, Value
from sheetgpt.text.chat import Chat
from sheetgpt.verification.verify import Case, judge, prepare
from sheetgpt.workbook.build import build
from sheetgpt.workbook.reopen import open_workbook

N_COMBINATIONS = 60


@pytest.fixture(scope="module")
def model(make_checkpoint: Callable[..., Checkpoint]) -> Checkpoint:
    """Part of a real tokenizer over two blocks with two heads each."""
    config = GPT2Config(n_vocab=512, n_positions=64, n_embd=8, n_layer=2, n_head=2, n_inner=8)
    return make_checkpoint(config, "lab", seed=5, files=fairytale_words(config.n_vocab))


SIZES: dict[str, Any] = {"context": 8, "new_tokens": 2, "sheets": "none", "without": "all", "lanes": 2}


@pytest.fixture(scope="module")
def lab_workbook(model: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lab") / "lab.xlsx"
    return build(model, path, prompt="the cat", prompt_bytes=24, merge_rounds=8, **SIZES)


def random_lab(rng: np.random.Generator, layout: Layout) -> Lab:
    """A few screws turned, mostly such as the model has, now and then one that it doesn't have."""
    config = layout.config

    def some(values: list[Value], odd: list[Value]) -> Value:
        return odd[rng.integers(len(odd))] if rng.random() < 0.1 else values[rng.integers(len(values))]

    whole = [[*range(n)] for n in (config.n_layer, config.n_vocab, layout.context)]
    lab = Lab(switches=untouched(layout), mode=("zero", "mean", "Mean", "", "none", 0)[rng.integers(6)])
    if rng.random() < 0.7:
        factors: list[Value] = [0, 0, 1, 0.5, -1, 2.25]
        lab = replace(
            lab,
            switches=tuple(
                tuple(some(factors, ["", "off"]) if rng.random() < 0.4 else 1 for _ in line) for line in lab.switches
            ),
        )
    if rng.random() < 0.6:
        line: tuple[Value, ...] = (
            some(whole[0], [99, "x", 0.5, -1]),
            some(whole[1], [10**6, "", "the", "·the"]),
            some([*whole[1], ""], ["?", "xyzzy", "a"]),
            float(rng.normal() * 3),
            some(["", *whole[2]], [-1]),
            "",
        )
        if rng.random() < 0.4:
            line = (line[0], "", "", *line[3:5], some([*whole[2]], [-1, "x"]))
        lab = replace(lab, steering=(line, *lab.steering[1:]) if rng.random() < 0.5 else (*lab.steering[:-1], line))
    if rng.random() < 0.6:
        parts: list[Value] = [*range(config.n_head), "mlp", "resid", "MLP"]
        lines = [
            (some(whole[0], [-1, ""]), some(parts, [config.n_head, "head"]), some(whole[2], [1000, 0.5]))
            for _ in range(rng.integers(1, 5))
        ]
        lab = replace(lab, patches=(*lines, *lab.patches[len(lines) :]))
    texts = ["", "", "the hat", "a cat sat on", "é👍"]
    settings: dict[str, Value] = {"temperature": 0, "seed": 3, "new_tokens": 1, "top_k": 2}
    own = {name: value for name, value in settings.items() if rng.random() < 0.3}
    return replace(
        lab, prompt=texts[rng.integers(len(texts))], settings=own, restore=(0, 0, 0, 0, 0, 1, 2, "1")[rng.integers(8)],
        tokens=(some([*whole[1], ""], [-5, "the"]), ""),
    )  # fmt: skip


def case_of(path: Path, lab: Lab, **given: Any) -> Case:
    case = prepare(path, given, lab=lab)
    assert isinstance(case, Case), case
    return case


def test_random_screws(lab_workbook: Path, share: float) -> None:
    """After edits and from scratch, every cell of both lanes."""
    rng, layout = np.random.default_rng(15), open_workbook(lab_workbook).layout
    prompts = ["the cat", "a hat and", "the the the"]
    n_cases = round(N_COMBINATIONS * share)
    cases = [case_of(lab_workbook, random_lab(rng, layout), prompt=prompts[n % 3], seed=n) for n in range(n_cases)]
    steps = [Step(case.puts, list(case.areas.values()), hard=n % 3 == 0) for n, case in enumerate(cases)]
    for n, (case, answer) in enumerate(zip(cases, libreoffice.run(lab_workbook, steps), strict=True)):
        report = judge(case, "libreoffice", answer)
        wrong = [(t.name, t.problem, t.max_rel, [c.where for c in t.cells][:3]) for t in report.tensors if not t.passed]
        assert report.passed, (n, case.state.lab and case.state.lab.lab, wrong[:5], report.problems)
        assert report.compared_cells == report.formula_cells


STREAM = Patch(1, "resid", 1)
BROKEN = {  # a screw of each kind, and a formula of the sheet Edits that only shows when this screw is turned
    "off": (Edits({(1, 0): 0.0}), ",$C$", ",1+$C$"),
    "turned up": (Edits({(0, "mlp"): 2.0}), ",$C$", ",-$C$"),
    "mean": (Edits({(0, 1): 0.5}, "mean"), "AVERAGE(", "MAX("),
    "steering": (Edits(steering=(Steering(1, 5, 9, 3.0, 1),)), "=1,IF('Lab'", "=1,1-IF('Lab'"),
    "direction": (Edits(steering=(Steering(0, 5, 9, 3.0),)), ">=0,INDEX(", "<0,INDEX("),
    "lanes": (Edits(steering=(Steering(1, None, None, 0.5, 0, 1),)), "INDEX(", "1+INDEX("),
    "patch": (Edits(patches=(STREAM, Patch(0, 1, 0), Patch(1, "mlp", 2))), "COUNTIF(", "-1+COUNTIF("),
}


def turned(edits: Edits, workbook: Path) -> Case:
    layout = open_workbook(workbook).layout
    lab = with_edits(Lab(prompt="a hat sat", switches=untouched(layout)), edits, layout)
    assert lab.edits(layout) == edits
    return case_of(workbook, lab)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_screw_is_found(kind: str, lab_workbook: Path, tmp_path: Path) -> None:
    edits, right, wrong = BROKEN[kind]
    path = patch(lab_workbook, tmp_path / "w.xlsx", {EDITS: lambda sheet: broken(sheet, right, wrong)})
    case = turned(edits, path)
    answer = libreoffice.run(path, [Step(case.puts, [*case.areas.values()])])[0]
    assert not judge(case, "libreoffice", answer).passed


def test_the_same_screws_are_green_where_nothing_was_broken(lab_workbook: Path) -> None:
    cases = [turned(edits, lab_workbook) for edits, *_ in BROKEN.values()]
    answers = libreoffice.run(lab_workbook, [Step(case.puts, [*case.areas.values()]) for case in cases])
    assert all(judge(case, "libreoffice", answer).passed for case, answer in zip(cases, answers, strict=True))


def test_tokens_are_taken_by_their_words(lab_workbook: Path) -> None:
    """A word comes to its token, first the one with a space before it; what is none is said to be lacking."""
    layout, case = open_workbook(lab_workbook).layout, case_of(lab_workbook, Lab())
    the, a, xyzzy = (id_now(word, case.state.hexes) for word in ("the", "a", "xyzzy"))
    assert the is not None
    assert a is not None
    assert case.state.shown[the] == "·the"
    assert xyzzy is None
    empty = ("",) * 6

    def lab(plus: Value, minus: Value, first: Value) -> Lab:
        return Lab(
            switches=untouched(layout), steering=((1, plus, minus, 3.0, "", ""), empty), tokens=(first, "")
        )  # fmt: skip

    labs = [lab("the", "a", "the"), lab(the, a, the), lab("xyzzy", "?!", "xyzzy"), lab("THE", "", 3)]
    cases = [case_of(lab_workbook, lab) for lab in labs]
    read = ["Lab!A1:W60", "B_logits"]
    answers = libreoffice.run(lab_workbook, [Step(case.puts, [*read, *case.areas.values()]) for case in cases])
    for case, answer in zip(cases, answers, strict=True):
        assert judge(case, "libreoffice", answer).passed
    words, ids, none, _ = answers
    assert words["B_logits"].numbers.tobytes() == ids["B_logits"].numbers.tobytes()  # type: ignore[union-attr]
    said = [*none["Lab!A1:W60"].texts.values()]  # type: ignore[union-attr]
    assert "plus, minus" in said
    assert NO_SUCH in said
    assert NO_SUCH not in words["Lab!A1:W60"].texts.values()  # type: ignore[union-attr]


def broken(sheet: str, right: str, wrong: str) -> str:
    changed = sheet.replace(escape(right, quote=False), escape(wrong, quote=False))
    assert changed != sheet
    return changed


def test_what_is_not_turned_costs_nothing(lab_workbook: Path) -> None:
    """To the last bit: lane B is lane A, also in the mode mean and with steering that comes to 0."""
    layout = open_workbook(lab_workbook).layout
    names = [name for name, tensor in layout.records.items() if tensor.traced]
    keys = [name.replace(".", "_") for name in names]
    nothing = Lab(switches=untouched(layout), mode="mean", steering=((0, 3, 4, 0, "", ""), ("",) * 6))
    case = case_of(lab_workbook, nothing)
    found = libreoffice.run(lab_workbook, [Step(case.puts, [*keys, *(f"B_{key}" for key in keys)])])[0]
    for key in keys:
        a, b = found[key], found[f"B_{key}"]
        assert a is not None
        assert b is not None
        assert a.numbers.tobytes() == b.numbers.tobytes(), key


def test_one_lane_has_nothing_of_it(model: Checkpoint, lab_workbook: Path, tmp_path: Path) -> None:
    one = build(model, tmp_path / "one.xlsx", prompt="the cat", prompt_bytes=24, merge_rounds=8, **SIZES | {"lanes": 1})
    sheets = openpyxl.load_workbook(one, read_only=True).sheetnames
    assert not {"Lab", "Edits", "Softmax B", "Tokenizer B", "Decoding B"} & {*sheets}
    assert not [name for name in defined_names(one) if name.startswith("B_")]
    with pytest.raises(SheetGPTError, match=r"one\.xlsx has one lane, in which nothing can be changed: build it with"):
        sheetgpt.run(one, edits=Edits({(0, 0): 0.0}))


@pytest.mark.parametrize("kind", ["ids", "int8", "untied", "chat"])
def test_other_workbooks_have_lanes_too(
    kind: str, micro: Checkpoint, odd: Checkpoint, model: Checkpoint, tmp_path: Path
) -> None:
    """Each verified with a few screws turned, every formula cell."""
    path, text = tmp_path / "w.xlsx", {"prompt_bytes": 24, "merge_rounds": 8}
    if kind == "chat":
        model = replace(model, chat=Chat("the ", " a"))
        build(model, path, chat="cat", **SIZES | text)
    elif kind == "int8":
        build(model, path, prompt="the cat", weights="int8", **SIZES | text)
    else:
        build({"ids": micro, "untied": odd}[kind], path, ids=[5, 9, 3], **SIZES)
    layout = open_workbook(path).layout
    edits = Edits({(0, 0): 0.0, (1, "mlp"): -1.0}, "zero", (Steering(1, 5, 9, 2.0, 1),), (Patch(1, "resid", 0),))
    lab = with_edits(Lab(ids=() if layout.reads_text else (7, 9, 3, 1), switches=untouched(layout)), edits, layout)
    lab = replace(lab, user_says="a cat") if kind == "chat" else lab
    case = case_of(path, lab)
    report = judge(case, "libreoffice", libreoffice.run(path, [Step(case.puts, [*case.areas.values()])])[0])
    assert report.passed, [(t.name, t.problem, t.max_rel) for t in report.tensors if not t.passed][:5]
    assert report.compared_cells == report.formula_cells > 1000


def test_home_says_that_there_is_a_lab(lab_workbook: Path) -> None:
    home = one_sheet(lab_workbook, "Home")
    leads = {cell.value: cell.hyperlink.location for cell in home[1] if cell.hyperlink}
    assert leads == {LAB_WORDS: "'Lab'!A1"}  # test_lanes_checked.py applies Excel's rules to two lanes


def test_run_changes_lane_b(lab_workbook: Path, model: Checkpoint) -> None:
    """The words of the command line; lane A stays as it is, and NumPy writes what the workbook writes."""
    words = EditWords(off=("1.0", "0.mlp*0.5"), steer=("1:#5*3",))
    plain = sheetgpt.run(lab_workbook, prompt="the hat", new_tokens=2, seed=3)
    both = sheetgpt.run(lab_workbook, prompt="the hat", new_tokens=2, seed=3, edits=words)
    assert replace(both, changed=None, divergence=None) == plain
    assert both.changed is not None
    assert both.divergence is not None
    assert both.divergence > 0
    edits = sheetgpt.parse_edits(model, off=["1.0", "0.mlp*0.5"], steer=["1:#5*3"])
    found = sheetgpt.generate(model, "the hat", new_tokens=2, seed=3, edits=edits)
    assert both.changed.ids == found.ids
    patched = sheetgpt.run(
        lab_workbook, prompt="the hat", patch_from="the cat", edits=EditWords(patch=("0.resid@0-1",))
    )
    assert patched.prompt == "the cat"
    assert patched.changed is not None
    assert patched.changed.prompt == "the hat"


def test_more_than_the_sheet_has_lines_for_is_refused(lab_workbook: Path) -> None:
    many = Edits(patches=tuple(Patch(0, "resid", t) for t in range(9)))
    with pytest.raises(SheetGPTError, match="The sheet Lab has 8 lines for patches, and these would be 9"):
        sheetgpt.run(lab_workbook, edits=many)


def test_status_says_what_matters_most(lab_workbook: Path) -> None:
    """A lane's note doesn't hide that a line is left out, or that nothing is changed; a lane's fault hides both."""
    layout = open_workbook(lab_workbook).layout
    odd = Lab(prompt="a hat and the cat and", switches=untouched(layout), patches=((9, 0, 0), *Lab().patches[1:]))
    labs = [odd, replace(odd, restore=1), replace(odd, patches=Lab().patches)]
    cases = [case_of(lab_workbook, lab) for lab in labs]
    faulty = {"lab_temperature": -1}
    steps = [Step(case.puts, ["lab_message", *case.areas.values()]) for case in cases]
    steps.append(Step({**cases[0].puts, **faulty}, ["lab_message"]))
    answers = libreoffice.run(lab_workbook, steps)
    for case, answer in zip(cases, answers, strict=False):
        assert judge(case, "libreoffice", answer).passed
    said = [found["lab_message"].texts[0, 0] for found in answers if found["lab_message"] is not None]
    starts = "Note: a line of", "Note: “Restore all”", "Lane B: Note: the prompt and", "Lane B: The temperature"
    assert [words.startswith(start) for words, start in zip(said, starts, strict=True)] == [True] * 4, said


def test_lane_b_that_cannot_be_run_is_a_report(lab_workbook: Path, model: Checkpoint, tmp_path: Path) -> None:
    """As it is of lane A: no error, and nothing is compared."""
    path = tmp_path / "w.xlsx"
    book = openpyxl.load_workbook(lab_workbook)
    area = lab_sheet.page(open_workbook(lab_workbook).layout)["temperature"]
    book["Lab"].cell(area.row, area.column).value = -1
    book.save(path)
    report = sheetgpt.verify(path, model=model.source)
    assert not report.passed
    said = "The inputs of lane B in the workbook are not valid: The temperature must be 0 or between 0.001 and 100, "
    assert report.problems == (f"{said}not -1.",)


@pytest.mark.parametrize("chat", [None, Chat("the ", " a")])
@pytest.mark.parametrize("prompt_bytes", [0, 24])
def test_all_that_is_typed_has_its_place(chat: Chat | None, prompt_bytes: int) -> None:
    """What `Lab.cells` puts into the workbook, and what lane B's blocks read in place of their own parts."""
    config = GPT2Config(n_vocab=37, n_positions=9, n_embd=15, n_layer=3, n_head=5, n_inner=22, tied=False)
    layout = lay_out(config, 7, prompt_bytes, 4, chat=chat if prompt_bytes else None, lanes=2)
    here = lab_sheet.page(layout)
    sizes = {tensor.name: tensor.area.n_cells for tensor in here.tensors if tensor.kind is Kind.INPUT}
    cells = Lab(switches=untouched(layout)).cells(layout)
    ids = cells.pop(f"{LANE}prompt_ids")  # on Home
    assert ids == []
    assert sizes == {name: len(value) if isinstance(value, list) else 1 for name, value in cells.items()}
    changed = edits_sheet.page(layout, here)
    redirects, columns = edits_sheet.move(layout, changed).redirects, changed.second
    assert [(each.rows.n_rows, each.rows.n_columns) for each in redirects] == [(15, 7)] * 9
    assert columns is not None
    assert {(each.instead.sheet, each.instead.column) for each in redirects} == {(EDITS, columns.column)}
    assert [(each.instead.n_rows, each.instead.n_columns) for each in redirects] == [(15, 7)] * 9
    assert len({each.instead for each in redirects}) == 9


def test_edits_of_a_part_that_is_none_are_refused(model: Checkpoint) -> None:
    for edits in (Edits({(0, "resid"): 0.0}), Edits({(0, "MLP"): 0.0}), Edits(patches=(Patch(0, "attn", 0),))):
        with pytest.raises(SheetGPTError, match=r"There is no part .* here: give a head's number, or mlp"):
            edits.check(model.config)


def test_the_text_to_patch_from_is_wrapped_as_what_is_said(model: Checkpoint, tmp_path: Path) -> None:
    """As `generate` wraps it; and an empty prompt, which the sheet Lab can't hold, is refused."""
    chat = replace(model, chat=Chat("the ", " a"))
    path = build(chat, tmp_path / "w.xlsx", chat="cat", prompt_bytes=24, merge_rounds=8, **SIZES)
    words: dict[str, Any] = {"edits": EditWords(patch=("0.resid@1",)), "new_tokens": 1}
    found = sheetgpt.run(path, chat="cat", patch_from="hat", **words)
    assert found.changed is not None
    assert (found.prompt, found.changed.prompt) == ("the hat a", "the cat a")
    plain = sheetgpt.run(path, prompt="a cat", patch_from="a hat", **words)
    assert plain.changed is not None
    assert (plain.prompt, plain.changed.prompt) == ("a hat", "a cat")
    with pytest.raises(SheetGPTError, match="An empty prompt of lane B's would be lane A's"):
        sheetgpt.run(path, prompt="", patch_from="a hat", **words)
