"""A recalculated workbook held against the evaluator."""
