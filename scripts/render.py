"""Pictures of a workbook's sheets as LibreOffice draws them: workbooks/<sheet>.png.

python -m pip install pypdfium2
python scripts/render.py workbooks/fairytale.xlsx
"""

import sys
import tempfile
from pathlib import Path

import pypdfium2  # type: ignore[import-untyped]

from sheetgpt.engines.libreoffice import export_pdf

RANGES = {
    "home": "Home!A1:X62",
    "guide": "Guide!A1:C24",
    "tokenizer": "Tokenizer!A1:AC32",
    "block": "h0!A1:Q45",
    "sample": "Sample!A1:Y52",
}


def render(workbook: Path, name: str, cells: str) -> Path:
    """The first page of `cells`, at 200 dots an inch, its white margins cut off."""
    with tempfile.TemporaryDirectory() as scratch:
        pdf = Path(scratch) / "sheet.pdf"
        export_pdf(workbook, pdf, [cells])
        picture = pypdfium2.PdfDocument(pdf)[0].render(scale=200 / 72).to_pil().convert("RGB")
    from PIL import Image, ImageChops

    used = ImageChops.difference(picture, Image.new("RGB", picture.size, "white")).getbbox()
    target = workbook.parent / f"{name}.png"
    picture.crop(used).save(target, optimize=True)
    return target


def main() -> None:
    workbook = Path(sys.argv[1] if len(sys.argv) > 1 else "workbooks/fairytale.xlsx")
    for name, cells in RANGES.items():
        print(render(workbook, name, cells))


if __name__ == "__main__":
    main()
