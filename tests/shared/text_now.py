"""As much of a workbook's state as the sheets between text and ids ask, for books that have only these."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

from sheetgpt.sheets.asking import Asking
from sheetgpt.sheets.inputs import EXAMPLE, UTF8_EXAMPLE
from sheetgpt.text import bpe


@dataclass(frozen=True)
class TextNow(Asking):
    read: bpe.Trace
    shown: Sequence[str]  # each token of the vocabulary
    hexes: Sequence[str] = ()
    ids: Sequence[int] = ()  # that are decoded
    by_hand: tuple[str, str] = (EXAMPLE, UTF8_EXAMPLE)

    @property
    def prompt(self) -> SimpleNamespace:
        return SimpleNamespace(ids=self.ids)
