"""The likeliest tokens on the sheet Softmax: in order, with what they add up to; breaking one of them is seen."""

from pathlib import Path

import pytest
from patching import in_order, patch, set_formula
from some_sheets import one_sheet

from sheetgpt.sheets.choice import softmax
from sheetgpt.sheets.grid import SOFTMAX
from sheetgpt.verification.verify import verify
from sheetgpt.workbook.reopen import open_workbook


def test_the_likeliest_stand_in_order_and_are_verified(micro_workbook: Path, tmp_path: Path) -> None:
    page = softmax.page(open_workbook(micro_workbook).layout)
    sheet = one_sheet(micro_workbook, SOFTMAX, values=True)
    shares, totals = ([row[0].value for row in sheet[page[f"ranked_{name}"].cells]] for name in ("probs", "totals"))
    every = [row[0].value for row in sheet[page["next_probs"].cells]]
    assert shares == pytest.approx(sorted(every, reverse=True)[:10])
    assert totals[-1] == pytest.approx(sum(shares))
    cells = [page[name].line(1).cells for name in ("ranked_probs", "ranked_totals", "ranked_tokens")]
    changes = [set_formula(cell, lambda f: f"IF(1,({f})*1.0001)") for cell in cells[:2]]
    changes.append(set_formula(cells[2], lambda f: f'{f}&"!"'))
    named = {*verify(patch(micro_workbook, tmp_path / "w.xlsx", {SOFTMAX: in_order(*changes)})).wrong_cells}
    assert {f"{SOFTMAX}!{cell}" for cell in cells} <= named
