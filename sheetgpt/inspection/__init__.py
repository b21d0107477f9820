"""What a model did with a text, asked of the evaluator's numbers: one module a question.

A module has functions on a `Subject` (subject.py), which the sheet of the same name takes for its twin, and the public
function of the same name, which reads a prompt first; each returns labelled DataFrames. Knows nothing of spreadsheets.
"""
