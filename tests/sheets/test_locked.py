"""What a person may type over, and that Home says so where somebody typed over a formula all the same."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openpyxl import load_workbook
from openpyxl.utils import column_index_from_string, get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.engines import Value, cached, libreoffice
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.home.overwritten import TOLD
from sheetgpt.sheets.home.prompt import FINE
from sheetgpt.sheets.layout import Layout, defined_name
from sheetgpt.workbook.build import build
from sheetgpt.workbook.reopen import open_workbook

SIZES: dict[str, Any] = {"context": 8, "new_tokens": 2, "prompt_bytes": 48, "merge_rounds": 6}
FOLDED = {"Home", "Attention", "Map", "Exercises", "Tokenizer", "Block 0"}  # which have groups
LAYERS: tuple[str, ...] = (
    *("ln_1", "attn.qkv", "attn.probs.0", "attn.out", "resid_mid"),
    *("ln_2", "mlp.fc", "mlp.act", "mlp.out", "resid_post"),
)


@pytest.fixture(scope="module")
def locked(reader: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    without, path = "lens,contributions,neuron,embedding", tmp_path_factory.mktemp("locked") / "reader.xlsx"
    return build(reader, path, prompt="the king", weights="int8", without=without, **SIZES)


@pytest.fixture(scope="module")
def unlocked(reader: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("unlocked") / "reader.xlsx"
    return build(reader, path, prompt="the king", without="all", unprotected=True, **SIZES)


def refused(sheet: Worksheet) -> set[str]:
    """Cells under a rule that nothing meets."""
    rules = [rule for rule in sheet.data_validations.dataValidation if rule.formula1 == "FALSE"]
    areas = (area for rule in rules for area in rule.sqref.ranges)
    return {sheet.cell(row, column).coordinate for area in areas for row, column in area.cells}


def test_formulas_are_locked_and_yellow_cells_and_weights_are_not(locked: Path) -> None:
    layout, book = open_workbook(locked).layout, load_workbook(locked)
    yours = {area.sheet: set[str]() for areas in layout.names.values() for area in areas}
    records = [record for record in layout.records.values() if record.kind.value in ("input", "answer", "weight")]
    for area in (area for record in records for area in record.areas):
        cells = book[area.sheet][area.cells]
        grid = ((cells,),) if not isinstance(cells, tuple) else cells
        yours[area.sheet] |= {cell.coordinate for line in grid for cell in line}
    for sheet in book:
        kept, protection = refused(sheet), sheet.protection
        assert protection.password is None
        calculates = any(cell.data_type == "f" for line in sheet.iter_rows() for cell in line)
        assert protection.sheet is (calculates and sheet.title not in FOLDED)
        assert bool(kept) is (sheet.title in FOLDED)
        assert not kept & yours.get(sheet.title, set()), sheet.title
        for cell in (cell for line in sheet.iter_rows() for cell in line):
            if cell.data_type == "f":
                assert cell.coordinate in kept or (protection.sheet and cell.protection.locked), (sheet.title, cell)
            if cell.coordinate in yours.get(sheet.title, ()):
                assert not (protection.sheet and cell.protection.locked), (sheet.title, cell)


def test_no_link_leads_out_of_sight(locked: Path) -> None:
    """To a heading, where the rows below it are folded."""
    book, found = load_workbook(locked), set()
    links = ((cell, cell.hyperlink) for sheet in book for line in sheet.iter_rows() for cell in line)
    for cell, link in ((cell, link) for cell, link in links if link):
        place = Area.parse(str(link.location))
        assert place is not None, cell
        assert not book[place.sheet].row_dimensions[place.row].hidden, (cell, place)
        found.add(place.sheet)
    assert found >= {"Block 0", "Tokenizer"}


def test_the_first_screen_has_results_and_workings_open(locked: Path) -> None:
    """What is folded has a [+] behind it; a space is a ·."""
    book = load_workbook(locked, data_only=True)
    tokenizer, block = book["Tokenizer"], book["Block 0"]
    columns = {letters: column for letters, column in tokenizer.column_dimensions.items() if column.hidden}
    heads = [cell.value for cell in tokenizer[8][:22] if get_column_letter(cell.column or 0) not in columns]
    assert heads == ["byte", "character", "code point", "value", "kind", "word no.", "token id", "no.", "id", "token"]
    with zipfile.ZipFile(locked) as package:
        parts = [package.read(cached.package(locked).sheets[title]).decode() for title in ("Tokenizer", "Block 0")]
    for part, outline in zip(parts, ("outlineLevelCol", "outlineLevelRow"), strict=True):
        assert re.search(rf'<sheetFormatPr [^>]*{outline}="1"', part)
    for letters, column in columns.items():
        after = tokenizer.column_dimensions[get_column_letter(column_index_from_string(letters) + 1)]
        assert column.outlineLevel == 1
        assert after.hidden or after.collapsed, letters
    texts = "".join(str(cell.value) for line in tokenizer.iter_rows(min_row=10, max_col=22) for cell in line)
    assert "·" in texts
    assert not set("␣Ġ") & set(texts)
    seen = [row for row in range(7, block.max_row + 1) if not block.row_dimensions[row].hidden]
    titles = [block.cell(row, 1).value for row in seen if block.cell(row, 1).value]
    assert titles[:3] == ["Layer norm 1: its scale", "Layer norm 1", "Query, key, value"]
    assert titles[3:6] == ["Scores, head 0", "exp(score), head 0", "Attention weights, head 0"]
    assert str(titles[6]).startswith("key: ")


def test_an_unprotected_workbook_locks_nothing(unlocked: Path) -> None:
    for sheet in load_workbook(unlocked):
        assert not sheet.protection.sheet
        assert not refused(sheet)


def status(path: Path, puts: Mapping[str, Value], *read: str) -> Any:
    cells = libreoffice.recalculate(path, {"prompt": "the queen of", **puts}, ["message", *read])
    found = [cells[name] for name in read]
    return cells["message"].texts[0, 0], *(None if one is None else one.numbers for one in found)  # type: ignore[union-attr]


def at(layout: Layout, name: str, i: int, t: int) -> str:
    area = layout[name].line(i).stripe(t)
    return f"'{area.sheet}'!{area.cells}"


def test_what_is_typed_over_a_layer_is_seen_in_its_own_check(unlocked: Path) -> None:
    """Every second layer, then the others: each row of the checks is about its own layer and no other."""
    layout = open_workbook(unlocked).layout
    assert status(unlocked, {})[0] == FINE
    for start in (0, 1):
        puts = {at(layout, f"h0.{name}", 0, 1): 99.0 for name in LAYERS[start::2]}
        said, checks = status(unlocked, puts, "h0_checks")
        assert said == f"{TOLD}Block 0."
        expected = np.ones(1 + len(LAYERS))
        expected[1 + start :: 2] = 0
        np.testing.assert_array_equal(checks[:, 1], expected)
        np.testing.assert_array_equal(checks[:, [0, 2]], 1)


@pytest.mark.parametrize(
    ("name", "value", "sheet"),
    [
        ("completion", "hello", "Home"),
        ("positions", 7.0, "Home"),
        ("token_ids", 5.0, "Home"),
        ("n_prompt", 2.0, "Home"),
        ("embed", 99.0, "Embed"),
        ("ln_f", "hello", "Output"),
        ("logits", 99.0, "Output"),
        ("next_probs", 0.5, "Softmax"),
    ],
)
def test_what_is_typed_over_a_cell_is_named_by_home(unlocked: Path, name: str, value: Value, sheet: str) -> None:
    layout = open_workbook(unlocked).layout
    n = layout[name].n_columns
    said = status(unlocked, {at(layout, name, 0, min(1, n - 1)): value}, defined_name(name))[0]
    assert said.startswith(f"{TOLD}{sheet}"), said


def test_a_header_typed_over_is_seen(unlocked: Path) -> None:
    for cell, value in (("H2", 7.0), ("G3", 11.0), ("G4", "word"), ("M5", 0.0)):
        said = status(unlocked, {f"'Block 0'!{cell}": value})[0]
        assert said.startswith(TOLD), cell
        assert "Block 0" in said, cell
