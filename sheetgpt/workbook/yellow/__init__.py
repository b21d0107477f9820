"""What the yellow cells of a workbook hold, read and judged."""
