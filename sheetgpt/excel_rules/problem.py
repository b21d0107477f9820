"""What a check reports: the part or sheet, the cell or name in it, and the rule that it breaks, in one sentence."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One broken rule. `part` is a part of the package or a sheet's title; `where` a cell, range or name, or empty."""

    part: str
    where: str
    rule: str

    def __str__(self) -> str:
        return f"{self.part}{'!' if self.where else ''}{self.where}: {self.rule}"
