"""Tasks for a class, each checked against the live model."""
