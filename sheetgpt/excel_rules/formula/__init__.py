"""The rules of a formula, wherever it stands."""
