"""Which of the optional sheets a workbook gets: `build --sheets` and `--without`."""

from collections.abc import Iterable, Sequence

from sheetgpt.errors import SheetGPTError
from sheetgpt.sheets import optional_sheets
from sheetgpt.sheets.exercises.exercises import SOLUTIONS
from sheetgpt.sheets.layout import NO_SHEETS

ALL, EXERCISES = "all", "exercises"
Names = str | Sequence[str]


def choose(
    sheets: Names | None, without: Names = (), *, large: bool = False, solutions: bool = False
) -> tuple[str, ...]:
    """Their names, in the order of the tabs.

    Those that cost little are always in. `sheets` names the expensive ones that are, or "all"; without a wish that is
    all of them, for a `large` model none. Whoever names a sheet asks for its parts, too. `without` leaves any out,
    whatever it costs. With `solutions` the yellow cells of the exercises are filled in.
    """
    cheap = [sheet.name for sheet in optional_sheets() if not sheet.expensive and not sheet.asked_for]
    if sheets is None:
        sheets = () if large else ALL
    wanted, unwanted = named(sheets, "--sheets"), named(without, "--without")
    parts = [sheet.name for sheet in optional_sheets() if sheet.part_of in wanted and not sheet.asked_for]
    if solutions and EXERCISES in unwanted:
        raise SheetGPTError(f"--solutions fills in the sheet {EXERCISES}, which --without leaves out.")
    asked = [SOLUTIONS] if solutions else []
    return ordered(name for name in (*cheap, *wanted, *parts, *asked) if name not in unwanted)


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """In the order of the tabs, each once; a part of a sheet only together with that."""
    given = {*names}
    inside = (sheet for sheet in optional_sheets() if sheet.name in given)
    return tuple(sheet.name for sheet in inside if not sheet.part_of or sheet.part_of in given)


def named(wanted: Names, option: str) -> list[str]:
    """`attention,lens`, `all` or `none` as names. Refuses one that no sheet has."""
    known = [sheet.name for sheet in optional_sheets()]
    words = wanted.split(",") if isinstance(wanted, str) else wanted
    given = [word.strip().lower() for word in words if word.strip()]
    for name in given:
        if name not in (ALL, NO_SHEETS, *known):
            choices = ", ".join([ALL, NO_SHEETS, *known])
            raise SheetGPTError(f"{option} {name}: there is no such sheet; choose among {choices}.")
    every = [sheet.name for sheet in optional_sheets() if not sheet.asked_for]
    known = every if ALL in given else []
    return [*known, *(name for name in given if name not in (ALL, NO_SHEETS, *known))]
