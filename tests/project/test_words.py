"""What a stranger reads first: the README's opening, and a help text that shows each command in use."""

import re

import pytest
from places import ROOT
from typer.main import get_command

from sheetgpt.cli import app

README = (ROOT / "README.md").read_text()
COMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]


def test_the_readme_opens_with_the_picture_and_the_two_commands() -> None:
    lines = README.splitlines()
    assert len(lines) < 150
    opening = "\n".join(lines[:16])
    for shown in ("workbooks/home.png", "scripts/demo", "scripts/test"):
        assert shown in opening


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_shown_in_use(command: str) -> None:
    help_text = get_command(app).commands[command].help  # type: ignore[attr-defined]
    assert re.search(f"`sheetgpt {command}( |`)", help_text)
    assert re.search(f"^\\$ sheetgpt {command}\\b", README, re.MULTILINE)


def test_every_file_that_the_readme_names_is_there() -> None:
    named = {*re.findall(r"\]\(([^)]+)\)", README), *re.findall(r"`((?:scripts|sheetgpt)/[\w./]+)`", README)}
    assert len(named) > 8
    for path in named:
        assert (ROOT / path).exists(), path
