"""The rules of the columns that are positions: causal, and filled right."""
