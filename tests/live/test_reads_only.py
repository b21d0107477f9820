"""`build --reads-only`: the knobs touch Softmax and Sample alone, an id only the columns from its own on."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dependents import Dependents, cells_of
from ready import Command

from sheetgpt.engines import Cells, Step, cached, libreoffice
from sheetgpt.errors import SheetGPTError
from sheetgpt.excel_rules import check
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.sheets.home.after import AFTER
from sheetgpt.sheets.home.prompt import FINE, SLID_READING
from sheetgpt.sheets.layout import Layout, defined_name
from sheetgpt.verification.verify import verify
from sheetgpt.workbook.build import build
from sheetgpt.workbook.reopen import open_workbook
from sheetgpt.workbook.run import run

SIZES: dict[str, Any] = {"context": 7, "prompt_bytes": 80, "merge_rounds": 6}
KNOBS = ("temperature", "top_k", "top_p", "seed")
GAP = "The row of token ids has a gap, or an entry that is not an id (0 to 511)."

EDITS: list[dict[str, Any]] = [
    {"prompt": "the queen"},
    {"temperature": 0.5},
    {"prompt_ids": [36, 5, 40]},
    {"prompt_ids": [36, 5, 41]},
    {"temperature": 0},
    {"prompt_ids": [36, 5, 41, 7]},
    {"top_k": 3, "seed": 8},
    {"prompt_ids": [36, "", 41, 7]},
    {"prompt_ids": ["", 5]},
    {"prompt_ids": [36, 5, 512]},
    {"prompt_ids": []},
    {"score_prompt": 0},
    {"prompt": "the king was a king and so was the other king"},
    {"temperature": 1.5},
    {"top_k": 2.5},
    {"top_k": 40},
    {"prompt_ids": [1, 2, 3, 4, 5, 6, 7]},
    {"prompt_ids": [1, 2, 3, 4, 5, 6]},
    {"new_tokens": 1},
    {"new_tokens": 0},
]


@pytest.fixture(scope="module")
def workbook(reader: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(reader, tmp_path_factory.mktemp("reads") / "reads.xlsx", prompt="the king", reads_only=True, **SIZES)


@pytest.fixture(scope="module")
def layout(workbook: Path) -> Layout:
    return open_workbook(workbook).layout


@pytest.fixture(scope="module")
def dependents(workbook: Path) -> Dependents:
    return Dependents(workbook)


@pytest.fixture(scope="module")
def computed(layout: Layout) -> list[str]:
    return [defined_name(name) for name, record in layout.records.items() if record.computed]


@pytest.fixture(scope="module")
def states(workbook: Path, computed: list[str]) -> list[dict[str, Cells | None]]:
    """After each edit, as a person at the keyboard sees it."""
    return libreoffice.run(workbook, [Step(edit, computed, hard=False) for edit in EDITS])


def test_the_workbook_says_so_of_itself(
    workbook: Path, layout: Layout, reader_workbook: Path, sheetgpt_command: Command
) -> None:
    assert layout.reads_only
    assert not open_workbook(reader_workbook).layout.reads_only
    assert "built with --reads-only" in sheetgpt_command("info", workbook)[1]
    assert "--reads-only" not in sheetgpt_command("info", reader_workbook)[1]
    assert check(workbook) == []


@pytest.mark.parametrize("knob", KNOBS)
def test_a_knob_touches_no_block(knob: str, dependents: Dependents, layout: Layout) -> None:
    """On the sheets that look inside only the line that repeats what is wrong, in Home's words; Map and Exercises show
    probabilities, as Home does.
    """
    reached = dependents.of(cells_of(layout[knob]))
    counts = Counter(sheet for sheet, _, _ in reached)
    assert {*counts} >= {"home", "sample"}
    assert {sheet for sheet, n in counts.items() if n > 1} <= {"home", "softmax", "sample", "map", "exercises"}, counts
    assert {*counts} <= {"home", "softmax", "sample", *layout.optional}
    for name in ("token_ids", "active", "n_tokens", "next_logits", "top_ids", "surprisal"):
        assert not reached & cells_of(layout[name]), name


def test_where_it_writes_a_knob_touches_every_block(reader_workbook: Path) -> None:
    found = open_workbook(reader_workbook).layout
    reached = Dependents(reader_workbook).of(cells_of(found["temperature"]))
    assert {"embed", "block 0", "output"} < {sheet for sheet, _, _ in reached}


def test_an_id_touches_no_column_before_its_own(dependents: Dependents, layout: Layout) -> None:
    first = layout["embed"].column
    for t in range(layout.context):
        reached = dependents.of(cells_of(layout["prompt_ids"].stripe(t)))
        columns = {column - first for sheet, _, column in reached if sheet in ("embed", "block 0") and column >= first}
        assert columns == {*range(t, layout.context)}


def test_what_the_sheets_that_look_inside_are_asked_recomputes_no_block(workbook: Path, dependents: Dependents) -> None:
    """Their yellow cells: a position, a block, a head, a neuron, a token. On Home there is Contributions' own line."""
    book = open_workbook(workbook)
    asked = {name: cached.package(workbook).names[defined_name(name).upper()] for name in book.chosen}
    assert {"attention_token", "lens_position", "contributions_position", "neuron_position"} <= {*asked}
    for name, area in asked.items():
        assert area is not None
        counts = Counter(sheet for sheet, _, _ in dependents.of(cells_of(area)))
        assert counts, name
        assert {*counts} <= {*book.layout.optional, "home", *(["softmax"] if name == AFTER else [])}, name


