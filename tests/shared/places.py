"""Where the tests' own files stand."""

from pathlib import Path

TESTS = Path(__file__).parents[1]
GOLDEN = TESTS / "golden"
ROOT = TESTS.parent
