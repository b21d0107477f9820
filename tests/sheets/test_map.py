"""The sheet Map: whatever is followed, every cell is verified; heads that tie; boxes that lead to their rows."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from judging import case_of, judged
from patching import in_order, patch, set_formula
from ready import hugging_face_tensors
from safetensors.numpy import save_file
from some_sheets import one_sheet

import sheetgpt
from sheetgpt.engines import Step, cached, libreoffice
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint, load
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.home.after import LAST, PROMPT
from sheetgpt.sheets.inside.question import NO_POSITION
from sheetgpt.sheets.map import map as network_map
from sheetgpt.sheets.map.drawing import DOTS
from sheetgpt.sheets.map.sizes import MAP, Followed
from sheetgpt.verification.verify import Case, verify
from sheetgpt.workbook.reopen import open_workbook

IDS = [5, 9, 5, 9, 9, 0, 63, 1, 2, 3, 4, 5, 6]


@pytest.fixture(scope="module")
def long(micro: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More tokens than the drawing has rows, two of them written."""
    return sheetgpt.build(micro, tmp_path_factory.mktemp("map") / "w.xlsx", ids=IDS, context=16, new_tokens=2)


def followed(path: Path, position: Any, **inputs: Any) -> Case:
    """The case in which this stands in the yellow cell."""
    case = case_of(path, inputs)
    state = replace(case.state, chosen={**case.state.chosen, "map_position": position})
    return replace(case, state=state, puts={**case.puts, "map_position": None if position == "" else position})


CASES: list[tuple[Any, dict[str, Any]]] = [
    *((position, {}) for position in (LAST, PROMPT, 0, 3, 11, 12, 13, 2.5, "", -1, 99, "two")),
    (14, {"temperature": 0}),
    (12, {"top_k": 3, "temperature": 0.5}),
    (LAST, {"new_tokens": 0}),
    (LAST, {"ids": [7]}),
    (2, {"ids": [7, 8, 9], "seed": 5}),
]


def test_whatever_is_followed_every_cell_is_verified(long: Path, thorough: bool) -> None:
    """All of them, or every third: the last position, one inside, one behind the text, one that is none."""
    chosen = CASES if thorough else CASES[::3]
    cases = {f"{position} {inputs}": followed(long, position, **inputs) for position, inputs in chosen}
    found = judged(long, cases)
    assert {name: [*bad.items()][:4] for name, bad in found.items() if bad} == {}


def test_the_tokens_that_find_no_row_are_counted(long: Path) -> None:
    """The first and the last are shown, and what the others get of a head's attention is added up."""
    page = network_map.page(open_workbook(long).layout)
    sheet = one_sheet(long, MAP, values=True)

    def shown(name: str) -> list[list[Any]]:
        return [[cell.value for cell in row] for row in sheet[page[name].cells]]

    assert [line[0] for line in shown("places")] == [0, 1, 2, DOTS, *range(5, 13)]
    assert shown("tokens")[3] == ["2 more"]
    for of_block in zip(*shown("looks_at"), strict=True):
        assert sum(of_block) == pytest.approx(1)


def test_of_heads_that_tie_the_first_is_the_strongest(micro: Checkpoint, tmp_path: Path) -> None:
    """Both heads of block 0 find the same, those of block 1 nothing. The prompt isn't scored: at 0 nothing is known."""
    shutil.copytree(micro.source, tmp_path / "alike")
    params, size = {name: tensor.copy() for name, tensor in micro.params.items()}, micro.config.head_size
    for name in ("h0.attn.c_attn.w", "h0.attn.c_attn.b", "h1.attn.c_attn.w", "h1.attn.c_attn.b"):
        for role in range(3):
            first = role * micro.config.n_embd
            params[name][..., first + size : first + 2 * size] = params[name][..., first : first + size]
    params["h1.attn.c_attn.w"][..., 2 * micro.config.n_embd :] = 0  # no head finds anything
    params["h1.attn.c_attn.b"][2 * micro.config.n_embd :] = 0
    save_file(hugging_face_tensors(params), tmp_path / "alike" / "model.safetensors", {"format": "pt"})
    path = sheetgpt.build(load(tmp_path / "alike"), tmp_path / "w.xlsx", ids=[1, 2, 3], context=4, score_prompt=False)
    found = judged(path, {str(position): followed(path, position) for position in (0, 2)})
    assert {name: [*bad.items()][:4] for name, bad in found.items() if bad} == {}
    strongest = cached.recalculate(path, {}, ["map_strongest"])["map_strongest"]
    assert strongest is not None
    assert strongest.numbers.tolist() == [[0, 0]]


