"""What the sheet Lab looks like: widths, merged cells, what the yellow cells take, and every turned screw marked."""

from openpyxl.formatting.rule import CellIsRule, ColorScaleRule, FormulaRule
from openpyxl.styles import Font, PatternFill
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from sheetgpt.gpt2.edits import MEAN, ZERO
from sheetgpt.ooxml import rows
from sheetgpt.ooxml.area import Area
from sheetgpt.sheets.grid import LAB
from sheetgpt.sheets.home.prompt import FINE, NOTE, TITLES, ranges
from sheetgpt.sheets.lab.lab_layout import LabLayout
from sheetgpt.sheets.lab.lab_results import add_chart
from sheetgpt.sheets.lab.screws import SETTINGS
from sheetgpt.sheets.layout import Layout

WIDE = 14  # column N: where bars and boxes end


def dress(frame: Worksheet, layout: Layout, lab: LabLayout) -> None:
    frame.sheet_properties.tabColor = "7030A0"
    frame.sheet_view.showGridLines = False
    frame.column_dimensions["A"].width = 36
    for column in range(2, max(WIDE, lab.switches.last_column) + 1):
        frame.column_dimensions[rows.letters(column)].width = 13
    boxes = [4, 7, *([6, 8, 9] if layout.reads_text else []), *([5] if layout.chat is not None else [])]
    for n in boxes:
        frame.merged_cells.add(f"C{n}:{rows.letters(WIDE)}{n}")
    typed = lab.typed("prompt").cells if layout.reads_text else lab.switches.cells.partition(":")[0]
    selected = frame.sheet_view.selection[0]
    selected.activeCell = typed
    selected.sqref = f"{typed}:{rows.letters(WIDE)}6" if layout.reads_text else typed
    config = layout.config
    limits = {name: ranges(layout)[name] for name in SETTINGS}
    for name, (least, most, whole, words) in limits.items():
        _number(frame, lab.typed(name), TITLES[name][0], words, least, most, whole)
    _number(frame, lab.restore, "Restore all", "1 undoes every change, 0 brings it back.", 0, 1)
    _list(frame, lab.mode, "A part that is off leaves", f"{ZERO}, or {MEAN}: its mean over the positions so far.")
    whole_numbers = (
        (lab.steering.stripe(0), "Block", config.n_layer),
        (lab.steering.stripe(1), "The token to steer to", config.n_vocab),
        (lab.steering.stripe(2), "The token to steer from, or nothing", config.n_vocab),
        (lab.steering.stripe(4), "From position", config.n_positions),
        (lab.steering.stripe(5), "Or lane A less lane B at this position", config.n_positions),
        (lab.patches.stripe(0), "Block", config.n_layer),
        (lab.patches.stripe(2), "Position", config.n_positions),
        (lab.tokens, "Token id", config.n_vocab),
    )
    for area, title, limit in whole_numbers:
        _number(frame, area, title, f"A whole number from 0 to {limit - 1}.", 0, limit - 1)
    _colour(frame, lab)
    add_chart(frame, lab)


def _colour(frame: Worksheet, lab: LabLayout) -> None:
    """The status, and every screw that is turned."""
    message = lab.names["lab_message"][0]
    fine = CellIsRule(operator="equal", formula=[f'"{FINE}"'], font=Font(color="548235"))
    starts = 1, 1 + len("Lane A: ")  # of Lab's own notes, of a lane's
    either = ",".join(f'MID({message.local},{start},{len(NOTE)})="{NOTE}"' for start in starts)
    note = FormulaRule([f"OR({either})"], font=Font(color="C55A11"))
    for rule in (fine, note):
        frame.conditional_formatting.add(message.cells, rule)
    turned, white = PatternFill(bgColor="C55A11"), Font(bold=True, color="FFFFFF")
    first = lab.switches.cells.partition(":")[0]
    switched = FormulaRule([f"IF(ISNUMBER({first}),{first}<>1,FALSE)"], font=white, fill=turned)
    frame.conditional_formatting.add(lab.switches.cells, switched)
    restored = CellIsRule(operator="equal", formula=["1"], font=white, fill=turned)
    frame.conditional_formatting.add(lab.restore.cells, restored)
    for area, flag, off in ((lab.steering, "J", 0), (lab.patches, "I", -1)):
        in_use = FormulaRule([f"${flag}{area.row}<>{off}"], font=white, fill=turned)
        frame.conditional_formatting.add(area.cells, in_use)
    differences = Area(LAB, lab.table.row, 4, lab.table.n_rows)
    scale = ColorScaleRule("num", -0.5, "6FA8DC", "num", 0, "FFFFFF", "num", 0.5, "E06666")
    frame.conditional_formatting.add(differences.cells, scale)


def _number(
    frame: Worksheet, area: Area, title: str, words: str, least: float, most: float, whole: bool = True
) -> None:
    kind = "whole" if whole else "decimal"
    rule = DataValidation(kind, operator="between", formula1=f"{least:g}", formula2=f"{most:.0f}", allow_blank=True)  # type: ignore[arg-type]
    _say(frame, rule, area, title, words)


def _list(frame: Worksheet, area: Area, title: str, words: str) -> None:
    _say(frame, DataValidation("list", formula1=f'"{ZERO},{MEAN}"', allow_blank=True), area, title, words)


def _say(frame: Worksheet, rule: DataValidation, area: Area, title: str, words: str) -> None:
    rule.errorTitle = rule.promptTitle = title[:32]
    rule.error = rule.prompt = words
    rule.showErrorMessage = rule.showInputMessage = True
    rule.add(area.cells)
    frame.add_data_validation(rule)
