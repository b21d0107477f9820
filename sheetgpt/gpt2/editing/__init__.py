"""Runs of the model under edits: parts switched off, the stream steered, parts taken from another text."""