def test_where_the_text_ends_nothing_is_likely(micro: Checkpoint, tmp_path: Path) -> None:
    """After a token that ends the text nothing is drawn, and its logits mean nothing."""
    written = sheetgpt.generate(micro, ids=[1, 2, 3], new_tokens=1, temperature=0).ids[-1]
    ends = replace(micro, stop_ids=(written,))
    path = sheetgpt.build(ends, tmp_path / "w.xlsx", ids=[1, 2, 3], context=6, new_tokens=3, temperature=0)
    page = network_map.page(open_workbook(path).layout)
    said, first = (f"{MAP}!{area.cells}" for area in (page["said"], page["candidates"].line(0)))
    [found] = libreoffice.run(path, [Step({"map_position": LAST}, [said, first])])
    shown = [cells.texts.get((0, 0), "") for cells in (found[said], found[first]) if cells]
    assert shown[0].endswith(network_map.ENDED + ".")
    assert shown[1:] == [""]
    assert not [name for name in judged(path, {"the end": followed(path, LAST)})["the end"] if "!" in name]


def test_a_broken_formula_of_the_map_is_named(long: Path, tmp_path: Path) -> None:
    """One number of each kind, and each kind of word."""
    page = network_map.page(open_workbook(long).layout)
    numbers = [
        *(page[name].line(0).stripe(1) for name in ("looks_at", "attn_adds", "mlp_adds", "after", "strongest")),
        *(page[name].line(0) for name in ("vector_embed", "vector_ln_f", "logits", "probs", "uniform", "length_embed")),
        *(page[name].line(0).stripe(2) for name in ("written", "stream", "mixes", "likeliest")),
    ]
    words = [*(page[name].line(0) for name in ("tokens", "candidates", "next", "next_title", "said"))]
    changes = [set_formula(area.cells, lambda f: f"IF(1,({f})+0.00001)") for area in numbers]
    changes += [set_formula(area.cells, lambda f: f'{f}&" "') for area in words]
    broken = patch(long, tmp_path / "broken.xlsx", {MAP: in_order(*changes)})
    named = {*verify(broken, wrong_cells=None).wrong_cells}
    assert {f"{MAP}!{area.cells}" for area in (*numbers, *words)} <= named
    assert {cell.partition("!")[0] for cell in named} == {MAP}


def test_every_box_leads_to_its_rows(long: Path) -> None:
    book = openpyxl.load_workbook(long)
    links = {cell.coordinate: cell.hyperlink.location for row in book[MAP] for cell in row if cell.hyperlink}
    titles = {}
    for cell, place in links.items():
        area = Area.parse(str(place))
        assert area is not None, place
        titles[cell] = (area.sheet, book[area.sheet].cell(area.row, 1).value)
    layout = open_workbook(long).layout
    page = network_map.page(layout)
    for name, title in (("attn_adds", "Attention adds"), ("after", "Stream after the block"), ("mlp_adds", "MLP adds")):
        assert titles[page[name].stripe(1).cells] == ("Block 1", title)
    assert titles[page["strongest"].stripe(0).cells] == ("Block 0", "Attention weights, head 0")
    assert {"Home", "Glossary", "Embed", "Block 0", "Block 1", "Output", "Sample"} == {
        sheet for sheet, _ in titles.values()
    }


def test_what_can_not_be_followed_is_said(long: Path) -> None:
    case = followed(long, 99)
    assert str(network_map.said_now(Followed(case.state.layout), case.state)).startswith(f"Note: {NO_POSITION}")
