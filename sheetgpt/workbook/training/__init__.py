"""Training workbooks: built, opened again, trained."""
