"""What stands in the yellow cells of the optional sheets and of Lab, whatever it is."""

from pathlib import Path

from sheetgpt.engines import cached
from sheetgpt.gpt2.editing.edits import ZERO
from sheetgpt.sheets import starts
from sheetgpt.sheets.grid import LANE
from sheetgpt.sheets.inputs import cell_text
from sheetgpt.sheets.lab.screws import SETTINGS, Lab, untouched
from sheetgpt.sheets.layout import Layout
from sheetgpt.sheets.optional import Value
from sheetgpt.workbook.yellow.cells import entry, ids_of, text_of, typed


def chosen_of(path: Path, layout: Layout) -> dict[str, Value]:
    """What stands in the yellow cells of the optional sheets, whatever it is."""
    at_first = starts(layout)
    cells = cached.recalculate(path, {}, [*at_first]) if at_first else {}
    return {name: at_first[name] if found is None else typed(found) for name, found in cells.items()}


def lab_of(path: Path, layout: Layout) -> Lab:
    """What stands in the yellow cells of the sheet Lab, whatever it is."""
    start = Lab(switches=untouched(layout))
    cells = cached.recalculate(path, {}, [*start.cells(layout)])

    def lines(name: str, otherwise: tuple[tuple[Value, ...], ...]) -> tuple[tuple[Value, ...], ...]:
        found = cells.get(name)
        if found is None or found.numbers.shape != (len(otherwise), len(otherwise[0])):
            return otherwise
        return tuple(tuple(entry(found, i, j) for j in range(len(line))) for i, line in enumerate(otherwise))

    def one(name: str, otherwise: Value) -> Value:
        return lines(name, ((otherwise,),))[0][0]

    (first,), (second,) = lines("lab_tokens", (("",), ("",)))
    return Lab(
        cell_text(text_of(cells.get("lab_prompt"))),
        cell_text(text_of(cells.get("lab_user_says"))),
        ids_of(cells.get(f"{LANE}prompt_ids")),
        {name: value for name in SETTINGS if (value := one(f"lab_{name}", "")) != ""},
        one("lab_restore", 0),
        one("lab_mode", ZERO),
        lines("lab_switches", start.switches),
        lines("lab_steering", start.steering),
        lines("lab_patches", start.patches),
        (first, second),
    )
