"""Microsoft's own validator, that of the Open XML SDK, finds nothing in what is built, and nothing that check misses.

One process for all workbooks of a test, since loading .NET takes seconds.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_xml_sdk
import pytest
from breakers import STYLES, excels_chart_parts, replaced, sound_parts, without_styles, without_theme, write
from open_xml_sdk import OFFICES, validate
from ready import fairytale_words
from soak_validators import verdicts

from sheetgpt.excel_rules import check
from sheetgpt.gpt2.checkpoints.checkpoint import Checkpoint
from sheetgpt.gpt2.config import GPT2Config
from sheetgpt.workbook.build import build

pytestmark = pytest.mark.open_xml_sdk

TEMPLATE = "{% for m in messages %}:{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}.{% endif %}"
FEW: dict[str, Any] = {"context": 8, "new_tokens": 2, "prompt_bytes": 24, "merge_rounds": 4}


def test_what_is_built_has_no_error(
    reader: Checkpoint,
    micro_workbook: Path,
    make_checkpoint: Callable[..., Checkpoint],
    tmp_path: Path,
) -> None:
    files = fairytale_words(512) | {"tokenizer_config.json": json.dumps({"chat_template": TEMPLATE}).encode()}
    config = GPT2Config(n_vocab=512, n_positions=64, n_embd=4, n_layer=1, n_head=1, n_inner=4)
    talker = make_checkpoint(config, "talker", files=files)
    workbooks = [
        micro_workbook,
        build(reader, tmp_path / "lab.xlsx", prompt="the king", lanes=2, sheets="none", **FEW),
        build(talker, tmp_path / "chat.xlsx", chat="the king", weights="int8", **FEW),
    ]
    assert dict(zip(workbooks, validate(workbooks), strict=True)) == {path: [] for path in workbooks}


def test_what_check_passes_has_no_error(tmp_path: Path) -> None:
    sound = sound_parts()
    each = {"sound": sound, "excel": excels_chart_parts(sound)}
    each |= {"theme": without_theme(sound), "styles": without_styles(sound)}
    paths = [write(parts, tmp_path / f"{name}.xlsx") for name, parts in each.items()]
    assert [check(path) for path in paths] == [[], [], [], []]
    assert validate(paths) == [[], [], [], []]


def test_what_it_refuses_check_refuses(tmp_path: Path) -> None:
    """24 random breakages of a small workbook; scripts/soaks/soak_validators.py takes any number."""
    found = verdicts(range(24), tmp_path)
    assert [(verdict.what, verdict.missed) for verdict in found if verdict.missed] == []
    assert sum(bool(verdict.faults) for verdict in found) > 8


def test_it_names_what_is_broken(tmp_path: Path) -> None:
    broken = write(replaced(sound_parts(), STYLES, "<sz", "<frob/><sz"), tmp_path / "broken.xlsx")
    (tmp_path / "text.xlsx").write_text("hello")
    command = [sys.executable, open_xml_sdk.__file__, str(broken), str(tmp_path / "text.xlsx")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    said = done.stdout.splitlines()
    assert done.returncode == 1
    assert said[0] == f"{broken}: 1 errors (1 for Office2013, 1 for Microsoft365)"
    assert said[1].startswith("  /xl/styles.xml /x:styleSheet[1]/x:fonts[1]/x:font[1]: ")
    assert "frob" in said[1]
    assert said[3].startswith("  can't be opened: ")
    assert all(office in said[3] for office in OFFICES)
