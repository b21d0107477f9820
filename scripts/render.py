"""Pictures of sheets as LibreOffice recalculates and draws them, beside the workbook: home.png, guide.png ...

python -m pip install -e '.[render]'
python scripts/render.py [workbooks/stories.xlsx] [--sheet home] [--sheet sample]
python scripts/render.py workbooks/names-train.xlsx
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import pypdfium2

from sheetgpt.engines import cached
from sheetgpt.engines.libreoffice import export_pdf
from sheetgpt.errors import SheetGPTError
from sheetgpt.gpt2.editing.edits import Edits
from sheetgpt.sheets.exercises.column import Column
from sheetgpt.sheets.exercises.exercises import all_tasks
from sheetgpt.sheets.exercises.task import answer_now
from sheetgpt.sheets.lab.screws import Lab, untouched, with_edits
from sheetgpt.verification.verify import Case, prepare
from sheetgpt.workbook.reopen import is_lesson, open_workbook

FOOTER = 90  # dots: the page's last lines, with the sheet's name
RANGES = {
    "home": "Home!A1:Y50",
    "guide": "Guide!A1:E21",
    "experiments": "Guide!A23:E40",
    "map": "Map!A1:N25",
    "exercises": "Exercises!A1:H45",
    "tokenizer": "Tokenizer!A1:AC32",
    "block": "Block 0!A1:Q720",
    "attention": "Attention!A1:AK70",
    "sample": "Sample!A1:Y52",
    "lens": "Lens!A1:S32",
    "contributions": "Contributions!A1:Q66",
    "neuron": "Neuron!A1:Y43",
    "embedding": "Embedding!A1:Q48",
    "lab": "Lab!A1:Q66",  # of a workbook of `build --lab`
    "on-paper": "On paper!A1:AJ50",  # of `build --tiny`
}
LEARNING = {  # of a workbook of `build --train`
    "training": "Training!A1:G39",
    "backward": "Backward!A1:Q45",
    "one-weight": "One weight!A1:F26",
}

TO_DO = ("neuron", "temperature", "causality", "head_off")
MISTAKEN = {"weight": 1, "surprise": 0}  # which of the mistakes that are recognised


def render(workbook: Path, name: str, cells: str) -> Path:
    """The first page of `cells`, at 200 dots an inch, its white margins cut off."""
    with tempfile.TemporaryDirectory() as scratch:
        pdf = Path(scratch) / "sheet.pdf"
        puts = {"lab": shown, "exercises": half_filled}.get(name)
        export_pdf(workbook, pdf, [cells], puts(workbook) if puts else None)
        picture = pypdfium2.PdfDocument(pdf)[0].render(scale=200 / 72).to_pil().convert("RGB")
    from PIL import Image, ImageChops

    picture = picture.crop((0, 0, picture.width, picture.height - FOOTER))
    used = ImageChops.difference(picture, Image.new("RGB", picture.size, "white")).getbbox()
    target = workbook.parent / f"{name}.png"
    picture.crop(used).save(target, optimize=True)
    return target


def shown(workbook: Path) -> dict[str, Any]:
    """The Guide's first experiment on the sheet Lab: without the head that copies."""
    layout = open_workbook(workbook).layout
    lab = with_edits(Lab(switches=untouched(layout)), Edits({(3, 2): 0.0}), layout)
    return {"prompt": "Mia had a cat. The cat was named Sue. Mia loved her", "new_tokens": 0} | lab.cells(layout)


def half_filled(workbook: Path) -> dict[str, Any]:
    """Most tasks done, two with a mistake, the rest still to do."""
    case = prepare(workbook, {})
    assert isinstance(case, Case), case
    tasks = {task.name: task for task in all_tasks(Column(case.state.layout))}
    found = {name: answer_now(task, case.state) for name, task in tasks.items() if name not in TO_DO}
    wrong = {name: tasks[name].mistakes[which].number.twin(case.state) for name, which in MISTAKEN.items()}
    return {f"exercises_{name}": answer for name, answer in (found | wrong).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workbook", type=Path, nargs="?", default=Path("workbooks/stories.xlsx"))
    words = "only this one; may be given several times"
    parser.add_argument("--sheet", choices=RANGES | LEARNING, action="append", help=words)
    args = parser.parse_args()
    ranges = LEARNING if is_lesson(args.workbook) else RANGES
    there = cached.package(args.workbook).sheets
    for name in args.sheet or ranges:
        if args.sheet is None and ranges[name].partition("!")[0] not in there:
            continue
        if name not in ranges:
            parser.error(f"{args.workbook} has no such sheet: choose from {', '.join(ranges)}")
        try:
            print(render(args.workbook, name, ranges[name]))
        except SheetGPTError as error:
            parser.error(str(error))


if __name__ == "__main__":
    main()