def test_edits_in_sequence_are_a_recalculation_from_scratch(
    workbook: Path, computed: list[str], states: list[dict[str, Cells | None]]
) -> None:
    scratch = libreoffice.run(workbook, [Step(edit, computed) for edit in EDITS])
    for edit, found, wanted in zip(EDITS, states, scratch, strict=True):
        for name in computed:
            got, want = found[name], wanted[name]
            assert got is not None
            assert want is not None
            assert got.texts == want.texts, f"{edit}: {name}"
            np.testing.assert_allclose(got.numbers, want.numbers, 1e-12, 1e-12, err_msg=f"{edit}: {name}")


def said(state: dict[str, Cells | None]) -> tuple[str, list[int]]:
    """The message, and the ids in the columns, which are all of the prompt."""
    message, cells, n = (state[name] for name in ("message", "token_ids", "n_prompt"))
    assert message is not None
    assert cells is not None
    assert n is not None
    ids = [int(i) for i in cells.numbers.ravel() if i == i]
    assert n.numbers[0, 0] == len(ids)
    return message.texts[0, 0], ids


def test_what_home_says_after_each_edit(reader: Checkpoint, states: list[dict[str, Cells | None]]) -> None:
    assert reader.tokenizer is not None
    queen, long = (reader.tokenizer.encode(EDITS[i]["prompt"]) for i in (0, 12))
    assert len(long) > SIZES["context"]
    window, six, seven = long[-SIZES["context"] :], [1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6, 7]
    only_reads = "This workbook only reads (build --reads-only), so New tokens must be 0."
    assert [said(state) for state in states] == [
        (FINE, queen),
        (FINE, queen),
        (FINE, [36, 5, 40]),
        (FINE, [36, 5, 41]),
        (FINE, [36, 5, 41]),
        (FINE, [36, 5, 41, 7]),
        (FINE, [36, 5, 41, 7]),
        (GAP, [36]),
        (GAP, queen),
        (GAP, [36, 5]),
        (FINE, queen),
        (FINE, queen),
        (SLID_READING, window),
        (SLID_READING, window),
        ("top_k must be a whole number from 1 to 64.", window),
        (SLID_READING, window),
        (FINE, seven),
        (FINE, six),
        (only_reads, six),
        (FINE, six),
    ]


@pytest.mark.parametrize("given", [{"prompt": "the king was"}, {"ids": [5, 36, 7], "temperature": 0.0}])
def test_it_verifies(workbook: Path, given: dict[str, Any]) -> None:
    assert verify(workbook, **given).passed


def test_new_tokens_are_refused_in_a_sentence(
    reader: Checkpoint, workbook: Path, sheetgpt_command: Command, tmp_path: Path
) -> None:
    with pytest.raises(SheetGPTError, match="only reads: it was built with --reads-only"):
        run(workbook, new_tokens=2)
    with pytest.raises(SheetGPTError, match="only reads"):
        build(reader, tmp_path / "w.xlsx", new_tokens=2, reads_only=True, **SIZES)
    with pytest.raises(SheetGPTError, match="--reads-only and --lab don't go together"):
        build(reader, tmp_path / "w.xlsx", lanes=2, reads_only=True, **SIZES)
    assert not [*tmp_path.iterdir()]
    code, _, error = sheetgpt_command("run", workbook, "--new-tokens", 3)
    assert (code, "writes no new tokens" in error) == (2, True)
