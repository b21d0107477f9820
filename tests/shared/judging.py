"""A workbook with other yellow cells, judged in every formula cell."""

from pathlib import Path
from typing import Any

from sheetgpt.engines import Step, libreoffice
from sheetgpt.verification.report import Report
from sheetgpt.verification.verify import Case, judge, prepare


def wrong(report: Report) -> dict[str, str]:
    cells = {cell.where: cell.problem for t in report.tensors for cell in t.cells}
    return (
        cells
        | {t.name: t.problem for t in report.tensors if not t.passed and not t.cells}
        | dict.fromkeys(report.problems, "")
    )


def judged(path: Path, cases: dict[str, Case]) -> dict[str, dict[str, str]]:
    """What is wrong in each case, all recalculated in one LibreOffice."""
    steps = [Step(case.puts, list(case.areas.values())) for case in cases.values()]
    answers = libreoffice.run(path, steps)
    return {
        name: wrong(judge(case, "libreoffice", answer))
        for (name, case), answer in zip(cases.items(), answers, strict=True)
    }


def case_of(path: Path, given: dict[str, Any]) -> Case:
    case = prepare(path, given)
    assert isinstance(case, Case), case
    return case
