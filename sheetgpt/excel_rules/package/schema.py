"""The schema of every part: element order, required attributes, values.

By PyPI's `openxml-audit`, a port of the validator in Microsoft's Open XML SDK. It reads whole trees, so that sheets go
in as skeletons with a few of their rows; `sheet.py` checks the cells.
"""

import re
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from lxml import etree
from openxml_audit import OpenXmlValidator
from openxml_audit.errors import ValidationSeverity

from sheetgpt.excel_rules.package.siblings import count_once
from sheetgpt.excel_rules.package.xmlns import Element
from sheetgpt.excel_rules.problem import Problem
from sheetgpt.ooxml.reading.unzip import READ_ERRORS, is_sheet, is_xml, read

MAX_ERRORS = 100

_FONT = re.compile(r".*/font\[\d+\]")  # `styles.py` says in one sentence what the schema says in several
# openxml-audit wants both; ECMA-376 (part 1, 12.3.20 and 14.2.7) and Microsoft's SDK take a package without either
_OPTIONAL = re.compile(r"A required relationship type '\S+/(styles|theme)' is missing\b.*")


def schema_problems(archive: zipfile.ZipFile, skeletons: Mapping[str, Element]) -> Iterator[Problem]:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "skeleton.xlsx"
        _write(archive, skeletons, copy)
        positions = count_once()
        try:
            errors = _validator().validate(copy).errors
        except Exception as crash:  # a validator's crash is a finding about the file, not a traceback for the user
            yield Problem("", "", f"openxml-audit fails on the workbook: {type(crash).__name__}: {crash}.")
            return
        finally:
            positions.known.clear()
    for error in errors:
        if error.severity is not ValidationSeverity.ERROR:
            continue
        path = error.path or ""
        if _FONT.fullmatch(path) and error.description.startswith("Unexpected element"):
            continue
        if _OPTIONAL.fullmatch(error.description):
            continue
        yield Problem((error.part_uri or "").lstrip("/"), path, f"Schema: {error.description.rstrip('.')}.")


@cache
def _validator() -> OpenXmlValidator:
    return OpenXmlValidator(max_errors=MAX_ERRORS)  # it reads its schemas once


def _write(archive: zipfile.ZipFile, skeletons: Mapping[str, Element], target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as copy:
        for name in dict.fromkeys(archive.namelist()):
            if is_sheet(name):
                if name in skeletons:
                    copy.writestr(name, etree.tostring(skeletons[name], encoding="UTF-8", xml_declaration=True))
                continue
            try:
                copy.writestr(name, read(archive, name) if is_xml(name) else b"")  # no rule is about a picture's bytes
            except READ_ERRORS:
                continue  # reported where the part was first read
