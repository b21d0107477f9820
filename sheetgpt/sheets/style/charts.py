"""Charts that Excel and LibreOffice draw alike: bars, columns and lines, and where one stands."""

from typing import Any

from openpyxl.chart import BarChart, LineChart
from openpyxl.chart.text import RichText, Text
from openpyxl.chart.title import Title
from openpyxl.drawing.spreadsheet_drawing import AnchorMarker, TwoCellAnchor
from openpyxl.drawing.text import CharacterProperties, Paragraph, ParagraphProperties, RegularTextRun

GAP = 76_200  # EMU, 8 pixels


def between(column: int, row: int, n_columns: int, n_rows: int) -> TwoCellAnchor:
    """Over the cells from `row` and `column`, which count from 1, on.

    Both corners stand in cells, so that no program's column widths push one chart over another; the rows need a height
    of their own, since LibreOffice sizes a chart before it fits the others to their text.
    """
    start = AnchorMarker(column - 1, GAP, row - 1, GAP)
    end = AnchorMarker(column - 1 + n_columns, 0, row - 1 + n_rows, 0)
    return TwoCellAnchor(editAs="twoCell", _from=start, to=end)


def bars(kind: str, title: str, number_format: str = "0%") -> Any:
    """`kind`: "bar", which lie, or "col", which stand."""
    chart: Any = BarChart()  # its attributes are descriptors, which type checkers misread
    chart.type, chart.gapWidth = kind, 30
    return plain(chart, title, number_format)


def lines(title: str, number_format: str) -> Any:
    return plain(LineChart(), title, number_format)


def mark(series: Any, color: str) -> None:
    """A line of one colour, with a dot at each value."""
    series.graphicalProperties.line.solidFill = color
    series.graphicalProperties.line.width = 22_225
    series.smooth = False  # Excel takes true where it is missing
    series.marker.symbol, series.marker.size = "circle", 6
    series.marker.graphicalProperties.solidFill = color
    series.marker.graphicalProperties.line.solidFill = color


def plain(chart: Any, title: str, number_format: str) -> Any:
    """What all kinds have in common."""
    chart.style = 10
    chart.title = Title(tx=Text(rich=rich(title, 1000, True)), overlay=False)
    for axis in (chart.x_axis, chart.y_axis):
        axis.txPr = rich("", 800)
    chart.roundedCorners = chart.varyColors = False  # Excel takes true for both where they are missing
    chart.x_axis.tickLblSkip = 1
    chart.x_axis.delete = chart.y_axis.delete = False
    chart.y_axis.numFmt, chart.y_axis.majorGridlines = number_format, None
    return chart


def rich(words: str, size: int, bold: bool = False) -> RichText:
    """A chart's text; `size` in hundredths of a point."""
    style = CharacterProperties(sz=size, b=bold)
    runs = [RegularTextRun(rPr=style, t=words)] if words else []
    return RichText(p=[Paragraph(pPr=ParagraphProperties(defRPr=style), r=runs, endParaRPr=style)])
